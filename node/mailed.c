/* SPDX-License-Identifier: ISC */
/*
 * Mails to the bundle address, the half that receives.
 *
 * What a peer sent goes to a file in its in/ and not into the spool: an object
 * is processed from a file that can be read twice, whatever carried it, and a
 * name of its own behind "~" makes the hand-in known again after a crash.  An
 * object of RFC 2442 is kept as it came, a parcel is taken out of its mail; a
 * mail without one is refused, so that its sender learns of it, and not a
 * postmaster.
 *
 * Of a mail without a sender only the beginning is kept: enough to show to
 * somebody.
 */
#include "node/mailed.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "node/carrier.h"
#include "node/conf_lane.h"
#include "smtp/address.h"

#define ROOM_STEP (1U << 20)	/* octets between two looks at the disk */

struct mailed {
	struct daemon *d;
	char *peer;			/* NULL: it has no sender */
	char *source, *name;
	struct mail_reader *reader;	/* NULL: it is kept as it comes */
	struct file_writer file;
	struct buf beginning;		/* no sender: at most STRANGE_MAX */
	uint64_t octets, looked;
};

static bool
by_mail(const struct conf_peer *peer)
{
	return peer->nreceive_hosts > 0 || conf_peer_by_mail(peer);
}

static bool
any_by_mail(const struct conf *conf)
{
	for (size_t i = 0; i < conf->npeers; i++)
		if (by_mail(&conf->peer[i]))
			return true;
	return false;
}

bool
mailed_is_address(const struct conf *conf, const char *address)
{
	return any_by_mail(conf) && address_equal(conf->address, address);
}

uint64_t
mailed_message_max(const struct conf *conf)
{
	return any_by_mail(conf) && conf->object_max > conf->message_max ?
	    conf->object_max : conf->message_max;
}

/* Is the client on the socket one of these? */
static bool
is_from(const struct conf_peer *peer, int fd)
{
	struct sockaddr_storage addr = { .ss_family = AF_UNSPEC };
	struct ucred cred = { .uid = (uid_t)-1 };
	socklen_t len = sizeof(addr), cred_len = sizeof(cred);

	if (peer->nreceive_hosts == 0)
		return true;
	if (getpeername(fd, (struct sockaddr *)&addr, &len) != 0)
		return false;
	if (addr.ss_family == AF_UNIX && getsockopt(fd, SOL_SOCKET,
	    SO_PEERCRED, &cred, &cred_len) != 0)
		return false;
	return conf_net_match(peer->receive_hosts, peer->nreceive_hosts,
	    &addr, cred.uid);
}

int
mailed_peer(const struct conf *conf, const char *sender, int fd,
    const struct conf_peer **peer_out, struct smtp_refusal *r)
{
	*peer_out = NULL;
	if (*sender == '\0')
		return 0;
	for (size_t i = 0; i < conf->npeers; i++) {
		const struct conf_peer *peer = &conf->peer[i];

		if (!by_mail(peer) || !address_equal(sender, peer->address))
			continue;
		if (!is_from(peer, fd))
			return smtp_refuse(r, 550, "5.7.1", "objects of <%s> "
			    "are not taken from you", sender);
		*peer_out = peer;
		return 0;
	}
	return smtp_refuse(r, 550, "5.7.1", "<%s> takes objects from its "
	    "peers alone", conf->address);
}

int
mailed_check_loop(const struct conf *conf, const char *sender,
    const char *recipient, struct smtp_refusal *r)
{
	for (size_t i = 0; i < conf->npeers; i++)
		if (by_mail(&conf->peer[i]) &&
		    address_equal(sender, conf->address) &&
		    address_equal(recipient, conf->peer[i].address))
			return smtp_refuse(r, 554, "5.4.6", "Mail loop: an "
			    "object for <%s> has come back to its origin",
			    recipient);
	return 0;
}

static int
keep(void *ctx, const char *bytes, size_t len, struct err *e)
{
	struct mailed *m = ctx;

	return file_writer_add(&m->file, bytes, len, e);
}

