/* SPDX-License-Identifier: ISC */
/*
 * One file as an inbound object.
 *
 * The exchange wants the octets in order and, if they are broken, once more;
 * so the file stays open, and each step of the work is one read.  A step is a
 * timer of zero length: other sockets are served between two of them.
 *
 * Where the peer has filters, what they make of the file is fed; but what the
 * hand-in is told by, and what is kept where something is wrong, is the file as
 * it came.
 */
#include "node/intake.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "node/screening.h"

#define STEP 65536
/* What is fed may expand a thousandfold, and others wait meanwhile: pieces
 * grow while they are quick, and get smaller where they are slow. */
#define PIECE_FIRST 4096
#define PIECE_MIN 1024
#define QUICK_MS 10
#define SLOW_MS 50

struct intake {
	struct daemon *d;
	char *peer, *path, *name;
	struct buf pickup;
	intake_done *done;
	void *ctx;
	struct event *timer;
	/* The present step: 1 go on, 0 over, negative failed. */
	int (*step)(struct intake *in, struct err *e);
	size_t piece;		/* octets of the next to be fed */
	int fd, made;		/* the file, and what filters made of it */
	struct screening *screening;
	struct stat st;
	struct sha256 hash;
	struct inbound *inbound;
	struct quarantine *quarantine;
	enum inbound_outcome outcome;
};

static void	again(struct intake *);
static int	end_feed(struct intake *, struct err *);
static int	feed_step(struct intake *, struct err *);
static void	finish(struct intake *, const char *);
static int	quarantine_step(struct intake *, struct err *);

static int
rewind_file(const struct intake *in, int fd, struct err *e)
{
	if (lseek(fd, 0, SEEK_SET) == -1)
		return err_errno(e, "%s", in->path);
	return 0;
}

/* What is fed. */
static int
fed_fd(const struct intake *in)
{
	return in->made != -1 ? in->made : in->fd;
}

/* Octets read, 0 at the end, negative on failure. */
static int
read_some(const struct intake *in, int fd, char bytes[STEP], size_t max,
    size_t *len_out, struct err *e)
{
	ssize_t n = file_read_some(fd, bytes, max);

	*len_out = n > 0 ? (size_t)n : 0;
	return n < 0 ? err_errno(e, "%s", in->path) : n > 0;
}

static void
new_inbound(struct intake *in)
{
	in->inbound = exchange_inbound_new(in->d->exchange, in->peer, in->name,
	    buf_slice(&in->pickup));
}

/* The filters refuse it: it is broken as it came. */
static void
refused(struct intake *in, const char *reason)
{
	new_inbound(in);
	exchange_inbound_refuse(in->inbound, reason);
	in->step = end_feed;
	again(in);
}

