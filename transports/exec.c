/* SPDX-License-Identifier: ISC */
/*
 * The exec transport.  A status that says nothing is taken for a failure that
 * may pass: rsync, scp and ssh have such for a network that is down, and mail
 * must not come back for that.
 */
#include "transports/exec.h"
#include "base/clock.h"
#include "base/file.h"
#include "transports/program.h"
#include "transports/wire.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#define GRACE_MS 3000
#define LOOK_MS 20		/* at a command that runs */
#define TIMEOUT_MS 3600000
#define NOT_RUN 126		/* from here on: by a shell's custom */

struct exec {
	struct contract *contract;
	struct wire wire;
	char **words;
	bool others_fail;	/* each: unknown statuses are permanent */
	bool stay;
	int timeout_ms;
};

/* The words of a setting. */
static int
read_words(struct exec *x, const char *key, const char *text, struct err *e)
{
	int rc = program_split(text, &x->words, e);

	return rc < 0 ? err_set(e, ERR_CONFIG, "%s=%s: want a command", key,
	    text) : 0;
}

/*
 * A command as the line.
 */

static void
close_both(int fd[2])
{
	for (int i = 0; i < 2; i++)
		if (fd[i] >= 0)
			close(fd[i]);
}

static enum contract_exit
talk(struct exec *x)
{
	int to[2] = { -1, -1 }, from[2] = { -1, -1 }, rc = 0, status;
	enum contract_exit how = CONTRACT_EXIT_LATER;
	struct err e = ERR_INIT;
	pid_t pid;

	if (pipe2(to, O_CLOEXEC) < 0 || pipe2(from, O_CLOEXEC) < 0)
		rc = err_errno(&e, "cannot make pipes");
	if (rc == 0)
		rc = program_start(x->words, (const int[]){ to[0], from[1] },
		    &pid, &e);
	if (rc < 0) {
		fprintf(stderr, "%s\n", e.text);
		close_both(to);
		close_both(from);
		return rc == ERR_CONFIG ? CONTRACT_EXIT_CONFIG : how;
	}
	close(to[0]);
	close(from[1]);
	how = wire_talk(&x->wire, from[0], to[1], x->words[0]);
	close(to[1]);
	close(from[0]);
	status = program_end(pid, GRACE_MS);
	if (how != CONTRACT_EXIT_DONE && WIFEXITED(status) &&
	    WEXITSTATUS(status) != 0)
		contract_note(x->contract, "%s exited with %d", x->words[0],
		    WEXITSTATUS(status));
	return how;
}

static enum contract_exit
run_link(struct exec *x, const char *text)
{
	enum contract_exit how = CONTRACT_EXIT_CONFIG;
	struct err e = ERR_INIT;

	if (read_words(x, "command", text, &e) < 0 ||
	    wire_open(&x->wire, x->contract, "call", &e) < 0)
		fprintf(stderr, "%s\n", e.text);
	else
		how = talk(x);
	wire_close(&x->wire);
	return how;
}

/*
 * A command for each file.
 */

enum outcome { SENT, LATER, NEVER, BROKEN };

static enum outcome
outcome_of(const struct exec *x, int status)
{
	int code = WIFEXITED(status) ? WEXITSTATUS(status) : EX_TEMPFAIL;

	if (code == 0)
		return SENT;
	if (code == EX_TEMPFAIL || code == EX_OSERR || code == EX_IOERR ||
	    code == EX_UNAVAILABLE)
		return LATER;
	if (code == EX_CONFIG || code == NOT_RUN || code == NOT_RUN + 1)
		return BROKEN;
	return x->others_fail || code == EX_DATAERR ? NEVER : LATER;
}

static bool
stopped(const struct exec *x)
{
	return contract_stopping(x->contract);
}

/* Waits for its end or for a reason to end it. */
static int
wait_end(const struct exec *x, pid_t pid)
{
	int64_t until = clock_mono_ms(clock_real()) + x->timeout_ms;
	int status = 0;

	while (!program_ended(pid, &status)) {
		if (stopped(x) || (x->timeout_ms > 0 &&
		    clock_mono_ms(clock_real()) >= until)) {
			(void)kill(pid, SIGTERM);
			return program_end(pid, GRACE_MS);
		}
		(void)poll(NULL, 0, LOOK_MS);
	}
	return status;
}

