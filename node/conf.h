/* SPDX-License-Identifier: ISC */
#ifndef NODE_CONF_H
#define NODE_CONF_H
/*
 * The configuration, read and checked: postrider.conf(5).  Every fault is told
 * with file and line, all of them.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/log.h"
#include "bundle/convert.h"
#include "bundle/shape.h"
#include "bundle/squeeze.h"
#include "bundle/writer.h"
#include "node/notice_text.h"
#include "node/schedule.h"
#include "routing/table.h"
#include "smtp/client.h"

struct conf_strings {
	char **item;
	size_t n;
};

/* "127.0.0.0/8", "::1", "unix", "unix:UID-or-name" or "cert:FINGERPRINT". */
struct conf_net {
	int family;		/* AF_INET, AF_INET6, AF_UNIX; AF_UNSPEC:
				 * a certificate */
	unsigned char addr[16];
	unsigned bits;
	bool any_uid;
	uid_t uid;
	unsigned char cert[32];	/* SHA-256 */
};

#define CONF_FINGERPRINT_LEN 32		/* SHA-256 of a certificate */

/* Up from CONF_TLS_ENCRYPT: no mail without; behind that who the server has
 * to be.  A listener knows the first three. */
enum conf_tls_mode { CONF_TLS_NO, CONF_TLS_MAY, CONF_TLS_ENCRYPT,
	CONF_TLS_CA, CONF_TLS_NAME, CONF_TLS_FINGERPRINT };

struct conf_tls {
	enum conf_tls_mode mode;
	char *ca;		/* file of authorities; NULL: the system's */
	char *name;		/* that the certificate must have; NULL: the
				 * host of the target */
	unsigned char (*fingerprint)[CONF_FINGERPRINT_LEN];
	size_t nfingerprints;
};

struct conf_listener {
	char *address;		/* "127.0.0.1:2442", "[::1]:2442" or
				 * "unix:/path" */
	unsigned line;
	bool lmtp;		/* protocol = lmtp */
	bool normalize;		/* bare-newlines = normalize */
	unsigned hidden;	/* extensions that are not offered */
	enum conf_tls_mode tls;	/* no, offer (MAY), require (ENCRYPT) */
	bool asks_certificate;	/* one is in allow */
	mode_t mode;		/* of a UNIX socket: 0660 */
	struct conf_net *allow;	/* who may submit; default 127.0.0.0/8, ::1,
				 * unix */
	size_t nallow;
};

enum conf_delivery_kind { CONF_DELIVERY_SMTP, CONF_DELIVERY_LMTP,
	CONF_DELIVERY_MAILDIR, CONF_DELIVERY_COMMAND };

struct conf_delivery {
	char *name;		/* title of its section */
	unsigned line;
	enum conf_delivery_kind kind;
	struct conf_strings domains, users;
	char *target;		/* "127.0.0.1:25", "unix:/path", or a directory
				 * with %u and %d; without either: DIR/USER;
				 * or a command with arguments and macros */
	struct conf_tls tls;	/* of a server */
	bool convert;		/* content, to what a server takes */
	bool final;		/* a command is where mail ends */
	char *null_sender;	/* what %s of a command is then */
	uint64_t deadline_secs;	/* of a command: 1000 s */
	bool crlf;		/* eol = crlf */
	bool envelope_headers;	/* Return-Path */
	unsigned connections;	/* at once: 4 */
	uint64_t connect_secs;	/* for a TCP connection */
	struct smtp_client_timeouts timeouts;
};

enum conf_compress { CONF_COMPRESS_NONE, CONF_COMPRESS_GZIP,
	CONF_COMPRESS_TOGETHER, CONF_COMPRESS_EACH };

/* What stays whole on the road of MIME objects; their encoding is then chosen
 * by content. */
enum conf_path { CONF_PATH_UNKNOWN, CONF_PATH_7BIT, CONF_PATH_8BIT,
	CONF_PATH_BINARY };

/* What of an object goes through the filters (node/screening.h). */
enum conf_filter_part { CONF_FILTER_WHOLE, CONF_FILTER_ENTITY,
	CONF_FILTER_ATTACHMENT };

