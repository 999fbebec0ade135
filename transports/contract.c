/* SPDX-License-Identifier: ISC */
/*
 * The child's side of the contract.  Settings are remembered with whether
 * they were asked for, so that each transport lists its settings once, where
 * it reads them, and a misspelt one is still an error.
 */
#include "transports/contract.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/secret.h"
#include "base/text.h"
#include "transports/lines.h"
#include "transports/report.h"
#include "transports/scrub.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define COPY_STEP 65536
#define COMMAND_MAX 512		/* an answer has a name in it */
#define ANSWER_MS 60000
#define WEEK_SECS (7U * 24 * 3600)

struct setting {
	struct slice key;
	const char *value;
	bool used;
};

struct contract {
	const char *program, *peer, *out_dir, *in_dir;
	struct setting *settings;
	size_t nsettings;
	int commands_fd, reports_fd;
	struct lines commands;
	enum contract_command last;	/* STOP or GONE, once it was said */
	bool more;			/* was said, and not yet told on */
	const char *asked;		/* the name of a return; NULL: none */
	bool answered, known;
	char *hidden[CONTRACT_HIDDEN_MAX];	/* NULL: no secret yet */
	size_t nhidden;			/* ever */
};

static int
add_setting(struct contract *c, const char *text, struct err *e)
{
	const char *eq = strchr(text, '=');
	struct setting *s;

	if (eq == NULL || eq == text)
		return err_set(e, ERR_CONFIG, "--set %s: want KEY=VALUE",
		    text);
	c->settings = mem_realloc(c->settings, c->nsettings + 1, sizeof(*s));
	s = &c->settings[c->nsettings++];
	s->key = (struct slice){ text, (size_t)(eq - text) };
	s->value = eq + 1;
	s->used = false;
	return 0;
}

static int
take_option(struct contract *c, const char *option, const char *value,
    struct err *e)
{
	const char **where;

	if (strcmp(option, "--set") == 0)
		return add_setting(c, value, e);
	if (strcmp(option, "--peer") == 0)
		where = &c->peer;
	else if (strcmp(option, "--out") == 0)
		where = &c->out_dir;
	else if (strcmp(option, "--in") == 0)
		where = &c->in_dir;
	else
		return err_set(e, ERR_CONFIG, "unknown option %s", option);
	if (*where != NULL)
		return err_set(e, ERR_CONFIG, "%s is given twice", option);
	if (*value == '\0')
		return err_set(e, ERR_CONFIG, "%s is empty", option);
	*where = value;
	return 0;
}

static int
parse_args(struct contract *c, int argc, char *const *argv, struct err *e)
{
	int rc = 0;

	for (int i = 1; rc == 0 && i < argc; i += 2) {
		if (strncmp(argv[i], "--", 2) != 0)
			rc = err_set(e, ERR_CONFIG, "unexpected argument %s",
			    argv[i]);
		else if (i + 1 == argc)
			rc = err_set(e, ERR_CONFIG, "%s needs a value",
			    argv[i]);
		else
			rc = take_option(c, argv[i], argv[i + 1], e);
	}
	if (rc == 0 && (c->peer == NULL || c->out_dir == NULL ||
	    c->in_dir == NULL))
		rc = err_set(e, ERR_CONFIG,
		    "--peer, --out and --in must be given");
	return rc;
}

int
contract_open(int argc, char *const *argv, int commands_fd, int reports_fd,
    struct contract **c_out, struct err *e)
{
	struct contract *c = mem_alloc(1, sizeof(*c));
	int rc;

	c->program = argc > 0 ? path_base(argv[0]) : "transport";
	c->commands_fd = commands_fd;
	c->reports_fd = reports_fd;
	lines_init(&c->commands, COMMAND_MAX);
	rc = parse_args(c, argc, argv, e);
	if (rc < 0) {
		contract_close(c);
		c = NULL;
	}
	*c_out = c;
	return rc;
}

void
contract_close(struct contract *c)
{
	if (c == NULL)
		return;
	lines_release(&c->commands);
	for (size_t i = 0; i < CONTRACT_HIDDEN_MAX; i++)
		secret_free(c->hidden[i]);
	free(c->settings);
	free(c);
}

const char *
contract_peer(const struct contract *c)
{
	return c->peer;
}

const char *
contract_out_dir(const struct contract *c)
{
	return c->out_dir;
}

const char *
contract_in_dir(const struct contract *c)
{
	return c->in_dir;
}

