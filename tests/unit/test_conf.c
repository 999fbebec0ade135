/* SPDX-License-Identifier: ISC */
/* The configuration: syntax, every kind of value, checks across keys, and the
 * manual page, which has every key and whose example is loaded. */
#include "node/conf.h"

#include "base/file.h"
#include "base/mem.h"
#include "node/conf_net.h"
#include "node/conf_table.h"
#include "smtp/extension.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define PAGE "man/postrider.conf.5"
#define SAMPLE "etc/postrider.conf.sample"
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* Told lines, without "FILE:" in front. */
struct told {
	struct buf text;
	const char *file;
};

static void
collect(void *ctx, const char *text)
{
	struct told *t = ctx;
	size_t len = strlen(t->file);

	if (strncmp(text, t->file, len) == 0 && text[len] == ':')
		text += len + 1;
	buf_addf(&t->text, "%s\n", text);
}

/* Loads the text; what is told is appended to out. NULL: there were faults. */
/* With these settings of the site. */
#define OTHER(keys) "site paris { postmaster = p@x.test; " keys "}\n"

static struct conf *
load(const char *text, struct buf *out)
{
	char name[] = "/tmp/test_conf.XXXXXX";
	struct told t = { BUF_INIT, name };
	struct conf *conf = NULL;
	struct err e = ERR_INIT;
	int fd = mkstemp(name), rc;

	assert_true(fd >= 0);
	assert_int_equal(file_write_all(fd, text, strlen(text), &e), 0);
	close(fd);
	rc = conf_load(name, collect, &t, &conf, &e);
	unlink(name);
	assert_int_equal(rc, conf != NULL ? 0 : ERR_CONFIG);
	if (conf == NULL)
		assert_true(e.text[0] != '\0');
	if (out != NULL)
		buf_addslice(out, buf_slice(&t.text));
	buf_release(&t.text);
	return conf;
}

#define SITE "site paris { postmaster = postmaster@paris.example }\n"
#define LOCAL "delivery local { domains = { paris.example }; " \
	"to = maildir:/m }\n"

static struct conf *
load_good(const char *text)
{
	struct buf told = BUF_INIT;
	struct conf *conf = load(text, &told);

	if (conf == NULL)
		fail_msg("%s\n%s", text, buf_cstr(&told));
	buf_release(&told);
	return conf;
}

static void
test_defaults(void **state)
{
	struct conf *c = load_good(SITE LOCAL "peer london { }\n");
	const struct conf_peer *p = conf_find_peer(c, "london");

	(void)state;
	assert_string_equal(c->site, "paris");
	assert_string_equal(c->hostname, "paris.example");
	assert_string_equal(c->address, "bundle@paris.example");
	assert_string_equal(c->control, "/run/postrider/control");
	assert_int_equal(c->log, CONF_LOG_STDERR);
	assert_int_equal(c->log_level, LOG_LEVEL_INFO);
	assert_int_equal(c->message_max, 10 * 1024 * 1024);
	assert_int_equal(c->min_free, 64 * 1024 * 1024);
	assert_int_equal(c->line_max, 1024 * 1024);
	assert_int_equal(c->recipients_max, 1000);
	assert_int_equal(c->session_timeout_secs, 300);
	assert_int_equal(c->lifetime_secs, 5 * 86400);
	assert_int_equal(c->retry_min_secs, 60);
	assert_int_equal(c->retry_max_secs, 4 * 3600);
	assert_int_equal(c->received_max, 100);
	assert_int_equal(c->hops_max, 30);
	assert_false(c->trace_delivery);
	assert_int_equal(c->broken_expire_secs, 30 * 86400);
	assert_int_equal(c->ledger_secs, 60 * 86400);
	assert_string_equal(c->keys_dir, "/var/spool/postrider-keys");
	assert_int_equal(c->key_life_secs, 90 * 86400);
	assert_int_equal(c->gap_secs, 30 * 86400);
	assert_int_equal(c->quota_octets, 0);
	assert_int_equal(c->backup_every_secs, 0);
	assert_int_equal(c->nlisteners, 1);
	assert_string_equal(c->listener[0].address, "127.0.0.1:2442");
	assert_int_equal(c->listener[0].nallow, 3);
	assert_int_equal(c->delivery[0].kind, CONF_DELIVERY_MAILDIR);
	assert_string_equal(c->delivery[0].target, "/m");
	assert_true(c->delivery[0].envelope_headers);
	assert_false(c->delivery[0].crlf);
	assert_non_null(p);
	assert_int_equal(p->dialect, BUNDLE_NATIVE);
	assert_int_equal(p->squeeze, SQUEEZE_TOGETHER);
	assert_int_equal(p->encoding, MIME_BASE64);
	assert_int_equal(p->batch_octets, 4 * 1024 * 1024);
	assert_int_equal(p->batch_age_secs, 0);
	assert_int_equal(p->retry_min_secs, 10);
	assert_true(schedule_is_empty(p->call));
	assert_string_equal(p->lane[0].program, "file");
	assert_true(p->lane[0].stays);
	assert_string_equal(p->address, "bundle@london");
	assert_null(conf_find_peer(c, "oslo"));
	conf_free(c);
	/* keys live as long as they have to */
	c = load_good(OTHER("longest-gap = 60d\nspool = /s")
	    "peer a { dialect = native\nlifetime = 20d }\n"
	    "peer b { dialect = bsmtp\nlifetime = 90d }\n");
	assert_int_equal(c->key_life_secs, 160 * 86400);
	assert_string_equal(c->keys_dir, "/s-keys");
	conf_free(c);
}

