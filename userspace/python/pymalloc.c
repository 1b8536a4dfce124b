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
#include "util/search.h"

/* struct pool_header and struct arena_object, alike in 2.7 to 3.15. */
enum {
	POOL_COUNT = 0, /* unsigned int */
	POOL_FREE = 8,
	POOL_NEXT = 16,
	POOL_PREV = 24,
	POOL_ARENA = 32,      /* unsigned int */
	POOL_CLASS = 36,      /* unsigned int */
	POOL_OFFSET = 40,     /* unsigned int, of the next block never handed out */
	POOL_MAX_OFFSET = 44, /* unsigned int */
	POOL_HEADER = 48,
	CLASSES_MAX = 64, /* with an alignment of 8 bytes */
	ARENA_SIZE = 48,
	ARENA_ADDRESS = 0,
	ARENA_POOL = 8,
	ARENA_FREE = 16,  /* unsigned int */
	ARENA_TOTAL = 20, /* unsigned int */
};

enum { ARENAS_MAX = 1 << 22, POOLS_PER_ARENA_MAX = 1 << 14, POOL_SIZE_MAX = 64 << 10 };

enum { HEADS_MIN = 32, WRONG_MAX = 8, TRIES = 8 };

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
		    mw_pages_word(&py->pages, next + POOL_PREV) == head &&
		    mw_pages_word(&py->pages, prev + POOL_NEXT) == head)
			(*filled)++;
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

		if (!pool || pool % 4096 || mw_pages_word32(&py->pages, pool + POOL_CLASS) != i)
			continue;
		out[n++] = (struct sample){pool, mw_pages_word32(&py->pages, pool + POOL_ARENA), i,
					   mw_pages_word32(&py->pages, pool + POOL_MAX_OFFSET)};
	}
	return n;
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
		uint64_t object = addr + (uint64_t)samples[i].arena * ARENA_SIZE;
		uint64_t base = mw_pages_word(&py->pages, object + ARENA_ADDRESS);
		uint64_t total = mw_pages_word32(&py->pages, object + ARENA_TOTAL);

		if (!base || samples[i].pool < base || !total || total > POOLS_PER_ARENA_MAX ||
		    samples[i].pool >= base + (total + 1) * py->info.pool_size)
			return false;
	}
	return true;
}

static uint64_t find_arenas(struct mw_python *py, uint64_t usedpools, const struct sample *samples,
			    size_t count)
{
	const struct mw_py_data *d = &py->data;
	uint64_t addr = mw_pages_word(&py->pages, usedpools + 512);

	if (py->info.hex >= MW_PY_VERSION(3, 12, 0) && is_arenas(py, addr, samples, count))
		return addr;
	addr = mw_py_symbol(py, "arenas");
	if (addr)
		addr = mw_pages_word(&py->pages, addr);
	if (is_arenas(py, addr, samples, count)) {
		mw_py_evidence(py, "arenas by symbol");
		return addr;
	}
	for (uint64_t off = 0; off + 8 <= d->size; off += 8) {
		addr = mw_u64_at(d->bytes + off);
		if (addr > 65536 && is_arenas(py, addr, samples, count)) {
			mw_py_evidence(py, "arenas by their content");
			return addr;
		}
	}
	return 0;
}

/*
 * Entries of the array from 0 on that look like arena_objects; it doubles as it grows from 16, so
 * the end is where a power of two no longer fits.
 */
