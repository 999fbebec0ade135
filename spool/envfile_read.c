/* SPDX-License-Identifier: ISC */
/*
 * The way back from text.  A line that is not understood is an error that
 * names it: an envelope that was changed by hand must mean what it says.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "base/text.h"
#include "spool/envfile.h"
#include "spool/envfile_names.h"

#define RECIPIENTS_MAX 65535	/* an object's part has 16 bits for them */

struct parse {
	struct message *m;
	struct message_state *st;
	struct broken *b;
	struct bundle *bundle;
	uint64_t now_secs;
	struct recipient *r;		/* the present one, or NULL */
	struct recipient_state *rs;
	const char *value;
};

static int
hex_digit(char c)
{
	const char *d = strchr("0123456789abcdef", c);

	return c == '\0' || d == NULL ? -1 :
	    (int)(d - "0123456789abcdef");
}

/* NULL if malformed, or if a NUL is meant, which no text can hold. */
static char *
unescape(struct slice s)
{
	struct buf b = BUF_INIT;
	bool good = true;

	for (size_t i = 0; i < s.len && good; i++) {
		int high, low;

		if (s.ptr[i] != '\\') {
			good = s.ptr[i] != '\0';
			buf_addc(&b, s.ptr[i]);
			continue;
		}
		if (s.len - i < 4 || s.ptr[i + 1] != 'x' ||
		    (high = hex_digit(s.ptr[i + 2])) < 0 ||
		    (low = hex_digit(s.ptr[i + 3])) < 0 ||
		    high + low == 0) {
			good = false;
			continue;
		}
		buf_addc(&b, (char)(high << 4 | low));
		i += 3;
	}
	if (!good) {
		buf_release(&b);
		return NULL;
	}
	return buf_steal(&b);
}

static int
get_text(const char *value, char **to)
{
	if (*to != NULL)
		return -1;
	*to = mem_strdup(value);
	return 0;
}

static int
get_name(const char *value, const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(value, names[i]) == 0)
			return (int)i;
	return -1;
}

static int
get_number(const char *value, uint64_t max, uint64_t *to)
{
	return num_parse(slice_of(value), max, to);
}

static int
get_wall(const char *value, int64_t *to)
{
	bool minus = value[0] == '-';
	uint64_t n;

	if (get_number(value + minus, INT64_MAX, &n) < 0)
		return -1;
	*to = minus ? -(int64_t)n : (int64_t)n;
	return 0;
}

static int
get_past(const struct parse *p, uint64_t *to)
{
	uint64_t age;

	if (get_number(p->value, UINT64_MAX, &age) < 0)
		return -1;
	*to = p->now_secs > age ? p->now_secs - age : 0;
	return 0;
}

static int
on_nothing(struct parse *p)
{
	(void)p;
	return 0;
}

static int
on_version(struct parse *p)
{
	return strcmp(p->value, "1") == 0 ? 0 : -1;
}

#define TEXT_OF(fn, field) \
	static int fn(struct parse *p) \
	{ return get_text(p->value, &p->field); }

TEXT_OF(on_source, m->source)
TEXT_OF(on_peer, m->peer)
TEXT_OF(on_helo, m->env.helo)
TEXT_OF(on_sender, m->env.sender)
TEXT_OF(on_envid, m->env.envid)
TEXT_OF(on_notify, r->notify)
TEXT_OF(on_orcpt, r->orcpt)
TEXT_OF(on_text, rs->text)
TEXT_OF(on_broken_peer, b->peer)
TEXT_OF(on_broken_name, b->name)
TEXT_OF(on_broken_reason, b->reason)
TEXT_OF(on_bundle_from, bundle->from)
TEXT_OF(on_bundle_destination, bundle->destination)

#define NAME_OF(fn, field, type, names) \
	static int fn(struct parse *p) \
	{ \
		int i = get_name(p->value, names, COUNT(names)); \
		if (i >= 0) \
			p->field = (type)i; \
		return i < 0 ? -1 : 0; \
	}

