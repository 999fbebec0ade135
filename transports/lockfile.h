/* SPDX-License-Identifier: ISC */
#ifndef TRANSPORTS_LOCKFILE_H
#define TRANSPORTS_LOCKFILE_H
/*
 * HDB lock files, by which programs that use serial lines keep out of each
 * other's way: DIR/LCK..NAME with the process id as ten characters and LF,
 * made by link(2) so that it appears whole.  NAME is the last part of the
 * device's path once links are followed.
 */
#include "base/err.h"

/* Takes the lock of the device; its path, for the caller to free and give to
 * lockfile_drop, is in path_out; NULL and 0 where the directory cannot be
 * written, as there nobody else locks that way.  One of a process that is
 * gone is removed.  ERR_EXISTS naming who holds it. */
int lockfile_take(const char *dir, const char *device, char **path_out,
    struct err *e) MUST_CHECK;
/* Removes it; NULL is fine.  Frees path. */
void lockfile_drop(char *path);

#endif
