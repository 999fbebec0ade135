/* SPDX-License-Identifier: ISC */
/*
 * Delivery to a command.  No shell is near: the template is split at blanks
 * when the agent is made, macros are filled in behind that, so nothing that a
 * stranger wrote can become a word of its own.  What begins with "-" because
 * a stranger wrote it could be an option all the same: it goes only behind a
 * "--" of the template, or the recipient fails.
 *
 * One run is for as many recipients as the template has room for: all of the
 * job (100 at most), or one where it asks for parts of a recipient.  The
 * command gets the content on its standard input; what it says is kept for
 * the notice and the log; its exit status decides (sysexits.h).
 */
#include "node/delivery_agent.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/text.h"
#include "node/child.h"
#include "smtp/address.h"

#define RUN_RCPT_MAX 100
#define SAID_MAX 400		/* octets of what it says that are kept */
#define PIPE_OCTETS 65536	/* of them that are read at once */
#define TURN_OCTETS (256 << 10)
#define GRACE_SECS 5		/* between SIGTERM and SIGKILL */
#define END_GRACE_MS 500

struct command {
	struct delivery *agent;
	struct event *turn;
	char **word;		/* of the template */
	size_t nwords;
	bool single;		/* a run is for one recipient */
	struct list waiting;	/* tasks */
	struct list runs;
	size_t nruns;
};

struct run {
	struct list link;
	struct command *command;
	struct delivery_task *task;
	size_t first, n;	/* of the job's recipients */
	struct child child;
	int in, out;		/* our ends of its pipes; -1: closed */
	struct event *writable, *readable, *deadline;
	struct spool_body *body;
	struct buf unsent, piece, said;
	bool held_cr, at_end, late, damaged;
	struct err e;
};

/*
 * Arguments.
 */

static const char *
sender_of(const struct command *c, const struct message *m)
{
	return m->env.sender != NULL && m->env.sender[0] != '\0' ?
	    m->env.sender : c->agent->null_sender;
}

/* One macro of a word. */
static void
expand_macro(const struct command *c, const struct message *m,
    const char *rcpt, char macro, struct buf *out)
{
	switch (macro) {
	case 's':
		buf_adds(out, sender_of(c, m));
		break;
	case 'r':
		buf_adds(out, rcpt);
		break;
	case 'u':
		buf_addslice(out, address_local(rcpt));
		break;
	case 'd':
		buf_addslice(out, address_domain(rcpt));
		break;
	case 'i':
		buf_adds(out, message_name(m->id).s);
		break;
	case 'h':
		buf_adds(out, c->agent->hostname);
		break;
	default:	/* %%; the configuration knows no other */
		buf_addc(out, macro);
		break;
	}
}

static char *
expand_word(const struct command *c, const struct message *m,
    const char *rcpt, const char *word)
{
	struct buf out = BUF_INIT;

	for (; *word != '\0'; word++) {
		if (word[0] == '%' && word[1] != '\0')
			expand_macro(c, m, rcpt, *++word, &out);
		else
			buf_addc(&out, *word);
	}
	return buf_steal(&out);
}

static bool
has_macro(const char *word, const char *macros)
{
	for (; *word != '\0'; word++) {
		if (word[0] != '%' || word[1] == '\0')
			continue;
		if (strchr(macros, *++word) != NULL)
			return true;
	}
	return false;
}

static const char *
rcpt_of(const struct delivery_task *t, size_t i)
{
	return t->msg.env.rcpt[t->job->rcpt[i]].address;
}

/* NULL where a stranger's dash would stand for an option. */
static char **
arguments(const struct run *r)
{
	const struct command *c = r->command;
	char **argv = mem_alloc(c->nwords * r->n + 1, sizeof(*argv));
	bool behind = false, good = true;
	size_t n = 0;

	for (size_t i = 0; i < c->nwords; i++) {
		const char *word = c->word[i];
		size_t times = has_macro(word, "rud") ? r->n : 1;

		for (size_t k = 0; k < times; k++) {
			argv[n] = expand_word(c, &r->task->msg,
			    rcpt_of(r->task, r->first + k), word);
			good = good && (behind || word[0] != '%' ||
			    argv[n][0] != '-');
			n++;
		}
		behind = behind || strcmp(word, "--") == 0;
	}
	if (good)
		return argv;
	while (n > 0)
		free(argv[--n]);
	free(argv);
	return NULL;
}

