/* SPDX-License-Identifier: ISC */
/*
 * Rescue below Berkeley DB.  Its verifier walks a file page by page, passes
 * over what it cannot read and prints the rest in hexadecimal, as db_dump(1)
 * does; the text is taken apart as it comes, so it is never held.  What it
 * prints may be wrong: the caller checks each record.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "spool/store_bdb.h"
#include "spool/store_salvage.h"

struct dump {
	store_salvaged *fn;
	void *ctx;
	struct buf line, key;
	bool in_data, have_key;
	int rc;
};

const char *
store_salvage_file(enum store_table t)
{
	return bdb_table_file(t);
}

bool
store_salvage_is_table(const char *name)
{
	for (int t = 0; t < STORE_TABLES; t++)
		if (strcmp(name, bdb_table_file((enum store_table)t)) == 0)
			return true;
	return false;
}

bool
store_salvage_is_log(const char *name)
{
	return strncmp(name, "log.", 4) == 0 &&
	    strspn(name + 4, "0123456789") == 10 && name[14] == '\0';
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void
hex_decode(struct slice s, struct buf *out)
{
	buf_clear(out);
	for (size_t i = 0; i + 1 < s.len; i += 2) {
		int high = hex_digit(s.ptr[i]), low = hex_digit(s.ptr[i + 1]);

		if (high < 0 || low < 0)
			break;
		buf_addc(out, (char)(high << 4 | low));
	}
}

static void
dump_line(struct dump *d)
{
	struct slice line = buf_slice(&d->line);
	struct buf value = BUF_INIT;

	if (line.len == 0 || line.ptr[0] != ' ') {
		d->in_data = slice_eqs(line, "HEADER=END");
		d->have_key = false;
		return;
	}
	if (!d->in_data || d->rc < 0)
		return;
	line.ptr++;
	line.len--;
	if (!d->have_key) {
		hex_decode(line, &d->key);
		d->have_key = true;
		return;
	}
	hex_decode(line, &value);
	d->rc = d->fn(d->ctx, buf_slice(&d->key), buf_slice(&value));
	d->have_key = false;
	buf_release(&value);
}

static ssize_t
dump_write(void *cookie, const char *bytes, size_t len)
{
	struct dump *d = cookie;
	size_t left = len;

	while (left > 0) {
		const char *end = memchr(bytes, '\n', left);
		size_t n = end == NULL ? left : (size_t)(end - bytes);

		buf_add(&d->line, bytes, n);
		if (end != NULL) {
			dump_line(d);
			buf_clear(&d->line);
			n++;
		}
		bytes += n;
		left -= n;
	}
	return (ssize_t)len;
}

static void
say_nothing(const DB_ENV *env, const char *prefix, const char *text)
{
	(void)env;
	(void)prefix;
	(void)text;
}

static int
dump_table(const char *path, struct dump *d, struct err *e)
{
	const cookie_io_functions_t io = { .write = dump_write };
	FILE *out = fopencookie(d, "w", io);
	DB *db = NULL;
	int ret;

	if (out == NULL)
		return err_errno(e, "read %s", path);
	ret = db_create(&db, NULL, 0);
	if (ret == 0) {
		db->set_errcall(db, say_nothing);
		/* Frees the handle, whatever it finds. */
		ret = db->verify(db, path, NULL, out, DB_SALVAGE);
	}
	(void)fclose(out);
	if (d->rc < 0)
		return d->rc;
	return ret == 0 ? 0 : 1;
}

int
store_salvage_table(const char *dir, enum store_table t, store_salvaged *fn,
    void *ctx, struct err *e)
{
	struct dump d = { .fn = fn, .ctx = ctx };
	char *path = path_join(dir, bdb_table_file(t));
	int rc = 0;

	if (!bdb_table_is_younger(t) || access(path, F_OK) == 0)
		rc = dump_table(path, &d, e);

	buf_release(&d.line);
	buf_release(&d.key);
	free(path);
	return rc;
}

int
store_salvage_recover(const char *dir, bool catastrophic, struct err *e)
{
	struct bdb s = { .dir = mem_strdup(dir) };
	int ret, rc;

	store_options_default(&s.opts);
	rc = bdb_env_new(&s, e);
	if (rc == 0) {
		ret = s.env->open(s.env, dir, DB_CREATE | DB_PRIVATE |
		    DB_INIT_LOCK | DB_INIT_LOG | DB_INIT_MPOOL | DB_INIT_TXN |
		    (catastrophic ? DB_RECOVER_FATAL : DB_RECOVER), 0600);
		if (ret != 0)
			rc = bdb_error(&s, ret, "recovery", e);
	}
	if (s.env != NULL) {
		ret = s.env->close(s.env, 0);
		if (rc == 0 && ret != 0)
			rc = bdb_error(&s, ret, "recovery", e);
	}
	free(s.dir);
	return rc;
}
