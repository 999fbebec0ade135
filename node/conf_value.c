/* SPDX-License-Identifier: ISC */
/*
 * Kinds of values.  Numbers are strict: 010 is not eight here and not ten
 * either, since somebody meant the one or the other.
 */
#include "node/conf_value.h"

#include "base/mem.h"
#include "base/text.h"
#include "node/chain.h"
#include "node/conf.h"
#include "node/conf_net.h"
#include "routing/card.h"
#include "smtp/address.h"
#include "smtp/extension.h"

#include <limits.h>
#include <stdlib.h>

#define NAME_MAX_CHARS 63

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool
is_alnum(char c)
{
	c = ascii_tolower(c);
	return is_digit(c) || (c >= 'a' && c <= 'z');
}

static int
store_text(const char *value, void *field)
{
	if (field != NULL)
		*(char **)field = mem_strdup(value);
	return 0;
}

int
conf_value_text(const struct conf_row *row, const char *value, void *field,
    struct err *e)
{
	size_t i;

	(void)row;
	if (value[0] == '\0')
		return err_set(e, ERR_SYNTAX, "an empty value");
	for (i = 0; value[i] != '\0'; i++)
		if ((unsigned char)value[i] < ' ' || value[i] == 127)
			return err_set(e, ERR_SYNTAX, "a control character");
	return store_text(value, field);
}

int
conf_value_path(const struct conf_row *row, const char *value, void *field,
    struct err *e)
{
	int rc = conf_value_text(row, value, NULL, e);

	if (rc < 0)
		return rc;
	if (value[0] != '/')
		return err_set(e, ERR_SYNTAX, "a path must begin with /");
	if (strlen(value) >= PATH_MAX)
		return err_set(e, ERR_LIMIT, "a path has less than %d octets",
		    PATH_MAX);
	return store_text(value, field);
}

int
conf_value_socket(const struct conf_row *row, const char *value, void *field,
    struct err *e)
{
	int rc = conf_value_path(row, value, NULL, e);

	if (rc == 0)
		rc = conf_socket_path_check(value, e);
	return rc < 0 ? rc : store_text(value, field);
}

int
conf_value_address(const struct conf_row *row, const char *value, void *field,
    struct err *e)
{
	int rc = address_check(slice_of(value), true, e);

	(void)row;
	return rc < 0 ? rc : store_text(value, field);
}

int
conf_value_domain(const struct conf_row *row, const char *value, void *field,
    struct err *e)
{
	int rc = address_check_domain(slice_of(value), true, e);

	(void)row;
	return rc < 0 ? rc : store_text(value, field);
}

/* Names become parts of file names and of log lines. */
int
conf_value_name(const struct conf_row *row, const char *value, void *field,
    struct err *e)
{
	size_t i, len = strlen(value);

	(void)row;
	if (len == 0 || len > NAME_MAX_CHARS || !is_alnum(value[0]))
		return err_set(e, ERR_SYNTAX, "a name begins with a letter or "
		    "digit and has 1 to %d characters", NAME_MAX_CHARS);
	for (i = 0; i < len; i++)
		if (!is_alnum(value[i]) && strchr("-_.", value[i]) == NULL)
			return err_set(e, ERR_SYNTAX, "a name holds letters, "
			    "digits, - _ and . only");
	return store_text(value, field);
}

static int
check_zeros(const char *value, struct err *e)
{
	size_t i;

	for (i = 0; value[i] != '\0'; i++)
		if (value[i] == '0' && is_digit(value[i + 1]) &&
		    (i == 0 || !is_digit(value[i - 1])))
			return err_set(e, ERR_SYNTAX, "a leading zero: write "
			    "the number without it");
	return 0;
}

int
conf_value_account(const struct conf_row *row, const char *value, void *field,
    struct err *e)
{
	uint64_t id;
	size_t i;

	(void)row;
	if (is_digit(value[0])) {
		if (num_parse(slice_of(value), UINT32_MAX - 1, &id) < 0 ||
		    check_zeros(value, NULL) < 0)
			return err_set(e, ERR_SYNTAX, "neither a number of a "
			    "user nor a name");
		return store_text(value, field);
	}
	for (i = 0; value[i] != '\0'; i++)
		if (!is_alnum(value[i]) &&
		    (strchr("-_.$", value[i]) == NULL || (i == 0 &&
		    value[i] != '_')))
			break;
	if (i == 0 || value[i] != '\0')
		return err_set(e, ERR_SYNTAX, "no name of a user or group");
	return store_text(value, field);
}

