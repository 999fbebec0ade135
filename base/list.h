/* SPDX-License-Identifier: ISC */
#ifndef BASE_LIST_H
#define BASE_LIST_H
/* Intrusive doubly linked list; the head is a struct list of its own. */
#include <stdbool.h>
#include <stddef.h>

struct list {
	struct list *prev, *next;
};

static inline void
list_init(struct list *l)
{
	l->prev = l->next = l;
}

static inline bool
list_empty(const struct list *l)
{
	return l->next == l;
}

static inline void
list_add_tail(struct list *head, struct list *item)
{
	item->prev = head->prev;
	item->next = head;
	head->prev->next = item;
	head->prev = item;
}

static inline void
list_add_head(struct list *head, struct list *item)
{
	list_add_tail(head->next, item);
}

/* The item is left in a list of its own, so removing twice is harmless. */
static inline void
list_del(struct list *item)
{
	item->prev->next = item->next;
	item->next->prev = item->prev;
	list_init(item);
}

#define list_entry(item, type, member) \
	((type *)(void *)((char *)(item) - offsetof(type, member)))
#define list_for_each(item, head) \
	for ((item) = (head)->next; (item) != (head); (item) = (item)->next)
#define list_for_each_safe(item, after, head) \
	for ((item) = (head)->next, (after) = (item)->next; (item) != (head); \
	    (item) = (after), (after) = (item)->next)

#endif
