// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The collector's generations: circular lists through the heads before the objects, whose ends are
 * in the interpreter (3.9 and later), in _PyRuntime (3.7, 3.8) or static (2.7, 3.6).
 */
#include "python/python_impl.h"
#include "util/array.h"

/*
 * Young generations are small unless the collector is off; then the lists are not worth their time.
 */
enum { GENERATIONS = 3, YOUNG_MAX = 1 << 18 };

/* The address of the collector's state of interpreter I; 0: not known. */
static uint64_t state_of(const struct mw_python *py, size_t i)
{
	const struct mw_py_layout *l = &py->layout;

	if (l->interp_gc >= 0)
		return py->interpreters[i].addr + (uint64_t)l->interp_gc;
	return l->runtime_gc >= 0 && py->runtime && !i ? py->runtime + (uint64_t)l->runtime_gc : 0;
}

/*
 * From 3.8 on the two low bits of the link back are flags (pycore_gc.h). While the collector looks
 * at an object, a count is in place of the link.
 */
enum { PREV_FLAGS = 3, PREV_COLLECTING = 2 };

static bool links_back(const struct mw_python *py, uint64_t link, uint64_t before)
{
	bool collecting = py->info.hex >= MW_PY_VERSION(3, 8, 0) && link & PREV_COLLECTING;

	return collecting || (link & ~(uint64_t)PREV_FLAGS) == before;
}

typedef void (*see_fn)(struct mw_python *py, uint64_t gc);

static uint64_t walk_once(struct mw_python *py, uint64_t head, see_fn see, uint64_t wanted,
			  bool *found, struct mw_doubts *doubts)
{
	uint64_t at = mw_pages_word(&py->pages, head), before = head, n = 0;

	while (at && at != head && at % 8 == 0 && mw_py_may_follow(py)) {
		uint64_t link = mw_pages_word(&py->pages, at + 8);

		if (!links_back(py, link, before)) {
			mw_doubts__add(doubts, at, "a list of the collector is damaged",
				       mw_seen(link, before));
			break;
		}
		if (see)
			see(py, at);
		if (found && at == wanted) {
			*found = true;
			break;
		}
		before = at;
		at = mw_pages_word(&py->pages, at) & ~1ULL;
		if (++n > YOUNG_MAX && !see && !found)
			break;
	}
	return n;
}

/*
 * Objects in the list whose end is HEAD; each is handed to SEE when that is not NULL, maybe more
 * than once. FOUND, when not NULL, gets whether the object whose head is at WANTED is in the list;
 * the walk ends there.
 */
static uint64_t walk(struct mw_python *py, uint64_t head, see_fn see, uint64_t wanted, bool *found)
{
	struct mw_doubts doubts;
	uint64_t n;

	mw_py_begin(py, &doubts);
	do {
		n = walk_once(py, head, see, wanted, found, &doubts);
	} while (mw_py_again(py, &doubts));
	return n;
}

/* gc.freeze()d objects and 3.12's immortal ones are in no generation, nor in gc.get_objects(). */
static void unfreeze(struct mw_python *py, uint64_t gc)
{
	uint64_t start;
	uint32_t *label = mw_py_label_at(py, gc, &start, NULL);

	if (!label || mw_py_label_role(*label) != MW_PY_ROLE_LIVE ||
	    !(*label & MW_PY_LABEL_TRACKED))
		return;
	*label &= ~MW_PY_LABEL_TRACKED;
	py->types[*label & MW_PY_LABEL_TYPE].tracked--;
	py->types[*label & MW_PY_LABEL_TYPE].frozen++;
}

/*
 * The lists' ends without a layout of the collector: _PyGC_generation0 points to the first of three
 * generations, which lie side by side (Modules/gcmodule.c of 2.7 and 3.6).
 */
static uint64_t static_generations(struct mw_python *py)
{
	uint64_t at = mw_py_symbol(py, "_PyGC_generation0");

	return at ? mw_pages_word(&py->pages, at) : 0;
}

/* Do both ends of the list at HEAD lead back to it? */
static bool is_closed(struct mw_python *py, uint64_t head)
{
	uint64_t first = mw_pages_word(&py->pages, head);
	uint64_t last = mw_pages_word(&py->pages, head + 8) & ~(uint64_t)PREV_FLAGS;

	return first && last && links_back(py, mw_pages_word(&py->pages, first + 8), head) &&
	       (mw_pages_word(&py->pages, last) & ~1ULL) == head;
}

/*
 * The generations of the collector's STATE. In Debian's builds of 3.13.5 they begin at a multiple
 * of 4 bytes, where other builds of that version pad to 8: of the places near the layout's the one
 * where most lists are closed.
 */
