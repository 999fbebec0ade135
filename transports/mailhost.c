/* SPDX-License-Identifier: ISC */
/*
 * The settings of a server.  What would send a password where others can read
 * it, or believe any server, has to be asked for by name; nothing is left out
 * in silence because the server does not offer it.
 */
#include "transports/mailhost_private.h"
#include "base/mem.h"
#include "base/secret.h"
#include "base/text.h"
#include "transports/place.h"
#include "transports/program.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct scheme {
	const char *name, *key;
	enum mailhost_protocol protocol;
	bool tls_first;
	unsigned port;
};

static const struct scheme schemes[] = {
	{ "smtp", "submit", MAILHOST_SMTP, false, 587 },
	{ "smtps", "submit", MAILHOST_SMTP, true, 465 },
	{ "imap", "fetch", MAILHOST_IMAP, false, 143 },
	{ "imaps", "fetch", MAILHOST_IMAP, true, 993 },
	{ "pop3", "fetch", MAILHOST_POP3, false, 110 },
	{ "pop3s", "fetch", MAILHOST_POP3, true, 995 },
};

struct mechanism {
	const char *name, *options;
	bool clear;		/* whoever sees it has the password */
	unsigned ways;		/* what is taken where libcurl has no way */
};

static const struct mechanism mechanisms[] = {
	{ "plain", "AUTH=PLAIN", true, 0 },
	{ "login", "AUTH=LOGIN", true, LOGIN_COMMAND },
	{ "cram-md5", "AUTH=CRAM-MD5", false, 0 },
	{ "scram-sha-1", "AUTH=SCRAM-SHA-1", false, LOGIN_SCRAM_SHA_1 },
	{ "scram-sha-256", "AUTH=SCRAM-SHA-256", false,
	    LOGIN_SCRAM_SHA_256 },
	{ "xoauth2", "AUTH=XOAUTH2", true, 0 },
	{ "oauthbearer", "AUTH=OAUTHBEARER", true, 0 },
};

#define SCRAM "AUTH=SCRAM-SHA-256;AUTH=SCRAM-SHA-1"
#define OUR_SCRAM (LOGIN_SCRAM_SHA_256 | LOGIN_SCRAM_SHA_1)

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* "submit-user" or, if that is not set, "user". */
static const char *
setting(struct contract *c, const char *key, const char *name)
{
	const char *value = contract_setting(c, name, NULL);
	char *own = mem_printf("%s-%s", key, name);

	value = contract_setting(c, own, value);
	free(own);
	return value;
}

static int
hex_digit(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = c == '\0' ? NULL : strchr(digits, ascii_tolower(c));

	return at != NULL ? (int)(at - digits) : -1;
}

/* Percent-decoded; NULL: an octet that is not visible ASCII, or no hex. */
static char *
decode(struct slice s)
{
	struct buf out = BUF_INIT;
	bool good = true;

	for (size_t i = 0; i < s.len && good; i++) {
		char c = s.ptr[i];

		if (c == '%') {
			int high = i + 2 < s.len ? hex_digit(s.ptr[i + 1]) :
			    -1;
			int low = i + 2 < s.len ? hex_digit(s.ptr[i + 2]) :
			    -1;

			good = high >= 0 && low >= 0;
			c = (char)(high * 16 + low);
			i += 2;
		}
		good = good && c >= ' ' && c <= '~';
		if (good)
			buf_addc(&out, c);
	}
	if (!good) {
		buf_release(&out);
		return NULL;
	}
	return out.len > 0 ? buf_steal(&out) : mem_strdup("");
}

static const struct scheme *
scheme_of(const char *key, struct slice name)
{
	for (size_t i = 0; i < COUNT(schemes); i++)
		if (slice_eqs(name, schemes[i].name) &&
		    strcmp(key, schemes[i].key) == 0)
			return &schemes[i];
	return NULL;
}

static bool
is_host(struct slice host)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyz"
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:";

	if (host.len == 0 || host.len > 255)
		return false;
	for (size_t i = 0; i < host.len; i++)
		if (strchr(plain, host.ptr[i]) == NULL)
			return false;
	return true;
}

