/* SPDX-License-Identifier: ISC */
/*
 * The transport "uucp".  uux copies a file into UUCP's own spool and says by
 * its exit status that it is there; from then on UUCP has it, and whether the
 * far command did its work is never told here.  So whatever uux says is for
 * later: it has no word for "never".
 */
#include "transports/uux.h"
#include "base/file.h"
#include "base/map.h"
#include "base/mem.h"
#include "transports/command.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define OPTIONS_MAX 32
#define TIMEOUT_MS (10 * 60 * 1000)

struct uux {
	struct contract *contract;
	char *program, *no_start, *grade, *input;
	char *options;		/* each blank became the end of a word */
	char *job;		/* "oslo!rsmtp" */
	char *argv[OPTIONS_MAX + 6];
	int timeout_ms;
	struct map *done;	/* names told of; values mean nothing */
	enum contract_exit status;
};

/* Octets that mean nothing to uux, nor to a shell at the far end. */
static int
check_word(const char *key, const char *value, struct err *e)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyz"
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./";
	size_t len = strlen(value);

	if (len == 0 || value[0] == '-' || strspn(value, plain) != len)
		return err_set(e, ERR_CONFIG, "%s=%s: want letters, digits "
		    "and -_./, not - first", key, value);
	return 0;
}

static int
check_grade(struct uux *u, const char *grade, struct err *e)
{
	if (grade == NULL)
		return 0;
	if (strlen(grade) != 1 || check_word("grade", grade, NULL) < 0 ||
	    strchr("_./", grade[0]) != NULL)
		return err_set(e, ERR_CONFIG, "grade=%s: want one letter or "
		    "digit", grade);
	u->grade = mem_printf("-g%s", grade);
	return 0;
}

/* uux [-r] [-gG] [OPTIONS] - SYSTEM!COMMAND */
static int
build_argv(struct uux *u, bool start, const char *options, struct err *e)
{
	size_t n = 0, most;
	char *word, *rest;

	u->options = mem_strdup(options);
	u->argv[n++] = u->program;
	if (!start)
		u->argv[n++] = u->no_start;
	if (u->grade != NULL)
		u->argv[n++] = u->grade;
	most = n + OPTIONS_MAX;
	for (word = u->options; *word != '\0'; word = rest) {
		size_t len = strcspn(word, " ");

		rest = word + len + (word[len] == ' ');
		word[len] = '\0';
		if (len > 0 && n == most)
			return err_set(e, ERR_CONFIG, "options: more than %d "
			    "words", OPTIONS_MAX);
		if (len > 0)
			u->argv[n++] = word;
	}
	u->argv[n++] = u->input;
	u->argv[n] = u->job;
	return 0;
}

static int
read_settings(struct uux *u, struct err *e)
{
	struct contract *c = u->contract;
	const char *system = contract_setting(c, "system", contract_peer(c));
	const char *command = contract_setting(c, "command", "rsmtp");
	const char *options = contract_setting(c, "options", "");
	bool start = false;
	int rc;

	u->program = mem_strdup(contract_setting(c, "uux", "uux"));
	u->job = mem_printf("%s!%s", system, command);
	rc = u->program[0] != '\0' ? 0 : err_set(e, ERR_CONFIG, "uux=: want "
	    "the name or the path of a program");
	if (rc == 0)
		rc = check_word("system", system, e);
	if (rc == 0)
		rc = check_word("command", command, e);
	if (rc == 0)
		rc = check_grade(u, contract_setting(c, "grade", NULL), e);
	if (rc == 0)
		rc = contract_setting_bool(c, "start", false, &start, e);
	if (rc == 0)
		rc = contract_setting_ms(c, "timeout", TIMEOUT_MS,
		    &u->timeout_ms, e);
	if (rc == 0)
		rc = build_argv(u, start, options, e);
	return rc == 0 ? contract_settings_used(c, e) : rc;
}

