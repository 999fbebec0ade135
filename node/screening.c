/* SPDX-License-Identifier: ISC */
/*
 * Screenings.  A step is one piece of 64 KiB in a turn of the event loop, as
 * with everything that reads objects; while commands run there is no step.
 * Nothing here is durable before the object is: a crash leaves files that the
 * next start removes, and the object passes again.
 */
#include "node/screening.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "node/labels.h"

#define PIECE 65536
#define GROWTH 4	/* a filter may make so many octets of one */
#define ATTACHED "Content-Type: application/octet-stream\r\n" \
	"Content-Transfer-Encoding: base64\r\n"

struct screening {
	struct daemon *d;
	enum screening_way way;
	enum conf_filter_part part;
	struct conf_strings commands;
	char *peer, *name, *path, *dir, *stem;
	uint64_t deadline_secs, octets;		/* of the object */
	screening_done *done;
	void *ctx;
	struct event *turn;
	int (*step)(struct screening *p, struct err *e);
	struct chain *chain;
	struct labels labels;			/* of the object */
	struct pour pour;
	int from, to;
	char *taken, *made;			/* files: before and behind the
						 * chain */
	uint64_t written;
	struct sha256 hash;
};

static int	pour_step(struct screening *, struct err *);

bool
screening_wanted(const struct conf_peer *peer, enum screening_way way)
{
	return peer != NULL && (way == SCREENING_OUT ? peer->filter_out.n :
	    peer->filter_in.n) > 0;
}

char *
screening_dir(const struct daemon *d, const char *peer)
{
	return mem_printf("%s/peers/%s/work", d->conf->spool_dir, peer);
}

void
screening_sweep(const char *dir)
{
	DIR *all = opendir(dir);
	struct dirent *de;

	if (all == NULL)
		return;
	while ((de = readdir(all)) != NULL)
		if (strcmp(de->d_name, ".") != 0 &&
		    strcmp(de->d_name, "..") != 0)
			(void)unlinkat(dirfd(all), de->d_name, 0);
	closedir(all);
}

/*
 * The end.
 */
static void
close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void
tell(struct screening *p, enum chain_end end, const char *path,
    const char *reason)
{
	struct screening_result r = { .end = end, .path = path,
	    .octets = p->written, .reason = reason };

	if (end == CHAIN_DONE) {
		sha256_end(&p->hash, r.digest);
		log_event(p->d->log, LOG_LEVEL_INFO, "object-filtered",
		    "peer", p->peer, "name", p->name, "filter",
		    p->way == SCREENING_OUT ? "filter-out" : "filter-in",
		    "octets", num_str(p->octets).s,
		    "became", num_str(p->written).s, NULL);
	}
	p->done(p->ctx, &r);
}

/* What is wrong with the object itself is no matter of another time. */
static void
failed(struct screening *p, int rc, const char *text)
{
	bool for_good = rc == ERR_SYNTAX || rc == ERR_LIMIT ||
	    rc == ERR_UNSUPPORTED;
	char *reason = mem_printf("%s: %s", p->way == SCREENING_OUT ?
	    "filter-out" : "filter-in", text);

	tell(p, for_good ? CHAIN_FAILED : CHAIN_LATER, NULL, reason);
	free(reason);
}

static void
again(struct screening *p)
{
	static const struct timeval at_once = { 0, 0 };

	event_add(p->turn, &at_once);
}

static void
on_turn(evutil_socket_t fd, short what, void *ctx)
{
	struct err e = ERR_INIT;
	struct screening *p = ctx;
	int rc = p->step(p, &e);

	(void)fd;
	(void)what;
	if (rc > 0)
		again(p);
	else if (rc < 0)
		failed(p, rc, e.text);
}

/* Where the disk is full, mail still has to leave: that makes room. */
static bool
has_room(const struct screening *p)
{
	return p->way == SCREENING_OUT ? spool_has_reserve(p->d->spool) :
	    spool_has_room(p->d->spool);
}

static bool
chain_room(void *ctx)
{
	return has_room(ctx);
}

/*
 * Putting together: behind the chain.
 */
static int
open_read(const char *path, int *fd_out, struct err *e)
{
	*fd_out = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	return *fd_out < 0 ? err_errno(e, "%s", path) : 0;
}