static void
test_full(void **state)
{
	struct conf *c = load_good("site paris {\n"
	    "postmaster = postmaster@paris.example; hostname=mail.x.example\n"
	    "log = /var/log/p; log-level = debug; message-max = 2G\n"
	    "lifetime = 1d12h; trace = delivery; via = \"[::1]:25\"\n"
	    "quota-messages = 7; admins = { root, 1000 }; user = p\n"
	    "backup-dir = /b }\n"
	    "listen \"[::1]:2442\" { allow = 192.0.2.0/24 }\n"
	    "listen unix:/s { mode = 0600; allow = { unix:0, \"::/0\" } }\n"
	    "delivery a { domains = { a.example, b.example }; "
	    "to = smtp:unix:/lmtp; connections = 2 }\n"
	    "delivery c { domains = c.example; users = { ann, bob }\n"
	    "eol = crlf; envelope-headers = no; to = \"maildir:/m/%d/%u\" }\n"
	    "peer london { dialect = bsmtp; compress = gzip; ids = yes\n"
	    "extensions = { chunking, BINARYMIME }; cost = 3; "
	    "batch-count = 5; batch-age = 1m; batch-size = 9\n"
	    "call = { every 15m, \"Wk2305-0655,Sa\" }; message-max = 1M\n"
	    "call-min-interval = 5m; may-relay = yes; stays = yes\n"
	    "transport = /usr/bin/carry; set = { drop=/d, 'x=a,b' }\n"
	    "may-send-as = { \"*\" }; receive-users = uucp }\n"
	    "link london oslo { cost = 4 }\n"
	    "routes { \"*\" = oslo; .london.example = london\n"
	    "london.example = london }\n");
	const struct conf_peer *p = &c->peer[0];
	struct routing_decision d;

	(void)state;
	assert_int_equal(c->log, CONF_LOG_FILE);
	assert_string_equal(c->log_file, "/var/log/p");
	assert_int_equal(c->lifetime_secs, 36 * 3600);
	assert_int_equal(c->message_max, UINT64_C(2) << 30);
	assert_true(c->trace_delivery);
	assert_string_equal(c->via, "[::1]:25");
	assert_int_equal(c->quota_count, 7);
	assert_int_equal(c->admins.n, 2);
	assert_int_equal(c->backup_every_secs, 86400);
	assert_int_equal(c->nlisteners, 2);
	assert_int_equal(c->listener[1].mode, 0600);
	assert_int_equal(c->listener[1].nallow, 2);
	assert_int_equal(c->ndeliveries, 2);
	assert_string_equal(c->delivery[0].target, "unix:/lmtp");
	assert_true(c->delivery[0].crlf);
	assert_true(c->delivery[1].crlf);
	assert_false(c->delivery[1].envelope_headers);
	assert_int_equal(c->delivery[1].users.n, 2);
	assert_true(p->gzip && p->ids && p->may_relay && p->lane[0].stays);
	assert_int_equal(p->extensions,
	    SMTP_EXT_CHUNKING | SMTP_EXT_BINARYMIME);
	assert_int_equal(p->batch_octets, 9);
	assert_int_equal(p->batch_age_secs, 60);
	assert_false(schedule_is_empty(p->call));
	assert_int_equal(p->lane[0].set.n, 2);
	assert_string_equal(p->lane[0].set.item[1], "x=a,b");
	assert_string_equal(p->address, "bundle@london.example");
	assert_string_equal(p->receive_users.item[0], "uucp");
	routing_lookup(c->routing, "bob+x@c.example", &d, NULL);
	assert_int_equal(d.kind, ROUTING_LOCAL);
	assert_int_equal(d.delivery, 1);
	routing_lookup(c->routing, "x@nowhere.test", &d, NULL);
	assert_int_equal(d.kind, ROUTING_SITE);
	assert_string_equal(d.site, "oslo");
	assert_int_equal(d.cost[0], 7);
	conf_free(c);
}

