/* SPDX-License-Identifier: ISC */
/*
 * The loop around a link.  Its state is the link's; here are poll(2), the
 * two descriptors, and what is told to the daemon.
 */
#include "transports/conversation.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "transports/reception.h"
#include "transports/shipment.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#define SECRET_FD 3
#define STEP 4096
#define PROGRESS_MS 1000
#define PACE_LOOKS 9		/* so many seconds make the rate of now */
#define NOTE_MS 60000
#define STOP_MS 5000		/* to say END after being told to stop */
#define SLEEP_MAX_MS 60000
#define LOOK_MS 60000		/* at out/, whether told or not */

/* What has gone and come in the last seconds. */
struct pace {
	struct {
		int64_t ms;
		uint64_t octets;
	} at[PACE_LOOKS];
	size_t looks;
};

struct conversation {
	struct contract *contract;
	struct conversation_config config;
	unsigned char (*secrets)[LINK_SECRET_LEN];
	struct shipment *shipment;
	struct reception *reception;
	bool refused;		/* something, for now */

	/* while a line is there */
	struct link *link;
	const struct conversation_line *line;
	int64_t now_ms, began_ms;
	int64_t progress_ms, note_ms, look_ms, stop_ms;
	struct pace pace;
	bool told_idle;		/* that nothing is left */
	char out[STEP];
	size_t out_at, out_len;
	bool lost, opened;
};

static int
host_read(void *ctx, uint64_t tag, uint64_t offset, void *into, size_t len)
{
	struct conversation *v = ctx;

	return shipment_read(v->shipment, tag, offset, into, len);
}

static void
host_sent(void *ctx, uint64_t tag)
{
	struct conversation *v = ctx;

	shipment_sent(v->shipment, tag);
}

static void
host_failed(void *ctx, uint64_t tag, bool permanent, struct slice text)
{
	struct conversation *v = ctx;

	v->refused = v->refused || !permanent;
	shipment_failed(v->shipment, tag, permanent, text, v->now_ms);
}

static enum link_verdict
host_open(void *ctx, unsigned slot, const struct link_file *f,
    uint64_t *have_out)
{
	struct conversation *v = ctx;

	return reception_open(v->reception, slot, f, have_out);
}

static int
host_write(void *ctx, unsigned slot, const void *octets, size_t len)
{
	struct conversation *v = ctx;

	return reception_write(v->reception, slot, octets, len);
}

static int
host_close(void *ctx, unsigned slot)
{
	struct conversation *v = ctx;

	return reception_close(v->reception, slot);
}

static void
host_leave(void *ctx, unsigned slot, bool forget)
{
	struct conversation *v = ctx;

	reception_leave(v->reception, slot, forget);
}

static size_t
host_partials(void *ctx, struct link_partial *out, size_t max)
{
	const struct conversation *v = ctx;

	return reception_partials(v->reception, out, max);
}

static const struct link_host host = {
	.read = host_read, .sent = host_sent, .failed = host_failed,
	.open = host_open, .write = host_write, .close = host_close,
	.leave = host_leave, .partials = host_partials
};

int
conversation_new(struct contract *c,
    const struct conversation_config *config, struct conversation **v_out,
    struct err *e)
{
	struct conversation *v = mem_alloc(1, sizeof(*v));
	int rc;

	v->contract = c;
	v->config = *config;
	v->config.secrets = NULL;
	v->secrets = mem_alloc(config->nsecrets, sizeof(*v->secrets));
	memcpy(v->secrets, config->secrets,
	    config->nsecrets * sizeof(*v->secrets));
	v->shipment = shipment_new(c);
	rc = reception_new(c, config->max_size, &v->reception, e);
	if (rc < 0) {
		conversation_free(v);
		v = NULL;
	}
	*v_out = v;
	return rc;
}

void
conversation_free(struct conversation *v)
{
	if (v == NULL)
		return;
	shipment_free(v->shipment);
	reception_free(v->reception);
	explicit_bzero(v->secrets, v->config.nsecrets * sizeof(*v->secrets));
	free(v->secrets);
	free(v);
}

