/* SPDX-License-Identifier: ISC */
/*
 * The reader of cards.  A row for each kind of line, in the order in which
 * they stand, says how many there may be and what reads one.  What the rows
 * let pass is written again; the first line that comes out different is the
 * one to name, and so every value has one way to be written.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "base/text.h"
#include "routing/card_text.h"
#include "smtp/address.h"

#define COUNTER_MAX INT64_MAX
#define NOT_AFTER_MAX INT64_C(253402300799)	/* the end of 9999 */

static bool
is_name_char(char c, bool first)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	    (c >= '0' && c <= '9') ||
	    (!first && (c == '-' || c == '_' || c == '.'));
}

static int
check_name(struct slice name, const char *what, struct err *e)
{
	if (name.len == 0 || name.len > CARD_NAME_MAX)
		return err_set(e, ERR_LIMIT, "%s has 1 to %d characters",
		    what, CARD_NAME_MAX);
	for (size_t i = 0; i < name.len; i++)
		if (!is_name_char(name.ptr[i], i == 0))
			return err_set(e, ERR_SYNTAX, "%s begins with a "
			    "letter or digit and holds letters, digits, -, _ "
			    "and . only", what);
	return 0;
}

static int
parse_number(struct slice word, uint64_t max, const char *what,
    uint64_t *n_out, struct err *e)
{
	if (num_parse(word, max, n_out) != 0 || *n_out == 0)
		return err_set(e, ERR_SYNTAX, "%s is a number from 1 to %llu",
		    what, (unsigned long long)max);
	return 0;
}

/*
 * Keys.
 */
