/* SPDX-License-Identifier: ISC */
/*
 * An object through the processor.  Content shows only where its END came:
 * how much of a void message is seen depends on the pieces.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "tests/fuzz/fuzz.h"

struct reading {
	struct buf *out;
	struct buf content;
	bool begun, over;
	uint64_t index;
};

static void
show_fault(struct reading *rd, const struct bundle_event *ev,
    const char *word)
{
	FUZZ_CHECK(ev->reason != NULL && *ev->reason != '\0');
	buf_addf(rd->out, "%s(%d %s @%llu %s) ", word, ev->refusal.code,
	    ev->refusal.status, (unsigned long long)ev->line, ev->reason);
}

static void
show_end(struct reading *rd, const struct bundle_event *ev)
{
	FUZZ_CHECK(rd->begun);
	FUZZ_CHECK(ev->index == rd->index);
	FUZZ_CHECK(ev->facts->octets == rd->content.len);
	rd->begun = false;
	fuzz_show_envelope(rd->out, ev->envelope);
	buf_addf(rd->out, "end %x %u [", ev->facts->flags,
	    ev->facts->received);
	buf_add(rd->out, rd->content.ptr, rd->content.len);
	buf_adds(rd->out, "] ");
}

static void
show_begin(struct reading *rd, const struct bundle_event *ev)
{
	FUZZ_CHECK(!rd->begun);
	FUZZ_CHECK(ev->index == rd->index + 1);
	FUZZ_CHECK(ev->envelope->nrcpt > 0 && ev->envelope->sender != NULL);
	rd->begun = true;
	rd->index = ev->index;
	buf_clear(&rd->content);
	buf_addf(rd->out, "begin(%llu @%llu %u) ",
	    (unsigned long long)ev->index, (unsigned long long)ev->line,
	    ev->hops);
}

static void
show_last(struct reading *rd, const struct bundle_event *ev)
{
	FUZZ_CHECK(!rd->begun);
	rd->over = true;
	if (ev->kind == BUNDLE_EVENT_DONE)
		buf_addf(rd->out, "done(%d)", ev->quit);
	else
		show_fault(rd, ev, ev->kind == BUNDLE_EVENT_BROKEN ?
		    "broken" : "not-batch");
}

static void
show(struct reading *rd, const struct bundle_event *ev)
{
	FUZZ_CHECK(!rd->over);
	switch (ev->kind) {
	case BUNDLE_EVENT_FORMAT:
		buf_addf(rd->out, "format(%d %s %s) ", ev->format,
		    ev->required != NULL ? ev->required : "-",
		    ev->id != NULL ? ev->id : "-");
		break;
	case BUNDLE_EVENT_ID:
		buf_addf(rd->out, "id(%s) ", ev->id);
		break;
	case BUNDLE_EVENT_BEGIN:
		show_begin(rd, ev);
		break;
	case BUNDLE_EVENT_CONTENT:
		FUZZ_CHECK(rd->begun && ev->bytes.len > 0);
		buf_addslice(&rd->content, ev->bytes);
		break;
	case BUNDLE_EVENT_END:
		show_end(rd, ev);
		break;
	case BUNDLE_EVENT_RESET:
		FUZZ_CHECK(rd->begun);
		rd->begun = false;
		buf_adds(rd->out, "reset ");
		break;
	case BUNDLE_EVENT_ERROR:
		show_fault(rd, ev, "error");
		break;
	default:
		show_last(rd, ev);
		break;
	}
}

static void
feed(struct reading *rd, struct bundle_reader *r, struct slice in)
{
	char *copy = fuzz_copy(in.ptr, in.len);
	struct bundle_event ev;
	size_t used, at = 0;

	while (bundle_reader_next(r, copy + at, in.len - at, &used,
	    &ev) == 1) {
		FUZZ_CHECK(used <= in.len - at);
		at += used;
		show(rd, &ev);
	}
	FUZZ_CHECK(used == in.len - at);
	free(copy);
}

void
fuzz_read_object(struct buf *out, const struct bundle_reader_options *opts,
    struct slice in, size_t piece)
{
	struct bundle_reader *r = bundle_reader_new(opts);
	struct reading rd = { .out = out };
	struct bundle_event ev;

	for (size_t at = 0, n; at < in.len; at += n) {
		n = in.len - at < piece ? in.len - at : piece;
		feed(&rd, r, (struct slice){ in.ptr + at, n });
	}
	while (bundle_reader_eof(r, &ev) == 1)
		show(&rd, &ev);
	FUZZ_CHECK(rd.over);
	bundle_reader_free(r);
	buf_release(&rd.content);
}
