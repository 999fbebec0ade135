/* SPDX-License-Identifier: ISC */
/*
 * One exchange under a clock that the test turns, with the engine in memory:
 * each thing that may happen to a message, one at a time.  What many of them
 * do to each other is for tests/sim.
 */
#include "node/exchange.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"

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

struct world {
	struct clock clock;		/* first */
	int64_t now_ms;
	struct rng_seeded rng;
	struct conf *conf;
	struct store_mem_disk *disk;
	struct spool *spool;
	struct exchange *x;
	uint64_t room;
	struct exchange_action action[300];
	size_t nactions;
	struct buf text;		/* whatever was asked for last */
};

static int64_t
wall(struct clock *c)
{
	return 1700000000000 + ((struct world *)c)->now_ms;
}

static int64_t
mono(struct clock *c)
{
	return ((struct world *)c)->now_ms;
}

static uint64_t
room(void *ctx)
{
	return ((struct world *)ctx)->room;
}

static void
told(void *ctx, const char *text)
{
	(void)ctx;
	print_message("%s\n", text);
}

static struct conf *
conf_of(const char *text)
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

static void
start(struct world *w)
{
	struct spool_options so = { .clock = &w->clock, .rng = &w->rng.rng,
	    .min_free_bytes = 1 << 20, .free_bytes = room, .free_ctx = w,
	    .dir = "/tmp" };
	struct exchange_options xo = { .clock = &w->clock,
	    .rng = &w->rng.rng, .conf = w->conf };
	struct store *store;
	struct err e = ERR_INIT;

	assert_int_equal(0, store_open_mem(w->disk, &store, &e));
	assert_int_equal(0, spool_open(store, &so, &w->spool, &e));
	xo.spool = w->spool;
	w->x = exchange_new(&xo);
	assert_int_equal(0, exchange_start(w->x, &e));
}

static void
forget_actions(struct world *w)
{
	while (w->nactions > 0)
		exchange_action_release(&w->action[--w->nactions]);
}

static void
stop(struct world *w)
{
	forget_actions(w);
	exchange_free(w->x);
	spool_close(w->spool);
}

/* As if the power had failed: what was not flushed is gone. */
static void
crash(struct world *w)
{
	struct err e = ERR_INIT;

	store_mem_disk_crash_at(w->disk, 1, &w->rng.rng);
	(void)!store_flush(spool_store(w->spool), &e);
	stop(w);
	store_mem_disk_revive(w->disk);
	start(w);
}

static int
set_up(void **state)
{
	struct world *w = mem_alloc(1, sizeof(*w));

	w->clock.wall_ms = wall;
	w->clock.mono_ms = mono;
	w->room = 1 << 30;
	rng_seeded_init(&w->rng, 1);
	w->conf = conf_of(CONF);
	w->disk = store_mem_disk_new();
	start(w);
	*state = w;
	return 0;
}

static int
tear_down(void **state)
{
	struct world *w = *state;

	stop(w);
	store_mem_disk_free(w->disk);
	conf_free(w->conf);
	buf_release(&w->text);
	free(w);
	return 0;
}

/* Commits and gathers what is to be done. */
static void
settle(struct world *w)
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

static void
pass(struct world *w, uint64_t secs)
{
	int64_t until = w->now_ms + (int64_t)secs * 1000, at;
	struct err e = ERR_INIT;

	while (w->now_ms < until) {
		at = exchange_deadline_ms(w->x);
		w->now_ms = at > until ? until : at > w->now_ms ? at :
		    w->now_ms + 1;
		assert_int_equal(0, exchange_tick(w->x, &e));
		settle(w);
	}
}

