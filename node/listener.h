/* SPDX-License-Identifier: ISC */
#ifndef NODE_LISTENER_H
#define NODE_LISTENER_H
/*
 * The sockets where mail is submitted, and the sessions on them.
 *
 *	listener_set_open	binds; before privileges are dropped
 *	listener_set_start	accepts; spool and exchange are open
 *	   listener_set_completed for each exchange_next_completion
 *	listener_set_stop	no new sessions; running ones end
 *	listener_set_free	when not busy, or when patience ends
 */
#include "node/daemon.h"

struct listener_set;

/* Binds all of conf->listener, or takes those that systemd opened for us
 * (matched by address).  UNIX sockets get their mode and, when we are root,
 * the owner conf->user and group conf->group; a file that nobody answers on is
 * replaced.  Keeps nothing of conf.  log is kept for warnings; may be NULL. */
int listener_set_open(const struct conf *conf, struct log *log,
    struct listener_set **set_out, struct err *e) MUST_CHECK;
/* Begins to accept on d->base.  d must outlive the set. */
void listener_set_start(struct listener_set *set, struct daemon *d);
/* Who is allowed; new addresses need a restart, and one that is gone from the
 * configuration stays as it was.  Limits are read from d->conf as needed. */
void listener_set_reload(struct listener_set *set, const struct conf *conf);
/* Closes the listeners; each session ends with 421 after its transaction. */
void listener_set_stop(struct listener_set *set);
/* Is a commit worth a wait: somebody needs it, and others that were heard
 * from or answered since then will need one soon? */
bool listener_set_gathers(const struct listener_set *set, int64_t since_ms);
/* Is any session not yet at its end? */
bool listener_set_busy(const struct listener_set *set);
/* Ends what still runs without a word. */
void listener_set_free(struct listener_set *set);
/* Answers the session whose message it is and lets it go on. */
void listener_set_completed(struct listener_set *set,
    const struct exchange_completion *c);
/* Would a connection to this address end here?  Addresses that stand for any
 * and the paths of UNIX sockets are counted in. */
bool listener_set_is_own(const struct listener_set *set,
    const struct sockaddr *addr, socklen_t len);
/* Makes a connected UNIX stream socket a session of uid, who needs to be in no
 * allow list; limits hold.  Owns fd. */
void listener_adopt(struct listener_set *set, int fd, uid_t uid);

#endif
