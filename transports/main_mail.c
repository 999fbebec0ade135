/* SPDX-License-Identifier: ISC */
/*
 * The program "mail": objects as mails.
 */
#include "transports/mailer.h"

#include <unistd.h>

int
main(int argc, char **argv)
{
	struct contract *c = NULL;
	struct mailer *m = NULL;
	struct err e = ERR_INIT;
	int status = CONTRACT_EXIT_CONFIG;

	if (contract_open(argc, argv, STDIN_FILENO, STDOUT_FILENO, &c,
	    &e) < 0 || mailer_new(c, &m, &e) < 0)
		fprintf(stderr, "%s\n", e.text);
	else
		status = mailer_run(m);
	mailer_free(m);
	contract_close(c);
	return status;
}
