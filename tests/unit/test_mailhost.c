/* SPDX-License-Identifier: ISC */
/* The settings of the transport mail: what it takes and what it refuses, files
 * with secrets, replies without them, and what is remembered of a mailbox. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/file.h"
#include "base/secret.h"
#include "base/text.h"
#include "transports/mailer_settings.h"
#include "transports/scrub.h"
#include "transports/seen.h"
#include "transports/settings.h"

#define MAX_SET 8

static char dir[64];

static int
set_up(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/postrider-mailhost-XXXXXX");
	return mkdtemp(dir) == NULL;
}

static int
tear_down(void **state)
{
	char command[100];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command);
}

static char *
put(const char *name, const char *text, mode_t mode)
{
	char *path = path_join(dir, name);
	struct err e = ERR_INIT;

	assert_int_equal(file_replace(dir, name, text, strlen(text), mode,
	    &e), 0);
	assert_int_equal(chmod(path, mode), 0);
	return path;
}

#define SMTPS "submit=smtps://mail.example.com"
#define IMAPS "fetch=imaps://mail.example.com/INBOX"
#define LOGIN "user=a", "password-file=/p"

static const struct {
	const char *set[MAX_SET];
	const char *error;	/* NULL: it is good */
} settings[] = {
	{ { NULL }, NULL },
	{ { "server=127.0.0.1:25" }, NULL },
	{ { SMTPS, LOGIN }, NULL },
	{ { SMTPS }, NULL },
	{ { "submit=smtp://mail.example.com:2525", LOGIN }, NULL },
	{ { "submit=smtp://[::1]", LOGIN, "tls=no" }, NULL },
	{ { "submit=smtp://[::1]:25" }, NULL },
	{ { IMAPS, LOGIN, "poll=60", "idle=no", "move-to=Done x" }, NULL },
	{ { "fetch=pop3s://u%40h@mail.example.com", "token-file=/t",
	    "auth=oauthbearer", "poll=1h", "max-size=10M" }, NULL },
	{ { SMTPS, IMAPS, "user=a", "submit-user=b", "password-file=/p",
	    "fetch-password-file=/q", "fetch-tls=ca", "stay=yes" }, NULL },
	{ { IMAPS, "user=a", "token-command=/bin/token \"x y\"" }, NULL },
	{ { SMTPS, "tls=pin", "tls-pin=sha256//AAAA" }, NULL },
	{ { SMTPS, LOGIN, "socks=127.0.0.1:9050", "socks-user=a",
	    "socks-password-file=/p" }, NULL },
	{ { "submit=smtp://x.onion", LOGIN, "tls=no", "socks=[::1]:9050" },
	    NULL },
	{ { "submit=smtp://h.example", LOGIN, "tls=no", "auth=cram-md5" },
	    NULL },
	{ { "submit=smtp://h.example", LOGIN, "tls=no" }, NULL },
	/* which do not go together */
	{ { SMTPS, "server=127.0.0.1:25" }, "server and submit" },
	{ { SMTPS, "user=a" }, "a login takes user" },
	{ { SMTPS, "password-file=/p" }, "a login takes user" },
	{ { SMTPS, LOGIN, "token-file=/t" }, "one of" },
	{ { SMTPS, LOGIN, "password-fd=3" }, "one of" },
	{ { SMTPS, "tls=no" }, "means TLS" },
	{ { SMTPS, "tls=pin" }, "tls-pin" },
	{ { SMTPS, "tls-cert=/c" }, "belong together" },
	{ { SMTPS, "socks-user=a", "socks-password-file=/p" },
	    "without socks" },
	{ { SMTPS, "socks=a:1", "socks-user=a" }, "belong together" },
	{ { SMTPS, LOGIN, "auth=xoauth2" }, "with a token" },
	{ { SMTPS, "user=a", "token-file=/t", "auth=plain" }, "with a token" },
	/* what somebody on the way could read */
	{ { "submit=smtp://h.example", LOGIN, "tls=no", "auth=plain" },
	    "could read the login" },
	{ { "submit=smtp://h.example", "user=a", "token-file=/t", "tls=no" },
	    "could read the login" },
	{ { "submit=smtp://x.onion", LOGIN, "tls=no", "auth=plain" },
	    "could read the login" },
	{ { "submit=smtp://127.example", LOGIN, "tls=no", "auth=login" },
	    "could read the login" },
	{ { "submit=smtps://a:secret@mail.example.com" },
	    "a password does not belong into the URL" },
	/* malformed */
	{ { "submit=imaps://mail.example.com" }, "smtp:// or smtps://" },
	{ { "fetch=smtps://mail.example.com" }, "pop3://" },
	{ { "submit=mail.example.com" }, "want a URL" },
	{ { "submit=smtps://" }, "want a URL such as" },
	{ { "submit=smtps://h:0" }, "want a URL such as" },
	{ { "submit=smtps://h:65536" }, "want a URL such as" },
	{ { "submit=smtps://h:" }, "want a URL such as" },
	{ { "submit=smtps://::1" }, "want a URL such as" },
	{ { "submit=smtps://[::1" }, "want a URL such as" },
	{ { "submit=smtps://h h" }, "want a URL such as" },
	{ { "submit=smtps://@h" }, "want a URL such as" },
	{ { "submit=smtps://a%0db@h", "password-file=/p" },
	    "want a URL such as" },
	{ { "submit=smtps://a%4@h", "password-file=/p" },
	    "want a URL such as" },
	{ { "submit=smtps://h/x" }, "no mailbox" },
	{ { "fetch=imaps://h/a%0d%0ab" }, "no mailbox" },
	{ { "fetch=imaps://h/\xc3\xbc" }, "no mailbox" },
	{ { IMAPS, "move-to=\xc3\xbc" }, "move-to" },
	{ { IMAPS, "poll=0.5" }, "want 1.000 seconds at least" },
	{ { IMAPS, "max-size=x" }, "max-size" },
	{ { SMTPS, "tls=maybe" }, "want name, ca, pin or no" },
	{ { SMTPS, "tls-pin=md5//x" }, "want sha256//" },
	{ { SMTPS, "tls-name=a b" }, "want a domain" },
	{ { SMTPS, "tls-ca=relative" }, "absolute path" },
	{ { SMTPS, "user=a", "password-file=p" }, "absolute path" },
	{ { SMTPS, "user=a", "password-fd=2" }, "at least 3" },
	{ { SMTPS, "user=a", "token-command=\"x" }, "token-command" },
	{ { SMTPS, "socks=/path" }, "want HOST:PORT" },
	{ { SMTPS, "auth=magic" }, "auth=magic" },
	/* what there is no use for */
	{ { "user=a" }, "unknown setting user" },
	{ { SMTPS, "fetch-user=a" }, "unknown setting fetch-user" },
	{ { SMTPS, "poll=60" }, "unknown setting poll" },
	{ { "fetch=pop3s://h", "move-to=x" }, "unknown setting move-to" },
	{ { "sumbit=smtps://h" }, "unknown setting sumbit" },
};

