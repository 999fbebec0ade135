/* SPDX-License-Identifier: ISC */
#ifndef TRANSPORTS_WIRE_H
#define TRANSPORTS_WIRE_H
/*
 * What transports whose line is ready made (a socket, a child) share: the
 * settings of the conversation, one conversation over two descriptors, and
 * waiting for a descriptor without being deaf for the daemon.
 *
 *	wire_settings; wire_open; any number of wire_talk; wire_close
 */
#include "transports/conversation.h"

struct wire {
	struct contract *contract;
	struct conversation_config config;
	struct buf secrets;
	struct conversation *conversation;
};

/* Reads role, stay and the settings of conversation.h, and refuses settings
 * that nobody has asked for: the caller's own are read before.  role: "call"
 * or "answer", where it is not set. */
int wire_settings(struct wire *w, struct contract *c, const char *role,
    struct err *e) MUST_CHECK;
/* Takes the secret from its descriptor: none is opened before. */
int wire_open(struct wire *w, struct err *e) MUST_CHECK;
/* Harmless for a zeroed one. */
void wire_close(struct wire *w);
/* One conversation.  What went wrong is noted, with the line's name in front.
 * The descriptors stay the caller's. */
enum contract_exit wire_talk(struct wire *w, int in_fd, int out_fd,
    const char *name);
/* Whether the daemon wants an end. */
bool wire_stopped(const struct wire *w);
/* Waits ms (negative: for ever) for events (poll(2)) of fd: 1, 0 if the time
 * is over, ERR_STATE if told to stop.  "more" does not end it. */
int wire_wait(const struct wire *w, int fd, short events, int ms,
    struct err *e) MUST_CHECK;

#endif
