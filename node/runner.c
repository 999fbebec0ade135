/* SPDX-License-Identifier: ISC */
/*
 * The daemon's side of the transport contract, over a child of node/child.h.
 * What it said is taken to the last octet before its end is told.
 */
#include "node/runner.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "node/child.h"
#include "transports/lines.h"
#include "transports/report.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#define READ_STEP 65536
#define DRAIN_MAX (1U << 21)	/* more than any pipe holds */
#define UNREAD_MAX 65536	/* answers that the child does not read */
#define SAID_BURST 100		/* lines logged at once, */
#define SAID_PER_SEC 2		/* and later each second */
#define SAID_TEXT_MAX 1000
#define COMPLAINT_MAX 300
#define FREE_GRACE_MS 500

enum stop_step { STOP_NOT, STOP_ASKED, STOP_TERM, STOP_KILL };

struct stream {
	struct runner *runner;
	const char *name;
	int fd;
	struct event *ev;
	struct lines lines;
	void (*line)(struct runner *r, struct slice line);
};

struct runner {
	struct event_base *base;
	struct log *log;
	char *peer, *lane;		/* lane: its name, or NULL */
	struct runner_hooks hooks;
	struct overflow *overflow;	/* while it runs */
	char *in_dir;			/* while it runs */
	bool over;			/* it was killed for that */
	struct child child;
	struct stream out, err;
	int commands_fd;	/* -1: closed */
	struct event *ev_commands;
	struct buf commands;	/* not yet written */
	struct event *ev_grace;
	enum stop_step stop;
	unsigned grace_secs;
	bool more;		/* "more" stands in commands, unwritten */
	unsigned said;		/* lines that may still be logged now */
	int64_t said_ms;
	uint64_t unsaid;
	char *complaint;	/* its last on standard error, or NULL */
	bool noted;		/* it has told what it does otherwise */
};

static const enum runner_report reports[] = {
	[REPORT_SENDING] = RUNNER_SENDING,
	[REPORT_SENT] = RUNNER_SENT,
	[REPORT_RECEIVED] = RUNNER_RECEIVED,
	[REPORT_FAILED_TEMPORARY] = RUNNER_FAILED_TEMPORARY,
	[REPORT_FAILED_PERMANENT] = RUNNER_FAILED_PERMANENT,
	[REPORT_RETURNED_TEMPORARY] = RUNNER_RETURNED_TEMPORARY,
	[REPORT_RETURNED_PERMANENT] = RUNNER_RETURNED_PERMANENT,
	[REPORT_NOTE] = RUNNER_NOTE,
};

_Static_assert(sizeof(reports) / sizeof(reports[0]) == REPORT_PROGRESS &&
    REPORT_PROGRESS + 1 == REPORT_KINDS,
    "a runner_report for each kind of report but progress");

static struct event *
new_event(struct runner *r, int fd, short what, event_callback_fn fn,
    void *ctx)
{
	struct event *ev = event_new(r->base, fd, what, fn, ctx);

	if (ev == NULL)
		abort();
	return ev;
}

static void
free_event(struct event **ev)
{
	if (*ev != NULL)
		event_free(*ev);
	*ev = NULL;
}

static void
close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* What the child says. */

/* Whether one more line may be logged now: a flood must not fill the log. */
static bool
may_say(struct runner *r)
{
	int64_t now = clock_mono_ms(clock_real());
	int64_t more = (now - r->said_ms) * SAID_PER_SEC / 1000;

	if (more > 0) {
		r->said_ms = now;
		r->said = more >= SAID_BURST - (int64_t)r->said ? SAID_BURST :
		    r->said + (unsigned)more;
	}
	if (r->said == 0) {
		r->unsaid++;
		return false;
	}
	r->said--;
	return true;
}

static void
tell_unsaid(struct runner *r)
{
	if (r->unsaid > 0)
		log_event(r->log, LOG_LEVEL_WARNING, "transport-said",
		    "peer", r->peer, "left-out", num_str(r->unsaid).s,
		    "transport", r->lane, NULL);
	r->unsaid = 0;
}

static void
log_said(struct runner *r, enum log_level level, const char *stream,
    struct slice line, const char *why)
{
	struct buf text = BUF_INIT;