const char *
contract_setting(struct contract *c, const char *key, const char *otherwise)
{
	for (size_t i = 0; i < c->nsettings; i++) {
		if (!slice_eqs(c->settings[i].key, key))
			continue;
		c->settings[i].used = true;
		otherwise = c->settings[i].value;
	}
	return otherwise;
}

int
contract_setting_bool(struct contract *c, const char *key, bool otherwise,
    bool *value_out, struct err *e)
{
	const char *value = contract_setting(c, key, otherwise ? "yes" : "no");

	*value_out = strcmp(value, "yes") == 0;
	if (!*value_out && strcmp(value, "no") != 0)
		return err_set(e, ERR_CONFIG, "%s=%s: want yes or no", key,
		    value);
	return 0;
}

/* "12.5": digits, a dot, one to three digits. */
static int
decimal_parse(const char *text, const char *dot, uint64_t *ms_out)
{
	struct slice whole = { text, (size_t)(dot - text) };
	struct slice part = slice_of(dot + 1);
	uint64_t secs, ms;

	if (part.len > 3 || num_parse(whole, WEEK_SECS, &secs) < 0 ||
	    num_parse(part, 999, &ms) < 0)
		return ERR_SYNTAX;
	for (size_t i = part.len; i < 3; i++)
		ms *= 10;
	*ms_out = secs * 1000 + ms;
	return 0;
}

int
contract_setting_ms(struct contract *c, const char *key, int otherwise,
    int *ms_out, struct err *e)
{
	const char *value = contract_setting(c, key, NULL);
	const char *dot;
	uint64_t ms = 0;
	int rc;

	*ms_out = otherwise;
	if (value == NULL)
		return 0;
	dot = strchr(value, '.');
	if (dot != NULL) {
		rc = decimal_parse(value, dot, &ms);
	} else {
		rc = duration_parse(slice_of(value), &ms);
		ms = ms > WEEK_SECS ? UINT64_MAX : ms * 1000;
	}
	if (rc < 0 || ms > WEEK_SECS * UINT64_C(1000))
		return err_set(e, ERR_CONFIG, "%s=%s: want seconds, such as "
		    "30 or 0.5, or a time such as 10m, at most 1w", key,
		    value);
	*ms_out = (int)ms;
	return 0;
}

int
contract_setting_ms_least(struct contract *c, const char *key, int otherwise,
    int least, int *ms_out, struct err *e)
{
	int rc = contract_setting_ms(c, key, otherwise, ms_out, e);

	if (rc == 0 && *ms_out < least)
		return err_set(e, ERR_CONFIG, "%s=%s: want %d.%03d seconds "
		    "at least", key, contract_setting(c, key, ""), least / 1000,
		    least % 1000);
	return rc;
}

int
contract_setting_size(struct contract *c, const char *key, uint64_t otherwise,
    uint64_t *octets_out, struct err *e)
{
	const char *value = contract_setting(c, key, NULL);

	*octets_out = otherwise;
	if (value != NULL && (size_parse(slice_of(value), octets_out) < 0 ||
	    *octets_out == 0))
		return err_set(e, ERR_CONFIG, "%s=%s: want a size such as "
		    "100M", key, value);
	return 0;
}

int
contract_settings_used(const struct contract *c, struct err *e)
{
	for (size_t i = 0; i < c->nsettings; i++) {
		const struct slice *key = &c->settings[i].key;

		if (!c->settings[i].used)
			return err_set(e, ERR_CONFIG, "unknown setting %.*s, "
			    "or of no use beside the others: postrider-%s(8) "
			    "has them all",
			    (int)key->len, key->ptr, c->program);
	}
	return 0;
}

