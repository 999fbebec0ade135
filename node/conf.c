/* SPDX-License-Identifier: ISC */
/*
 * The configuration: the tree of conf_parse, read by the tables of conf_table,
 * checked by conf_check.  Nothing stops at a fault.
 */
#include "node/conf.h"

#include "base/file.h"
#include "base/mem.h"
#include "base/secret.h"
#include "node/conf_check.h"
#include "node/conf_lane.h"
#include "node/conf_net.h"
#include "node/conf_parse.h"
#include "node/conf_table.h"
#include "node/conf_value.h"

#include <stdlib.h>

#define CONF_FILE_MAX (64U << 20)
#define LISTEN_DEFAULT "127.0.0.1:2442"

/* Room for one more, zeroed. */
#define GROW(array, n) \
	((array) = mem_realloc((array), (n) + 1, sizeof(*(array))), \
	memset(&(array)[(n)], 0, sizeof(*(array))), &(array)[(n)++])

static void
read_site(struct conf_draft *draft, const struct conf_node *node)
{
	struct conf *conf = draft->conf;
	struct err e = ERR_INIT;

	if (draft->site != NULL) {
		conf_fault(draft->faults, node->line, "there are two sections "
		    "site, the first in line %u", draft->site->line);
		return;
	}
	draft->site = node;
	if (conf_value_name(NULL, node->item[0].text, NULL, &e) < 0)
		conf_fault(draft->faults, node->line, "site %s: %s",
		    node->item[0].text, e.text);
	conf->site = mem_strdup(node->item[0].text);
	conf_table_read(conf_table_find("site"), node, conf, draft->faults);
}

static void
read_listener(struct conf_draft *draft, const struct conf_node *node)
{
	struct conf *conf = draft->conf;
	size_t i = conf->nlisteners;
	struct conf_listener *l = GROW(conf->listener, conf->nlisteners);
	struct conf_endpoint end;
	struct err e = ERR_INIT;

	draft->listener[i] = node;
	l->address = mem_strdup(node->item[0].text);
	l->line = node->line;
	if (conf_endpoint_parse(l->address, &end, &e) < 0)
		conf_fault(draft->faults, node->line, "listen %s", e.text);
	conf_table_read(conf_table_find("listen"), node, l, draft->faults);
}

static void
read_delivery(struct conf_draft *draft, const struct conf_node *node)
{
	struct conf *conf = draft->conf;
	size_t i = conf->ndeliveries;
	struct conf_delivery *d = GROW(conf->delivery, conf->ndeliveries);
	struct err e = ERR_INIT;

	draft->delivery[i] = node;
	d->line = node->line;
	if (conf_value_name(NULL, node->item[0].text, NULL, &e) < 0)
		conf_fault(draft->faults, node->line, "delivery %s: %s",
		    node->item[0].text, e.text);
	d->name = mem_strdup(node->item[0].text);
	conf_table_read(conf_table_find("delivery"), node, d, draft->faults);
}

static void
read_peer(struct conf_draft *draft, const struct conf_node *node)
{
	struct conf *conf = draft->conf;
	size_t i = conf->npeers;
	struct conf_peer *peer = GROW(conf->peer, conf->npeers);
	struct err e = ERR_INIT;

	draft->peer[i] = node;
	peer->line = node->line;
	if (conf_value_name(NULL, node->item[0].text, NULL, &e) < 0)
		conf_fault(draft->faults, node->line, "peer %s: %s",
		    node->item[0].text, e.text);
	peer->name = mem_strdup(node->item[0].text);
	conf_table_read(conf_table_find("peer"), node, peer, draft->faults);
	conf_lanes_read(draft, peer, node);
}

static void
read_link(struct conf_draft *draft, const struct conf_node *node)
{
	struct conf *conf = draft->conf;
	struct conf_link *link = GROW(conf->link, conf->nlinks);

	link->line = node->line;
	link->a = mem_strdup(node->item[0].text);
	link->b = mem_strdup(node->item[1].text);
	conf_table_read(conf_table_find("link"), node, link, draft->faults);
}

static void
read_via(struct conf_draft *draft, const struct conf_node *node)
{
	struct conf *conf = draft->conf;
	struct conf_via *via = GROW(conf->via_site, conf->nvias);
	struct err e = ERR_INIT;

	via->line = node->line;
	if (conf_value_name(NULL, node->item[0].text, NULL, &e) < 0)
		conf_fault(draft->faults, node->line, "via %s: %s",
		    node->item[0].text, e.text);
	via->site = mem_strdup(node->item[0].text);
	conf_table_read(conf_table_find("via"), node, via, draft->faults);
}

