/* SPDX-License-Identifier: ISC */
/*
 * Running a command.  Its end is its exit and not that of its output, since a
 * uux that starts uucico leaves a child that holds the pipe for hours; but
 * where the output ends first, that is the moment to look.
 */
#include "transports/command.h"
#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#define LOOK_MS 20
#define KILLED_LOOKS 100	/* patience with one that was killed */

extern char **environ;

struct running {
	pid_t pid;
	int said_fd;		/* -1: at its end */
	struct buf *said;
	size_t room;
};

static void
keep_said(struct running *r, const char *bytes, size_t len)
{
	size_t i;

	for (i = 0; i < len && r->room > 0; i++, r->room--)
		buf_addc(r->said, bytes[i] == '\n' ? ' ' : bytes[i]);
}

/* Takes what it has said up to now. */
static void
hear(struct running *r)
{
	char bytes[4096];
	ssize_t n;

	if (r->said_fd == -1)
		return;
	do {
		n = read(r->said_fd, bytes, sizeof(bytes));
		if (n > 0)
			keep_said(r, bytes, (size_t)n);
	} while (n > 0 && r->room > 0);
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
		close(r->said_fd);
		r->said_fd = -1;
	}
}

/* Waits for output or a moment; whether the command has ended. */
static bool
look(struct running *r, int *wait_out)
{
	struct pollfd p = { .fd = r->said_fd, .events = POLLIN };
	pid_t ended = waitpid(r->pid, wait_out, WNOHANG);

	if (ended == -1 && errno != EINTR)
		*wait_out = SIGKILL;	/* how it ended nobody knows */
	if (ended > 0 || (ended == -1 && errno != EINTR)) {
		hear(r);
		return true;
	}
	(void)poll(&p, 1, LOOK_MS);
	hear(r);
	return false;
}

/* False: the deadline came first. */
static bool
wait_for_end(struct running *r, int deadline_ms, int *wait_out)
{
	int64_t until = clock_mono_ms(clock_real()) + deadline_ms;
	int looks;

	while (deadline_ms == 0 || clock_mono_ms(clock_real()) < until)
		if (look(r, wait_out))
			return true;
	kill(r->pid, SIGKILL);
	for (looks = 0; looks < KILLED_LOOKS && !look(r, wait_out); looks++)
		;
	return false;
}

static int
start(struct running *r, char *const *argv, int input_fd, int output_fd,
    struct err *e)
{
	posix_spawn_file_actions_t files;
	int rc;

	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_adddup2(&files, input_fd, STDIN_FILENO);
	posix_spawn_file_actions_adddup2(&files, output_fd, STDOUT_FILENO);
	posix_spawn_file_actions_adddup2(&files, output_fd, STDERR_FILENO);
	rc = posix_spawnp(&r->pid, argv[0], &files, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&files);
	if (rc == 0)
		return 0;
	errno = rc;
	return err_errno(e, "cannot run %s", argv[0]);
}

static enum command_end
tell_end(int waited, int *status_out)
{
	if (WIFSIGNALED(waited)) {
		*status_out = WTERMSIG(waited);
		return COMMAND_KILLED;
	}
	*status_out = WEXITSTATUS(waited);
	return COMMAND_EXITED;
}

int
command_run(char *const *argv, int input_fd, int deadline_ms,
    struct buf *said, enum command_end *end_out, int *status_out,
    struct err *e)
{
	struct running r = { .said = said, .room = COMMAND_SAID_MAX };
	int pipes[2], waited = 0, rc;

	if (pipe2(pipes, O_CLOEXEC) < 0)
		return err_errno(e, "cannot make a pipe");
	r.said_fd = pipes[0];
	rc = fcntl(pipes[0], F_SETFL, O_NONBLOCK) < 0 ?
	    err_errno(e, "cannot make a pipe") :
	    start(&r, argv, input_fd, pipes[1], e);
	close(pipes[1]);
	if (rc == 0 && wait_for_end(&r, deadline_ms, &waited)) {
		*end_out = tell_end(waited, status_out);
	} else if (rc == 0) {
		*end_out = COMMAND_LATE;
		*status_out = SIGKILL;
	}
	if (r.said_fd != -1)
		close(r.said_fd);
	return rc;
}
