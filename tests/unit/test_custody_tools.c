/* SPDX-License-Identifier: ISC */
/*
 * The operator's tools and the native dialect: what export and import carry
 * from one spool to another, what verify finds, what salvage keeps.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"
#include "tests/unit/carry_world.h"

static void
expect_bundle(struct spool *sp, uint64_t *id, bool direct,
    enum bundle_role role, size_t len, unsigned seed)
{
	struct bundle b;
	struct err e = ERR_INIT;

	assert_int_equal(spool_next_bundle(sp, id, &b, &e), 0);
	assert_int_equal(b.role, role);
	assert_int_equal(b.direct, direct);
	assert_string_equal(b.from, "paris");
	assert_string_equal(b.destination, "oslo");
	assert_null(b.peer);
	assert_int_equal(b.priority, -3);
	assert_int_equal(b.hops, 19);
	assert_int_equal(b.octets, len);
	assert_int_equal(spool_elapsed_secs(sp) - b.born_secs, 500);
	assert_int_equal(b.expire_secs - spool_elapsed_secs(sp), 700);
	assert_int_equal(b.nranges, 0);
	cw_expect_octets(sp, *id, len, seed);
	bundle_release(&b);
}

static void
test_bundles_carried(void **state)
{
	struct carry_world *f = *state;
	struct bundle b;
	struct err e = ERR_INIT;
	uint64_t id = 0;

	cw_add_bundle(f->a->sp, BUNDLE_LEAVING, NULL, 1000, 1);
	cw_add_bundle(f->a->sp, BUNDLE_LEAVING, "paris", 150000, 2);
	cw_add_bundle(f->a->sp, BUNDLE_ARRIVED, "paris", 10, 3);
	cw_add_bundle(f->a->sp, BUNDLE_ARRIVING, "paris", 5000, 4);
	cw_export(f, f->a->sp);
	assert_int_equal(f->report.bundles, 2);
	assert_int_equal(f->report.damaged, 0);
	assert_non_null(strstr(cw_told(f), "not whole"));
	f->b->clock.mono += 3000000;
	cw_import(f, f->b->sp);
	assert_int_equal(f->report.bundles, 2);
	assert_int_equal(f->report.octets, 150010);
	assert_int_equal(f->report.damaged, 0);
	assert_string_equal(cw_told(f), "");
	expect_bundle(f->b->sp, &id, false, BUNDLE_LEAVING, 150000, 2);
	expect_bundle(f->b->sp, &id, true, BUNDLE_ARRIVED, 10, 3);
	assert_int_equal(spool_next_bundle(f->b->sp, &id, &b, &e),
	    ERR_NOT_FOUND);
	/* Those that are there do not come in again. */
	cw_import(f, f->b->sp);
	assert_int_equal(f->report.bundles, 0);
	assert_int_equal(f->report.damaged, 2);
	assert_non_null(strstr(cw_told(f), "has that bundle"));
	cw_verify(f, f->b->sp);
	assert_int_equal(f->report.bundles, 2);
	assert_int_equal(f->report.octets, 150010);
	assert_int_equal(f->report.damaged, 0);
}

static void
test_custody_carried(void **state)
{
	struct carry_world *f = *state;

	cw_put_kinds(f->a->sp);
	cw_export(f, f->a->sp);
	assert_int_equal(f->report.custody, CARRIED);
	assert_int_equal(f->report.damaged, 0);
	cw_import(f, f->b->sp);
	assert_int_equal(f->report.custody, CARRIED);
	assert_int_equal(f->report.damaged, 0);
	cw_expect_kinds(f->b->sp, false);
	cw_verify(f, f->b->sp);
	assert_int_equal(f->report.custody, CARRIED);
	assert_int_equal(f->report.damaged, 0);
	/* Again: nothing changes. */
	cw_import(f, f->b->sp);
	cw_expect_kinds(f->b->sp, false);
}

