/* SPDX-License-Identifier: ISC */
/*
 * What is remembered for a time and then forgotten: ledgers, names seen,
 * stories, flows, mails sent.  These live for days or weeks and there may be a
 * hundred thousand of them, so they are walked over once an hour, not at each
 * tick.
 */
#include "node/exchange_private.h"

#include "node/custody.h"
#include "spool/custody.h"

#define WALKS 6			/* one over each */
#define WALK_MS 3600000		/* from the end of the last to the next */

/* A step of one of the walks. */
static int
walk_step(struct exchange *x, uint64_t now, struct err *e)
{
	uint64_t before = now > x->conf->ledger_secs ?
	    now - x->conf->ledger_secs : 0;

	uint64_t returned = now > x->conf->return_expire_secs ?
	    now - x->conf->return_expire_secs : 0;

	switch (x->walk) {
	case 0:
		return spool_expire_ledger(x->spool, before, e);
	case 1:
		return spool_expire_taken(x->spool, before, e);
	case 2:
		return spool_expire_history(x->spool, before, e);
	case 3:
		return custody_expire_flows(x, before, e);
	case 4:
		return spool_expire_sent_mail(x->spool, returned, e);
	default:
		return spool_expire_seen(x->spool, now, e);
	}
}

int
forget_step(struct exchange *x, uint64_t now, struct err *e)
{
	int64_t mono = clock_mono_ms(x->clock);
	int rc;

	if (mono < x->walk_ms)
		return 0;
	while ((rc = walk_step(x, now, e)) == 0 && ++x->walk < WALKS)
		;
	if (rc == 0) {
		x->walk = 0;
		x->walk_ms = mono + WALK_MS;
	}
	return rc;
}