static size_t count_arenas(struct mw_python *py, uint64_t arenas)
{
	size_t good = 0;

	for (size_t i = 0; i < ARENAS_MAX; i++) {
		uint8_t object[ARENA_SIZE];
		uint64_t base, pool;
		uint32_t free, total;

		if (!mw_pages_read(&py->pages, arenas + i * ARENA_SIZE, object, sizeof(object)))
			break;
		base = mw_u64_at(object + ARENA_ADDRESS);
		pool = mw_u64_at(object + ARENA_POOL);
		free = mw_u32_at(object + ARENA_FREE);
		total = mw_u32_at(object + ARENA_TOTAL);
		if (base && (base % 16 || free > total || !total || total > POOLS_PER_ARENA_MAX ||
			     pool < base || pool > base + (total + 2ULL) * py->info.pool_size))
			break;
		if (base)
			good = i + 1;
		/* No entry up to twice the last one seen: the array ends. */
		if (i > 2 * good + 64)
			break;
	}
	return good;
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

static void read_header(struct mw_python *py, struct mw_py_pool *pool, struct mw_doubts *doubts)
{
	uint8_t header[POOL_HEADER];
	uint32_t count, i, next, size, capacity;

	if (!mw_pages_read(&py->pages, pool->addr, header, sizeof(header))) {
		mw_doubts__add_unreadable(doubts, pool->addr, "pool can't be read");
		return;
	}
	count = mw_u32_at(header + POOL_COUNT);
	i = mw_u32_at(header + POOL_CLASS);
	next = mw_u32_at(header + POOL_OFFSET);
	pool->state = MW_PY_POOL_FREE;
	if (!count)
		return;
	if (i >= CLASSES_MAX || (i + 1) * py->info.alignment > 512) {
		mw_doubts__add(doubts, pool->addr, "pool of an impossible size class", i);
		return;
	}
	size = (i + 1) * py->info.alignment;
	capacity = (py->info.pool_size - POOL_HEADER) / size;
	if (count > capacity || next > py->info.pool_size || next < POOL_HEADER ||
	    (next - POOL_HEADER) % size) {
		mw_doubts__add(doubts, pool->addr, "pool with impossible counts",
			       mw_seen(count, next));
		next = POOL_HEADER + capacity * size;
		count = count < capacity ? count : capacity;
	}
	pool->state = count == capacity ? MW_PY_POOL_FULL : MW_PY_POOL_USED;
	pool->block_size = size;
	pool->used = count;
	pool->capacity = capacity;
	pool->handed_out = (next - POOL_HEADER) / size;
}

void mw_py_read_pool(struct mw_python *py, struct mw_py_pool *pool, struct mw_doubts *doubts)
{
	*pool = (struct mw_py_pool){.addr = pool->addr,
				    .size = pool->size,
				    .first = POOL_HEADER,
				    .state = MW_PY_POOL_UNUSED,
				    .page = pool->page,
				    .label = pool->label};
	if (pool->page)
		mw_py_read_page(py, pool, doubts);
	else
		read_header(py, pool, doubts);
}

static int add_pool(struct mw_python *py, struct mw_py_arena *arena, uint64_t addr,
		    uint64_t never_used)
{
	struct mw_py_pool pool = {.addr = addr,
				  .size = py->info.pool_size,
				  .first = POOL_HEADER,
				  .state = MW_PY_POOL_UNUSED};
	struct mw_doubts doubts;

	if (addr >= never_used)
		return mw_py_add_pool(py, arena, pool);
	mw_py_begin(py, &doubts);
	do {
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
		.used_bytes = mw_pages_word(&py->pages, object + ARENA_POOL),
	};
	return 0;
}

static int add_state(struct mw_python *py, uint64_t usedpools, uint32_t interpreter,
		     struct mw_doubts *doubts)
{
	struct sample samples[SAMPLES];
	size_t count = take_samples(py, usedpools, samples), arena_count;
	uint64_t arenas;

	if (!count || !learn_sizes(py, samples, count))
		return 0;
	arenas = find_arenas(py, usedpools, samples, count);
	if (!arenas) {
		mw_doubts__add(doubts, usedpools, "pools are in use, but the arenas were not found",
			       mw_seen(samples[0].pool, samples[count - 1].pool));
		return 0;
	}
	arena_count = count_arenas(py, arenas);
	py->arenas_at = arenas;
	for (size_t i = 0; i < arena_count; i++) {
		if (add_arena(py, arenas + i * ARENA_SIZE, interpreter))
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

static int read_pools(struct mw_python *py)
{
	for (size_t i = 0; i < py->arena_count; i++) {
		struct mw_py_arena *a = &py->arenas[i];
		uint64_t pool =
			(a->addr + py->info.pool_size - 1) & ~(uint64_t)(py->info.pool_size - 1);
		uint64_t never_used = a->used_bytes;
		uint32_t total = a->first_pool;

		a->first_pool = (uint32_t)py->pool_count;
		a->used_bytes = 0;
		for (uint32_t k = 0; k < total; k++, pool += py->info.pool_size) {
			if (add_pool(py, a, pool, never_used))
				return -ENOMEM;
		}
		mw_py_add_totals(py, a);
	}
	return 0;
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

static void learn_allocator(struct mw_python *py)
{
	unsigned int debug = 0, seen = 0;

	py->info.allocator = py->arena_count ? "pymalloc" : "malloc";
	for (size_t i = 0; i < py->pool_count && seen < 64; i++) {
		uint8_t head[16];

		if (py->pools[i].state != MW_PY_POOL_FULL ||
		    !mw_pages_read(&py->pages, py->pools[i].addr + POOL_HEADER, head, sizeof(head)))
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
	if (!at || left > 1)
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
		py->arena_count = 0;
		py->info.raw_blocks = raw_blocks;
		ret = add_states(py, &doubts);
		if (!ret)
			sort_arenas(py, &doubts);
	} while (!ret && mw_py_again(py, &doubts));
	return ret;
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
		ret = read_pools(py);
	if (!ret && py->layout.obmalloc_raw_blocks < 0)
		py->info.raw_blocks = count_raw_blocks(py);
	if (ret)
		return mw_err_no_memory(err, mw_image__name(py->image));
	learn_allocator(py);
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

const struct mw_py_pool *mw_py_pool_find(const struct mw_python *py, uint64_t addr)
{
	const struct mw_py_arena *a = mw_python__arena(py, addr);
	const struct mw_py_pool *pools;
	uint64_t i;

	if (!a || !a->pool_count || addr < py->pools[a->first_pool].addr)
		return NULL;
	pools = &py->pools[a->first_pool];
	if (py->info.pool_size) { /* pools of one size lie side by side */
		i = (addr - pools->addr) / py->info.pool_size;
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
	whole = pool->page ? mw_py_page_free(py, pool, free, &count)
			   : mw_py_pool_list(py, pool,
					     mw_pages_word(&py->pages, pool->addr + POOL_FREE),
					     free, &count);
	if (!whole)
		*problem = "a pool's list of free blocks is damaged";
	else if (pool->handed_out - count != pool->used)
		*problem = "a pool counts other blocks than it has";
}
