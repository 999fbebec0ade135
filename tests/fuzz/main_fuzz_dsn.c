/* SPDX-License-Identifier: ISC */
/*
 * DSN parameters and xtext (RFC 3461 4).  Each line of the input is put
 * behind a path; what is taken is well formed and comes back as it was.
 */
#include "base/text.h"
#include "smtp/command.h"
#include "smtp/extension.h"
#include "tests/fuzz/fuzz.h"

static void
check_xtext(const char *text)
{
	struct buf plain = BUF_INIT, coded = BUF_INIT, again = BUF_INIT;

	/* as written it may code more than it must; decoded it is the same */
	FUZZ_CHECK(xtext_decode(&plain, slice_of(text)) == 0);
	xtext_encode(&coded, buf_slice(&plain));
	FUZZ_CHECK(xtext_decode(&again, buf_slice(&coded)) == 0);
	fuzz_same(&plain, &again);
	buf_release(&plain);
	buf_release(&coded);
	buf_release(&again);
}

static void
check_taken(const struct envelope *env)
{
	if (env->envid != NULL) {
		FUZZ_CHECK(strlen(env->envid) <= 100);
		check_xtext(env->envid);
	}
	if (env->nrcpt > 0 && env->rcpt->notify != NULL) {
		int bits = smtp_notify_parse(env->rcpt->notify);

		FUZZ_CHECK(bits > 0);
		FUZZ_CHECK((bits & SMTP_NOTIFY_NEVER) == 0 ||
		    bits == SMTP_NOTIFY_NEVER);
	}
	if (env->nrcpt > 0 && env->rcpt->orcpt != NULL) {
		const char *semicolon = strchr(env->rcpt->orcpt, ';');

		FUZZ_CHECK(semicolon != NULL &&
		    semicolon != env->rcpt->orcpt);
		FUZZ_CHECK(strlen(env->rcpt->orcpt) <= 500);
		if (strncasecmp(env->rcpt->orcpt, "utf-8;", 6) != 0)
			check_xtext(semicolon + 1);
	}
}

static void
check_line(struct slice line, bool mail)
{
	struct smtp_refusal r = { 0, "", "" };
	struct buf text = BUF_INIT, again = BUF_INIT;
	struct envelope env;
	int rc;

	envelope_init(&env);
	buf_adds(&text, mail ? "FROM:<a@b.example> " : "TO:<a@b.example> ");
	buf_addslice(&text, line);
	if (mail)
		rc = smtp_command_mail(buf_slice(&text), SMTP_EXT_DSN, false,
		    &env, &r);
	else
		rc = smtp_command_rcpt(buf_slice(&text), SMTP_EXT_DSN, false,
		    &env, &r);
	FUZZ_CHECK(rc == 0 || (r.code >= 500 && r.code < 600));
	if (rc == 0)
		check_taken(&env);
	envelope_release(&env);
	buf_release(&text);
	buf_release(&again);
}

/* RFC 6533 3.1: to a receiver of ASCII goes ASCII. */
static void
check_utf8(struct slice line)
{
	struct smtp_refusal r = { 0, "", "" };
	struct buf text = BUF_INIT, out = BUF_INIT;
	struct envelope env;

	envelope_init(&env);
	env.smtputf8 = true;
	buf_adds(&text, "TO:<a@b.example> ");
	buf_addslice(&text, line);
	if (smtp_command_rcpt(buf_slice(&text), SMTP_EXT_DSN |
	    SMTP_EXT_SMTPUTF8, false, &env, &r) == 0) {
		smtp_write_rcpt(&out, env.rcpt, SMTP_EXT_DSN);
		for (size_t i = 0; i + 2 < out.len; i++)
			FUZZ_CHECK(out.ptr[i] >= ' ' && out.ptr[i] < 127);
	}
	envelope_release(&env);
	buf_release(&text);
	buf_release(&out);
}

static void
check_utf8_xtext(struct slice line)
{
	struct buf out = BUF_INIT, again = BUF_INIT;

	utf8_xtext_decode(&out, line);
	FUZZ_CHECK(out.len <= line.len);
	buf_clear(&out);
	if (utf8_valid(line) && memchr(line.ptr, '\0', line.len) == NULL) {
		utf8_xtext_encode(&out, line);
		utf8_xtext_decode(&again, buf_slice(&out));
		FUZZ_CHECK(slice_eq(line, buf_slice(&again)));
	}
	buf_release(&out);
	buf_release(&again);
}

static void
check_any(struct slice line)
{
	struct buf out = BUF_INIT, again = BUF_INIT;
	char *text = slice_dup(line);
	int bits = smtp_notify_parse(text);

	FUZZ_CHECK(bits >= -1 && bits < 16);
	xtext_encode(&out, line);
	FUZZ_CHECK(xtext_decode(&again, buf_slice(&out)) == 0);
	FUZZ_CHECK(slice_eq(line, buf_slice(&again)));
	buf_clear(&out);
	if (xtext_decode(&out, line) == 0)
		FUZZ_CHECK(out.len <= line.len);
	buf_release(&out);
	buf_release(&again);
	free(text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *copy = fuzz_copy((const char *)data, size);
	struct slice rest = { copy, size }, line;

	while (fuzz_line(&rest, &line)) {
		check_line(line, true);
		check_line(line, false);
		check_utf8(line);
		check_utf8_xtext(line);
		check_any(line);
	}
	free(copy);
	return 0;
}
