/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What pins memory: places that go back to the kernel as a whole, the blocks that are still in use
 * in each, and who holds those. Pure arithmetic; ledger/places.h finds the places.
 */
#ifndef MW_MODEL_PINS_H
#define MW_MODEL_PINS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum mw_place_kind {
	MW_PLACE_ARENA, /* of pymalloc: unmapped when its last block is freed */
	MW_PLACE_PAGE,	/* of mimalloc in Python: purged when its last block is freed */
	MW_PLACE_TOP,	/* the end of the main arena, down to a block that stays */
	MW_PLACE_HEAP,	/* the same of a thread's arena */
	MW_PLACE_SPAN,	/* of another allocator: its pages become free with its last block */
	MW_PLACE_KINDS
};

/* "arena" */
const char *mw_place_kind_name(enum mw_place_kind kind);

enum mw_pin_state {
	MW_PIN_LIVE,
	MW_PIN_PARKED,	  /* dead, kept for reuse: a free list, a thread's cache */
	MW_PIN_ALLOCATOR, /* the allocator's own */
};

struct mw_pin {
	uint64_t addr, bytes; /* of the block, or of the object in it */
	uint32_t holder;      /* a number of the caller's */
	uint32_t item; /* what of the holder keeps the block; at first the pin's own number */
	int32_t type;  /* of the item; -1: it is no object */
	enum mw_pin_state state;
	uint64_t gives; /* at the end of a heap: resident bytes that come back with it, once all
			 * behind it are gone */
};

struct mw_place {
	enum mw_place_kind kind;
	const char *maker; /* whose it is, "pymalloc" */
	uint64_t addr;
	uint64_t bytes;	     /* resident, that come back when all its pins go */
	uint64_t free_bytes; /* of them, those that nobody uses */
	size_t first, count; /* its pins, the nearest to the end first where that matters */
	size_t after;	     /* so many pins before them must have gone, too */
};

struct mw_places {
	struct mw_place *places;
	struct mw_pin *pins;
	size_t count, capacity, pin_count, pin_capacity;
	uint64_t well_used; /* arenas, pages and spans more than half full: not among them */
	uint64_t well_used_bytes,
		well_used_free; /* resident bytes of those, and free ones of them */
	uint64_t trim; /* resident bytes that malloc_trim(0) would give back, with all pins in place
			*/
};

void mw_places__free(struct mw_places *places);

/* Begin a place; its pins follow. 0 or -ENOMEM, as the next one. MAKER stays the caller's. */
int mw_places__begin(struct mw_places *places, enum mw_place_kind kind, const char *maker,
		     uint64_t addr);
int mw_places__add(struct mw_places *places, const struct mw_pin *pin);
/*
 * The place that was begun last has RESIDENT bytes, all of which come back when its pins go. One
 * without pins, or of which more than half is in use, is taken out again.
 */
void mw_places__end(struct mw_places *places, uint64_t resident);

/*
 * Once it is known who holds the pins: cut the ends of heaps where another holder begins to count,
 * so that what comes back with the objects of the first one alone is a place of its own. 0 or
 * -ENOMEM.
 */
int mw_places__cut(struct mw_places *places);

/* Most bytes a pin first. */
void mw_places__sort(struct mw_places *places);

/*
 * Which blocks at the end of a heap are worth naming. What is free between two of them comes back
 * only when all behind it are gone, so they are named from the end down, as long as they bring at
 * least a page each on average: an object that gives less pins nothing.
 *
 * Fed in address order; afterwards LIST has the pins, the lowest first, and BYTES and FREE_BYTES
 * say what comes back with all of them, which is what lies above START. What is free behind the
 * last block goes back by itself and is not counted.
 */
enum { MW_TAIL_PAGE = 4096, MW_TAIL_MAX = 1 << 20 };
struct mw_tail {
	struct mw_pin *list;
	size_t count, capacity;
	uint64_t start, bytes, free_bytes;
	int64_t worth;		 /* BYTES less a page for each of LIST */
	uint64_t gap, gap_start; /* free since the last block: bytes, and where that begins */
};

/* Resident BYTES from ADDR on are free. */
void mw_tail__free_block(struct mw_tail *tail, uint64_t addr, uint64_t bytes);
/* RESIDENT bytes from START on are PIN's. 0 or -ENOMEM. */
int mw_tail__used_block(struct mw_tail *tail, const struct mw_pin *pin, uint64_t start,
			uint64_t resident);
/* Begin again. */
void mw_tail__clear(struct mw_tail *tail);
void mw_tail__done(struct mw_tail *tail);

/* One holder's part in a group of places. */
struct mw_pin_part {
	uint32_t holder;
	int32_t type; /* the type that most of its items are of */
	uint64_t objects, of_type;
};

/* Places that the same holders keep. */
enum { MW_PIN_PARTS = 3 };
struct mw_pin_group {
	struct mw_pin_part parts[MW_PIN_PARTS]; /* most objects first */
	size_t part_count;			/* 0: more holders than that, HOLDERS of them */
	uint64_t holders, objects, places;
	uint64_t bytes; /* that come back when all of the objects go */
	bool after;	/* on top of what the objects of fewer holders bring */
};

/*
 * The places by who holds them. A place is in one group, so their bytes may be added. Most bytes
 * first; *GROUPS is the caller's to free. 0 or -ENOMEM.
 */
int mw_places__groups(const struct mw_places *places, struct mw_pin_group **groups, size_t *count);

#endif
