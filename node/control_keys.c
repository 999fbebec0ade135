/* SPDX-License-Identifier: ISC */
/*
 * The site's keys: what there is, the next receiving key, the card.  No secret
 * passes here.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "base/text.h"
#include "node/control_impl.h"

static json_t *
key_json(const char *role, const char *suite, uint64_t id,
    const unsigned char *public, size_t len)
{
	struct buf name = BUF_INIT, key = BUF_INIT;
	json_t *line;

	key_id_format(&name, id);
	base64url_encode(&key, public, len);
	line = json_pack("{s:s, s:s, s:s, s:s, s:s}", "kind", "key",
	    "role", role, "suite", suite, "id", buf_cstr(&name),
	    "public", buf_cstr(&key));
	buf_release(&name);
	buf_release(&key);
	return line;
}

json_t *
control_keys_json(struct keys *keys, struct clock *clock)
{
	struct keyring_key live[KEYRING_LIVE_MAX];
	const unsigned char *identity = keyring_identity_public(keys->ring);
	const unsigned char *auth = keyring_auth_public(keys->ring);
	size_t n = keyring_receiving(keys->ring, live);
	int64_t now = clock_wall_ms(clock);
	json_t *all = json_array();

	json_array_append_new(all, key_json("identity", KEY_SUITE_ED25519,
	    key_id(KEY_SUITE_ED25519, identity, ED25519_LEN), identity,
	    ED25519_LEN));
	json_array_append_new(all, key_json("auth", KEY_SUITE_X25519,
	    key_id(KEY_SUITE_X25519, auth, X25519_LEN), auth, X25519_LEN));
	for (size_t i = 0; i < n; i++) {
		json_t *line = key_json("receive", KEY_SUITE_X25519,
		    live[i].id, live[i].public, X25519_LEN);

		json_object_set_new(line, "made", control_time(now -
		    (int64_t)live[i].age_secs * 1000));
		json_object_set_new(line, "ends", control_time(now +
		    (int64_t)live[i].left_secs * 1000));
		json_array_append_new(all, line);
	}
	keyring_keys_wipe(live);
	return all;
}

json_t *
control_keys_end(struct keys *keys)
{
	return json_pack("{s:s, s:s}", "site", keyring_site(keys->ring),
	    "fingerprint", keyring_fingerprint(keys->ring).text);
}

static bool
have_keys(struct control_conn *c)
{
	if (c->d->keys != NULL)
		return true;
	control_error(c, ERR_NOT_FOUND, "this site has no keys: stop the "
	    "daemon, make them with \"postrider key new\", start it again");
	return false;
}

void
control_keys(struct control_conn *c, const json_t *request)
{
	json_t *all;

	(void)request;
	if (!have_keys(c))
		return;
	all = control_keys_json(c->d->keys, c->d->clock);
	for (size_t i = 0; i < json_array_size(all); i++)
		control_say(c, json_incref(json_array_get(all, i)));
	json_decref(all);
	control_end(c, control_keys_end(c->d->keys));
}

void
control_key_rotate(struct control_conn *c, const json_t *request)
{
	struct err e = ERR_INIT;

	(void)request;
	if (!have_keys(c))
		return;
	if (keyring_rotate(c->d->keys->ring, &e) != 0)
		control_error(c, e.code, "%s", e.text);
	else
		control_end(c, NULL);
	daemon_wake(c->d);
}

/* The texts of a list; what is no text is left out.  Of the request. */
static size_t
take_texts(const json_t *list, char *text[CARD_REACHES_MAX + 1])
{
	size_t n = 0;

	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *item = json_array_get(list, i);

		if (json_is_string(item) && n <= CARD_REACHES_MAX)
			text[n++] = mem_strdup(json_string_value(item));
	}
	return n;
}

void
control_card(struct control_conn *c, const json_t *request)
{
	char *way[CARD_REACHES_MAX + 1];
	struct conf_strings reach = { way, 0 };
	struct buf card = BUF_INIT;
	struct err e = ERR_INIT;
	uint64_t counter;
	json_t *end;

	if (!have_keys(c))
		return;
	reach.n = take_texts(json_object_get(request, "reach"), way);
	if (keys_card(c->d->keys->ring, c->d->conf, &reach, &card, &counter,
	    &e) != 0) {
		control_error(c, e.code, "%s", e.text);
	} else {
		end = control_keys_end(c->d->keys);
		json_object_set_new(end, "card",
		    json_string(buf_cstr(&card)));
		control_end(c, end);
	}
	for (size_t i = 0; i < reach.n; i++)
		free(way[i]);
	buf_release(&card);
	daemon_wake(c->d);
}
