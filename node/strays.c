/* SPDX-License-Identifier: ISC */
/*
 * Which child is a stray is told by time: one of node/child.h that has ended
 * is reaped in the turn of the event loop that sees it, so what is still a
 * zombie at a second look, a second later, is nobody's.
 */
#include "node/strays.h"

#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"

#define LOOK_SECS 1
#define STEP_MS 10
#define KILLED_MS 500		/* until one that was killed is gone */
#define LIST_MAX 65536		/* octets of the list of children */

struct pids {
	pid_t *pid;
	size_t n;
};

struct strays {
	struct event *child, *look;
	struct pids before;	/* whose parent we were at the start: a shell
				 * that became the daemon had them */
	struct pids ended;	/* zombies at the last look */
};

/* All children of this process, which has one thread; the caller frees. */
static struct pids
children(void)
{
	char *path = mem_printf("/proc/self/task/%ld/children",
	    (long)getpid());
	struct buf text = BUF_INIT;
	struct err e = ERR_INIT;
	struct pids all = { NULL, 0 };

	if (file_read(path, LIST_MAX, &text, &e) == 0) {
		struct slice rest = buf_slice(&text), word;
		uint64_t pid;

		all.pid = mem_alloc(text.len / 2 + 1, sizeof(*all.pid));
		while (slice_word(&rest, &word))
			if (num_parse(word, INT32_MAX, &pid) == 0)
				all.pid[all.n++] = (pid_t)pid;
	}
	buf_release(&text);
	free(path);
	return all;
}

static bool
has_ended(pid_t pid)
{
	siginfo_t info = { .si_pid = 0 };

	return waitid(P_PID, (id_t)pid, &info,
	    WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid != 0;
}

static bool
is_among(const struct pids *pids, pid_t pid)
{
	for (size_t i = 0; i < pids->n; i++)
		if (pids->pid[i] == pid)
			return true;
	return false;
}

static void
look_soon(struct strays *s)
{
	static const struct timeval wait = { LOOK_SECS, 0 };

	if (!evtimer_pending(s->look, NULL))
		evtimer_add(s->look, &wait);
}

static void
look(evutil_socket_t fd, short what, void *ctx)
{
	struct strays *s = ctx;
	struct pids all = children();
	size_t kept = 0;

	(void)fd;
	(void)what;
	for (size_t i = 0; i < all.n; i++) {
		if (!has_ended(all.pid[i]))
			continue;
		if (is_among(&s->ended, all.pid[i]))
			(void)waitpid(all.pid[i], NULL, WNOHANG);
		else
			all.pid[kept++] = all.pid[i];
	}
	all.n = kept;
	free(s->ended.pid);
	s->ended = all;
	if (kept > 0)
		look_soon(s);
}

static void
child_ended(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd;
	(void)what;
	look_soon(ctx);
}

struct strays *
strays_new(struct event_base *base)
{
	struct strays *s = mem_alloc(1, sizeof(*s));

#ifdef PR_SET_CHILD_SUBREAPER
	if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0)
		return s;
	s->look = evtimer_new(base, look, s);
	s->child = evsignal_new(base, SIGCHLD, child_ended, s);
	if (s->look == NULL || s->child == NULL)
		abort();
	event_add(s->child, NULL);
	s->before = children();
#endif
	return s;
}

/* Those that have ended are gone; the others get a signal.  How many? */
static size_t
send_all(const struct strays *s, int sig)
{
	struct pids all = children();
	size_t left = 0;

	for (size_t i = 0; i < all.n; i++) {
		if (is_among(&s->before, all.pid[i]) ||
		    waitpid(all.pid[i], NULL, WNOHANG) != 0)
			continue;
		left++;
		if (sig != 0)
			(void)kill(all.pid[i], sig);
	}
	free(all.pid);
	return left;
}

/* What one leaves behind becomes ours when it has ended, so that it is sent
 * the signal too. */
static bool
all_end(const struct strays *s, int sig, int ms)
{
	for (int waited = 0; send_all(s, waited % 100 == 0 ? sig : 0) > 0;
	    waited += STEP_MS) {
		if (waited >= ms)
			return false;
		(void)poll(NULL, 0, STEP_MS);
	}
	return true;
}

void
strays_end(struct strays *s, int grace_ms)
{
	if (s == NULL)
		return;
	if (s->child != NULL) {
		event_free(s->child);
		event_free(s->look);
		if (!all_end(s, SIGTERM, grace_ms))
			(void)all_end(s, SIGKILL, KILLED_MS);
	}
	free(s->before.pid);
	free(s->ended.pid);
	free(s);
}
