/* SPDX-License-Identifier: ISC */
/*
 * What a world is like: how many sites, what links them, what each end of a
 * link is set to, and how bad the weather is.  All of it follows from the
 * seed.
 */
#include "tests/sim/sim.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/file.h"

static const char *const names[SITES_MAX] = { "paris", "london", "oslo",
	"bern", "rome", "wien", "prag", "riga", "turin", "cadiz", "porto",
	"lyon", "metz", "brest", "bonn", "kiel", "ulm", "linz", "graz",
	"basel", "davos", "malmo", "umea", "turku", "bergen", "narvik",
	"dover", "york", "leeds", "cork", "galway", "gent", "delft", "breda",
	"lodz", "gdansk", "brno", "split", "zadar", "sofia", "varna",
	"athens", "patras", "izmir", "tunis", "oran", "fes", "tanger",
	"malta", "faro" };

/*
 * Links.
 */
static void
side_make(struct world *w, struct side *side)
{
	bool gentle = w->set.calm || w->strict;

	if (roll(w, 3) == 0)
		side->every_hours = 1 + (unsigned)roll(w, gentle ? 2 : 6);
	else
		side->nights = roll(w, 8) == 0;
	if (roll(w, 3) == 0)
		side->batch_count = 1 + (unsigned)roll(w, 20);
	if (roll(w, 5) == 0)
		side->batch_age_mins = 1 + (unsigned)roll(w, 20);
	side->binary = roll(w, 2) == 0;
	if (roll(w, 2) == 0)
		side->parcel_octets = (gentle ? 16384 : 2048) +
		    roll(w, 200000);
	if (roll(w, 3) == 0)
		side->shape = roll(w, 2) == 0 ? 1 : 4096 + roll(w, 60000);
	side->each = roll(w, 3) == 0;
}

static enum tongue
some_tongue(struct world *w, size_t a, size_t b)
{
	if (w->realm == REALM_NATIVE || (w->realm == REALM_MIXED &&
	    w->site[a].gate == NULL && w->site[b].gate == NULL))
		return TONGUE_NATIVE;
	return roll(w, 2) == 0 ? TONGUE_BSMTP : TONGUE_RFC2442;
}

uint64_t
plan_hash(const struct world *w, const struct link *l, uint64_t n)
{
	uint64_t h = w->set.seed * 1000003 + (uint64_t)(l - w->link);

	h = (h ^ n * UINT64_C(0x9e3779b97f4a7c15)) *
	    UINT64_C(0xbf58476d1ce4e5b9);
	return (h ^ h >> 31) >> 8;
}

static void
link_make(struct world *w, size_t a, size_t b)
{
	struct link *l;

	w->link = mem_realloc(w->link, w->nlinks + 1, sizeof(*w->link));
	l = &w->link[w->nlinks++];
	*l = (struct link){ .site = { a, b } };
	l->lanes = plan_hash(w, l, 1000) % 3 == 0 ? 2 : 1;
	l->cost = 1 + (unsigned)roll(w, 10);
	l->tongue = some_tongue(w, a, b);
	l->gzip = roll(w, 2) == 0;
	l->sign = roll(w, 10) == 0;
	switch (roll(w, 4)) {
	case 0:
		l->way_ms = 5000;
		break;
	case 1:
		l->way_ms = 2 * HOUR_MS;
		break;
	default:
		l->way_ms = 10 * (int64_t)MINUTE_MS;
		break;
	}
	l->worst_ms = w->set.calm ? l->way_ms : l->way_ms +
	    (int64_t)roll(w, (uint64_t)DAY_MS);
	side_make(w, &l->side[0]);
	side_make(w, &l->side[1]);
}

static bool
has_link(const struct world *w, size_t a, size_t b)
{
	size_t i;

	for (i = 0; i < w->nlinks; i++) {
		const struct link *l = &w->link[i];

		if ((l->site[0] == a && l->site[1] == b) ||
		    (l->site[0] == b && l->site[1] == a))
			return true;
	}
	return false;
}

