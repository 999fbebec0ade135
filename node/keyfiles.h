/* SPDX-License-Identifier: ISC */
#ifndef NODE_KEYFILES_H
#define NODE_KEYFILES_H
/*
 * The keyring's entries as files: one directory, which is neither in the spool
 * nor in its backups, and a file for each entry under the entry's name.  A
 * directory or file that others could read, or that is not ours, is refused:
 * its secret may be known already, and the operator is told what to do.
 */
#include <stdbool.h>
#include <sys/types.h>

#include "node/keyring.h"

struct keyfiles;

enum keyfiles_how {
	KEYFILES_READ,	/* only looks, whose ever it is if we are root: store
			 * and erase give ERR_STATE */
	KEYFILES_WRITE,	/* the directory is there, and nobody else's: it is
			 * locked until it is closed */
	KEYFILES_MAKE,	/* the same; it is made if it is missing */
};

/* ERR_NOT_FOUND: there is none; ERR_STATE: locked by another process;
 * ERR_DENIED: others could read it, or it is not ours. */
int keyfiles_open(const char *dir, enum keyfiles_how how,
    struct keyfiles **files_out, struct err *e) MUST_CHECK;
void keyfiles_close(struct keyfiles *f);
/* For keyring_new, with f for its ctx. */
const struct keyring_store *keyfiles_store(void);
/* Gives k all entries that are there; how many.  ERR_DENIED: a file that
 * others could read, or that is not ours; what keyring_restore says. */
int keyfiles_load(struct keyfiles *f, struct keyring *k, size_t *n_out,
    struct err *e) MUST_CHECK;
/* Destroys all entries. */
int keyfiles_erase(struct keyfiles *f, struct err *e) MUST_CHECK;

/* A file with a secret, at most max octets, appended to out, which should have
 * room for it so that no copy is left behind.  ERR_DENIED as above. */
int keyfiles_read_secret(const char *path, size_t max, struct buf *out,
    struct err *e) MUST_CHECK;
/* Writes a new one, mode 0600, for that account (-1: ours).  ERR_EXISTS. */
int keyfiles_write_secret(const char *path, struct slice text, uid_t uid,
    gid_t gid, struct err *e) MUST_CHECK;
/* Wipes and releases a buffer that had a secret in it. */
void keyfiles_wipe(struct buf *b);

/*
 * A secret that two sites share beforehand: a line "postrider-psk 1 KEY", 32
 * octets in base64url.
 */
/* ERR_SYNTAX: it holds something else. */
int keyfiles_read_psk(const char *path,
    unsigned char psk_out[KEYRING_PSK_LEN], struct err *e) MUST_CHECK;
/* A new one.  ERR_EXISTS. */
int keyfiles_make_psk(const char *path, struct rng *rng, uid_t uid, gid_t gid,
    struct err *e) MUST_CHECK;

#endif