/* A transport of a peer, and what goes by it. */
struct conf_lane {
	char *name;		/* title of its section; "" where the section
				 * of the peer has it */
	unsigned line;
	char *program;		/* "file", or a path to a program */
	struct conf_strings set;	/* "KEY=VALUE" for --set */
	bool stays;		/* it keeps running */
	struct schedule *own_call;	/* or NULL */
	const struct schedule *call;	/* its own, or that of the peer */
	uint64_t retry_min_secs, retry_max_secs;	/* back-off */
	uint64_t parcel_octets;	/* native: of the largest parcel */
	int priority_min, priority_max;	/* of what it takes */
	uint64_t size_max;	/* octets; 0: any */
	uint64_t patience_secs;	/* while nothing goes; 0: for ever */
};

#define CONF_PRIORITY_MIN (-9)
#define CONF_PRIORITY_MAX 9

struct conf_peer {
	char *name;
	unsigned line;
	enum bundle_dialect dialect;
	enum conf_compress compress;
	bool gzip;		/* batches: as compress says */
	enum squeeze_mode squeeze;	/* native: the same */
	enum mime_encoding encoding;	/* rfc2442, where there is no path */
	enum conf_path path;	/* what it carries; CONF_PATH_UNKNOWN also
				 * where `encoding` says what is written */
	unsigned extensions;	/* beyond the three of RFC 2442 */
	enum convert_target convert;	/* content that its road cannot carry;
					 * CONVERT_7BIT: it carries no 8-bit */
	bool ids;		/* NOOP ids in bare batches */
	bool plain;		/* parameters = no: none in bare batches */
	bool dsn;		/* NOTIFY, ORCPT, RET, ENVID go along */
	char *address;		/* the peer's bundle address (rfc2442) */
	unsigned cost;
	uint64_t batch_octets, batch_count, batch_age_secs;	/* cut limits */
	uint64_t max_message;	/* octets that its road carries; 0 any */
	uint64_t in_max;	/* octets that may lie in in/; 0 any */
	uint64_t lifetime_secs;	/* 5d */
	struct conf_strings may_reach;	/* patterns; empty: local domains */
	struct conf_strings may_send_as;	/* patterns; empty: any */
	struct conf_strings urgent;	/* patterns: mail from or to these is
					 * cut and sent at once */
	char *psk_file;		/* or NULL */
	bool may_relay;		/* may reach whatever is routed */
	bool gate;		/* all native sites may reach it by us */
	/* dialect = native */
	struct shape shape;	/* of parcels */
	bool sign;		/* seal = sign */
	bool has_psk;		/* shared with the peer alone */
	unsigned char psk[32];
	bool forward_signed;	/* bundles sealed for others go over a road
				 * that is only signed */
	uint64_t held_bundles;	/* incomplete ones from it: 1024 */
	uint64_t held_octets;	/* of these and of what it has us forward:
				 * 1G */
	struct conf_strings receive_users;	/* uids or names that may hand
						 * in objects as this peer */
	struct conf_net *receive_hosts;	/* clients that may bring objects of
					 * this peer by mail; none: with
					 * transport = mail, who may submit */
	size_t nreceive_hosts;
	uint64_t quota_octets, quota_count;	/* queued for it; 0 none */
	struct conf_lane *lane;	/* at least one */
	size_t nlanes;
	/* For lane: what its section has for all of them, or instead. */
	struct schedule *call;
	uint64_t retry_min_secs, retry_max_secs;
	uint64_t parcel_octets;
	char *transport;
	struct conf_strings set;
	bool stays;
	bool answer;		/* by one more call what one has brought */
	struct conf_strings filter_out, filter_in;	/* commands, for
							 * node/chain.h */
	enum conf_filter_part filter_part;
	uint64_t filter_secs;	/* for each command: 5m */
};

/* Mail for this site goes as an onion over these relays, in this order. */
struct conf_via {
	char *site;
	struct conf_strings relays;
	unsigned line;
};

struct conf_link {
	char *a, *b;
	unsigned cost;
	unsigned line;
};

struct conf_route {
	char *pattern, *site;
	unsigned line;
};

enum conf_log { CONF_LOG_STDERR, CONF_LOG_SYSLOG, CONF_LOG_FILE };

