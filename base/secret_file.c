/* SPDX-License-Identifier: ISC */
/*
 * Secret texts from files.  They are read straight into locked memory, so
 * that no copy is left in a buffer that is not wiped.
 */
#include "base/secret.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void *
secret_alloc(size_t len)
{
	void *bytes = sodium_init() < 0 ? NULL : sodium_malloc(len);

	if (bytes == NULL)
		abort();
	sodium_memzero(bytes, len);
	return bytes;
}

void
secret_free(void *bytes)
{
	sodium_free(bytes);
}

static int
open_own(const char *path, int *fd_out, struct err *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	int rc = 0;

	if (fd < 0)
		return err_errno(e, "cannot open %s", path);
	if (fstat(fd, &st) < 0)
		rc = err_errno(e, "cannot look at %s", path);
	else if (!S_ISREG(st.st_mode))
		rc = err_set(e, ERR_DENIED, "%s is not a plain file", path);
	else if ((st.st_mode & 077) != 0)
		rc = err_set(e, ERR_DENIED, "%s has mode %04o: it holds a "
		    "secret, and others can get at it (chmod 600)", path,
		    (unsigned)st.st_mode & 07777);
	if (rc == 0)
		*fd_out = fd;
	else
		close(fd);
	return rc;
}

int
secret_file_check(const char *path, struct err *e)
{
	int fd, rc = open_own(path, &fd, e);

	if (rc == 0)
		close(fd);
	return rc;
}

/* Cuts at the first line end; what is behind it is wiped. */
static int
first_line(char *text, size_t len, struct err *e)
{
	size_t n = strcspn(text, "\r\n");

	if (n > SECRET_TEXT_MAX)
		return err_set(e, ERR_SYNTAX, "its first line has more than "
		    "%d octets", SECRET_TEXT_MAX);
	if (n == 0)
		return err_set(e, ERR_SYNTAX, "its first line is empty");
	if (memchr(text, '\0', len) != NULL)
		return err_set(e, ERR_SYNTAX, "there is a NUL in it");
	sodium_memzero(text + n, len - n);
	return 0;
}

int
secret_read_fd(int fd, char **text_out, struct err *e)
{
	char *text = secret_alloc(SECRET_TEXT_MAX + 2);
	size_t len = 0;
	ssize_t n = 1;
	int rc = 0;

	*text_out = NULL;
	while (n != 0 && len <= SECRET_TEXT_MAX && rc == 0) {
		n = read(fd, text + len, SECRET_TEXT_MAX + 1 - len);
		if (n > 0)
			len += (size_t)n;
		else if (n < 0 && errno != EINTR)
			rc = err_errno(e, "cannot read it");
	}
	if (rc == 0)
		rc = first_line(text, len, e);
	if (rc == 0)
		*text_out = text;
	else
		secret_free(text);
	return rc;
}

int
secret_read_file(const char *path, char **text_out, struct err *e)
{
	int fd, rc = open_own(path, &fd, e);

	*text_out = NULL;
	if (rc < 0)
		return rc;
	rc = secret_read_fd(fd, text_out, e);
	close(fd);
	return rc < 0 ? err_prefix(e, "%s", path) : 0;
}
