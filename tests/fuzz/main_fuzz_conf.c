/* SPDX-License-Identifier: ISC */
/*
 * The syntax of a configuration, and each of its values as what a value may
 * be: a schedule, an endpoint, a network, a size, a time.
 */
#include <stdlib.h>

#include "base/text.h"
#include "node/conf_net.h"
#include "node/conf_parse.h"
#include "node/schedule.h"
#include "tests/fuzz/fuzz.h"

static void
told(void *ctx, const char *text)
{
	FUZZ_CHECK(text != NULL && *text != '\0');
	++*(size_t *)ctx;
}

static void
check_schedule(const char *text)
{
	struct schedule *s = schedule_new();
	struct err e = ERR_INIT;

	/* 2026-03-28 23:30 UTC, before a night that many clocks change in */
	const int64_t now = INT64_C(1774740600000);

	if (schedule_add(s, text, &e) == 0) {
		int64_t next = schedule_next(s, now, INT64_MIN, true);

		FUZZ_CHECK(next >= now);
		(void)schedule_is_open(s, now);
	} else
		FUZZ_CHECK(e.text[0] != '\0');
	schedule_free(s);
}

static void
check_value(const char *text)
{
	struct conf_endpoint end;
	struct conf_net net;
	struct err e = ERR_INIT;
	uint64_t n;
	int rc;

	check_schedule(text);
	rc = conf_endpoint_parse(text, &end, &e);
	FUZZ_CHECK(rc == 0 || e.text[0] != '\0');
	/* names of users are looked up, which is slow */
	rc = strncmp(text, "unix", 4) != 0 ?
	    conf_net_parse(text, &net, &e) : 0;
	rc |= size_parse(slice_of(text), &n);
	rc |= duration_parse(slice_of(text), &n);
	FUZZ_CHECK(rc <= 0);
}

static void
check_node(const struct conf_node *node, unsigned depth)
{
	FUZZ_CHECK(depth < 100);
	FUZZ_CHECK(node->kind != CONF_SCALAR || node->nitems == 1);
	FUZZ_CHECK(node->kind == CONF_SECTION || node->nchildren == 0);
	for (size_t i = 0; i < node->nitems; i++) {
		FUZZ_CHECK(node->item[i].text != NULL);
		FUZZ_CHECK(node->item[i].line > 0);
		check_value(node->item[i].text);
	}
	for (size_t i = 0; i < node->nchildren; i++) {
		FUZZ_CHECK(node->child[i].key != NULL);
		FUZZ_CHECK(conf_node_find(node, node->child[i].key) != NULL);
		check_node(&node->child[i], depth + 1);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *copy = fuzz_copy((const char *)data, size);
	size_t count = 0;
	struct conf_faults faults = { .told = told, .ctx = &count,
		.file = "f" };
	struct conf_node root;

	conf_parse((struct slice){ copy, size }, &faults, &root);
	FUZZ_CHECK(count >= faults.count);
	FUZZ_CHECK((faults.count > 0) == (faults.first != NULL));
	check_node(&root, 0);
	conf_node_release(&root);
	conf_faults_release(&faults);
	free(copy);
	return 0;
}
