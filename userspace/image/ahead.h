/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reading one stretch ahead of a sweep, in a thread of its own where the image can be read by two.
 */
#ifndef MW_IMAGE_AHEAD_H
#define MW_IMAGE_AHEAD_H

#include "image/image.h"

struct mw_ahead; /* opaque */

/* NULL: no memory. IMAGE must outlive it. */
struct mw_ahead *mw_ahead__start(struct mw_image *image);
void mw_ahead__end(struct mw_ahead *ahead);

/*
 * Begin to read LEN bytes at ADDR into BUF, which stays the caller's; _take() follows before the
 * next.
 */
void mw_ahead__ask(struct mw_ahead *ahead, uint64_t addr, uint8_t *buf, size_t len);
/* Wait for it: what mw_image__read() gave. */
ssize_t mw_ahead__take(struct mw_ahead *ahead);

#endif
