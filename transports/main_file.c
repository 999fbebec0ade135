/* SPDX-License-Identifier: ISC */
/*
 * The program "file": drop and pick-up directories.
 */
#include "transports/filedrop.h"

#include <unistd.h>

int
main(int argc, char **argv)
{
	struct contract *c = NULL;
	struct filedrop *f = NULL;
	struct err e = ERR_INIT;
	int status = CONTRACT_EXIT_CONFIG;

	if (contract_open(argc, argv, STDIN_FILENO, STDOUT_FILENO, &c,
	    &e) < 0 || filedrop_new(c, &f, &e) < 0)
		fprintf(stderr, "%s\n", e.text);
	else
		status = filedrop_run(f);
	filedrop_free(f);
	contract_close(c);
	return status;
}
