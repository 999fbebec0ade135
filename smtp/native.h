/* SPDX-License-Identifier: ISC */
#ifndef SMTP_NATIVE_H
#define SMTP_NATIVE_H
/*
 * The command lines of a native batch (postrider-parcel(5)): MAIL, RCPT and
 * BDAT alone, and one way to write each.
 */
#include "smtp/command.h"

/* What is wrong with a command line (without its end) that would be taken
 * otherwise: 0, or -1 with the refusal.  A line that is malformed for any
 * batch passes: it is refused with better words where it is parsed. */
int smtp_native_check(struct slice line, struct smtp_refusal *r) MUST_CHECK;

#endif