	if (!may_say(r))
		return;
	tell_unsaid(r);
	text_escape(&text, line, SAID_TEXT_MAX, true);
	log_event(r->log, level, "transport-said", "peer", r->peer,
	    "stream", stream, "text", buf_cstr(&text), "reason", why,
	    "transport", r->lane, NULL);
	buf_release(&text);
}

static void
take_report(struct runner *r, struct slice line)
{
	struct buf text = BUF_INIT;
	struct err e = ERR_INIT;
	struct report report;
	char *name;

	if (report_parse(line, &report, &e) < 0) {
		log_said(r, LOG_LEVEL_WARNING, "stdout", line, e.text);
		return;
	}
	if (report.kind == REPORT_PROGRESS) {
		if (r->hooks.progress != NULL)
			r->hooks.progress(r->hooks.ctx, &report.progress);
		return;
	}
	text_escape(&text, report.text, REPORT_LINE_MAX, true);
	name = slice_dup(report.name);
	r->noted |= report.kind == REPORT_NOTE;
	r->hooks.report(r->hooks.ctx, reports[report.kind], name,
	    buf_cstr(&text), report.done, report.total);
	free(name);
	buf_release(&text);
}

static void
take_complaint(struct runner *r, struct slice line)
{
	struct buf text = BUF_INIT;

	if (line.len == 0)
		return;
	log_said(r, LOG_LEVEL_INFO, "stderr", line, NULL);
	text_escape(&text, line, COMPLAINT_MAX, true);
	free(r->complaint);
	r->complaint = mem_strdup(buf_cstr(&text));
	buf_release(&text);
}

static void
take_lines(struct stream *s)
{
	struct slice line;
	int rc;

	while ((rc = lines_next(&s->lines, &line)) != 0) {
		if (rc > 0)
			s->line(s->runner, line);
		else
			log_said(s->runner, LOG_LEVEL_WARNING, s->name, line,
			    "the line is too long");
	}
}

/* More than zero: so many octets came; 0: the end; negative: nothing now. */
static ssize_t
stream_read(struct stream *s)
{
	char *bytes = mem_alloc(1, READ_STEP);
	ssize_t n;

	do {
		n = read(s->fd, bytes, READ_STEP);
	} while (n < 0 && errno == EINTR);
	if (n > 0) {
		lines_add(&s->lines, bytes, (size_t)n);
		take_lines(s);
	}
	free(bytes);
	return n < 0 && errno != EAGAIN ? 0 : n;
}

static void
stream_readable(evutil_socket_t fd, short what, void *ctx)
{
	struct stream *s = ctx;

	(void)fd;
	(void)what;
	/* At its end only the watching ends: the exit comes by itself. */
	if (stream_read(s) == 0)
		event_del(s->ev);
}

static void
stream_open(struct runner *r, struct stream *s, int fd)
{
	s->fd = fd;
	lines_clear(&s->lines);
	s->ev = new_event(r, fd, EV_READ | EV_PERSIST, stream_readable, s);
	event_add(s->ev, NULL);
}

/* Takes what is still in the pipe. */
static void
stream_finish(struct stream *s)
{
	struct slice line;
	size_t got = 0;
	ssize_t n;

	while (got < DRAIN_MAX && (n = stream_read(s)) > 0)
		got += (size_t)n;
	if (lines_last(&s->lines, &line) == 1)
		s->line(s->runner, line);
	free_event(&s->ev);
	close_fd(&s->fd);
	lines_clear(&s->lines);
}

/* What the child is told. */

static void
commands_end(struct runner *r)
{
	free_event(&r->ev_commands);
	close_fd(&r->commands_fd);
	buf_clear(&r->commands);
	r->more = false;
}

static void
commands_write(struct runner *r)
{
	while (r->commands.len > 0) {
		ssize_t n = write(r->commands_fd, r->commands.ptr,
		    r->commands.len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			event_add(r->ev_commands, NULL);
			return;
		}
		if (n < 0) {
			commands_end(r);
			return;
		}
		buf_consume(&r->commands, (size_t)n);
	}
	r->more = false;
	if (r->stop != STOP_NOT)
		commands_end(r);
}

static void
commands_writable(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd;
	(void)what;
	commands_write(ctx);
}

