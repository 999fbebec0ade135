/* SPDX-License-Identifier: ISC */
#ifndef NODE_NOTICE_TEXT_H
#define NODE_NOTICE_TEXT_H
/*
 * The words of notices for people: built in, or from a file of the operator's
 * in his own language.  The file has a part for each kind of notice,
 *
 *	[failed]
 *	Subject: Nicht zustellbar
 *
 *	An diese Adressen ...
 *	%{recipients}
 *
 * and a part that is not there is the built-in one.
 */
#include "base/buf.h"
#include "base/err.h"

enum notice_action { NOTICE_FAILED, NOTICE_DELAYED, NOTICE_EXPANDED,
	NOTICE_RELAYED, NOTICE_DELIVERED, NOTICE_ACTIONS };

/* "failed", ...: as in RFC 3464 2.3.3. */
const char *notice_action_name(enum notice_action action);

struct notice_text;

/* text: the file, UTF-8.  ERR_CONFIG names the line and what is wrong. */
int notice_text_parse(struct slice text, struct notice_text **t_out,
    struct err *e) MUST_CHECK;
void notice_text_free(struct notice_text *t);

/* What stands for %{site} and so on; NULL stands for nothing. */
struct notice_words {
	const char *site, *hostname, *sender, *date, *until, *recipients;
};

/* t may be NULL.  Lines of the text end with CR LF; the subject is one line,
 * not yet coded for a header. */
void notice_text_subject(const struct notice_text *t,
    enum notice_action action, const struct notice_words *w, struct buf *out);
void notice_text_body(const struct notice_text *t,
    enum notice_action action, const struct notice_words *w, struct buf *out);

#endif
