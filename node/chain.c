/* SPDX-License-Identifier: ISC */
/*
 * Chains of commands.  Input and output of a command are plain files, never
 * pipes through us: so nothing has to be pumped, a command may seek, and the
 * limit on what it writes is the system's (RLIMIT_FSIZE), which no command is
 * too fast for.
 */
#include "node/chain.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "node/child.h"
#include "transports/program.h"

#define SAID_MAX 400		/* octets of what it says that are kept */
#define DRAIN_MAX (1U << 20)	/* more than any pipe holds */
#define GRACE_SECS 5		/* between SIGTERM and SIGKILL */
#define END_GRACE_MS 500
#define LOOK_SECS 1		/* between two looks at disk and size */

struct chain {
	struct event_base *base;
	struct log *log;
	struct conf_strings commands;
	const char *which;
	char *peer, *name, *stem;
	uint64_t deadline_secs, octets_max;
	bool (*room)(void *ctx);
	void *ctx;
	chain_done *done;
	size_t at;			/* of the command that runs */
	char *in, *out;			/* its files */
	char *program;
	struct child child;
	int said_fd;
	struct event *readable, *deadline, *look, *soon;
	struct buf said;
	uint64_t unsaid;		/* octets that were too many */
	bool late, full, large;
};

/*
 * Commands.
 */
int
chain_check(const char *command, struct err *e)
{
	char **words;
	const char *p;
	int rc = program_split(command, &words, e);

	if (rc < 0)
		return rc;
	if (words[0][0] != '/')
		rc = err_set(e, ERR_SYNTAX, "the path of a program must begin "
		    "with /: no shell and no PATH is asked for it");
	else if (strchr(words[0], '%') != NULL)
		rc = err_set(e, ERR_SYNTAX, "no %% in the path of a program");
	program_words_free(words);
	for (p = command; rc == 0 && (p = strchr(p, '%')) != NULL; p += 2)
		if (p[1] == '\0' || strchr("ionp%", p[1]) == NULL)
			rc = err_set(e, ERR_SYNTAX, "a %% stands before i "
			    "(input), o (output), n (name), p (peer) or "
			    "another %%");
	return rc;
}

char *
chain_program(const char *command)
{
	char **words, *program;

	if (program_split(command, &words, NULL) < 0)
		return mem_strdup("");
	program = mem_strdup(words[0]);
	program_words_free(words);
	return program;
}

static bool
names(char *const *words, char macro)
{
	for (size_t i = 0; words[i] != NULL; i++)
		for (const char *p = words[i]; (p = strchr(p, '%')) != NULL &&
		    p[1] != '\0'; p += 2)
			if (p[1] == macro)
				return true;
	return false;
}

/* The other end chose it: nothing in it may mean something to a program. */
static void
add_name(struct buf *out, const char *name)
{
	for (size_t i = 0; name[i] != '\0'; i++) {
		char c = ascii_tolower(name[i]);
		bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');

		buf_addc(out, plain || (i > 0 && strchr("-._~", c) != NULL) ?
		    name[i] : '_');
	}
}

static char *
expand(const struct chain *c, const char *word)
{
	struct buf out = BUF_INIT;

	for (; *word != '\0'; word++) {
		if (word[0] != '%' || word[1] == '\0') {
			buf_addc(&out, *word);
			continue;
		}
		switch (*++word) {
		case 'i':
			buf_adds(&out, c->in);
			break;
		case 'o':
			buf_adds(&out, c->out);
			break;
		case 'n':
			add_name(&out, c->name);
			break;
		case 'p':
			buf_adds(&out, c->peer);
			break;
		default:	/* %%: chain_check knows no other */
			buf_addc(&out, *word);
			break;
		}
	}
	return buf_steal(&out);
}

/*
 * The end.
 */
static void
tell(struct chain *c, enum chain_end end, const char *path,
    const char *reason)
{
	c->done(c->ctx, end, path, reason);
}

