/* SPDX-License-Identifier: ISC */
#ifndef NODE_CONF_TABLE_H
#define NODE_CONF_TABLE_H
/*
 * The keys of each section: one row for a key, and postrider.conf(5) has an
 * item for each row.  A row says where the value goes and how it is checked.
 */
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "node/conf_parse.h"

enum conf_row_flags {
	CONF_REQUIRED = 1 << 0,
	CONF_TEXT = 1 << 1,	/* the field is a char * of ours */
	CONF_STRINGS = 1 << 2,	/* the field is a struct conf_strings; `set`
				 * only checks each item (field NULL) */
	CONF_EACH = 1 << 3,	/* `set` is called for each item */
	CONF_NONE = 1 << 4,	/* "none" stands for 0 */
};

struct conf_row {
	const char *key;
	/* Checks the value and stores it, unless field is NULL. */
	int (*set)(const struct conf_row *row, const char *value, void *field,
	    struct err *e);
	size_t offset;
	const char *def;	/* as it would be written; NULL: see the page */
	unsigned flags;
	uint64_t min, max;	/* of numbers, sizes and durations */
	const char *const *words;	/* of choices; ends with NULL */
};

struct conf_table {
	const char *section;
	size_t ntitles;
	const char *inside;	/* a section of this name; NULL: of none */
	const struct conf_row *row;	/* none: keys are free (routes) */
	size_t nrows;
};

/* All of them, static. */
const struct conf_table *conf_tables(size_t *n_out);
const struct conf_table *conf_table_find(const char *section);
/* Reads a section into the struct of its table, which is zeroed; defaults
 * first.  Faults are told: unknown, repeated, missing keys, bad values. */
void conf_table_read(const struct conf_table *table,
    const struct conf_node *section, void *object,
    struct conf_faults *faults);
/* Frees texts and lists of texts. */
void conf_table_release(const struct conf_table *table, void *object);

#endif
