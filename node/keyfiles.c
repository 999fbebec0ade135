/* SPDX-License-Identifier: ISC */
/*
 * Files of keys.  Everything that a file is judged by is asked of the open
 * descriptor, so that what was judged is what is read.
 */
#include "node/keyfiles.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/secret.h"
#include "base/text.h"

#define ENTRY_MAX 4096		/* octets of a file */
#define FILES_MAX 64		/* in the directory */
#define PSK_WORDS "postrider-psk 1 "

struct keyfiles {
	char *dir;
	int fd;			/* of the directory, locked unless how is
				 * KEYFILES_READ */
	enum keyfiles_how how;
};

void
keyfiles_wipe(struct buf *b)
{
	if (b->base != NULL)
		secret_wipe(b->base, b->cap);
	buf_release(b);
}

/*
 * Judging.
 */
/* any: root looks at what is the daemon's. */
static int
check_owner(const char *path, const struct stat *st, bool any, struct err *e)
{
	if (st->st_uid == geteuid() || (any && geteuid() == 0))
		return 0;
	return err_set(e, ERR_DENIED, "%s belongs to the user %u and not to "
	    "%u, as whom this runs: run it as that user; or, where %u is the "
	    "daemon's, make it his (chown -R %u %s), or set \"user\" in the "
	    "configuration", path, (unsigned)st->st_uid, (unsigned)geteuid(),
	    (unsigned)geteuid(), (unsigned)geteuid(), path);
}

/* psk: it is one, not of our own keys. */
static int
check_mode(const char *path, const struct stat *st, bool psk, struct err *e)
{
	bool dir = S_ISDIR(st->st_mode);

	if ((st->st_mode & 077) == 0)
		return 0;
	return err_set(e, ERR_DENIED, "%s has the mode %04o: others may have "
	    "read %s; if nobody did, close it (chmod %s %s), else make %s)",
	    path, (unsigned)st->st_mode & 07777,
	    dir ? "the keys in it" : "this key", dir ? "0700" : "0600", path,
	    psk ? "another for both sites (postrider key psk" :
	    "new keys (postrider key new");
}

static int
open_secret(int dir, const char *name, const char *path, bool any,
    int *fd_out, struct err *e)
{
	struct stat st;
	int fd, rc;

	fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0 && errno == ELOOP)
		return err_set(e, ERR_DENIED, "%s is a symbolic link; a key "
		    "has to be a file", path);
	if (fd < 0) {
		rc = err_errno(e, "cannot open %s", path);
		/* Mostly since it is another's; then that is to be said. */
		if (rc == ERR_DENIED &&
		    fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
			(void)check_owner(path, &st, any, e);
		return rc;
	}
	if (fstat(fd, &st) != 0)
		rc = err_errno(e, "%s", path);
	else if (!S_ISREG(st.st_mode))
		rc = err_set(e, ERR_DENIED, "%s is no plain file", path);
	else
		rc = check_owner(path, &st, any, e);
	if (rc == 0)
		rc = check_mode(path, &st, dir == AT_FDCWD, e);
	if (rc == 0)
		*fd_out = fd;
	else
		(void)close(fd);
	return rc;
}

static int
read_secret_at(int dir, const char *name, const char *path, bool any,
    size_t max, struct buf *out, struct err *e)
{
	int fd = -1, rc;

	rc = open_secret(dir, name, path, any, &fd, e);
	if (rc == 0)
		rc = file_read_fd(fd, path, max, out, e);
	if (fd >= 0)
		(void)close(fd);
	return rc;
}

int
keyfiles_read_secret(const char *path, size_t max, struct buf *out,
    struct err *e)
{
	return read_secret_at(AT_FDCWD, path, path, false, max, out, e);
}

/*
 * The directory.
 */
