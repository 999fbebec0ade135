/* SPDX-License-Identifier: ISC */
/*
 * Keys as files: what is refused and how it is told, and that nothing but
 * zeros is left behind of what is destroyed.
 */
#include "node/keyfiles.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/secret.h"

struct place {
	char top[32];
	char *dir;
};

static int
setup(void **state)
{
	struct place *p = mem_alloc(1, sizeof(*p));

	memcpy(p->top, "/tmp/test_keys.XXXXXX", 22);
	if (mkdtemp(p->top) == NULL)
		return -1;
	p->dir = path_join(p->top, "keys");
	*state = p;
	return 0;
}

static int
teardown(void **state)
{
	struct place *p = *state;
	char *command = mem_printf("rm -r %s", p->top);
	int rc = system(command);

	free(command);
	free(p->dir);
	free(p);
	return rc;
}

static const struct keyring_policy policy = { 90 * 86400, 86400, 86400 };

static struct keyring *
new_ring(struct keyfiles *f)
{
	return keyring_new("paris", &policy, clock_real(), rng_real(),
	    keyfiles_store(), f);
}

/* A directory with the keys of a site, closed again. */
static struct fingerprint
make_keys(struct place *p)
{
	struct fingerprint f;
	struct keyfiles *files;
	struct keyring *k;

	assert_int_equal(keyfiles_open(p->dir, KEYFILES_MAKE, &files, NULL),
	    0);
	k = new_ring(files);
	assert_int_equal(keyring_make(k, NULL), 0);
	assert_int_equal(keyring_start(k, NULL), 0);
	f = keyring_fingerprint(k);
	keyring_free(k);
	keyfiles_close(files);
	return f;
}

/* Opens and loads; the first error. */
static int
load(struct place *p, enum keyfiles_how how, size_t *n_out, struct err *e)
{
	struct keyfiles *files;
	struct keyring *k;
	int rc = keyfiles_open(p->dir, how, &files, e);

	*n_out = 0;
	if (rc != 0)
		return rc;
	k = new_ring(files);
	rc = keyfiles_load(files, k, n_out, e);
	keyring_free(k);
	keyfiles_close(files);
	return rc;
}

