/* SPDX-License-Identifier: ISC */
/*
 * Custody from end to end, between exchanges that hand each other parcels.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/native_world.h"

#define MAIL "Subject: hello\r\n\r\nThe quick brown fox.\r\n"

/* A short mail to the neighbour and one over the relay. */
static void
test_delivers(void **state)
{
	struct nw *w = *state;

	assert_true(nw_submit(w, AT_PARIS, "ann@paris.example",
	    "bob@london.example", MAIL) != 0);
	assert_true(nw_submit(w, AT_PARIS, "ann@paris.example",
	    "bob@oslo.example", MAIL) != 0);
	nw_pass(w, 60);
	assert_int_equal(1, w->site[AT_LONDON].delivered);
	assert_int_equal(1, w->site[AT_OSLO].delivered);
	nw_assert_mail(w, AT_LONDON, "to bob@london.example\n" MAIL, true);
	nw_assert_mail(w, AT_OSLO, "to bob@oslo.example\n" MAIL, true);
	nw_assert_settled(w);
}

/* One bad recipient of two: the sender's site writes the notice. */
static void
test_refused_recipient(void **state)
{
	struct nw *w = *state;

	assert_true(nw_submit(w, AT_PARIS, "ann@paris.example",
	    "nobody@oslo.example bob@oslo.example", MAIL) != 0);
	nw_pass(w, 60);
	assert_int_equal(1, w->site[AT_OSLO].delivered);
	assert_int_equal(1, w->site[AT_PARIS].delivered);
	nw_assert_mail(w, AT_PARIS, "to ann@paris.example\n", true);
	nw_assert_mail(w, AT_PARIS, "nobody@oslo.example", true);
	nw_assert_mail(w, AT_PARIS, "5.1.1", true);
	nw_assert_mail(w, AT_PARIS, "bob@oslo.example", false);
	nw_assert_settled(w);
}

/* BY asks to be told of delays, and with T of each relay (RFC 2852 4.1.4): of
 * the bundle's taking by its origin alone. */
static void
test_traced(void **state)
{
	struct nw *w = *state;
	int traced;

	w->timing = (struct smtp_timing){ .by = SMTP_BY_NOTIFY,
	    .by_secs = 3600 };
	for (traced = 0; traced < 2; traced++) {
		w->timing.by_trace = traced;
		assert_true(nw_submit(w, AT_PARIS, "ann@paris.example",
		    "bob@oslo.example", MAIL) != 0);
		nw_pass(w, 60);
		assert_int_equal(1 + traced, w->site[AT_OSLO].delivered);
		assert_int_equal(traced, w->site[AT_PARIS].delivered);
		nw_assert_mail(w, AT_PARIS, "Action: relayed\r\n", traced);
	}
	nw_assert_settled(w);
}

/* Files that are lost are sent again, files that come twice change nothing. */
static void
test_loss_and_repetition(void **state)
{
	struct nw *w = *state;

	w->site[AT_PARIS].road[AT_LONDON].lose = 1;
	w->site[AT_LONDON].road[AT_OSLO].lose = 1;
	w->site[AT_OSLO].road[AT_LONDON].lose = 1;
	w->site[AT_LONDON].road[AT_PARIS].twice = 3;
	assert_true(nw_submit(w, AT_PARIS, "ann@paris.example",
	    "bob@oslo.example", MAIL) != 0);
	nw_pass(w, 6 * 3600);
	assert_int_equal(1, w->site[AT_OSLO].delivered);
	nw_assert_settled(w);
}

/* The power fails everywhere, again and again. */
static void
test_crashes(void **state)
{
	struct nw *w = *state;
	int i;

	assert_true(nw_submit(w, AT_PARIS, "ann@paris.example",
	    "bob@oslo.example ann@london.example", MAIL) != 0);
	for (i = 0; i < 30; i++) {
		nw_pass(w, 1);
		nw_crash(w, i % NW_SITES);
	}
	nw_pass(w, 86400);
	assert_int_equal(1, w->site[AT_OSLO].delivered);
	assert_int_equal(1, w->site[AT_LONDON].delivered);
	nw_assert_settled(w);
}

/* No road for longer than a message lives: not confirmed only where it may
 * have gone. */