int
conf_value_pattern(const struct conf_row *row, const char *value, void *field,
    struct err *e)
{
	int rc = routing_pattern_check(value, e);

	(void)row;
	return rc < 0 ? rc : store_text(value, field);
}

int
conf_value_mailbox(const struct conf_row *row, const char *value, void *field,
    struct err *e)
{
	char *address;
	int rc;

	(void)row;
	if (value[0] == '.' || strchr(value, '/') != NULL)
		return err_set(e, ERR_SYNTAX, "the name of a user has no / and "
		    "does not begin with a dot");
	address = mem_printf("%s@x.example", value);
	rc = address_check(slice_of(address), true, NULL);
	free(address);
	if (rc < 0 || strchr(value, '@') != NULL)
		return err_set(e, ERR_SYNTAX, "write the part of the address "
		    "before the @");
	return store_text(value, field);
}

int
conf_value_endpoint(const struct conf_row *row, const char *value,
    void *field, struct err *e)
{
	struct conf_endpoint end;
	int rc;

	(void)row;
	if (strncmp(value, "smtp:", 5) == 0)
		value += 5;
	rc = conf_endpoint_parse(value, &end, e);
	return rc < 0 ? rc : store_text(value, field);
}

int
conf_value_setting(const struct conf_row *row, const char *value, void *field,
    struct err *e)
{
	size_t i;
	int rc = conf_value_text(row, value, NULL, e);

	if (rc < 0)
		return rc;
	for (i = 0; is_alnum(value[i]) || value[i] == '-' || value[i] == '_';)
		i++;
	if (i == 0 || value[i] != '=')
		return err_set(e, ERR_SYNTAX, "write \"KEY=VALUE\"");
	return store_text(value, field);
}

int
conf_value_transport(const struct conf_row *row, const char *value,
    void *field, struct err *e)
{
	if (strchr(value, '/') != NULL)
		return conf_value_path(row, value, field, e);
	return conf_value_name(row, value, field, e);
}

int
conf_value_filter(const struct conf_row *row, const char *value, void *field,
    struct err *e)
{
	int rc = conf_value_text(row, value, NULL, e);

	if (rc == 0)
		rc = chain_check(value, e);
	return rc < 0 ? rc : store_text(value, field);
}

int
conf_value_reach(const struct conf_row *row, const char *value, void *field,
    struct err *e)
{
	struct card card;
	int rc;

	(void)row;
	card_init(&card);
	rc = card_add_reach(&card, value, e);
	card_release(&card);
	return rc < 0 ? rc : store_text(value, field);
}

/* Says what is wrong with a number, or checks its limits. */
static int
check_number(const struct conf_row *row, const char *value, int rc,
    uint64_t n, const char *shape, struct err *e)
{
	if (rc == ERR_LIMIT)
		return err_set(e, ERR_LIMIT, "too large");
	if (rc < 0)
		return err_set(e, ERR_SYNTAX, "write %s", shape);
	rc = check_zeros(value, e);
	if (rc < 0)
		return rc;
	if (n < row->min)
		return err_set(e, ERR_LIMIT, "the least is %llu",
		    (unsigned long long)row->min);
	if (row->max > 0 && n > row->max)
		return err_set(e, ERR_LIMIT, "the most is %llu",
		    (unsigned long long)row->max);
	return 0;
}

static bool
is_none(const struct conf_row *row, const char *value)
{
	return (row->flags & CONF_NONE) != 0 && strcmp(value, "none") == 0;
}

int
conf_value_size(const struct conf_row *row, const char *value, void *field,
    struct err *e)
{
	uint64_t n = 0;
	int rc = 0;

	if (!is_none(row, value)) {
		rc = size_parse(slice_of(value), &n);
		rc = check_number(row, value, rc, n,
		    "a size such as 4096, 64K, 10M or 2G", e);
	}
	if (rc == 0 && field != NULL)
		*(uint64_t *)field = n;
	return rc;
}

