/* SPDX-License-Identifier: ISC */
#ifndef BASE_ERR_H
#define BASE_ERR_H
/*
 * Errors.  A function that can fail returns 0 or a negative enum err_code and
 * fills a struct err with a sentence for a person: the thing, the place, the
 * cause.  Parsers and pumps return 1 (got one), 0 (need more) or negative.
 */
enum err_code {
	ERR_SYNTAX = -1,	/* malformed input */
	ERR_LIMIT = -2,		/* larger or more than a named limit */
	ERR_IO = -3,		/* the operating system said no */
	ERR_FULL = -4,		/* no space, or a quota reached: try later */
	ERR_NOT_FOUND = -5,
	ERR_EXISTS = -6,
	ERR_CORRUPT = -7,	/* a checksum or an invariant failed */
	ERR_CONFIG = -8,
	ERR_DENIED = -9,
	ERR_UNSUPPORTED = -10,
	ERR_STATE = -11,	/* not now: wrong order, locked, closed */
};

#define ERR_TEXT_MAX 512

struct err {
	int code;
	char text[ERR_TEXT_MAX];
};

#define ERR_INIT { 0, "" }

/* Sets code and text (cut if too long) and returns code.  e may be NULL. */
int err_set(struct err *e, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* The same with ": strerror(errno)" behind; ENOSPC and EDQUOT make the code
 * ERR_FULL, ENOENT ERR_NOT_FOUND, EACCES and EPERM ERR_DENIED, else ERR_IO. */
int err_errno(struct err *e, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* Puts "WORDS: " before the text there is; returns e->code. */
int err_prefix(struct err *e, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#define MUST_CHECK __attribute__((warn_unused_result))

#endif