static int
read_settings(const char *const *set, struct mailer_settings *s,
    struct contract **c_out, struct err *e)
{
	static char words[][8] = { "mail", "--peer", "x", "--out", "/",
		"--in", "/", "--set" };
	static char texts[MAX_SET][100];
	static char *argv[7 + 2 * MAX_SET];
	int argc = 0;

	for (; argc < 7; argc++)
		argv[argc] = words[argc];
	for (int i = 0; i < MAX_SET && set[i] != NULL; i++) {
		snprintf(texts[i], sizeof(texts[i]), "%s", set[i]);
		argv[argc++] = words[7];
		argv[argc++] = texts[i];
	}
	assert_int_equal(contract_open(argc, argv, -1, -1, c_out, e), 0);
	return mailer_settings_read(*c_out, s, e);
}

static void
test_settings(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
		struct mailer_settings s;
		struct contract *c = NULL;
		struct err e = ERR_INIT;
		int rc = read_settings(settings[i].set, &s, &c, &e);

		if (settings[i].error == NULL) {
			assert_string_equal(e.text, "");
			assert_int_equal(rc, 0);
		} else {
			if (rc != ERR_CONFIG)
				fail_msg("%s: taken", settings[i].error);
			if (strstr(e.text, settings[i].error) == NULL)
				fail_msg("%s: %s", settings[i].error, e.text);
			assert_null(strstr(e.text, "secret@"));
		}
		mailer_settings_release(&s);
		contract_close(c);
	}
}

