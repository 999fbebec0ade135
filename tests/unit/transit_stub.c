/* SPDX-License-Identifier: ISC */
/*
 * A custody that only counts: what arrives is read to its end, hashed and
 * consumed.  Keys are those that the world gave.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/text.h"
#include "tests/unit/transit_world.h"

static void
on_arrived(void *ctx, const struct bundle *b)
{
	struct tw_node *node = ctx;

	assert_true(node->narrived < 10000);
	node->arrived[node->narrived++] = b->id;
}

static void
on_hop_done(void *ctx, uint64_t id, uint64_t epoch, uint64_t serial,
    const unsigned char name[BUNDLE_NAME_LEN])
{
	struct tw_node *node = ctx;

	(void)id;
	(void)epoch;
	(void)serial;
	(void)name;
	node->hop_done++;
}

static void
on_lost(void *ctx, uint64_t id, uint64_t epoch, uint64_t serial,
    const unsigned char name[BUNDLE_NAME_LEN], const char *reason)
{
	struct tw_node *node = ctx;

	(void)id;
	(void)epoch;
	(void)serial;
	(void)name;
	node->lost++;
	(void)snprintf(node->lost_reason, sizeof(node->lost_reason), "%s",
	    reason);
}

static void
on_card(void *ctx, const char *peer, struct slice card, bool request)
{
	struct tw_node *node = ctx;
	struct tw_road *road = tw_road_of(node, peer);

	assert_true(card.len > 0);
	road->cards++;
	if (request) {
		road->requests++;
		road->keyless = false;
	}
	if (card.len > 5 && memcmp(card.ptr, "card ", 5) == 0)
		road->keyless = false;
}

static uint64_t
our_card(void *ctx, struct buf *out)
{
	struct tw_node *node = ctx;

	if (node->card != 0)
		buf_addf(out, "card of %s\n", node->name);
	return node->card;
}

static bool
back_is_due(void *ctx, const char *peer)
{
	return tw_road_of(ctx, peer)->back != 0;
}

static uint64_t
card_back(void *ctx, const char *peer, struct buf *out)
{
	buf_addf(out, "back to %s\n", peer);
	return tw_road_of(ctx, peer)->back_held;
}

static void
gave_back(void *ctx, const char *peer)
{
	tw_road_of(ctx, peer)->back = 0;
}

static void
fill(void *ctx, const char *peer, struct lane *lane)
{
	(void)lane;
	tw_road_of(ctx, peer)->fills++;
}

static bool
waits(void *ctx, const char *peer, const struct lane *lane)
{
	(void)lane;
	return tw_road_of(ctx, peer)->waits;
}

static bool
making(void *ctx, const char *peer)
{
	return tw_road_of(ctx, peer)->making;
}

static int
seal_for(void *ctx, const char *peer, bool request, struct seal_to *to,
    struct err *e)
{
	struct tw_node *node = ctx;
	struct tw_road *road = tw_road_of(node, peer);

	if (road->keyless && !request)
		return err_set(e, ERR_NOT_FOUND, "no key");
	to->remote = request ? road->to->auth_public :
	    road->to->receiving_public;
	to->secret = node->auth;
	to->sign = conf_find_peer(node->conf, peer)->sign;
	to->sign_secret = node->identity;
	return 0;
}

static int
sender(void *ctx, enum seal_kind kind, const unsigned char key[32],
    struct open_peer *peer_out, struct err *e)
{
	struct tw_road *road = ctx;

	(void)kind;
	memset(peer_out, 0, sizeof(*peer_out));
	peer_out->sign = conf_find_peer(road->from->conf,
	    road->to->name)->sign;
	if (memcmp(key, road->to->auth_public, 32) == 0)
		return 0;
	return err_set(e, ERR_DENIED, "not of this peer");
}

static int
signer(void *ctx, enum seal_kind kind, const char *site,
    unsigned char public_out[32], struct open_peer *peer_out, struct err *e)
{
	struct tw_road *road = ctx;

	(void)kind;
	memset(peer_out, 0, sizeof(*peer_out));
	if (strcmp(site, road->to->name) != 0)
		return err_set(e, ERR_DENIED, "not of this peer");
	memcpy(public_out, road->to->identity_public, 32);
	peer_out->sign = conf_find_peer(road->from->conf,
	    road->to->name)->sign;
	return 0;
}

static int
open_of(void *ctx, const char *peer, struct open_with *with, struct err *e)
{
	struct tw_node *node = ctx;

	(void)e;
	memset(with, 0, sizeof(*with));
	with->key[0].kinds = SEAL_BIT(SEAL_PARCEL);
	with->key[0].id = 1;
	with->key[0].secret = node->receiving;
	with->key[0].public = node->receiving_public;
	with->key[1].kinds = SEAL_BIT(SEAL_REQUEST);
	with->key[1].id = 2;
	with->key[1].secret = node->auth;
	with->key[1].public = node->auth_public;
	with->nkeys = 2;
	with->sender = sender;
	with->signer = signer;
	with->ctx = tw_road_of(node, peer);
	return 0;
}

static uint64_t
key_end_secs(void *ctx, uint64_t key_id)
{
	struct tw_node *node = ctx;

	(void)key_id;
	return spool_elapsed_secs(node->spool) + 90 * 86400;
}

const struct transit_hooks tw_hooks = {
	.arrived = on_arrived,
	.hop_done = on_hop_done,
	.lost = on_lost,
	.card = on_card,
	.our_card = our_card,
	.back_is_due = back_is_due,
	.card_back = card_back,
	.gave_back = gave_back,
	.fill = fill,
	.waits = waits,
	.making = making,
	.seal_to = seal_for,
	.open_with = open_of,
	.key_end_secs = key_end_secs,
};

static void
count_opened(struct tw_node *node, const unsigned char digest[32])
{
	struct slice key = { (const char *)digest, BUNDLE_NAME_LEN };
	size_t *n = map_get(node->seen, key);

	if (n == NULL) {
		n = mem_alloc(1, sizeof(*n));
		map_put(node->seen, key, n);
	}
	++*n;
	memcpy(node->last_opened, digest, BUNDLE_NAME_LEN);
}

size_t
tw_opened(const struct tw_node *node,
    const unsigned char name[BUNDLE_NAME_LEN])
{
	struct slice key = { (const char *)name, BUNDLE_NAME_LEN };
	size_t *n = map_get(node->seen, key);

	return n != NULL ? *n : 0;
}

static void
consume(struct tw_node *node, uint64_t id)
{
	struct spool_unit *u;
	struct err e = ERR_INIT;

	assert_int_equal(0, spool_begin(node->spool, &u, &e));
	assert_int_equal(0, transit_consume(node->x, u, id, &e));
	assert_int_equal(0, spool_commit(u, true, &e));
	transit_consumed(node->x, id);
}

void
tw_open_arrived(struct tw_node *node)
{
	unsigned char digest[32];
	struct buf piece = BUF_INIT;
	struct err e = ERR_INIT;
	uint64_t id, offset = 0;
	struct sha256 h;
	int rc;

	id = node->arrived[--node->narrived];
	sha256_init(&h);
	while ((rc = transit_read(node->x, id, offset, &piece, &e)) == 1) {
		sha256_add(&h, piece.ptr, piece.len);
		offset += piece.len;
		buf_clear(&piece);
	}
	if (rc != 0)
		fail_msg("%s", e.text);
	sha256_end(&h, digest);
	count_opened(node, digest);
	node->opened++;
	node->opened_octets += offset;
	buf_release(&piece);
	consume(node, id);
}