static void
passed(void *ctx, const struct screening_result *r)
{
	struct intake *in = ctx;

	exchange_peer_stuck(in->d->exchange, in->peer,
	    r->end == CHAIN_LATER ? r->reason : NULL);
	if (r->end == CHAIN_FAILED) {
		refused(in, r->reason);
		return;
	}
	if (r->end == CHAIN_DONE)
		in->made = open(r->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (in->made == -1) {
		finish(in, r->end == CHAIN_DONE ? strerror(errno) : r->reason);
		return;
	}
	new_inbound(in);
	in->step = feed_step;
	again(in);
}

/* Zero: others go on with it. */
static int
begin_feed(struct intake *in, struct err *e)
{
	const struct conf_peer *peer = conf_find_peer(in->d->conf, in->peer);

	if (screening_wanted(peer, SCREENING_IN)) {
		in->step = NULL;
		in->screening = screening_start(in->d, peer, SCREENING_IN,
		    in->name, in->path, passed, in);
		return 0;
	}
	new_inbound(in);
	in->step = feed_step;
	return rewind_file(in, in->fd, e) < 0 ? e->code : 1;
}

/* Name, inode, time and hash (design: Custody). */
static void
identify(struct intake *in)
{
	unsigned char digest[SHA256_LEN];

	sha256_end(&in->hash, digest);
	buf_put_text(&in->pickup, in->name);
	buf_put64(&in->pickup, (uint64_t)in->st.st_ino);
	buf_put64(&in->pickup, (uint64_t)in->st.st_mtim.tv_sec);
	buf_put32(&in->pickup, (uint32_t)in->st.st_mtim.tv_nsec);
	buf_add(&in->pickup, digest, sizeof(digest));
}

static int
hash_step(struct intake *in, struct err *e)
{
	char bytes[STEP];
	size_t len;
	int r = read_some(in, in->fd, bytes, STEP, &len, e);

	if (r < 0)
		return r;
	if (r > 0) {
		sha256_add(&in->hash, bytes, len);
		return 1;
	}
	identify(in);
	return begin_feed(in, e);
}

static int
begin_quarantine(struct intake *in, struct err *e)
{
	in->quarantine = exchange_quarantine_new(in->inbound,
	    (uint64_t)in->st.st_size);
	in->step = quarantine_step;
	return rewind_file(in, in->fd, e) < 0 ? e->code : 1;
}

static int
end_feed(struct intake *in, struct err *e)
{
	in->outcome = exchange_inbound_end(in->inbound);
	if (in->outcome == INBOUND_AGAIN)
		return rewind_file(in, fed_fd(in), e) < 0 ? e->code : 1;
	if (in->outcome == INBOUND_BROKEN)
		return begin_quarantine(in, e);
	return 0;
}

static void
fit_piece(struct intake *in, int64_t took_ms)
{
	if (took_ms < QUICK_MS && in->piece < STEP)
		in->piece *= 2;
	else if (took_ms > SLOW_MS && in->piece > PIECE_MIN)
		in->piece /= 2;
}

static int
feed_step(struct intake *in, struct err *e)
{
	int64_t began_ms = clock_mono_ms(in->d->clock);
	char bytes[STEP];
	size_t len;
	int r = read_some(in, fed_fd(in), bytes, in->piece, &len, e);

	if (r < 0)
		return r;
	if (r == 0)
		return end_feed(in, e);
	r = exchange_inbound_add(in->inbound, bytes, len, e);
	fit_piece(in, clock_mono_ms(in->d->clock) - began_ms);
	if (r == ERR_FULL || r == ERR_IO)
		return r;
	if (r < 0)	/* no use in the rest: it says so at its end */
		return end_feed(in, e);
	return 1;
}

static int
quarantine_step(struct intake *in, struct err *e)
{
	char bytes[STEP];
	struct quarantine *q = in->quarantine;
	size_t len;
	int r = read_some(in, in->fd, bytes, STEP, &len, e);

	if (r < 0)
		return r;
	if (r == 0) {
		in->quarantine = NULL;	/* freed by its end */
		return exchange_quarantine_end(q, NULL, e);
	}
	r = exchange_quarantine_add(q, bytes, len, e);
	return r < 0 ? r : 1;
}

static void
finish(struct intake *in, const char *failure)
{
	const char *reason = "";
	uint64_t messages = 0;

	if (in->inbound != NULL) {
		messages = exchange_inbound_messages(in->inbound);
		reason = exchange_inbound_reason(in->inbound);
	}
	if (failure != NULL) {
		in->outcome = INBOUND_LATER;
		reason = failure;
		log_event(in->d->log, LOG_LEVEL_WARNING, "object-later",
		    "peer", in->peer, "name", in->name, "reason", reason,
		    NULL);
	}
	if (store_failed(spool_store(in->d->spool)))
		in->d->failed = true;
	in->step = NULL;
	in->done(in->ctx, in->outcome, reason != NULL ? reason : "",
	    messages);
}

static void
again(struct intake *in)
{
	static const struct timeval at_once = { 0, 0 };

	event_add(in->timer, &at_once);
}

static int
open_step(struct intake *in, struct err *e)
{
	in->fd = open(in->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (in->fd == -1 || fstat(in->fd, &in->st) == -1)
		return err_errno(e, "%s", in->path);
	if (!S_ISREG(in->st.st_mode))
		return err_set(e, ERR_IO, "%s: not a regular file", in->path);
	if (in->pickup.len > 0)
		return begin_feed(in, e);
	sha256_init(&in->hash);
	in->step = hash_step;
	return 1;
}

static void
on_turn(evutil_socket_t fd, short what, void *ctx)
{
	struct intake *in = ctx;
	struct err e = ERR_INIT;
	int r = in->step(in, &e);

	(void)fd;
	(void)what;
	daemon_wake(in->d);
	if (r > 0)
		again(in);
	else if (r < 0 || in->step != NULL)
		finish(in, r < 0 ? e.text : NULL);
}

struct intake *
intake_start(struct daemon *d, const char *peer, const char *path,
    const char *name, struct slice pickup, intake_done *done, void *ctx)
{
	struct intake *in = mem_alloc(1, sizeof(*in));

	in->d = d;
	in->peer = mem_strdup(peer);
	in->path = mem_strdup(path);
	in->name = mem_strdup(name);
	buf_addslice(&in->pickup, pickup);
	in->done = done;
	in->ctx = ctx;
	in->fd = in->made = -1;
	in->outcome = INBOUND_LATER;
	in->piece = PIECE_FIRST;
	in->step = open_step;
	in->timer = event_new(d->base, -1, 0, on_turn, in);
	again(in);
	return in;
}

void
intake_free(struct intake *in)
{
	if (in == NULL)
		return;
	event_free(in->timer);
	if (in->quarantine != NULL)
		exchange_quarantine_abort(in->quarantine);
	if (in->inbound != NULL)
		exchange_inbound_free(in->inbound);
	screening_free(in->screening);
	if (in->fd != -1)
		close(in->fd);
	if (in->made != -1)
		close(in->made);
	buf_release(&in->pickup);
	free(in->peer);
	free(in->path);
	free(in->name);
	free(in);
}
