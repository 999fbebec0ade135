/* SPDX-License-Identifier: ISC */
/*
 * A file as a mail.  The file is read twice: once for what must be known
 * before the first command, once to send it, so that nothing is held but its
 * header.  What a server cannot carry is coded here and nowhere else: the
 * file itself stays frozen in out/.
 *
 * Whether it is an object or a parcel the file tells: an object begins with
 * the header of a MIME mail, which sealed octets never do; of what type it is,
 * filters may have changed.
 */
#include "transports/letter.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "bundle/armour.h"
#include "bundle/mail_reader.h"
#include "smtp/address.h"
#include "smtp/extension.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define STEP 65536
#define LINE_OCTETS 57		/* that a line of base64 holds */
#define LINE_CODED 78		/* and its characters with CR LF */
#define ENVID_MAX 80		/* RFC 3461 5.4: 100 once coded */
#define LOCAL_MAX 64		/* RFC 5321 4.5.3.1.1 */
#define UNCARRIED (CONTENT_NUL | CONTENT_BARE | CONTENT_LONG | \
	CONTENT_OPEN_END)

enum how { AS_IT_IS, BASE64, ARMOUR };

struct letter {
	int fd;
	char *step;
	char *name;			/* of the file */
	uint64_t octets;
	time_t made;			/* the file's time */
	struct letter_options opts;	/* its texts: in env */
	bool parcel;
	size_t skip;			/* octets of the file's own header */
	struct buf header;		/* with its empty line */
	struct slice encoding;		/* the line of it, in header */
	struct envelope env;
	struct content_facts raw;	/* of the file */
	uint64_t armoured;		/* octets of a parcel in armour */
	struct content_facts facts;	/* of what letter_read gives */
	enum how how;
	uint64_t left;			/* octets of the file to come */
	bool in_body;
	struct base64_encoder base64;
	struct armour_encoder armour;
};

/* The value of a field line, or a slice without a pointer. */
static struct slice
value_of(struct slice line, const char *name)
{
	size_t n = strlen(name);

	if (line.len <= n || line.ptr[n] != ':' ||
	    !slice_ieqs((struct slice){ line.ptr, n }, name))
		return (struct slice){ NULL, 0 };
	return (struct slice){ line.ptr + n + 1, line.len - n - 1 };
}

/* The first address in < >, or all of the value. */
static int
take_address(struct slice value, const char *name, char **addr_out,
    struct err *e)
{
	const char *open = memchr(value.ptr, '<', value.len);
	struct buf addr = BUF_INIT;
	size_t used;
	int rc;

	if (open != NULL) {
		value.len -= (size_t)(open - value.ptr);
		value.ptr = open;
	}
	rc = address_parse_path(slice_trim(value),
	    ADDRESS_BARE | ADDRESS_UTF8, &addr, &used, e);
	if (rc == 0)
		*addr_out = buf_steal(&addr);
	else
		err_prefix(e, "its field %s", name);
	buf_release(&addr);
	return rc < 0 ? ERR_SYNTAX : 0;
}

static int
read_field(struct letter *l, struct slice line, char **from, char **to,
    struct err *e)
{
	struct slice value;

	if ((value = value_of(line, "From")).ptr != NULL && *from == NULL)
		return take_address(value, "From", from, e);
	if ((value = value_of(line, "To")).ptr != NULL && *to == NULL)
		return take_address(value, "To", to, e);
	value = value_of(line, "Content-Transfer-Encoding");
	if (value.ptr != NULL && l->encoding.ptr == NULL) {
		struct slice word = slice_trim(value);

		if (slice_ieqs(word, "7bit") || slice_ieqs(word, "8bit") ||
		    slice_ieqs(word, "binary"))
			l->encoding = line;
	}
	return 0;
}

/* The next line, its end taken off it; false: the empty one. */
static bool
next_line(struct slice *rest, struct slice *line_out)
{
	const char *end = rest->len == 0 ? NULL :
	    memmem(rest->ptr, rest->len, "\r\n", 2);

	if (end == NULL || end == rest->ptr)
		return false;
	*line_out = (struct slice){ rest->ptr, (size_t)(end - rest->ptr) };
	rest->ptr += line_out->len + 2;
	rest->len -= line_out->len + 2;
	return true;
}

static int
read_fields(struct letter *l, char **from, char **to, struct err *e)
{
	struct slice rest = buf_slice(&l->header), line;
	int rc = 0;

	while (rc == 0 && next_line(&rest, &line))
		rc = read_field(l, line, from, to, e);
	return rc;
}

