/* SPDX-License-Identifier: ISC */
/*
 * postrider inspect.
 *
 * The line about the object comes first and can be written only when all of
 * it has been read, so the lines about transactions wait in a temporary file:
 * an object may hold a million of them.
 */
#include "node/cmd_inspect.h"

#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#include "base/mem.h"
#include "base/text.h"
#include "bundle/reader.h"

#define REFUSED_MAX 1000	/* recipients told with their transaction */
#define STEP 65536

struct inspection {
	bool json, strict;
	uint64_t faults;	/* told by a command at fault */
	FILE *lines;		/* what comes behind the first line */
	struct bundle_reader *reader;
	enum bundle_format format;
	enum compression compression;
	json_t *required;	/* names as written */
	json_t *refused;	/* recipients of the transaction at hand */
	uint64_t refused_line[REFUSED_MAX];
	const char *outcome;
	char *reason;
	struct sha256 hash;
};

/*
 * JSON must be UTF-8 and mail need not be: octets that are not become the
 * characters U+0080 to U+00FF.
 */
static json_t *
json_octets(struct slice s)
{
	struct buf text = BUF_INIT;
	json_t *value;

	if (utf8_valid(s))
		return json_stringn(s.ptr != NULL ? s.ptr : "", s.len);
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.ptr[i];

		if (c >= 0x80)
			buf_addc(&text, (char)(0xc0 | c >> 6));
		buf_addc(&text, (char)(c < 0x80 ? c : 0x80 | (c & 0x3f)));
	}
	value = json_stringn(text.ptr, text.len);
	buf_release(&text);
	return value;
}

static json_t *
json_text(const char *text)
{
	return text != NULL ? json_octets(slice_of(text)) : json_null();
}

/* Writes one line and lets go of the object. */
static void
write_json(FILE *to, json_t *object)
{
	json_dumpf(object, to, JSON_COMPACT | JSON_PRESERVE_ORDER);
	fputc('\n', to);
	json_decref(object);
}

static json_t *
recipient_json(const struct recipient *rcpt, bool accepted,
    const char *status)
{
	return json_pack("{s:o,s:b,s:s?,s:o,s:o}",
	    "address", json_text(rcpt->address),
	    "accepted", accepted,
	    "status", status,
	    "notify", json_text(rcpt->notify),
	    "orcpt", json_text(rcpt->orcpt));
}

/* A recipient that was refused alone is told with its transaction. */
static void
note_refused(struct inspection *in, const struct bundle_event *ev)
{
	struct envelope env;
	struct slice args;
	struct smtp_refusal ignored = { 0 };

	if (smtp_command_split(ev->bytes, &args) != SMTP_VERB_RCPT ||
	    json_array_size(in->refused) >= REFUSED_MAX)
		return;
	envelope_init(&env);
	if (smtp_command_rcpt(args, ~0U, true, &env, &ignored) == 0 &&
	    env.nrcpt == 1) {
		in->refused_line[json_array_size(in->refused)] = ev->line;
		json_array_append_new(in->refused, recipient_json(env.rcpt,
		    false, ev->refusal.status));
	}
	envelope_release(&env);
}

/* Those of a transaction that came to nothing before its content. */
static void
forget_refused(struct inspection *in, uint64_t before_line)
{
	size_t n = json_array_size(in->refused), old = 0;

	while (old < n && in->refused_line[old] < before_line)
		old++;
	memmove(in->refused_line, in->refused_line + old,
	    (n - old) * sizeof(in->refused_line[0]));
	while (old-- > 0)
		json_array_remove(in->refused, 0);
}

static json_t *
recipients_json(struct inspection *in, const struct envelope *env)
{
	json_t *list = json_array();

	for (size_t i = 0; i < env->nrcpt; i++)
		json_array_append_new(list, recipient_json(&env->rcpt[i],
		    true, NULL));
	json_array_extend(list, in->refused);
	return list;
}

/* MT-PRIORITY and DELIVERBY; null where nothing was said.  A hold is asked of
 * the node that a message is submitted to: no batch may. */
static void
add_timing(json_t *line, const struct smtp_timing *t)
{
	json_object_set_new(line, "priority", t->priority_given ?
	    json_integer(t->priority) : json_null());
	json_object_set_new(line, "by", t->by == SMTP_BY_NONE ? json_null() :
	    json_pack("{s:I,s:s,s:b}", "secs", (json_int_t)t->by_secs,
	    "mode", t->by == SMTP_BY_RETURN ? "return" : "notify",
	    "trace", t->by_trace));
}

static void
transaction_json(struct inspection *in, const struct bundle_event *ev,
    const char *digest)
{
	const struct envelope *env = ev->envelope;

	json_t *line = json_pack(
	    "{s:s,s:I,s:o,s:o,s:o,s:s?,s:o,s:s?,s:o,s:I,s:s}",
	    "kind", "transaction",
	    "index", (json_int_t)ev->index,
	    "helo", json_text(env->helo),
	    "sender", json_text(env->sender),
	    "recipients", recipients_json(in, env),
	    "body", smtp_body_name(env->body),
	    "size", env->size_given ? json_integer((json_int_t)env->size) :
	    json_null(),
	    "ret", smtp_ret_name(env->ret),
	    "envid", json_text(env->envid),
	    "octets", (json_int_t)ev->facts->octets,
	    "sha256", digest);

	add_timing(line, &env->timing);
	write_json(in->lines, line);
}

