/* SPDX-License-Identifier: ISC */
/*
 * Secrets out of replies, word by word: a login travels in base64, alone or
 * behind a name, so a word is looked at from each of four places.
 */
#include "transports/scrub.h"
#include "base/secret.h"
#include "base/text.h"

#include <ctype.h>

static bool
holds(struct slice text, const char *secret)
{
	return secret != NULL && secret[0] != '\0' &&
	    memmem(text.ptr, text.len, secret, strlen(secret)) != NULL;
}

static bool
holds_from(struct slice word, const char *secret)
{
	struct base64_decoder dec;
	struct buf plain = BUF_INIT;
	bool found;

	base64_decoder_init(&dec);
	base64_decoder_add(&dec, &plain, word.ptr, word.len);
	found = holds(buf_slice(&plain), secret);
	if (plain.len > 0)
		secret_wipe(plain.ptr, plain.len);
	buf_release(&plain);
	return found;
}

/* Where the groups of four begin is not known. */
static bool
holds_coded(struct slice word, const char *secret)
{
	bool found = holds_from(word, secret);

	for (int skipped = 0; skipped < 3 && word.len > 0 && !found;) {
		bool counts = isalnum((unsigned char)word.ptr[0]) ||
		    word.ptr[0] == '+' || word.ptr[0] == '/';

		word.ptr++;
		word.len--;
		skipped += counts;
		found = counts && holds_from(word, secret);
	}
	return found;
}

static bool
is_secret(struct slice word, const char *const *secrets, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (secrets[i] != NULL && (holds(word, secrets[i]) ||
		    holds_coded(word, secrets[i])))
			return true;
	return false;
}

/* One with blanks in it shows in no single word. */
static bool
is_spread(struct slice line, const char *const *secrets, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (secrets[i] != NULL && strchr(secrets[i], ' ') != NULL &&
		    holds(line, secrets[i]))
			return true;
	return false;
}

void
scrub_line(struct buf *out, struct slice line, const char *const *secrets,
    size_t n, size_t max)
{
	struct buf clean = BUF_INIT;
	const char *at = line.ptr, *end = line.ptr + line.len;

	if (is_spread(line, secrets, n)) {
		buf_adds(out, "***");
		return;
	}
	while (at < end) {
		const char *blank = memchr(at, ' ', (size_t)(end - at));
		struct slice word = { at,
		    (size_t)((blank != NULL ? blank : end) - at) };

		if (is_secret(word, secrets, n))
			buf_adds(&clean, "***");
		else
			buf_addslice(&clean, word);
		at += word.len;
		for (; at < end && *at == ' '; at++)
			buf_addc(&clean, ' ');
	}
	text_escape(out, buf_slice(&clean), max, false);
	buf_release(&clean);
}
