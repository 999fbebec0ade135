/* SPDX-License-Identifier: ISC */
/*
 * Checks across keys.  Each fault stands at the line where it is best mended;
 * all run whatever the others found.
 */
#include "node/conf_check.h"

#include "base/file.h"
#include "base/mem.h"
#include "bundle/seal.h"
#include "node/chain.h"
#include "node/conf_lane.h"
#include "node/conf_net.h"
#include "node/keys.h"
#include "smtp/address.h"
#include "smtp/extension.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TEMPLATE_MAX (1U << 20)

unsigned
conf_line_of(const struct conf_node *section, const char *key)
{
	const struct conf_node *node = conf_node_find(section, key);

	return node != NULL ? node->line : section->line;
}

unsigned
conf_item_line(const struct conf_node *section, const char *key, size_t i)
{
	const struct conf_node *node = conf_node_find(section, key);

	if (node == NULL || i >= node->nitems)
		return section->line;
	return node->item[i].line;
}

static void
complete_site(struct conf *conf)
{
	const struct conf_delivery *first = conf->delivery;
	bool local = conf->ndeliveries > 0 && first->domains.n > 0;

	/* A name that notices can come from and be answered to. */
	if (conf->hostname == NULL)
		conf->hostname = mem_strdup(local &&
		    strchr(conf->site, '.') == NULL ? first->domains.item[0] :
		    conf->site);
	if (conf->control == NULL && conf->run_dir != NULL)
		conf->control = path_join(conf->run_dir, "control");
	if (conf->address == NULL)
		conf->address = mem_printf("bundle@%s",
		    local ? first->domains.item[0] : conf->hostname);
}

/* Native bundles are compressed together unless told otherwise. */
static void
complete_compress(struct conf_peer *peer, bool given)
{
	if (peer->dialect == BUNDLE_NATIVE && !given)
		peer->compress = CONF_COMPRESS_TOGETHER;
	peer->gzip = peer->compress == CONF_COMPRESS_GZIP;
	peer->squeeze = peer->compress == CONF_COMPRESS_TOGETHER ?
	    SQUEEZE_TOGETHER : peer->compress == CONF_COMPRESS_EACH ?
	    SQUEEZE_EACH : SQUEEZE_NONE;
}

static void
complete_listener(const struct conf *conf, struct conf_listener *l,
    const struct conf_node *node)
{
	static const char *const usual[] = { "127.0.0.0/8", "::1", "unix" };
	size_t i;

	if (conf->tls_certificate != NULL &&
	    (node == NULL || conf_node_find(node, "tls") == NULL))
		l->tls = CONF_TLS_MAY;
	if (l->nallow > 0)
		return;
	l->allow = mem_alloc(3, sizeof(*l->allow));
	for (i = 0; i < 3; i++)
		if (conf_net_parse(usual[i], &l->allow[i], NULL) == 0)
			l->nallow++;
}

/* The first domain that is routed to the peer itself. */
static char *
peer_address(const struct conf *conf, const char *peer)
{
	size_t i;

	for (i = 0; i < conf->nroutes; i++)
		if (strcmp(conf->route[i].site, peer) == 0 &&
		    strchr("@.*", conf->route[i].pattern[0]) == NULL &&
		    strchr(conf->route[i].pattern, '@') == NULL)
			return mem_printf("bundle@%s", conf->route[i].pattern);
	return mem_printf("bundle@%s", peer);
}

static bool
is_server(const struct conf_delivery *d)
{
	return d->kind == CONF_DELIVERY_SMTP || d->kind == CONF_DELIVERY_LMTP;
}