/* Takes the first action of this kind out of those gathered. */
static bool
take(struct world *w, enum exchange_action_kind kind,
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

static void
must_take(struct world *w, enum exchange_action_kind kind,
    struct exchange_action *a)
{
	if (!take(w, kind, a))
		fail_msg("no action of kind %d", (int)kind);
}

static void
must_not(struct world *w, enum exchange_action_kind kind)
{
	struct exchange_action a;

	if (take(w, kind, &a))
		fail_msg("an action of kind %d", (int)kind);
}

static uint64_t
count(struct world *w)
{
	struct exchange_counters c;

	exchange_counters(w->x, &c);
	return c.messages;
}

/* to: addresses with a blank between them.  The id; 0: refused. */
static uint64_t
submit(struct world *w, const char *from, const char *to, const char *content,
    struct smtp_refusal *r)
{
	struct spool_draft *d = spool_draft_new(w->spool);
	struct exchange_completion c;
	char *list = mem_strdup(to), *next = NULL, *address;
	struct err e = ERR_INIT;
	struct message m;
	uint64_t id = 0;

	message_init(&m);
	m.env.sender = mem_strdup(from);
	m.source = mem_strdup("test");
	for (address = strtok_r(list, " ", &next); address != NULL;
	    address = strtok_r(NULL, " ", &next))
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
	settle(w);
	return id;
}

static uint64_t
accept(struct world *w, const char *from, const char *to)
{
	struct smtp_refusal r;
	uint64_t id = submit(w, from, to, "Subject: x\r\n\r\nhello\r\n", &r);

	assert_true(id != 0);
	return id;
}

/* The content of the message of a delivery, in w->text. */
static void
read_message(struct world *w, uint64_t id)
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

static void
contains(struct world *w, const char *what)
{
	if (strstr(buf_cstr(&w->text), what) == NULL)
		fail_msg("\"%s\" is not in \"%s\"", what, buf_cstr(&w->text));
}

/* Answers for all recipients of the next delivery. */
static void
answer(struct world *w, enum delivery_verdict v, const char *status)
{
	struct exchange_action a;
	size_t i;

	must_take(w, EXCHANGE_DELIVER, &a);
	read_message(w, a.message);
	for (i = 0; i < a.nrcpt; i++)
		exchange_delivery_result(w->x, a.job, a.rcpt[i], v, status,
		    "the test said so");
	exchange_delivery_over(w->x, a.job);
	exchange_action_release(&a);
	settle(w);
}

/* Writes the next object; its octets are in w->text, its name is the
 * caller's. */
static char *
write_object(struct world *w)
{
	struct exchange_action a;
	struct outbound *ob;
	unsigned char digest[32];
	struct err e = ERR_INIT;
	struct sha256 h;
	char *name;

	must_take(w, EXCHANGE_WRITE, &a);
	buf_clear(&w->text);
	assert_int_equal(0, exchange_outbound_new(w->x, a.object, &ob, &e));
	while (exchange_outbound_read(ob, &w->text, &e) == 1)
		;
	assert_int_equal(0, e.code);
	exchange_outbound_free(ob);
	sha256_init(&h);
	sha256_add(&h, w->text.ptr, w->text.len);
	sha256_end(&h, digest);
	assert_int_equal(0, exchange_object_written(w->x, a.object,
	    w->text.len, digest, &e));
	name = mem_strdup(a.name);
	exchange_action_release(&a);
	settle(w);
	return name;
}

static enum inbound_outcome
feed(struct world *w, const char *pickup, const char *text, size_t len)
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
		assert_int_equal(0, exchange_quarantine_add(q, text, len,
		    &e));
		assert_int_equal(0, exchange_quarantine_end(q, &id, &e));
	}
	exchange_inbound_free(in);
	if (!store_mem_disk_crashed(w->disk))
		settle(w);
	return outcome;
}

static enum inbound_outcome
feed_text(struct world *w, const char *pickup, const char *text)
{
	return feed(w, pickup, text, strlen(text));
}

#define ONE(from, to) "MAIL FROM:<" from ">\r\nRCPT TO:<" to ">\r\n" \
	"DATA\r\nSubject: y\r\n\r\nhi\r\n.\r\n"
#define BATCH(inside) "HELO london.example\r\n" inside "QUIT\r\n"
#define OURS(id, inside) "HELO london.example\r\nNOOP postrider-id=" id \
	"\r\n" inside "QUIT\r\n"

/*
 * Delivery.
 */
static void
test_local(void **state)
{
	struct world *w = *state;

	accept(w, "ann@paris.example", "bob@paris.example");
	answer(w, VERDICT_DONE, "2.0.0");
	assert_string_equal("Subject: x\r\n\r\nhello\r\n",
	    buf_cstr(&w->text));
	assert_int_equal(0, count(w));
	crash(w);
	assert_int_equal(0, count(w));
}

static void
test_retry(void **state)
{
	struct world *w = *state;

	accept(w, "ann@paris.example", "bob@paris.example");
	answer(w, VERDICT_RETRY, "4.2.0");
	pass(w, 60);
	must_not(w, EXCHANGE_DELIVER);
	/* retry-min is 10m, a quarter of it by chance */
	pass(w, 600);
	answer(w, VERDICT_RETRY, "4.2.0");
	pass(w, 800);
	must_not(w, EXCHANGE_DELIVER);
	pass(w, 500);
	answer(w, VERDICT_DONE, "2.0.0");
	assert_int_equal(0, count(w));
}

