/* SPDX-License-Identifier: ISC */
/*
 * Lines of custody.txt: a word and members with one blank between two.  Points
 * in time are written as a distance, epochs and octets in hexadecimal, "-"
 * where there is nothing.
 */
#include "spool/custodyfile.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/text.h"

/* What is left of a line; like a reader, the first error stays. */
struct fields {
	struct slice rest;
	uint64_t now_secs;
	bool failed;
};

static void
put_text(struct buf *out, const char *text)
{
	buf_addc(out, ' ');
	for (; *text != '\0'; text++) {
		unsigned char c = (unsigned char)*text;

		if (c <= 32 || c >= 127 || c == '\\')
			buf_addf(out, "\\x%02x", c);
		else
			buf_addc(out, *text);
	}
}

static void
put_number(struct buf *out, uint64_t n)
{
	buf_addf(out, " %llu", (unsigned long long)n);
}

static void
put_epoch(struct buf *out, uint64_t epoch)
{
	buf_addf(out, " %016llx", (unsigned long long)epoch);
}

static void
put_octets(struct buf *out, const void *bytes, size_t len)
{
	buf_addc(out, ' ');
	if (len == 0)
		buf_addc(out, '-');
	hex_encode(out, bytes, len);
}

static void
put_past(struct buf *out, uint64_t secs, uint64_t now_secs)
{
	if (secs == 0)
		buf_adds(out, " -");
	else
		put_number(out, now_secs > secs ? now_secs - secs : 0);
}

