/* SPDX-License-Identifier: ISC */
/*
 * Files on their way out.  Urgency is size: names are opaque, and a small
 * file that waits behind a large one waits long, the other way round it is
 * not noticed.  A file's hash is computed when it is first offered.
 */
#include "transports/shipment.h"
#include "base/mem.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define HASH_STEP 65536
#define RETRY_MS 60000
#define RESERVE 16		/* places in the link, for small files */
#define PROGRESS_STEP 2048	/* octets between two reports, at least */

enum parcel_state {
	PARCEL_WAITING, PARCEL_OFFERED, PARCEL_SENT, PARCEL_REFUSED
};

struct parcel {
	char *name;
	enum parcel_state state;
	bool hashed;
	struct link_file file;
	int fd;			/* while it is read; -1 */
	int64_t not_before_ms;
	uint64_t reported;
};

struct shipment {
	struct contract *contract;
	int dir_fd;
	struct parcel *parcels;	/* the index is the tag while offered */
	size_t count;
	uint64_t next_tag;
	uint64_t gone;		/* octets sent since nothing was left */
};

struct shipment *
shipment_new(struct contract *c)
{
	struct shipment *s = mem_alloc(1, sizeof(*s));

	s->contract = c;
	s->dir_fd = -1;
	return s;
}

static void
parcel_close(struct parcel *p)
{
	if (p->fd >= 0)
		close(p->fd);
	p->fd = -1;
}

void
shipment_free(struct shipment *s)
{
	if (s == NULL)
		return;
	for (size_t i = 0; i < s->count; i++) {
		parcel_close(&s->parcels[i]);
		free(s->parcels[i].name);
	}
	free(s->parcels);
	if (s->dir_fd >= 0)
		close(s->dir_fd);
	free(s);
}

static struct parcel *
find_name(const struct shipment *s, const char *name)
{
	for (size_t i = 0; i < s->count; i++)
		if (strcmp(s->parcels[i].name, name) == 0)
			return &s->parcels[i];
	return NULL;
}

static struct parcel *
find_tag(const struct shipment *s, uint64_t tag)
{
	for (size_t i = 0; i < s->count; i++)
		if (s->parcels[i].file.tag == tag)
			return &s->parcels[i];
	return NULL;
}

