/* SPDX-License-Identifier: ISC */
#ifndef SMTP_COMMAND_H
#define SMTP_COMMAND_H
/*
 * Command lines and reply lines, both ways.
 */
#include "base/buf.h"
#include "base/err.h"
#include "smtp/envelope.h"

enum smtp_verb {
	SMTP_VERB_HELO, SMTP_VERB_EHLO, SMTP_VERB_LHLO, SMTP_VERB_MAIL,
	SMTP_VERB_RCPT, SMTP_VERB_DATA, SMTP_VERB_BDAT, SMTP_VERB_RSET,
	SMTP_VERB_NOOP, SMTP_VERB_QUIT, SMTP_VERB_VRFY, SMTP_VERB_EXPN,
	SMTP_VERB_HELP, SMTP_VERB_STARTTLS, SMTP_VERB_ETRN, SMTP_VERB_AUTH,
	SMTP_VERB_SEND, SMTP_VERB_SOML, SMTP_VERB_SAML, SMTP_VERB_TURN,
	SMTP_VERB_TICK, SMTP_VERB_VERB,	/* BSMTP of 1982 */
	SMTP_VERB_GET, SMTP_VERB_POST, SMTP_VERB_PUT, SMTP_VERB_CONNECT,
	SMTP_VERB_OPTIONS,		/* HTTP: what web browsers send */
	SMTP_VERB_UNKNOWN,
	SMTP_VERBS
};

/* A refusal in the words of the protocol. */
struct smtp_refusal {
	int code;		/* 501 */
	char status[12];	/* "5.5.4" */
	char text[256];		/* for a person */
};

int smtp_refuse(struct smtp_refusal *r, int code, const char *status,
    const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/* Splits a line (without its end) into verb and argument. */
enum smtp_verb smtp_command_split(struct slice line, struct slice *args_out);
const char *smtp_verb_name(enum smtp_verb verb);

/* Arguments of MAIL and RCPT with their parameters, added to env.
 * extensions: the set offered; a parameter of one that is not offered is
 * 555 5.5.4.  lenient: brackets may be missing (batches of the field).
 * Returns 0, or -1 with the refusal filled (501, 555, 552, 553). */
int smtp_command_mail(struct slice args, unsigned extensions, bool lenient,
    struct envelope *env, struct smtp_refusal *r) MUST_CHECK;
int smtp_command_rcpt(struct slice args, unsigned extensions, bool lenient,
    struct envelope *env, struct smtp_refusal *r) MUST_CHECK;
int smtp_command_bdat(struct slice args, uint64_t *octets_out, bool *last_out,
    struct smtp_refusal *r) MUST_CHECK;

/* Writes the command lines of an envelope, CR LF at the end.  extensions: the
 * set the receiver offers; parameters of others are left out, and BODY=7BIT
 * to one of XORIGIN. */
void smtp_write_mail(struct buf *out, const struct envelope *env,
    uint64_t octets, unsigned extensions);
void smtp_write_rcpt(struct buf *out, const struct recipient *rcpt,
    unsigned extensions);

/*
 * Replies (RFC 5321 4.2).
 */
struct smtp_reply {
	int code;		/* 250; 0 while none */
	char status[12];	/* "2.1.5" or "" */
	char text[512];		/* all lines joined by blanks, cut if longer;
				 * the enhanced status is not in it */
};

struct smtp_reply_parser {
	struct buf line;
	struct smtp_reply reply;
	unsigned lines;
};

void smtp_reply_parser_init(struct smtp_reply_parser *p);
void smtp_reply_parser_release(struct smtp_reply_parser *p);
/* Eats from in; 1: p->reply is whole; 0: need more; ERR_SYNTAX or ERR_LIMIT:
 * no SMTP.  on_line (may be NULL) is called with the text of each line, for
 * the keywords of EHLO. */
int smtp_reply_parse(struct smtp_reply_parser *p, const char *in, size_t len,
    size_t *used_out, void (*on_line)(void *ctx, struct slice text),
    void *ctx, struct err *e) MUST_CHECK;
/* Appends "250-first\r\n250 last\r\n": text may hold newlines. */
void smtp_write_reply(struct buf *out, int code, const char *status,
    const char *text);

#endif
