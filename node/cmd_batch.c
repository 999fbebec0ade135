/* SPDX-License-Identifier: ISC */
/*
 * postrider batch.
 *
 * What a batch must say of a message in front of it (its size, whether it is
 * 8-bit, whether DATA can carry it) is known only behind it, so every file is
 * read twice: a first time to look, a second time to write.  Memory stays
 * flat, and a file that changed between the two is an error.
 */
#include "node/cmd_batch.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "bundle/writer.h"
#include "smtp/address.h"
#include "smtp/extension.h"

#define STEP 65536
#define EXTENSIONS (SMTP_EXT_RFC2442 | SMTP_EXT_CHUNKING | \
	SMTP_EXT_BINARYMIME | SMTP_EXT_SMTPUTF8 | SMTP_EXT_MT_PRIORITY | \
	SMTP_EXT_DELIVERBY)

struct job {
	struct bundle_params params;
	struct envelope env;
	bool as_is, plain, encoding_given;
	char **files;
	size_t nfiles;
	struct content_facts *facts;	/* of each file */
	struct bundle_writer *writer;
	char *id, *helo, *to;
};

static int
fail(int status, const struct err *e)
{
	fprintf(stderr, "postrider batch: %s\n", e->text);
	return status;
}

/*
 * Gives the octets of a file to sink, LF alone made into CR LF unless as_is.
 */
static void
add_lines(struct buf *out, const char *bytes, size_t len, bool *after_cr)
{
	size_t i = 0;

	while (i < len) {
		const char *nl = memchr(bytes + i, '\n', len - i);
		size_t n = nl != NULL ? (size_t)(nl - bytes) - i : len - i;

		if (n > 0) {
			buf_add(out, bytes + i, n);
			*after_cr = bytes[i + n - 1] == '\r';
		}
		if (nl == NULL)
			break;
		buf_adds(out, *after_cr ? "\n" : "\r\n");
		*after_cr = false;
		i += n + 1;
	}
}

static int
read_mail(const char *path, bool as_is, sink_fn *sink, void *ctx,
    struct err *e)
{
	char bytes[STEP];
	struct buf lines = BUF_INIT;
	bool after_cr = false;
	FILE *f = fopen(path, "rb");
	size_t n;
	int rc = 0;

	if (f == NULL)
		return err_errno(e, "%s", path);
	while (rc == 0 && (n = fread(bytes, 1, sizeof(bytes), f)) > 0) {
		if (as_is) {
			rc = sink(ctx, bytes, n, e);
			continue;
		}
		buf_clear(&lines);
		add_lines(&lines, bytes, n, &after_cr);
		rc = sink(ctx, lines.ptr, lines.len, e);
	}
	if (rc == 0 && ferror(f))
		rc = err_errno(e, "%s", path);
	buf_release(&lines);
	fclose(f);
	return rc;
}

static int
scan_sink(void *ctx, const char *bytes, size_t len, struct err *e)
{
	(void)e;
	content_scanner_add(ctx, bytes, len);
	return 0;
}

/* What MAIL must declare for this content. */
static void
declare(struct job *job, const struct content_facts *facts)
{
	job->env.body = SMTP_BODY_NONE;
	if ((facts->flags & (CONTENT_8BIT | CONTENT_NUL)) != 0 && !job->plain)
		job->env.body = SMTP_BODY_8BITMIME;
}

/* Can an encoding that changes nothing carry it over mail? */
static bool
is_plain_text(const struct content_facts *facts)
{
	return (facts->flags & (CONTENT_8BIT | CONTENT_NUL | CONTENT_BARE |
	    CONTENT_LONG | CONTENT_OPEN_END)) == 0;
}

static int
look(struct job *job, struct err *e)
{
	bool text = true;

	for (size_t i = 0; i < job->nfiles; i++) {
		struct content_scanner scan;
		int rc;

		content_scanner_init(&scan);
		rc = read_mail(job->files[i], job->as_is, scan_sink, &scan, e);
		if (rc < 0)
			return rc;
		content_scanner_end(&scan);
		job->facts[i] = scan.facts;
		declare(job, &scan.facts);
		job->params.required |= envelope_needs(&job->env,
		    &scan.facts);
		text = text && is_plain_text(&scan.facts);
	}
	if (!job->encoding_given)
		job->params.encoding = text ? MIME_7BIT : MIME_BASE64;
	return 0;
}

struct measure {
	struct job *job;
	uint64_t left;
};

