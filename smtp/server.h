/* SPDX-License-Identifier: ISC */
#ifndef SMTP_SERVER_H
#define SMTP_SERVER_H
/*
 * The server half of a session: bytes in, events and reply bytes out; no
 * socket, no clock.  A live listener and the batch processor both sit on it.
 *
 *	struct smtp_server *s = smtp_server_new(&opts);
 *	while there is input:
 *		while (smtp_server_next(s, in, len, &used, &ev) == 1)
 *			look at ev; where it wants an answer, give it
 *		drop `used` octets of input after every call
 *		send smtp_server_output(s)
 *
 * MAIL, RCPT, BEGIN and END want an answer by smtp_server_answer.  It may come
 * later (a group commit): until then next returns 0 with nothing used.  The
 * session refuses what is malformed or out of order by itself and tells so
 * with an ERROR event, which wants no answer.
 *
 *            EHLO/HELO          MAIL           RCPT ok       DATA / BDAT
 *	START ---------> GREETED -------> MAIL -------> RCPT -------------> DATA
 *	                    ^              | RSET, EHLO   |                  |
 *	                    +--------------+--------------+---- END answered-+
 *
 * In a batch (RFC 2442) nobody reads replies: no output is made, HELO may be
 * missing, and DATA is accepted without a valid recipient.
 */
#include "smtp/command.h"
#include "smtp/envelope.h"

struct smtp_server;

enum smtp_line_ends {
	SMTP_LINES_CRLF,	/* CR LF alone ends a line */
	SMTP_LINES_NORMALIZE,	/* live: content lines that end in LF are
				 * given with CR LF, other CR as blanks; but
				 * CR LF . CR LF alone ends data */
	SMTP_LINES_DETECT,	/* batch: DATA decides; if it ends in LF alone,
				 * all lines of the content must, and LF . LF
				 * ends it; the content is given with CR LF */
};

struct smtp_server_options {
	const char *hostname;		/* in the greeting and EHLO reply */
	unsigned extensions;		/* offered, enum smtp_extension */
	uint64_t message_max;		/* octets; 0 no limit */
	size_t recipients_max;		/* 452 4.5.3 beyond (RFC 5321
					 * 4.5.3.1.10) */
	size_t command_max;		/* octets of a command line */
	size_t line_max;		/* octets of a line of DATA */
	unsigned errors_max;		/* 421 after so many; 0 no limit */
	uint64_t hold_max_secs;		/* FUTURERELEASE: the longest, and */
	int64_t hold_until_max;		/* the last, seconds since 1970: the
					 * present and the longest */
	bool lmtp;			/* RFC 2033: LHLO, and a reply for each
					 * recipient behind the content */
	bool tls_required;		/* 530 5.7.0 to mail in clear */
	bool batch;
	bool lenient;			/* paths without brackets */
	bool strict;			/* see smtp/strict.h */
	bool native;			/* see smtp/native.h */
	enum smtp_line_ends line_ends;
};

/* Fills in the defaults: RFC 5321 4.5.3.1, 10 MiB, 1000 recipients, lines of
 * 1 MiB, commands of 2048 octets, 20 errors. */
void smtp_server_options_default(struct smtp_server_options *opts);

enum smtp_event_kind {
	SMTP_EVENT_HELLO,	/* envelope->helo is set */
	SMTP_EVENT_MAIL,	/* answer; envelope->sender */
	SMTP_EVENT_RCPT,	/* answer; the last recipient of envelope */
	SMTP_EVENT_BEGIN,	/* answer; DATA or the first BDAT: the envelope
				 * is complete, content follows */
	SMTP_EVENT_CONTENT,	/* bytes of it, dots undone, at most what was
				 * given; valid until the next call */
	SMTP_EVENT_END,		/* answer; all of it came; facts */
	SMTP_EVENT_RESET,	/* the transaction begun is void: forget it */
	SMTP_EVENT_NOOP,	/* bytes: its argument */
	SMTP_EVENT_VRFY,	/* bytes: whom it asked for */
	SMTP_EVENT_STARTTLS,	/* 220 is in the output: send it, make TLS,
				 * then smtp_server_tls_on; input that comes
				 * before that ends the session */
	SMTP_EVENT_QUIT,	/* 221 is in the output; close after it */
	SMTP_EVENT_ERROR,	/* refusal, line, offset, bytes: the command */
	SMTP_EVENT_CLOSE,	/* the last reply, mostly 421, is in the
				 * output; close after it */
};

struct smtp_event {
	enum smtp_event_kind kind;
	const struct envelope *envelope;	/* until the next call */
	const struct content_facts *facts;	/* END */
	struct slice bytes;
	struct smtp_refusal refusal;		/* ERROR */
	uint64_t line;		/* where the command began, from 1 */
	uint64_t offset;	/* octet where it began, from 0 */
	bool fatal;		/* ERROR in a batch: the rest can't be trusted
				 * (syntax, order, unknown command); not set
				 * where one message alone suffers (too large,
				 * bare CR or LF: 554 5.6.0, its content was
				 * swallowed up to its end), or one recipient
				 * (452 4.5.3, too many) */
};

struct smtp_server *smtp_server_new(const struct smtp_server_options *opts);
void smtp_server_free(struct smtp_server *s);
/* 1: ev is set; 0: more input or an answer is needed; never negative.
 * used_out: octets of in that are done with (also when 1 is returned). */
int smtp_server_next(struct smtp_server *s, const char *in, size_t len,
    size_t *used_out, struct smtp_event *ev) MUST_CHECK;
/* The input has ended.  1 with an ERROR if that cut a command or a message
 * (a batch may end without QUIT), after a RESET if one had begun; else 0. */
int smtp_server_eof(struct smtp_server *s, struct smtp_event *ev) MUST_CHECK;
/* Answers the event at hand: 2xx goes on (354 is written for a BEGIN by DATA
 * whatever 2xx was given), others refuse; after a refused BEGIN by BDAT the
 * chunk is swallowed.  A refused RCPT is taken out of the envelope but in a
 * batch, where the caller keeps account.  421 ends the session.  status may
 * be NULL.  By LMTP the answer to END is written for each recipient. */
void smtp_server_answer(struct smtp_server *s, int code, const char *status,
    const char *text);
/* By LMTP, while END waits for its answer: recipient i of the envelope is
 * told r, whatever the others are (RFC 2033 4.2). */
void smtp_server_answer_for(struct smtp_server *s, size_t i,
    const struct smtp_refusal *r);
/* RFC 3207 4.2: TLS is on and the session as new; nothing that came in clear
 * is left. */
void smtp_server_tls_on(struct smtp_server *s);
/* True while an answer is owed: the caller stops reading. */
bool smtp_server_waiting(const struct smtp_server *s);
/* From now on content is refused at its end with this (a full disk, say). */
void smtp_server_refuse_content(struct smtp_server *s, int code,
    const char *status, const char *text);
/* Writes the greeting; with code other than 220 a refusal to talk. */
void smtp_server_greet(struct smtp_server *s, int code, const char *text);
/* Bytes for the client; the caller consumes them. */
struct buf *smtp_server_output(struct smtp_server *s);
/* Is a transaction under way (for timeouts and orderly shutdown)? */
bool smtp_server_in_transaction(const struct smtp_server *s);

#endif
