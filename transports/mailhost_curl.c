/* SPDX-License-Identifier: ISC */
/*
 * Connections by libcurl.  It resolves, goes through the proxy, makes TLS and
 * logs in, and then hands the connection over (CURLOPT_CONNECT_ONLY, which it
 * has for SMTP, IMAP and POP3): what is spoken from there on is ours.  Its own
 * transfers would not do: of several recipients' replies they tell one, they
 * clip long lines of IMAP and take lines inside of a mail for answers, and
 * they know no IDLE.
 *
 * Where the server offers no mechanism that it knows, it makes a second
 * connection without a login, and that is ours too: login.h.
 */
#include "transports/mailhost_private.h"
#include "base/mem.h"
#include "base/secret.h"
#include "base/text.h"
#include "transports/program.h"
#include "transports/scrub.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define TOKEN_MS 60000
#define TOKEN_LOOK_MS 20
#define GRACE_MS 2000
#define REPLY_MAX 300

struct call {
	struct stream stream;	/* first */
	CURL *curl;
	struct mailhost *host;
	char *password, *token, *proxy_password;
	bool ours;			/* the login is */
	bool tried;			/* it has begun */
	bool logged_in;			/* SMTP: 235 was said */
	char reply[REPLY_MAX + 1];	/* the last that was no success */
	char why[CURL_ERROR_SIZE];
};

static ssize_t
call_read(struct stream *s, void *into, size_t len, struct err *e)
{
	struct call *c = (struct call *)s;
	size_t n = 0;
	CURLcode code = curl_easy_recv(c->curl, into, len, &n);

	if (code == CURLE_AGAIN)
		return STREAM_AGAIN;
	if (code != CURLE_OK)
		return err_set(e, ERR_IO, "cannot read: %s",
		    curl_easy_strerror(code));
	return (ssize_t)n;
}

static ssize_t
call_write(struct stream *s, const void *octets, size_t len, struct err *e)
{
	struct call *c = (struct call *)s;
	size_t n = 0;
	CURLcode code = curl_easy_send(c->curl, octets, len, &n);

	if (code == CURLE_AGAIN)
		return STREAM_AGAIN;
	if (code != CURLE_OK || n == 0)
		return err_set(e, ERR_IO, "cannot write: %s",
		    curl_easy_strerror(code));
	return (ssize_t)n;
}

static void
forget_secrets(struct call *c)
{
	secret_free(c->password);
	secret_free(c->token);
	secret_free(c->proxy_password);
	c->password = c->token = c->proxy_password = NULL;
}

static void
call_close(struct stream *s)
{
	struct call *c = (struct call *)s;

	forget_secrets(c);
	if (c->curl != NULL)
		curl_easy_cleanup(c->curl);
	curl_global_cleanup();
	free(c);
}

static const struct stream_kind by_curl = {
	call_read, call_write, call_close
};

/*
 * Secrets.
 */
/* Whether it ended well, before it was late or we were told to stop. */
static int
await_command(struct mailhost *h, pid_t pid, struct err *e)
{
	int status = 0, waited = 0;

	while (!program_ended(pid, &status)) {
		if (waited > TOKEN_MS || contract_stopping(h->contract)) {
			(void)program_end(pid, GRACE_MS);
			return err_set(e, ERR_IO, "it was ended after %d s",
			    waited / 1000);
		}
		(void)poll(NULL, 0, TOKEN_LOOK_MS);
		waited += TOKEN_LOOK_MS;
	}
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return err_set(e, ERR_IO, "it failed with status %d",
		    WIFEXITED(status) ? WEXITSTATUS(status) : -1);
	return 0;
}

