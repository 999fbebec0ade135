/* SPDX-License-Identifier: ISC */
/*
 * An object as a mail.  The file is read twice: once for what must be known
 * before the first command, once to send it, so that nothing is held but its
 * header.  What a server cannot carry is coded here and nowhere else: the
 * object itself stays frozen in out/.
 */
#include "transports/letter.h"
#include "base/mem.h"
#include "base/text.h"
#include "smtp/address.h"
#include "smtp/extension.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define STEP 65536
#define HEADER_MAX 65536
#define LINE_OCTETS 57		/* that a line of base64 holds */
#define UNCARRIED (CONTENT_NUL | CONTENT_BARE | CONTENT_LONG | \
	CONTENT_OPEN_END)

struct letter {
	int fd;
	char *step;
	uint64_t octets;
	struct buf header;		/* with its empty line */
	struct slice encoding;		/* the line of it, in header */
	struct envelope env;
	struct content_facts facts, coded_facts;
	bool coded;
	uint64_t left;			/* octets of the body to come */
	bool in_body;
	struct base64_encoder encoder;
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

static int
read_fields(struct letter *l, char **from, char **to, struct err *e)
{
	struct slice rest = buf_slice(&l->header);
	int rc = 0;

	while (rc == 0 && rest.len > 2) {
		const char *end = memmem(rest.ptr, rest.len, "\r\n", 2);
		struct slice line = { rest.ptr, (size_t)(end - rest.ptr) };

		rc = read_field(l, line, from, to, e);
		rest.ptr += line.len + 2;
		rest.len -= line.len + 2;
	}
	return rc;
}

static int
address(struct letter *l, const char *from, const char *to, struct err *e)
{
	char *own_from = from != NULL ? mem_strdup(from) : NULL;
	char *own_to = to != NULL ? mem_strdup(to) : NULL;
	int rc = read_fields(l, &own_from, &own_to, e);

	if (rc == 0 && own_from == NULL)
		rc = err_set(e, ERR_SYNTAX, "its header has no From");
	if (rc == 0 && own_to == NULL)
		rc = err_set(e, ERR_SYNTAX, "its header has no To");
	if (rc == 0) {
		l->env.sender = own_from;
		own_from = NULL;
		envelope_add_recipient(&l->env, own_to, NULL, NULL);
		l->env.size_given = true;
		/* A notice about an object need not bring it back. */
		l->env.ret = SMTP_RET_HDRS;
	}
	free(own_from);
	free(own_to);
	return rc;
}

static int
read_step(struct letter *l, size_t *len_out, struct err *e)
{
	ssize_t n;

	do
		n = read(l->fd, l->step, STEP);
	while (n == -1 && errno == EINTR);
	if (n == -1)
		return err_errno(e, "cannot read it");
	*len_out = (size_t)n;
	return n > 0;
}

/* What the header and the facts need of the file. */
static int
scan(struct letter *l, struct err *e)
{
	struct content_scanner scanner;
	bool whole = false;
	size_t len;
	int rc;

	content_scanner_init(&scanner);
	while ((rc = read_step(l, &len, e)) == 1) {
		const char *end;

		content_scanner_add(&scanner, l->step, len);
		if (whole || l->header.len > HEADER_MAX)
			continue;
		buf_add(&l->header, l->step, len);
		end = memmem(l->header.ptr, l->header.len, "\r\n\r\n", 4);
		whole = end != NULL;
		if (whole)
			buf_truncate(&l->header,
			    (size_t)(end + 4 - l->header.ptr));
	}
	content_scanner_end(&scanner);
	l->facts = scanner.facts;
	l->octets = scanner.facts.octets;
	if (rc == 0 && (!whole || l->header.len > HEADER_MAX))
		rc = err_set(e, ERR_SYNTAX, "it is no mail: the transport "
		    "mail carries objects of dialect rfc2442");
	return rc;
}

static void
foresee_coding(struct letter *l)
{
	uint64_t body = l->octets - l->header.len;
	uint64_t rest = body % LINE_OCTETS;

	l->coded_facts = l->facts;
	l->coded_facts.flags = 0;
	l->coded_facts.octets = l->header.len - l->encoding.len +
	    strlen("Content-Transfer-Encoding: base64") +
	    body / LINE_OCTETS * 78 + (rest > 0 ? (rest + 2) / 3 * 4 + 2 : 0);
}

int
letter_open(const char *path, const char *from, const char *to,
    struct letter **l_out, struct err *e)
{
	struct letter *l = mem_alloc(1, sizeof(*l));
	struct stat st;
	int rc = 0;

	*l_out = NULL;
	envelope_init(&l->env);
	l->step = mem_alloc(1, STEP);
	l->fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	if (l->fd < 0 || fstat(l->fd, &st) < 0)
		rc = err_errno(e, "cannot open %s", path);
	else if (!S_ISREG(st.st_mode))
		rc = err_set(e, ERR_IO, "%s is not a plain file", path);
	if (rc == 0)
		rc = scan(l, e);
	if (rc == 0)
		rc = address(l, from, to, e);
	if (rc < 0) {
		letter_close(l);
		return rc;
	}
	foresee_coding(l);
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
	free(l->step);
	free(l);
}

uint64_t
letter_octets(const struct letter *l)
{
	return l->octets;
}

int
letter_begin(struct letter *l, unsigned extensions, struct err *e)
{
	bool eight = (l->facts.flags & CONTENT_8BIT) != 0;

	l->coded = l->encoding.ptr != NULL &&
	    ((l->facts.flags & UNCARRIED) != 0 ||
	    (eight && !(extensions & SMTP_EXT_8BITMIME)));
	l->env.body = eight && !l->coded ? SMTP_BODY_8BITMIME : SMTP_BODY_7BIT;
	l->env.size = letter_facts(l)->octets;
	l->in_body = false;
	l->left = l->octets - l->header.len;
	base64_encoder_init(&l->encoder);
	if (lseek(l->fd, (off_t)l->header.len, SEEK_SET) == -1)
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
	return l->coded ? &l->coded_facts : &l->facts;
}

static void
give_header(struct letter *l, struct buf *out)
{
	size_t before = l->header.len;

	l->in_body = true;
	if (!l->coded) {
		buf_addslice(out, buf_slice(&l->header));
		return;
	}
	before = (size_t)(l->encoding.ptr - l->header.ptr);
	buf_add(out, l->header.ptr, before);
	buf_adds(out, "Content-Transfer-Encoding: base64");
	before += l->encoding.len;
	buf_add(out, l->header.ptr + before, l->header.len - before);
}

int
letter_read(struct letter *l, struct buf *out, struct err *e)
{
	size_t len;
	int rc;

	if (!l->in_body) {
		give_header(l, out);
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
	if (!l->coded) {
		buf_add(out, l->step, len);
		return 1;
	}
	base64_encoder_add(&l->encoder, out, l->step, len);
	if (l->left == 0)
		base64_encoder_end(&l->encoder, out);
	return 1;
}
