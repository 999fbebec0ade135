/* SPDX-License-Identifier: ISC */
/*
 * A look by IMAP.  UIDs ascend, so what was settled is one number; mails
 * above it are listed with the two header fields that tell whether one may be
 * ours, in one command, and those are fetched one by one.  BODY.PEEK leaves
 * no trace on the others.
 *
 * What was taken is deleted for itself alone: a plain EXPUNGE would take what
 * a person has marked for deletion with it, so where UIDPLUS is missing the
 * mails are only marked.
 */
#include "transports/mailbox_private.h"
#include "base/clock.h"
#include "base/mem.h"

#include <inttypes.h>
#include <stdlib.h>

#define FOUND_MAX 1024		/* mails of one round */
#define HEADER_MAX 65536
#define REMOVE_STEP 50
#define IDLE_MS (25 * 60 * 1000)	/* RFC 2177 3: less than 30 minutes */
#define FIELDS "BODY.PEEK[HEADER.FIELDS (FROM CONTENT-TYPE " \
	"CONTENT-TRANSFER-ENCODING MIME-VERSION)]"

struct found {
	uint32_t uid;
	uint64_t size;
};

struct look {
	struct mailbox *box;
	struct found found[FOUND_MAX];
	size_t nfound;
	uint32_t after;		/* UIDs above this are to be listed */
	uint32_t last;		/* the highest that is settled by this round */
	uint32_t missed;	/* the lowest of those that found has no room
				 * for; 0: none */
	uint32_t unsettled;	/* the lowest that the server did not give or
				 * the daemon did not take; 0: none */
	struct buf header;	/* of the one that is being listed */
	uint32_t fetching;	/* UID; 0: listing */
	bool arrived;		/* it is whole */
	uint32_t taken[REMOVE_STEP];
	size_t ntaken;
};

static void
keep_lowest(uint32_t *lowest_io, uint32_t uid)
{
	if (*lowest_io == 0 || uid < *lowest_io)
		*lowest_io = uid;
}

static void
take_listed(struct look *l, const struct imap_event *ev)
{
	bool may = !ev->deleted && taker_may_be_ours(l->box->taker,
	    buf_slice(&l->header));

	buf_clear(&l->header);
	/* "9:*" has the last message even where that is number 7. */
	if (ev->uid <= l->after)
		return;
	if (ev->uid > l->last)
		l->last = ev->uid;
	if (may && l->nfound == FOUND_MAX)
		keep_lowest(&l->missed, ev->uid);
	else if (may)
		l->found[l->nfound++] = (struct found){ ev->uid, ev->size };
}

static int
take_event(struct look *l, const struct imap_event *ev, struct err *e)
{
	switch (ev->kind) {
	case IMAP_CONTENT:
		if (l->fetching != 0)
			return taker_add(l->box->taker, ev->text, e);
		if (l->header.len + ev->text.len <= HEADER_MAX)
			buf_addslice(&l->header, ev->text);
		return 0;
	case IMAP_MESSAGE:
		if (l->fetching == 0)
			take_listed(l, ev);
		else if (ev->has_body && ev->uid != l->fetching)
			return err_set(e, ERR_SYNTAX, "the server gave mail "
			    "%" PRIu32 " for %" PRIu32, ev->uid, l->fetching);
		else
			l->arrived = l->arrived || ev->has_body;
		return 0;
	case IMAP_NEWS:
		l->box->news = true;
		return 0;
	case IMAP_BYE:
		return err_set(e, ERR_IO, "the server hangs up: %.*s",
		    (int)(ev->text.len < 200 ? ev->text.len : 200),
		    ev->text.ptr);
	case IMAP_GO_ON:
	case IMAP_OK:
	case IMAP_NO:
		break;
	}
	return 0;
}

/* Sends what was said and takes the answers.  1: OK; 0: NO, and the text is in
 * *e. */
