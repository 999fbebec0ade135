/* SPDX-License-Identifier: ISC */
/* postrider init: what it writes is loaded, and faults leave nothing. */
#include "node/cmd_init.h"

#include "base/file.h"
#include "base/mem.h"
#include "node/conf.h"
#include "node/keys.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include <cmocka.h>

#define ARGS_MAX 24

struct place {
	char dir[32];
	char *node, *file, *spool, *run, *keys, *maildir;
};

static int
setup(void **state)
{
	struct place *p = mem_alloc(1, sizeof(*p));

	memcpy(p->dir, "/tmp/test_init.XXXXXX", 22);
	if (mkdtemp(p->dir) == NULL)
		return -1;
	p->node = path_join(p->dir, "node");
	p->file = path_join(p->node, "postrider.conf");
	p->spool = path_join(p->node, "spool");
	p->run = path_join(p->node, "run");
	p->keys = path_join(p->node, "keys");
	p->maildir = mem_printf("maildir:%s/mail", p->dir);
	*state = p;
	return 0;
}

static int
teardown(void **state)
{
	struct place *p = *state;
	struct keyfiles *keys;

	(void)unlink(p->file);
	(void)rmdir(p->spool);
	(void)rmdir(p->run);
	if (keyfiles_open(p->keys, KEYFILES_WRITE, &keys, NULL) == 0) {
		assert_int_equal(keyfiles_erase(keys, NULL), 0);
		keyfiles_close(keys);
	}
	(void)rmdir(p->keys);
	(void)rmdir(p->node);
	(void)rmdir(p->dir);
	free(p->node);
	free(p->file);
	free(p->spool);
	free(p->run);
	free(p->keys);
	free(p->maildir);
	free(p);
	return 0;
}

/* init --dir NODE and these, up to NULL. */
static int __attribute__((sentinel))
init(const struct place *p, ...)
{
	char *args[ARGS_MAX] = { mem_strdup("init"), mem_strdup("--dir"),
		mem_strdup(p->node) };
	const char *text;
	int n = 3, i, status;
	va_list ap;

	va_start(ap, p);
	while ((text = va_arg(ap, const char *)) != NULL && n < ARGS_MAX - 1)
		args[n++] = mem_strdup(text);
	va_end(ap);
	/* getopt may put them in another order: a copy is freed. */
	{
		char *given[ARGS_MAX];

		memcpy(given, args, sizeof(given));
		status = cmd_init(n, given);
	}
	for (i = 0; i < n; i++)
		free(args[i]);
	return status;
}

static struct conf *
load(const struct place *p)
{
	struct conf *conf = NULL;
	struct err e = ERR_INIT;

	if (conf_load(p->file, NULL, NULL, &conf, &e) < 0)
		fail_msg("%s", e.text);
	return conf;
}

static struct fingerprint
fingerprint(const struct conf *conf)
{
	struct fingerprint f;
	struct keys *keys;

	assert_int_equal(keys_open(conf, KEYFILES_READ, clock_real(),
	    rng_real(), &keys, NULL), 0);
	f = keyring_fingerprint(keys->ring);
	keys_close(keys);
	return f;
}

static void
test_written(void **state)
{
	struct place *p = *state;
	struct conf *c;
	struct stat st;

	assert_int_equal(init(p, "--site", "paris", "--domain",
	    "paris.example", "two.example", "--deliver", p->maildir, "--user",
	    "ann", "--user", "bob", "--listen", "127.0.0.1:2599", NULL), 0);
	c = load(p);
	assert_string_equal(c->site, "paris");
	assert_string_equal(c->postmaster, "postmaster@paris.example");
	assert_string_equal(c->spool_dir, p->spool);
	assert_string_equal(c->run_dir, p->run);
	assert_int_equal(c->nlisteners, 1);
	assert_string_equal(c->listener[0].address, "127.0.0.1:2599");
	assert_int_equal(c->delivery[0].domains.n, 2);
	assert_int_equal(c->delivery[0].users.n, 2);
	assert_string_equal(c->delivery[0].users.item[1], "bob");
	assert_string_equal(c->keys_dir, p->keys);
	assert_int_equal(strlen(fingerprint(c).text), FINGERPRINT_LEN);
	conf_free(c);
	assert_int_equal(stat(p->keys, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	assert_int_equal(stat(p->spool, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	assert_int_equal(stat(p->run, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0750);
}

static void
test_kept(void **state)
{
	struct place *p = *state;
	struct fingerprint before;
	struct conf *c;

	assert_int_equal(init(p, "--site", "a", "--domain", "a.example",
	    "--deliver", "smtp:127.0.0.1:25", NULL), 0);
	assert_int_equal(init(p, "--site", "b", "--domain", "b.example",
	    "--deliver", p->maildir, NULL), EX_CANTCREAT);
	/* A bad value does not cost what was there. */
	assert_int_equal(init(p, "--force", "--site", "b", "--domain",
	    "b..example", "--deliver", p->maildir, NULL), EX_USAGE);
	c = load(p);
	assert_string_equal(c->site, "a");
	assert_string_equal(c->delivery[0].target, "127.0.0.1:25");
	before = fingerprint(c);
	conf_free(c);
	/* Nor do keys of another site go. */
	assert_int_equal(init(p, "--force", "--site", "b", "--domain",
	    "b.example", "--deliver", p->maildir, NULL), EX_CANTCREAT);
	assert_int_equal(init(p, "--force", "--site", "a", "--domain",
	    "b.example", "--deliver", p->maildir, "--postmaster",
	    "root@b.example", NULL), 0);
	c = load(p);
	assert_string_equal(c->postmaster, "root@b.example");
	assert_string_equal(fingerprint(c).text, before.text);
	conf_free(c);
}

static void
test_usage(void **state)
{
	struct place *p = *state;

	assert_int_equal(init(p, NULL), EX_USAGE);
	assert_int_equal(init(p, "--site", "a", "--domain", "a.example", NULL),
	    EX_USAGE);
	assert_int_equal(init(p, "stray", "--site", "a", "--domain",
	    "a.example", "--deliver", p->maildir, NULL), EX_USAGE);
	assert_int_equal(init(p, "--site", "a", "--site", "b", "--domain",
	    "a.example", "--deliver", p->maildir, NULL), EX_USAGE);
	assert_int_equal(init(p, "--site", "a", "--domain", "a.example",
	    "--deliver", "/mail", NULL), EX_USAGE);
	assert_int_equal(init(p, "--site", "a\" {", "--domain", "a.example",
	    "--deliver", p->maildir, NULL), EX_USAGE);
	assert_int_equal(init(p, "--nonsense", NULL), EX_USAGE);
	assert_int_equal(access(p->file, F_OK), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_written, setup, teardown),
		cmocka_unit_test_setup_teardown(test_kept, setup, teardown),
		cmocka_unit_test_setup_teardown(test_usage, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