/* A directory that cannot be read is told once a look; work goes on. */
static void
look(struct conversation *v)
{
	struct err e = ERR_INIT;

	v->look_ms = v->now_ms + LOOK_MS;
	if (shipment_look(v->shipment, &e) < 0)
		contract_note(v->contract, "%s", e.text);
}

static void
open_link(struct conversation *v)
{
	struct link_config c = {
		.caller = v->config.caller, .stay = v->config.stay,
		.needs = v->config.needs, .rate = v->config.rate,
		.secrets = (const unsigned char (*)[LINK_SECRET_LEN])
		    v->secrets,
		.nsecrets = v->config.nsecrets,
		.patience_ms = v->config.patience_ms,
		.silence_ms = v->config.silence_ms, .rng = rng_real(),
		.host = &host, .ctx = v
	};

	v->link = link_new(&c, v->now_ms);
	shipment_restart(v->shipment);
	look(v);
	shipment_offer(v->shipment, v->link, v->now_ms);
}

/* Octets a second, since the oldest look that is remembered. */
static uint64_t
pace_look(struct pace *p, int64_t ms, uint64_t octets)
{
	if (p->looks == PACE_LOOKS)
		memmove(&p->at[0], &p->at[1],
		    --p->looks * sizeof(p->at[0]));
	p->at[p->looks].ms = ms;
	p->at[p->looks++].octets = octets;
	return ms <= p->at[0].ms ? 0 : (octets - p->at[0].octets) * 1000 /
	    (uint64_t)(ms - p->at[0].ms);
}

/* Once a second while anything is under way, and once more when it is not. */
static void
report_progress(struct conversation *v)
{
	struct report_progress p;
	struct link_stats st;
	uint64_t ahead;
	bool idle;

	link_stats(v->link, &st);
	memset(&p, 0, sizeof(p));
	shipment_octets(v->shipment, v->link, &p.sent, &p.left);
	/* What was given to the stream is not yet there. */
	ahead = st.pending < p.sent ? st.pending : p.sent;
	p.sent -= ahead;
	p.left += ahead;
	p.rate = pace_look(&v->pace, v->now_ms, st.sent + st.received);
	p.received = st.received;
	p.again = st.repeated;
	p.errors = st.lost == 0 ? 0 :
	    st.lost * 1000000 / (st.arrived + st.lost);
	p.damaged = st.damaged;
	idle = p.left == 0 && p.rate == 0;
	if (!idle || !v->told_idle)
		contract_progress(v->contract, &p);
	v->told_idle = idle;
}

static void
note_stats(struct conversation *v)
{
	int64_t ms = v->now_ms - v->began_ms;
	uint64_t sent, left, speed;
	struct buf text = BUF_INIT;
	struct link_stats st;

	shipment_octets(v->shipment, v->link, &sent, &left);
	link_stats(v->link, &st);
	speed = ms > 0 ? st.sent * 1000 / (uint64_t)ms : 0;
	buf_addf(&text, "sent %" PRIu64 " received %" PRIu64
	    " again %" PRIu64 " damaged %" PRIu64 " frames, %" PRIu64
	    " octets/s, round trip %" PRId64 " ms, frames of %zu, "
	    "correction %u", st.sent, st.received, st.repeated, st.damaged,
	    speed, st.rtt_ms, st.frame_size, st.level);
	if (left > 0 && speed > 0) {
		buf_adds(&text, ", left ");
		duration_format(&text, left / speed);
	}
	contract_note(v->contract, "%s", buf_cstr(&text));
	buf_release(&text);
	v->note_ms = v->now_ms + NOTE_MS;
}

static void
tell(struct conversation *v)
{
	if (!v->opened && link_state(v->link) == LINK_OPEN) {
		v->opened = true;
		contract_note(v->contract, "link open");
		report_progress(v);
	}
	if (v->now_ms >= v->progress_ms) {
		shipment_progress(v->shipment, v->link);
		if (v->opened)
			report_progress(v);
		v->progress_ms = v->now_ms + PROGRESS_MS;
	}
	if (v->opened && v->now_ms >= v->note_ms)
		note_stats(v);
}

static void
stop(struct conversation *v)
{
	if (v->stop_ms != 0)
		return;
	v->stop_ms = v->now_ms + STOP_MS;
	link_end(v->link);
}

