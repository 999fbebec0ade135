/* SPDX-License-Identifier: ISC */
/*
 * postrider init.  The file is written beside its place and loaded as the
 * daemon would, and only a good one takes the place: so a mistake on the
 * command line leaves what was there.
 */
#include "node/cmd_init.h"

#include "base/file.h"
#include "base/mem.h"
#include "base/selftest.h"
#include "node/conf.h"
#include "node/keys.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#define DIR_DEFAULT "/etc/postrider"
#define LISTEN_DEFAULT "127.0.0.1:2442"
#define FILE_NAME "postrider.conf"
#define FILE_NEW "postrider.conf.new"

struct texts {
	const char **item;
	size_t n;
};

struct wish {
	const char *dir, *site, *listen, *deliver, *postmaster;
	struct texts domains, users;
	struct texts *last;	/* where a bare word belongs */
	bool force;
	bool bad;		/* a fault of usage, told */
};

static void __attribute__((format(printf, 1, 2)))
complain(const char *fmt, ...)
{
	va_list ap;

	fputs("postrider init: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
}

static void
usage(FILE *to)
{
	fputs("usage: postrider init --site NAME --domain DOMAIN... "
	    "--deliver maildir:DIR|smtp:ADDRESS:PORT\n"
	    "           [--dir DIR] [--listen ADDRESS:PORT] [--user NAME...] "
	    "[--postmaster ADDRESS] [--force]\n"
	    "needed: --site, --domain, --deliver; defaults: --dir "
	    DIR_DEFAULT ", --listen " LISTEN_DEFAULT ",\n"
	    "--postmaster postmaster@ the first domain, and any user\n", to);
}

static void
add_text(struct texts *all, const char *text)
{
	all->item = mem_realloc(all->item, all->n + 1, sizeof(*all->item));
	all->item[all->n++] = text;
}

static void
set_once(struct wish *w, const char **field, const char *option)
{
	if (*field != NULL) {
		complain("--%s is given twice", option);
		w->bad = true;
	}
	*field = optarg;
	w->last = NULL;
}

static void
take_option(struct wish *w, int option)
{
	switch (option) {
	case 'd':
		set_once(w, &w->dir, "dir");
		return;
	case 's':
		set_once(w, &w->site, "site");
		return;
	case 'l':
		set_once(w, &w->listen, "listen");
		return;
	case 't':
		set_once(w, &w->deliver, "deliver");
		return;
	case 'p':
		set_once(w, &w->postmaster, "postmaster");
		return;
	case 'f':
		w->force = true;
		w->last = NULL;
		return;
	case 'D':
	case 'u':
		w->last = option == 'D' ? &w->domains : &w->users;
		add_text(w->last, optarg);
		return;
	case 1:		/* a word that is no option */
		if (w->last != NULL) {
			add_text(w->last, optarg);
			return;
		}
		complain("unexpected \"%s\"", optarg);
		break;
	}
	w->bad = true;
}

static void
need(struct wish *w, bool there, const char *option)
{
	if (there)
		return;
	complain("%s is needed", option);
	w->bad = true;
}

/* -1: go on; else the exit status. */
static int
take_options(struct wish *w, int argc, char **argv)
{
	static const struct option options[] = {
		{ "dir", required_argument, NULL, 'd' },
		{ "site", required_argument, NULL, 's' },
		{ "domain", required_argument, NULL, 'D' },
		{ "listen", required_argument, NULL, 'l' },
		{ "deliver", required_argument, NULL, 't' },
		{ "user", required_argument, NULL, 'u' },
		{ "postmaster", required_argument, NULL, 'p' },
		{ "force", no_argument, NULL, 'f' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int option;

	optind = 0;	/* glibc: start anew, whoever used it before */
	while ((option = getopt_long(argc, argv, "-h", options, NULL)) != -1) {
		if (option == 'h') {
			usage(stdout);
			return EX_OK;
		}
		take_option(w, option);
	}
	need(w, w->site != NULL, "--site");
	need(w, w->domains.n > 0, "--domain");
	need(w, w->deliver != NULL, "--deliver");
	if (w->bad || optind < argc) {
		usage(stderr);
		return EX_USAGE;
	}
	return -1;
}

/* As it is written in the file, in quotation marks. */
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
add_setting(struct buf *out, const char *key, const char *value)
{
	buf_addf(out, "\t%s = ", key);
	add_quoted(out, value);
	buf_addc(out, '\n');
}

static void
add_list(struct buf *out, const char *key, const struct texts *all)
{
	size_t i;

	buf_addf(out, "\t%s = { ", key);
	for (i = 0; i < all->n; i++) {
		if (i > 0)
			buf_adds(out, ", ");
		add_quoted(out, all->item[i]);
	}
	buf_adds(out, " }\n");
}

/* PATH from the root; the caller frees it. */
static char *
absolute(const char *path)
{
	char here[PATH_MAX];

	if (path[0] == '/' || getcwd(here, sizeof(here)) == NULL)
		return mem_strdup(path);
	return path_join(here, path);
}

static void
write_site(struct buf *out, const struct wish *w, const char *dir)
{
	char *postmaster = w->postmaster != NULL ?
	    mem_strdup(w->postmaster) :
	    mem_printf("postmaster@%s", w->domains.item[0]);
	/* All in one folder, or where such things belong on a system. */
	char *spool = w->dir != NULL ? path_join(dir, "spool") :
	    mem_strdup("/var/spool/postrider");
	char *run = w->dir != NULL ? path_join(dir, "run") :
	    mem_strdup("/run/postrider");

	buf_adds(out, "# The configuration of this node, made by \"postrider "
	    "init\".\n# Every key is explained in postrider.conf(5); "
	    "\"postriderd -n\" checks the file.\n\nsite ");
	add_quoted(out, w->site);
	buf_adds(out, " {\n\t# Who is told of what goes wrong.\n");
	add_setting(out, "postmaster", postmaster);
	buf_adds(out, "\t# The name in SMTP and in notices, if not that of "
	    "the site:\n\t# hostname = ");
	buf_addf(out, "mail.%s\n", w->domains.item[0]);
	buf_adds(out, "\t# All that must survive; and sockets.\n");
	add_setting(out, "spool", spool);
	add_setting(out, "run", run);
	if (w->dir != NULL) {
		char *keys = path_join(dir, "keys");

		buf_adds(out, "\t# The keys, which belong into no backup of "
		    "the spool.\n");
		add_setting(out, "keys", keys);
		free(keys);
	}
	buf_adds(out, "\t# Whom to become when started as root:\n"
	    "\t# user = postrider\n}\n\n");
	free(postmaster);
	free(spool);
	free(run);
}

static void
write_delivery(struct buf *out, const struct wish *w, const char *deliver)
{
	buf_adds(out, "# Mail comes in by SMTP here, from this machine only.\n"
	    "listen ");
	add_quoted(out, w->listen != NULL ? w->listen : LISTEN_DEFAULT);
	buf_adds(out, " {\n\tallow = { \"127.0.0.0/8\", \"::1\", \"unix\" }\n"
	    "}\n\n# What is for this site, and where it goes.\n"
	    "delivery local {\n");
	add_list(out, "domains", &w->domains);
	add_setting(out, "to", deliver);
	if (w->users.n > 0) {
		buf_adds(out, "\t# Others are refused; postmaster never is.\n");
		add_list(out, "users", &w->users);
	} else {
		buf_adds(out, "\t# Any user is taken; to name them:\n"
		    "\t# users = { \"ann\", \"bob\" }\n");
	}
	buf_adds(out, "}\n\n");
}

static void
write_rest(struct buf *out)
{
	buf_adds(out,
	    "# A neighbour that bundles are exchanged with, and what is\n"
	    "# routed there; `postrider peer add` takes its card and writes\n"
	    "# such a section:\n"
	    "#\n"
	    "# peer london {\n"
	    "#\tcall = \"every 15m\"\n"
	    "#\ttransport = file\n"
	    "#\tset = { \"drop=/media/stick/out\", "
	    "\"pickup=/media/stick/in\" }\n"
	    "# }\n"
	    "# routes {\n"
	    "#\t\"london.example\" = london\n"
	    "#\t\".london.example\" = london\n"
	    "# }\n");
}

static void
told(void *ctx, const char *text)
{
	(void)ctx;
	complain("%s", text);
}

static int
failed(int status, const struct err *e)
{
	complain("%s", e->text);
	return status;
}

/* Those that are there stay. */
static int
make_keys(const struct conf *conf, struct fingerprint *f_out, struct err *e)
{
	struct keys *keys;
	int rc = crypto_selftest(e);

	if (rc != 0)
		return rc;
	if (keys_open(conf, KEYFILES_READ, clock_real(), rng_real(), &keys,
	    e) != 0)
		rc = keys_open(conf, KEYFILES_MAKE, clock_real(), rng_real(),
		    &keys, e);
	if (rc != 0)
		return rc;
	*f_out = keyring_fingerprint(keys->ring);
	keys_close(keys);
	return 0;
}

/* Writes it, loads it, puts it in its place. */
static int
install(const char *dir, const struct buf *text)
{
	struct fingerprint f = { "" };
	char *new_ = path_join(dir, FILE_NEW);
	char *path = path_join(dir, FILE_NAME);
	struct conf *conf = NULL;
	struct err e = ERR_INIT;
	int status = EX_OK;

	if (file_replace(dir, FILE_NEW, text->ptr, text->len, 0644, &e) < 0)
		status = failed(EX_CANTCREAT, &e);
	else if (conf_load(new_, told, NULL, &conf, &e) < 0)
		status = EX_USAGE;	/* a value that was given is bad */
	else if (file_make_dirs(conf->spool_dir, 0700, &e) < 0 ||
	    file_make_dirs(conf->run_dir, 0750, &e) < 0 ||
	    make_keys(conf, &f, &e) < 0)
		status = failed(EX_CANTCREAT, &e);
	else if (rename(new_, path) != 0 || file_sync_dir(dir, &e) < 0) {
		complain("%s: %s", path, strerror(errno));
		status = EX_CANTCREAT;
	}
	if (status == EX_OK)
		printf("%s is written.  Start the node with:\n"
		    "\tpostriderd -f -c %s\n"
		    "The fingerprint of its keys, for its peers, is\n"
		    "\t%s\n", path, path, f.text);
	else
		(void)unlink(new_);
	conf_free(conf);
	free(new_);
	free(path);
	return status;
}

static int
init_dir(const struct wish *w, const char *dir, const char *deliver)
{
	struct buf text = BUF_INIT;
	char *path = path_join(dir, FILE_NAME);
	struct err e = ERR_INIT;
	int status;

	if (!w->force && access(path, F_OK) == 0) {
		complain("%s is there already: --force writes over it", path);
		status = EX_CANTCREAT;
	} else if (file_make_dirs(dir, 0755, &e) < 0) {
		status = failed(EX_CANTCREAT, &e);
	} else {
		write_site(&text, w, dir);
		write_delivery(&text, w, deliver);
		write_rest(&text);
		status = install(dir, &text);
	}
	buf_release(&text);
	free(path);
	return status;
}

/* "maildir:DIR" from the root. */
static char *
deliver_target(const char *deliver)
{
	char *dir, *target;

	if (strncmp(deliver, "maildir:", 8) != 0 || deliver[8] == '\0')
		return mem_strdup(deliver);
	dir = absolute(deliver + 8);
	target = mem_printf("maildir:%s", dir);
	free(dir);
	return target;
}

int
cmd_init(int argc, char **argv)
{
	struct wish w = { .dir = NULL };
	int status = take_options(&w, argc, argv);

	if (status < 0) {
		char *dir = absolute(w.dir != NULL ? w.dir : DIR_DEFAULT);
		char *deliver = deliver_target(w.deliver);

		status = init_dir(&w, dir, deliver);
		free(dir);
		free(deliver);
	}
	free(w.domains.item);
	free(w.users.item);
	return status;
}
