/* SPDX-License-Identifier: ISC */
/*
 * A small network without faults but those that a test orders.
 */
#include "tests/unit/native_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/exchange_world.h"

#define READ_MS 1000	/* a file that was taken from a stick */

struct letter {
	struct list link;
	char *name;
	struct buf bytes;
};

static const char *const names[NW_SITES] = { "paris", "london", "oslo" };

static int64_t
wall(struct clock *c)
{
	const struct nw_site *s = (struct nw_site *)c;

	return 1700000000000 + s->w->now_ms + s->wrong_ms;
}

static int64_t
mono(struct clock *c)
{
	return ((struct nw_site *)c)->w->now_ms;
}

static uint64_t
room(void *ctx)
{
	const struct nw_site *s = ctx;

	return s->full ? 0 : UINT64_C(1) << 30;
}

/*
 * Keys.
 */
static int
put_entry(void *ctx, const char *name, struct slice text, struct err *e)
{
	struct nw_site *s = ctx;

	(void)e;
	free(map_put(s->entries, slice_of(name), slice_dup(text)));
	return 0;
}

static int
del_entry(void *ctx, const char *name, struct err *e)
{
	struct nw_site *s = ctx;

	(void)e;
	free(map_del(s->entries, slice_of(name)));
	return 0;
}

static void
make_keyring(struct nw_site *s)
{
	static const struct keyring_store store = { put_entry, del_entry };
	static const struct keyring_policy policy = { 60 * 86400, 5 * 86400,
		10 * 86400 };
	struct err e = ERR_INIT;
	struct slice name;
	size_t pos = 0;
	void *text;
	char *key;

	s->keyring = keyring_new(s->name, &policy, &s->clock, &s->rng.rng,
	    &store, s);
	while (map_next(s->entries, &pos, &name, &text)) {
		key = slice_dup(name);
		if (keyring_restore(s->keyring, key, slice_of(text), &e) != 0)
			fail_msg("%s", e.text);
		free(key);
	}
	if (map_count(s->entries) == 0)
		assert_int_equal(0, keyring_make(s->keyring, &e));
	if (keyring_start(s->keyring, &e) != 0)
		fail_msg("%s", e.text);
}

static void
swap_cards(struct nw *w)
{
	struct err e = ERR_INIT;
	int a, b;

	for (a = 0; a < NW_SITES; a++) {
		struct buf card = BUF_INIT;

		(void)directory_our_card(w->site[a].x->directory, &card);
		for (b = 0; b < NW_SITES; b++) {
			if (a != b && w->site[b].x != NULL &&
			    exchange_add_card(w->site[b].x, buf_slice(&card),
			    &e) != 0)
				fail_msg("%s", e.text);
		}
		buf_release(&card);
	}
}

/*
 * Life.
 */
static void
log_line(void *ctx, enum log_level level, const char *line)
{
	const struct nw_site *s = ctx;

	if (getenv("NATIVE_LOG") != NULL)
		print_message("%8.3f %-6s %s %s\n",
		    (double)s->w->now_ms / 1000, s->name,
		    log_level_name(level), line);
}

static struct conf *
make_conf(struct nw *w, int i)
{
	struct buf b = BUF_INIT;
	struct conf *conf;
	int k;

	buf_addf(&b, "site %s {\n postmaster = postmaster@%s.example\n"
	    " hostname = mail.%s.example\n spool = /tmp\n run = /tmp\n"
	    " lifetime = 2d\n min-free = 1M\n}\n", names[i], names[i],
	    names[i]);
	buf_addf(&b, "delivery home {\n domains = { %s.example }\n"
	    " to = maildir:/tmp/home\n users = { ann, bob, postmaster }\n}\n",
	    names[i]);
	for (k = i == AT_LONDON ? AT_PARIS : AT_LONDON; k < NW_SITES; k += 2) {
		const char *more = w->more[i] != NULL ? w->more[i] : "";

		buf_addf(&b, "peer %s {\n dialect = native\n may-relay = yes\n"
		    " %s lifetime = 2d\n %s\n}\n", names[k],
		    strstr(more, "transport ") == NULL ?
		    "transport = /bin/true\n" : "", more);
		if (i != AT_LONDON)
			break;
	}
	if (i != AT_LONDON)
		buf_addf(&b, "link london %s { cost = 1 }\n",
		    names[i == AT_PARIS ? AT_OSLO : AT_PARIS]);
	buf_adds(&b, "routes {\n");
	for (k = 0; k < NW_SITES; k++) {
		if (k != i)
			buf_addf(&b, " %s.example = %s\n", names[k],
			    names[k]);
	}
	buf_adds(&b, "}\n");
	conf = xw_conf_of(buf_cstr(&b));
	buf_release(&b);
	return conf;
}