static int
lock_dir(const struct keyfiles *f, struct err *e)
{
	if (f->how == KEYFILES_READ || flock(f->fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	if (errno == EWOULDBLOCK)
		return err_set(e, ERR_STATE, "%s is in use by another process "
		    "(the daemon?)", f->dir);
	return err_errno(e, "cannot lock %s", f->dir);
}

static int
open_dir(struct keyfiles *f, struct err *e)
{
	struct stat st;
	int rc;

	f->fd = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (f->fd < 0) {
		rc = err_errno(e, "cannot open the directory of keys %s",
		    f->dir);
		if (rc == ERR_DENIED && stat(f->dir, &st) == 0)
			(void)check_owner(f->dir, &st, false, e);
		return rc;
	}
	if (fstat(f->fd, &st) != 0)
		return err_errno(e, "%s", f->dir);
	rc = check_owner(f->dir, &st, f->how == KEYFILES_READ, e);
	if (rc == 0)
		rc = check_mode(f->dir, &st, false, e);
	return rc != 0 ? rc : lock_dir(f, e);
}

int
keyfiles_open(const char *dir, enum keyfiles_how how,
    struct keyfiles **files_out, struct err *e)
{
	struct keyfiles *f = mem_alloc(1, sizeof(*f));
	int rc = 0;

	f->dir = mem_strdup(dir);
	f->fd = -1;
	f->how = how;
	if (how == KEYFILES_MAKE)
		rc = file_make_dirs(dir, 0700, e);
	if (rc == 0)
		rc = open_dir(f, e);
	if (rc == 0)
		*files_out = f;
	else
		keyfiles_close(f);
	return rc;
}

void
keyfiles_close(struct keyfiles *f)
{
	if (f == NULL)
		return;
	if (f->fd >= 0)
		(void)close(f->fd);
	free(f->dir);
	free(f);
}

/*
 * Writing and destroying.
 */
static int
check_writing(const struct keyfiles *f, struct err *e)
{
	if (f->how != KEYFILES_READ)
		return 0;
	return err_set(e, ERR_STATE, "%s was opened to be looked at", f->dir);
}

static int
put_file(void *ctx, const char *name, struct slice text, struct err *e)
{
	struct keyfiles *f = ctx;
	int rc = check_writing(f, e);

	return rc != 0 ? rc : file_replace(f->dir, name, text.ptr, text.len,
	    0600, e);
}

/* What the file system keeps elsewhere (journals, snapshots, worn cells of a
 * flash disk) is out of reach. */
static void
overwrite(int dir, const char *name)
{
	static const char zeros[512];
	struct stat st;
	int fd = openat(dir, name, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
	size_t left, n;

	if (fd < 0)
		return;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
		for (left = (size_t)st.st_size; left > 0; left -= n) {
			n = left < sizeof(zeros) ? left : sizeof(zeros);
			if (file_write_all(fd, zeros, n, NULL) != 0)
				break;
		}
		(void)fdatasync(fd);
	}
	(void)close(fd);
}

static int
del_file(void *ctx, const char *name, struct err *e)
{
	struct keyfiles *f = ctx;
	int rc = check_writing(f, e);

	if (rc != 0)
		return rc;
	overwrite(f->fd, name);
	if (unlinkat(f->fd, name, 0) != 0 && errno != ENOENT)
		return err_errno(e, "cannot remove %s/%s", f->dir, name);
	if (fsync(f->fd) != 0)
		return err_errno(e, "cannot flush %s", f->dir);
	return 0;
}

const struct keyring_store *
keyfiles_store(void)
{
	static const struct keyring_store store = { put_file, del_file };

	return &store;
}

/*
 * All of them.
 */
static bool
is_entry(const char *name)
{
	return strcmp(name, "identity") == 0 || strcmp(name, "auth") == 0 ||
	    strcmp(name, "state") == 0 || strncmp(name, "receive-", 8) == 0;
}

/* What a crash left of writing one: ".NAME.tmp". */
static bool
is_leftover(const char *name)
{
	size_t len = strlen(name);

	return name[0] == '.' && len > 5 &&
	    strcmp(name + len - 4, ".tmp") == 0;
}

/* The names of entries and leftovers, to be freed. */
static int
list_names(struct keyfiles *f, char *names[FILES_MAX], size_t *n_out,
    struct err *e)
{
	DIR *dir = opendir(f->dir);
	const struct dirent *de;
	int rc = 0;

	*n_out = 0;
	if (dir == NULL)
		return err_errno(e, "cannot read %s", f->dir);
	while (rc == 0 && (de = readdir(dir)) != NULL) {
		if (!is_entry(de->d_name) && !is_leftover(de->d_name))
			continue;
		if (*n_out == FILES_MAX)
			rc = err_set(e, ERR_LIMIT, "%s has more than %d "
			    "files", f->dir, FILES_MAX);
		else
			names[(*n_out)++] = mem_strdup(de->d_name);
	}
	(void)closedir(dir);
	return rc;
}

static int
load_one(struct keyfiles *f, struct keyring *k, const char *name,
    struct err *e)
{
	struct buf text = BUF_INIT;
	char *path = path_join(f->dir, name);
	int rc;

	(void)buf_room(&text, 2 * ENTRY_MAX + 2);
	rc = read_secret_at(f->fd, name, path, f->how == KEYFILES_READ,
	    ENTRY_MAX, &text, e);
	if (rc == 0) {
		rc = keyring_restore(k, name, buf_slice(&text), e);
		if (rc != 0)
			err_prefix(e, "%s", path);
	}
	keyfiles_wipe(&text);
	free(path);
	return rc;
}

int
keyfiles_load(struct keyfiles *f, struct keyring *k, size_t *n_out,
    struct err *e)
{
	char *names[FILES_MAX];
	size_t n;
	int rc = list_names(f, names, &n, e);

	*n_out = 0;
	for (size_t i = 0; i < n; i++) {
		if (rc == 0 && is_entry(names[i])) {
			rc = load_one(f, k, names[i], e);
			(*n_out)++;
		} else if (rc == 0 && f->how != KEYFILES_READ) {
			rc = del_file(f, names[i], e);
		}
		free(names[i]);
	}
	return rc;
}

int
keyfiles_erase(struct keyfiles *f, struct err *e)
{
	char *names[FILES_MAX];
	size_t n;
	int rc = list_names(f, names, &n, e);

	for (size_t i = 0; i < n; i++) {
		if (rc == 0)
			rc = del_file(f, names[i], e);
		free(names[i]);
	}
	return rc;
}

/*
 * Single secrets.
 */
static char *
dir_of(const char *path)
{
	const char *base = path_base(path);

	return base == path ? mem_strdup(".") : base == path + 1 ?
	    mem_strdup("/") : mem_strndup(path, (size_t)(base - path - 1));
}

int
keyfiles_write_secret(const char *path, struct slice text, uid_t uid,
    gid_t gid, struct err *e)
{
	struct file_writer w = FILE_WRITER_INIT;
	char *dir = dir_of(path);
	int rc;

	rc = file_writer_open(&w, dir, path_base(path), 0600, e);
	if (rc == 0) {
		rc = file_writer_add(&w, text.ptr, text.len, e);
		if (rc == 0 && uid != (uid_t)-1 && uid != geteuid() &&
		    fchown(w.fd, uid, gid) != 0)
			rc = err_errno(e, "cannot give %s to its user", path);
		if (rc == 0)
			rc = file_writer_commit(&w, false, e);
		file_writer_abort(&w);
	}
	free(dir);
	return rc;
}

int
keyfiles_read_psk(const char *path, unsigned char psk_out[KEYRING_PSK_LEN],
    struct err *e)
{
	struct slice words = SLICE_LIT(PSK_WORDS), key;
	struct buf text = BUF_INIT, octets = BUF_INIT;
	int rc;

	(void)buf_room(&text, 2 * ENTRY_MAX + 2);
	(void)buf_room(&octets, ENTRY_MAX);
	rc = keyfiles_read_secret(path, ENTRY_MAX, &text, e);
	if (text.len > 0 && text.ptr[text.len - 1] == '\n')
		text.len--;
	key = buf_slice(&text);
	key.ptr += words.len;
	key.len -= words.len;
	if (rc == 0 && (text.len < words.len ||
	    memcmp(text.ptr, words.ptr, words.len) != 0 ||
	    base64url_decode(&octets, key) != 0 ||
	    octets.len != KEYRING_PSK_LEN))
		rc = err_set(e, ERR_SYNTAX, "%s holds no pre-shared key: "
		    "\"postrider key psk FILE\" makes one", path);
	if (rc == 0)
		memcpy(psk_out, octets.ptr, KEYRING_PSK_LEN);
	keyfiles_wipe(&text);
	keyfiles_wipe(&octets);
	return rc;
}

int
keyfiles_make_psk(const char *path, struct rng *rng, uid_t uid, gid_t gid,
    struct err *e)
{
	unsigned char psk[KEYRING_PSK_LEN];
	struct buf text = BUF_INIT;
	int rc;

	(void)buf_room(&text, 256);
	rng_fill(rng, psk, sizeof(psk));
	buf_adds(&text, PSK_WORDS);
	base64url_encode(&text, psk, sizeof(psk));
	buf_addc(&text, '\n');
	rc = keyfiles_write_secret(path, buf_slice(&text), uid, gid, e);
	secret_wipe(psk, sizeof(psk));
	keyfiles_wipe(&text);
	return rc;
}