/* Attempts are remembered over a restart. */
static void
test_retry_restart(void **state)
{
	struct world *w = *state;

	accept(w, "ann@paris.example", "bob@paris.example");
	answer(w, VERDICT_RETRY, "4.2.0");
	crash(w);
	settle(w);
	must_not(w, EXCHANGE_DELIVER);
	pass(w, 700);
	answer(w, VERDICT_DONE, "2.0.0");
	assert_int_equal(0, count(w));
}

static void
test_unreachable(void **state)
{
	struct world *w = *state;

	accept(w, "ann@paris.example", "bob@paris.example");
	answer(w, VERDICT_RETRY, "4.4.1");
	accept(w, "ann@paris.example", "bob@paris.example");
	must_not(w, EXCHANGE_DELIVER);	/* the server need not be asked */
	pass(w, 700);
	answer(w, VERDICT_DONE, "2.0.0");
}

static void
test_failure(void **state)
{
	struct world *w = *state;

	accept(w, "ann@paris.example", "bob@paris.example");
	answer(w, VERDICT_FAILED, "5.2.2");
	assert_int_equal(1, count(w));
	crash(w);			/* the notice is durable */
	settle(w);
	answer(w, VERDICT_DONE, "2.0.0");
	contains(w, "To: <ann@paris.example>\r\n");
	contains(w, "\r\nReporting-MTA: dns;mail.paris.example\r\n");
	contains(w, "\r\nFinal-Recipient: rfc822;bob@paris.example\r\n"
	    "Action: failed\r\nStatus: 5.2.2\r\n");
	contains(w, "Subject: x\r\n");
	assert_int_equal(0, count(w));
}

static void
test_null_sender(void **state)
{
	struct world *w = *state;

	accept(w, "", "bob@paris.example");
	answer(w, VERDICT_FAILED, "5.2.2");
	answer(w, VERDICT_FAILED, "5.2.2");	/* of the postmaster: kept */
	contains(w, "To: <postmaster@paris.example>\r\n");
	contains(w, "hello\r\n");
	pass(w, 20 * 86400);
	assert_int_equal(1, count(w));
	answer(w, VERDICT_DONE, "2.0.0");
	assert_int_equal(0, count(w));
}

static void
test_expiry(void **state)
{
	struct world *w = *state;
	int i;

	accept(w, "ann@paris.example", "bob@paris.example");
	for (i = 0; i < 100; i++) {
		struct exchange_action a;

		if (take(w, EXCHANGE_DELIVER, &a)) {
			read_message(w, a.message);
			if (strstr(buf_cstr(&w->text), "Status: 4.4.7")) {
				exchange_action_release(&a);
				break;
			}
			exchange_delivery_result(w->x, a.job, 0,
			    VERDICT_RETRY, "4.2.0", "not now");
			exchange_delivery_over(w->x, a.job);
			exchange_action_release(&a);
			settle(w);
		}
		pass(w, 3600);
	}
	contains(w, "Final-Recipient: rfc822;bob@paris.example\r\n"
	    "Action: failed\r\nStatus: 4.4.7\r\n");
	assert_true(w->now_ms >= 2 * 86400000LL);
	assert_true(w->now_ms <= (2 * 86400 + 3 * 3600) * 1000LL);
	assert_int_equal(1, count(w));
}

/* All recipients of one message end in one commit, in two deliveries. */
static void
test_two_outcomes(void **state)
{
	struct world *w = *state;
	struct exchange_action a, b;
	struct err e = ERR_INIT;
	struct message m;
	uint64_t id = 0;

	conf_free(w->conf);
	w->conf = conf_of(SITE HOME "delivery staff {\n domains = { "
	    "staff.example }\n to = maildir:/tmp/staff\n}\n");
	exchange_reload(w->x, w->conf);
	accept(w, "ann@paris.example", "bob@paris.example x@staff.example");
	must_take(w, EXCHANGE_DELIVER, &a);
	must_take(w, EXCHANGE_DELIVER, &b);
	assert_int_not_equal(a.delivery, b.delivery);
	exchange_delivery_result(w->x, a.job, a.rcpt[0], VERDICT_DONE, "", "");
	exchange_delivery_result(w->x, b.job, b.rcpt[0], VERDICT_DONE, "", "");
	exchange_delivery_over(w->x, a.job);
	exchange_delivery_over(w->x, b.job);
	exchange_action_release(&a);
	exchange_action_release(&b);
	settle(w);
	assert_int_equal(0, count(w));
	message_init(&m);
	assert_int_equal(ERR_NOT_FOUND,
	    spool_next_message(w->spool, &id, &m, &e));
	message_release(&m);
}

