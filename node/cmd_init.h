/* SPDX-License-Identifier: ISC */
#ifndef NODE_CMD_INIT_H
#define NODE_CMD_INIT_H

/* postrider init: writes a working configuration and makes its directories,
 * without questions.  argv[0] is "init"; returns an exit status. */
int cmd_init(int argc, char **argv);

#endif