static void
test_expires(void **state)
{
	struct nw *w = *state;

	w->site[AT_PARIS].road[AT_LONDON].cut = true;
	assert_true(nw_submit(w, AT_PARIS, "ann@paris.example",
	    "bob@oslo.example", MAIL) != 0);
	nw_pass(w, 4 * 86400);
	assert_int_equal(0, w->site[AT_OSLO].delivered);
	assert_int_equal(1, w->site[AT_PARIS].delivered);
	nw_assert_mail(w, AT_PARIS, "4.4.7", true);
	nw_assert_settled(w);
}

/* The relay gets it and the answers never come back. */
static void
test_not_confirmed(void **state)
{
	struct nw *w = *state;

	w->site[AT_LONDON].road[AT_PARIS].cut = true;
	assert_true(nw_submit(w, AT_PARIS, "ann@paris.example",
	    "bob@oslo.example", MAIL) != 0);
	nw_pass(w, 4 * 86400);
	assert_int_equal(1, w->site[AT_OSLO].delivered);
	assert_int_equal(1, w->site[AT_PARIS].delivered);
	nw_assert_mail(w, AT_PARIS, "not confirmed", true);
	assert_int_equal(0, nw_messages(w, AT_PARIS));
}

/* Paris is put back as it was; what it sends again is not delivered twice. */
static void
test_restored(void **state)
{
	struct nw *w = *state;
	struct nw_site *s = &w->site[AT_PARIS];
	struct custody_counters c;
	uint64_t epoch = spool_epoch(s->spool);

	assert_true(nw_submit(w, AT_PARIS, "ann@paris.example",
	    "bob@oslo.example", MAIL) != 0);
	nw_pass(w, 60);
	assert_int_equal(1, w->site[AT_OSLO].delivered);
	/* The file is lost: whatever the spool says is not believed. */
	serials_clear(s->serials);
	nw_crash(w, AT_PARIS);
	assert_true(spool_epoch(s->spool) != epoch);
	custody_counters(s->x, &c);
	assert_int_equal(1, c.epochs);
	assert_true(nw_submit(w, AT_PARIS, "ann@paris.example",
	    "ann@oslo.example", MAIL) != 0);
	nw_pass(w, 60);
	assert_int_equal(2, w->site[AT_OSLO].delivered);
	nw_assert_settled(w);
}

/* A new epoch in the middle of things: the message goes again under it, and
 * is known by its number. */
static void
test_new_epoch_midway(void **state)
{
	struct nw *w = *state;
	struct nw_site *s = &w->site[AT_PARIS];

	w->site[AT_LONDON].road[AT_PARIS].cut = true;
	assert_true(nw_submit(w, AT_PARIS, "ann@paris.example",
	    "bob@oslo.example", MAIL) != 0);
	nw_pass(w, 60);
	assert_int_equal(1, w->site[AT_OSLO].delivered);
	assert_int_equal(1, nw_messages(w, AT_PARIS));
	serials_clear(s->serials);
	nw_crash(w, AT_PARIS);
	w->site[AT_LONDON].road[AT_PARIS].cut = false;
	nw_pass(w, 4 * 3600);
	assert_int_equal(1, w->site[AT_OSLO].delivered);
	assert_int_equal(0, w->site[AT_PARIS].delivered);
	nw_assert_settled(w);
}

static bool
holds(const struct buf *b, const char *word)
{
	return b->len > 0 && memmem(b->ptr, b->len, word, strlen(word)) != NULL;
}

/* Nothing that a road carries says who, where or what. */
static void
test_nothing_in_clear(void **state)
{
	static const char *const words[] = { "paris", "london", "oslo",
		"example", "ann", "bob@", "Subject", "brown", "MAIL", "RCPT",
		"postrider" };
	struct nw *w = *state;
	size_t k;
	int i, j;

	w->watch = true;
	for (i = 0; i < 20; i++)
		assert_true(nw_submit(w, AT_PARIS, "ann@paris.example",
		    "bob@oslo.example", MAIL) != 0);
	nw_pass(w, 60);
	assert_int_equal(20, w->site[AT_OSLO].delivered);
	for (i = 0; i < NW_SITES; i++)
		for (j = 0; j < NW_SITES; j++)
			for (k = 0; k < sizeof(words) / sizeof(*words); k++)
				assert_false(strlen(words[k]) > 3 &&
				    holds(&w->site[i].road[j].seen,
				    words[k]));
	assert_true(w->site[AT_PARIS].road[AT_LONDON].octets > 0);
}