/* What it says goes to standard error, which is logged. */
static int
run_for(const struct exec *x, const char *name, int *status_out,
    struct err *e)
{
	char *file = path_join(contract_out_dir(x->contract), name);
	char **words = program_expand(x->words, file, name,
	    contract_peer(x->contract));
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC), rc;
	pid_t pid;

	rc = null < 0 ? err_errno(e, "/dev/null") : program_start(words,
	    (const int[]){ null, STDERR_FILENO }, &pid, e);
	if (rc == 0)
		*status_out = wait_end(x, pid);
	if (null >= 0)
		close(null);
	program_words_free(words);
	free(file);
	return rc;
}

static enum outcome
send_one(const struct exec *x, const char *name)
{
	struct err e = ERR_INIT;
	enum outcome how;
	char text[64];
	int status = 0, rc = run_for(x, name, &status, &e);

	if (rc < 0) {
		fprintf(stderr, "%s\n", e.text);
		return rc == ERR_CONFIG ? BROKEN : LATER;
	}
	how = outcome_of(x, status);
	if (WIFEXITED(status))
		snprintf(text, sizeof(text), "exited with %d",
		    WEXITSTATUS(status));
	else
		snprintf(text, sizeof(text), "was ended by signal %d",
		    WTERMSIG(status));
	if (how == SENT)
		contract_sent(x->contract, name);
	else
		contract_failed(x->contract, name, how == NEVER, text);
	return how;
}

/* All that is there now, but for what is in done, which is brought up to what
 * was dealt with.  The worst outcome. */
static enum outcome
send_all(const struct exec *x, struct contract_names *done)
{
	struct contract_names names;
	struct err e = ERR_INIT;
	enum outcome worst = SENT;

	if (contract_out(x->contract, &names, &e) < 0) {
		fprintf(stderr, "%s\n", e.text);
		return LATER;
	}
	for (size_t i = 0; i < names.count && worst != BROKEN &&
	    !stopped(x); i++) {
		enum outcome how = SENT;

		if (!contract_names_has(done, names.names[i]) &&
		    contract_out_has(x->contract, names.names[i]))
			how = send_one(x, names.names[i]);
		if (how == LATER || how == BROKEN)
			worst = how;
	}
	contract_names_release(done);
	*done = names;
	return worst;
}

/* True: there may be more to do; false: it is over. */
static bool
await_more(const struct exec *x)
{
	for (;;) {
		struct pollfd p = { contract_commands_fd(x->contract),
		    POLLIN, 0 };

		switch (contract_command(x->contract)) {
		case CONTRACT_MORE:
			return true;
		case CONTRACT_STOP:
		case CONTRACT_GONE:
			return false;
		case CONTRACT_NONE:
			break;
		}
		(void)poll(&p, 1, -1);
	}
}

static int
each_settings(struct exec *x, const char *text, struct err *e)
{
	struct contract *c = x->contract;
	const char *others = contract_setting(c, "others", "temporary");
	int rc = read_words(x, "each", text, e);

	x->others_fail = strcmp(others, "permanent") == 0;
	if (rc == 0 && !x->others_fail && strcmp(others, "temporary") != 0)
		rc = err_set(e, ERR_CONFIG, "others=%s: want temporary or "
		    "permanent", others);
	if (rc == 0)
		rc = contract_setting_bool(c, "stay", false, &x->stay, e);
	if (rc == 0)
		rc = contract_setting_ms(c, "timeout", TIMEOUT_MS,
		    &x->timeout_ms, e);
	return rc == 0 ? contract_settings_used(c, e) : rc;
}

static enum contract_exit
run_each(struct exec *x, const char *text)
{
	struct contract_names done = { NULL, 0 };
	struct err e = ERR_INIT;
	enum outcome how;

	if (each_settings(x, text, &e) < 0) {
		fprintf(stderr, "%s\n", e.text);
		return CONTRACT_EXIT_CONFIG;
	}
	do {
		how = send_all(x, &done);
	} while (how == SENT && x->stay && await_more(x));
	contract_names_release(&done);
	return how == SENT ? CONTRACT_EXIT_DONE : how == BROKEN ?
	    CONTRACT_EXIT_CONFIG : CONTRACT_EXIT_LATER;
}

enum contract_exit
exec_run(struct contract *c)
{
	const char *command = contract_setting(c, "command", NULL);
	const char *each = contract_setting(c, "each", NULL);
	struct exec x = { .contract = c };
	enum contract_exit how = CONTRACT_EXIT_CONFIG;

	if ((command == NULL) == (each == NULL))
		fprintf(stderr, "one of command and each must be set\n");
	else if (command != NULL)
		how = run_link(&x, command);
	else
		how = run_each(&x, each);
	program_words_free(x.words);
	return how;
}