/* A tree, and some more.  Long chains are for small worlds.  In a mixed one
 * some at the end have one neighbour each. */
static void
links_make(struct world *w)
{
	bool chain = w->nsites <= 10 && roll(w, 3) == 0;
	size_t i, a, b, more, n = w->nsites;

	if (w->realm == REALM_MIXED)
		n -= 1 + roll(w, w->nsites / 2);
	for (i = 1; i < n; i++)
		link_make(w, chain ? i - 1 : roll(w, i), i);
	for (more = roll(w, n); more > 0; more--) {
		a = roll(w, n);
		b = roll(w, n);
		if (a != b && !has_link(w, a, b))
			link_make(w, a, b);
	}
	for (i = n; i < w->nsites; i++) {
		a = roll(w, n);
		w->site[i].gate = &w->site[a];
		link_make(w, a, i);
	}
}

/*
 * Weather.
 */
static uint64_t
some_odds(struct world *w)
{
	static const uint64_t odds[] = { 0, 0, 100, 50, 20, 12, 5 };

	return odds[roll(w, sizeof(odds) / sizeof(odds[0]))];
}

static void
weather_make(struct world *w)
{
	struct weather *o = &w->weather;

	o->unwritten = some_odds(w);
	o->carrier = some_odds(w);
	o->killed = some_odds(w);
	o->torn = some_odds(w);
	o->failed = some_odds(w);
	o->refused = roll(w, 3) == 0 ? 200 : 0;
	o->twice = some_odds(w);
	o->deferred = some_odds(w);
	o->returned = some_odds(w);
	o->swept = some_odds(w);
	o->stillborn = some_odds(w);
	o->fault_gap_ms = (uint64_t)HOUR_MS * (1 + roll(w, 12));
	o->partitions = roll(w, 2) == 0;
	o->absences = roll(w, 3) == 0;
	o->jumps = roll(w, 3) == 0;
	o->full_disks = roll(w, 3) == 0;
}

/* Where everything is acknowledged, far more may go wrong. */
static void
bad_weather_make(struct world *w)
{
	struct weather *o = &w->weather;

	if (w->realm == REALM_OLD)
		return;
	o->lost = some_odds(w);
	o->flipped = some_odds(w);
	o->shortened = some_odds(w);
	o->lengthened = some_odds(w);
	o->replayed = some_odds(w);
	o->astray = some_odds(w);
	o->rotations = roll(w, 3) == 0 && w->nsites <= 12;
	w->strict = roll(w, 2) == 0;
	if (w->strict || w->realm != REALM_NATIVE || w->set.bdb)
		return;
	o->restores = roll(w, 2) == 0;
	o->rebuilds = roll(w, 3) == 0;
	o->deaths = roll(w, 4) == 0;
	o->silence = w->nsites <= 6 && roll(w, 15) == 0;
}

static enum realm
some_realm(struct world *w)
{
	uint64_t n = roll(w, 100);

	if (w->set.realm >= 0)
		return (enum realm)w->set.realm;
	return n < 10 ? REALM_OLD : n < 37 ? REALM_MIXED : REALM_NATIVE;
}

/* Strict is where nothing lasts as long as mail lives: few runs end before all
 * is carried. */
static void
be_gentle(struct weather *o)
{
	uint64_t *odds[] = { &o->carrier, &o->killed, &o->torn, &o->lost,
		&o->flipped, &o->shortened, &o->astray, &o->unwritten };
	size_t i;

	o->partitions = o->absences = o->full_disks = o->jumps = false;
	for (i = 0; i < sizeof(odds) / sizeof(odds[0]); i++) {
		if (*odds[i] != 0 && *odds[i] < 20)
			*odds[i] = 20;
	}
}