int
uux_new(struct contract *c, struct uux **u_out, struct err *e)
{
	struct uux *u = mem_alloc(1, sizeof(*u));
	int rc;

	u->contract = c;
	u->done = map_new();
	u->no_start = mem_strdup("-r");
	u->input = mem_strdup("-");
	rc = read_settings(u, e);
	if (rc < 0) {
		uux_free(u);
		u = NULL;
	}
	*u_out = u;
	return rc;
}

void
uux_free(struct uux *u)
{
	if (u == NULL)
		return;
	map_free(u->done);
	free(u->program);
	free(u->options);
	free(u->grade);
	free(u->job);
	free(u->no_start);
	free(u->input);
	free(u);
}

int
uux_check(struct contract *c, struct err *e)
{
	struct uux *u = NULL;
	int rc = uux_new(c, &u, e);

	uux_free(u);
	return rc;
}

/* What came of one file; false: the run is over. */
static bool
tell(struct uux *u, const char *name, enum command_end end, int status,
    struct buf *said)
{
	struct buf text = BUF_INIT;

	if (end == COMMAND_EXITED && status == 0) {
		contract_sent(u->contract, name);
		return true;
	}
	if (end == COMMAND_EXITED)
		buf_addf(&text, "uux exited with %d", status);
	else if (end == COMMAND_KILLED)
		buf_addf(&text, "uux was ended by signal %d", status);
	else
		buf_addf(&text, "uux did not end in %d seconds",
		    u->timeout_ms / 1000);
	if (said->len > 0)
		buf_addf(&text, ": %s", buf_cstr(said));
	contract_failed(u->contract, name, false, buf_cstr(&text));
	buf_release(&text);
	u->status = CONTRACT_EXIT_LATER;
	return end == COMMAND_EXITED;
}

static bool
run_uux(struct uux *u, const char *name, int fd)
{
	struct buf said = BUF_INIT;
	struct err e = ERR_INIT;
	enum command_end end;
	int status, rc;
	bool go_on = false;

	rc = command_run(u->argv, fd, u->timeout_ms, &said, &end, &status,
	    &e);
	if (rc == 0) {
		go_on = tell(u, name, end, status, &said);
	} else {
		contract_failed(u->contract, name, false, e.text);
		u->status = CONTRACT_EXIT_LATER;
		if (rc == ERR_NOT_FOUND || rc == ERR_DENIED) {
			fprintf(stderr, "%s: is UUCP installed? Set uux=\n",
			    e.text);
			u->status = CONTRACT_EXIT_CONFIG;
		}
	}
	buf_release(&said);
	return go_on;
}

static bool
send_file(struct uux *u, const char *name)
{
	char *path = path_join(contract_out_dir(u->contract), name);
	struct err e = ERR_INIT;
	bool go_on = true;
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

	if (fd != -1) {
		go_on = run_uux(u, name, fd);
		close(fd);
	} else if (errno != ENOENT) {
		err_errno(&e, "cannot open %s", path);
		contract_failed(u->contract, name, false, e.text);
		u->status = CONTRACT_EXIT_LATER;
	}
	free(path);
	return go_on;
}

/* What has not been tried in this run; false: the run is over. */
static bool
send_all(struct uux *u)
{
	struct contract_names out = { NULL, 0 };
	struct err e = ERR_INIT;
	bool go_on = true;
	size_t i;

	if (contract_out(u->contract, &out, &e) < 0) {
		contract_note(u->contract, "%s", e.text);
		u->status = CONTRACT_EXIT_LATER;
		go_on = false;
	}
	for (i = 0; go_on && i < out.count; i++) {
		if (map_get(u->done, slice_of(out.names[i])) != NULL)
			continue;
		if (contract_stopping(u->contract))
			break;
		map_put(u->done, slice_of(out.names[i]), u);
		go_on = send_file(u, out.names[i]);
	}
	contract_names_release(&out);
	return go_on;
}

enum contract_exit
uux_run(struct uux *u)
{
	while (send_all(u) && contract_command(u->contract) == CONTRACT_MORE)
		;
	return u->status;
}
