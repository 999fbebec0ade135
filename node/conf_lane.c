/* SPDX-License-Identifier: ISC */
/*
 * The transports of peers.  What the section of the peer says of calls, pauses
 * and parcels holds for each of its transports that does not say otherwise.
 */
#include "node/conf_lane.h"

#include "base/mem.h"
#include "node/conf_table.h"
#include "node/conf_transports.h"
#include "node/conf_value.h"
#include "transports/settings.h"

#include <stdlib.h>

static bool
is_section(const struct conf_node *node)
{
	return node->kind == CONF_SECTION &&
	    strcmp(node->key, CONF_LANE_SECTION) == 0;
}

/* The section that a transport of a peer is described in. */
static const struct conf_node *
lane_node(const struct conf_node *peer, size_t n)
{
	size_t i;

	for (i = 0; i < peer->nchildren; i++)
		if (is_section(&peer->child[i]) && n-- == 0)
			return &peer->child[i];
	return peer;
}

const struct conf_lane *
conf_find_lane(const struct conf_peer *peer, const char *name)
{
	size_t i;

	for (i = 0; i < peer->nlanes; i++)
		if (strcmp(peer->lane[i].name, name) == 0)
			return &peer->lane[i];
	return NULL;
}

/*
 * Reading.
 */
static void
read_lane(struct conf_draft *draft, struct conf_peer *peer,
    const struct conf_node *node)
{
	const char *name = node->nitems > 0 ? node->item[0].text : "";
	struct conf_lane *lane = &peer->lane[peer->nlanes++];
	struct err e = ERR_INIT;
	size_t i;

	memset(lane, 0, sizeof(*lane));
	lane->line = node->line;
	lane->name = mem_strdup(name);
	conf_table_read(conf_table_find(CONF_LANE_SECTION), node, lane,
	    draft->faults);
	if (node->nitems != 1)
		conf_fault(draft->faults, node->line, "section transport "
		    "takes one title, not %zu", node->nitems);
	else if (conf_value_name(NULL, name, NULL, &e) < 0)
		conf_fault(draft->faults, node->line, "transport %s: %s",
		    name, e.text);
	for (i = 0; i + 1 < peer->nlanes; i++)
		if (strcmp(peer->lane[i].name, name) == 0)
			conf_fault(draft->faults, node->line, "there are two "
			    "transports %s, the first in line %u", name,
			    peer->lane[i].line);
}

/* What belongs into the section of one of several transports. */
static void
check_misplaced(struct conf_draft *draft, const struct conf_node *node)
{
	static const char *const keys[] = { "transport", "set", "stays" };
	size_t i, k;

	for (i = 0; i < node->nchildren; i++) {
		const struct conf_node *child = &node->child[i];

		for (k = 0; k < sizeof(keys) / sizeof(keys[0]); k++)
			if (child->kind != CONF_SECTION &&
			    strcmp(child->key, keys[k]) == 0)
				conf_fault(draft->faults, child->line, "%s "
				    "beside sections transport: each of them "
				    "has its own", child->key);
	}
}

void
conf_lanes_read(struct conf_draft *draft, struct conf_peer *peer,
    const struct conf_node *node)
{
	size_t i, n = 0;

	for (i = 0; i < node->nchildren; i++)
		n += is_section(&node->child[i]);
	if (n == 0)
		return;
	if (n > CONF_LANES_MAX)
		conf_fault(draft->faults, node->line, "a peer has at most %d "
		    "transports, not %zu", CONF_LANES_MAX, n);
	peer->lane = mem_alloc(n, sizeof(*peer->lane));
	for (i = 0; i < node->nchildren; i++)
		if (is_section(&node->child[i]))
			read_lane(draft, peer, &node->child[i]);
	check_misplaced(draft, node);
}

/*
 * Completing.
 */

/* The one transport of a peer whose section has no other in it. */
static void
make_only(struct conf_peer *peer)
{
	struct conf_lane *lane = mem_alloc(1, sizeof(*lane));

	lane->name = mem_strdup("");
	lane->line = peer->line;
	lane->program = peer->transport;
	lane->set = peer->set;
	lane->stays = peer->stays;
	lane->priority_min = CONF_PRIORITY_MIN;
	lane->priority_max = CONF_PRIORITY_MAX;
	peer->transport = NULL;
	memset(&peer->set, 0, sizeof(peer->set));
	peer->lane = lane;
	peer->nlanes = 1;
}

static bool
stays_by_itself(const struct conf_lane *lane)
{
	const struct conf_transport *t = conf_transport_find(lane->program);
	size_t i, len = t != NULL && t->waits != NULL ? strlen(t->waits) : 0;

	for (i = 0; len > 0 && i < lane->set.n; i++)
		if (strncmp(lane->set.item[i], t->waits, len) == 0)
			return true;
	return t != NULL && t->stays;
}

/* The largest that any of them takes is the largest that there is: who takes
 * that takes whatever comes. */
