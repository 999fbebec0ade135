/* SPDX-License-Identifier: ISC */
/*
 * Objects that a program hands in, as an alias or a pipe does.  The exchange
 * may have to read an object twice, so it goes into a file first; that needs
 * no flush: the client keeps the object until it has its answer.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "node/aside.h"
#include "node/control_impl.h"
#include "node/intake.h"

#define FRAME_MAX (1 << 20)

/*
 * What an alias hands in may be a mail: a parcel is then taken out of it into
 * a file of its own as it comes, and returned mail is known for what it is.
 */
struct reception {
	struct daemon *d;
	struct control_conn *conn;
	char *peer, *name, *path;
	char *parcel_path;	/* NULL: none is looked for */
	int fd, parcel_fd;
	struct mail_reader *reader;
	bool broken;		/* a parcel is, which */
	struct err why;		/* tells */
	struct buf beginning;
	uint64_t octets;
	uint32_t frame;		/* octets of the present one to come */
	struct intake *intake;
};

static void
reception_free(void *state)
{
	struct reception *r = state;

	intake_free(r->intake);
	if (r->fd != -1)
		close(r->fd);
	if (r->path != NULL)
		unlink(r->path);
	if (r->parcel_fd != -1)
		close(r->parcel_fd);
	if (r->parcel_path != NULL)
		unlink(r->parcel_path);
	mail_reader_free(r->reader);
	buf_release(&r->beginning);
	free(r->parcel_path);
	free(r->peer);
	free(r->name);
	free(r->path);
	free(r);
}

static void
refuse(struct control_conn *c, int code, const char *text)
{
	c->octets = NULL;
	c->closing = true;	/* what follows is no request */
	control_error(c, code, "%s", text);
}

/* No genuine parcel.  Who handed it in may well drop it now. */
static void
put_aside(const struct reception *r)
{
	const struct daemon *d = r->d;
	char *dir = mem_printf("%s/peers/%s/aside", d->conf->spool_dir,
	    r->peer);
	struct err e = ERR_INIT;

	if (aside_put(dir, r->path, path_base(r->path), &e) != 0)
		log_event(d->log, LOG_LEVEL_WARNING, "file-not-kept", "path",
		    r->path, "reason", e.text, NULL);
	(void)aside_trim(dir, clock_wall_ms(d->clock),
	    d->conf->broken_expire_secs);
	free(dir);
}

static void
on_done(void *ctx, enum inbound_outcome outcome, const char *reason,
    uint64_t messages)
{
	static const char *const words[] = {
		[INBOUND_DONE] = "done", [INBOUND_DUPLICATE] = "duplicate",
		[INBOUND_BROKEN] = "broken", [INBOUND_LATER] = "later",
		[INBOUND_AGAIN] = "later", [INBOUND_ASIDE] = "refused",
	};
	struct reception *r = ctx;
	struct control_conn *c = r->conn;

	if (outcome == INBOUND_ASIDE)
		put_aside(r);
	control_end(c, json_pack("{s:s, s:o, s:I}", "outcome",
	    words[outcome], "reason", control_text(reason),
	    "messages", (json_int_t)messages));
	control_set_state(c, NULL, NULL);
	control_ready(c);
}

static void
say_end(struct control_conn *c, const char *outcome, const char *reason)
{
	control_end(c, json_pack("{s:s, s:o, s:i}", "outcome", outcome,
	    "reason", control_text(reason), "messages", 0));
	control_set_state(c, NULL, NULL);
}

/* Returned mail; whose it is, its Message-ID says. */
static void
take_back(struct control_conn *c, struct reception *r)
{
	struct daemon *d = r->d;
	char *source = mem_printf("receive from %s", r->peer);
	struct err e = ERR_INIT;
	int rc = exchange_mail_back(d->exchange, source,
	    mail_reader_facts(r->reader), buf_slice(&r->beginning), r->octets,
	    &e);

	free(source);
	daemon_wake(d);
	say_end(c, rc == 0 ? "done" : "later", e.text);
}

/* Whether it was a mail that is settled here. */
static bool
take_mail(struct control_conn *c, struct reception *r)
{
	if (!r->broken)
		r->broken = mail_reader_end(r->reader, &r->why) != 0;
	if (mail_reader_kind(r->reader) == MAIL_RETURN) {
		take_back(c, r);
		return true;
	}
	if (mail_reader_kind(r->reader) != MAIL_PARCEL ||
	    r->parcel_path == NULL)
		return false;
	if (r->broken) {
		say_end(c, r->why.code == ERR_SYNTAX ? "refused" : "later",
		    r->why.text);
		return true;
	}
	unlink(r->path);
	free(r->path);
	r->path = r->parcel_path;
	r->parcel_path = NULL;
	return false;
}

/* The whole object is there. */
static void
take_in(struct control_conn *c, struct reception *r)
{
	unsigned char pickup[16];
	struct slice once = { (const char *)pickup, sizeof(pickup) };

	c->octets = NULL;
	if (take_mail(c, r))
		return;
	/* each hand-in is its own */
	rng_fill(r->d->rng, pickup, sizeof(pickup));
	close(r->fd);
	r->fd = -1;
	c->busy = true;
	r->intake = intake_start(r->d, r->peer, r->path, r->name, once,
	    on_done, r);
}

/* As a mail, whatever it is. */
static void
look_at(struct reception *r, const char *bytes, size_t len)
{
	size_t room = STRANGE_MAX - r->beginning.len;

	r->octets += len;
	buf_add(&r->beginning, bytes, len < room ? len : room);
	if (!r->broken)
		r->broken = mail_reader_add(r->reader, bytes, len,
		    &r->why) != 0;
}

