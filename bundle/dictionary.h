/* SPDX-License-Identifier: ISC */
#ifndef BUNDLE_DICTIONARY_H
#define BUNDLE_DICTIONARY_H
/*
 * Dictionaries that a compressor and its decompressor begin with (RFC 1950
 * 2.3: what has most use stands at the end).  Each was generated once; its
 * octets are part of the format and never change.
 */
#include "base/buf.h"

/* Words of mails and batches; chosen by bundle/make_dictionary.py. */
extern const struct slice dictionary_mail_1;

#endif
