/* SPDX-License-Identifier: ISC */
#ifndef TESTS_DIALOGUE_H
#define TESTS_DIALOGUE_H
/*
 * Dialogues with the server, as tables: what is sent, the events and the
 * replies that must come of it.  Each is played in one piece, octet by octet
 * and in pieces of seven, and must come out the same.
 *
 * Events are written as words; content shows only where END came, since how
 * much of a refused message is seen depends on the pieces.
 */
#include "smtp/server.h"

#define BODY "Subject: x\r\n\r\nhi\r\n"
#define HI "EHLO c.example\r\n"
#define MR "MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n"
#define HI_REPLY "250-s.example\r\n250-PIPELINING\r\n250-SIZE 2000\r\n" \
	"250-8BITMIME\r\n250-DSN\r\n250-ENHANCEDSTATUSCODES\r\n" \
	"250-CHUNKING\r\n250-BINARYMIME\r\n250 SMTPUTF8\r\n"
#define MR_REPLY "250 2.0.0 Ok\r\n250 2.0.0 Ok\r\n"
#define GO "354 End data with <CR><LF>.<CR><LF>\r\n"
#define OK "250 2.0.0 Ok\r\n"
#define HMR "hello(c.example) mail(a@b.example) rcpt(c@d.example) "

struct dialogue {
	const char *name, *send;
	size_t send_len;	/* 0: up to the NUL */
	const char *events, *replies;
};

struct player {
	struct smtp_server *s;
	struct buf events, content;
	bool ended;
};

/* Plays it three times over and compares. */
void dialogue_check(const struct dialogue *d,
    const struct smtp_server_options *opts);
/* Small limits: 2000 octets, 3 recipients, 4 errors. */
struct smtp_server_options dialogue_options(void);
/* Answers the event and adds its word to p->events. */
void player_show(struct player *p, const struct smtp_event *ev);
/* Feeds in pieces, then the end of the input. */
void player_play(struct player *p, const char *in, size_t len, size_t piece);
/* One piece, and what comes of it. */
void player_say(struct player *p, const char *in, const char *events,
    const char *replies);
void player_end(struct player *p);

#endif