static int
name_order(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Whether a name of the directory is a file to send. */
static bool
is_complete_file(int dir_fd, const char *name)
{
	struct stat st;

	return report_name_ok(slice_of(name)) &&
	    fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    S_ISREG(st.st_mode);
}

int
contract_out(const struct contract *c, struct contract_names *names_out,
    struct err *e)
{
	DIR *dir = opendir(c->out_dir);
	struct dirent *d;
	int rc = 0;

	*names_out = (struct contract_names){ NULL, 0 };
	if (dir == NULL)
		return err_errno(e, "cannot open %s", c->out_dir);
	while (errno = 0, (d = readdir(dir)) != NULL) {
		if (!is_complete_file(dirfd(dir), d->d_name))
			continue;
		names_out->names = mem_realloc(names_out->names,
		    names_out->count + 1, sizeof(char *));
		names_out->names[names_out->count++] = mem_strdup(d->d_name);
	}
	if (errno != 0)
		rc = err_errno(e, "cannot read %s", c->out_dir);
	closedir(dir);
	if (names_out->count > 0)
		qsort(names_out->names, names_out->count, sizeof(char *),
		    name_order);
	if (rc < 0)
		contract_names_release(names_out);
	return rc;
}

bool
contract_out_has(const struct contract *c, const char *name)
{
	char *path = path_join(c->out_dir, name);
	struct stat st;
	bool there = lstat(path, &st) == 0;

	free(path);
	return there;
}

void
contract_names_release(struct contract_names *names)
{
	for (size_t i = 0; i < names->count; i++)
		free(names->names[i]);
	free(names->names);
	*names = (struct contract_names){ NULL, 0 };
}

bool
contract_names_has(const struct contract_names *names, const char *name)
{
	return names->count > 0 && bsearch(&name, names->names, names->count,
	    sizeof(char *), name_order) != NULL;
}

static int
copy_in(int fd, struct file_writer *w, char *step, const char *name,
    struct err *e)
{
	int rc = 0;

	while (rc == 0) {
		ssize_t n = file_read_some(fd, step, COPY_STEP);

		if (n < 0)
			return err_errno(e, "cannot read %s", name);
		if (n == 0)
			return 0;
		rc = file_writer_add(w, step, (size_t)n, e);
	}
	return rc;
}

/* Whether somebody wrote into the file since it looked like before. */
static int
check_unchanged(int fd, const struct stat *before, const char *name,
    struct err *e)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_errno(e, "cannot look at %s", name);
	if (st.st_size != before->st_size ||
	    st.st_mtim.tv_sec != before->st_mtim.tv_sec ||
	    st.st_mtim.tv_nsec != before->st_mtim.tv_nsec)
		return err_set(e, ERR_STATE, "%s was written to while it was "
		    "read", name);
	return 0;
}

int
contract_receive(struct contract *c, int fd, const char *name, struct err *e)
{
	struct file_writer w = FILE_WRITER_INIT;
	char *step = mem_alloc(1, COPY_STEP);
	struct stat before;
	int rc = 0;

	if (fstat(fd, &before) < 0)
		rc = err_errno(e, "cannot look at %s", name);
	if (rc == 0)
		rc = file_writer_open(&w, c->in_dir, name, 0600, e);
	if (rc == 0)
		rc = copy_in(fd, &w, step, name, e);
	if (rc == 0)
		rc = check_unchanged(fd, &before, name, e);
	if (rc == 0)
		rc = file_writer_commit(&w, true, e);
	file_writer_abort(&w);
	free(step);
	return rc;
}

static bool
is_hidden(const struct contract *c, const char *secret)
{
	for (size_t i = 0; i < CONTRACT_HIDDEN_MAX; i++)
		if (c->hidden[i] != NULL && strcmp(c->hidden[i], secret) == 0)
			return true;
	return false;
}

void
contract_hide(struct contract *c, const char *secret)
{
	char **place = &c->hidden[c->nhidden % CONTRACT_HIDDEN_MAX];
	size_t size = strlen(secret) + 1;

	if (is_hidden(c, secret))
		return;
	secret_free(*place);
	*place = secret_alloc(size);
	memcpy(*place, secret, size);
	c->nhidden++;
}

static void
scrub(const struct contract *c, struct slice text, struct buf *out)
{
	const char *secrets[CONTRACT_HIDDEN_MAX];

	for (size_t i = 0; i < CONTRACT_HIDDEN_MAX; i++)
		secrets[i] = c->hidden[i];
	if (c->nhidden > 0)
		scrub_text(out, text, secrets, CONTRACT_HIDDEN_MAX);
	else
		buf_addslice(out, text);
}

void
contract_complain(struct contract *c, const char *text)
{
	struct buf clean = BUF_INIT;

	scrub(c, slice_of(text), &clean);
	fprintf(stderr, "%s\n", buf_cstr(&clean));
	buf_release(&clean);
}

/* A report that cannot be written has no reader: the daemon is gone, which
 * the end of standard input tells as well. */
static void
say(struct contract *c, const struct report *report)
{
	struct buf line = BUF_INIT, text = BUF_INIT;
	struct report r = *report;

	scrub(c, r.text, &text);
	r.text = buf_slice(&text);
	report_format(&line, &r);
	buf_release(&text);
	if (file_write_all(c->reports_fd, line.ptr, line.len, NULL) < 0)
		c->last = CONTRACT_GONE;
	buf_release(&line);
}

void
contract_sending(struct contract *c, const char *name, uint64_t done,
    uint64_t total)
{
	struct report r = { .kind = REPORT_SENDING, .name = slice_of(name),
	    .done = done, .total = total };

	say(c, &r);
}