static void
test_what_is_read(void **state)
{
	static const char *const set[MAX_SET] = { "submit=smtp://h.example",
		"fetch=imap://u%40d.example@[::1]:144/a%20%22b", "user=w",
		"password-file=/p" };
	struct mailer_settings s;
	struct contract *c = NULL;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(read_settings(set, &s, &c, &e), 0);
	assert_string_equal(mailhost_name(s.submit), "smtp://h.example:587");
	assert_string_equal(mailhost_user(s.submit), "w");
	assert_string_equal(mailhost_path(s.submit), "");
	assert_string_equal(mailhost_name(s.fetch), "imap://[::1]:144");
	assert_string_equal(mailhost_user(s.fetch), "u@d.example");
	assert_string_equal(mailhost_path(s.fetch), "a \"b");
	assert_string_equal(s.helo, "[127.0.0.1]");
	assert_false(s.stay);
	assert_int_equal(s.poll_ms, 60000);
	mailer_settings_release(&s);
	contract_close(c);
}

static void
test_files(void **state)
{
	char *good = put("good", "x", 0600), *open = put("open", "x", 0640);
	char *ca = put("ca", "x", 0644);
	char set[4][150], *list[] = { set[0], set[1], set[2], set[3] };
	struct err e = ERR_INIT;

	(void)state;
	snprintf(set[0], sizeof(set[0]), SMTPS);
	snprintf(set[1], sizeof(set[1]), "user=a");
	snprintf(set[2], sizeof(set[2]), "password-file=%s", good);
	snprintf(set[3], sizeof(set[3]), "tls-ca=%s", ca);
	assert_int_equal(settings_check("mail", "x", list, 4, &e), 0);
	snprintf(set[2], sizeof(set[2]), "password-file=%s", open);
	assert_int_equal(settings_check("mail", "x", list, 4, &e), ERR_CONFIG);
	assert_non_null(strstr(e.text, "0640"));
	assert_non_null(strstr(e.text, open));
	snprintf(set[2], sizeof(set[2]), "password-file=%s", dir);
	assert_int_equal(settings_check("mail", "x", list, 4, &e), ERR_CONFIG);
	snprintf(set[2], sizeof(set[2]), "password-file=%s", good);
	snprintf(set[3], sizeof(set[3]), "tls-ca=%s/nothing", dir);
	assert_int_equal(settings_check("mail", "x", list, 4, &e), ERR_CONFIG);
	assert_non_null(strstr(e.text, "nothing"));
	free(good);
	free(open);
	free(ca);
}

static void
test_secrets(void **state)
{
	static const struct {
		const char *in, *out;
	} texts[] = {
		{ "word", "word" }, { "word\n", "word" },
		{ "two words \r\nmore\n", "two words " }, { "", NULL },
		{ "\nword\n", NULL }, { "\r\n", NULL },
	};
	char *large = calloc(1, SECRET_TEXT_MAX + 3), *path, *text;
	struct err e = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		path = put("secret", texts[i].in, 0400);
		if (texts[i].out == NULL) {
			assert_int_equal(secret_read_file(path, &text, &e),
			    ERR_SYNTAX);
			assert_non_null(strstr(e.text, path));
		} else {
			assert_int_equal(secret_read_file(path, &text, &e),
			    0);
			assert_string_equal(text, texts[i].out);
			secret_free(text);
		}
		free(path);
	}
	memset(large, 'x', SECRET_TEXT_MAX + 1);
	path = put("secret", large, 0600);
	assert_int_equal(secret_read_file(path, &text, &e), ERR_SYNTAX);
	free(path);
	large[SECRET_TEXT_MAX] = '\n';
	path = put("secret", large, 0600);
	assert_int_equal(secret_read_file(path, &text, &e), 0);
	assert_int_equal(strlen(text), SECRET_TEXT_MAX);
	secret_free(text);
	assert_int_equal(chmod(path, 0604), 0);
	assert_int_equal(secret_read_file(path, &text, &e), ERR_DENIED);
	assert_null(text);
	free(path);
	free(large);
}