static void
times_make(struct world *w)
{
	if (w->strict)
		be_gentle(&w->weather);
	w->lifetime_days = w->strict || w->set.calm || w->realm == REALM_OLD ?
	    5 : 2 + (unsigned)roll(w, 4);
	w->key_days = 2 * (w->lifetime_days + 1) + roll(w, 10);
	w->faults_end_ms = DAY_MS + (int64_t)roll(w, (uint64_t)DAY_MS *
	    (w->nsites > 12 ? 1 : roll(w, 8) == 0 ? 12 : 3));
	if (w->weather.silence)
		w->faults_end_ms = 100 * DAY_MS;
	else if (w->weather.rotations)
		w->faults_end_ms += 10 * DAY_MS;
}

/* Half of all worlds are of three sites, one in thirteen is of seven or more,
 * one in eighty of thirteen or more: what goes wrong mostly does among few,
 * and one large world takes as long as thirty small ones. */
static size_t
some_size(struct world *w)
{
	size_t most = w->set.most != 0 ? w->set.most : SITES_MAX, n;
	double u = (double)(1 + roll(w, 1 << 24)) / (1 << 24);

	if (w->set.sites != 0)
		return w->set.sites;
	if (w->set.bdb)
		return 3 + roll(w, 2);
	n = (size_t)(3 / cbrt(u));
	if (n > SITES_MAX)
		n = 13 + roll(w, SITES_MAX - 12);
	return n < most ? n : most;
}

static void
describe(struct world *w)
{
	static const char *const tongue[] = { [TONGUE_RFC2442] = "rfc2442",
		[TONGUE_BSMTP] = "bsmtp", [TONGUE_NATIVE] = "native" };
	size_t i, k;

	tell(w, "plan", "lifetime %u days, keys %" PRIu64 ", strict %d",
	    w->lifetime_days, w->key_days, w->strict);

	for (i = 0; i < w->nlinks; i++) {
		const struct link *l = &w->link[i];

		tell(w, "plan", "%s - %s: cost %u, %s, way %" PRId64 " s, %u "
		    "lanes", names[l->site[0]], names[l->site[1]], l->cost,
		    tongue[l->tongue], l->way_ms / 1000, l->lanes);
		for (k = 0; k < 2; k++)
			tell(w, "plan", "    %s: every %u hours, nights %d, "
			    "count %u, age %u min", names[l->site[k]],
			    l->side[k].every_hours, l->side[k].nights,
			    l->side[k].batch_count, l->side[k].batch_age_mins);
	}
}

static void
road_make(struct site *s, struct link *l, unsigned lane)
{
	struct road *r = &s->road[s->nroads++];
	size_t to = l->site[l->site[0] == s->index];

	r->site = s;
	r->to = &s->world->site[to];
	r->way = l;
	r->lane = lane;
	r->peer_lane = l->lanes == 1 ? mem_strdup(names[to]) :
	    mem_printf("%s/lane%u", names[to], lane);
	list_init(&r->out);
	list_init(&r->in);
	list_init(&r->past);
	list_init(&r->made);
}

static void
roads_make(struct world *w, struct site *s)
{
	size_t i, k;

	for (i = 0; i < w->nlinks; i++) {
		for (k = 0; k < 2; k++)
			if (w->link[i].site[k] == s->index)
				s->nroads += w->link[i].lanes;
	}
	s->road = mem_alloc(s->nroads, sizeof(*s->road));
	s->nroads = 0;
	for (i = 0; i < w->nlinks; i++) {
		struct link *l = &w->link[i];

		for (k = 0; k < 2 * l->lanes; k++)
			if (l->site[k % 2] == s->index)
				road_make(s, l, (unsigned)k / 2);
	}
}

/* One in four is wrong by months: it has no battery. */
static int64_t
wrong_by(struct world *w)
{
	uint64_t most = (uint64_t)DAY_MS * (w->realm == REALM_OLD ||
	    roll(w, 4) == 0 ? 300 : 1);

	if (!w->weather.jumps || w->set.calm)
		return 0;
	return (int64_t)roll(w, 2 * most) - (int64_t)most;
}

