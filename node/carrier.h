/* SPDX-License-Identifier: ISC */
#ifndef NODE_CARRIER_H
#define NODE_CARRIER_H
/*
 * What lies between the exchange and the transports: for each peer a folder
 * SPOOL/peers/NAME with out/ and in/, or out.LANE/ and in.LANE/ for each of
 * several transports, the program that carries files, the writing of objects
 * into out/ and the processing of files from in/, each in pieces of 64 KiB a
 * turn of the event loop.
 */
#include "node/daemon.h"
#include "transports/report.h"

struct carrier;

/* Makes the folders, removes leftovers from out/, takes up what lies in in/. */
int carrier_new(struct daemon *d, struct carrier **c_out, struct err *e)
    MUST_CHECK;
void carrier_free(struct carrier *c);
/* After a reload: new peers get their folders, and programs that run with what
 * has changed (node/launch.h) are asked to end, to begin anew. */
int carrier_reload(struct carrier *c, struct err *e) MUST_CHECK;
/* EXCHANGE_WRITE, _UNLINK, _RUN, _STOP; a is only read. */
void carrier_act(struct carrier *c, const struct exchange_action *a);
/* A file has come to this peer's in/ by another way than its transport. */
void carrier_arrived(struct carrier *c, const char *peer);
/* How a transport fares, as it said last. */
struct carrier_progress {
	const char *file;	/* being sent; "" if that is not known */
	uint64_t done, total;	/* of it */
	bool told;		/* p was */
	struct report_progress p;
	uint64_t age_secs;	/* since it was told */
};
/* road: PEER or PEER/TRANSPORT.  False: it does not run, or there is none, or
 * c is NULL, as at the start.
 * What p_out points to lives until the next return to the event loop. */
bool carrier_progress(const struct carrier *c, const char *road,
    struct carrier_progress *p_out);
/* Its last note; NULL: it does not run, or has told none.  Lives until the next
 * return to the event loop. */
const char *carrier_note(const struct carrier *c, const char *road);
/* Does it wait for what that note says? */
bool carrier_waits(const struct carrier *c, const char *road);
/* Asks all programs to end. */
void carrier_stop(struct carrier *c);
/* Does anything still run or wait to be processed? */
bool carrier_busy(const struct carrier *c);

#endif