static int
check_suite(struct slice suite, struct err *e)
{
	for (size_t i = 0; i < suite.len; i++) {
		char c = suite.ptr[i];

		if ((c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-')
			return err_set(e, ERR_SYNTAX, "a suite is a word of "
			    "small letters, digits and -");
	}
	if (suite.len == 0 || suite.len > KEY_SUITE_MAX)
		return err_set(e, ERR_LIMIT, "a suite has 1 to %d characters",
		    KEY_SUITE_MAX);
	return 0;
}

/* Whether a point gives nothing away but itself: any secret would do. */
static bool
is_low_order(const unsigned char *key)
{
	static const unsigned char secret[X25519_LEN] = { 9 };
	unsigned char shared[X25519_LEN];

	return x25519_shared(secret, key, shared) != 0;
}

static int
check_known(const struct card_key *k, struct err *e)
{
	bool x25519 = strcmp(k->suite, KEY_SUITE_X25519) == 0;
	bool ed25519 = strcmp(k->suite, KEY_SUITE_ED25519) == 0;

	if ((x25519 && k->len != X25519_LEN) ||
	    (ed25519 && k->len != ED25519_LEN))
		return err_set(e, ERR_SYNTAX, "a key of suite %s has %d "
		    "octets and not %zu", k->suite,
		    x25519 ? X25519_LEN : ED25519_LEN, k->len);
	if (x25519 && !x25519_canonical(k->octets))
		return err_set(e, ERR_SYNTAX, "the key is not the one way to "
		    "write its point");
	if (x25519 && is_low_order(k->octets))
		return err_set(e, ERR_SYNTAX, "the key is a point of low "
		    "order");
	return 0;
}

static int
parse_key_octets(struct slice id, struct slice text, struct card_key *k,
    struct err *e)
{
	struct buf octets = BUF_INIT;
	uint64_t said;
	int rc = key_id_parse(id, &said);

	if (rc != 0)
		rc = err_set(e, rc, "the id of a key has %d characters of "
		    "base64url", KEY_ID_TEXT_LEN);
	else if (base64url_decode(&octets, text) != 0)
		rc = err_set(e, ERR_SYNTAX, "the key is not in base64url, or "
		    "is padded");
	else if (octets.len == 0 || octets.len > KEY_OCTETS_MAX)
		rc = err_set(e, ERR_LIMIT, "a key has 1 to %d octets",
		    KEY_OCTETS_MAX);
	if (rc == 0) {
		k->len = octets.len;
		k->octets = (unsigned char *)buf_steal(&octets);
		card_key_name(k);
		if (k->id != said)
			rc = err_set(e, ERR_SYNTAX, "the id is not that of "
			    "the key");
	}
	buf_release(&octets);
	return rc == 0 ? check_known(k, e) : rc;
}

static int
parse_key(struct slice rest, bool ends, struct card_key *k, struct err *e)
{
	struct slice suite, id, end, text;
	uint64_t not_after = 0;
	int rc;

	if (!slice_word(&rest, &suite) || !slice_word(&rest, &id) ||
	    (ends && !slice_word(&rest, &end)) || !slice_word(&rest, &text) ||
	    rest.len > 0)
		return err_set(e, ERR_SYNTAX, "write %s", ends ?
		    "SUITE ID NOT-AFTER KEY" : "SUITE ID KEY");
	rc = check_suite(suite, e);
	if (rc == 0 && ends)
		rc = parse_number(end, NOT_AFTER_MAX, "the end of a key",
		    &not_after, e);
	if (rc != 0)
		return rc;
	k->suite = slice_dup(suite);
	k->not_after_secs = (int64_t)not_after;
	return parse_key_octets(id, text, k, e);
}

static int
read_identity(struct card *c, struct slice rest, struct err *e)
{
	int rc = parse_key(rest, false, &c->identity, e);

	if (rc == 0 && strcmp(c->identity.suite, KEY_SUITE_ED25519) != 0)
		rc = err_set(e, ERR_UNSUPPORTED, "identities are of the suite "
		    KEY_SUITE_ED25519 " in this version");
	return rc;
}

static int
read_auth(struct card *c, struct slice rest, struct err *e)
{
	int rc = parse_key(rest, false, &c->auth, e);

	if (rc == 0 && strcmp(c->auth.suite, KEY_SUITE_X25519) != 0)
		rc = err_set(e, ERR_UNSUPPORTED, "auth keys are of the suite "
		    KEY_SUITE_X25519 " in this version");
	return rc;
}

static int
read_receive(struct card *c, struct slice rest, struct err *e)
{
	struct card_key *k = &c->receive[c->nreceive++];
	int rc = parse_key(rest, true, k, e);

	if (rc == 0 && strcmp(k->suite, KEY_SUITE_ED25519) == 0)
		rc = err_set(e, ERR_SYNTAX, "nothing can be sealed to a key "
		    "for signatures");
	for (size_t i = 0; rc == 0 && i + 1 < c->nreceive; i++)
		if (c->receive[i].id == k->id)
			rc = err_set(e, ERR_SYNTAX, "the key stands there "
			    "twice");
	return rc;
}

/*
 * The other lines.
 */
static int
read_site(struct card *c, struct slice rest, struct err *e)
{
	int rc = check_name(rest, "the name of a site", e);

	if (rc == 0)
		c->site = slice_dup(rest);
	return rc;
}

static int
read_counter(struct card *c, struct slice rest, struct err *e)
{
	return parse_number(rest, COUNTER_MAX, "the counter", &c->counter, e);
}

static int
read_domain(struct card *c, struct slice rest, struct err *e)
{
	char *domain;
	int rc;

	if (rest.len > 0 && rest.ptr[0] == '[')
		return err_set(e, ERR_SYNTAX, "an address in brackets is no "
		    "domain that a site could own");
	rc = address_check_domain(rest, true, e);
	if (rc != 0)
		return rc;
	domain = slice_dup(rest);
	card_add_domain(c, domain);
	free(domain);
	return 0;
}

static int
read_reach(struct card *c, struct slice rest, struct err *e)
{
	char *text = slice_dup(rest);
	int rc = card_add_reach(c, text, e);

	free(text);
	return rc;
}

static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = ascii_tolower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int
parse_value(struct slice text, struct buf *out, struct err *e)
{
	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];

		if (c == '%') {
			int high = i + 2 < text.len ?
			    hex_value(text.ptr[i + 1]) : -1;
			int low = high >= 0 ? hex_value(text.ptr[i + 2]) : -1;

			if (low < 0 || high * 16 + low == 0)
				return err_set(e, ERR_SYNTAX, "a %% is "
				    "followed by two hexadecimal digits, not "
				    "00");
			c = (char)(high * 16 + low);
			i += 2;
		}
		buf_addc(out, c);
	}
	if (out->len > CARD_VALUE_MAX)
		return err_set(e, ERR_LIMIT, "a value has up to %d octets",
		    CARD_VALUE_MAX);
	return 0;
}