static uint64_t
age_by(struct spool_world *w, int64_t secs)
{
	w->clock.mono += secs * 1000;
	return spool_elapsed_secs(w->sp);
}

/* Ages count, not the count of the other spool; what is there stays. */
static void
test_custody_merged(void **state)
{
	struct carry_world *f = *state;
	char paris[] = "paris", oslo[] = "oslo.north", card[] = "card";
	struct spool *a = f->a->sp, *b = f->b->sp;
	uint64_t now = age_by(f->a, 10000000);
	struct flow_in flow = { paris, 7, 30, now - 100 };
	struct flow_in other = { oslo, 8, 5, 100 };
	struct serial_in in = { .origin = paris, .epoch = 7, .serial = 40,
	    .transactions = 3, .first_secs = now - 60 };
	struct site_record site = { .name = oslo, .card = card,
	    .heard_secs = now - 5 };
	struct spool_unit *u;
	struct err e = ERR_INIT;

	sw_begin(a, &u);
	assert_int_equal(spool_put_flow_in(u, &flow, &e), 0);
	assert_int_equal(spool_put_flow_in(u, &other, &e), 0);
	assert_int_equal(spool_put_serial_in(u, &in, &e), 0);
	assert_int_equal(spool_put_site(u, &site, &e), 0);
	sw_commit(u);
	cw_export(f, a);
	now = age_by(f->b, 5000);
	assert_int_equal(now, SPOOL_ELAPSED_START + 5000);
	flow.floor = 35;
	flow.last_secs = now - 200;
	in.transactions = 9;
	sw_begin(b, &u);
	assert_int_equal(spool_put_flow_in(u, &flow, &e), 0);
	assert_int_equal(spool_put_serial_in(u, &in, &e), 0);
	sw_commit(u);
	cw_import(f, b);
	assert_int_equal(f->report.damaged, 0);
	assert_int_equal(spool_get_flow_in(b, "paris", 7, &flow, &e), 0);
	assert_int_equal(flow.floor, 35);
	assert_int_equal(flow.last_secs, now - 100);
	flow_in_release(&flow);
	assert_int_equal(spool_get_flow_in(b, oslo, 8, &flow, &e), 0);
	assert_int_equal(flow.floor, 5);
	assert_int_equal(flow.last_secs, 1);	/* before its time */
	flow_in_release(&flow);
	assert_int_equal(spool_get_serial_in(b, "paris", 7, 40, &in, &e), 0);
	assert_int_equal(in.transactions, 9);
	serial_in_release(&in);
	assert_int_equal(spool_get_site(b, oslo, &site, &e), 0);
	assert_string_equal(site.card, "card");
	assert_int_equal(site.heard_secs, now - 5);
	assert_int_equal(site.asked_secs, 0);
	site_record_release(&site);
}

static void
write_lines(struct carry_world *f, const char *text)
{
	struct err e = ERR_INIT;

	assert_int_equal(file_replace(f->out, "custody.txt", text,
	    strlen(text), 0600, &e), 0);
}

#define HEAD "postrider-custody 1\n"
#define DIGEST "000102030405060708090a0b0c0d0e0f" \
	"101112131415161718191a1b1c1d1e1f"