static uint64_t generations_of(struct mw_python *py, uint64_t state)
{
	static const int shifts[] = {0, 4, -4};
	uint64_t best = 0;
	int most = -1;

	for (size_t i = 0; i < MW_ARRAY_SIZE(shifts); i++) {
		uint64_t first = state + (uint64_t)(py->layout.gc_generations + shifts[i]);
		int closed = 0;

		for (uint64_t k = 0; k < GENERATIONS; k++)
			closed +=
				is_closed(py, first + k * (uint64_t)py->layout.gc_generation_size);
		if (closed > most) {
			most = closed;
			best = first;
		}
	}
	return best;
}

/* Where the list of the youngest generation of interpreter I ends, 0: not known. */
static uint64_t first_generation(struct mw_python *py, size_t i)
{
	const struct mw_py_layout *l = &py->layout;
	uint64_t state = state_of(py, i);

	if (l->free_threaded || l->gc_generation_size < 0 || l->gc_old >= 0)
		return 0;
	if (state)
		return l->gc_generations >= 0 ? generations_of(py, state) : 0;
	return i ? 0 : static_generations(py);
}

int mw_py_generation(struct mw_python *py, uint64_t addr)
{
	bool known = false, found = false;

	for (size_t i = 0; i < py->interpreter_count; i++) {
		uint64_t head = first_generation(py, i);

		known |= head != 0;
		for (int k = 0; head && k + 1 < GENERATIONS; k++) {
			walk(py, head, NULL, addr - py->gc_head, &found);
			if (found)
				return k;
			head += (uint64_t)py->layout.gc_generation_size;
		}
	}
	return known ? GENERATIONS - 1 : -1;
}

/*
 * Has so much been allocated since the youngest generation, whose list ends at HEAD, was collected
 * that walking it is not worth the time? (struct gc_generation: head, threshold, count.)
 */
static bool is_too_long(struct mw_python *py, uint64_t head)
{
	int32_t count = (int32_t)mw_pages_word32(&py->pages, head + py->gc_head + 4);

	return count > YOUNG_MAX;
}

/* May there be ALLOCATED pointers at ITEMS, of which LENGTH are in use? */
static bool has_room(struct mw_python *py, uint64_t items, uint64_t length, uint64_t allocated)
{
	uint64_t start, size;

	if (length > allocated || allocated >> 40)
		return false;
	if (mw_py_label_at(py, items, &start, &size))
		return allocated <= (start + size - items) / 8 ||
		       mw_py_is_lost(py, items + 8 * (length - 1));
	/* A block that came since the heap was read, or of a heap that is not known. */
	return mw_pages_word(&py->pages, items + 8 * (length - 1)) ||
	       mw_py_is_lost(py, items + 8 * (length - 1));
}

/* Of the list at ADDR; 0 where there is none. In damaged memory it would be any number. */
static uint64_t length_of(struct mw_python *py, uint64_t addr)
{
	const struct mw_py_layout *l = &py->layout;
	struct mw_doubts doubts;
	uint64_t length;

	if (!addr)
		return 0;
	mw_py_begin(py, &doubts);
	do {
		length = mw_py_field(py, addr, l->ob_size);
		if (!length || has_room(py, mw_py_field(py, addr, l->list_items), length,
					mw_py_field(py, addr, l->list_allocated)))
			continue;
		mw_doubts__add(&doubts, addr, "length of gc.garbage is not possible", length);
		length = 0;
	} while (mw_py_again(py, &doubts));
	return length;
}

void mw_py_gc(struct mw_python *py)
{
	const struct mw_py_layout *l = &py->layout;
	struct mw_py_census *c = &py->census;
	bool known = false, too_many = false;

	for (size_t i = 0; i < py->interpreter_count; i++) {
		uint64_t state = state_of(py, i), first;

		if (state && l->gc_permanent >= 0 && !l->free_threaded)
			walk(py, state + (uint64_t)l->gc_permanent, unfreeze, 0, NULL);
		if (state && l->gc_garbage >= 0)
			c->garbage += length_of(
				py, mw_pages_word(&py->pages, state + (uint64_t)l->gc_garbage));
		first = first_generation(py, i);
		if (!first)
			continue;
		if (is_too_long(py, first)) {
			too_many = true;
			continue;
		}
		/* The oldest has what the younger ones have not: no need to walk it. */
		for (unsigned int k = 0; k + 1 < GENERATIONS; k++) {
			uint64_t n = walk(py, first + k * (uint64_t)l->gc_generation_size, NULL, 0,
					  NULL);

			c->generations[k] += n;
			too_many |= n > YOUNG_MAX;
		}
		known = true;
	}
	c->has_generations = known && !too_many;
}