int
conf_value_duration(const struct conf_row *row, const char *value,
    void *field, struct err *e)
{
	uint64_t n = 0;
	int rc = 0;

	if (!is_none(row, value)) {
		rc = duration_parse(slice_of(value), &n);
		if (rc == 0 && n > INT64_MAX / 1000 / 4)
			rc = ERR_LIMIT;
		rc = check_number(row, value, rc, n,
		    "a time such as 90s, 15m, 2h, 5d or 1h30m", e);
	}
	if (rc == 0 && field != NULL)
		*(uint64_t *)field = n;
	return rc;
}

static int
parse_count(const struct conf_row *row, const char *value, uint64_t max,
    uint64_t *n_out, struct err *e)
{
	int rc;

	*n_out = 0;
	if (is_none(row, value))
		return 0;
	rc = num_parse(slice_of(value), max, n_out);
	return check_number(row, value, rc, *n_out,
	    "a number in decimal digits", e);
}

int
conf_value_count(const struct conf_row *row, const char *value, void *field,
    struct err *e)
{
	uint64_t n;
	int rc = parse_count(row, value, UINT64_MAX, &n, e);

	if (rc == 0 && field != NULL)
		*(uint64_t *)field = n;
	return rc;
}

int
conf_value_count_size(const struct conf_row *row, const char *value,
    void *field, struct err *e)
{
	uint64_t n;
	int rc = parse_count(row, value, SIZE_MAX / 2, &n, e);

	if (rc == 0 && field != NULL)
		*(size_t *)field = (size_t)n;
	return rc;
}

int
conf_value_count_uint(const struct conf_row *row, const char *value,
    void *field, struct err *e)
{
	uint64_t n;
	int rc = parse_count(row, value, UINT_MAX, &n, e);

	if (rc == 0 && field != NULL)
		*(unsigned *)field = (unsigned)n;
	return rc;
}

int
conf_value_priority(const struct conf_row *row, const char *value,
    void *field, struct err *e)
{
	bool less = value[0] == '-';
	uint64_t n;

	(void)row;
	if (num_parse(slice_of(value + less), CONF_PRIORITY_MAX, &n) < 0 ||
	    (less && n == 0))
		return err_set(e, ERR_SYNTAX, "write a priority from %d to "
		    "%d", CONF_PRIORITY_MIN, CONF_PRIORITY_MAX);
	if (field != NULL)
		*(int *)field = less ? -(int)n : (int)n;
	return 0;
}

/* Octal, as chmod(1) takes it: the one number whose zero in front is usual. */
int
conf_value_mode(const struct conf_row *row, const char *value, void *field,
    struct err *e)
{
	size_t i;
	unsigned mode = 0;

	(void)row;
	for (i = 0; value[i] >= '0' && value[i] <= '7' && i < 5; i++)
		mode = mode * 8 + (unsigned)(value[i] - '0');
	if (i < 3 || value[i] != '\0' || mode > 0777)
		return err_set(e, ERR_SYNTAX, "write a mode in octal such as "
		    "0660");
	if (field != NULL)
		*(mode_t *)field = (mode_t)mode;
	return 0;
}

/* The index of the word, or an error that names them all. */
static int
find_word(const char *const *words, const char *value, struct err *e)
{
	struct buf all = BUF_INIT;
	int i;

	for (i = 0; words[i] != NULL; i++)
		if (strcmp(words[i], value) == 0)
			return i;
	for (i = 0; words[i] != NULL; i++)
		buf_addf(&all, "%s%s", i == 0 ? "" :
		    words[i + 1] == NULL ? " or " : ", ", words[i]);
	(void)err_set(e, ERR_SYNTAX, "write %s", buf_cstr(&all));
	buf_release(&all);
	return ERR_SYNTAX;
}

int
conf_value_choice(const struct conf_row *row, const char *value, void *field,
    struct err *e)
{
	int i = find_word(row->words, value, e);

	if (i >= 0 && field != NULL)
		*(unsigned *)field = (unsigned)i;
	return i < 0 ? i : 0;
}

int
conf_value_flag(const struct conf_row *row, const char *value, void *field,
    struct err *e)
{
	int i = find_word(row->words, value, e);

