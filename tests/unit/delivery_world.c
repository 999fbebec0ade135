/* SPDX-License-Identifier: ISC */
/*
 * The surroundings of the tests of delivery.  The hooks only keep account:
 * the tests look at it afterwards.
 */
#include "tests/unit/delivery_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"

static void
on_result(void *ctx, struct delivery_job *job, size_t rcpt,
    enum delivery_outcome outcome, const char *status, const char *text)
{
	struct seen *s = job->cookie;

	(void)ctx;
	assert_true(rcpt < RCPT_ALL);
	assert_int_equal(s->overs, 0);
	s->told[rcpt]++;
	s->outcome[rcpt] = outcome;
	snprintf(s->status[rcpt], sizeof(s->status[rcpt]), "%s", status);
	snprintf(s->text[rcpt], sizeof(s->text[rcpt]), "%s", text);
}

static void
on_over(void *ctx, struct delivery_job *job)
{
	struct world *w = ctx;
	struct seen *s = job->cookie;

	s->overs++;
	if (--w->running == 0)
		event_base_loopbreak(w->base);
}

static bool
on_is_own(void *ctx, const struct sockaddr *addr, socklen_t len)
{
	struct world *w = ctx;

	assert_true(len > 0);
	assert_true(addr->sa_family == AF_INET || addr->sa_family == AF_UNIX);
	return w->own;
}

static uint64_t
much_room(void *ctx)
{
	(void)ctx;
	return UINT64_MAX / 2;
}

void
world_open(struct world *w)
{
	struct spool_options opts = { .clock = clock_real(),
		.rng = rng_real(),
		.free_bytes = much_room };
	struct err e = ERR_INIT;

	memset(w, 0, sizeof(*w));
	snprintf(w->dir, sizeof(w->dir), "/tmp/test_delivery.XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	w->base = event_base_new();
	w->disk = store_mem_disk_new();
	assert_int_equal(store_open_mem(w->disk, &w->store, &e), 0);
	assert_int_equal(spool_open(w->store, &opts, &w->spool, &e), 0);
	w->hooks = (struct delivery_hooks){ .ctx = w,
		.spool = w->spool,
		.clock = clock_real(),
		.hostname = "here.example",
		.is_own = on_is_own,
		.result = on_result,
		.over = on_over };
	w->conf.connections = 4;
}

void
world_close(struct world *w)
{
	char cmd[256];

	delivery_free(w->agent);
	spool_close(w->spool);
	store_mem_disk_free(w->disk);
	event_base_free(w->base);
	free(w->conf.target);
	snprintf(
	    cmd, sizeof(cmd), "chmod -R u+rwx %s; rm -rf %s", w->dir, w->dir);
	assert_int_equal(system(cmd), 0);
}

void
world_agent(struct world *w, enum conf_delivery_kind kind, char *target)
{
	delivery_free(w->agent);
	free(w->conf.target);
	w->conf.kind = kind;
	w->conf.target = target;
	w->agent = delivery_new(w->base, &w->conf, &w->hooks);
}

uint64_t
world_add_mail(struct world *w, const char *const *rcpt, size_t n,
    const char *content, size_t len)
{
	struct spool_draft *d = spool_draft_new(w->spool);
	struct err e = ERR_INIT;
	struct spool_unit *u;
	struct message m;
	uint64_t id;
	size_t i, piece;

	for (i = 0; i < len; i += piece) {
		piece = len - i < 10000 ? len - i : 10000;
		assert_int_equal(spool_draft_add(d, content + i, piece, &e), 0);
	}
	assert_int_equal(spool_draft_end(d, &e), 0);
	message_init(&m);
	m.env.helo = mem_strdup("client.example");
	m.env.sender = mem_strdup("ann@paris.example");
	for (i = 0; i < n; i++)
		envelope_add_recipient(&m.env, rcpt[i], NULL, NULL);
	m.source = mem_strdup("test");
	assert_int_equal(spool_begin(w->spool, &u, &e), 0);
	assert_int_equal(spool_add_message(u, d, &m, &e), 0);
	assert_int_equal(spool_commit(u, true, &e), 0);
	id = m.id;
	message_release(&m);
	spool_draft_free(d);
	return id;
}

uint64_t
world_add_text(struct world *w, const char *rcpt, const char *content)
{
	return world_add_mail(w, &rcpt, 1, content, strlen(content));
}

void
world_start(struct world *w, struct seen *s, uint64_t id, size_t n)
{
	size_t i;

	memset(s, 0, sizeof(*s));
	for (i = 0; i < n; i++)
		s->rcpt[i] = i;
	s->w = w;
	s->job = (struct delivery_job){ id, s->rcpt, n, s };
	w->running++;
	delivery_start(w->agent, &s->job);
}

void
world_run(struct world *w)
{
	const struct timeval limit = { 20, 0 };

	if (w->running > 0) {
		event_base_loopexit(w->base, &limit);
		event_base_dispatch(w->base);
	}
	assert_int_equal(w->running, 0);
	assert_int_equal(delivery_running(w->agent), 0);
}

void
world_linger(struct world *w, int ms)
{
	const struct timeval tv = { ms / 1000, ms % 1000 * 1000 };

	event_base_loopexit(w->base, &tv);
	event_base_dispatch(w->base);
}

void
seen_check(const struct seen *s, size_t rcpt, enum delivery_outcome outcome,
    const char *status)
{
	assert_int_equal(s->told[rcpt], 1);
	assert_int_equal(s->overs, 1);
	if (s->outcome[rcpt] != outcome)
		print_error("told: %s %s\n", s->status[rcpt], s->text[rcpt]);
	assert_int_equal(s->outcome[rcpt], outcome);
	assert_string_equal(s->status[rcpt], status);
}

void
world_deliver(struct world *w, struct seen *s, uint64_t id)
{
	world_start(w, s, id, 1);
	world_run(w);
}

void
world_damage_body(struct world *w)
{
	struct buf key = BUF_INIT, value = BUF_INIT;
	struct err e = ERR_INIT;

	assert_int_equal(
	    store_next(w->store, STORE_BODY, true, &key, 0, &value, &e), 0);
	value.ptr[value.len / 2] ^= 1;
	assert_int_equal(store_begin(w->store, &e), 0);
	assert_int_equal(store_put(w->store, STORE_BODY, buf_slice(&key),
			     buf_slice(&value), &e),
	    0);
	assert_int_equal(store_commit(w->store, true, &e), 0);
	buf_release(&key);
	buf_release(&value);
}