static int
add_setting(struct card_reach *r, struct slice word, struct err *e)
{
	const char *equals = memchr(word.ptr, '=', word.len);
	struct slice key = word, value = word;
	struct card_setting *s;
	struct buf octets = BUF_INIT;
	size_t at;
	int rc;

	if (equals == NULL)
		return err_set(e, ERR_SYNTAX, "write KEY=VALUE");
	key.len = (size_t)(equals - word.ptr);
	value.ptr = equals + 1;
	value.len = word.len - key.len - 1;
	rc = check_name(key, "a key of a setting", e);
	if (rc == 0 && r->nsettings == CARD_SETTINGS_MAX)
		rc = err_set(e, ERR_LIMIT, "up to %d settings",
		    CARD_SETTINGS_MAX);
	if (rc == 0)
		rc = parse_value(value, &octets, e);
	for (at = 0; rc == 0 && at < r->nsettings; at++) {
		size_t n = strlen(r->setting[at].key);
		int order = memcmp(r->setting[at].key, key.ptr,
		    n < key.len ? n : key.len);

		if (order == 0 && n == key.len)
			rc = err_set(e, ERR_SYNTAX, "%.*s is set twice",
			    (int)key.len, key.ptr);
		if (order > 0 || (order == 0 && n > key.len))
			break;
	}
	if (rc == 0) {
		r->setting = mem_realloc(r->setting, r->nsettings + 1,
		    sizeof(*s));
		s = r->setting + at;
		memmove(s + 1, s, (r->nsettings++ - at) * sizeof(*s));
		*s = (struct card_setting){ slice_dup(key),
		    mem_strdup(buf_cstr(&octets)) };
	}
	buf_release(&octets);
	return rc;
}

int
card_add_reach(struct card *c, const char *text, struct err *e)
{
	struct slice rest = slice_trim(slice_of(text)), word = SLICE_LIT("");
	struct card_reach *r;
	int rc;

	if (c->nreaches == CARD_REACHES_MAX)
		return err_set(e, ERR_LIMIT, "up to %d ways to reach a site",
		    CARD_REACHES_MAX);
	(void)slice_word(&rest, &word);
	rc = check_name(word, "the name of a transport", e);
	if (rc != 0)
		return rc;
	c->reach = mem_realloc(c->reach, c->nreaches + 1, sizeof(*r));
	r = &c->reach[c->nreaches++];
	*r = (struct card_reach){ .transport = slice_dup(word) };
	while (rc == 0 && slice_word(&rest, &word))
		if (word.len > 0)
			rc = add_setting(r, word, e);
	return rc;
}

/*
 * The card.
 */
static int
read_first(struct card *c, struct slice rest, struct err *e)
{
	uint64_t version;

	(void)c;
	if (slice_eqs(rest, "1"))
		return 0;
	if (num_parse(rest, UINT32_MAX, &version) == 0)
		return err_set(e, ERR_UNSUPPORTED, "this is version %u of the "
		    "format; here version 1 is known", (unsigned)version);
	return err_set(e, ERR_SYNTAX, "this is no card");
}

static const struct line_kind {
	const char *word;
	size_t min, max;
	int (*read)(struct card *c, struct slice rest, struct err *e);
} kinds[] = {
	{ "postrider-card", 1, 1, read_first },
	{ "site", 1, 1, read_site },
	{ "counter", 1, 1, read_counter },
	{ "identity", 1, 1, read_identity },
	{ "auth", 1, 1, read_auth },
	{ "receive", 1, CARD_RECEIVE_MAX, read_receive },
	{ "domain", 0, CARD_DOMAINS_MAX, read_domain },
	{ "reach", 0, CARD_REACHES_MAX, read_reach },
};

struct card_reader {
	struct slice rest;
	unsigned line;		/* of rest's first octet */
};

/* Whether the next line begins with this word and a blank; then its rest,
 * without the line's end. */
static bool
take_line(struct card_reader *r, const char *word, struct slice *rest_out)
{
	size_t len = strlen(word);
	const char *end;

	if (r->rest.len <= len || memcmp(r->rest.ptr, word, len) != 0 ||
	    r->rest.ptr[len] != ' ')
		return false;
	end = memchr(r->rest.ptr, '\n', r->rest.len);
	if (end == NULL)
		return false;
	rest_out->ptr = r->rest.ptr + len + 1;
	rest_out->len = (size_t)(end - rest_out->ptr);
	r->rest.len -= (size_t)(end + 1 - r->rest.ptr);
	r->rest.ptr = end + 1;
	r->line++;
	return true;
}

