/* SPDX-License-Identifier: ISC */
/*
 * Files on their way in.  The name in in/ is made of the peer's name for the
 * file, if that is a plain one, and the file's id, which covers name, size
 * and hash: the same file gets the same name however often it comes.  The
 * hash is compared by reading the file again when it is whole, as a file may
 * have come in pieces over several runs.
 */
#include "transports/reception.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#define JOURNAL_LINE 17		/* 16 hexadecimal digits and LF */
#define JOURNAL_KEPT 4096
#define JOURNAL_MAX (2 * JOURNAL_KEPT)
#define SETTLED "----------------\n"	/* of all before it the peer knows */
#define FRESH_MAX 8
#define PART_PREFIX ".link-"
#define PART_SUFFIX ".part"
#define PART_SECS_MAX (30 * 24 * 3600)	/* nobody goes on with it any more */
#define PARTS_MAX 64
#define NAME_KEPT 128
#define HASH_STEP 65536
#define DISK_RESERVE (UINT64_C(16) << 20)

struct incoming {
	int fd;			/* -1: free */
	uint64_t id, size;
	unsigned char hash[SHA256_LEN];
	char *name;		/* in in/, when whole */
};

struct reception {
	struct contract *contract;
	uint64_t max_size;
	int dir_fd;
	uint64_t *done;		/* ids, oldest first */
	size_t ndone;
	size_t nfresh;		/* the last so many: the peer may not know */
	bool told;		/* that nothing can be stored now */
	struct incoming slots[LINK_FILES_MAX];
};

struct part_name {
	char s[40];
};

static struct part_name
part_name(uint64_t id)
{
	struct part_name n;

	snprintf(n.s, sizeof(n.s), PART_PREFIX "%016" PRIx64 PART_SUFFIX, id);
	return n;
}

static bool
hex_parse(const char *text, uint64_t *id_out)
{
	*id_out = 0;
	for (int i = 0; i < 16; i++) {
		static const char digits[] = "0123456789abcdef";
		const char *at = text[i] == '\0' ? NULL :
		    strchr(digits, text[i]);

		if (at == NULL)
			return false;
		*id_out = *id_out << 4 | (uint64_t)(at - digits);
	}
	return true;
}

/* The id of a file that was received in part. */
static bool
parse_part(const char *name, uint64_t *id_out)
{
	size_t prefix = strlen(PART_PREFIX);

	return strncmp(name, PART_PREFIX, prefix) == 0 &&
	    strlen(name) == prefix + 16 + strlen(PART_SUFFIX) &&
	    hex_parse(name + prefix, id_out) &&
	    strcmp(name + prefix + 16, PART_SUFFIX) == 0;
}

static void
remember(struct reception *r, uint64_t id)
{
	if (r->ndone == JOURNAL_MAX) {
		r->ndone = JOURNAL_KEPT;
		memmove(r->done, r->done + JOURNAL_MAX - JOURNAL_KEPT,
		    r->ndone * sizeof(*r->done));
	}
	r->done[r->ndone++] = id;
	if (r->nfresh < FRESH_MAX)
		r->nfresh++;
}

static bool
is_done(const struct reception *r, uint64_t id)
{
	for (size_t i = 0; i < r->ndone; i++)
		if (r->done[i] == id)
			return true;
	return false;
}

/* Reads the journal; a torn line at the end is as if it were not there. */
static int
read_journal(struct reception *r, struct err *e)
{
	char *path = path_join(contract_in_dir(r->contract), RECEPTION_JOURNAL);
	struct buf text = BUF_INIT;
	int rc = file_read(path, (JOURNAL_MAX + 1) * JOURNAL_LINE, &text, e);

	for (size_t i = 0; rc == 0 && i + JOURNAL_LINE <= text.len;
	    i += JOURNAL_LINE) {
		uint64_t id;

		if (hex_parse(text.ptr + i, &id))
			remember(r, id);
		else if (memcmp(text.ptr + i, SETTLED, JOURNAL_LINE) == 0)
			r->nfresh = 0;
	}
	if (rc == ERR_NOT_FOUND || rc == ERR_LIMIT)
		rc = 0;
	buf_release(&text);
	free(path);
	return rc;
}

static int
rewrite_journal(const struct reception *r)
{
	struct buf text = BUF_INIT;
	int rc;

	for (size_t i = 0; i < r->ndone; i++)
		buf_addf(&text, "%016" PRIx64 "\n", r->done[i]);
	rc = file_replace(contract_in_dir(r->contract), RECEPTION_JOURNAL,
	    text.ptr, text.len, 0600, NULL);
	buf_release(&text);
	return rc;
}

