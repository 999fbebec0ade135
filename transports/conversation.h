/* SPDX-License-Identifier: ISC */
#ifndef TRANSPORTS_CONVERSATION_H
#define TRANSPORTS_CONVERSATION_H
/*
 * The conversation over a line, whatever the line is (a tty, a socket, a
 * child): two descriptors, the link between them, out/ and in/ behind it, and
 * the contract's commands and reports.
 *
 *	conversation_new; each time a line is there: conversation_run;
 *	conversation_free
 *
 * What has been sent, refused or begun is remembered from one line to the
 * next.
 */
#include "transports/contract.h"
#include "transports/link.h"

#define CONVERSATION_SECRETS_MAX 256

struct conversation_config {
	bool caller;
	bool stay;		/* do not end when there is nothing to do */
	bool no_secret;		/* of the two ends: secret=none */
	unsigned needs;		/* LINK_ bits */
	uint32_t rate;		/* octets a second; 0: the line tells */
	int64_t patience_ms;	/* for the handshake; 0: for ever */
	int64_t silence_ms;	/* 0: link.h's */
	uint64_t max_size;	/* of a file received */
	const unsigned char (*secrets)[LINK_SECRET_LEN];	/* copied */
	size_t nsecrets;
};

struct conversation_line {
	int in_fd, out_fd;	/* may be the same; made non-blocking */
	struct slice first;	/* octets that were read from it before */
};

enum conversation_end {
	CONVERSATION_DONE,	/* all there was; or told to stop */
	CONVERSATION_REFUSED,	/* the same, but files were refused: later */
	CONVERSATION_SILENT,	/* nobody answered */
	CONVERSATION_LOST	/* the line is gone */
};

struct conversation;

int conversation_new(struct contract *c,
    const struct conversation_config *config, struct conversation **v_out,
    struct err *e) MUST_CHECK;
void conversation_free(struct conversation *v);
/* Talks until the end; why is set for SILENT and LOST. */
enum conversation_end conversation_run(struct conversation *v,
    const struct conversation_line *line, struct err *why);

/* The settings that every transport with a link has: plain, half-duplex,
 * path (clean, xonxoff, 7bit), patience, silence, max-size, secret; config's
 * fields must hold the defaults.  ERR_CONFIG. */
int conversation_settings(struct contract *c,
    struct conversation_config *config, struct err *e) MUST_CHECK;
/* The secrets, LINK_SECRET_LEN octets each, from descriptor 3, which is
 * closed; where config says no_secret one of zeros, which authenticates
 * nobody.  Appends them to out; the caller wipes it. */
int conversation_secrets(const struct conversation_config *config,
    struct buf *out, struct err *e) MUST_CHECK;

#endif
