/* SPDX-License-Identifier: ISC */
/*
 * The hash table.  Entries stand in the order they came in one dense array; a
 * second array of indices, probed linearly, finds them.  A walk therefore
 * does not depend on the hash key, which is random, and a simulation repeats
 * exactly.  Deleting leaves a gap in both arrays until the next rebuild, so
 * that a walk may delete what it stands on.
 */
#include "base/map.h"
#include "base/mem.h"

#include <sodium.h>
#include <stdlib.h>

#define SLOT_EMPTY UINT32_MAX
#define LEN_NUMBER SIZE_MAX		/* the key is a number */
#define LEN_GONE (SIZE_MAX - 1)	/* deleted */
#define SMALLEST 16

struct entry {
	uint64_t hash;
	size_t len;
	union {
		char *text;
		uint64_t number;
	} key;
	void *value;
};

struct map {
	struct entry *entries;
	uint32_t *slots;	/* indices into entries; 2 * cap of them */
	size_t cap;		/* of entries; a power of two */
	size_t used;		/* entries written, with those deleted */
	size_t count;
	unsigned char sip[crypto_shorthash_KEYBYTES];
};

struct key {
	uint64_t hash;
	size_t len;
	const char *text;
	uint64_t number;
};

_Static_assert(crypto_shorthash_BYTES == sizeof(uint64_t), "SipHash-2-4");

static uint64_t
hash_of(const struct map *m, const void *bytes, size_t len)
{
	uint64_t hash;

	crypto_shorthash((unsigned char *)&hash, bytes, len, m->sip);
	return hash;
}

static struct key
key_text(const struct map *m, struct slice s)
{
	const char *text = s.len > 0 ? s.ptr : "";

	return (struct key){ hash_of(m, text, s.len), s.len, text, 0 };
}

static struct key
key_number(const struct map *m, uint64_t n)
{
	return (struct key){ hash_of(m, &n, sizeof(n)), LEN_NUMBER, NULL, n };
}

static bool
entry_is(const struct entry *e, const struct key *k)
{
	if (e->hash != k->hash || e->len != k->len)
		return false;
	if (k->len == LEN_NUMBER)
		return e->key.number == k->number;
	return memcmp(e->key.text, k->text, k->len) == 0;
}

/* The entry, or NULL and the slot where it would go. */
static struct entry *
find(const struct map *m, const struct key *k, size_t *slot_out)
{
	size_t mask = m->cap * 2 - 1;
	size_t i = (size_t)k->hash & mask;

	for (; m->slots[i] != SLOT_EMPTY; i = (i + 1) & mask) {
		struct entry *e = &m->entries[m->slots[i]];

		if (entry_is(e, k))
			return e;
	}
	*slot_out = i;
	return NULL;
}

static void
place(struct map *m, size_t index)
{
	size_t mask = m->cap * 2 - 1;
	size_t i = (size_t)m->entries[index].hash & mask;

	while (m->slots[i] != SLOT_EMPTY)
		i = (i + 1) & mask;
	m->slots[i] = (uint32_t)index;
}

/* Squeezes the gaps out and gives at least half of the entries as room. */
static void
rebuild(struct map *m)
{
	size_t kept = 0;

	for (size_t i = 0; i < m->used; i++) {
		if (m->entries[i].len != LEN_GONE)
			m->entries[kept++] = m->entries[i];
	}
	m->used = kept;
	while (kept > m->cap / 2)
		m->cap *= 2;
	m->entries = mem_realloc(m->entries, m->cap, sizeof(*m->entries));
	m->slots = mem_realloc(m->slots, m->cap * 2, sizeof(*m->slots));
	memset(m->slots, 0xff, m->cap * 2 * sizeof(*m->slots));
	for (size_t i = 0; i < m->used; i++)
		place(m, i);
}

static void *
put(struct map *m, const struct key *k, void *value)
{
	size_t slot;
	struct entry *e = find(m, k, &slot);
	void *old;

	if (e != NULL) {
		old = e->value;
		e->value = value;
		return old;
	}
	if (m->used == m->cap)
		rebuild(m);
	e = &m->entries[m->used];
	e->hash = k->hash;
	e->len = k->len;
	e->value = value;
	if (k->len == LEN_NUMBER)
		e->key.number = k->number;
	else
		e->key.text = mem_strndup(k->text, k->len);
	place(m, m->used++);
	m->count++;
	return NULL;
}

static void *
del(struct map *m, const struct key *k)
{
	size_t slot;
	struct entry *e = find(m, k, &slot);

	if (e == NULL)
		return NULL;
	if (e->len != LEN_NUMBER)
		free(e->key.text);
	e->len = LEN_GONE;
	m->count--;
	return e->value;
}

struct map *
map_new(void)
{
	struct map *m = mem_alloc(1, sizeof(*m));

	m->cap = SMALLEST;
	randombytes_buf(m->sip, sizeof(m->sip));
	rebuild(m);
	return m;
}

void
map_free(struct map *m)
{
	if (m == NULL)
		return;
	for (size_t i = 0; i < m->used; i++) {
		if (m->entries[i].len < LEN_GONE)
			free(m->entries[i].key.text);
	}
	free(m->entries);
	free(m->slots);
	free(m);
}

void *
map_get(const struct map *m, struct slice key)
{
	struct key k = key_text(m, key);
	size_t slot;
	struct entry *e = find(m, &k, &slot);

	return e != NULL ? e->value : NULL;
}

void *
map_put(struct map *m, struct slice key, void *value)
{
	struct key k = key_text(m, key);

	return put(m, &k, value);
}

void *
map_del(struct map *m, struct slice key)
{
	struct key k = key_text(m, key);

	return del(m, &k);
}

size_t
map_count(const struct map *m)
{
	return m->count;
}

bool
map_next(const struct map *m, size_t *pos, struct slice *key_out,
    void **value_out)
{
	const struct entry *e;

	while (*pos < m->used && m->entries[*pos].len == LEN_GONE)
		(*pos)++;
	if (*pos >= m->used)
		return false;
	e = &m->entries[(*pos)++];
	if (key_out != NULL && e->len == LEN_NUMBER)
		*key_out = (struct slice){ (const char *)&e->key.number,
			sizeof(e->key.number) };
	else if (key_out != NULL)
		*key_out = (struct slice){ e->key.text, e->len };
	if (value_out != NULL)
		*value_out = e->value;
	return true;
}

void *
map_get_u64(const struct map *m, uint64_t key)
{
	struct key k = key_number(m, key);
	size_t slot;
	struct entry *e = find(m, &k, &slot);

	return e != NULL ? e->value : NULL;
}

void *
map_put_u64(struct map *m, uint64_t key, void *value)
{
	struct key k = key_number(m, key);

	return put(m, &k, value);
}

void *
map_del_u64(struct map *m, uint64_t key)
{
	struct key k = key_number(m, key);

	return del(m, &k);
}