/* How large it is, as far as can be seen. */
static bool
measure(const struct shipment *s, struct parcel *p)
{
	struct stat st;

	if (fstatat(s->dir_fd, p->name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
	    !S_ISREG(st.st_mode))
		return false;
	p->file.size = (uint64_t)st.st_size;
	return true;
}

static void
add_parcel(struct shipment *s, const char *name)
{
	struct parcel *p;

	s->parcels = mem_realloc(s->parcels, s->count + 1, sizeof(*p));
	p = &s->parcels[s->count++];
	*p = (struct parcel){ .name = mem_strdup(name), .fd = -1,
	    .state = PARCEL_WAITING };
	(void)measure(s, p);
	p->file.tag = s->next_tag++;
}

/* What has left out/ is forgotten, unless the link still speaks of it. */
static void
forget_gone(struct shipment *s, const struct contract_names *names)
{
	size_t kept = 0;

	for (size_t i = 0; i < s->count; i++) {
		struct parcel *p = &s->parcels[i];

		if (p->state != PARCEL_OFFERED &&
		    !contract_names_has(names, p->name)) {
			parcel_close(p);
			free(p->name);
			continue;
		}
		s->parcels[kept++] = *p;
	}
	s->count = kept;
}

int
shipment_look(struct shipment *s, struct err *e)
{
	struct contract_names names;
	int rc = 0;

	if (s->dir_fd < 0)
		s->dir_fd = open(contract_out_dir(s->contract),
		    O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->dir_fd < 0)
		return err_errno(e, "cannot open %s",
		    contract_out_dir(s->contract));
	rc = contract_out(s->contract, &names, e);
	if (rc < 0)
		return rc;
	forget_gone(s, &names);
	if (shipment_done(s))
		s->gone = 0;
	for (size_t i = 0; i < names.count; i++)
		if (find_name(s, names.names[i]) == NULL)
			add_parcel(s, names.names[i]);
	contract_names_release(&names);
	return 0;
}

void
shipment_restart(struct shipment *s)
{
	for (size_t i = 0; i < s->count; i++)
		if (s->parcels[i].state == PARCEL_OFFERED)
			s->parcels[i].state = PARCEL_WAITING;
}

/* Opens the file, if it still is one. */
static bool
parcel_open(const struct shipment *s, struct parcel *p)
{
	struct stat st;

	if (p->fd >= 0)
		return true;
	p->fd = openat(s->dir_fd, p->name,
	    O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (p->fd < 0)
		return false;
	if (fstat(p->fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		parcel_close(p);
		return false;
	}
	p->file.size = (uint64_t)st.st_size;
	return true;
}

static uint8_t
priority_of(uint64_t size)
{
	uint8_t bits = 0;

	for (; size > 0; size >>= 1)
		bits++;
	return bits;
}

static bool
parcel_hash(struct parcel *p)
{
	char *step = mem_alloc(1, HASH_STEP);
	uint64_t done = 0;
	struct sha256 h;
	ssize_t n;

	sha256_init(&h);
	while ((n = pread(p->fd, step, HASH_STEP, (off_t)done)) > 0 ||
	    (n < 0 && errno == EINTR)) {
		if (n < 0)
			continue;
		sha256_add(&h, step, (size_t)n);
		done += (uint64_t)n;
	}
	free(step);
	sha256_end(&h, p->file.hash);
	p->file.priority = priority_of(p->file.size);
	p->file.name = p->name;
	p->hashed = n == 0 && done == p->file.size;
	return p->hashed;
}

/* Whether it can be offered now. */
static bool
parcel_ready(const struct shipment *s, struct parcel *p, int64_t now_ms)
{
	if (p->state != PARCEL_WAITING || p->not_before_ms > now_ms)
		return false;
	return p->hashed || measure(s, p);
}

static struct parcel *
smallest(const struct shipment *s, int64_t now_ms)
{
	struct parcel *best = NULL;

	for (size_t i = 0; i < s->count; i++) {
		struct parcel *p = &s->parcels[i];

		if (parcel_ready(s, p, now_ms) && (best == NULL ||
		    p->file.size < best->file.size))
			best = p;
	}
	return best;
}

/* The last places are kept for what is smaller than all that was offered, so
 * that a long queue does not keep a small file from overtaking. */
static bool
has_place(const struct shipment *s, const struct parcel *p)
{
	size_t offered = 0;
	bool smaller = true;

	for (size_t i = 0; i < s->count; i++) {
		const struct parcel *o = &s->parcels[i];

		if (o->state != PARCEL_OFFERED)
			continue;
		offered++;
		smaller = smaller && p->file.size < o->file.size;
	}
	return smaller || offered < LINK_FILES_MAX - RESERVE;
}

void
shipment_offer(struct shipment *s, struct link *l, int64_t now_ms)
{
	struct parcel *p;

	while (link_has_room(l) && (p = smallest(s, now_ms)) != NULL &&
	    has_place(s, p)) {
		if (!parcel_open(s, p) ||
		    (!p->hashed && !parcel_hash(p))) {
			/* It disappeared, or is not to be read now. */
			parcel_close(p);
			p->not_before_ms = now_ms + RETRY_MS;
			continue;
		}
		p->file.name = p->name;
		if (link_offer(l, &p->file))
			p->state = PARCEL_OFFERED;
	}
}

void
shipment_progress(struct shipment *s, const struct link *l)
{
	for (size_t i = 0; i < s->count; i++) {
		struct parcel *p = &s->parcels[i];
		uint64_t done;

		if (p->state != PARCEL_OFFERED)
			continue;
		done = link_progress(l, p->file.tag);
		if (done < p->reported + PROGRESS_STEP)
			continue;
		p->reported = done;
		contract_sending(s->contract, p->name, done, p->file.size);
	}
}

bool
shipment_done(const struct shipment *s)
{
	for (size_t i = 0; i < s->count; i++)
		if (s->parcels[i].state == PARCEL_WAITING ||
		    s->parcels[i].state == PARCEL_OFFERED)
			return false;
	return true;
}

void
shipment_octets(const struct shipment *s, const struct link *l,
    uint64_t *sent_out, uint64_t *left_out)
{
	*sent_out = s->gone;
	*left_out = 0;
	for (size_t i = 0; i < s->count; i++) {
		const struct parcel *p = &s->parcels[i];
		uint64_t done = p->state != PARCEL_OFFERED ? 0 :
		    link_progress(l, p->file.tag);

		if (p->state != PARCEL_WAITING && p->state != PARCEL_OFFERED)
			continue;
		done = done < p->file.size ? done : p->file.size;
		*sent_out += done;
		*left_out += p->file.size - done;
	}
}

int
shipment_read(struct shipment *s, uint64_t tag, uint64_t offset, void *into,
    size_t len)
{
	struct parcel *p = find_tag(s, tag);
	ssize_t n;

	if (p == NULL || !parcel_open(s, p))
		return ERR_IO;
	do
		n = pread(p->fd, into, len, (off_t)offset);
	while (n < 0 && errno == EINTR);
	return n <= 0 ? ERR_IO : (int)n;
}

void
shipment_sent(struct shipment *s, uint64_t tag)
{
	struct parcel *p = find_tag(s, tag);

	if (p == NULL)
		return;
	parcel_close(p);
	p->state = PARCEL_SENT;
	s->gone += p->file.size;
	contract_sent(s->contract, p->name);
}

void
shipment_failed(struct shipment *s, uint64_t tag, bool permanent,
    struct slice text, int64_t now_ms)
{
	struct parcel *p = find_tag(s, tag);
	struct buf words = BUF_INIT;

	if (p == NULL)
		return;
	parcel_close(p);
	p->state = permanent ? PARCEL_REFUSED : PARCEL_WAITING;
	p->hashed = false;
	p->not_before_ms = now_ms + RETRY_MS;
	/* A file that the daemon took away is no failure. */
	if (contract_out_has(s->contract, p->name)) {
		text_escape(&words, text, 200, false);
		contract_failed(s->contract, p->name, permanent,
		    buf_cstr(&words));
	}
	buf_release(&words);
}