/* "[v6]:port", "host:port", "host". */
static int
take_host(struct mailhost *h, struct slice text)
{
	const char *colon = memrchr(text.ptr, ':', text.len);
	struct slice host = text;
	uint64_t port = h->port;
	bool bracket = text.len > 0 && text.ptr[0] == '[';

	if (bracket && colon != NULL &&
	    memchr(colon, ']', text.len - (size_t)(colon - text.ptr)) != NULL)
		colon = NULL;
	if (colon != NULL) {
		struct slice digits = { colon + 1,
		    text.len - (size_t)(colon - text.ptr) - 1 };

		host.len = (size_t)(colon - text.ptr);
		if (num_parse(digits, 65535, &port) < 0 || port == 0)
			return ERR_SYNTAX;
	}
	if (bracket) {
		if (host.len < 3 || host.ptr[host.len - 1] != ']')
			return ERR_SYNTAX;
		host = (struct slice){ host.ptr + 1, host.len - 2 };
	}
	if (!is_host(host) || (!bracket &&
	    memchr(host.ptr, ':', host.len) != NULL))
		return ERR_SYNTAX;
	h->host = slice_dup(host);
	h->port = (unsigned)port;
	return 0;
}

static int
take_authority(struct mailhost *h, const char *key, struct slice text,
    struct err *e)
{
	const char *at = memrchr(text.ptr, '@', text.len);
	struct slice user = { text.ptr, 0 };

	if (at != NULL) {
		user.len = (size_t)(at - text.ptr);
		text.ptr = at + 1;
		text.len -= user.len + 1;
		/* Not even in the message. */
		if (memchr(user.ptr, ':', user.len) != NULL)
			return err_set(e, ERR_CONFIG, "%s: a password does "
			    "not belong into the URL, where others can see "
			    "it: use password-file", key);
		h->user = decode(user);
	}
	if (take_host(h, text) < 0 || (at != NULL && (h->user == NULL ||
	    h->user[0] == '\0')))
		return err_set(e, ERR_CONFIG, "%s: want a URL such as "
		    "%s", key, strcmp(key, "submit") == 0 ?
		    "smtps://mail.example.com" :
		    "imaps://mail.example.com/INBOX");
	return 0;
}

static int
take_url(struct mailhost *h, const char *key, const char *url, struct err *e)
{
	const char *colon = strstr(url, "://");
	const struct scheme *s = colon == NULL ? NULL :
	    scheme_of(key, (struct slice){ url, (size_t)(colon - url) });
	const char *rest = colon + 3;
	size_t len;
	int rc;

	if (s == NULL)
		return err_set(e, ERR_CONFIG, "%s: want a URL of %s", key,
		    strcmp(key, "submit") == 0 ? "smtp:// or smtps://" :
		    "imap://, imaps://, pop3:// or pop3s://");
	h->protocol = s->protocol;
	h->tls_first = s->tls_first;
	h->port = s->port;
	len = strcspn(rest, "/");
	rc = take_authority(h, key, (struct slice){ rest, len }, e);
	if (rc < 0)
		return rc;
	h->path = decode(slice_of(rest[len] == '/' ? rest + len + 1 : ""));
	if (h->path == NULL || (h->protocol != MAILHOST_IMAP &&
	    h->path[0] != '\0'))
		return err_set(e, ERR_CONFIG, "%s: what stands behind the "
		    "host is no mailbox (IMAP alone has those, with names in "
		    "ASCII: RFC 3501 5.1.3)", key);
	h->name = mem_printf(strchr(h->host, ':') != NULL ?
	    "%s://[%s]:%u" : "%s://%s:%u", s->name, h->host, h->port);
	return 0;
}

static int
want_path(const char *name, const char *value, struct err *e)
{
	if (value == NULL || value[0] == '/')
		return 0;
	return err_set(e, ERR_CONFIG, "%s=%s: want an absolute path", name,
	    value);
}

