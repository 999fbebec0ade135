/* SPDX-License-Identifier: ISC */
/*
 * The transports, each with what reads its settings.  A new one is a line
 * here.
 */
#include "transports/settings.h"
#include "base/mem.h"
#include "transports/exec.h"
#include "transports/filedrop.h"
#include "transports/mailer_settings.h"
#include "transports/serial.h"
#include "transports/tcp.h"
#include "transports/uux.h"

#include <stdlib.h>
#include <string.h>

static const struct transport {
	const char *name;
	int (*check)(struct contract *c, struct err *e);
} transports[] = {
	{ "exec", exec_check }, { "file", filedrop_check },
	{ "mail", mailer_check }, { "serial", serial_check },
	{ "tcp", tcp_check }, { "uucp", uux_check },
};

/* The arguments as the daemon would give them, without directories. */
static char **
make_argv(const char *transport, const char *peer, char *const *set, size_t n,
    int *argc_out)
{
	const char *const head[] = { transport, "--peer", peer, "--out", "/",
		"--in", "/" };
	size_t nhead = sizeof(head) / sizeof(head[0]), argc = 0;
	char **argv = mem_alloc(nhead + 2 * n, sizeof(*argv));

	for (size_t i = 0; i < nhead; i++)
		argv[argc++] = mem_strdup(head[i]);
	for (size_t i = 0; i < n; i++) {
		argv[argc++] = mem_strdup("--set");
		argv[argc++] = mem_strdup(set[i]);
	}
	*argc_out = (int)argc;
	return argv;
}

static int
check(const struct transport *t, int argc, char *const *argv, struct err *e)
{
	struct contract *c = NULL;
	int rc = contract_open(argc, argv, -1, -1, &c, e);

	if (rc == 0)
		rc = t->check(c, e);
	contract_close(c);
	return rc < 0 ? ERR_CONFIG : 0;
}

int
settings_check(const char *transport, const char *peer, char *const *set,
    size_t n, struct err *e)
{
	size_t i, count = sizeof(transports) / sizeof(transports[0]);
	char **argv;
	int argc, rc;

	for (i = 0; i < count; i++)
		if (strcmp(transport, transports[i].name) == 0)
			break;
	if (i == count)
		return 0;
	argv = make_argv(transport, peer, set, n, &argc);
	rc = check(&transports[i], argc, argv, e);
	while (argc > 0)
		free(argv[--argc]);
	free(argv);
	return rc;
}
