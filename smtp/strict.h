/* SPDX-License-Identifier: ISC */
#ifndef SMTP_STRICT_H
#define SMTP_STRICT_H
/*
 * RFC 5321 to the letter, for those who ask whether a batch keeps to it.  The
 * rest of smtp/ takes what RFC 5321 has receivers take.
 */
#include "smtp/command.h"

/* Of a line of text, its CR counted and its LF not (4.5.3.1.6). */
#define SMTP_STRICT_LINE_MAX 999

/* What is wrong with a command line (without its end) that would be taken
 * otherwise: 0, or -1 with the refusal.  4.1.1.1 for HELO and EHLO, 3.3 for
 * blanks in MAIL and RCPT, 4.5.3.1.4 with RFC 1870, 3461, 6152 and 6531 for
 * lengths; verbs of 1982. */
int smtp_strict_check(struct slice line, struct smtp_refusal *r) MUST_CHECK;

#endif
