/* SPDX-License-Identifier: ISC */
/*
 * The world of one exchange: what surrounds it is played by hand, each step
 * when the test wants it.
 */
#include "tests/unit/exchange_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"

static int64_t
wall(struct clock *c)
{
	return 1700000000000 + ((struct xw *)c)->now_ms;
}

static int64_t
mono(struct clock *c)
{
	return ((struct xw *)c)->now_ms;
}

static uint64_t
room(void *ctx)
{
	return ((struct xw *)ctx)->room;
}

static void
told(void *ctx, const char *text)
{
	(void)ctx;
	print_message("%s\n", text);
}

struct conf *
xw_conf_of(const char *text)
{
	char path[] = "/tmp/test_exchange_XXXXXX";
	struct err e = ERR_INIT;
	struct conf *conf = NULL;
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(0, file_write_all(fd, text, strlen(text), &e));
	close(fd);
	if (conf_load(path, told, NULL, &conf, &e) != 0)
		fail_msg("%s", e.text);
	unlink(path);
	return conf;
}

void
xw_start(struct xw *w)
{
	struct spool_options so = { .clock = &w->clock, .rng = &w->rng.rng,
	    .min_free_bytes = 1 << 20, .free_bytes = room, .free_ctx = w,
	    .dir = "/tmp" };
	struct exchange_options xo = { .clock = &w->clock,
		.rng = &w->rng.rng,
		.conf = w->conf };
	struct store *store;
	struct err e = ERR_INIT;

	assert_int_equal(0, store_open_mem(w->disk, &store, &e));
	assert_int_equal(0, spool_open(store, &so, &w->spool, &e));
	xo.spool = w->spool;
	w->x = exchange_new(&xo);
	assert_int_equal(0, exchange_start(w->x, &e));
}

static void
forget_actions(struct xw *w)
{
	while (w->nactions > 0)
		exchange_action_release(&w->action[--w->nactions]);
}

void
xw_stop(struct xw *w)
{
	forget_actions(w);
	exchange_free(w->x);
	spool_close(w->spool);
}

void
xw_crash(struct xw *w)
{
	struct err e = ERR_INIT;

	store_mem_disk_crash_at(w->disk, 1, &w->rng.rng);
	(void)!store_flush(spool_store(w->spool), &e);
	xw_stop(w);
	store_mem_disk_revive(w->disk);
	xw_start(w);
}

int
xw_set_up(void **state)
{
	struct xw *w = mem_alloc(1, sizeof(*w));

	w->clock.wall_ms = wall;
	w->clock.mono_ms = mono;
	w->room = 1 << 30;
	rng_seeded_init(&w->rng, 1);
	w->conf = xw_conf_of(CONF);
	w->disk = store_mem_disk_new();
	xw_start(w);
	*state = w;
	return 0;
}

int
xw_tear_down(void **state)
{
	struct xw *w = *state;

	xw_stop(w);
	store_mem_disk_free(w->disk);
	conf_free(w->conf);
	buf_release(&w->text);
	free(w);
	return 0;
}

void
xw_settle(struct xw *w)
{
	struct exchange_completion c;
	struct exchange_action a;
	struct err e = ERR_INIT;

	do {
		assert_int_equal(0, exchange_commit(w->x, &e));
		while (exchange_next_completion(w->x, &c) == 1)
			assert_true(c.durable);
		while (exchange_next_action(w->x, &a) == 1) {
			assert_true(w->nactions < 300);
			w->action[w->nactions++] = a;
		}
	} while (exchange_commit_pending(w->x));
}

void
xw_pass(struct xw *w, uint64_t secs)
{
	int64_t until = w->now_ms + (int64_t)secs * 1000, at;
	struct err e = ERR_INIT;

	while (w->now_ms < until) {
		at = exchange_deadline_ms(w->x);
		w->now_ms = at > until ? until : at > w->now_ms ? at :
								  w->now_ms + 1;
		assert_int_equal(0, exchange_tick(w->x, &e));
		xw_settle(w);
	}
}

bool
xw_take(struct xw *w, enum exchange_action_kind kind,
    struct exchange_action *a)
{
	size_t i;

	for (i = 0; i < w->nactions; i++) {
		if (w->action[i].kind != kind)
			continue;
		*a = w->action[i];
		memmove(&w->action[i], &w->action[i + 1],
		    (w->nactions - i - 1) * sizeof(*a));
		w->nactions--;
		return true;
	}
	return false;
}

void
xw_must_take(struct xw *w, enum exchange_action_kind kind,
    struct exchange_action *a)
{
	if (!xw_take(w, kind, a))
		fail_msg("no action of kind %d", (int)kind);
}

void
xw_must_not(struct xw *w, enum exchange_action_kind kind)
{
	struct exchange_action a;

	if (xw_take(w, kind, &a))
		fail_msg("an action of kind %d", (int)kind);
}

