/* SPDX-License-Identifier: ISC */
/*
 * Heads of objects.  Nothing in a sealed one says for which key, of which kind
 * and with which pattern it was made, so all that are acceptable are tried; a
 * key's one agreement serves all of its trials.  The first octets of the
 * ephemeral key name the sealing before any agreement: a replay costs none.
 */
#include <string.h>

#include "base/secret.h"
#include "bundle/opener_impl.h"

/* One trial. */
struct trial {
	struct opener *o;
	enum seal_kind kind;
	bool psk;
};

static int
check_seen(struct opener *o, const void *bytes, size_t len, struct err *e)
{
	unsigned char digest[SHA256_LEN];
	struct sha256 h;

	sha256_init(&h);
	sha256_add(&h, bytes, len);
	sha256_end(&h, digest);
	memcpy(o->tag, digest, sizeof(o->tag));
	if (o->seen != NULL && o->seen(o->ctx, o->tag))
		return opener_fail(o, OPEN_REPLAYED, ERR_EXISTS, e, "it was "
		    "opened before");
	return 0;
}

/*
 * Sealed.
 */

/* The sender's auth key has been told; nothing proves yet that it is his. */
static int
known(void *ctx, const unsigned char remote[X25519_LEN],
    unsigned char psk_out[NOISE_KEY_LEN], struct err *e)
{
	struct trial *t = ctx;
	struct open_peer peer = { .psk = false };
	int rc = t->o->sender(t->o->ctx, t->kind, remote, &peer, e);

	if (rc != 0) {
		t->o->fault = OPEN_UNKNOWN;
	} else if (peer.sign) {
		rc = opener_fail(t->o, OPEN_MODE, ERR_DENIED, e, "it is "
		    "sealed, and its sender is configured to sign");
	} else if (peer.psk != t->psk) {
		rc = opener_fail(t->o, OPEN_PSK, ERR_DENIED, e, "it was "
		    "sealed %s a pre-shared key", t->psk ? "with" :
							   "without");
	} else if (peer.psk) {
		memcpy(psk_out, peer.key, NOISE_KEY_LEN);
	}
	secret_wipe(&peer, sizeof(peer));
	return rc;
}

static void
accept_sealed(struct opener *o, const struct noise *n,
    const struct opener_key *key, enum seal_kind kind)
{
	o->kind = kind;
	o->key_id = key->id;
	o->head_len = seal_head_len(kind);
	memcpy(o->sender_key, n->remote, sizeof(o->sender_key));
	noise_split(n, NULL, &o->first);
	o->cipher = o->first;
	o->stage = OPENER_BODY;
}

static void
run_trial(struct opener *o, struct opener_key *key, enum seal_kind kind,
    enum noise_pattern pattern)
{
	struct trial t = { o, kind, pattern == NOISE_XPSK1 };
	struct noise_params p = { .pattern = pattern, .secret = key->secret,
		.public = key->public, .memo = &key->memo, .ctx = &t,
		.known = known };
	struct slice head = { o->held.ptr, seal_head_len(kind) };
	struct buf prologue = BUF_INIT, none = BUF_INIT;
	struct noise n;

	if (o->held.len < head.len)
		return;
	seal_put_label(&prologue, SEAL_SUITE_NOISE, kind, o->site);
	p.prologue = buf_slice(&prologue);
	noise_init(&n, &p);
	if (noise_read(&n, head, &none, NULL) == 0)
		accept_sealed(o, &n, key, kind);
	else if (n.has_remote && o->fault == OPEN_GOOD)
		o->fault = t.psk ? OPEN_PSK : OPEN_FOREIGN;
	noise_release(&n);
	buf_release(&prologue);
	buf_release(&none);
}

static bool
undecided(const struct opener *o)
{
	return o->stage == OPENER_HEAD && o->fault == OPEN_GOOD;
}

static void
try_kind(struct opener *o, struct opener_key *key, enum seal_kind kind)
{
	if ((o->kinds & key->kinds & SEAL_BIT(kind)) == 0)
		return;
	if (kind == SEAL_ONION) {
		run_trial(o, key, kind, NOISE_N);
		return;
	}
	run_trial(o, key, kind, NOISE_X);
	if (undecided(o))
		run_trial(o, key, kind, NOISE_XPSK1);
}

static int
refuse_sealed(struct opener *o, struct err *e)
{
	static const char *const text[OPEN_FAULTS] = {
		[OPEN_FOREIGN] = "it is sealed for no key of ours, or forged",
		[OPEN_UNKNOWN] = "its sender is none that may send us this",
		[OPEN_PSK] = "its sender's pre-shared key is not ours, or is "
		    "missing, or is not configured here",
		[OPEN_MODE] = "it is sealed, and its sender is configured to "
		    "sign",
	};

	if (o->fault == OPEN_GOOD)
		o->fault = OPEN_FOREIGN;
	return opener_fail(o, o->fault, ERR_DENIED, e, "%s", text[o->fault]);
}

