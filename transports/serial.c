/* SPDX-License-Identifier: ISC */
/*
 * The serial transport.  What the chat script hides is read before the line
 * is opened: a setting that is wrong must not cost a call.
 */
#include "transports/serial.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "transports/chat.h"
#include "transports/conversation.h"
#include "transports/password.h"
#include "transports/tty.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#define LOCK_DIR "/var/lock"
#define SPEED_DEFAULT "115200"
#define SPEED_MAX 4000000
#define BITS_A_CHAR 10
#define CHAT_TIMEOUT_MS 45000
#define PATIENCE_MS 120000
#define MAX_SIZE (UINT64_C(1) << 30)
#define STEP 512
#define RETRY_MIN_MS 5000
#define RETRY_MAX_MS 300000

struct serial {
	struct contract *contract;
	struct tty_options tty;
	struct chat_config chat;
	struct conversation_config config;
	struct buf secrets, password;
	uint64_t speed;
	bool carrier;		/* is watched once the script is done */
	struct conversation *conversation;
};

/* One of a list of words as its index. */
static int
read_choice(struct contract *c, const char *key, const char *const *words,
    const char *otherwise, int *index_out, struct err *e)
{
	const char *value = contract_setting(c, key, otherwise);
	struct buf all = BUF_INIT;
	int rc;

	for (*index_out = 0; words[*index_out] != NULL; ++*index_out) {
		if (strcmp(words[*index_out], value) == 0) {
			buf_release(&all);
			return 0;
		}
		buf_addf(&all, "%s%s", all.len == 0 ? "" : ", ",
		    words[*index_out]);
	}
	rc = err_set(e, ERR_CONFIG, "%s=%s: want one of %s", key, value,
	    buf_cstr(&all));
	buf_release(&all);
	return rc;
}

static int
read_number(struct contract *c, const char *key, const char *otherwise,
    uint64_t max, uint64_t *n_out, struct err *e)
{
	const char *value = contract_setting(c, key, otherwise);

	if (num_parse(slice_of(value), max, n_out) < 0 || *n_out == 0)
		return err_set(e, ERR_CONFIG, "%s=%s: want a number from 1 "
		    "to %llu", key, value, (unsigned long long)max);
	return 0;
}

static int
read_line(struct serial *s, struct err *e)
{
	static const char *const flows[] = { "none", "rtscts", "xonxoff",
		NULL };
	static const char *const bits[] = { "8", "7", NULL };
	struct contract *c = s->contract;
	int flow = 0, seven = 0, rc;

	s->tty.device = contract_setting(c, "device", NULL);
	s->tty.lock_dir = contract_setting(c, "lock-dir", LOCK_DIR);
	if (s->tty.device == NULL || s->tty.device[0] != '/')
		return err_set(e, ERR_CONFIG, "device=%s: want the absolute "
		    "path of a tty", s->tty.device != NULL ? s->tty.device :
		    "");
	if (s->tty.lock_dir[0] != '/')
		return err_set(e, ERR_CONFIG, "lock-dir=%s: want an absolute "
		    "path", s->tty.lock_dir);
	rc = read_number(c, "speed", SPEED_DEFAULT, SPEED_MAX, &s->speed, e);
	if (rc == 0 && !tty_speed_ok((uint32_t)s->speed))
		rc = err_set(e, ERR_CONFIG, "speed=%llu: want one that a tty "
		    "has, such as 9600 or 115200",
		    (unsigned long long)s->speed);
	if (rc == 0)
		rc = read_choice(c, "flow", flows, "none", &flow, e);
	if (rc == 0)
		rc = read_choice(c, "bits", bits, "8", &seven, e);
	if (rc == 0)
		rc = contract_setting_bool(c, "modem", false, &s->tty.modem,
		    e);
	if (rc == 0)
		rc = contract_setting_bool(c, "carrier", s->tty.modem,
		    &s->carrier, e);
	s->tty.speed = (uint32_t)s->speed;
	s->tty.flow = (enum tty_flow)flow;
	s->tty.seven_bits = seven == 1;
	s->config.needs = (seven == 1 ? LINK_7BIT : 0) |
	    (s->tty.flow == TTY_FLOW_XONXOFF ? LINK_XON : 0);
	return rc;
}

