/* SPDX-License-Identifier: ISC */
#ifndef SMTP_ENVELOPE_H
#define SMTP_ENVELOPE_H
/*
 * The envelope of one message: sender, recipients and the parameters of MAIL
 * and RCPT, kept as they were written (xtext still coded), so that they pass
 * through unchanged.  And what is known of its content without keeping it.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "smtp/origin.h"
#include "smtp/timing.h"

enum smtp_body { SMTP_BODY_NONE, SMTP_BODY_7BIT, SMTP_BODY_8BITMIME,
	SMTP_BODY_BINARYMIME };
enum smtp_ret { SMTP_RET_NONE, SMTP_RET_FULL, SMTP_RET_HDRS };

enum smtp_notify {
	SMTP_NOTIFY_NEVER = 1 << 0,
	SMTP_NOTIFY_SUCCESS = 1 << 1,
	SMTP_NOTIFY_FAILURE = 1 << 2,
	SMTP_NOTIFY_DELAY = 1 << 3,
};

struct recipient {
	char *address;
	char *notify;		/* "SUCCESS,FAILURE" as written, or NULL */
	char *orcpt;		/* "rfc822;xtext" as written, or NULL */
};

struct envelope {
	char *helo;		/* name given in HELO or EHLO, or NULL */
	char *sender;		/* "" is the null reverse-path; NULL: none */
	char *envid;		/* xtext as written, or NULL */
	enum smtp_ret ret;
	enum smtp_body body;
	bool smtputf8;
	bool size_given;
	uint64_t size;		/* declared, octets */
	struct smtp_timing timing;
	struct smtp_origin origin;
	struct recipient *rcpt;
	size_t nrcpt;
};

void envelope_init(struct envelope *env);
void envelope_release(struct envelope *env);
/* Forgets all but helo. */
void envelope_clear(struct envelope *env);
/* Copies the strings; NULL stays NULL.  Returns the new one, valid until the
 * next call. */
struct recipient *envelope_add_recipient(struct envelope *env,
    const char *address, const char *notify, const char *orcpt);
/* Takes the last one out; there must be one. */
void envelope_drop_recipient(struct envelope *env);
/* Deep copy into an initialised one. */
void envelope_copy(struct envelope *to, const struct envelope *from);
/* The bits of a NOTIFY value; NULL gives 0 (the default of RFC 3461 4.1:
 * FAILURE, and DELAY as the server likes).  -1 if malformed. */
int smtp_notify_parse(const char *text);
const char *smtp_body_name(enum smtp_body body);	/* NULL for none */
const char *smtp_ret_name(enum smtp_ret ret);		/* NULL for none */

/*
 * Facts about content, gathered as it streams by.
 */
enum content_flags {
	CONTENT_8BIT = 1 << 0,		/* an octet above 127 */
	CONTENT_NUL = 1 << 1,
	CONTENT_BARE = 1 << 2,		/* a CR or LF on its own */
	CONTENT_LONG = 1 << 3,		/* a line over 998 octets */
	CONTENT_OPEN_END = 1 << 4,	/* not empty and no CR LF at its end */
	CONTENT_8BIT_HEADER = 1 << 5,	/* an octet above 127 in the header */
};

struct content_facts {
	uint64_t octets;
	unsigned flags;
	unsigned received;	/* Received fields in the header */
};

struct content_scanner {
	struct content_facts facts;
	size_t line_len;	/* octets of the present line so far */
	char line_start[9];	/* its first octets, for "Received:" */
	bool in_header, after_cr, after_crlf;
};

void content_scanner_init(struct content_scanner *scan);
void content_scanner_add(struct content_scanner *scan, const char *bytes,
    size_t len);
/* Call once at the end; the facts are then complete. */
void content_scanner_end(struct content_scanner *scan);

/* The extensions without which this message cannot be transmitted: CHUNKING
 * for bare CR or LF, an open end or BINARYMIME; 8BITMIME, SMTPUTF8,
 * BINARYMIME as used; DELIVERBY for BY=...;R (RFC 2852 4.1.4).  DSN and SIZE
 * are never required. */
unsigned envelope_needs(const struct envelope *env,
    const struct content_facts *facts);
/* Those that its parameters come from where they may be left out. */
unsigned envelope_uses(const struct envelope *env);
/* The needs for the recipients rcpt[0..n-1] alone (indexes into env->rcpt;
 * NULL: the first n). */
unsigned envelope_needs_for(const struct envelope *env,
    const struct content_facts *facts, const size_t *rcpt, size_t n);

#endif
