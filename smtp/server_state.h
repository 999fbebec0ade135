/* SPDX-License-Identifier: ISC */
#ifndef SMTP_SERVER_STATE_H
#define SMTP_SERVER_STATE_H
/*
 * The state of a server's session, for the three files that make it up and
 * for nobody else: server.c (the caller's side), server_command.c (command
 * lines), server_content.c (DATA and BDAT).
 */
#include "smtp/dots.h"
#include "smtp/server.h"

#define QUEUE_MAX 8

enum state {
	STATE_START = 1 << 0,
	STATE_GREETED = 1 << 1,
	STATE_MAIL = 1 << 2,
	STATE_RCPT = 1 << 3,	/* a recipient was taken */
	STATE_CHUNKS = 1 << 4,	/* between the chunks of BDAT */
	STATE_DATA = 1 << 5,	/* content by DATA */
	STATE_CHUNK = 1 << 6,	/* content by BDAT */
	STATE_TURNED_AWAY = 1 << 7,	/* the greeting was a refusal */
	STATE_CLOSED = 1 << 8,
	STATE_TLS = 1 << 9,	/* between STARTTLS and TLS */
};

#define STATES_TRANSACTION (STATE_MAIL | STATE_RCPT | STATE_CHUNKS | \
    STATE_DATA | STATE_CHUNK)

struct smtp_server {
	struct smtp_server_options opts;
	char *hostname;
	struct envelope env;
	struct buf out, line, shown, converted;

	enum state state;
	bool begun;		/* MAIL was accepted: RESET is due if void */
	bool forget;		/* the envelope goes when the queue is empty */
	bool rcpt_seen;
	bool void_mail;		/* batch: MAIL was refused by the caller */
	bool waiting;
	size_t each;		/* LMTP: the next reply is for so many; 0: is
				 * one */
	size_t chunk_each;	/* the same of a chunk that is refused */
	struct smtp_refusal *own;	/* LMTP: what single recipients are
					 * told (code 0: as all), or NULL */
	enum smtp_event_kind asked;
	unsigned errors;
	struct smtp_event queue[QUEUE_MAX];
	size_t queue_head, queue_tail;

	/* command lines */
	uint64_t offset, lines;	/* of the input used */
	uint64_t line_offset, line_number;
	bool partial, too_long;
	bool more;		/* input stands behind this line */
	bool tls;
	bool lf;		/* DETECT: lines end in LF alone */

	/* content */
	struct content_scanner scan;
	struct dot_reader dots;
	bool held_cr;		/* normalize: what follows is not known */
	bool swallow, too_large;
	struct smtp_refusal verdict;	/* the caller's, code 0: none */

	/* BDAT */
	uint64_t chunk_left, chunk_octets;
	bool chunk_last;
	bool chunks_void;	/* chunks up to LAST belong to nothing */
	bool chunk_told;	/* the caller refused: no ERROR */
	struct smtp_refusal chunk_refusal;
	enum state chunk_after;	/* state behind a refused chunk */
};

/* server.c: events that wait for the caller, and replies. */
struct smtp_event *server_push(struct smtp_server *s,
    enum smtp_event_kind kind);
/* Asks the caller; next() gives nothing more until it has answered. */
void server_ask(struct smtp_server *s, enum smtp_event_kind kind);
/* Nothing in a batch. */
size_t server_each(const struct smtp_server *s, bool content_over);
void server_reply(struct smtp_server *s, int code, const char *status,
    const char *text);
/* ERROR and its reply; 421 where there were too many. */
void server_error(struct smtp_server *s, const struct smtp_refusal *r,
    bool fatal);
void server_end_transaction(struct smtp_server *s);
/* The same, with RESET if one had begun. */
void server_reset(struct smtp_server *s);
void server_close(struct smtp_server *s);

/* Octets of in that were used. */
size_t server_feed_command(struct smtp_server *s, const char *in, size_t len);
/* Octets in clear where TLS was to begin. */
size_t server_feed_clear(struct smtp_server *s, size_t len);
size_t server_feed_data(struct smtp_server *s, const char *in, size_t len);
size_t server_feed_chunk(struct smtp_server *s, const char *in, size_t len);
/* Before BEGIN. */
void server_start_content(struct smtp_server *s, bool data);
/* The chunk has gone by. */
void server_chunk_end(struct smtp_server *s);

#endif