static void
read_routes(struct conf_draft *draft, const struct conf_node *node)
{
	struct conf *conf = draft->conf;
	size_t i;

	conf->route = mem_realloc(conf->route, conf->nroutes + node->nchildren +
	    1, sizeof(*conf->route));
	for (i = 0; i < node->nchildren; i++) {
		const struct conf_node *rule = &node->child[i];
		struct conf_route *route = &conf->route[conf->nroutes];

		if (rule->kind != CONF_SCALAR) {
			conf_fault(draft->faults, rule->line, "%s: a route is "
			    "written PATTERN = SITE", rule->key);
			continue;
		}
		route->pattern = mem_strdup(rule->key);
		route->site = mem_strdup(rule->item[0].text);
		route->line = rule->line;
		conf->nroutes++;
	}
}

static const struct {
	const char *section;
	void (*read)(struct conf_draft *draft, const struct conf_node *node);
} readers[] = {
	{ "site", read_site },
	{ "listen", read_listener },
	{ "delivery", read_delivery },
	{ "peer", read_peer },
	{ "link", read_link },
	{ "via", read_via },
	{ "routes", read_routes },
};

static void
read_section(struct conf_draft *draft, const struct conf_node *node)
{
	const struct conf_table *table = conf_table_find(node->key);
	static const char *const titles[] = { "no title", "one title",
		"two titles" };
	size_t i;

	if (table == NULL || table->inside != NULL) {
		conf_fault(draft->faults, node->line, "unknown %s %s: there "
		    "are site, listen, delivery, peer, link, via and routes",
		    node->kind == CONF_SECTION ? "section" : "setting",
		    node->key);
		return;
	}
	if (node->kind != CONF_SECTION) {
		conf_fault(draft->faults, node->line, "%s is a section: write "
		    "%s { ... }", node->key, node->key);
		return;
	}
	if (node->nitems != table->ntitles) {
		conf_fault(draft->faults, node->line, "section %s takes %s, "
		    "not %zu", node->key, titles[table->ntitles],
		    node->nitems);
		return;
	}
	for (i = 0; i < sizeof(readers) / sizeof(readers[0]); i++)
		if (strcmp(readers[i].section, node->key) == 0)
			readers[i].read(draft, node);
}

static void
read_all(struct conf_draft *draft, const struct conf_node *root)
{
	struct conf *conf = draft->conf;
	size_t i;

	for (i = 0; i < root->nchildren; i++)
		read_section(draft, &root->child[i]);
	if (conf->nlisteners == 0) {
		struct conf_listener *l;

		l = GROW(conf->listener, conf->nlisteners);
		l->address = mem_strdup(LISTEN_DEFAULT);
		l->mode = 0660;
	}
	if (draft->site == NULL) {
		conf_fault(draft->faults, 1, "there is no section site");
		return;
	}
	conf_complete(draft);
	conf_check(draft);
}

static void
read_file(struct conf *conf, struct slice text, struct conf_faults *faults)
{
	struct conf_draft draft = { .conf = conf, .faults = faults };
	struct conf_node root;

	conf_parse(text, faults, &root);
	/* One more than sections: the default listener. */
	draft.listener = mem_alloc(root.nchildren + 1, sizeof(root.child));
	draft.delivery = mem_alloc(root.nchildren + 1, sizeof(root.child));
	draft.peer = mem_alloc(root.nchildren + 1, sizeof(root.child));
	read_all(&draft, &root);
	free(draft.listener);
	free(draft.delivery);
	free(draft.peer);
	conf_node_release(&root);
}

int
conf_load(const char *path, void (*told)(void *ctx, const char *text),
    void *ctx, struct conf **conf_out, struct err *e)
{
	struct conf_faults faults = { told, ctx, path, 0, NULL };
	struct buf text = BUF_INIT;
	struct conf *conf;
	struct err why = ERR_INIT;

	*conf_out = NULL;
	if (file_read(path, CONF_FILE_MAX, &text, &why) < 0) {
		if (told != NULL)
			told(ctx, why.text);
		buf_release(&text);
		return err_set(e, ERR_CONFIG, "%s", why.text);
	}
	conf = mem_alloc(1, sizeof(*conf));
	conf->file = mem_strdup(path);
	read_file(conf, buf_slice(&text), &faults);
	buf_release(&text);
	if (faults.count == 0) {
		*conf_out = conf;
		return 0;
	}
	conf_free(conf);
	if (faults.count == 1)
		(void)err_set(e, ERR_CONFIG, "%s", faults.first);
	else
		(void)err_set(e, ERR_CONFIG, "%s (and %zu more)",
		    faults.first, faults.count - 1);
	conf_faults_release(&faults);
	return ERR_CONFIG;
}

