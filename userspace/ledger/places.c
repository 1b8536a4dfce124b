// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ledger/places.h"
#include "ledger/resident_ranges.h"
#include "python/referents.h"

enum { BATCH = 512 };

/*
 * ---- Python's arenas and pages ------------------------------------------------------------------
 */

static int add_block(void *arg, const struct mw_py_block *b)
{
	const struct mw_pin pin = {
		.addr = b->object ? b->object : b->start,
		.bytes = b->size,
		.type = -1,
		.state = b->what == MW_PY_WHAT_PARKED	? MW_PIN_PARKED
			 : b->what == MW_PY_WHAT_SYSTEM ? MW_PIN_ALLOCATOR
							: MW_PIN_LIVE,
	};

	return b->what == MW_PY_WHAT_FREE ? 0 : mw_places__add(arg, &pin);
}

struct arenas {
	struct mw_places *places;
	struct mw_python *py;
	struct mw_resident_ranges resident;
};

/* COUNT pools or pages from FIRST on, from ADDR to END, which go together. */
static int add_pools(struct arenas *a, enum mw_place_kind kind, const struct mw_py_pool *first,
		     size_t count, uint64_t addr, uint64_t end)
{
	const char *maker = kind == MW_PLACE_PAGE ? "mimalloc" : "pymalloc";
	int ret = mw_places__begin(a->places, kind, maker, addr);

	if (ret)
		return ret;
	for (size_t i = 0; i < count && !ret; i++)
		ret = mw_python__each_block(a->py, &first[i], add_block, a->places);
	mw_places__end(a->places, mw_resident_ranges__between(&a->resident, addr, end));
	return ret;
}

static int add_arenas(struct arenas *a)
{
	const struct mw_py_info *info = mw_python__info(a->py);
	int ret = 0;

	for (size_t i = 0; i < info->arena_count && !ret; i++) {
		const struct mw_py_arena *arena = &info->arenas[i];
		const struct mw_py_pool *pools = info->pools + arena->first_pool;
		bool pages = arena->pool_count && pools->page;

		for (size_t k = 0; pages && k < arena->pool_count && !ret; k++)
			ret = add_pools(a, MW_PLACE_PAGE, &pools[k], 1, pools[k].addr,
					pools[k].addr + pools[k].size);
		if (!pages)
			ret = add_pools(a, MW_PLACE_ARENA, pools, arena->pool_count, arena->addr,
					arena->addr + arena->size);
	}
	return ret;
}

/*
 * ---- heaps --------------------------------------------------------------------------------------
 */

struct scan {
	struct mw_heap *heap;
	struct mw_heap_info info;
	struct mw_python *py; /* NULL: none */
	struct mw_places *places;
	struct mw_resident_ranges resident;
	struct mw_tail tail;
	uint32_t arena; /* that the last block was of */
	uint64_t end;	/* of the last block */
	size_t cursor;
	uint64_t span_start, span_end; /* the present one; 0: none */
	uint64_t span_resident;
};

/* The object in the chunk B is known by its own address. */
static void find_object(struct scan *s, const struct mw_block *b, struct mw_pin *pin)
{
	bool owned = false;
	const struct mw_py_type *type =
		s->py ? mw_python__chunk_type(s->py, b->start, &s->cursor, &owned) : NULL;

	if (!owned || mw_python__number(s->py, pin->addr) >= 0)
		return;
	if (type)
		pin->addr += type->pre;
	/* Python has a block there that is no live one. */
	if (mw_python__number(s->py, pin->addr) < 0)
		pin->state = type ? MW_PIN_PARKED : MW_PIN_ALLOCATOR;
}

static struct mw_pin pin_of(struct scan *s, const struct mw_block *b)
{
	struct mw_pin pin = {.addr = b->start + b->header, .bytes = b->size, .type = -1};

	if (mw_block_state(b) == MW_STATE_FREE)
		pin.state = MW_PIN_PARKED;
	else if (mw_block_state(b) == MW_STATE_OVERHEAD)
		pin.state = MW_PIN_ALLOCATOR;
	else
		find_object(s, b, &pin);
	return pin;
}

/* ---- the ends of arenas ---- */

static int add_to_tail(struct scan *s, const struct mw_block *b, uint64_t resident)
{
	struct mw_pin pin;

	if (b->kind == MW_BLOCK_BIN || b->kind == MW_BLOCK_FREE) {
		mw_tail__free_block(&s->tail, b->start, resident);
		return 0;
	}
	pin = pin_of(s, b);
	return mw_tail__used_block(&s->tail, &pin, b->start, resident);
}