static void
test_made_and_loaded(void **state)
{
	struct place *p = *state;
	struct fingerprint before = make_keys(p);
	char *identity = path_join(p->dir, "identity");
	struct err e = ERR_INIT;
	struct keyfiles *files;
	struct keyring *k;
	struct stat st;
	size_t n;

	assert_int_equal(stat(p->dir, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(stat(identity, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(keyfiles_open(p->dir, KEYFILES_WRITE, &files, &e),
	    0);
	k = new_ring(files);
	assert_int_equal(keyfiles_load(files, k, &n, &e), 0);
	assert_int_equal(n, 4);
	assert_int_equal(keyring_start(k, &e), 0);
	assert_string_equal(keyring_fingerprint(k).text, before.text);
	keyring_free(k);
	keyfiles_close(files);
	free(identity);
}

static void
test_locked(void **state)
{
	struct place *p = *state;
	struct keyfiles *one, *other;
	struct err e = ERR_INIT;
	size_t n;

	assert_int_equal(keyfiles_open(p->dir, KEYFILES_WRITE, &one, &e),
	    ERR_NOT_FOUND);
	assert_int_equal(keyfiles_open(p->dir, KEYFILES_READ, &one, &e),
	    ERR_NOT_FOUND);
	make_keys(p);
	assert_int_equal(keyfiles_open(p->dir, KEYFILES_WRITE, &one, &e), 0);
	assert_int_equal(keyfiles_open(p->dir, KEYFILES_WRITE, &other, &e),
	    ERR_STATE);
	assert_non_null(strstr(e.text, "in use"));
	/* looking does no harm, and cannot do any */
	assert_int_equal(load(p, KEYFILES_READ, &n, &e), 0);
	assert_int_equal(keyfiles_open(p->dir, KEYFILES_READ, &other, &e), 0);
	assert_int_equal(keyfiles_store()->put(other, "auth",
	    SLICE_LIT("x"), &e), ERR_STATE);
	assert_int_equal(keyfiles_erase(other, &e), ERR_STATE);
	keyfiles_close(other);
	keyfiles_close(one);
	assert_int_equal(load(p, KEYFILES_WRITE, &n, &e), 0);
	assert_int_equal(n, 4);
}

/* Each mode that lets others in; the error names file, mode and remedy. */
static void
test_modes(void **state)
{
	static const mode_t bad[] = { 0640, 0604, 0620, 0602, 0610, 0601,
		0644, 0666, 0777 };
	struct place *p = *state;
	char *names[] = { path_join(p->dir, "identity"),
		path_join(p->dir, "auth"), mem_strdup(p->dir) };
	struct err e = ERR_INIT;
	char mode[8];
	size_t n;

	make_keys(p);
	for (size_t f = 0; f < 3; f++) {
		mode_t add = f == 2 ? 0100 : 0;

		for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
			assert_int_equal(chmod(names[f], bad[i] | add), 0);
			assert_int_equal(load(p, KEYFILES_WRITE, &n, &e),
			    ERR_DENIED);
			assert_int_equal(load(p, KEYFILES_READ, &n, &e),
			    ERR_DENIED);
			snprintf(mode, sizeof(mode), "%04o",
			    (unsigned)(bad[i] | add));
			assert_non_null(strstr(e.text, names[f]));
			assert_non_null(strstr(e.text, mode));
			assert_non_null(strstr(e.text,
			    f == 2 ? "chmod 0700" : "chmod 0600"));
		}
		assert_int_equal(chmod(names[f], 0600 | add), 0);
		assert_int_equal(load(p, KEYFILES_WRITE, &n, &e), 0);
		free(names[f]);
	}
}

static void
test_owner(void **state)
{
	struct place *p = *state;
	char *auth = path_join(p->dir, "auth");
	struct err e = ERR_INIT;
	size_t n;

	if (geteuid() != 0) {
		free(auth);
		skip();
	}
	make_keys(p);
	assert_int_equal(chown(auth, 12345, (gid_t)-1), 0);
	assert_int_equal(load(p, KEYFILES_WRITE, &n, &e), ERR_DENIED);
	assert_non_null(strstr(e.text, auth));
	assert_non_null(strstr(e.text, "12345"));
	/* root may look at what is another's */
	assert_int_equal(load(p, KEYFILES_READ, &n, &e), 0);
	assert_int_equal(chown(auth, 0, (gid_t)-1), 0);
	assert_int_equal(chown(p->dir, 12345, (gid_t)-1), 0);
	assert_int_equal(load(p, KEYFILES_WRITE, &n, &e), ERR_DENIED);
	assert_non_null(strstr(e.text, "chown"));
	assert_int_equal(chown(p->dir, 0, (gid_t)-1), 0);
	free(auth);
}

static void
test_no_files(void **state)
{
	struct place *p = *state;
	char *auth = path_join(p->dir, "auth");
	char *away = path_join(p->top, "auth");
	struct err e = ERR_INIT;
	size_t n;

	make_keys(p);
	assert_int_equal(rename(auth, away), 0);
	assert_int_equal(symlink(away, auth), 0);
	assert_int_equal(load(p, KEYFILES_WRITE, &n, &e), ERR_DENIED);
	assert_non_null(strstr(e.text, "symbolic link"));
	assert_int_equal(unlink(auth), 0);
	assert_int_equal(mkdir(auth, 0700), 0);
	assert_int_equal(load(p, KEYFILES_WRITE, &n, &e), ERR_DENIED);
	assert_int_equal(rmdir(auth), 0);
	assert_int_equal(mkfifo(auth, 0600), 0);
	assert_int_equal(load(p, KEYFILES_WRITE, &n, &e), ERR_DENIED);
	assert_int_equal(unlink(auth), 0);
	assert_int_equal(truncate(away, 5000), 0);
	assert_int_equal(rename(away, auth), 0);
	assert_int_equal(load(p, KEYFILES_WRITE, &n, &e), ERR_LIMIT);
	assert_int_equal(truncate(auth, 20), 0);
	assert_int_equal(load(p, KEYFILES_WRITE, &n, &e), ERR_SYNTAX);
	assert_non_null(strstr(e.text, auth));
	free(auth);
	free(away);
}

/* Files of others are left alone, those that a crash left are destroyed. */
static void
test_strangers(void **state)
{
	struct place *p = *state;
	char *readme = path_join(p->dir, "README");
	char *half = path_join(p->dir, ".receive-AQIDBAUGBwg.tmp");
	struct err e = ERR_INIT;
	size_t n;

	make_keys(p);
	assert_int_equal(file_replace(p->dir, "README", "x", 1, 0644, &e), 0);
	assert_int_equal(file_replace(p->dir, path_base(half), "x", 1, 0600,
	    &e), 0);
	assert_int_equal(load(p, KEYFILES_READ, &n, &e), 0);
	assert_int_equal(access(half, F_OK), 0);
	assert_int_equal(load(p, KEYFILES_WRITE, &n, &e), 0);
	assert_int_equal(n, 4);
	assert_int_equal(access(half, F_OK), -1);
	assert_int_equal(access(readme, F_OK), 0);
	free(readme);
	free(half);
}

/* What is held open still, shows what became of the octets. */
static void
test_destroyed(void **state)
{
	struct place *p = *state;
	char *identity = path_join(p->dir, "identity");
	struct keyfiles *files;
	struct err e = ERR_INIT;
	char octets[4096];
	ssize_t len;
	size_t n;
	int fd;

	make_keys(p);
	fd = open(identity, O_RDONLY);
	assert_true(fd >= 0);
	assert_int_equal(keyfiles_open(p->dir, KEYFILES_WRITE, &files, &e),
	    0);
	assert_int_equal(keyfiles_erase(files, &e), 0);
	keyfiles_close(files);
	len = read(fd, octets, sizeof(octets));
	assert_in_range(len, 100, 200);
	assert_true(secret_is_zero(octets, (size_t)len));
	close(fd);
	assert_int_equal(load(p, KEYFILES_WRITE, &n, &e), 0);
	assert_int_equal(n, 0);
	free(identity);
}

/* But for its last character the text of a key of zeros. */
#define ZEROS "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

static void
test_psk(void **state)
{
	static const char *const bad[] = {
		"", "\n", "postrider-psk 1 ", "postrider-psk 1 AAAA\n",
		"postrider-psk 2 " ZEROS "A\n",
		"postrider-psk 1 " ZEROS "A=\n",
		"postrider-psk 1 " ZEROS "B\n",
		"postrider-psk 1 " ZEROS "A\n\n",
		" postrider-psk 1 " ZEROS "A",
	};
	static const char good[] = "postrider-psk 1 " ZEROS "A\n";
	struct place *p = *state;
	char *path = path_join(p->top, "oslo.psk");
	unsigned char one[32], two[32], zero[32] = { 0 };
	struct err e = ERR_INIT;
	struct stat st;

	assert_int_equal(keyfiles_make_psk(path, rng_real(), (uid_t)-1,
	    (gid_t)-1, &e), 0);
	assert_int_equal(keyfiles_make_psk(path, rng_real(), (uid_t)-1,
	    (gid_t)-1, &e), ERR_EXISTS);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(keyfiles_read_psk(path, one, &e), 0);
	assert_int_equal(keyfiles_read_psk(path, two, &e), 0);
	assert_memory_equal(one, two, 32);
	assert_false(secret_is_zero(one, 32));
	assert_int_equal(chmod(path, 0644), 0);
	assert_int_equal(keyfiles_read_psk(path, two, &e), ERR_DENIED);
	assert_non_null(strstr(e.text, "0644"));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(file_replace(p->top, "oslo.psk", bad[i],
		    strlen(bad[i]), 0600, &e), 0);
		assert_int_equal(keyfiles_read_psk(path, two, &e),
		    ERR_SYNTAX);
	}
	/* with and without the line's end */
	for (size_t end = 0; end < 2; end++) {
		assert_int_equal(file_replace(p->top, "oslo.psk", good,
		    strlen(good) - end, 0600, &e), 0);
		assert_int_equal(keyfiles_read_psk(path, two, &e), 0);
		assert_memory_equal(two, zero, 32);
	}
	assert_int_equal(unlink(path), 0);
	assert_int_equal(keyfiles_read_psk(path, two, &e), ERR_NOT_FOUND);
	free(path);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_made_and_loaded, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(test_locked, setup, teardown),
		cmocka_unit_test_setup_teardown(test_modes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_owner, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_files, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(test_strangers, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(test_destroyed, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(test_psk, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
