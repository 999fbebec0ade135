/* SPDX-License-Identifier: ISC */
/*
 * From a mail to a file.  Whose a mail is, is told by its From alone, which
 * anybody can write: what is inside is sealed, and what a stranger puts there
 * fails at its seal.  Only mail of the peer is taken, so that several peers
 * may share a mailbox and people may have mail in it.
 */
#include "transports/taker.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "bundle/mail_reader.h"
#include "smtp/address.h"

#include <stdlib.h>
#include <sys/statvfs.h>

#define DISK_RESERVE (UINT64_C(16) << 20)

struct taker {
	struct taker_options opts;
	struct mail_reader *reader;
	struct file_writer file;
	char *name;
	uint64_t octets;
	bool too_large, broken;
	int failed;		/* the file could not be written: why */
	struct err why;
};

struct taker *
taker_new(const struct taker_options *opts)
{
	static const struct file_writer none = FILE_WRITER_INIT;
	struct taker *t = mem_alloc(1, sizeof(*t));

	t->opts = *opts;
	t->file = none;
	return t;
}

void
taker_drop(struct taker *t)
{
	mail_reader_free(t->reader);
	t->reader = NULL;
	file_writer_abort(&t->file);
	free(t->name);
	t->name = NULL;
}

void
taker_free(struct taker *t)
{
	if (t == NULL)
		return;
	taker_drop(t);
	free(t);
}

static bool
is_from_peer(const struct taker *t, const struct mail_facts *facts)
{
	return t->opts.from == NULL || (facts->from != NULL &&
	    address_equal(facts->from, t->opts.from));
}

static bool
contains(struct slice text, const char *word)
{
	size_t len = strlen(word);

	for (size_t i = 0; i + len <= text.len; i++)
		if (slice_ieqs((struct slice){ text.ptr + i, len }, word))
			return true;
	return false;
}

bool
taker_may_be_ours(struct taker *t, struct slice header)
{
	struct mail_reader *r = mail_reader_new(NULL, NULL);
	struct err e = ERR_INIT;
	bool may;

	/* Returns come from all kinds of mailers. */
	if (contains(header, "multipart/report") ||
	    contains(header, "mailer-daemon@") ||
	    contains(header, "postmaster@"))
		may = true;
	else
		may = mail_reader_add(r, header.ptr, header.len, &e) == 0 &&
		    mail_reader_kind(r) != MAIL_OTHER &&
		    is_from_peer(t, mail_reader_facts(r));
	mail_reader_free(r);
	return may;
}

/* The same whenever the same mail is fetched; "~" makes it the identity. */
static char *
name_of(const struct taker *t, const char *id)
{
	unsigned char digest[SHA256_LEN];
	struct buf name = BUF_INIT;
	struct sha256 h;

	sha256_init(&h);
	sha256_add(&h, t->opts.box, strlen(t->opts.box) + 1);
	sha256_add(&h, id, strlen(id));
	sha256_end(&h, digest);
	buf_adds(&name, "mail~");
	base32_encode(&name, digest, 15);
	return buf_steal(&name);
}

static int
check_room(const char *dir, uint64_t size, struct err *e)
{
	struct statvfs fs;

	if (statvfs(dir, &fs) != 0)
		return err_errno(e, "cannot look at %s", dir);
	if ((uint64_t)fs.f_bavail * fs.f_frsize < size + DISK_RESERVE)
		return err_set(e, ERR_FULL, "there is no room in %s for a "
		    "mail of %llu octets", dir, (unsigned long long)size);
	return 0;
}

/* What the mail holds, once it is known that it is ours to read. */
static int
on_octets(void *ctx, const char *octets, size_t len, struct err *e)
{
	struct taker *t = ctx;

	if (!is_from_peer(t, mail_reader_facts(t->reader)))
		return 0;
	if (t->file.fd < 0 && t->failed == 0)
		t->failed = file_writer_open(&t->file,
		    contract_in_dir(t->opts.contract), t->name, 0600, e);
	if (t->failed == 0)
		t->failed = file_writer_add(&t->file, octets, len, e);
	return t->failed;
}

int
taker_begin(struct taker *t, const char *id, uint64_t size, struct err *e)
{
	int rc = check_room(contract_in_dir(t->opts.contract), size, e);

	taker_drop(t);
	if (rc < 0)
		return rc;
	t->reader = mail_reader_new(on_octets, t);
	t->name = name_of(t, id);
	t->octets = 0;
	t->too_large = t->broken = false;
	t->failed = 0;
	return 0;
}

int
taker_add(struct taker *t, struct slice octets, struct err *e)
{
	t->octets += octets.len;
	if (t->octets > t->opts.max_octets)
		t->too_large = true;
	if (t->too_large || t->broken)
		return 0;
	if (mail_reader_add(t->reader, octets.ptr, octets.len, e) == 0)
		return 0;
	if (t->failed < 0)
		return t->failed;
	t->broken = true;
	t->why = *e;
	return 0;
}

static int
store(struct taker *t, struct err *e)
{
	int rc = 0;

	/* It had no octets at all. */
	if (t->file.fd < 0)
		rc = file_writer_open(&t->file,
		    contract_in_dir(t->opts.contract), t->name, 0600, e);
	if (rc == 0)
		rc = file_writer_commit(&t->file, true, e);
	if (rc == 0)
		contract_received(t->opts.contract, t->name);
	return rc;
}

/* Of a mail of ours, to whatever peer: where several share the mailbox it
 * stays there for the transport of the one that it went to. */
static enum taken
take_return(struct taker *t, const struct mail_facts *facts)
{
	bool lost = facts->action == MAIL_FAILED_PERMANENT ||
	    facts->action == MAIL_FAILED_TEMPORARY;
	char *name = t->opts.own != NULL ?
	    mail_returned_name(facts, t->opts.own) : NULL;
	enum taken taken = TAKEN;

	if (name == NULL)
		return TAKEN_FOREIGN;
	if (lost && !contract_returned(t->opts.contract, name,
	    facts->action == MAIL_FAILED_PERMANENT, facts->text))
		taken = TAKEN_LATER;
	free(name);
	return taken;
}

int
taker_end(struct taker *t, enum taken *taken_out, struct err *e)
{
	const struct mail_facts *facts = mail_reader_facts(t->reader);
	enum mail_kind kind;
	int rc = 0;

	*taken_out = TAKEN_FOREIGN;
	if (!t->broken && !t->too_large &&
	    mail_reader_end(t->reader, &t->why) < 0)
		t->broken = true;
	kind = mail_reader_kind(t->reader);
	if (t->failed < 0) {
		*e = t->why;
		rc = t->failed;
	} else if (t->too_large || t->broken) {
		if (is_from_peer(t, facts) || t->too_large)
			contract_note(t->opts.contract, "a mail was left in "
			    "the mailbox: %s", t->too_large ?
			    "it is larger than max-size" : t->why.text);
	} else if (kind == MAIL_RETURN) {
		*taken_out = take_return(t, facts);
	} else if (kind != MAIL_OTHER && is_from_peer(t, facts)) {
		rc = store(t, e);
		*taken_out = rc == 0 ? TAKEN : TAKEN_FOREIGN;
	}
	taker_drop(t);
	return rc;
}
