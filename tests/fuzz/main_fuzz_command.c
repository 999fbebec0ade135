/* SPDX-License-Identifier: ISC */
/*
 * Command lines: each line of the input is one.  What is taken is written
 * again, and that must be taken as the same by the strictest reader.
 */
#include "smtp/address.h"
#include "smtp/command.h"
#include "smtp/extension.h"
#include "tests/fuzz/fuzz.h"

static int
take(struct slice line, unsigned extensions, bool lenient,
    struct envelope *env)
{
	struct smtp_refusal r = { 0, "", "" };
	struct slice args;
	uint64_t octets;
	bool last;
	int rc = -1;

	switch (smtp_command_split(line, &args)) {
	case SMTP_VERB_MAIL:
		rc = smtp_command_mail(args, extensions, lenient, env, &r);
		break;
	case SMTP_VERB_RCPT:
		rc = smtp_command_rcpt(args, extensions, lenient, env, &r);
		break;
	case SMTP_VERB_BDAT:
		return smtp_command_bdat(args, &octets, &last, &r);
	default:
		return -1;
	}
	FUZZ_CHECK(rc == 0 || (r.code >= 400 && r.code < 600));
	FUZZ_CHECK((rc == 0) == (env->sender != NULL || env->nrcpt == 1));
	return rc;
}

static void
check_again(const struct envelope *env, unsigned extensions)
{
	struct envelope again, shown = *env;
	struct buf line = BUF_INIT, one = BUF_INIT, other = BUF_INIT;

	envelope_init(&again);
	if (env->sender != NULL)
		smtp_write_mail(&line, env, env->size, extensions);
	else
		smtp_write_rcpt(&line, env->rcpt, extensions);
	FUZZ_CHECK(line.len > 2 && memcmp(line.ptr + line.len - 2, "\r\n",
	    2) == 0);
	FUZZ_CHECK(memchr(line.ptr, '\n', line.len - 1) == NULL);
	buf_truncate(&line, line.len - 2);
	/* RCPT may use what MAIL has asked for */
	again.smtputf8 = env->sender == NULL && env->smtputf8;
	FUZZ_CHECK(take(buf_slice(&line), extensions, false, &again) == 0);
	/* a native batch leaves it away: the same (RFC 6152 2) */
	if ((extensions & SMTP_EXT_XORIGIN) != 0 &&
	    shown.body == SMTP_BODY_7BIT)
		shown.body = SMTP_BODY_NONE;
	fuzz_show_envelope(&one, &shown);
	fuzz_show_envelope(&other, &again);
	/* a hold is kept by whom it was asked of and never written */
	if (env->sender != NULL && env->timing.hold == SMTP_HOLD_NONE) {
		fuzz_show_timing(&one, &env->timing);
		fuzz_show_timing(&other, &again.timing);
	}
	fuzz_same(&one, &other);
	envelope_release(&again);
	buf_release(&line);
	buf_release(&one);
	buf_release(&other);
}

static void
check_line(struct slice line, unsigned extensions, bool lenient, bool utf8)
{
	struct envelope env;

	envelope_init(&env);
	env.smtputf8 = utf8;
	if (take(line, extensions, lenient, &env) == 0 &&
	    (env.sender != NULL || env.nrcpt > 0))
		check_again(&env, extensions);
	envelope_release(&env);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *copy = fuzz_copy((const char *)data, size);
	struct slice rest = { copy, size }, line;

	while (fuzz_line(&rest, &line)) {
		char *own = fuzz_copy(line.ptr, line.len);

		line.ptr = own;
		for (int i = 0; i < 4; i++)
			check_line(line, i & 1 ? ~0U : 0, i & 2, i & 1);
		free(own);
	}
	free(copy);
	return 0;
}
