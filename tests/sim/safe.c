/* SPDX-License-Identifier: ISC */
/*
 * What a site has outside its spool: keys and cards, the file of serials; and
 * backups of the spool.
 */
#include "tests/sim/sim.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "node/keyring.h"
#include "node/serials.h"

#define BACKUPS_MAX 3

struct key_file {
	struct list link;
	char *name;
	struct buf text;
};

static struct key_file *
find(struct site *s, const char *name)
{
	struct list *item;

	list_for_each(item, &s->key_files) {
		struct key_file *f = list_entry(item, struct key_file, link);

		if (strcmp(f->name, name) == 0)
			return f;
	}
	return NULL;
}

static void
drop(struct key_file *f)
{
	if (f == NULL)
		return;
	list_del(&f->link);
	free(f->name);
	buf_release(&f->text);
	free(f);
}

static int
put(void *ctx, const char *name, struct slice text, struct err *e)
{
	struct key_file *f = mem_alloc(1, sizeof(*f));
	struct site *s = ctx;

	(void)e;
	drop(find(s, name));
	f->name = mem_strdup(name);
	buf_addslice(&f->text, text);
	list_add_tail(&s->key_files, &f->link);
	return 0;
}

static int
del(void *ctx, const char *name, struct err *e)
{
	(void)e;
	drop(find(ctx, name));
	return 0;
}

static bool
has_keys(const struct site *s)
{
	return s->world->realm != REALM_OLD && s->gate == NULL;
}

void
safe_init(struct site *s)
{
	struct err e = ERR_INIT;

	list_init(&s->key_files);
	list_init(&s->backups);
	if (has_keys(s) && serials_open(NULL, &s->serials, &e) != 0)
		wrong(s->world, "%s: %s", s->name, e.text);
}

void
safe_forget(struct site *s)
{
	while (!list_empty(&s->key_files))
		drop(list_entry(s->key_files.next, struct key_file, link));
	buf_clear(&s->card);
}

static void
backup_free(struct backup *b)
{
	list_del(&b->link);
	store_mem_disk_free(b->disk);
	free(b);
}

void
safe_release(struct site *s)
{
	safe_forget(s);
	while (!list_empty(&s->backups))
		backup_free(list_entry(s->backups.next, struct backup, link));
	serials_close(s->serials);
	buf_release(&s->card);
}

/* The card of a new identity, which its operator hands to the others. */
static void
make_card(struct site *s)
{
	char *domain[2] = { mem_printf("%s.example", s->name),
		mem_printf("staff.%s.example", s->name) };
	struct keyring_about about = {
	    .domain = (const char *const *)domain, .ndomains = 2 };
	struct err e = ERR_INIT;
	uint64_t counter;

	if (keyring_card(s->keyring, &about, &s->card, &counter, &e) != 0)
		wrong(s->world, "%s: card: %s", s->name, e.text);
	s->card_new = true;
	free(domain[0]);
	free(domain[1]);
}

static int
restore_keys(struct site *s, struct err *e)
{
	struct list *item;
	int rc = 0;

	list_for_each(item, &s->key_files) {
		struct key_file *f = list_entry(item, struct key_file, link);

		if (rc == 0)
			rc = keyring_restore(s->keyring, f->name,
			    buf_slice(&f->text), e);
	}
	return rc;
}

void
safe_open(struct site *s)
{
	static const struct keyring_store store = { put, del };
	struct world *w = s->world;
	struct keyring_policy policy = {
	    .life_secs = w->key_days * 86400,
	    .lifetime_secs = w->lifetime_days * (uint64_t)86400,
	    .gap_secs = 86400 };
	struct err e = ERR_INIT;
	int rc;

	if (!has_keys(s))
		return;
	s->keyring = keyring_new(s->name, &policy, &s->clock, &w->rng.rng,
	    &store, s);
	rc = list_empty(&s->key_files) ? keyring_make(s->keyring, &e) :
	    restore_keys(s, &e);
	if (rc == 0)
		rc = keyring_start(s->keyring, &e);
	if (rc != 0)
		wrong(w, "%s: keys: %s", s->name, e.text);
	else if (s->card.len == 0)
		make_card(s);
}