static int
run_token_command(struct mailhost *h, char **token_out, struct err *e)
{
	int fd[2] = { open("/dev/null", O_RDONLY | O_CLOEXEC),
		memfd_create("token", MFD_CLOEXEC) };
	pid_t pid;
	int rc = 0;

	if (fd[0] < 0 || fd[1] < 0)
		rc = err_errno(e, "cannot make a file for it");
	if (rc == 0)
		rc = program_start(h->token_command, fd, &pid, e);
	if (rc == 0)
		rc = await_command(h, pid, e);
	if (rc == 0 && lseek(fd[1], 0, SEEK_SET) != 0)
		rc = err_errno(e, "cannot read what it wrote");
	if (rc == 0)
		rc = secret_read_fd(fd[1], token_out, e);
	if (fd[0] >= 0)
		close(fd[0]);
	if (fd[1] >= 0)
		close(fd[1]);
	return rc < 0 ? err_prefix(e, "token-command") : 0;
}

/* A descriptor gives what it has once, so that is kept. */
static int
read_password_fd(struct mailhost *h, char **password_out, struct err *e)
{
	int rc = 0;

	if (h->password == NULL) {
		rc = secret_read_fd(h->password_fd, &h->password, e);
		close(h->password_fd);
	}
	if (rc < 0)
		return err_prefix(e, "password-fd");
	*password_out = secret_alloc(strlen(h->password) + 1);
	memcpy(*password_out, h->password, strlen(h->password));
	return 0;
}

/* Whatever is said from now on, in this session or a later one. */
static void
hide(struct contract *c, const char *secret)
{
	if (secret != NULL)
		contract_hide(c, secret);
}

static int
read_secrets(struct call *c, struct err *e)
{
	struct mailhost *h = c->host;
	int rc = 0;

	if (h->password_file != NULL)
		rc = secret_read_file(h->password_file, &c->password, e);
	else if (h->password_fd >= 0)
		rc = read_password_fd(h, &c->password, e);
	else if (h->token_file != NULL)
		rc = secret_read_file(h->token_file, &c->token, e);
	if (rc == 0 && h->proxy_password_file != NULL)
		rc = secret_read_file(h->proxy_password_file,
		    &c->proxy_password, e);
	if (rc < 0)
		return ERR_CONFIG;
	if (h->token_command != NULL)
		rc = run_token_command(h, &c->token, e);
	hide(h->contract, c->password);
	hide(h->contract, c->token);
	hide(h->contract, c->proxy_password);
	return rc;
}

/*
 * What is heard on the way.
 */
static bool
is_refusal(const struct call *c, struct slice line)
{
	struct slice word;
	const char *blank = memchr(line.ptr, ' ', line.len);

	switch (c->host->protocol) {
	case MAILHOST_SMTP:
		return line.len >= 3 && (line.ptr[0] == '4' ||
		    line.ptr[0] == '5');
	case MAILHOST_POP3:
		return line.len >= 4 && memcmp(line.ptr, "-ERR", 4) == 0;
	case MAILHOST_IMAP:
		if (blank == NULL)
			return false;
		line.len -= (size_t)(blank + 1 - line.ptr);
		word = (struct slice){ blank + 1, line.len };
		return word.len > 3 && (memcmp(word.ptr, "NO ", 3) == 0 ||
		    memcmp(word.ptr, "BYE", 3) == 0 ||
		    memcmp(word.ptr, "BAD", 3) == 0);
	}
	return false;
}

static void
keep_reply(struct call *c, struct slice line)
{
	const char *const secrets[] = { c->password, c->token };
	struct buf out = BUF_INIT;

	scrub_line(&out, line, secrets, 2, REPLY_MAX);
	snprintf(c->reply, sizeof(c->reply), "%s", buf_cstr(&out));
	buf_release(&out);
}

/* Each line that the server says before the login is done. */
static size_t
on_line(char *text, size_t size, size_t n, void *ctx)
{
	struct call *c = ctx;
	struct slice line = { text, size * n };

	while (line.len > 0 && (line.ptr[line.len - 1] == '\n' ||
	    line.ptr[line.len - 1] == '\r'))
		line.len--;
	if (line.len >= 3 && memcmp(line.ptr, "235", 3) == 0)
		c->logged_in = true;
	if (is_refusal(c, line))
		keep_reply(c, line);
	return size * n;
}

