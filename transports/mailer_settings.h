/* SPDX-License-Identifier: ISC */
#ifndef TRANSPORTS_MAILER_SETTINGS_H
#define TRANSPORTS_MAILER_SETTINGS_H
/*
 * The settings of the transport "mail", for itself and for whoever checks a
 * configuration.
 */
#include "transports/letter.h"
#include "transports/mailhost.h"

struct mailer_settings {
	struct letter_options form;
	const char *server;		/* where submit is NULL */
	const char *helo;
	struct mailhost *submit, *fetch;	/* own; NULL: not set */
	int wait_ms;			/* 0: as RFCs have it */
	bool stay;			/* until told to stop */
	int poll_ms;			/* then, from one look to the next */
	bool idle;
	const char *move_to;		/* NULL: delete */
	uint64_t max_octets;		/* of a mail that is fetched */
	char hostname[256];
};

/* Reads them from the contract, which must outlive s_out, and refuses others.
 * ERR_CONFIG. */
int mailer_settings_read(struct contract *c, struct mailer_settings *s_out,
    struct err *e) MUST_CHECK;
/* Harmless for zeroed ones. */
void mailer_settings_release(struct mailer_settings *s);
/* Whether they are right, and the files that they name can be used; nothing
 * else is done.  ERR_CONFIG. */
int mailer_check(struct contract *c, struct err *e) MUST_CHECK;

#endif