static int
missing(const struct card_reader *r, const char *word, struct err *e)
{
	if (r->rest.len == 0 ||
	    memchr(r->rest.ptr, '\n', r->rest.len) == NULL)
		return err_set(e, ERR_SYNTAX, "line %u: the card ends here: "
		    "it is cut off", r->line);
	return err_set(e, ERR_SYNTAX, "line %u: a line \"%s ...\" is expected",
	    r->line, word);
}

static int
read_lines(struct card_reader *r, struct card *c, struct err *e)
{
	struct slice rest;
	int rc;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		size_t n = 0;

		while (n < kinds[i].max && take_line(r, kinds[i].word,
		    &rest)) {
			rc = kinds[i].read(c, rest, e);
			if (rc != 0) {
				err_prefix(e, "line %u", r->line - 1);
				return rc;
			}
			n++;
		}
		if (n < kinds[i].min)
			return missing(r, kinds[i].word, e);
	}
	return 0;
}

static int
read_signature(struct card_reader *r,
    unsigned char signature_out[ED25519_SIGNATURE_LEN], struct err *e)
{
	struct buf octets = BUF_INIT;
	struct slice text;
	int rc = 0;

	if (!take_line(r, "signature", &text))
		return missing(r, "signature", e);
	if (r->rest.len > 0)
		rc = err_set(e, ERR_SYNTAX, "line %u: there is more behind "
		    "the signature", r->line);
	else if (base64url_decode(&octets, text) != 0 ||
	    octets.len != ED25519_SIGNATURE_LEN)
		rc = err_set(e, ERR_SYNTAX, "line %u: a signature is %d "
		    "octets in base64url, without padding", r->line - 1,
		    ED25519_SIGNATURE_LEN);
	else
		memcpy(signature_out, octets.ptr, ED25519_SIGNATURE_LEN);
	buf_release(&octets);
	return rc;
}

/* Names the first line that is not as it would be written. */
static int
check_canonical(struct card *c, struct slice body, struct err *e)
{
	struct buf again = BUF_INIT;
	unsigned line = 1;
	size_t i = 0;
	int rc = 0;

	card_body(c, &again);
	for (; i < body.len && i < again.len && body.ptr[i] == again.ptr[i];
	    i++)
		line += body.ptr[i] == '\n';
	if (i < body.len || i < again.len)
		rc = err_set(e, ERR_SYNTAX, "line %u: it is out of order, "
		    "repeated or not written in the one way there is "
		    "(postrider-card(5))", line);
	buf_release(&again);
	return rc;
}

/* Lines of printable text; what needs more is refused where it stands. */
static int
check_octets(struct slice text, struct err *e)
{
	unsigned line = 1;

	if (text.len > CARD_MAX)
		return err_set(e, ERR_LIMIT, "a card has up to %d octets",
		    CARD_MAX);
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.ptr[i];

		if (c == '\n')
			line++;
		else if (c < 0x20 || c == 0x7f)
			return err_set(e, ERR_SYNTAX, "line %u: an octet %02x "
			    "(lines end with LF alone)", line, c);
	}
	return 0;
}

static int
parse(struct slice text, struct card *c, struct err *e)
{
	unsigned char signature[ED25519_SIGNATURE_LEN];
	struct card_reader r = { text, 1 };
	struct slice body = text;
	int rc = check_octets(text, e);

	if (rc == 0)
		rc = read_lines(&r, c, e);
	body.len = (size_t)(r.rest.ptr - text.ptr);
	if (rc == 0)
		rc = read_signature(&r, signature, e);
	if (rc == 0)
		rc = check_canonical(c, body, e);
	if (rc == 0 && ed25519_verify(c->identity.octets, body,
	    signature) != 0)
		rc = err_set(e, ERR_CORRUPT, "the signature does not fit: the "
		    "card was changed after it was signed");
	return rc;
}

int
card_parse(struct slice text, struct card *c_out, struct err *e)
{
	int rc;

	card_init(c_out);
	rc = parse(text, c_out, e);
	if (rc != 0)
		card_release(c_out);
	return rc;
}