/*
 * Objects that leave.
 */
static void
test_sent(void **state)
{
	struct world *w = *state;
	struct exchange_action a;
	struct err e = ERR_INIT;
	char *name;

	accept(w, "ann@paris.example", "x@london.example");
	name = write_object(w);
	contains(w, "RCPT TO:<x@london.example>");
	contains(w, "hello\r\n");
	must_take(w, EXCHANGE_RUN, &a);
	assert_string_equal("london", a.peer);
	exchange_action_release(&a);
	assert_true(exchange_knows_object(w->x, "london", name));
	assert_int_equal(1, count(w));
	assert_int_equal(0, exchange_transport_sent(w->x, "london", name,
	    &e));
	settle(w);
	must_take(w, EXCHANGE_UNLINK, &a);
	assert_string_equal(name, a.name);
	exchange_action_release(&a);
	assert_int_equal(0, count(w));
	exchange_transport_exited(w->x, "london", 0, "");
	crash(w);
	assert_int_equal(0, count(w));
	assert_false(exchange_knows_object(w->x, "london", name));
	free(name);
}

/* A crash between any two steps: the same object, the same octets. */
static void
test_sent_restarts(void **state)
{
	struct world *w = *state;
	struct buf first = BUF_INIT;
	struct err e = ERR_INIT;
	char *name, *again;

	accept(w, "ann@paris.example", "x@london.example");
	crash(w);
	settle(w);
	assert_int_equal(1, count(w));
	name = write_object(w);
	buf_addslice(&first, buf_slice(&w->text));
	crash(w);
	settle(w);
	again = write_object(w);
	assert_string_equal(name, again);
	assert_true(slice_eq(buf_slice(&first), buf_slice(&w->text)));
	assert_int_equal(0, exchange_transport_sent(w->x, "london", name,
	    &e));
	crash(w);
	settle(w);
	assert_int_equal(0, count(w));
	must_not(w, EXCHANGE_WRITE);
	buf_release(&first);
	free(name);
	free(again);
}

static void
test_transport_back_off(void **state)
{
	struct world *w = *state;
	struct exchange_action a;

	accept(w, "ann@paris.example", "x@london.example");
	free(write_object(w));
	must_take(w, EXCHANGE_RUN, &a);
	exchange_action_release(&a);
	exchange_transport_exited(w->x, "london", 75, "busy");
	settle(w);
	pass(w, 400);
	must_not(w, EXCHANGE_RUN);
	pass(w, 250);
	must_take(w, EXCHANGE_RUN, &a);
	exchange_action_release(&a);
}

static void
test_object_refused(void **state)
{
	struct world *w = *state;
	char *name;

	accept(w, "ann@paris.example", "x@london.example");
	name = write_object(w);
	exchange_transport_failed(w->x, "london", name, true, "no such place");
	settle(w);
	answer(w, VERDICT_DONE, "2.0.0");
	contains(w, "Final-Recipient: rfc822;x@london.example\r\n"
	    "Action: failed\r\nStatus: 5.4.4\r\n");
	assert_int_equal(0, count(w));
	free(name);
}

/* Mail in an object expires too, but not before its road was tried. */
static void
test_peer_expiry(void **state)
{
	struct world *w = *state;
	struct exchange_action a;
	char *name;

	accept(w, "ann@paris.example", "x@london.example");
	name = write_object(w);
	must_take(w, EXCHANGE_RUN, &a);
	exchange_action_release(&a);
	pass(w, 3 * 86400);			/* the transport still runs */
	assert_true(exchange_knows_object(w->x, "london", name));
	exchange_transport_exited(w->x, "london", 75, "no carrier");
	settle(w);
	pass(w, 61);
	assert_false(exchange_knows_object(w->x, "london", name));
	must_take(w, EXCHANGE_UNLINK, &a);
	assert_string_equal(name, a.name);
	exchange_action_release(&a);
	answer(w, VERDICT_DONE, "2.0.0");
	contains(w, "Final-Recipient: rfc822;x@london.example\r\n"
	    "Action: failed\r\nStatus: 4.4.7\r\n");
	assert_int_equal(0, count(w));
	free(name);
}

