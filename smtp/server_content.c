/* SPDX-License-Identifier: ISC */
/*
 * The content of messages, by DATA and by BDAT, as slices of the caller's
 * input.  What is wrong with it (bare CR or LF, lines or messages too long) is
 * collected as it passes and judged at its end: until then the session stays
 * in step with the client by swallowing.
 */
#include <stdio.h>

#include "smtp/server_state.h"

#define CONVERT_MAX 32768	/* octets of LF lines given at once */

void
server_start_content(struct smtp_server *s, bool data)
{
	content_scanner_init(&s->scan);
	if (data)
		dot_reader_init(&s->dots, s->lf, s->opts.line_max);
	else
		dot_reader_init(&s->dots, false, SIZE_MAX);
	s->too_large = s->opts.message_max != 0 &&
	    s->env.size_given && s->env.size > s->opts.message_max;
	s->swallow = s->held_cr = false;
	s->verdict.code = 0;
}

/* What is wrong with the content so far; the order decides which of several
 * faults is told. */
static bool
content_fault(struct smtp_server *s, struct smtp_refusal *r)
{
	bool data = s->state == STATE_DATA;

	if (s->verdict.code != 0)
		*r = s->verdict;
	else if (data && s->opts.line_ends != SMTP_LINES_NORMALIZE &&
	    (s->dots.bare || (s->scan.facts.flags & CONTENT_BARE) != 0))
		smtp_refuse(r, 554, "5.6.0",
		    "Error: bare CR or LF in message content");
	else if (data && s->dots.too_long)
		smtp_refuse(r, 500, "5.6.0",
		    "Error: line of message content too long");
	else if (s->too_large)
		smtp_refuse(r, 552, "5.3.4",
		    "Error: message size exceeds fixed limit");
	else
		return false;
	return true;
}

static void
give(struct smtp_server *s, struct slice run)
{
	struct smtp_refusal r;

	if (run.len == 0)
		return;
	content_scanner_add(&s->scan, run.ptr, run.len);
	if (s->opts.message_max != 0 &&
	    s->scan.facts.octets > s->opts.message_max)
		s->too_large = true;
	if (!s->swallow && !content_fault(s, &r))
		server_push(s, SMTP_EVENT_CONTENT)->bytes = run;
}

static void
refuse_content(struct smtp_server *s, const struct smtp_refusal *r)
{
	/* RFC 2033 4.2: but a chunk that is not the last has one reply. */
	s->each = server_each(s, s->state == STATE_DATA || s->chunk_last);
	if (s->begun)
		server_push(s, SMTP_EVENT_RESET);
	s->begun = false;
	server_error(s, r, false);
	server_end_transaction(s);
}

static void
data_end(struct smtp_server *s)
{
	struct smtp_refusal r;

	content_scanner_end(&s->scan);
	if (s->swallow) {
		server_end_transaction(s);
	} else if (content_fault(s, &r)) {
		refuse_content(s, &r);
	} else {
		server_ask(s, SMTP_EVENT_END);
		s->queue[s->queue_tail - 1].facts = &s->scan.facts;
	}
}

/* Lines that end in LF, with CR LF. */
static struct slice
convert(struct smtp_server *s, struct slice run)
{
	const char *p = run.ptr, *end = run.ptr + run.len, *nl;

	buf_clear(&s->converted);
	while ((nl = memchr(p, '\n', (size_t)(end - p))) != NULL) {
		buf_add(&s->converted, p, (size_t)(nl - p));
		buf_add(&s->converted, "\r\n", 2);
		p = nl + 1;
	}
	buf_add(&s->converted, p, (size_t)(end - p));
	return buf_slice(&s->converted);
}

/* As Postfix's smtpd_forbid_bare_newline = normalize and its
 * cleanup_replace_stray_cr_lf do: a bare LF ends a line, a bare CR becomes a
 * blank.  The end of data has been looked for before. */
static struct slice
normalize(struct smtp_server *s, struct slice run)
{
	buf_clear(&s->converted);
	for (size_t i = 0; i < run.len; i++) {
		char ch = run.ptr[i];

		if (s->held_cr && ch != '\n')
			buf_addc(&s->converted, ' ');
		s->held_cr = ch == '\r';
		if (ch == '\n')
			buf_adds(&s->converted, "\r\n");
		else if (ch != '\r')
			buf_addc(&s->converted, ch);
	}
	return buf_slice(&s->converted);
}

size_t
server_feed_data(struct smtp_server *s, const char *in, size_t len)
{
	struct slice run;
	uint64_t before = s->dots.lines;
	size_t used;
	int end;

	if ((s->lf || s->opts.line_ends == SMTP_LINES_NORMALIZE) &&
	    len > CONVERT_MAX)
		len = CONVERT_MAX;
	end = dot_reader_next(&s->dots, in, len, &used, &run);
	s->lines += s->dots.lines - before;
	if (s->lf && run.len > 0)
		run = convert(s, run);
	if (s->opts.line_ends == SMTP_LINES_NORMALIZE)
		run = normalize(s, run);
	give(s, run);
	if (end == 1)
		data_end(s);
	return used;
}

static void
chunk_refused(struct smtp_server *s)
{
	struct smtp_refusal r = s->chunk_refusal;

	s->chunk_refusal.code = 0;
	s->state = s->chunk_after;
	s->chunks_void = !s->chunk_last;
	s->each = s->chunk_told ? s->chunk_each : 0;
	if (s->chunk_told)
		server_reply(s, r.code, r.status, r.text);
	else if (!s->opts.batch)
		server_error(s, &r, false);
}

void
server_chunk_end(struct smtp_server *s)
{
	struct smtp_refusal r;
	char text[64];

	if (s->chunk_refusal.code != 0) {
		chunk_refused(s);
	} else if (content_fault(s, &r)) {
		s->chunks_void = !s->chunk_last;
		refuse_content(s, &r);
	} else if (s->chunk_last) {
		data_end(s);
	} else {
		s->state = STATE_CHUNKS;
		snprintf(text, sizeof(text), "Ok: %llu octets received",
		    (unsigned long long)s->chunk_octets);
		server_reply(s, 250, "2.0.0", text);
	}
}

size_t
server_feed_chunk(struct smtp_server *s, const char *in, size_t len)
{
	const char *p = in, *nl;

	if (len > s->chunk_left)
		len = (size_t)s->chunk_left;
	while ((nl = memchr(p, '\n', len - (size_t)(p - in))) != NULL) {
		s->lines++;
		p = nl + 1;
	}
	if (s->chunk_refusal.code == 0)
		give(s, (struct slice){ in, len });
	s->chunk_left -= len;
	return len;
}
