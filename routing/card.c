/* SPDX-License-Identifier: ISC */
/*
 * Cards as values, and how they are written.  The writer is the judge of what
 * is canonical: a card that is read is written again and has to be the same.
 */
#include "routing/card.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/text.h"
#include "routing/card_text.h"

void
card_init(struct card *c)
{
	memset(c, 0, sizeof(*c));
}

static void
release_key(struct card_key *k)
{
	free(k->suite);
	free(k->octets);
}

static void
release_reach(struct card_reach *r)
{
	for (size_t i = 0; i < r->nsettings; i++) {
		free(r->setting[i].key);
		free(r->setting[i].value);
	}
	free(r->setting);
	free(r->transport);
}

void
card_release(struct card *c)
{
	free(c->site);
	release_key(&c->identity);
	release_key(&c->auth);
	for (size_t i = 0; i < c->nreceive; i++)
		release_key(&c->receive[i]);
	for (size_t i = 0; i < c->ndomains; i++)
		free(c->domain[i]);
	free(c->domain);
	for (size_t i = 0; i < c->nreaches; i++)
		release_reach(&c->reach[i]);
	free(c->reach);
	card_init(c);
}

/*
 * Filling.
 */
static void
set_key(struct card_key *k, const char *suite, const unsigned char *octets,
    size_t len)
{
	release_key(k);
	k->suite = mem_strdup(suite);
	k->octets = mem_alloc(len, 1);
	memcpy(k->octets, octets, len);
	k->len = len;
	card_key_name(k);
}

void
card_key_name(struct card_key *k)
{
	k->id = key_id(k->suite, k->octets, k->len);
}

void
card_set_site(struct card *c, const char *site)
{
	free(c->site);
	c->site = mem_strdup(site);
}

void
card_set_identity(struct card *c, const unsigned char public[ED25519_LEN])
{
	set_key(&c->identity, KEY_SUITE_ED25519, public, ED25519_LEN);
}

void
card_set_auth(struct card *c, const unsigned char public[X25519_LEN])
{
	set_key(&c->auth, KEY_SUITE_X25519, public, X25519_LEN);
}

void
card_add_receive(struct card *c, const unsigned char public[X25519_LEN],
    int64_t not_after_secs)
{
	struct card_key *k;

	if (c->nreceive == CARD_RECEIVE_MAX)
		return;
	k = &c->receive[c->nreceive++];
	memset(k, 0, sizeof(*k));
	set_key(k, KEY_SUITE_X25519, public, X25519_LEN);
	k->not_after_secs = not_after_secs;
}

void
card_add_domain(struct card *c, const char *domain)
{
	char *low = mem_strdup(domain);

	ascii_lower(low, strlen(low));
	for (size_t i = 0; i < c->ndomains; i++) {
		if (strcmp(c->domain[i], low) == 0) {
			free(low);
			return;
		}
	}
	c->domain = mem_realloc(c->domain, c->ndomains + 1, sizeof(char *));
	c->domain[c->ndomains++] = low;
}

/*
 * Writing.
 */
static int
by_text(const void *a, const void *b)
{
	const char *const *x = a, *const *y = b;

	return strcmp(*x, *y);
}

static int
by_end(const void *a, const void *b)
{
	const struct card_key *x = a, *y = b;

	if (x->not_after_secs != y->not_after_secs)
		return x->not_after_secs < y->not_after_secs ? -1 : 1;
	return x->id < y->id ? -1 : x->id > y->id;
}

static void
render_key(const struct card_key *k, const char *role, struct buf *out)
{
	buf_addf(out, "%s %s ", role, k->suite);
	key_id_format(out, k->id);
	if (k->not_after_secs != 0)
		buf_addf(out, " %lld", (long long)k->not_after_secs);
	buf_addc(out, ' ');
	base64url_encode(out, k->octets, k->len);
	buf_addc(out, '\n');
}

/* What is no part of a word, and the sign for that, as %XX. */
static void
render_value(const char *value, struct buf *out)
{
	for (; *value != '\0'; value++) {
		unsigned char c = (unsigned char)*value;

		if (c > 0x20 && c < 0x7f && c != '%')
			buf_addc(out, *value);
		else
			buf_addf(out, "%%%02X", c);
	}
}

