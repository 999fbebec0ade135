/* SPDX-License-Identifier: ISC */
/*
 * The tty.  Exclusive use is claimed three times, as no one way is known to
 * all programs: lock files, flock(2) and TIOCEXCL.
 */
#include "transports/tty.h"
#include "base/buf.h"
#include "transports/lockfile.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define DRAIN_STEP_MS 50
#define DRAIN_MS 3000
#define HANG_UP_MS 500

static const struct {
	uint32_t bits;
	speed_t code;
} speeds[] = {
	{ 50, B50 }, { 75, B75 }, { 110, B110 }, { 134, B134 },
	{ 150, B150 }, { 200, B200 }, { 300, B300 }, { 600, B600 },
	{ 1200, B1200 }, { 1800, B1800 }, { 2400, B2400 }, { 4800, B4800 },
	{ 9600, B9600 }, { 19200, B19200 }, { 38400, B38400 },
	{ 57600, B57600 }, { 115200, B115200 }, { 230400, B230400 },
	{ 460800, B460800 }, { 500000, B500000 }, { 576000, B576000 },
	{ 921600, B921600 }, { 1000000, B1000000 }, { 1152000, B1152000 },
	{ 1500000, B1500000 }, { 2000000, B2000000 }, { 2500000, B2500000 },
	{ 3000000, B3000000 }, { 3500000, B3500000 }, { 4000000, B4000000 },
};

#define NSPEEDS (sizeof(speeds) / sizeof(speeds[0]))

static speed_t
speed_code(uint32_t bits)
{
	for (size_t i = 0; i < NSPEEDS; i++)
		if (speeds[i].bits == bits)
			return speeds[i].code;
	return B0;
}

bool
tty_speed_ok(uint32_t bits_per_sec)
{
	return speed_code(bits_per_sec) != B0;
}

static int
claim(struct tty *t, const struct tty_options *o, struct err *e)
{
	struct stat st;

	if (fstat(t->fd, &st) < 0 || !S_ISCHR(st.st_mode) || !isatty(t->fd))
		return err_set(e, ERR_CONFIG, "%s is not a tty", o->device);
	if (flock(t->fd, LOCK_EX | LOCK_NB) < 0)
		return err_set(e, ERR_EXISTS, "%s is in use: another program "
		    "holds a lock on it", o->device);
	if (ioctl(t->fd, TIOCEXCL) < 0)
		return err_errno(e, "cannot have %s for ourselves",
		    o->device);
	return 0;
}

static int
set_up(struct tty *t, const struct tty_options *o, struct err *e)
{
	struct termios now;

	if (tcgetattr(t->fd, &t->before) < 0)
		return err_errno(e, "cannot read the settings of %s",
		    o->device);
	now = t->before;
	cfmakeraw(&now);
	now.c_cflag |= CREAD | CLOCAL;
	now.c_cflag &= ~(tcflag_t)(CSTOPB | CRTSCTS | HUPCL);
	now.c_iflag |= IGNBRK;
	if (o->flow == TTY_FLOW_RTSCTS)
		now.c_cflag |= CRTSCTS;
	if (o->flow == TTY_FLOW_XONXOFF)
		now.c_iflag |= IXON | IXOFF;
	if (o->seven_bits) {
		now.c_cflag = (now.c_cflag & ~(tcflag_t)CSIZE) | CS7 | PARENB;
		now.c_iflag |= ISTRIP;
	}
	if (o->modem)
		now.c_cflag |= HUPCL;
	now.c_cc[VMIN] = 1;
	now.c_cc[VTIME] = 0;
	cfsetispeed(&now, speed_code(o->speed));
	cfsetospeed(&now, speed_code(o->speed));
	if (tcsetattr(t->fd, TCSANOW, &now) < 0)
		return err_errno(e, "cannot set %s to %u bit/s", o->device,
		    o->speed);
	(void)tcflush(t->fd, TCIOFLUSH);
	return 0;
}

int
tty_open(struct tty *t, const struct tty_options *o, struct err *e)
{
	int rc = 0;

	*t = (struct tty)TTY_INIT;
	t->modem = o->modem;
	if (o->lock_dir != NULL)
		rc = lockfile_take(o->lock_dir, o->device, &t->lock, e);
	if (rc < 0)
		return rc;
	t->fd = open(o->device, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (t->fd < 0)
		rc = err_errno(e, "cannot open %s", o->device);
	if (rc == 0)
		rc = claim(t, o, e);
	if (rc == 0)
		rc = set_up(t, o, e);
	if (rc < 0) {
		if (t->fd >= 0)
			close(t->fd);
		t->fd = -1;
		lockfile_drop(t->lock);
		t->lock = NULL;
	}
	return rc;
}

void
tty_watch_carrier(struct tty *t)
{
	struct termios now;

	if (!t->modem || tcgetattr(t->fd, &now) < 0)
		return;
	now.c_cflag &= ~(tcflag_t)CLOCAL;
	(void)tcsetattr(t->fd, TCSANOW, &now);
}

/* tcdrain(3) would wait for ever where the other end has said XOFF.  What
 * has not left by then is given up, or close(2) would wait for it. */
static void
drain(const struct tty *t)
{
	int held = 0;

	for (int ms = 0; ms < DRAIN_MS; ms += DRAIN_STEP_MS) {
		if (ioctl(t->fd, TIOCOUTQ, &held) < 0 || held == 0)
			return;
		(void)poll(NULL, 0, DRAIN_STEP_MS);
	}
	(void)tcflush(t->fd, TCOFLUSH);
}

static void
hang_up(const struct tty *t)
{
	struct termios now;

	if (tcgetattr(t->fd, &now) < 0)
		return;
	cfsetospeed(&now, B0);
	if (tcsetattr(t->fd, TCSANOW, &now) == 0)
		(void)poll(NULL, 0, HANG_UP_MS);
}

void
tty_close(struct tty *t)
{
	if (t->fd >= 0) {
		drain(t);
		if (t->modem)
			hang_up(t);
		(void)tcsetattr(t->fd, TCSANOW, &t->before);
		(void)ioctl(t->fd, TIOCNXCL);
		close(t->fd);
	}
	t->fd = -1;
	lockfile_drop(t->lock);
	t->lock = NULL;
}

void
tty_break(const struct tty *t)
{
	(void)tcsendbreak(t->fd, 0);
}
