/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a snapshot holds of an address space, and where in the file. Memory that was touched comes
 * from the process. What is equal to a file comes from that file, after the process runs on:
 * read-only data, and pages of private mappings that nobody has written to. Code is left out, and
 * so is what is only reserved: such segments have no bytes in the file.
 */
#ifndef MW_IMAGE_SNAPSHOT_LAYOUT_H
#define MW_IMAGE_SNAPSHOT_LAYOUT_H

#include "image/image_impl.h"

/* Part of a mapping. Either all of it is in the snapshot, or nothing. */
struct mw_snapshot_segment {
	uint64_t start, end; /* addresses */
	uint64_t offset;     /* in the snapshot */
	const struct mw_map *map;
	bool held;
};

/* Memory of the process, or bytes of a file, to copy to START. */
struct mw_snapshot_part {
	uint64_t start, end;
	int fd; /* -1: from the process */
	uint64_t file_offset;
};

struct mw_snapshot_layout {
	struct mw_snapshot_segment *segments; /* by address */
	size_t count, capacity;
	struct mw_snapshot_part *parts; /* by address */
	size_t part_count, part_capacity;
	struct mw_snapshot_files *files;
	uint64_t file_bytes;  /* that come from files */
	size_t file_count;    /* from how many */
	uint64_t holes_above; /* bytes; gaps of this size and more are segments without bytes */
};

/* Open and read the files that REGIONS map, while the process PID still runs. 0 or -ENOMEM. */
int mw_snapshot_layout__prepare(struct mw_snapshot_layout *layout, const struct mw_regions *regions,
				pid_t pid);

/*
 * Lay out REGIONS of PID, which outlive LAYOUT; CONTENT are their pages in memory or in swap. 0 or
 * -ENOMEM.
 */
int mw_snapshot_layout__make(struct mw_snapshot_layout *layout, const struct mw_regions *regions,
			     pid_t pid, const struct mw_spans *content);

/*
 * For each file of which LAYOUT has something: FN with what MW_NT_FILE_REST says of it. 0, or what
 * FN returned.
 */
int mw_snapshot_layout__rests(const struct mw_snapshot_layout *layout,
			      int (*fn)(void *arg, const void *desc, size_t len), void *arg);

/* Place the held segments in the file from OFFSET on. Returns where they end. */
uint64_t mw_snapshot_layout__place(struct mw_snapshot_layout *layout, uint64_t offset);

void mw_snapshot_layout__free(struct mw_snapshot_layout *layout);

#endif
