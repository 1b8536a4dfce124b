/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How many blocks pymalloc's pools have handed out, by their own counts (ref.count of struct
 * pool_header in Objects/obmalloc.c), cheaply enough to ask before and after a few milliseconds:
 * where there are many arenas, a part of them is read that is drawn anew each time.
 */
#ifndef MW_PYTHON_POOL_COUNTS_H
#define MW_PYTHON_POOL_COUNTS_H

#include "image/image.h"
#include "python/python.h"

struct mw_pool_counts; /* opaque */

/* Of PY's pools, which need not stay open. NULL: no memory. */
struct mw_pool_counts *mw_pool_counts__new(const struct mw_python *py);
void mw_pool_counts__free(struct mw_pool_counts *counts);

/* Read them now, in IMAGE, the same process's. 0 or -errno: they can't be read. */
int mw_pool_counts__begin(struct mw_pool_counts *counts, struct mw_image *image);
/* How many more blocks are in use than at mw_pool_counts__begin(), about: by arenas drawn then. */
int mw_pool_counts__moved(struct mw_pool_counts *counts, struct mw_image *image, double *moved);

#endif
