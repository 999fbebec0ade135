/* SPDX-License-Identifier: ISC */
/*
 * Chat scripts.  A script is a list of words, taken by turns as expect and
 * send.  An expect is a list of texts with what to send in between:
 * "ogin:--ogin:" waits, sends nothing but a CR, waits again.  Words are kept
 * as they are written and expanded when their turn comes, so that nothing
 * that is kept or told holds a password.
 */
#include "transports/chat.h"
#include "base/mem.h"
#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>

#define HELD_MAX 1024		/* octets of the line that are remembered */
#define TEXT_MAX 255		/* octets of an expected text */
#define DELAY_MS 1000
#define PAUSE_MS 250
#define STEP_MAX 120

struct chat {
	struct chat_config config;
	char *words[CHAT_WORDS_MAX];
	size_t nwords;
	char *fails[CHAT_WORDS_MAX];	/* expanded */
	size_t nfails;
	enum chat_state state;
	size_t word;		/* the one at work */
	const char *rest;	/* of it */
	bool sending;
	bool no_cr;		/* behind what is being sent */
	struct buf expected;	/* the text that is waited for */
	struct buf held;	/* of the line */
	struct buf out;		/* what chat_pull gave */
	int64_t deadline_ms;	/* of an expect */
	int64_t wait_ms;	/* of a send: not before */
	char step[STEP_MAX];
};

/* Cuts text into words at blanks; "" and \s stand for nothing and a blank. */
static int
cut(const char *text, char **words, size_t *n_out, struct err *e)
{
	size_t n = 0;

	while (*text != '\0') {
		size_t len = strcspn(text, " \t\r\n");

		if (len > 0 && n == CHAT_WORDS_MAX)
			return err_set(e, ERR_LIMIT,
			    "a script of more than %d words",
			    CHAT_WORDS_MAX);
		if (len > 0)
			words[n++] = len == 2 && strncmp(text, "\"\"", 2) == 0
			    ? mem_strdup("") : mem_strndup(text, len);
		*n_out = n;
		text += len + (text[len] != '\0');
	}
	return 0;
}

static bool
is_octal(char c)
{
	return c >= '0' && c <= '7';
}

/* Up to three octal digits. */
static unsigned char
octal(const char **at)
{
	unsigned v = 0;

	for (int i = 0; i < 3 && is_octal(**at); i++)
		v = v * 8 + (unsigned)(*(*at)++ - '0');
	return (unsigned char)v;
}

/* The octet of an escape that stands for one; -1: it does not. */
static int
simple_escape(char c)
{
	static const char names[] = "rnbtsea\\-";
	static const char values[] = "\r\n\b\t \033\a\\-";
	const char *at = strchr(names, c);

	return c == '\0' || at == NULL ? -1 : values[at - names];
}

/* Each escape of a word must be one that is known there. */
static int
check_word(const struct chat *c, const char *word, bool send, struct err *e)
{
	for (const char *at = word; *at != '\0'; at++) {
		if (*at != '\\')
			continue;
		at++;
		if (is_octal(*at) || simple_escape(*at) >= 0)
			continue;
		if (*at == '\0' || strchr(send ? "cdpKTLP" : "WcdpKTLP",
		    *at) == NULL)
			return err_set(e, ERR_SYNTAX,
			    "\"%s\": unknown escape in a chat script", word);
		if ((*at == 'T' && c->config.phone == NULL) ||
		    (*at == 'L' && c->config.user == NULL) ||
		    (*at == 'P' && c->config.password == NULL))
			return err_set(e, ERR_CONFIG, "\"%s\" asks for what "
			    "is not set (\\T phone, \\L user, \\P "
			    "password-file)", word);
	}
	return 0;
}

/* A string that ends the script, in place. */
static int
expand_fail(char *word, struct err *e)
{
	char *to = word;

	for (const char *at = word; *at != '\0'; at++) {
		int octet = *at;

		if (*at == '\\')
			octet = simple_escape(*++at);
		if (octet <= 0)
			return err_set(e, ERR_SYNTAX, "\"%s\": unknown escape "
			    "in chat-fail", word);
		*to++ = (char)octet;
	}
	*to = '\0';
	return 0;
}

static void
describe(struct chat *c, const char *how, const char *word)
{
	struct buf text = BUF_INIT;

	text_escape(&text, slice_of(word), STEP_MAX - 40, false);
	snprintf(c->step, sizeof(c->step), "%s \"%s\"", how,
	    buf_cstr(&text));
	buf_release(&text);
}

