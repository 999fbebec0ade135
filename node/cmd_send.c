/* SPDX-License-Identifier: ISC */
/*
 * postrider send: submits one mail, as sendmail(8) does.
 *
 * All of the input is read into a temporary file before the daemon is asked,
 * since the envelope may stand in the header and facts about the content in
 * its commands.  It is all recipients or none: who is told that it failed
 * will send again to all of them.
 */
#include <errno.h>
#include <getopt.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "node/cli.h"
#include "node/sendmail.h"
#include "node/talk.h"
#include "smtp/client.h"

#define STEP 65536

struct sending {
	struct cli *cli;
	struct sendmail_options opts;
	const char *envid, *ret, *notify;
	char *domain, *from, *name;
	struct sendmail *mail;
	struct envelope *env;
	struct content_scanner facts;
	FILE *content;
	struct cli_call call;
	struct smtp_client *client;
	bool talk;		/* -bs */
	bool verbose;
	bool refused;		/* some recipient */
	bool over;
	int status;
};

/*
 * Options.
 */
static void
who_am_i(struct sending *s)
{
	const struct passwd *pw = getpwuid(getuid());
	const char *user = pw != NULL ? pw->pw_name : "nobody";

	s->domain = cli_domain(s->cli);
	s->from = mem_printf("%s@%s", user, s->domain);
	if (pw != NULL)
		s->name = mem_strndup(pw->pw_gecos,
		    strcspn(pw->pw_gecos, ","));
	s->opts.clock = clock_real();
	s->opts.rng = rng_real();
	s->opts.hostname = s->domain;
	s->opts.sender = s->opts.from = s->from;
	s->opts.full_name = s->name;
}

static void
set_sender(struct sending *s, const char *text)
{
	size_t len = strlen(text);

	if (len >= 2 && text[0] == '<' && text[len - 1] == '>') {
		text++;
		len -= 2;
	}
	free(s->from);
	s->from = mem_strndup(text, len);
	if (len > 0 && strchr(s->from, '@') == NULL) {
		char *local = s->from;

		s->from = mem_printf("%s@%s", local, s->domain);
		free(local);
	}
	s->opts.sender = s->from;
	if (len > 0)
		s->opts.from = s->from;
	else {	/* a notice: somebody must stand in From all the same */
		free(s->name);
		s->name = mem_printf("MAILER-DAEMON@%s", s->domain);
		s->opts.from = s->name;
		s->opts.full_name = NULL;
	}
}

static int
usage(void)
{
	return cli_usage("send [-tiv] [-bm|-bs] [-f SENDER] [-F NAME]\n"
	    "           [-N NOTIFY] [-R full|hdrs] [-V ENVID] "
	    "[RECIPIENT...]");
}

static int
take_option(struct sending *s, int c)
{
	switch (c) {
	case 't':
		s->opts.take_recipients = true;
		break;
	case 'i':
		s->opts.ignore_dots = true;
		break;
	case 'o':
		if (strcmp(optarg, "i") == 0)
			s->opts.ignore_dots = true;
		break;
	case 'f':
	case 'r':
		set_sender(s, optarg);
		break;
	case 'F':
		s->opts.full_name = optarg;
		break;
	case 'N':
		s->notify = optarg;
		break;
	case 'R':
		s->ret = optarg;
		break;
	case 'V':
		s->envid = optarg;
		break;
	case 'b':	/* other modes are not ours */
		s->talk = strcmp(optarg, "s") == 0;
		return s->talk || strcmp(optarg, "m") == 0 ? EX_OK : EX_USAGE;
	case 'v':
		s->verbose = true;
		break;
	case '?':
		return EX_USAGE;
	default:	/* of no consequence here */
		break;
	}
	return EX_OK;
}

static int
get_options(struct sending *s, int argc, char **argv)
{
	int c, status = EX_OK;

	optind = 0;	/* glibc: begin anew */
	while (status == EX_OK && (c = getopt(argc, argv,
	    "A:B:C:F:GL:N:O:R:UV:X:b:d:f:h:imno:p:r:tvx")) != -1)
		status = take_option(s, c);
	if (s->notify != NULL && smtp_notify_parse(s->notify) <= 0)
		status = EX_USAGE;
	if (s->ret != NULL && strcasecmp(s->ret, "full") != 0 &&
	    strcasecmp(s->ret, "hdrs") != 0)
		status = EX_USAGE;
	return status != EX_OK ? usage() : EX_OK;
}

/*
 * The message.
 */
static int
keep(struct sending *s, struct buf *out)
{
	content_scanner_add(&s->facts, out->ptr, out->len);
	if (out->len > 0 &&
	    fwrite(out->ptr, 1, out->len, s->content) != out->len)
		return cli_fail(s->cli, EX_TEMPFAIL, "temporary file: %s",
		    strerror(errno));
	buf_clear(out);
	return EX_OK;
}

