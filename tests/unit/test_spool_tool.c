/* SPDX-License-Identifier: ISC */
/*
 * The operator's tools: what goes out by export comes in by import, damage is
 * named and hurts nothing else, and a spool with a flipped page is rescued,
 * from a backup whole, without one as far as it can be read.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"
#include "spool/envfile.h"
#include "spool/tool.h"

struct fixture {
	char dir[64];
	char *spool_dir, *backup, *out;
	struct spool *sp;
	struct buf told;	/* a line for each thing */
};

static void
on_told(void *ctx, const char *text)
{
	struct fixture *f = ctx;

	buf_addf(&f->told, "%s\n", text);
}

static int
try_open(struct fixture *f, const char *dir, struct spool **sp_out,
    struct err *e)
{
	struct store_options opts;
	struct spool_options sopts = { .clock = clock_real(),
	    .rng = rng_real(), .dir = dir };
	struct store *store;
	int rc;

	(void)f;
	store_options_default(&opts);
	opts.dir = dir;
	opts.log_buffer_bytes = 64 << 10;
	opts.log_file_bytes = 512 << 10;
	opts.keep_logs = true;
	rc = store_open_bdb(&opts, &store, e);
	return rc < 0 ? rc : spool_open(store, &sopts, sp_out, e);
}

static void
open_spool(struct fixture *f)
{
	struct err e = ERR_INIT;

	if (try_open(f, f->spool_dir, &f->sp, &e) < 0)
		fail_msg("open: %s", e.text);
}

static void
close_spool(struct fixture *f)
{
	spool_close(f->sp);
	f->sp = NULL;
}

