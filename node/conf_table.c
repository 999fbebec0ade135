/* SPDX-License-Identifier: ISC */
/*
 * The keys.  A key is declared in its row and nowhere else; a test holds the
 * rows and the manual page together.
 */
#include "node/conf_table.h"

#include "base/mem.h"
#include "node/conf.h"
#include "node/conf_value.h"

#include <stdlib.h>

#define ROWS(a) (a), sizeof(a) / sizeof((a)[0])
#define AT(type, member) offsetof(struct type, member)
#define LISTS (CONF_STRINGS | CONF_EACH)
#define SOONEST 1
/* A parcel holds at least the least fragment, head and seal. */
#define PARCEL_MIN 2048
#define PARCEL_MAX (UINT64_C(64) << 20)
#define TIMEOUT(key, member, def) { key, conf_value_duration, \
	AT(conf_delivery, timeouts.member), def, 0, SOONEST, 86400, NULL }

static const char *const no_yes[] = { "no", "yes", NULL };
static const char *const smtp_lmtp[] = { "smtp", "lmtp", NULL };
static const char *const listen_tls[] = { [CONF_TLS_NO] = "no",
	[CONF_TLS_MAY] = "offer", [CONF_TLS_ENCRYPT] = "require", NULL };
static const char *const delivery_tls[] = { [CONF_TLS_NO] = "no",
	[CONF_TLS_MAY] = "may", [CONF_TLS_ENCRYPT] = "encrypt",
	[CONF_TLS_CA] = "ca", [CONF_TLS_NAME] = "name",
	[CONF_TLS_FINGERPRINT] = "fingerprint", NULL };
static const char *const reject_normalize[] = { "reject", "normalize", NULL };
static const char *const yes_no[] = { "yes", "no", NULL };
static const char *const lf_crlf[] = { "lf", "crlf", NULL };
static const char *const compress[] = {
	[CONF_COMPRESS_NONE] = "none", [CONF_COMPRESS_GZIP] = "gzip",
	[CONF_COMPRESS_TOGETHER] = "together", [CONF_COMPRESS_EACH] = "each",
	NULL
};
static const char *const seal_sign[] = { "seal", "sign", NULL };
static const char *const paths[] = { [CONF_PATH_UNKNOWN] = "unknown",
	[CONF_PATH_7BIT] = "7bit", [CONF_PATH_8BIT] = "8bit",
	[CONF_PATH_BINARY] = "binary", NULL };
static const char *const convert_peer[] = { [CONVERT_NONE] = "no",
	[CONVERT_8BIT] = "8bit", [CONVERT_7BIT] = "7bit", NULL };
static const char *const filter_parts[] = {
	[CONF_FILTER_WHOLE] = "whole", [CONF_FILTER_ENTITY] = "entity",
	[CONF_FILTER_ATTACHMENT] = "attachment", NULL
};
static const char *const asked_all[] = { "asked", "all", NULL };
static const char *const none_delivery[] = { "none", "delivery", NULL };
static const char *const levels[] = {
	[LOG_LEVEL_DEBUG] = "debug", [LOG_LEVEL_INFO] = "info",
	[LOG_LEVEL_WARNING] = "warning", [LOG_LEVEL_FATAL] = "fatal", NULL
};