NAME_OF(on_kind, m->kind, enum message_kind, kind_names)
NAME_OF(on_ret, m->env.ret, enum smtp_ret, ret_names)
NAME_OF(on_body, m->env.body, enum smtp_body, body_names)
NAME_OF(on_status, rs->status, enum recipient_status, status_names)

NAME_OF(on_bundle_role, bundle->role, enum bundle_role, role_names)

static int
on_hops(struct parse *p)
{
	uint64_t n;

	if (get_number(p->value, UINT32_MAX, &n) < 0)
		return -1;
	p->m->hops = (unsigned)n;
	return 0;
}

static int
on_accepted(struct parse *p)
{
	return get_wall(p->value, &p->m->accepted_wall_ms);
}

static int
on_age(struct parse *p)
{
	return get_past(p, &p->m->accepted_secs);
}

static int
on_smtputf8(struct parse *p)
{
	p->m->env.smtputf8 = true;
	return strcmp(p->value, "yes") == 0 ? 0 : -1;
}

static int
on_size(struct parse *p)
{
	p->m->env.size_given = true;
	return get_number(p->value, UINT64_MAX, &p->m->env.size);
}

#define TIMING_OF(fn, parse_value) \
	static int fn(struct parse *p) \
	{ \
		return parse_value(&p->m->env.timing, slice_of(p->value)); \
	}

TIMING_OF(on_priority, smtp_timing_priority)
TIMING_OF(on_by, smtp_timing_by)
TIMING_OF(on_hold_for, smtp_timing_hold_for)
TIMING_OF(on_hold_until, smtp_timing_hold_until)

static int
on_recipient(struct parse *p)
{
	struct message_state *st = p->st;

	if (p->value[0] == '\0' || st->n == RECIPIENTS_MAX)
		return -1;
	p->r = envelope_add_recipient(&p->m->env, p->value, NULL, NULL);
	st->rcpt = mem_realloc(st->rcpt, st->n + 1, sizeof(*st->rcpt));
	p->rs = &st->rcpt[st->n++];
	*p->rs = (struct recipient_state){ 0 };
	return 0;
}

static int
on_attempts(struct parse *p)
{
	uint64_t n;

	if (get_number(p->value, UINT32_MAX, &n) < 0)
		return -1;
	p->rs->attempts = (unsigned)n;
	return 0;
}

static int
on_attempt(struct parse *p)
{
	return get_wall(p->value, &p->rs->attempt_ms);
}

static int
on_next(struct parse *p)
{
	uint64_t n;

	if (get_number(p->value, UINT32_MAX, &n) < 0)
		return -1;
	p->rs->next_secs = p->now_secs + n;
	return 0;
}

static int
on_delay_told(struct parse *p)
{
	p->rs->delay_told = true;
	return strcmp(p->value, "yes") == 0 ? 0 : -1;
}

static int
on_unsure(struct parse *p)
{
	p->rs->unsure = true;
	return strcmp(p->value, "yes") == 0 ? 0 : -1;
}

static int
on_status_code(struct parse *p)
{
	size_t len = strlen(p->value);

	if (len >= sizeof(p->rs->status_code))
		return -1;
	memcpy(p->rs->status_code, p->value, len + 1);
	return 0;
}

static int
on_received(struct parse *p)
{
	return get_wall(p->value, &p->b->wall_ms);
}

static int
on_broken_age(struct parse *p)
{
	return get_past(p, &p->b->secs);
}

/* A digit for each half octet, no more and no less. */
static int
get_hex(struct slice s, unsigned char *out, size_t len)
{
	if (s.len != 2 * len)
		return -1;
	for (size_t i = 0; i < len; i++) {
		int high = hex_digit(s.ptr[2 * i]);
		int low = hex_digit(s.ptr[2 * i + 1]);

		if (high < 0 || low < 0)
			return -1;
		out[i] = (unsigned char)(high << 4 | low);
	}
	return 0;
}