static void
fail(struct chat *c, const char *how, const char *word)
{
	describe(c, how, word);
	c->state = CHAT_FAILED;
}

/* Takes the next text of the expect word: up to a '-' that is no escape. */
static void
next_expected(struct chat *c, int64_t now_ms)
{
	int64_t timeout = c->config.timeout_ms;
	const char *at = c->rest;

	buf_clear(&c->expected);
	while (*at != '\0' && *at != '-') {
		if (*at != '\\') {
			buf_addc(&c->expected, *at++);
			continue;
		}
		at++;
		if (*at == 'W') {
			const char *from = ++at;
			struct slice digits;
			uint64_t secs = 0;

			while (*at >= '0' && *at <= '9')
				at++;
			digits = (struct slice){ from, (size_t)(at - from) };
			if (num_parse(digits, 86400, &secs) == 0)
				timeout = (int64_t)secs * 1000;
		} else if (is_octal(*at)) {
			buf_addc(&c->expected, (char)octal(&at));
		} else if (*at != '\0') {
			int octet = simple_escape(*at++);

			if (octet >= 0)
				buf_addc(&c->expected, (char)octet);
		}
	}
	if (c->expected.len > TEXT_MAX)
		buf_truncate(&c->expected, TEXT_MAX);
	c->rest = at;
	c->deadline_ms = timeout == 0 ? CHAT_NEVER : now_ms + timeout;
	describe(c, "waiting for", c->words[c->word]);
}

static void
next_word(struct chat *c, int64_t now_ms)
{
	c->word++;
	c->sending = !c->sending;
	if (c->word >= c->nwords) {
		c->state = CHAT_DONE;
		return;
	}
	c->rest = c->words[c->word];
	c->wait_ms = now_ms;
	if (c->sending)
		describe(c, "sending", c->words[c->word]);
	else
		next_expected(c, now_ms);
}

/* An expect of nothing is met at once. */
static void
pass_empty(struct chat *c, int64_t now_ms)
{
	while (c->state == CHAT_RUNNING && !c->sending &&
	    c->expected.len == 0)
		next_word(c, now_ms);
}

int
chat_new(const struct chat_config *config, int64_t now_ms,
    struct chat **chat_out, struct err *e)
{
	struct chat *c = mem_alloc(1, sizeof(*c));
	int rc = 0;

	c->config = *config;
	if (strlen(config->script) > CHAT_SCRIPT_MAX)
		rc = err_set(e, ERR_LIMIT, "a chat script of more than %d "
		    "octets", CHAT_SCRIPT_MAX);
	if (rc == 0)
		rc = cut(config->script, c->words, &c->nwords, e);
	if (rc == 0 && config->fails != NULL)
		rc = cut(config->fails, c->fails, &c->nfails, e);
	for (size_t i = 0; rc == 0 && i < c->nfails; i++)
		rc = expand_fail(c->fails[i], e);
	for (size_t i = 0; rc == 0 && i < c->nwords; i++)
		rc = check_word(c, c->words[i], i % 2 == 1, e);
	if (rc < 0) {
		chat_free(c);
		*chat_out = NULL;
		return rc;
	}
	c->state = c->nwords == 0 ? CHAT_DONE : CHAT_RUNNING;
	if (c->nwords > 0) {
		c->rest = c->words[0];
		next_expected(c, now_ms);
		pass_empty(c, now_ms);
	}
	*chat_out = c;
	return 0;
}

void
chat_free(struct chat *c)
{
	if (c == NULL)
		return;
	for (size_t i = 0; i < c->nwords; i++)
		free(c->words[i]);
	for (size_t i = 0; i < c->nfails; i++)
		free(c->fails[i]);
	buf_release(&c->expected);
	buf_release(&c->held);
	if (c->out.base != NULL)
		explicit_bzero(c->out.base, c->out.cap);
	buf_release(&c->out);
	free(c);
}

static bool
ends_with(const struct buf *held, const char *text, size_t len)
{
	return len > 0 && held->len >= len &&
	    memcmp(held->ptr + held->len - len, text, len) == 0;
}

static void
take_octet(struct chat *c, char octet, int64_t now_ms)
{
	if (c->held.len == HELD_MAX)
		buf_consume(&c->held, HELD_MAX / 2);
	buf_addc(&c->held, octet);
	for (size_t i = 0; i < c->nfails; i++) {
		if (!ends_with(&c->held, c->fails[i], strlen(c->fails[i])))
			continue;
		fail(c, "the line said", c->fails[i]);
		return;
	}
	if (!c->sending && ends_with(&c->held, c->expected.ptr,
	    c->expected.len)) {
		buf_clear(&c->held);
		next_word(c, now_ms);
		pass_empty(c, now_ms);
	}
}

