/* SPDX-License-Identifier: ISC */
/*
 * Cards.  The input is read as it is, and again as the lines behind those of
 * site and identity, with the signature that makes them a card: what is taken
 * then is written again, octet for octet.
 */
#include "base/text.h"
#include "routing/card.h"
#include "tests/fuzz/fuzz.h"

static const unsigned char secret[ED25519_LEN] =
    "an identity to fuzz with, only.";

static void
check_taken(struct card *c, const unsigned char *seed, struct slice text)
{
	struct buf again = BUF_INIT, one = BUF_INIT;
	struct card copy;

	FUZZ_CHECK(text.len <= CARD_MAX);
	FUZZ_CHECK(c->nreceive > 0 && c->nreceive <= CARD_RECEIVE_MAX);
	FUZZ_CHECK(c->ndomains <= CARD_DOMAINS_MAX);
	FUZZ_CHECK(c->nreaches <= CARD_REACHES_MAX);
	for (size_t i = 0; i < c->nreaches; i++) {
		card_init(&copy);
		card_format_reach(&c->reach[i], &one);
		FUZZ_CHECK(card_add_reach(&copy, buf_cstr(&one), NULL) == 0);
		card_format_reach(&copy.reach[0], &again);
		fuzz_same(&one, &again);
		buf_clear(&one);
		buf_clear(&again);
		card_release(&copy);
	}
	FUZZ_CHECK(card_succeeds(c, c, NULL) == 0);
	if (seed != NULL) {
		FUZZ_CHECK(card_write(c, seed, &again, NULL) == 0);
		FUZZ_CHECK(slice_eq(buf_slice(&again), text));
	}
	buf_release(&again);
	buf_release(&one);
}

static void
parse(const unsigned char *seed, struct slice text)
{
	char *exact = fuzz_copy(text.ptr, text.len);
	struct err e = ERR_INIT;
	struct card c;

	if (card_parse((struct slice){ exact, text.len }, &c, &e) == 0)
		check_taken(&c, seed, text);
	else
		FUZZ_CHECK(e.text[0] != '\0' && c.site == NULL);
	card_release(&c);
	free(exact);
}

static void
sign(struct buf *text)
{
	unsigned char signature[ED25519_SIGNATURE_LEN];

	ed25519_sign(secret, buf_slice(text), signature);
	buf_adds(text, "signature ");
	base64url_encode(text, signature, sizeof(signature));
	buf_addc(text, '\n');
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned char public[ED25519_LEN];
	struct buf text = BUF_INIT;

	if (size > 2 * CARD_MAX)
		return 0;
	parse(NULL, (struct slice){ (const char *)data, size });
	ed25519_public(secret, public);
	buf_adds(&text, "postrider-card 1\nsite paris\ncounter 7\nidentity "
	    KEY_SUITE_ED25519 " ");
	key_id_format(&text, key_id(KEY_SUITE_ED25519, public,
	    sizeof(public)));
	buf_addc(&text, ' ');
	base64url_encode(&text, public, sizeof(public));
	buf_addc(&text, '\n');
	buf_add(&text, data, size);
	sign(&text);
	parse(secret, buf_slice(&text));
	buf_release(&text);
	return 0;
}