static void
test_scrub(void **state)
{
	/* base64 by coreutils of "\0ann\0salt & pepper", "salt & pepper",
	 * "n\1auth=Bearer tok-123\1\1" */
	static const char *const secrets[] = { "salt & pepper", NULL,
		"tok-123", "b\"c\\d" };
	static const char *const lines[][2] = {
		{ "535 5.7.8 no", "535 5.7.8 no" },
		{ "535 you said salt & pepper", "535 you said ***" },
		{ "you said \"salt & pepper\", no", "you said *** no" },
		{ "salt & salt & pepper & pepper", "salt & *** & pepper" },
		/* Cut. */
		{ "no: salt & p", "no: ***" },
		{ "no: salt", "no: ***" },
		{ "no: sal", "no: sal" },
		{ "no: salt is", "no: salt is" },
		{ "no: AGFubgBzYWx0ICYgcG", "no: ***" },
		/* Strings of IMAP. */
		{ "LOGIN a \"b\\\"c\\\\d\"", "LOGIN a ***" },
		{ "LOGIN a b\"c\\d", "LOGIN a ***" },
		{ "535 AGFubgBzYWx0ICYgcGVwcGVy no", "535 *** no" },
		{ "535 (got:c2FsdCAmIHBlcHBlcg==)", "535 ***" },
		{ "bgFhdXRoPUJlYXJlciB0b2stMTIzAQE= x", "*** x" },
		{ "NO  tok-123!", "NO  ***" },
		{ "a\rb\x7f", "a\\x0Db\\x7F" },
		{ "", "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		struct buf out = BUF_INIT;

		scrub_line(&out, slice_of(lines[i][0]), secrets, 4, 100);
		assert_string_equal(buf_cstr(&out), lines[i][1]);
		buf_release(&out);
	}
}

static struct seen *
open_seen(const char *box)
{
	char out[] = "--out", in[] = "--in", peer[] = "--peer", x[] = "x";
	char *argv[] = { x, out, dir, in, dir, peer, x };
	struct contract *c;
	struct err e = ERR_INIT;
	struct seen *s;

	assert_int_equal(contract_open(7, argv, -1, -1, &c, &e), 0);
	s = seen_open(c, box);
	contract_close(c);
	return s;
}

static void
test_seen(void **state)
{
	struct seen *s = open_seen("imap");
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(seen_upto(s, 7), 0);
	seen_advance(s, 7, 100);
	seen_advance(s, 7, 50);
	assert_int_equal(seen_upto(s, 7), 100);
	assert_int_equal(seen_save(s, &e), 0);
	seen_free(s);
	s = open_seen("imap");
	assert_int_equal(seen_upto(s, 7), 100);
	assert_int_equal(seen_upto(s, 8), 0);
	seen_advance(s, 8, 3);
	assert_int_equal(seen_upto(s, 7), 0);
	assert_int_equal(seen_save(s, &e), 0);
	seen_free(s);
	s = open_seen("another");
	assert_int_equal(seen_upto(s, 8), 0);
	assert_false(seen_has(s, slice_of("a")));
	seen_add(s, slice_of("a"));
	seen_add(s, slice_of("b"));
	assert_int_equal(seen_save(s, &e), 0);
	assert_true(seen_has(s, slice_of("a")));
	seen_free(s);
	s = open_seen("another");
	assert_true(seen_has(s, slice_of("a")));
	assert_false(seen_has(s, slice_of("c")));
	assert_int_equal(seen_save(s, &e), 0);
	seen_free(s);
	/* b was not asked for: it has left the mailbox. */
	s = open_seen("another");
	assert_false(seen_has(s, slice_of("b")));
	assert_true(seen_has(s, slice_of("a")));
	seen_free(s);
}

static void
test_seen_damaged(void **state)
{
	struct seen *s = open_seen("box");
	struct err e = ERR_INIT;
	struct buf text = BUF_INIT;
	char *path = path_join(dir, ".mail-seen");

	(void)state;
	seen_advance(s, 7, 100);
	assert_int_equal(seen_save(s, &e), 0);
	seen_free(s);
	assert_int_equal(file_read(path, 1000, &text, &e), 0);
	for (size_t cut = 0; cut < text.len; cut++) {
		assert_int_equal(file_replace(dir, ".mail-seen", text.ptr, cut,
		    0600, &e), 0);
		s = open_seen("box");
		assert_int_equal(seen_upto(s, 7), 0);
		seen_free(s);
	}
	free(path);
	buf_release(&text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_settings),
		cmocka_unit_test(test_what_is_read),
		cmocka_unit_test_setup_teardown(test_files, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_secrets, set_up,
		    tear_down),
		cmocka_unit_test(test_scrub),
		cmocka_unit_test_setup_teardown(test_seen, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_seen_damaged, set_up,
		    tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
