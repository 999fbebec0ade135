/* SPDX-License-Identifier: ISC */
#ifndef SPOOL_FILES_H
#define SPOOL_FILES_H
/* What salvage does to the files of a directory. */
#include <stdbool.h>

#include "base/err.h"

typedef bool files_chosen(const char *name);
typedef int files_fn(const char *from_dir, const char *to_dir,
    const char *name, struct err *e);

files_fn files_copy, files_move;
files_fn files_remove;		/* to_dir is not looked at */
/* Calls fn for each chosen file, in the order of their names, until one
 * fails.  `chosen` sees "." and ".." too. */
int files_each(const char *from, const char *to, files_chosen *chosen,
    files_fn *fn, struct err *e) MUST_CHECK;

#endif
