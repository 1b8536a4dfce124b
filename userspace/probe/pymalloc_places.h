/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where CPython's allocator of small objects, pymalloc (Objects/obmalloc.c), hands out a block and
 * takes one back. Profile-guided builds have its fast paths in 40 to 220 copies, inlined into
 * whatever allocates, so a probe at a function would miss most of them. All copies do the same:
 *
 *     P = usedpools[i]; if P == P->nextpool: take a new pool, by a call or right here
 *     B = P->freeblock; P->count += 1; N = *B; P->freeblock = N; if N == 0: extend the pool
 *
 *     L = P->freeblock; *B = L; P->freeblock = B; P->count -= 1; if L == 0: the pool was full
 *
 * The last "if" is a conditional jump, which the kernel emulates, and there registers hold pool and
 * block: the place for a probe. (freeblock is at 8, nextpool at 16, the count at 0 of the pool's
 * header in CPython 2.7 to 3.15.) Two more lists are found on their own and must agree: the tests
 * "P == P->nextpool", and the calls of the function that takes a new pool. Pure logic; what an
 * instruction does is the architecture's to say (arch/dataflow.h).
 */
#ifndef MW_PROBE_PYMALLOC_PLACES_H
#define MW_PROBE_PYMALLOC_PLACES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum mw_pymalloc_place_kind {
	MW_PYMALLOC_ALLOC,    /* a block is handed out */
	MW_PYMALLOC_FREE,     /* a block is taken back */
	MW_PYMALLOC_NEW_POOL, /* the first block of a pool is about to be: only the pool is known */
};

/* Of a block's address on the stack, at most: what a probe's cookie has room for. Bytes. */
enum { MW_PYMALLOC_OFFSET_MAX = 4088 };

struct mw_pymalloc_place {
	uint64_t address;
	enum mw_pymalloc_place_kind kind;
	/* Registers, as arch/dataflow.h numbers them: of the block MW_NO_REG where it is not known.
	 */
	uint8_t pool, block;
	/* The block's address is not in the register, but in memory there, at this offset in bytes.
	 */
	bool block_in_memory;
	int16_t block_offset;
};

struct mw_pymalloc_places {
	struct mw_pymalloc_place *list; /* by address */
	size_t count, capacity;
	size_t allocs, frees, new_pools; /* of them */
	/* The function that takes a new pool and returns its first block; 0: it is no function. */
	uint64_t slow;
	size_t slow_calls;   /* of it in the code */
	size_t slow_reached; /* of these: of which the place of the fast path beside it is known */
	size_t tests;	     /* of a list of pools that lead to a place or to SLOW */
	size_t tests_placed; /* of these: that lead to a place */
};

/*
 * Search SIZE bytes at CODE, whose address is ADDRESS: the whole text of the interpreter. 0 or
 * -ENOMEM; that nothing was found is no error.
 */
int mw_pymalloc_places__find(struct mw_pymalloc_places *places, const uint8_t *code, size_t size,
			     uint64_t address);
void mw_pymalloc_places__free(struct mw_pymalloc_places *places);

/* Do the lists agree: is no copy of the fast path known to be missing? */
bool mw_pymalloc_places__are_all(const struct mw_pymalloc_places *places);

#endif