static int
open_file(struct mailed *m, struct err *e)
{
	unsigned char random[10];
	struct buf name = BUF_INIT;
	char *dir;
	int rc;

	rng_fill(m->d->rng, random, sizeof(random));
	buf_adds(&name, "mail~");
	base32_encode(&name, random, sizeof(random));
	m->name = buf_steal(&name);
	dir = conf_mailed_dir(m->d->conf, m->peer);
	rc = file_writer_open(&m->file, dir, m->name, 0640, e);
	free(dir);
	return rc;
}

int
mailed_new(struct daemon *d, const struct conf_peer *peer, const char *source,
    struct mailed **m_out, struct err *e)
{
	static const struct file_writer none = FILE_WRITER_INIT;
	struct mailed *m = mem_alloc(1, sizeof(*m));
	int rc = 0;

	m->d = d;
	m->file = none;
	m->source = mem_strdup(source);
	if (peer == NULL)
		m->reader = mail_reader_new(NULL, NULL);
	else if (peer->dialect == BUNDLE_NATIVE)
		m->reader = mail_reader_new(keep, m);
	if (peer != NULL) {
		m->peer = mem_strdup(peer->name);
		rc = open_file(m, e);
	}
	if (rc < 0) {
		mailed_free(m);
		m = NULL;
	}
	*m_out = m;
	return rc;
}

static int
check_room(struct mailed *m, size_t len, struct err *e)
{
	struct smtp_refusal r;

	m->octets += len;
	if (m->octets > m->d->conf->object_max)
		return err_set(e, ERR_LIMIT, "more than %llu octets",
		    (unsigned long long)m->d->conf->object_max);
	if (m->octets - m->looked <= ROOM_STEP)
		return 0;
	m->looked = m->octets;
	if (exchange_check_room(m->d->exchange, 0, &r) < 0)
		return err_set(e, ERR_FULL, "%s", r.text);
	return 0;
}

int
mailed_add(struct mailed *m, struct slice bytes, struct err *e)
{
	size_t room = STRANGE_MAX - m->beginning.len;
	int rc = check_room(m, bytes.len, e);

	if (rc < 0)
		return rc;
	if (m->peer == NULL)
		buf_add(&m->beginning, bytes.ptr,
		    bytes.len < room ? bytes.len : room);
	if (m->reader == NULL)
		return file_writer_add(&m->file, bytes.ptr, bytes.len, e);
	rc = mail_reader_add(m->reader, bytes.ptr, bytes.len, e);
	return m->peer == NULL ? 0 : rc;
}

/* A mail without a sender: the return of one of ours, or a mystery. */
static int
end_unsent(struct mailed *m, struct err *e)
{
	struct err broken = ERR_INIT;
	const struct mail_facts *facts = NULL;

	if (mail_reader_end(m->reader, &broken) == 0 &&
	    mail_reader_kind(m->reader) == MAIL_RETURN)
		facts = mail_reader_facts(m->reader);
	return exchange_mail_back(m->d->exchange, m->source, facts,
	    buf_slice(&m->beginning), m->octets, e);
}

int
mailed_end(struct mailed *m, struct err *e)
{
	int rc = 0;

	if (m->peer == NULL)
		return end_unsent(m, e);
	if (m->reader != NULL)
		rc = mail_reader_end(m->reader, e);
	if (rc == 0 && m->reader != NULL &&
	    mail_reader_kind(m->reader) != MAIL_PARCEL)
		rc = err_set(e, ERR_SYNTAX, "there is no parcel in it");
	if (rc == 0)
		rc = file_writer_commit(&m->file, false, e);
	if (rc < 0)
		return rc;
	log_event(m->d->log, LOG_LEVEL_INFO, "object-mailed",
	    "peer", m->peer, "name", m->name, "source", m->source,
	    "octets", num_str(m->octets).s, NULL);
	carrier_arrived(m->d->carrier, m->peer);
	return 0;
}

void
mailed_free(struct mailed *m)
{
	if (m == NULL)
		return;
	file_writer_abort(&m->file);
	mail_reader_free(m->reader);
	buf_release(&m->beginning);
	free(m->peer);
	free(m->source);
	free(m->name);
	free(m);
}
