/* SPDX-License-Identifier: ISC */
/*
 * What the spool costs: messages put, walked and deleted per second, in
 * groups of 1, 10 and 50 that share a flush.
 *
 *	bench_spool DIR [MESSAGES [OCTETS]]
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#include "base/mem.h"
#include "spool/spool.h"

static double
now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static double
cpu(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	    (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static void
need(int rc, const struct err *e)
{
	if (rc >= 0)
		return;
	fprintf(stderr, "bench_spool: %s\n", e->text);
	exit(1);
}

static void
upkeep(struct spool *sp)
{
	struct err e = ERR_INIT;
	int rc;

	while ((rc = spool_maintain(sp, &e)) > 0)
		continue;
	need(rc, &e);
}

static void
put_one(struct spool *sp, struct spool_unit *u, struct spool_draft *d)
{
	struct message m;
	struct err e = ERR_INIT;

	message_init(&m);
	m.env.helo = mem_strdup("mail.example.org");
	m.env.sender = mem_strdup("someone@example.org");
	envelope_add_recipient(&m.env, "someone.else@example.com", NULL,
	    NULL);
	m.source = mem_strdup("smtp 127.0.0.1");
	m.accepted_secs = spool_elapsed_secs(sp);
	need(spool_add_message(u, d, &m, &e), &e);
	message_release(&m);
}

static void
put_group(struct spool *sp, int n, const char *content, size_t len)
{
	struct spool_draft *d[64];
	struct spool_unit *u;
	struct err e = ERR_INIT;

	for (int i = 0; i < n; i++) {
		d[i] = spool_draft_new(sp);
		need(spool_draft_add(d[i], content, len, &e), &e);
		need(spool_draft_end(d[i], &e), &e);
	}
	need(spool_begin(sp, &u, &e), &e);
	for (int i = 0; i < n; i++)
		put_one(sp, u, d[i]);
	need(spool_commit(u, true, &e), &e);
	for (int i = 0; i < n; i++)
		spool_draft_free(d[i]);
	upkeep(sp);
}

static int
walk(struct spool *sp)
{
	struct message m;
	struct err e = ERR_INIT;
	uint64_t id = 0;
	int n = 0, rc;

	message_init(&m);
	while ((rc = spool_next_message(sp, &id, &m, &e)) == 0) {
		message_release(&m);
		n++;
	}
	if (rc != ERR_NOT_FOUND)
		need(rc, &e);
	return n;
}

static int
read_all(struct spool *sp)
{
	struct message m;
	struct spool_body *b;
	struct buf out = BUF_INIT;
	struct err e = ERR_INIT;
	uint64_t id = 0;
	int n = 0, rc;

	message_init(&m);
	while (spool_next_message(sp, &id, &m, &e) == 0) {
		message_release(&m);
		need(spool_body_open(sp, id, &b, &e), &e);
		while ((rc = spool_body_read(b, &out, &e)) > 0)
			buf_clear(&out);
		need(rc, &e);
		spool_body_close(b);
		n++;
	}
	buf_release(&out);
	return n;
}

static int
delete_all(struct spool *sp)
{
	struct spool_unit *u;
	struct message m;
	struct err e = ERR_INIT;
	uint64_t id = 0, ids[50];
	int n = 0, k;

	do {
		for (k = 0; k < 50 && spool_next_message(sp, &id, &m,
		    &e) == 0; k++) {
			message_release(&m);
			ids[k] = id;
		}
		need(spool_begin(sp, &u, &e), &e);
		for (int i = 0; i < k; i++)
			need(spool_del_message(u, ids[i], &e), &e);
		need(spool_commit(u, true, &e), &e);
		upkeep(sp);
		n += k;
	} while (k == 50);
	return n;
}

static void
told(const char *what, int n, double start, double cpu_start)
{
	double secs = now() - start, used = cpu() - cpu_start;

	printf("%-24s %9.0f/s %8.1f us cpu each\n", what, n / secs,
	    used / n * 1e6);
}

static void
run(struct spool *sp, int group, int messages, const char *content,
    size_t len)
{
	struct store_stats before, after;
	double t = now(), c = cpu();
	char what[32];
	int n = 0;

	store_stats(spool_store(sp), &before);
	for (; n < messages; n += group)
		put_group(sp, group, content, len);
	store_stats(spool_store(sp), &after);
	snprintf(what, sizeof(what), "put, groups of %d", group);
	told(what, n, t, c);
	printf("%-24s %9.3f flushes each, %llu MiB on disk\n", "",
	    (double)(after.flushes - before.flushes) / n,
	    (unsigned long long)after.bytes_on_disk >> 20);
	t = now(), c = cpu();
	n = walk(sp);
	told("walk", n, t, c);
	t = now(), c = cpu();
	n = read_all(sp);
	told("walk and read", n, t, c);
	t = now(), c = cpu();
	n = delete_all(sp);
	told("delete, groups of 50", n, t, c);
}

int
main(int argc, char **argv)
{
	static const int groups[] = { 1, 10, 50 };
	struct spool_options opts = { .clock = clock_real(),
	    .rng = rng_real(), .min_free_bytes = 1 << 20 };
	struct store_options store_opts;
	struct store *store;
	struct spool *sp;
	struct err e = ERR_INIT;
	int messages = argc > 2 ? (int)strtol(argv[2], NULL, 10) : 20000;
	size_t len = argc > 3 ? (size_t)strtol(argv[3], NULL, 10) : 4096;
	char *content = mem_alloc(1, len);

	if (argc < 2) {
		fprintf(stderr, "usage: bench_spool DIR [MESSAGES "
		    "[OCTETS]]\n");
		return 64;
	}
	memset(content, 'x', len);
	for (size_t i = 77; i < len; i += 78)
		memcpy(content + i - 1, "\r\n", 2);
	store_options_default(&store_opts);
	store_opts.dir = opts.dir = argv[1];
	need(store_open_bdb(&store_opts, &store, &e), &e);
	need(spool_open(store, &opts, &sp, &e), &e);
	for (int i = 0; i < 3; i++)
		run(sp, groups[i], messages / (i == 0 ? 4 : 1), content, len);
	spool_close(sp);
	free(content);
	return 0;
}