void
nw_start(struct nw_site *s)
{
	struct spool_options so = { .clock = &s->clock,
	    .rng = &s->rng.rng, .min_free_bytes = 1 << 20,
	    .free_bytes = room, .free_ctx = s, .dir = "/tmp" };
	struct exchange_options xo = { .clock = &s->clock,
	    .rng = &s->rng.rng, .conf = s->conf };
	struct store *store;
	struct err e = ERR_INIT;

	xo.log = s->log;
	make_keyring(s);
	assert_int_equal(0, store_open_mem(s->disk, &store, &e));
	assert_int_equal(0, spool_open(store, &so, &s->spool, &e));
	xo.spool = s->spool;
	xo.keyring = s->keyring;
	xo.serials = s->serials;
	s->x = exchange_new(&xo);
	if (exchange_start(s->x, &e) != 0)
		fail_msg("%s", e.text);
}

void
nw_stop(struct nw_site *s)
{
	exchange_free(s->x);
	s->x = NULL;
	spool_close(s->spool);
	keyring_free(s->keyring);
}

static void
drop_letters(struct list *out)
{
	struct list *item, *after;

	list_for_each_safe(item, after, out) {
		struct letter *l = list_entry(item, struct letter, link);

		list_del(item);
		buf_release(&l->bytes);
		free(l->name);
		free(l);
	}
}

void
nw_crash(struct nw *w, int i)
{
	struct nw_site *s = &w->site[i];
	struct err e = ERR_INIT;

	store_mem_disk_crash_at(s->disk, 1, &s->rng.rng);
	(void)!store_flush(spool_store(s->spool), &e);
	nw_stop(s);
	store_mem_disk_revive(s->disk);
	nw_start(s);
	swap_cards(w);
}

struct nw *
nw_new_wrong(const char *paris, const char *london, const char *oslo,
    const int64_t *wrong_secs)
{
	struct nw *w = mem_alloc(1, sizeof(*w));
	int i, k;

	w->more[AT_PARIS] = paris;
	w->more[AT_LONDON] = london;
	w->more[AT_OSLO] = oslo;
	for (i = 0; i < NW_SITES; i++) {
		struct nw_site *s = &w->site[i];
		struct err e = ERR_INIT;

		s->clock = (struct clock){ wall, mono };
		s->w = w;
		s->wrong_ms = wrong_secs == NULL ? 0 : wrong_secs[i] * 1000;
		s->name = names[i];
		s->conf = make_conf(w, i);
		s->disk = store_mem_disk_new();
		s->entries = map_new();
		s->log = log_new_sink(log_line, s);
		assert_int_equal(0, serials_open(NULL, &s->serials, &e));
		rng_seeded_init(&s->rng, (uint64_t)i + 1);
		for (k = 0; k < NW_SITES; k++) {
			s->road[k].from = s;
			s->road[k].to = &w->site[k];
			list_init(&s->road[k].out);
			list_init(&s->road[k].medium);
			list_init(&s->road[k].in);
		}
		nw_start(s);
	}
	swap_cards(w);
	return w;
}

struct nw *
nw_new(const char *paris, const char *london, const char *oslo)
{
	return nw_new_wrong(paris, london, oslo, NULL);
}