static int
ask(struct look *l, struct err *e)
{
	struct mailbox *b = l->box;
	char *octets = mem_alloc(1, MAILBOX_STEP);
	struct imap_event ev = { .kind = IMAP_GO_ON };
	size_t len;
	int rc = mailbox_send(b, imap_output(b->imap), e), got;

	while (rc == 0 && ev.kind != IMAP_OK && ev.kind != IMAP_NO) {
		got = imap_next(b->imap, &ev, e);
		if (got == 1) {
			rc = take_event(l, &ev, e);
			continue;
		}
		ev.kind = IMAP_GO_ON;
		rc = got < 0 ? got : mailbox_hear(b, octets, &len, e);
		if (rc == 0)
			imap_feed(b->imap, octets, len);
	}
	if (rc == 0 && ev.kind == IMAP_NO)
		(void)err_set(e, ERR_IO, "%.*s",
		    (int)(ev.text.len < 200 ? ev.text.len : 200),
		    ev.text.ptr);
	else if (rc == 0)
		rc = 1;
	free(octets);
	return rc;
}

/* The same where NO ends the session. */
static int
demand(struct look *l, const char *what, struct err *e)
{
	int rc = ask(l, e);

	if (rc == 1)
		return 0;
	err_prefix(e, "%s", what);
	return rc < 0 ? rc : ERR_IO;
}

static int
open_mailbox(struct look *l, struct err *e)
{
	struct mailbox *b = l->box;
	const char *path = mailhost_path(b->opts.host);
	struct buf name = BUF_INIT;
	int rc;

	imap_say(b->imap, "CAPABILITY");
	rc = demand(l, "CAPABILITY", e);
	if (rc < 0)
		return rc;
	imap_quote(&name, path[0] != '\0' ? path : "INBOX");
	imap_say(b->imap, "SELECT %s", buf_cstr(&name));
	rc = demand(l, buf_cstr(&name), e);
	if (rc == 0 && imap_uidvalidity(b->imap) == 0)
		rc = err_set(e, ERR_UNSUPPORTED, "mails have no lasting "
		    "numbers there (UIDVALIDITY)");
	buf_release(&name);
	return rc;
}

static int
by_uid(const void *a, const void *b)
{
	uint32_t one = ((const struct found *)a)->uid;
	uint32_t other = ((const struct found *)b)->uid;

	return one < other ? -1 : one > other;
}

/* In what order they are listed is for the server to choose. */
static int
order(struct look *l, struct err *e)
{
	if (l->nfound > 0)
		qsort(l->found, l->nfound, sizeof(l->found[0]), by_uid);
	if (l->missed == 0)
		return 0;
	l->last = l->missed - 1;
	while (l->nfound > 0 && l->found[l->nfound - 1].uid > l->last)
		l->nfound--;
	return l->nfound > 0 ? 0 : err_set(e, ERR_UNSUPPORTED, "the mails "
	    "are listed in no order, and are more than %d", FOUND_MAX);
}

static int
list(struct look *l, struct err *e)
{
	struct mailbox *b = l->box;
	int rc;

	l->after = l->last;
	l->nfound = 0;
	l->missed = l->fetching = 0;
	b->news = false;
	imap_say(b->imap, "UID FETCH %" PRIu32 ":* (UID RFC822.SIZE FLAGS "
	    FIELDS ")", l->after < UINT32_MAX ? l->after + 1 : l->after);
	rc = demand(l, "the list of mails", e);
	return rc == 0 ? order(l, e) : rc;
}

/* All up to this UID is settled. */
static void
advance(struct look *l, uint32_t uid)
{
	if (l->unsettled != 0 && uid >= l->unsettled)
		uid = l->unsettled - 1;
	seen_advance(l->box->seen, imap_uidvalidity(l->box->imap), uid);
}

static void
note_kept(struct mailbox *b, const char *why)
{
	if (!b->noted)
		contract_note(b->opts.contract, "what was fetched stays in "
		    "%s, marked as deleted: %s", mailhost_name(b->opts.host),
		    why);
	b->noted = true;
}