	if (i >= 0 && field != NULL)
		*(bool *)field = i > 0;
	return i < 0 ? i : 0;
}

int
conf_value_dialect(const struct conf_row *row, const char *value, void *field,
    struct err *e)
{
	static const char *const words[] = {
		[BUNDLE_BSMTP] = "bsmtp", [BUNDLE_RFC2442] = "rfc2442",
		[BUNDLE_NATIVE] = "native", NULL
	};
	int i;

	(void)row;
	i = find_word(words, value, e);
	if (i >= 0 && field != NULL)
		*(enum bundle_dialect *)field = (enum bundle_dialect)i;
	return i < 0 ? i : 0;
}

int
conf_value_shape(const struct conf_row *row, const char *value, void *field,
    struct err *e)
{
	struct shape shape = { SHAPE_NONE, 0 };
	int rc = 0;

	if (strcmp(value, "padme") == 0) {
		shape.kind = SHAPE_PADME;
	} else if (strcmp(value, "none") != 0) {
		shape.kind = SHAPE_EXACT;
		rc = size_parse(slice_of(value), &shape.octets);
		rc = check_number(row, value, rc, shape.octets,
		    "none, padme or a size such as 4096 or 64K", e);
	}
	if (rc == 0 && field != NULL)
		*(struct shape *)field = shape;
	return rc;
}

int
conf_value_encoding(const struct conf_row *row, const char *value,
    void *field, struct err *e)
{
	static const char *const words[] = { "base64", "quoted-printable",
		"8bit", NULL };
	static const enum mime_encoding meant[] = { MIME_BASE64,
		MIME_QUOTED_PRINTABLE, MIME_8BIT };
	int i = find_word(words, value, e);

	(void)row;
	if (i >= 0 && field != NULL)
		*(enum mime_encoding *)field = meant[i];
	return i < 0 ? i : 0;
}

int
conf_value_extension(const struct conf_row *row, const char *value,
    void *field, struct err *e)
{
	const unsigned some = SMTP_EXT_CHUNKING | SMTP_EXT_BINARYMIME |
	    SMTP_EXT_SMTPUTF8 | SMTP_EXT_MT_PRIORITY | SMTP_EXT_DELIVERBY |
	    SMTP_EXT_RFC2442;
	unsigned bit = smtp_extension_parse(slice_of(value));

	(void)row;
	if ((bit & some) == 0)
		return err_set(e, ERR_UNSUPPORTED, "a batch can use CHUNKING, "
		    "BINARYMIME, SMTPUTF8, MT-PRIORITY and DELIVERBY");
	if (field != NULL)
		*(unsigned *)field |= bit;
	return 0;
}

int
conf_value_call(const struct conf_row *row, const char *value, void *field,
    struct err *e)
{
	struct schedule **s = field;

	(void)row;
	if (*s == NULL)
		*s = schedule_new();
	return schedule_add(*s, value, e);
}

int
conf_value_call_interval(const struct conf_row *row, const char *value,
    void *field, struct err *e)
{
	struct schedule **s = field;
	uint64_t secs = 0;
	int rc = conf_value_duration(row, value, &secs, e);

	if (*s == NULL)
		*s = schedule_new();
	if (rc == 0)
		schedule_set_min_interval(*s, secs);
	return rc;
}

int
conf_value_keyword(const struct conf_row *row, const char *value, void *field,
    struct err *e)
{
	unsigned bit = smtp_extension_parse(slice_of(value));

	(void)row;
	if (bit == 0 || bit == SMTP_EXT_XGZIP || bit == SMTP_EXT_XORIGIN)
		return err_set(e, ERR_SYNTAX, "no extension of SMTP that is "
		    "known here");
	*(unsigned *)field |= bit;
	return 0;
}

int
conf_value_fingerprint(const struct conf_row *row, const char *value,
    void *field, struct err *e)
{
	struct conf_tls *tls = field;

	(void)row;
	tls->fingerprint = mem_realloc(tls->fingerprint,
	    tls->nfingerprints + 1, sizeof(*tls->fingerprint));
	return conf_fingerprint_parse(value,
	    tls->fingerprint[tls->nfingerprints++], e);
}

