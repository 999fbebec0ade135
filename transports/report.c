/* SPDX-License-Identifier: ISC */
/*
 * Report lines.  The parser is strict: one spelling for each report, so that
 * a transport that prints something else by accident moves nothing.
 */
#include "transports/report.h"
#include "base/text.h"

#include <assert.h>
#include <inttypes.h>
#include <stddef.h>

static const struct report_word {
	const char *word;
	const char *second;	/* stands behind the name */
	bool name, numbers, text;
} words[] = {
	[REPORT_SENDING] = { "sending", NULL, true, true, false },
	[REPORT_SENT] = { "sent", NULL, true, false, false },
	[REPORT_RECEIVED] = { "received", NULL, true, false, false },
	[REPORT_FAILED_TEMPORARY] =
	    { "failed", "temporary", true, false, true },
	[REPORT_FAILED_PERMANENT] =
	    { "failed", "permanent", true, false, true },
	[REPORT_RETURNED_TEMPORARY] =
	    { "returned", "temporary", true, false, true },
	[REPORT_RETURNED_PERMANENT] =
	    { "returned", "permanent", true, false, true },
	[REPORT_NOTE] = { "note", NULL, false, false, true },
	[REPORT_PROGRESS] = { "progress", NULL, false, false, false },
};

static const struct progress_key {
	const char *key;
	size_t offset;
} progress_keys[] = {
#define KEY(name) { #name, offsetof(struct report_progress, name) }
	KEY(sent), KEY(left), KEY(received), KEY(rate), KEY(again),
	KEY(errors), KEY(damaged),
};

#define PROGRESS_KEYS (sizeof(progress_keys) / sizeof(progress_keys[0]))

static_assert(sizeof(words) / sizeof(words[0]) == REPORT_KINDS,
    "a word for each kind of report");

static bool
is_control(char c)
{
	return (unsigned char)c < 0x20 || c == 0x7f;
}

bool
report_name_ok(struct slice name)
{
	if (name.len == 0 || name.len > REPORT_NAME_MAX || name.ptr[0] == '.')
		return false;
	for (size_t i = 0; i < name.len; i++) {
		char c = name.ptr[i];

		if (is_control(c) || c == ' ' || c == '/')
			return false;
	}
	return true;
}

/* Cuts the next word off; false if there is none. */
static bool
next_word(struct slice *rest, struct slice *word_out)
{
	return slice_word(rest, word_out) && word_out->len > 0;
}

/* A number and nothing behind it but what the next one needs. */
static int
parse_numbers(struct slice *rest, struct report *r, struct err *e)
{
	struct slice done, total;

	if (!next_word(rest, &done) || !next_word(rest, &total) ||
	    rest->len != 0 || total.ptr + total.len != rest->ptr)
		return err_set(e, ERR_SYNTAX, "\"sending\" wants NAME DONE "
		    "TOTAL");
	if (num_parse(done, UINT64_MAX, &r->done) < 0 ||
	    num_parse(total, UINT64_MAX, &r->total) < 0 ||
	    r->done > r->total)
		return err_set(e, ERR_SYNTAX, "\"sending\" with bad numbers");
	return 0;
}

static int
parse_name(struct slice *rest, struct report *r, struct err *e)
{
	if (!next_word(rest, &r->name))
		return err_set(e, ERR_SYNTAX, "\"%s\" without a name",
		    words[r->kind].word);
	if (!report_name_ok(r->name))
		return err_set(e, ERR_SYNTAX, "\"%s\" with a name that is "
		    "not plain", words[r->kind].word);
	return 0;
}

static int
parse_failed(struct slice *rest, struct report *r, struct err *e)
{
	const char *word = words[r->kind].word;
	struct slice how;

	if (next_word(rest, &how)) {
		for (int k = 0; k < REPORT_KINDS; k++) {
			if (words[k].second == NULL ||
			    strcmp(words[k].word, word) != 0 ||
			    !slice_eqs(how, words[k].second))
				continue;
			r->kind = (enum report_kind)k;
			return 0;
		}
	}
	return err_set(e, ERR_SYNTAX,
	    "\"%s\" wants NAME temporary or permanent TEXT", word);
}

