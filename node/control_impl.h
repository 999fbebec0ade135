/* SPDX-License-Identifier: ISC */
#ifndef NODE_CONTROL_IMPL_H
#define NODE_CONTROL_IMPL_H
/*
 * What the files of the control socket share; nobody else includes it.
 *
 *	control.c	  listening, lines, whose request it is
 *	control_queue.c	  list, show, hold, release, delete, retry
 *	control_broken.c  the quarantine
 *	control_status.c  status
 *	control_order.c	  route, flush, reload, stop, verify, backup
 *	control_receive.c objects that are handed in
 *	control_keys.c	  the site's keys and its card
 *	control_trace.c	  trace, peer-test
 *
 * An answer that may be long is not built whole: `more` is called when the
 * client has taken what there was, once in a turn of the event loop.
 */
#include <jansson.h>
#include <sys/types.h>

#include "base/list.h"
#include "node/control.h"
#include "node/keys.h"
#include "spool/tool.h"

struct control_conn {
	struct list link;
	struct control *control;
	struct daemon *d;
	int fd;
	uid_t uid;
	bool admin;
	struct event *reading, *writing;
	struct buf in, out;
	/* Adds lines to out; false when the answer is complete. */
	bool (*more)(struct control_conn *c);
	/* What comes in is not requests: uses up `in`. */
	void (*octets)(struct control_conn *c);
	void *state;		/* of more and octets */
	void (*state_free)(void *state);
	bool busy;		/* a request waits for something else */
	bool hand_over;		/* once out is empty: to the listeners */
	bool closing;		/* once out is empty */
};

typedef void control_request(struct control_conn *c, const json_t *request);

/* Uses up line. */
void control_say(struct control_conn *c, json_t *line);
/* {"end":true} with the members of extra (used up; may be NULL). */
void control_end(struct control_conn *c, json_t *extra);
/* code: of base/err.h; 0 is a fault of the request. */
void control_error(struct control_conn *c, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Sends what the socket takes now, the rest stays in out. Failure shows when
 * the socket is written to next. */
void control_push(struct control_conn *c);
/* The state of a long answer; the one before is freed. */
void control_set_state(struct control_conn *c, void *state,
    void (*state_free)(void *state));
/* The request is answered: the next may come. */
void control_ready(struct control_conn *c);
/* JSON wants UTF-8, other octets are written as \xHH; NULL is null. */
json_t *control_text(const char *text);
json_t *control_time(int64_t wall_ms);	/* 0: null */
/* A member of the request; NULL where it is missing or no text. */
const char *control_member(const json_t *request, const char *key);
/* Monotonic time when the control socket was opened. */
int64_t control_since_ms(const struct control_conn *c);
/* Shared with the commands, which work without a daemon too. */
json_t *control_route_json(const struct conf *conf, const char *address);
json_t *control_report_json(const struct spool_report *n);
/* The lines of "keys", and what its end says beside. */
json_t *control_keys_json(struct keys *keys, struct clock *clock);
json_t *control_keys_end(struct keys *keys);
/* Of a message, and of one of its recipients, in the queue. */
json_t *control_message_json(struct control_conn *c, const struct message *m);
json_t *control_recipient_json(struct control_conn *c,
    const struct message *m, const struct recipient_state *st, size_t i);
/* Is uid one of these (numbers or names)? */
bool control_listed(const struct conf_strings *users, uid_t uid);

control_request control_list, control_show, control_operate;
control_request control_broken_list, control_broken_show;
control_request control_broken_delete, control_broken_export;
control_request control_bundles;
control_request control_status, control_route, control_flush;
control_request control_reload, control_stop, control_verify, control_backup;
control_request control_receive;
control_request control_trace, control_peer_test, control_peer_test_status;
control_request control_keys, control_key_rotate, control_card;

#endif