static struct slice
next_field(struct fields *f)
{
	const char *end = f->rest.len > 0 ?
	    memchr(f->rest.ptr, ' ', f->rest.len) : NULL;
	size_t len = end == NULL ? f->rest.len : (size_t)(end - f->rest.ptr);
	struct slice s = { f->rest.ptr, len };

	if (len == 0)
		f->failed = true;
	f->rest.ptr += len + (end != NULL);
	f->rest.len -= len + (end != NULL);
	/* A blank at the end is one too many. */
	if (end != NULL && f->rest.len == 0)
		f->failed = true;
	return s;
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Two digits at s; -1 if they are none. */
static int
hex_octet(const char *s)
{
	int high = hex_digit(s[0]), low = hex_digit(s[1]);

	return high < 0 || low < 0 ? -1 : high << 4 | low;
}

static void
get_octets(struct fields *f, struct buf *out)
{
	struct slice s = next_field(f);

	if (slice_eqs(s, "-"))
		return;
	if (s.len % 2 != 0)
		f->failed = true;
	for (size_t i = 0; i + 1 < s.len && !f->failed; i += 2) {
		int c = hex_octet(s.ptr + i);

		if (c < 0)
			f->failed = true;
		else
			buf_addc(out, (char)c);
	}
}

static void
get_digest(struct fields *f, unsigned char digest[32])
{
	struct buf b = BUF_INIT;

	get_octets(f, &b);
	if (b.len == 32)
		memcpy(digest, b.ptr, 32);
	else
		f->failed = true;
	buf_release(&b);
}

static char *
get_text(struct fields *f)
{
	struct slice s = next_field(f);
	struct buf b = BUF_INIT;

	for (size_t i = 0; i < s.len && !f->failed; i++) {
		int c = (unsigned char)s.ptr[i];

		if (c == '\\') {
			c = s.len - i >= 4 && s.ptr[i + 1] == 'x' ?
			    hex_octet(s.ptr + i + 2) : -1;
			i += 3;
		} else if (c <= 32 || c >= 127) {
			c = -1;
		}
		if (c <= 0)
			f->failed = true;
		else
			buf_addc(&b, (char)c);
	}
	return buf_steal(&b);
}

static uint64_t
get_number(struct fields *f, uint64_t max)
{
	uint64_t n = 0;

	if (num_parse(next_field(f), max, &n) < 0)
		f->failed = true;
	return n;
}

static uint64_t
get_epoch(struct fields *f)
{
	struct slice s = next_field(f);
	uint64_t n = 0;

	if (s.len != 16)
		f->failed = true;
	for (size_t i = 0; i < s.len && !f->failed; i++) {
		int d = hex_digit(s.ptr[i]);

		if (d < 0)
			f->failed = true;
		n = n << 4 | (uint64_t)(d & 15);
	}
	return n;
}

/* What is older than this spool's count counts as of its first second. */
static uint64_t
get_past(struct fields *f)
{
	uint64_t age;

	if (f->rest.len > 0 && f->rest.ptr[0] == '-') {
		if (!slice_eqs(next_field(f), "-"))
			f->failed = true;
		return 0;
	}
	age = get_number(f, UINT64_MAX);
	return f->now_secs > age ? f->now_secs - age : 1;
}

static void
flow_in_put(struct buf *out, const void *v, uint64_t now_secs)
{
	const struct flow_in *f = v;

	put_text(out, f->origin);
	put_epoch(out, f->epoch);
	put_number(out, f->floor);
	put_past(out, f->last_secs, now_secs);
}

static void
flow_in_get(struct fields *from, void *v_out)
{
	struct flow_in *f = v_out;

	f->origin = get_text(from);
	f->epoch = get_epoch(from);
	f->floor = get_number(from, UINT64_MAX);
	f->last_secs = get_past(from);
}

static void
serial_in_put(struct buf *out, const void *v, uint64_t now_secs)
{
	const struct serial_in *s = v;

	put_text(out, s->origin);
	put_epoch(out, s->epoch);
	put_number(out, s->serial);
	put_number(out, s->done);
	put_number(out, s->voided);
	put_number(out, s->owed);
	put_number(out, s->transactions);
	put_octets(out, s->digest, sizeof(s->digest));
	put_past(out, s->first_secs, now_secs);
	put_octets(out, s->results.ptr, s->results.len);
}

static void
serial_in_get(struct fields *f, void *v_out)
{
	struct serial_in *s = v_out;

	s->origin = get_text(f);
	s->epoch = get_epoch(f);
	s->serial = get_number(f, UINT64_MAX);
	s->done = get_number(f, 1) != 0;
	s->voided = get_number(f, 1) != 0;
	s->owed = get_number(f, 1) != 0;
	s->transactions = get_number(f, UINT64_MAX);
	get_digest(f, s->digest);
	s->first_secs = get_past(f);
	get_octets(f, &s->results);
}

/* The recipients as octets: nine for each. */
static void
taken_put(struct buf *out, const void *v, uint64_t now_secs)
{
	const struct taken *t = v;
	struct buf b = BUF_INIT;

	for (size_t i = 0; i < t->nrcpt; i++) {
		buf_put64(&b, t->rcpt[i].address_hash);
		buf_put8(&b, t->rcpt[i].verdict);
	}
	put_text(out, t->origin);
	put_epoch(out, t->epoch);
	put_number(out, t->number);
	put_past(out, t->secs, now_secs);
	put_octets(out, b.ptr, b.len);
	buf_release(&b);
}

static void
taken_get(struct fields *f, void *v_out)
{
	struct taken *t = v_out;
	struct buf b = BUF_INIT;
	struct reader r;

	t->origin = get_text(f);
	t->epoch = get_epoch(f);
	t->number = get_number(f, UINT64_MAX);
	t->secs = get_past(f);
	get_octets(f, &b);
	if (b.len % 9 != 0)
		f->failed = true;
	t->nrcpt = b.len / 9;
	t->rcpt = mem_alloc(t->nrcpt + 1, sizeof(*t->rcpt));
	r = reader_of(b.ptr, b.len);
	for (size_t i = 0; i < t->nrcpt; i++) {
		t->rcpt[i].address_hash = read64(&r);
		t->rcpt[i].verdict = read8(&r);
	}
	buf_release(&b);
}

static void
site_put(struct buf *out, const void *v, uint64_t now_secs)
{
	const struct site_record *s = v;

	put_text(out, s->name);
	put_number(out, s->counter);
	put_number(out, s->told);
	put_past(out, s->heard_secs, now_secs);
	put_past(out, s->asked_secs, now_secs);
	put_number(out, s->rtt_secs);
	put_past(out, s->seen_secs, now_secs);
	put_number(out, s->fresh);
	put_octets(out, s->card, s->card == NULL ? 0 : strlen(s->card));
}

static void
site_get(struct fields *f, void *v_out)
{
	struct site_record *s = v_out;
	struct buf b = BUF_INIT;

	s->name = get_text(f);
	s->counter = get_number(f, UINT64_MAX);
	s->told = get_number(f, UINT64_MAX);
	s->heard_secs = get_past(f);
	s->asked_secs = get_past(f);
	s->rtt_secs = get_number(f, UINT64_MAX);
	s->seen_secs = get_past(f);
	s->fresh = get_number(f, 1) != 0;
	get_octets(f, &b);
	if (b.len > 0 && memchr(b.ptr, '\0', b.len) != NULL)
		f->failed = true;
	else if (b.len > 0)
		s->card = buf_steal(&b);
	buf_release(&b);
}

static const struct row {
	const char *word;
	const struct kept *kept;
	void (*put)(struct buf *out, const void *v, uint64_t now_secs);
	void (*get)(struct fields *f, void *v_out);
} rows[] = {
	{ "flow-in", &kept_flow_in, flow_in_put, flow_in_get },
	{ "serial-in", &kept_serial_in, serial_in_put, serial_in_get },
	{ "taken", &kept_taken, taken_put, taken_get },
	{ "site", &kept_site, site_put, site_get },
};

#define ROWS (sizeof(rows) / sizeof(rows[0]))

static const struct row *
row_of(const struct kept *k)
{
	for (size_t i = 0; i < ROWS; i++)
		if (rows[i].kept == k)
			return &rows[i];
	return NULL;
}

bool
custodyfile_has(const struct kept *k)
{
	return row_of(k) != NULL;
}

void
custodyfile_put(struct buf *out, const struct kept *k, const void *v,
    uint64_t now_secs)
{
	const struct row *row = row_of(k);

	buf_adds(out, row->word);
	row->put(out, v, now_secs);
	buf_addc(out, '\n');
}

void
custodyfile_put_seen(struct buf *out, const struct seen *s,
    uint64_t now_secs)
{
	char kind[2] = { s->kind, '\0' };

	buf_adds(out, "seen");
	put_text(out, kind);
	put_octets(out, s->key.ptr, s->key.len);
	put_number(out, s->expire_secs > now_secs ?
	    s->expire_secs - now_secs : 0);
	buf_addc(out, '\n');
}

static void
seen_get(struct fields *f, struct seen *s)
{
	char *kind = get_text(f);
	uint64_t left;

	if (strlen(kind) != 1)
		f->failed = true;
	s->kind = kind[0];
	free(kind);
	get_octets(f, &s->key);
	left = get_number(f, UINT64_MAX);
	s->expire_secs = left < UINT64_MAX - f->now_secs ?
	    f->now_secs + left : UINT64_MAX;
}

int
custodyfile_get(struct slice line, uint64_t now_secs,
    struct custody_line *l_out)
{
	struct fields f = { line, now_secs, false };
	struct slice word = next_field(&f);
	const struct row *row = NULL;

	memset(l_out, 0, sizeof(*l_out));
	for (size_t i = 0; i < ROWS; i++)
		if (slice_eqs(word, rows[i].word))
			row = &rows[i];
	if (row != NULL) {
		l_out->kept = row->kept;
		row->get(&f, &l_out->any);
	} else if (slice_eqs(word, "seen")) {
		seen_get(&f, &l_out->seen);
	} else {
		f.failed = true;
	}
	return f.failed || f.rest.len > 0 ? ERR_SYNTAX : 0;
}

void
custody_line_release(struct custody_line *l)
{
	if (l->kept != NULL)
		l->kept->release(&l->any);
	buf_release(&l->seen.key);
	l->kept = NULL;
}