/* Words in front, then what the command said. */
static void
end_chain(struct chain *c, enum chain_end end, const char *what)
{
	struct buf reason = BUF_INIT;

	buf_addf(&reason, "%s %zu (%s) %s", c->which, c->at + 1,
	    path_base(c->program), what);
	if (c->said.len > 0) {
		buf_adds(&reason, ": ");
		text_escape(&reason, buf_slice(&c->said), SAID_MAX, true);
	}
	tell(c, end, NULL, buf_cstr(&reason));
	buf_release(&reason);
}

static void
log_said(struct chain *c)
{
	struct buf text = BUF_INIT;

	while (c->said.len > 0 && c->said.ptr[c->said.len - 1] == ' ')
		buf_truncate(&c->said, c->said.len - 1);
	if (c->said.len == 0)
		return;
	text_escape(&text, buf_slice(&c->said), SAID_MAX, true);
	log_event(c->log, LOG_LEVEL_INFO, "filter-said", "peer", c->peer,
	    "name", c->name, "filter", c->which,
	    "program", c->program, "text", buf_cstr(&text),
	    "left-out", c->unsaid > 0 ? num_str(c->unsaid).s : NULL, NULL);
	buf_release(&text);
}

static void
keep_said(struct chain *c, const char *bytes, size_t len)
{
	size_t i;

	for (i = 0; i < len && c->said.len < SAID_MAX; i++) {
		char ch = bytes[i] == '\n' || bytes[i] == '\r' ? ' ' : bytes[i];

		/* Lines become one, without blanks at its start. */
		if (ch != ' ' || (c->said.len > 0 &&
		    c->said.ptr[c->said.len - 1] != ' '))
			buf_addc(&c->said, ch);
	}
	c->unsaid += len - i;
}

/* Zero: its end; else there may be more. */
static ssize_t
take_said(struct chain *c)
{
	char bytes[4096];
	ssize_t n;

	do
		n = read(c->said_fd, bytes, sizeof(bytes));
	while (n < 0 && errno == EINTR);
	if (n > 0)
		keep_said(c, bytes, (size_t)n);
	return n < 0 && errno != EAGAIN ? 0 : n;
}

static void
said_something(evutil_socket_t fd, short what, void *ctx)
{
	struct chain *c = ctx;

	(void)fd;
	(void)what;
	if (take_said(c) == 0)
		event_del(c->readable);
}

static void
free_event(struct event **ev)
{
	if (*ev != NULL)
		event_free(*ev);
	*ev = NULL;
}

/* All that belongs to the command that has ended. */
static void
forget_command(struct chain *c)
{
	size_t got = 0;
	ssize_t n;

	child_forget(&c->child);
	if (c->said_fd >= 0) {
		while (got < DRAIN_MAX && (n = take_said(c)) > 0)
			got += (size_t)n;
		free_event(&c->readable);
		close(c->said_fd);
	}
	c->said_fd = -1;
	free_event(&c->deadline);
	free_event(&c->look);
}

/* A signal that somebody outside sends; others are a fault of its own. */
static bool
from_outside(const char *signal_name)
{
	static const char *const theirs[] = { "SIGTERM", "SIGKILL", "SIGINT",
		"SIGHUP", "another" };

	for (size_t i = 0; i < sizeof(theirs) / sizeof(theirs[0]); i++)
		if (strcmp(theirs[i], signal_name) == 0)
			return true;
	return false;
}

/* More than it may: the one octet beyond is there, whoever the limit ended. */
static bool
is_large(const struct chain *c)
{
	struct stat st;

	return lstat(c->out, &st) == 0 &&
	    (uint64_t)st.st_size > c->octets_max;
}

/* What is wrong with what it wrote; NULL: nothing. */
static const char *
output_fault(const struct chain *c)
{
	struct stat st;

	if (lstat(c->out, &st) != 0 || (S_ISREG(st.st_mode) &&
	    st.st_size == 0))
		return "ended well and wrote nothing";
	if (!S_ISREG(st.st_mode))
		return "wrote something that is no plain file";
	return NULL;
}

static void	next_command(struct chain *);

