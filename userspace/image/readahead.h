/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reading one run ahead of a sweep, in a thread of its own where the image can be read by two.
 */
#ifndef MW_IMAGE_READAHEAD_H
#define MW_IMAGE_READAHEAD_H

#include "image/image.h"

struct mw_readahead; /* opaque */

/* NULL: no memory. IMAGE must outlive it. */
struct mw_readahead *mw_readahead__start(struct mw_image *image);
void mw_readahead__end(struct mw_readahead *ahead);

/*
 * Begin to read LEN bytes at ADDR into BUF, which stays the caller's; _take() follows before the
 * next.
 */
void mw_readahead__ask(struct mw_readahead *ahead, uint64_t addr, uint8_t *buf, size_t len);
/* Wait for it: what mw_image__read() gave. */
ssize_t mw_readahead__take(struct mw_readahead *ahead);

#endif
