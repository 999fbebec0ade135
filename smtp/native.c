/* SPDX-License-Identifier: ISC */
/*
 * There is one way to write each line of a native batch, and that is ours: a
 * line is read, written again and compared.  So this needs no grammar of its
 * own, and what the writer learns is allowed by itself.
 */
#include "smtp/native.h"

#include "smtp/extension.h"

/* Reads it and writes it again; false: it is malformed. */
static bool
rewrite(enum smtp_verb verb, struct slice args, struct buf *out)
{
	struct envelope env;
	struct smtp_refusal r = { 0, "", "" };
	uint64_t octets;
	bool last, good = false;

	envelope_init(&env);
	env.smtputf8 = true;	/* whether it was said is for others to see */
	if (verb == SMTP_VERB_MAIL) {
		env.smtputf8 = false;
		good = smtp_command_mail(args, SMTP_EXT_NATIVE, false, &env,
		    &r) == 0;
		if (good)
			smtp_write_mail(out, &env, 0, SMTP_EXT_NATIVE);
	} else if (verb == SMTP_VERB_RCPT) {
		good = smtp_command_rcpt(args, SMTP_EXT_NATIVE, false, &env,
		    &r) == 0;
		if (good)
			smtp_write_rcpt(out, &env.rcpt[0], SMTP_EXT_NATIVE);
	} else {
		good = smtp_command_bdat(args, &octets, &last, &r) == 0;
		buf_addf(out, "BDAT %llu LAST\r\n",
		    (unsigned long long)octets);
	}
	envelope_release(&env);
	return good;
}

int
smtp_native_check(struct slice line, struct smtp_refusal *r)
{
	struct buf again = BUF_INIT;
	struct slice args;
	enum smtp_verb verb = smtp_command_split(line, &args);
	int rc = 0;

	if (verb != SMTP_VERB_MAIL && verb != SMTP_VERB_RCPT &&
	    verb != SMTP_VERB_BDAT)
		return smtp_refuse(r, 500, "5.5.2",
		    "no command of a native batch");
	if (rewrite(verb, args, &again) && (again.len != line.len + 2 ||
	    memcmp(again.ptr, line.ptr, line.len) != 0))
		rc = smtp_refuse(r, 501, "5.5.4",
		    "not as a native batch writes it");
	buf_release(&again);
	return rc;
}
