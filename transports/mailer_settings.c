/* SPDX-License-Identifier: ISC */
/*
 * What the settings of the transport "mail" may be.  Reading them connects to
 * nothing, so that `postrider check` can do it too.
 */
#include "transports/mailer_settings.h"
#include "base/mem.h"
#include "base/text.h"
#include "smtp/address.h"
#include "transports/stream.h"

#include <stdlib.h>
#include <unistd.h>

#define MAX_OCTETS (UINT64_C(256) << 20)
#define POLL_MS 60000
#define POLL_MIN_MS 1000

/* The name of this machine, as EHLO wants one. */
static const char *
own_name(struct mailer_settings *s)
{
	if (gethostname(s->hostname, sizeof(s->hostname) - 1) == 0 &&
	    address_check_domain(slice_of(s->hostname), false, NULL) == 0)
		return s->hostname;
	return "localhost";
}

/* A provider has no use for the name of this machine. */
static int
read_helo(struct contract *c, struct mailer_settings *s, struct err *e)
{
	s->helo = contract_setting(c, "helo", NULL);
	if (s->helo == NULL)
		s->helo = s->submit != NULL ? "[127.0.0.1]" : own_name(s);
	else if (address_check_domain(slice_of(s->helo), false, e) < 0)
		return err_prefix(e, "helo=%s", s->helo);
	return 0;
}

static int
read_out(struct contract *c, struct mailer_settings *s, struct err *e)
{
	const char *server = contract_setting(c, "server", NULL);
	int rc = mailhost_new(c, "submit", &s->submit, e);

	if (rc == 0 && s->submit != NULL && server != NULL)
		rc = err_set(e, ERR_CONFIG, "server and submit: want one of "
		    "them");
	s->server = server != NULL ? server : "127.0.0.1:25";
	if (rc == 0)
		rc = stream_check(s->server, e);
	if (rc == 0)
		rc = read_helo(c, s, e);
	if (rc == 0)
		rc = contract_setting_ms(c, "timeout", 0, &s->wait_ms, e);
	return rc;
}

static int
check_move_to(const char *name, struct err *e)
{
	for (const char *at = name; at != NULL && *at != '\0'; at++)
		if (*at < ' ' || *at > '~')
			return err_set(e, ERR_CONFIG, "move-to=%s: names "
			    "of mailboxes are in ASCII (RFC 3501 5.1.3)",
			    name);
	return 0;
}

/* Settings of fetching without fetch are not asked for, and so refused. */
static int
read_in(struct contract *c, struct mailer_settings *s, struct err *e)
{
	int rc = mailhost_new(c, "fetch", &s->fetch, e);

	if (rc < 0 || s->fetch == NULL)
		return rc;
	s->stay = contract_setting(c, "poll", NULL) != NULL;
	rc = contract_setting_ms_least(c, "poll", POLL_MS, POLL_MIN_MS,
	    &s->poll_ms, e);
	if (rc == 0)
		rc = contract_setting_size(c, "max-size", MAX_OCTETS,
		    &s->max_octets, e);
	if (rc < 0 || mailhost_protocol(s->fetch) != MAILHOST_IMAP)
		return rc;
	s->move_to = contract_setting(c, "move-to", NULL);
	rc = check_move_to(s->move_to, e);
	return rc == 0 ? contract_setting_bool(c, "idle", true, &s->idle, e) :
	    rc;
}

int
mailer_settings_read(struct contract *c, struct mailer_settings *s_out,
    struct err *e)
{
	int rc;

	*s_out = (struct mailer_settings){ 0 };
	rc = read_out(c, s_out, e);
	if (rc == 0)
		rc = read_in(c, s_out, e);
	if (rc == 0)
		rc = contract_setting_bool(c, "stay", s_out->stay,
		    &s_out->stay, e);
	if (rc == 0)
		rc = letter_settings(c, &s_out->form, e);
	if (rc == 0)
		rc = contract_settings_used(c, e);
	if (rc < 0)
		mailer_settings_release(s_out);
	return rc;
}

void
mailer_settings_release(struct mailer_settings *s)
{
	mailhost_free(s->submit);
	mailhost_free(s->fetch);
	s->submit = s->fetch = NULL;
}

int
mailer_check(struct contract *c, struct err *e)
{
	struct mailer_settings s = { 0 };
	int rc = mailer_settings_read(c, &s, e);

	if (rc == 0 && s.submit != NULL)
		rc = mailhost_check_files(s.submit, e);
	if (rc == 0 && s.fetch != NULL)
		rc = mailhost_check_files(s.fetch, e);
	mailer_settings_release(&s);
	return rc;
}