static int
read_login(struct mailhost *h, const char *key, struct err *e)
{
	struct contract *c = h->contract;
	const char *user = setting(c, key, "user");
	const char *fd = setting(c, key, "password-fd");
	const char *command = setting(c, key, "token-command");
	uint64_t n = 0;
	int rc, ways;

	h->password_file = setting(c, key, "password-file");
	h->token_file = setting(c, key, "token-file");
	if (h->user == NULL && user != NULL)
		h->user = mem_strdup(user);
	if (fd != NULL && (num_parse(slice_of(fd), 65535, &n) < 0 || n < 3))
		return err_set(e, ERR_CONFIG, "password-fd=%s: want the "
		    "number of a descriptor, at least 3", fd);
	h->password_fd = fd != NULL ? (int)n : -1;
	rc = want_path("password-file", h->password_file, e);
	if (rc == 0)
		rc = want_path("token-file", h->token_file, e);
	if (rc < 0)
		return rc;
	if (command != NULL &&
	    program_split(command, &h->token_command, e) < 0) {
		err_prefix(e, "token-command");
		return ERR_CONFIG;
	}
	if (h->user != NULL && h->user[0] == '\0')
		return err_set(e, ERR_CONFIG, "user=: want a name, or leave "
		    "it away");
	ways = (h->password_file != NULL) + (fd != NULL) +
	    (h->token_file != NULL) + (command != NULL);
	if (ways > 1 || (ways == 1) != (h->user != NULL))
		return err_set(e, ERR_CONFIG, "%s: a login takes user and "
		    "one of password-file, password-fd, token-file and "
		    "token-command", key);
	return 0;
}

static int
read_tls(struct mailhost *h, const char *key, struct err *e)
{
	static const char *const kinds[] = {
		[MAILHOST_TLS_NAME] = "name", [MAILHOST_TLS_CA] = "ca",
		[MAILHOST_TLS_PIN] = "pin", [MAILHOST_TLS_NO] = "no"
	};
	struct contract *c = h->contract;
	const char *kind = setting(c, key, "tls");
	size_t i = 0;
	int rc;

	while (kind != NULL && i < COUNT(kinds) && strcmp(kind, kinds[i]) != 0)
		i++;
	if (i == COUNT(kinds))
		return err_set(e, ERR_CONFIG, "tls=%s: want name, ca, pin or "
		    "no", kind);
	h->tls = (enum mailhost_tls)i;
	h->ca = setting(c, key, "tls-ca");
	h->cert_name = setting(c, key, "tls-name");
	h->pin = setting(c, key, "tls-pin");
	h->cert = setting(c, key, "tls-cert");
	h->key = setting(c, key, "tls-key");
	rc = want_path("tls-ca", h->ca, e);
	if (rc == 0)
		rc = want_path("tls-cert", h->cert, e);
	if (rc == 0)
		rc = want_path("tls-key", h->key, e);
	if (rc < 0)
		return rc;
	if (h->pin != NULL && strncmp(h->pin, "sha256//", 8) != 0)
		return err_set(e, ERR_CONFIG, "tls-pin=%s: want sha256// and "
		    "the hash of the public key in base64", h->pin);
	if (h->cert_name != NULL && !is_host(slice_of(h->cert_name)))
		return err_set(e, ERR_CONFIG, "tls-name=%s: want a domain",
		    h->cert_name);
	if (h->tls == MAILHOST_TLS_PIN && h->pin == NULL)
		return err_set(e, ERR_CONFIG, "tls=pin needs tls-pin");
	if (h->tls == MAILHOST_TLS_NO && h->tls_first)
		return err_set(e, ERR_CONFIG, "%s: tls=no, and a URL that "
		    "means TLS", key);
	if ((h->cert == NULL) != (h->key == NULL))
		return err_set(e, ERR_CONFIG, "tls-cert and tls-key belong "
		    "together");
	return 0;
}

/* Nobody but the server sees what goes there in clear: this machine itself,
 * or a hidden service of Tor. */
static bool
is_sheltered(const struct mailhost *h)
{
	size_t len = strlen(h->host);
	struct in_addr v4;

	if (inet_pton(AF_INET, h->host, &v4) == 1)
		return ntohl(v4.s_addr) >> 24 == IN_LOOPBACKNET;
	return strcmp(h->host, "::1") == 0 ||
	    strcmp(h->host, "localhost") == 0 || (len > 6 &&
	    strcmp(h->host + len - 6, ".onion") == 0 && h->proxy != NULL);
}