static const struct conf_row site_rows[] = {
	{ "postmaster", conf_value_address, AT(conf, postmaster), NULL,
	    CONF_TEXT | CONF_REQUIRED, 0, 0, NULL },
	{ "hostname", conf_value_domain, AT(conf, hostname), NULL, CONF_TEXT,
	    0, 0, NULL },
	{ "address", conf_value_address, AT(conf, address), NULL, CONF_TEXT,
	    0, 0, NULL },
	{ "tls-certificate", conf_value_path, AT(conf, tls_certificate), NULL,
	    CONF_TEXT, 0, 0, NULL },
	{ "tls-key", conf_value_path, AT(conf, tls_key), NULL, CONF_TEXT,
	    0, 0, NULL },
	{ "spool", conf_value_path, AT(conf, spool_dir), "/var/spool/postrider",
	    CONF_TEXT, 0, 0, NULL },
	{ "keys", conf_value_path, AT(conf, keys_dir), NULL, CONF_TEXT,
	    0, 0, NULL },
	{ "cards", conf_value_path, AT(conf, cards_dir), NULL, CONF_TEXT,
	    0, 0, NULL },
	{ "key-life", conf_value_duration, AT(conf, key_life_secs), NULL, 0,
	    3600, 0, NULL },
	{ "longest-gap", conf_value_duration, AT(conf, gap_secs), "30d", 0,
	    0, 0, NULL },
	{ "reach", conf_value_reach, AT(conf, reach), NULL, CONF_STRINGS,
	    0, 0, NULL },
	{ "run", conf_value_path, AT(conf, run_dir), "/run/postrider",
	    CONF_TEXT, 0, 0, NULL },
	{ "control", conf_value_socket, AT(conf, control), NULL, CONF_TEXT,
	    0, 0, NULL },
	{ "user", conf_value_account, AT(conf, user), NULL, CONF_TEXT,
	    0, 0, NULL },
	{ "group", conf_value_account, AT(conf, group), NULL, CONF_TEXT,
	    0, 0, NULL },
	{ "libexec", conf_value_path, AT(conf, libexec_dir), NULL, CONF_TEXT,
	    0, 0, NULL },
	{ "log", conf_value_log, 0, "stderr", 0, 0, 0, NULL },
	{ "log-level", conf_value_choice, AT(conf, log_level), "info", 0,
	    0, 0, levels },
	{ "message-max", conf_value_size, AT(conf, message_max), "10M", 0,
	    1024, 0, NULL },
	{ "object-max", conf_value_size, AT(conf, object_max), "32M", 0,
	    65536, 0, NULL },
	{ "min-free", conf_value_size, AT(conf, min_free), "64M", CONF_NONE,
	    0, 0, NULL },
	{ "line-max", conf_value_size, AT(conf, line_max), "1M", 0,
	    1000, 0, NULL },
	{ "recipients-max", conf_value_count_size, AT(conf, recipients_max),
	    "1000", 0, 100, 0, NULL },
	{ "command-max", conf_value_count_size, AT(conf, command_max), "2048",
	    0, 512, 65536, NULL },
	{ "errors-max", conf_value_count_uint, AT(conf, errors_max), "20",
	    CONF_NONE, 1, 0, NULL },
	{ "sessions-max", conf_value_count_size, AT(conf, sessions_max), "200",
	    0, 1, 100000, NULL },
	{ "sessions-per-address", conf_value_count_size,
	    AT(conf, sessions_per_address), "100", 0, 1, 100000, NULL },
	{ "session-timeout", conf_value_duration,
	    AT(conf, session_timeout_secs), "5m", 0, SOONEST, 0, NULL },
	{ "quota-size", conf_value_size, AT(conf, quota_octets), "none",
	    CONF_NONE, 1, 0, NULL },
	{ "quota-messages", conf_value_count, AT(conf, quota_count), "200000",
	    CONF_NONE, 1, 0, NULL },
	{ "lifetime", conf_value_duration, AT(conf, lifetime_secs), "5d", 0,
	    SOONEST, 0, NULL },
	{ "retry-min", conf_value_duration, AT(conf, retry_min_secs), "1m", 0,
	    SOONEST, 0, NULL },
	{ "retry-max", conf_value_duration, AT(conf, retry_max_secs), "4h", 0,
	    SOONEST, 0, NULL },
	{ "hold-max", conf_value_duration, AT(conf, hold_max_secs), "30d",
	    CONF_NONE, 0, 999999999, NULL },
	{ "delay-notice", conf_value_duration, AT(conf, delay_notice_secs),
	    "4h", CONF_NONE, SOONEST, 0, NULL },
	{ "delay-notice-for", conf_value_flag, AT(conf, delay_notice_all),
	    "asked", 0, 0, 0, asked_all },
	{ "notice-template", conf_value_path, AT(conf, notice_template), NULL,
	    CONF_TEXT, 0, 0, NULL },
	{ "received-max", conf_value_count_uint, AT(conf, received_max), "100",
	    0, 1, 0, NULL },
	{ "hops-max", conf_value_count_uint, AT(conf, hops_max), "30", 0,
	    1, 255, NULL },
	{ "trace", conf_value_flag, AT(conf, trace_delivery), "none", 0,
	    0, 0, none_delivery },
	{ "broken-expire", conf_value_duration, AT(conf, broken_expire_secs),
	    "30d", 0, SOONEST, 0, NULL },
	{ "return-expire", conf_value_duration, AT(conf, return_expire_secs),
	    "5d", 0, SOONEST, 0, NULL },
	{ "broken-notices", conf_value_count_uint,
	    AT(conf, broken_notices_per_hour), "10", 0, 1, 0, NULL },
	{ "ledger", conf_value_duration, AT(conf, ledger_secs), "60d", 0,
	    SOONEST, 0, NULL },
	{ "via", conf_value_endpoint, AT(conf, via), NULL, CONF_TEXT,
	    0, 0, NULL },
	{ "cache", conf_value_size, AT(conf, cache_bytes), "8M", 0,
	    1U << 20, UINT64_C(4) << 30, NULL },
	{ "backup-dir", conf_value_path, AT(conf, backup_dir), NULL, CONF_TEXT,
	    0, 0, NULL },
	{ "backup-every", conf_value_duration, AT(conf, backup_every_secs),
	    "1d", 0, SOONEST, 0, NULL },
	{ "admins", conf_value_account, AT(conf, admins), NULL, CONF_STRINGS,
	    0, 0, NULL },
	{ "uucp-users", conf_value_account, AT(conf, uucp_users), NULL,
	    CONF_STRINGS, 0, 0, NULL },
	{ "maps", conf_value_path, AT(conf, maps), NULL, CONF_STRINGS,
	    0, 0, NULL },
};