/* Written by hand, as the manual says. */
static void
test_custody_lines(void **state)
{
	static const char *const bad[] = {
		"", " ", "flow", "flow-in", "flow-in ",
		"flow-in paris 000000000000000a 5 -  ",
		"flow-in paris 000000000000000a 5 - ",
		"flow-in paris 000000000000000a 5",
		"flow-in paris 000000000000000a 5 - 1",
		"flow-in  000000000000000a 5 -",
		"flow-in paris 00000000000000a 5 -",
		"flow-in paris 00000000000000000a 5 -",
		"flow-in paris 000000000000000A 5 -",
		"flow-in paris 000000000000000a -5 -",
		"flow-in paris 000000000000000a 18446744073709551616 -",
		"flow-in paris 000000000000000a 5 --",
		"flow-in paris\\x 000000000000000a 5 -",
		"flow-in paris\\x0g 000000000000000a 5 -",
		"flow-in paris\\x00 000000000000000a 5 -",
		"flow-in p\xc3\xa9ris 000000000000000a 5 -",
		"flow-in paris\r 000000000000000a 5 -",
		"serial-in paris 000000000000000a 5 2 0 0 1 " DIGEST " - -",
		"serial-in paris 000000000000000a 5 1 0 0 1 " DIGEST "0 - -",
		"serial-in paris 000000000000000a 5 1 0 0 1 " DIGEST "00 - -",
		"serial-in paris 000000000000000a 5 1 0 0 1 - - -",
		"serial-in paris 000000000000000a 5 1 0 0 1 " DIGEST " - 0",
		"serial-in paris 000000000000000a 5 1 0 0 1 " DIGEST " - 0x",
		"taken paris 000000000000000a 5 - 0102030405060708",
		"taken paris 000000000000000a 5 - 01020304050607080900",
		"site paris 1 2 3 4 5 00", "site paris 1 2 3 4 5",
		"seen pp 00 5", "seen p - 5", "seen p 00 -",
		"seen p 000102030405060708090a0b0c0d0e0f"
		"101112131415161718191a1b1c1d1e1f2021222324252627" "28 5",
		"Seen p 00 5",
	};
	struct carry_world *f = *state;
	struct spool *sp = f->b->sp;
	struct flow_in flow;
	struct serial_in in;
	struct taken t;
	struct buf text = BUF_INIT;
	struct err e = ERR_INIT;
	size_t nbad = sizeof(bad) / sizeof(bad[0]);

	buf_adds(&text, HEAD);
	for (size_t i = 0; i < nbad; i++)
		buf_addf(&text, "%s\n", bad[i]);
	buf_adds(&text,
	    "flow-in p\\x20x\\x5c\\xc3\\xa9 fedcba9876543210 5 -\n"
	    "serial-in paris 000000000000000a 5 1 0 1 7 " DIGEST
	    " 20 00ff0d0a\n"
	    "taken paris 000000000000000a 6 - 010203040506070809\n"
	    "seen p 00ff 5");
	write_lines(f, buf_cstr(&text));
	cw_import(f, sp);
	assert_int_equal(f->report.damaged, nbad);
	assert_int_equal(f->report.custody, 4);
	for (size_t i = 0; i < nbad; i++) {
		char *line = mem_printf("line %zu is left", i + 2);

		assert_non_null(strstr(cw_told(f), line));
		free(line);
	}
	assert_int_equal(sw_count(sp, STORE_FLOW), 1);
	assert_int_equal(sw_count(sp, STORE_SEEN), 1);
	assert_int_equal(spool_get_flow_in(sp, "p x\\\xc3\xa9",
	    0xfedcba9876543210, &flow, &e), 0);
	assert_int_equal(flow.floor, 5);
	flow_in_release(&flow);
	assert_int_equal(spool_get_serial_in(sp, "paris", 10, 5, &in, &e),
	    0);
	assert_true(in.done && !in.voided && in.owed);
	assert_int_equal(in.transactions, 7);
	for (int i = 0; i < 32; i++)
		assert_int_equal(in.digest[i], i);
	assert_int_equal(in.first_secs, spool_elapsed_secs(sp) - 20);
	assert_int_equal(in.results.len, 4);
	assert_memory_equal(in.results.ptr, "\0\xff\r\n", 4);
	serial_in_release(&in);
	assert_int_equal(spool_get_taken(sp, "paris", 10, 6, &t, &e), 0);
	assert_int_equal(t.nrcpt, 1);
	assert_true(t.rcpt[0].address_hash == 0x0102030405060708);
	assert_int_equal(t.rcpt[0].verdict, 9);
	taken_release(&t);
	buf_release(&text);
}

