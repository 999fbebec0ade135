/* SPDX-License-Identifier: ISC */
/*
 * What a spool keeps when the program dies, the power goes or the disk fails
 * at any write: whatever was acknowledged.  The faults come from below
 * Berkeley DB, by its own hooks, in a child of their own.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
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
#include <db.h>

#include "base/mem.h"
#include "spool/spool.h"
#include "tests/unit/spool_world.h"

struct fixture {
	char dir[64];
	struct spool *sp;
};

static int
open_spool(struct fixture *f, struct err *e)
{
	struct store_options opts = sw_small_store(f->dir);
	struct spool_options sopts = { .clock = clock_real(),
	    .rng = rng_real(), .dir = f->dir };
	struct store *store;
	int rc = store_open_bdb(&opts, &store, e);

	return rc < 0 ? rc : spool_open(store, &sopts, &f->sp, e);
}

static void
reopen(struct fixture *f)
{
	struct err e = ERR_INIT;

	spool_close(f->sp);
	f->sp = NULL;
	if (open_spool(f, &e) < 0)
		fail_msg("open: %s", e.text);
}

static int
setup(void **state)
{
	struct fixture *f = mem_alloc(1, sizeof(*f));

	snprintf(f->dir, sizeof(f->dir), "/tmp/test_fault.XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	reopen(f);
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;
	char *command = mem_printf("rm -rf '%s'", f->dir);

	spool_close(f->sp);
	assert_int_equal(system(command), 0);
	free(command);
	free(f);
	return 0;
}

/* Content that can be told from its seed. */
static void
make_content(struct buf *b, size_t len, unsigned seed)
{
	buf_clear(b);
	buf_addf(b, "Received: by %u\r\n\r\n", seed);
	while (b->len < len)
		buf_addc(b, (char)('a' + (b->len * 31 + seed) % 26));
	buf_truncate(b, len);
}

static void
expect_whole(struct spool *sp, uint64_t id, size_t len, unsigned seed)
{
	struct buf want = BUF_INIT, got = BUF_INIT;
	struct spool_body *b;
	struct message m;
	struct err e = ERR_INIT;
	int rc;

	assert_int_equal(spool_get_message(sp, id, &m, &e), 0);
	assert_string_equal(m.env.sender, "s@example.org");
	assert_int_equal(m.facts.octets, len);
	message_release(&m);
	make_content(&want, len, seed);
	assert_int_equal(spool_body_open(sp, id, &b, &e), 0);
	while ((rc = spool_body_read(b, &got, &e)) == 1)
		continue;
	assert_int_equal(rc, 0);
	spool_body_close(b);
	assert_true(slice_eq(buf_slice(&want), buf_slice(&got)));
	buf_release(&want);
	buf_release(&got);
}

static void
fill_message(struct message *m)
{
	message_init(m);
	m->env.sender = mem_strdup("s@example.org");
	envelope_add_recipient(&m->env, "a@example.org", NULL, NULL);
}

enum fault { FAULT_EIO, FAULT_ENOSPC, FAULT_KILL, FAULT_POWER };

struct undo {
	char path[128];
	off_t at, size;
	struct buf old;
};

static struct {
	enum fault kind;
	long left;		/* writes until it happens; 0: not armed */
	bool down;
	struct undo undo[20000];
	size_t nundo;
} faults;

static void
path_of(int fd, char *path, size_t size)
{
	char link[64];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, size - 1);
	path[n > 0 ? n : 0] = '\0';
}

/* What the write will cover, to be put back where no flush follows. */
static void
remember(int fd, size_t len, off_t at)
{
	struct undo *u = &faults.undo[faults.nundo++];
	struct stat st;
	ssize_t n;

	if (faults.nundo == sizeof(faults.undo) / sizeof(faults.undo[0]))
		_exit(9);
	path_of(fd, u->path, sizeof(u->path));
	u->at = at;
	u->size = fstat(fd, &st) == 0 ? st.st_size : 0;
	buf_init(&u->old);
	n = pread(fd, buf_room(&u->old, len), len, at);
	buf_grown(&u->old, n > 0 ? (size_t)n : 0);
}

static void
cut_power(void)
{
	while (faults.nundo > 0) {
		struct undo *u = &faults.undo[--faults.nundo];
		int fd = open(u->path, O_WRONLY);

		if (fd < 0)
			continue;
		if (pwrite(fd, u->old.ptr, u->old.len, u->at) < 0 ||
		    ftruncate(fd, u->size) < 0)
			_exit(9);
		close(fd);
	}
	_exit(0);
}

/* Before a write: true if it must fail. */
static bool
fault_due(int fd, const void *bytes, size_t len)
{
	if (faults.down)
		return true;
	if (faults.left == 0 || --faults.left > 0)
		return false;
	if (faults.kind == FAULT_POWER)
		cut_power();
	if (faults.kind == FAULT_KILL) {
		/* A kill leaves a part of a write, of whole pages. */
		ssize_t n = write(fd, bytes, len / 8192 * 4096);

		(void)n;
		raise(SIGKILL);
	}
	faults.down = true;
	return true;
}

