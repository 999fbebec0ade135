/* SPDX-License-Identifier: ISC */
/*
 * The transport "mail".  All letters of a run go over one connection; when
 * it is lost the rest waits for the next run.  The object that was under way
 * then may have been taken: it goes again with the same Message-ID, by which
 * the peer's node knows it.
 */
#include "transports/mailer.h"
#include "base/file.h"
#include "base/map.h"
#include "base/mem.h"
#include "smtp/address.h"
#include "transports/postbox.h"

#include <stdlib.h>
#include <unistd.h>

struct mailer {
	struct contract *contract;
	struct letter_options form;	/* from, to: NULL: the object's */
	char hostname[256];
	struct postbox_options opts;
	struct postbox *postbox;	/* NULL: not connected */
	struct map *done;		/* names told of; values mean nothing */
	const char *name;		/* under way */
	uint64_t octets;		/* of it */
	bool failed;
};

/* The name of this machine, as EHLO wants one. */
static const char *
own_name(struct mailer *m)
{
	if (gethostname(m->hostname, sizeof(m->hostname) - 1) == 0 &&
	    address_check_domain(slice_of(m->hostname), false, NULL) == 0)
		return m->hostname;
	return "localhost";
}

static void
on_progress(void *ctx, uint64_t done)
{
	struct mailer *m = ctx;

	contract_sending(m->contract, m->name,
	    done < m->octets ? done : m->octets, m->octets);
}

static int
read_settings(struct mailer *m, struct err *e)
{
	struct contract *c = m->contract;
	int rc;

	m->opts.server = contract_setting(c, "server", "127.0.0.1:25");
	m->opts.helo = contract_setting(c, "helo", NULL);
	m->opts.progress = on_progress;
	m->opts.ctx = m;
	if (m->opts.helo == NULL)
		m->opts.helo = own_name(m);
	else if (address_check_domain(slice_of(m->opts.helo), false, e) < 0)
		return err_prefix(e, "helo=%s", m->opts.helo);
	rc = postbox_check(m->opts.server, e);
	if (rc == 0)
		rc = contract_setting_ms(c, "timeout", 0, &m->opts.wait_ms, e);
	if (rc == 0)
		rc = letter_settings(c, &m->form, e);
	return rc == 0 ? contract_settings_used(c, e) : rc;
}

int
mailer_new(struct contract *c, struct mailer **m_out, struct err *e)
{
	struct mailer *m = mem_alloc(1, sizeof(*m));
	int rc;

	m->contract = c;
	m->done = map_new();
	rc = read_settings(m, e);
	if (rc < 0) {
		mailer_free(m);
		m = NULL;
	}
	*m_out = m;
	return rc;
}

void
mailer_free(struct mailer *m)
{
	if (m == NULL)
		return;
	postbox_close(m->postbox);
	map_free(m->done);
	free(m);
}

/* Whether the run goes on. */
static bool
tell(struct mailer *m, enum postbox_outcome outcome, const struct err *why)
{
	if (outcome == POSTBOX_TAKEN)
		contract_sent(m->contract, m->name);
	else
		contract_failed(m->contract, m->name,
		    outcome == POSTBOX_REFUSED, why->text);
	if (outcome == POSTBOX_LATER || outcome == POSTBOX_GONE)
		m->failed = true;
	return outcome != POSTBOX_GONE;
}

static bool
send_letter(struct mailer *m, struct letter *l)
{
	enum postbox_outcome outcome;
	struct err why = ERR_INIT;

	if (m->postbox == NULL &&
	    postbox_open(&m->opts, &m->postbox, &why) < 0)
		return tell(m, POSTBOX_GONE, &why);
	m->octets = letter_octets(l);
	outcome = postbox_send(m->postbox, l, &why);
	if (outcome == POSTBOX_REFUSED)
		letter_advise(l, &why);
	return tell(m, outcome, &why);
}

static bool
send_file(struct mailer *m, const char *name)
{
	char *path = path_join(contract_out_dir(m->contract), name);
	struct letter *l = NULL;
	struct err e = ERR_INIT;
	bool go_on = true;
	int rc = letter_open(path, &m->form, &l, &e);

	m->name = name;
	if (rc == 0)
		go_on = send_letter(m, l);
	else if (rc != ERR_NOT_FOUND ||
	    contract_out_has(m->contract, name))
		/* Not for good: it can be sent when the settings are right. */
		go_on = tell(m, POSTBOX_LATER, &e);
	letter_close(l);
	free(path);
	return go_on;
}

/* What has not been tried in this run; false: the run is over. */
static bool
send_all(struct mailer *m)
{
	struct contract_names out = { NULL, 0 };
	struct err e = ERR_INIT;
	bool go_on = true;
	size_t i;

	if (contract_out(m->contract, &out, &e) < 0) {
		contract_note(m->contract, "%s", e.text);
		m->failed = true;
		go_on = false;
	}
	for (i = 0; go_on && i < out.count; i++) {
		if (map_get(m->done, slice_of(out.names[i])) != NULL)
			continue;
		if (contract_stopping(m->contract))
			break;
		map_put(m->done, slice_of(out.names[i]), m);
		go_on = send_file(m, out.names[i]);
	}
	contract_names_release(&out);
	return go_on;
}

enum contract_exit
mailer_run(struct mailer *m)
{
	while (send_all(m) && contract_command(m->contract) == CONTRACT_MORE)
		;
	return m->failed ? CONTRACT_EXIT_LATER : CONTRACT_EXIT_DONE;
}