static void
complete_sizes(struct conf_peer *peer)
{
	uint64_t most = 0;
	size_t i;

	for (i = 0; i < peer->nlanes; i++) {
		if (peer->lane[i].size_max == 0)
			return;
		if (peer->lane[i].size_max > most)
			most = peer->lane[i].size_max;
	}
	if (peer->max_message == 0 || peer->max_message > most)
		peer->max_message = most;
	for (i = 0; i < peer->nlanes; i++)
		if (peer->lane[i].size_max == most)
			peer->lane[i].size_max = 0;
}

void
conf_lanes_complete(struct conf_peer *peer, const struct conf_node *node)
{
	size_t i;

	if (peer->call == NULL)
		peer->call = schedule_new();
	if (peer->nlanes == 0)
		make_only(peer);
	complete_sizes(peer);
	for (i = 0; i < peer->nlanes; i++) {
		struct conf_lane *lane = &peer->lane[i];

		if (conf_node_find(lane_node(node, i), "stays") == NULL)
			lane->stays = stays_by_itself(lane);
		lane->call = lane->own_call != NULL ? lane->own_call :
		    peer->call;
		if (lane->retry_min_secs == 0)
			lane->retry_min_secs = peer->retry_min_secs;
		if (lane->retry_max_secs == 0)
			lane->retry_max_secs = peer->retry_max_secs;
		if (lane->parcel_octets == 0)
			lane->parcel_octets = peer->parcel_octets;
	}
}

/*
 * Checking.
 */
static bool
has_setting(const struct conf_strings *set, const char *key)
{
	size_t i, len = strlen(key);

	for (i = 0; i < set->n; i++)
		if (strncmp(set->item[i], key, len) == 0 &&
		    set->item[i][len] == '=')
			return true;
	return false;
}

static void
check_settings(struct conf_draft *draft, const struct conf_lane *lane,
    const struct conf_node *node)
{
	size_t i, j;

	for (i = 0; i < lane->set.n; i++) {
		size_t len = strcspn(lane->set.item[i], "=");

		for (j = 0; j < i; j++)
			if (strncmp(lane->set.item[j], lane->set.item[i],
			    len + 1) == 0)
				conf_fault(draft->faults,
				    conf_item_line(node, "set", i),
				    "set: %.*s is set twice", (int)len,
				    lane->set.item[i]);
	}
}

/* One of them is missing, and so the transport can do nothing. */
static bool
lacks(const struct conf_strings *set, const struct conf_transport *t,
    struct buf *keys_out)
{
	size_t i;

	for (i = 0; t->needs[i] != NULL; i++) {
		if (has_setting(set, t->needs[i]))
			return false;
		if (keys_out != NULL)
			buf_addf(keys_out, "%s%s=", i > 0 ? " or " : "",
			    t->needs[i]);
	}
	return i > 0;
}

/* What the table of transports knows of this one. */
static void
check_program(struct conf_draft *draft, const struct conf_peer *peer,
    const struct conf_lane *lane, const struct conf_node *node)
{
	const struct conf_transport *t = conf_transport_find(lane->program);
	bool only = lane->name[0] == '\0';
	struct buf keys = BUF_INIT;

	if (t == NULL)
		return;
	if (lacks(&lane->set, t, &keys))
		conf_warning(draft->faults, conf_line_of(node, only ?
		    "transport" : "program"), "peer %s: the transport %s has "
		    "no %s in set", peer->name, t->name, buf_cstr(&keys));
	buf_release(&keys);
	if (!conf_transport_carries(t, peer->dialect))
		conf_fault(draft->faults, conf_line_of(node, only ?
		    "dialect" : "program"),
		    "the transport %s does not carry this dialect: "
		    "postrider-%s(8) says which it does", t->name, t->name);
}

/* The line of the setting that the text begins with, or of all. */
static unsigned
line_of_setting(const struct conf_strings *set, const struct conf_node *node,
    const char *text)
{
	static const char unknown[] = "unknown setting ";
	size_t len;

	if (strncmp(text, unknown, strlen(unknown)) == 0)
		text += strlen(unknown);
	len = strcspn(text, "=:, ");
	for (size_t i = 0; i < set->n; i++)
		if (strcspn(set->item[i], "=") == len &&
		    strncmp(set->item[i], text, len) == 0)
			return conf_item_line(node, "set", i);
	return conf_line_of(node, len == 4 && strncmp(text, "stay", 4) == 0 ?
	    "stays" : "set");
}

/* As node/launch.c has it begin. */
static int
would_take(const struct conf_peer *peer, const struct conf_lane *lane,
    const struct conf_transport *t, struct err *e)
{
	char stay[] = "stay=yes", **set;
	size_t n = lane->set.n;
	int rc;

	set = mem_alloc(n + 1, sizeof(*set));
	for (size_t i = 0; i < n; i++)
		set[i] = lane->set.item[i];
	if (lane->stays && !has_setting(&lane->set, "stay"))
		set[n++] = stay;
	rc = settings_check(t->name, peer->name, set, n, e);
	free(set);
	return rc;
}

/* What one of our transports makes of its settings; that it has none at all
 * has been told of. */