/* What the sender asked for, as the parameters of MAIL have it. */
static void
timing_text(FILE *to, const struct smtp_timing *t)
{
	if (t->priority_given)
		fprintf(to, "  priority %d\n", t->priority);
	if (t->by != SMTP_BY_NONE)
		fprintf(to, "  by      %lld s, else %s%s\n",
		    (long long)t->by_secs, t->by == SMTP_BY_RETURN ?
		    "return" : "notify", t->by_trace ? ", trace" : "");
}

/* For a terminal; what could steer it is escaped. */
static void
print_text(FILE *to, const char *label, const char *text)
{
	struct buf safe = BUF_INIT;

	if (text == NULL)
		return;
	text_escape(&safe, slice_of(text), 300, true);
	fprintf(to, "%s%s\n", label, buf_cstr(&safe));
	buf_release(&safe);
}

static void
transaction_text(struct inspection *in, const struct bundle_event *ev,
    const char *digest)
{
	const struct envelope *env = ev->envelope;
	struct buf size = BUF_INIT;

	size_format(&size, ev->facts->octets);
	fprintf(in->lines, "\nmessage %llu, %s\n",
	    (unsigned long long)ev->index, buf_cstr(&size));
	buf_release(&size);
	print_text(in->lines, "  from    ",
	    *env->sender != '\0' ? env->sender : "<>");
	for (size_t i = 0; i < env->nrcpt; i++)
		print_text(in->lines, "  to      ", env->rcpt[i].address);
	for (size_t i = 0; i < json_array_size(in->refused); i++)
		print_text(in->lines, "  refused ", json_string_value(
		    json_object_get(json_array_get(in->refused, i),
		    "address")));
	print_text(in->lines, "  envid   ", env->envid);
	print_text(in->lines, "  body    ", smtp_body_name(env->body));
	timing_text(in->lines, &env->timing);
	fprintf(in->lines, "  sha256  %s\n", digest);
}

static void
on_transaction(struct inspection *in, const struct bundle_event *ev)
{
	unsigned char digest[SHA256_LEN];
	struct buf hex = BUF_INIT;

	sha256_end(&in->hash, digest);
	hex_encode(&hex, digest, sizeof(digest));
	if (in->json)
		transaction_json(in, ev, buf_cstr(&hex));
	else
		transaction_text(in, ev, buf_cstr(&hex));
	json_array_clear(in->refused);
	buf_release(&hex);
}

static void
on_error(struct inspection *in, const struct bundle_event *ev)
{
	char code[16];

	if (ev->refusal.code == 0)
		return;		/* no command was at fault */
	in->faults++;
	note_refused(in, ev);
	if (!in->json) {
		print_text(in->lines, "\nerror in ", ev->reason);
		return;
	}
	snprintf(code, sizeof(code), "%d", ev->refusal.code);
	write_json(in->lines, json_pack("{s:s,s:I,s:o,s:s,s:s,s:o}",
	    "kind", "error",
	    "line", (json_int_t)ev->line,
	    "command", json_octets(ev->bytes),
	    "code", code,
	    "status", ev->refusal.status,
	    "text", json_text(ev->refusal.text)));
}

static void
on_format(struct inspection *in, const struct bundle_event *ev)
{
	struct slice rest;

	in->format = ev->format;
	in->compression = ev->compression;
	if (ev->required == NULL)
		return;
	rest = slice_of(ev->required);
	while (rest.len > 0) {
		const char *comma = memchr(rest.ptr, ',', rest.len);
		size_t n = comma != NULL ? (size_t)(comma - rest.ptr) :
		    rest.len;
		struct slice name = slice_trim((struct slice){ rest.ptr, n });

		if (name.len > 0)
			json_array_append_new(in->required,
			    json_octets(name));
		n += comma != NULL;
		rest.ptr += n;
		rest.len -= n;
	}
}

static void
on_last(struct inspection *in, const struct bundle_event *ev,
    const char *outcome)
{
	in->outcome = outcome;
	in->format = ev->format;
	in->compression = ev->compression;
	if (ev->reason != NULL)
		in->reason = mem_strdup(ev->reason);
}