void
conf_complete(struct conf_draft *draft)
{
	struct conf *conf = draft->conf;
	size_t i;

	if (conf->site != NULL)
		complete_site(conf);
	if (conf->backup_dir == NULL)
		conf->backup_every_secs = 0;
	for (i = 0; i < conf->nlisteners; i++)
		complete_listener(conf, &conf->listener[i],
		    draft->listener[i]);
	for (i = 0; i < conf->ndeliveries; i++)
		if (is_server(&conf->delivery[i])) {
			conf->delivery[i].crlf = true;
			conf->delivery[i].envelope_headers = false;
		}
	keys_complete(conf);
	for (i = 0; i < conf->npeers; i++) {
		struct conf_peer *peer = &conf->peer[i];

		complete_compress(peer, conf_node_find(draft->peer[i],
		    "compress") != NULL);
		conf_lanes_complete(peer, draft->peer[i]);
		if (peer->address == NULL)
			peer->address = peer_address(conf, peer->name);
	}
}

static void
check_site(struct conf_draft *draft)
{
	const struct conf *conf = draft->conf;
	struct err e = ERR_INIT;

	if (conf->retry_min_secs > conf->retry_max_secs)
		conf_fault(draft->faults,
		    conf_line_of(draft->site, "retry-max"),
		    "retry-max is less than retry-min");
	if (conf->control != NULL &&
	    conf_node_find(draft->site, "control") == NULL &&
	    conf_socket_path_check(conf->control, &e) < 0)
		conf_fault(draft->faults, conf_line_of(draft->site, "run"),
		    "the control socket: %s: set control or a shorter run",
		    e.text);
	if (conf->tls_key != NULL && conf->tls_certificate == NULL)
		conf_fault(draft->faults, conf_line_of(draft->site, "tls-key"),
		    "tls-key without tls-certificate");
	if (conf->backup_dir == NULL &&
	    conf_node_find(draft->site, "backup-every") != NULL)
		conf_fault(draft->faults,
		    conf_line_of(draft->site, "backup-every"),
		    "backup-every without backup-dir");
	if (address_check_domain(slice_of(conf->hostname), true, NULL) < 0 &&
	    conf_node_find(draft->site, "hostname") == NULL)
		conf_fault(draft->faults, draft->site->line, "%s is no "
		    "hostname: set hostname", conf->hostname);
}

static void
check_keys(struct conf_draft *draft)
{
	struct keyring_policy policy = keys_policy(draft->conf);
	struct err e = ERR_INIT;

	if (keyring_policy_check(&policy, &e) != 0)
		conf_fault(draft->faults, conf_line_of(draft->site, "key-life"),
		    "key-life: %s", e.text);
	if (draft->conf->reach.n > CARD_REACHES_MAX)
		conf_fault(draft->faults, conf_line_of(draft->site, "reach"),
		    "reach has at most %d items", CARD_REACHES_MAX);
}

/* The texts are kept from now on: the file may change, or go. */
static void
check_template(struct conf_draft *draft)
{
	struct conf *conf = draft->conf;
	struct buf text = BUF_INIT;
	struct err e = ERR_INIT;

	if (conf->notice_template == NULL || conf->notice_template[0] != '/')
		return;
	if (file_read(conf->notice_template, TEMPLATE_MAX, &text, &e) < 0 ||
	    notice_text_parse(buf_slice(&text), &conf->notice_text, &e) < 0)
		conf_fault(draft->faults, conf_line_of(draft->site,
		    "notice-template"), "notice-template %s: %s",
		    conf->notice_template, e.text);
	buf_release(&text);
}

void
conf_check_not_ours(struct conf_draft *draft, const char *target,
    unsigned line)
{
	const struct conf *conf = draft->conf;
	struct conf_endpoint to, at;
	size_t i;

	if (target == NULL || conf_endpoint_parse(target, &to, NULL) < 0)
		return;
	for (i = 0; i < conf->nlisteners; i++) {
		if (conf_endpoint_parse(conf->listener[i].address, &at,
		    NULL) < 0 || !conf_endpoint_reaches(&to, &at))
			continue;
		conf_fault(draft->faults, line, "%s is this node's own "
		    "listener %s: the mail would go round in a circle", target,
		    conf->listener[i].address);
		return;
	}
}