/* What is said before the login, and refused, says nothing about that. */
static int
on_talk(CURL *curl, curl_infotype type, char *text, size_t size, void *ctx)
{
	struct call *c = ctx;
	struct slice line = { text, size };
	const char *blank = type != CURLINFO_HEADER_OUT || size == 0 ? NULL :
	    memchr(text, ' ', size);

	(void)curl;
	if (blank == NULL)
		return 0;
	if (c->host->protocol == MAILHOST_IMAP)		/* behind the tag */
		line = (struct slice){ blank + 1,
		    size - (size_t)(blank + 1 - text) };
	if (!c->tried && line.len > 4 && memcmp(line.ptr, "AUTH", 4) == 0) {
		c->tried = true;
		c->reply[0] = '\0';
	}
	return 0;
}

static int
on_progress(void *ctx, curl_off_t a, curl_off_t b, curl_off_t d,
    curl_off_t f)
{
	const struct call *c = ctx;

	(void)a, (void)b, (void)d, (void)f;
	return contract_stopping(c->host->contract);
}

/*
 * The call.
 */
static char *
url_of(const struct mailhost *h, const char *helo)
{
	static const char *const schemes[][2] = {
		[MAILHOST_SMTP] = { "smtp", "smtps" },
		[MAILHOST_IMAP] = { "imap", "imaps" },
		[MAILHOST_POP3] = { "pop3", "pop3s" }
	};
	const char *scheme = schemes[h->protocol][h->tls_first];
	const char *host = h->cert_name != NULL ? h->cert_name : h->host;
	struct buf url = BUF_INIT;

	buf_addf(&url, strchr(host, ':') != NULL ? "%s://[%s]:%u/" :
	    "%s://%s:%u/", scheme, host, h->port);
	/* An address literal has brackets. */
	for (; h->protocol == MAILHOST_SMTP && *helo != '\0'; helo++)
		if (strchr("[]:%", *helo) != NULL)
			buf_addf(&url, "%%%02X", (unsigned char)*helo);
		else
			buf_addc(&url, *helo);
	return buf_steal(&url);
}

/* Each option is one that this libcurl has, or is missed here. */
#define SET(option, value) \
	do { \
		CURLcode set_ = curl_easy_setopt(c->curl, option, value); \
		if (set_ != CURLE_OK) \
			return err_set(e, ERR_CONFIG, "libcurl: " #option \
			    ": %s", curl_easy_strerror(set_)); \
	} while (0)

static int
set_tls(struct call *c, struct err *e)
{
	const struct mailhost *h = c->host;
	bool known = h->tls <= MAILHOST_TLS_CA;

	SET(CURLOPT_USE_SSL, (long)(h->tls == MAILHOST_TLS_NO ?
	    CURLUSESSL_NONE : CURLUSESSL_ALL));
	SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	SET(CURLOPT_SSL_VERIFYPEER, (long)known);
	SET(CURLOPT_SSL_VERIFYHOST, h->tls == MAILHOST_TLS_NAME ? 2L : 0L);
	if (h->pin != NULL)
		SET(CURLOPT_PINNEDPUBLICKEY, h->pin);
	if (h->ca != NULL) {
		SET(CURLOPT_CAINFO, h->ca);
		SET(CURLOPT_CAPATH, NULL);
	}
	if (h->cert != NULL) {
		SET(CURLOPT_SSLCERT, h->cert);
		SET(CURLOPT_SSLKEY, h->key);
	}
	return 0;
}

static int
set_login(struct call *c, struct err *e)
{
	const struct mailhost *h = c->host;

	if (h->user == NULL || c->ours)
		return 0;
	SET(CURLOPT_USERNAME, h->user);
	SET(CURLOPT_LOGIN_OPTIONS, h->mechanisms);
	if (c->password != NULL)
		SET(CURLOPT_PASSWORD, c->password);
	if (c->token != NULL)
		SET(CURLOPT_XOAUTH2_BEARER, c->token);
	return 0;
}

