/* SPDX-License-Identifier: ISC */
/*
 * What looking into a mailbox is, whatever its protocol: a connection that is
 * made when it is needed and given up on the first error, since what was not
 * settled is simply found again.
 */
#include "transports/mailbox_private.h"
#include "base/mem.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>

#define CONNECT_MS 60000
#define LOOK_SESSIONS 50	/* of a server that deletes nothing */
#define ANSWER_MS 300000	/* RFC 9051 5.4 and RFC 1939 3 are as patient */

struct mailbox *
mailbox_new(const struct mailbox_options *opts)
{
	struct mailbox *b = mem_alloc(1, sizeof(*b));

	b->opts = *opts;
	b->name = mem_printf("%s/%s %s", mailhost_name(opts->host),
	    mailhost_path(opts->host), mailhost_user(opts->host));
	b->taker = taker_new(&(struct taker_options){
	    .contract = opts->contract, .from = opts->from, .own = opts->own,
	    .box = b->name, .max_octets = opts->max_octets });
	b->seen = seen_open(opts->contract, b->name);
	return b;
}

static int
patience(const struct mailbox *b, int ms)
{
	return b->opts.wait_ms > 0 && b->opts.wait_ms < ms ?
	    b->opts.wait_ms : ms;
}

int
mailbox_send(struct mailbox *b, struct buf *out, struct err *e)
{
	while (out->len > 0) {
		ssize_t n = stream_write(b->stream, out->ptr, out->len,
		    patience(b, ANSWER_MS), e);

		if (n < 0)
			return (int)n;
		buf_consume(out, (size_t)n);
	}
	return 0;
}

int
mailbox_hear(struct mailbox *b, char *into, size_t *len_out, struct err *e)
{
	ssize_t n;

	if (contract_stopping(b->opts.contract))
		return err_set(e, ERR_STATE, "told to stop");
	n = stream_read(b->stream, into, MAILBOX_STEP,
	    patience(b, ANSWER_MS), e);
	if (n == 0)
		return err_set(e, ERR_IO, "the server hung up");
	if (n < 0)
		return (int)n;
	*len_out = (size_t)n;
	return 0;
}

static bool
is_imap(const struct mailbox *b)
{
	return mailhost_protocol(b->opts.host) == MAILHOST_IMAP;
}

static void
hang_up(struct mailbox *b)
{
	taker_drop(b->taker);
	stream_close(b->stream);
	imap_free(b->imap);
	pop3_free(b->pop3);
	b->stream = NULL;
	b->imap = NULL;
	b->pop3 = NULL;
}

void
mailbox_free(struct mailbox *b)
{
	if (b == NULL)
		return;
	if (b->imap != NULL)
		mailbox_imap_leave(b);
	hang_up(b);
	seen_free(b->seen);
	taker_free(b->taker);
	free(b->name);
	free(b);
}

/* An error of the session; what was settled before it is remembered. */
static int
fail(struct mailbox *b, int rc, struct err *e)
{
	struct err other = ERR_INIT;

	hang_up(b);
	if (is_imap(b) && seen_save(b->seen, &other) < 0)
		contract_note(b->opts.contract, "%s", other.text);
	return rc != ERR_STATE ? (err_prefix(e, "%s",
	    mailhost_name(b->opts.host)), rc) : rc;
}

/* 1: there is more to look at. */
static int
look(struct mailbox *b, struct err *e)
{
	int rc;

	if (b->stream == NULL) {
		rc = mailhost_connect(b->opts.host, patience(b, CONNECT_MS),
		    "", &b->stream, e);
		if (rc < 0)
			return rc;
		if (is_imap(b))
			b->imap = imap_new();
		else
			b->pop3 = pop3_new();
	}
	rc = is_imap(b) ? mailbox_imap_look(b, e) : mailbox_pop3_look(b, e);
	/* A maildrop is locked while it is open, and shows nothing new. */
	if (rc >= 0 && !is_imap(b))
		hang_up(b);
	return rc < 0 ? fail(b, rc, e) : rc;
}

int
mailbox_look(struct mailbox *b, struct err *e)
{
	int rc = 1;

	for (unsigned i = 0; rc == 1 && i < LOOK_SESSIONS; i++)
		rc = look(b, e);
	return rc < 0 ? rc : 0;
}

int
mailbox_wait(struct mailbox *b, int ms, struct err *e)
{
	struct pollfd p = {
		.fd = contract_commands_fd(b->opts.contract),
		.events = POLLIN
	};
	int rc;

	if (contract_command_over(b->opts.contract))
		return 0;
	if (b->stream != NULL && is_imap(b)) {
		rc = mailbox_imap_wait(b, ms, e);
		return rc < 0 ? fail(b, rc, e) : 0;
	}
	if (poll(&p, 1, ms) < 0 && errno != EINTR)
		return err_errno(e, "cannot wait");
	return 0;
}
