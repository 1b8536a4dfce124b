/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Heaps of allocators that divide runs of pages into objects of one size: jemalloc, tcmalloc,
 * mimalloc. Their walkers find the runs and say which objects are free; what heap.h wants of a heap
 * is made of that here. Nothing is read from the objects themselves.
 */
#ifndef MW_HEAP_SLABS_H
#define MW_HEAP_SLABS_H

#include "heap/heap_impl.h"

/* What an object is, in two bits. */
enum mw_object_state { MW_OBJECT_FREE, MW_OBJECT_LIVE, MW_OBJECT_CACHED, MW_OBJECT_OWN };

/* A run of pages that has one use: objects of one size, one object, or none. */
struct mw_slab {
	uint64_t start, end;
	uint64_t first; /* address of its first object; around the objects is overhead */
	uint64_t size;	/* bytes from an object to the next */
	uint64_t state; /* index of the first object's state */
	uint32_t count; /* objects; 0: all of it is KIND */
	uint32_t arena;
	uint8_t kind;
};

struct mw_slabs {
	struct mw_slab *list; /* in address order once sorted */
	size_t count, capacity;
	uint8_t *states;
	uint64_t state_count; /* of them */
	size_t state_capacity;
};

enum { MW_SLABS_MAX = 1 << 26, MW_SLAB_OBJECTS_MAX = 1 << 20 };

/*
 * Append SLAB, with objects that are live. NULL: out of memory, or more than any process has. What
 * was returned before becomes invalid.
 */
struct mw_slab *mw_slabs__add(struct mw_slabs *slabs, const struct mw_slab *slab);
void mw_slabs__free(struct mw_slabs *slabs);

/* Sort them. Of two that overlap the first one stays; returns how many went. */
size_t mw_slabs__sort(struct mw_slabs *slabs);

/* Once sorted: the slab that holds ADDR, or NULL. */
struct mw_slab *mw_slabs__at(const struct mw_slabs *slabs, uint64_t addr);

static inline enum mw_object_state mw_slabs__state(const struct mw_slabs *slabs,
						   const struct mw_slab *slab, uint32_t i)
{
	uint64_t at = slab->state + i;

	return slabs->states[at / 4] >> at % 4 * 2 & 3;
}

static inline void mw_slabs__set(struct mw_slabs *slabs, const struct mw_slab *slab, uint32_t i,
				 enum mw_object_state state)
{
	uint64_t at = slab->state + i;
	uint8_t *byte = &slabs->states[at / 4];

	*byte = (uint8_t)((*byte & ~(3U << at % 4 * 2)) | (unsigned int)state << at % 4 * 2);
}

/* Once sorted: the slab with the object that holds ADDR, whose index I gets, or NULL. */
const struct mw_slab *mw_slabs__object(const struct mw_slabs *slabs, uint64_t addr, uint32_t *i);

/*
 * Mark as free the objects of a list in SLAB, each of whose first words leads to the next one; HEAD
 * is the first one's address, 0 if there is none, and CONTENT the memory from the slab's first
 * object on. Returns how many; the list ends where it can't be right or where it comes to a free
 * one.
 */
uint32_t mw_slabs__free_list(struct mw_slabs *slabs, const struct mw_slab *slab, uint64_t head,
			     const uint8_t *content);

struct mw_slab_heap {
	struct mw_heap base;
	struct mw_slabs slabs;
	struct mw_heap_arena *arenas;
	size_t arena_count, arena_capacity;
	uint64_t caches;
	char version[48];
	uint16_t header; /* bytes from the start of each live object to the program's own */
	/*
	 * Read slabs, arenas and caches; called once. What can't be right goes to the problems. 0
	 * or -ENOMEM.
	 */
	int (*read)(struct mw_slab_heap *heap);
	bool measured;
};

/* One more arena; NULL: out of memory. */
struct mw_heap_arena *mw_slab_heap__add_arena(struct mw_slab_heap *heap, uint64_t addr);

/* Sort the slabs; that some overlap is a problem called WHAT, or a race. */
void mw_slab_heap__sort(struct mw_slab_heap *heap, const char *what);

/* For mw_heap_ops. */
int mw_slab_heap__info(struct mw_heap *heap, enum mw_heap_detail detail, struct mw_heap_info *info);
struct mw_blocks *mw_slab_heap__blocks(struct mw_heap *heap);
int mw_slab_heap__find(struct mw_heap *heap, const uint64_t *addrs, struct mw_block *blocks,
		       size_t count);
bool mw_slab_heap__span(const struct mw_heap *heap, uint64_t addr, uint64_t *start, uint64_t *end);
/* Frees what is in HEAP; the walker frees HEAP. */
void mw_slab_heap__free(struct mw_slab_heap *heap);

#endif
