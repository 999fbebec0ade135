/* SPDX-License-Identifier: ISC */
#ifndef TRANSPORTS_LINK_TUNE_H
#define TRANSPORTS_LINK_TUNE_H
/*
 * What one direction of the line is like, and what follows for the size of
 * frames, their error correction and the patience with acknowledgements.
 *
 * Two causes of loss are told apart: octets that are wrong here and there,
 * which error correction puts right and whose rate the peer reports, and
 * all else (bursts, octets that vanish), against which only smaller frames
 * help.  The size and the level with the best expected yield are chosen.
 */
#include <stdbool.h>
#include <stdint.h>

#include "transports/link_stream.h"

struct tune {
	double rate;		/* octets a second; 0: not known */
	double lost[2], sent[2];	/* without and with correction: frames
					 * lost, octets sent; both fade */
	double seen;		/* octets sent; does not fade */
	double noise;		/* rate of wrong octets; below 0: unknown */
	double credit;		/* damage reported before it shows as loss */
	uint8_t bad;		/* the peer's counter */
	unsigned level;
	size_t size;		/* of a body, in octets */
	size_t size_max;
	size_t fresh;		/* octets of news since the last choice */
	int64_t srtt_us, rttvar_us;	/* srtt -1: not known */
};

void tune_init(struct tune *t, double rate);
/* wrong of len octets had to be put right in the handshake. */
void tune_hello(struct tune *t, size_t wrong, size_t len);
void tune_fate(struct tune *t, const struct stream_fate *f);
/* The peer's counters; level: of the frames that they are about. */
void tune_report(struct tune *t, uint8_t noise, uint8_t bad, unsigned level);
void tune_rtt(struct tune *t, int64_t rtt_us);
/* Whether frames get lost here now and then. */
bool tune_noisy(const struct tune *t);
/* Whether an acknowledgement takes so long that a frame might as well be sent
 * twice meanwhile. */
bool tune_is_far(const struct tune *t);
/* How long after a frame has left its acknowledgement is late; pushed: the
 * peer does not wait for more before it acknowledges. */
int64_t tune_patience_us(const struct tune *t, bool pushed);
/* How long so many octets are on the line. */
int64_t tune_airtime_us(const struct tune *t, size_t octets);

#endif
