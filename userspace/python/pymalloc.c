// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * pymalloc (Objects/obmalloc.c): arenas hold pools, pools hold blocks of one size.
 *
 * `usedpools` is found by its content in every version: head i of the array A lies, as if it were
 * a pool, at A + 16 i - 16, and its two words are either both that address or pools whose own links
 * lead back to it. From 3.12 on the array of arenas is at A + 512 in the same structure. Builds
 * patch the sizes of pools, arenas and blocks, so they are read from memory.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "python/python_impl.h"
#include "util/array.h"
#include "util/bytes.h"
#include "util/parallel.h"
#include "util/search.h"

/* struct arena_object, alike in 2.7 to 3.15; and how many classes 8 bytes of alignment make. */
enum {
	CLASSES_MAX = 64,
	ARENA_ADDRESS = 0,
	ARENA_FREE = 16,  /* unsigned int */
	ARENA_TOTAL = 20, /* unsigned int */
};

enum { ARENAS_MAX = 1 << 22, POOLS_PER_ARENA_MAX = 1 << 14, POOL_SIZE_MAX = 64 << 10 };

enum { HEADS_MIN = 32, WRONG_MAX = 8, TRIES = 8 };

/* A core that was cut short lacks the pool at ADDR: it says nothing for or against a head. */
bool mw_py_is_lost(struct mw_python *py, uint64_t addr)
{
	uint64_t word;

	return !mw_pages_read(&py->pages, addr, &word, sizeof(word)) &&
	       mw_image__find(py->image, addr);
}

/*
 * How many consecutive heads from OFFSET of the data on are as usedpools has them; FILLED is how
 * many of them have pools. A few may be wrong: damaged, or changed in between in a process that
 * runs.
 */
static unsigned int count_heads(struct mw_python *py, uint64_t offset, unsigned int *filled)
{
	const struct mw_py_data *d = &py->data;
	unsigned int i, wrong = 0;

	*filled = 0;
	for (i = 0; i < CLASSES_MAX && offset + 16 * i + 16 <= d->size; i++) {
		uint64_t head = d->start + offset + 16 * i - 16;
		uint64_t next = mw_u64_at(d->bytes + offset + 16 * i);
		uint64_t prev = mw_u64_at(d->bytes + offset + 16 * i + 8);

		if (next == head && prev == head)
			continue;
		if ((next % 4096 && next != head) || (prev % 4096 && prev != head) || !next ||
		    !prev)
			break;
		if (next != head && prev != head &&
		    mw_pages_word(&py->pages, next + MW_PY_HEAD_PREV) == head &&
		    mw_pages_word(&py->pages, prev + MW_PY_HEAD_NEXT) == head)
			(*filled)++;
		else if (next != head && prev != head &&
			 (mw_py_is_lost(py, next) || mw_py_is_lost(py, prev)))
			continue;
		else if (++wrong > WRONG_MAX || wrong > *filled + 1)
			break;
	}
	return i;
}

static uint64_t find_usedpools(struct mw_python *py)
{
	const struct mw_py_data *d = &py->data;
	unsigned int best = 0, best_filled = 0, filled;
	uint64_t found = 0;

	for (uint64_t off = 0; off + 32 <= d->size; off += 8) {
		uint64_t first = mw_u64_at(d->bytes + off);
		unsigned int n;

		/* The first head refers to itself or to a pool. */
		if (first != d->start + off - 16 && (!first || first % 4096))
			continue;
		n = count_heads(py, off, &filled);
		if (n >= HEADS_MIN &&
		    (filled > best_filled || (filled == best_filled && n > best))) {
			best = n;
			best_filled = filled;
			found = d->start + off;
		}
	}
	return found;
}

/* Some pools in use, from the lists: enough to learn sizes and to recognise `arenas`. */
enum { SAMPLES = 16 };

struct sample {
	uint64_t pool;
	uint32_t arena, class, max_offset;
};

static size_t take_samples(struct mw_python *py, uint64_t usedpools, struct sample *out)
{
	size_t n = 0;

	for (unsigned int i = 0; i < CLASSES_MAX && n < SAMPLES; i++) {
		uint64_t pool = mw_pages_word(&py->pages, usedpools + 16 * i);
		uint8_t header[MW_PY_HEAD_SIZE];

		/* One that a core has lost is not of class 0. */
		if (!pool || pool % 4096 ||
		    !mw_pages_read(&py->pages, pool, header, sizeof(header)) ||
		    mw_u32_at(header + MW_PY_HEAD_CLASS) != i)
			continue;
		out[n++] = (struct sample){pool, mw_u32_at(header + MW_PY_HEAD_ARENA), i,
					   mw_u32_at(header + MW_PY_HEAD_MAX_OFFSET)};
	}
	return n;
}