static const struct conf_row listen_rows[] = {
	{ "protocol", conf_value_flag, AT(conf_listener, lmtp), "smtp", 0,
	    0, 0, smtp_lmtp },
	{ "allow", conf_value_allow, 0, NULL, CONF_EACH, 0, 0, NULL },
	{ "bare-newlines", conf_value_flag, AT(conf_listener, normalize),
	    "reject", 0, 0, 0, reject_normalize },
	{ "hide", conf_value_keyword, AT(conf_listener, hidden), NULL,
	    CONF_EACH, 0, 0, NULL },
	{ "tls", conf_value_choice, AT(conf_listener, tls), NULL, 0,
	    0, 0, listen_tls },
	{ "mode", conf_value_mode, AT(conf_listener, mode), "0660", 0,
	    0, 0, NULL },
};

static const struct conf_row delivery_rows[] = {
	{ "domains", conf_value_domain, AT(conf_delivery, domains), NULL,
	    CONF_STRINGS | CONF_REQUIRED, 0, 0, NULL },
	{ "to", conf_value_to, 0, NULL, CONF_REQUIRED, 0, 0, NULL },
	{ "users", conf_value_mailbox, AT(conf_delivery, users), NULL,
	    CONF_STRINGS, 0, 0, NULL },
	{ "eol", conf_value_flag, AT(conf_delivery, crlf), "lf", 0,
	    0, 0, lf_crlf },
	{ "envelope-headers", conf_value_flag,
	    AT(conf_delivery, envelope_headers), "yes", 0, 0, 0, no_yes },
	{ "tls", conf_value_choice, AT(conf_delivery, tls.mode), "no", 0,
	    0, 0, delivery_tls },
	{ "tls-ca", conf_value_path, AT(conf_delivery, tls.ca), NULL,
	    CONF_TEXT, 0, 0, NULL },
	{ "tls-name", conf_value_domain, AT(conf_delivery, tls.name), NULL,
	    CONF_TEXT, 0, 0, NULL },
	{ "tls-fingerprint", conf_value_fingerprint, AT(conf_delivery, tls),
	    NULL, CONF_EACH, 0, 0, NULL },
	{ "convert", conf_value_flag, AT(conf_delivery, convert), "no", 0,
	    0, 0, no_yes },
	{ "final", conf_value_flag, AT(conf_delivery, final), "no", 0,
	    0, 0, no_yes },
	{ "null-sender", conf_value_text, AT(conf_delivery, null_sender),
	    "MAILER-DAEMON", CONF_TEXT, 0, 0, NULL },
	{ "deadline", conf_value_duration, AT(conf_delivery, deadline_secs),
	    "1000s", 0, SOONEST, 86400, NULL },
	{ "connections", conf_value_count_uint, AT(conf_delivery, connections),
	    "4", 0, 1, 1000, NULL },
	/* RFC 5321 4.5.3.2 */
	{ "connect-timeout", conf_value_duration,
	    AT(conf_delivery, connect_secs), "30s", 0, SOONEST, 3600, NULL },
	TIMEOUT("greeting-timeout", greeting_secs, "5m"),
	TIMEOUT("hello-timeout", hello_secs, "5m"),
	TIMEOUT("mail-timeout", mail_secs, "5m"),
	TIMEOUT("rcpt-timeout", rcpt_secs, "5m"),
	TIMEOUT("data-timeout", data_secs, "2m"),
	TIMEOUT("content-timeout", content_secs, "3m"),
	TIMEOUT("end-timeout", end_secs, "10m"),
};

