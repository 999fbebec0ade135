/* SPDX-License-Identifier: ISC */
/*
 * The program "uucp": files as the input of commands of UUCP.
 */
#include "transports/uux.h"

#include <unistd.h>

int
main(int argc, char **argv)
{
	struct contract *c = NULL;
	struct uux *u = NULL;
	struct err e = ERR_INIT;
	int status = CONTRACT_EXIT_CONFIG;

	if (contract_open(argc, argv, STDIN_FILENO, STDOUT_FILENO, &c,
	    &e) < 0 || uux_new(c, &u, &e) < 0)
		fprintf(stderr, "%s\n", e.text);
	else
		status = uux_run(u);
	uux_free(u);
	contract_close(c);
	return status;
}