static int
open_write(struct screening *p, char **path_out, const char *what,
    struct err *e)
{
	*path_out = mem_printf("%s.%s", p->stem, what);
	p->to = open(*path_out, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
	p->written = 0;
	sha256_init(&p->hash);
	return p->to < 0 ? err_errno(e, "%s", *path_out) : 0;
}

static int
write_some(struct screening *p, struct slice bytes, struct err *e)
{
	p->written += bytes.len;
	sha256_add(&p->hash, bytes.ptr, bytes.len);
	return file_write_all(p->to, bytes.ptr, bytes.len, e);
}

/* The labels of what the chain made, for the fields of the mail. */
static int
entity_head(struct screening *p, struct buf *head, enum pour_how *how_out,
    struct err *e)
{
	struct labels made;
	int rc = labels_read(p->from, &made, e);

	if (rc == 0 && !made.typed)
		rc = err_set(e, ERR_SYNTAX, "no Content-Type");
	if (rc == 0 && lseek(p->from, (off_t)made.body, SEEK_SET) == -1)
		rc = err_errno(e, "cannot read it");
	if (rc < 0)
		(void)err_prefix(e, "what it wrote is no MIME entity");
	buf_addslice(head, buf_slice(&made.entity));
	/* Many programs write LF here and there: no such body has it alone. */
	*how_out = made.encoding == MIME_BINARY ? POUR_AS_IS : POUR_CRLF;
	labels_release(&made);
	return rc;
}

/* What goes in front of what the chain made. */
static int
join_head(struct screening *p, struct buf *head, enum pour_how *how_out,
    struct err *e)
{
	int rc = 0;

