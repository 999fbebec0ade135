/* SPDX-License-Identifier: ISC */
#ifndef TESTS_UNIT_TRANSIT_TEXTS_H
#define TESTS_UNIT_TRANSIT_TEXTS_H
/*
 * Configurations of small worlds: paris and london, and oslo behind london.
 */
#include "tests/unit/transit_world.h"

#define TW_SITE(name) "site " name " {\n postmaster = postmaster@" name \
	".example\n hostname = mail." name ".example\n spool = /tmp\n" \
	" run = /tmp\n min-free = 1M\n retry-max = 1h\n" \
	" via = 127.0.0.1:2525\n}\n"
#define TW_PEER(name, more) "peer " name " {\n dialect = native\n" \
	" transport = /bin/true\n retry-min = 10s\n retry-max = 1h\n" more "}\n"
#define TW_PAIR(paris, london) { TW_SITE("paris") TW_PEER("london", paris), \
	TW_SITE("london") TW_PEER("paris", london) }

static const char *const tw_names[] = { "paris", "london", "oslo" };

static const struct transit_new tw_to_london = { .destination = "london",
	.direct = true, .lifetime_secs = 86400 };
static const struct transit_new tw_to_oslo = { .destination = "oslo",
	.lifetime_secs = 86400 };

#endif
