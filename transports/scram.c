/* SPDX-License-Identifier: ISC */
/*
 * SCRAM by libgsasl, since the libcurl of distributions is built without it.
 * The number of iterations is looked at before libgsasl sees it, which would
 * begin whatever a server asks for.
 */
#include "transports/scram.h"
#include "base/mem.h"
#include "base/text.h"

#include <gsasl.h>
#include <stdlib.h>

struct scram {
	Gsasl *library;
	Gsasl_session *session;
	bool proved;
};

int
scram_new(const char *name, const char *user, const char *password,
    struct scram **s_out, struct err *e)
{
	struct scram *s = mem_alloc(1, sizeof(*s));
	int code = gsasl_init(&s->library);

	if (code == GSASL_OK)
		code = gsasl_client_start(s->library, name, &s->session);
	if (code == GSASL_OK)
		code = gsasl_property_set(s->session, GSASL_AUTHID, user);
	if (code == GSASL_OK)
		code = gsasl_property_set(s->session, GSASL_PASSWORD,
		    password);
	*s_out = s;
	if (code == GSASL_OK)
		return 0;
	scram_free(s);
	*s_out = NULL;
	return err_set(e, ERR_UNSUPPORTED, "%s: %s", name,
	    gsasl_strerror(code));
}

void
scram_free(struct scram *s)
{
	if (s == NULL)
		return;
	if (s->session != NULL)
		gsasl_finish(s->session);
	if (s->library != NULL)
		gsasl_done(s->library);
	free(s);
}

/* "r=...,s=...,i=4096": RFC 5802 7. */
static int
check_iterations(struct slice challenge, struct err *e)
{
	struct base64_decoder dec;
	struct buf plain = BUF_INIT;
	const char *at;
	size_t len;
	uint64_t n;
	int rc = 0;

	base64_decoder_init(&dec);
	base64_decoder_add(&dec, &plain, challenge.ptr, challenge.len);
	at = strstr(buf_cstr(&plain), ",i=");
	if (at != NULL) {
		len = strcspn(at + 3, ",");
		rc = num_parse((struct slice){ at + 3, len },
		    SCRAM_ITERATIONS_MAX, &n);
	}
	buf_release(&plain);
	return rc == 0 ? 0 : err_set(e, ERR_LIMIT, "SCRAM: the server wants "
	    "more than %d iterations", SCRAM_ITERATIONS_MAX);
}

int
scram_step(struct scram *s, struct slice challenge, struct buf *out,
    struct err *e)
{
	char *text, *answer = NULL;
	int rc = check_iterations(challenge, e), code;

	if (rc < 0)
		return rc;
	text = challenge.len > 0 ? slice_dup(challenge) : mem_strdup("");
	code = gsasl_step64(s->session, text, &answer);
	free(text);
	if (code != GSASL_OK && code != GSASL_NEEDS_MORE)
		return err_set(e, ERR_SYNTAX, "SCRAM: the server's challenge "
		    "is not right: %s", gsasl_strerror(code));
	s->proved = code == GSASL_OK;
	buf_adds(out, answer);
	gsasl_free(answer);
	return 0;
}

bool
scram_is_proved(const struct scram *s)
{
	return s->proved;
}
