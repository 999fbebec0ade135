/* SPDX-License-Identifier: ISC */
/*
 * Writes one object of mails, for comparing how small they get.
 *
 *	bench_squeeze bsmtp|none|together|each <LIST >OBJECT
 *
 * Each line of LIST is a sender, a recipient and a file with CR LF.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "bundle/writer.h"
#include "smtp/extension.h"

#define MAIL_MAX (256 << 20)
#define LINE_OCTETS 4096
#define FIRST_NUMBER 100000	/* of a spool that has been in use */

static void
need(int rc, const struct err *e)
{
	if (rc >= 0)
		return;
	fprintf(stderr, "bench_squeeze: %s\n", e->text);
	exit(1);
}

static int
to_stdout(void *ctx, const char *bytes, size_t len, struct err *e)
{
	(void)ctx;
	if (fwrite(bytes, 1, len, stdout) != len)
		return err_errno(e, "standard output");
	return 0;
}

static struct slice
word(char **rest)
{
	char *begin = *rest;
	size_t n = strcspn(begin, " \n");

	*rest = begin + n + (begin[n] != '\0');
	begin[n] = '\0';
	return (struct slice){ begin, n };
}

static void
add_mail(struct bundle_writer *w, char *line, uint64_t number)
{
	struct envelope env;
	struct content_scanner scan;
	struct buf mail = BUF_INIT;
	struct err e = ERR_INIT;
	size_t rcpt = 0;

	envelope_init(&env);
	env.sender = slice_dup(word(&line));
	envelope_add_recipient(&env, word(&line).ptr, NULL, NULL);
	env.origin.number = number;
	need(file_read(word(&line).ptr, MAIL_MAX, &mail, &e), &e);
	content_scanner_init(&scan);
	content_scanner_add(&scan, mail.ptr, mail.len);
	content_scanner_end(&scan);
	need(bundle_writer_begin(w, &env, &scan.facts, 0, &rcpt, 1, &e), &e);
	need(bundle_writer_content(w, mail.ptr, mail.len, &e), &e);
	need(bundle_writer_end_message(w, &e), &e);
	envelope_release(&env);
	buf_release(&mail);
}

int
main(int argc, char **argv)
{
	struct bundle_params p = {
		.dialect = BUNDLE_BSMTP, .helo = "paris.example",
		.extensions = SMTP_EXT_RFC2442 | SMTP_EXT_CHUNKING |
		    SMTP_EXT_SMTPUTF8,
	};
	struct err e = ERR_INIT;
	struct bundle_writer *w;
	enum squeeze_mode mode;
	char line[LINE_OCTETS];

	if (argc != 2) {
		fputs("usage: bench_squeeze bsmtp|none|together|each\n",
		    stderr);
		return 64;
	}
	if (squeeze_mode_parse(slice_of(argv[1]), &mode) == 0) {
		p.dialect = BUNDLE_NATIVE;
		p.squeeze = squeeze_default(mode);
	}
	w = bundle_writer_new(&p, to_stdout, NULL);
	for (uint64_t n = FIRST_NUMBER; fgets(line, sizeof(line), stdin);
	    n++)
		add_mail(w, line, n);
	need(bundle_writer_finish(w, &e), &e);
	bundle_writer_free(w);
	return fflush(stdout) == 0 ? 0 : 1;
}
