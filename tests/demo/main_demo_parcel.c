/* SPDX-License-Identifier: ISC */
/*
 * demo_parcel: seals and opens for other programs.  Each line of standard
 * input is an order in JSON, each line of standard output the answer to it;
 * octets are in hex.
 *
 *	{"do": "seal", "kind", "destination", "remote", "secret", "psk",
 *	 "sign", "origin", "identity", "plain", "piece"}	{"object"}
 *	{"do": "open", "site", "kinds": [], "receive", "auth", "peer": {"name",
 *	 "auth", "psk", "sign", "identity"}, "object", "piece"}
 *						{"fault", "kind", "plain", ...}
 *	{"do": "frames" | "flow" | "onion" | "request", "plain"}
 *						{"good", "why"}
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "base/text.h"
#include "base/x25519.h"
#include "bundle/bag.h"
#include "bundle/frame.h"
#include "bundle/seal.h"

#define KINDS 5

static const char *const kind_names[KINDS] = { "", "parcel", "bundle",
	"onion", "request" };

static void
give_up(const char *what)
{
	fprintf(stderr, "demo_parcel: %s\n", what);
	exit(EX_DATAERR);
}

/* NULL if it is not there. */
static const char *
text(json_t *order, const char *name)
{
	return json_string_value(json_object_get(order, name));
}

static int
nibble(char c)
{
	const char *digits = "0123456789abcdef", *at = strchr(digits, c);

	if (c == '\0' || at == NULL)
		give_up("no hex");
	return (int)(at - digits);
}

static void
unhex(struct buf *out, const char *hex)
{
	if (hex == NULL)
		give_up("octets are missing");
	for (; *hex != '\0'; hex += 2)
		buf_addc(out, (char)(nibble(hex[0]) << 4 | nibble(hex[1])));
}

/* Into key; NULL if it is not there. */
static const unsigned char *
get_key(json_t *order, const char *name, unsigned char key[32])
{
	struct buf b = BUF_INIT;

	if (text(order, name) == NULL)
		return NULL;
	unhex(&b, text(order, name));
	if (b.len != 32)
		give_up("a key of another length");
	memcpy(key, b.ptr, 32);
	buf_release(&b);
	return key;
}

static enum seal_kind
kind_of(const char *name)
{
	for (int i = 1; name != NULL && i < KINDS; i++)
		if (strcmp(kind_names[i], name) == 0)
			return (enum seal_kind)i;
	give_up("no such kind");
	return SEAL_PARCEL;
}

static void
set_hex(json_t *answer, const char *name, const void *bytes, size_t len)
{
	struct buf hex = BUF_INIT;

	hex_encode(&hex, bytes, len);
	json_object_set_new(answer, name, json_string(buf_cstr(&hex)));
	buf_release(&hex);
}

static size_t
piece_of(json_t *order)
{
	json_int_t piece = json_integer_value(json_object_get(order,
	    "piece"));

	return piece > 0 ? (size_t)piece : SIZE_MAX;
}

/*
 * Sealing.
 */
static int
to_buf(void *ctx, const char *bytes, size_t len, struct err *e)
{
	(void)e;
	buf_add(ctx, bytes, len);
	return 0;
}

static int
run_sealer(const struct seal_to *to, struct slice plain, size_t piece,
    struct buf *out, struct err *e)
{
	struct sealer *s = sealer_new(to, to_buf, out);
	int rc = 0;

	for (size_t at = 0, n; rc == 0 && at < plain.len; at += n) {
		n = plain.len - at < piece ? plain.len - at : piece;
		rc = sealer_add(s, plain.ptr + at, n, e);
	}
	if (rc == 0)
		rc = sealer_finish(s, e);
	sealer_free(s);
	return rc;
}

static void
do_seal(json_t *order, json_t *answer)
{
	unsigned char remote[32], secret[32], psk[32], identity[32];
	struct seal_to to = { .kind = kind_of(text(order, "kind")),
		.destination = text(order, "destination"),
		.remote = get_key(order, "remote", remote),
		.secret = get_key(order, "secret", secret),
		.psk = get_key(order, "psk", psk), .rng = rng_real(),
		.sign = json_is_true(json_object_get(order, "sign")),
		.origin = text(order, "origin"),
		.sign_secret = get_key(order, "identity", identity) };
	struct buf plain = BUF_INIT, object = BUF_INIT;
	struct err e = ERR_INIT;

	unhex(&plain, text(order, "plain"));
	if (run_sealer(&to, buf_slice(&plain), piece_of(order), &object,
	    &e) != 0)
		give_up(e.text);
	set_hex(answer, "object", object.ptr, object.len);
	buf_release(&plain);
	buf_release(&object);
}

/*
 * Opening: ctx is the order's peer.
 */
static int
sender(void *ctx, enum seal_kind kind, const unsigned char key[32],
    struct open_peer *peer_out, struct err *e)
{
	unsigned char known[32];
	json_t *peer = ctx;

	(void)kind;
	if (get_key(peer, "auth", known) == NULL ||
	    memcmp(known, key, 32) != 0)
		return err_set(e, ERR_DENIED, "unknown");
	peer_out->sign = json_is_true(json_object_get(peer, "sign"));
	peer_out->psk = get_key(peer, "psk", peer_out->key) != NULL;
	return 0;
}

static int
signer(void *ctx, enum seal_kind kind, const char *site,
    unsigned char public_out[32], struct open_peer *peer_out, struct err *e)
{
	json_t *peer = ctx;

	(void)kind;
	if (text(peer, "name") == NULL ||
	    strcmp(text(peer, "name"), site) != 0 ||
	    get_key(peer, "identity", public_out) == NULL)
		return err_set(e, ERR_DENIED, "unknown");
	peer_out->sign = json_is_true(json_object_get(peer, "sign"));
	return 0;
}