/*
 * Does the core lack pools that the lists lead to? Those with a free block, which are the youngest:
 * of an arena that was cut off in the middle the full ones are still there.
 */
static bool has_lost_pools(struct mw_python *py, uint64_t usedpools)
{
	for (unsigned int i = 0; i < CLASSES_MAX; i++) {
		uint64_t pool = mw_pages_word(&py->pages, usedpools + 16 * i);

		if (pool && pool % 4096 == 0 && mw_py_is_lost(py, pool))
			return true;
	}
	return false;
}

/* Block size = pool size - the last block's offset: which sizes make that (class + 1) * 8 or 16? */
static bool learn_sizes(struct mw_python *py, const struct sample *samples, size_t count)
{
	for (uint32_t align = 8; align <= 16; align *= 2) {
		for (uint32_t size = 4096; size <= POOL_SIZE_MAX; size *= 2) {
			size_t fit = 0;

			for (size_t i = 0; i < count; i++)
				fit += samples[i].max_offset + (samples[i].class + 1) * align ==
					       size &&
				       samples[i].pool % size == 0;
			if (fit == count) {
				py->info.alignment = align;
				py->info.pool_size = size;
				return true;
			}
		}
	}
	return false;
}

/*
 * Is ADDR the array of arenas? Each sample pool's arena index must lead to an arena that holds it.
 */
static bool is_arenas(struct mw_python *py, uint64_t addr, const struct sample *samples,
		      size_t count)
{
	if (!addr || addr % 8 || !count)
		return false;
	for (size_t i = 0; i < count; i++) {
		uint64_t object = addr + (uint64_t)samples[i].arena * MW_PY_ARENA_SIZE;
		uint64_t base = mw_pages_word(&py->pages, object + ARENA_ADDRESS);
		uint64_t total = mw_pages_word32(&py->pages, object + ARENA_TOTAL);

		if (!base || samples[i].pool < base || !total || total > POOLS_PER_ARENA_MAX ||
		    samples[i].pool >= base + (total + 1) * py->info.pool_size)
			return false;
	}
	return true;
}

/* Where the address of the array of arenas is; 0: not found. */
static uint64_t find_arenas(struct mw_python *py, uint64_t usedpools, const struct sample *samples,
			    size_t count)
{
	const struct mw_py_data *d = &py->data;
	uint64_t at = usedpools + 512;

	if (py->info.hex >= MW_PY_VERSION(3, 12, 0) &&
	    is_arenas(py, mw_pages_word(&py->pages, at), samples, count))
		return at;
	at = mw_py_symbol(py, "arenas");
	if (at && is_arenas(py, mw_pages_word(&py->pages, at), samples, count)) {
		mw_py_evidence(py, "arenas by symbol");
		return at;
	}
	for (uint64_t off = 0; off + 8 <= d->size; off += 8) {
		uint64_t addr = mw_u64_at(d->bytes + off);

		if (addr > 65536 && is_arenas(py, addr, samples, count)) {
			mw_py_evidence(py, "arenas by their content");
			return d->start + off;
		}
	}
	return 0;
}

bool mw_py_arena_is_there(struct mw_py_arena_end *end, const uint8_t *object, size_t i,
			  uint32_t pool_size)
{
	uint64_t base = mw_u64_at(object), pool = mw_u64_at(object + MW_PY_ARENA_POOL);
	uint32_t free = mw_u32_at(object + ARENA_FREE), total = mw_u32_at(object + ARENA_TOTAL);

	if (base && (base % 16 || free > total || !total || total > POOLS_PER_ARENA_MAX ||
		     pool < base || pool > base + (total + 2ULL) * pool_size))
		return false;
	if (base)
		end->good = i + 1;
	/* No entry up to twice the last one seen: the array ends. */
	return i < ARENAS_MAX && i <= 2 * end->good + 64;
}