#define HEX32 "00112233445566778899aabbccddeeff"

static void
test_tls(void **state)
{
	struct conf *c = load_good("site a { postmaster = a@b.example\n"
	    "tls-certificate = /c }\n"
	    "listen 10.0.0.1:26 { protocol = lmtp; hide = { size, DSN }\n"
	    "bare-newlines = normalize; tls = require; allow = { \"cert:"
	    "00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF" HEX32 "\" } }\n"
	    "listen 10.0.0.1:27 { }\nlisten 10.0.0.1:28 { tls = no }\n"
	    "delivery d { domains = d.test; to = lmtp:10.0.0.2:24\n"
	    "tls = fingerprint; tls-fingerprint = { " HEX32 HEX32 ", "
	    HEX32 HEX32 " }\nend-timeout = 20m }\n"
	    "delivery e { domains = e.test; to = \"command:/c -f %s -- %r\"\n"
	    "null-sender = \"<>\"; deadline = 1m }\n");
	unsigned char digest[CONF_FINGERPRINT_LEN] = { 0, 0x11 };

	(void)state;
	assert_true(c->listener[0].lmtp && c->listener[0].normalize);
	assert_int_equal(c->listener[0].hidden, SMTP_EXT_SIZE | SMTP_EXT_DSN);
	assert_int_equal(c->listener[0].tls, CONF_TLS_ENCRYPT);
	assert_true(c->listener[0].asks_certificate);
	assert_false(conf_net_match_cert(c->listener[0].allow, 1, digest));
	memcpy(digest, c->delivery[0].tls.fingerprint[1], sizeof(digest));
	assert_true(conf_net_match_cert(c->listener[0].allow, 1, digest));
	assert_int_equal(digest[31], 0xff);
	assert_int_equal(c->listener[1].tls, CONF_TLS_MAY);
	assert_int_equal(c->listener[2].tls, CONF_TLS_NO);
	assert_int_equal(c->delivery[0].kind, CONF_DELIVERY_LMTP);
	assert_int_equal(c->delivery[0].tls.nfingerprints, 2);
	assert_int_equal(c->delivery[0].timeouts.end_secs, 1200);
	assert_int_equal(c->delivery[0].timeouts.mail_secs, 300);
	assert_int_equal(c->delivery[1].kind, CONF_DELIVERY_COMMAND);
	assert_string_equal(c->delivery[1].target, "/c -f %s -- %r");
	assert_string_equal(c->delivery[1].null_sender, "<>");
	assert_int_equal(c->delivery[1].deadline_secs, 60);
	conf_free(c);
}

