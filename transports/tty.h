/* SPDX-License-Identifier: ISC */
#ifndef TRANSPORTS_TTY_H
#define TRANSPORTS_TTY_H
/*
 * A serial line: termios, exclusive use, modem lines.
 */
#include <stdbool.h>
#include <stdint.h>
#include <termios.h>

#include "base/err.h"

enum tty_flow { TTY_FLOW_NONE, TTY_FLOW_RTSCTS, TTY_FLOW_XONXOFF };

struct tty_options {
	const char *device;	/* absolute path */
	const char *lock_dir;	/* of HDB lock files; NULL: none */
	uint32_t speed;		/* bit/s, one that termios knows */
	enum tty_flow flow;
	bool seven_bits;	/* with even parity */
	bool modem;		/* hang up at the end, notice lost carrier */
};

struct tty {
	int fd;			/* non-blocking; -1: closed */
	char *lock;
	bool modem;
	struct termios before;
};

#define TTY_INIT { .fd = -1 }

/* Whether termios knows the speed. */
bool tty_speed_ok(uint32_t bits_per_sec);
/* Locks, opens and sets the line; carrier is not waited for.  ERR_EXISTS:
 * another program uses it. */
int tty_open(struct tty *t, const struct tty_options *o, struct err *e)
    MUST_CHECK;
/* From here on the end of carrier is the end of the line. */
void tty_watch_carrier(struct tty *t);
/* Lets the last octets leave (a few seconds at most), hangs up, restores the
 * settings, unlocks; harmless when closed. */
void tty_close(struct tty *t);
/* A break of a quarter to half a second. */
void tty_break(const struct tty *t);

#endif