static void
test_cutting(void **state)
{
	struct world *w = *state;
	struct exchange_peer_status st;
	struct smtp_refusal r;
	char big[3000];
	int i;

	memset(big, 'x', sizeof(big));
	memcpy(big + sizeof(big) - 3, "\r\n", 3);
	conf_free(w->conf);
	w->conf = conf_of(SITE HOME LONDON " batch-age = 1h\n}\n" ROUTES);
	exchange_reload(w->x, w->conf);
	accept(w, "ann@paris.example", "x@london.example");
	accept(w, "ann@paris.example", "x@london.example");
	must_not(w, EXCHANGE_WRITE);
	accept(w, "ann@paris.example", "x@london.example");
	exchange_peer_status(w->x, 0, &st);	/* batch-count is 3 */
	assert_int_equal(1, st.objects);
	assert_int_equal(0, st.waiting_count);
	for (i = 0; i < 2; i++)
		assert_true(submit(w, "ann@paris.example", "x@london.example",
		    big, &r) != 0);
	exchange_peer_status(w->x, 0, &st);	/* batch-size is 4000 */
	assert_int_equal(2, st.objects);
	assert_int_equal(1, st.waiting_count);
	pass(w, 3700);				/* batch-age */
	exchange_peer_status(w->x, 0, &st);
	assert_int_equal(3, st.objects);
}

static void
test_urgent(void **state)
{
	struct world *w = *state;

	conf_free(w->conf);
	w->conf = conf_of(SITE HOME LONDON " batch-age = 1h\n"
	    " urgent = { fire@london.example }\n}\n" ROUTES);
	exchange_reload(w->x, w->conf);
	accept(w, "ann@paris.example", "x@london.example");
	must_not(w, EXCHANGE_WRITE);
	accept(w, "ann@paris.example", "fire@london.example");
	free(write_object(w));
	contains(w, "RCPT TO:<fire@london.example>");
	contains(w, "RCPT TO:<x@london.example>");
}

static void
test_alternate(void **state)
{
	struct world *w = *state;
	struct exchange_where where;
	struct exchange_action a;
	uint64_t id;
	int i;

	conf_free(w->conf);
	w->conf = conf_of(SITE HOME LONDON "}\npeer oslo {\n"
	    " dialect = bsmtp\n cost = 5\n transport = /bin/true\n}\n"
	    "link oslo london { cost = 5 }\n" ROUTES);
	exchange_reload(w->x, w->conf);
	accept(w, "ann@paris.example", "x@london.example");
	free(write_object(w));
	for (i = 0; i < 3; i++) {
		pass(w, 4000);
		must_take(w, EXCHANGE_RUN, &a);
		exchange_action_release(&a);
		exchange_transport_exited(w->x, "london", 75, "no carrier");
		settle(w);
	}
	id = accept(w, "ann@paris.example", "x@london.example");
	assert_true(exchange_where(w->x, id, 0, &where));
	assert_string_equal("oslo", where.target);
}

static void
test_peer_gone(void **state)
{
	struct world *w = *state;
	struct conf *old = w->conf;
	struct exchange_where where;
	struct err e = ERR_INIT;
	uint64_t id;

	w->conf = conf_of(SITE HOME LONDON " batch-age = 1h\n}\n" ROUTES);
	exchange_reload(w->x, w->conf);
	conf_free(old);
	id = accept(w, "ann@paris.example", "x@london.example");
	old = w->conf;
	w->conf = conf_of(SITE HOME);
	exchange_reload(w->x, w->conf);
	conf_free(old);
	settle(w);
	assert_true(exchange_where(w->x, id, 0, &where));
	assert_string_equal("held", where.state);
	assert_int_equal(ERR_NOT_FOUND, exchange_flush(w->x, "london", &e));
	old = w->conf;
	w->conf = conf_of(CONF);
	exchange_reload(w->x, w->conf);
	conf_free(old);
	settle(w);
	free(write_object(w));
	contains(w, "RCPT TO:<x@london.example>");
}

/*
 * Objects that arrive.
 */
static void
test_inbound(void **state)
{
	struct world *w = *state;

	assert_int_equal(INBOUND_DONE, feed_text(w, "1",
	    BATCH(ONE("x@london.example", "bob@paris.example"))));
	answer(w, VERDICT_DONE, "2.0.0");
	assert_string_equal("Subject: y\r\n\r\nhi\r\n", buf_cstr(&w->text));
	assert_int_equal(0, count(w));
}

