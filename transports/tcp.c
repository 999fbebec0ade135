/* SPDX-License-Identifier: ISC */
/*
 * The tcp transport.  Who calls makes one call and ends; the daemon's
 * back-off says when the next one is.  Who is called goes on listening.
 */
#include "transports/tcp.h"
#include "transports/password.h"
#include "transports/socket.h"
#include "transports/socks.h"

#include <string.h>
#include <unistd.h>

#define TIMEOUT_MS 30000
#define TIMEOUT_MIN_MS 100

struct tcp {
	struct wire wire;
	struct place to, listen;
	struct socks socks;
	int timeout_ms;
};

static int
read_place(struct contract *c, const char *key, struct place *p,
    struct err *e)
{
	const char *text = contract_setting(c, key, NULL);

	if (text == NULL || place_parse(text, p) == 0)
		return 0;
	return err_set(e, ERR_CONFIG, "%s=%s: want HOST:PORT, [ADDRESS]:PORT "
	    "or /PATH", key, text);
}

static int
check(const struct tcp *t, struct err *e)
{
	if ((t->to.host == NULL) == (t->listen.host == NULL))
		return err_set(e, ERR_CONFIG,
		    "one of to and listen must be set");
	if (t->socks.at.host != NULL && t->to.port == NULL)
		return err_set(e, ERR_CONFIG, "socks is for calls to HOST:"
		    "PORT");
	if (t->socks.at.host == NULL && t->socks.user != NULL)
		return err_set(e, ERR_CONFIG, "socks-user is for socks");
	return socks_check(&t->socks, e);
}

static int
read_socks(struct socks *s, struct contract *c, struct err *e)
{
	int rc = read_place(c, "socks", &s->at, e);

	s->user = contract_setting(c, "socks-user", NULL);
	if (rc == 0 && s->user != NULL)
		rc = password_read(c, "socks-password-file", &s->password, e);
	return rc;
}

/* Who listens answers, unless told otherwise. */
static int
read_settings(struct tcp *t, struct contract *c, struct err *e)
{
	int rc = read_place(c, "to", &t->to, e);

	if (rc == 0)
		rc = read_place(c, "listen", &t->listen, e);
	if (rc == 0)
		rc = read_socks(&t->socks, c, e);
	if (rc == 0)
		rc = contract_setting_ms_least(c, "timeout", TIMEOUT_MS,
		    TIMEOUT_MIN_MS, &t->timeout_ms, e);
	if (rc == 0)
		rc = check(t, e);
	if (rc == 0)
		rc = wire_settings(&t->wire, c, t->listen.host != NULL ?
		    "answer" : "call", e);
	return rc;
}

static enum contract_exit
give_up(struct tcp *t, int rc, const struct err *e)
{
	if (rc == ERR_STATE)
		return CONTRACT_EXIT_DONE;
	contract_note(t->wire.contract, "%s", e->text);
	fprintf(stderr, "%s\n", e->text);
	return rc == ERR_CONFIG || rc == ERR_DENIED ? CONTRACT_EXIT_CONFIG :
	    CONTRACT_EXIT_LATER;
}

static enum contract_exit
call(struct tcp *t)
{
	enum contract_exit how;
	struct err e = ERR_INIT;
	int fd, rc;

	rc = socket_call(&t->wire, &t->to, t->socks.at.host != NULL ?
	    &t->socks : NULL, t->timeout_ms, &fd, &e);
	if (rc < 0)
		return give_up(t, rc == ERR_DENIED ? ERR_IO : rc, &e);
	how = wire_talk(&t->wire, fd, fd, t->to.host);
	close(fd);
	return how;
}

static enum contract_exit
answer(struct tcp *t)
{
	int patience = t->wire.config.stay ? -1 :
	    (int)t->wire.config.patience_ms;
	enum contract_exit how = CONTRACT_EXIT_LATER;
	struct err e = ERR_INIT;
	int listener, fd, rc = socket_listen(&t->listen, &listener, &e);

	if (rc < 0)
		return give_up(t, rc, &e);
	do {
		rc = socket_accept(&t->wire, listener, patience > 0 ?
		    patience : -1, &fd, &e);
		if (rc > 0) {
			how = wire_talk(&t->wire, fd, fd, "called");
			close(fd);
		}
	} while (rc > 0 && t->wire.config.stay && !wire_stopped(&t->wire));
	close(listener);
	if (t->listen.port == NULL)
		(void)unlink(t->listen.host);
	if (rc > 0)
		return t->wire.config.stay ? CONTRACT_EXIT_DONE : how;
	if (rc == 0)
		rc = err_set(&e, ERR_NOT_FOUND, "nobody called");
	return give_up(t, rc, &e);
}

static void
release(struct tcp *t)
{
	wire_close(&t->wire);
	place_release(&t->to);
	place_release(&t->listen);
	socks_release(&t->socks);
}

int
tcp_check(struct contract *c, struct err *e)
{
	struct tcp t;
	int rc;

	memset(&t, 0, sizeof(t));
	rc = read_settings(&t, c, e);
	release(&t);
	return rc;
}

enum contract_exit
tcp_run(struct contract *c)
{
	struct tcp t;
	struct err e = ERR_INIT;
	enum contract_exit how = CONTRACT_EXIT_CONFIG;

	memset(&t, 0, sizeof(t));
	if (read_settings(&t, c, &e) < 0 || wire_open(&t.wire, &e) < 0)
		fprintf(stderr, "%s\n", e.text);
	else
		how = t.listen.host != NULL ? answer(&t) : call(&t);
	release(&t);
	return how;
}
