/* SPDX-License-Identifier: ISC */
/*
 * Commands for files.  A status that says nothing is taken for a failure that
 * may pass: rsync, scp and ssh have such for a network that is down, and mail
 * must not come back for that.
 *
 * What is fetched goes into a directory of its own and is taken from there
 * when the command has ended well, since few programs write under another
 * name first.  After a failure it stays there: the far end may have been told
 * to forget what arrived whole.
 */
#include "transports/each.h"
#include "base/clock.h"
#include "base/file.h"
#include "transports/pickup.h"
#include "transports/program.h"

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
#define POLL_MS 300000
#define POLL_MIN_MS 10
#define NOT_RUN 126		/* from here on: by a shell's custom */
#define STAGE ".fetched"	/* in in/, where the daemon passes it over */
#define NEVER_MS INT64_MAX

struct each {
	struct contract *contract;
	char **send, **fetch;	/* NULL: not set */
	bool feed;		/* the file is the command's input */
	bool others_fail;	/* unknown statuses are permanent */
	bool stay;
	int timeout_ms, poll_ms;
	int64_t fetch_ms;	/* when it is due */
	struct contract_names done;	/* dealt with in this run */
	char *stage;
	struct pickup *pickup;
};

enum outcome { SENT, LATER, NEVER, BROKEN };

static int64_t
now_ms(void)
{
	return clock_mono_ms(clock_real());
}

static enum outcome
outcome_of(const struct each *x, int status)
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

static void
describe(int status, char *text, size_t size)
{
	if (WIFEXITED(status))
		snprintf(text, size, "exited with %d", WEXITSTATUS(status));
	else
		snprintf(text, size, "was ended by signal %d",
		    WTERMSIG(status));
}

static bool
stopped(const struct each *x)
{
	return contract_stopping(x->contract);
}

/* Waits for its end or for a reason to end it.  Of one that we have ended no
 * status says that it was done. */
static int
wait_end(const struct each *x, pid_t pid)
{
	int64_t until = now_ms() + x->timeout_ms;
	int status = 0;

	while (!program_ended(pid, &status)) {
		if (stopped(x) ||
		    (x->timeout_ms > 0 && now_ms() >= until)) {
			(void)kill(pid, SIGTERM);
			status = program_end(pid, GRACE_MS);
			return status != 0 ? status : W_EXITCODE(0, SIGTERM);
		}
		(void)poll(NULL, 0, LOOK_MS);
	}
	return status;
}

/* What it says goes to standard error, which is logged.  input: a file. */
static int
run(const struct each *x, char *const *words, const char *input,
    int *status_out, struct err *e)
{
	int fd = open(input, O_RDONLY | O_CLOEXEC), rc;
	pid_t pid;

	rc = fd < 0 ? err_errno(e, "cannot open %s", input) :
	    program_start(words, (const int[]){ fd, STDERR_FILENO }, &pid, e);
	if (rc == 0)
		*status_out = wait_end(x, pid);
	if (fd >= 0)
		close(fd);
	return rc;
}

/*
 * Sending.
 */

static int
run_for(const struct each *x, const char *name, int *status_out,
    struct err *e)
{
	char *file = path_join(contract_out_dir(x->contract), name);
	char **words = program_expand(x->send, file, name,
	    contract_peer(x->contract));
	int rc = run(x, words, x->feed ? file : "/dev/null", status_out, e);

	program_words_free(words);
	free(file);
	return rc;
}

static enum outcome
send_one(const struct each *x, const char *name)
{
	struct err e = ERR_INIT;
	enum outcome how;
	char text[64];
	int status = 0, rc = run_for(x, name, &status, &e);

	if (rc == ERR_NOT_FOUND)	/* withdrawn meanwhile */
		return SENT;
	if (rc < 0) {
		fprintf(stderr, "%s\n", e.text);
		return rc == ERR_CONFIG ? BROKEN : LATER;
	}
	how = outcome_of(x, status);
	describe(status, text, sizeof(text));
	if (how == SENT)
		contract_sent(x->contract, name);
	else
		contract_failed(x->contract, name, how == NEVER, text);
	return how;
}

/* All that is there now, but for what has been dealt with.  The worst
 * outcome. */
static enum outcome
send_all(struct each *x)
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

		if (!contract_names_has(&x->done, names.names[i]) &&
		    contract_out_has(x->contract, names.names[i]))
			how = send_one(x, names.names[i]);
		if (how == LATER || how == BROKEN)
			worst = how;
	}
	contract_names_release(&x->done);
	x->done = names;
	return worst;
}

/*
 * Fetching.
 */

static enum outcome
take_fetched(struct each *x)
{
	struct medium stage = MEDIUM_INIT;
	struct err e = ERR_INIT;
	int rc = medium_open(&stage, x->stage, NULL, &e);

	if (rc == 0)
		rc = pickup_pass(x->pickup, &stage, &e);
	medium_close(&stage);
	if (rc < 0)
		contract_note(x->contract, "%s", e.text);
	return rc < 0 ? LATER : SENT;
}

