/* SPDX-License-Identifier: ISC */
#ifndef TRANSPORTS_CONTRACT_H
#define TRANSPORTS_CONTRACT_H
/*
 * The transport's own side of the contract, postrider-transport(7):
 *
 *	contract_open; contract_setting* for each setting it knows, then
 *	contract_settings_used; work: contract_out, contract_receive, reports,
 *	contract_command; contract_close; exit with a CONTRACT_EXIT_ status
 *
 * It knows nothing of what carries the files.
 */
#include <stdio.h>

#include "base/buf.h"
#include "base/err.h"
#include "transports/report.h"

enum contract_exit {
	CONTRACT_EXIT_DONE = 0,
	CONTRACT_EXIT_LATER = 75,
	CONTRACT_EXIT_CONFIG = 78
};

enum contract_command {
	CONTRACT_NONE,	/* nothing was said */
	CONTRACT_MORE,	/* there are new files in out/ */
	CONTRACT_STOP,	/* end soon */
	CONTRACT_GONE	/* standard input has ended: the daemon is gone */
};

/* Names of files, sorted as octets. */
struct contract_names {
	char **names;
	size_t count;
};

struct contract;

/* Reads the arguments.  commands_fd: standard input; reports_fd: standard
 * output; both stay the caller's.  argv must live as long as the contract.
 * ERR_CONFIG says what is wrong with the arguments. */
int contract_open(int argc, char *const *argv, int commands_fd,
    int reports_fd, struct contract **c_out, struct err *e) MUST_CHECK;
void contract_close(struct contract *c);

const char *contract_peer(const struct contract *c);
const char *contract_out_dir(const struct contract *c);
const char *contract_in_dir(const struct contract *c);

/* The value of a setting, or the default; the last of several counts. */
const char *contract_setting(struct contract *c, const char *key,
    const char *otherwise);
/* "yes" or "no"; ERR_CONFIG. */
int contract_setting_bool(struct contract *c, const char *key, bool otherwise,
    bool *value_out, struct err *e) MUST_CHECK;
/* Seconds with up to three decimals ("0.2"), or a duration ("15m"), at most
 * a week, as milliseconds; ERR_CONFIG. */
int contract_setting_ms(struct contract *c, const char *key, int otherwise,
    int *ms_out, struct err *e) MUST_CHECK;
/* The same of at least so many. */
int contract_setting_ms_least(struct contract *c, const char *key,
    int otherwise, int least, int *ms_out, struct err *e) MUST_CHECK;
/* "10M", at least 1, as octets; ERR_CONFIG. */
int contract_setting_size(struct contract *c, const char *key,
    uint64_t otherwise, uint64_t *octets_out, struct err *e) MUST_CHECK;
/* ERR_CONFIG naming a setting that none of the calls above asked for. */
int contract_settings_used(const struct contract *c, struct err *e)
    MUST_CHECK;

/* The complete files in out/: plain files without a leading dot and with a
 * name that reports can carry.  The caller releases the list. */
int contract_out(const struct contract *c, struct contract_names *names_out,
    struct err *e) MUST_CHECK;
/* Whether there is still such a file in out/. */
bool contract_out_has(const struct contract *c, const char *name);
void contract_names_release(struct contract_names *names);
bool contract_names_has(const struct contract_names *names, const char *name);

/* Copies what fd has from its offset to its end into in/NAME, whole or not
 * at all: dot name, fsync, rename, fsync of in/.  An existing file of that
 * name is replaced.  Reports nothing. */
int contract_receive(struct contract *c, int fd, const char *name,
    struct err *e) MUST_CHECK;

/* Reports: one write(2) each, so lines are never torn. */
void contract_sending(struct contract *c, const char *name, uint64_t done,
    uint64_t total);
void contract_sent(struct contract *c, const char *name);
void contract_received(struct contract *c, const char *name);
void contract_failed(struct contract *c, const char *name, bool permanent,
    const char *text);
/* What was sent came back: it did not arrive.  Waits for the daemon's answer;
 * true: it has settled that, and what tells of it may be deleted.  false: not
 * now, or it is another peer's, or no answer came within a minute. */
bool contract_returned(struct contract *c, const char *name, bool permanent,
    const char *text);
void contract_progress(struct contract *c, const struct report_progress *p);
void contract_note(struct contract *c, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* What no report may hold from now on, whoever repeats it: it is copied, into
 * memory that is not swapped.  The last CONTRACT_HIDDEN_MAX are kept. */
#define CONTRACT_HIDDEN_MAX 8
void contract_hide(struct contract *c, const char *secret);
/* A line on standard error, for whoever has to mend something. */
void contract_complain(struct contract *c, const char *text);

/* The next command, without waiting.  STOP and GONE are repeated for ever;
 * unknown words are passed over, as later versions may add some. */
enum contract_command contract_command(struct contract *c);
/* Whether STOP was said; for a look in the middle of work. */
bool contract_stopping(struct contract *c);
/* Whether STOP or GONE was said: no more commands will come. */
bool contract_command_over(const struct contract *c);
int contract_commands_fd(const struct contract *c);

#endif
