/* SPDX-License-Identifier: ISC */
#ifndef BUNDLE_BAG_ITEM_H
#define BUNDLE_BAG_ITEM_H
/*
 * The items of a bag, one by one: bundle/bag.h's writer and reader share what
 * may be and how it is coded.  Private to the two.
 *
 * bag_check_*: 0, or ERR_SYNTAX or ERR_LIMIT for what is not allowed.
 * bag_put_*: appends what has been checked.  bag_get_*: reads and checks;
 * the type of an item has been read before.
 */
#include "bundle/bag.h"

enum bag_type {
	BAG_TYPE_PADDING,
	BAG_TYPE_VOID,
	BAG_TYPE_RESULT,
	BAG_TYPE_CARD,
	BAG_TYPE_ONWARD,
	BAG_TYPE_BATCH,
	BAG_TYPES,
	BAG_TYPE_MAY_SKIP = 0x80
};

void bag_put_flow(struct buf *out, const struct bag_flow *flow);
void bag_get_flow(struct wire_reader *r, struct bag_flow *flow_out);

int bag_check_void(const uint64_t *serial, size_t n, struct err *e);
void bag_put_void(struct buf *out, const uint64_t *serial, size_t n);
/* serial_out: room for BAG_VOIDS_MAX. */
void bag_get_void(struct wire_reader *r, uint64_t *serial_out,
    size_t *n_out);

int bag_check_result(const struct bag_result *result, struct err *e);
void bag_put_result(struct buf *out, const struct bag_result *result);
void bag_get_result(struct wire_reader *r, struct bag_result *result_out);

/* before: the run before it in the same result, or NULL; first: recipients
 * before it. */
int bag_check_run(const struct bag_run *run, const struct bag_run *before,
    uint64_t first, struct err *e);
void bag_put_run(struct buf *out, const struct bag_run *run);
void bag_get_run(struct wire_reader *r, const struct bag_run *before,
    uint64_t first, struct bag_run *run_out);

int bag_check_card(struct slice card, struct err *e);
void bag_put_card(struct buf *out, struct slice card);
void bag_get_card(struct wire_reader *r, struct slice *card_out);

int bag_check_onward(const struct bag_onward *onward, struct err *e);
void bag_put_onward(struct buf *out, const struct bag_onward *onward);
void bag_get_onward(struct wire_reader *r, struct bag_onward *onward_out);

#endif
