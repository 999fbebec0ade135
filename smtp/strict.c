/* SPDX-License-Identifier: ISC */
/*
 * The letter of RFC 5321, kept apart so that what every session goes through
 * shows no trace of it.
 */
#include "smtp/strict.h"

#include "smtp/address.h"

#define COMMAND_MAX 512		/* RFC 5321 4.5.3.1.4, CR LF included */
/* RFC 1870 3: 26; RFC 6152 2: 17; RFC 3461 4: 107; RFC 6531 3.4: 10 */
#define MAIL_MORE (26 + 17 + 107 + 10)
#define RCPT_MORE 500		/* RFC 3461 4 */
#define LOCAL_MAX 64		/* RFC 5321 4.5.3.1.1 */

static size_t
longest(enum smtp_verb verb)
{
	if (verb == SMTP_VERB_MAIL)
		return COMMAND_MAX + MAIL_MORE;
	return COMMAND_MAX + (verb == SMTP_VERB_RCPT ? RCPT_MORE : 0);
}

/* What is wrong with a path otherwise is for the session to say. */
static int
check_local(struct slice path, struct smtp_refusal *r)
{
	struct buf address = BUF_INIT;
	struct err e = ERR_INIT;
	size_t used, len = 0;

	if (address_parse_path(path, ADDRESS_NULL | ADDRESS_POSTMASTER |
	    ADDRESS_UTF8, &address, &used, &e) == 0)
		len = address_local(buf_cstr(&address)).len;
	buf_release(&address);
	if (len <= LOCAL_MAX)
		return 0;
	return smtp_refuse(r, 501, "5.1.3", "the local part has %zu octets, "
	    "%d are allowed", len, LOCAL_MAX);
}

/* No blank on either side of the colon, and the bracket at once. */
static int
check_path(struct slice args, const char *word, struct smtp_refusal *r)
{
	size_t n = strlen(word);

	if (args.len > n && args.ptr[n] == '<' &&
	    slice_ieqs((struct slice){ args.ptr, n }, word))
		return check_local((struct slice){ args.ptr + n,
		    args.len - n }, r);
	return smtp_refuse(r, 501, "5.5.4", "%s< was expected, without "
	    "blanks", word);
}

static int
check_hello(struct slice args, struct smtp_refusal *r)
{
	struct err e = ERR_INIT;

	if (address_check_domain(args, false, &e) == 0)
		return 0;
	return smtp_refuse(r, 501, "5.5.4", "a domain or an address literal "
	    "was expected: %s", e.text);
}

int
smtp_strict_check(struct slice line, struct smtp_refusal *r)
{
	struct slice args;
	enum smtp_verb verb = smtp_command_split(line, &args);

	if (line.len + 2 > longest(verb))
		return smtp_refuse(r, 500, "5.5.2", "the line has %zu octets, "
		    "%zu are allowed", line.len + 2, longest(verb));
	if (line.len > 0 && (line.ptr[0] == ' ' || line.ptr[0] == '\t'))
		return smtp_refuse(r, 500, "5.5.2", "a blank in front");
	switch (verb) {
	case SMTP_VERB_HELO:
	case SMTP_VERB_EHLO:
		return args.len > 0 ? check_hello(args, r) : 0;
	case SMTP_VERB_MAIL:
		return check_path(args, "FROM:", r);
	case SMTP_VERB_RCPT:
		return check_path(args, "TO:", r);
	case SMTP_VERB_TICK:
	case SMTP_VERB_VERB:
		return smtp_refuse(r, 500, "5.5.2", "no command of RFC 5321");
	default:
		return 0;
	}
}
