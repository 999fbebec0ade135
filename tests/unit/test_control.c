/* SPDX-License-Identifier: ISC */
/*
 * The control socket over a real exchange with the spool in memory: requests
 * and what is in their answers, objects handed in, and what does not belong
 * there.
 */
#include "node/control.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"
#include "node/transit.h"
#include "spool/custody.h"

static const char conf_text[] =
    "site paris {\n"
    "	postmaster = postmaster@paris.example\n"
    "	spool = \"%s/spool\"\n	run = \"%s\"\n"
    "}\n"
    "delivery local {\n	domains = { paris.example }\n"
    "	to = \"maildir:%s/mail\"\n}\n"
    "peer london {\n	dialect = bsmtp\n	call = \"every 1h\"\n"
    "	transport = file\n"
    "	set = { \"drop=/nonexistent\", \"pickup=/nonexistent\" }\n"
    "	may-relay = yes\n}\n"
    "routes {\n	london.example = london\n}\n";

/* Two mails that leave again by the peer's own road, and are so in a queue. */
static const char object[] =
    "EHLO london\r\n"
    "MAIL FROM:<ann@london.example>\r\nRCPT TO:<bob@london.example>\r\n"
    "DATA\r\nSubject: 1\r\n\r\none\r\n.\r\n"
    "MAIL FROM:<cyd@london.example>\r\nRCPT TO:<dan@london.example>\r\n"
    "DATA\r\nSubject: 2\r\n\r\ntwo\r\n.\r\nQUIT\r\n";

struct fix {
	char dir[32];
	struct store_mem_disk *disk;
	struct daemon d;
	int fd;			/* a client's */
	struct buf got;
};

void
daemon_wake(struct daemon *d)
{
	(void)d;
}

int
daemon_reload(struct daemon *d, struct buf *report, struct err *e)
{
	(void)d;
	buf_adds(report, "x.conf:3: first\nx.conf:7: second\n");
	return err_set(e, ERR_CONFIG, "two faults");
}

void
daemon_stop(struct daemon *d)
{
	d->stopping = true;
}

bool
daemon_is_own(void *daemon, const struct sockaddr *addr, socklen_t len)
{
	(void)daemon;
	(void)addr;
	(void)len;
	return false;
}

static uint64_t
much(void *ctx)
{
	(void)ctx;
	return UINT64_MAX;
}

static void
told(void *ctx, const char *text)
{
	(void)ctx;
	print_message("%s\n", text);
}

static void
read_conf(struct fix *f)
{
	struct err e = ERR_INIT;
	char *text = mem_printf(conf_text, f->dir, f->dir, f->dir);
	char *path = path_join(f->dir, "conf");

	assert_int_equal(file_replace(f->dir, "conf", text, strlen(text),
	    0600, &e), 0);
	assert_int_equal(conf_load(path, told, NULL, &f->d.conf, &e), 0);
	unlink(path);
	free(path);
	free(text);
}

static void
dial(struct fix *f)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	if (f->fd != -1)
		close(f->fd);
	buf_clear(&f->got);
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/control", f->dir);
	f->fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(connect(f->fd, (const struct sockaddr *)&addr,
	    sizeof(addr)), 0);
	assert_int_equal(fcntl(f->fd, F_SETFL, O_NONBLOCK), 0);
}

