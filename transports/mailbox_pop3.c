/* SPDX-License-Identifier: ISC */
/*
 * A look by POP3.  Mails are told apart by UIDL; those that are not known get
 * their header looked at (TOP), and those that may be ours are fetched.  What
 * was taken is deleted by the server at QUIT alone, which is said when it lies
 * in in/: a session that breaks deletes nothing.  So that a line that is cut
 * again and again gets on, a session ends after so much.
 */
#include "transports/mailbox_private.h"
#include "base/mem.h"
#include "base/text.h"

#include <stdlib.h>

#define LISTED_MAX SEEN_MAX
#define UIDL_MAX 255		/* RFC 1939 says 70 */
#define HEADER_MAX 65536
#define SESSION_MAILS 100	/* taken in one session, or so many octets */
#define SESSION_OCTETS (UINT64_C(16) << 20)

struct listed {
	uint32_t number;
	char *uidl;
};

struct look {
	struct mailbox *box;
	struct listed *list;
	size_t n;
	struct buf header;
	bool storing;		/* content goes to the taker */
	unsigned taken;		/* mails that go with QUIT */
	uint64_t octets;	/* fetched */
	struct err why;		/* of a -ERR */
};

static int
take_listed(struct look *l, struct slice line)
{
	const char *blank = memchr(line.ptr, ' ', line.len);
	struct slice digits, uidl;
	uint64_t number;

	if (blank == NULL)
		return 0;
	digits = (struct slice){ line.ptr, (size_t)(blank - line.ptr) };
	uidl = slice_trim((struct slice){ blank,
	    line.len - digits.len });
	if (num_parse(digits, UINT32_MAX, &number) < 0 || uidl.len == 0 ||
	    uidl.len > UIDL_MAX || l->n >= LISTED_MAX)
		return 0;
	if (seen_has(l->box->seen, uidl))
		return 0;
	if ((l->n & (l->n - 1)) == 0)
		l->list = mem_realloc(l->list, l->n == 0 ? 1 : l->n * 2,
		    sizeof(*l->list));
	l->list[l->n++] = (struct listed){ (uint32_t)number,
	    slice_dup(uidl) };
	return 0;
}

static int
take_event(struct look *l, const struct pop3_event *ev, struct err *e)
{
	if (ev->kind == POP3_LINE)
		return take_listed(l, ev->text);
	if (ev->kind != POP3_CONTENT)
		return 0;
	l->octets += ev->text.len;
	if (l->storing)
		return taker_add(l->box->taker, ev->text, e);
	if (l->header.len + ev->text.len <= HEADER_MAX)
		buf_addslice(&l->header, ev->text);
	return 0;
}

/* Sends what was said and takes the answer: 1: it is +OK and whole; 0: -ERR,
 * with the text in l->why. */
static int
ask(struct look *l, bool lines, struct err *e)
{
	struct mailbox *b = l->box;
	char *octets = mem_alloc(1, MAILBOX_STEP);
	struct pop3_event ev;
	size_t len;
	int rc = mailbox_send(b, pop3_output(b->pop3), e), got;
	bool over = false;

	while (rc == 0 && !over) {
		while (rc == 0 && !over &&
		    (got = pop3_next(b->pop3, &ev, e)) != 0) {
			rc = got < 0 ? got : take_event(l, &ev, e);
			over = ev.kind == POP3_ERR || ev.kind == POP3_END ||
			    (ev.kind == POP3_OK && !lines);
		}
		if (rc == 0 && !over)
			rc = mailbox_hear(b, octets, &len, e);
		if (rc == 0 && !over)
			pop3_feed(b->pop3, octets, len);
	}
	if (rc == 0 && ev.kind == POP3_ERR) {
		(void)err_set(&l->why, ERR_IO, "%.*s",
		    (int)(ev.text.len < 200 ? ev.text.len : 200),
		    ev.text.ptr);
	} else if (rc == 0) {
		rc = 1;
	}
	free(octets);
	return rc;
}

