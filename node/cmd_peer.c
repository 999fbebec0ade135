/* SPDX-License-Identifier: ISC */
/*
 * postrider peer: taking a peer's card.  Whose card it is, only people can
 * tell, by its fingerprint; what follows from the card is done here: it is
 * put where the daemon finds it, and a section peer and routes are appended to
 * the configuration, which takes its place only if it can be loaded.
 */
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/selftest.h"
#include "base/text.h"
#include "node/cards.h"
#include "node/cli.h"

struct peer_args {
	struct cli *cli;
	const char *verb, *file, *fingerprint, *transport;
	struct conf_strings set;	/* items are argv's */
	bool replace, print, only_card;
	struct conf *conf;
	struct card card;
	struct buf text;		/* the card as it came */
	struct err err;
};

static int
usage(void)
{
	return cli_usage("peer test [--wait SECS] [--json] NAME\n"
	    "       postrider peer add "
	    "[--fingerprint TEXT] [--transport NAME]\n"
	    "           [--set KEY=VALUE]... [--only-card] [--print] "
	    "[--replace] FILE|-");
}

/* A card that is too large, or older than the one there is, gets no better by
 * trying again. */
static int
failed(struct peer_args *a, int rc)
{
	return cli_fail(a->cli, rc == ERR_LIMIT || rc == ERR_STATE ?
	    EX_DATAERR : cli_status(rc), "%s", a->err.text);
}

/* What is said beside a section that is printed is no part of it. */
static void __attribute__((format(printf, 2, 3)))
say(const struct peer_args *a, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vfprintf(a->print ? stderr : stdout, fmt, ap);
	va_end(ap);
}

/*
 * The card.
 */
static int
read_card(struct peer_args *a)
{
	const char *path = strcmp(a->file, "-") == 0 ? "/dev/stdin" : a->file;
	struct err *e = &a->err;
	int rc = file_read(path, CARD_MAX, &a->text, e);

	if (rc != 0)
		return rc;
	rc = card_parse(buf_slice(&a->text), &a->card, e);
	if (rc != 0)
		err_prefix(e, "%s", a->file);
	else if (strcmp(a->card.site, a->conf->site) == 0)
		rc = err_set(e, ERR_DENIED, "%s: this card says it is of %s, "
		    "as this site is called", a->file, a->card.site);
	return rc;
}

static int
check_fingerprint(struct peer_args *a)
{
	struct fingerprint want, is = card_fingerprint(&a->card);
	int rc;

	if (a->fingerprint == NULL)
		return 0;
	rc = fingerprint_parse(slice_of(a->fingerprint), &want, &a->err);
	if (rc != 0)
		err_prefix(&a->err, "--fingerprint");
	else if (strcmp(want.text, is.text) != 0)
		rc = err_set(&a->err, ERR_DENIED, "%s: the fingerprint of "
		    "this card is %s, not the one that was told: it is not "
		    "the card of who told it", a->file, is.text);
	return rc;
}

/*
 * The section.
 */
static void
add_quoted(struct buf *out, const char *text)
{
	buf_addc(out, '"');
	for (; *text != '\0'; text++) {
		if (*text == '"' || *text == '\\')
			buf_addc(out, '\\');
		if (*text == '\n')
			buf_adds(out, "\\n");
		else
			buf_addc(out, *text);
	}
	buf_addc(out, '"');
}

static void
add_road(struct buf *out, const char *lead, const char *transport,
    const struct conf_strings *set)
{
	buf_addf(out, "%stransport = ", lead);
	add_quoted(out, transport);
	buf_addc(out, '\n');
	for (size_t i = 0; i < set->n; i++) {
		buf_addf(out, i == 0 ? "%sset = { " : ", ", lead);
		add_quoted(out, set->item[i]);
	}
	buf_adds(out, set->n > 0 ? " }\n" : "");
}

/* One way to reach it, as the card has it, in the words of a section. */
static void
add_reach(struct buf *out, const char *lead, const struct card_reach *r)
{
	struct conf_strings set = { mem_alloc(r->nsettings, sizeof(char *)),
		r->nsettings };

	for (size_t i = 0; i < set.n; i++)
		set.item[i] = mem_printf("%s=%s", r->setting[i].key,
		    r->setting[i].value);
	add_road(out, lead, r->transport, &set);
	for (size_t i = 0; i < set.n; i++)
		free(set.item[i]);
	free(set.item);
}

/* Settings can name commands and files.  So a card decides by itself no more
 * than where to connect to. */