void
safe_close(struct site *s)
{
	keyring_free(s->keyring);
	s->keyring = NULL;
}

void
safe_give_cards(struct site *s)
{
	struct world *w = s->world;
	struct err e = ERR_INIT;
	size_t i;

	for (i = 0; s->keyring != NULL && i < w->nsites; i++) {
		struct site *of = &w->site[i];

		if (of == s || of->card.len == 0)
			continue;
		if (exchange_add_card(s->x, buf_slice(&of->card), &e) != 0)
			wrong(w, "%s: card of %s: %s", s->name, of->name,
			    e.text);
	}
}

void
safe_rotate(struct site *s)
{
	struct err e = ERR_INIT;
	int rc = s->keyring == NULL ? 0 : keyring_rotate(s->keyring, &e);

	tell(s->world, s->name, "sim: keys rotate%s%s", rc != 0 ? ": " : "",
	    e.text);
	if (rc != 0 && rc != ERR_FULL)
		wrong(s->world, "%s: rotate: %s", s->name, e.text);
}

/*
 * Backups.
 */
void
backup_make(struct site *s)
{
	struct backup *b = mem_alloc(1, sizeof(*b));
	struct list *item;
	size_t n = 0;

	b->disk = store_mem_disk_copy(s->disk);
	b->at_ms = s->world->now_ms;
	list_add_tail(&s->backups, &b->link);
	list_for_each(item, &s->backups)
		n++;
	if (n > BACKUPS_MAX)
		backup_free(list_entry(s->backups.next, struct backup, link));
}

/* Where the disk went, the file of serials may have gone too. */
static void
lose_serials(struct site *s)
{
	if (s->serials == NULL || roll(s->world, 2) == 0)
		return;
	tell(s->world, s->name, "sim: the serials are lost");
	serials_clear(s->serials);
}

void
backup_restore(struct site *s)
{
	struct world *w = s->world;
	struct list *item = s->backups.next;
	struct backup *b;

	if (item->next != &s->backups && roll(w, 2) == 0)
		item = item->next;
	b = list_entry(item, struct backup, link);
	tell(w, s->name, "sim: restored from %" PRId64, b->at_ms / 1000);
	w->restores++;
	s->lost_state = true;
	truth_excuse(s, b->at_ms);
	store_mem_disk_free(s->disk);
	s->disk = store_mem_disk_copy(b->disk);
	lose_serials(s);
}

/* Identity and auth key alone, of an old export; and the clock may be at any
 * time before. */
static void
keep_exported(struct site *s)
{
	struct list *item, *after;

	list_for_each_safe(item, after, &s->key_files) {
		struct key_file *f = list_entry(item, struct key_file, link);

		if (strcmp(f->name, "identity") != 0 &&
		    strcmp(f->name, "auth") != 0)
			drop(f);
	}
	if (!s->world->weather.jumps)
		return;
	s->wall_wrong_ms -= (int64_t)roll(s->world, 700 * (uint64_t)DAY_MS);
	s->wall_offset_ms = s->wall_wrong_ms;
	tell(s->world, s->name, "sim: its clock is set back");
}

void
backup_rebuild(struct site *s)
{
	struct world *w = s->world;
	static const char *const words[] = { "new", "kept", "exported" };
	enum { NEW, KEPT, EXPORTED } keys = (int)roll(w, 2);

	if (keys == KEPT && roll(w, 2) == 0)
		keys = EXPORTED;
	tell(w, s->name, "sim: rebuilt from nothing, keys %s", words[keys]);
	w->rebuilds++;
	s->lost_state = true;
	truth_excuse(s, 0);
	store_mem_disk_free(s->disk);
	s->disk = store_mem_disk_new();
	while (!list_empty(&s->backups))
		backup_free(list_entry(s->backups.next, struct backup, link));
	lose_serials(s);
	if (keys == NEW)
		safe_forget(s);
	else if (keys == EXPORTED)
		keep_exported(s);
}