void
plan_make(struct world *w)
{
	size_t i;

	w->nsites = some_size(w);
	w->realm = some_realm(w);
	weather_make(w);
	bad_weather_make(w);
	times_make(w);
	w->site = mem_alloc(w->nsites, sizeof(*w->site));
	links_make(w);
	for (i = 0; i < w->nsites; i++) {
		struct site *s = &w->site[i];

		s->world = w;
		s->index = i;
		s->name = names[i];
		s->wall_offset_ms = s->wall_wrong_ms = wrong_by(w);
		roads_make(w, s);
	}
	describe(w);
}

struct site *
plan_home(struct world *w, const char *address)
{
	struct slice d = slice_of(strrchr(address, '@') + 1);
	const char *dot;
	size_t i;

	if (d.len < 8 || strcmp(d.ptr + d.len - 8, ".example") != 0)
		return NULL;
	d.len -= 8;
	dot = memrchr(d.ptr, '.', d.len);
	if (dot != NULL) {
		d.len -= (size_t)(dot + 1 - d.ptr);
		d.ptr = dot + 1;
	}
	for (i = 0; i < w->nsites; i++) {
		if (slice_eqs(d, w->site[i].name))
			return &w->site[i];
	}
	return NULL;
}

/*
 * Configurations.
 */
static void
put_site(struct buf *b, const struct site *s)
{
	const char *n = s->name, *dir = s->world->set.dir;

	buf_addf(b, "site %s {\n postmaster = postmaster@%s.example\n"
	    " hostname = mail.%s.example\n address = bundle@%s.example\n"
	    " spool = %s\n run = %s\n min-free = 1M\n hops-max = 60\n"
	    " lifetime = %ud\n}\n", n, n, n, n, dir, dir,
	    s->world->lifetime_days);
	buf_addf(b, "delivery home {\n domains = { %s.example }\n"
	    " to = maildir:/sim/home\n}\n", n);
	buf_addf(b, "delivery staff {\n domains = { staff.%s.example }\n"
	    " to = maildir:/sim/staff\n users = { ann, bob }\n}\n", n);
}

static void
put_side(struct buf *b, const struct side *side)
{
	if (side->every_hours != 0)
		buf_addf(b, " call = { \"every %uh\" }\n", side->every_hours);
	if (side->nights)
		buf_adds(b, " call = { \"Any2200-0700\" }\n");
	if (side->batch_count != 0)
		buf_addf(b, " batch-count = %u\n", side->batch_count);
	if (side->batch_age_mins != 0)
		buf_addf(b, " batch-age = %um\n", side->batch_age_mins);
}

static void
put_native(struct buf *b, const struct link *l, const struct side *side)
{
	buf_addf(b, " dialect = native\n compress = %s\n",
	    side->each ? "each" : l->gzip ? "together" : "none");
	if (side->parcel_octets != 0)
		buf_addf(b, " parcel-size = %" PRIu64 "\n",
		    side->parcel_octets);
	if (side->shape == 1)
		buf_adds(b, " shape = padme\n");
	else if (side->shape != 0)
		buf_addf(b, " shape = %" PRIu64 "\n", side->shape);
	if (l->sign)
		buf_adds(b, " seal = sign\n forward-signed = yes\n");
}

/* The first of two may be for what is small or urgent, the second is called at
 * times of its own. */
static void
put_lanes(struct buf *b, const struct road *r)
{
	uint64_t kind = plan_hash(r->site->world, r->way, r->site->index);

	if (r->way->lanes == 1) {
		buf_adds(b, " transport = /bin/true\n");
		return;
	}
	buf_addf(b, " transport lane0 {\n program = /bin/true\n%s%s }\n",
	    kind % 2 == 0 ? " size-max = 4K\n" : "",
	    kind / 2 % 3 == 0 ? " priority-min = 1\n" : "");
	buf_addf(b, " transport lane1 {\n program = /bin/true\n%s }\n",
	    kind / 6 % 2 == 0 ? " call = \"every 2h\"\n" : "");
}

