/* SPDX-License-Identifier: ISC */
#ifndef BASE_MAP_H
#define BASE_MAP_H
/*
 * A hash table from octets to pointers, and one from 64-bit numbers to
 * pointers; both keyed with SipHash so that no peer can choose collisions.
 * The table never owns the values; text keys are copied.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

struct map;

struct map *map_new(void);
/* Does not free the values. */
void map_free(struct map *m);
/* The value, or NULL. */
void *map_get(const struct map *m, struct slice key);
/* Sets or replaces; returns the value there was, or NULL. */
void *map_put(struct map *m, struct slice key, void *value);
/* Removes; returns the value there was, or NULL. */
void *map_del(struct map *m, struct slice key);
size_t map_count(const struct map *m);
/* Walks in no particular order: start with *pos 0; false at the end.  The
 * entry just returned may be deleted during the walk, nothing else. */
bool map_next(const struct map *m, size_t *pos, struct slice *key_out,
    void **value_out);
/* The same with numbers for keys (kept apart from texts by their length). */
void *map_get_u64(const struct map *m, uint64_t key);
void *map_put_u64(struct map *m, uint64_t key, void *value);
void *map_del_u64(struct map *m, uint64_t key);

#endif