/* A dash in front of some recipients must not cost the others: those go
 * alone, and so does everybody where the sender has one. */
static bool
goes_alone(const struct command *c, const struct delivery_task *t, size_t i)
{
	return c->single || rcpt_of(t, i)[0] == '-';
}

/*
 * Outcomes.
 */

/* As Postfix maps them (RFC 3463). */
static const char *
status_of_exit(int status)
{
	static const struct { int exit; const char *status; } table[] = {
		{ EX_OK, "2.0.0" }, { EX_DATAERR, "5.6.0" },
		{ EX_NOUSER, "5.1.1" }, { EX_NOHOST, "5.1.2" },
		{ EX_CANTCREAT, "5.2.0" }, { EX_TEMPFAIL, "4.3.0" },
		{ EX_PROTOCOL, "5.5.0" }, { EX_NOPERM, "5.7.0" },
		{ EX_CONFIG, "5.3.5" },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (table[i].exit == status)
			return table[i].status;
	return "5.3.0";
}

static void
tell_run(struct run *r, enum delivery_outcome outcome, const char *status,
    const char *text)
{
	struct delivery_task *t = r->task;

	for (size_t i = 0; i < r->n; i++)
		delivery_task_tell(t, r->first + i, outcome, status, text);
}

/* A command may hand mail on, to whom nobody knows. */
static enum delivery_outcome
taken_outcome(const struct run *r)
{
	return r->command->agent->final ? DELIVERY_DONE : DELIVERY_RELAYED;
}

static void
tell_exit(struct run *r, int status, const char *signal_name)
{
	struct buf said = BUF_INIT;
	char text[1024];
	int n;

	for (size_t i = 0; i < r->said.len; i++)
		if (r->said.ptr[i] == '\n' || r->said.ptr[i] == '\r')
			r->said.ptr[i] = ' ';
	text_escape(&said, slice_trim(buf_slice(&r->said)), SAID_MAX, true);
	n = status < 0 ? snprintf(text, sizeof(text), "%s was ended by %s",
	    r->command->word[0], signal_name) : snprintf(text, sizeof(text),
	    "%s exited with %d", r->command->word[0], status);
	if (said.len > 0 && n > 0 && (size_t)n < sizeof(text))
		snprintf(text + n, sizeof(text) - (size_t)n, ": %s",
		    buf_cstr(&said));
	buf_release(&said);
	if (status < 0)
		tell_run(r, DELIVERY_RETRY, "4.3.0", text);
	else
		tell_run(r, status == EX_OK ? taken_outcome(r) :
		    status == EX_TEMPFAIL ? DELIVERY_RETRY : DELIVERY_FAILED,
		    status_of_exit(status), text);
}

static void
turn_soon(struct command *c)
{
	static const struct timeval now = { 0, 0 };

	if (!evtimer_pending(c->turn, NULL))
		evtimer_add(c->turn, &now);
}

static void
close_end(int *fd, struct event **ev)
{
	if (*ev != NULL)
		event_free(*ev);
	*ev = NULL;
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* Leaves the task alone. */
static void
run_free(struct run *r)
{
	if (r->child.pid != 0)
		child_end(&r->child, END_GRACE_MS);
	child_forget(&r->child);
	close_end(&r->in, &r->writable);
	close_end(&r->out, &r->readable);
	event_free(r->deadline);
	spool_body_close(r->body);
	buf_release(&r->unsent);
	buf_release(&r->piece);
	buf_release(&r->said);
	list_del(&r->link);
	r->command->nruns--;
	free(r);
}

/* The task goes on with its next recipients, or is over. */
static void
run_over(struct run *r)
{
	struct command *c = r->command;
	struct delivery_task *t = r->task;

	run_free(r);
	if (t->ntold == t->job->nrcpt)
		delivery_task_over(t);
	else
		list_add_head(&c->waiting, &t->link);
	turn_soon(c);
}

/*
 * A run.
 */

/* No more than a pipe holds at once: one that never stops talking must not
 * have the daemon for itself. */
static void
take_said(struct run *r)
{
	char bytes[4096];
	size_t got = 0;
	ssize_t n = 0;

	while (got < PIPE_OCTETS && ((n = read(r->out, bytes,
	    sizeof(bytes))) > 0 || (n < 0 && errno == EINTR))) {
		size_t room = SAID_MAX * 2 - r->said.len;

		if (n < 0)
			continue;
		got += (size_t)n;
		buf_add(&r->said, bytes, (size_t)n < room ? (size_t)n : room);
	}
	if (n == 0)
		close_end(&r->out, &r->readable);
}

static void
said_something(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	take_said(arg);
}

static void
ended(void *arg, bool ours)
{
	struct run *r = arg;
	char text[64] = "another";
	int status = -1;

	if (ours)
		status = child_reap(&r->child, text, sizeof(text));
	r->child.pid = 0;
	if (r->out >= 0)
		take_said(r);
	if (r->damaged) {
		const char *code, *words;
		enum delivery_outcome o;

		o = delivery_spool_outcome(&r->e, &code, &words);
		tell_run(r, o, code, words);
	} else if (r->late) {
		tell_run(r, DELIVERY_RETRY, "4.3.0", "the command did not "
		    "end within its deadline");
	} else {
		tell_exit(r, status, text);
	}
	run_over(r);
}

static void
too_late(evutil_socket_t fd, short what, void *arg)
{
	struct timeval grace = { GRACE_SECS, 0 };
	struct run *r = arg;

	(void)fd;
	(void)what;
	child_kill(&r->child, r->late ? SIGKILL : SIGTERM);
	r->late = true;
	evtimer_add(r->deadline, &grace);
}

/* The next piece of the content; 0 at its end, negative if it is damaged. */
static int
next_piece(struct run *r)
{
	int rc;

	buf_clear(&r->piece);
	rc = spool_body_read(r->body, &r->piece, &r->e);
	if (rc < 0)
		return rc;
	if (r->command->agent->crlf)
		buf_addslice(&r->unsent, buf_slice(&r->piece));
	else
		delivery_add_lf(&r->held_cr, &r->unsent, r->piece.ptr,
		    r->piece.len);
	if (rc == 0 && r->held_cr)
		buf_addc(&r->unsent, '\r');
	r->at_end = rc == 0;
	return 0;
}

/* Writes what there is.  What the command does not want to read is its own
 * matter: its exit status tells. */
static void
feed(struct run *r)
{
	size_t sent = 0;
	ssize_t n;

	while (sent < TURN_OCTETS) {
		if (r->unsent.len == 0 && r->at_end) {
			close_end(&r->in, &r->writable);
			return;
		}
		if (r->unsent.len == 0 && next_piece(r) < 0) {
			/* Before it could take what it has for all. */
			r->damaged = true;
			child_kill(&r->child, SIGKILL);
			close_end(&r->in, &r->writable);
			return;
		}
		if (r->unsent.len == 0)
			continue;
		n = write(r->in, r->unsent.ptr, r->unsent.len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN) {
			close_end(&r->in, &r->writable);
			return;
		}
		if (n < 0)
			break;
		buf_consume(&r->unsent, (size_t)n);
		sent += (size_t)n;
	}
	event_add(r->writable, NULL);
}

static void
room_again(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	feed(arg);
}

static int
open_pipes(int in[2], int out[2], struct err *e)
{
	in[0] = in[1] = out[0] = out[1] = -1;
	if (pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0 ||
	    fcntl(in[1], F_SETFL, O_NONBLOCK) < 0 ||
	    fcntl(out[0], F_SETFL, O_NONBLOCK) < 0)
		return err_errno(e, "cannot make pipes");
	return 0;
}

static void
close_pipe(int fd)
{
	if (fd >= 0)
		close(fd);
}

static int
spawn(struct run *r, char *const *argv, struct err *e)
{
	int in[2], out[2], rc;

	rc = open_pipes(in, out, e);
	if (rc == 0)
		rc = child_start(&r->child, argv, (const int[]){ in[0],
		    out[1], out[1], -1 }, e);
	close_pipe(in[0]);
	close_pipe(out[1]);
	if (rc < 0) {
		close_pipe(in[1]);
		close_pipe(out[0]);
		return rc;
	}
	r->in = in[1];
	r->out = out[0];
	return 0;
}

static void
watch(struct run *r)
{
	struct delivery *a = r->command->agent;
	struct timeval limit = { (time_t)a->deadline_secs, 0 };

	r->writable = event_new(a->base, r->in, EV_WRITE, room_again, r);
	r->readable = event_new(a->base, r->out, EV_READ | EV_PERSIST,
	    said_something, r);
	event_add(r->readable, NULL);
	evtimer_add(r->deadline, &limit);
	child_watch(&r->child, a->base, ended, r);
}

static void
free_texts(char **texts)
{
	for (size_t i = 0; texts != NULL && texts[i] != NULL; i++)
		free(texts[i]);
	free(texts);
}

/* 0; -1: the recipients were told why not. */
static int
run_start(struct run *r)
{
	struct delivery_task *t = r->task;
	struct err e = ERR_INIT;
	char **argv = arguments(r);
	const char *status, *text;
	enum delivery_outcome o;
	int rc = -1;

	if (argv == NULL) {
		tell_run(r, DELIVERY_FAILED, "5.1.3", "an address that "
		    "begins with a dash cannot be given to this command");
	} else if (spool_body_open(t->agent->hooks.spool, t->job->message,
	    &r->body, &e) < 0) {
		o = delivery_spool_outcome(&e, &status, &text);
		tell_run(r, o, status, text);
	} else if (spawn(r, argv, &e) < 0) {
		tell_run(r, DELIVERY_RETRY, "4.3.5", e.text);
	} else {
		delivery_head(t, &r->unsent);
		watch(r);
		rc = 0;
	}
	free_texts(argv);
	return rc;
}

static void
run_new(struct command *c, struct delivery_task *t)
{
	struct run *r = mem_alloc(1, sizeof(*r));

	r->command = c;
	r->task = t;
	r->child = (struct child)CHILD_INIT;
	r->in = r->out = -1;
	r->deadline = evtimer_new(c->agent->base, too_late, r);
	r->first = t->next++;
	r->n = 1;
	while (!goes_alone(c, t, r->first) && r->n < RUN_RCPT_MAX &&
	    t->next < t->job->nrcpt && !goes_alone(c, t, t->next)) {
		t->next++;
		r->n++;
	}
	list_add_tail(&c->runs, &r->link);
	c->nruns++;
	if (run_start(r) < 0)
		run_over(r);
	else
		feed(r);
}

static void
turn(evutil_socket_t fd, short what, void *arg)
{
	struct command *c = arg;
	struct delivery_task *t;

	(void)fd;
	(void)what;
	while (c->nruns < c->agent->connections && !list_empty(&c->waiting)) {
		t = list_entry(c->waiting.next, struct delivery_task, link);
		list_del(&t->link);
		if (delivery_task_load(t) == 0)
			run_new(c, t);
	}
}

/*
 * The agent.
 */
static void
split_template(struct command *c, const char *text)
{
	size_t len;

	for (;;) {
		text += strspn(text, " \t");
		len = strcspn(text, " \t");
		if (len == 0)
			return;
		c->word = mem_realloc(c->word, c->nwords + 1, sizeof(char *));
		c->word[c->nwords++] = mem_strndup(text, len);
		text += len;
	}
}

static void *
command_new(struct delivery *a)
{
	struct command *c = mem_alloc(1, sizeof(*c));

	c->agent = a;
	c->turn = evtimer_new(a->base, turn, c);
	list_init(&c->waiting);
	list_init(&c->runs);
	split_template(c, a->target);
	for (size_t i = 0; i < c->nwords; i++)
		c->single = c->single || has_macro(c->word[i], "ud") ||
		    (has_macro(c->word[i], "r") &&
		    strcmp(c->word[i], "%r") != 0);
	return c;
}

static void
command_free(void *self)
{
	struct command *c = self;

	while (!list_empty(&c->runs))
		run_free(list_entry(c->runs.next, struct run, link));
	event_free(c->turn);
	for (size_t i = 0; i < c->nwords; i++)
		free(c->word[i]);
	free(c->word);
	free(c);
}

static void
command_start(void *self, struct delivery_task *t)
{
	struct command *c = self;

	list_add_tail(&c->waiting, &t->link);
	turn_soon(c);
}

const struct delivery_driver delivery_command = {
	.name = "command",
	.make = command_new,
	.free = command_free,
	.start = command_start,
};