static size_t count_arenas(struct mw_python *py, uint64_t arenas)
{
	struct mw_py_arena_end end = {0};
	uint8_t object[MW_PY_ARENA_SIZE];

	for (size_t i = 0;
	     mw_pages_read(&py->pages, arenas + i * MW_PY_ARENA_SIZE, object, sizeof(object)) &&
	     mw_py_arena_is_there(&end, object, i, py->info.pool_size);
	     i++)
		;
	return end.good;
}

int mw_py_add_pool(struct mw_python *py, struct mw_py_arena *arena, struct mw_py_pool pool)
{
	uint64_t unused = pool.capacity - pool.used;
	uint64_t label = py->label_count;

	pool.label = (uint32_t)label;
	if (pool.state <= MW_PY_POOL_FULL) {
		if (label + pool.capacity > UINT32_MAX)
			return -ENOMEM;
		py->label_count = (size_t)(label + pool.capacity);
		arena->used_blocks += pool.used;
		arena->used_bytes += pool.used * pool.block_size;
		py->info.free_blocks += unused;
		py->info.free_bytes += unused * pool.block_size;
	}
	arena->used_pools += pool.state == MW_PY_POOL_USED;
	arena->full_pools += pool.state == MW_PY_POOL_FULL;
	arena->free_pools += pool.state == MW_PY_POOL_FREE;
	arena->unused_pools += pool.state == MW_PY_POOL_UNUSED;
	if (mw_array_reserve(&py->pools, &py->pool_capacity, py->pool_count + 1,
			     sizeof(*py->pools)))
		return -ENOMEM;
	py->pools[py->pool_count++] = pool;
	arena->pool_count++;
	return 0;
}

void mw_py_add_totals(struct mw_python *py, const struct mw_py_arena *a)
{
	py->info.used_blocks += a->used_blocks;
	py->info.used_bytes += a->used_bytes;
	py->info.arena_bytes += a->size;
	py->info.pools_used += a->used_pools;
	py->info.pools_full += a->full_pools;
	py->info.pools_free += a->free_pools;
	py->info.pools_unused += a->unused_pools;
}

/* POOL by its HEADER. */
static void set_pool(struct mw_python *py, struct mw_py_pool *pool, const uint8_t *header,
		     struct mw_doubts *doubts)
{
	uint32_t count, i, next, size, capacity;

	count = mw_u32_at(header + MW_PY_HEAD_COUNT);
	i = mw_u32_at(header + MW_PY_HEAD_CLASS);
	next = mw_u32_at(header + MW_PY_HEAD_OFFSET);
	pool->state = MW_PY_POOL_FREE;
	if (!count)
		return;
	if (i >= CLASSES_MAX || (i + 1) * py->info.alignment > 512) {
		mw_doubts__add(doubts, pool->addr, "pool of an impossible size class", i);
		return;
	}
	size = (i + 1) * py->info.alignment;
	capacity = (py->info.pool_size - MW_PY_HEAD_SIZE) / size;
	if (count > capacity || next > py->info.pool_size || next < MW_PY_HEAD_SIZE ||
	    (next - MW_PY_HEAD_SIZE) % size) {
		mw_doubts__add(doubts, pool->addr, "pool with impossible counts",
			       mw_seen(count, next));
		next = MW_PY_HEAD_SIZE + capacity * size;
		count = count < capacity ? count : capacity;
	}
	pool->state = count == capacity ? MW_PY_POOL_FULL : MW_PY_POOL_USED;
	pool->block_size = size;
	pool->used = count;
	pool->capacity = capacity;
	pool->handed_out = (next - MW_PY_HEAD_SIZE) / size;
}

static void read_header(struct mw_python *py, struct mw_py_pool *pool, struct mw_doubts *doubts)
{
	uint8_t header[MW_PY_HEAD_SIZE];

	if (mw_pages_read(&py->pages, pool->addr, header, sizeof(header)))
		set_pool(py, pool, header, doubts);
	else
		mw_doubts__add_unreadable(doubts, pool->addr, "pool can't be read");
}

void mw_py_read_pool(struct mw_python *py, struct mw_py_pool *pool, struct mw_doubts *doubts)
{
	*pool = (struct mw_py_pool){.addr = pool->addr,
				    .size = pool->size,
				    .first = MW_PY_HEAD_SIZE,
				    .state = MW_PY_POOL_UNUSED,
				    .page = pool->page,
				    .label = pool->label};
	if (pool->page)
		mw_py_read_page(py, pool, doubts);
	else
		read_header(py, pool, doubts);
}