/* One fault each: the line and a part of its words. */
static void
test_faults(void **state)
{
	static const struct {
		const char *text, *want;
	} cases[] = {
		{ "", "1: there is no section site" },
		{ "site a { }\n", "1: section site needs postmaster" },
		{ SITE SITE, "2: there are two sections site, the first in "
		    "line 1" },
		{ SITE "\nfoo { }\n", "3: unknown section foo" },
		{ SITE "x = 1\n", "2: unknown setting x" },
		{ SITE "peer = 1\n", "2: peer is a section" },
		{ SITE "peer { }\n", "2: section peer takes one title" },
		{ SITE "peer a b { }\n", "2: section peer takes one title" },
		{ SITE "peer a b c { }\n", "2: unexpected c behind peer" },
		{ SITE "peer a/b { }\n", "2: peer a/b: a name holds" },
		{ SITE "peer paris { }\n", "2: paris is this site itself" },
		{ SITE "peer a { }\npeer a { }\n", "3: there are two peers a" },
		{ SITE "peer a { dialect = uucp }\n", "2: dialect = uucp: "
		    "write bsmtp, rfc2442 or native" },
		{ SITE "peer a { dialect = native\nparcel-size = 2047 }\n",
		    "3: parcel-size = 2047: the least is 2048" },
		{ SITE "peer a { dialect = native\nshape = even }\n",
		    "3: shape = even: write none, padme or a size" },
		{ SITE "peer a { dialect = native\nshape = 10 }\n",
		    "3: shape = 10: the least is 2048" },
		{ SITE "peer a { dialect = native\nseal = no }\n",
		    "3: seal = no: write seal or sign" },
		{ SITE "peer a { psk-file = key }\n", "2: psk-file = key: a "
		    "path must begin with /" },
		{ OTHER("reach = { \"tcp host\" }"),
		    "1: reach = tcp host: write KEY=VALUE" },
		{ OTHER("reach = { \"tcp a=1 a=2\" }"),
		    "1: reach = tcp a=1 a=2: a is set twice" },
		{ OTHER("reach = { a, b, c, d, e, f, g, h, i }"),
		    "1: reach has at most 8 items" },
		{ OTHER("key-life = 10m"),
		    "1: key-life = 10m: the least is 3600" },
		/* half of it holds 5d of lifetime and 30d of gap */
		{ OTHER("\nkey-life = 69d"), "2: key-life: half of it, 34d "
		    "12h, is how long" },
		{ OTHER("longest-gap = 41d\nkey-life = 90d"),
		    "2: key-life: half of it, 45d, is how long an old key "
		    "and the next are both good; the longest lifetime of mail "
		    "and the longest gap between contacts take 46d" },
		{ SITE "peer a { dialect = rfc2442\ncompress = gzip\n"
		       "encoding = 8bit }\n",
		    "4: compress = gzip needs encoding = base64" },
		{ SITE "peer a { batch-size = 0 }\n", "2: batch-size = 0" },
		{ SITE "peer a { batch-count = 0 }\n", "2: batch-count = 0" },
		{ SITE "peer a { cost = 010 }\n", "2: cost = 010: a leading "
		    "zero" },
		{ SITE "peer a { cost = 0 }\n", "2: cost = 0: the least is 1" },
		{ SITE "peer a { cost = 1x }\n", "2: cost = 1x: write a "
		    "number" },
		{ SITE "peer a { cost = -1 }\n", "2: cost = -1: write a "
		    "number" },
		{ SITE "peer a { cost = 99999999999999999999 }\n",
		    "2: cost = 99999999999999999999: too large" },
		{ SITE "peer a { batch-size = 1h }\n", "2: batch-size = 1h: "
		    "write a size" },
		{ SITE "peer a { lifetime = 10M }\n", "2: lifetime = 10M: "
		    "write a time" },
		{ SITE "peer a { lifetime = 1h05m }\n", "2: lifetime = 1h05m: "
		    "a leading zero" },
		{ SITE "peer a { retry-min = 2h }\n", "2: retry-max is less" },
		{ SITE "peer a { stays = true }\n", "2: stays = true: write no "
		    "or yes" },
		{ SITE "peer a { call = { every 5m,\n daily } }\n",
		    "3: call = daily" },
		{ SITE "peer a { call = every never }\n", "2: call = " },
		{ SITE "peer a { extensions = FOO }\n", "2: extensions = FOO" },
		{ SITE "peer a { extensions = STARTTLS }\n",
		    "2: extensions = STARTTLS" },
		{ SITE "peer a { extensions = BINARYMIME }\n",
		    "2: BINARYMIME needs CHUNKING" },
		{ SITE "peer a { set = { a=1, a=2 } }\n", "2: set: a is set "
		    "twice" },
		{ SITE "peer a { set = { noequals } }\n", "2: set = noequals" },
		{ SITE "peer a { may-reach = { a..b } }\n", "2: may-reach = "
		    "a..b" },
		{ SITE "peer a { may-reach = { } }\n", "2: may-reach: an empty "
		    "list" },
		{ SITE "peer a { may-reach = x.test; may-relay = yes }\n",
		    "2: may-relay = yes means" },
		{ SITE "peer a { receive-users = 007 }\n", "2: receive-users = "
		    "007" },
		{ SITE "peer a { transport = bin/carry }\n", "2: transport = "
		    "bin/carry: a path must begin with /" },
		{ SITE "peer a { transport = mail\ndialect = bsmtp }\n",
		    "3: the transport mail does not carry this dialect" },
		{ SITE "peer a { cots = 1 }\n", "2: unknown key cots in "
		    "section peer: is cost meant?" },
		{ SITE "peer a { cost = { 1 } }\n", "2: cost takes one value" },
		{ SITE "peer a { cost { } }\n", "2: cost is a setting" },
		{ SITE "peer a { address = nobody }\n", "2: address = nobody" },
		{ SITE "link a a { }\n", "2: a link from a to itself" },
		{ SITE "link a b { }\nlink b a { }\n", "3: there are two "
		    "links" },
		{ SITE "link paris b { }\n", "2: paris is this site itself" },
		{ SITE "routes { x.example = nowhere }\n", "2: x.example is "
		    "routed to site nowhere, which is neither" },
		{ SITE "link a b { }\nroutes { x.example = a }\n", "3: "
		    "x.example is routed to site a, which no link or peer" },
		{ SITE "peer a { }\nroutes { x.test = a; X.test = a }\n",
		    "3: X.test is routed already" },
		{ SITE "peer a { }\nroutes { x..test = a }\n", "3: " },
		{ SITE LOCAL "peer a { }\nroutes { paris.example = a }\n",
		    "4: paris.example is local already" },
		{ SITE "routes { a = { b } }\n", "2: a: a route is written" },
		{ SITE "delivery a { to = maildir:/m }\n", "2: section "
		    "delivery needs domains" },
		{ SITE "delivery a { domains = x.test }\n", "2: section "
		    "delivery needs to" },
		{ SITE LOCAL "delivery b { domains = { x.test,\n"
		    "Paris.Example }\nto = maildir:/m }\n", "4: Paris.Example "
		    "is local already" },
		{ SITE LOCAL "delivery local { domains = x.test; "
		    "to = maildir:/m }\n", "3: there are two deliveries" },
		{ SITE "delivery a { domains = x.test; to = /m }\n",
		    "2: to = /m: write smtp:" },
		{ SITE "delivery a { domains = x.test; to = maildir:m }\n",
		    "2: to = maildir:m: a path must begin with /" },
		{ SITE "delivery a { domains = x.test; to = maildir:/%x }\n",
		    "2: to = maildir:/%x: a %" },
		{ SITE "delivery a { domains = x.test; to = smtp:mx:25 }\n",
		    "2: to = smtp:mx:25: mx:25: write the address in numbers" },
		{ SITE "delivery a { domains = x.test; to = smtp:127.0.0.1 }\n",
		    "2: to = smtp:127.0.0.1: 127.0.0.1: a port" },
		{ SITE "delivery a { domains = x.test;\n to = "
		    "smtp:127.0.0.1:2442 }\n", "3: 127.0.0.1:2442 is this "
		    "node's own listener" },
		{ SITE "listen 0.0.0.0:25 { }\ndelivery a { domains = x.test;\n"
		    " to = smtp:127.0.0.9:25 }\n", "4: 127.0.0.9:25 is this" },
		{ SITE "listen \"[::]:25\" { }\ndelivery a { domains = x.test;"
		    "\n to = smtp:localhost:25 }\n", "4: localhost:25 is" },
		{ SITE "listen unix:/s { }\ndelivery a { domains = x.test\n"
		    "to = smtp:unix:/s }\n", "4: unix:/s is this" },
		{ SITE "delivery a { domains = x.test; to = maildir:/m; users "
		    "= { a, b/c } }\n", "2: users = b/c" },
		{ SITE "delivery a { domains = x.test; to = maildir:/m; users "
		    "= { .. } }\n", "2: users = .." },
		{ SITE "delivery a { domains = x.test; to = maildir:/m; users "
		    "= { a@x.test } }\n", "2: users = a@x.test" },
		{ SITE "listen 127.0.0.1:25 { }\nlisten 127.0.0.1:25 { }\n",
		    "3: there are two listeners" },
		{ SITE "listen 127.0.0.1:0 { }\n", "2: listen 127.0.0.1:0" },
		{ SITE "listen 127.0.0.1:65536 { }\n", "2: listen 127" },
		{ SITE "listen 127.0.0.1:025 { }\n", "2: listen 127" },
		{ SITE "listen ::1:25 { }\n", "2: listen ::1:25: write" },
		{ SITE "listen unix:s { }\n", "2: listen s: the path" },
		{ SITE "listen a:25 { allow = 10.0.0.0/8 }\n", "2: listen a" },
		{ SITE "listen 10.0.0.1:25 { allow = 10.0.0.1/8 }\n",
		    "2: allow = 10.0.0.1/8" },
		{ SITE "listen 10.0.0.1:25 { allow = 10.0.0.0/33 }\n",
		    "2: allow = 10.0.0.0/33" },
		{ SITE "listen 10.0.0.1:26 { protocol = lmtp; tls = offer }\n",
		    "2: TLS needs a certificate" },
		{ SITE "listen 10.0.0.1:25 { protocol = lmtp }\n", "2: LMTP is "
		    "not spoken on port 25" },
		{ SITE "listen 10.0.0.1:26 { allow = cert:00 }\n",
		    "2: allow = cert:00: a fingerprint is" },
		{ SITE "listen 10.0.0.1:26 { hide = XGZIP }\n",
		    "2: hide = XGZIP" },
		{ SITE "listen 10.0.0.1:26 { bare-newlines = accept }\n",
		    "2: bare-newlines = accept: write reject or normalize" },
		{ "site a { postmaster = a@b.example\ntls-key = /k }\n",
		    "2: tls-key without" },
		{ "site a { postmaster = a@b.example; tls-certificate = /c }\n"
		    "listen 10.0.0.1:26 { tls = no\nallow = \"cert:" HEX32
		    HEX32 "\" }\n", "2: allow names a certificate" },
		{ SITE "delivery a { domains = x.test; to = smtp:10.0.0.1:25\n"
		    "tls = fingerprint }\n", "3: tls = fingerprint and" },
		{ SITE "delivery a { domains = x.test; to = smtp:10.0.0.1:25\n"
		    "tls-fingerprint = { " HEX32 HEX32 " } }\n",
		    "2: tls = fingerprint and" },
		{ SITE "delivery a { domains = x.test; to = lmtp:unix:/l\n"
		    "tls = name }\n", "3: a UNIX socket has no name" },
		{ SITE "delivery a { domains = x.test; to = command:cat }\n",
		    "2: to = command:cat: a path must begin with /" },
		{ SITE "delivery a { domains = x.test; to = \"command:/c %x\" }"
		    "\n", "2: to = command:/c %x: a % stands before" },
		{ SITE "delivery a { domains = x.test; to = \"command:/c%r x\" "
		    "}\n", "2: to = command:/c%r x: no % in the path" },
		{ SITE "listen 10.0.0.1:25 { allow = unix:no-such-one }\n",
		    "2: allow = unix:no-such-one" },
		{ SITE "listen 10.0.0.1:25 { mode = 8 }\n", "2: mode = 8" },
		{ "site a { postmaster = x }\n", "1: postmaster = x" },
		{ "site a { postmaster = p@x.test; log = file }\n",
		    "1: log = file: write stderr" },
		{ "site a { postmaster = p@x.test; spool = s }\n",
		    "1: spool = s: a path must begin with /" },
		{ "site a { postmaster = p@x.test\ncache = 8K }\n",
		    "2: cache = 8K: the least" },
		{ "site a { postmaster = p@x.test\nretry-max = 1s }\n",
		    "2: retry-max is less" },
		{ "site a { postmaster = p@x.test; backup-every = 1h }\n",
		    "1: backup-every without backup-dir" },
		{ "site a { postmaster = p@x.test\nmaps = { /no/such/map } }\n",
		    "2: cannot open /no/such/map" },
		{ "site a { postmaster = p@x.test;\nvia = 127.0.0.1:2442 }\n",
		    "2: 127.0.0.1:2442 is this" },
		{ "site a { postmaster = eve@x.test }\ndelivery a { users = "
		    "ann; domains = x.test; to = maildir:/m }\n", "1: "
		    "postmaster eve@x.test is in a local domain" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(cases); i++) {
		struct buf told = BUF_INIT;
		struct conf *conf = load(cases[i].text, &told);
		const char *at;

		if (conf != NULL)
			fail_msg("taken: %s", cases[i].text);
		at = strstr(buf_cstr(&told), cases[i].want);
		if (at == NULL || (at != told.ptr && at[-1] != '\n'))
			fail_msg("%s\nwants %s\nhas %s", cases[i].text,
			    cases[i].want, buf_cstr(&told));
		buf_release(&told);
	}
}

/* Many faults at once: all of them, at their lines, and nothing else. */
static void
test_all_faults(void **state)
{
	static const unsigned lines[] = { 2, 3, 4, 5, 6, 7, 9, 10, 12, 16, 17,
		18, 20, 21, 22 };
	struct buf told = BUF_INIT;
	struct conf *conf = load("site paris {\n"
	    "hostnme = x\n"				/* 2 unknown */
	    "message-max = 010\n"			/* 3 zero */
	    "message-max = 10M\n"			/* 4 twice */
	    "hostname =\n"				/* 5 no value */
	    "line-max = \"1M\n"				/* 6 not closed */
	    "trace none\n"				/* 7 no = */
	    "lifetime = 5d # good\n"
	    "spool = here\n"				/* 9 relative */
	    "cache = 8M, 9M\n"				/* 10 comma */
	    "postmaster = p@other.test }\n"
	    "} // too many\n"				/* 12 */
	    "delivery a {\n"
	    "\tdomains = {\n"
	    "\t\ta.test\n"
	    "\t\tb.test,\n"				/* 16 comma */
	    "\t\tc..test, }\n"				/* 17 bad */
	    "\tto = nowhere\n"				/* 18 */
	    "}\n"
	    "peer { x = { y } }\n"			/* 20 no title */
	    "routes { z.test = atlantis }\n"		/* 21 */
	    "= 5\n",					/* 22 */
	    &told);
	bool want[32] = { false }, seen[32] = { false };
	struct slice rest;
	unsigned i;

	(void)state;
	assert_null(conf);
	for (i = 0; i < COUNT(lines); i++)
		want[lines[i]] = true;
	rest = buf_slice(&told);
	while (rest.len > 0) {
		size_t len = (size_t)((const char *)memchr(rest.ptr, '\n',
		    rest.len) - rest.ptr) + 1;

		i = (unsigned)strtoul(rest.ptr, NULL, 10);
		assert_true(i < 32);
		if (memmem(rest.ptr, len, "warning", 7) == NULL)
			seen[i] = true;
		rest.ptr += len;
		rest.len -= len;
	}
	for (i = 0; i < 32; i++)
		if (seen[i] != want[i])
			fail_msg("line %u: %s", i, buf_cstr(&told));
	buf_release(&told);
}

static void
test_syntax(void **state)
{
	static const char *const good[] = {
		"site 'paris'\n{\npostmaster\n= postmaster@paris.example;;}",
		"# c\n// c\n/* c\n c */ " SITE "/**/",
		"site paris { /* } */ postmaster = \"p@x.test\" # }\n}\r\n",
		"site paris { postmaster = p@x.test }; peer a { set = {\n"
		    "a=1, // one\n'b=\\n',\n} }",
		SITE "peer a { may-send-as = x.test; }",
	};
	struct conf *c;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(good); i++)
		conf_free(load_good(good[i]));
	c = load_good(SITE "peer a { set = { \"a=\\\"\\\\\", 'b=\\\"' } }");
	assert_string_equal(c->peer[0].lane[0].set.item[0], "a=\"\\");
	conf_free(c);
}

