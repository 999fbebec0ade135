/* SPDX-License-Identifier: ISC */
/*
 * The keyring's entries: lines "word value", in one order, that are read as
 * strictly as they are written.  They hold secrets, so every buffer that they
 * pass through is wiped.
 *
 *	postrider-key 1
 *	site paris
 *	role receive
 *	suite x25519
 *	secret SECRET
 *	born 86400
 *	end 31190400
 *	not-after 1772272800
 */
#include <stdlib.h>

#include "base/mem.h"
#include "base/secret.h"
#include "base/text.h"
#include "node/keyring_impl.h"

#define ENTRY_MAX 4096		/* octets */

static void
entry_begin(const struct keyring *k, const char *role, struct buf *out)
{
	buf_addf(out, "postrider-key 1\nsite %s\nrole %s\n", k->site, role);
}

static void
add_octets(struct buf *out, const char *word, const void *octets, size_t len)
{
	buf_addf(out, "%s ", word);
	base64url_encode(out, octets, len);
	buf_addc(out, '\n');
}

static void
add_number(struct buf *out, const char *word, uint64_t n)
{
	buf_addf(out, "%s %llu\n", word, (unsigned long long)n);
}

static void
wipe(struct buf *b)
{
	if (b->base != NULL)
		secret_wipe(b->base, b->cap);
	buf_release(b);
}

/* Room first, so that no copy of a secret is left behind by growing. */
static int
put(struct keyring *k, const char *name, struct buf *text, struct err *e)
{
	int rc = k->store == NULL ? 0 :
	    k->store->put(k->ctx, name, buf_slice(text), e);

	wipe(text);
	return rc;
}

static int
put_secret(struct keyring *k, const char *role, const char *suite,
    const unsigned char secret[32], struct err *e)
{
	struct buf text = BUF_INIT;

	(void)buf_room(&text, ENTRY_MAX);
	entry_begin(k, role, &text);
	buf_addf(&text, "suite %s\n", suite);
	add_octets(&text, "secret", secret, 32);
	return put(k, role, &text, e);
}

int
keyring_put_identity(struct keyring *k, struct err *e)
{
	return put_secret(k, "identity", KEY_SUITE_ED25519,
	    k->identity_secret, e);
}

int
keyring_put_auth(struct keyring *k, struct err *e)
{
	return put_secret(k, "auth", KEY_SUITE_X25519, k->auth_secret, e);
}

/* "receive-ID", in a buffer to be released. */
static const char *
epoch_name(const struct keyring_epoch *ep, struct buf *name)
{
	buf_adds(name, "receive-");
	key_id_format(name, ep->id);
	return buf_cstr(name);
}

int
keyring_put_epoch(struct keyring *k, const struct keyring_epoch *ep,
    struct err *e)
{
	struct buf text = BUF_INIT, name = BUF_INIT;
	int rc;

	(void)buf_room(&text, ENTRY_MAX);
	entry_begin(k, "receive", &text);
	buf_adds(&text, "suite " KEY_SUITE_X25519 "\n");
	add_octets(&text, "secret", ep->secret, X25519_LEN);
	add_number(&text, "born", ep->born_secs);
	add_number(&text, "end", ep->end_secs);
	add_number(&text, "not-after", (uint64_t)ep->not_after_secs);
	rc = put(k, epoch_name(ep, &name), &text, e);
	buf_release(&name);
	return rc;
}

int
keyring_del_epoch(struct keyring *k, const struct keyring_epoch *ep,
    struct err *e)
{
	struct buf name = BUF_INIT;
	int rc = k->store == NULL ? 0 :
	    k->store->del(k->ctx, epoch_name(ep, &name), e);

	buf_release(&name);
	return rc;
}

int
keyring_put_state(struct keyring *k, uint64_t counter,
    const unsigned char told[32], struct err *e)
{
	struct buf text = BUF_INIT;
	uint64_t now = keyring_now(k);
	int64_t wall = keyring_wall_secs(k);
	int rc;

	entry_begin(k, "state", &text);
	add_number(&text, "counter", counter);
	add_octets(&text, "card", told, 32);
	add_number(&text, "elapsed", now);
	add_number(&text, "wall", wall > 0 ? (uint64_t)wall : 0);
	rc = put(k, "state", &text, e);
	if (rc != 0)
		return rc;
	k->saved_secs = now;
	k->saved_wall_secs = wall;
	k->counter = counter;
	memmove(k->told, told, sizeof(k->told));
	return 0;
}

/*
 * Reading: each line in its turn, and the first fault ends it.
 */
struct entry {
	struct slice rest;
	bool failed;
};

static struct slice
next_value(struct entry *in, const char *word)
{
	size_t len = strlen(word);
	struct slice value = SLICE_LIT("");
	const char *end;

	if (in->failed || in->rest.len <= len ||
	    memcmp(in->rest.ptr, word, len) != 0 ||
	    in->rest.ptr[len] != ' ' ||
	    (end = memchr(in->rest.ptr, '\n', in->rest.len)) == NULL) {
		in->failed = true;
		return value;
	}
	value.ptr = in->rest.ptr + len + 1;
	value.len = (size_t)(end - value.ptr);
	in->rest.len -= (size_t)(end + 1 - in->rest.ptr);
	in->rest.ptr = end + 1;
	return value;
}