static bool
is_harmless(const struct conf *conf, const struct card_reach *r)
{
	char *program = mem_printf("%s/%s", conf->libexec_dir, r->transport);
	bool good = strcmp(r->transport, "tcp") == 0 &&
	    access(program, X_OK) == 0;

	for (size_t i = 0; i < r->nsettings; i++)
		good = good && (strcmp(r->setting[i].key, "host") == 0 ||
		    strcmp(r->setting[i].key, "port") == 0);
	free(program);
	return good;
}

static void
add_roads(struct peer_args *a, struct buf *out)
{
	bool have = a->transport != NULL;

	if (have)
		add_road(out, "\t", a->transport, &a->set);
	for (size_t i = 0; i < a->card.nreaches; i++) {
		const struct card_reach *r = &a->card.reach[i];

		if (!have && is_harmless(a->conf, r)) {
			add_reach(out, "\t", r);
			have = true;
			continue;
		}
		buf_adds(out, "\t# Its card says:\n");
		add_reach(out, "\t# ", r);
	}
	if (!have)
		buf_adds(out, "\t# How it is reached:\n\ttransport = file\n"
		    "\t# set = { \"drop=/media/stick/out\", "
		    "\"pickup=/media/stick/in\" }\n");
}

/* The site that the domain is routed to now; NULL: none; "" is ours. */
static const char *
routed_to(const struct conf *conf, const char *domain)
{
	struct slice d = slice_of(domain);

	for (size_t i = 0; i < conf->ndeliveries; i++)
		for (size_t j = 0; j < conf->delivery[i].domains.n; j++)
			if (slice_ieqs(d, conf->delivery[i].domains.item[j]))
				return "";
	for (size_t i = 0; i < conf->nroutes; i++)
		if (slice_ieqs(d, conf->route[i].pattern))
			return conf->route[i].site;
	return NULL;
}

static void
add_routes(struct peer_args *a, struct buf *out)
{
	size_t n = 0;

	for (size_t i = 0; i < a->card.ndomains; i++) {
		const char *domain = a->card.domain[i];
		const char *site = routed_to(a->conf, domain);

		if (site == NULL) {
			buf_adds(out, n++ == 0 ? "routes {\n\t" : "\t");
			add_quoted(out, domain);
			buf_addf(out, " = %s\n", a->card.site);
		} else if (strcmp(site, a->card.site) != 0) {
			say(a, "the domain %s is %s%s here: it stays so\n",
			    domain, *site == '\0' ? "delivered" :
			    "routed to ", site);
		}
	}
	buf_adds(out, n > 0 ? "}\n" : "");
}

static void
write_section(struct peer_args *a, struct buf *out)
{
	char *day = NULL;
	struct buf now = BUF_INIT;

	timestamp_format(&now, clock_wall_ms(clock_real()));
	day = mem_strndup(buf_cstr(&now), 10);
	buf_addf(out, "\n# Added by \"postrider peer add\" on %s; the "
	    "fingerprint:\n# %s\n", day, card_fingerprint(&a->card).text);
	buf_addf(out, "peer %s {\n\tdialect = native\n", a->card.site);
	add_roads(a, out);
	buf_adds(out, "}\n");
	add_routes(a, out);
	free(day);
	buf_release(&now);
}

/*
 * The configuration.
 */
/* Its first fault is in the error; warnings are for `postrider check`. */
static void
told(void *ctx, const char *text)
{
	(void)ctx;
	(void)text;
}

/* The file with the section behind it, under another name. */
static int
write_beside(const char *path, const char *fresh, const struct buf *section,
    struct err *e)
{
	struct buf text = BUF_INIT;
	char *dir = mem_strndup(fresh, (size_t)(path_base(fresh) - fresh));
	struct stat st;
	int rc = file_read(path, 64U << 20, &text, e);

	if (rc == 0 && stat(path, &st) != 0)
		rc = err_errno(e, "%s", path);
	if (rc == 0) {
		buf_addslice(&text, buf_slice(section));
		rc = file_replace(dir, path_base(fresh), text.ptr, text.len,
		    st.st_mode & 0777, e);
	}
	if (rc == 0 && (chmod(fresh, st.st_mode & 0777) != 0 ||
	    (st.st_uid != geteuid() &&
	    chown(fresh, st.st_uid, st.st_gid) != 0)))
		rc = err_errno(e, "%s", fresh);
	buf_release(&text);
	free(dir);
	return rc;
}

static int
sync_beside(const char *path, struct err *e)
{
	char *dir = mem_strndup(path, (size_t)(path_base(path) - path));
	int rc = file_sync_dir(dir, e);

	free(dir);
	return rc;
}

