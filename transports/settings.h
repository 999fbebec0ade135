/* SPDX-License-Identifier: ISC */
#ifndef TRANSPORTS_SETTINGS_H
#define TRANSPORTS_SETTINGS_H
/*
 * Would a transport take its settings?  For whoever checks a configuration:
 * what judges them is what the transport reads them with, so the two cannot
 * disagree.  Nothing is connected to or started, and no file is opened but
 * those with passwords and keys.
 */
#include "base/err.h"

#include <stddef.h>

/* The n settings "KEY=VALUE" of this peer for the transport of that name.  0:
 * it takes them, or it is none of ours; ERR_CONFIG, and the text begins with
 * the setting where it is about one. */
int settings_check(const char *transport, const char *peer, char *const *set,
    size_t n, struct err *e) MUST_CHECK;

#endif