static void
free_parts(struct conf *conf)
{
	size_t i;

	for (i = 0; i < conf->nlisteners; i++) {
		free(conf->listener[i].address);
		free(conf->listener[i].allow);
	}
	for (i = 0; i < conf->ndeliveries; i++) {
		free(conf->delivery[i].name);
		free(conf->delivery[i].target);
		free(conf->delivery[i].tls.fingerprint);
		conf_table_release(conf_table_find("delivery"),
		    &conf->delivery[i]);
	}
	for (i = 0; i < conf->npeers; i++) {
		free(conf->peer[i].name);
		free(conf->peer[i].receive_hosts);
		conf_lanes_release(&conf->peer[i]);
		schedule_free(conf->peer[i].call);
		secret_wipe(conf->peer[i].psk, sizeof(conf->peer[i].psk));
		conf_table_release(conf_table_find("peer"), &conf->peer[i]);
	}
	for (i = 0; i < conf->nvias; i++) {
		free(conf->via_site[i].site);
		conf_table_release(conf_table_find("via"),
		    &conf->via_site[i]);
	}
	for (i = 0; i < conf->nlinks; i++) {
		free(conf->link[i].a);
		free(conf->link[i].b);
	}
	for (i = 0; i < conf->nroutes; i++) {
		free(conf->route[i].pattern);
		free(conf->route[i].site);
	}
}

void
conf_free(struct conf *conf)
{
	if (conf == NULL)
		return;
	free_parts(conf);
	free(conf->listener);
	free(conf->delivery);
	free(conf->peer);
	free(conf->via_site);
	free(conf->link);
	free(conf->route);
	conf_table_release(conf_table_find("site"), conf);
	routing_free(conf->routing);
	notice_text_free(conf->notice_text);
	free(conf->log_file);
	free(conf->site);
	free(conf->file);
	free(conf);
}

const struct conf_strings *
conf_find_via(const struct conf *conf, const char *site)
{
	size_t i;

	for (i = 0; i < conf->nvias; i++) {
		if (strcmp(conf->via_site[i].site, site) == 0)
			return &conf->via_site[i].relays;
	}
	return NULL;
}

const struct conf_peer *
conf_find_peer(const struct conf *conf, const char *name)
{
	size_t i;

	for (i = 0; i < conf->npeers; i++)
		if (strcmp(conf->peer[i].name, name) == 0)
			return &conf->peer[i];
	return NULL;
}

bool
conf_peer_by_mail(const struct conf_peer *peer)
{
	size_t i;

	for (i = 0; i < peer->nlanes; i++)
		if (peer->lane[i].program != NULL &&
		    strcmp(peer->lane[i].program, "mail") == 0)
			return true;
	return false;
}

static bool
same_text(const char *a, const char *b)
{
	if (a == NULL || b == NULL)
		return a == b;
	return strcmp(a, b) == 0;
}

/* The sockets; who may use them can change at any time. */
static bool
same_listeners(const struct conf *a, const struct conf *b)
{
	size_t i;

	if (a->nlisteners != b->nlisteners)
		return false;
	for (i = 0; i < a->nlisteners; i++)
		if (!same_text(a->listener[i].address,
		    b->listener[i].address) ||
		    a->listener[i].mode != b->listener[i].mode)
			return false;
	return true;
}

static void
differs(struct buf *out, bool same, const char *what)
{
	if (!same)
		buf_addf(out, "%s%s", out->len > 0 ? ", " : "", what);
}

bool
conf_needs_restart(const struct conf *old, const struct conf *new_,
    struct buf *out)
{
	struct buf words = BUF_INIT;
	bool any;

	differs(&words, same_text(old->site, new_->site), "site");
	differs(&words, same_text(old->spool_dir, new_->spool_dir), "spool");
	differs(&words, same_text(old->keys_dir, new_->keys_dir), "keys");
	differs(&words, same_text(old->run_dir, new_->run_dir), "run");
	differs(&words, same_text(old->control, new_->control), "control");
	differs(&words, same_listeners(old, new_), "listen");
	differs(&words, same_text(old->user, new_->user), "user");
	differs(&words, same_text(old->group, new_->group), "group");
	differs(&words, old->cache_bytes == new_->cache_bytes, "cache");
	differs(&words, old->log == new_->log &&
	    same_text(old->log_file, new_->log_file), "log");
	any = words.len > 0;
	buf_addslice(out, buf_slice(&words));
	buf_release(&words);
	return any;
}
