/* SPDX-License-Identifier: ISC */
/*
 * Envelopes as text that a person can read and change.  Lines about a
 * recipient follow its own line; what stands at its usual value is left out.
 */
#include "spool/envfile.h"

#include "base/log.h"
#include "base/text.h"
#include "spool/envfile_names.h"

static void
put_escaped(struct buf *out, const char *text)
{
	for (; *text != '\0'; text++) {
		unsigned char c = (unsigned char)*text;

		if (c < 32 || c == 127 || c == '\\')
			buf_addf(out, "\\x%02x", c);
		else
			buf_addc(out, *text);
	}
}

/* NULL: no line. */
static void
put_line(struct buf *out, const char *key, const char *value)
{
	if (value == NULL)
		return;
	buf_addf(out, "%s:", key);
	if (value[0] != '\0')
		buf_addc(out, ' ');
	put_escaped(out, value);
	buf_addc(out, '\n');
}

static void
put_name(struct buf *out, const char *key, const char *name)
{
	if (name[0] != '\0')
		put_line(out, key, name);
}

static void
put_number(struct buf *out, const char *key, uint64_t n)
{
	put_line(out, key, num_str(n).s);
}

/* The wall clock may stand before 1970. */
static void
put_wall(struct buf *out, const char *key, int64_t ms)
{
	buf_addf(out, "%s: %lld\n", key, (long long)ms);
}

static uint64_t
distance(uint64_t from, uint64_t to)
{
	return to > from ? to - from : 0;
}

static void
put_timing(struct buf *out, const struct smtp_timing *t)
{
	if (t->priority_given)
		buf_addf(out, "priority: %d\n", t->priority);
	if (t->by != SMTP_BY_NONE)
		buf_addf(out, "by: %lld;%c%s\n", (long long)t->by_secs,
		    t->by == SMTP_BY_RETURN ? 'R' : 'N',
		    t->by_trace ? "T" : "");
	if (t->hold == SMTP_HOLD_FOR)
		put_number(out, "hold-for", t->hold_value);
	if (t->hold != SMTP_HOLD_UNTIL)
		return;
	buf_adds(out, "hold-until: ");
	smtp_date_write(out, (int64_t)t->hold_value);
	buf_addc(out, '\n');
}

static void
put_recipient(struct buf *out, const struct recipient *r,
    const struct recipient_state *rs, uint64_t now_secs)
{
	put_line(out, "recipient", r->address);
	put_line(out, "notify", r->notify);
	put_line(out, "orcpt", r->orcpt);
	if (rs->status != RCPT_QUEUED)
		put_line(out, "status", status_names[rs->status]);
	if (rs->attempts != 0)
		put_number(out, "attempts", rs->attempts);
	if (rs->next_secs != 0)
		put_number(out, "next-in", distance(now_secs, rs->next_secs));
	if (rs->delay_told)
		put_line(out, "delay-told", "yes");
	if (rs->unsure)
		put_line(out, "unsure", "yes");
	put_name(out, "status-code", rs->status_code);
	put_line(out, "text", rs->text);
	if (rs->attempt_ms != 0)
		put_wall(out, "attempt-ms", rs->attempt_ms);
}

void
envfile_put(struct buf *out, const struct message *m,
    const struct message_state *st, uint64_t now_secs)
{
	const struct envelope *env = &m->env;

	put_line(out, "postrider-envelope", "1");
	put_line(out, "id", message_name(m->id).s);
	put_line(out, "kind", kind_names[m->kind]);
	put_line(out, "source", m->source);
	put_line(out, "peer", m->peer);
	put_number(out, "hops", m->hops);
	put_wall(out, "accepted-ms", m->accepted_wall_ms);
	put_number(out, "age", distance(m->accepted_secs, now_secs));
	if (m->was_epoch != 0)
		buf_addf(out, "origin: %016llx/%llu\n",
		    (unsigned long long)m->was_epoch,
		    (unsigned long long)m->was_number);
	put_line(out, "helo", env->helo);
	put_line(out, "sender", env->sender);
	put_line(out, "envid", env->envid);
	put_name(out, "ret", ret_names[env->ret]);
	put_name(out, "body", body_names[env->body]);
	if (env->smtputf8)
		put_line(out, "smtputf8", "yes");
	if (env->size_given)
		put_number(out, "size", env->size);
	put_timing(out, &env->timing);
	for (size_t i = 0; i < env->nrcpt; i++)
		put_recipient(out, &env->rcpt[i], &st->rcpt[i], now_secs);
}

void
wayfile_put(struct buf *out, const struct bundle *b, uint64_t now_secs)
{
	put_line(out, "postrider-bundle", "1");
	put_line(out, "id", message_name(b->id).s);
	buf_adds(out, "name: ");
	hex_encode(out, b->name, sizeof(b->name));
	buf_adds(out, "\nrole: ");
	buf_adds(out, role_names[b->role]);
	buf_addc(out, '\n');
	if (b->direct)
		put_line(out, "direct", "yes");
	put_line(out, "from", b->from);
	put_line(out, "destination", b->destination);
	buf_addf(out, "priority: %d\n", b->priority);
	put_number(out, "hops", b->hops);
	put_number(out, "octets", b->octets);
	put_number(out, "age", distance(b->born_secs, now_secs));
	put_number(out, "expires-in", distance(now_secs, b->expire_secs));
}

void
whyfile_put(struct buf *out, const struct broken *b, uint64_t now_secs)
{
	put_line(out, "postrider-broken", "1");
	put_line(out, "id", message_name(b->id).s);
	put_line(out, "peer", b->peer);
	put_line(out, "name", b->name);
	put_line(out, "reason", b->reason);
	put_wall(out, "received-ms", b->wall_ms);
	put_number(out, "age", distance(b->secs, now_secs));
}
