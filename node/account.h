/* SPDX-License-Identifier: ISC */
#ifndef NODE_ACCOUNT_H
#define NODE_ACCOUNT_H
/*
 * The account that the daemon runs as, for who is started as root: the daemon
 * itself, and commands that make what it is to own.
 */
#include <sys/types.h>

#include "base/err.h"
#include "node/conf.h"

/* That of the configuration, if we are root and it names one; else our own.
 * ERR_CONFIG: there is no such user or group. */
int account_find(const struct conf *conf, uid_t *uid_out, gid_t *gid_out,
    struct err *e) MUST_CHECK;
/* For good; nothing, if we are not root or are to stay it. */
int account_become(const struct conf *conf, uid_t uid, gid_t gid,
    struct err *e) MUST_CHECK;
/* Makes a directory and those above it, the last one the account's own. */
int account_own_dir(const char *dir, mode_t mode, uid_t uid, gid_t gid,
    struct err *e) MUST_CHECK;

#endif
