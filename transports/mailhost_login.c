/* SPDX-License-Identifier: ISC */
/*
 * A login of our own over a connection that libcurl has made without one.
 */
#include "base/clock.h"
#include "base/mem.h"
#include "transports/mailhost_private.h"

#define STEP 4096

static const enum login_protocol protocols[] = {
	[MAILHOST_SMTP] = LOGIN_SMTP, [MAILHOST_IMAP] = LOGIN_IMAP,
	[MAILHOST_POP3] = LOGIN_POP3
};

static int
send_all(struct stream *s, struct buf *out, int ms, struct err *e)
{
	while (out->len > 0) {
		ssize_t n = stream_write(s, out->ptr, out->len, ms, e);

		if (n < 0)
			return (int)n;
		buf_consume(out, (size_t)n);
	}
	return 0;
}

/* Says what waits and takes what comes, as login_next. */
static int
step(struct mailhost *h, struct login *l, struct stream *s, int ms,
    struct err *e)
{
	char octets[STEP];
	ssize_t n;
	int rc = send_all(s, login_output(l), ms, e);

	if (rc < 0)
		return rc;
	if (contract_stopping(h->contract))
		return err_set(e, ERR_STATE, "told to stop");
	n = stream_read(s, octets, sizeof(octets), ms, e);
	if (n == 0)
		return err_set(e, ERR_IO, "the server hung up at the login");
	if (n < 0)
		return (int)n;
	login_feed(l, octets, (size_t)n);
	return login_next(l, e);
}

int
mailhost_log_in(struct mailhost *h, struct stream *s, const char *password,
    const char *helo, int ms, struct err *e)
{
	struct login *l = login_new(&(struct login_options){
	    .protocol = protocols[h->protocol], .ways = h->ways,
	    .user = h->user, .password = password, .helo = helo });
	int64_t until = clock_mono_ms(clock_real()) + ms, left;
	int rc = 0;

	while (rc == 0) {
		left = until - clock_mono_ms(clock_real());
		rc = left > 0 ? step(h, l, s, (int)left, e) :
		    err_set(e, ERR_IO, "the login took longer than %d s",
		    ms / 1000);
	}
	login_free(l);
	return rc < 0 ? rc : 0;
}
