/* SPDX-License-Identifier: ISC */
#ifndef SPOOL_RECORD_H
#define SPOOL_RECORD_H
/*
 * Records of the spool as octets.  Each begins with a CRC-32C over its key and
 * all that follows, so that a record that is damaged, or stands in the wrong
 * place, is known for itself; spool/ alone includes this.
 *
 * A message is one record, head and body together:
 *
 *	4 crc of key and head    4 octets of the head behind these eight
 *	head: 1 version, 1 kind, 8 octets of content, 4 crc of an inline
 *	content, then the rest; behind the head the content, where it is inline
 */
#include "base/buf.h"
#include "base/err.h"
#include "spool/spool.h"

#define RECORD_VERSION 1
#define MESSAGE_FRONT 8		/* octets before the head */
#define MESSAGE_PEEK 32		/* enough for message_record_octets */
#define MESSAGE_HEAD 4096	/* most heads are shorter */
#define MESSAGE_HEAD_MAX (64u << 20)

/* The eight octets of an id as a key; and back (-1 if it is none). */
struct id_key {
	char s[8];
};
struct id_key id_key(uint64_t id);
struct slice id_slice(const struct id_key *k);
int id_of_key(struct slice key, uint64_t *id_out) MUST_CHECK;
struct chunk_key {
	char s[12];
};
struct chunk_key chunk_key(uint64_t id, uint32_t n);
struct slice chunk_slice(const struct chunk_key *k);

/* record_begin leaves room for the CRC, record_end sets it. */
void record_begin(struct buf *out);
void record_end(struct buf *out, struct slice key);
/* What is behind the CRC; failed is set if it does not fit. */
struct reader record_open(struct slice key, struct slice value);

/* 0, or ERR_CORRUPT; nothing may be left over either. */
int record_finish(const struct reader *r) MUST_CHECK;
/* A value of an enumeration; beyond its last the record is not ours. */
unsigned record_enum(struct reader *r, unsigned last);
/* A count of things that take at least `least` octets each. */
size_t record_count(struct reader *r, size_t least);
void record_put_parts(struct buf *out, const struct object_part *part,
    size_t nparts);
/* The caller frees what is set, also where r has failed. */
void record_parts(struct reader *r, struct object_part **part_out,
    size_t *nparts_out);

void message_record_put(struct buf *out, const struct message *m,
    struct slice inline_content);
/* Octets of the content from the first MESSAGE_PEEK octets, unchecked. */
int message_record_octets(struct slice value, uint64_t *octets_out)
    MUST_CHECK;
/* How much of the value is front and head; 0: it cannot be told. */
size_t message_record_head(struct slice value);
/* content_crc_out and content_out (into value) may be NULL. */
int message_record_get(struct slice value, uint64_t id, struct message *m_out,
    uint32_t *content_crc_out) MUST_CHECK;

void state_record_put(struct buf *out, uint64_t id,
    const struct message_state *st);
int state_record_get(struct slice value, uint64_t id, size_t nrcpt,
    struct message_state *st_out) MUST_CHECK;
void object_record_put(struct buf *out, const struct object *o);
int object_record_get(struct slice value, uint64_t id, struct object *o_out)
    MUST_CHECK;
/* PEER NUL KEY. */
void ledger_key(struct buf *out, const char *peer, struct slice key);
void ledger_record_put(struct buf *out, struct slice key,
    const struct ledger_entry *l);
int ledger_record_get(struct slice value, struct slice key,
    struct ledger_entry *l_out) MUST_CHECK;
/* An inline content stands behind a length in the record itself. */
void broken_record_put(struct buf *out, const struct broken *b,
    struct slice inline_content);
int broken_record_get(struct slice value, uint64_t id, struct broken *b_out,
    struct slice *content_out) MUST_CHECK;

#endif