static int
read_chat(struct serial *s, struct err *e)
{
	struct contract *c = s->contract;
	struct chat *probe = NULL;
	int timeout_ms = 0, rc;

	s->chat.script = contract_setting(c, "chat", "");
	s->chat.fails = contract_setting(c, "chat-fail", NULL);
	s->chat.phone = contract_setting(c, "phone", NULL);
	s->chat.user = contract_setting(c, "user", NULL);
	rc = contract_setting_ms(c, "chat-timeout", CHAT_TIMEOUT_MS,
	    &timeout_ms, e);
	s->chat.timeout_ms = timeout_ms;
	if (rc == 0)
		rc = password_read(c, "password-file", &s->password, e);
	if (rc == 0 && contract_setting(c, "password-file", NULL) != NULL)
		s->chat.password = buf_cstr(&s->password);
	if (rc == 0 && chat_new(&s->chat, 0, &probe, e) < 0)
		rc = err_prefix(e, "chat");
	chat_free(probe);
	return rc < 0 ? ERR_CONFIG : 0;
}

static int
read_role(struct serial *s, struct err *e)
{
	static const char *const roles[] = { "call", "answer", NULL };
	int role = 0;
	int rc = read_choice(s->contract, "role", roles, "call", &role, e);

	s->config.caller = role == 0;
	if (rc == 0)
		rc = contract_setting_bool(s->contract, "stay", false,
		    &s->config.stay, e);
	return rc;
}

static int
read_settings(struct serial *s, struct err *e)
{
	uint64_t rate = 0;
	char *otherwise;
	int rc = read_line(s, e);

	s->config.patience_ms = PATIENCE_MS;
	s->config.max_size = MAX_SIZE;
	if (rc == 0)
		rc = read_role(s, e);
	if (rc == 0)
		rc = read_chat(s, e);
	if (rc == 0)
		rc = conversation_settings(s->contract, &s->config, e);
	otherwise = mem_printf("%llu", (unsigned long long)s->speed);
	if (rc == 0)
		rc = read_number(s->contract, "line-speed", otherwise,
		    SPEED_MAX, &rate, e);
	free(otherwise);
	s->config.rate = (uint32_t)(rate + BITS_A_CHAR - 1) / BITS_A_CHAR;
	if (rc == 0)
		rc = contract_settings_used(s->contract, e);
	return rc;
}

int
serial_check(struct contract *c, struct err *e)
{
	struct serial *s = mem_alloc(1, sizeof(*s));
	int rc;

	s->contract = c;
	rc = read_settings(s, e);
	serial_free(s);
	return rc;
}

int
serial_new(struct contract *c, struct serial **s_out, struct err *e)
{
	struct serial *s = mem_alloc(1, sizeof(*s));
	int rc;

	s->contract = c;
	rc = read_settings(s, e);
	if (rc == 0)
		rc = conversation_secrets(&s->config, &s->secrets, e);
	if (rc == 0) {
		s->config.secrets = (const unsigned char (*)
		    [LINK_SECRET_LEN])(void *)s->secrets.ptr;
		s->config.nsecrets = s->secrets.len / LINK_SECRET_LEN;
		rc = conversation_new(c, &s->config, &s->conversation, e);
	}
	if (rc < 0) {
		serial_free(s);
		s = NULL;
	}
	*s_out = s;
	return rc;
}

static void
wipe(struct buf *b)
{
	if (b->base != NULL)
		explicit_bzero(b->base, b->cap);
	buf_release(b);
}

void
serial_free(struct serial *s)
{
	if (s == NULL)
		return;
	conversation_free(s->conversation);
	wipe(&s->secrets);
	password_release(&s->password);
	free(s);
}

static bool
told_to_stop(const struct serial *s)
{
	enum contract_command said = contract_command(s->contract);

	return said == CONTRACT_STOP ||
	    (said == CONTRACT_GONE && s->config.stay);
}

/* Waits for the line or for so long; false: told to stop. */
static bool
wait_for(const struct serial *s, int fd, int64_t ms)
{
	struct pollfd p[] = {
		{ .fd = fd, .events = POLLIN },
		{ .fd = contract_command_over(s->contract) ? -1 :
		    contract_commands_fd(s->contract), .events = POLLIN }
	};

	(void)poll(p, 2, ms < 0 ? 0 : ms > RETRY_MAX_MS ? RETRY_MAX_MS :
	    (int)ms);
	return !told_to_stop(s);
}

/* Does what the script says now. */
static int
act(const struct serial *s, struct chat *chat, const struct tty *t,
    struct err *e)
{
	int64_t now = clock_mono_ms(clock_real());
	enum chat_action action;
	struct slice text;