static enum outcome
fetch(struct each *x)
{
	char **words = program_expand_dir(x->fetch, x->stage,
	    contract_peer(x->contract)), text[64];
	struct err e = ERR_INIT;
	enum outcome how;
	int status = 0, rc = file_make_dirs(x->stage, 0700, &e);

	if (rc == 0)
		rc = run(x, words, "/dev/null", &status, &e);
	program_words_free(words);
	x->fetch_ms = x->stay ? now_ms() + x->poll_ms : NEVER_MS;
	if (rc < 0) {
		fprintf(stderr, "%s\n", e.text);
		return rc == ERR_CONFIG ? BROKEN : LATER;
	}
	how = outcome_of(x, status);
	if (how == SENT)
		return take_fetched(x);
	describe(status, text, sizeof(text));
	if (!stopped(x))
		contract_note(x->contract, "%s %s", x->fetch[0], text);
	return how == BROKEN ? BROKEN : LATER;
}

static enum outcome
work(struct each *x)
{
	enum outcome sent = x->send != NULL ? send_all(x) : SENT;
	enum outcome fetched = SENT;

	if (sent != BROKEN && x->fetch != NULL && !stopped(x) &&
	    now_ms() >= x->fetch_ms)
		fetched = fetch(x);
	return fetched > sent ? fetched : sent;
}

/* True: there may be more to do; false: it is over. */
static bool
await_more(const struct each *x)
{
	for (;;) {
		struct pollfd p = { contract_commands_fd(x->contract),
		    POLLIN, 0 };
		int64_t left = x->fetch_ms - now_ms();

		switch (contract_command(x->contract)) {
		case CONTRACT_MORE:
			return true;
		case CONTRACT_STOP:
		case CONTRACT_GONE:
			return false;
		case CONTRACT_NONE:
			break;
		}
		if (!x->stay || left <= 0)
			return x->stay;
		(void)poll(&p, 1, x->fetch_ms == NEVER_MS ? -1 : (int)left);
	}
}

static int
read_choice(struct each *x, const char *key, const char *no,
    const char *yes, bool *value_out, struct err *e)
{
	const char *text = contract_setting(x->contract, key, no);

	*value_out = strcmp(text, yes) == 0;
	if (!*value_out && strcmp(text, no) != 0)
		return err_set(e, ERR_CONFIG, "%s=%s: want %s or %s", key,
		    text, no, yes);
	return 0;
}

static int
read_command(struct each *x, const char *key, char ***words_out,
    struct err *e)
{
	const char *text = contract_setting(x->contract, key, NULL);

	return text != NULL ? program_setting(key, text, words_out, e) : 0;
}

static int
settings(struct each *x, struct err *e)
{
	struct contract *c = x->contract;
	int rc = read_command(x, "each", &x->send, e);

	if (rc == 0)
		rc = read_command(x, "fetch", &x->fetch, e);
	if (rc == 0)
		rc = read_choice(x, "input", "none", "file", &x->feed, e);
	if (rc == 0)
		rc = read_choice(x, "others", "temporary", "permanent",
		    &x->others_fail, e);
	if (rc == 0)
		rc = contract_setting_bool(c, "stay", false, &x->stay, e);
	if (rc == 0)
		rc = contract_setting_ms(c, "timeout", TIMEOUT_MS,
		    &x->timeout_ms, e);
	if (rc == 0)
		rc = contract_setting_ms_least(c, "poll", POLL_MS, POLL_MIN_MS,
		    &x->poll_ms, e);
	return rc == 0 ? contract_settings_used(c, e) : rc;
}

static void
release(struct each *x)
{
	contract_names_release(&x->done);
	program_words_free(x->send);
	program_words_free(x->fetch);
	pickup_free(x->pickup);
	free(x->stage);
}

int
each_check(struct contract *c, struct err *e)
{
	struct each x = { .contract = c };
	int rc = settings(&x, e);

	release(&x);
	return rc;
}

enum contract_exit
each_run(struct contract *c)
{
	struct each x = { .contract = c };
	struct err e = ERR_INIT;
	enum outcome how = BROKEN;

	if (settings(&x, &e) < 0) {
		fprintf(stderr, "%s\n", e.text);
	} else {
		x.stage = path_join(contract_in_dir(c), STAGE);
		x.pickup = pickup_new(c, 0);
		x.fetch_ms = x.fetch != NULL ? 0 : NEVER_MS;
		do {
			how = work(&x);
		} while (how == SENT && await_more(&x));
	}
	release(&x);
	return how == SENT ? CONTRACT_EXIT_DONE : how == BROKEN ?
	    CONTRACT_EXIT_CONFIG : CONTRACT_EXIT_LATER;
}
