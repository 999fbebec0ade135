/* SPDX-License-Identifier: ISC */
/*
 * The client against a server that says anything: fed by lines or by octets
 * it does the same, and gives its RESULT for each message at most once.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "smtp/client.h"
#include "tests/fuzz/fuzz.h"

#define MESSAGES_MAX 3

struct play {
	struct smtp_client *c;
	struct envelope env;
	struct content_facts facts;
	struct buf said;
	unsigned begun, results;
	bool closed;
};

static const char content[] = "Subject: x\r\n\r\n.dot\r\n";

static void
begin(struct play *p)
{
	static const size_t rcpt[] = { 0, 1 };
	struct smtp_refusal r = { 0, "", "" };

	if (p->begun == MESSAGES_MAX) {
		smtp_client_quit(p->c);
		return;
	}
	/* the last needs more than many servers have */
	p->facts.flags = p->begun == 2 ? CONTENT_BARE : 0;
	if (smtp_client_begin(p->c, &p->env, &p->facts, rcpt, 2, &r) < 0) {
		buf_addf(&p->said, "cannot(%d %s) ", r.code, r.status);
		smtp_client_quit(p->c);
		return;
	}
	p->begun++;
}

static void
show(struct play *p, const struct smtp_client_event *ev)
{
	FUZZ_CHECK(!p->closed);
	buf_addf(&p->said, "%d(%zu %d %s %s) ", ev->kind, ev->index,
	    ev->reply.code, ev->reply.status, ev->reply.text);
	switch (ev->kind) {
	case SMTP_CLIENT_READY:
		begin(p);
		break;
	case SMTP_CLIENT_RECIPIENT:
		FUZZ_CHECK(ev->index < 2);
		break;
	case SMTP_CLIENT_CONTENT:
		smtp_client_content(p->c, content, sizeof(content) - 1);
		smtp_client_content_end(p->c);
		break;
	case SMTP_CLIENT_RESULT:
		p->results++;
		FUZZ_CHECK(p->results <= p->begun);
		break;
	case SMTP_CLIENT_CLOSED:
		p->closed = true;
		break;
	default:
		break;
	}
}

static void
drain(struct play *p)
{
	struct smtp_client_event ev;
	struct buf *out;

	while (smtp_client_next(p->c, &ev) == 1)
		show(p, &ev);
	out = smtp_client_output(p->c);
	buf_addslice(&p->said, buf_slice(out));
	buf_consume(out, out->len);
	FUZZ_CHECK(smtp_client_timeout_secs(p->c) > 0);
}

static void
feed(struct play *p, const char *bytes, size_t len)
{
	char *copy = fuzz_copy(bytes, len);

	smtp_client_feed(p->c, copy, len);
	free(copy);
	drain(p);
}

static void
play(struct buf *said, struct slice in, bool by_octets)
{
	struct smtp_client_options opts = { .helo = "c.example" };
	struct play p = { .c = smtp_client_new(&opts) };

	envelope_init(&p.env);
	p.env.sender = mem_strdup("a@one.example");
	p.env.envid = mem_strdup("x+2B");
	envelope_add_recipient(&p.env, "b@two.example", "NEVER", NULL);
	envelope_add_recipient(&p.env, "c@two.example", NULL, "rfc822;c@d");
	p.facts.octets = sizeof(content) - 1;
	drain(&p);
	while (in.len > 0) {
		const char *nl = memchr(in.ptr, '\n', in.len);
		size_t n = nl != NULL ? (size_t)(nl + 1 - in.ptr) : in.len;

		n = by_octets ? 1 : n;
		feed(&p, in.ptr, n);
		in.ptr += n;
		in.len -= n;
	}
	smtp_client_eof(p.c, "the end");
	drain(&p);
	FUZZ_CHECK(p.closed);
	*said = p.said;
	smtp_client_free(p.c);
	envelope_release(&p.env);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = { (const char *)data, size };
	struct buf lines = BUF_INIT, octets = BUF_INIT;

	play(&lines, in, false);
	play(&octets, in, true);
	fuzz_same(&lines, &octets);
	buf_release(&lines);
	buf_release(&octets);
	return 0;
}