static struct opener *
opener_of(json_t *order)
{
	unsigned char secret[2][32], public[2][32];
	struct open_with with = { .site = text(order, "site"), .nkeys = 2,
		.sender = sender, .signer = signer,
		.ctx = json_object_get(order, "peer") };
	json_t *kinds = json_object_get(order, "kinds"), *kind;
	size_t i;

	json_array_foreach(kinds, i, kind)
		with.kinds |= SEAL_BIT(kind_of(json_string_value(kind)));
	if (get_key(order, "receive", secret[0]) == NULL ||
	    get_key(order, "auth", secret[1]) == NULL)
		give_up("a key is missing");
	for (i = 0; i < 2; i++) {
		x25519_public(secret[i], public[i]);
		with.key[i] = (struct open_key){ i == 0 ?
			    ~SEAL_BIT(SEAL_REQUEST) : SEAL_BIT(SEAL_REQUEST),
			i, secret[i], public[i] };
	}
	return opener_new(&with);
}

/* One pass; plain is NULL in the first. */
static int
pass(struct opener *o, struct slice object, size_t piece, struct buf *plain,
    struct err *e)
{
	int rc = 0;

	for (size_t at = 0, n; rc == 0 && at < object.len; at += n) {
		n = object.len - at < piece ? object.len - at : piece;
		rc = plain == NULL ? opener_verify(o, object.ptr + at, n, e) :
				     opener_read(o, object.ptr + at, n, plain,
					 e);
	}
	if (rc == 0)
		rc = plain == NULL ? opener_verify_end(o, e) :
				     opener_read_end(o, plain, e);
	return rc;
}

static void
tell_opened(struct opener *o, const struct buf *plain, json_t *answer)
{
	json_object_set_new(answer, "kind",
	    json_string(kind_names[opener_kind(o)]));
	set_hex(answer, "plain", plain->ptr, plain->len);
	set_hex(answer, "tag", opener_tag(o), SEAL_TAG_LEN);
	if (opener_signed(o))
		json_object_set_new(answer, "signer",
		    json_string(opener_signer(o)));
	else if (opener_sender(o) != NULL)
		set_hex(answer, "sender", opener_sender(o), SEAL_KEY_LEN);
}

static void
do_open(json_t *order, json_t *answer)
{
	struct opener *o = opener_of(order);
	struct buf object = BUF_INIT, plain = BUF_INIT;
	struct err e = ERR_INIT;
	size_t piece = piece_of(order);

	unhex(&object, text(order, "object"));
	if (pass(o, buf_slice(&object), piece, NULL, &e) == 0) {
		opener_rewind(o);
		if (pass(o, buf_slice(&object), piece, &plain, &e) != 0)
			give_up(e.text);
		tell_opened(o, &plain, answer);
	}
	json_object_set_new(answer, "fault",
	    json_string(open_fault_name(opener_fault(o))));
	opener_free(o);
	buf_release(&object);
	buf_release(&plain);
}

/*
 * Reading what is inside.
 */
static int
read_frames(struct slice in, struct err *e)
{
	struct frame_reader *r = frame_reader_new();
	struct frame f;
	size_t used;
	int rc;

	while ((rc = frame_reader_next(r, in.ptr, in.len, &used, &f, e)) ==
	    1) {
		in.ptr += used;
		in.len -= used;
	}
	if (rc == 0)
		rc = frame_reader_end(r, e);
	frame_reader_free(r);
	return rc;
}

static int
read_bag(enum bag_sort sort, struct slice in, struct err *e)
{
	struct bag_reader *r = bag_reader_new(sort);
	struct bag_event ev;
	size_t used;
	int rc;

	while ((rc = bag_reader_next(r, in.ptr, in.len, &used, &ev, e)) ==
	    1) {
		in.ptr += used;
		in.len -= used;
	}
	if (rc == 0)
		rc = bag_reader_end(r, e);
	bag_reader_free(r);
	return rc;
}

static void
do_read(const char *what, json_t *order, json_t *answer)
{
	struct buf plain = BUF_INIT;
	struct err e = ERR_INIT;
	int rc;

	unhex(&plain, text(order, "plain"));
	if (strcmp(what, "frames") == 0)
		rc = read_frames(buf_slice(&plain), &e);
	else
		rc = read_bag(strcmp(what, "onion") == 0 ? BAG_ONION :
		    strcmp(what, "request") == 0 ? BAG_REQUEST : BAG_FLOW,
		    buf_slice(&plain), &e);
	json_object_set_new(answer, "good", json_boolean(rc == 0));
	json_object_set_new(answer, "why", json_string(e.text));
	buf_release(&plain);
}

int
main(void)
{
	json_t *order, *answer;
	const char *what;
	json_error_t error;

	while ((order = json_loadf(stdin, JSON_DISABLE_EOF_CHECK, &error)) !=
	    NULL) {
		answer = json_object();
		what = text(order, "do");
		if (what == NULL)
			give_up("nothing to do");
		if (strcmp(what, "seal") == 0)
			do_seal(order, answer);
		else if (strcmp(what, "open") == 0)
			do_open(order, answer);
		else
			do_read(what, order, answer);
		json_dumpf(answer, stdout, JSON_COMPACT);
		putchar('\n');
		fflush(stdout);
		json_decref(order);
		json_decref(answer);
	}
	return EX_OK;
}