static int
setup(void **state)
{
	struct fixture *f = mem_alloc(1, sizeof(*f));

	snprintf(f->dir, sizeof(f->dir), "/tmp/test_tool.XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	f->spool_dir = path_join(f->dir, "spool");
	f->backup = path_join(f->dir, "backup");
	f->out = path_join(f->dir, "out");
	open_spool(f);
	*state = f;
	return 0;
}

static void
run(const char *fmt, const char *a, const char *b)
{
	char *command = mem_printf("%s '%s' '%s'", fmt, a, b);

	assert_int_equal(system(command), 0);
	free(command);
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	spool_close(f->sp);
	run("rm -rf", f->dir, f->dir);
	free(f->spool_dir);
	free(f->backup);
	free(f->out);
	buf_release(&f->told);
	free(f);
	return 0;
}

static void
make_content(struct buf *b, size_t len, unsigned seed)
{
	buf_clear(b);
	while (b->len < len)
		buf_addf(b, "%u-%zu-content;", seed, b->len);
	buf_truncate(b, len);
}

static struct spool_draft *
make_draft(struct spool *sp, size_t len, unsigned seed)
{
	struct spool_draft *d = spool_draft_new(sp);
	struct buf b = BUF_INIT;
	struct err e = ERR_INIT;

	make_content(&b, len, seed);
	assert_int_equal(spool_draft_add(d, b.ptr, b.len, &e), 0);
	assert_int_equal(spool_draft_end(d, &e), 0);
	buf_release(&b);
	return d;
}

static uint64_t
add_message(struct spool *sp, size_t len, unsigned seed)
{
	struct spool_draft *d = make_draft(sp, len, seed);
	struct message_state st;
	struct spool_unit *u;
	struct message m;
	struct err e = ERR_INIT;
	uint64_t id;

	message_init(&m);
	m.kind = MESSAGE_POSTMASTER;
	m.env.helo = mem_strdup("h");
	m.env.sender = mem_strdup("s\\ender\t@example");
	m.env.size_given = true;
	m.env.size = 0;
	envelope_add_recipient(&m.env, "a@example", "SUCCESS,FAILURE", NULL);
	envelope_add_recipient(&m.env, "\xc3\xa9@example", NULL,
	    "utf-8;\\x{E9}@example");
	m.peer = mem_strdup("paris");
	m.hops = 2;
	m.accepted_wall_ms = 1709632800123;
	m.accepted_secs = spool_elapsed_secs(sp) - 5000;
	message_state_init(&st, 2);
	st.rcpt[1].status = RCPT_HELD;
	st.rcpt[1].attempts = 4;
	st.rcpt[1].next_secs = spool_elapsed_secs(sp) + 600;
	st.rcpt[1].delay_told = true;
	memcpy(st.rcpt[1].status_code, "4.2.2", 6);
	st.rcpt[1].text = mem_strdup("full\nvery: full");
	assert_int_equal(spool_begin(sp, &u, &e), 0);
	assert_int_equal(spool_add_message(u, d, &m, &e), 0);
	assert_int_equal(spool_put_state(u, m.id, &st, &e), 0);
	assert_int_equal(spool_commit(u, true, &e), 0);
	id = m.id;
	spool_draft_free(d);
	message_state_release(&st);
	message_release(&m);
	return id;
}

static uint64_t
last_id(struct spool *sp)
{
	struct message m;
	struct err e = ERR_INIT;
	uint64_t id = 0;

	while (spool_next_message(sp, &id, &m, &e) != ERR_NOT_FOUND)
		message_release(&m);
	return id;
}

static void
add_broken(struct spool *sp, size_t len, unsigned seed)
{
	struct spool_draft *d = make_draft(sp, len, seed);
	struct spool_unit *u;
	struct broken b = { .wall_ms = 77,
	    .secs = spool_elapsed_secs(sp) - 9 };
	struct err e = ERR_INIT;

	b.peer = mem_strdup("oslo");
	b.name = mem_strdup("");
	b.reason = mem_strdup("line 1: what?");
	assert_int_equal(spool_begin(sp, &u, &e), 0);
	assert_int_equal(spool_add_broken(u, d, &b, &e), 0);
	assert_int_equal(spool_commit(u, true, &e), 0);
	spool_draft_free(d);
	broken_release(&b);
}

static int
read_body(struct spool *sp, uint64_t id, struct buf *out)
{
	struct spool_body *b;
	struct err e = ERR_INIT;
	int rc = spool_body_open(sp, id, &b, &e);

	if (rc < 0)
		return rc;
	while ((rc = spool_body_read(b, out, &e)) > 0)
		continue;
	spool_body_close(b);
	return rc;
}

static bool
body_is(struct spool *sp, uint64_t id, size_t len, unsigned seed)
{
	struct buf want = BUF_INIT, got = BUF_INIT;
	bool same;

	make_content(&want, len, seed);
	same = read_body(sp, id, &got) == 0 &&
	    slice_eq(buf_slice(&want), buf_slice(&got));
	buf_release(&want);
	buf_release(&got);
	return same;
}

static void
expect_message(struct spool *sp, uint64_t id)
{
	struct message_state st;
	struct message m;
	struct err e = ERR_INIT;

	assert_int_equal(spool_get_message(sp, id, &m, &e), 0);
	assert_int_equal(m.kind, MESSAGE_POSTMASTER);
	assert_string_equal(m.env.sender, "s\\ender\t@example");
	assert_null(m.env.envid);
	assert_true(m.env.size_given);
	assert_false(m.env.smtputf8);
	assert_string_equal(m.env.rcpt[0].notify, "SUCCESS,FAILURE");
	assert_string_equal(m.env.rcpt[1].address, "\xc3\xa9@example");
	assert_string_equal(m.env.rcpt[1].orcpt, "utf-8;\\x{E9}@example");
	assert_null(m.source);
	assert_string_equal(m.peer, "paris");
	assert_int_equal(m.hops, 2);
	assert_int_equal(m.accepted_wall_ms, 1709632800123);
	assert_in_range(spool_elapsed_secs(sp) - m.accepted_secs, 5000,
	    5010);
	assert_int_equal(spool_get_state(sp, id, 2, &st, &e), 0);
	assert_int_equal(st.rcpt[0].status, RCPT_QUEUED);
	assert_int_equal(st.rcpt[1].status, RCPT_HELD);
	assert_int_equal(st.rcpt[1].attempts, 4);
	assert_in_range(st.rcpt[1].next_secs - spool_elapsed_secs(sp), 590,
	    600);
	assert_true(st.rcpt[1].delay_told);
	assert_string_equal(st.rcpt[1].status_code, "4.2.2");
	assert_string_equal(st.rcpt[1].text, "full\nvery: full");
	message_state_release(&st);
	message_release(&m);
}

static void
test_round_trip(void **state)
{
	static const size_t lens[] = { 0, 10, 5000, 60001, 5 << 20 };
	struct fixture *f = *state;
	struct spool_report r;
	struct message m;
	struct broken b;
	struct err e = ERR_INIT;
	uint64_t id = 0;

	for (unsigned i = 0; i < 5; i++)
		add_message(f->sp, lens[i], i);
	add_broken(f->sp, 100000, 8);
	add_broken(f->sp, 10, 9);
	assert_int_equal(spool_verify(f->sp, &r, on_told, f, &e), 0);
	assert_int_equal(r.messages, 5);
	assert_int_equal(r.broken, 2);
	assert_int_equal(r.octets, 10 + 5000 + 60001 + (5 << 20) + 100010);
	assert_int_equal(r.damaged, 0);
	assert_int_equal(spool_export(f->sp, f->out, &r, on_told, f, &e), 0);
	assert_int_equal(r.messages, 5);
	assert_int_equal(r.broken, 2);
	close_spool(f);
	run("rm -rf", f->spool_dir, f->spool_dir);
	open_spool(f);
	assert_int_equal(spool_import(f->sp, f->out, &r, on_told, f, &e), 0);
	assert_int_equal(r.messages, 5);
	assert_int_equal(r.broken, 2);
	assert_int_equal(r.damaged, 0);
	assert_int_equal(f->told.len, 0);
	for (unsigned i = 0; i < 5; i++) {
		assert_int_equal(spool_next_message(f->sp, &id, &m, &e), 0);
		assert_int_equal(m.facts.octets, lens[i]);
		message_release(&m);
		expect_message(f->sp, id);
		assert_true(body_is(f->sp, id, lens[i], i));
	}
	id = 0;
	for (unsigned i = 8; i < 10; i++) {
		assert_int_equal(spool_next_broken(f->sp, &id, &b, &e), 0);
		assert_string_equal(b.peer, "oslo");
		assert_string_equal(b.name, "");
		assert_string_equal(b.reason, "line 1: what?");
		assert_int_equal(b.wall_ms, 77);
		broken_release(&b);
		assert_true(body_is(f->sp, id, i == 8 ? 100000 : 10, i));
	}
}

static void
test_import_leaves(void **state)
{
	struct fixture *f = *state;
	struct spool_report r;
	struct err e = ERR_INIT;
	static const char good[] = "postrider-envelope: 1\nsender:\n"
	    "recipient: a@example\n";

	assert_int_equal(file_make_dirs(f->out, 0700, &e), 0);
	assert_int_equal(file_replace(f->out, "1.env", "postrider-envelope: "
	    "1\nsender: a\nnonsense: x\n", 43, 0600, &e), 0);
	assert_int_equal(file_replace(f->out, "1.eml", "x", 1, 0600, &e), 0);
	assert_int_equal(file_replace(f->out, "2.env", good,
	    sizeof(good) - 1, 0600, &e), 0);
	assert_int_equal(file_replace(f->out, "3.env", good,
	    sizeof(good) - 1, 0600, &e), 0);
	assert_int_equal(file_replace(f->out, "3.eml", "ok\r\n", 4, 0600,
	    &e), 0);
	assert_int_equal(spool_import(f->sp, f->out, &r, on_told, f, &e), 0);
	assert_int_equal(r.messages, 1);
	assert_int_equal(r.damaged, 2);
	assert_non_null(strstr(buf_cstr(&f->told), "1.env is left: line 3"));
	assert_non_null(strstr(buf_cstr(&f->told), "2.eml"));
}

static void
test_envfile_errors(void **state)
{
	static const char *const bad[] = {
		"", "\n", "id: 1\n", "postrider-envelope: 2\n",
		"postrider-envelope: 1\nsender: a\n",
		"postrider-envelope: 1\nrecipient: a\n",
		"postrider-envelope: 1\nsender:\nnotify: NEVER\n",
		"postrider-envelope: 1\nsender:\nsender:\nrecipient: a\n",
		"postrider-envelope: 1\nsender:\nrecipient:\n",
		"postrider-envelope: 1\nsender: \\x0\nrecipient: a\n",
		"postrider-envelope: 1\nsender: \\x00\nrecipient: a\n",
		"postrider-envelope: 1\nsender: \\q\nrecipient: a\n",
		"postrider-envelope: 1\nsender:\nrecipient: a\nsize: -1\n",
		"postrider-envelope: 1\nsender:\nrecipient: a\nret: full\n",
		"postrider-envelope: 1\nsender:\nrecipient: a\nstatus: x\n",
		"postrider-envelope: 1\nsender:\nrecipient: a\nno colon\n",
		"postrider-envelope: 1\nsender:\nrecipient: a\n"
		    "status-code: 555.555.5555\n",
		"postrider-envelope: 1\nsender:\nrecipient: a\nhops: 1x\n",
		"postrider-envelope: 1\norigin: 5/5\nsender:\nrecipient: a\n",
		"postrider-envelope: 1\norigin: 0123456789abcdef\n"
		    "sender:\nrecipient: a\n",
		"postrider-envelope: 1\norigin: 0123456789abcdef/\n"
		    "sender:\nrecipient: a\n",
		"postrider-envelope: 1\norigin: 0123456789abcdeF/1\n"
		    "sender:\nrecipient: a\n",
		"postrider-envelope: 1\norigin: 0123456789abcdef/1/\n"
		    "sender:\nrecipient: a\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct message_state st = { 0 };
		struct message m;
		struct err e = ERR_INIT;

		message_init(&m);
		assert_int_equal(envfile_get(slice_of(bad[i]), 100, &m, &st,
		    &e), ERR_SYNTAX);
		assert_true(e.text[0] != '\0');
		message_release(&m);
		message_state_release(&st);
	}
}

#define WAY "postrider-bundle: 1\n"
#define NAME "name: 000102030405060708090a0b0c0d0eff\n"
#define ROADS "from: a\ndestination: b\n"

static void
test_wayfile(void **state)
{
	static const char *const bad[] = {
		"", NAME, "postrider-bundle: 2\n" ROADS "octets: 1\n", WAY,
		WAY "from: a\noctets: 1\n",
		WAY "destination: b\noctets: 1\n",
		WAY ROADS, WAY ROADS "octets: 0\n", WAY ROADS "octets: x\n",
		WAY ROADS "octets: 1\nrole: arriving\n",
		WAY ROADS "octets: 1\nrole: gone\n",
		WAY ROADS "octets: 1\nname: 00\n",
		WAY ROADS "octets: 1\nname: 000102030405060708090a0b0c0d0ef\n",
		WAY ROADS "octets: 1\n"
		    "name: 000102030405060708090a0b0c0d0eff0\n",
		WAY ROADS "octets: 1\nname: g00102030405060708090a0b0c0d0eff\n",
		WAY ROADS "octets: 1\ndirect: no\n",
		WAY ROADS "octets: 1\npriority: --1\n",
		WAY ROADS "octets: 1\npriority: 4294967296\n",
		WAY ROADS "octets: 1\nhops: -1\n",
		WAY ROADS "octets: 1\nage: old\n",
		WAY ROADS "octets: 1\nexpires-in: never\n",
		WAY ROADS "octets: 1\nsender: s\n",
	};
	static const unsigned char name[] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9,
		10, 11, 12, 13, 14, 255 };
	struct bundle b;
	struct err e = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		bundle_init(&b);
		assert_int_equal(wayfile_get(slice_of(bad[i]), 100, &b, &e),
		    ERR_SYNTAX);
		assert_true(e.text[0] != '\0');
		bundle_release(&b);
	}
	bundle_init(&b);
	assert_int_equal(wayfile_get(slice_of(WAY "id: zz\n" NAME
	    "role: arrived\ndirect: yes\n" ROADS "priority: -9\nhops: 4\n"
	    "octets: 77\nage: 30\nexpires-in: 18446744073709551615\n"), 100,
	    &b, &e), 0);
	assert_int_equal(b.id, 0);
	assert_memory_equal(b.name, name, sizeof(name));
	assert_int_equal(b.role, BUNDLE_ARRIVED);
	assert_true(b.direct);
	assert_string_equal(b.from, "a");
	assert_string_equal(b.destination, "b");
	assert_int_equal(b.priority, -9);
	assert_int_equal(b.hops, 4);
	assert_int_equal(b.octets, 77);
	assert_int_equal(b.born_secs, 70);
	assert_true(b.expire_secs == UINT64_MAX);
	bundle_release(&b);
}