static void
check_taken(struct conf_draft *draft, const struct conf_peer *peer,
    const struct conf_lane *lane, const struct conf_node *node)
{
	const struct conf_transport *t = conf_transport_find(lane->program);
	struct err e = ERR_INIT;

	if (t == NULL || lacks(&lane->set, t, NULL))
		return;
	for (size_t i = 0; i < lane->set.n; i++)
		if (strcspn(lane->set.item[i], "=") == 0 ||
		    strchr(lane->set.item[i], '=') == NULL)
			return;		/* which has been told of */
	if (would_take(peer, lane, t, &e) < 0)
		conf_fault(draft->faults, line_of_setting(&lane->set, node,
		    e.text), "peer %s: transport %s: %s", peer->name,
		    t->name, e.text);
}

/* The server, as far as it is an address in numbers. */
static void
check_mail(struct conf_draft *draft, const struct conf_lane *lane,
    const struct conf_node *node)
{
	size_t i;

	if (lane->program == NULL || strcmp(lane->program, "mail") != 0)
		return;
	for (i = 0; i < lane->set.n; i++)
		if (strncmp(lane->set.item[i], "server=", 7) == 0)
			conf_check_not_ours(draft, lane->set.item[i] + 7,
			    conf_item_line(node, "set", i));
}

/* A provider knows its users alone, and takes mail from and for no others. */
static void
check_mail_address(struct conf_draft *draft, const struct conf_peer *peer,
    const struct conf_lane *lane, const struct conf_node *node)
{
	const struct conf_strings *set = &lane->set;

	if (lane->program == NULL || strcmp(lane->program, "mail") != 0 ||
	    (!has_setting(set, "submit") && !has_setting(set, "fetch")))
		return;
	if (!has_setting(set, "to") && conf_node_find(node, "address") == NULL)
		conf_warning(draft->faults, node->line, "peer %s: no address "
		    "is set, and <%s> is taken for its mailbox", peer->name,
		    peer->address);
	if (!has_setting(set, "from") && draft->site != NULL &&
	    conf_node_find(draft->site, "address") == NULL)
		conf_warning(draft->faults, node->line, "peer %s: the section "
		    "site sets no address, and <%s> is taken for our mailbox",
		    peer->name, draft->conf->address);
}

static void
check_lane(struct conf_draft *draft, const struct conf_peer *peer,
    const struct conf_lane *lane, const struct conf_node *node)
{
	check_settings(draft, lane, node);
	check_program(draft, peer, lane, node);
	check_taken(draft, peer, lane, node);
	check_mail(draft, lane, node);
	if (lane->retry_min_secs > lane->retry_max_secs)
		conf_fault(draft->faults, conf_line_of(node, "retry-max"),
		    "retry-max is less than retry-min");
	if (lane->priority_min > lane->priority_max)
		conf_fault(draft->faults, conf_line_of(node, "priority-max"),
		    "priority-max is less than priority-min");
	if (conf_node_find(node, "parcel-size") != NULL &&
	    peer->dialect != BUNDLE_NATIVE)
		conf_warning(draft->faults, conf_line_of(node, "parcel-size"),
		    "parcel-size is for dialect = native: it changes nothing "
		    "here");
}

/* Whatever comes must have a transport that takes it. */
static void
check_cover(struct conf_draft *draft, const struct conf_peer *peer)
{
	int priority;
	size_t i;

	for (priority = CONF_PRIORITY_MIN; priority <= CONF_PRIORITY_MAX;
	    priority++) {
		for (i = 0; i < peer->nlanes; i++)
			if (peer->lane[i].size_max == 0 &&
			    priority >= peer->lane[i].priority_min &&
			    priority <= peer->lane[i].priority_max)
				break;
		if (i < peer->nlanes)
			continue;
		conf_fault(draft->faults, peer->line, "peer %s: no transport "
		    "takes mail of priority %d, of any size: it would wait "
		    "for ever", peer->name, priority);
		return;
	}
}

void
conf_lanes_check(struct conf_draft *draft, size_t n)
{
	const struct conf_peer *peer = &draft->conf->peer[n];
	size_t i;

	for (i = 0; i < peer->nlanes; i++) {
		check_lane(draft, peer, &peer->lane[i],
		    lane_node(draft->peer[n], i));
		check_mail_address(draft, peer, &peer->lane[i],
		    draft->peer[n]);
	}
	check_cover(draft, peer);
}

void
conf_lanes_release(struct conf_peer *peer)
{
	size_t i;

	for (i = 0; i < peer->nlanes; i++) {
		free(peer->lane[i].name);
		schedule_free(peer->lane[i].own_call);
		conf_table_release(conf_table_find(CONF_LANE_SECTION),
		    &peer->lane[i]);
	}
	free(peer->lane);
}

char *
conf_in_dir(const struct conf *conf, const char *peer, const char *lane)
{
	return mem_printf("%s/peers/%s/in%s%s", conf->spool_dir, peer,
	    lane[0] != '\0' ? "." : "", lane);
}

char *
conf_mailed_dir(const struct conf *conf, const char *peer)
{
	return mem_printf("%s/peers/%s/" CONF_MAILED, conf->spool_dir, peer);
}
