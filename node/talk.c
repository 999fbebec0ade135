/* SPDX-License-Identifier: ISC */
/*
 * sendmail -bs: the client's octets to the daemon's session and back.  Nothing
 * is looked at: the session is the daemon's.
 */
#include "node/talk.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/file.h"

#define STEP 65536

/* 1: carried on; 0: from is at its end. */
static int
carry(int from, int to, const char *what, struct err *e)
{
	char bytes[STEP];
	ssize_t n = read(from, bytes, sizeof(bytes));

	if (n == -1 && (errno == EINTR || errno == EAGAIN))
		return 1;
	if (n == -1)
		return err_errno(e, "%s", what);
	if (n == 0)
		return 0;
	if (file_write_all(to, bytes, (size_t)n, e) < 0)
		return e->code;
	return 1;
}

int
talk(int fd, struct buf *first, struct err *e)
{
	struct pollfd p[2] = {
		{ .fd = fd, .events = POLLIN },
		{ .fd = STDIN_FILENO, .events = POLLIN },
	};
	int rc = file_write_all(STDOUT_FILENO, first->ptr, first->len, e);

	buf_release(first);
	if (rc < 0)
		return rc;
	for (;;) {
		if (poll(p, 2, -1) == -1 && errno != EINTR)
			return err_errno(e, "poll");
		if (p[0].revents != 0) {
			rc = carry(fd, STDOUT_FILENO, "the daemon", e);
			if (rc <= 0)
				return rc;
		}
		if (p[1].fd != -1 && p[1].revents != 0) {
			/* A daemon that has closed says so in p[0]. */
			struct err ignored = ERR_INIT;

			if (carry(STDIN_FILENO, fd, "input", &ignored) <= 0) {
				(void)shutdown(fd, SHUT_WR);
				p[1].fd = -1;
			}
		}
	}
}
