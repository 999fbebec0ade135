/* SPDX-License-Identifier: ISC */
/*
 * Mails that were sent and may be returned.  They stand in the table of flows,
 * which is what becomes of what leaves, and is small.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "spool/kept.h"

void
sent_mail_init(struct sent_mail *s)
{
	*s = (struct sent_mail){ 0 };
}

void
sent_mail_release(struct sent_mail *s)
{
	free(s->name);
	free(s->road);
	buf_release(&s->what);
	sent_mail_init(s);
}

static void
sent_mail_key(struct buf *out, const void *v)
{
	const struct sent_mail *s = v;

	kept_key(out, &kept_sent_mail, s->name);
	buf_put64(out, s->part);
}

static void
sent_mail_key_read(struct reader *r, void *v_out)
{
	struct sent_mail *s = v_out;

	(void)read8(r);
	s->name = kept_read_name(r);
	s->part = read64(r);
}

static void
sent_mail_put(struct buf *out, const void *v)
{
	const struct sent_mail *s = v;

	buf_put_text(out, s->road);
	buf_put64(out, s->secs);
	buf_put_bytes(out, s->what.ptr, s->what.len);
}

static void
sent_mail_read(struct reader *r, void *v_out)
{
	struct sent_mail *s = v_out;

	s->road = read_text(r);
	s->secs = read64(r);
	buf_addslice(&s->what, read_bytes(r));
}

static void
sent_mail_drop(void *v)
{
	sent_mail_release(v);
}

const struct kept kept_sent_mail = { STORE_FLOW, "mail sent", 's', false, 8,
	sent_mail_key, sent_mail_key_read, sent_mail_put, sent_mail_read,
	sent_mail_drop };

int
spool_first_sent_mail(struct spool *sp, const char *name,
    struct sent_mail *s_out, struct err *e)
{
	struct buf at = BUF_INIT;
	int rc;

	sent_mail_init(s_out);
	buf_clear(&sp->key);
	kept_key(&sp->key, &kept_sent_mail, name);
	rc = kept_next(sp, &kept_sent_mail, &at, s_out, e);
	buf_release(&at);
	return rc;
}

int
spool_put_sent_mail(struct spool_unit *u, const struct sent_mail *s,
    struct err *e)
{
	return kept_put(u, &kept_sent_mail, s, e);
}

int
spool_del_sent_mail(struct spool_unit *u, const char *name, uint64_t part,
    struct err *e)
{
	buf_clear(&u->sp->key);
	kept_key(&u->sp->key, &kept_sent_mail, name);
	buf_put64(&u->sp->key, part);
	return kept_del(u, &kept_sent_mail, e);
}

static bool
sent_mail_is_old(struct slice key, struct slice value, uint64_t secs)
{
	struct sent_mail s;
	bool old;

	if (kept_of(STORE_FLOW, key) != &kept_sent_mail)
		return false;
	sent_mail_init(&s);
	old = kept_decode(&kept_sent_mail, key, value, &s, NULL) == 0 &&
	    s.secs < secs;
	sent_mail_release(&s);
	return old;
}

int
spool_expire_sent_mail(struct spool *sp, uint64_t before_secs, struct err *e)
{
	return kept_expire(sp, STORE_FLOW, sent_mail_is_old, before_secs, e);
}
