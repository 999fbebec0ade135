/* SPDX-License-Identifier: ISC */
/* postrider card: our card, for those who are to be our peers. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/mem.h"
#include "node/cli_keys.h"
#include "node/qr.h"

struct card_args {
	struct cli *cli;
	bool qr;
	struct conf_strings reach;	/* items are argv's */
};

static int
from_files(struct card_args *a, struct buf *card)
{
	struct conf *conf = NULL;
	struct keys *keys = NULL;
	struct err e = ERR_INIT;
	uint64_t counter;
	int status = cli_keys_open(a->cli, KEYFILES_WRITE, &conf, &keys);

	if (status != EX_OK)
		return status;
	if (keys_card(keys->ring, conf, &a->reach, card, &counter, &e) != 0)
		status = cli_fail(a->cli, cli_status(e.code), "%s", e.text);
	keys_close(keys);
	conf_free(conf);
	return status;
}

static int
get_card(struct card_args *a, struct buf *card)
{
	json_t *reach = json_array(), *lines = NULL, *end = NULL;
	int status;

	for (size_t i = 0; i < a->reach.n; i++)
		json_array_append_new(reach, json_string(a->reach.item[i]));
	status = cli_keys_ask(a->cli, json_pack("{s:s, s:o}", "cmd", "card",
	    "reach", reach), &lines, &end);
	if (status == EX_OK)
		buf_adds(card, cli_text(end, "card"));
	json_decref(lines);
	json_decref(end);
	return status == -1 ? from_files(a, card) : status;
}

static int
print_qr(struct card_args *a, const struct buf *card)
{
	bool terminal = isatty(STDOUT_FILENO);
	struct winsize size = { .ws_col = 0 };
	struct buf text = BUF_INIT;
	struct err e = ERR_INIT;
	unsigned columns = 0;
	int status = EX_OK;

	if (qr_text(buf_slice(card), terminal, &text, &columns, &e) != 0)
		status = cli_fail(a->cli, EX_DATAERR, "the card is too large: "
		    "%s", e.text);
	else if (terminal && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 &&
	    size.ws_col > 0 && size.ws_col < columns)
		status = cli_fail(a->cli, EX_UNAVAILABLE, "the QR code needs "
		    "%u columns, the terminal has %u: make it wider, or its "
		    "letters smaller", columns, (unsigned)size.ws_col);
	else
		fputs(buf_cstr(&text), stdout);
	buf_release(&text);
	return status;
}

int
cmd_card(struct cli *cli, int argc, char **argv)
{
	static const struct option options[] = {
		{ "qr", no_argument, NULL, 'q' },
		{ "reach", required_argument, NULL, 'r' },
		{ NULL, 0, NULL, 0 },
	};
	struct card_args a = { .cli = cli };
	struct buf card = BUF_INIT;
	int c, status;

	a.reach.item = mem_alloc((size_t)argc, sizeof(char *));
	optind = 0;	/* glibc: begin anew */
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'q')
			a.qr = true;
		else if (c == 'r')
			a.reach.item[a.reach.n++] = optarg;
		else
			break;
	}
	if (c != -1 || optind < argc)
		status = cli_usage("card [--qr] "
		    "[--reach \"TRANSPORT [KEY=VALUE...]\"]...");
	else
		status = get_card(&a, &card);
	if (status == EX_OK && a.qr)
		status = print_qr(&a, &card);
	else if (status == EX_OK)
		fputs(buf_cstr(&card), stdout);
	free(a.reach.item);
	buf_release(&card);
	return cli_written(cli, status);
}