static void
expect(struct entry *in, const char *word, const char *text)
{
	if (!slice_eqs(next_value(in, word), text))
		in->failed = true;
}

static uint64_t
next_number(struct entry *in, const char *word)
{
	struct slice value = next_value(in, word);
	uint64_t n = 0;

	if (num_parse(value, INT64_MAX, &n) != 0)
		in->failed = true;
	return n;
}

static void
next_octets(struct entry *in, const char *word, unsigned char out[32])
{
	struct slice value = next_value(in, word);
	struct buf octets = BUF_INIT;

	(void)buf_room(&octets, 64);
	if (base64url_decode(&octets, value) == 0 && octets.len == 32)
		memcpy(out, octets.ptr, 32);
	else
		in->failed = true;
	wipe(&octets);
}

static void
restore_identity(struct keyring *k, struct entry *in)
{
	unsigned char secret[ED25519_LEN];

	expect(in, "suite", KEY_SUITE_ED25519);
	next_octets(in, "secret", secret);
	if (!in->failed) {
		memcpy(k->identity_secret, secret, ED25519_LEN);
		ed25519_public(secret, k->identity_public);
		k->has_identity = true;
	}
	secret_wipe(secret, sizeof(secret));
}

static void
restore_auth(struct keyring *k, struct entry *in)
{
	unsigned char secret[X25519_LEN];

	expect(in, "suite", KEY_SUITE_X25519);
	next_octets(in, "secret", secret);
	if (!in->failed) {
		memcpy(k->auth_secret, secret, X25519_LEN);
		x25519_public(secret, k->auth_public);
		k->has_auth = true;
	}
	secret_wipe(secret, sizeof(secret));
}

static void
insert_epoch(struct keyring *k, const struct keyring_epoch *ep)
{
	size_t at = k->nepochs++;

	for (; at > 0 && k->epoch[at - 1].end_secs > ep->end_secs; at--)
		k->epoch[at] = k->epoch[at - 1];
	k->epoch[at] = *ep;
}

static void
restore_epoch(struct keyring *k, struct entry *in, const char *name)
{
	struct keyring_epoch ep = { .id = 0 };
	struct buf right = BUF_INIT;

	expect(in, "suite", KEY_SUITE_X25519);
	next_octets(in, "secret", ep.secret);
	ep.born_secs = next_number(in, "born");
	ep.end_secs = next_number(in, "end");
	ep.not_after_secs = (int64_t)next_number(in, "not-after");
	x25519_public(ep.secret, ep.public);
	ep.id = key_id(KEY_SUITE_X25519, ep.public, X25519_LEN);
	if (strcmp(epoch_name(&ep, &right), name) != 0 ||
	    ep.end_secs < ep.born_secs || ep.not_after_secs == 0)
		in->failed = true;
	if (k->nepochs == KEYRING_LIVE_MAX)
		in->failed = true;
	if (!in->failed)
		insert_epoch(k, &ep);
	buf_release(&right);
	secret_wipe(&ep, sizeof(ep));
}

static void
restore_state(struct keyring *k, struct entry *in)
{
	uint64_t counter = next_number(in, "counter");
	unsigned char told[32] = { 0 };
	uint64_t elapsed, wall;

	next_octets(in, "card", told);
	elapsed = next_number(in, "elapsed");
	wall = next_number(in, "wall");
	if (in->failed)
		return;
	k->counter = counter;
	memcpy(k->told, told, sizeof(k->told));
	k->saved_secs = elapsed;
	k->saved_wall_secs = (int64_t)wall;
	k->has_state = true;
}

static const char *
role_of(const char *name)
{
	return strncmp(name, "receive-", 8) == 0 ? "receive" : name;
}

int
keyring_restore(struct keyring *k, const char *name, struct slice text,
    struct err *e)
{
	struct entry in = { text, false };
	struct slice site;

	if (text.len > ENTRY_MAX)
		return err_set(e, ERR_LIMIT, "an entry has up to %d octets",
		    ENTRY_MAX);
	expect(&in, "postrider-key", "1");
	site = next_value(&in, "site");
	expect(&in, "role", role_of(name));
	if (!in.failed && !slice_eqs(site, k->site))
		return err_set(e, ERR_DENIED, "this is a key of site %.*s and "
		    "not of %s", site.len < 64 ? (int)site.len : 64, site.ptr,
		    k->site);
	if (strcmp(name, "identity") == 0)
		restore_identity(k, &in);
	else if (strcmp(name, "auth") == 0)
		restore_auth(k, &in);
	else if (strcmp(name, "state") == 0)
		restore_state(k, &in);
	else if (strncmp(name, "receive-", 8) == 0)
		restore_epoch(k, &in, name);
	else
		in.failed = true;
	if (in.failed || in.rest.len > 0)
		return err_set(e, ERR_SYNTAX, "this is no key of the name %s, "
		    "or it is damaged", name);
	return 0;
}