static int
set_proxy(struct call *c, struct err *e)
{
	const struct mailhost *h = c->host;

	/* Those of the environment are for others. */
	SET(CURLOPT_PROXY, h->proxy != NULL ? h->proxy : "");
	SET(CURLOPT_NOPROXY, "");
	SET(CURLOPT_SOCKS5_AUTH, (long)CURLAUTH_BASIC);
	if (h->proxy_user != NULL) {
		SET(CURLOPT_PROXYUSERNAME, h->proxy_user);
		SET(CURLOPT_PROXYPASSWORD, c->proxy_password);
	}
	return 0;
}

static int
set_call(struct call *c, int ms, struct err *e)
{
	SET(CURLOPT_PROTOCOLS_STR, "smtp,smtps,imap,imaps,pop3,pop3s");
	SET(CURLOPT_CONNECT_ONLY, 1L);
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_ERRORBUFFER, c->why);
	SET(CURLOPT_HEADERFUNCTION, on_line);
	SET(CURLOPT_HEADERDATA, c);
	SET(CURLOPT_VERBOSE, 1L);
	SET(CURLOPT_DEBUGFUNCTION, on_talk);
	SET(CURLOPT_DEBUGDATA, c);
	SET(CURLOPT_NOPROGRESS, 0L);
	SET(CURLOPT_XFERINFOFUNCTION, on_progress);
	SET(CURLOPT_XFERINFODATA, c);
	SET(CURLOPT_CONNECTTIMEOUT_MS, (long)ms);
	SET(CURLOPT_TIMEOUT_MS, (long)ms);
	SET(CURLOPT_TCP_KEEPALIVE, 1L);
	return 0;
}

/* Where the name to be proved is another than the host's, libcurl is told to
 * call that name somewhere else. */
static int
perform(struct call *c, const char *helo, CURLcode *code_out, struct err *e)
{
	const struct mailhost *h = c->host;
	char *url = url_of(h, helo), *to = NULL;
	struct curl_slist *elsewhere = NULL;

	if (h->cert_name != NULL) {
		to = mem_printf(strchr(h->host, ':') != NULL ?
		    "::[%s]:%u" : "::%s:%u", h->host, h->port);
		elsewhere = curl_slist_append(NULL, to);
	}
	*code_out = curl_easy_setopt(c->curl, CURLOPT_URL, url);
	if (*code_out == CURLE_OK)
		*code_out = curl_easy_setopt(c->curl, CURLOPT_CONNECT_TO,
		    elsewhere);
	if (*code_out == CURLE_OK)
		*code_out = curl_easy_perform(c->curl);
	(void)curl_easy_setopt(c->curl, CURLOPT_CONNECT_TO, NULL);
	(void)curl_easy_setopt(c->curl, CURLOPT_PASSWORD, NULL);
	(void)curl_easy_setopt(c->curl, CURLOPT_XOAUTH2_BEARER, NULL);
	(void)curl_easy_setopt(c->curl, CURLOPT_PROXYPASSWORD, NULL);
	curl_slist_free_all(elsewhere);
	free(to);
	free(url);
	return *code_out == CURLE_ABORTED_BY_CALLBACK ?
	    err_set(e, ERR_STATE, "told to stop") : 0;
}

/* Whether who logs in again with the same password will be refused again. */
static bool
is_for_good(const struct call *c)
{
	static const char *const passing[] = { "UNAVAILABLE", "IN-USE",
		"INUSE", "SYS/TEMP", "LOGIN-DELAY", "LIMIT" };

	if (c->password == NULL || c->reply[0] == '\0' || c->reply[0] == '4')
		return false;
	for (size_t i = 0; i < sizeof(passing) / sizeof(passing[0]); i++)
		if (strstr(c->reply, passing[i]) != NULL)
			return false;
	return true;
}

static int
refused(const struct call *c, struct err *e)
{
	const struct mailhost *h = c->host;

	if (!c->tried)
		return err_set(e, ERR_UNSUPPORTED, "%s offers no way to log "
		    "in that is allowed here (auth)", h->name);
	return err_set(e, is_for_good(c) ? ERR_DENIED : ERR_IO,
	    "%s: the login of %s was refused%s%s", h->name, h->user,
	    c->reply[0] != '\0' ? ": " : "", c->reply);
}

