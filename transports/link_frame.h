/* SPDX-License-Identifier: ISC */
#ifndef TRANSPORTS_LINK_FRAME_H
#define TRANSPORTS_LINK_FRAME_H
/*
 * The frames of the link protocol, as postrider-link(7) specifies them, and
 * the scanner that finds them in a stream of octets.
 *
 *	scanner_init; each time octets have come: scanner_add (not more than
 *	scanner_room), then scanner_next until it returns 0; when the line has
 *	been silent while octets are held: scanner_stalled, scanner_next
 *
 * Each frame has a CRC-32 that is seeded for the session, so that none of an
 * older session is taken for one of this.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "transports/link_rs.h"

#define FRAME_BODY_MAX 4080	/* octets: report, acknowledgement, payload */
#define FRAME_LEVELS 6		/* of error correction; 0 is none */
#define FRAME_RANGES_MAX 24
#define FRAME_PLAIN_HEADER 8
#define FRAME_CODED_HEADER 12
#define FRAME_CRC 4
#define FRAME_HELD_MAX 8192	/* octets that the scanner may hold */

#define FRAME_ACK 1U	/* .ack and .ranges count */
#define FRAME_PUSH 2U	/* nothing follows for now: acknowledge at once */
#define FRAME_OVER 4U	/* half duplex: the line is yours */
#define FRAME_REPORT 8U	/* .noise and .bad count */

struct frame_range {
	uint64_t start, end;	/* offsets in the stream */
};

struct frame {
	unsigned flags, level;
	uint64_t seq;		/* offset of the payload; 24 bits on the line */
	uint64_t ack;		/* all before it has been received */
	struct frame_range ranges[FRAME_RANGES_MAX];	/* and these */
	size_t nranges;
	uint8_t noise;		/* frame_noise_octet of what was put right */
	uint8_t bad;		/* damaged frames seen, modulo 256 */
	struct slice payload;
	/* from the scanner */
	size_t wrong;		/* octets that had to be put right */
	size_t wire_len;	/* octets, before the line coding */
};

/* Octets on the line for a body of that length. */
size_t frame_wire_len(size_t body_len, unsigned level);
/* Octets of parity that each word has. */
size_t frame_parity(unsigned level);
/* Octets of a body that carries these flags and ranges and no payload. */
size_t frame_overhead(const struct frame *f);
/* Appends a frame.  The body must not be over FRAME_BODY_MAX. */
void frame_build(struct buf *out, const struct rs *rs, uint32_t seed,
    const struct frame *f);

/* A rate of wrong octets as one octet on a logarithmic scale (255: none; 0:
 * not known, a negative rate), and back. */
uint8_t frame_noise_octet(double rate);
double frame_noise_rate(uint8_t octet);

struct scanner {
	const struct rs *rs;
	uint32_t seed;
	struct buf held;
	struct buf body;	/* of the frame that was given out */
	size_t want;		/* octets that must be held before it is worth
				 * another look */
	bool give_up;		/* do not wait for what is missing */
	uint64_t bad;		/* frames damaged beyond repair */
	unsigned bad_level;	/* of the last of them */
};

void scanner_init(struct scanner *s, const struct rs *rs, uint32_t seed);
void scanner_release(struct scanner *s);
/* How many octets scanner_add may be given now: at least 1 once
 * scanner_next has returned 0. */
size_t scanner_room(const struct scanner *s);
void scanner_add(struct scanner *s, const unsigned char *octets, size_t len);
/* 1: a frame; its payload lives until the next call; seq_near and ack_near
 * complete its offsets.  0: more octets are needed. */
int scanner_next(struct scanner *s, uint64_t seq_near, uint64_t ack_near,
    struct frame *f_out);
/* Nothing has come for a while: what is held is no whole frame. */
void scanner_stalled(struct scanner *s);

#endif