void
contract_sent(struct contract *c, const char *name)
{
	struct report r = { .kind = REPORT_SENT, .name = slice_of(name) };

	say(c, &r);
}

void
contract_received(struct contract *c, const char *name)
{
	struct report r = { .kind = REPORT_RECEIVED, .name = slice_of(name) };

	say(c, &r);
}

void
contract_failed(struct contract *c, const char *name, bool permanent,
    const char *text)
{
	struct report r = {
		.kind = permanent ? REPORT_FAILED_PERMANENT :
		    REPORT_FAILED_TEMPORARY,
		.name = slice_of(name), .text = slice_of(text)
	};

	say(c, &r);
}

static void
say_returned(struct contract *c, const char *name, bool permanent,
    const char *text)
{
	struct report r = {
		.kind = permanent ? REPORT_RETURNED_PERMANENT :
		    REPORT_RETURNED_TEMPORARY,
		.name = slice_of(name), .text = slice_of(text)
	};

	say(c, &r);
}

void
contract_progress(struct contract *c, const struct report_progress *p)
{
	struct report r = { .kind = REPORT_PROGRESS, .progress = *p };

	say(c, &r);
}

void
contract_note(struct contract *c, const char *fmt, ...)
{
	struct report r = { .kind = REPORT_NOTE };
	struct buf text = BUF_INIT;
	va_list ap;

	va_start(ap, fmt);
	buf_vaddf(&text, fmt, ap);
	va_end(ap);
	r.text = buf_slice(&text);
	say(c, &r);
	buf_release(&text);
}

/* Reads what is there; false if nothing is. */
static bool
hear(struct contract *c)
{
	struct pollfd p = { .fd = c->commands_fd, .events = POLLIN };
	char bytes[512];
	ssize_t n;

	if (poll(&p, 1, 0) <= 0)
		return false;
	n = read(c->commands_fd, bytes, sizeof(bytes));
	if (n > 0) {
		lines_add(&c->commands, bytes, (size_t)n);
		return true;
	}
	if (n == 0 || (errno != EINTR && errno != EAGAIN))
		c->last = CONTRACT_GONE;
	return false;
}

/* "known NAME" or "unknown NAME", of the name that was asked for. */
static void
take_answer(struct contract *c, struct slice line)
{
	const char *blank = memchr(line.ptr, ' ', line.len);
	struct slice word, name;

	if (blank == NULL || c->asked == NULL)
		return;
	word = (struct slice){ line.ptr, (size_t)(blank - line.ptr) };
	name = (struct slice){ blank + 1, line.len - word.len - 1 };
	if (!slice_eqs(name, c->asked) || (!slice_eqs(word, "known") &&
	    !slice_eqs(word, "unknown")))
		return;
	c->answered = true;
	c->known = slice_eqs(word, "known");
}

static void
listen_now(struct contract *c)
{
	struct slice line;
	int rc;

	do {
		while ((rc = lines_next(&c->commands, &line)) != 0) {
			if (rc < 0)
				continue;
			if (slice_eqs(line, "more"))
				c->more = true;
			else if (slice_eqs(line, "stop"))
				c->last = CONTRACT_STOP;
			else
				take_answer(c, line);
		}
	} while (c->last == CONTRACT_NONE && hear(c));
}

bool
contract_returned(struct contract *c, const char *name, bool permanent,
    const char *text)
{
	struct pollfd p = { .fd = c->commands_fd, .events = POLLIN };
	int64_t until = clock_mono_ms(clock_real()) + ANSWER_MS, now;

	c->asked = name;
	c->answered = c->known = false;
	say_returned(c, name, permanent, text);
	for (;;) {
		listen_now(c);
		now = clock_mono_ms(clock_real());
		if (c->answered || c->last != CONTRACT_NONE || now >= until)
			break;
		(void)poll(&p, 1, (int)(until - now));
	}
	c->asked = NULL;
	return c->known;
}

enum contract_command
contract_command(struct contract *c)
{
	listen_now(c);
	if (c->last != CONTRACT_NONE || !c->more)
		return c->last;
	c->more = false;
	return CONTRACT_MORE;
}

bool
contract_stopping(struct contract *c)
{
	listen_now(c);
	return c->last == CONTRACT_STOP;
}

bool
contract_command_over(const struct contract *c)
{
	return c->last != CONTRACT_NONE;
}

int
contract_commands_fd(const struct contract *c)
{
	return c->commands_fd;
}