static int
read_message(struct sending *s)
{
	struct buf out = BUF_INIT;
	struct err e = ERR_INIT;
	char bytes[STEP];
	int r = 1, status = EX_OK;
	size_t n;

	content_scanner_init(&s->facts);
	while (status == EX_OK && r == 1 &&
	    (n = fread(bytes, 1, sizeof(bytes), stdin)) > 0) {
		r = sendmail_add(s->mail, bytes, n, &out, &e);
		if (r >= 0)
			status = keep(s, &out);
	}
	if (ferror(stdin))
		status = cli_fail(s->cli, EX_IOERR, "standard input: %s",
		    strerror(errno));
	if (status == EX_OK && r >= 0)
		r = sendmail_end(s->mail, &out, &e);
	if (r < 0)
		status = cli_fail(s->cli, EX_DATAERR, "%s", e.text);
	else if (status == EX_OK)
		status = keep(s, &out);
	content_scanner_end(&s->facts);
	buf_release(&out);
	return status;
}

static void
complete_envelope(struct sending *s)
{
	struct envelope *env = sendmail_envelope(s->mail);
	struct buf xtext = BUF_INIT;

	s->env = env;
	env->smtputf8 = !slice_is_ascii(slice_of(env->sender));
	for (size_t i = 0; i < env->nrcpt; i++) {
		if (!slice_is_ascii(slice_of(env->rcpt[i].address)))
			env->smtputf8 = true;
		if (s->notify != NULL)
			env->rcpt[i].notify = mem_strdup(s->notify);
	}
	if ((s->facts.facts.flags & CONTENT_8BIT) || env->smtputf8)
		env->body = SMTP_BODY_8BITMIME;
	env->size_given = true;
	env->size = s->facts.facts.octets;
	if (s->ret != NULL)
		env->ret = strcasecmp(s->ret, "full") == 0 ? SMTP_RET_FULL :
		    SMTP_RET_HDRS;
	if (s->envid != NULL) {
		xtext_encode(&xtext, slice_of(s->envid));
		env->envid = buf_steal(&xtext);
	}
}

static int
make_message(struct sending *s, int argc, char **argv)
{
	struct err e = ERR_INIT;
	int status;

	s->content = tmpfile();
	if (s->content == NULL)
		return cli_fail(s->cli, EX_TEMPFAIL, "temporary file: %s",
		    strerror(errno));
	s->mail = sendmail_new(&s->opts);
	for (int i = optind; i < argc; i++)
		if (sendmail_add_recipient(s->mail, argv[i], &e) < 0)
			return cli_fail(s->cli, EX_DATAERR, "%s", e.text);
	if (optind == argc && !s->opts.take_recipients)
		return cli_fail(s->cli, EX_USAGE,
		    "to whom? Name recipients, or give -t");
	status = read_message(s);
	if (status != EX_OK)
		return status;
	complete_envelope(s);
	if (s->env->nrcpt == 0)
		return cli_fail(s->cli, EX_DATAERR,
		    "the header names no recipients");
	return EX_OK;
}

/*
 * The session.
 */
static void
finish(struct sending *s, int status)
{
	s->over = true;
	s->status = status;
}

static void
finish_reply(struct sending *s, const char *step, int code,
    const char *enhanced, const char *text)
{
	int status = code < 500 ? EX_TEMPFAIL : EX_UNAVAILABLE;

	if (code >= 500 && strncmp(enhanced, "5.7.", 4) == 0)
		status = EX_NOPERM;
	cli_fail(s->cli, status, "%s: %d %s %s", step, code, enhanced, text);
	finish(s, status);
}

static int
flush_output(struct sending *s)
{
	struct buf *out = smtp_client_output(s->client);
	struct err e = ERR_INIT;

	if (out->len > 0 &&
	    file_write_all(s->call.fd, out->ptr, out->len, &e) < 0) {
		smtp_client_eof(s->client, e.text);
		return -1;
	}
	buf_consume(out, out->len);
	return 0;
}

static void
begin(struct sending *s)
{
	size_t *all = mem_alloc(s->env->nrcpt, sizeof(*all));
	struct smtp_refusal r;

	for (size_t i = 0; i < s->env->nrcpt; i++)
		all[i] = i;
	if (smtp_client_begin(s->client, s->env, &s->facts.facts, all,
	    s->env->nrcpt, &r) < 0)
		finish_reply(s, "this message", r.code, r.status, r.text);
	free(all);
}

static void
send_content(struct sending *s)
{
	char bytes[STEP];
	size_t n;

	if (s->refused)	/* all or none: hang up, and nothing was sent */
		return;
	rewind(s->content);
	while ((n = fread(bytes, 1, sizeof(bytes), s->content)) > 0) {
		smtp_client_content(s->client, bytes, n);
		if (flush_output(s) < 0)
			return;
	}
	if (ferror(s->content)) {
		cli_fail(s->cli, EX_TEMPFAIL, "temporary file: %s",
		    strerror(errno));
		finish(s, EX_TEMPFAIL);
		return;
	}
	smtp_client_content_end(s->client);
}