static void
put_peer(struct buf *b, const struct road *r)
{
	const struct link *l = r->way;
	const struct side *side = &l->side[l->site[1] == r->site->index];
	const char *to = r->to->name;

	buf_addf(b, "peer %s {\n cost = %u\n may-relay = yes\n"
	    " lifetime = %ud\n", to, l->cost,
	    r->site->world->lifetime_days);
	put_lanes(b, r);
	if (l->tongue == TONGUE_NATIVE)
		put_native(b, l, side);
	else if (l->tongue == TONGUE_RFC2442)
		buf_addf(b, " dialect = rfc2442\n compress = %s\n"
		    " address = bundle@%s.example\n", l->gzip ? "gzip" :
		    "none", to);
	else
		buf_adds(b, " dialect = bsmtp\n ids = yes\n");
	if (r->to->gate == r->site)
		buf_adds(b, " gate = yes\n");
	if (side->binary && l->tongue != TONGUE_NATIVE)
		buf_addf(b, " extensions = { %s }\n",
		    l->tongue == TONGUE_RFC2442 ? "CHUNKING, MT-PRIORITY" :
		    "8BITMIME, MT-PRIORITY");
	put_side(b, side);
	buf_adds(b, "}\n");
}

/* Mail for one at the edge is for its gate, as far as others know. */
static const char *
way_to(const struct site *s, const struct site *to)
{
	return to->gate != NULL && to->gate != s && s->gate == NULL ?
	    to->gate->name : to->name;
}

static void
put_routes(struct buf *b, const struct site *s)
{
	const struct world *w = s->world;
	const char *to;
	size_t i;

	buf_adds(b, "routes {\n");
	for (i = 0; i < w->nsites; i++) {
		to = way_to(s, &w->site[i]);
		if (i != s->index)
			buf_addf(b, " %s.example = %s\n .%s.example = %s\n",
			    names[i], to, names[i], to);
	}
	buf_adds(b, "}\n");
}

static void
put_rest(struct buf *b, const struct site *s)
{
	const struct world *w = s->world;
	size_t i;

	for (i = 0; i < w->nlinks; i++) {
		const struct link *l = &w->link[i];

		if (l->site[0] != s->index && l->site[1] != s->index &&
		    (s->gate != NULL || w->site[l->site[1]].gate == NULL))
			buf_addf(b, "link %s %s { cost = %u }\n",
			    names[l->site[0]], names[l->site[1]], l->cost);
	}
	put_routes(b, s);
}

static void
conf_told(void *ctx, const char *text)
{
	(void)ctx;
	fprintf(stderr, "sim: %s\n", text);
}

/* A file without a place on any disk: there are thousands of them. */
static struct conf *
load(const struct buf *b)
{
	int fd = memfd_create("conf", MFD_CLOEXEC);
	struct conf *conf = NULL;
	struct err e = ERR_INIT;
	char *path = mem_printf("/proc/self/fd/%d", fd);

	if (fd == -1)
		(void)err_errno(&e, "memfd_create");
	else if (file_write_all(fd, b->ptr, b->len, &e) != 0 ||
	    conf_load(path, conf_told, NULL, &conf, &e) != 0)
		conf = NULL;
	if (conf == NULL) {
		fprintf(stderr, "sim: %s\n", e.text);
		exit(2);
	}
	(void)close(fd);
	free(path);
	return conf;
}

struct conf *
plan_conf(struct site *s)
{
	struct buf b = BUF_INIT;
	struct conf *conf;
	size_t i;

	put_site(&b, s);
	for (i = 0; i < s->nroads; i++)
		if (s->road[i].lane == 0)
			put_peer(&b, &s->road[i]);
	put_rest(&b, s);
	conf = load(&b);
	buf_release(&b);
	return conf;
}
