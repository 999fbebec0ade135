/* SPDX-License-Identifier: ISC */
/*
 * Commands.  They stay in our process group, so that what we leave behind
 * ends with us.
 */
#include "transports/program.h"
#include "base/buf.h"
#include "base/mem.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#define LOOK_MS 20

extern char **environ;

/* One word from *at on, which is not a blank. */
static int
take_word(const char **at, struct buf *out)
{
	bool quoted = false;
	const char *p;

	for (p = *at; *p != '\0' && (quoted || (*p != ' ' && *p != '\t'));
	    p++) {
		if (*p == '"') {
			quoted = !quoted;
			continue;
		}
		if (*p == '\\' && (p[1] == '"' || p[1] == '\\'))
			p++;
		buf_addc(out, *p);
	}
	*at = p;
	return quoted ? ERR_SYNTAX : 0;
}

int
program_split(const char *text, char ***words_out, struct err *e)
{
	char **words = mem_alloc(PROGRAM_WORDS_MAX + 1, sizeof(*words));
	const char *at = text;
	size_t n = 0;
	int rc = 0;

	for (;;) {
		struct buf word = BUF_INIT;

		at += strspn(at, " \t");
		if (*at == '\0' || n == PROGRAM_WORDS_MAX || rc < 0)
			break;
		rc = take_word(&at, &word);
		words[n++] = buf_steal(&word);
	}
	if (rc == 0 && n > 0 && *at == '\0') {
		*words_out = words;
		return 0;
	}
	program_words_free(words);
	return err_set(e, ERR_SYNTAX, rc < 0 ? "a quote does not end" :
	    n == 0 ? "there is no word" : "there are too many words");
}

int
program_setting(const char *key, const char *text, char ***words_out,
    struct err *e)
{
	int rc = program_split(text, words_out, e);

	return rc < 0 ? err_set(e, ERR_CONFIG, "%s=%s: want a command", key,
	    text) : 0;
}

void
program_words_free(char **words)
{
	for (size_t i = 0; words != NULL && words[i] != NULL; i++)
		free(words[i]);
	free(words);
}

struct stands_for {
	char letter;
	const char *text;
};

/* table ends with a NUL letter. */
static char *
expand_word(const char *word, const struct stands_for *table)
{
	struct buf out = BUF_INIT;

	for (; *word != '\0'; word++) {
		const struct stands_for *t = table;

		while (word[0] == '%' && t->letter != '\0' &&
		    t->letter != word[1])
			t++;
		if (word[0] != '%' || t->letter == '\0') {
			buf_addc(&out, *word);
			continue;
		}
		buf_adds(&out, t->text);
		word++;
	}
	return buf_steal(&out);
}

static char **
expand(char *const *words, const struct stands_for *table)
{
	char **out = mem_alloc(PROGRAM_WORDS_MAX + 1, sizeof(*out));

	for (size_t i = 0; words[i] != NULL; i++)
		out[i] = expand_word(words[i], table);
	return out;
}

char **
program_expand(char *const *words, const char *file, const char *name,
    const char *peer)
{
	const struct stands_for table[] = { { 'f', file }, { 'n', name },
		{ 'p', peer }, { '%', "%" }, { '\0', NULL } };

	return expand(words, table);
}

char **
program_expand_dir(char *const *words, const char *dir, const char *peer)
{
	const struct stands_for table[] = { { 'd', dir }, { 'p', peer },
		{ '%', "%" }, { '\0', NULL } };

	return expand(words, table);
}

int
program_start(char *const *words, const int fd[2], pid_t *pid_out,
    struct err *e)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	sigset_t all;

	sigfillset(&all);
	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_adddup2(&files, fd[0], STDIN_FILENO);
	posix_spawn_file_actions_adddup2(&files, fd[1], STDOUT_FILENO);
	posix_spawn_file_actions_addclosefrom_np(&files, STDERR_FILENO + 1);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGDEF);
	posix_spawnattr_setsigdefault(&attr, &all);
	errno = posix_spawnp(pid_out, words[0], &files, &attr, words,
	    environ);
	posix_spawn_file_actions_destroy(&files);
	posix_spawnattr_destroy(&attr);
	if (errno == 0)
		return 0;
	(void)err_errno(e, "cannot run %s", words[0]);
	return errno == ENOENT || errno == EACCES || errno == ENOEXEC ?
	    ERR_CONFIG : ERR_IO;
}

bool
program_ended(pid_t pid, int *status_out)
{
	pid_t ended = waitpid(pid, status_out, WNOHANG);

	/* Somebody else has its status: that it was done we do not know. */
	if (ended < 0)
		*status_out = W_EXITCODE(EX_TEMPFAIL, 0);
	return ended != 0;
}

int
program_end(pid_t pid, int grace_ms)
{
	static const int signals[] = { SIGTERM, SIGKILL };
	int status = 0;

	for (size_t i = 0; i < 2; i++) {
		for (int waited = 0; waited <= grace_ms; waited += LOOK_MS) {
			if (program_ended(pid, &status))
				return status;
			(void)poll(NULL, 0, LOOK_MS);
		}
		(void)kill(pid, signals[i]);
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return status;
}