static void
test_custody_file(void **state)
{
	static const struct {
		const char *text;
		int rc;
	} cases[] = {
		{ "", ERR_SYNTAX },
		{ "postrider-custody 2\n", ERR_SYNTAX },
		{ "postrider-custody 1x\n", ERR_SYNTAX },
		{ "seen p 00 5\n", ERR_SYNTAX },
		{ "postrider-custody 1", 0 },
		{ HEAD, 0 },
	};
	struct carry_world *f = *state;
	struct spool_report r;
	struct err e = ERR_INIT;
	struct buf text = BUF_INIT;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		write_lines(f, cases[i].text);
		assert_int_equal(spool_import(f->b->sp, f->out, &r,
		    cw_on_told, f, &e), cases[i].rc);
	}
	/* The longest line there can be, and one that is longer. */
	buf_adds(&text, HEAD "serial-in paris 000000000000000a 5 1 0 1 7 "
	    DIGEST " 20 ");
	for (int i = 0; i < SPOOL_RECORD_MAX - 58; i++)
		buf_adds(&text, "ab");
	write_lines(f, buf_cstr(&text));
	cw_import(f, f->b->sp);
	assert_int_equal(f->report.damaged, 0);
	assert_int_equal(f->report.custody, 1);
	buf_adds(&text, "ab");
	write_lines(f, buf_cstr(&text));
	cw_import(f, f->b->sp);
	assert_int_equal(f->report.custody, 1);	/* it is there */
	for (int i = 0; i < 4096; i++)
		buf_adds(&text, "ab");
	write_lines(f, buf_cstr(&text));
	assert_int_equal(spool_import(f->b->sp, f->out, &r, cw_on_told, f, &e),
	    ERR_LIMIT);
	buf_release(&text);
}

/* Mail has one name for other sites wherever it is carried. */
static void
test_origin_carried(void **state)
{
	struct carry_world *f = *state;
	uint64_t epoch = spool_epoch(f->a->sp), first = spool_epoch(f->b->sp);
	uint64_t id, own, back = 0;
	struct message m;
	struct err e = ERR_INIT;

	own = cw_add_message(f->b->sp);
	(void)cw_add_message(f->a->sp);
	id = cw_add_message(f->a->sp);
	cw_expect_origin(f->a->sp, id, epoch, id);
	cw_export(f, f->a->sp);
	cw_import(f, f->b->sp);
	assert_int_equal(f->report.messages, 2);
	assert_true(spool_epoch(f->b->sp) != first);
	assert_true(spool_epoch(f->b->sp) != epoch);
	sw_reopen(f->b);
	cw_expect_origin(f->b->sp, own, first, own);
	cw_expect_origin(f->b->sp, own + 2, epoch, id);
	/* And from there on. */
	cw_export(f, f->b->sp);
	cw_import(f, f->a->sp);
	assert_int_equal(f->report.messages, 3);
	while (spool_next_message(f->a->sp, &back, &m, &e) == 0)
		message_release(&m);
	cw_expect_origin(f->a->sp, back, epoch, id);
	cw_expect_origin(f->a->sp, back - 2, first, own);
}

static void
damage(struct spool *sp, enum store_table t, size_t n)
{
	struct buf k = BUF_INIT, v = BUF_INIT;
	struct store *s = spool_store(sp);
	struct err e = ERR_INIT;

	for (size_t i = 0; i <= n; i++)
		assert_int_equal(store_next(s, t, false, &k, 0, &v, &e), 0);
	v.ptr[v.len / 2] ^= 1;
	assert_int_equal(store_begin(s, &e), 0);
	assert_int_equal(store_put(s, t, buf_slice(&k), buf_slice(&v), &e),
	    0);
	assert_int_equal(store_commit(s, true, &e), 0);
	buf_release(&v);
	buf_release(&k);
}