static int
read_mechanism(struct mailhost *h, const char *key, struct err *e)
{
	const char *name = setting(h->contract, key, "auth");
	bool token = h->token_file != NULL || h->token_command != NULL;
	bool open = h->tls == MAILHOST_TLS_NO && !is_sheltered(h);
	bool clear = token;
	size_t i;

	h->mechanisms = token ? "AUTH=XOAUTH2" : open ?
	    SCRAM ";AUTH=CRAM-MD5" : SCRAM ";AUTH=PLAIN;AUTH=LOGIN";
	h->ways = token ? 0 : open ? OUR_SCRAM : OUR_SCRAM | LOGIN_COMMAND;
	h->ours_first = open && h->user != NULL;
	for (i = 0; name != NULL && i < COUNT(mechanisms); i++) {
		if (strcmp(name, mechanisms[i].name) != 0)
			continue;
		h->mechanisms = mechanisms[i].options;
		h->ways = mechanisms[i].ways;
		clear = mechanisms[i].clear;
		break;
	}
	if (i == COUNT(mechanisms) || (name != NULL && token !=
	    (strstr(name, "oauth") != NULL)))
		return err_set(e, ERR_CONFIG, "auth=%s: want plain, login, "
		    "cram-md5, scram-sha-1 or scram-sha-256, and "
		    "with a token xoauth2 or oauthbearer", name);
	if (h->user != NULL && clear && open)
		return err_set(e, ERR_CONFIG, "%s: tls=no, and everybody on "
		    "the way to %s could read the login", key, h->host);
	return 0;
}

static int
read_proxy(struct mailhost *h, const char *key, struct err *e)
{
	struct contract *c = h->contract;
	const char *socks = setting(c, key, "socks");
	struct place place = { NULL, NULL };
	int rc;

	h->proxy_user = setting(c, key, "socks-user");
	h->proxy_password_file = setting(c, key, "socks-password-file");
	rc = want_path("socks-password-file", h->proxy_password_file, e);
	if (rc == 0 && socks != NULL && (place_parse(socks, &place) < 0 ||
	    place.port == NULL))
		rc = err_set(e, ERR_CONFIG, "socks=%s: want HOST:PORT", socks);
	if (rc == 0 && (h->proxy_user != NULL) !=
	    (h->proxy_password_file != NULL))
		rc = err_set(e, ERR_CONFIG, "socks-user and "
		    "socks-password-file belong together");
	if (rc == 0 && h->proxy_user != NULL && socks == NULL)
		rc = err_set(e, ERR_CONFIG, "socks-user without socks");
	if (rc == 0 && socks != NULL)
		h->proxy = mem_printf("socks5h://%s", socks);
	place_release(&place);
	return rc;
}

int
mailhost_new(struct contract *c, const char *key, struct mailhost **h_out,
    struct err *e)
{
	const char *url = contract_setting(c, key, NULL);
	struct mailhost *h;
	int rc;

	*h_out = NULL;
	if (url == NULL)
		return 0;
	h = mem_alloc(1, sizeof(*h));
	h->contract = c;
	h->password_fd = -1;
	rc = take_url(h, key, url, e);
	if (rc == 0)
		rc = read_login(h, key, e);
	if (rc == 0)
		rc = read_tls(h, key, e);
	if (rc == 0)
		rc = read_proxy(h, key, e);
	if (rc == 0)
		rc = read_mechanism(h, key, e);
	if (rc < 0) {
		mailhost_free(h);
		return rc;
	}
	*h_out = h;
	return 0;
}

void
mailhost_free(struct mailhost *h)
{
	if (h == NULL)
		return;
	free(h->host);
	free(h->path);
	free(h->user);
	free(h->name);
	free(h->proxy);
	secret_free(h->password);
	program_words_free(h->token_command);
	free(h);
}

enum mailhost_protocol
mailhost_protocol(const struct mailhost *h)
{
	return h->protocol;
}

const char *
mailhost_name(const struct mailhost *h)
{
	return h->name;
}

const char *
mailhost_path(const struct mailhost *h)
{
	return h->path;
}

const char *
mailhost_user(const struct mailhost *h)
{
	return h->user != NULL ? h->user : "";
}

int
mailhost_check_files(const struct mailhost *h, struct err *e)
{
	const struct {
		const char *key, *path;
		bool secret;
	} files[] = {
		{ "password-file", h->password_file, true },
		{ "token-file", h->token_file, true },
		{ "socks-password-file", h->proxy_password_file, true },
		{ "tls-key", h->key, true }, { "tls-ca", h->ca, false },
		{ "tls-cert", h->cert, false }
	};

	for (size_t i = 0; i < COUNT(files); i++) {
		if (files[i].path == NULL)
			continue;
		if (files[i].secret && secret_file_check(files[i].path, e) < 0)
			return err_prefix(e, "%s", files[i].key), ERR_CONFIG;
		if (!files[i].secret && access(files[i].path, R_OK) != 0)
			return err_set(e, ERR_CONFIG, "%s: cannot read %s: "
			    "%s", files[i].key, files[i].path,
			    strerror(errno));
	}
	return 0;
}