static void
test_peer_test(void **state)
{
	struct nw *w = *state;
	struct custody_status st;
	struct err e = ERR_INIT;
	uint64_t serial;

	assert_int_equal(0, custody_test(w->site[AT_PARIS].x, "oslo", &serial,
	    &e));
	assert_true(custody_test_status(w->site[AT_PARIS].x, "oslo", serial,
	    &st));
	assert_int_equal(CUSTODY_SEALING, st.stage);
	nw_pass(w, 30);
	assert_true(custody_test_status(w->site[AT_PARIS].x, "oslo", serial,
	    &st));
	assert_int_equal(CUSTODY_ANSWERED, st.stage);
	assert_int_equal(ERR_NOT_FOUND, custody_test(w->site[AT_PARIS].x,
	    "bergen", &serial, &e));
	assert_non_null(strstr(e.text, "card of bergen"));
}

/* Months of silence: every key that was known is gone. */
static void
test_key_request(void **state)
{
	struct nw *w = *state;
	int i;

	for (i = 0; i < NW_SITES; i++)
		w->site[i].road[0].cut = w->site[i].road[1].cut =
		    w->site[i].road[2].cut = true;
	nw_pass(w, 200 * 86400);
	for (i = 0; i < NW_SITES; i++)
		w->site[i].road[0].cut = w->site[i].road[1].cut =
		    w->site[i].road[2].cut = false;
	assert_true(nw_submit(w, AT_PARIS, "ann@paris.example",
	    "bob@oslo.example", MAIL) != 0);
	nw_pass(w, 86400);
	assert_int_equal(1, w->site[AT_OSLO].delivered);
	nw_assert_settled(w);
}

/* An onion over the relay: what leaves paris names london, and what london
 * passes on is a bundle of its own. */
static void
test_onion(void **state)
{
	struct nw *w = nw_new("}\nvia oslo {\n relays = { london }", NULL,
	    NULL);
	struct custody_counters c;

	(void)state;
	assert_true(nw_submit(w, AT_PARIS, "ann@paris.example",
	    "bob@oslo.example", MAIL) != 0);
	nw_pass(w, 60);
	assert_int_equal(1, w->site[AT_OSLO].delivered);
	custody_counters(w->site[AT_LONDON].x, &c);
	assert_int_equal(1, c.opened);
	assert_int_equal(0, w->site[AT_LONDON].delivered);
	nw_assert_settled(w);
	nw_free(w);
}

/* Not for one who may not have things passed on. */
static void
test_onion_refused(void **state)
{
	struct nw *w = nw_new("}\nvia oslo {\n relays = { london }",
	    NULL, NULL);
	struct custody_counters c;
	size_t i;

	(void)state;
	for (i = 0; i < w->site[AT_LONDON].conf->npeers; i++)
		w->site[AT_LONDON].conf->peer[i].may_relay = false;
	assert_true(nw_submit(w, AT_PARIS, "ann@paris.example",
	    "bob@oslo.example", MAIL) != 0);
	nw_pass(w, 60);
	assert_int_equal(0, w->site[AT_OSLO].delivered);
	custody_counters(w->site[AT_LONDON].x, &c);
	assert_int_equal(1, c.refused);
	nw_pass(w, 4 * 86400);
	nw_assert_mail(w, AT_PARIS, "not confirmed", true);
	nw_free(w);
}

/* The first relay acknowledges the bundle and cannot pass it on; by the time
 * that it is repeated it can. */
static void
test_onion_again(void **state)
{
	struct nw *w = nw_new("}\nvia oslo {\n relays = { london }",
	    NULL, NULL);
	struct conf *london = w->site[AT_LONDON].conf;
	struct custody_counters c;
	struct custody_where where;
	uint64_t id;
	size_t i;

	(void)state;
	for (i = 0; i < london->npeers; i++)
		london->peer[i].may_relay = false;
	id = nw_submit(w, AT_PARIS, "ann@paris.example", "bob@oslo.example",
	    MAIL);
	nw_pass(w, 60);
	assert_true(custody_where(w->site[AT_PARIS].x, id, 0, &where));
	assert_int_equal(CUSTODY_UNDERWAY, where.stage);
	assert_string_equal("london", where.peer);
	for (i = 0; i < london->npeers; i++)
		london->peer[i].may_relay = true;
	nw_pass(w, 6 * 3600);
	assert_int_equal(1, w->site[AT_OSLO].delivered);
	custody_counters(w->site[AT_PARIS].x, &c);
	assert_int_equal(1, c.repeats);
	nw_assert_settled(w);
	nw_free(w);
}

