/* SPDX-License-Identifier: ISC */
/*
 * What a transport is started with.  A setting whose value is the path of a
 * plain file counts with what that is now, whatever its name: so one whose
 * password was changed begins anew.
 */
#include "node/launch.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/secret.h"

/* An installed daemon has its programs in libexec; one in a build folder has
 * them beside itself. */
static char *
program_path(const struct conf *conf, const char *transport)
{
	char self[4096], *dir, *path;
	ssize_t n;

	if (strchr(transport, '/') != NULL)
		return mem_strdup(transport);
	if (conf->libexec_dir != NULL)
		return path_join(conf->libexec_dir, transport);
	n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	if (n > 0) {
		self[n] = '\0';
		dir = mem_strndup(self, (size_t)(path_base(self) - self));
		path = mem_printf("%slibexec/%s", dir, transport);
		free(dir);
		if (access(path, X_OK) == 0)
			return path;
		free(path);
	}
	return path_join(POSTRIDER_LIBEXECDIR, transport);
}

/* Whether it has an end of its own at the peer, to which it proves who it is:
 * then it is handed a secret unless its settings say how it does without. */
static bool
wants_secret(const struct conf_lane *lane)
{
	static const char *const linked[] = { "serial", "tcp", "exec" };
	size_t i;

	for (i = 0; i < lane->set.n; i++)
		if (strncmp(lane->set.item[i], "secret=", 7) == 0)
			return false;
	for (i = 0; i < sizeof(linked) / sizeof(linked[0]); i++)
		if (strcmp(path_base(lane->program), linked[i]) == 0)
			return true;
	return false;
}

/* A parcel names no address, so the transport mail is told ours and his; what
 * the settings say counts more, as the last does. */
static void
mail_addresses(const struct conf *conf, const char *name,
    const struct conf_lane *lane, struct conf_strings *out)
{
	const struct conf_peer *peer = conf_find_peer(conf, name);

	if (strcmp(lane->program, "mail") != 0 || conf->address == NULL ||
	    peer == NULL || peer->address == NULL)
		return;
	out->item[out->n++] = mem_printf("from=%s", conf->address);
	out->item[out->n++] = mem_printf("to=%s", peer->address);
}

static void
settings(const struct conf *conf, const char *peer,
    const struct conf_lane *lane, struct conf_strings *out)
{
	bool stay = false;
	size_t i;

	out->n = 0;
	out->item = mem_alloc(lane->set.n + 4, sizeof(char *));
	mail_addresses(conf, peer, lane, out);
	for (i = 0; i < lane->set.n; i++) {
		out->item[out->n++] = mem_strdup(lane->set.item[i]);
		stay |= strncmp(lane->set.item[i], "stay=", 5) == 0;
	}
	if (lane->stays && !stay)
		out->item[out->n++] = mem_strdup("stay=yes");
}

void
launch_init(struct launch *l, const struct daemon *d, const char *peer,
    const struct conf_lane *lane)
{
	struct err e = ERR_INIT;

	memset(l, 0, sizeof(*l));
	l->program = program_path(d->conf, lane->program);
	settings(d->conf, peer, lane, &l->set);
	l->has_secret = wants_secret(lane) && exchange_pair_secret(
	    d->exchange, peer, "link", l->secret, &e) == 0;
}

struct mark
launch_mark(const struct launch *l)
{
	struct sha256 h;
	size_t i;

	mark_begin(&h);
	mark_text(&h, l->program);
	mark_file(&h, l->program);
	for (i = 0; i < l->set.n; i++) {
		const char *value = strchr(l->set.item[i], '=');

		mark_text(&h, l->set.item[i]);
		mark_file(&h, value != NULL ? value + 1 : NULL);
	}
	mark_octets(&h, l->secret, l->has_secret ? sizeof(l->secret) : 0);
	return mark_end(&h);
}

int
launch_secret_fd(const struct launch *l)
{
	struct err e = ERR_INIT;
	int fd[2];

	if (!l->has_secret || pipe2(fd, O_CLOEXEC) < 0)
		return -1;
	if (file_write_all(fd[1], l->secret, sizeof(l->secret), &e) != 0) {
		close(fd[0]);
		fd[0] = -1;
	}
	close(fd[1]);
	return fd[0];
}

void
launch_release(struct launch *l)
{
	size_t i;

	for (i = 0; i < l->set.n; i++)
		free(l->set.item[i]);
	free(l->set.item);
	free(l->program);
	secret_wipe(l->secret, sizeof(l->secret));
}