/* What lies behind the last block is the arena's top: the place is complete. */
static int end_tail(struct scan *s, enum mw_arena_kind kind)
{
	struct mw_tail *tail = &s->tail;
	struct mw_place *place;
	int ret;

	if (tail->worth <= 0 || !tail->free_bytes)
		return 0;
	ret = mw_places__begin(s->places, kind == MW_ARENA_MAIN ? MW_PLACE_TOP : MW_PLACE_HEAP,
			       s->info.allocator, tail->start);
	for (size_t i = tail->count; i-- > 0 && !ret;)
		ret = mw_places__add(s->places, &tail->list[i]);
	if (ret)
		return ret;
	place = &s->places->places[s->places->count - 1];
	place->bytes = tail->bytes;
	place->free_bytes = tail->free_bytes;
	return 0;
}

static int see_arena(struct scan *s, const struct mw_block *b, uint64_t resident)
{
	int ret;

	if (b->arena != s->arena || b->start != s->end)
		mw_tail__clear(&s->tail);
	s->arena = b->arena;
	s->end = b->start + b->size;
	if (b->kind != MW_BLOCK_TOP)
		return add_to_tail(s, b, resident);
	ret = end_tail(s, s->info.arenas[b->arena].kind);
	mw_tail__clear(&s->tail);
	return ret;
}

/* ---- spans ---- */

static void end_span(struct scan *s)
{
	if (s->span_end)
		mw_places__end(s->places, s->span_resident);
	s->span_end = s->span_resident = 0;
}

static int see_span(struct scan *s, const struct mw_block *b, uint64_t resident)
{
	struct mw_pin pin;

	if (b->start >= s->span_end) {
		end_span(s);
		if (!mw_heap__span(s->heap, b->start, &s->span_start, &s->span_end)) {
			s->span_end = 0;
			return 0;
		}
		if (mw_places__begin(s->places, MW_PLACE_SPAN, s->info.allocator, s->span_start)) {
			s->span_end = 0;
			return -ENOMEM;
		}
	}
	s->span_resident += resident;
	if (b->kind != MW_BLOCK_LIVE && b->kind != MW_BLOCK_CACHE)
		return 0;
	pin = pin_of(s, b);
	return mw_places__add(s->places, &pin);
}

/* ---- both ---- */

static int see(struct scan *s, const struct mw_block *b)
{
	struct mw_resident_ranges inner = s->resident;
	uint64_t from, to, resident;

	if (b->arena >= s->info.arena_count || b->kind == MW_BLOCK_RESERVE)
		return 0;
	resident = mw_resident_ranges__between(&s->resident, b->start, b->start + b->size);
	if (mw_heap__trims(s->heap, b, &from, &to))
		s->places->trim += mw_resident_ranges__between(&inner, from, to);
	return s->info.arenas[b->arena].top ? see_arena(s, b, resident) : see_span(s, b, resident);
}

static int add_heap(struct scan *s)
{
	struct mw_blocks *blocks = mw_heap__blocks(s->heap);
	struct mw_block batch[BATCH];
	int ret = blocks ? 0 : -ENOMEM;
	size_t n;

	while (!ret && (n = blocks->fill(blocks, batch, BATCH))) {
		for (size_t i = 0; i < n && !ret; i++)
			ret = see(s, &batch[i]);
	}
	end_span(s);
	mw_blocks__close(blocks);
	mw_tail__done(&s->tail);
	return ret;
}

int mw_survey__places(struct mw_survey *survey, struct mw_places *places, struct mw_err *err)
{
	struct arenas arenas = {.places = places, .py = mw_survey__python(survey, NULL)};
	int ret = mw_image__spans(survey->image, &arenas.resident.spans);
	struct mw_resident_ranges resident = arenas.resident;
	struct mw_py_census census;

	memset(places, 0, sizeof(*places));
	/* What blocks are; whoever had it first may have done without Python's objects. */
	if (!ret && arenas.py)
		ret = mw_python__census(arenas.py, &survey->heaps, &census, err);
	if (!ret && arenas.py)
		ret = add_arenas(&arenas);
	for (size_t i = 0; i < survey->heaps.count && !ret; i++) {
		struct scan s = {.heap = survey->heaps.list[i],
				 .py = arenas.py,
				 .places = places,
				 .resident = resident};

		ret = mw_heap__info(s.heap, MW_HEAP_SUMS, &s.info);
		if (!ret)
			ret = add_heap(&s);
	}
	return ret ? mw_err_no_memory(err, mw_image__name(survey->image)) : 0;
}
