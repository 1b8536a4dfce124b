// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <linux/ioctl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "arch/arch.h"
#include "image/populated.h"
#include "util/cleanup.h"

enum { PAGE = MW_PAGE_SIZE, PAGEMAP_PAGES = 32768, SCAN_RANGES = 1024 };

/* include/uapi/linux/fs.h of Linux 6.7 and later, which older headers lack. */
struct scan_range {
	uint64_t start, end, categories;
};

struct scan_arg {
	uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
	uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};

#define SCAN _IOWR('f', 16, struct scan_arg)

enum { IS_PRESENT = 1 << 3, IS_SWAPPED = 1 << 4, IS_PFNZERO = 1 << 5 };

uint64_t mw_zero_pfn(void)
{
	_cleanup_close_ int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	/* Not malloc's: its memory may have been written to before. */
	void *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t entry = 0;

	if (page == MAP_FAILED)
		return 0;
	if (fd < 0 || *(volatile char *)page ||
	    pread(fd, &entry, 8, (off_t)((uintptr_t)page / PAGE * 8)) != 8 ||
	    !(entry & MW_PM_PRESENT))
		entry = 0;
	munmap(page, PAGE);
	return entry & MW_PM_PFN;
}

/* -ENOTTY: this kernel can't. */
static int scan(int pagemap, const struct mw_region *region, bool swapped, struct mw_spans *out)
{
	struct scan_range ranges[SCAN_RANGES];
	struct scan_arg arg = {
		.size = sizeof(arg),
		.start = region->map.start,
		.end = region->map.end,
		.vec = (uintptr_t)ranges,
		.vec_len = SCAN_RANGES,
		.category_inverted = IS_PFNZERO,
		.category_mask = IS_PFNZERO,
		.category_anyof_mask = IS_PRESENT | (swapped ? IS_SWAPPED : 0),
		.return_mask = IS_PRESENT,
	};
	int ret = 0;

	while (arg.start < arg.end && !ret) {
		int n = ioctl(pagemap, SCAN, &arg);

		if (n < 0)
			return -errno;
		for (int i = 0; i < n && !ret; i++)
			ret = mw_spans__add(out, ranges[i].start, ranges[i].end);
		/*
		 * Linux 6.18 gathers 512 ranges at a time, and WALK_END may be left over from the
		 * last time (fs/proc/task_mmu.c, do_pagemap_scan): when there was room for more
		 * ranges the walk is over.
		 */
		if (n < SCAN_RANGES)
			break;
		arg.start = ranges[n - 1].end;
	}
	return ret;
}

/*
 * Reading costs 8 bytes a page of address space, so it ends when as many pages were found as the
 * region has.
 */
static int read_entries(int pagemap, uint64_t zero_pfn, const struct mw_region *region,
			bool swapped, struct mw_spans *out)
{
	_cleanup_free_ uint64_t *map = malloc(PAGEMAP_PAGES * sizeof(*map));
	uint64_t addr = region->map.start, found = 0;
	uint64_t all = region->resident + region->hugetlb + (swapped ? region->swapped : 0);
	int ret = map ? 0 : -ENOMEM;

	while (addr < region->map.end && found < all && !ret) {
		size_t pages = (region->map.end - addr) / PAGE;
		ssize_t n;

		if (pages > PAGEMAP_PAGES)
			pages = PAGEMAP_PAGES;
		n = pread(pagemap, map, pages * 8, (off_t)(addr / PAGE * 8));
		if (n < 8)
			return n < 0 ? -errno : 0;
		for (size_t i = 0; i < (size_t)n / 8 && !ret; i++) {
			bool present = map[i] & MW_PM_PRESENT &&
				       (!zero_pfn || (map[i] & MW_PM_PFN) != zero_pfn);

			if (!present && !(swapped && map[i] & MW_PM_SWAPPED))
				continue;
			found += PAGE;
			ret = mw_spans__add(out, addr + i * PAGE, addr + (i + 1) * PAGE);
		}
		addr += (uint64_t)n / 8 * PAGE;
	}
	return ret;
}

int mw_populated(int pagemap, uint64_t zero_pfn, const struct mw_region *region, bool swapped,
		 struct mw_spans *out)
{
	uint64_t all = region->resident + region->hugetlb + (swapped ? region->swapped : 0);
	size_t before = out->count;
	uint64_t last = before ? out->spans[before - 1].end : 0;
	int ret;

	if (!all)
		return 0;
	if (all == region->map.end - region->map.start)
		return mw_spans__add(out, region->map.start, region->map.end);
	ret = scan(pagemap, region, swapped, out);
	if (ret != -ENOTTY && ret != -EINVAL)
		return ret;
	/* Take back what a first part may have added. */
	out->count = before;
	if (before)
		out->spans[before - 1].end = last;
	return read_entries(pagemap, zero_pfn, region, swapped, out);
}