/* What is damaged is named, and nothing else is left. */
static void
test_damage_told(void **state)
{
	struct carry_world *f = *state;
	struct spool *sp = f->a->sp;

	cw_put_kinds(sp);
	cw_add_bundle(sp, BUNDLE_LEAVING, "paris", 90000, 2);
	cw_add_bundle(sp, BUNDLE_ARRIVED, "paris", 100, 3);
	cw_add_bundle(sp, BUNDLE_ARRIVING, "paris", 90000, 4);
	cw_verify(f, sp);
	/* Their serials name messages that were never there. */
	f->report.damaged = 0;
	assert_null(strstr(cw_told(f), "damaged"));
	damage(sp, STORE_PIECE, 1);
	damage(sp, STORE_PIECE, 6);	/* not held, says its record */
	for (int t = STORE_SERIAL_OUT; t < STORE_TABLES; t++)
		damage(sp, (enum store_table)t, 3);
	cw_verify(f, sp);
	assert_int_equal(f->report.bundles, 3);
	assert_int_equal(f->report.custody, KEPT);
	assert_non_null(strstr(cw_told(f), "spool: bundle 1 is damaged at "
	    "octet 30011\n"));
	assert_non_null(strstr(cw_told(f), "spool: outgoing serial oslo/"
	    "fedcba9876543210/18446744073709551615 is damaged\n"));
	assert_non_null(strstr(cw_told(f), "spool: incoming flow par/"
	    "fedcba9876543210 is damaged\n"));
	assert_non_null(strstr(cw_told(f), "spool: site paris.north is "
	    "damaged\n"));
	assert_non_null(strstr(cw_told(f), "spool: history of d is damaged\n"));
	assert_non_null(strstr(cw_told(f), "spool: a name seen is damaged\n"));
	assert_null(strstr(cw_told(f), "bundle 3"));
	cw_export(f, sp);
	/* The bundle; a serial, whose mail is not known to be under way; and
	 * serial-in, flow-in, taken, site, seen. */
	assert_int_equal(f->report.damaged, 7);
	assert_int_equal(f->report.bundles, 1);
	assert_int_equal(f->report.custody, CARRIED - 5);
	cw_import(f, f->b->sp);
	assert_int_equal(f->report.damaged, 0);
	assert_int_equal(f->report.custody, CARRIED - 5);
}

/* Mail of a batch without a result goes again, and may have arrived. */
static void
test_underway_carried(void **state)
{
	struct carry_world *f = *state;
	char oslo[] = "oslo";
	uint16_t rcpt = 0;
	struct object_part part = { .rcpt = &rcpt, .nrcpt = 1 };
	struct serial_out s = { .site = oslo, .epoch = 1, .serial = 12,
	    .status = SERIAL_UNDERWAY, .part = &part, .nparts = 1 };
	struct message_state st;
	struct spool_unit *u;
	struct err e = ERR_INIT;
	struct message m;
	uint64_t id = 0, i;

	(void)cw_add_message(f->a->sp);
	part.message = cw_add_message(f->a->sp);
	sw_begin(f->a->sp, &u);
	assert_int_equal(spool_put_serial_out(u, &s, &e), 0);
	sw_commit(u);
	cw_export(f, f->a->sp);
	assert_int_equal(f->report.messages, 2);
	cw_import(f, f->b->sp);
	for (i = 0; i < 2; i++) {
		assert_int_equal(spool_next_message(f->b->sp, &id, &m, &e),
		    0);
		assert_int_equal(spool_get_state(f->b->sp, id, 1, &st, &e),
		    0);
		assert_int_equal(st.rcpt[0].status, RCPT_QUEUED);
		assert_int_equal(st.rcpt[0].unsure, i);
		/* The name that the far site knows it by. */
		assert_int_equal(m.was_number, i == 0 ? part.message - 1 :
		    part.message);
		message_state_release(&st);
		message_release(&m);
	}
	assert_int_equal(spool_next_message(f->b->sp, &id, &m, &e),
	    ERR_NOT_FOUND);
	message_release(&m);
}

