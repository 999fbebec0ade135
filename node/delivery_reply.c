/* SPDX-License-Identifier: ISC */
/*
 * Replies into outcomes.
 */
#include "node/delivery_reply.h"

/* The status for a code that came without one (RFC 3463, RFC 5248). */
static const char *
status_of_code(int code)
{
	static const struct { int code; const char *status; } table[] = {
		{ 421, "4.3.2" }, { 450, "4.2.0" }, { 451, "4.3.0" },
		{ 452, "4.3.1" }, { 455, "4.5.4" }, { 500, "5.5.2" },
		{ 501, "5.5.4" }, { 502, "5.5.1" }, { 503, "5.5.1" },
		{ 504, "5.5.4" }, { 551, "5.1.6" }, { 552, "5.2.2" },
		{ 553, "5.1.3" }, { 555, "5.5.4" },
	};
	size_t i;

	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (table[i].code == code)
			return table[i].status;
	return code / 100 == 2 ? "2.0.0" : code / 100 == 5 ? "5.0.0" : "4.0.0";
}

/* A status of another class than the code's is not to be believed. */
const char *
delivery_reply_status(const struct smtp_reply *r)
{
	if (r->status[0] != '\0' && r->status[0] - '0' == r->code / 100)
		return r->status;
	return status_of_code(r->code);
}

enum delivery_outcome
delivery_reply_outcome(const struct smtp_reply *r)
{
	if (r->code / 100 == 2)
		return DELIVERY_DONE;
	return r->code / 100 == 5 ? DELIVERY_FAILED : DELIVERY_RETRY;
}