static int
on_origin(struct parse *p)
{
	struct slice value = slice_of(p->value);
	unsigned char epoch[8];
	struct reader r = reader_of(epoch, sizeof(epoch));

	if (value.len < 17 || value.ptr[16] != '/' ||
	    get_hex((struct slice){ value.ptr, 16 }, epoch, 8) < 0)
		return -1;
	p->m->was_epoch = read64(&r);
	return get_number(p->value + 17, UINT64_MAX, &p->m->was_number);
}

static int
on_bundle_name(struct parse *p)
{
	return get_hex(slice_of(p->value), p->bundle->name,
	    sizeof(p->bundle->name));
}

static int
on_bundle_direct(struct parse *p)
{
	p->bundle->direct = true;
	return strcmp(p->value, "yes") == 0 ? 0 : -1;
}

static int
on_bundle_priority(struct parse *p)
{
	bool minus = p->value[0] == '-';
	uint64_t n;

	if (get_number(p->value + minus, INT32_MAX, &n) < 0)
		return -1;
	p->bundle->priority = minus ? -(int)n : (int)n;
	return 0;
}

static int
on_bundle_hops(struct parse *p)
{
	uint64_t n;

	if (get_number(p->value, UINT32_MAX, &n) < 0)
		return -1;
	p->bundle->hops = (unsigned)n;
	return 0;
}

static int
on_bundle_octets(struct parse *p)
{
	return get_number(p->value, UINT64_MAX, &p->bundle->octets);
}

static int
on_bundle_age(struct parse *p)
{
	return get_past(p, &p->bundle->born_secs);
}

static int
on_bundle_expires(struct parse *p)
{
	uint64_t n;

	if (get_number(p->value, UINT64_MAX, &n) < 0)
		return -1;
	p->bundle->expire_secs = n < UINT64_MAX - p->now_secs ?
	    p->now_secs + n : UINT64_MAX;
	return 0;
}

struct key {
	const char *word;
	int (*fn)(struct parse *p);
	bool of_recipient;
};

static const struct key envelope_keys[] = {
	{ "postrider-envelope", on_version, false },
	{ "id", on_nothing, false },
	{ "kind", on_kind, false },
	{ "source", on_source, false },
	{ "peer", on_peer, false },
	{ "hops", on_hops, false },
	{ "accepted-ms", on_accepted, false },
	{ "age", on_age, false },
	{ "origin", on_origin, false },
	{ "helo", on_helo, false },
	{ "sender", on_sender, false },
	{ "envid", on_envid, false },
	{ "ret", on_ret, false },
	{ "body", on_body, false },
	{ "smtputf8", on_smtputf8, false },
	{ "size", on_size, false },
	{ "priority", on_priority, false },
	{ "by", on_by, false },
	{ "hold-for", on_hold_for, false },
	{ "hold-until", on_hold_until, false },
	{ "recipient", on_recipient, false },
	{ "notify", on_notify, true },
	{ "orcpt", on_orcpt, true },
	{ "status", on_status, true },
	{ "attempts", on_attempts, true },
	{ "next-in", on_next, true },
	{ "delay-told", on_delay_told, true },
	{ "unsure", on_unsure, true },
	{ "status-code", on_status_code, true },
	{ "text", on_text, true },
	{ "attempt-ms", on_attempt, true },
};

static const struct key broken_keys[] = {
	{ "postrider-broken", on_version, false },
	{ "id", on_nothing, false },
	{ "peer", on_broken_peer, false },
	{ "name", on_broken_name, false },
	{ "reason", on_broken_reason, false },
	{ "received-ms", on_received, false },
	{ "age", on_broken_age, false },
};

static const struct key bundle_keys[] = {
	{ "postrider-bundle", on_version, false },
	{ "id", on_nothing, false },
	{ "name", on_bundle_name, false },
	{ "role", on_bundle_role, false },
	{ "direct", on_bundle_direct, false },
	{ "from", on_bundle_from, false },
	{ "destination", on_bundle_destination, false },
	{ "priority", on_bundle_priority, false },
	{ "hops", on_bundle_hops, false },
	{ "octets", on_bundle_octets, false },
	{ "age", on_bundle_age, false },
	{ "expires-in", on_bundle_expires, false },
};