static void
test_missing_message_told(void **state)
{
	struct carry_world *f = *state;
	char oslo[] = "oslo";
	uint16_t rcpt = 0;
	struct object_part part = { .rcpt = &rcpt, .nrcpt = 1 };
	struct serial_out s = { .site = oslo, .epoch = 1, .serial = 12,
	    .status = SERIAL_UNDERWAY, .part = &part, .nparts = 1 };
	struct spool_unit *u;
	struct err e = ERR_INIT;

	part.message = cw_add_message(f->b->sp);
	for (int round = 0; round < 3; round++) {
		sw_begin(f->b->sp, &u);
		assert_int_equal(spool_put_serial_out(u, &s, &e), 0);
		sw_commit(u);
		cw_verify(f, f->b->sp);
		assert_int_equal(f->report.damaged, round == 1);
		if (round == 1)
			assert_non_null(strstr(cw_told(f), "serial 12 for oslo "
			    "names message 1"));
		part.message = 1;
		sw_begin(f->b->sp, &u);
		assert_int_equal(spool_del_message(u, 1, &e), 0);
		sw_commit(u);
		if (round == 1)
			s.status = SERIAL_SETTLED;
	}
}

static void
flip(const char *dir, const char *name, off_t at)
{
	char *path = path_join(dir, name), c;
	int fd = open(path, O_RDWR);

	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &c, 1, at), 1);
	c ^= 1;
	assert_int_equal(pwrite(fd, &c, 1, at), 1);
	assert_int_equal(close(fd), 0);
	free(path);
}

/* A file that is not what its name says, is too short, too long, or not
 * there; or whose text is wrong. */
static void
test_bundles_left(void **state)
{
	static const char *const commands[] = {
		"truncate -s -1 %s/bundle/2.bun",
		"echo >>%s/bundle/3.bun",
		"rm %s/bundle/4.bun",
		"sed -i s/^hops:.*/hops:/ %s/bundle/5.way",
		"sed -i /^from:/d %s/bundle/6.way",
		"sed -i s/^role:.*/role:' arriving'/ %s/bundle/7.way",
		"sed -i s/^name:.*/name:' 00'/ %s/bundle/8.way",
	};
	struct carry_world *f = *state;
	size_t n = sizeof(commands) / sizeof(commands[0]);

	for (unsigned i = 0; i < n + 3; i++)
		cw_add_bundle(f->a->sp, BUNDLE_LEAVING, "paris", 70000 + i, i);
	cw_export(f, f->a->sp);
	assert_int_equal(f->report.bundles, n + 3);
	for (size_t i = 0; i < n; i++) {
		struct buf command = BUF_INIT;
		const char *dir = strstr(commands[i], "%s");

		buf_add(&command, commands[i], (size_t)(dir - commands[i]));
		buf_adds(&command, f->out);
		buf_adds(&command, dir + 2);
		assert_int_equal(system(buf_cstr(&command)), 0);
		buf_release(&command);
	}
	buf_clear(&f->told);
	{
		char *dir = path_join(f->out, "bundle");

		flip(dir, "1.bun", 69000);
		free(dir);
	}
	cw_import(f, f->b->sp);
	assert_int_equal(f->report.bundles, 2);
	assert_int_equal(f->report.damaged, n + 1);
	for (char id = '1'; id <= '8'; id++) {
		char *way = mem_printf("/%c.way is left", id);

		assert_non_null(strstr(cw_told(f), way));
		free(way);
	}
	/* Nothing stays of those. */
	sw_maintain(f->b->sp);
	assert_int_equal(sw_count(f->b->sp, STORE_PIECE), 4);
	assert_int_equal(sw_count(f->b->sp, STORE_BUNDLE), 2);
}

