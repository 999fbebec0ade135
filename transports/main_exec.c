/* SPDX-License-Identifier: ISC */
/*
 * The program "exec": commands.
 */
#include "transports/exec.h"

#include <signal.h>
#include <unistd.h>

int
main(int argc, char **argv)
{
	struct contract *c = NULL;
	struct err e = ERR_INIT;
	int status = CONTRACT_EXIT_CONFIG;

	(void)signal(SIGPIPE, SIG_IGN);
	if (contract_open(argc, argv, STDIN_FILENO, STDOUT_FILENO, &c,
	    &e) < 0)
		fprintf(stderr, "%s\n", e.text);
	else
		status = exec_run(c);
	contract_close(c);
	return status;
}
