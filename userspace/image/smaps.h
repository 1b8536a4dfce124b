/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A region of an address space and how much of it is resident, from /proc/PID/smaps
 * (Documentation/filesystems/proc.rst of the kernel) or, as far as it says so, a core.
 */
#ifndef MW_IMAGE_SMAPS_H
#define MW_IMAGE_SMAPS_H

#include "image/maps.h"

struct mw_region {
	struct mw_map map;  /* extent, permissions, file; the path is the region's own */
	uint64_t resident;  /* bytes in memory (Rss); in a plain core: bytes that the core holds */
	uint64_t swapped;   /* bytes in swap */
	uint64_t hugetlb;   /* bytes in huge pages of hugetlbfs, which Rss leaves out */
	uint64_t anonymous; /* bytes of RESIDENT that are no file's (Anonymous), changed copies
			     * included
			     */
	uint64_t thp;	    /* bytes of RESIDENT in transparent huge pages (AnonHugePages) */
	uint64_t
		zeros; /* bytes that a plain core holds and that are zeros: they are not RESIDENT */
	bool no_dump;  /* VmFlags dd: excluded from cores, maybe unsafe to read */
	bool io;       /* VmFlags io or pf: device memory, never to be read */
};

struct mw_regions {
	struct mw_region *regions;
	size_t count, capacity;
};

enum { MW_REGIONS_MAX = 1 << 20 }; /* the most that are accepted; vm.max_map_count is 65530 */

/* Parse the text of a smaps file. 0, -EINVAL, -E2BIG or -ENOMEM with ERR set; free in any case. */
int mw_smaps__parse(struct mw_regions *out, const char *text, size_t len, struct mw_err *err);

/* Read and parse that of PID. The caller frees *TEXT, the text itself; TEXT may be NULL. */
int mw_smaps__read(struct mw_regions *out, pid_t pid, char **text, size_t *len, struct mw_err *err);

void mw_regions__free(struct mw_regions *regions);

/* Append a zeroed region; NULL when out of memory or over the limit. */
struct mw_region *mw_regions__add(struct mw_regions *regions);

/* The region that holds ADDR, or NULL. */
const struct mw_region *mw_regions__find(const struct mw_regions *regions, uint64_t addr);

/* Does any have a file's name? A core that was cut short may have lost them. */
bool mw_regions__have_names(const struct mw_regions *regions);

/* The first of the adjacent regions that map the same file as REGION. */
const struct mw_region *mw_regions__file_start(const struct mw_regions *regions,
					       const struct mw_region *region);

#endif
