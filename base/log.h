/* SPDX-License-Identifier: ISC */
#ifndef BASE_LOG_H
#define BASE_LOG_H
/*
 * The log.  A line is one fixed word and then key=value pairs, as
 * postrider-log(5) lists them:
 *
 *	log_event(log, LOG_LEVEL_INFO, "message-accepted",
 *	    "id", id, "size", num_str(size).s, NULL);
 *
 * Values are quoted and escaped where they hold blanks, quotes, control or
 * non-ASCII octets, so that no input can forge a line.  Content of mail and
 * secrets are never given to it.
 *
 * debug: for a developer; info: normal work; warning: we coped; fatal: the
 * environment or the configuration, the program ends; bug: our own contract
 * is broken, the program aborts.  log_event itself neither exits nor aborts.
 */
#include <stdint.h>
#include <stdbool.h>

#include "base/clock.h"
#include "base/err.h"

enum log_level {
	LOG_LEVEL_DEBUG,
	LOG_LEVEL_INFO,
	LOG_LEVEL_WARNING,
	LOG_LEVEL_FATAL,
	LOG_LEVEL_BUG,
};

struct log;

/* Standard error; each line begins with a syslog priority "<6>" where
 * `priorities` is set (sd-daemon(3)), else with the UTC time and the level's
 * name: "2024-03-05T10:00:00.000Z info message-accepted id=...". */
struct log *log_new_stderr(struct clock *clock, bool priorities);
struct log *log_new_syslog(const char *ident);
/* Appends to a file, made with mode 0640; log_reopen opens it anew. */
int log_new_file(struct clock *clock, const char *path, struct log **log_out,
    struct err *e) MUST_CHECK;
/* Hands each line (no newline) to fn: for tests and the simulation. */
struct log *log_new_sink(void (*fn)(void *ctx, enum log_level level,
    const char *line), void *ctx);
void log_free(struct log *log);
int log_reopen(struct log *log, struct err *e) MUST_CHECK;
/* Lines below this level are not written; the default is info. */
void log_set_level(struct log *log, enum log_level level);

/* Pairs of const char * key and value; ends with NULL.  A pair whose value is
 * NULL is left out.  log may be NULL: nothing happens. */
void log_event(struct log *log, enum log_level level, const char *word, ...)
    __attribute__((sentinel));

/* A number as text, for the value of a pair. */
struct num_str {
	char s[24];
};
struct num_str num_str(uint64_t n);

const char *log_level_name(enum log_level level);

#endif