int mw_py_add_pool_at(struct mw_python *py, struct mw_py_arena *arena, uint64_t addr,
		      uint64_t never_used, const uint8_t *header)
{
	struct mw_py_pool pool = {.addr = addr,
				  .size = py->info.pool_size,
				  .first = MW_PY_HEAD_SIZE,
				  .state = MW_PY_POOL_UNUSED};
	struct mw_doubts doubts;

	if (addr >= never_used)
		return mw_py_add_pool(py, arena, pool);
	mw_py_begin(py, &doubts);
	do {
		if (header && !doubts.attempt)
			set_pool(py, &pool, header, &doubts);
		else
			mw_py_read_pool(py, &pool, &doubts);
	} while (mw_py_again(py, &doubts));
	if (pool.state <= MW_PY_POOL_FULL) {
		struct mw_py_class *class =
			&py->info.classes[pool.block_size / py->info.alignment - 1];

		class->size = (uint32_t)pool.block_size;
		class->pools++;
		class->used += pool.used;
		class->free += pool.capacity - pool.used;
	}
	return mw_py_add_pool(py, arena, pool);
}

static int add_arena(struct mw_python *py, uint64_t object, uint32_t interpreter)
{
	uint64_t base = mw_pages_word(&py->pages, object + ARENA_ADDRESS);
	uint32_t total = mw_pages_word32(&py->pages, object + ARENA_TOTAL);
	uint64_t size = 65536;

	if (!base)
		return 0;
	/* An arena that is not aligned to its pools' size loses one of them. */
	while (size < (uint64_t)total * py->info.pool_size)
		size *= 2;
	if (mw_array_reserve(&py->arenas, &py->arena_capacity, py->arena_count + 1,
			     sizeof(*py->arenas)))
		return -ENOMEM;
	py->arenas[py->arena_count++] = (struct mw_py_arena){
		.addr = base,
		.size = size,
		.interpreter = interpreter,
		/* Until the arenas are sorted: */
		.first_pool = total,
		.used_bytes = mw_pages_word(&py->pages, object + MW_PY_ARENA_POOL),
	};
	return 0;
}

static int add_state(struct mw_python *py, uint64_t usedpools, uint32_t interpreter,
		     struct mw_doubts *doubts)
{
	struct sample samples[SAMPLES];
	size_t count = take_samples(py, usedpools, samples), arena_count;
	uint64_t at, arenas;

	if (!count && has_lost_pools(py, usedpools)) {
		py->arenas_lost = true;
		mw_doubts__add_unreadable(doubts, usedpools,
					  "pools are in use, but the core has lost those");
		return 0;
	}
	if (!count || !learn_sizes(py, samples, count))
		return 0;
	at = find_arenas(py, usedpools, samples, count);
	if (!at) {
		py->arenas_lost = true;
		mw_doubts__add(doubts, usedpools, "pools are in use, but the arenas were not found",
			       mw_seen(samples[0].pool, samples[count - 1].pool));
		return 0;
	}
	if (py->arena_list_count < MW_PY_ARENA_LISTS)
		py->arena_lists[py->arena_list_count++] = at;
	arenas = mw_pages_word(&py->pages, at);
	arena_count = count_arenas(py, arenas);
	py->arenas_at = arenas;
	for (size_t i = 0; i < arena_count; i++) {
		if (add_arena(py, arenas + i * MW_PY_ARENA_SIZE, interpreter))
			return -ENOMEM;
	}
	if (py->layout.obmalloc_raw_blocks >= 0 && arena_count)
		py->info.raw_blocks += (int64_t)mw_pages_word(
			&py->pages, usedpools + (uint64_t)py->layout.obmalloc_raw_blocks);
	return 0;
}

static int by_address(const void *a, const void *b)
{
	const struct mw_py_arena *x = a, *y = b;

	return x->addr < y->addr ? -1 : x->addr > y->addr;
}

/* By address; of two that overlap the first one counts. */
static void sort_arenas(struct mw_python *py, struct mw_doubts *doubts)
{
	size_t out = 0;

	if (py->arena_count)
		qsort(py->arenas, py->arena_count, sizeof(*py->arenas), by_address);
	for (size_t i = 0; i < py->arena_count; i++) {
		const struct mw_py_arena a = py->arenas[i];

		if (out && a.addr < py->arenas[out - 1].addr + py->arenas[out - 1].size)
			mw_doubts__add(doubts, a.addr, "arenas overlap", py->arenas[out - 1].addr);
		else
			py->arenas[out++] = a;
	}
	py->arena_count = out;
}