/* Asks for something that may be refused without harm. */
static int
ask_for_removal(struct look *l, struct err *e)
{
	struct err why = ERR_INIT;
	int rc = ask(l, &why);

	if (rc < 0)
		*e = why;
	else if (rc == 0)
		note_kept(l->box, why.text);
	return rc;
}

/* Without UIDPLUS there is no way to delete these and no others. */
static int
delete_set(struct look *l, const char *set, struct err *e)
{
	struct mailbox *b = l->box;
	int rc;

	imap_say(b->imap, "UID STORE %s +FLAGS.SILENT (\\Deleted)", set);
	rc = ask_for_removal(l, e);
	if (rc != 1)
		return rc;
	if ((imap_can(b->imap) & IMAP_CAN_UIDPLUS) == 0) {
		note_kept(b, "it does not have UIDPLUS (move-to may help)");
		return 0;
	}
	imap_say(b->imap, "UID EXPUNGE %s", set);
	return ask_for_removal(l, e);
}

static int
move_set(struct look *l, const char *set, struct err *e)
{
	struct mailbox *b = l->box;
	struct buf name = BUF_INIT;
	int rc;

	imap_quote(&name, b->opts.move_to);
	imap_say(b->imap, "UID MOVE %s %s", set, buf_cstr(&name));
	rc = ask_for_removal(l, e);
	buf_release(&name);
	return rc;
}

static int
remove_taken(struct look *l, struct err *e)
{
	bool move = l->box->opts.move_to != NULL &&
	    (imap_can(l->box->imap) & IMAP_CAN_MOVE) != 0;
	struct buf set = BUF_INIT;
	int rc;

	if (l->ntaken == 0)
		return 0;
	for (size_t i = 0; i < l->ntaken; i++)
		buf_addf(&set, "%s%" PRIu32, i > 0 ? "," : "", l->taken[i]);
	rc = move ? move_set(l, buf_cstr(&set), e) :
	    delete_set(l, buf_cstr(&set), e);
	buf_release(&set);
	if (rc < 0)
		return rc;
	advance(l, l->taken[l->ntaken - 1]);
	l->ntaken = 0;
	return 0;
}

/* One that has gone meanwhile is passed over; one that the server does not
 * give now is tried again at the next look. */
static int
fetch(struct look *l, uint32_t uid, uint64_t size, struct err *e)
{
	struct mailbox *b = l->box;
	enum taken taken = TAKEN_FOREIGN;
	char id[32];
	int rc;

	snprintf(id, sizeof(id), "%" PRIu32 " %" PRIu32,
	    imap_uidvalidity(b->imap), uid);
	rc = taker_begin(b->taker, id, size, e);
	if (rc < 0)
		return rc;
	l->fetching = uid;
	l->arrived = false;
	imap_say(b->imap, "UID FETCH %" PRIu32 " (UID BODY.PEEK[])", uid);
	rc = ask(l, e);
	l->fetching = 0;
	if (rc == 1 && l->arrived)
		rc = taker_end(b->taker, &taken, e);
	else if (rc == 0) {
		contract_note(b->opts.contract, "%s does not give mail %"
		    PRIu32 ": %s", mailhost_name(b->opts.host), uid, e->text);
		keep_lowest(&l->unsettled, uid);
	}
	taker_drop(b->taker);
	if (taken == TAKEN_LATER)
		keep_lowest(&l->unsettled, uid);
	if (rc >= 0 && taken == TAKEN)
		l->taken[l->ntaken++] = uid;
	return rc < 0 ? rc : 0;
}

static int
settle(struct look *l, size_t i, struct err *e)
{
	struct mailbox *b = l->box;
	uint32_t uid = l->found[i].uid;
	int rc = 0;

	if (l->found[i].size > b->opts.max_octets)
		contract_note(b->opts.contract, "a mail of %" PRIu64 " octets "
		    "was left in the mailbox: it is larger than max-size",
		    l->found[i].size);
	else
		rc = fetch(l, uid, l->found[i].size, e);
	if (rc == 0 && l->ntaken == REMOVE_STEP)
		rc = remove_taken(l, e);
	return rc;
}

