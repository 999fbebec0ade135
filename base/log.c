/* SPDX-License-Identifier: ISC */
/*
 * The log.  Each line is built whole and leaves in one write(2), so lines of
 * several processes never mix.  A log that cannot be written must not stop
 * the mail: errors of writing are passed over.
 */
#include "base/log.h"
#include "base/buf.h"
#include "base/mem.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <syslog.h>
#include <unistd.h>

#define LOG_VALUE_MAX 1024	/* octets of one value before escaping */

struct log {
	void (*emit)(struct log *log, enum log_level level);
	enum log_level least;
	struct buf line;
	struct clock *clock;
	bool priorities;
	int fd;
	char *path;
	char *ident;
	void (*fn)(void *ctx, enum log_level level, const char *line);
	void *ctx;
};

static const struct {
	const char *name;
	int priority;
} levels[] = {
	[LOG_LEVEL_DEBUG] = { "debug", LOG_DEBUG },
	[LOG_LEVEL_INFO] = { "info", LOG_INFO },
	[LOG_LEVEL_WARNING] = { "warning", LOG_WARNING },
	[LOG_LEVEL_FATAL] = { "fatal", LOG_ERR },
	[LOG_LEVEL_BUG] = { "bug", LOG_CRIT },
};
_Static_assert(sizeof(levels) / sizeof(levels[0]) == LOG_LEVEL_BUG + 1,
    "a name for each level");

static void
emit_fd(struct log *log, enum log_level level)
{
	struct buf out = BUF_INIT;

	if (log->priorities) {
		buf_addf(&out, "<%d>", levels[level].priority);
	} else {
		timestamp_format(&out, clock_wall_ms(log->clock));
		buf_addf(&out, " %s ", log_level_name(level));
	}
	buf_addslice(&out, buf_slice(&log->line));
	buf_addc(&out, '\n');
	while (write(log->fd, out.ptr, out.len) < 0 && errno == EINTR)
		;
	buf_release(&out);
}

static void
emit_syslog(struct log *log, enum log_level level)
{
	syslog(LOG_MAIL | levels[level].priority, "%s", buf_cstr(&log->line));
}

static void
emit_sink(struct log *log, enum log_level level)
{
	log->fn(log->ctx, level, buf_cstr(&log->line));
}

static struct log *
log_new(void (*emit)(struct log *log, enum log_level level))
{
	struct log *log = mem_alloc(1, sizeof(*log));

	log->emit = emit;
	log->least = LOG_LEVEL_INFO;
	log->fd = -1;
	return log;
}

struct log *
log_new_stderr(struct clock *clock, bool priorities)
{
	struct log *log = log_new(emit_fd);

	log->clock = clock;
	log->priorities = priorities;
	log->fd = STDERR_FILENO;
	return log;
}

struct log *
log_new_syslog(const char *ident)
{
	struct log *log = log_new(emit_syslog);

	log->ident = mem_strdup(ident);	/* openlog keeps the pointer */
	openlog(log->ident, LOG_PID | LOG_NDELAY, LOG_MAIL);
	return log;
}

int
log_new_file(struct clock *clock, const char *path, struct log **log_out,
    struct err *e)
{
	struct log *log = log_new(emit_fd);
	int rc;

	log->clock = clock;
	log->path = mem_strdup(path);
	rc = log_reopen(log, e);
	if (rc < 0) {
		log_free(log);
		log = NULL;
	}
	*log_out = log;
	return rc;
}

struct log *
log_new_sink(void (*fn)(void *ctx, enum log_level level, const char *line),
    void *ctx)
{
	struct log *log = log_new(emit_sink);

	log->fn = fn;
	log->ctx = ctx;
	return log;
}

void
log_free(struct log *log)
{
	if (log == NULL)
		return;
	if (log->path != NULL && log->fd >= 0)
		close(log->fd);
	if (log->ident != NULL)
		closelog();
	buf_release(&log->line);
	free(log->path);
	free(log->ident);
	free(log);
}

int
log_reopen(struct log *log, struct err *e)
{
	int fd;

	if (log == NULL || log->path == NULL)
		return 0;
	fd = open(log->path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC |
	    O_NOCTTY, 0640);
	if (fd < 0)
		return err_errno(e, "cannot open log file %s", log->path);
	if (log->fd >= 0)
		close(log->fd);
	log->fd = fd;
	return 0;
}

void
log_set_level(struct log *log, enum log_level level)
{
	if (log != NULL)
		log->least = level;
}

static bool
is_plain(const char *value)
{
	const char *p = value;

	while (*p > ' ' && *p < 0x7f && *p != '"' && *p != '\\')
		p++;
	return *p == '\0' && p != value;
}

static void
add_quoted(struct buf *b, const char *value, size_t len)
{
	buf_addc(b, '"');
	for (size_t i = 0; i < len; i++) {
		char c = value[i];

		if (c == '"' || c == '\\')
			buf_addf(b, "\\%c", c);
		else if (c >= ' ' && c < 0x7f)
			buf_addc(b, c);
		else
			buf_addf(b, "\\x%02x", (unsigned)(unsigned char)c);
	}
}

static void
add_pair(struct buf *b, const char *key, const char *value)
{
	size_t len = strlen(value);
	bool cut = len > LOG_VALUE_MAX;

	buf_addf(b, " %s=", key);
	if (!cut && is_plain(value)) {
		buf_add(b, value, len);
		return;
	}
	add_quoted(b, value, cut ? LOG_VALUE_MAX : len);
	buf_adds(b, cut ? "...\"" : "\"");
}

void
log_event(struct log *log, enum log_level level, const char *word, ...)
{
	const char *key, *value;
	va_list ap;

	if (log == NULL || level < log->least)
		return;
	buf_clear(&log->line);
	buf_adds(&log->line, word);
	va_start(ap, word);
	while ((key = va_arg(ap, const char *)) != NULL) {
		value = va_arg(ap, const char *);
		if (value != NULL)
			add_pair(&log->line, key, value);
	}
	va_end(ap);
	log->emit(log, level);
}

struct num_str
num_str(uint64_t n)
{
	struct num_str out;

	snprintf(out.s, sizeof(out.s), "%llu", (unsigned long long)n);
	return out;
}

const char *
log_level_name(enum log_level level)
{
	return levels[level].name;
}