void
nw_free(struct nw *w)
{
	size_t pos;
	void *text;
	int i, k;

	for (i = 0; i < NW_SITES; i++) {
		struct nw_site *s = &w->site[i];

		nw_stop(s);
		for (k = 0; k < NW_SITES; k++) {
			drop_letters(&s->road[k].out);
			drop_letters(&s->road[k].medium);
			drop_letters(&s->road[k].in);
			buf_release(&s->road[k].seen);
		}
		for (pos = 0; map_next(s->entries, &pos, NULL, &text);)
			free(text);
		map_free(s->entries);
		log_free(s->log);
		serials_close(s->serials);
		store_mem_disk_free(s->disk);
		conf_free(s->conf);
		buf_release(&s->mails);
	}
	free(w);
}

int
nw_set_up(void **state)
{
	*state = nw_new(NULL, NULL, NULL);
	return 0;
}

int
nw_tear_down(void **state)
{
	nw_free(*state);
	return 0;
}

/*
 * Roads.
 */
static struct nw_road *
road_to(struct nw_site *s, const char *peer)
{
	int k;

	for (k = 0; k < NW_SITES; k++) {
		if (strcmp(names[k], peer) == 0)
			return &s->road[k];
	}
	fail_msg("%s has no road to %s", s->name, peer);
	return NULL;
}

static bool
still_there(const struct nw_road *r, const char *name)
{
	struct list *item;

	list_for_each(item, &r->out) {
		if (strcmp(list_entry(item, struct letter, link)->name,
		    name) == 0)
			return true;
	}
	return false;
}

static void
write_file(struct nw_site *s, const struct exchange_action *a)
{
	struct nw_road *r = road_to(s, a->peer);
	unsigned char digest[SHA256_LEN];
	struct err e = ERR_INIT;
	struct outbound *ob;
	struct letter *l;
	struct sha256 h;
	int rc;

	if (a->octets != 0 && still_there(r, a->name)) {
		assert_int_equal(0, exchange_object_written(s->x, a->object,
		    a->octets, a->digest, &e));
		return;
	}
	rc = exchange_outbound_new(s->x, a->object, &ob, &e);
	if (rc == ERR_NOT_FOUND)
		return;		/* it was taken back */
	assert_int_equal(0, rc);
	l = mem_alloc(1, sizeof(*l));
	while ((rc = exchange_outbound_read(ob, &l->bytes, &e)) == 1)
		;
	if (rc != 0)
		fail_msg("%s", e.text);
	exchange_outbound_free(ob);
	sha256_init(&h);
	sha256_add(&h, l->bytes.ptr, l->bytes.len);
	sha256_end(&h, digest);
	l->name = mem_strdup(a->name);
	list_add_tail(&r->out, &l->link);
	assert_int_equal(0, exchange_object_written(s->x, a->object,
	    l->bytes.len, digest, &e));
}

static void
receive(struct nw_site *s, const char *from, struct slice bytes)
{
	struct inbound *in;
	struct err e = ERR_INIT;
	enum inbound_outcome outcome;

	if (s->down)
		return;
	in = exchange_inbound_new(s->x, from, "file", slice_of("pick"));
	do {
		if (exchange_inbound_add(in, bytes.ptr, bytes.len, &e) != 0)
			print_message("%s\n", e.text);
		outcome = exchange_inbound_end(in);
	} while (outcome == INBOUND_AGAIN);
	if (outcome != INBOUND_DONE && outcome != INBOUND_DUPLICATE)
		print_message("%s: outcome %d: %s\n", s->name, (int)outcome,
		    exchange_inbound_reason(in));
	exchange_inbound_free(in);
}

/* What leaves lies on a stick until the other side's transport looks. */
static void
put_on_stick(struct nw_road *r, const struct letter *l)
{
	struct letter *copy = mem_alloc(1, sizeof(*copy));

	copy->name = mem_strdup(l->name);
	buf_addslice(&copy->bytes, buf_slice(&l->bytes));
	list_add_tail(&r->medium, &copy->link);
}