/* One that the server does not give the header of is fetched whole. */
static int
may_be_ours(struct look *l, const struct listed *one, struct err *e)
{
	int rc;

	l->storing = false;
	buf_clear(&l->header);
	pop3_say(l->box->pop3, POP3_MAIL, "TOP %u 0", one->number);
	rc = ask(l, true, e);
	if (rc == 1)
		rc = taker_may_be_ours(l->box->taker, buf_slice(&l->header));
	else if (rc == 0)
		rc = 1;
	return rc;
}

/* 1: it may be deleted; 0: it stays; 2: the next look tries again. */
static int
fetch(struct look *l, const struct listed *one, struct err *e)
{
	enum taken taken = TAKEN_FOREIGN;
	int rc = taker_begin(l->box->taker, one->uidl, 0, e);

	if (rc < 0)
		return rc;
	l->storing = true;
	pop3_say(l->box->pop3, POP3_MAIL, "RETR %u", one->number);
	rc = ask(l, true, e);
	if (rc == 1)
		rc = taker_end(l->box->taker, &taken, e);
	else if (rc == 0) {
		contract_note(l->box->opts.contract, "%s does not give mail "
		    "%u: %s", mailhost_name(l->box->opts.host), one->number,
		    l->why.text);
		rc = 2;
	}
	taker_drop(l->box->taker);
	if (rc == 0 && taken == TAKEN_LATER)
		rc = 2;
	return rc != 0 ? rc : taken == TAKEN;
}

/* 1: it is gone with QUIT; 0: it stays. */
static int
remove_one(struct look *l, const struct listed *one, struct err *e)
{
	int rc;

	pop3_say(l->box->pop3, POP3_PLAIN, "DELE %u", one->number);
	rc = ask(l, false, e);
	l->taken += rc == 1;
	if (rc == 0 && !l->box->noted) {
		contract_note(l->box->opts.contract, "%s does not delete "
		    "what was fetched: %s", mailhost_name(l->box->opts.host),
		    l->why.text);
		l->box->noted = true;
	}
	return rc;
}

static int
settle(struct look *l, const struct listed *one, struct err *e)
{
	int rc = may_be_ours(l, one, e);

	if (rc == 1)
		rc = fetch(l, one, e);
	if (rc == 1)
		rc = remove_one(l, one, e);
	if (rc == 0)
		seen_add(l->box->seen, slice_of(one->uidl));
	return rc;
}

static bool
is_enough(const struct look *l)
{
	return l->taken >= SESSION_MAILS ||
	    (l->taken > 0 && l->octets >= SESSION_OCTETS);
}

/* The server deletes what it was told to. */
static int
leave(struct look *l, struct err *e)
{
	int rc;

	pop3_say(l->box->pop3, POP3_PLAIN, "QUIT");
	rc = ask(l, false, e);
	if (rc == 0)
		rc = err_set(e, ERR_IO, "at QUIT: %s", l->why.text);
	return rc < 0 ? rc : seen_save(l->box->seen, e);
}

/* 1: there is more, for another session. */
static int
look(struct look *l, struct err *e)
{
	struct err why = ERR_INIT;
	size_t i = 0;
	int rc, left;

	pop3_say(l->box->pop3, POP3_LIST, "UIDL");
	rc = ask(l, true, e);
	if (rc == 0)
		return err_set(e, ERR_IO, "it does not say what is there "
		    "(UIDL): %s", l->why.text);
	while (rc >= 0 && i < l->n && !is_enough(l))
		rc = settle(l, &l->list[i++], e);
	/* What is safe goes from there even if there is no room for more,
	 * unless that was found in the middle of a mail. */
	if (rc < 0 && (rc != ERR_FULL || l->storing))
		return rc;
	left = leave(l, rc < 0 ? &why : e);
	if (rc < 0 || left < 0)
		return rc < 0 ? rc : left;
	return i < l->n;
}

int
mailbox_pop3_look(struct mailbox *b, struct err *e)
{
	struct look l = { .box = b };
	int rc = look(&l, e);

	for (size_t i = 0; i < l.n; i++)
		free(l.list[i].uidl);
	free(l.list);
	buf_release(&l.header);
	return rc;
}