static void
check_listeners(struct conf_draft *draft)
{
	const struct conf *conf = draft->conf;
	size_t i, j;

	for (i = 0; i < conf->nlisteners; i++) {
		const struct conf_listener *l = &conf->listener[i];

		for (j = 0; j < i; j++)
			if (strcmp(conf->listener[j].address, l->address) == 0)
				conf_fault(draft->faults, l->line, "there are "
				    "two listeners %s, the first in line %u",
				    l->address, conf->listener[j].line);
		if (draft->listener[i] != NULL && conf->tls_certificate ==
		    NULL && (l->tls != CONF_TLS_NO || l->asks_certificate))
			conf_fault(draft->faults, l->line, "TLS needs a "
			    "certificate: set tls-certificate in section "
			    "site");
		else if (l->asks_certificate && l->tls == CONF_TLS_NO)
			conf_fault(draft->faults, l->line, "allow names a "
			    "certificate, and tls = no: nobody could show it");
		if (l->lmtp && strlen(l->address) > 3 && strcmp(l->address +
		    strlen(l->address) - 3, ":25") == 0)
			conf_fault(draft->faults, l->line, "LMTP is not spoken "
			    "on port 25 (RFC 2033 5): choose another");
		if (strncmp(l->address, "unix:", 5) != 0 &&
		    draft->listener[i] != NULL &&
		    conf_node_find(draft->listener[i], "mode") != NULL)
			conf_warning(draft->faults,
			    conf_line_of(draft->listener[i], "mode"),
			    "mode is for UNIX sockets: it changes nothing "
			    "here");
	}
}

static void
check_tls(struct conf_draft *draft, const struct conf_delivery *d,
    const struct conf_node *node)
{
	const struct conf_tls *tls = &d->tls;
	bool local = d->target[0] == '/' ||
	    strncmp(d->target, "unix:", 5) == 0;

	if ((tls->mode == CONF_TLS_FINGERPRINT) != (tls->nfingerprints > 0))
		conf_fault(draft->faults, conf_line_of(node, "tls"),
		    "tls = fingerprint and tls-fingerprint belong together");
	if (tls->mode == CONF_TLS_NAME && tls->name == NULL && local)
		conf_fault(draft->faults, conf_line_of(node, "tls"),
		    "a UNIX socket has no name that a certificate could "
		    "have: set tls-name");
	if (tls->ca != NULL && tls->mode != CONF_TLS_CA &&
	    tls->mode != CONF_TLS_NAME)
		conf_warning(draft->faults, conf_line_of(node, "tls-ca"),
		    "tls-ca is for tls = ca and name: it changes nothing "
		    "here");
}

/* Keys that are for another kind of delivery. */
static void
warn_idle(struct conf_draft *draft, const struct conf_node *node,
    const char *const *keys, bool used, const char *whose)
{
	for (; *keys != NULL && !used; keys++)
		if (conf_node_find(node, *keys) != NULL)
			conf_warning(draft->faults, conf_line_of(node, *keys),
			    "%s is for %s: it changes nothing here", *keys,
			    whose);
}

static void
check_delivery(struct conf_draft *draft, size_t n)
{
	static const char *const of_files[] = { "eol", "envelope-headers",
		NULL };
	static const char *const of_commands[] = { "final", "null-sender",
		"deadline", NULL };
	static const char *const of_servers[] = { "convert", NULL };
	const struct conf_delivery *d = &draft->conf->delivery[n];
	const struct conf_node *node = draft->delivery[n];
	size_t i;

	for (i = 0; i < n; i++)
		if (strcmp(draft->conf->delivery[i].name, d->name) == 0)
			conf_fault(draft->faults, d->line, "there are two "
			    "deliveries %s, the first in line %u", d->name,
			    draft->conf->delivery[i].line);
	warn_idle(draft, node, of_commands, d->kind == CONF_DELIVERY_COMMAND,
	    "commands");
	warn_idle(draft, node, of_servers, is_server(d), "servers");
	if (!is_server(d) || d->target == NULL)
		return;
	conf_check_not_ours(draft, d->target, conf_line_of(node, "to"));
	check_tls(draft, d, node);
	warn_idle(draft, node, of_files, false, "Maildirs and commands");
}