/* Headers of pools of some arenas, read by several threads. */
enum { HEADERS_OF = 256, FEW = 16 };

struct headers {
	struct mw_python *py;
	const struct mw_py_arena *arenas;
	size_t known[HEADERS_OF]; /* pools of each arena, from its first one on */
	uint8_t of[HEADERS_OF][MW_PARTS_MAX][MW_PY_HEAD_SIZE];
};

static uint64_t first_pool_of(const struct mw_python *py, const struct mw_py_arena *a)
{
	return (a->addr + py->info.pool_size - 1) & ~(uint64_t)(py->info.pool_size - 1);
}

/* Of an arena that says so far how many pools it has, and where those begin that were never used.
 */
static int read_headers(void *arg, size_t i)
{
	struct headers *h = arg;
	const struct mw_py_arena *a = &h->arenas[i];
	uint64_t size = h->py->info.pool_size, pool = first_pool_of(h->py, a);
	size_t count = a->first_pool < MW_PARTS_MAX ? a->first_pool : MW_PARTS_MAX;

	while (count && pool + (count - 1) * size >= a->used_bytes)
		count--;
	h->known[i] = count ? mw_image__read_parts(h->py->image, pool, size, h->of[i],
						   MW_PY_HEAD_SIZE, count)
			    : 0;
	return 0;
}

static int add_pools(struct mw_python *py, struct mw_py_arena *a, const struct headers *h, size_t i)
{
	uint64_t pool = first_pool_of(py, a), never_used = a->used_bytes;
	uint32_t total = a->first_pool;

	a->first_pool = (uint32_t)py->pool_count;
	a->used_bytes = 0;
	for (uint32_t k = 0; k < total; k++, pool += py->info.pool_size) {
		if (mw_py_add_pool_at(py, a, pool, never_used,
				      k < h->known[i] ? h->of[i][k] : NULL))
			return -ENOMEM;
	}
	mw_py_add_totals(py, a);
	return 0;
}

static int read_pools(struct mw_python *py)
{
	struct headers *h = malloc(sizeof(*h));
	int ret = h ? 0 : -ENOMEM;

	for (size_t i = 0; i < py->arena_count && !ret; i += HEADERS_OF) {
		size_t n = py->arena_count - i < HEADERS_OF ? py->arena_count - i : HEADERS_OF;

		h->py = py;
		h->arenas = &py->arenas[i];
		ret = mw_in_parallel(n < FEW ? 1 : mw_image__readers(py->image), n, read_headers,
				     h);
		for (size_t k = 0; k < n && !ret; k++)
			ret = add_pools(py, &py->arenas[i + k], h, k);
	}
	free(h);
	return ret;
}

/*
 * Debug hooks put 16 bytes before each block: its size, the letter of the interface and seven
 * forbidden bytes, 0xFD since 3.8 and 0xFB before (obmalloc.c, _PyMem_DebugRawAlloc). What pymalloc
 * passes on to malloc has them twice.
 */
uint32_t mw_py_debug_bytes(const uint8_t *p, uint64_t size)
{
	uint32_t n;

	for (n = 0; n < 32 && n + 16 <= size; n += 16) {
		uint8_t letter = p[n + 8], mark = p[n + 9];
		int i = 10;

		while (i < 16 && p[n + i] == mark)
			i++;
		if ((letter != 'o' && letter != 'r' && letter != 'm') || i < 16 ||
		    (mark != 0xfd && mark != 0xfb))
			break;
	}
	return n;
}

uint32_t mw_py_debug_at(struct mw_python *py, uint64_t start)
{
	uint8_t head[32];

	if (py->debug && mw_py_pool_find(py, start))
		return py->debug;
	if (!py->any_debug || !mw_pages_read(&py->pages, start, head, sizeof(head)))
		return 0;
	return mw_py_debug_bytes(head, sizeof(head));
}