static void
obey(struct conversation *v)
{
	enum contract_command said = contract_command(v->contract);

	if (said == CONTRACT_STOP ||
	    (said == CONTRACT_GONE && v->config.stay))
		stop(v);
	if (said == CONTRACT_MORE || v->now_ms >= v->look_ms)
		look(v);
	if (v->stop_ms == 0)
		shipment_offer(v->shipment, v->link, v->now_ms);
}

static void
take_in(struct conversation *v)
{
	char in[STEP];
	ssize_t n = read(v->line->in_fd, in, sizeof(in));

	if (n > 0)
		link_feed(v->link, in, (size_t)n, v->now_ms);
	else if (n == 0 || (errno != EAGAIN && errno != EINTR))
		v->lost = true;
}

/* Writes until the line or the link has enough; true: the line. */
static bool
put_out(struct conversation *v)
{
	for (;;) {
		ssize_t n;

		if (v->out_len == 0) {
			v->out_at = 0;
			v->out_len = link_pull(v->link, v->out,
			    sizeof(v->out), v->now_ms);
		}
		if (v->out_len == 0)
			return false;
		n = write(v->line->out_fd, v->out + v->out_at, v->out_len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return true;
		if (n < 0) {
			v->lost = true;
			return false;
		}
		v->out_at += (size_t)n;
		v->out_len -= (size_t)n;
	}
}

static int
sleep_ms(const struct conversation *v, int64_t until_ms)
{
	int64_t at = until_ms;

	if (v->opened && v->progress_ms < at)
		at = v->progress_ms;
	if (v->stop_ms != 0 && v->stop_ms < at)
		at = v->stop_ms;
	if (at - v->now_ms > SLEEP_MAX_MS)
		return SLEEP_MAX_MS;
	return at > v->now_ms ? (int)(at - v->now_ms) : 0;
}

static void
wait_and_read(struct conversation *v, bool full, int64_t until_ms)
{
	struct pollfd p[] = {
		{ .fd = v->line->in_fd, .events = POLLIN },
		{ .fd = full ? v->line->out_fd : -1, .events = POLLOUT },
		{ .fd = contract_commands_fd(v->contract),
		    .events = POLLIN }
	};

	/* Who has said stop or is gone would be ready for ever. */
	if (v->stop_ms != 0 || contract_command_over(v->contract))
		p[2].fd = -1;
	(void)poll(p, 3, sleep_ms(v, until_ms));
	v->now_ms = clock_mono_ms(clock_real());
	if (p[0].revents != 0)
		take_in(v);
}

static void
talk(struct conversation *v)
{
	bool full = false;

	while (!v->lost && link_state(v->link) <= LINK_OPEN &&
	    (v->stop_ms == 0 || v->now_ms < v->stop_ms)) {
		int64_t until;

		obey(v);
		(void)link_tick(v->link, v->now_ms);
		full = put_out(v);
		tell(v);
		until = link_tick(v->link, v->now_ms);
		if (v->lost || link_state(v->link) > LINK_OPEN)
			break;
		wait_and_read(v, full, until);
	}
}

/* The last words are to leave, if the line takes them. */
static void
say_rest(struct conversation *v)
{
	int64_t until = v->now_ms + STOP_MS, drained;

	while (!v->lost && v->now_ms < until && put_out(v)) {
		struct pollfd p = { .fd = v->line->out_fd,
		    .events = POLLOUT };

		(void)poll(&p, 1, (int)(until - v->now_ms));
		v->now_ms = clock_mono_ms(clock_real());
	}
	drained = link_drained_ms(v->link);
	if (!v->lost && drained > v->now_ms && drained < until)
		(void)poll(NULL, 0, (int)(drained - v->now_ms));
}

static void
make_nonblocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags >= 0)
		(void)fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

static enum conversation_end
outcome(const struct conversation *v, struct err *why)
{
	enum link_state state = link_state(v->link);

	if (state == LINK_FAILED) {
		err_set(why, ERR_NOT_FOUND, v->config.caller ?
		    "nobody answers who has our secret" :
		    "nobody called who has a secret that is known");
		return CONVERSATION_SILENT;
	}
	if (state != LINK_CLOSED && v->stop_ms == 0) {
		err_set(why, ERR_IO, "the line was lost");
		return CONVERSATION_LOST;
	}
	if (state == LINK_CLOSED)
		reception_settled(v->reception);
	return v->refused ? CONVERSATION_REFUSED : CONVERSATION_DONE;
}