#define SIGNED_MAX (4 << 20)	/* who reads one holds all of it */

/* Sizes that no sealed object has cannot be kept. */
static void
check_parcels(struct conf_draft *draft, size_t n)
{
	static const char *const keys[] = { "parcel-size", "shape", "seal",
		"forward-signed", "held-bundles", "held-size", "psk-file",
		NULL };
	const struct conf_peer *peer = &draft->conf->peer[n];
	const struct conf_node *node = draft->peer[n];
	struct seal_to to = { .kind = SEAL_PARCEL, .sign = peer->sign,
	    .origin = draft->conf->site, .destination = peer->name };

	warn_idle(draft, node, keys, peer->dialect == BUNDLE_NATIVE,
	    "dialect = native");
	if (peer->dialect == BUNDLE_NATIVE &&
	    peer->compress == CONF_COMPRESS_GZIP)
		conf_fault(draft->faults, conf_line_of(node, "compress"),
		    "dialect = native takes compress = together, each or "
		    "none");
	if (peer->dialect != BUNDLE_NATIVE &&
	    peer->compress > CONF_COMPRESS_GZIP)
		conf_fault(draft->faults, conf_line_of(node, "compress"),
		    "compress = together and each are for dialect = native");
	if (peer->shape.kind == SHAPE_EXACT && draft->conf->site != NULL &&
	    !seal_size_possible(&to, peer->shape.octets))
		conf_fault(draft->faults, conf_line_of(node, "shape"),
		    "no parcel has exactly %llu octets: take some more",
		    (unsigned long long)peer->shape.octets);
	if (peer->sign && (peer->shape.kind == SHAPE_EXACT ?
	    peer->shape.octets : peer->parcel_octets) > SIGNED_MAX)
		conf_fault(draft->faults, conf_line_of(node, "seal"),
		    "a signed parcel has at most 4 MiB");
	if (peer->forward_signed && !peer->sign)
		conf_warning(draft->faults,
		    conf_line_of(node, "forward-signed"),
		    "forward-signed is for seal = sign: it changes nothing "
		    "here");
}

/* `encoding` is what is written, `path` what it is chosen by. */
static void
check_encoding(struct conf_draft *draft, struct conf_peer *peer,
    const struct conf_node *node)
{
	static const char *const both[] = { "encoding", "path", NULL };
	static const char *const path[] = { "path", NULL };
	static const char *const convert[] = { "convert", NULL };

	warn_idle(draft, node, convert, peer->dialect != BUNDLE_NATIVE,
	    "dialect = bsmtp and rfc2442");
	warn_idle(draft, node, both, peer->dialect == BUNDLE_RFC2442,
	    "dialect = rfc2442");
	if (peer->dialect != BUNDLE_RFC2442)
		return;
	if (conf_node_find(node, "encoding") != NULL) {
		warn_idle(draft, node, path, false,
		    "peers without encoding");
		peer->path = CONF_PATH_UNKNOWN;
	}
	if (peer->gzip && peer->encoding != MIME_BASE64)
		conf_fault(draft->faults, conf_line_of(node, "encoding"),
		    "compress = gzip needs encoding = base64: gzip is binary");
}

static void
check_dialect(struct conf_draft *draft, size_t n)
{
	struct conf_peer *peer = &draft->conf->peer[n];
	const struct conf_node *node = draft->peer[n];
	unsigned both = SMTP_EXT_BINARYMIME | SMTP_EXT_CHUNKING;

	check_encoding(draft, peer, node);
	if ((peer->extensions & both) == SMTP_EXT_BINARYMIME)
		conf_fault(draft->faults, conf_line_of(node, "extensions"),
		    "BINARYMIME needs CHUNKING beside it (RFC 3030)");
	if (peer->plain && peer->dialect != BUNDLE_BSMTP)
		conf_fault(draft->faults, conf_line_of(node, "parameters"),
		    "parameters = no is for dialect = bsmtp");
	if (peer->plain && peer->extensions != 0)
		conf_fault(draft->faults, conf_line_of(node, "parameters"),
		    "parameters = no leaves no extensions");
}

