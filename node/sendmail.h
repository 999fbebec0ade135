/* SPDX-License-Identifier: ISC */
#ifndef NODE_SENDMAIL_H
#define NODE_SENDMAIL_H
/*
 * Makes a message out of what programs give to sendmail(8): line ends become
 * CR LF, what the header lacks is added, recipients are taken out of it.
 *
 *	s = sendmail_new(&opts)
 *	sendmail_add(s, bytes, len, &out) ...	until 0: the input has ended
 *	sendmail_end(s, &out)
 *	sendmail_envelope(s)
 */
#include "base/clock.h"
#include "smtp/envelope.h"

#define SENDMAIL_HEADER_MAX (1 << 20)	/* octets of one header field */

struct sendmail_options {
	struct clock *clock;
	struct rng *rng;
	const char *hostname;	/* behind "@" where an address has none */
	const char *sender;	/* "" for the null reverse-path */
	const char *from;	/* address for a missing From */
	const char *full_name;	/* beside it; or NULL */
	bool take_recipients;	/* -t */
	bool ignore_dots;	/* -i */
};

struct sendmail;
/* opts is copied, its strings are not. */
struct sendmail *sendmail_new(const struct sendmail_options *opts);
void sendmail_free(struct sendmail *s);
/* Appends content to out.  1: go on; 0: a line with a dot alone ended the
 * input; ERR_LIMIT, ERR_SYNTAX: a faulty field, named. */
int sendmail_add(struct sendmail *s, const char *bytes, size_t len,
    struct buf *out, struct err *e) MUST_CHECK;
int sendmail_end(struct sendmail *s, struct buf *out, struct err *e)
    MUST_CHECK;
/* A recipient of the command line, qualified; before or after the content. */
int sendmail_add_recipient(struct sendmail *s, const char *text,
    struct err *e) MUST_CHECK;
/* Sender and recipients, each once; after sendmail_end; lives as long as s.
 * The caller sets parameters in it. */
struct envelope *sendmail_envelope(struct sendmail *s);

#endif
