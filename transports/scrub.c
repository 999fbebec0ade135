/* SPDX-License-Identifier: ISC */
/*
 * Secrets out of replies, word by word: a login travels in base64, alone or
 * behind a name, so a word is looked at from each of four places.  One that is
 * readable may have blanks in it, and be written as a string of IMAP; texts
 * are cut somewhere, so that the last word may have the beginning of one.
 */
#include "transports/scrub.h"
#include "base/mem.h"
#include "base/secret.h"
#include "base/text.h"

#include <ctype.h>
#include <stdlib.h>

#define CUT_MIN 4	/* octets by which a cut secret is known */

struct secrets {
	const char *const *texts;
	size_t n;
};

/* The octets of text that are the secret, from its first on, or, where the
 * text ends, the beginning of it; 0: another text. */
static size_t
match_as(struct slice text, const char *secret, bool quoted)
{
	size_t at = 0, done = 0;

	while (secret[done] != '\0' && at < text.len) {
		if (quoted && text.ptr[at] == '\\' &&
		    (secret[done] == '"' || secret[done] == '\\') &&
		    ++at == text.len)
			break;
		if (text.ptr[at++] != secret[done++])
			return 0;
	}
	return secret[done] == '\0' || done >= CUT_MIN ? at : 0;
}

static size_t
match(struct slice text, const char *secret)
{
	size_t len = match_as(text, secret, false);

	return len > 0 ? len : match_as(text, secret, true);
}

/* Sets hidden[i] where text has octets of a secret; true: somewhere. */
static bool
mark(struct slice text, const struct secrets *s, char *hidden)
{
	bool found = false;

	for (size_t i = 0; i < text.len; i++)
		for (size_t k = 0; k < s->n; k++) {
			const char *secret = s->texts[k];
			size_t len = secret == NULL || *secret == '\0' ? 0 :
			    match((struct slice){ text.ptr + i,
			    text.len - i }, secret);

			if (hidden != NULL && len > 0)
				memset(hidden + i, 1, len);
			found = found || len > 0;
		}
	return found;
}

static bool
holds_from(struct slice word, const struct secrets *s)
{
	struct base64_decoder dec;
	struct buf plain = BUF_INIT;
	bool found;

	base64_decoder_init(&dec);
	base64_decoder_add(&dec, &plain, word.ptr, word.len);
	found = mark(buf_slice(&plain), s, NULL);
	if (plain.len > 0)
		secret_wipe(plain.ptr, plain.len);
	buf_release(&plain);
	return found;
}

/* Where the groups of four begin is not known. */
static bool
holds_coded(struct slice word, const struct secrets *s)
{
	bool found = holds_from(word, s);

	for (int skipped = 0; skipped < 3 && word.len > 0 && !found;) {
		bool counts = isalnum((unsigned char)word.ptr[0]) ||
		    word.ptr[0] == '+' || word.ptr[0] == '/';

		word.ptr++;
		word.len--;
		skipped += counts;
		found = counts && holds_from(word, s);
	}
	return found;
}

void
scrub_text(struct buf *out, struct slice text, const char *const *secrets,
    size_t n)
{
	const struct secrets s = { secrets, n };
	char *hidden = mem_alloc(text.len + 1, 1);
	size_t i = 0, end;

	(void)mark(text, &s, hidden);
	while (i < text.len) {
		struct slice word = { text.ptr + i, 0 };
		bool secret = false;

		/* A blank that is hidden ends no word. */
		for (end = i; end < text.len && (text.ptr[end] != ' ' ||
		    hidden[end] != 0); end++)
			secret = secret || hidden[end] != 0;
		word.len = end - i;
		if (secret || holds_coded(word, &s))
			buf_adds(out, "***");
		else
			buf_addslice(out, word);
		for (i = end; i < text.len && text.ptr[i] == ' ' &&
		    hidden[i] == 0; i++)
			buf_addc(out, ' ');
	}
	free(hidden);
}

void
scrub_line(struct buf *out, struct slice line, const char *const *secrets,
    size_t n, size_t max)
{
	struct buf clean = BUF_INIT;

	scrub_text(&clean, line, secrets, n);
	text_escape(out, buf_slice(&clean), max, false);
	buf_release(&clean);
}