/* What was handed over goes again when somebody asks for it; what waits for
 * the road does not. */
static void
retry(bool onion)
{
	struct nw *w = nw_new(onion ?
	    "}\nvia oslo {\n relays = { london }" : NULL, NULL, NULL);
	struct conf *london = w->site[AT_LONDON].conf;
	struct custody_counters c;
	struct err e = ERR_INIT;
	uint64_t id;
	size_t i;

	for (i = 0; i < london->npeers; i++)
		london->peer[i].may_relay = false;
	id = nw_submit(w, AT_PARIS, "ann@paris.example", "bob@oslo.example",
	    MAIL);
	nw_pass(w, 20);
	for (i = 0; i < london->npeers; i++)
		london->peer[i].may_relay = true;
	nw_pass(w, 20);
	assert_int_equal(0, w->site[AT_OSLO].delivered);
	assert_int_equal(0, exchange_retry(w->site[AT_PARIS].x, id, &e));
	nw_pass(w, 20);
	assert_int_equal(1, w->site[AT_OSLO].delivered);
	custody_counters(w->site[AT_PARIS].x, &c);
	assert_int_equal(1, c.repeats);
	nw_assert_settled(w);
	nw_free(w);
}

static void
test_retry(void **state)
{
	(void)state;
	retry(false);
	retry(true);
}

static void
test_retry_waiting(void **state)
{
	struct nw *w = nw_new(NULL, NULL, NULL);
	struct custody_counters c;
	struct err e = ERR_INIT;
	uint64_t id;

	(void)state;
	w->site[AT_PARIS].road[AT_LONDON].cut = true;
	id = nw_submit(w, AT_PARIS, "ann@paris.example", "bob@oslo.example",
	    MAIL);
	nw_pass(w, 60);
	assert_int_equal(0, exchange_retry(w->site[AT_PARIS].x, id, &e));
	nw_pass(w, 5);
	custody_counters(w->site[AT_PARIS].x, &c);
	assert_int_equal(0, c.repeats);
	w->site[AT_PARIS].road[AT_LONDON].cut = false;
	nw_pass(w, 7200);
	assert_int_equal(1, w->site[AT_OSLO].delivered);
	nw_free(w);
}

static char *
long_mail(size_t octets)
{
	struct rng_seeded rng;
	struct buf b = BUF_INIT;

	rng_seeded_init(&rng, 7);
	buf_adds(&b, "Subject: long\r\n\r\n");
	while (b.len < octets)
		buf_addf(&b, "%016llx%016llx\r\n",
		    (unsigned long long)rng_u64(&rng.rng),
		    (unsigned long long)rng_u64(&rng.rng));
	return buf_steal(&b);
}

/* A long mail in small parcels, some of them lost, in each way to compress. */
static void
test_splitting(void **state)
{
	static const char *const how[] = {
		"parcel-size = 2K", "parcel-size = 4K\n compress = each",
		"shape = 3000\n compress = none", "shape = padme",
	};
	char *mail = long_mail(90000);
	struct nw *w;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(how) / sizeof(how[0]); i++) {
		w = nw_new(how[i], how[i], how[i]);
		assert_true(nw_submit(w, AT_PARIS, "ann@paris.example",
		    "bob@oslo.example", mail) != 0);
		w->site[AT_PARIS].road[AT_LONDON].lose = 3;
		nw_pass(w, 3600);
		assert_int_equal(1, w->site[AT_OSLO].delivered);
		nw_assert_mail(w, AT_OSLO, mail, true);
		nw_assert_settled(w);
		nw_free(w);
	}
	free(mail);
}

/* Many mails all ways at once, with files lost and repeated. */
static void
test_many(void **state)
{
	static const char *const to[] = { "bob@paris.example",
		"bob@london.example", "bob@oslo.example" };
	struct nw *w = *state;
	unsigned expected[NW_SITES] = { 0 };
	int i, k;

	for (i = 0; i < 300; i++) {
		k = (i % 3 + 1 + i % 2) % 3;
		assert_true(nw_submit(w, i % 3, i % 3 == 0 ?
		    "ann@paris.example" : i % 3 == 1 ? "ann@london.example" :
		    "ann@oslo.example", to[k], MAIL) != 0);
		expected[k]++;
		if (i % 7 == 0)
			w->site[i % 3].road[k].lose++;
		if (i % 5 == 0)
			w->site[i % 3].road[k].twice++;
		if (i % 20 == 0)
			nw_pass(w, 1);
	}
	nw_pass(w, 86400);
	for (i = 0; i < NW_SITES; i++)
		assert_int_equal(expected[i], w->site[i].delivered);
	nw_assert_settled(w);
}

