/* SPDX-License-Identifier: ISC */
#ifndef NODE_CONF_MAIL_H
#define NODE_CONF_MAIL_H
/*
 * The settings of the transport "mail", as far as the configuration has to do
 * with them.
 */
#include "node/conf.h"
#include "node/conf_parse.h"

/* A fault in that line for what the transport would refuse, and for files
 * with secrets that others can read. */
void conf_mail_check(struct conf_faults *faults,
    const struct conf_strings *set, unsigned line);

#endif
