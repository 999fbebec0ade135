/* SPDX-License-Identifier: ISC */
/*
 * The memory of a mailbox.  UIDs of IMAP ascend, so the last one says it all;
 * those of POP3 are any texts, of which 64 bits of a hash are kept.
 */
#include "transports/seen.h"
#include "base/file.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/text.h"

#include <inttypes.h>
#include <stdlib.h>

#define NAME ".mail-seen"
#define HASH_LEN 8
#define FILE_MAX ((SEEN_MAX + 2) * 18)

struct hash {
	char octets[HASH_LEN];
};

struct seen {
	const char *dir;
	struct hash box;	/* of what tells it */
	uint32_t uidvalidity, upto;
	struct map *old, *now;	/* hashes; values mean nothing */
	bool changed;
};

static struct hash
hash_of(struct slice text)
{
	unsigned char digest[SHA256_LEN];
	struct sha256 h;
	struct hash hash;

	sha256_init(&h);
	sha256_add(&h, text.ptr, text.len);
	sha256_end(&h, digest);
	memcpy(hash.octets, digest, HASH_LEN);
	return hash;
}

static struct slice
key_of(const struct hash *hash)
{
	return (struct slice){ hash->octets, HASH_LEN };
}

/* "NAME rest": the rest. */
static bool
after(struct slice line, const char *name, struct slice *rest_out)
{
	size_t n = strlen(name);

	if (line.len < n || memcmp(line.ptr, name, n) != 0)
		return false;
	*rest_out = (struct slice){ line.ptr + n, line.len - n };
	return true;
}

static void
read_uid(struct seen *s, struct slice rest)
{
	const char *blank = memchr(rest.ptr, ' ', rest.len);
	size_t n = blank != NULL ? (size_t)(blank - rest.ptr) : rest.len;
	uint64_t validity, upto;

	if (blank != NULL &&
	    num_parse((struct slice){ rest.ptr, n }, UINT32_MAX,
	    &validity) == 0 && num_parse((struct slice){ blank + 1,
	    rest.len - n - 1 }, UINT32_MAX, &upto) == 0) {
		s->uidvalidity = (uint32_t)validity;
		s->upto = (uint32_t)upto;
	}
}

/* A line that is not as it should be is as if it were not there. */
static void
read_line(struct seen *s, struct slice line, bool *known_io)
{
	struct buf hash = BUF_INIT;
	struct slice rest;

	if (after(line, "box ", &rest))
		*known_io = hex_decode(&hash, rest) == 0 &&
		    slice_eq(buf_slice(&hash), key_of(&s->box));
	else if (*known_io && after(line, "uid ", &rest))
		read_uid(s, rest);
	else if (*known_io && hex_decode(&hash, line) == 0 &&
	    hash.len == HASH_LEN)
		map_put(s->old, buf_slice(&hash), s);
	buf_release(&hash);
}

static void
read_file(struct seen *s)
{
	char *path = path_join(s->dir, NAME);
	struct buf text = BUF_INIT;
	struct err e = ERR_INIT;
	bool known = false;

	if (file_read(path, FILE_MAX, &text, &e) == 0) {
		const char *at = text.ptr, *end, *stop = at + text.len;

		for (; at < stop && (end = memchr(at, '\n',
		    (size_t)(stop - at))) != NULL; at = end + 1)
			read_line(s, (struct slice){ at,
			    (size_t)(end - at) }, &known);
	}
	buf_release(&text);
	free(path);
}

struct seen *
seen_open(const struct contract *c, const char *box)
{
	struct seen *s = mem_alloc(1, sizeof(*s));

	s->dir = contract_in_dir(c);
	s->box = hash_of(slice_of(box));
	s->old = map_new();
	s->now = map_new();
	read_file(s);
	return s;
}

void
seen_free(struct seen *s)
{
	if (s == NULL)
		return;
	map_free(s->old);
	map_free(s->now);
	free(s);
}

uint32_t
seen_upto(const struct seen *s, uint32_t uidvalidity)
{
	return s->uidvalidity == uidvalidity ? s->upto : 0;
}

void
seen_advance(struct seen *s, uint32_t uidvalidity, uint32_t uid)
{
	if (s->uidvalidity == uidvalidity && uid <= s->upto)
		return;
	s->uidvalidity = uidvalidity;
	s->upto = uid;
	s->changed = true;
}

bool
seen_has(struct seen *s, struct slice uidl)
{
	struct hash hash = hash_of(uidl);

	if (map_get(s->now, key_of(&hash)) != NULL)
		return true;
	if (map_get(s->old, key_of(&hash)) == NULL)
		return false;
	map_put(s->now, key_of(&hash), s);
	return true;
}

void
seen_add(struct seen *s, struct slice uidl)
{
	struct hash hash = hash_of(uidl);

	if (map_count(s->now) >= SEEN_MAX)
		return;
	map_put(s->now, key_of(&hash), s);
	s->changed = true;
}

static void
write_hashes(struct seen *s, struct buf *out)
{
	size_t pos = 0;
	struct slice key;
	void *value;

	while (map_next(s->now, &pos, &key, &value)) {
		hex_encode(out, key.ptr, key.len);
		buf_addc(out, '\n');
	}
}

int
seen_save(struct seen *s, struct err *e)
{
	struct buf out = BUF_INIT;
	int rc = 0;

	if (s->changed || map_count(s->now) != map_count(s->old)) {
		buf_adds(&out, "box ");
		hex_encode(&out, s->box.octets, HASH_LEN);
		buf_addc(&out, '\n');
		if (s->uidvalidity != 0)
			buf_addf(&out, "uid %" PRIu32 " %" PRIu32 "\n",
			    s->uidvalidity, s->upto);
		write_hashes(s, &out);
		rc = file_replace(s->dir, NAME, out.ptr, out.len, 0600, e);
	}
	buf_release(&out);
	if (rc < 0)
		return rc;
	s->changed = false;
	map_free(s->old);
	s->old = s->now;
	s->now = map_new();
	return 0;
}
