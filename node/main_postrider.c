/* SPDX-License-Identifier: ISC */
/*
 * postrider: the command line.  A table of words leads to the commands, each
 * in a file of its own; all that is known here is where the configuration is.
 */
#include <getopt.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "base/file.h"
#include "node/cli.h"
#include "node/cmd_batch.h"
#include "node/cmd_init.h"
#include "node/cmd_inspect.h"

#define CONFIG_DEFAULT "/etc/postrider/postrider.conf"

struct command {
	const char *word;
	int (*run)(struct cli *cli, int argc, char **argv);
	int (*run_alone)(int argc, char **argv);	/* wants no cli */
	const char *args, *help;
};

static const struct command commands[] = {
	{ "init", NULL, cmd_init, "--dir DIR --site NAME ...",
	    "make a working configuration" },
	{ "check", cmd_check, NULL, "", "check the configuration" },
	{ "status", cmd_status, NULL, "[--json]",
	    "say what the node is doing" },
	{ "key", cmd_key, NULL, "[list|new|rotate|export|psk]",
	    "show or make the site's keys" },
	{ "card", cmd_card, NULL, "[--qr] [--reach WAY]...",
	    "print the site's card for its peers" },
	{ "peer", cmd_peer, NULL, "add FILE | test NAME",
	    "take a card, try the way to a site" },
	{ "queue", cmd_queue, NULL, "list|show|hold|release|delete|retry",
	    "see and change what waits" },
	{ "trace", cmd_trace, NULL, "[--json] ID...",
	    "tell the way of a message" },
	{ "bundles", cmd_bundles, NULL, "[--json]",
	    "show the bundles under way" },
	{ "flush", cmd_flush, NULL, "[--wait] PEER[/TRANSPORT]...",
	    "send what waits for a peer now" },
	{ "route", cmd_route, NULL, "[--json] ADDRESS...",
	    "explain where addresses lead" },
	{ "send", cmd_send, NULL, "[-ti] [-f FROM] [TO...]",
	    "submit a mail, as sendmail(8) does" },
	{ "receive", cmd_receive, NULL, "[--peer NAME]",
	    "hand in an object on standard input" },
	{ "link", cmd_link, NULL, "PEER",
	    "join a link on standard input and output" },
	{ "reload", cmd_reload, NULL, "", "read the configuration again" },
	{ "stop", cmd_stop, NULL, "", "end the daemon" },
	{ "spool", cmd_spool, NULL, "verify|backup|export|import|...",
	    "check, save, move or rescue the spool" },
	{ "inspect", NULL, cmd_inspect, "[--json] [FILE|-]",
	    "say what is in an object" },
	{ "batch", NULL, cmd_batch, "--from A --to B... FILE...",
	    "write mails as an object" },
};

static const struct command *
find_command(const char *word)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (strcmp(commands[i].word, word) == 0)
			return &commands[i];
	return NULL;
}

static void
print_help(FILE *to)
{
	fprintf(to, "usage: postrider [-c FILE] COMMAND ...\n\n");
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		const struct command *cmd = &commands[i];

		fprintf(to, "  %-8s %-38s %s\n", cmd->word, cmd->args,
		    cmd->help);
	}
	fprintf(to, "\nThe configuration is %s, or where POSTRIDER_CONF or "
	    "-c says.\nEverything is explained in postrider(1).\n",
	    CONFIG_DEFAULT);
}

static int
run_command(struct cli *cli, int argc, char **argv)
{
	const struct command *cmd = find_command(argv[0]);
	char name[32];

	if (cmd == NULL) {
		fprintf(stderr, "postrider: there is no command \"%s\"; "
		    "\"postrider --help\" lists them\n", argv[0]);
		return EX_USAGE;
	}
	cli->command = cmd->word;
	(void)snprintf(name, sizeof(name), "postrider %s", cmd->word);
	argv[0] = name;
	if (cmd->run_alone != NULL)
		return cmd->run_alone(argc, argv);
	return cmd->run(cli, argc, argv);
}

static int
run(struct cli *cli, int argc, char **argv)
{
	static const struct option options[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "+c:hV", options, NULL)) != -1) {
		if (c == 'c')
			cli->config = optarg;
		else if (c == 'h' || c == 'V') {
			if (c == 'h')
				print_help(stdout);
			else
				printf("postrider %s\n", POSTRIDER_VERSION);
			return fflush(stdout) == 0 ? EX_OK : EX_IOERR;
		} else
			return EX_USAGE;
	}
	if (optind == argc) {
		print_help(stderr);
		return EX_USAGE;
	}
	return run_command(cli, argc - optind, argv + optind);
}

/* Names that the program goes by, and the command that each is. */
static const struct {
	const char *name;
	int (*run)(struct cli *cli, int argc, char **argv);
} guises[] = {
	{ "rsmtp", cmd_rsmtp }, { "rcsmtp", cmd_rsmtp },
	{ "rgsmtp", cmd_rsmtp }, { "rbsmtp", cmd_rsmtp },
	{ "cbsmtp", cmd_rsmtp }, { "gbsmtp", cmd_rsmtp },
	{ "sendmail", cmd_send },
};

static int
run_as(struct cli *cli, const char *name, int argc, char **argv)
{
	for (size_t i = 0; i < sizeof(guises) / sizeof(guises[0]); i++) {
		if (strcmp(guises[i].name, name) != 0)
			continue;
		cli->command = guises[i].name;
		return guises[i].run(cli, argc, argv);
	}
	return run(cli, argc, argv);
}

int
main(int argc, char **argv)
{
	struct cli cli = { .config = getenv("POSTRIDER_CONF") };

	setlocale(LC_CTYPE, "");
	if (cli.config == NULL || *cli.config == '\0')
		cli.config = CONFIG_DEFAULT;
	return run_as(&cli, argc > 0 ? path_base(argv[0]) : "", argc, argv);
}