static void
flip(const char *dir, const char *name, off_t at, size_t len)
{
	char *path = path_join(dir, name), bytes[64];
	int fd = open(path, O_RDWR);

	assert_true(fd >= 0);
	assert_int_equal(pread(fd, bytes, len, at), len);
	for (size_t i = 0; i < len; i++)
		bytes[i] = (char)~bytes[i];
	assert_int_equal(pwrite(fd, bytes, len, at), len);
	close(fd);
	free(path);
}

/* One octet of a message's content in its file. */
static void
test_flipped_content(void **state)
{
	struct fixture *f = *state;
	struct spool_report r;
	struct err e = ERR_INIT;
	uint64_t first = add_message(f->sp, 10000, 1);
	uint64_t second = add_message(f->sp, 10000, 2);
	char *path = path_join(f->spool_dir, "message.db");
	struct buf file = BUF_INIT;
	const char *at;

	close_spool(f);
	assert_int_equal(file_read(path, 100 << 20, &file, &e), 0);
	at = memmem(file.ptr, file.len, "-content;1-", 11);
	assert_non_null(at);
	flip(f->spool_dir, "message.db", at - file.ptr, 1);
	open_spool(f);
	assert_false(body_is(f->sp, first, 10000, 1));
	assert_true(body_is(f->sp, second, 10000, 2));
	assert_int_equal(spool_verify(f->sp, &r, on_told, f, &e), 0);
	assert_int_equal(r.messages, 2);
	assert_int_equal(r.damaged, 1);
	buf_release(&file);
	free(path);
}