static int
add_to_journal(struct reception *r, const char *line)
{
	struct stat st;
	int fd, rc;

	fd = openat(r->dir_fd, RECEPTION_JOURNAL,
	    O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return ERR_IO;
	if (fstat(fd, &st) < 0 || st.st_size % JOURNAL_LINE != 0 ||
	    st.st_size >= JOURNAL_MAX * JOURNAL_LINE)
		rc = rewrite_journal(r);
	else
		rc = file_write_all(fd, line, JOURNAL_LINE, NULL);
	if (rc == 0 && fdatasync(fd) < 0)
		rc = ERR_IO;
	close(fd);
	return rc;
}

static int
write_journal(struct reception *r, uint64_t id)
{
	char line[JOURNAL_LINE + 1];

	remember(r, id);
	snprintf(line, sizeof(line), "%016" PRIx64 "\n", id);
	return add_to_journal(r, line);
}

void
reception_settled(struct reception *r)
{
	/* Without the line in the journal more is told than must be. */
	if (r->nfresh > 0)
		(void)add_to_journal(r, SETTLED);
	r->nfresh = 0;
}

/* Removes what was begun long ago. */
static void
sweep_parts(const struct reception *r)
{
	int fd = openat(r->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *d;

	while (dir != NULL && (d = readdir(dir)) != NULL) {
		struct stat st;
		uint64_t id;

		if (parse_part(d->d_name, &id) && fstatat(r->dir_fd,
		    d->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    time(NULL) - st.st_mtime > PART_SECS_MAX)
			(void)unlinkat(r->dir_fd, d->d_name, 0);
	}
	if (dir != NULL)
		closedir(dir);
	else if (fd >= 0)
		close(fd);
}

static bool
is_open(const struct reception *r, uint64_t id)
{
	for (unsigned i = 0; i < LINK_FILES_MAX; i++)
		if (r->slots[i].fd >= 0 && r->slots[i].id == id)
			return true;
	return false;
}

/* Before another file is begun: no more than PARTS_MAX lie about, or a peer
 * could fill the disk with beginnings; the oldest goes. */
static void
limit_parts(const struct reception *r)
{
	int fd = openat(r->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *d;
	uint64_t id, oldest = 0;
	time_t when = 0;
	size_t count = 0;

	while (dir != NULL && (d = readdir(dir)) != NULL) {
		struct stat st;

		if (!parse_part(d->d_name, &id) || fstatat(r->dir_fd,
		    d->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		count++;
		if (is_open(r, id) || (when != 0 && st.st_mtime >= when))
			continue;
		oldest = id;
		when = st.st_mtime;
	}
	if (count >= PARTS_MAX && when != 0)
		(void)unlinkat(r->dir_fd, part_name(oldest).s, 0);
	if (dir != NULL)
		closedir(dir);
	else if (fd >= 0)
		close(fd);
}

int
reception_new(struct contract *c, uint64_t max_size,
    struct reception **r_out, struct err *e)
{
	struct reception *r = mem_alloc(1, sizeof(*r));
	int rc = 0;

	r->contract = c;
	r->max_size = max_size;
	r->done = mem_alloc(JOURNAL_MAX, sizeof(*r->done));
	for (size_t i = 0; i < LINK_FILES_MAX; i++)
		r->slots[i].fd = -1;
	r->dir_fd = open(contract_in_dir(c),
	    O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (r->dir_fd < 0)
		rc = err_errno(e, "cannot open %s", contract_in_dir(c));
	if (rc == 0)
		rc = read_journal(r, e);
	if (rc == 0)
		sweep_parts(r);
	if (rc < 0) {
		reception_free(r);
		r = NULL;
	}
	*r_out = r;
	return rc;
}

static void
release_slot(struct reception *r, unsigned slot)
{
	struct incoming *in = &r->slots[slot];

	if (in->fd >= 0)
		close(in->fd);
	free(in->name);
	*in = (struct incoming){ .fd = -1 };
}

void
reception_free(struct reception *r)
{
	if (r == NULL)
		return;
	for (unsigned i = 0; i < LINK_FILES_MAX; i++)
		release_slot(r, i);
	if (r->dir_fd >= 0)
		close(r->dir_fd);
	free(r->done);
	free(r);
}

static char *
final_name(const char *name, uint64_t id)
{
	size_t len = strlen(name);
	bool plain = len <= NAME_KEPT && name[0] != '.';

	for (size_t i = 0; plain && i < len; i++)
		plain = (name[i] >= 'a' && name[i] <= 'z') ||
		    (name[i] >= '0' && name[i] <= '9') || name[i] == '.' ||
		    name[i] == '-';
	return mem_printf("%s~%016" PRIx64, plain ? name : "x", id);
}

/* Once, until something can be stored again: the peer only knows that it is
 * to come later, and tries again and again. */
static void
tell_why(struct reception *r, const char *what)
{
	if (!r->told)
		contract_note(r->contract, "nothing can be received: %s: %s",
		    contract_in_dir(r->contract), what);
	r->told = true;
}

static bool
has_space(const struct reception *r, uint64_t size)
{
	struct statvfs fs;

	if (fstatvfs(r->dir_fd, &fs) < 0)
		return false;
	return (uint64_t)fs.f_bavail * fs.f_frsize >= size + DISK_RESERVE;
}

enum link_verdict
reception_open(struct reception *r, unsigned slot,
    const struct link_file *f, uint64_t *have_out)
{
	struct incoming *in = &r->slots[slot];
	uint64_t id = link_file_id(f);
	struct stat st;

	release_slot(r, slot);
	if (f->size > r->max_size)
		return LINK_REFUSE_NEVER;
	if (is_done(r, id))
		return LINK_HAVE_ALL;
	if (!has_space(r, f->size)) {
		tell_why(r, "no room beside the 16 MiB that stay free");
		return LINK_REFUSE_LATER;
	}
	if (is_open(r, id))
		return LINK_REFUSE_LATER;
	if (faccessat(r->dir_fd, part_name(id).s, F_OK,
	    AT_SYMLINK_NOFOLLOW) < 0)
		limit_parts(r);
	in->fd = openat(r->dir_fd, part_name(id).s, O_RDWR | O_CREAT |
	    O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
	if (in->fd < 0) {
		tell_why(r, strerror(errno));
		return LINK_REFUSE_LATER;
	}
	if (fstat(in->fd, &st) < 0 || !S_ISREG(st.st_mode) ||
	    ((uint64_t)st.st_size > f->size && ftruncate(in->fd, 0) < 0) ||
	    (st.st_size = lseek(in->fd, 0, SEEK_END)) < 0) {
		release_slot(r, slot);
		return LINK_REFUSE_LATER;
	}
	in->id = id;
	in->size = f->size;
	in->name = final_name(f->name, id);
	memcpy(in->hash, f->hash, sizeof(in->hash));
	*have_out = (uint64_t)st.st_size;
	return LINK_TAKE;
}

int
reception_write(struct reception *r, unsigned slot, const void *octets,
    size_t len)
{
	int rc = file_write_all(r->slots[slot].fd, octets, len, NULL);

	if (rc < 0)
		tell_why(r, strerror(errno));
	return rc;
}

static int
compare_hash(const struct incoming *in)
{
	unsigned char digest[SHA256_LEN];
	char *step = mem_alloc(1, HASH_STEP);
	off_t at = 0;
	struct sha256 h;
	ssize_t n;

	sha256_init(&h);
	while ((n = pread(in->fd, step, HASH_STEP, at)) > 0) {
		sha256_add(&h, step, (size_t)n);
		at += n;
	}
	sha256_end(&h, digest);
	free(step);
	if (n < 0)
		return ERR_IO;
	return memcmp(digest, in->hash, sizeof(digest)) == 0 ? 0 :
	    ERR_CORRUPT;
}

static int
make_final(struct reception *r, const struct incoming *in)
{
	if (fsync(in->fd) < 0 || renameat(r->dir_fd, part_name(in->id).s,
	    r->dir_fd, in->name) < 0 || fsync(r->dir_fd) < 0)
		return ERR_IO;
	return write_journal(r, in->id);
}

int
reception_close(struct reception *r, unsigned slot)
{
	struct incoming *in = &r->slots[slot];
	int rc = compare_hash(in);

	if (rc == ERR_CORRUPT) {
		if (ftruncate(in->fd, 0) < 0 ||
		    lseek(in->fd, 0, SEEK_SET) < 0)
			rc = ERR_IO;
		else
			return rc;
	}
	if (rc == 0)
		rc = make_final(r, in);
	r->told = r->told && rc < 0;
	if (rc == 0)
		contract_received(r->contract, in->name);
	release_slot(r, slot);
	return rc;
}

void
reception_leave(struct reception *r, unsigned slot, bool forget)
{
	if (forget && r->slots[slot].fd >= 0)
		(void)unlinkat(r->dir_fd, part_name(r->slots[slot].id).s, 0);
	release_slot(r, slot);
}

size_t
reception_partials(const struct reception *r, struct link_partial *out,
    size_t max)
{
	int fd = openat(r->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *d;
	size_t n = 0;

	while (dir != NULL && n < max && (d = readdir(dir)) != NULL) {
		struct link_partial p;
		struct stat st;

		if (!parse_part(d->d_name, &p.id) || fstatat(r->dir_fd,
		    d->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
		    st.st_size == 0)
			continue;
		p.have = (uint64_t)st.st_size;
		out[n++] = p;
	}
	if (dir != NULL)
		closedir(dir);
	else if (fd >= 0)
		close(fd);
	for (size_t i = 1; i <= r->nfresh && n < max; i++)
		out[n++] = (struct link_partial){ r->done[r->ndone - i],
		    LINK_PARTIAL_WHOLE };
	return n;
}
