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
	 * is not in use here, ERR says what was looked for; -ENOTSUP: it is, but is not known.
	 */
	struct mw_heap *(*open)(struct mw_image *image, struct mw_err *err);
	void (*close)(struct mw_heap *heap);
	/* Add what is the allocator's own to INFO; the rest is filled in. */
	int (*info)(struct mw_heap *heap, enum mw_heap_detail detail, struct mw_heap_info *info);
	struct mw_blocks *(*blocks)(struct mw_heap *heap);
	int (*find)(struct mw_heap *heap, const uint64_t *addrs, struct mw_block *blocks,
		    size_t count);
	/* NULL: nothing can be trimmed by a call. */
	bool (*trims)(const struct mw_heap *heap, const struct mw_block *block, uint64_t *start,
		      uint64_t *end);
	/* mw_heap__span(), once measured; NULL: there are none. */
	bool (*span)(const struct mw_heap *heap, uint64_t addr, uint64_t *start, uint64_t *end);
	/* mw_heap__look(); NULL: _find() serves, once. */
	ssize_t (*look)(struct mw_heap *heap, const uint64_t *addrs, struct mw_block *blocks,
			size_t count);
};

extern const struct mw_heap_ops mw_ptmalloc_ops, mw_jemalloc_ops, mw_tcmalloc_ops, mw_gtcmalloc_ops,
	mw_mimalloc_ops;

enum { MW_HEAP_EVIDENCE = 8, MW_OWNER_BUF = 40 };

/* The first member of every walker's own structure. */
struct mw_heap {
	const struct mw_heap_ops *ops;
	struct mw_image *image;
	bool looked_at;
	char owners[MW_BLOCK_KINDS][MW_OWNER_BUF];
	struct mw_problems problems;
	const char *evidence[MW_HEAP_EVIDENCE + 1];
	size_t evidence_count;
};

void mw_heap__init(struct mw_heap *heap, const struct mw_heap_ops *ops, struct mw_image *image);

/*
 * What a walker's open says when it found nothing: -ENOENT, or -ENOTSUP when a file with NAME in
 * its name is mapped.
 */
int mw_heap_not_found(struct mw_image *image, const char *name, struct mw_err *err);

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
