/* SPDX-License-Identifier: ISC */
/*
 * Which dialect an object or a peer has, and the calls that go through the
 * table.  An object keeps the dialect that it was made in, whatever its peer's
 * configuration says later.
 */
#include "node/transit_private.h"

#include <stdlib.h>

const struct dialect *
dialect_of_peer(const struct conf_peer *peer)
{
	if (peer != NULL && peer->dialect == BUNDLE_NATIVE)
		return &parcel_dialect;
	return &batch_dialect;
}

const struct dialect *
dialect_of_object(const struct object *o)
{
	if (strncmp(o->params, PARCEL_WORD, sizeof(PARCEL_WORD) - 1) == 0)
		return &parcel_dialect;
	return &batch_dialect;
}

int
exchange_outbound_new(struct exchange *x, uint64_t object,
    struct outbound **ob_out, struct err *e)
{
	struct object o;
	int rc;

	object_init(&o);
	rc = spool_get_object(x->spool, object, &o, e);
	if (rc == 0)
		rc = dialect_of_object(&o)->outbound_new(x, &o, ob_out, e);
	if (rc != 0)
		object_release(&o);
	return rc;
}

int
exchange_outbound_read(struct outbound *ob, struct buf *out, struct err *e)
{
	return ob->dialect->outbound_read(ob, out, e);
}

void
exchange_outbound_free(struct outbound *ob)
{
	if (ob != NULL)
		ob->dialect->outbound_free(ob);
}

struct inbound *
exchange_inbound_new(struct exchange *x, const char *peer, const char *name,
    struct slice pickup)
{
	const struct dialect *dialect =
	    dialect_of_peer(conf_find_peer(x->conf, peer));
	struct inbound *in = dialect->inbound_new(x, pickup);

	in->dialect = dialect;
	in->x = x;
	in->peer = mem_strdup(peer);
	in->name = mem_strdup(name);
	return in;
}

int
exchange_inbound_add(struct inbound *in, const char *bytes, size_t len,
    struct err *e)
{
	return in->dialect->inbound_add(in, bytes, len, e);
}

void
exchange_inbound_refuse(struct inbound *in, const char *reason)
{
	if (in->reason == NULL)
		in->reason = mem_strdup(reason);
}

enum inbound_outcome
exchange_inbound_end(struct inbound *in)
{
	return in->dialect->inbound_end(in);
}

void
exchange_inbound_free(struct inbound *in)
{
	if (in == NULL)
		return;
	free(in->reason);
	free(in->peer);
	free(in->name);
	in->dialect->inbound_free(in);
}

const char *
exchange_inbound_reason(const struct inbound *in)
{
	return in->reason != NULL ? in->reason : "";
}

uint64_t
exchange_inbound_messages(const struct inbound *in)
{
	return in->messages;
}