void
card_format_reach(const struct card_reach *r, struct buf *out)
{
	buf_adds(out, r->transport);
	for (size_t i = 0; i < r->nsettings; i++) {
		buf_addf(out, " %s=", r->setting[i].key);
		render_value(r->setting[i].value, out);
	}
}

void
card_body(struct card *c, struct buf *out)
{
	qsort(c->receive, c->nreceive, sizeof(c->receive[0]), by_end);
	if (c->ndomains > 0)
		qsort(c->domain, c->ndomains, sizeof(c->domain[0]), by_text);
	buf_addf(out, CARD_FIRST_LINE "\nsite %s\ncounter %llu\n", c->site,
	    (unsigned long long)c->counter);
	render_key(&c->identity, "identity", out);
	render_key(&c->auth, "auth", out);
	for (size_t i = 0; i < c->nreceive; i++)
		render_key(&c->receive[i], "receive", out);
	for (size_t i = 0; i < c->ndomains; i++)
		buf_addf(out, "domain %s\n", c->domain[i]);
	for (size_t i = 0; i < c->nreaches; i++) {
		buf_adds(out, "reach ");
		card_format_reach(&c->reach[i], out);
		buf_addc(out, '\n');
	}
}

int
card_write(struct card *c, const unsigned char secret[ED25519_LEN],
    struct buf *out, struct err *e)
{
	unsigned char signature[ED25519_SIGNATURE_LEN];
	struct buf text = BUF_INIT;
	struct card again;
	int rc;

	card_body(c, &text);
	ed25519_sign(secret, buf_slice(&text), signature);
	buf_adds(&text, "signature ");
	base64url_encode(&text, signature, sizeof(signature));
	buf_addc(&text, '\n');
	rc = card_parse(buf_slice(&text), &again, e);
	if (rc == 0)
		buf_addslice(out, buf_slice(&text));
	card_release(&again);
	buf_release(&text);
	return rc;
}

/*
 * Using.
 */
const struct card_key *
card_receiving(const struct card *c, uint64_t age_secs, int64_t wall_secs)
{
	for (size_t i = c->nreceive; i > 0; i--) {
		const struct card_key *k = &c->receive[i - 1];
		uint64_t end = (uint64_t)k->not_after_secs;

		if (strcmp(k->suite, KEY_SUITE_X25519) == 0 &&
		    end > c->counter && end - c->counter > age_secs &&
		    k->not_after_secs > wall_secs)
			return k;
	}
	return NULL;
}

struct fingerprint
card_fingerprint(const struct card *c)
{
	return fingerprint_of(c->identity.suite, c->identity.octets,
	    c->identity.len);
}

static bool
same_identity(const struct card *a, const struct card *b)
{
	return strcmp(a->site, b->site) == 0 &&
	    strcmp(a->identity.suite, b->identity.suite) == 0 &&
	    a->identity.len == b->identity.len &&
	    memcmp(a->identity.octets, b->identity.octets,
	    a->identity.len) == 0;
}

/* Plain values that were read, so rendering them does not change them. */
static bool
same_content(const struct card *a, const struct card *b)
{
	struct card one = *a, other = *b;
	struct buf x = BUF_INIT, y = BUF_INIT;
	bool same;

	card_body(&one, &x);
	card_body(&other, &y);
	same = slice_eq(buf_slice(&x), buf_slice(&y));
	buf_release(&x);
	buf_release(&y);
	return same;
}

int
card_succeeds(const struct card *old, const struct card *fresh,
    struct err *e)
{
	if (strcmp(old->site, fresh->site) != 0)
		return err_set(e, ERR_DENIED, "the card is of site %s and not "
		    "of %s", fresh->site, old->site);
	if (!same_identity(old, fresh))
		return err_set(e, ERR_DENIED, "the card names site %s, but "
		    "with the identity %s and not %s", fresh->site,
		    card_fingerprint(fresh).text, card_fingerprint(old).text);
	if (fresh->counter > old->counter)
		return 1;
	if (fresh->counter == old->counter && same_content(old, fresh))
		return 0;
	return err_set(e, ERR_STATE, "the card of site %s has the counter "
	    "%llu; there is one with %llu already", fresh->site,
	    (unsigned long long)fresh->counter,
	    (unsigned long long)old->counter);
}
