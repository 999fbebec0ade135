/* SPDX-License-Identifier: ISC */
#ifndef TESTS_UNIT_EXCHANGE_WORLD_H
#define TESTS_UNIT_EXCHANGE_WORLD_H
/*
 * One exchange under a clock that the test turns, with the engine in memory.
 */
#include "base/mem.h"
#include "base/text.h"
#include "node/exchange.h"

#define SITE "site paris {\n postmaster = postmaster@paris.example\n" \
	     " hostname = mail.paris.example\n spool = /tmp\n run = /tmp\n" \
	     " retry-min = 10m\n retry-max = 1h\n lifetime = 2d\n" \
	     " broken-notices = 2\n quota-messages = 200\n min-free = 1M\n" \
	     " hops-max = 5\n received-max = 3\n}\n"
#define HOME "delivery home {\n domains = { paris.example }\n" \
	     " to = maildir:/tmp/home\n users = { ann, bob, postmaster }\n}\n"
#define LONDON "peer london {\n dialect = bsmtp\n ids = yes\n" \
	       " transport = /bin/true\n lifetime = 1d\n retry-min = 10m\n" \
	       " message-max = 5000\n batch-count = 3\n batch-size = 4000\n"
#define ROUTES "routes {\n london.example = london\n}\n"
#define CONF SITE HOME LONDON "}\n" ROUTES

struct xw {
	struct clock clock; /* first */
	int64_t now_ms;
	struct rng_seeded rng;
	struct conf *conf;
	struct store_mem_disk *disk;
	struct spool *spool;
	struct exchange *x;
	uint64_t room;
	struct exchange_action action[300];
	size_t nactions;
	struct smtp_timing timing; /* of what is submitted from now on */
	struct buf text; /* whatever was asked for last */
};

int xw_set_up(void **state);
int xw_tear_down(void **state);
/* As if the power had failed: what was not flushed is gone. */
void xw_crash(struct xw *w);
/* Commits and gathers what is to be done. */
void xw_settle(struct xw *w);
void xw_pass(struct xw *w, uint64_t secs);
/* Takes the first action of this kind out of those gathered. */
bool xw_take(struct xw *w, enum exchange_action_kind kind,
    struct exchange_action *a);
void xw_must_take(struct xw *w, enum exchange_action_kind kind,
    struct exchange_action *a);
void xw_must_not(struct xw *w, enum exchange_action_kind kind);
uint64_t xw_count(struct xw *w);
/* to: addresses with a blank between them.  The id; 0: refused. */
uint64_t xw_submit(struct xw *w, const char *from, const char *to,
    const char *content,
    struct smtp_refusal *r);
uint64_t xw_accept(struct xw *w, const char *from, const char *to);
/* The content of the message of a delivery, in w->text. */
void xw_read_message(struct xw *w, uint64_t id);
void xw_contains(struct xw *w, const char *what);
/* Answers for all recipients of the next delivery. */
void xw_answer(struct xw *w, enum delivery_verdict v, const char *status);
/* Writes the next object; its octets are in w->text, its name is the
 * caller's. */
char *xw_write_object(struct xw *w);
enum inbound_outcome xw_feed(struct xw *w, const char *pickup, const char *text,
    size_t len);
enum inbound_outcome xw_feed_text(struct xw *w, const char *pickup,
    const char *text);
struct conf *xw_conf_of(const char *text);
void xw_start(struct xw *w);
void xw_stop(struct xw *w);

#define ONE(from, to) "MAIL FROM:<" from ">\r\nRCPT TO:<" to ">\r\n" \
		      "DATA\r\nSubject: y\r\n\r\nhi\r\n.\r\n"
#define BATCH(inside) "HELO london.example\r\n" inside "QUIT\r\n"
#define OURS(id, inside) "HELO london.example\r\nNOOP postrider-id=" id \
			 "\r\n" inside "QUIT\r\n"

#endif