/* What came too late for its sender is not delivered after he was told. */
static void
test_late(void **state)
{
	struct nw *w = *state;

	w->site[AT_LONDON].road[AT_OSLO].cut = true;
	assert_true(nw_submit(w, AT_PARIS, "ann@paris.example",
	    "bob@oslo.example", MAIL) != 0);
	nw_pass(w, 4 * 86400);
	nw_assert_mail(w, AT_PARIS, "not confirmed", true);
	w->site[AT_LONDON].road[AT_OSLO].cut = false;
	nw_pass(w, 86400);
	assert_int_equal(0, w->site[AT_OSLO].delivered);
	nw_assert_settled(w);
}

/* Oslo has another batch under this serial: paris opens a new epoch, and the
 * message is delivered under that. */
static void
test_conflict(void **state)
{
	struct nw *w = *state;
	struct nw_site *oslo = &w->site[AT_OSLO];
	struct custody_counters c;
	struct serial_in in;
	struct spool_unit *u;
	struct err e = ERR_INIT;

	serial_in_init(&in);
	in.origin = mem_strdup("paris");
	in.epoch = spool_epoch(w->site[AT_PARIS].spool);
	in.serial = 1;
	in.done = true;
	memset(in.digest, 7, sizeof(in.digest));
	assert_int_equal(0, spool_begin(oslo->spool, &u, &e));
	assert_int_equal(0, spool_put_serial_in(u, &in, &e));
	assert_int_equal(0, spool_commit(u, true, &e));
	serial_in_release(&in);
	assert_true(nw_submit(w, AT_PARIS, "ann@paris.example",
	    "bob@oslo.example", MAIL) != 0);
	nw_pass(w, 600);
	custody_counters(w->site[AT_PARIS].x, &c);
	assert_int_equal(1, c.conflicts);
	assert_int_equal(1, oslo->delivered);
	nw_assert_settled(w);
}

/* Over a radio: in clear, signed; nothing sealed goes over it, unless that is
 * allowed. */
static void
test_signed(void **state)
{
	static const char radio[] = "seal = sign";
	static const char both[] = "seal = sign\n forward-signed = yes";
	struct nw *w = nw_new(radio, radio, radio);

	(void)state;
	w->watch = true;
	assert_true(nw_submit(w, AT_PARIS, "ann@paris.example",
	    "bob@london.example", MAIL) != 0);
	assert_true(nw_submit(w, AT_PARIS, "ann@paris.example",
	    "bob@oslo.example", MAIL) != 0);
	nw_pass(w, 3600);
	assert_int_equal(1, w->site[AT_LONDON].delivered);
	assert_int_equal(0, w->site[AT_OSLO].delivered);
	assert_true(holds(&w->site[AT_PARIS].road[AT_LONDON].seen, "paris"));
	nw_free(w);
	w = nw_new(both, both, both);
	assert_true(nw_submit(w, AT_PARIS, "ann@paris.example",
	    "bob@oslo.example", MAIL) != 0);
	nw_pass(w, 3600);
	assert_int_equal(1, w->site[AT_OSLO].delivered);
	nw_assert_settled(w);
	nw_free(w);
}

static void
share(struct nw *w, int site, const char *peer, unsigned char octet)
{
	struct conf *conf = w->site[site].conf;
	size_t i;

	for (i = 0; i < conf->npeers; i++) {
		if (strcmp(conf->peer[i].name, peer) != 0)
			continue;
		conf->peer[i].has_psk = true;
		memset(conf->peer[i].psk, octet, sizeof(conf->peer[i].psk));
	}
}

