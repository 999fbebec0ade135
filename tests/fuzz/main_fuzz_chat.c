/* SPDX-License-Identifier: ISC */
/*
 * Chat scripts: the first line is a script, the second one its strings of
 * failure, and the rest is what the line says, a second passing with each of
 * its line feeds.
 */
#include <stdlib.h>

#include "tests/fuzz/fuzz.h"
#include "transports/chat.h"

#define PULLS_MAX 10000

static void
pull_all(struct chat *c, int64_t now)
{
	struct slice text;
	enum chat_action action;
	int n = 0;

	while ((action = chat_pull(c, now, &text)) != CHAT_NOTHING) {
		FUZZ_CHECK((text.len > 0) == (action == CHAT_SEND));
		FUZZ_CHECK(n++ < PULLS_MAX);
	}
}

static void
run(struct chat *c, struct slice said)
{
	int64_t now = 0;

	while (said.len > 0 && chat_state(c) == CHAT_RUNNING) {
		size_t used;

		FUZZ_CHECK(chat_tick(c, now) >= now);
		pull_all(c, now);
		used = chat_feed(c, said.ptr, 1, now);
		now += used == 0 || *said.ptr == '\n' ? 1000 : 0;
		FUZZ_CHECK(used <= 1);
		said.ptr += used;
		said.len -= used;
	}
	/* Silence ends every script. */
	for (int i = 0; i < 5000 && chat_state(c) == CHAT_RUNNING; i++) {
		int64_t next;

		pull_all(c, now);
		next = chat_tick(c, now);
		if (next == CHAT_NEVER)
			return;
		now = next > now ? next : now;
	}
	FUZZ_CHECK(chat_state(c) != CHAT_RUNNING);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice rest = { (const char *)data, size }, script, fails;
	struct chat_config config = { .phone = "123", .user = "u",
		.password = "sesame#", .timeout_ms = 10000 };
	struct err e = ERR_INIT;
	char *texts[2];
	struct chat *c;

	if (size > 20000 || !fuzz_line(&rest, &script) ||
	    !fuzz_line(&rest, &fails))
		return 0;
	config.script = texts[0] = slice_dup(script);
	config.fails = texts[1] = slice_dup(fails);
	if (chat_new(&config, 0, &c, &e) == 0) {
		run(c, rest);
		FUZZ_CHECK(strstr(config.script, "sesame#") != NULL ||
		    strstr(config.fails, "sesame#") != NULL ||
		    strstr(chat_step(c), "sesame#") == NULL);
		chat_free(c);
	} else
		FUZZ_CHECK(e.text[0] != '\0');
	free(texts[0]);
	free(texts[1]);
	return 0;
}