static int
setup(void **state)
{
	struct fix *f = mem_alloc(1, sizeof(*f));
	struct spool_options opts = { .clock = clock_real(), .dir = "/",
	    .rng = rng_real(), .free_bytes = much };
	struct exchange_options xopts = { .clock = clock_real(),
	    .rng = rng_real() };
	struct store *store;
	struct err e = ERR_INIT;

	signal(SIGPIPE, SIG_IGN);
	memcpy(f->dir, "/tmp/test_control.XXXXXX", 25);
	assert_non_null(mkdtemp(f->dir));
	read_conf(f);
	f->disk = store_mem_disk_new();
	assert_int_equal(store_open_mem(f->disk, &store, &e), 0);
	assert_int_equal(spool_open(store, &opts, &f->d.spool, &e), 0);
	f->d.clock = clock_real();
	f->d.rng = rng_real();
	f->d.base = event_base_new();
	xopts.spool = f->d.spool;
	xopts.conf = f->d.conf;
	f->d.exchange = exchange_new(&xopts);
	assert_int_equal(exchange_start(f->d.exchange, &e), 0);
	f->d.control = control_new(&f->d, &e);
	assert_non_null(f->d.control);
	f->fd = -1;
	dial(f);
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fix *f = *state;

	close(f->fd);
	control_free(f->d.control);
	exchange_free(f->d.exchange);
	spool_close(f->d.spool);
	store_mem_disk_free(f->disk);
	event_base_free(f->d.base);
	conf_free(f->d.conf);
	buf_release(&f->got);
	/* nothing of ours is left in it */
	assert_int_equal(rmdir(f->dir), 0);
	free(f);
	return 0;
}

/* Everything that is heard until the line that ends an answer. */
static const char *
hear(struct fix *f)
{
	buf_clear(&f->got);
	for (int i = 0; i < 10000; i++) {
		const char *text = buf_cstr(&f->got);
		ssize_t n;

		if (strstr(text, "{\"end\"") != NULL ||
		    strstr(text, "{\"error\"") != NULL ||
		    strstr(text, "{\"ready\"") != NULL)
			return text;
		event_base_loop(f->d.base, EVLOOP_NONBLOCK);
		n = read(f->fd, buf_room(&f->got, 4096), 4096);
		buf_grown(&f->got, n > 0 ? (size_t)n : 0);
		assert_true(n > 0 || errno == EAGAIN);
	}
	fail_msg("no answer, but: %s", buf_cstr(&f->got));
	return "";
}

static const char *
ask(struct fix *f, const char *request)
{
	size_t len = strlen(request);

	assert_int_equal(write(f->fd, request, len), len);
	assert_int_equal(write(f->fd, "\n", 1), 1);
	return hear(f);
}

static void
expect(struct fix *f, const char *request, const char *says)
{
	const char *got = ask(f, request);

	if (strstr(got, says) == NULL)
		fail_msg("%s: wanted %s, got %s", request, says, got);
}

static void
hand_in(struct fix *f, const char *bytes, size_t len, const char *outcome)
{
	expect(f, "{\"cmd\":\"receive\",\"peer\":\"london\",\"name\":\"o\"}",
	    "{\"ready\":true}\n");
	for (size_t i = 0; i < len; i++) {
		char frame[5] = { 0, 0, 0, 1, bytes[i] };

		assert_int_equal(write(f->fd, frame, 5), 5);
		event_base_loop(f->d.base, EVLOOP_NONBLOCK);
	}
	assert_int_equal(write(f->fd, "\0\0\0", 4), 4);
	if (strstr(hear(f), outcome) == NULL)
		fail_msg("wanted %s, got %s", outcome, buf_cstr(&f->got));
}