static int
round_of(struct look *l, struct err *e)
{
	struct mailbox *b = l->box;
	struct err why = ERR_INIT;
	int rc = list(l, e), removed;

	for (size_t i = 0; rc == 0 && i < l->nfound; i++)
		rc = settle(l, i, e);
	/* What is safe goes from there even if there is no room for more. */
	if (rc == 0 || rc == ERR_FULL) {
		removed = remove_taken(l, &why);
		if (rc == 0 && removed < 0) {
			*e = why;
			rc = removed;
		}
	}
	if (rc < 0)
		return rc;
	advance(l, l->last);
	return seen_save(b->seen, e);
}

int
mailbox_imap_look(struct mailbox *b, struct err *e)
{
	struct look *l = mem_alloc(1, sizeof(*l));
	int rc = 0;

	l->box = b;
	if (imap_uidvalidity(b->imap) == 0) {
		rc = open_mailbox(l, e);
	} else {
		imap_say(b->imap, "NOOP");
		rc = demand(l, "NOOP", e);
	}
	/* A round begins where the last one ended, whatever it left. */
	l->last = seen_upto(b->seen, imap_uidvalidity(b->imap));
	do
		rc = rc == 0 ? round_of(l, e) : rc;
	while (rc == 0 && l->missed != 0);
	buf_release(&l->header);
	free(l);
	return rc;
}

/*
 * IDLE.
 */
/* 1: there is news, or the server wants to be asked; 0: wait on. */
static int
hear_idle(struct mailbox *b, bool *idling_io, struct err *e)
{
	struct imap_event ev;
	int rc;

	while ((rc = imap_next(b->imap, &ev, e)) == 1) {
		if (ev.kind == IMAP_BYE)
			return err_set(e, ERR_IO, "the server hangs up");
		if (ev.kind == IMAP_NEWS)
			return 1;
		if (ev.kind == IMAP_OK || ev.kind == IMAP_NO) {
			*idling_io = false;
			return 1;
		}
	}
	return rc;
}

static int
idle(struct mailbox *b, int ms, bool *idling_io, struct err *e)
{
	int64_t until = clock_mono_ms(clock_real()) + ms, now;
	int fd = contract_commands_fd(b->opts.contract), rc = 0;
	char *octets = mem_alloc(1, MAILBOX_STEP);
	size_t len;

	while (rc == 0 && (now = clock_mono_ms(clock_real())) < until) {
		len = MAILBOX_STEP;
		rc = stream_listen(b->stream, fd, octets, &len,
		    (int)(until - now), e);
		if (rc < 0 || len == 0)
			break;	/* it failed; or a command, or time */
		imap_feed(b->imap, octets, len);
		rc = hear_idle(b, idling_io, e);
	}
	free(octets);
	return rc < 0 ? rc : 0;
}

/* A server without IDLE says what there is of itself, or when it is asked. */
int
mailbox_imap_wait(struct mailbox *b, int ms, struct err *e)
{
	bool idling = b->opts.idle &&
	    (imap_can(b->imap) & IMAP_CAN_IDLE) != 0;
	struct look *l;
	int rc = 0;

	if (b->news)
		return 0;
	if (idling) {
		imap_say(b->imap, "IDLE");
		rc = mailbox_send(b, imap_output(b->imap), e);
	}
	if (rc == 0)
		rc = idle(b, ms < IDLE_MS ? ms : IDLE_MS, &idling, e);
	if (rc < 0 || !idling)
		return rc;
	imap_say_done(b->imap);
	l = mem_alloc(1, sizeof(*l));
	l->box = b;
	rc = ask(l, e);
	free(l);
	return rc < 0 ? rc : 0;
}

void
mailbox_imap_leave(struct mailbox *b)
{
	struct err e = ERR_INIT;

	imap_say(b->imap, "LOGOUT");
	(void)!mailbox_send(b, imap_output(b->imap), &e);
}
