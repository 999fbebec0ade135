/* SPDX-License-Identifier: ISC */
/*
 * postrider link PEER: the answering end of a link that begins at a command
 * (`ssh oslo postrider link paris`).  The end itself is the transport tcp of
 * that peer, which listens at a UNIX socket; here octets go to and fro, so
 * that nothing but the daemon's own transport deals with its files.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/file.h"
#include "node/cli.h"

#define STEP 65536

/* The setting listen=/PATH of the first transport that has it; NULL: there is
 * none. */
static const char *
socket_of(const struct conf_peer *peer)
{
	const char *path = NULL;

	for (size_t i = 0; path == NULL && i < peer->nlanes; i++) {
		const struct conf_strings *set = &peer->lane[i].set;

		for (size_t k = 0; k < set->n; k++)
			if (strncmp(set->item[k], "listen=/", 8) == 0)
				path = set->item[k] + 7;
	}
	return path;
}

static int
join(const struct cli *cli, const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (strlen(path) < sizeof(a.sun_path)) {
		memcpy(a.sun_path, path, strlen(path));
		if (fd >= 0 && connect(fd, (void *)&a, sizeof(a)) == 0)
			return fd;
	} else {
		errno = ENAMETOOLONG;
	}
	(void)cli_fail(cli, EX_TEMPFAIL, "%s: %s", path, strerror(errno));
	if (fd >= 0)
		close(fd);
	return -1;
}

/* What is there: false at the end. */
static bool
carry(int from, int to)
{
	struct err e = ERR_INIT;
	char octets[STEP];
	ssize_t n = file_read_some(from, octets, sizeof(octets));

	return n > 0 && file_write_all(to, octets, (size_t)n, &e) == 0;
}

/* Each way in a process of its own: a slow reader of one way must not stop
 * the other, which would be a deadlock. */
static void
relay(int fd)
{
	pid_t pid = fork();

	if (pid == 0) {
		while (carry(STDIN_FILENO, fd))
			;
		(void)shutdown(fd, SHUT_WR);
		_exit(0);
	}
	if (pid < 0)
		return;
	while (carry(fd, STDOUT_FILENO))
		;
	(void)kill(pid, SIGTERM);
}

int
cmd_link(struct cli *cli, int argc, char **argv)
{
	const struct conf_peer *peer;
	struct conf *conf = NULL;
	const char *path;
	int fd, status;

	if (argc != 2 || argv[1][0] == '-')
		return cli_usage("link PEER");
	status = cli_conf(cli, &conf);
	if (status != 0)
		return status;
	peer = conf_find_peer(conf, argv[1]);
	path = peer != NULL ? socket_of(peer) : NULL;
	if (peer == NULL) {
		status = cli_fail(cli, EX_NOINPUT, "there is no peer %s",
		    argv[1]);
	} else if (path == NULL) {
		status = cli_fail(cli, EX_CONFIG, "peer %s has no transport "
		    "that listens at a socket: set = { \"listen=/PATH\" }",
		    argv[1]);
	} else {
		(void)signal(SIGPIPE, SIG_IGN);
		fd = join(cli, path);
		status = fd < 0 ? EX_TEMPFAIL : EX_OK;
		if (fd >= 0) {
			relay(fd);
			close(fd);
		}
	}
	conf_free(conf);
	return status;
}