/* A pre-shared key has to be the same at both ends, and is never left out. */
static void
test_shared_key(void **state)
{
	struct nw *w = *state;

	share(w, AT_PARIS, "london", 1);
	assert_true(nw_submit(w, AT_PARIS, "ann@paris.example",
	    "bob@london.example", MAIL) != 0);
	nw_pass(w, 3600);
	assert_int_equal(0, w->site[AT_LONDON].delivered);
	share(w, AT_LONDON, "paris", 2);
	nw_pass(w, 3600);
	assert_int_equal(0, w->site[AT_LONDON].delivered);
	share(w, AT_LONDON, "paris", 1);
	nw_pass(w, 86400);
	assert_int_equal(1, w->site[AT_LONDON].delivered);
	nw_assert_settled(w);
}

/* Mail for a site that nobody gave a card of waits, and says so. */
static void
test_no_card(void **state)
{
	struct nw *w = *state;
	struct err e = ERR_INIT;
	struct seal_to to;

	assert_int_equal(ERR_DENIED, directory_seal_to(
	    w->site[AT_PARIS].x->directory, "bergen", SEAL_BUNDLE, &to, &e));
	assert_non_null(strstr(e.text, "peer add"));
}

/* What was under way when its epoch ended may have arrived, and if no word
 * ever comes the notice says so: over restarts too. */
static void
test_unsure_over_epochs(void **state)
{
	struct nw *w = *state;
	struct nw_site *paris = &w->site[AT_PARIS];
	struct spool_unit *u;
	struct err e = ERR_INIT;

	w->site[AT_OSLO].down = true;
	assert_true(nw_submit(w, AT_PARIS, "ann@paris.example",
	    "bob@oslo.example", MAIL) != 0);
	nw_pass(w, 60);
	assert_int_equal(0, spool_begin(paris->spool, &u, &e));
	assert_int_equal(0, spool_new_epoch(u, &e));
	assert_int_equal(0, spool_commit(u, true, &e));
	nw_crash(w, AT_PARIS);
	assert_int_equal(1, nw_messages(w, AT_PARIS));
	/* What is sealed in the new epoch never gets out: no road. */
	paris->road[AT_LONDON].cut = true;
	nw_pass(w, 3600);
	nw_crash(w, AT_PARIS);
	nw_pass(w, 4 * 86400);
	nw_assert_mail(w, AT_PARIS, "not confirmed", true);
	nw_assert_mail(w, AT_PARIS, "4.4.7", true);
	assert_int_equal(0, nw_messages(w, AT_PARIS));
}

/* oslo is the gate of leaf, for paris too, which is no peer of oslo's. */
static void
test_gate(void **state)
{
	static const char to_oslo[] = "}\nroutes {\n leaf.example = oslo";
	static const char *const at_oslo[] = {
		"}\npeer leaf {\n dialect = bsmtp\n transport = /bin/true\n"
		" call = \"Never\"\n}\nroutes {\n leaf.example = leaf",
		"}\npeer leaf {\n dialect = bsmtp\n transport = /bin/true\n"
		" call = \"Never\"\n gate = yes\n}\n"
		"routes {\n leaf.example = leaf",
	};
	struct nw *w;
	size_t gate;

	(void)state;
	for (gate = 0; gate < 2; gate++) {
		w = nw_new(to_oslo, NULL, at_oslo[gate]);
		assert_true(nw_submit(w, AT_PARIS, "ann@paris.example",
		    "eve@leaf.example", MAIL) != 0);
		nw_pass(w, 120);
		assert_int_equal(0, nw_messages(w, AT_PARIS));
		assert_int_equal(gate, nw_messages(w, AT_OSLO));
		nw_assert_mail(w, AT_PARIS, "5.7.1", gate == 0);
		nw_free(w);
	}
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, nw_set_up, nw_tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_delivers),
		TEST(test_refused_recipient),
		TEST(test_traced),
		TEST(test_loss_and_repetition),
		TEST(test_crashes),
		TEST(test_expires),
		TEST(test_not_confirmed),
		TEST(test_restored),
		TEST(test_new_epoch_midway),
		TEST(test_nothing_in_clear),
		TEST(test_peer_test),
		TEST(test_key_request),
		cmocka_unit_test(test_onion),
		cmocka_unit_test(test_onion_refused),
		cmocka_unit_test(test_onion_again),
		cmocka_unit_test(test_retry),
		cmocka_unit_test(test_retry_waiting),
		cmocka_unit_test(test_splitting),
		TEST(test_many),
		TEST(test_late),
		TEST(test_conflict),
		cmocka_unit_test(test_signed),
		TEST(test_shared_key),
		TEST(test_no_card),
		TEST(test_unsure_over_epochs),
		cmocka_unit_test(test_gate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
