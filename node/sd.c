/* SPDX-License-Identifier: ISC */
/*
 * systemd's conventions by hand: a few lines instead of a library that other
 * systems lack.
 */
#include "node/sd.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/text.h"

#define FIRST_FD 3	/* SD_LISTEN_FDS_START */
#define FDS_MAX 1024

static int
notify_address(const char *name, struct sockaddr_un *un, socklen_t *len,
    struct err *e)
{
	size_t n = strlen(name);

	memset(un, 0, sizeof(*un));
	un->sun_family = AF_UNIX;
	if ((name[0] != '/' && name[0] != '@') || n < 2)
		return err_set(e, ERR_UNSUPPORTED, "NOTIFY_SOCKET is neither "
		    "a path nor an abstract name: %s", name);
	if (n >= sizeof(un->sun_path))
		return err_set(e, ERR_LIMIT, "NOTIFY_SOCKET has %zu octets, "
		    "at most %zu are possible", n, sizeof(un->sun_path) - 1);
	memcpy(un->sun_path, name, n);
	if (name[0] == '@')
		un->sun_path[0] = '\0';
	*len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n +
	    (name[0] == '@' ? 0 : 1));
	return 0;
}

static int
send_to(const char *name, struct slice text, struct err *e)
{
	struct sockaddr_un un;
	socklen_t len = 0;
	int fd, rc = notify_address(name, &un, &len, e);

	if (rc < 0)
		return rc;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_errno(e, "cannot make a socket for sd_notify");
	if (sendto(fd, text.ptr, text.len, MSG_NOSIGNAL,
	    (struct sockaddr *)&un, len) != (ssize_t)text.len)
		rc = err_errno(e, "cannot write to NOTIFY_SOCKET %s", name);
	close(fd);
	return rc;
}

int
sd_notify(struct err *e, const char *fmt, ...)
{
	const char *name = getenv("NOTIFY_SOCKET");
	struct buf text = BUF_INIT;
	va_list ap;
	int rc;

	if (name == NULL || name[0] == '\0')
		return 0;
	va_start(ap, fmt);
	buf_vaddf(&text, fmt, ap);
	va_end(ap);
	rc = send_to(name, buf_slice(&text), e);
	buf_release(&text);
	return rc;
}

int
sd_notify_reloading(struct err *e)
{
	struct timespec now;

	/* Not the clock of base/, which counts sleep: systemd compares. */
	clock_gettime(CLOCK_MONOTONIC, &now);
	return sd_notify(e, "RELOADING=1\nMONOTONIC_USEC=%llu",
	    (unsigned long long)now.tv_sec * 1000000 +
	    (unsigned long long)now.tv_nsec / 1000);
}

static bool
number(const char *name, uint64_t max, uint64_t *n_out)
{
	const char *text = getenv(name);

	return text != NULL && num_parse(slice_of(text), max, n_out) == 0;
}

void
sd_sockets_take(struct sd_sockets *socks_out)
{
	uint64_t pid, n;
	size_t i;

	socks_out->fd = NULL;
	socks_out->n = 0;
	if (number("LISTEN_PID", INT32_MAX, &pid) &&
	    number("LISTEN_FDS", FDS_MAX, &n) && pid == (uint64_t)getpid()) {
		socks_out->n = (size_t)n;
		socks_out->fd = mem_alloc(socks_out->n, sizeof(int));
	}
	for (i = 0; i < socks_out->n; i++) {
		socks_out->fd[i] = FIRST_FD + (int)i;
		(void)fcntl(socks_out->fd[i], F_SETFD, FD_CLOEXEC);
	}
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
}

void
sd_sockets_release(struct sd_sockets *socks)
{
	size_t i;

	for (i = 0; i < socks->n; i++)
		if (socks->fd[i] >= 0)
			close(socks->fd[i]);
	free(socks->fd);
	socks->fd = NULL;
	socks->n = 0;
}
