/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which pages of a process hold something: by PAGEMAP_SCAN (Linux 6.7), which skips what is only
 * reserved, else page by page from /proc/PID/pagemap
 * (Documentation/admin-guide/mm/pagemap.rst of the kernel).
 */
#ifndef MW_IMAGE_POPULATED_H
#define MW_IMAGE_POPULATED_H

#include "image/image_impl.h"

#define MW_PM_PRESENT (1ULL << 63)
#define MW_PM_SWAPPED (1ULL << 62)
#define MW_PM_FILE    (1ULL << 61) /* a file's or shared memory */
#define MW_PM_ALONE   (1ULL << 56) /* only this process maps it */
#define MW_PM_PFN     ((1ULL << 55) - 1)

/*
 * The frame of the kernel's page of zeros, which a read of untouched memory maps: pagemap has it as
 * present, but Rss does not count it (vm_normal_page() in mm/memory.c). 0 when the kernel hides
 * frame numbers from us.
 */
uint64_t mw_zero_pfn(void);

/*
 * Add to OUT the pages of REGION that are in memory, with SWAPPED also those in swap. PAGEMAP is
 * /proc/PID/pagemap, ZERO_PFN from mw_zero_pfn(). 0 or -errno.
 */
int mw_populated(int pagemap, uint64_t zero_pfn, const struct mw_region *region, bool swapped,
		 struct mw_spans *out);

#endif
