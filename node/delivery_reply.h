/* SPDX-License-Identifier: ISC */
#ifndef NODE_DELIVERY_REPLY_H
#define NODE_DELIVERY_REPLY_H
/* What a server's reply means for a recipient. */
#include "node/delivery.h"
#include "smtp/command.h"

/* The enhanced status, or the one that its code stands for; it lives as long
 * as the reply. */
const char *delivery_reply_status(const struct smtp_reply *r);
enum delivery_outcome delivery_reply_outcome(const struct smtp_reply *r);

#endif
