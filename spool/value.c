/* SPDX-License-Identifier: ISC */
/*
 * The plain values that the spool hands out, and the name of a message: its
 * number in base 32 without the letters i, l, o and u, which are misread.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "base/text.h"
#include "spool/spool.h"

void
message_init(struct message *m)
{
	*m = (struct message){ 0 };
	envelope_init(&m->env);
}

void
message_release(struct message *m)
{
	envelope_release(&m->env);
	free(m->source);
	free(m->peer);
	message_init(m);
}

struct message_name
message_name(uint64_t id)
{
	struct message_name name = { "" };

	num32_format(name.s, id);
	return name;
}

int
message_name_parse(const char *text, uint64_t *id_out)
{
	return num32_parse(slice_of(text), id_out);
}

void
message_state_init(struct message_state *st, size_t nrcpt)
{
	st->n = nrcpt;
	st->rcpt = mem_alloc(nrcpt + 1, sizeof(*st->rcpt));
}

void
message_state_release(struct message_state *st)
{
	for (size_t i = 0; st->rcpt != NULL && i < st->n; i++)
		free(st->rcpt[i].text);
	free(st->rcpt);
	*st = (struct message_state){ 0 };
}

void
object_init(struct object *o)
{
	*o = (struct object){ 0 };
}

void
object_release(struct object *o)
{
	for (size_t i = 0; o->part != NULL && i < o->nparts; i++)
		free(o->part[i].rcpt);
	free(o->part);
	free(o->road);
	free(o->name);
	free(o->params);
	object_init(o);
}

void
broken_init(struct broken *b)
{
	*b = (struct broken){ 0 };
}

void
broken_release(struct broken *b)
{
	free(b->peer);
	free(b->name);
	free(b->reason);
	broken_init(b);
}