static ssize_t
refuse(void)
{
	errno = faults.kind == FAULT_EIO ? EIO : ENOSPC;
	return -1;
}

static ssize_t
hook_write(int fd, const void *bytes, size_t len)
{
	if (fault_due(fd, bytes, len))
		return refuse();
	if (faults.kind == FAULT_POWER)
		remember(fd, len, lseek(fd, 0, SEEK_CUR));
	return write(fd, bytes, len);
}

static ssize_t
hook_pwrite(int fd, const void *bytes, size_t len, off_t at)
{
	if (fault_due(fd, bytes, 0))
		return refuse();
	if (faults.kind == FAULT_POWER)
		remember(fd, len, at);
	return pwrite(fd, bytes, len, at);
}

static int
hook_fsync(int fd)
{
	char path[128];
	size_t kept = 0;

	if (fault_due(fd, "", 0))
		return (int)refuse();
	path_of(fd, path, sizeof(path));
	for (size_t i = 0; i < faults.nundo; i++) {
		if (strcmp(faults.undo[i].path, path) == 0)
			buf_release(&faults.undo[i].old);
		else
			faults.undo[kept++] = faults.undo[i];
	}
	faults.nundo = kept;
	return 0;
}

struct accepted {
	uint64_t id;
	uint64_t len;
	unsigned seed;
};

/* Takes mail until something breaks; says what it has acknowledged. */
static void
take_mail(struct fixture *f, int out)
{
	static const size_t lens[] = { 500, 4096, 30000, 150000 };
	struct spool_unit *u;
	struct message m;
	struct err e = ERR_INIT;

	for (unsigned i = 0; i < 400; i++) {
		struct accepted a = { 0, lens[i % 4], i };
		struct spool_draft *d = spool_draft_new(f->sp);
		struct buf b = BUF_INIT;
		int rc;

		make_content(&b, a.len, i);
		fill_message(&m);
		rc = spool_draft_add(d, b.ptr, b.len, &e);
		if (rc == 0)
			rc = spool_draft_end(d, &e);
		if (rc == 0)
			rc = spool_begin(f->sp, &u, &e);
		if (rc == 0) {
			rc = spool_add_message(u, d, &m, &e);
			if (rc == 0)
				rc = spool_commit(u, true, &e);
			else
				spool_abort(u);
		}
		a.id = m.id;
		if (rc == 0 && write(out, &a, sizeof(a)) != sizeof(a))
			_exit(8);
		if (rc == 0)
			rc = spool_maintain(f->sp, &e);
		if (rc < 0)
			_exit(e.text[0] != '\0' ? 1 : 7);
		spool_draft_free(d);
		message_release(&m);
		buf_release(&b);
	}
	_exit(2);
}

static int
run_faulty(struct fixture *f, enum fault kind, long at, int out)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		struct err e = ERR_INIT;

		faults.kind = kind;
		db_env_set_func_write(hook_write);
		db_env_set_func_pwrite(hook_pwrite);
		db_env_set_func_fsync(hook_fsync);
		if (open_spool(f, &e) < 0)
			_exit(6);
		faults.left = at;
		take_mail(f, out);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void
test_fault(struct fixture *f, enum fault kind, long at)
{
	struct accepted a;
	int pipes[2], status;

	spool_close(f->sp);
	f->sp = NULL;
	/* A pipe holds what some thousand messages have to say. */
	assert_int_equal(pipe(pipes), 0);
	status = run_faulty(f, kind, at, pipes[1]);
	close(pipes[1]);
	if (kind == FAULT_KILL)
		assert_true(WIFSIGNALED(status));
	else if (kind == FAULT_POWER)
		assert_int_equal(status, 0);
	else
		assert_int_equal(WEXITSTATUS(status), 1);
	reopen(f);
	while (read(pipes[0], &a, sizeof(a)) == sizeof(a)) {
		expect_whole(f->sp, a.id, a.len, a.seed);
	}
	close(pipes[0]);
}

static void
test_write_fails(void **state)
{
	for (long at = 1; at <= 40; at += 3) {
		test_fault(*state, FAULT_EIO, at);
		test_fault(*state, FAULT_ENOSPC, at * 7);
	}
}

static void
test_killed(void **state)
{
	for (long at = 1; at <= 400; at += at < 20 ? 3 : 37)
		test_fault(*state, FAULT_KILL, at);
}

static void
test_power_cut(void **state)
{
	for (long at = 1; at <= 400; at += at < 20 ? 3 : 41)
		test_fault(*state, FAULT_POWER, at);
}

#define TEST(name) \
	cmocka_unit_test_setup_teardown(test_##name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(write_fails),
		TEST(killed),
		TEST(power_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