/* They are read later, one a second. */
static void
take_from_stick(struct nw_road *r)
{
	struct list *item, *after;

	list_for_each_safe(item, after, &r->medium) {
		list_del(item);
		list_add_tail(&r->in, item);
	}
	r->read_ms = r->to->w->now_ms + READ_MS;
	if (!list_empty(&r->in))
		exchange_taking_in(r->to->x, r->from->name, true);
}

static void
read_one(struct nw_road *r)
{
	struct list one, *item = r->in.next;

	if (list_empty(&r->in) || r->read_ms > r->to->w->now_ms)
		return;
	list_init(&one);
	list_del(item);
	list_add_tail(&one, item);
	receive(r->to, r->from->name, buf_slice(&list_entry(item,
	    struct letter, link)->bytes));
	drop_letters(&one);
	r->read_ms = r->to->w->now_ms + READ_MS;
	if (list_empty(&r->in))
		exchange_taking_in(r->to->x, r->from->name, false);
}

/* When the next is to be read at s. */
static int64_t
read_deadline(const struct nw_site *s)
{
	int64_t at = INT64_MAX;
	int i;

	for (i = 0; i < NW_SITES; i++) {
		const struct nw_road *r =
		    &s->w->site[i].road[s - s->w->site];

		if (!list_empty(&r->in) && r->read_ms < at)
			at = r->read_ms;
	}
	return at;
}

static void
carry(struct nw_road *r)
{
	struct list *item, *after;
	struct err e = ERR_INIT;

	list_for_each_safe(item, after, &r->out) {
		struct letter *l = list_entry(item, struct letter, link);

		if (r->from->w->watch)
			buf_addslice(&r->seen, buf_slice(&l->bytes));
		r->sent++;
		r->octets += l->bytes.len;
		if (r->lose > 0)
			r->lose--;
		else if (r->from->w->stick)
			put_on_stick(r, l);
		else
			receive(r->to, r->from->name, buf_slice(&l->bytes));
		if (r->twice > 0) {
			r->twice--;
			receive(r->to, r->from->name, buf_slice(&l->bytes));
		}
		assert_int_equal(0, exchange_transport_sent(r->from->x,
		    r->to->name, l->name, &e));
	}
}

static void
remove_file(struct nw_site *s, const struct exchange_action *a)
{
	struct nw_road *r = road_to(s, a->peer);
	struct list *item, *after, gone;

	list_init(&gone);
	list_for_each_safe(item, after, &r->out) {
		if (strcmp(list_entry(item, struct letter, link)->name,
		    a->name) != 0)
			continue;
		list_del(item);
		list_add_tail(&gone, item);
	}
	drop_letters(&gone);
}

static void
run(struct nw_site *s, const struct exchange_action *a)
{
	struct nw_road *r = road_to(s, a->peer);

	if (!r->cut)
		carry(r);
	if (s->w->stick)
		take_from_stick(&r->to->road[s - s->w->site]);
	r->running = s->w->stays && !r->cut;
	if (r->running)
		return;
	exchange_transport_exited(s->x, a->road, r->cut ? 75 : 0,
	    r->cut ? "no carrier" : "");
}

static void
deliver(struct nw_site *s, const struct exchange_action *a)
{
	struct spool_body *body;
	struct message m;
	struct err e = ERR_INIT;
	size_t i;

	assert_int_equal(0, spool_get_message(s->spool, a->message, &m, &e));
	for (i = 0; i < a->nrcpt; i++) {
		buf_addf(&s->mails, "to %s\n", m.env.rcpt[a->rcpt[i]].address);
		s->delivered++;
		exchange_delivery_result(s->x, a->job, a->rcpt[i],
		    VERDICT_DONE, "2.0.0", "");
	}
	assert_int_equal(0, spool_body_open(s->spool, a->message, &body, &e));
	while (spool_body_read(body, &s->mails, &e) == 1)
		;
	spool_body_close(body);
	message_release(&m);
	exchange_delivery_over(s->x, a->job);
}