/* Cut anywhere, or with any octet changed, a file is read to its end. */
static void
test_damage(void **state)
{
	static const char text[] = "site paris { postmaster = \"p@x.test\" }\n"
	    "peer a { set = { a=1, 'b=2' } /* c */ cost = 3 } # d\n"
	    "link a b { cost = 1 }\nroutes { \"*\" = a; .x = b }\n";
	static const char marks[] = "{}=;,\"'#/*\\\n x\xff";
	char copy[sizeof(text)];
	size_t i, k;

	(void)state;
	for (i = 0; i < sizeof(text); i++) {
		memcpy(copy, text, sizeof(text));
		copy[i] = '\0';
		conf_free(load(copy, NULL));
		for (k = 0; k < sizeof(marks) - 1; k++) {
			memcpy(copy, text, sizeof(text));
			if (i < sizeof(text) - 1)
				copy[i] = marks[k];
			conf_free(load(copy, NULL));
		}
	}
}

static void
test_nul(void **state)
{
	static const char text[] = "site paris { postmaster = p\0@x.test }\n";
	struct conf_faults f = { NULL, NULL, "f", 0, NULL };
	struct conf_node root;

	(void)state;
	conf_parse((struct slice){ text, sizeof(text) - 1 }, &f, &root);
	assert_int_equal(f.count, 1);
	assert_string_equal(f.first, "f:1: a NUL octet");
	conf_faults_release(&f);
	conf_node_release(&root);
}

