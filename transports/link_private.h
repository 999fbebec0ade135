/* SPDX-License-Identifier: ISC */
#ifndef TRANSPORTS_LINK_PRIVATE_H
#define TRANSPORTS_LINK_PRIVATE_H
/* What link.c, link_shake.c and link_timer.c share; for nobody else. */
#include "transports/link.h"
#include "transports/link_frame.h"
#include "transports/link_hello.h"
#include "transports/link_items.h"
#include "transports/link_keys.h"
#include "transports/link_stream.h"
#include "transports/link_tune.h"

#define US 1000	/* microseconds of a millisecond */

struct link {
	struct link_config config;
	unsigned char (*secrets)[LINK_SECRET_LEN];
	enum link_state state;
	struct rs rs;
	struct items items;
	struct buf out;		/* characters not yet pulled */
	int64_t now_us;
	int64_t free_us;	/* when the line has taken all of it */
	int64_t since_us;	/* of this handshake */
	struct link_stats stats;

	/* handshake */
	struct hello_finder finder;
	struct link_keys keys;
	unsigned needs;		/* ours, with what was found out */
	struct buf call;	/* our call, or the peer's that we answered */
	struct buf line;	/* our call or answer, as a line */
	bool say_line;		/* it is to be sent */
	int64_t call_us;	/* when to call again */
	int64_t said_call_us;	/* when the last call was made */
	unsigned calls;
	int64_t wait_us;	/* and how long to wait then */

	/* session */
	unsigned agreed;
	size_t window;
	struct decoding decoding;
	struct scanner scanner;
	struct stream_sender sender;
	struct stream_receiver receiver;
	struct tune tune;
	struct buf incoming;	/* the record being received */
	uint64_t frames;	/* received */
	int64_t heard_us, fed_us, said_us;
	int64_t news_us;	/* of what we sent */
	int64_t ack_us;		/* when to acknowledge; LINK_NEVER */
	uint64_t ack_from;	/* offset acknowledged last */
	double wrong, octets;	/* received with error correction; fade */
	uint64_t bad_told;	/* of scanner.bad */
	bool report;		/* what they say is to be reported */
	unsigned backoff;	/* probes since the last news */
	bool pushed;		/* the last frame is acknowledged at once */
	bool ending;		/* END is queued */
	unsigned farewells;	/* frames still to be sent */

	/* half duplex */
	bool turn;		/* the line is ours */
	bool spoke;		/* since it became ours */
	int64_t turn_us;	/* since when it is ours, or the peer's */
	int64_t idle_us;	/* how long to keep it with nothing to say */
};

/* link_shake.c */
void link_start(struct link *l);
void link_hello(struct link *l, const struct hello *h);
void link_call(struct link *l);
/* Ends the session; a new one begins. */
void link_restart(struct link *l);
void link_session_release(struct link *l);

/* link.c */
void link_process(struct link *l);

#endif