static const struct {
	const char *request, *says;
} simple[] = {
	{ "garbage", "\"code\":\"syntax\"" },
	{ "[]", "\"cmd\\\" is missing\",\"code\":\"usage\"" },
	{ "{\"cmd\":7}", "\"code\":\"usage\"" },
	{ "{\"cmd\":\"bake\"}", "no such request: bake" },
	{ "{\"cmd\":\"status\"}", "{\"kind\":\"node\",\"site\":\"paris\"" },
	{ "{\"cmd\":\"status\"}", "{\"kind\":\"peer\",\"name\":\"london\"" },
	{ "{\"cmd\":\"list\"}", "{\"end\":true,\"count\":0,\"failed\":0}\n" },
	{ "{\"cmd\":\"show\"}", "\"code\":\"usage\"" },
	{ "{\"cmd\":\"show\",\"id\":\"99\"}", "\"code\":\"not-found\"" },
	{ "{\"cmd\":\"hold\"}", "give ids or all" },
	{ "{\"cmd\":\"hold\",\"ids\":[\"99\"]}", "\"failed\":1}" },
	{ "{\"cmd\":\"hold\",\"ids\":[1,null]}", "\"failed\":0}" },
	{ "{\"cmd\":\"hold\",\"ids\":[\"1\"],\"all\":true}",
	    "give ids or all" },
	{ "{\"cmd\":\"broken-list\"}", "{\"end\":true,\"count\":0}" },
	{ "{\"cmd\":\"broken-show\",\"ids\":[\"5\"]}",
	    "\"code\":\"not-found\"" },
	{ "{\"cmd\":\"broken-delete\"}", "\"code\":\"usage\"" },
	{ "{\"cmd\":\"broken-export\",\"ids\":[\"5\"]}",
	    "\"code\":\"not-found\"" },
	{ "{\"cmd\":\"bundles\"}", "{\"end\":true,\"count\":0}" },
	{ "{\"cmd\":\"flush\"}", "\"code\":\"usage\"" },
	{ "{\"cmd\":\"flush\",\"peer\":\"rome\"}", "\"code\":\"not-found\"" },
	{ "{\"cmd\":\"flush\",\"peer\":\"london\"}", "{\"end\":true}" },
	{ "{\"cmd\":\"route\",\"addresses\":[\"a@paris.example\"]}",
	    "\"decision\":\"local\",\"delivery\":\"local\"" },
	{ "{\"cmd\":\"route\",\"addresses\":[\"a@london.example\"]}",
	    "\"decision\":\"site\"" },
	{ "{\"cmd\":\"route\",\"addresses\":[\"a@b.example\", 4]}",
	    "\"decision\":\"none\"" },
	{ "{\"cmd\":\"route\"}", "{\"end\":true}" },
	{ "{\"cmd\":\"status\"}", "\"native\":{\"bundles_made\":0,"
	    "\"serials_repeated\":0," },
	{ "{\"cmd\":\"trace\"}", "\"code\":\"usage\"" },
	{ "{\"cmd\":\"trace\",\"id\":\"!\"}", "\"code\":\"usage\"" },
	{ "{\"cmd\":\"trace\",\"id\":\"99\"}",
	    "nothing is remembered of it: see the log\","
	    "\"code\":\"not-found\"" },
	{ "{\"cmd\":\"peer-test\"}", "\"code\":\"usage\"" },
	{ "{\"cmd\":\"peer-test\",\"site\":\"rome\"}",
	    "there is no card of rome" },
	{ "{\"cmd\":\"peer-test-status\",\"site\":\"rome\"}",
	    "\"code\":\"usage\"" },
	{ "{\"cmd\":\"peer-test-status\",\"site\":\"rome\",\"serial\":1}",
	    "\"code\":\"not-found\"" },
	{ "{\"cmd\":\"backup\",\"dir\":\"here\"}", "absolute path" },
	{ "{\"cmd\":\"reload\"}", "{\"kind\":\"told\",\"text\":\"x.conf:7: "
	    "second\"}\n{\"error\":\"the old configuration stays: two "
	    "faults\",\"code\":\"config\"}\n" },
	{ "{\"cmd\":\"receive\"}", "say with --peer" },
	{ "{\"cmd\":\"receive\",\"peer\":\"rome\"}",
	    "\"code\":\"not-found\"" },
};

static void
test_simple(void **state)
{
	struct fix *f = *state;

	for (size_t i = 0; i < sizeof(simple) / sizeof(simple[0]); i++)
		expect(f, simple[i].request, simple[i].says);
}

static void
test_mode(void **state)
{
	struct fix *f = *state;
	char *path = path_join(f->dir, "control");
	struct err e = ERR_INIT;
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0660);
	/* a second daemon on the same socket */
	assert_null(control_new(&f->d, &e));
	assert_int_equal(e.code, ERR_STATE);
	assert_int_equal(stat(path, &st), 0);
	free(path);
}

