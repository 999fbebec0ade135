/* SPDX-License-Identifier: ISC */
/*
 * A conversation over a line that needs no care of its own.  Coming back
 * after a failure is left to the daemon, which knows how often it failed.
 */
#include "transports/wire.h"
#include "base/clock.h"
#include "base/secret.h"

#include <errno.h>
#include <poll.h>

#define PATIENCE_MS 30000
#define MAX_SIZE (UINT64_C(1) << 30)

static int
read_role(struct wire *w, const char *otherwise, struct err *e)
{
	const char *role = contract_setting(w->contract, "role",
	    otherwise);

	w->config.caller = strcmp(role, "call") == 0;
	if (!w->config.caller && strcmp(role, "answer") != 0)
		return err_set(e, ERR_CONFIG, "role=%s: want call or answer",
		    role);
	return contract_setting_bool(w->contract, "stay", false,
	    &w->config.stay, e);
}

int
wire_settings(struct wire *w, struct contract *c, const char *role,
    struct err *e)
{
	int rc;

	w->contract = c;
	w->config.patience_ms = PATIENCE_MS;
	w->config.max_size = MAX_SIZE;
	rc = read_role(w, role, e);
	if (rc == 0)
		rc = conversation_settings(c, &w->config, e);
	return rc == 0 ? contract_settings_used(c, e) : rc;
}

int
wire_open(struct wire *w, struct err *e)
{
	int rc = conversation_secrets(&w->config, &w->secrets, e);

	if (rc != 0)
		return rc;
	w->config.secrets = (const unsigned char (*)
	    [LINK_SECRET_LEN])(void *)w->secrets.ptr;
	w->config.nsecrets = w->secrets.len / LINK_SECRET_LEN;
	return conversation_new(w->contract, &w->config, &w->conversation, e);
}

void
wire_close(struct wire *w)
{
	conversation_free(w->conversation);
	if (w->secrets.base != NULL)
		secret_wipe(w->secrets.base, w->secrets.cap);
	buf_release(&w->secrets);
}

enum contract_exit
wire_talk(struct wire *w, int in_fd, int out_fd, const char *name)
{
	struct conversation_line line = { .in_fd = in_fd, .out_fd = out_fd,
	    .first = { "", 0 } };
	struct err e = ERR_INIT;
	enum conversation_end end;

	end = conversation_run(w->conversation, &line, &e);
	if (end == CONVERSATION_SILENT || end == CONVERSATION_LOST)
		contract_note(w->contract, "%s: %s", name, e.text);
	return end == CONVERSATION_DONE ? CONTRACT_EXIT_DONE :
	    CONTRACT_EXIT_LATER;
}

bool
wire_stopped(const struct wire *w)
{
	enum contract_command said;

	do {
		said = contract_command(w->contract);
	} while (said == CONTRACT_MORE);
	return said == CONTRACT_STOP ||
	    (said == CONTRACT_GONE && w->config.stay);
}

static int
left_ms(int64_t until)
{
	int64_t left = until - clock_mono_ms(clock_real());

	return left > 0 ? (int)left : 0;
}

int
wire_wait(const struct wire *w, int fd, short events, int ms, struct err *e)
{
	int64_t until = clock_mono_ms(clock_real()) + ms;

	for (;;) {
		struct pollfd p[] = {
			{ .fd = fd, .events = events },
			{ .fd = contract_command_over(w->contract) ? -1 :
			    contract_commands_fd(w->contract),
			    .events = POLLIN }
		};
		int n = poll(p, 2, ms < 0 ? -1 : left_ms(until));

		if (n < 0 && errno != EINTR)
			return err_errno(e, "cannot wait");
		if (wire_stopped(w))
			return err_set(e, ERR_STATE, "told to stop");
		if (n > 0 && p[0].revents != 0)
			return 1;
		if (ms >= 0 && left_ms(until) == 0)
			return 0;
	}
}
