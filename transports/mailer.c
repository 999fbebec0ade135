/* SPDX-License-Identifier: ISC */
/*
 * The transport "mail".  All letters of a run go over one connection; when
 * it is lost the rest waits for the next run.  The file that was under way
 * then may have been taken: it goes again with the same Message-ID, by which
 * the peer's node knows it.
 *
 * Sending comes before looking into the mailbox, so that one that cannot be
 * reached keeps nothing back.
 */
#include "transports/mailer.h"
#include "base/file.h"
#include "base/map.h"
#include "base/mem.h"
#include "transports/mailbox.h"
#include "transports/mailer_settings.h"
#include "transports/postbox.h"

#include <poll.h>
#include <stdlib.h>
#include <sys/resource.h>

struct mailer {
	struct contract *contract;
	struct mailer_settings set;
	struct postbox_options opts;
	struct postbox *postbox;	/* NULL: not connected */
	struct mailbox *mailbox;	/* NULL: there is none */
	struct map *done;		/* names told of; values mean nothing */
	const char *name;		/* under way */
	uint64_t octets;		/* of it */
	enum contract_exit status;
};

static void
on_progress(void *ctx, uint64_t done)
{
	struct mailer *m = ctx;

	contract_sending(m->contract, m->name,
	    done < m->octets ? done : m->octets, m->octets);
}

/* Who fetches without them would take what is for others out of a mailbox. */
static int
check_addresses(const struct mailer_settings *s, struct err *e)
{
	if (s->fetch == NULL || (s->form.from != NULL && s->form.to != NULL))
		return 0;
	return err_set(e, ERR_CONFIG, "fetch: the setting %s is missing, by "
	    "which mail for us is told from other mail", s->form.to == NULL ?
	    "to" : "from");
}

static int
check_files(const struct mailer_settings *s, struct err *e)
{
	int rc = 0;

	if (s->submit != NULL)
		rc = mailhost_check_files(s->submit, e);
	if (rc == 0 && s->fetch != NULL)
		rc = mailhost_check_files(s->fetch, e);
	return rc;
}

static void
prepare(struct mailer *m)
{
	const struct mailer_settings *s = &m->set;
	const struct rlimit none = { 0, 0 };

	m->opts = (struct postbox_options){
		.server = s->server, .host = s->submit, .helo = s->helo,
		.name = s->submit != NULL ? mailhost_name(s->submit) :
		    s->server,
		.wait_ms = s->wait_ms, .progress = on_progress, .ctx = m
	};
	if (s->fetch != NULL)
		m->mailbox = mailbox_new(&(struct mailbox_options){
		    .contract = m->contract, .host = s->fetch,
		    .from = s->form.to, .own = s->form.from,
		    .max_octets = s->max_octets, .wait_ms = s->wait_ms,
		    .move_to = s->move_to, .idle = s->idle });
	/* A dump would hold passwords that libcurl keeps. */
	if (s->submit != NULL || s->fetch != NULL)
		(void)setrlimit(RLIMIT_CORE, &none);
}

int
mailer_new(struct contract *c, struct mailer **m_out, struct err *e)
{
	struct mailer *m = mem_alloc(1, sizeof(*m));
	int rc;

	m->contract = c;
	m->done = map_new();
	rc = mailer_settings_read(c, &m->set, e);
	if (rc == 0)
		rc = check_addresses(&m->set, e);
	if (rc == 0)
		rc = check_files(&m->set, e);
	if (rc < 0) {
		mailer_free(m);
		m = NULL;
	} else {
		prepare(m);
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
	mailbox_free(m->mailbox);
	mailer_settings_release(&m->set);
	map_free(m->done);
	free(m);
}

/* Misconfigured outweighs later. */
static void
set_status(struct mailer *m, int rc)
{
	if (rc == ERR_CONFIG || rc == ERR_DENIED)
		m->status = CONTRACT_EXIT_CONFIG;
	else if (m->status == CONTRACT_EXIT_DONE)
		m->status = CONTRACT_EXIT_LATER;
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
		set_status(m, ERR_IO);
	return outcome != POSTBOX_GONE;
}

static bool
send_letter(struct mailer *m, struct letter *l)
{
	enum postbox_outcome outcome;
	struct err why = ERR_INIT;
	int rc = 0;

	if (m->postbox == NULL)
		rc = postbox_open(&m->opts, &m->postbox, &why);
	if (rc == ERR_STATE)
		return false;
	if (rc == ERR_CONFIG || rc == ERR_DENIED)
		contract_complain(m->contract, why.text);
	if (rc < 0) {
		set_status(m, rc);
		return tell(m, POSTBOX_GONE, &why);
	}
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
	int rc = letter_open(path, &m->set.form, &l, &e);

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

/* Names that have left out/ are not remembered: a run may last. */
static void
forget_gone(struct mailer *m, const struct contract_names *out)
{
	struct slice key;
	void *value;
	size_t pos = 0;

	while (map_next(m->done, &pos, &key, &value)) {
		char *name = slice_dup(key);

		if (!contract_names_has(out, name))
			map_del(m->done, slice_of(name));
		free(name);
	}
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
		set_status(m, ERR_IO);
		go_on = false;
	}
	forget_gone(m, &out);
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

static void
send_while_more(struct mailer *m)
{
	while (send_all(m) && contract_command(m->contract) == CONTRACT_MORE)
		;
	/* No server waits for long. */
	postbox_close(m->postbox);
	m->postbox = NULL;
}

/* Whether it went well; being told to stop is well. */
static bool
look(struct mailer *m)
{
	struct err e = ERR_INIT;
	int rc;

	if (m->mailbox == NULL || contract_stopping(m->contract))
		return true;
	rc = mailbox_look(m->mailbox, &e);
	if (rc == 0 || rc == ERR_STATE)
		return true;
	set_status(m, rc);
	contract_note(m->contract, "%s", e.text);
	if (rc == ERR_CONFIG || rc == ERR_DENIED)
		contract_complain(m->contract, e.text);
	return false;
}

/* A connection that was lost while nothing happened is made anew. */
static void
wait(struct mailer *m)
{
	struct pollfd p = {
		.fd = contract_commands_fd(m->contract), .events = POLLIN
	};
	struct err e = ERR_INIT;

	int rc = 0;

	if (m->mailbox == NULL)
		(void)poll(&p, 1, -1);
	else
		rc = mailbox_wait(m->mailbox, m->set.poll_ms, &e);
	if (rc < 0 && rc != ERR_STATE)
		contract_note(m->contract, "%s", e.text);
}

enum contract_exit
mailer_run(struct mailer *m)
{
	bool stay = m->set.stay;

	m->status = CONTRACT_EXIT_DONE;
	send_while_more(m);
	while (look(m) && stay && m->status == CONTRACT_EXIT_DONE &&
	    !contract_command_over(m->contract)) {
		/* "more" may have been heard during the look. */
		if (contract_command(m->contract) == CONTRACT_NONE)
			wait(m);
		send_while_more(m);
	}
	return m->status;
}