static void
test_inbound_refused(void **state)
{
	struct world *w = *state;
	char *name;

	assert_int_equal(INBOUND_DONE, feed_text(w, "1",
	    BATCH(ONE("x@london.example", "who@elsewhere.example"))));
	name = write_object(w);
	contains(w, "RCPT TO:<x@london.example>");
	contains(w, "Final-Recipient: rfc822;who@elsewhere.example\r\n"
	    "Action: failed\r\nStatus: 5.7.1\r\n");
	free(name);
	assert_int_equal(INBOUND_DONE, feed_text(w, "2",
	    BATCH(ONE("", "nobody@paris.example"))));
	answer(w, VERDICT_DONE, "2.0.0");
	contains(w, "To: <postmaster@paris.example>\r\n");
	contains(w, "Status: 5.1.1\r\n");
}

static void
test_duplicates(void **state)
{
	static const char ours[] = OURS("pr-aa-1",
	    ONE("x@london.example", "bob@paris.example"));
	static const char other[] = BATCH(
	    ONE("x@london.example", "bob@paris.example"));
	struct world *w = *state;

	assert_int_equal(INBOUND_DONE, feed_text(w, "1", ours));
	assert_int_equal(INBOUND_DUPLICATE, feed_text(w, "2", ours));
	crash(w);
	assert_int_equal(INBOUND_DUPLICATE, feed_text(w, "3", ours));
	/* Foreign ones by the same pick-up only: two like mails are two. */
	assert_int_equal(INBOUND_DONE, feed_text(w, "4", other));
	assert_int_equal(INBOUND_DUPLICATE, feed_text(w, "4", other));
	assert_int_equal(INBOUND_DONE, feed_text(w, "5", other));
	assert_int_equal(3, count(w));
}

/* Groups of 50 messages are committed; a crash goes on behind the last. */
static void
test_resume(void **state)
{
	struct world *w = *state;
	struct buf b = BUF_INIT;
	unsigned writes, i;

	buf_adds(&b, "HELO london.example\r\nNOOP postrider-id=pr-bb-7\r\n");
	for (i = 0; i < 120; i++)
		buf_addf(&b, "MAIL FROM:<%u@london.example>\r\n"
		    "RCPT TO:<bob@paris.example>\r\nDATA\r\nn\r\n.\r\n", i);
	buf_adds(&b, "QUIT\r\n");
	for (writes = 1; writes <= 2; writes++) {
		store_mem_disk_crash_at(w->disk, writes, &w->rng.rng);
		assert_int_equal(INBOUND_LATER, feed(w, "1", b.ptr, b.len));
		stop(w);
		store_mem_disk_revive(w->disk);
		start(w);
	}
	assert_int_equal(INBOUND_DONE, feed(w, "1", b.ptr, b.len));
	assert_int_equal(120, count(w));
	assert_int_equal(INBOUND_DUPLICATE, feed(w, "1", b.ptr, b.len));
	buf_release(&b);
}

static void
test_torn(void **state)
{
	static const char whole[] = OURS("pr-cc-9",
	    ONE("1@london.example", "bob@paris.example")
	    ONE("2@london.example", "bob@paris.example")
	    ONE("3@london.example", "bob@paris.example"));
	struct world *w = *state;
	size_t one = sizeof(ONE("1@london.example", "bob@paris.example")) - 1;
	size_t len = strlen(whole) - strlen("QUIT\r\n");

	/* Two of three whole, then only one, then cut between two. */
	assert_int_equal(INBOUND_BROKEN, feed(w, "1", whole, len - 10));
	assert_int_equal(2 + 1, count(w));	/* the postmaster is told */
	assert_int_equal(INBOUND_DUPLICATE, feed(w, "1", whole, len - 10));
	assert_int_equal(INBOUND_BROKEN, feed(w, "2", whole, len - one - 10));
	assert_int_equal(INBOUND_BROKEN, feed(w, "3", whole, len - one));
	assert_int_equal(2 + 2, count(w));	/* broken-notices is 2 */
	assert_int_equal(INBOUND_DONE, feed_text(w, "4", whole));
	assert_int_equal(3 + 2, count(w));
	assert_int_equal(INBOUND_DUPLICATE, feed_text(w, "5", whole));
}

