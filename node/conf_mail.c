/* SPDX-License-Identifier: ISC */
/*
 * Settings of the transport "mail".  The transport's own code judges them, so
 * that `postrider check` and the program cannot disagree.
 */
#include "node/conf_mail.h"
#include "transports/mailer_settings.h"

void
conf_mail_check(struct conf_faults *faults, const struct conf_strings *set,
    unsigned line)
{
	struct err e = ERR_INIT;

	if (mailer_settings_check(set->item, set->n, &e) < 0)
		conf_fault(faults, line, "transport mail: %s", e.text);
}