static const struct conf_row peer_rows[] = {
	{ "dialect", conf_value_dialect, AT(conf_peer, dialect), "native", 0,
	    0, 0, NULL },
	{ "compress", conf_value_choice, AT(conf_peer, compress), "none", 0,
	    0, 0, compress },
	{ "encoding", conf_value_encoding, AT(conf_peer, encoding), "base64",
	    0, 0, 0, NULL },
	{ "path", conf_value_choice, AT(conf_peer, path), "unknown", 0,
	    0, 0, paths },
	{ "extensions", conf_value_extension, AT(conf_peer, extensions), NULL,
	    CONF_EACH, 0, 0, NULL },
	{ "convert", conf_value_choice, AT(conf_peer, convert), "no", 0,
	    0, 0, convert_peer },
	{ "ids", conf_value_flag, AT(conf_peer, ids), "yes", 0, 0, 0, no_yes },
	{ "parameters", conf_value_flag, AT(conf_peer, plain), "yes", 0,
	    0, 0, yes_no },
	{ "dsn", conf_value_flag, AT(conf_peer, dsn), "yes", 0, 0, 0, no_yes },
	{ "address", conf_value_address, AT(conf_peer, address), NULL,
	    CONF_TEXT, 0, 0, NULL },
	{ "cost", conf_value_count_uint, AT(conf_peer, cost), "1", 0,
	    1, 1000000, NULL },
	{ "batch-size", conf_value_size, AT(conf_peer, batch_octets), "4M", 0,
	    1, 0, NULL },
	{ "batch-count", conf_value_count, AT(conf_peer, batch_count), "1000",
	    0, 1, 0, NULL },
	{ "batch-age", conf_value_duration, AT(conf_peer, batch_age_secs), "0",
	    0, 0, 0, NULL },
	{ "call", conf_value_call, AT(conf_peer, call), NULL, CONF_EACH,
	    0, 0, NULL },
	{ "call-min-interval", conf_value_call_interval, AT(conf_peer, call),
	    NULL, 0, 0, 0, NULL },
	{ "message-max", conf_value_size, AT(conf_peer, max_message), "none",
	    CONF_NONE, 1, 0, NULL },
	{ "in-max", conf_value_size, AT(conf_peer, in_max), "none",
	    CONF_NONE, 65536, 0, NULL },
	{ "lifetime", conf_value_duration, AT(conf_peer, lifetime_secs), "5d",
	    0, SOONEST, 0, NULL },
	{ "retry-min", conf_value_duration, AT(conf_peer, retry_min_secs),
	    "10s", 0, SOONEST, 0, NULL },
	{ "retry-max", conf_value_duration, AT(conf_peer, retry_max_secs),
	    "1h", 0, SOONEST, 0, NULL },
	{ "may-reach", conf_value_pattern, AT(conf_peer, may_reach), NULL,
	    CONF_STRINGS, 0, 0, NULL },
	{ "may-send-as", conf_value_pattern, AT(conf_peer, may_send_as), NULL,
	    CONF_STRINGS, 0, 0, NULL },
	{ "urgent", conf_value_pattern, AT(conf_peer, urgent), NULL,
	    CONF_STRINGS, 0, 0, NULL },
	{ "may-relay", conf_value_flag, AT(conf_peer, may_relay), "no", 0,
	    0, 0, no_yes },
	{ "gate", conf_value_flag, AT(conf_peer, gate), "no", 0,
	    0, 0, no_yes },
	{ "parcel-size", conf_value_size, AT(conf_peer, parcel_octets), "1M",
	    0, PARCEL_MIN, PARCEL_MAX, NULL },
	{ "shape", conf_value_shape, AT(conf_peer, shape), "none", 0,
	    PARCEL_MIN, PARCEL_MAX, NULL },
	{ "seal", conf_value_flag, AT(conf_peer, sign), "seal", 0,
	    0, 0, seal_sign },
	{ "forward-signed", conf_value_flag, AT(conf_peer, forward_signed),
	    "no", 0, 0, 0, no_yes },
	{ "held-bundles", conf_value_count, AT(conf_peer, held_bundles),
	    "1024", 0, 1, 65536, NULL },
	{ "held-size", conf_value_size, AT(conf_peer, held_octets), "1G", 0,
	    65536, 0, NULL },
	{ "psk-file", conf_value_path, AT(conf_peer, psk_file), NULL,
	    CONF_TEXT, 0, 0, NULL },
	{ "receive-users", conf_value_account, AT(conf_peer, receive_users),
	    NULL, CONF_STRINGS, 0, 0, NULL },
	{ "receive-hosts", conf_value_hosts, 0, NULL, CONF_EACH, 0, 0, NULL },
	{ "quota-size", conf_value_size, AT(conf_peer, quota_octets), "none",
	    CONF_NONE, 1, 0, NULL },
	{ "quota-messages", conf_value_count, AT(conf_peer, quota_count),
	    "none", CONF_NONE, 1, 0, NULL },
	{ "transport", conf_value_transport, AT(conf_peer, transport), "file",
	    CONF_TEXT, 0, 0, NULL },
	{ "set", conf_value_setting, AT(conf_peer, set), NULL, CONF_STRINGS,
	    0, 0, NULL },
	{ "answer", conf_value_flag, AT(conf_peer, answer), "yes", 0,
	    0, 0, no_yes },
	{ "stays", conf_value_flag, AT(conf_peer, stays), NULL, 0,
	    0, 0, no_yes },
	{ "filter-out", conf_value_filter, AT(conf_peer, filter_out), NULL,
	    CONF_STRINGS, 0, 0, NULL },
	{ "filter-in", conf_value_filter, AT(conf_peer, filter_in), NULL,
	    CONF_STRINGS, 0, 0, NULL },
	{ "filter-part", conf_value_choice, AT(conf_peer, filter_part),
	    "whole", 0, 0, 0, filter_parts },
	{ "filter-time", conf_value_duration, AT(conf_peer, filter_secs),
	    "5m", 0, SOONEST, 86400, NULL },
};