static void
test_quarantine(void **state)
{
	struct world *w = *state;
	struct broken b;
	struct err e = ERR_INIT;
	uint64_t id = 0;

	assert_int_equal(INBOUND_BROKEN, feed_text(w, "1", "Dear all,\r\n"));
	answer(w, VERDICT_DONE, "2.0.0");
	contains(w, "To: <postmaster@paris.example>\r\n");
	contains(w, "RGVhciBhbGwsDQo=");	/* the object in base64 */
	assert_int_equal(INBOUND_DUPLICATE, feed_text(w, "1",
	    "Dear all,\r\n"));
	assert_int_equal(INBOUND_BROKEN, feed_text(w, "2", "Dear all,\r\n"));
	answer(w, VERDICT_DONE, "2.0.0");
	assert_int_equal(INBOUND_BROKEN, feed_text(w, "3", "Dear all,\r\n"));
	must_not(w, EXCHANGE_DELIVER);
	pass(w, 3700);
	assert_int_equal(INBOUND_BROKEN, feed_text(w, "4", "Dear all,\r\n"));
	answer(w, VERDICT_DONE, "2.0.0");
	contains(w, "1 more broken objects");
	broken_init(&b);
	assert_int_equal(0, spool_next_broken(w->spool, &id, &b, &e));
	assert_string_equal("london", b.peer);
	broken_release(&b);
	pass(w, 31 * 86400);			/* broken-expire */
	id = 0;
	broken_init(&b);
	assert_int_equal(ERR_NOT_FOUND,
	    spool_next_broken(w->spool, &id, &b, &e));
	broken_release(&b);
}

static void
test_loops(void **state)
{
	struct world *w = *state;
	struct smtp_refusal r;

	assert_int_equal(0, submit(w, "ann@paris.example",
	    "bob@paris.example", "Received: a\r\nReceived: b\r\n"
	    "Received: c\r\nReceived: d\r\n\r\n", &r));
	assert_int_equal(554, r.code);
	assert_string_equal("5.4.6", r.status);
	assert_int_equal(INBOUND_DONE, feed_text(w, "1", OURS("pr-dd-1",
	    "NOOP postrider-hops=5\r\n"
	    ONE("x@london.example", "bob@paris.example"))));
	free(write_object(w));
	contains(w, "Status: 5.4.6\r\n");
	must_not(w, EXCHANGE_DELIVER);
}

static void
test_full(void **state)
{
	struct world *w = *state;
	struct smtp_refusal r;

	accept(w, "ann@paris.example", "bob@paris.example");
	w->room = 0;
	assert_int_equal(-1, exchange_check_room(w->x, 10, &r));
	assert_int_equal(452, r.code);
	assert_string_equal("4.3.1", r.status);
	assert_int_equal(INBOUND_LATER, feed_text(w, "1",
	    BATCH(ONE("x@london.example", "bob@paris.example"))));
	answer(w, VERDICT_FAILED, "5.2.2");	/* no room for its notice */
	assert_int_equal(1, count(w));
	assert_false(exchange_commit_pending(w->x));
	w->room = 1 << 30;
	pass(w, 700);
	answer(w, VERDICT_DONE, "2.0.0");
	assert_int_equal(0, count(w));
	assert_int_equal(INBOUND_DONE, feed_text(w, "1",
	    BATCH(ONE("x@london.example", "bob@paris.example"))));
}

static void
test_refusals(void **state)
{
	static const struct {
		const char *address;
		uint64_t size;
		int code;
		const char *status;
	} c[] = {
		{ "bob@paris.example", 0, 0, "" },
		{ "x@london.example", 5000, 0, "" },
		{ "Postmaster", 0, 0, "" },
		{ "x@london.example", 5001, 552, "5.3.4" },
		{ "who@paris.example", 0, 550, "5.1.1" },
		{ "x@elsewhere.example", 0, 550, "5.7.1" },
	};
	struct world *w = *state;
	struct smtp_refusal r;
	size_t i;

	for (i = 0; i < sizeof(c) / sizeof(c[0]); i++) {
		memset(&r, 0, sizeof(r));
		assert_int_equal(c[i].code == 0 ? 0 : -1,
		    exchange_check_recipient(w->x, c[i].address, c[i].size,
		    &r));
		if (c[i].code == 0)
			continue;
		assert_int_equal(c[i].code, r.code);
		assert_string_equal(c[i].status, r.status);
	}
}

/* An undeclared size is seen after the content: 552, or a notice where other
 * recipients can be reached. */