static void
expect_match(const char *net, const char *addr, bool want)
{
	struct conf_net n;
	struct conf_endpoint end;
	struct err e = ERR_INIT;

	if (conf_net_parse(net, &n, &e) < 0 ||
	    conf_endpoint_parse(addr, &end, &e) < 0)
		fail_msg("%s", e.text);
	if (conf_net_match(&n, 1, &end.at, 7) != want)
		fail_msg("%s %s", net, addr);
}

static void
test_nets(void **state)
{
	struct sockaddr_in6 mapped = { .sin6_family = AF_INET6 };
	struct conf_net n;

	(void)state;
	expect_match("127.0.0.0/8", "127.9.9.9:1", true);
	expect_match("127.0.0.0/8", "128.0.0.1:1", false);
	expect_match("192.0.2.128/25", "192.0.2.127:1", false);
	expect_match("192.0.2.128/25", "192.0.2.128:1", true);
	expect_match("192.0.2.1", "192.0.2.1:1", true);
	expect_match("192.0.2.1", "192.0.2.2:1", false);
	expect_match("0.0.0.0/0", "203.0.113.1:1", true);
	expect_match("0.0.0.0/0", "[2001:db8::1]:1", false);
	expect_match("2001:db8::/33", "[2001:db8:7fff::1]:1", true);
	expect_match("2001:db8::/33", "[2001:db8:8000::1]:1", false);
	expect_match("unix", "unix:/s", true);
	expect_match("unix:7", "unix:/s", true);
	expect_match("unix:8", "unix:/s", false);
	expect_match("unix", "127.0.0.1:1", false);
	assert_int_equal(conf_net_parse("127.0.0.0/8", &n, NULL), 0);
	assert_int_equal(inet_pton(AF_INET6, "::ffff:127.0.0.1",
	    &mapped.sin6_addr), 1);
	assert_true(conf_net_match(&n, 1, &mapped, 0));
}