/* What has no default here is as in the section of the peer. */
static const struct conf_row transport_rows[] = {
	{ "program", conf_value_transport, AT(conf_lane, program), NULL,
	    CONF_TEXT | CONF_REQUIRED, 0, 0, NULL },
	{ "set", conf_value_setting, AT(conf_lane, set), NULL, CONF_STRINGS,
	    0, 0, NULL },
	{ "stays", conf_value_flag, AT(conf_lane, stays), NULL, 0,
	    0, 0, no_yes },
	{ "priority-min", conf_value_priority, AT(conf_lane, priority_min),
	    "-9", 0, 0, 0, NULL },
	{ "priority-max", conf_value_priority, AT(conf_lane, priority_max),
	    "9", 0, 0, 0, NULL },
	{ "size-max", conf_value_size, AT(conf_lane, size_max), "none",
	    CONF_NONE, 1024, 0, NULL },
	{ "patience", conf_value_duration, AT(conf_lane, patience_secs),
	    "10m", CONF_NONE, SOONEST, 0, NULL },
	{ "call", conf_value_call, AT(conf_lane, own_call), NULL, CONF_EACH,
	    0, 0, NULL },
	{ "call-min-interval", conf_value_call_interval,
	    AT(conf_lane, own_call), NULL, 0, 0, 0, NULL },
	{ "retry-min", conf_value_duration, AT(conf_lane, retry_min_secs),
	    NULL, 0, SOONEST, 0, NULL },
	{ "retry-max", conf_value_duration, AT(conf_lane, retry_max_secs),
	    NULL, 0, SOONEST, 0, NULL },
	{ "parcel-size", conf_value_size, AT(conf_lane, parcel_octets), NULL,
	    0, PARCEL_MIN, PARCEL_MAX, NULL },
};