int
conf_value_allow(const struct conf_row *row, const char *value, void *field,
    struct err *e)
{
	struct conf_listener *l = field;
	struct conf_net net;
	int rc = conf_net_parse(value, &net, e);

	(void)row;
	if (rc < 0)
		return rc;
	l->allow = mem_realloc(l->allow, l->nallow + 1, sizeof(net));
	l->allow[l->nallow++] = net;
	l->asks_certificate |= net.family == AF_UNSPEC;
	return 0;
}

int
conf_value_hosts(const struct conf_row *row, const char *value, void *field,
    struct err *e)
{
	struct conf_peer *p = field;
	struct conf_net net;
	int rc = conf_net_parse(value, &net, e);

	(void)row;
	if (rc < 0)
		return rc;
	p->receive_hosts = mem_realloc(p->receive_hosts,
	    p->nreceive_hosts + 1, sizeof(net));
	p->receive_hosts[p->nreceive_hosts++] = net;
	return 0;
}

static int
check_maildir(const struct conf_row *row, const char *dir, struct err *e)
{
	const char *p;
	int rc = conf_value_path(row, dir, NULL, e);

	for (p = dir; rc == 0 && (p = strchr(p, '%')) != NULL; p += 2)
		if (p[1] != 'u' && p[1] != 'd')
			return err_set(e, ERR_SYNTAX, "a %% in the directory "
			    "of Maildirs stands before u (user) or d (domain)");
	return rc;
}

/* The program is ours to say: no macro is in it. */
static int
check_command(const struct conf_row *row, const char *text, struct err *e)
{
	size_t len = strcspn(text, " \t");
	char *program = mem_strndup(text, len);
	const char *p;
	int rc = conf_value_path(row, program, NULL, e);

	if (rc == 0 && strchr(program, '%') != NULL)
		rc = err_set(e, ERR_SYNTAX, "no %% in the path of a program");
	for (p = text + len; rc == 0 && (p = strchr(p, '%')) != NULL; p += 2)
		if (p[1] == '\0' || strchr("srudih%", p[1]) == NULL)
			rc = err_set(e, ERR_SYNTAX, "a %% stands before s "
			    "(sender), r (recipients), u, d (parts of one), "
			    "i (id), h (this host) or another %%");
	free(program);
	return rc;
}

int
conf_value_to(const struct conf_row *row, const char *value, void *field,
    struct err *e)
{
	struct conf_delivery *d = field;
	const char *target = strchr(value, ':');
	int rc;

	if (strncmp(value, "smtp:", 5) == 0 ||
	    strncmp(value, "lmtp:", 5) == 0) {
		d->kind = value[0] == 's' ? CONF_DELIVERY_SMTP :
		    CONF_DELIVERY_LMTP;
		return conf_value_endpoint(row, target + 1, &d->target, e);
	}
	if (strncmp(value, "command:", 8) == 0) {
		d->kind = CONF_DELIVERY_COMMAND;
		rc = check_command(row, target + 1, e);
		return rc < 0 ? rc : store_text(target + 1, &d->target);
	}
	if (strncmp(value, "maildir:", 8) != 0)
		return err_set(e, ERR_SYNTAX, "write smtp: or lmtp: and "
		    "ADDRESS:PORT or unix:/PATH, maildir:/DIR or "
		    "command:/PROGRAM ARGUMENTS");
	d->kind = CONF_DELIVERY_MAILDIR;
	rc = check_maildir(row, target + 1, e);
	return rc < 0 ? rc : store_text(target + 1, &d->target);
}

int
conf_value_log(const struct conf_row *row, const char *value, void *field,
    struct err *e)
{
	struct conf *conf = field;

	(void)row;
	conf->log = CONF_LOG_STDERR;
	if (strcmp(value, "stderr") == 0)
		return 0;
	conf->log = CONF_LOG_SYSLOG;
	if (strcmp(value, "syslog") == 0)
		return 0;
	conf->log = CONF_LOG_FILE;
	if (value[0] != '/')
		return err_set(e, ERR_SYNTAX, "write stderr, syslog or the "
		    "path of a file, from / on");
	return store_text(value, &conf->log_file);
}
