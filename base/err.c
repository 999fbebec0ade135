/* SPDX-License-Identifier: ISC */
/*
 * Errors carry a sentence of bounded length inside themselves, so that
 * reporting one never allocates and nobody has to free it.
 */
#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int
err_set(struct err *e, int code, const char *fmt, ...)
{
	va_list ap;

	if (e == NULL)
		return code;
	e->code = code;
	va_start(ap, fmt);
	vsnprintf(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
	return code;
}

static int
code_of_errno(int error)
{
	switch (error) {
	case ENOSPC:
	case EDQUOT:
		return ERR_FULL;
	case ENOENT:
		return ERR_NOT_FOUND;
	case EACCES:
	case EPERM:
		return ERR_DENIED;
	default:
		return ERR_IO;
	}
}

int
err_errno(struct err *e, const char *fmt, ...)
{
	int error = errno;
	int code = code_of_errno(error);
	va_list ap;
	size_t len;

	if (e == NULL)
		return code;
	e->code = code;
	va_start(ap, fmt);
	vsnprintf(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
	len = strlen(e->text);
	snprintf(e->text + len, sizeof(e->text) - len, ": %s",
	    strerror(error));
	errno = error;
	return code;
}

int
err_prefix(struct err *e, const char *fmt, ...)
{
	char words[ERR_TEXT_MAX];
	size_t len, room;
	va_list ap;

	if (e == NULL)
		return ERR_IO;
	va_start(ap, fmt);
	vsnprintf(words, sizeof(words) - 2, fmt, ap);
	va_end(ap);
	len = strlen(words);
	memcpy(words + len, ": ", 2);
	len += 2;
	room = sizeof(e->text) - 1 - len;
	memmove(e->text + len, e->text, room);
	memcpy(e->text, words, len);
	e->text[sizeof(e->text) - 1] = '\0';
	return e->code;
}
