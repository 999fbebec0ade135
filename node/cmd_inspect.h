/* SPDX-License-Identifier: ISC */
#ifndef NODE_CMD_INSPECT_H
#define NODE_CMD_INSPECT_H

/* "postrider inspect": what is in an object, told without a daemon.  argv[0]
 * is "inspect".  Prints; returns the exit status: 0 if the object would be
 * processed, 1 if not, 64 for wrong usage, 66 if it cannot be read, 74 if the
 * answer cannot be written. */
int cmd_inspect(int argc, char **argv);

#endif
