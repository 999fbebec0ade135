/* SPDX-License-Identifier: ISC */
/*
 * The exec transport: which of its two ways it is, and the first of them, a
 * command as the line.
 */
#include "transports/exec.h"
#include "transports/each.h"
#include "transports/program.h"
#include "transports/wire.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#define GRACE_MS 3000

struct exec {
	struct contract *contract;
	struct wire wire;
	char **words;
};

static void
close_both(int fd[2])
{
	for (int i = 0; i < 2; i++)
		if (fd[i] >= 0)
			close(fd[i]);
}

static enum contract_exit
talk(struct exec *x)
{
	int to[2] = { -1, -1 }, from[2] = { -1, -1 }, rc = 0, status;
	enum contract_exit how = CONTRACT_EXIT_LATER;
	struct err e = ERR_INIT;
	pid_t pid;

	if (pipe2(to, O_CLOEXEC) < 0 || pipe2(from, O_CLOEXEC) < 0)
		rc = err_errno(&e, "cannot make pipes");
	if (rc == 0)
		rc = program_start(x->words, (const int[]){ to[0], from[1] },
		    &pid, &e);
	if (rc < 0) {
		fprintf(stderr, "%s\n", e.text);
		close_both(to);
		close_both(from);
		return rc == ERR_CONFIG ? CONTRACT_EXIT_CONFIG : how;
	}
	close(to[0]);
	close(from[1]);
	how = wire_talk(&x->wire, from[0], to[1], x->words[0]);
	close(to[1]);
	close(from[0]);
	status = program_end(pid, GRACE_MS);
	if (how != CONTRACT_EXIT_DONE && WIFEXITED(status) &&
	    WEXITSTATUS(status) != 0)
		contract_note(x->contract, "%s exited with %d", x->words[0],
		    WEXITSTATUS(status));
	return how;
}

/* *link_out: a command is the line. */
static int
read_settings(struct exec *x, bool *link_out, struct err *e)
{
	struct contract *c = x->contract;
	const char *command = contract_setting(c, "command", NULL);
	bool files = contract_setting(c, "each", NULL) != NULL ||
	    contract_setting(c, "fetch", NULL) != NULL;
	int rc;

	*link_out = command != NULL;
	if (*link_out == files)
		return err_set(e, ERR_CONFIG, "set either command, or each or "
		    "fetch or both of these");
	if (files)
		return each_check(c, e);
	rc = program_setting("command", command, &x->words, e);
	return rc == 0 ? wire_settings(&x->wire, c, "call", e) : rc;
}

int
exec_check(struct contract *c, struct err *e)
{
	struct exec x = { .contract = c };
	bool link;
	int rc = read_settings(&x, &link, e);

	program_words_free(x.words);
	return rc;
}

enum contract_exit
exec_run(struct contract *c)
{
	struct exec x = { .contract = c };
	enum contract_exit how = CONTRACT_EXIT_CONFIG;
	struct err e = ERR_INIT;
	bool link;

	if (read_settings(&x, &link, &e) < 0 ||
	    (link && wire_open(&x.wire, &e) < 0))
		fprintf(stderr, "%s\n", e.text);
	else
		how = link ? talk(&x) : each_run(c);
	wire_close(&x.wire);
	program_words_free(x.words);
	return how;
}
