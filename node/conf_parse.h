/* SPDX-License-Identifier: ISC */
#ifndef NODE_CONF_PARSE_H
#define NODE_CONF_PARSE_H
/*
 * The syntax of a configuration: sections with titles, settings, lists.  It
 * knows no key.  The tree is whole even where there were faults, but for what
 * they cost.
 *
 *	statement = key "=" value | key "=" "{" [ value { "," value } ] "}"
 *		  | key [ title [ title ] ] "{" { statement } "}"
 *	value = "string" | 'raw string' | words of one line
 *
 * A statement ends with its line or with ";".  Comments begin with # or // at
 * the start of a word, or stand between slash-star and star-slash.
 */
#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

/* Where faults go: each once, with its place. */
struct conf_faults {
	void (*told)(void *ctx, const char *text);
	void *ctx;
	const char *file;
	size_t count;		/* of faults; warnings are not counted */
	char *first;		/* text of the first; conf_faults_release */
};

void conf_fault(struct conf_faults *f, unsigned line, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void conf_warning(struct conf_faults *f, unsigned line, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void conf_faults_release(struct conf_faults *f);

enum conf_node_kind { CONF_SCALAR, CONF_LIST, CONF_SECTION };

struct conf_item {
	char *text;
	unsigned line;
};

struct conf_node {
	char *key;
	unsigned line;
	enum conf_node_kind kind;
	struct conf_item *item;		/* titles of a section, the values of a
					 * list, the one value of a scalar */
	size_t nitems;
	struct conf_node *child;	/* statements of a section, in order */
	size_t nchildren;
};

/* Always fills *root_out, a section without key; conf_node_release frees what
 * it holds. Faults are told. */
void conf_parse(struct slice text, struct conf_faults *faults,
    struct conf_node *root_out);
void conf_node_release(struct conf_node *node);
/* The first statement with this key, or NULL. */
const struct conf_node *conf_node_find(const struct conf_node *section,
    const char *key);

#endif
