/* SPDX-License-Identifier: ISC */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H
/*
 * Encodings and the one bounded parser of numbers, sizes, durations and dates.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

/* These parse a whole text, with nothing around it: 0, or ERR_SYNTAX, or
 * ERR_LIMIT where the number is too large (in base 32 that is ERR_SYNTAX too);
 * then what out points to stays. */
/* Decimal digits only, at most max. */
int num_parse(struct slice s, uint64_t max, uint64_t *n_out) MUST_CHECK;
/* Base 32 in lower case without the letters i, l, o and u, which are misread,
 * and without zeros in front: one to thirteen characters and a NUL; returns
 * how many.  Reading takes capitals. */
#define NUM32_MAX 14
size_t num32_format(char text_out[NUM32_MAX], uint64_t n);
int num32_parse(struct slice s, uint64_t *n_out) MUST_CHECK;
/* "10", "64K", "10M", "2G" (powers of 1024, optional "iB" or "B" behind). */
int size_parse(struct slice s, uint64_t *bytes_out) MUST_CHECK;
/* "90", "90s", "15m", "2h", "5d", "1w", and sums such as "1h30m": seconds. */
int duration_parse(struct slice s, uint64_t *secs_out) MUST_CHECK;
/* "1.4 MiB", "312 B"; "4d 3h", "12s": for people. */
void size_format(struct buf *out, uint64_t bytes);
void duration_format(struct buf *out, uint64_t secs);
/* "1 peer", "2 peers": one and many are the words for it. */
void count_format(struct buf *out, uint64_t n, const char *one,
    const char *many);

/* RFC 5322 date-time in UTC: "Tue, 05 Mar 2024 10:00:00 +0000". */
void date_format(struct buf *out, int64_t wall_ms);
/* RFC 3339 in UTC with milliseconds: "2024-03-05T10:00:00.000Z". */
void timestamp_format(struct buf *out, int64_t wall_ms);

void hex_encode(struct buf *out, const void *bytes, size_t len);
/* Small letters, two for each octet, nothing else: appended to out, or
 * ERR_SYNTAX and out as it was. */
int hex_decode(struct buf *out, struct slice hex) MUST_CHECK;
/* RFC 4648 base32, lower case, without padding. */
void base32_encode(struct buf *out, const void *bytes, size_t len);
/* RFC 2045 base64 without line ends. */
void base64_encode(struct buf *out, const void *bytes, size_t len);

/* RFC 4648 5: base64 for names, without padding. */
void base64url_encode(struct buf *out, const void *bytes, size_t len);
/* What base64url_encode writes and nothing else: the bits that are left over
 * are zero.  Appended to out, or ERR_SYNTAX and out as it was. */
int base64url_decode(struct buf *out, struct slice text) MUST_CHECK;

/* RFC 2045 base64 as a stream: lines of 76 characters ended by CR LF. */
struct base64_encoder {
	unsigned char held[57];
	size_t nheld;
};
void base64_encoder_init(struct base64_encoder *enc);
void base64_encoder_add(struct base64_encoder *enc, struct buf *out,
    const void *bytes, size_t len);
/* Writes what is held, with a line end if anything was. */
void base64_encoder_end(struct base64_encoder *enc, struct buf *out);

/* Characters outside the alphabet are passed over (RFC 2045 6.8).  _end
 * fails with ERR_SYNTAX if the text stopped inside a group of four. */
struct base64_decoder {
	uint32_t bits;
	int nbits;
	bool padded;
};
void base64_decoder_init(struct base64_decoder *dec);
void base64_decoder_add(struct base64_decoder *dec, struct buf *out,
    const char *text, size_t len);
int base64_decoder_end(struct base64_decoder *dec) MUST_CHECK;

/* RFC 3461 4 xtext. */
void xtext_encode(struct buf *out, struct slice s);
int xtext_decode(struct buf *out, struct slice s) MUST_CHECK;

/* RFC 6533 3 utf-8-addr-xtext: "\x{E5}".  Encoding takes valid UTF-8; what
 * cannot be decoded is kept as it is. */
void utf8_xtext_encode(struct buf *out, struct slice s);
void utf8_xtext_decode(struct buf *out, struct slice s);

/* For a log or a terminal: blanks kept, control and non-ASCII octets as \xHH
 * (valid UTF-8 kept where utf8 is set), at most max octets, "..." if cut. */
void text_escape(struct buf *out, struct slice s, size_t max, bool utf8);
bool utf8_valid(struct slice s);

/* SHA-256 (libsodium). */
#define SHA256_LEN 32
struct sha256 {
	unsigned char state[128];	/* crypto_hash_sha256_state */
} __attribute__((aligned(16)));
void sha256_init(struct sha256 *h);
void sha256_add(struct sha256 *h, const void *bytes, size_t len);
void sha256_end(struct sha256 *h, unsigned char digest_out[SHA256_LEN]);

/* CRC-32C (Castagnoli), for the spool's chunks; start with crc 0. */
uint32_t crc32c(uint32_t crc, const void *bytes, size_t len);

#endif