static int
measured_sink(void *ctx, const char *bytes, size_t len, struct err *e)
{
	struct measure *m = ctx;

	if (len > m->left)
		return err_set(e, ERR_STATE, "it grew while it was read");
	m->left -= len;
	return bundle_writer_content(m->job->writer, bytes, len, e);
}

/* One transaction: recipients from first on, as many as fit in one. */
static int
write_transaction(struct job *job, size_t file, size_t first, struct err *e)
{
	size_t rcpt[BUNDLE_RECIPIENTS_MAX], n = 0;
	struct measure m = { job, job->facts[file].octets };
	int rc;

	for (; n < BUNDLE_RECIPIENTS_MAX && first + n < job->env.nrcpt; n++)
		rcpt[n] = first + n;
	declare(job, &job->facts[file]);
	rc = bundle_writer_begin(job->writer, &job->env, &job->facts[file], 0,
	    rcpt, n, e);
	if (rc < 0)
		return rc;
	rc = read_mail(job->files[file], job->as_is, measured_sink, &m, e);
	if (rc == 0 && m.left > 0)
		rc = err_set(e, ERR_STATE, "it shrank while it was read");
	if (rc == 0)
		rc = bundle_writer_end_message(job->writer, e);
	return rc;
}

static int
stdout_sink(void *ctx, const char *bytes, size_t len, struct err *e)
{
	(void)ctx;
	if (fwrite(bytes, 1, len, stdout) != len)
		return err_errno(e, "writing standard output");
	return 0;
}

static int
write_all(struct job *job, struct err *e)
{
	int rc;

	for (size_t i = 0; i < job->nfiles; i++) {
		for (size_t first = 0; first < job->env.nrcpt;
		    first += BUNDLE_RECIPIENTS_MAX) {
			rc = write_transaction(job, i, first, e);
			if (rc < 0) {
				err_prefix(e, "%s", job->files[i]);
				return rc;
			}
		}
	}
	rc = bundle_writer_finish(job->writer, e);
	if (rc == 0 && fflush(stdout) != 0)
		rc = err_errno(e, "writing standard output");
	return rc;
}

static int
exit_status(int rc)
{
	switch (rc) {
	case 0:
		return 0;
	case ERR_UNSUPPORTED:
	case ERR_LIMIT:
	case ERR_STATE:
		return EX_DATAERR;
	default:
		return EX_IOERR;
	}
}

/* What was not given: names of this host, of the object, of its ends. */
static void
fill_in(struct job *job)
{
	struct bundle_params *p = &job->params;
	unsigned char random[16];
	struct buf hex = BUF_INIT;
	char host[256] = "localhost";

	if (p->helo == NULL) {
		(void)gethostname(host, sizeof(host) - 1);
		p->helo = job->helo = mem_strdup(host);
	}
	if (p->id == NULL) {
		rng_fill(rng_real(), random, sizeof(random));
		hex_encode(&hex, random, sizeof(random));
		p->id = job->id = buf_steal(&hex);
	}
	if (p->from == NULL)
		p->from = job->env.sender;
	if (p->to == NULL) {
		struct slice domain = address_domain(job->env.rcpt[0].address);

		p->to = job->to = domain.len == 0 ? mem_strdup("postmaster") :
		    mem_printf("postmaster@%.*s", (int)domain.len, domain.ptr);
	}
	p->date_ms = clock_wall_ms(clock_real());
	p->plain = job->plain;
	p->extensions = job->plain ? SMTP_EXT_8BITMIME : EXTENSIONS;
}

static int
run(struct job *job)
{
	struct err e = ERR_INIT;
	int rc;

	job->facts = mem_alloc(job->nfiles, sizeof(*job->facts));
	if (look(job, &e) < 0)
		return fail(EX_NOINPUT, &e);
	fill_in(job);
	job->writer = bundle_writer_new(&job->params, stdout_sink, NULL);
	rc = write_all(job, &e);
	bundle_writer_free(job->writer);
	return rc < 0 ? fail(exit_status(rc), &e) : 0;
}

static int
usage(void)
{
	fputs("usage: postrider batch [--dialect bsmtp|rfc2442] [--gzip]\n"
	    "           [--encoding 7bit|8bit|quoted-printable|base64]\n"
	    "           [--as-is] [--plain]\n"
	    "           [--helo NAME] [--id ID] [--bundle-from A]\n"
	    "           [--bundle-to B] --from A --to B... FILE.eml...\n",
	    stderr);
	return EX_USAGE;
}

static int
bad_argument(const char *option, const char *value, const char *why)
{
	fprintf(stderr, "postrider batch: --%s %s: %s\n", option, value, why);
	return EX_USAGE;
}