static void
on_recipient(struct sending *s, const struct smtp_client_event *ev)
{
	if (ev->reply.code / 100 == 2)
		return;
	s->refused = true;
	/* a refusal for good outweighs one for now */
	if (!s->over || ev->reply.code >= 500)
		finish_reply(s, s->env->rcpt[ev->index].address,
		    ev->reply.code, ev->reply.status, ev->reply.text);
}

static void
tell_reply(const struct sending *s, const struct smtp_client_event *ev)
{
	if (ev->reply.code != 0)
		printf("%s: %d %s %s\n", ev->kind == SMTP_CLIENT_RECIPIENT ?
		    s->env->rcpt[ev->index].address : ev->step,
		    ev->reply.code, ev->reply.status, ev->reply.text);
}

static void
on_event(struct sending *s, const struct smtp_client_event *ev)
{
	if (s->verbose)
		tell_reply(s, ev);
	switch (ev->kind) {
	case SMTP_CLIENT_READY:
		begin(s);
		break;
	case SMTP_CLIENT_RECIPIENT:
		on_recipient(s, ev);
		break;
	case SMTP_CLIENT_CONTENT:
		send_content(s);
		break;
	case SMTP_CLIENT_STARTTLS:	/* never asked for */
	case SMTP_CLIENT_FINAL:	/* of LMTP */
		break;
	case SMTP_CLIENT_RESULT:
		if (ev->reply.code / 100 == 2)
			finish(s, EX_OK);
		else if (!s->refused)
			finish_reply(s, ev->step, ev->reply.code,
			    ev->reply.status, ev->reply.text);
		break;
	case SMTP_CLIENT_CLOSED:
		if (!s->over) {
			cli_fail(s->cli, EX_TEMPFAIL, "%s", ev->reply.text);
			finish(s, EX_TEMPFAIL);
		}
		break;
	}
}

static void
read_replies(struct sending *s)
{
	char bytes[4096];
	ssize_t n = file_read_some(s->call.fd, bytes, sizeof(bytes));

	if (n > 0)
		smtp_client_feed(s->client, bytes, (size_t)n);
	else
		smtp_client_eof(s->client, n == 0 ?
		    "the daemon hung up" : strerror(errno));
}

static void
converse(struct sending *s)
{
	struct smtp_client_options opts = { .helo = s->domain };
	struct smtp_client_event ev;

	s->client = smtp_client_new(&opts);
	smtp_client_feed(s->client, s->call.in.ptr, s->call.in.len);
	while (!s->over) {
		if (smtp_client_next(s->client, &ev) == 1) {
			/* replies to recipients come one behind another */
			do
				on_event(s, &ev);
			while (ev.kind == SMTP_CLIENT_RECIPIENT &&
			    smtp_client_next(s->client, &ev) == 1);
			continue;
		}
		if (flush_output(s) == 0)
			read_replies(s);
	}
	smtp_client_free(s->client);
}

/* Gets a session; 0 or an exit status. */
static int
open_session(struct sending *s)
{
	json_t *line = NULL;
	int r, status = cli_ask(s->cli, &s->call,
	    json_pack("{s:s}", "cmd", "submit"));

	if (status != EX_OK)
		return status;
	while ((r = cli_next(&s->call, &line)) == 1)
		json_decref(line);
	return r < 0 ? s->call.status : EX_OK;
}

static int
submit(struct sending *s)
{
	int status = open_session(s);

	if (status != EX_OK)
		return status;
	converse(s);
	return s->status;
}

/* Who speaks SMTP gets the refusal in its words too. */
static int
talk_smtp(struct sending *s)
{
	struct err e = ERR_INIT;
	int status = open_session(s);

	if (status != EX_OK) {
		printf("421 4.3.2 The node does not answer, try later\r\n");
		return fflush(stdout) == 0 ? status : EX_IOERR;
	}
	if (talk(s->call.fd, &s->call.in, &e) < 0)
		return cli_fail(s->cli, EX_TEMPFAIL, "%s", e.text);
	return EX_OK;
}

int
cmd_send(struct cli *cli, int argc, char **argv)
{
	struct sending s = { .cli = cli, .call = { .fd = -1 },
	    .status = EX_TEMPFAIL };
	int status;

	signal(SIGPIPE, SIG_IGN);
	who_am_i(&s);
	status = get_options(&s, argc, argv);
	if (status == EX_OK && s.talk)
		status = talk_smtp(&s);
	else if (status == EX_OK) {
		status = make_message(&s, argc, argv);
		if (status == EX_OK)
			status = submit(&s);
	}
	cli_hang_up(&s.call);
	sendmail_free(s.mail);
	if (s.content != NULL)
		fclose(s.content);
	free(s.domain);
	free(s.from);
	free(s.name);
	return status;
}