/* On to the next one with what this one wrote. */
static void
command_good(struct chain *c)
{
	const char *fault = output_fault(c);

	if (fault != NULL) {
		end_chain(c, CHAIN_FAILED, fault);
		return;
	}
	if (c->at > 0)
		(void)unlink(c->in);
	free(c->in);
	c->in = c->out;
	c->out = NULL;
	c->at++;
	next_command(c);
}

static void
command_bad(struct chain *c, int status, const char *signal_name)
{
	char *what;

	if (c->late) {
		what = mem_printf("did not end within %llu s",
		    (unsigned long long)c->deadline_secs);
		end_chain(c, CHAIN_LATER, what);
	} else if (c->full) {
		what = mem_strdup("needs more space than there is on the "
		    "disk");
		end_chain(c, CHAIN_LATER, what);
	} else if (c->large) {
		what = mem_printf("wrote more than %llu octets",
		    (unsigned long long)c->octets_max);
		end_chain(c, CHAIN_FAILED, what);
	} else if (status < 0) {
		what = mem_printf("was ended by %s", signal_name);
		end_chain(c, from_outside(signal_name) ? CHAIN_LATER :
		    CHAIN_FAILED, what);
	} else {
		what = mem_printf("exited with %d", status);
		end_chain(c, status == EX_TEMPFAIL ? CHAIN_LATER :
		    CHAIN_FAILED, what);
	}
	free(what);
}

static void
ended(void *ctx, bool ours)
{
	struct chain *c = ctx;
	char text[64] = "another";
	int status = -1;

	if (ours)
		status = child_reap(&c->child, text, sizeof(text));
	forget_command(c);
	log_said(c);
	c->large |= is_large(c);
	if (status == 0 && !c->late && !c->full && !c->large)
		command_good(c);
	else
		command_bad(c, status, text);
}

/*
 * One command.
 */
static void
too_late(evutil_socket_t fd, short what, void *ctx)
{
	struct timeval grace = { GRACE_SECS, 0 };
	struct chain *c = ctx;

	(void)fd;
	(void)what;
	child_kill(&c->child, c->late ? SIGKILL : SIGTERM);
	c->late = true;
	evtimer_add(c->deadline, &grace);
}

static void
look(evutil_socket_t fd, short what, void *ctx)
{
	struct chain *c = ctx;

	(void)fd;
	(void)what;
	c->full |= !c->room(c->ctx);
	c->large |= is_large(c);
	if (c->full || c->large)
		child_kill(&c->child, SIGKILL);
}

