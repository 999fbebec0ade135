/* SPDX-License-Identifier: ISC */
/*
 * postriderd: start-up is a checklist.  Options; the configuration, every
 * fault of it (-n stops here); the log; the self-test of the cryptography;
 * the sockets; privileges; the spool; "ready"; the loop.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/selftest.h"
#include "node/account.h"
#include "node/daemon_main.h"

#define DEFAULT_CONF "/etc/postrider/postrider.conf"

struct options {
	const char *file;
	bool foreground, check;
};

static void
usage(void)
{
	fprintf(stderr, "usage: postriderd [-f] [-n] [-V] [-c FILE]\n");
	exit(EX_USAGE);
}

static void
parse_options(int argc, char **argv, struct options *o)
{
	int c;

	o->file = DEFAULT_CONF;
	while ((c = getopt(argc, argv, "c:fnV")) != -1) {
		switch (c) {
		case 'c':
			o->file = optarg;
			break;
		case 'f':
			o->foreground = true;
			break;
		case 'n':
			o->check = true;
			break;
		case 'V':
			printf("postriderd %s\n", POSTRIDER_VERSION);
			exit(0);
		default:
			usage();
		}
	}
	if (optind != argc)
		usage();
}

static void
tell(void *ctx, const char *text)
{
	(void)ctx;
	fprintf(stderr, "%s\n", text);
}

static int
open_log(const struct conf *conf, struct log **log_out, struct err *e)
{
	bool journal = getenv("JOURNAL_STREAM") != NULL ||
	    getenv("INVOCATION_ID") != NULL;
	int rc = 0;

	switch (conf->log) {
	case CONF_LOG_STDERR:
		*log_out = log_new_stderr(clock_real(), journal);
		break;
	case CONF_LOG_SYSLOG:
		*log_out = log_new_syslog("postriderd");
		break;
	case CONF_LOG_FILE:
		rc = log_new_file(clock_real(), conf->log_file, log_out, e);
		break;
	}
	if (rc == 0)
		log_set_level(*log_out, conf->log_level);
	return rc;
}

/*
 * In the background the parent waits until the child says that mail can be
 * taken, so that its exit status tells the truth.
 */
struct parent {
	int pipe;
	bool keep_stderr;	/* the log goes there */
};

static void
say_ready(void *ctx)
{
	struct parent *parent = ctx;
	int null;

	if (parent->pipe < 0)
		return;
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null >= 0) {
		(void)dup2(null, STDIN_FILENO);
		(void)dup2(null, STDOUT_FILENO);
		if (!parent->keep_stderr)
			(void)dup2(null, STDERR_FILENO);
		(void)close(null);
	}
	if (write(parent->pipe, "", 1) != 1)
		_exit(EX_OSERR);
	(void)close(parent->pipe);
	parent->pipe = -1;
}

static void
detach(struct parent *parent)
{
	char ready;
	int fds[2];
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) != 0 || (pid = fork()) < 0) {
		fprintf(stderr, "postriderd: cannot fork: %s\n",
		    strerror(errno));
		exit(EX_OSERR);
	}
	if (pid == 0) {
		(void)close(fds[0]);
		(void)setsid();
		parent->pipe = fds[1];
		return;
	}
	(void)close(fds[1]);
	exit(read(fds[0], &ready, 1) == 1 ? 0 : EX_UNAVAILABLE);
}

static int
start(struct daemon_start *ds, struct err *e)
{
	const struct conf *conf = ds->conf;
	uid_t uid;
	gid_t gid;
	int rc;

	rc = crypto_selftest(e);
	if (rc == 0)
		rc = account_find(conf, &uid, &gid, e);
	if (rc == 0)
		rc = account_own_dir(conf->spool_dir, 0700, uid, gid, e);
	if (rc == 0)
		rc = account_own_dir(conf->run_dir, 0750, uid, gid, e);
	if (rc == 0)
		rc = listener_set_open(conf, ds->log, &ds->listeners, e);
	if (rc == 0)
		rc = account_become(conf, uid, gid, e);
	if (rc == 0 && geteuid() == 0)
		log_event(ds->log, LOG_LEVEL_WARNING, "running-as-root",
		    "advice", "name an unprivileged user (site: user)", NULL);
	if (rc != 0) {
		conf_free(ds->conf);
		return rc;
	}
	return daemon_run(ds, e);
}

static int
exit_status(int rc)
{
	switch (rc) {
	case 0:
		return 0;
	case ERR_CONFIG:
		return EX_CONFIG;
	case ERR_DENIED:
		return EX_NOPERM;
	case ERR_IO:
	case ERR_FULL:
		return EX_TEMPFAIL;
	default:
		return EX_UNAVAILABLE;
	}
}

int
main(int argc, char **argv)
{
	struct options o = { 0 };
	struct parent parent = { -1, true };
	struct daemon_start ds = { .ready = say_ready, .ctx = &parent };
	struct err e = ERR_INIT;
	int rc;

	parse_options(argc, argv, &o);
	(void)umask(0027);
	if (conf_load(o.file, tell, NULL, &ds.conf, &e) != 0) {
		fprintf(stderr, "postriderd: %s\n", e.text);
		return EX_CONFIG;
	}
	if (o.check) {
		conf_free(ds.conf);
		return 0;
	}
	if (!o.foreground)
		detach(&parent);
	rc = open_log(ds.conf, &ds.log, &e);
	if (rc != 0) {
		fprintf(stderr, "postriderd: %s\n", e.text);
		conf_free(ds.conf);
		return exit_status(rc);
	}
	parent.keep_stderr = ds.conf->log == CONF_LOG_STDERR;
	rc = start(&ds, &e);
	if (rc != 0)
		log_event(ds.log, LOG_LEVEL_FATAL, "ended", "reason", e.text,
		    NULL);
	log_free(ds.log);
	return exit_status(rc);
}