static void
test_import_without_room(void **state)
{
	struct carry_world *f = *state;
	struct spool_report r;
	struct err e = ERR_INIT;

	cw_add_bundle(f->a->sp, BUNDLE_LEAVING, "paris", 90000, 2);
	cw_export(f, f->a->sp);
	f->b->room = 50000;
	assert_int_equal(spool_import(f->b->sp, f->out, &r, cw_on_told, f, &e),
	    ERR_FULL);
	f->b->room = UINT64_MAX;
	sw_maintain(f->b->sp);
	assert_int_equal(sw_count(f->b->sp, STORE_PIECE), 0);
	cw_import(f, f->b->sp);
	assert_int_equal(f->report.bundles, 1);
}

/* Salvage keeps all that is whole, and flows begin anew. */
static void
test_salvage(void **state)
{
	struct carry_world *f = *state;
	struct spool_world *w = f->a;
	uint64_t epoch = spool_epoch(w->sp), message, bundle;
	struct err e = ERR_INIT;

	message = cw_add_message(w->sp);
	cw_put_kinds(w->sp);
	cw_add_bundle(w->sp, BUNDLE_LEAVING, "paris", 90000, 2);
	bundle = cw_add_bundle(w->sp, BUNDLE_ARRIVED, "paris", 100, 3);
	spool_close(w->sp);
	w->sp = NULL;
	if (spool_salvage(w->dir, NULL, &w->clock.clock, rng_real(),
	    &f->report, cw_on_told, f, &e) < 0)
		fail_msg("salvage: %s", e.text);
	assert_int_equal(f->report.bundles, 2);
	assert_int_equal(f->report.custody, KEPT);
	sw_reopen(w);
	cw_expect_kinds(w->sp, true);
	cw_expect_octets(w->sp, bundle, 100, 3);
	cw_expect_octets(w->sp, bundle - 1, 90000, 2);
	assert_true(spool_epoch(w->sp) != epoch);
	cw_expect_origin(w->sp, message, epoch, message);
	assert_true(cw_add_bundle(w->sp, BUNDLE_LEAVING, NULL, 10, 1) > bundle);
}

/* A backup that takes the spool's place opens a new epoch, once. */
static void
test_restored(void **state)
{
	struct carry_world *f = *state;
	struct spool_world *w = f->a;
	uint64_t epoch = spool_epoch(w->sp), message = cw_add_message(w->sp);
	struct err e = ERR_INIT;
	char *command;

	cw_put_kinds(w->sp);
	cw_add_bundle(w->sp, BUNDLE_LEAVING, "paris", 90000, 2);
	assert_int_equal(store_backup(spool_store(w->sp), f->out, &e), 0);
	sw_reopen(w);
	assert_true(spool_epoch(w->sp) == epoch);
	spool_close(w->sp);
	w->sp = NULL;
	command = mem_printf("rm -rf '%s'/* && cp '%s'/* '%s'", w->dir,
	    f->out, w->dir);
	assert_int_equal(system(command), 0);
	free(command);
	sw_reopen(w);
	assert_true(spool_epoch(w->sp) != epoch);
	cw_expect_origin(w->sp, message, epoch, message);
	cw_expect_kinds(w->sp, true);
	cw_expect_octets(w->sp, 1, 90000, 2);
	epoch = spool_epoch(w->sp);
	sw_reopen(w);
	assert_true(spool_epoch(w->sp) == epoch);
}

#define TEST(name) \
	cmocka_unit_test_setup_teardown(test_##name, cw_setup, cw_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(bundles_carried),
		TEST(custody_carried),
		TEST(custody_merged),
		TEST(custody_lines),
		TEST(custody_file),
		TEST(origin_carried),
		TEST(damage_told),
		TEST(underway_carried),
		TEST(missing_message_told),
		TEST(bundles_left),
		TEST(import_without_room),
		TEST(salvage),
		TEST(restored),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