void
runner_more(struct runner *r)
{
	if (r->commands_fd < 0 || r->more || r->stop != STOP_NOT)
		return;
	buf_adds(&r->commands, "more\n");
	r->more = true;
	commands_write(r);
}

void
runner_answer(struct runner *r, const char *word, const char *name)
{
	if (r->commands_fd < 0 || r->stop != STOP_NOT ||
	    r->commands.len > UNREAD_MAX)
		return;
	buf_addf(&r->commands, "%s %s\n", word, name);
	commands_write(r);
}

/* The end of the child. */

static void
forget_child(struct runner *r)
{
	child_forget(&r->child);
	free_event(&r->ev_grace);
	commands_end(r);
	r->stop = STOP_NOT;
	overflow_stop(r->overflow);
	r->overflow = NULL;
	if (r->over)
		overflow_clean(r->in_dir);
	r->over = false;
	free(r->in_dir);
	r->in_dir = NULL;
}

static void
in_bounds(void *ctx, struct overflow_bounds *bounds_out)
{
	const struct runner *r = ctx;

	r->hooks.bounds(r->hooks.ctx, bounds_out);
}

/* No grace: until that is over the disk may be full. */
static void
in_overflows(void *ctx, const char *why, uint64_t octets)
{
	struct runner *r = ctx;

	log_event(r->log, LOG_LEVEL_WARNING, "transport-ended", "peer",
	    r->peer, "reason", why, "octets", num_str(octets).s,
	    "transport", r->lane, NULL);
	r->over = true;
	child_kill(&r->child, SIGKILL);
}

static void
child_ended(void *ctx, bool ours)
{
	struct runner *r = ctx;
	char text[32] = "reaped by another", *complaint;
	int status = -1;

	if (ours)
		status = child_reap(&r->child, text, sizeof(text));
	stream_finish(&r->out);
	stream_finish(&r->err);
	tell_unsaid(r);
	forget_child(r);
	/* hooks.exited may start it again. */
	complaint = r->complaint;
	r->complaint = NULL;
	r->hooks.exited(r->hooks.ctx, status, status > 0 && text[0] == '\0' &&
	    complaint != NULL && !r->noted ? complaint : text);
	free(complaint);
}

static void
grace_over(evutil_socket_t fd, short what, void *ctx)
{
	struct runner *r = ctx;
	struct timeval grace = { r->grace_secs, 0 };

	(void)fd;
	(void)what;
	if (r->stop == STOP_ASKED) {
		r->stop = STOP_TERM;
		child_kill(&r->child, SIGTERM);
		event_add(r->ev_grace, &grace);
	} else {
		r->stop = STOP_KILL;
		child_kill(&r->child, SIGKILL);
	}
}

void
runner_stop(struct runner *r, unsigned grace_secs)
{
	struct timeval grace = { grace_secs, 0 };

	if (r->child.pid == 0 || r->stop != STOP_NOT)
		return;
	r->stop = STOP_ASKED;
	r->grace_secs = grace_secs;
	r->ev_grace = new_event(r, -1, EV_TIMEOUT, grace_over, r);
	event_add(r->ev_grace, &grace);
	if (r->commands_fd >= 0) {
		buf_adds(&r->commands, "stop\n");
		commands_write(r);
	}
}

/* The start of the child. */

struct pipes {
	int in[2], out[2], err[2];
};

static void
pipes_close(struct pipes *p)
{
	close_fd(&p->in[0]);
	close_fd(&p->in[1]);
	close_fd(&p->out[0]);
	close_fd(&p->out[1]);
	close_fd(&p->err[0]);
	close_fd(&p->err[1]);
}

/* Only our ends do not wait: the child's are other open files. */
static int
pipes_open(struct pipes *p, struct err *e)
{
	*p = (struct pipes){ { -1, -1 }, { -1, -1 }, { -1, -1 } };
	if (pipe2(p->in, O_CLOEXEC) < 0 || pipe2(p->out, O_CLOEXEC) < 0 ||
	    pipe2(p->err, O_CLOEXEC) < 0 ||
	    fcntl(p->in[1], F_SETFL, O_NONBLOCK) < 0 ||
	    fcntl(p->out[0], F_SETFL, O_NONBLOCK) < 0 ||
	    fcntl(p->err[0], F_SETFL, O_NONBLOCK) < 0)
		return err_errno(e, "cannot make pipes");
	return 0;
}

