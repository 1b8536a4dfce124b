/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads one run ahead of a sweep, in a second thread if the image permits it.
 */
#ifndef MW_IMAGE_READAHEAD_H
#define MW_IMAGE_READAHEAD_H

#include "image/image.h"

struct mw_readahead; /* opaque */

/* NULL: no memory. IMAGE must outlive it. */
struct mw_readahead *mw_readahead__start(struct mw_image *image);
void mw_readahead__end(struct mw_readahead *ahead);

/*
 * Begin to read LEN bytes at ADDR into BUF, which stays the caller's. Call _take() before the next
 * _ask().
 */
void mw_readahead__ask(struct mw_readahead *ahead, uint64_t addr, uint8_t *buf, size_t len);
/* Wait until it is read. Returns what mw_image__read() did. */
ssize_t mw_readahead__take(struct mw_readahead *ahead);

#endif
