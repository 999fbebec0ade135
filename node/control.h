/* SPDX-License-Identifier: ISC */
#ifndef NODE_CONTROL_H
#define NODE_CONTROL_H
/*
 * The control socket: a UNIX socket where postrider(1), and programs in its
 * place, talk to the daemon.  Authority comes from the caller's uid, which the
 * kernel tells (SO_PEERCRED).
 *
 * A request is one line, a JSON object with "cmd".  The answer is JSON lines;
 * the last is {"end":true,...}, or {"error":TEXT,"code":WORD} with a code of
 * usage, denied, not-found, state, full, limit, io, corrupt, config, syntax,
 * exists or unsupported.  Requests follow each other on one connection.
 *
 *	cmd		members				who
 *	status						all
 *	route		addresses: [...]		all
 *	list		peer, held, sender, recipient	admins
 *	show		id				admins
 *	hold release delete retry
 *			ids: [...], or all: true and	admins
 *			the members of list
 *	broken-list	peer				admins
 *	broken-show, broken-delete, broken-export
 *			ids: [...]; one to show or export	admins
 *	bundles						admins
 *	flush		peer				admins
 *	reload, stop					admins
 *	verify						admins
 *	backup		dir				admins
 *	trace		id				admins
 *	peer-test	site				admins
 *	peer-test-status
 *			site, serial			admins
 *	keys						all
 *	key-rotate					admins
 *	card		reach: [...]			admins
 *	submit						who may submit
 *	receive		peer, name			that peer's users
 *
 * Admins are root, the daemon's own uid, and `admins` of the configuration.
 *
 * After submit is answered the connection is an SMTP session.  After receive
 * the answer is {"ready":true}; then the client sends the object in frames of
 * a 4-byte big-endian length (at most 1 MiB) and as many octets; a length of
 * zero ends it, and {"end":true,"outcome":WORD,"reason":TEXT,"messages":N}
 * with done, duplicate, broken or later answers.
 *
 * The answer to broken-export is {"ready":true}, then frames as above and the
 * length of zero; if reading fails, the connection ends without it.
 */
#include "node/daemon.h"

struct control;

/* Listens at conf->control, mode 0660 and conf->group.  A socket left behind
 * is replaced, one that answers is ERR_STATE. NULL with e filled on error. */
struct control *control_new(struct daemon *d, struct err *e);
void control_free(struct control *control);

#endif
