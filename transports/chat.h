/* SPDX-License-Identifier: ISC */
#ifndef TRANSPORTS_CHAT_H
#define TRANSPORTS_CHAT_H
/*
 * Chat scripts: what is said to a modem and to a login before a line is of
 * use, as postrider-serial(8) describes them.  No I/O:
 *
 *	chat_new; then until the state is not CHAT_RUNNING: chat_feed what the
 *	line brought; chat_tick; chat_pull until CHAT_NOTHING; wait
 *
 * Passwords and the phone number come from the caller and are never in what
 * chat_step says.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define CHAT_SCRIPT_MAX 8192	/* octets */
#define CHAT_WORDS_MAX 256
#define CHAT_SECRETS_MAX 8
#define CHAT_NEVER INT64_MAX

enum chat_state { CHAT_RUNNING, CHAT_DONE, CHAT_FAILED };
enum chat_action { CHAT_NOTHING, CHAT_SEND, CHAT_BREAK };

struct chat_config {
	const char *script;	/* expect send expect send ... */
	const char *fails;	/* strings that end it; may be NULL */
	const char *phone;	/* \T; may be NULL */
	const char *user;	/* \L; may be NULL */
	const char *password;	/* \P; may be NULL */
	int64_t timeout_ms;	/* of an expect without its own */
};

struct chat;

/* Reads the script.  ERR_SYNTAX and ERR_LIMIT name the word. */
int chat_new(const struct chat_config *c, int64_t now_ms,
    struct chat **chat_out, struct err *e) MUST_CHECK;
void chat_free(struct chat *c);
/* Octets from the line; how many were used: the rest is behind the end of
 * the script. */
size_t chat_feed(struct chat *c, const void *octets, size_t len,
    int64_t now_ms);
/* The next thing to do; for CHAT_SEND text_out lives until the next call. */
enum chat_action chat_pull(struct chat *c, int64_t now_ms,
    struct slice *text_out);
/* Lets time pass; when to come again, or CHAT_NEVER. */
int64_t chat_tick(struct chat *c, int64_t now_ms);
enum chat_state chat_state(const struct chat *c);
/* Why it failed, or what it waits for: the word of the script as it is
 * written there, which holds no password. */
const char *chat_step(const struct chat *c);

#endif
