/* SPDX-License-Identifier: ISC */
/*
 * The service extensions and their keywords.  One table serves both ways;
 * where an extension has two names the first is the one that is written.
 */
#include "smtp/extension.h"

static const struct keyword {
	unsigned bit;
	const char *name;
} keywords[] = {
	{ SMTP_EXT_PIPELINING, "PIPELINING" },
	{ SMTP_EXT_SIZE, "SIZE" },
	{ SMTP_EXT_8BITMIME, "8BITMIME" },
	{ SMTP_EXT_DSN, "DSN" },
	{ SMTP_EXT_DSN, "NOTARY" },
	{ SMTP_EXT_ENHANCEDSTATUSCODES, "ENHANCEDSTATUSCODES" },
	{ SMTP_EXT_CHUNKING, "CHUNKING" },
	{ SMTP_EXT_BINARYMIME, "BINARYMIME" },
	{ SMTP_EXT_SMTPUTF8, "SMTPUTF8" },
	{ SMTP_EXT_STARTTLS, "STARTTLS" },
	{ SMTP_EXT_MT_PRIORITY, "MT-PRIORITY" },
	{ SMTP_EXT_DELIVERBY, "DELIVERBY" },
	{ SMTP_EXT_FUTURERELEASE, "FUTURERELEASE" },
	{ SMTP_EXT_XGZIP, "XGZIP" },
	{ SMTP_EXT_XORIGIN, "XORIGIN" },
};

#define NKEYWORDS (sizeof(keywords) / sizeof(keywords[0]))

unsigned
smtp_extension_parse(struct slice keyword)
{
	for (size_t i = 0; i < NKEYWORDS; i++) {
		if (slice_ieqs(keyword, keywords[i].name))
			return keywords[i].bit;
	}
	return 0;
}

const char *
smtp_extension_name(unsigned bit)
{
	for (size_t i = 0; i < NKEYWORDS; i++) {
		if (keywords[i].bit == bit)
			return keywords[i].name;
	}
	return "?";
}