static void
test_queue(void **state)
{
	struct fix *f = *state;

	hand_in(f, object, sizeof(object) - 1,
	    "\"outcome\":\"done\",\"reason\":\"\",\"messages\":2}");
	expect(f, "{\"cmd\":\"list\"}", "\"count\":2,\"failed\":0}");
	expect(f, "{\"cmd\":\"trace\",\"id\":\"1\"}",
	    "{\"kind\":\"message\",\"id\":\"1\"");
	expect(f, "{\"cmd\":\"trace\",\"id\":\"1\"}",
	    "\"number\":0,\"waits\":\"for a call of london");
	expect(f, "{\"cmd\":\"list\",\"recipient\":\"dan@london.example\"}",
	    "\"count\":1,");
	expect(f, "{\"cmd\":\"list\",\"sender\":\"@LONDON.example\"}",
	    "\"count\":2,");
	expect(f, "{\"cmd\":\"list\",\"sender\":\"dan@london.example\"}",
	    "\"count\":0,");
	expect(f, "{\"cmd\":\"list\",\"peer\":\"london\"}", "\"count\":2,");
	expect(f, "{\"cmd\":\"list\",\"peer\":\"rome\"}", "\"count\":0,");
	expect(f, "{\"cmd\":\"list\",\"held\":true}", "\"count\":0,");
	expect(f, "{\"cmd\":\"hold\",\"all\":true,"
	    "\"recipient\":\"bob@london.example\"}", "\"count\":1,");
	expect(f, "{\"cmd\":\"list\",\"held\":true}", "\"state\":\"held\"");
	expect(f, "{\"cmd\":\"release\",\"all\":true,\"held\":true}",
	    "\"count\":1,");
	expect(f, "{\"cmd\":\"delete\",\"all\":true}",
	    "\"count\":2,\"failed\":0}");
	expect(f, "{\"cmd\":\"list\"}", "\"count\":0,");
}

/* Each hand-in is its own, though the octets are the same. */
static void
test_same_twice(void **state)
{
	struct fix *f = *state;

	hand_in(f, object, sizeof(object) - 1, "\"messages\":2}");
	hand_in(f, object, sizeof(object) - 1, "\"messages\":2}");
	expect(f, "{\"cmd\":\"list\"}", "\"count\":4,");
}

static void
test_broken(void **state)
{
	struct fix *f = *state;
	char request[100], id[20] = "";
	const char *at;

	hand_in(f, "garbage\n", 8, "\"outcome\":\"broken\",\"reason\":\"");
	at = strstr(ask(f, "{\"cmd\":\"broken-list\"}"), "\"id\":\"");
	assert_non_null(at);
	assert_int_equal(sscanf(at, "\"id\":\"%19[0-9a-z]", id), 1);
	snprintf(request, sizeof(request),
	    "{\"cmd\":\"broken-show\",\"ids\":[\"%s\"]}", id);
	expect(f, request, "\"name\":\"o\"");
	snprintf(request, sizeof(request),
	    "{\"cmd\":\"broken-export\",\"ids\":[\"%s\"]}", id);
	expect(f, request, "{\"ready\":true}\n");
	for (int i = 0; i < 20 && f->got.len < 15 + 4 + 8 + 4; i++) {
		ssize_t n;

		event_base_loop(f->d.base, EVLOOP_NONBLOCK);
		n = read(f->fd, buf_room(&f->got, 4096), 4096);
		buf_grown(&f->got, n > 0 ? (size_t)n : 0);
	}
	assert_int_equal(f->got.len, 15 + 4 + 8 + 4);
	assert_memory_equal(f->got.ptr + 15, "\0\0\0\10garbage\n\0\0\0", 16);
	snprintf(request, sizeof(request),
	    "{\"cmd\":\"broken-delete\",\"ids\":[\"%s\"]}", id);
	expect(f, request, "{\"end\":true,\"count\":1}");
	expect(f, "{\"cmd\":\"broken-list\"}", "\"count\":0}");
}