static void
fill(struct fixture *f, unsigned from, unsigned to)
{
	for (unsigned i = from; i < to; i++)
		add_message(f->sp, i % 10 == 9 ? 150000 : 3000, i);
}

/* How many messages are there, each whole. */
static unsigned
count_whole(struct fixture *f)
{
	struct message m;
	struct err e = ERR_INIT;
	uint64_t id = 0;
	unsigned n = 0;
	int rc;

	while ((rc = spool_next_message(f->sp, &id, &m, &e)) !=
	    ERR_NOT_FOUND) {
		bool good = rc == 0;

		if (good)
			good = body_is(f->sp, id, m.facts.octets,
			    (unsigned)(id - 1));
		n += good;
		message_release(&m);
	}
	return n;
}

static void
test_backup_restored(void **state)
{
	struct fixture *f = *state;
	struct buf old_id = BUF_INIT;
	struct err e = ERR_INIT;

	fill(f, 0, 20);
	buf_adds(&old_id, spool_id(f->sp));
	assert_int_equal(store_backup(spool_store(f->sp), f->backup, &e), 0);
	fill(f, 20, 30);
	assert_int_equal(count_whole(f), 30);
	close_spool(f);
	run("rm -rf", f->spool_dir, f->spool_dir);
	run("cp -a", f->backup, f->spool_dir);
	open_spool(f);
	assert_int_equal(count_whole(f), 20);
	assert_string_not_equal(spool_id(f->sp), buf_cstr(&old_id));
	buf_clear(&old_id);
	buf_adds(&old_id, spool_id(f->sp));
	close_spool(f);
	open_spool(f);
	assert_string_equal(spool_id(f->sp), buf_cstr(&old_id));
	buf_release(&old_id);
}