static void
on_event(struct inspection *in, const struct bundle_event *ev)
{
	switch (ev->kind) {
	case BUNDLE_EVENT_FORMAT:
		on_format(in, ev);
		break;
	case BUNDLE_EVENT_ID:
		break;
	case BUNDLE_EVENT_BEGIN:
		sha256_init(&in->hash);
		forget_refused(in, ev->line);
		break;
	case BUNDLE_EVENT_CONTENT:
		sha256_add(&in->hash, ev->bytes.ptr, ev->bytes.len);
		break;
	case BUNDLE_EVENT_END:
		on_transaction(in, ev);
		break;
	case BUNDLE_EVENT_RESET:
		json_array_clear(in->refused);
		break;
	case BUNDLE_EVENT_ERROR:
		on_error(in, ev);
		break;
	case BUNDLE_EVENT_BROKEN:
		on_error(in, ev);
		on_last(in, ev, "postmaster");
		break;
	case BUNDLE_EVENT_NOT_BATCH:
		on_last(in, ev, "not-batch");
		break;
	case BUNDLE_EVENT_DONE:
		on_last(in, ev, "process");
		break;
	}
}

static int
read_object(struct inspection *in, FILE *from, const char *name)
{
	char bytes[STEP];
	struct bundle_event ev;
	size_t n, done, used;

	while ((n = fread(bytes, 1, sizeof(bytes), from)) > 0) {
		for (done = 0;; done += used) {
			if (bundle_reader_next(in->reader, bytes + done,
			    n - done, &used, &ev) != 1)
				break;
			on_event(in, &ev);
		}
	}
	if (ferror(from)) {
		fprintf(stderr, "postrider inspect: %s: %s\n", name,
		    strerror(errno));
		return EX_NOINPUT;
	}
	while (bundle_reader_eof(in->reader, &ev) == 1)
		on_event(in, &ev);
	return 0;
}

static const char *
format_name(enum bundle_format format)
{
	static const char *const names[] = {
		[BUNDLE_FORMAT_NONE] = "none",
		[BUNDLE_FORMAT_BSMTP] = "bsmtp",
		[BUNDLE_FORMAT_RFC2442] = "rfc2442",
	};

	return names[format];
}

static void
print_object(struct inspection *in)
{
	if (in->json) {
		write_json(stdout, json_pack("{s:s,s:s,s:s,s:s,s:o,s:O}",
		    "kind", "object",
		    "format", format_name(in->format),
		    "compression", compression_name(in->compression),
		    "outcome", in->outcome,
		    "reason", json_text(in->reason),
		    "required_extensions", in->required));
		return;
	}
	printf("format       %s\ncompression  %s\noutcome      %s\n",
	    format_name(in->format), compression_name(in->compression),
	    in->outcome);
	print_text(stdout, "reason       ", in->reason);
	for (size_t i = 0; i < json_array_size(in->required); i++)
		print_text(stdout, "requires     ",
		    json_string_value(json_array_get(in->required, i)));
}

static int
print_all(struct inspection *in)
{
	char bytes[STEP];
	size_t n;

	print_object(in);
	rewind(in->lines);
	while ((n = fread(bytes, 1, sizeof(bytes), in->lines)) > 0)
		fwrite(bytes, 1, n, stdout);
	if (ferror(in->lines) || fflush(stdout) != 0 || ferror(stdout)) {
		fprintf(stderr, "postrider inspect: writing: %s\n",
		    strerror(errno));
		return EX_IOERR;
	}
	return strcmp(in->outcome, "process") != 0 ||
	    (in->strict && in->faults > 0);
}

static int
inspect(FILE *from, const char *name, bool json, bool strict)
{
	struct bundle_reader_options opts;
	struct inspection in = { .json = json, .strict = strict,
	    .outcome = "not-batch" };
	int status;

	in.lines = tmpfile();
	if (in.lines == NULL) {
		fprintf(stderr, "postrider inspect: temporary file: %s\n",
		    strerror(errno));
		return EX_IOERR;
	}
	bundle_reader_options_default(&opts);
	opts.strict = strict;
	opts.message_max = 0;
	in.reader = bundle_reader_new(&opts);
	in.required = json_array();
	in.refused = json_array();
	status = read_object(&in, from, name);
	if (status == 0)
		status = print_all(&in);
	bundle_reader_free(in.reader);
	json_decref(in.required);
	json_decref(in.refused);
	free(in.reason);
	fclose(in.lines);
	return status;
}

static int
usage(void)
{
	fprintf(stderr, "usage: postrider inspect [--json] [--strict] "
	    "[FILE|-]\n");
	return EX_USAGE;
}

int
cmd_inspect(int argc, char **argv)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "strict", no_argument, NULL, 's' },
		{ NULL, 0, NULL, 0 },
	};
	bool json = false, strict = false;
	const char *name;
	FILE *from = stdin;
	int c, status;

	optind = 0;	/* glibc: begin anew */
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'j')
			json = true;
		else if (c == 's')
			strict = true;
		else
			return usage();
	}
	if (argc - optind > 1)
		return usage();
	name = optind < argc ? argv[optind] : "-";
	if (strcmp(name, "-") != 0)
		from = fopen(name, "rb");
	if (from == NULL) {
		fprintf(stderr, "postrider inspect: %s: %s\n", name,
		    strerror(errno));
		return EX_NOINPUT;
	}
	status = inspect(from, name, json, strict);
	if (from != stdin)
		fclose(from);
	return status;
}