static int
parse_line(struct parse *p, const struct key *keys, size_t nkeys,
    struct slice line)
{
	const char *colon = memchr(line.ptr, ':', line.len);
	struct slice word, value;
	char *text;
	int rc = -1;

	if (colon == NULL)
		return -1;
	word = (struct slice){ line.ptr, (size_t)(colon - line.ptr) };
	value = (struct slice){ colon + 1, line.len - word.len - 1 };
	if (value.len > 0 && value.ptr[0] == ' ') {
		value.ptr++;
		value.len--;
	}
	text = unescape(value);
	for (size_t i = 0; text != NULL && i < nkeys; i++)
		if (slice_eqs(word, keys[i].word) &&
		    (!keys[i].of_recipient || p->r != NULL)) {
			p->value = text;
			rc = keys[i].fn(p);
			break;
		}
	free(text);
	return rc;
}

/* The first key of the table must come first: it names the format. */
static int
parse_lines(struct parse *p, const struct key *keys, size_t nkeys,
    struct slice text, struct err *e)
{
	struct buf shown = BUF_INIT;
	unsigned number = 0;
	int rc = 0;

	while (text.len > 0 && rc == 0) {
		const char *end = memchr(text.ptr, '\n', text.len);
		size_t len = end == NULL ? text.len : (size_t)(end - text.ptr);
		struct slice line = { text.ptr, len };

		text.ptr += len + (end != NULL);
		text.len -= len + (end != NULL);
		if (len > 0 && line.ptr[len - 1] == '\r')
			line.len--;
		if (++number > 1 && line.len == 0)
			continue;
		rc = parse_line(p, keys, number == 1 ? 1 : nkeys, line);
		if (rc < 0) {
			text_escape(&shown, line, 60, true);
			err_set(e, ERR_SYNTAX, "line %u: \"%s\"", number,
			    buf_cstr(&shown));
		}
	}
	buf_release(&shown);
	if (rc == 0 && number == 0)
		return err_set(e, ERR_SYNTAX, "line 1: the file is empty");
	return rc < 0 ? ERR_SYNTAX : 0;
}

int
envfile_get(struct slice text, uint64_t now_secs, struct message *m_out,
    struct message_state *st_out, struct err *e)
{
	struct parse p = { .m = m_out, .st = st_out, .now_secs = now_secs };
	int rc;

	m_out->accepted_secs = now_secs;
	rc = parse_lines(&p, envelope_keys, COUNT(envelope_keys), text, e);
	if (rc == 0 && m_out->env.nrcpt == 0)
		rc = err_set(e, ERR_SYNTAX, "there is no recipient");
	if (rc == 0 && m_out->env.sender == NULL)
		rc = err_set(e, ERR_SYNTAX, "there is no sender (an empty one "
		    "is written \"sender:\")");
	return rc;
}

int
wayfile_get(struct slice text, uint64_t now_secs, struct bundle *b_out,
    struct err *e)
{
	struct parse p = { .bundle = b_out, .now_secs = now_secs };
	int rc;

	b_out->born_secs = now_secs;
	rc = parse_lines(&p, bundle_keys, COUNT(bundle_keys), text, e);
	if (rc == 0 && (b_out->from == NULL || b_out->destination == NULL ||
	    b_out->octets == 0 || b_out->role == BUNDLE_ARRIVING))
		rc = err_set(e, ERR_SYNTAX, "it does not say from whom to "
		    "whom and how many octets");
	return rc;
}

int
whyfile_get(struct slice text, uint64_t now_secs, struct broken *b_out,
    struct err *e)
{
	struct parse p = { .b = b_out, .now_secs = now_secs };

	b_out->secs = now_secs;
	return parse_lines(&p, broken_keys, COUNT(broken_keys), text, e);
}