enum conversation_end
conversation_run(struct conversation *v,
    const struct conversation_line *line, struct err *why)
{
	enum conversation_end end;

	v->line = line;
	v->now_ms = v->began_ms = clock_mono_ms(clock_real());
	v->note_ms = v->now_ms + NOTE_MS;
	v->progress_ms = v->now_ms + PROGRESS_MS;
	v->stop_ms = 0;
	v->out_len = 0;
	v->lost = v->opened = v->refused = v->told_idle = false;
	v->pace.looks = 0;
	make_nonblocking(line->in_fd);
	make_nonblocking(line->out_fd);
	open_link(v);
	link_feed(v->link, line->first.ptr, line->first.len, v->now_ms);
	talk(v);
	say_rest(v);
	if (v->opened)
		note_stats(v);
	end = outcome(v, why);
	link_free(v->link);
	v->link = NULL;
	return end;
}

static int
read_path(struct contract *c, unsigned *needs_out, struct err *e)
{
	const char *path = contract_setting(c, "path", "clean");

	if (strcmp(path, "xonxoff") == 0)
		*needs_out |= LINK_XON;
	else if (strcmp(path, "7bit") == 0)
		*needs_out |= LINK_7BIT;
	else if (strcmp(path, "clean") != 0)
		return err_set(e, ERR_CONFIG,
		    "path=%s: want clean, xonxoff or 7bit", path);
	return 0;
}

static int
read_ms(struct contract *c, const char *key, int64_t *ms_io, struct err *e)
{
	int ms = 0, rc = contract_setting_ms(c, key, (int)*ms_io, &ms, e);

	*ms_io = ms;
	return rc;
}

static int
read_secret(struct contract *c, bool *none_out, struct err *e)
{
	const char *how = contract_setting(c, "secret", "given");

	*none_out = strcmp(how, "none") == 0;
	if (!*none_out && strcmp(how, "given") != 0)
		return err_set(e, ERR_CONFIG, "secret=%s: want given or none",
		    how);
	return 0;
}

int
conversation_settings(struct contract *c,
    struct conversation_config *config, struct err *e)
{
	bool plain = false, half = false;
	int rc = read_path(c, &config->needs, e);

	if (rc == 0)
		rc = contract_setting_bool(c, "plain", false, &plain, e);
	if (rc == 0)
		rc = contract_setting_bool(c, "half-duplex", false, &half, e);
	if (rc == 0)
		rc = read_ms(c, "patience", &config->patience_ms, e);
	if (rc == 0)
		rc = read_ms(c, "silence", &config->silence_ms, e);
	if (rc == 0)
		rc = contract_setting_size(c, "max-size", config->max_size,
		    &config->max_size, e);
	if (rc == 0)
		rc = read_secret(c, &config->no_secret, e);
	config->needs |= (plain ? LINK_PLAIN : 0) | (half ? LINK_HALF : 0);
	return rc;
}

int
conversation_secrets(const struct conversation_config *config,
    struct buf *out, struct err *e)
{
	size_t max = CONVERSATION_SECRETS_MAX * LINK_SECRET_LEN;
	ssize_t n;

	if (config->no_secret) {
		static const char zeros[LINK_SECRET_LEN];

		buf_add(out, zeros, sizeof(zeros));
		return 0;
	}
	while ((n = read(SECRET_FD, buf_room(out, LINK_SECRET_LEN),
	    LINK_SECRET_LEN)) > 0 && out->len + (size_t)n <= max)
		buf_grown(out, (size_t)n);
	close(SECRET_FD);
	if (out->len == 0 || out->len % LINK_SECRET_LEN != 0 || n != 0)
		return err_set(e, ERR_CONFIG, "no secret of %d octets on "
		    "descriptor %d (for a line without one: secret=none)",
		    LINK_SECRET_LEN, SECRET_FD);
	return 0;
}
