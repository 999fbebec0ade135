/* SPDX-License-Identifier: ISC */
#ifndef ROUTING_CARD_TEXT_H
#define ROUTING_CARD_TEXT_H
/* What the reader and the writer of cards share; nobody else's. */
#include "routing/card.h"

#define CARD_FIRST_LINE "postrider-card 1"

/* Fills the id of a key. */
void card_key_name(struct card_key *k);

#endif
