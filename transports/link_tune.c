/* SPDX-License-Identifier: ISC */
/*
 * A model of the line instead of rules of thumb: expected yield is the share
 * of payload in a frame times the probability that it arrives, computed for
 * each level and a ladder of sizes.  Wrong octets are taken as a Poisson
 * process, other damage as a rate for each octet sent.
 */
#include "transports/link_tune.h"

#include <math.h>

#define FADE_OCTETS 131072.0	/* evidence is worth half after this */
#define PRIOR_OCTETS 4096.0	/* as if so much had been sent */
#define PRIOR_LOST 0.004	/* and so many frames lost */
#define DOUBT 0.05		/* frames that a clean line may lose yet */
#define DOUBT_FAR 0.12		/* where it is long until that is known */
#define NOISE_OCTETS 8192.0	/* see noise_rate */
#define FRAME_SECS_MAX 2.2	/* longest frame */
#define SIZE_MIN 32
#define SIZE_FIRST 1024
#define SIZE_FIRST_SLOW 512	/* where that would take long */
#define SLOW 4000		/* octets a second */
#define LEVEL_FIRST 2
#define FRESH_OCTETS 16384	/* between two choices, at most */
#define FRESH_FRAMES 16
#define BETTER 1.002		/* by so much a change must be better */
#define CREDIT_MAX 64
#define NOISY 0.2		/* frames lost, of late */
#define PATIENCE_MIN_US 400000	/* more than the peer waits to acknowledge */
#define PATIENCE_PUSHED_US 60000
#define FAR_US 300000
#define PATIENCE_UNKNOWN_US 5000000	/* buffers of unknown depth */
#define PATIENCE_FIRST_US 2000000
#define RATE_GUESS 1000000.0	/* octets a second where not known */

static const size_t sizes[] = { 32, 48, 64, 96, 128, 192, 256, 384, 512, 768,
	1024, 1536, 2048, 3072, FRAME_BODY_MAX };

#define NSIZES (sizeof(sizes) / sizeof(sizes[0]))

/* What a frame carries beside its payload: an acknowledgement. */
#define BODY_EXTRA 4

/* Damage that error correction does not help against, for each octet. */
static double
other_rate(const struct tune *t)
{
	return (t->lost[1] + PRIOR_LOST) / (t->sent[1] + PRIOR_OCTETS);
}

/* Damage of any kind, for each octet: frames lost without correction, and
 * with it, and what was put right.  A line is not believed to be clean
 * before much has passed over it. */
static double
plain_rate(const struct tune *t)
{
	double wrong = t->noise > 0 ? t->noise * t->sent[1] : 0;
	double doubt = tune_is_far(t) ? DOUBT_FAR : DOUBT;

	return (t->lost[0] + t->lost[1] + wrong) /
	    (t->sent[0] + t->sent[1] + PRIOR_OCTETS) +
	    doubt / (t->seen + PRIOR_OCTETS);
}

/* Octets that are wrong, where correction sees them: what the peer says,
 * which weighs as much as there was to see. */
static double
noise_rate(const struct tune *t, double plain)
{
	if (t->noise < 0)
		return plain;
	return (t->noise * t->sent[1] + plain * NOISE_OCTETS) /
	    (t->sent[1] + NOISE_OCTETS);
}

/* The probability that at most `most` of len octets are wrong. */
static double
at_most(double rate, double len, size_t most)
{
	double mean = rate * len, term = exp(-mean), sum = term;

	for (size_t i = 1; i <= most; i++) {
		term *= mean / (double)i;
		sum += term;
	}
	return sum > 1 ? 1 : sum;
}

/* The probability that error correction can put a frame right. */
static double
corrected(double noise, size_t wire_len, unsigned level)
{
	double words = ceil((double)wire_len / RS_WORD_MAX);

	return pow(at_most(noise, (double)wire_len / words,
	    frame_parity(level) / 2), words);
}

static double
yield(const struct tune *t, unsigned level, size_t size)
{
	size_t wire_len = frame_wire_len(size, level);
	double share = ((double)size - BODY_EXTRA) / (double)wire_len;
	double plain = plain_rate(t);

	if (level == 0)
		return share * exp(-plain * (double)wire_len);
	return share * corrected(noise_rate(t, plain), wire_len, level) *
	    exp(-other_rate(t) * (double)wire_len);
}

static void
choose(struct tune *t)
{
	double best = yield(t, t->level, t->size) * BETTER;

	t->fresh = 0;
	for (unsigned level = 0; level < FRAME_LEVELS; level++) {
		for (size_t i = 0; i < NSIZES; i++) {
			double y;

			if (sizes[i] > t->size_max)
				break;
			y = yield(t, level, sizes[i]);
			if (y <= best)
				continue;
			best = y;
			t->level = level;
			t->size = sizes[i];
		}
	}
}

