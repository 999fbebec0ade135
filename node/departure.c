/* SPDX-License-Identifier: ISC */
/*
 * Objects that leave.  Without filters an object is written straight into out/
 * under a name that transports pass over; with them nothing of it is in out/
 * before all of them are done with it.
 */
#include "node/departure.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "node/screening.h"

struct departure {
	struct daemon *d;
	char *peer, *out, *work;
	struct event *step;
	/* of the object at hand */
	struct outbound *outbound;	/* NULL: none */
	struct file_writer file;
	struct sha256 hash;
	uint64_t object, octets;
	char *name;
	bool filtered;
	struct screening *screening;
};

static void
remove_file(const char *dir, const char *name)
{
	char *path = path_join(dir, name);

	(void)unlink(path);
	free(path);
}

static void
write_over(struct departure *dp)
{
	exchange_outbound_free(dp->outbound);
	screening_free(dp->screening);
	file_writer_abort(&dp->file);
	if (dp->filtered && dp->name != NULL)
		remove_file(dp->work, dp->name);
	free(dp->name);
	dp->outbound = NULL;
	dp->screening = NULL;
	dp->name = NULL;
	daemon_wake(dp->d);
}

static void
write_failed(struct departure *dp, int rc, const struct err *e)
{
	/* A damaged message was put aside and the object withdrawn by the
	 * exchange itself, or something in it has gone. */
	if (rc != ERR_CORRUPT && rc != ERR_UNSUPPORTED && rc != ERR_NOT_FOUND)
		exchange_object_unwritten(dp->d->exchange, dp->object,
		    e->text);
	write_over(dp);
}

/* It stands in out/. */
static int
write_told(struct departure *dp, uint64_t octets, const unsigned char *digest,
    struct err *e)
{
	int rc = exchange_object_written(dp->d->exchange, dp->object,
	    octets, digest, e);

	/* It was withdrawn meanwhile, or is not recorded: nobody shall send
	 * it. */
	if (rc != 0)
		remove_file(dp->out, dp->name);
	if (rc == 0 || rc == ERR_NOT_FOUND)
		write_over(dp);
	return rc == ERR_NOT_FOUND ? 0 : rc;
}

static void
passed(void *ctx, const struct screening_result *p)
{
	struct departure *dp = ctx;
	struct exchange *x = dp->d->exchange;
	struct err e = ERR_INIT;
	int rc;

	if (p->end == CHAIN_DONE) {
		rc = screening_deliver(p, dp->out, dp->name, &e);
		if (rc == 0)
			rc = write_told(dp, p->octets, p->digest, &e);
		if (rc < 0)
			write_failed(dp, rc, &e);
		return;
	}
	if (p->end == CHAIN_FAILED)
		exchange_object_refused(x, dp->object, p->reason);
	else
		exchange_object_unwritten(x, dp->object, p->reason);
	write_over(dp);
}

static bool
is_filtered(const struct departure *dp)
{
	return screening_wanted(conf_find_peer(dp->d->conf, dp->peer),
	    SCREENING_OUT);
}

static int
write_finish(struct departure *dp, struct err *e)
{
	struct daemon *d = dp->d;
	unsigned char digest[SHA256_LEN];
	char *path;
	int rc;

	sha256_end(&dp->hash, digest);
	if (dp->filtered != is_filtered(dp))
		return err_set(e, ERR_STATE, "its filters have changed");
	rc = file_writer_commit(&dp->file, true, e);
	if (rc != 0)
		return rc;
	if (!dp->filtered)
		return write_told(dp, dp->octets, digest, e);
	path = path_join(dp->work, dp->name);
	dp->screening = screening_start(d, conf_find_peer(d->conf, dp->peer),
	    SCREENING_OUT, dp->name, path, passed, dp);
	free(path);
	return 0;
}