static void
add_arg(char **argv, size_t *n, const char *text)
{
	argv[(*n)++] = mem_strdup(text);
}

static char **
arguments(const struct runner *r, const char *program, const char *out_dir,
    const char *in_dir, char *const *set, size_t nset)
{
	char **argv = mem_alloc(8 + 2 * nset, sizeof(*argv));
	size_t n = 0;

	add_arg(argv, &n, program);
	add_arg(argv, &n, "--peer");
	add_arg(argv, &n, r->peer);
	add_arg(argv, &n, "--out");
	add_arg(argv, &n, out_dir);
	add_arg(argv, &n, "--in");
	add_arg(argv, &n, in_dir);
	for (size_t i = 0; i < nset; i++) {
		add_arg(argv, &n, "--set");
		add_arg(argv, &n, set[i]);
	}
	return argv;
}

static void
free_texts(char **texts)
{
	for (size_t i = 0; texts[i] != NULL; i++)
		free(texts[i]);
	free(texts);
}

static int
take_end(int *end)
{
	int fd = *end;

	*end = -1;
	return fd;
}

static void
watch(struct runner *r, struct pipes *p)
{
	struct overflow_hooks hooks = { r, in_bounds, in_overflows };

	r->commands_fd = take_end(&p->in[1]);
	r->ev_commands = new_event(r, r->commands_fd, EV_WRITE,
	    commands_writable, r);
	stream_open(r, &r->out, take_end(&p->out[0]));
	stream_open(r, &r->err, take_end(&p->err[0]));
	r->said = SAID_BURST;
	r->said_ms = clock_mono_ms(clock_real());
	child_watch(&r->child, r->base, child_ended, r);
	if (r->hooks.bounds != NULL)
		r->overflow = overflow_start(r->base, r->in_dir, &hooks);
}

int
runner_start(struct runner *r, const char *program, const char *out_dir,
    const char *in_dir, char *const *set, size_t nset, int secret_fd,
    struct err *e)
{
	struct pipes p;
	char **argv;
	int rc;

	if (r->child.pid != 0)
		return err_set(e, ERR_STATE, "the transport of %s is running",
		    r->peer);
	rc = pipes_open(&p, e);
	if (rc == 0) {
		argv = arguments(r, program, out_dir, in_dir, set, nset);
		rc = child_start(&r->child, argv, (const int[]){ p.in[0],
		    p.out[1], p.err[1], secret_fd }, e);
		if (rc == 0) {
			r->in_dir = mem_strdup(in_dir);
			r->noted = false;
			watch(r, &p);
		}
		free_texts(argv);
	}
	pipes_close(&p);
	return rc;
}

bool
runner_running(const struct runner *r)
{
	return r->child.pid != 0;
}

bool
runner_stopping(const struct runner *r)
{
	return r->stop != STOP_NOT;
}

static void
stream_init(struct runner *r, struct stream *s, const char *name,
    void (*line)(struct runner *, struct slice))
{
	s->runner = r;
	s->name = name;
	s->line = line;
	s->fd = -1;
	lines_init(&s->lines, REPORT_LINE_MAX);
}

struct runner *
runner_new(struct event_base *base, struct log *log, const char *peer,
    const char *lane, const struct runner_hooks *hooks)
{
	struct runner *r = mem_alloc(1, sizeof(*r));

	r->base = base;
	r->log = log;
	r->peer = mem_strdup(peer);
	r->lane = lane != NULL ? mem_strdup(lane) : NULL;
	r->hooks = *hooks;
	r->child = (struct child)CHILD_INIT;
	r->commands_fd = -1;
	buf_init(&r->commands);
	stream_init(r, &r->out, "stdout", take_report);
	stream_init(r, &r->err, "stderr", take_complaint);
	return r;
}

static void
stream_release(struct stream *s)
{
	free_event(&s->ev);
	close_fd(&s->fd);
	lines_release(&s->lines);
}

void
runner_free(struct runner *r)
{
	if (r == NULL)
		return;
	if (r->child.pid != 0)
		child_end(&r->child, FREE_GRACE_MS);
	forget_child(r);
	stream_release(&r->out);
	stream_release(&r->err);
	buf_release(&r->commands);
	free(r->complaint);
	free(r->peer);
	free(r->lane);
	free(r);
}
