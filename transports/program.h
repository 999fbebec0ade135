/* SPDX-License-Identifier: ISC */
#ifndef TRANSPORTS_PROGRAM_H
#define TRANSPORTS_PROGRAM_H
/*
 * A command without a shell: its words, and the process that runs it.
 *
 *	program_split; program_start; work; program_end;
 *	program_words_free
 */
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"

#define PROGRAM_WORDS_MAX 256

/* Words are separated by blanks; inside of "..." a blank is none, and there
 * and outside \" and \\ stand for the character.  The list ends with NULL.
 * ERR_SYNTAX: no word, too many, or a quote that does not end. */
int program_split(const char *text, char ***words_out, struct err *e)
    MUST_CHECK;
/* The same of a setting; ERR_CONFIG, and the text names it. */
int program_setting(const char *key, const char *text, char ***words_out,
    struct err *e) MUST_CHECK;
void program_words_free(char **words);
/* A copy with %f, %n and %p as file, name and peer, and %% as %; other letters
 * stay as they are. */
char **program_expand(char *const *words, const char *file, const char *name,
    const char *peer);
/* The same with %d and %p as directory and peer. */
char **program_expand_dir(char *const *words, const char *dir,
    const char *peer);

/* words[0] is looked for in PATH.  fd: its 0 and 1; its 2 is ours; no other
 * descriptor is open in it.  ERR_CONFIG: there is no such program. */
int program_start(char *const *words, const int fd[2], pid_t *pid_out,
    struct err *e) MUST_CHECK;
/* Whether it has ended; then its status as of waitpid(2). */
bool program_ended(pid_t pid, int *status_out);
/* Waits for its end; after grace_ms SIGTERM, after as many SIGKILL.  Its
 * status as of waitpid(2). */
int program_end(pid_t pid, int grace_ms);

#endif
