/* SPDX-License-Identifier: ISC */
#ifndef SPOOL_ENVFILE_NAMES_H
#define SPOOL_ENVFILE_NAMES_H
/* The words of the two files envfile*.c: one table for both ways. */
#include "spool/custody.h"

static const char *const kind_names[] = {
	[MESSAGE_MAIL] = "mail",
	[MESSAGE_NOTICE] = "notice",
	[MESSAGE_POSTMASTER] = "postmaster",
};
static const char *const status_names[] = {
	[RCPT_QUEUED] = "queued",
	[RCPT_HELD] = "held",
	[RCPT_DONE] = "done",
	[RCPT_FAILED] = "failed",
};
static const char *const body_names[] = {
	[SMTP_BODY_NONE] = "",
	[SMTP_BODY_7BIT] = "7BIT",
	[SMTP_BODY_8BITMIME] = "8BITMIME",
	[SMTP_BODY_BINARYMIME] = "BINARYMIME",
};
static const char *const ret_names[] = {
	[SMTP_RET_NONE] = "",
	[SMTP_RET_FULL] = "FULL",
	[SMTP_RET_HDRS] = "HDRS",
};
static const char *const role_names[] = {
	[BUNDLE_LEAVING] = "leaving",
	[BUNDLE_ARRIVING] = "arriving",
	[BUNDLE_ARRIVED] = "arrived",
};
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
_Static_assert(COUNT(kind_names) == MESSAGE_POSTMASTER + 1, "kinds");
_Static_assert(COUNT(status_names) == RCPT_FAILED + 1, "states");
_Static_assert(COUNT(body_names) == SMTP_BODY_BINARYMIME + 1, "bodies");
_Static_assert(COUNT(ret_names) == SMTP_RET_HDRS + 1, "returns");
_Static_assert(COUNT(role_names) == BUNDLE_ARRIVED + 1, "roles");

#endif