	if (p->part == CONF_FILTER_WHOLE ||
	    (p->part == CONF_FILTER_ATTACHMENT && p->way == SCREENING_IN))
		return 0;
	buf_addslice(head, buf_slice(&p->labels.mail));
	if (p->part == CONF_FILTER_ATTACHMENT) {
		buf_adds(head, ATTACHED);
		*how_out = POUR_TO_BASE64;
	} else {
		rc = entity_head(p, head, how_out, e);
	}
	buf_adds(head, "\r\n");
	return rc;
}

static int
join_begin(struct screening *p, const char *path, struct err *e)
{
	struct buf head = BUF_INIT;
	enum pour_how how = POUR_AS_IS;
	int rc;

	rc = open_read(path, &p->from, e);
	if (rc == 0)
		rc = join_head(p, &head, &how, e);
	if (rc == 0)
		rc = open_write(p, &p->made, "made", e);
	if (rc == 0)
		rc = write_some(p, buf_slice(&head), e);
	buf_release(&head);
	if (rc < 0)
		return rc;
	pour_release(&p->pour);
	pour_init(&p->pour, how);
	p->step = pour_step;
	return 1;
}

static void
chain_over(void *ctx, enum chain_end end, const char *path,
    const char *reason)
{
	struct screening *p = ctx;
	struct err e = ERR_INIT;
	int rc;

	if (end != CHAIN_DONE) {
		tell(p, end, NULL, reason);
		return;
	}
	rc = join_begin(p, path, &e);
	if (rc < 0)
		failed(p, rc, e.text);
	else
		again(p);
}

/*
 * Taking out: before the chain.
 */
static int
start_chain(struct screening *p)
{
	struct chain_spec spec = {
		.commands = &p->commands,
		.which = p->way == SCREENING_OUT ? "filter-out" : "filter-in",
		.peer = p->peer, .name = p->name,
		.input = p->taken != NULL ? p->taken : p->path,
		.stem = p->stem, .deadline_secs = p->deadline_secs,
		.octets_max = p->d->conf->object_max,
		.room = chain_room, .ctx = p,
	};

	if (spec.octets_max < p->octets * GROWTH)
		spec.octets_max = p->octets * GROWTH;
	p->chain = chain_start(p->d->base, p->d->log, &spec, chain_over);
	return 0;
}

/* One piece; behind the last the chain starts, or the screening is over. */
static int
pour_step(struct screening *p, struct err *e)
{
	struct buf out = BUF_INIT;
	char bytes[PIECE];
	ssize_t n;
	int rc = 0;

	n = file_read_some(p->from, bytes, sizeof(bytes));
	if (n < 0)
		return err_errno(e, "cannot read the object");
	if (!has_room(p))
		return err_set(e, ERR_FULL, "there is too little space on "
		    "the disk");
	if (n > 0)
		pour_add(&p->pour, &out, bytes, (size_t)n);
	else
		rc = pour_end(&p->pour, &out, e);
	if (rc == 0)
		rc = write_some(p, buf_slice(&out), e);
	buf_release(&out);
	if (rc < 0 || n > 0)
		return rc < 0 ? rc : 1;
	if (p->way == SCREENING_OUT && p->made != NULL && fsync(p->to) != 0)
		return err_errno(e, "%s", p->made);
	close_fd(&p->from);
	close_fd(&p->to);
	if (p->made == NULL)
		return start_chain(p);
	tell(p, CHAIN_DONE, p->made, "");
	return 0;
}

/* What is to go through the chain is not all of the object: it is copied out
 * of it. */
static int
take_out(struct screening *p, struct err *e)
{
	enum pour_how how = POUR_AS_IS;
	int rc = open_write(p, &p->taken, "taken", e);

	if (rc < 0)
		return rc;
	if (p->part == CONF_FILTER_ENTITY)
		rc = write_some(p, buf_slice(&p->labels.as_is), e);
	else if (p->labels.encoding == MIME_UNKNOWN)
		rc = err_set(e, ERR_UNSUPPORTED, "an unknown encoding");
	else
		how = pour_undoing(p->labels.encoding);
	if (rc == 0 &&
	    lseek(p->from, (off_t)p->labels.body, SEEK_SET) == -1)
		rc = err_errno(e, "%s", p->path);
	pour_release(&p->pour);
	pour_init(&p->pour, how);
	p->step = pour_step;
	return rc < 0 ? rc : 1;
}

static int
begin(struct screening *p, struct err *e)
{
	struct stat st;
	int rc;

	rc = file_make_dirs(p->dir, 0750, e);
	if (rc == 0)
		rc = open_read(p->path, &p->from, e);
	if (rc < 0)
		return rc;
	if (fstat(p->from, &st) < 0)
		return err_errno(e, "%s", p->path);
	p->octets = (uint64_t)st.st_size;
	if (p->part != CONF_FILTER_WHOLE) {
		rc = labels_read(p->from, &p->labels, e);
		if (rc < 0)
			return err_prefix(e, "it is no mail");
	}
	if (p->part == CONF_FILTER_ENTITY ||
	    (p->part == CONF_FILTER_ATTACHMENT && p->way == SCREENING_IN))
		return take_out(p, e);
	close_fd(&p->from);
	return start_chain(p);
}

/*
 * Screenings.
 */
static char *
make_stem(struct daemon *d, const char *dir)
{
	unsigned char random[10];
	struct buf name = BUF_INIT;
	char *stem;

	rng_fill(d->rng, random, sizeof(random));
	base32_encode(&name, random, sizeof(random));
	stem = path_join(dir, buf_cstr(&name));
	buf_release(&name);
	return stem;
}

static void
copy_strings(struct conf_strings *to, const struct conf_strings *from)
{
	to->item = mem_alloc(from->n + 1, sizeof(char *));
	for (to->n = 0; to->n < from->n; to->n++)
		to->item[to->n] = mem_strdup(from->item[to->n]);
}

struct screening *
screening_start(struct daemon *d, const struct conf_peer *peer,
    enum screening_way way, const char *name, const char *path,
    screening_done *done, void *ctx)
{
	struct screening *p = mem_alloc(1, sizeof(*p));

	p->d = d;
	p->way = way;
	p->part = peer->filter_part;
	copy_strings(&p->commands, way == SCREENING_OUT ? &peer->filter_out :
	    &peer->filter_in);
	p->peer = mem_strdup(peer->name);
	p->name = mem_strdup(name);
	p->path = mem_strdup(path);
	p->dir = screening_dir(d, peer->name);
	p->stem = make_stem(d, p->dir);
	p->deadline_secs = peer->filter_secs;
	p->done = done;
	p->ctx = ctx;
	p->from = p->to = -1;
	p->step = begin;
	p->turn = event_new(d->base, -1, 0, on_turn, p);
	if (p->turn == NULL)
		abort();
	pour_init(&p->pour, POUR_AS_IS);
	again(p);
	return p;
}

int
screening_deliver(const struct screening_result *r, const char *dir,
    const char *name, struct err *e)
{
	char *to = path_join(dir, name);
	int rc = 0;

	if (rename(r->path, to) != 0)
		rc = err_errno(e, "%s to %s", r->path, to);
	free(to);
	return rc == 0 ? file_sync_dir(dir, e) : rc;
}

static void
drop_file(char *path)
{
	if (path != NULL)
		(void)unlink(path);
	free(path);
}

void
screening_free(struct screening *p)
{
	if (p == NULL)
		return;
	chain_free(p->chain);
	event_free(p->turn);
	close_fd(&p->from);
	close_fd(&p->to);
	drop_file(p->taken);
	drop_file(p->made);
	labels_release(&p->labels);
	pour_release(&p->pour);
	for (size_t i = 0; i < p->commands.n; i++)
		free(p->commands.item[i]);
	free(p->commands.item);
	free(p->peer);
	free(p->name);
	free(p->path);
	free(p->dir);
	free(p->stem);
	free(p);
}