static void
test_frame_too_long(void **state)
{
	struct fix *f = *state;

	expect(f, "{\"cmd\":\"receive\",\"peer\":\"london\"}", "ready");
	assert_int_equal(write(f->fd, "\0\020\0\1", 4), 4);
	assert_non_null(strstr(hear(f), "\"code\":\"limit\""));
}

/* A client that goes in the middle leaves no file: teardown looks. */
static void
test_hang_up(void **state)
{
	struct fix *f = *state;

	expect(f, "{\"cmd\":\"receive\",\"peer\":\"london\"}", "ready");
	assert_int_equal(write(f->fd, "\0\0\0\5ab", 6), 6);
	event_base_loop(f->d.base, EVLOOP_NONBLOCK);
	dial(f);
	expect(f, "{\"cmd\":\"status\"}", "\"site\"");
}

static void
test_long_line(void **state)
{
	struct fix *f = *state;
	char spaces[4096];
	ssize_t n = 0;

	memset(spaces, ' ', sizeof(spaces));
	for (int i = 0; i < 70 && n >= 0; i++) {
		n = write(f->fd, spaces, sizeof(spaces));
		event_base_loop(f->d.base, EVLOOP_NONBLOCK);
	}
	assert_non_null(strstr(hear(f), "at most 262144 octets"));
}

static void
test_stop(void **state)
{
	struct fix *f = *state;

	expect(f, "{\"cmd\":\"stop\"}", "{\"end\":true}");
	assert_true(f->d.stopping);
	dial(f);
	expect(f, "{\"cmd\":\"submit\"}", "is stopping");
	expect(f, "{\"cmd\":\"receive\",\"peer\":\"london\"}",
	    "\"code\":\"full\"");
}

/* Two bundles without a road, and a serial that a neighbour has. */
static void
test_bundles(void **state)
{
	static const struct transit_new n = { .destination = "oslo",
		.priority = -2, .lifetime_secs = 3600, .serial = 9 };
	struct fix *f = *state;
	struct serial_out s = { .epoch = 1, .serial = 8, .bundle = 77,
		.status = SERIAL_UNDERWAY };
	char site[] = "rome";
	struct transit_draft *d;
	struct spool_unit *u;
	struct err e = ERR_INIT;
	unsigned char name[TRANSIT_NAME_LEN];
	uint64_t id;

	s.site = site;
	assert_int_equal(transit_begin(f->d.exchange, &n, &d, &e), 0);
	assert_int_equal(transit_add(d, "abc", 3, &e), 0);
	assert_int_equal(spool_begin(f->d.spool, &u, &e), 0);
	assert_int_equal(transit_end(d, u, &id, name, &e), 0);
	assert_int_equal(spool_put_serial_out(u, &s, &e), 0);
	assert_int_equal(spool_commit(u, true, &e), 0);
	transit_ended(d, true);
	/* SHA-256 of "abc", FIPS 180-4. */
	expect(f, "{\"cmd\":\"bundles\"}", "{\"kind\":\"bundle\",\"id\":"
	    "\"ba7816bf8f01cfea414140de5dae2223\",\"state\":\"leaving\","
	    "\"destination\":\"oslo\",\"peer\":null,\"from\":null,"
	    "\"where\":\"here: no road leads on\",\"octets\":3,"
	    "\"sent_octets\":0,\"acknowledged_octets\":0,\"priority\":-2,"
	    "\"age_secs\":0,\"left_secs\":3600,\"serial\":9}\n");
	expect(f, "{\"cmd\":\"bundles\"}", "\"state\":\"beyond\","
	    "\"destination\":\"rome\",\"peer\":null,\"from\":null,"
	    "\"where\":\"handed over to the next site\"");
	expect(f, "{\"cmd\":\"bundles\"}", "{\"end\":true,\"count\":2}");
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_simple),
		TEST(test_mode),
		TEST(test_queue),
		TEST(test_bundles),
		TEST(test_same_twice),
		TEST(test_broken),
		TEST(test_frame_too_long),
		TEST(test_hang_up),
		TEST(test_long_line),
		TEST(test_stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
