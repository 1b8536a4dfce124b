/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a walker gives (one struct mw_heap_ops) and what it takes; for the folders of heap/ only. */
#ifndef MW_HEAP_IMPL_H
#define MW_HEAP_IMPL_H

#include "heap/heap.h"

/* The calls of heap.h, for one allocator. A new walker adds a row to heap.c's table. */
struct mw_heap_ops {
	const char *name; /* "glibc": begins its owners, and is shown */
	uint32_t kinds;	  /* a bit 1 << KIND for each kind of block that it yields */
	/*
	 * Find the heap, without walking it. NULL with errno and ERR set; -ENOENT: this allocator
	 * is not in use here, ERR says what was looked for.
	 */
	struct mw_heap *(*open)(struct mw_image *image, struct mw_err *err);
	void (*close)(struct mw_heap *heap);
	/* Add what is the allocator's own to INFO; the rest is filled in. */
	int (*info)(struct mw_heap *heap, enum mw_heap_detail detail, struct mw_heap_info *info);
	struct mw_blocks *(*blocks)(struct mw_heap *heap);
	int (*find)(struct mw_heap *heap, const uint64_t *addrs, struct mw_block *blocks,
		    size_t count);
};

extern const struct mw_heap_ops mw_ptmalloc_ops;

enum { MW_HEAP_EVIDENCE = 8, MW_OWNER_BUF = 40 };

/* The first member of every walker's own structure. */
struct mw_heap {
	const struct mw_heap_ops *ops;
	struct mw_image *image;
	char owners[MW_BLOCK_KINDS][MW_OWNER_BUF];
	struct mw_problems problems;
	const char *evidence[MW_HEAP_EVIDENCE + 1];
	size_t evidence_count;
};

void mw_heap__init(struct mw_heap *heap, const struct mw_heap_ops *ops, struct mw_image *image);

void mw_heap__add_evidence(struct mw_heap *heap, const char *what);

/* Takes the blocks of a walk that hold given addresses, for mw_heap_ops.find. */
struct mw_block_picker {
	const uint64_t *addrs; /* ascending */
	struct mw_block *out;
	size_t count, next;
};

/* The next block of the walk is BLOCK. */
void mw_block_picker__see(struct mw_block_picker *picker, const struct mw_block *block);

#endif