static int
open_sealed(struct opener *o, struct err *e)
{
	int rc;

	if (o->held.len < seal_head_len(SEAL_ONION) + SEAL_CHUNK_OVERHEAD)
		return opener_fail(o, OPEN_SHORT, ERR_SYNTAX, e, "it is too "
		    "short for a sealed object");
	rc = check_seen(o, o->held.ptr, X25519_LEN, e);
	for (size_t i = 0; i < o->nkeys && rc == 0; i++)
		for (int kind = SEAL_PARCEL; kind <= SEAL_REQUEST; kind++)
			if (undecided(o))
				try_kind(o, &o->key[i], (enum seal_kind)kind);
	if (rc != 0 || o->stage != OPENER_HEAD)
		return rc;
	return refuse_sealed(o, e);
}

/*
 * Signed.
 */
struct header {
	unsigned version, suite, kind;
	char destination[SITE_NAME_MAX + 1];
};

static int
read_header(struct opener *o, struct header *h, struct err *e)
{
	struct wire_reader r = wire_reader_of(buf_slice(&o->held), e);

	wire_get_bytes(&r, sizeof(SEAL_MAGIC) - 1);
	h->version = wire_get8(&r);
	h->suite = wire_get8(&r);
	if (r.state == 0 && (h->version != SEAL_VERSION ||
	    h->suite != SEAL_SUITE_SIGN))
		return opener_fail(o, OPEN_FOREIGN, ERR_DENIED, e, "it is "
		    "signed in a way that this version does not know");
	h->kind = wire_get8(&r);
	wire_get_site(&r, h->destination);
	wire_get_site(&r, o->signer_name);
	wire_get_bytes(&r, SEAL_NONCE_LEN);
	o->head_len = o->held.len - r.len;
	if (r.state > 0)
		return opener_fail(o, OPEN_SHORT, ERR_SYNTAX, e, "it ends "
		    "inside the header");
	if (r.state < 0)
		return opener_fail(o, OPEN_FOREIGN, ERR_DENIED, e, "its "
		    "header names no sites");
	return 0;
}

static int
check_header(struct opener *o, const struct header *h, struct err *e)
{
	unsigned may = o->kinds & (SEAL_BIT(SEAL_PARCEL) |
	    SEAL_BIT(SEAL_BUNDLE));

	if (h->kind > SEAL_REQUEST || (may & SEAL_BIT(h->kind)) == 0)
		return opener_fail(o, OPEN_FOREIGN, ERR_DENIED, e, "a signed "
		    "object of kind %u is not wanted here", h->kind);
	if (strcmp(h->destination, o->site) != 0)
		return opener_fail(o, OPEN_FOREIGN, ERR_DENIED, e, "it is for "
		    "%s, not for us", h->destination);
	o->kind = (enum seal_kind)h->kind;
	return 0;
}

static int
check_signer(struct opener *o, struct err *e)
{
	struct open_peer peer = { .psk = false };
	int rc = ERR_DENIED;

	if (o->signer != NULL)
		rc = o->signer(o->ctx, o->kind, o->signer_name, o->signer_key,
		    &peer, e);
	if (o->signer == NULL || (rc == 0 && !peer.sign))
		rc = opener_fail(o, OPEN_MODE, ERR_DENIED, e, "it is signed, "
		    "and its sender is configured to seal");
	else if (rc != 0)
		rc = opener_fail(o, OPEN_UNKNOWN, ERR_DENIED, e, "%s is none "
		    "that may send us this", o->signer_name);
	secret_wipe(&peer, sizeof(peer));
	return rc;
}

static int
open_signed(struct opener *o, struct err *e)
{
	struct header h = { .version = 0 };
	int rc = read_header(o, &h, e);

	if (rc == 0)
		rc = check_header(o, &h, e);
	if (rc == 0)
		rc = check_seen(o, o->held.ptr, o->head_len, e);
	if (rc == 0)
		rc = check_signer(o, e);
	if (rc != 0)
		return rc;
	o->is_signed = true;
	ed25519_stream_init(&o->stream, SLICE_LIT(SEAL_SIGN_CONTEXT));
	ed25519_stream_add(&o->stream, o->held.ptr, o->head_len);
	sha256_init(&o->hash);
	o->stage = OPENER_BODY;
	return 0;
}

int
opener_head(struct opener *o, struct err *e)
{
	const size_t magic = sizeof(SEAL_MAGIC) - 1;
	int rc;

	if (o->held.len >= magic &&
	    memcmp(o->held.ptr, SEAL_MAGIC, magic) == 0)
		rc = open_signed(o, e);
	else
		rc = open_sealed(o, e);
	secret_wipe(o->key, sizeof(o->key));
	if (rc == 0)
		buf_consume(&o->held, o->head_len);
	return rc;
}