/* All that can fail but for the disk has been tried when the card is put. */
static int
put_both(struct peer_args *a, const char *path, const char *fresh,
    const struct buf *section)
{
	struct conf *conf = NULL;
	int rc = write_beside(path, fresh, section, &a->err);

	if (rc == 0)
		rc = conf_load(fresh, told, NULL, &conf, &a->err);
	conf_free(conf);
	if (rc == 0)
		rc = cards_put(a->conf->cards_dir, buf_slice(&a->text),
		    &a->card, a->replace, &a->err);
	if (rc >= 0 && rename(fresh, path) != 0)
		rc = err_errno(&a->err, "cannot rename to %s", path);
	if (rc >= 0)
		rc = sync_beside(path, &a->err);
	if (rc < 0)
		(void)unlink(fresh);
	return rc;
}

static int
extend_conf(struct peer_args *a)
{
	char *path = realpath(a->conf->file, NULL);
	struct buf section = BUF_INIT;
	char *fresh;
	int rc;

	if (path == NULL)
		return err_errno(&a->err, "%s", a->conf->file);
	fresh = mem_printf("%s.new", path);
	write_section(a, &section);
	rc = put_both(a, path, fresh, &section);
	if (rc >= 0)
		say(a, "peer %s is added to %s; look it over, then "
		    "\"postrider reload\"\n", a->card.site, path);
	buf_release(&section);
	free(fresh);
	free(path);
	return rc;
}

static int
put_card(struct peer_args *a)
{
	int rc = cards_put(a->conf->cards_dir, buf_slice(&a->text), &a->card,
	    a->replace, &a->err);

	if (rc == 0)
		say(a, "the card is the one that is there already\n");
	if (rc == 1)
		say(a, "the card is in %s; \"postrider reload\" puts it in "
		    "force\n", a->conf->cards_dir);
	return rc;
}

static int
add_peer(struct peer_args *a)
{
	const struct conf_peer *peer = conf_find_peer(a->conf, a->card.site);
	struct buf section = BUF_INIT;

	say(a, "%s %s\n", a->card.site, card_fingerprint(&a->card).text);
	if (a->fingerprint == NULL)
		say(a, "that is what \"postrider key\" has to show there: "
		    "compare, by telephone or so\n");
	if (peer != NULL && peer->dialect != BUNDLE_NATIVE)
		say(a, "peer %s is configured without \"dialect = native\": "
		    "its card is of no use before\n", peer->name);
	if (a->print) {
		write_section(a, &section);
		fputs(buf_cstr(&section), stdout);
		buf_release(&section);
		return put_card(a);
	}
	return peer != NULL || a->only_card ? put_card(a) : extend_conf(a);
}

static int
peer_add(struct peer_args *a)
{
	int status = cli_conf(a->cli, &a->conf);
	int rc;

	if (status != EX_OK)
		return status;
	(void)umask(0022);
	rc = crypto_selftest(&a->err);
	if (rc == 0)
		rc = read_card(a);
	if (rc == 0)
		rc = check_fingerprint(a);
	if (rc == 0)
		rc = add_peer(a);
	if (rc < 0)
		status = failed(a, rc);
	card_release(&a->card);
	buf_release(&a->text);
	conf_free(a->conf);
	return status;
}

static int
get_options(struct peer_args *a, int argc, char **argv)
{
	static const struct option options[] = {
		{ "fingerprint", required_argument, NULL, 'f' },
		{ "transport", required_argument, NULL, 't' },
		{ "set", required_argument, NULL, 's' },
		{ "only-card", no_argument, NULL, 'o' },
		{ "print", no_argument, NULL, 'p' },
		{ "replace", no_argument, NULL, 'r' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	optind = 0;	/* glibc: begin anew */
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'f')
			a->fingerprint = optarg;
		else if (c == 't')
			a->transport = optarg;
		else if (c == 's')
			a->set.item[a->set.n++] = optarg;
		else if (c == 'o')
			a->only_card = true;
		else if (c == 'p')
			a->print = true;
		else if (c == 'r')
			a->replace = true;
		else
			return -1;
	}
	if (optind + 1 != argc || (a->set.n > 0 && a->transport == NULL))
		return -1;
	a->file = argv[optind];
	return 0;
}

int
cmd_peer(struct cli *cli, int argc, char **argv)
{
	struct peer_args a = { .cli = cli };
	int status;

	if (argc < 2)
		return usage();
	a.verb = argv[1];
	argv[1] = argv[0];
	if (strcmp(a.verb, "test") == 0)
		return cli_written(cli, cmd_peer_test(cli, argc - 1,
		    argv + 1));
	card_init(&a.card);
	a.set.item = mem_alloc((size_t)argc, sizeof(char *));
	if (strcmp(a.verb, "add") == 0 &&
	    get_options(&a, argc - 1, argv + 1) == 0)
		status = peer_add(&a);
	else
		status = usage();
	free(a.set.item);
	return cli_written(cli, status);
}