static void
write_step(evutil_socket_t fd, short what, void *ctx)
{
	struct timeval now = { 0, 0 };
	struct buf piece = BUF_INIT;
	struct err e = ERR_INIT;
	struct departure *dp = ctx;
	int rc;

	(void)fd;
	(void)what;
	rc = exchange_outbound_read(dp->outbound, &piece, &e);
	if (rc == 1) {
		sha256_add(&dp->hash, piece.ptr, piece.len);
		dp->octets += piece.len;
		rc = file_writer_add(&dp->file, piece.ptr, piece.len, &e);
		if (rc == 0)
			event_add(dp->step, &now);
	} else if (rc == 0) {
		rc = write_finish(dp, &e);
	}
	if (rc < 0)
		write_failed(dp, rc, &e);
	buf_release(&piece);
}

/* Is the file of an earlier run still there, to the octet? */
static bool
still_there(const struct departure *dp, const struct exchange_action *a)
{
	unsigned char digest[SHA256_LEN];
	char *path = path_join(dp->out, a->name);
	struct sha256 hash;
	char piece[65536];
	uint64_t octets = 0;
	size_t n;
	FILE *f;

	f = fopen(path, "rbe");
	free(path);
	if (f == NULL)
		return false;
	sha256_init(&hash);
	while ((n = fread(piece, 1, sizeof(piece), f)) > 0) {
		sha256_add(&hash, piece, n);
		octets += n;
	}
	(void)fclose(f);
	sha256_end(&hash, digest);
	return octets == a->octets &&
	    memcmp(digest, a->digest, sizeof(digest)) == 0;
}

void
departure_write(struct departure *dp, const struct exchange_action *a)
{
	struct timeval now = { 0, 0 };
	struct daemon *d = dp->d;
	struct err e = ERR_INIT;
	int rc;

	if (dp->outbound != NULL) {
		exchange_object_unwritten(d->exchange, a->object,
		    "another object of this peer is being written");
		return;
	}
	dp->object = a->object;
	if (a->octets != 0 && still_there(dp, a)) {
		if (exchange_object_written(d->exchange, a->object, a->octets,
		    a->digest, &e) != 0)
			exchange_object_unwritten(d->exchange, a->object,
			    e.text);
		daemon_wake(d);
		return;
	}
	dp->octets = 0;
	dp->filtered = is_filtered(dp);
	sha256_init(&dp->hash);
	rc = exchange_outbound_new(d->exchange, a->object, &dp->outbound, &e);
	if (rc == 0)
		rc = file_writer_open(&dp->file, dp->filtered ? dp->work :
		    dp->out, a->name, 0640, &e);
	if (rc != 0) {
		write_failed(dp, rc, &e);
		return;
	}
	dp->name = mem_strdup(a->name);
	event_add(dp->step, &now);
}

int
departure_new(struct daemon *d, const char *peer, const char *out,
    struct departure **dp_out, struct err *e)
{
	static const struct file_writer none = FILE_WRITER_INIT;
	struct departure *dp = mem_alloc(1, sizeof(*dp));
	int rc;

	dp->d = d;
	dp->file = none;
	dp->peer = mem_strdup(peer);
	dp->out = mem_strdup(out);
	dp->work = screening_dir(d, peer);
	dp->step = evtimer_new(d->base, write_step, dp);
	if (dp->step == NULL)
		abort();
	rc = file_make_dirs(dp->out, 0750, e);
	if (rc == 0)
		rc = file_make_dirs(dp->work, 0750, e);
	if (rc != 0) {
		departure_free(dp);
		dp = NULL;
	}
	*dp_out = dp;
	return rc;
}

void
departure_free(struct departure *dp)
{
	if (dp == NULL)
		return;
	screening_free(dp->screening);
	exchange_outbound_free(dp->outbound);
	file_writer_abort(&dp->file);
	event_free(dp->step);
	free(dp->name);
	free(dp->peer);
	free(dp->out);
	free(dp->work);
	free(dp);
}

bool
departure_busy(const struct departure *dp)
{
	return dp->outbound != NULL;
}

void
departure_unlink(const struct departure *dp, const char *name)
{
	remove_file(dp->out, name);
}