static const struct conf_row link_rows[] = {
	{ "cost", conf_value_count_uint, AT(conf_link, cost), "1", 0,
	    1, 1000000, NULL },
};

static const struct conf_row via_rows[] = {
	{ "relays", conf_value_name, AT(conf_via, relays), NULL,
	    CONF_STRINGS | CONF_REQUIRED, 0, 0, NULL },
};

static const struct conf_table tables[] = {
	{ "site", 1, NULL, ROWS(site_rows) },
	{ "listen", 1, NULL, ROWS(listen_rows) },
	{ "delivery", 1, NULL, ROWS(delivery_rows) },
	{ "peer", 1, NULL, ROWS(peer_rows) },
	{ "transport", 1, "peer", ROWS(transport_rows) },
	{ "link", 2, NULL, ROWS(link_rows) },
	{ "via", 1, NULL, ROWS(via_rows) },
	{ "routes", 0, NULL, NULL, 0 },
};

const struct conf_table *
conf_tables(size_t *n_out)
{
	*n_out = sizeof(tables) / sizeof(tables[0]);
	return tables;
}

const struct conf_table *
conf_table_find(const char *section)
{
	size_t i;

	for (i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		if (strcmp(tables[i].section, section) == 0)
			return &tables[i];
	return NULL;
}

static const struct conf_row *
find_row(const struct conf_table *table, const char *key)
{
	size_t i;

	for (i = 0; i < table->nrows; i++)
		if (strcmp(table->row[i].key, key) == 0)
			return &table->row[i];
	return NULL;
}

static void *
field_of(const struct conf_row *row, void *object)
{
	return (char *)object + row->offset;
}

static void
set_defaults(const struct conf_table *table, const struct conf_node *section,
    void *object, struct conf_faults *faults)
{
	size_t i;

	for (i = 0; i < table->nrows; i++) {
		const struct conf_row *row = &table->row[i];
		struct err e = ERR_INIT;

		if (row->def == NULL ||
		    conf_node_find(section, row->key) != NULL)
			continue;
		if (row->set(row, row->def, field_of(row, object), &e) < 0)
			conf_fault(faults, section->line, "the default of %s: "
			    "%s", row->key, e.text);
	}
}

static void
add_string(struct conf_strings *all, const char *text)
{
	all->item = mem_realloc(all->item, all->n + 1, sizeof(char *));
	all->item[all->n++] = mem_strdup(text);
}

static void
read_items(const struct conf_row *row, const struct conf_node *node,
    void *object, struct conf_faults *faults)
{
	bool strings = (row->flags & CONF_STRINGS) != 0;
	void *field = field_of(row, object);
	size_t i;

	if (node->nitems == 0)
		conf_fault(faults, node->line, "%s: an empty list", node->key);
	for (i = 0; i < node->nitems; i++) {
		const struct conf_item *item = &node->item[i];
		struct err e = ERR_INIT;

		if (row->set(row, item->text, strings ? NULL : field, &e) < 0)
			conf_fault(faults, item->line, "%s = %s: %s",
			    node->key, item->text, e.text);
		/* Bad ones too: the items keep their places. */
		if (strings)
			add_string(field, item->text);
	}
}

static bool
is_repeated(const struct conf_node *section, const struct conf_node *node,
    struct conf_faults *faults)
{
	const struct conf_node *first = conf_node_find(section, node->key);

	if (first == node)
		return false;
	conf_fault(faults, node->line, "%s is set twice, first in line %u",
	    node->key, first->line);
	return true;
}

/* Fewest changes of a letter between two words, as far as it matters. */
static size_t
distance(const char *a, const char *b)
{
	size_t row[40], i, j, n = strlen(b), over, old;

	if (n >= 40 || strlen(a) >= 40)
		return SIZE_MAX;
	for (j = 0; j <= n; j++)
		row[j] = j;
	for (i = 0; a[i] != '\0'; i++) {
		over = row[0]++;
		for (j = 0; j < n; j++) {
			old = row[j + 1];
			row[j + 1] = over + (a[i] != b[j]);
			if (row[j] + 1 < row[j + 1])
				row[j + 1] = row[j] + 1;
			if (old + 1 < row[j + 1])
				row[j + 1] = old + 1;
			over = old;
		}
	}
	return row[n];
}

static void
unknown_key(const struct conf_table *table, const struct conf_node *node,
    struct conf_faults *faults)
{
	const char *near = NULL;
	size_t i, best = 3, d;

	for (i = 0; i < table->nrows; i++) {
		d = distance(node->key, table->row[i].key);
		if (d < best) {
			best = d;
			near = table->row[i].key;
		}
	}
	if (node->kind == CONF_SECTION)
		conf_fault(faults, node->line, "a section %s has no place in a "
		    "section %s: is a } missing above?", node->key,
		    table->section);
	else if (near != NULL)
		conf_fault(faults, node->line, "unknown key %s in section %s: "
		    "is %s meant?", node->key, table->section, near);
	else
		conf_fault(faults, node->line, "unknown key %s in section %s",
		    node->key, table->section);
}

static void
read_statement(const struct conf_table *table,
    const struct conf_node *section, const struct conf_node *node,
    void *object, struct conf_faults *faults)
{
	const struct conf_row *row = find_row(table, node->key);
	struct err e = ERR_INIT;

	if (row == NULL) {
		unknown_key(table, node, faults);
		return;
	}
	if (is_repeated(section, node, faults))
		return;
	if (node->kind == CONF_SECTION) {
		conf_fault(faults, node->line, "%s is a setting: write %s = "
		    "...", node->key, node->key);
	} else if ((row->flags & LISTS) != 0) {
		read_items(row, node, object, faults);
	} else if (node->kind == CONF_LIST) {
		conf_fault(faults, node->line, "%s takes one value and no "
		    "list", node->key);
	} else if (row->set(row, node->item[0].text, field_of(row, object),
	    &e) < 0) {
		conf_fault(faults, node->item[0].line, "%s = %s: %s",
		    node->key, node->item[0].text, e.text);
	}
}

/* A section of its own inside this one. */
static bool
is_inner(const struct conf_table *table, const struct conf_node *node)
{
	const struct conf_table *inner = node->kind == CONF_SECTION ?
	    conf_table_find(node->key) : NULL;

	return inner != NULL && inner->inside != NULL &&
	    strcmp(inner->inside, table->section) == 0;
}

void
conf_table_read(const struct conf_table *table,
    const struct conf_node *section, void *object, struct conf_faults *faults)
{
	size_t i;

	set_defaults(table, section, object, faults);
	for (i = 0; i < section->nchildren; i++)
		if (!is_inner(table, &section->child[i]))
			read_statement(table, section, &section->child[i],
			    object, faults);
	for (i = 0; i < table->nrows; i++)
		if ((table->row[i].flags & CONF_REQUIRED) != 0 &&
		    conf_node_find(section, table->row[i].key) == NULL)
			conf_fault(faults, section->line, "section %s needs "
			    "%s", table->section, table->row[i].key);
}

void
conf_table_release(const struct conf_table *table, void *object)
{
	size_t i, j;

	for (i = 0; i < table->nrows; i++) {
		void *field = field_of(&table->row[i], object);

		if ((table->row[i].flags & CONF_TEXT) != 0)
			free(*(char **)field);
		if ((table->row[i].flags & CONF_STRINGS) != 0) {
			struct conf_strings *all = field;

			for (j = 0; j < all->n; j++)
				free(all->item[j]);
			free(all->item);
		}
	}
}