static unsigned
salvage(struct fixture *f, const char *backup, struct spool_report *r)
{
	struct err e = ERR_INIT;
	unsigned whole;

	if (spool_salvage(f->spool_dir, backup, clock_real(), rng_real(), r,
	    on_told, f, &e) < 0)
		fail_msg("salvage: %s", e.text);
	open_spool(f);
	whole = count_whole(f);
	return whole;
}

/* In a child, for Berkeley DB leaks what it gives up. */
static void
expect_damaged(struct fixture *f)
{
	struct spool *sp;
	struct err e = ERR_INIT;
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(try_open(f, f->spool_dir, &sp, &e) == ERR_CORRUPT &&
		    strstr(e.text, "postrider spool salvage") != NULL ?
		    0 : 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void
test_salvage_from_backup(void **state)
{
	struct fixture *f = *state;
	struct buf old_id = BUF_INIT;
	struct spool_report r;
	struct err e = ERR_INIT;
	uint64_t last;

	fill(f, 0, 100);
	buf_adds(&old_id, spool_id(f->sp));
	assert_int_equal(store_backup(spool_store(f->sp), f->backup, &e), 0);
	/* A second, over the first. */
	fill(f, 100, 150);
	assert_int_equal(store_backup(spool_store(f->sp), f->backup, &e), 0);
	fill(f, 150, 300);
	last = last_id(f->sp);
	close_spool(f);
	flip(f->spool_dir, "meta.db", 4096 + 100, 8);
	flip(f->spool_dir, "message.db", 4096, 26);
	expect_damaged(f);
	assert_int_equal(salvage(f, f->backup, &r), 300);
	assert_int_equal(r.messages, 300);
	assert_int_equal(r.damaged, 0);
	assert_string_not_equal(spool_id(f->sp), buf_cstr(&old_id));
	assert_true(add_message(f->sp, 10, 1) > last);
	expect_message(f->sp, last);
	buf_release(&old_id);
}

static void
test_salvage_by_reading(void **state)
{
	struct fixture *f = *state;
	struct spool_report r;
	char *command;
	unsigned whole;
	uint64_t last;

	fill(f, 0, 200);
	last = last_id(f->sp);
	close_spool(f);
	command = mem_printf("rm -f '%s'/log.*", f->spool_dir);
	assert_int_equal(system(command), 0);
	free(command);
	flip(f->spool_dir, "meta.db", 4096 + 100, 8);
	flip(f->spool_dir, "message.db", 20 * 4096, 26);
	flip(f->spool_dir, "message.db", 40 * 4096 + 2000, 8);
	flip(f->spool_dir, "body.db", 30 * 4096, 26);
	whole = salvage(f, NULL, &r);
	assert_in_range(whole, 150, 199);
	assert_true(r.damaged > 0);
	assert_true(f->told.len > 0);
	assert_true(add_message(f->sp, 10, 1) > last);
	command = mem_printf("test -f '%s'/damaged-*/message.db",
	    f->spool_dir);
	assert_int_equal(system(command), 0);
	free(command);
}

static void
test_upgrade(void **state)
{
	struct fixture *f = *state;
	struct err e = ERR_INIT;

	assert_int_equal(spool_upgrade(f->spool_dir, f->backup, &e),
	    ERR_STATE);
	close_spool(f);
	assert_int_equal(spool_upgrade(f->spool_dir, f->backup, &e), 0);
	assert_int_equal(spool_upgrade("/nonexistent", f->backup, &e),
	    ERR_NOT_FOUND);
	open_spool(f);
}

#define TEST(name) \
	cmocka_unit_test_setup_teardown(test_##name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(round_trip),
		TEST(import_leaves),
		cmocka_unit_test(test_envfile_errors),
		cmocka_unit_test(test_wayfile),
		TEST(flipped_content),
		TEST(backup_restored),
		TEST(salvage_from_backup),
		TEST(salvage_by_reading),
		TEST(upgrade),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
