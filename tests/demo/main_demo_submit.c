/* SPDX-License-Identifier: ISC */
/*
 * demo_submit SOCKET SENDER FILE RECIPIENT...: hands one mail to a node, octet
 * for octet.  sendmail(1) and its kin mend line ends; this sends a file as it
 * is, by BDAT where DATA cannot carry it, and prints the node's reply.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "smtp/client.h"

#define PIECE 65536

struct submission {
	struct smtp_client *client;
	const char *path;
	struct envelope env;
	struct content_facts facts;
	size_t *rcpt;
	int sock, file;
	int bad;		/* recipients refused */
};

static int
connect_to(const char *path, struct err *e)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd;

	if (strlen(path) >= sizeof(at.sun_path))
		return err_set(e, ERR_LIMIT, "%s: too long", path);
	memcpy(at.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 ||
	    connect(fd, (const struct sockaddr *)&at, sizeof(at)) != 0) {
		(void)err_errno(e, "%s", path);
		if (fd >= 0)
			(void)close(fd);
		return e->code;
	}
	return fd;
}

static int
scan(struct submission *s, char *piece, struct err *e)
{
	struct content_scanner scanner;
	ssize_t n;

	content_scanner_init(&scanner);
	while ((n = read(s->file, piece, PIECE)) > 0)
		content_scanner_add(&scanner, piece, (size_t)n);
	content_scanner_end(&scanner);
	s->facts = scanner.facts;
	if (n < 0 || lseek(s->file, 0, SEEK_SET) != 0)
		return err_errno(e, "%s", s->path);
	if ((s->facts.flags & CONTENT_8BIT) != 0)
		s->env.body = SMTP_BODY_8BITMIME;
	return 0;
}

static int
flush(struct submission *s, struct err *e)
{
	struct buf *out = smtp_client_output(s->client);
	int rc = file_write_all(s->sock, out->ptr, out->len, e);

	buf_clear(out);
	return rc;
}

static int
send_content(struct submission *s, char *piece, struct err *e)
{
	ssize_t n;
	int rc = 0;

	while (rc == 0 && (n = read(s->file, piece, PIECE)) != 0) {
		if (n < 0)
			return err_errno(e, "%s", s->path);
		smtp_client_content(s->client, piece, (size_t)n);
		rc = flush(s, e);
	}
	smtp_client_content_end(s->client);
	return rc;
}

static int
begin(struct submission *s, struct err *e)
{
	struct smtp_refusal r;

	if (smtp_client_begin(s->client, &s->env, &s->facts, s->rcpt,
	    s->env.nrcpt, &r) != 0)
		return err_set(e, ERR_UNSUPPORTED, "%d %s %s", r.code,
		    r.status, r.text);
	return 0;
}

/* 1: the message was taken; 0: go on. */
static int
event(struct submission *s, const struct smtp_client_event *ev, char *piece,
    struct err *e)
{
	const struct smtp_reply *reply = &ev->reply;

	switch (ev->kind) {
	case SMTP_CLIENT_READY:
		return begin(s, e);
	case SMTP_CLIENT_RECIPIENT:
		if (reply->code / 100 == 2)
			return 0;
		s->bad++;
		fprintf(stderr, "demo_submit: %s: %d %s %s\n",
		    s->env.rcpt[ev->index].address, reply->code, reply->status,
		    reply->text);
		return 0;
	case SMTP_CLIENT_CONTENT:
		return send_content(s, piece, e);
	case SMTP_CLIENT_RESULT:
		if (reply->code / 100 != 2)
			break;
		printf("%d %s %s\n", reply->code, reply->status, reply->text);
		return 1;
	case SMTP_CLIENT_STARTTLS:	/* these two are not asked for */
	case SMTP_CLIENT_FINAL:
	case SMTP_CLIENT_CLOSED:
		break;
	}
	return err_set(e, ERR_STATE, "%s: %d %s %s",
	    ev->step != NULL ? ev->step : "closed", reply->code, reply->status,
	    reply->text);
}

static int
hear(struct submission *s, char *piece, struct err *e)
{
	ssize_t n = read(s->sock, piece, PIECE);

	if (n < 0)
		return err_errno(e, "reading a reply");
	if (n == 0)
		smtp_client_eof(s->client, "the node hung up");
	else
		smtp_client_feed(s->client, piece, (size_t)n);
	return 0;
}

static int
talk(struct submission *s, struct err *e)
{
	struct smtp_client_event ev;
	char *piece = mem_alloc(1, PIECE);
	int rc = scan(s, piece, e);

	while (rc == 0) {
		while (rc == 0 && smtp_client_next(s->client, &ev) == 1)
			rc = event(s, &ev, piece, e);
		if (rc == 0)
			rc = flush(s, e);
		if (rc == 0)
			rc = hear(s, piece, e);
	}
	if (rc > 0) {
		smtp_client_quit(s->client);
		rc = flush(s, e);
	}
	free(piece);
	return rc;
}

static int
submit(struct submission *s, const char *socket_path, struct err *e)
{
	const struct smtp_client_options options = { .helo = "demo.example" };
	int rc;

	s->file = open(s->path, O_RDONLY | O_CLOEXEC);
	if (s->file < 0)
		return err_errno(e, "%s", s->path);
	s->sock = connect_to(socket_path, e);
	if (s->sock < 0) {
		(void)close(s->file);
		return s->sock;
	}
	s->client = smtp_client_new(&options);
	rc = talk(s, e);
	smtp_client_free(s->client);
	(void)close(s->sock);
	(void)close(s->file);
	return rc;
}

int
main(int argc, char **argv)
{
	struct submission s = { .sock = -1, .file = -1 };
	struct err e = ERR_INIT;
	int i, rc;

	if (argc < 5) {
		fprintf(stderr, "usage: demo_submit SOCKET SENDER FILE "
		    "RECIPIENT...\n");
		return EX_USAGE;
	}
	s.path = argv[3];
	envelope_init(&s.env);
	s.env.sender = mem_strdup(argv[2]);
	s.rcpt = mem_alloc((size_t)argc, sizeof(*s.rcpt));
	for (i = 4; i < argc; i++) {
		s.rcpt[i - 4] = (size_t)i - 4;
		envelope_add_recipient(&s.env, argv[i], NULL, NULL);
	}
	rc = submit(&s, argv[1], &e);
	if (rc != 0)
		fprintf(stderr, "demo_submit: %s: %s\n", s.path, e.text);
	envelope_release(&s.env);
	free(s.rcpt);
	return rc != 0 || s.bad > 0 ? EX_TEMPFAIL : 0;
}