/* Descriptors 0 to 2 of the command; -1 what could not be opened. */
static int
open_files(struct chain *c, char *const *words, int fd[4], struct err *e)
{
	int said[2];

	fd[0] = open(names(words, 'i') ? "/dev/null" : c->in,
	    O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd[0] < 0)
		return err_errno(e, "%s", c->in);
	if (pipe2(said, O_CLOEXEC) < 0)
		return err_errno(e, "cannot make a pipe");
	c->said_fd = said[0];
	fd[2] = said[1];
	if (fcntl(said[0], F_SETFL, O_NONBLOCK) < 0)
		return err_errno(e, "cannot make a pipe");
	fd[1] = names(words, 'o') ? fcntl(said[1], F_DUPFD_CLOEXEC, 0) :
	    open(c->out, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	return fd[1] < 0 ? err_errno(e, "%s", c->out) : 0;
}

static void
close_files(const int fd[4])
{
	for (int i = 0; i < 3; i++)
		if (fd[i] >= 0)
			close(fd[i]);
}

/* The system ends it where it writes more.  One octet beyond is let through,
 * to be seen. */
static void
limit(const struct chain *c)
{
	struct rlimit size = { c->octets_max + 1, c->octets_max + 1 };
	struct rlimit none = { 0, 0 };

	(void)prlimit(c->child.pid, RLIMIT_FSIZE, &size, NULL);
	(void)prlimit(c->child.pid, RLIMIT_CORE, &none, NULL);
}

static void
watch(struct chain *c)
{
	struct timeval end = { (time_t)c->deadline_secs, 0 };
	struct timeval every = { LOOK_SECS, 0 };

	limit(c);
	c->readable = event_new(c->base, c->said_fd, EV_READ | EV_PERSIST,
	    said_something, c);
	event_add(c->readable, NULL);
	c->deadline = evtimer_new(c->base, too_late, c);
	evtimer_add(c->deadline, &end);
	c->look = event_new(c->base, -1, EV_PERSIST, look, c);
	event_add(c->look, &every);
	child_watch(&c->child, c->base, ended, c);
}

static int
run(struct chain *c, const char *command, struct err *e)
{
	int fd[4] = { -1, -1, -1, -1 }, rc;
	char **words, **argv;
	size_t n = 0;

	rc = program_split(command, &words, e);
	if (rc < 0)
		return rc;
	argv = mem_alloc(PROGRAM_WORDS_MAX + 1, sizeof(*argv));
	for (; words[n] != NULL; n++)
		argv[n] = expand(c, words[n]);
	rc = open_files(c, words, fd, e);
	if (rc == 0)
		rc = child_start(&c->child, argv, fd, e);
	close_files(fd);
	program_words_free(argv);
	program_words_free(words);
	return rc;
}

static void
next_command(struct chain *c)
{
	struct err e = ERR_INIT;
	const char *command;
	struct buf reason = BUF_INIT;

	if (c->at == c->commands.n) {
		tell(c, CHAIN_DONE, c->in, "");
		return;
	}
	command = c->commands.item[c->at];
	free(c->program);
	c->program = chain_program(command);
	c->out = mem_printf("%s.%zu", c->stem, c->at + 1);
	buf_clear(&c->said);
	c->unsaid = 0;
	if (c->room(c->ctx) && run(c, command, &e) == 0) {
		watch(c);
		return;
	}
	forget_command(c);
	buf_addf(&reason, "%s %zu: %s", c->which, c->at + 1, e.code != 0 ?
	    e.text : "there is too little space on the disk");
	tell(c, CHAIN_LATER, NULL, buf_cstr(&reason));
	buf_release(&reason);
}

static void
begin(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd;
	(void)what;
	next_command(ctx);
}

/*
 * Chains.
 */
struct chain *
chain_start(struct event_base *base, struct log *log,
    const struct chain_spec *spec, chain_done *done)
{
	static const struct timeval at_once = { 0, 0 };
	struct chain *c = mem_alloc(1, sizeof(*c));
	size_t i, n = spec->commands->n;

	c->base = base;
	c->log = log;
	c->commands.item = mem_alloc(n + 1, sizeof(char *));
	for (i = 0; i < n; i++)
		c->commands.item[i] = mem_strdup(spec->commands->item[i]);
	c->commands.n = n;
	c->which = spec->which;
	c->peer = mem_strdup(spec->peer);
	c->name = mem_strdup(spec->name);
	c->in = mem_strdup(spec->input);
	c->stem = mem_strdup(spec->stem);
	c->deadline_secs = spec->deadline_secs;
	c->octets_max = spec->octets_max;
	c->room = spec->room;
	c->ctx = spec->ctx;
	c->done = done;
	c->child = (struct child)CHILD_INIT;
	c->said_fd = -1;
	c->soon = evtimer_new(base, begin, c);
	if (c->soon == NULL)
		abort();
	event_add(c->soon, &at_once);
	return c;
}

void
chain_free(struct chain *c)
{
	if (c == NULL)
		return;
	if (c->child.pid != 0)
		child_end(&c->child, END_GRACE_MS);
	forget_command(c);
	free_event(&c->soon);
	if (c->out != NULL)
		(void)unlink(c->out);
	if (c->at > 0)
		(void)unlink(c->in);
	for (size_t i = 0; i < c->commands.n; i++)
		free(c->commands.item[i]);
	free(c->commands.item);
	free(c->program);
	free(c->in);
	free(c->out);
	free(c->stem);
	free(c->peer);
	free(c->name);
	buf_release(&c->said);
	free(c);
}