struct conf {
	char *file;		/* where it was read from */
	char *site;		/* name */
	char *hostname;		/* in SMTP and notices */
	char *postmaster;	/* required; an address */
	char *address;		/* this site's bundle address (rfc2442) */
	char *tls_certificate, *tls_key;	/* PEM; or NULL */
	char *spool_dir, *run_dir;
	char *keys_dir;		/* default SPOOL-keys */
	char *cards_dir;	/* default peers.d beside the file */
	uint64_t key_life_secs;	/* of a receiving key, made to destroyed */
	uint64_t gap_secs;	/* longest between contacts: 30d */
	struct conf_strings reach;	/* in our card */
	char *control;		/* UNIX socket, default RUN/control */
	char *user, *group;	/* to become, when started as root; or NULL */
	char *libexec_dir;
	enum conf_log log;
	char *log_file;
	enum log_level log_level;
	uint64_t message_max, min_free;
	uint64_t object_max;	/* octets of an object that comes by mail */
	uint64_t line_max;
	size_t recipients_max;
	size_t command_max;	/* octets of a command line */
	unsigned errors_max;	/* of a session; 0 none */
	size_t sessions_max, sessions_per_address;
	uint64_t session_timeout_secs;
	uint64_t quota_octets, quota_count;
	uint64_t lifetime_secs;		/* local delivery; 5d */
	uint64_t retry_min_secs, retry_max_secs;	/* delivery back-off */
	uint64_t hold_max_secs;		/* FUTURERELEASE: 30d; 0: not offered */
	uint64_t delay_notice_secs;	/* 4h; 0: none */
	bool delay_notice_all;		/* also to who left NOTIFY away */
	char *notice_template;		/* file, or NULL */
	struct notice_text *notice_text;	/* what is in it, or NULL */
	unsigned received_max;		/* 100 */
	unsigned hops_max;		/* 30 */
	bool trace_delivery;		/* trace = delivery */
	uint64_t broken_expire_secs;	/* 30d */
	uint64_t return_expire_secs;	/* 5d */
	unsigned broken_notices_per_hour;	/* per peer: 10 */
	uint64_t ledger_secs;		/* 60d */
	char *via;		/* server for notices to addresses that are
				 * neither local nor routed; or NULL: that of
				 * the first SMTP delivery */
	uint64_t cache_bytes;
	char *backup_dir;
	uint64_t backup_every_secs;
	struct conf_strings admins;	/* uids or names: full authority on the
					 * control socket beside root and own */
	struct conf_strings uucp_users;	/* uids or names that uuxqt runs as:
					 * they speak for any peer */
	struct conf_strings maps;
	struct conf_listener *listener;
	size_t nlisteners;
	struct conf_delivery *delivery;
	size_t ndeliveries;
	struct conf_peer *peer;
	size_t npeers;
	struct conf_link *link;
	size_t nlinks;
	struct conf_via *via_site;
	size_t nvias;
	struct conf_route *route;
	size_t nroutes;
	struct routing *routing;	/* built from all of it; deliveries are
					 * numbered as in `delivery` */
};

/* told: called for every fault and warning with "FILE:LINE: what is wrong and
 * what to do".  Returns 0 and the configuration, or ERR_CONFIG. */
int conf_load(const char *path, void (*told)(void *ctx, const char *text),
    void *ctx, struct conf **conf_out, struct err *e) MUST_CHECK;
void conf_free(struct conf *conf);
/* The relays that mail for the site goes over; NULL: none are named. */
const struct conf_strings *conf_find_via(const struct conf *conf,
    const char *site);
const struct conf_peer *conf_find_peer(const struct conf *conf,
    const char *name);
/* Is one of its transports `mail`? */
bool conf_peer_by_mail(const struct conf_peer *peer);
/* What differs between two configurations and needs a restart, as a list of
 * words in out; true if anything does. */
bool conf_needs_restart(const struct conf *old, const struct conf *new_,
    struct buf *out);
/* Is this peer of a socket allowed? addr: a struct sockaddr; uid for UNIX. */
bool conf_net_match(const struct conf_net *net, size_t n, const void *addr,
    uid_t uid);

#endif
