/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What nothing reaches. */
#ifndef MW_GRAPH_LEAKS_H
#define MW_GRAPH_LEAKS_H

#include "graph/graph.h"
#include "heap/heap.h"

struct mw_leaks_type {
	int32_t type;
	uint64_t count, bytes; /* as sys.getsizeof() says */
};

/* Some of Python's objects, by type, most bytes first. */
struct mw_leaks_objects {
	uint64_t count, bytes;
	struct mw_leaks_type *types;
	size_t type_count;
};

enum { MW_LEAKS_SIZES = 48, MW_LEAKS_SAMPLE = 16 };

struct mw_leaks_size {
	uint64_t low, high; /* bytes, both included: a power of two to the next */
	uint64_t count, bytes;
};

struct mw_leaks {
	/*
	 * Tracked by the collector, and referred to by nothing but each other: what gc.collect()
	 * would count, by the collector's own method.
	 */
	struct mw_leaks_objects cycles;
	/* Bytes that gc.collect() frees: CYCLES, with the strings and numbers that only they have.
	 */
	uint64_t freed_bytes;
	/* Those of them that Python 2 would put into gc.garbage instead. */
	uint64_t uncollectable;
	/*
	 * Objects whose count says that they are referred to, but no way leads to them: somebody
	 * forgot to drop a reference, or keeps it where memwhere does not look.
	 */
	struct mw_leaks_objects lost;
	/* Blocks of C's to which no word leads that a program could follow. */
	uint64_t block_count, block_bytes;
	struct mw_leaks_size sizes[MW_LEAKS_SIZES]; /* those in use */
	size_t size_count;
	uint64_t sample[MW_LEAKS_SAMPLE]; /* addresses of the largest, 0: none */
	uint64_t sample_bytes[MW_LEAKS_SAMPLE];
};

/*
 * Reads the blocks' memory twice, and all other memory that the program writes to and that is not
 * of HEAPS. 0 or -ENOMEM with ERR set; free in either case.
 */
int mw_leaks__find(struct mw_leaks *leaks, struct mw_graph *graph, const struct mw_heaps *heaps,
		   struct mw_err *err);
void mw_leaks__free(struct mw_leaks *leaks);

#endif
