/* SPDX-License-Identifier: ISC */
/*
 * Flows and their serials in both directions.
 */
#include <stdlib.h>

#include "spool/kept.h"

#define DROP_STEP 256		/* serials deleted in one call */

/* The beginning of the keys of a flow in sp->key; name NULL: of all. */
static void
seek_flow(struct spool *sp, const struct kept *k, const char *name,
    uint64_t epoch)
{
	buf_clear(&sp->key);
	kept_key(&sp->key, k, name);
	if (name != NULL)
		buf_put64(&sp->key, epoch);
}

static void
seek_serial(struct spool *sp, const struct kept *k, const char *name,
    uint64_t epoch, uint64_t serial)
{
	seek_flow(sp, k, name, epoch);
	buf_put64(&sp->key, serial);
}

int
spool_get_serial_out(struct spool *sp, const char *site, uint64_t epoch,
    uint64_t serial, struct serial_out *s_out, struct err *e)
{
	serial_out_init(s_out);
	seek_serial(sp, &kept_serial_out, site, epoch, serial);
	return kept_get(sp, &kept_serial_out, s_out, e);
}

int
spool_next_serial_out(struct spool *sp, const char *site, uint64_t epoch,
    struct buf *at_io, struct serial_out *s_out, struct err *e)
{
	serial_out_init(s_out);
	seek_flow(sp, &kept_serial_out, site, epoch);
	return kept_next(sp, &kept_serial_out, at_io, s_out, e);
}

int
spool_put_serial_out(struct spool_unit *u, const struct serial_out *s,
    struct err *e)
{
	return kept_put(u, &kept_serial_out, s, e);
}

int
spool_del_serial_out(struct spool_unit *u, const char *site, uint64_t epoch,
    uint64_t serial, struct err *e)
{
	seek_serial(u->sp, &kept_serial_out, site, epoch, serial);
	return kept_del(u, &kept_serial_out, e);
}

int
spool_get_flow_out(struct spool *sp, const char *site, uint64_t epoch,
    struct flow_out *f_out, struct err *e)
{
	flow_out_init(f_out);
	seek_flow(sp, &kept_flow_out, site, epoch);
	return kept_get(sp, &kept_flow_out, f_out, e);
}

int
spool_next_flow_out(struct spool *sp, struct buf *at_io,
    struct flow_out *f_out, struct err *e)
{
	flow_out_init(f_out);
	seek_flow(sp, &kept_flow_out, NULL, 0);
	return kept_next(sp, &kept_flow_out, at_io, f_out, e);
}

int
spool_put_flow_out(struct spool_unit *u, const struct flow_out *f,
    struct err *e)
{
	return kept_put(u, &kept_flow_out, f, e);
}

int
spool_del_flow_out(struct spool_unit *u, const char *site, uint64_t epoch,
    struct err *e)
{
	seek_flow(u->sp, &kept_flow_out, site, epoch);
	return kept_del(u, &kept_flow_out, e);
}

int
spool_get_flow_in(struct spool *sp, const char *origin, uint64_t epoch,
    struct flow_in *f_out, struct err *e)
{
	flow_in_init(f_out);
	seek_flow(sp, &kept_flow_in, origin, epoch);
	return kept_get(sp, &kept_flow_in, f_out, e);
}

int
spool_next_flow_in(struct spool *sp, struct buf *at_io,
    struct flow_in *f_out, struct err *e)
{
	flow_in_init(f_out);
	seek_flow(sp, &kept_flow_in, NULL, 0);
	return kept_next(sp, &kept_flow_in, at_io, f_out, e);
}

int
spool_put_flow_in(struct spool_unit *u, const struct flow_in *f,
    struct err *e)
{
	return kept_put(u, &kept_flow_in, f, e);
}

int
spool_del_flow_in(struct spool_unit *u, const char *origin, uint64_t epoch,
    struct err *e)
{
	seek_flow(u->sp, &kept_flow_in, origin, epoch);
	return kept_del(u, &kept_flow_in, e);
}

int
spool_get_serial_in(struct spool *sp, const char *origin, uint64_t epoch,
    uint64_t serial, struct serial_in *s_out, struct err *e)
{
	serial_in_init(s_out);
	seek_serial(sp, &kept_serial_in, origin, epoch, serial);
	return kept_get(sp, &kept_serial_in, s_out, e);
}

int
spool_next_serial_in(struct spool *sp, const char *origin, uint64_t epoch,
    struct buf *at_io, struct serial_in *s_out, struct err *e)
{
	serial_in_init(s_out);
	seek_flow(sp, &kept_serial_in, origin, epoch);
	return kept_next(sp, &kept_serial_in, at_io, s_out, e);
}

int
spool_put_serial_in(struct spool_unit *u, const struct serial_in *s,
    struct err *e)
{
	return kept_put(u, &kept_serial_in, s, e);
}

int
spool_del_serial_in(struct spool_unit *u, const char *origin, uint64_t epoch,
    uint64_t serial, struct err *e)
{
	seek_serial(u->sp, &kept_serial_in, origin, epoch, serial);
	return kept_del(u, &kept_serial_in, e);
}

/* Damaged ones go too: the floor has passed them.  What is deleted is logged
 * as what is put is. */
int
spool_drop_serials_in(struct spool_unit *u, const char *origin,
    uint64_t epoch, uint64_t floor, struct err *e)
{
	struct spool *sp = u->sp;
	struct buf at = BUF_INIT, end = BUF_INIT;
	int rc = 0, n = 0;

	seek_serial(sp, &kept_serial_in, origin, epoch, floor);
	buf_addslice(&end, buf_slice(&sp->key));
	seek_flow(sp, &kept_serial_in, origin, epoch);
	buf_addslice(&at, buf_slice(&sp->key));
	while (n < DROP_STEP && u->octets < SPOOL_UNIT_MAX) {
		rc = store_next(sp->store, STORE_SERIAL_IN, true, &at, 0,
		    &sp->value, e);
		if (rc < 0 || at.len != end.len ||
		    memcmp(at.ptr, end.ptr, end.len) >= 0)
			break;
		rc = store_del(sp->store, STORE_SERIAL_IN, buf_slice(&at), e);
		if (rc < 0)
			break;
		u->octets += at.len + sp->value.len;
		n++;
	}
	if (rc == 0 && (n == DROP_STEP || u->octets >= SPOOL_UNIT_MAX))
		rc = 1;
	buf_release(&at);
	buf_release(&end);
	return rc == ERR_NOT_FOUND ? 0 : rc;
}