/* Who brings an object by mail is known by the address it comes from. */
static void
check_mail(struct conf_draft *draft, size_t n)
{
	const struct conf_peer *peer = &draft->conf->peer[n];
	size_t i;

	for (i = 0; i < n && conf_peer_by_mail(peer); i++)
		if (address_equal(draft->conf->peer[i].address,
		    peer->address))
			conf_fault(draft->faults,
			    conf_line_of(draft->peer[n], "address"),
			    "peers %s and %s have the same address: their "
			    "objects cannot be told apart",
			    draft->conf->peer[i].name, peer->name);
}

/* A program may be installed after this was written, so that is a warning;
 * until then objects wait for it. */
static void
check_programs(struct conf_draft *draft, const struct conf_node *node,
    const char *key, const struct conf_strings *commands)
{
	for (size_t i = 0; i < commands->n; i++) {
		char *program = chain_program(commands->item[i]);

		if (program[0] == '/' && access(program, X_OK) != 0)
			conf_warning(draft->faults,
			    conf_item_line(node, key, i),
			    "%s: %s cannot be run: %s", key, program,
			    strerror(errno));
		free(program);
	}
}

static void
check_filters(struct conf_draft *draft, size_t n)
{
	static const char *const keys[] = { "filter-part", "filter-time",
		NULL };
	const struct conf_peer *peer = &draft->conf->peer[n];
	const struct conf_node *node = draft->peer[n];
	bool any = peer->filter_out.n + peer->filter_in.n > 0;

	warn_idle(draft, node, keys, any, "filter-out and filter-in");
	if (any && peer->dialect == BUNDLE_NATIVE)
		conf_fault(draft->faults, conf_line_of(node,
		    peer->filter_out.n > 0 ? "filter-out" : "filter-in"),
		    "dialect = native has no filters: its parcels are sealed "
		    "as they are");
	if (peer->filter_part != CONF_FILTER_WHOLE &&
	    peer->dialect == BUNDLE_BSMTP)
		conf_fault(draft->faults, conf_line_of(node, "filter-part"),
		    "dialect = bsmtp has no MIME labels: write filter-part = "
		    "whole");
	check_programs(draft, node, "filter-out", &peer->filter_out);
	check_programs(draft, node, "filter-in", &peer->filter_in);
}

static void
check_peer(struct conf_draft *draft, size_t n)
{
	const struct conf_peer *peer = &draft->conf->peer[n];
	const struct conf_node *node = draft->peer[n];

	check_dialect(draft, n);
	check_parcels(draft, n);
	conf_lanes_check(draft, n);
	check_mail(draft, n);
	check_filters(draft, n);
	if (peer->may_relay && peer->may_reach.n > 0)
		conf_fault(draft->faults, conf_line_of(node, "may-relay"),
		    "may-relay = yes means whatever is routed: may-reach has "
		    "no use beside it");
}

static void
route_locals(struct conf_draft *draft, const char *file)
{
	const struct conf *conf = draft->conf;
	struct err e = ERR_INIT;
	size_t i, j, k;

	for (i = 0; i < conf->ndeliveries; i++) {
		const struct conf_delivery *d = &conf->delivery[i];

		routing_name_delivery(conf->routing, i, d->name);
		for (j = 0; j < d->domains.n; j++) {
			unsigned line = conf_item_line(draft->delivery[i],
			    "domains", j);

			routing_set_origin(conf->routing, file, line);
			if (routing_add_local(conf->routing,
			    d->domains.item[j], i, &e) < 0) {
				conf_fault(draft->faults, line, "%s", e.text);
				continue;
			}
			for (k = 0; k < d->users.n; k++)
				if (routing_add_user(conf->routing,
				    d->domains.item[j], d->users.item[k],
				    &e) < 0)
					conf_fault(draft->faults, line, "%s",
					    e.text);
		}
	}
}