/* An address with or without brackets; may_be_null allows "" and "<>". */
static int
take_address(const char *option, const char *text, bool may_be_null,
    char **addr_out)
{
	struct slice s = slice_of(text);
	struct err e = ERR_INIT;

	if (s.len >= 2 && s.ptr[0] == '<' && s.ptr[s.len - 1] == '>')
		s = (struct slice){ s.ptr + 1, s.len - 2 };
	if (!(may_be_null && s.len == 0) && address_check(s, true, &e) < 0)
		return bad_argument(option, text, e.text);
	*addr_out = slice_dup(s);
	return 0;
}

static void
note_utf8(struct job *job, const char *addr)
{
	if (!slice_is_ascii(slice_of(addr)))
		job->env.smtputf8 = true;
}

static int
take_sender(struct job *job, const char *text)
{
	free(job->env.sender);
	job->env.sender = NULL;
	if (take_address("from", text, true, &job->env.sender) != 0)
		return EX_USAGE;
	note_utf8(job, job->env.sender);
	return 0;
}

static int
take_recipient(struct job *job, const char *text)
{
	char *addr = NULL;

	if (take_address("to", text, false, &addr) != 0)
		return EX_USAGE;
	note_utf8(job, addr);
	envelope_add_recipient(&job->env, addr, NULL, NULL);
	free(addr);
	return 0;
}

static int
take_dialect(struct job *job, const char *text)
{
	if (strcmp(text, "bsmtp") == 0)
		job->params.dialect = BUNDLE_BSMTP;
	else if (strcmp(text, "rfc2442") == 0)
		job->params.dialect = BUNDLE_RFC2442;
	else
		return bad_argument("dialect", text, "bsmtp or rfc2442");
	return 0;
}

static int
take_encoding(struct job *job, const char *text)
{
	job->encoding_given = true;
	if (strcmp(text, "7bit") == 0)
		job->params.encoding = MIME_7BIT;
	else if (strcmp(text, "8bit") == 0)
		job->params.encoding = MIME_8BIT;
	else if (strcmp(text, "quoted-printable") == 0)
		job->params.encoding = MIME_QUOTED_PRINTABLE;
	else if (strcmp(text, "base64") == 0)
		job->params.encoding = MIME_BASE64;
	else
		return bad_argument("encoding", text,
		    "7bit, 8bit, quoted-printable or base64");
	return 0;
}

static int
take_option(struct job *job, int option, const char *value)
{
	switch (option) {
	case 'd':
		return take_dialect(job, value);
	case 'e':
		return take_encoding(job, value);
	case 'f':
		return take_sender(job, value);
	case 't':
		return take_recipient(job, value);
	case 'g':
		job->params.gzip = true;
		return 0;
	case 'a':
		job->as_is = true;
		return 0;
	case 'p':
		job->plain = true;
		return 0;
	case 'h':
		job->params.helo = value;
		return 0;
	case 'i':
		job->params.id = value;
		return 0;
	case 'F':
		job->params.from = value;
		return 0;
	case 'T':
		job->params.to = value;
		return 0;
	default:
		return usage();
	}
}

static const struct option options[] = {
	{ "dialect", required_argument, NULL, 'd' },
	{ "gzip", no_argument, NULL, 'g' },
	{ "encoding", required_argument, NULL, 'e' },
	{ "as-is", no_argument, NULL, 'a' },
	{ "plain", no_argument, NULL, 'p' },
	{ "helo", required_argument, NULL, 'h' },
	{ "id", required_argument, NULL, 'i' },
	{ "bundle-from", required_argument, NULL, 'F' },
	{ "bundle-to", required_argument, NULL, 'T' },
	{ "from", required_argument, NULL, 'f' },
	{ "to", required_argument, NULL, 't' },
	{ NULL, 0, NULL, 0 },
};

static int
take_arguments(struct job *job, int argc, char **argv)
{
	int c, status;

	optind = 0;	/* glibc: begin anew */
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		status = take_option(job, c, optarg);
		if (status != 0)
			return status;
	}
	if (job->env.sender == NULL || job->env.nrcpt == 0 || optind >= argc)
		return usage();
	job->files = argv + optind;
	job->nfiles = (size_t)(argc - optind);
	return 0;
}

int
cmd_batch(int argc, char **argv)
{
	struct job job = { .as_is = false };
	int status;

	envelope_init(&job.env);
	status = take_arguments(&job, argc, argv);
	if (status == 0)
		status = run(&job);
	envelope_release(&job.env);
	free(job.facts);
	free(job.id);
	free(job.helo);
	free(job.to);
	return status;
}
