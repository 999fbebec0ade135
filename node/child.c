/* SPDX-License-Identifier: ISC */
/*
 * Child processes.  A process group is killed while its leader is still a
 * zombie and its number therefore still its own.
 */
#include "node/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"

#define REAP_POLL_MS 100	/* where the kernel has no pidfd */

/* Which of our variables the child gets. */
static char **
clean_environment(void)
{
	static const char *const kept[] = { "PATH", "LANG", "TZ", "HOME" };
	static const size_t nkept = sizeof(kept) / sizeof(kept[0]);
	char **env = mem_alloc(nkept + 1, sizeof(*env));
	size_t n = 0;

	for (size_t i = 0; i < nkept; i++) {
		const char *value = getenv(kept[i]);

		if (value == NULL && strcmp(kept[i], "PATH") == 0)
			value = "/usr/local/bin:/usr/bin:/bin";
		if (value != NULL)
			env[n++] = mem_printf("%s=%s", kept[i], value);
	}
	return env;
}

static void
free_texts(char **texts)
{
	for (size_t i = 0; texts[i] != NULL; i++)
		free(texts[i]);
	free(texts);
}

/* posix_spawn rather than fork, since the daemon may be large and a program
 * that cannot be run is told at once. */
int
child_start(struct child *c, char *const *argv, const int fd[CHILD_FDS],
    struct err *e)
{
	char **env = clean_environment();
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	sigset_t all, none;
	int n = 0;

	sigfillset(&all);
	sigemptyset(&none);
	posix_spawn_file_actions_init(&files);
	while (n < CHILD_FDS && fd[n] >= 0) {
		posix_spawn_file_actions_adddup2(&files, fd[n], n);
		n++;
	}
	posix_spawn_file_actions_addclosefrom_np(&files, n);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP |
	    POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
	posix_spawnattr_setpgroup(&attr, 0);
	posix_spawnattr_setsigdefault(&attr, &all);
	posix_spawnattr_setsigmask(&attr, &none);
	errno = posix_spawn(&c->pid, argv[0], &files, &attr, argv, env);
	posix_spawn_file_actions_destroy(&files);
	posix_spawnattr_destroy(&attr);
	free_texts(env);
	if (errno == 0)
		return 0;
	c->pid = 0;
	return err_errno(e, "cannot run %s", argv[0]);
}

static void
exit_seen(evutil_socket_t fd, short what, void *ctx)
{
	struct timeval again = { 0, REAP_POLL_MS * 1000 };
	siginfo_t info = { .si_pid = 0 };
	struct child *c = ctx;
	int rc;

	(void)fd;
	(void)what;
	rc = waitid(P_PID, (id_t)c->pid, &info, WEXITED | WNOHANG | WNOWAIT);
	if (rc == 0 && info.si_pid == 0)
		event_add(c->ev, c->pidfd < 0 ? &again : NULL);
	else
		c->ended(c->ctx, rc == 0);
}

void
child_watch(struct child *c, struct event_base *base,
    void (*ended)(void *ctx, bool ours), void *ctx)
{
	struct timeval first = { 0, REAP_POLL_MS * 1000 };

	c->ended = ended;
	c->ctx = ctx;
	c->pidfd = (int)syscall(SYS_pidfd_open, c->pid, 0);
	if (c->pidfd >= 0)
		fcntl(c->pidfd, F_SETFD, FD_CLOEXEC);
	c->ev = event_new(base, c->pidfd, c->pidfd >= 0 ? EV_READ :
	    EV_TIMEOUT, exit_seen, c);
	if (c->ev == NULL)
		abort();
	event_add(c->ev, c->pidfd >= 0 ? NULL : &first);
}

void
child_kill(const struct child *c, int sig)
{
	if (kill(-c->pid, sig) < 0)
		kill(c->pid, sig);
}

static int
exit_status(int wait_status, char *text, size_t size)
{
	const char *abbrev;

	text[0] = '\0';
	if (WIFEXITED(wait_status))
		return WEXITSTATUS(wait_status);
	abbrev = sigabbrev_np(WTERMSIG(wait_status));
	if (abbrev != NULL)
		snprintf(text, size, "SIG%s", abbrev);
	else
		snprintf(text, size, "signal %d", WTERMSIG(wait_status));
	return -1;
}

int
child_reap(struct child *c, char *text, size_t size)
{
	int status = 0;
	pid_t pid;

	child_kill(c, SIGKILL);
	do {
		pid = waitpid(c->pid, &status, 0);
	} while (pid < 0 && errno == EINTR);
	return exit_status(status, text, size);
}

void
child_end(struct child *c, int grace_ms)
{
	char text[32];

	child_kill(c, SIGTERM);
	for (int waited = 0; waited < grace_ms; waited += 10) {
		siginfo_t info = { .si_pid = 0 };

		if (waitid(P_PID, (id_t)c->pid, &info,
		    WEXITED | WNOHANG | WNOWAIT) < 0)
			return;
		if (info.si_pid != 0)
			break;
		(void)poll(NULL, 0, 10);
	}
	(void)child_reap(c, text, sizeof(text));
}

void
child_forget(struct child *c)
{
	if (c->ev != NULL)
		event_free(c->ev);
	c->ev = NULL;
	if (c->pidfd >= 0)
		close(c->pidfd);
	c->pidfd = -1;
	c->pid = 0;
}