static void
test_too_large(void **state)
{
	struct world *w = *state;
	struct smtp_refusal r;
	char big[6000];

	memset(big, 'x', sizeof(big));
	memcpy(big + sizeof(big) - 3, "\r\n", 3);
	assert_int_equal(0, submit(w, "ann@paris.example",
	    "x@london.example", big, &r));
	assert_int_equal(552, r.code);
	assert_string_equal("5.3.4", r.status);
	assert_true(submit(w, "ann@paris.example",
	    "x@london.example bob@paris.example", big, &r) != 0);
	answer(w, VERDICT_DONE, "2.0.0");
	answer(w, VERDICT_DONE, "2.0.0");
	contains(w, "Final-Recipient: rfc822;x@london.example\r\n"
	    "Action: failed\r\nStatus: 5.3.4\r\n");
	assert_int_equal(0, count(w));
}

static void
test_quota(void **state)
{
	struct world *w = *state;
	struct smtp_refusal r;
	int i;

	for (i = 0; i < 200; i++) {
		assert_int_equal(0, exchange_check_room(w->x, 10, &r));
		accept(w, "ann@paris.example", "bob@paris.example");
	}
	assert_int_equal(-1, exchange_check_room(w->x, 10, &r));
	assert_int_equal(452, r.code);
	assert_int_equal(INBOUND_LATER, feed_text(w, "1",
	    BATCH(ONE("x@london.example", "bob@paris.example"))));
}

/*
 * Orders.
 */
static void
test_hold(void **state)
{
	struct world *w = *state;
	struct exchange_where where;
	struct err e = ERR_INIT;
	uint64_t id;

	id = accept(w, "ann@paris.example", "bob@paris.example");
	assert_int_equal(ERR_STATE, exchange_hold(w->x, id, &e));
	assert_int_equal(ERR_STATE, exchange_delete(w->x, id, &e));
	answer(w, VERDICT_RETRY, "4.2.0");
	assert_int_equal(0, exchange_hold(w->x, id, &e));
	crash(w);
	pass(w, 5 * 86400);			/* what is held never expires */
	must_not(w, EXCHANGE_DELIVER);
	assert_true(exchange_where(w->x, id, 0, &where));
	assert_string_equal("held", where.state);
	assert_int_equal(0, exchange_release(w->x, id, &e));
	settle(w);
	answer(w, VERDICT_RETRY, "4.2.0");
	assert_int_equal(0, exchange_delete(w->x, id, &e));
	assert_int_equal(0, count(w));
	assert_int_equal(ERR_NOT_FOUND, exchange_hold(w->x, id, &e));
	crash(w);
	assert_int_equal(0, count(w));
}

static void
test_retry_order(void **state)
{
	struct world *w = *state;
	struct err e = ERR_INIT;
	uint64_t id;

	id = accept(w, "ann@paris.example", "bob@paris.example");
	answer(w, VERDICT_RETRY, "4.4.1");
	assert_int_equal(0, exchange_retry(w->x, id, &e));
	settle(w);
	answer(w, VERDICT_RETRY, "4.4.1");
	assert_int_equal(0, exchange_retry(w->x, 0, &e));
	settle(w);
	answer(w, VERDICT_DONE, "2.0.0");
	assert_int_equal(0, count(w));
}

static void
test_flush(void **state)
{
	struct world *w = *state;
	struct err e = ERR_INIT;

	conf_free(w->conf);
	w->conf = conf_of(SITE HOME LONDON " batch-age = 1h\n}\n" ROUTES);
	exchange_reload(w->x, w->conf);
	accept(w, "ann@paris.example", "x@london.example");
	must_not(w, EXCHANGE_WRITE);
	assert_int_equal(0, exchange_flush(w->x, "london", &e));
	settle(w);
	free(write_object(w));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(test_local), CASE(test_retry), CASE(test_retry_restart),
		CASE(test_unreachable), CASE(test_failure),
		CASE(test_null_sender), CASE(test_expiry),
		CASE(test_two_outcomes), CASE(test_sent),
		CASE(test_sent_restarts), CASE(test_transport_back_off),
		CASE(test_object_refused), CASE(test_peer_expiry),
		CASE(test_cutting), CASE(test_urgent), CASE(test_alternate),
		CASE(test_peer_gone), CASE(test_inbound),
		CASE(test_inbound_refused), CASE(test_duplicates),
		CASE(test_resume), CASE(test_torn), CASE(test_quarantine),
		CASE(test_loops), CASE(test_full), CASE(test_refusals),
		CASE(test_too_large), CASE(test_quota), CASE(test_hold),
		CASE(test_retry_order), CASE(test_flush),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