void
tune_init(struct tune *t, double rate)
{
	*t = (struct tune){ .rate = rate, .noise = -1, .srtt_us = -1 };
	t->size_max = FRAME_BODY_MAX;
	if (rate > 0 && rate * FRAME_SECS_MAX < FRAME_BODY_MAX)
		t->size_max = (size_t)(rate * FRAME_SECS_MAX);
	if (t->size_max < SIZE_MIN)
		t->size_max = SIZE_MIN;
	t->level = LEVEL_FIRST;
	t->size = rate > 0 && rate < SLOW ? SIZE_FIRST_SLOW : SIZE_FIRST;
	if (t->size > t->size_max)
		t->size = t->size_max;
}

void
tune_hello(struct tune *t, size_t wrong, size_t len)
{
	t->sent[0] += (double)len;
	t->lost[0] += (double)wrong;
	if (wrong > 0)
		choose(t);
	if (t->level < LEVEL_FIRST)
		t->level = LEVEL_FIRST;
	if (t->size > SIZE_FIRST)
		t->size = SIZE_FIRST;
}

static void
fade(struct tune *t, double octets)
{
	double keep = exp2(-octets / FADE_OCTETS);

	for (int i = 0; i < 2; i++) {
		t->lost[i] *= keep;
		t->sent[i] *= keep;
	}
	t->credit *= keep;
}

/* How much of the loss of a frame with correction is to be laid to damage
 * that correction does not help against: the rest is what it was expected
 * not to manage, and says nothing new. */
static double
other_share(const struct tune *t, size_t wire_len, unsigned level)
{
	double noise = noise_rate(t, plain_rate(t));
	double beyond = 1 - corrected(noise, wire_len, level);
	double other = other_rate(t) * (double)wire_len;

	return other / (other + beyond);
}

void
tune_fate(struct tune *t, const struct stream_fate *f)
{
	int coded = f->level > 0;
	double lost = f->arrived ? 0 : 1;

	fade(t, (double)f->wire_len);
	t->seen += (double)f->wire_len;
	t->sent[coded] += (double)f->wire_len;
	if (!f->arrived && t->credit >= 1) {
		t->credit -= 1;
		lost = 0;
	}
	if (coded && lost > 0)
		lost = other_share(t, f->wire_len, f->level);
	t->lost[coded] += lost;
	t->fresh += f->wire_len > FRESH_OCTETS / FRESH_FRAMES ? f->wire_len :
	    FRESH_OCTETS / FRESH_FRAMES;
	if (lost > 0 || t->fresh >= FRESH_OCTETS)
		choose(t);
}

void
tune_report(struct tune *t, uint8_t noise, uint8_t bad, unsigned level)
{
	uint8_t more = (uint8_t)(bad - t->bad);
	double add = more;

	t->bad = bad;
	if (frame_noise_rate(noise) >= 0)
		t->noise = frame_noise_rate(noise);
	if (more == 0)
		return;
	if (level > 0)
		add *= other_share(t, frame_wire_len(t->size, level), level);
	t->lost[level > 0] += add;
	t->credit += more;
	if (t->credit > CREDIT_MAX)
		t->credit = CREDIT_MAX;
	choose(t);
}

void
tune_rtt(struct tune *t, int64_t rtt_us)
{
	int64_t off;

	if (t->srtt_us < 0) {
		t->srtt_us = rtt_us;
		t->rttvar_us = rtt_us / 4;
		return;
	}
	off = rtt_us - t->srtt_us;
	t->srtt_us += off / 8;
	t->rttvar_us += ((off < 0 ? -off : off) - t->rttvar_us) / 4;
}

bool
tune_noisy(const struct tune *t)
{
	return t->noise > 0 || t->lost[0] + t->lost[1] > NOISY;
}

bool
tune_is_far(const struct tune *t)
{
	return t->srtt_us > FAR_US + tune_airtime_us(t, t->size);
}

int64_t
tune_airtime_us(const struct tune *t, size_t octets)
{
	double rate = t->rate > 0 ? t->rate : RATE_GUESS;

	return (int64_t)((double)octets * 1e6 / rate);
}

int64_t
tune_patience_us(const struct tune *t, bool pushed)
{
	int64_t more = (pushed ? PATIENCE_PUSHED_US : PATIENCE_MIN_US) +
	    tune_airtime_us(t, t->size);

	if (t->rate <= 0)
		more += PATIENCE_UNKNOWN_US;

	if (t->srtt_us < 0)
		return PATIENCE_FIRST_US + more;
	return t->srtt_us + 4 * t->rttvar_us + more;
}