uint64_t
xw_count(struct xw *w)
{
	struct exchange_counters c;

	exchange_counters(w->x, &c);
	return c.messages;
}

uint64_t
xw_submit(struct xw *w, const char *from, const char *to, const char *content,
    struct smtp_refusal *r)
{
	struct spool_draft *d = spool_draft_new(w->spool);
	struct exchange_completion c;
	char *list = mem_strdup(to), *next = list, *address;
	struct err e = ERR_INIT;
	struct message m;
	uint64_t id = 0;

	message_init(&m);
	m.env.sender = mem_strdup(from);
	m.env.timing = w->timing;
	m.source = mem_strdup("test");
	while ((address = strsep(&next, " ")) != NULL)
		envelope_add_recipient(&m.env, address, NULL, NULL);
	assert_int_equal(0, spool_draft_add(d, content, strlen(content), &e));
	assert_int_equal(0, spool_draft_end(d, &e));
	if (exchange_accept(w->x, d, &m, w, r) == 0) {
		assert_int_equal(0, exchange_commit(w->x, &e));
		assert_int_equal(1, exchange_next_completion(w->x, &c));
		assert_ptr_equal(w, c.cookie);
		id = c.durable ? c.id : 0;
		*r = c.refusal;
	} else {
		spool_draft_free(d);
	}
	message_release(&m);
	free(list);
	xw_settle(w);
	return id;
}

uint64_t
xw_accept(struct xw *w, const char *from, const char *to)
{
	struct smtp_refusal r;
	uint64_t id = xw_submit(w, from, to, "Subject: x\r\n\r\nhello\r\n", &r);

	assert_true(id != 0);
	return id;
}

void
xw_read_message(struct xw *w, uint64_t id)
{
	struct spool_body *body;
	struct err e = ERR_INIT;
	int rc;

	buf_clear(&w->text);
	assert_int_equal(0, spool_body_open(w->spool, id, &body, &e));
	while ((rc = spool_body_read(body, &w->text, &e)) == 1)
		;
	assert_int_equal(0, rc);
	spool_body_close(body);
}

void
xw_contains(struct xw *w, const char *what)
{
	if (strstr(buf_cstr(&w->text), what) == NULL)
		fail_msg("\"%s\" is not in \"%s\"", what, buf_cstr(&w->text));
}

void
xw_answer(struct xw *w, enum delivery_verdict v, const char *status)
{
	struct exchange_action a;
	size_t i;

	xw_must_take(w, EXCHANGE_DELIVER, &a);
	xw_read_message(w, a.message);
	for (i = 0; i < a.nrcpt; i++)
		exchange_delivery_result(w->x, a.job, a.rcpt[i], v, status,
		    "the test said so");
	exchange_delivery_over(w->x, a.job);
	exchange_action_release(&a);
	xw_settle(w);
}

char *
xw_write_object(struct xw *w)
{
	struct exchange_action a;
	struct outbound *ob;
	unsigned char digest[32];
	struct err e = ERR_INIT;
	struct sha256 h;
	char *name;

	xw_must_take(w, EXCHANGE_WRITE, &a);
	buf_clear(&w->text);
	assert_int_equal(0, exchange_outbound_new(w->x, a.object, &ob, &e));
	while (exchange_outbound_read(ob, &w->text, &e) == 1)
		;
	assert_int_equal(0, e.code);
	exchange_outbound_free(ob);
	sha256_init(&h);
	sha256_add(&h, w->text.ptr, w->text.len);
	sha256_end(&h, digest);
	assert_int_equal(0, exchange_object_written(w->x, a.object, w->text.len,
	    digest, &e));
	name = mem_strdup(a.name);
	exchange_action_release(&a);
	xw_settle(w);
	return name;
}

enum inbound_outcome
xw_feed(struct xw *w, const char *pickup, const char *text, size_t len)
{
	struct inbound *in = exchange_inbound_new(w->x, "london", "file",
	    slice_of(pickup));
	enum inbound_outcome outcome;
	struct quarantine *q;
	struct err e = ERR_INIT;
	uint64_t id;

	if (exchange_inbound_add(in, text, len, &e) != 0)
		assert_true(e.code == ERR_FULL || e.code == ERR_IO);
	outcome = exchange_inbound_end(in);
	if (outcome == INBOUND_BROKEN) {
		q = exchange_quarantine_new(in, len);
		assert_int_equal(0, exchange_quarantine_add(q, text, len, &e));
		assert_int_equal(0, exchange_quarantine_end(q, &id, &e));
	}
	exchange_inbound_free(in);
	if (!store_mem_disk_crashed(w->disk))
		xw_settle(w);
	return outcome;
}

enum inbound_outcome
xw_feed_text(struct xw *w, const char *pickup, const char *text)
{
	return xw_feed(w, pickup, text, strlen(text));
}