static void
route_sites(struct conf_draft *draft, const char *file)
{
	const struct conf *conf = draft->conf;
	struct err e = ERR_INIT;
	size_t i;

	for (i = 0; i < conf->npeers; i++) {
		routing_set_origin(conf->routing, file, conf->peer[i].line);
		if (conf->peer[i].cost > 0 &&
		    routing_add_peer(conf->routing, conf->peer[i].name,
		    conf->peer[i].cost, &e) < 0)
			conf_fault(draft->faults, conf->peer[i].line, "%s",
			    e.text);
	}
	for (i = 0; i < conf->nlinks; i++)
		if (conf->link[i].cost > 0 &&
		    routing_add_link(conf->routing, conf->link[i].a,
		    conf->link[i].b, conf->link[i].cost, &e) < 0)
			conf_fault(draft->faults, conf->link[i].line, "%s",
			    e.text);
	for (i = 0; i < conf->nroutes; i++) {
		routing_set_origin(conf->routing, file, conf->route[i].line);
		if (routing_add_rule(conf->routing, conf->route[i].pattern,
		    conf->route[i].site, &e) < 0)
			conf_fault(draft->faults, conf->route[i].line, "%s",
			    e.text);
	}
}

/* Faults that come with their place. */
static void
tell_placed(void *ctx, const char *text)
{
	struct conf_faults *faults = ctx;

	faults->count++;
	if (faults->told != NULL)
		faults->told(faults->ctx, text);
	if (faults->first == NULL)
		faults->first = mem_strdup(text);
}

static void
route_maps(struct conf_draft *draft)
{
	const struct conf *conf = draft->conf;
	size_t i, before;

	for (i = 0; i < conf->maps.n; i++) {
		struct err e = ERR_INIT;

		if (conf->maps.item[i][0] != '/')
			continue;	/* told already */
		before = draft->faults->count;
		if (routing_add_map(conf->routing, conf->maps.item[i],
		    tell_placed, draft->faults, &e) < 0 &&
		    draft->faults->count == before)
			conf_fault(draft->faults,
			    conf_item_line(draft->site, "maps", i), "%s",
			    e.text);
	}
	(void)routing_check(conf->routing, tell_placed, draft->faults);
}

static bool
has_smtp(const struct conf *conf)
{
	size_t i;

	for (i = 0; i < conf->ndeliveries; i++)
		if (conf->delivery[i].kind == CONF_DELIVERY_SMTP)
			return true;
	return conf->via != NULL;
}

static void
check_postmaster(struct conf_draft *draft)
{
	const struct conf *conf = draft->conf;
	unsigned line = conf_line_of(draft->site, "postmaster");
	struct routing_decision d;

	if (conf->postmaster == NULL)
		return;
	routing_lookup(conf->routing, conf->postmaster, &d, NULL);
	if (d.kind == ROUTING_LOCAL || d.kind == ROUTING_SITE)
		return;
	if (d.kind == ROUTING_UNKNOWN_USER)
		conf_fault(draft->faults, line, "postmaster %s is in a local "
		    "domain, but not among its users", conf->postmaster);
	else if (has_smtp(conf))
		conf_warning(draft->faults, line, "postmaster %s is neither "
		    "local nor routed: its notices go via the server of via "
		    "or of local delivery", conf->postmaster);
	else
		conf_warning(draft->faults, line, "postmaster %s is neither "
		    "local nor routed, and there is no server for its notices: "
		    "they will be held; set via", conf->postmaster);
}

void
conf_check(struct conf_draft *draft)
{
	struct conf *conf = draft->conf;
	size_t i;

	check_site(draft);
	check_template(draft);
	check_keys(draft);
	check_listeners(draft);
	conf_check_not_ours(draft, conf->via, conf_line_of(draft->site, "via"));
	for (i = 0; i < conf->ndeliveries; i++)
		check_delivery(draft, i);
	for (i = 0; i < conf->npeers; i++)
		check_peer(draft, i);
	conf->routing = routing_new(conf->site);
	route_locals(draft, conf->file);
	route_sites(draft, conf->file);
	route_maps(draft);
	routing_set_origin(conf->routing, NULL, 0);
	check_postmaster(draft);
}