	while ((action = chat_pull(chat, now, &text)) != CHAT_NOTHING) {
		if (action == CHAT_BREAK) {
			tty_break(t);
			continue;
		}
		if (file_write_all(t->fd, text.ptr, text.len, e) < 0)
			return err_prefix(e, "%s", s->tty.device);
	}
	return 0;
}

/* Reads what the line has; what the script leaves stays in pending. */
static int
hear(const struct serial *s, struct chat *chat, const struct tty *t,
    struct buf *pending, struct err *e)
{
	char *room = buf_room(pending, STEP);
	ssize_t n = pending->len < STEP ? read(t->fd, room, STEP) : 0;

	if (n > 0)
		buf_grown(pending, (size_t)n);
	else if (n < 0 && errno != EAGAIN && errno != EINTR)
		return err_errno(e, "cannot read %s", s->tty.device);
	buf_consume(pending, chat_feed(chat, pending->ptr, pending->len,
	    clock_mono_ms(clock_real())));
	return 0;
}

/* The script, to its end.  Octets behind it are left in pending. */
static int
run_chat(const struct serial *s, const struct tty *t, struct buf *pending,
    struct err *e)
{
	struct chat *chat = NULL;
	int64_t now = clock_mono_ms(clock_real()), until;
	int rc = chat_new(&s->chat, now, &chat, e);

	while (rc == 0 && chat_state(chat) == CHAT_RUNNING) {
		rc = act(s, chat, t, e);
		now = clock_mono_ms(clock_real());
		until = chat_tick(chat, now);
		if (rc < 0 || chat_state(chat) != CHAT_RUNNING)
			break;
		if (!wait_for(s, t->fd, until == CHAT_NEVER ? RETRY_MAX_MS :
		    until - now))
			rc = err_set(e, ERR_STATE, "told to stop");
		else
			rc = hear(s, chat, t, pending, e);
	}
	if (rc == 0 && chat_state(chat) == CHAT_FAILED)
		rc = err_set(e, ERR_NOT_FOUND, "chat on %s: %s",
		    s->tty.device, chat_step(chat));
	chat_free(chat);
	return rc;
}

/* One line, from lock to lock; 0 or why it ended. */
static int
run_line(struct serial *s, enum conversation_end *end_out, struct err *e)
{
	struct tty t = TTY_INIT;
	struct buf pending = BUF_INIT;
	int rc = tty_open(&t, &s->tty, e);

	*end_out = CONVERSATION_LOST;
	if (rc == 0)
		rc = run_chat(s, &t, &pending, e);
	if (rc == 0) {
		struct conversation_line line = { .in_fd = t.fd,
		    .out_fd = t.fd, .first = buf_slice(&pending) };

		if (s->carrier)
			tty_watch_carrier(&t);
		*end_out = conversation_run(s->conversation, &line, e);
		if (*end_out == CONVERSATION_SILENT ||
		    *end_out == CONVERSATION_LOST)
			rc = err_prefix(e, "%s", s->tty.device);
	}
	tty_close(&t);
	buf_release(&pending);
	return rc;
}

static enum contract_exit
run_once(struct serial *s)
{
	struct err e = ERR_INIT;
	enum conversation_end end;
	int rc = run_line(s, &end, &e);

	if (rc < 0 && rc != ERR_STATE)
		contract_note(s->contract, "%s", e.text);
	if (rc == ERR_CONFIG || rc == ERR_DENIED) {
		fprintf(stderr, "%s\n", e.text);
		return CONTRACT_EXIT_CONFIG;
	}
	return rc == 0 && end == CONVERSATION_DONE ? CONTRACT_EXIT_DONE :
	    CONTRACT_EXIT_LATER;
}

enum contract_exit
serial_run(struct serial *s)
{
	int64_t retry_ms = RETRY_MIN_MS;

	if (!s->config.stay)
		return run_once(s);
	do {
		int64_t began = clock_mono_ms(clock_real());
		enum contract_exit how = run_once(s);

		if (how == CONTRACT_EXIT_CONFIG)
			return how;
		if (told_to_stop(s))
			break;
		/* A line that held for a while is worth a quick return. */
		if (how == CONTRACT_EXIT_DONE ||
		    clock_mono_ms(clock_real()) - began > RETRY_MAX_MS)
			retry_ms = RETRY_MIN_MS;
		if (!wait_for(s, -1, retry_ms))
			break;
		retry_ms = retry_ms * 2 > RETRY_MAX_MS ? RETRY_MAX_MS :
		    retry_ms * 2;
	} while (true);
	return CONTRACT_EXIT_DONE;
}