static void
act(struct nw_site *s, const struct exchange_action *a)
{
	switch (a->kind) {
	case EXCHANGE_WRITE:
		write_file(s, a);
		break;
	case EXCHANGE_UNLINK:
		remove_file(s, a);
		break;
	case EXCHANGE_RUN:
		run(s, a);
		break;
	case EXCHANGE_STOP:
		if (road_to(s, a->peer)->running)
			exchange_transport_exited(s->x, a->peer, 0, "");
		road_to(s, a->peer)->running = false;
		break;
	case EXCHANGE_DELIVER:
		deliver(s, a);
		break;
	}
}

static bool
settle(struct nw_site *s)
{
	struct exchange_completion c;
	struct exchange_action a;
	struct err e = ERR_INIT;
	bool busy = false;

	if (exchange_commit(s->x, &e) != 0)
		fail_msg("%s", e.text);
	while (exchange_next_completion(s->x, &c) == 1)
		assert_true(c.durable);
	while (exchange_next_action(s->x, &a) == 1) {
		act(s, &a);
		exchange_action_release(&a);
		busy = true;
	}
	return busy;
}

/* What is due now at one site. */
static void
turn(struct nw_site *s)
{
	struct err e = ERR_INIT;
	int i;

	for (i = 0; i < NW_SITES; i++)
		read_one(&s->w->site[i].road[s - s->w->site]);
	while (settle(s))
		;
	if (exchange_tick(s->x, &e) != 0)
		fail_msg("%s", e.text);
	while (settle(s))
		;
}

/* Everybody once; when somebody is due next. */
static int64_t
step(struct nw *w)
{
	int64_t at, first = INT64_MAX;
	int i;

	for (i = 0; i < NW_SITES; i++) {
		if (!w->site[i].down)
			turn(&w->site[i]);
	}
	for (i = 0; i < NW_SITES; i++) {
		at = w->site[i].down ? INT64_MAX :
		    exchange_deadline_ms(w->site[i].x);
		first = at < first ? at : first;
		at = read_deadline(&w->site[i]);
		first = at < first ? at : first;
	}
	return first;
}

void
nw_pass(struct nw *w, uint64_t secs)
{
	int64_t until = w->now_ms + (int64_t)secs * 1000, at;
	unsigned same = 0;

	while (w->now_ms < until) {
		at = step(w);
		if (at <= w->now_ms && same++ > 100000)
			fail_msg("it spins");
		if (at <= w->now_ms)
			continue;
		same = 0;
		w->now_ms = at > until ? until : at;
	}
	(void)step(w);
}

uint64_t
nw_submit(struct nw *w, int i, const char *from, const char *to,
    const char *content)
{
	struct nw_site *s = &w->site[i];
	struct spool_draft *d = spool_draft_new(s->spool);
	char *list = mem_strdup(to), *next = list, *address;
	struct exchange_completion c;
	struct smtp_refusal r;
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
	if (exchange_accept(s->x, d, &m, w, &r) == 0) {
		assert_int_equal(0, exchange_commit(s->x, &e));
		assert_int_equal(1, exchange_next_completion(s->x, &c));
		id = c.durable ? c.id : 0;
	} else {
		spool_draft_free(d);
	}
	message_release(&m);
	free(list);
	return id;
}

uint64_t
nw_messages(struct nw *w, int i)
{
	struct exchange_counters c;

	exchange_counters(w->site[i].x, &c);
	return c.messages;
}

void
nw_assert_mail(struct nw *w, int site, const char *what, bool there)
{
	const char *text = buf_cstr(&w->site[site].mails);

	if ((strstr(text, what) != NULL) != there)
		fail_msg("\"%s\" is %sin \"%s\"", what, there ? "not " : "",
		    text);
}

void
nw_assert_settled(struct nw *w)
{
	int i;

	for (i = 0; i < NW_SITES; i++)
		assert_int_equal(0, nw_messages(w, i));
}