/* Uses what there is of a frame; false when it can't go on. */
static bool
take_octets(struct control_conn *c, struct reception *r)
{
	struct err e = ERR_INIT;
	size_t len = c->in.len < r->frame ? c->in.len : r->frame;

	if (file_write_all(r->fd, c->in.ptr, len, &e) < 0) {
		refuse(c, e.code, e.text);
		return false;
	}
	look_at(r, c->in.ptr, len);
	buf_consume(&c->in, len);
	r->frame -= (uint32_t)len;
	return true;
}

static void
on_octets(struct control_conn *c)
{
	struct reception *r = c->state;

	for (;;) {
		struct reader head;

		if (r->frame > 0) {
			if (c->in.len == 0 || !take_octets(c, r))
				return;
			continue;
		}
		if (c->in.len < 4)
			return;
		head = reader_of(c->in.ptr, 4);
		r->frame = read32(&head);
		buf_consume(&c->in, 4);
		if (r->frame > FRAME_MAX)
			refuse(c, ERR_LIMIT, "a frame over 1 MiB");
		else if (r->frame == 0)
			take_in(c, r);
		if (c->octets == NULL)
			return;
	}
}

/* uucp: uuxqt gave the name, whose word counts where it runs as a user that
 * is known for it. */
static bool
may_speak_for(const struct control_conn *c, const struct conf_peer *peer,
    bool uucp)
{
	return c->admin || control_listed(&peer->receive_users, c->uid) ||
	    (uucp && control_listed(&c->d->conf->uucp_users, c->uid));
}

/* The peer that this request speaks for; NULL: refused. */
static const struct conf_peer *
find_peer(struct control_conn *c, const char *name, bool uucp)
{
	const struct conf *conf = c->d->conf;
	const struct conf_peer *peer = NULL;
	unsigned n = 0;

	for (size_t i = 0; i < conf->npeers; i++) {
		if (name != NULL && strcmp(conf->peer[i].name, name) != 0)
			continue;
		if (name == NULL && !control_listed(
		    &conf->peer[i].receive_users, c->uid))
			continue;
		peer = &conf->peer[i];
		n++;
	}
	if (n == 1 && may_speak_for(c, peer, uucp))
		return peer;
	if (name != NULL && n == 0 && (c->admin ||
	    (uucp && control_listed(&conf->uucp_users, c->uid))))
		control_error(c, ERR_NOT_FOUND, "there is no peer %s", name);
	else if (name == NULL && (n > 1 || c->admin))
		control_error(c, 0, "say with --peer whom this is from");
	else
		control_error(c, ERR_DENIED, "user id %lu may not hand in "
		    "objects as %s (%s)", (unsigned long)c->uid,
		    name != NULL ? name : "any peer", uucp && name != NULL ?
		    "uucp-users" : "receive-users");
	return NULL;
}

static int
keep_parcel(void *ctx, const char *bytes, size_t len, struct err *e)
{
	struct reception *r = ctx;

	return r->parcel_fd == -1 ? 0 :
	    file_write_all(r->parcel_fd, bytes, len, e);
}

static int
open_one(const char *path, int *fd_out, struct err *e)
{
	*fd_out = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	return *fd_out == -1 ? err_errno(e, "%s", path) : 0;
}

static int
open_file(struct reception *r, bool native, struct err *e)
{
	unsigned char bytes[10];
	struct buf name = BUF_INIT;

	rng_fill(r->d->rng, bytes, sizeof(bytes));
	buf_adds(&name, "receive-");
	base32_encode(&name, bytes, sizeof(bytes));
	if (r->name == NULL)
		r->name = mem_strdup(buf_cstr(&name));
	r->path = path_join(r->d->conf->run_dir, buf_cstr(&name));
	buf_release(&name);
	if (native)
		r->parcel_path = mem_printf("%s.parcel", r->path);
	if (open_one(r->path, &r->fd, e) < 0 || (native &&
	    open_one(r->parcel_path, &r->parcel_fd, e) < 0))
		return e->code;
	return 0;
}

void
control_receive(struct control_conn *c, const json_t *request)
{
	const struct conf_peer *peer =
	    find_peer(c, control_member(request, "peer"),
	    json_is_true(json_object_get(request, "uucp")));
	const char *name = control_member(request, "name");
	struct smtp_refusal refusal;
	struct reception *r;
	struct err e = ERR_INIT;

	if (peer == NULL)
		return;
	if (c->d->stopping) {
		control_error(c, ERR_FULL, "the daemon is stopping");
		return;
	}
	if (exchange_check_room(c->d->exchange, 0, &refusal) < 0) {
		control_error(c, ERR_FULL, "%s", refusal.text);
		return;
	}
	r = mem_alloc(1, sizeof(*r));
	r->d = c->d;
	r->conn = c;
	r->fd = r->parcel_fd = -1;
	r->reader = mail_reader_new(keep_parcel, r);
	r->peer = mem_strdup(peer->name);
	if (name != NULL)
		r->name = mem_strdup(name);
	control_set_state(c, r, reception_free);
	if (open_file(r, peer->dialect == BUNDLE_NATIVE, &e) < 0) {
		control_error(c, e.code, "%s", e.text);
		return;
	}
	c->octets = on_octets;
	control_say(c, json_pack("{s:b}", "ready", 1));
}