void mw_py_learn_allocator(struct mw_python *py)
{
	unsigned int debug = 0, seen = 0;

	/* Arenas that a core has lost are none that there never were. */
	py->info.allocator = py->arena_count				      ? "pymalloc"
			     : py->arenas_lost || mw_image__is_cut(py->image) ? "unknown"
									      : "malloc";
	for (size_t i = 0; i < py->pool_count && seen < 64; i++) {
		uint8_t head[16];

		if (py->pools[i].state != MW_PY_POOL_FULL ||
		    !mw_pages_read(&py->pages, py->pools[i].addr + MW_PY_HEAD_SIZE, head,
				   sizeof(head)))
			continue;
		seen++;
		debug += mw_py_debug_bytes(head, sizeof(head)) != 0;
	}
	if (seen && debug > seen / 2) {
		py->debug = 16;
		py->info.allocator = "pymalloc_debug";
	}
	py->any_debug = py->debug || !py->arena_count;
}

/*
 * How many blocks were passed on to malloc: from 3.9 on counted as raw_allocated_blocks, before
 * that together with those in pools as _Py_AllocatedBlocks. Both are statics, whose place a
 * stripped build shows only in the code of _Py_GetAllocatedBlocks().
 */
static int64_t count_raw_blocks(struct mw_python *py)
{
	bool together = py->info.hex < MW_PY_VERSION(3, 9, 0);
	uint64_t at = mw_py_symbol(py, together ? "_Py_AllocatedBlocks" : "raw_allocated_blocks");
	uint64_t refs[8];
	size_t count = at ? 0 : mw_py_code_refs(py, "_Py_GetAllocatedBlocks", refs, 8), left = 0;

	for (size_t i = 0; i < count; i++) {
		if (mw_pages_word(&py->pages, refs[i]) == py->arenas_at)
			continue;
		at = refs[i];
		left++;
	}
	/* Without arenas nothing tells their variable from the count. */
	if (!at || left > 1 || (left && !py->arenas_at))
		return -1;
	if (left)
		mw_py_evidence(py, "count of blocks outside of pools by the code that reads it");
	return (int64_t)(mw_pages_word(&py->pages, at) - (together ? py->info.used_blocks : 0));
}

/* Read the arenas of all allocator states. */
static int add_states(struct mw_python *py, struct mw_doubts *doubts)
{
	const struct mw_py_layout *l = &py->layout;
	size_t shared = 0;
	int ret = 0;

	py->pymalloc = find_usedpools(py);
	/*
	 * From 3.12 on a sub-interpreter has its own state or shares the main one's.
	 */
	for (size_t i = 0; !ret && l->interp_obmalloc >= 0 && i < py->interpreter_count; i++) {
		uint64_t own = py->interpreters[i].addr + (uint64_t)l->interp_obmalloc;

		if (l->interp_obmalloc_pointer)
			own = mw_pages_word(&py->pages, own);
		if (own == py->pymalloc)
			shared = i;
		else if (own)
			ret = add_state(py, own, (uint32_t)i, doubts);
	}
	if (!ret && py->pymalloc)
		ret = add_state(py, py->pymalloc, (uint32_t)shared, doubts);
	return ret;
}

static int find_states(struct mw_python *py)
{
	int64_t raw_blocks = py->info.raw_blocks;
	struct mw_doubts doubts;
	int ret;

	mw_py_begin(py, &doubts);
	do {
		if (doubts.attempt)
			mw_py_refresh(py);
		py->arena_count = py->arena_list_count = 0;
		py->arenas_lost = false;
		py->info.raw_blocks = raw_blocks;
		ret = add_states(py, &doubts);
		if (!ret)
			sort_arenas(py, &doubts);
	} while (!ret && mw_py_again(py, &doubts));
	return ret;
}

/* The list of arenas is damaged or lost: their pools say themselves what they are. */
static int find_lost(struct mw_python *py)
{
	int ret = mw_image__is_still(py->image) ? mw_py_lost_pools(py) : -ENOENT;

	if (!ret)
		mw_py_evidence(py, "the list of arenas is damaged or lost: pools by their headers");
	return ret == -ENOENT ? 0 : ret;
}