static int
explain(const struct call *c, CURLcode code, struct err *e)
{
	const struct mailhost *h = c->host;
	const char *why = c->why[0] != '\0' ? c->why :
	    curl_easy_strerror(code);

	switch (code) {
	case CURLE_LOGIN_DENIED:
	case CURLE_AUTH_ERROR:
		return refused(c, e);
	case CURLE_USE_SSL_FAILED:
		return err_set(e, ERR_IO, "%s: no STARTTLS, and tls=no is "
		    "not set: %s", h->name, why);
	case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
		return err_set(e, ERR_IO, "%s: its public key is not that of "
		    "tls-pin", h->name);
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_UNSUPPORTED_PROTOCOL:
	case CURLE_NOT_BUILT_IN:
		return err_set(e, ERR_CONFIG, "%s: %s", h->name, why);
	default:
		return err_set(e, ERR_IO, "%s: %s%s%s", h->name, why,
		    c->reply[0] != '\0' ? ": " : "", c->reply);
	}
}

static int
log_in(struct call *c, int ms, const char *helo, struct err *e)
{
	int rc = mailhost_log_in(c->host, &c->stream, c->password, helo, ms,
	    e);

	c->tried = rc == ERR_DENIED;
	if (c->tried)
		keep_reply(c, slice_of(e->text));
	if (rc == ERR_DENIED || rc == ERR_UNSUPPORTED)
		return refused(c, e);
	return rc < 0 && rc != ERR_STATE ? err_prefix(e, "%s",
	    c->host->name) : rc;
}

static int
call_up(struct call *c, int ms, const char *helo, struct err *e)
{
	CURLcode code = CURLE_OK;
	curl_socket_t fd = -1;
	int rc = read_secrets(c, e);

	if (rc == 0)
		rc = set_call(c, ms, e);
	if (rc == 0)
		rc = set_tls(c, e);
	if (rc == 0)
		rc = set_login(c, e);
	if (rc == 0)
		rc = set_proxy(c, e);
	if (rc == 0)
		rc = perform(c, helo, &code, e);
	if (rc == 0 && code != CURLE_OK)
		rc = explain(c, code, e);
	/* One that does not offer AUTH at all is taken by libcurl as it is. */
	if (rc == 0 && c->host->user != NULL && !c->ours && !c->logged_in &&
	    c->host->protocol == MAILHOST_SMTP)
		rc = refused(c, e);
	if (rc == 0 && curl_easy_getinfo(c->curl, CURLINFO_ACTIVESOCKET,
	    &fd) != CURLE_OK)
		rc = err_set(e, ERR_IO, "%s: no connection", c->host->name);
	c->stream.fd = fd;
	return rc == 0 && c->ours ? log_in(c, ms, helo, e) : rc;
}

static int
connect_once(struct mailhost *h, bool ours, int ms, const char *helo,
    struct stream **s_out, struct err *e)
{
	struct call *c = mem_alloc(1, sizeof(*c));
	int rc;

	*s_out = NULL;
	c->stream.kind = &by_curl;
	c->stream.fd = -1;
	c->host = h;
	c->ours = ours;
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK ||
	    (c->curl = curl_easy_init()) == NULL)
		rc = err_set(e, ERR_IO, "libcurl does not start");
	else
		rc = call_up(c, ms, helo, e);
	forget_secrets(c);
	if (rc < 0)
		call_close(&c->stream);
	else
		*s_out = &c->stream;
	return rc;
}

/* What worked is tried first the next time. */
int
mailhost_connect(struct mailhost *h, int ms, const char *helo,
    struct stream **s_out, struct err *e)
{
	bool ours = h->ways != 0 && h->ours_first;
	int rc = connect_once(h, ours, ms, helo, s_out, e);

	if (rc == ERR_UNSUPPORTED && h->ways != 0) {
		rc = connect_once(h, !ours, ms, helo, s_out, e);
		if (rc != ERR_UNSUPPORTED)
			h->ours_first = !ours;
	}
	if (rc == ERR_UNSUPPORTED && e != NULL)
		e->code = ERR_IO;
	return rc == ERR_UNSUPPORTED ? ERR_IO : rc;
}