/* Where a key's number goes; NULL: it is not known. */
static uint64_t *
progress_field(struct report_progress *p, struct slice key)
{
	for (size_t i = 0; i < PROGRESS_KEYS; i++)
		if (slice_eqs(key, progress_keys[i].key))
			return (uint64_t *)(void *)((char *)p +
			    progress_keys[i].offset);
	return NULL;
}

/* Keys that are not known are passed over: later versions may have more. */
static int
parse_progress(struct slice *rest, struct report *r, struct err *e)
{
	struct slice word, key, value;
	const char *sign;
	uint64_t n, *field;

	do {
		if (!next_word(rest, &word))
			return err_set(e, ERR_SYNTAX, "\"progress\" wants "
			    "KEY=NUMBER");
		sign = memchr(word.ptr, '=', word.len);
		key = (struct slice){ word.ptr, sign == NULL ? 0 :
		    (size_t)(sign - word.ptr) };
		value = (struct slice){ word.ptr + key.len + 1,
		    key.len == 0 ? 0 : word.len - key.len - 1 };
		if (num_parse(value, INT64_MAX, &n) < 0)
			return err_set(e, ERR_SYNTAX, "\"progress\" with "
			    "bad numbers");
		field = progress_field(&r->progress, key);
		if (field != NULL)
			*field = n;
	} while (rest->len > 0);
	return 0;
}

static int
parse_kind(struct slice word, struct report *r, struct err *e)
{
	for (int k = 0; k < REPORT_KINDS; k++) {
		if (!slice_eqs(word, words[k].word))
			continue;
		r->kind = (enum report_kind)k;
		return 0;
	}
	return err_set(e, ERR_SYNTAX, "not a report of the contract");
}

int
report_parse(struct slice line, struct report *r_out, struct err *e)
{
	struct slice rest = line, word = SLICE_LIT("");
	const struct report_word *w;
	int rc;

	*r_out = (struct report){ .name = SLICE_LIT(""),
	    .text = SLICE_LIT("") };
	if (line.len > REPORT_LINE_MAX)
		return err_set(e, ERR_LIMIT, "line over %d octets",
		    REPORT_LINE_MAX);
	if (!next_word(&rest, &word))
		return err_set(e, ERR_SYNTAX, "an empty line");
	rc = parse_kind(word, r_out, e);
	if (rc < 0)
		return rc;
	w = &words[r_out->kind];
	if (w->name)
		rc = parse_name(&rest, r_out, e);
	if (rc == 0 && w->second != NULL)
		rc = parse_failed(&rest, r_out, e);
	if (rc == 0 && w->numbers)
		return parse_numbers(&rest, r_out, e);
	if (rc == 0 && r_out->kind == REPORT_PROGRESS)
		return parse_progress(&rest, r_out, e);
	if (rc == 0 && w->text)
		r_out->text = rest;
	else if (rc == 0 && rest.ptr != r_out->name.ptr + r_out->name.len)
		return err_set(e, ERR_SYNTAX, "\"%s\" with something behind "
		    "the name", w->word);
	return rc;
}

static void
add_text(struct buf *out, struct slice text, size_t room)
{
	if (text.len > room)
		text.len = room;
	for (size_t i = 0; i < text.len; i++)
		buf_addc(out, is_control(text.ptr[i]) ? ' ' : text.ptr[i]);
}

void
report_format(struct buf *out, const struct report *r)
{
	const struct report_word *w = &words[r->kind];
	size_t start = out->len;

	buf_adds(out, w->word);
	if (w->name) {
		assert(report_name_ok(r->name));
		buf_addc(out, ' ');
		buf_addslice(out, r->name);
	}
	if (w->second != NULL)
		buf_addf(out, " %s", w->second);
	if (w->numbers)
		buf_addf(out, " %" PRIu64 " %" PRIu64, r->done, r->total);
	for (size_t i = 0; r->kind == REPORT_PROGRESS && i < PROGRESS_KEYS;
	    i++) {
		const void *at = (const char *)&r->progress +
		    progress_keys[i].offset;
		const uint64_t *n = at;

		buf_addf(out, " %s=%" PRIu64, progress_keys[i].key, *n);
	}
	if (w->text) {
		buf_addc(out, ' ');
		add_text(out, r->text,
		    REPORT_LINE_MAX - (out->len - start));
	}
	buf_addc(out, '\n');
}