int mw_py_pymalloc(struct mw_python *py, struct mw_err *err)
{
	int ret;

	if (py->layout.free_threaded) {	 /* such a build has no pymalloc */
		py->info.raw_blocks = 0; /* mimalloc has the large ones, too */
		py->info.allocator = "malloc";
		return mw_py_mimalloc(py, err);
	}
	ret = find_states(py);
	/* In a running process the pools' links may have changed between two reads. */
	for (int i = 0; !ret && !py->arena_count && i < TRIES; i++) {
		if (mw_image__is_still(py->image))
			break;
		mw_py_refresh(py);
		ret = find_states(py);
	}
	if (py->pymalloc)
		mw_py_evidence(py, "usedpools by its content");
	if (!ret)
		ret = py->arena_count || !py->arenas_lost ? read_pools(py) : find_lost(py);
	if (!ret && py->layout.obmalloc_raw_blocks < 0)
		py->info.raw_blocks = count_raw_blocks(py);
	if (ret)
		return mw_err_no_memory(err, mw_image__name(py->image));
	mw_py_learn_allocator(py);
	return 0;
}

static bool arena_begins_by(const void *at, const void *key)
{
	return ((const struct mw_py_arena *)at)->addr <= *(const uint64_t *)key;
}

const struct mw_py_arena *mw_python__arena(const struct mw_python *py, uint64_t addr)
{
	size_t i =
		mw_search(py->arenas, py->arena_count, sizeof(*py->arenas), arena_begins_by, &addr);

	if (!i || addr - py->arenas[i - 1].addr >= py->arenas[i - 1].size)
		return NULL;
	return &py->arenas[i - 1];
}

static bool pool_begins_by(const void *at, const void *key)
{
	return ((const struct mw_py_pool *)at)->addr <= *(const uint64_t *)key;
}

/* Arenas have 256 KiB or more; references lead to the same few of them again and again. */
static const struct mw_py_arena *arena_near(struct mw_python *py, uint64_t addr)
{
	uint32_t *near = &py->near[(addr >> 18) % MW_ARRAY_SIZE(py->near)];
	const struct mw_py_arena *a = *near < py->arena_count ? &py->arenas[*near] : NULL;

	if (a && addr - a->addr < a->size)
		return a;
	a = mw_python__arena(py, addr);
	if (a)
		*near = (uint32_t)(a - py->arenas);
	return a;
}

const struct mw_py_pool *mw_py_pool_find(struct mw_python *py, uint64_t addr)
{
	const struct mw_py_arena *a = arena_near(py, addr);
	const struct mw_py_pool *pools;
	uint64_t i;

	if (!a || !a->pool_count || addr < py->pools[a->first_pool].addr)
		return NULL;
	pools = &py->pools[a->first_pool];
	if (py->info.pool_size) { /* pools of one size lie side by side */
		i = (addr - pools->addr) >> __builtin_ctz(py->info.pool_size);
		return i < a->pool_count ? pools + i : NULL;
	}
	i = mw_search(pools, a->pool_count, sizeof(*pools), pool_begins_by, &addr) - 1;
	return addr - pools[i].addr < pools[i].size ? pools + i : NULL;
}

/* Put the block at AT on the list of free ones; false: it is none, or is there already. */
static bool set_free(const struct mw_py_pool *pool, uint64_t at, uint64_t *free)
{
	uint64_t offset = at - pool->addr - pool->first, i = offset / pool->block_size;

	if (at < pool->addr + pool->first || i >= pool->handed_out ||
	    i * pool->block_size != offset || free[i / 64] >> (i % 64) & 1)
		return false;
	free[i / 64] |= 1ULL << (i % 64);
	return true;
}

bool mw_py_pool_list(struct mw_python *py, const struct mw_py_pool *pool, uint64_t head,
		     uint64_t *free, uint32_t *count)
{
	for (uint64_t at = head; at; at = mw_pages_word(&py->pages, at)) {
		if (!set_free(pool, at, free))
			return false;
		(*count)++;
	}
	return true;
}

void mw_py_pool_free(struct mw_python *py, const struct mw_py_pool *pool, uint64_t *free,
		     const char **problem)
{
	uint32_t count = 0;
	bool whole;

	*problem = NULL;
	memset(free, 0, ((size_t)pool->handed_out + 63) / 64 * sizeof(*free));
	whole = pool->page
			? mw_py_page_free(py, pool, free, &count)
			: mw_py_pool_list(py, pool,
					  mw_pages_word(&py->pages, pool->addr + MW_PY_HEAD_FREE),
					  free, &count);
	if (!whole)
		*problem = "a pool's list of free blocks is damaged";
	else if (pool->handed_out - count != pool->used)
		*problem = "a pool counts other blocks than it has";
}