static void
test_socket_path(void **state)
{
	char text[512], path[128];

	(void)state;
	memset(path, 'x', sizeof(path));
	path[0] = '/';
	path[107] = '\0';
	(void)snprintf(text, sizeof(text), SITE "listen unix:%s { }\n", path);
	conf_free(load_good(text));
	path[107] = 'x';
	path[108] = '\0';
	(void)snprintf(text, sizeof(text), SITE "listen unix:%s { }\n", path);
	assert_null(load(text, NULL));
	(void)snprintf(text, sizeof(text), "site a { postmaster = p@x.test; "
	    "run = %s }\n", path);
	assert_null(load(text, NULL));
}

static void
expect_restart(const char *a, const char *b, const char *want)
{
	struct conf *old = load_good(a), *new_ = load_good(b);
	struct buf out = BUF_INIT;

	assert_int_equal(conf_needs_restart(old, new_, &out), want[0] != '\0');
	assert_string_equal(buf_cstr(&out), want);
	buf_release(&out);
	conf_free(old);
	conf_free(new_);
}

static void
test_restart(void **state)
{
	(void)state;
	expect_restart(SITE, SITE LOCAL "peer a { }\n", "");
	expect_restart(SITE, OTHER("log-level = debug; message-max = 5M"), "");
	expect_restart(SITE, OTHER("spool = /s; cache = 9M"),
	    "spool, keys, cache");
	expect_restart(SITE, OTHER("run = /r"), "run, control");
	expect_restart(OTHER("user = a"), OTHER("group = b"), "user, group");
	expect_restart(SITE, OTHER("log = syslog"), "log");
	expect_restart(SITE, SITE "listen 127.0.0.1:25 { }\n", "listen");
	expect_restart(SITE "listen 127.0.0.1:25 { }\n",
	    SITE "listen 127.0.0.1:25 { allow = unix }\n", "");
}