size_t
chat_feed(struct chat *c, const void *octets, size_t len, int64_t now_ms)
{
	const char *at = octets;
	size_t i;

	for (i = 0; i < len && c->state == CHAT_RUNNING; i++) {
		/* What comes while we send is left for the expect. */
		if (c->sending)
			break;
		take_octet(c, (char)(at[i] & 0x7f), now_ms);
	}
	return i;
}

/* Expands the escape whose letter is next; false: what there is is sent
 * first, then there is a pause. */
static bool
send_escape(struct chat *c, int64_t now_ms)
{
	const char *text = NULL;
	int octet;

	if (is_octal(*c->rest)) {
		buf_addc(&c->out, (char)octal(&c->rest));
		return true;
	}
	octet = simple_escape(*c->rest);
	switch (*c->rest++) {
	case 'c':
		c->no_cr = true;
		return true;
	case 'd':
		c->wait_ms = now_ms + DELAY_MS;
		return false;
	case 'p':
		c->wait_ms = now_ms + PAUSE_MS;
		return false;
	case 'T':
		text = c->config.phone;
		break;
	case 'L':
		text = c->config.user;
		break;
	case 'P':
		text = c->config.password;
		break;
	default:
		if (octet >= 0)
			buf_addc(&c->out, (char)octet);
		return true;
	}
	buf_adds(&c->out, text == NULL ? "" : text);
	return true;
}

/* Expands the send up to its end, a delay or a BREAK.  True: to its end. */
static bool
expand(struct chat *c, int64_t now_ms, const char *stops)
{
	while (*c->rest != '\0' && strchr(stops, *c->rest) == NULL) {
		if (*c->rest != '\\') {
			buf_addc(&c->out, *c->rest++);
			continue;
		}
		if (c->rest[1] == 'K')
			return false;
		c->rest++;
		if (*c->rest != '\0' && !send_escape(c, now_ms))
			return false;
	}
	if (!c->no_cr)
		buf_addc(&c->out, '\r');
	return true;
}

/* A break stands where we are in the send. */
static bool
take_break(struct chat *c)
{
	size_t skip = strncmp(c->rest, "BREAK", 5) == 0 ? 5 :
	    strncmp(c->rest, "\\K", 2) == 0 ? 2 : 0;

	c->rest += skip;
	return skip > 0;
}

static enum chat_action
give(struct chat *c, struct slice *text_out)
{
	*text_out = buf_slice(&c->out);
	return c->out.len > 0 ? CHAT_SEND : CHAT_NOTHING;
}

/* A subsend inside of an expect has ended: the next text is waited for. */
static void
end_send(struct chat *c, int64_t now_ms)
{
	c->no_cr = false;
	if (*c->rest == '-')
		c->rest++;
	if (c->word % 2 == 0) {
		c->sending = false;
		next_expected(c, now_ms);
	} else {
		next_word(c, now_ms);
	}
	pass_empty(c, now_ms);
}

enum chat_action
chat_pull(struct chat *c, int64_t now_ms, struct slice *text_out)
{
	const char *stops = c->word % 2 == 0 ? "-" : "";

	*text_out = SLICE_LIT("");
	buf_clear(&c->out);
	if (c->state != CHAT_RUNNING || !c->sending || c->wait_ms > now_ms)
		return CHAT_NOTHING;
	if (take_break(c)) {
		/* A BREAK alone has no CR behind it. */
		if (*c->rest == '\0' || strchr(stops, *c->rest) != NULL)
			end_send(c, now_ms);
		return CHAT_BREAK;
	}
	if (expand(c, now_ms, stops))
		end_send(c, now_ms);
	return give(c, text_out);
}

int64_t
chat_tick(struct chat *c, int64_t now_ms)
{
	if (c->state != CHAT_RUNNING)
		return CHAT_NEVER;
	if (c->sending)
		return c->wait_ms > now_ms ? c->wait_ms : now_ms;
	if (c->deadline_ms > now_ms)
		return c->deadline_ms;
	if (*c->rest != '-') {
		fail(c, "in vain waited for", c->words[c->word]);
		return CHAT_NEVER;
	}
	/* It did not come: what stands behind the '-' is sent. */
	c->rest++;
	c->sending = true;
	c->wait_ms = now_ms;
	return now_ms;
}

enum chat_state
chat_state(const struct chat *c)
{
	return c->state;
}

const char *
chat_step(const struct chat *c)
{
	return c->step;
}
