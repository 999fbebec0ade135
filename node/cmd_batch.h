/* SPDX-License-Identifier: ISC */
#ifndef NODE_CMD_BATCH_H
#define NODE_CMD_BATCH_H

/* "postrider batch": an object made of mails in files, on standard output,
 * without a daemon.  argv[0] is "batch".  Returns the exit status: 0, 64 for
 * wrong usage, 65 if a message cannot be written in the dialect, 66 if a file
 * cannot be read, 74 if the object cannot be written. */
int cmd_batch(int argc, char **argv);

#endif