static void
read_page(struct buf *page)
{
	struct err e = ERR_INIT;

	if (file_read(PAGE, 1 << 20, page, &e) < 0)
		fail_msg("%s", e.text);
}

/* Is there an item for the key between the heading and the next? */
static bool
documented(const char *page, const char *section, const char *key)
{
	char *head = mem_printf("\n.Sh SECTION %s\n", section);
	char *item = mem_printf("\n.It Cm %s No = ", key);
	const char *from, *to, *at;
	size_t i;

	for (i = 0; head[i] != '\0'; i++)
		if (i > 5 && head[i] >= 'a' && head[i] <= 'z')
			head[i] = (char)(head[i] - 'a' + 'A');
	from = strstr(page, head);
	to = from != NULL ? strstr(from + 1, "\n.Sh ") : NULL;
	at = from != NULL ? strstr(from, item) : NULL;
	free(head);
	free(item);
	return at != NULL && to != NULL && at < to;
}

static void
test_page(void **state)
{
	struct buf page = BUF_INIT;
	const struct conf_table *t;
	size_t n, i, k, rows = 0, items = 0;
	const char *p;

	(void)state;
	read_page(&page);
	t = conf_tables(&n);
	for (i = 0; i < n; i++)
		for (k = 0; k < t[i].nrows; k++, rows++)
			if (!documented(buf_cstr(&page), t[i].section,
			    t[i].row[k].key))
				fail_msg("%s: %s is not in the page",
				    t[i].section, t[i].row[k].key);
	/* And no item is there without a key. */
	for (p = buf_cstr(&page); (p = strstr(p, "\n.It Cm ")) != NULL; p++)
		if (strstr(p, " No = ") != NULL &&
		    strstr(p, " No = ") < strchr(p + 1, '\n'))
			items++;
	assert_int_equal(items, rows);
	buf_release(&page);
}

static void
test_examples(void **state)
{
	struct buf page = BUF_INIT, told = BUF_INIT;
	struct err e = ERR_INIT;
	struct conf *conf;
	const char *from, *to;
	char *example;

	(void)state;
	read_page(&page);
	from = strstr(buf_cstr(&page), "\n.Sh EXAMPLES\n");
	assert_non_null(from);
	from = strstr(from, "\nsite ");
	assert_non_null(from);
	to = strstr(from, "\n.Ed");
	assert_non_null(to);
	example = mem_strndup(from, (size_t)(to - from) + 1);
	conf = load(example, &told);
	assert_string_equal(buf_cstr(&told), "");
	assert_non_null(conf);
	conf_free(conf);
	free(example);
	buf_clear(&page);
	assert_int_equal(file_read(SAMPLE, 1 << 20, &page, &e), 0);
	conf = load(buf_cstr(&page), &told);
	assert_string_equal(buf_cstr(&told), "");
	assert_non_null(conf);
	conf_free(conf);
	buf_release(&page);
	buf_release(&told);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_tls),
		cmocka_unit_test(test_faults),
		cmocka_unit_test(test_all_faults),
		cmocka_unit_test(test_syntax),
		cmocka_unit_test(test_damage),
		cmocka_unit_test(test_nul),
		cmocka_unit_test(test_nets),
		cmocka_unit_test(test_socket_path),
		cmocka_unit_test(test_restart),
		cmocka_unit_test(test_page),
		cmocka_unit_test(test_examples),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