static void
add_date(const struct letter *l, struct buf *out)
{
	int64_t secs = l->made;

	if (l->opts.date_secs > 1 && secs > 0)
		secs -= secs % (int64_t)l->opts.date_secs;
	buf_adds(out, "Date: ");
	date_format(out, secs * 1000);
}

/* The Date of an object as the settings want it. */
static void
round_date(struct letter *l)
{
	struct buf made = BUF_INIT;
	struct slice rest = buf_slice(&l->header), line;

	while (next_line(&rest, &line)) {
		if (value_of(line, "Date").ptr != NULL)
			add_date(l, &made);
		else
			buf_addslice(&made, line);
		buf_adds(&made, "\r\n");
	}
	buf_adds(&made, "\r\n");
	buf_release(&l->header);
	l->header = made;
}

/* May the name of the file stand in a Message-ID as it is (RFC 5322 3.6.4)? */
static bool
is_dot_atom(const char *name)
{
	size_t n = strlen(name);

	for (size_t i = 0; i < n; i++) {
		char c = name[i];
		bool letter = (c >= 'a' && c <= 'z') ||
		    (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		    c == '-' || c == '_';

		if (!letter && (c != '.' || i == 0 || name[i - 1] == '.'))
			return false;
	}
	return n > 0 && n <= LOCAL_MAX && name[n - 1] != '.';
}

/* "<NAME@DOMAIN>" */
static void
add_id(const struct letter *l, struct buf *out)
{
	struct slice domain = address_domain(l->env.sender);
	unsigned char digest[SHA256_LEN];
	struct sha256 hash;

	buf_addc(out, '<');
	if (is_dot_atom(l->name)) {
		buf_adds(out, l->name);
	} else {
		sha256_init(&hash);
		sha256_add(&hash, l->name, strlen(l->name));
		sha256_end(&hash, digest);
		base32_encode(out, digest, 16);
	}
	buf_addc(out, '@');
	buf_addslice(out, domain);
	buf_addc(out, '>');
}

/* The Message-ID without its brackets, as xtext (RFC 3461 4.4); NULL: an
 * object has none.  Those who return no header return this. */
static char *
envelope_id(const struct letter *l)
{
	struct slice rest = buf_slice(&l->header), line, id = { NULL, 0 };
	struct buf out = BUF_INIT, made = BUF_INIT;

	while (id.ptr == NULL && next_line(&rest, &line))
		id = value_of(line, "Message-ID");
	if (l->parcel) {
		add_id(l, &made);
		id = buf_slice(&made);
	}
	if (id.ptr != NULL)
		id = slice_trim(id);
	if (id.len > 2 && *id.ptr == '<' && id.ptr[id.len - 1] == '>' &&
	    id.len <= ENVID_MAX)
		xtext_encode(&out, (struct slice){ id.ptr + 1, id.len - 2 });
	buf_release(&made);
	return out.len > 0 ? buf_steal(&out) : NULL;
}

static int
address(struct letter *l, struct err *e)
{
	const struct letter_options *o = &l->opts;
	char *from = o->from != NULL ? mem_strdup(o->from) : NULL;
	char *to = o->to != NULL ? mem_strdup(o->to) : NULL;
	int rc = 0;

	if (!l->parcel)
		rc = read_fields(l, &from, &to, e);
	if (rc == 0 && (from == NULL || to == NULL))
		rc = l->parcel ? err_set(e, ERR_SYNTAX, "it is no object of "
		    "RFC 2442, and for a parcel the settings from and to "
		    "are missing") :
		    err_set(e, ERR_SYNTAX, "its header has no %s",
		    from == NULL ? "From" : "To");
	if (rc == 0) {
		l->env.sender = from;
		from = NULL;
		envelope_add_recipient(&l->env, to, NULL, NULL);
		l->env.size_given = true;
		/* A notice about it need not bring it back, but say which. */
		l->env.ret = SMTP_RET_HDRS;
		l->env.envid = envelope_id(l);
	}
	free(from);
	free(to);
	return rc;
}

static int
read_step(struct letter *l, size_t *len_out, struct err *e)
{
	ssize_t n = file_read_some(l->fd, l->step, STEP);

	*len_out = n > 0 ? (size_t)n : 0;
	return n < 0 ? err_errno(e, "cannot read it") : n > 0;
}

static bool
is_object(const struct mime_header *h)
{
	return !h->lf_lines && h->type != NULL && (h->version ||
	    strcmp(h->type, "application/batch-smtp") == 0);
}

/* Takes what may be the header of an object: true until it is known. */
static bool
look_at_header(struct letter *l, struct mime_reader *mime, size_t len)
{
	struct err e = ERR_INIT;
	size_t used;
	int rc = mime_reader_add(mime, l->step, len, &used, &e);

	if (rc == 0)
		return true;
	l->parcel = rc < 0 || !is_object(&mime->header);
	if (!l->parcel) {
		buf_add(&l->header, mime->held.ptr, mime->held.len);
		l->skip = l->header.len;
	}
	return false;
}

/* What must be known of the file before the first command. */
static int
scan(struct letter *l, struct err *e)
{
	struct content_scanner scanner;
	struct mime_reader mime;
	struct buf coded = BUF_INIT;
	bool looking = true;
	size_t len;
	int rc;

	l->parcel = true;
	mime_reader_init(&mime);
	content_scanner_init(&scanner);
	armour_encoder_init(&l->armour);
	while ((rc = read_step(l, &len, e)) == 1) {
		content_scanner_add(&scanner, l->step, len);
		if (looking)
			looking = look_at_header(l, &mime, len);
		if (l->opts.coding != LETTER_BASE64)
			armour_encoder_add(&l->armour, &coded, l->step, len);
		l->armoured += coded.len;
		buf_clear(&coded);
	}
	armour_encoder_end(&l->armour, &coded);
	l->armoured += coded.len;
	content_scanner_end(&scanner);
	l->raw = scanner.facts;
	l->octets = scanner.facts.octets;
	buf_release(&coded);
	mime_reader_release(&mime);
	return rc;
}

static int
open_file(struct letter *l, const char *path, struct err *e)
{
	const char *slash = strrchr(path, '/');
	struct stat st;

	l->name = mem_strdup(slash != NULL ? slash + 1 : path);
	l->fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	if (l->fd < 0 || fstat(l->fd, &st) < 0)
		return err_errno(e, "cannot open %s", path);
	if (!S_ISREG(st.st_mode))
		return err_set(e, ERR_IO, "%s is not a plain file", path);
	l->made = st.st_mtim.tv_sec;
	return scan(l, e);
}

int
letter_open(const char *path, const struct letter_options *opts,
    struct letter **l_out, struct err *e)
{
	struct letter *l = mem_alloc(1, sizeof(*l));
	int rc;

	*l_out = NULL;
	envelope_init(&l->env);
	l->step = mem_alloc(1, STEP);
	l->opts = *opts;
	rc = open_file(l, path, e);
	if (rc == 0 && !l->parcel && opts->date_secs > 0)
		round_date(l);
	if (rc == 0)
		rc = address(l, e);
	l->opts.from = l->opts.to = NULL;
	if (rc < 0) {
		letter_close(l);
		return rc;
	}
	*l_out = l;
	return 0;
}

void
letter_close(struct letter *l)
{
	if (l == NULL)
		return;
	if (l->fd >= 0)
		close(l->fd);
	envelope_release(&l->env);
	buf_release(&l->header);
	free(l->name);
	free(l->step);
	free(l);
}

bool
letter_is_parcel(const struct letter *l)
{
	return l->parcel;
}

uint64_t
letter_octets(const struct letter *l)
{
	return l->octets;
}

/*
 * The form in which it goes.
 */
static uint64_t
base64_octets(uint64_t n)
{
	uint64_t rest = n % LINE_OCTETS;

	return n / LINE_OCTETS * LINE_CODED +
	    (rest > 0 ? (rest + 2) / 3 * 4 + 2 : 0);
}

/* An object keeps its header, but for the line of its encoding. */
static void
shape_object(struct letter *l, unsigned extensions)
{
	bool eight = (l->raw.flags & CONTENT_8BIT) != 0;
	uint64_t body = l->octets - l->skip;

	l->how = l->encoding.ptr != NULL && ((l->raw.flags & UNCARRIED) != 0 ||
	    (eight && !(extensions & SMTP_EXT_8BITMIME))) ? BASE64 : AS_IT_IS;
	l->env.body = eight && l->how == AS_IT_IS ? SMTP_BODY_8BITMIME :
	    SMTP_BODY_7BIT;
	l->facts = l->raw;
	l->facts.octets = l->header.len + body;
	if (l->how == AS_IT_IS)
		return;
	l->facts.flags = 0;
	l->facts.octets = l->header.len - l->encoding.len +
	    strlen("Content-Transfer-Encoding: base64") + base64_octets(body);
}

/* The same for each parcel to this peer but for date and id. */
static void
write_header(struct letter *l, const char *type, const char *encoding)
{
	struct buf *out = &l->header;

	buf_clear(out);
	buf_addf(out, "From: <%s>\r\nTo: <%s>\r\n", l->env.sender,
	    l->env.rcpt[0].address);
	add_date(l, out);
	buf_adds(out, "\r\nMessage-ID: ");
	add_id(l, out);
	buf_addf(out, "\r\nMIME-Version: 1.0\r\nContent-Type: %s\r\n"
	    "Content-Transfer-Encoding: %s\r\n\r\n", type, encoding);
}

static void
shape_parcel(struct letter *l, unsigned extensions)
{
	unsigned binary = SMTP_EXT_BINARYMIME | SMTP_EXT_CHUNKING;

	l->facts = (struct content_facts){ 0 };
	if (l->opts.coding == LETTER_BINARY &&
	    (extensions & binary) == binary) {
		l->how = AS_IT_IS;
		l->env.body = SMTP_BODY_BINARYMIME;
		write_header(l, MAIL_PARCEL_TYPE, "binary");
		l->facts = l->raw;
		l->facts.octets = l->header.len + l->octets;
	} else if (l->opts.coding != LETTER_BASE64 &&
	    (extensions & SMTP_EXT_8BITMIME) != 0) {
		l->how = ARMOUR;
		l->env.body = SMTP_BODY_8BITMIME;
		write_header(l, MAIL_ARMOUR_TYPE, "8bit");
		l->facts.flags = CONTENT_8BIT;
		l->facts.octets = l->header.len + l->armoured;
	} else {
		l->how = BASE64;
		l->env.body = SMTP_BODY_7BIT;
		write_header(l, MAIL_PARCEL_TYPE, "base64");
		l->facts.octets = l->header.len + base64_octets(l->octets);
	}
}

int
letter_begin(struct letter *l, unsigned extensions, struct err *e)
{
	if (l->parcel)
		shape_parcel(l, extensions);
	else
		shape_object(l, extensions);
	l->env.size = l->facts.octets;
	l->in_body = false;
	l->left = l->octets - l->skip;
	base64_encoder_init(&l->base64);
	armour_encoder_init(&l->armour);
	if (lseek(l->fd, (off_t)l->skip, SEEK_SET) == -1)
		return err_errno(e, "cannot read it");
	return 0;
}

const struct envelope *
letter_envelope(const struct letter *l)
{
	return &l->env;
}

const struct content_facts *
letter_facts(const struct letter *l)
{
	return &l->facts;
}

void
letter_advise(const struct letter *l, struct err *why)
{
	char text[ERR_TEXT_MAX];

	if (!l->parcel || (strstr(why->text, " 552 ") == NULL &&
	    strstr(why->text, "5.3.4") == NULL))
		return;
	snprintf(text, sizeof(text), "%s", why->text);
	(void)err_set(why, why->code, "%.300s: a parcel of %llu octets is a "
	    "mail of %llu here: set a smaller parcel-size", text,
	    (unsigned long long)l->octets,
	    (unsigned long long)l->facts.octets);
}

static void
give_header(struct letter *l, struct buf *out)
{
	size_t before = l->header.len;

	l->in_body = true;
	if (l->parcel || l->how == AS_IT_IS) {
		buf_addslice(out, buf_slice(&l->header));
		return;
	}
	before = (size_t)(l->encoding.ptr - l->header.ptr);
	buf_add(out, l->header.ptr, before);
	buf_adds(out, "Content-Transfer-Encoding: base64");
	before += l->encoding.len;
	buf_add(out, l->header.ptr + before, l->header.len - before);
}

static void
give_body(struct letter *l, struct buf *out, size_t len)
{
	if (l->how == AS_IT_IS)
		buf_add(out, l->step, len);
	else if (l->how == BASE64)
		base64_encoder_add(&l->base64, out, l->step, len);
	else
		armour_encoder_add(&l->armour, out, l->step, len);
	if (l->left > 0)
		return;
	if (l->how == BASE64)
		base64_encoder_end(&l->base64, out);
	else if (l->how == ARMOUR)
		armour_encoder_end(&l->armour, out);
}

int
letter_read(struct letter *l, struct buf *out, struct err *e)
{
	size_t len;
	int rc;

	if (!l->in_body) {
		give_header(l, out);
		if (l->left == 0 && l->how == ARMOUR)
			armour_encoder_end(&l->armour, out);
		return 1;
	}
	if (l->left == 0)
		return 0;
	rc = read_step(l, &len, e);
	if (rc < 0)
		return rc;
	if (rc == 0 || len > l->left)
		return err_set(e, ERR_IO, "it changed its size");
	l->left -= len;
	give_body(l, out, len);
	return 1;
}
