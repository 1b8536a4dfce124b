// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Objects between program and spans: in the caches of processors or, where the kernel's restartable
 * sequences are taken (by glibc from 2.35 on), of threads, and in transfer caches, one for each
 * size class. What leads to them is in the file's data; each proves itself by what it has in it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "heap/gtcmalloc/impl.h"
#include "util/bytes.h"
#include "util/cleanup.h"

enum {
	MIN_CLASSES = 20,
	/* TcmallocSlab: where slabs begin and the shift; CpuStates, their number; begins_ */
	SLAB_SHIFT_MIN = 12,
	SLAB_SHIFT_MAX = 19,
	SLAB_CPUS_MAX = 1 << 13,
	/* ThreadCache: a FreeList for each class, then sizes, the thread and two neighbours */
	LIST = 24,
	LISTS = LIST * MW_GTC_CLASSES,
	BEHIND = 64, /* bytes behind the lists that are searched for neighbours */
	OVERAGES_MAX = 3,
	FIRST_LISTS = 4, /* by which most of what is none is told */
	CACHES_MAX = 1 << 16,
	CACHE_ALIGN = 64,
	/* TransferCache: how many slots are used, how many there are, and where */
	TRANSFER_ALIGN = 64,
	TRANSFER_SLOTS = 32,
	TRANSFER_MAX = 1 << 13, /* kMaxCapacityInBatches * kMaxObjectsToMove */
};

struct search {
	struct mw_gtc *gtc;
	const uint8_t *data; /* of the file */
	uint64_t len;
	uint8_t *buf; /* one processor's slab, 1 << SLAB_SHIFT_MAX bytes */
};

/* The object at ADDR, which is live. NULL: none begins there. */
static const struct mw_slab *live_at(const struct mw_gtc *gtc, uint64_t addr, uint32_t *i)
{
	const struct mw_slab *slab = mw_slabs__object(&gtc->heap.slabs, addr, i);

	return slab && slab->first + slab->size * *i == addr &&
			       mw_slabs__state(&gtc->heap.slabs, slab, *i) == MW_OBJECT_LIVE
		       ? slab
		       : NULL;
}

/* Mark the object of SIZE bytes at ADDR as cached. False: it is not a live one. */
static bool take(struct mw_gtc *gtc, uint64_t addr, uint64_t size)
{
	uint32_t i;
	const struct mw_slab *slab = live_at(gtc, addr, &i);

	if (!slab || slab->size != size)
		return false;
	mw_slabs__set(&gtc->heap.slabs, slab, i, MW_OBJECT_CACHED);
	return true;
}

/* What was allocated was read before: of a process that runs that is another moment. */
static void complain(struct mw_gtc *gtc, uint64_t addr)
{
	if (mw_image__is_still(gtc->heap.base.image))
		mw_problems__add(&gtc->heap.base.problems, addr,
				 "cached object that is not allocated");
	else
		gtc->heap.base.problems.changed++;
}

/* The COUNT words at P are addresses of cached objects of SIZE bytes. */
static void take_array(struct mw_gtc *gtc, const uint8_t *p, uint64_t count, uint64_t size)
{
	for (uint64_t i = 0; i < count; i++) {
		uint64_t addr = mw_u64_at(p + 8 * i);

		if (!take(gtc, addr, size))
			complain(gtc, addr);
	}
}

/* ---- of processors -------------------------------------------------------------------------- */

struct slabs {
	uint64_t addr, cpus;
	unsigned int shift;
	uint32_t classes;
	uint16_t begins[MW_GTC_CLASSES]; /* where the objects of a class begin, in words */
};

/* begins_: behind the headers of all classes, 4 bytes each, and ascending. */
static bool read_begins(const struct mw_gtc *gtc, uint64_t addr, struct slabs *s)
{
	uint16_t first, last = 0;

	if (addr % 2 || !mw_image__read_all(gtc->heap.base.image, addr + 2, &first, sizeof(first)))
		return false;
	s->classes = first ? (first - 1U) * 2 : 0;
	if (s->classes < MIN_CLASSES || s->classes > MW_GTC_CLASSES ||
	    !mw_image__read_all(gtc->heap.base.image, addr, s->begins, s->classes * sizeof(first)))
		return false;
	for (uint32_t c = 1; c < s->classes; c++) {
		uint16_t begin = s->begins[c];

		/* An odd number of headers was rounded up. */
		if ((begin < last || begin >= 1U << s->shift >> 3) && c == s->classes - 1)
			s->classes--;
		else if (begin < last || begin >= 1U << s->shift >> 3)
			return false;
		last = begin;
	}
	return true;
}

/* Is a TcmallocSlab at P, of which all 32 bytes are there? */
static bool is_slabs(const struct mw_gtc *gtc, const uint8_t *p, struct slabs *s)
{
	uint64_t word = mw_u64_at(p);

	s->shift = word & 0xff;
	s->addr = word & ~0xffULL;
	s->cpus = mw_u64_at(p + 16);
	return s->shift >= SLAB_SHIFT_MIN && s->shift <= SLAB_SHIFT_MAX && s->cpus &&
	       s->cpus <= SLAB_CPUS_MAX &&
	       mw_nodes_may_be(gtc->heap.base.image, s->addr, s->cpus << s->shift, 4096) &&
	       mw_nodes_may_be(gtc->heap.base.image, mw_u64_at(p + 8), s->cpus, 1) &&
	       read_begins(gtc, mw_u64_at(p + 24), s);
}

static bool read_cpu(struct search *s, const struct slabs *slabs, uint64_t cpu)
{
	uint64_t addr = slabs->addr + (cpu << slabs->shift);
	bool used = false;

	if (!mw_image__read_all(s->gtc->heap.base.image, addr, s->buf, 1ULL << slabs->shift))
		return false;
	for (uint32_t c = 1; c < slabs->classes; c++) {
		uint16_t begin = slabs->begins[c], current = mw_u16_at(s->buf + 4 * (size_t)c);

		/* A processor that was never used has headers of zeros. */
		used = used || current;
		if (current && current >= begin && current <= 1U << slabs->shift >> 3)
			take_array(s->gtc, s->buf + 8 * (size_t)begin, current - begin,
				   s->gtc->sizes[c]);
		else if (current)
			complain(s->gtc, addr + 4ULL * c);
	}
	return used;
}

static int read_cpus(struct search *s)
{
	struct slabs slabs;

	for (uint64_t i = 0; i + 32 <= s->len; i += 8) {
		int ret;

		if (!is_slabs(s->gtc, s->data + i, &slabs))
			continue;
		ret = mw_gtc__note_own(s->gtc, slabs.addr);
		for (uint64_t cpu = 0; !ret && cpu < slabs.cpus; cpu++)
			s->gtc->heap.caches += read_cpu(s, &slabs, cpu);
		return ret;
	}
	return 0;
}

/* ---- of threads ----------------------------------------------------------------------------- */

/* Is a FreeList at P: head and length, lowest length, longest length, how often it was longer? */
static bool is_list(const uint8_t *p)
{
	uint32_t length = mw_u32_at(p + 8);

	return !mw_u64_at(p) == !length && mw_u32_at(p + 12) <= length && mw_u32_at(p + 16) &&
	       mw_u32_at(p + 20) <= OVERAGES_MAX;
}

/* Could a structure of the allocator's with SIZE bytes be at ADDR, a multiple of ALIGN? */
static bool may_be_own(const struct mw_gtc *gtc, uint64_t addr, uint64_t size, uint64_t align)
{
	return mw_u64map__find(&gtc->windows, addr / MW_GTC_WINDOW) &&
	       mw_nodes_may_be(gtc->heap.base.image, addr, size, align) &&
	       !mw_slabs__at(&gtc->heap.slabs, addr);
}

static uint32_t count_lists(const uint8_t *raw, uint32_t max)
{
	uint32_t n = 0;

	while (n < max && is_list(raw + LIST * (size_t)n))
		n++;
	return n;
}

/* Read a thread's cache at ADDR into RAW. How many lists it has; 0: it is none. */
static uint32_t read_cache(const struct mw_gtc *gtc, uint64_t addr, uint8_t raw[LISTS + BEHIND])
{
	struct mw_image *image = gtc->heap.base.image;
	uint32_t n;

	if (!may_be_own(gtc, addr, LIST * MIN_CLASSES, CACHE_ALIGN) ||
	    !mw_image__read_all(image, addr, raw, LIST * FIRST_LISTS) ||
	    count_lists(raw, FIRST_LISTS) < FIRST_LISTS)
		return 0;
	memset(raw, 0, LISTS + BEHIND);
	if (mw_image__read(image, addr, raw, LISTS + BEHIND) < LIST * MIN_CLASSES)
		return 0;
	n = count_lists(raw, MW_GTC_CLASSES);
	return n >= MIN_CLASSES ? n : 0;
}

static void take_list(struct mw_gtc *gtc, uint64_t object, uint32_t length, uint64_t size)
{
	for (uint32_t n = 0; n < length; n++) {
		if (!take(gtc, object, size) ||
		    !mw_image__read_u64(gtc->heap.base.image, object, &object)) {
			complain(gtc, object);
			return;
		}
	}
}

struct threads {
	struct mw_u64map seen;
	uint64_t *todo; /* addresses of caches; CACHES_MAX of them */
	size_t count;
};

static int take_cache(struct search *s, struct threads *t, uint64_t addr)
{
	uint8_t raw[LISTS + BEHIND];
	uint32_t lists;
	int ret;

	if (mw_u64map__find(&t->seen, addr) || t->count >= CACHES_MAX)
		return 0;
	lists = read_cache(s->gtc, addr, raw);
	if (!lists)
		return 0;
	ret = mw_u64map__set(&t->seen, addr, s);
	if (!ret)
		ret = mw_gtc__note_own(s->gtc, addr);
	if (ret)
		return ret;
	t->todo[t->count++] = addr;
	s->gtc->heap.caches++;
	for (uint32_t c = 1; c < lists; c++) {
		const uint8_t *p = raw + LIST * (size_t)c;

		take_list(s->gtc, mw_u64_at(p), mw_u32_at(p + 8), s->gtc->sizes[c]);
	}
	return 0;
}

/* The neighbours of the cache at ADDR. */
static int take_neighbours(struct search *s, struct threads *t, uint64_t addr)
{
	uint8_t raw[LISTS + BEHIND];
	uint64_t behind = LIST * (uint64_t)read_cache(s->gtc, addr, raw);
	int ret = 0;

	for (uint64_t i = behind; behind && !ret && i < behind + BEHIND; i += 8)
		ret = take_cache(s, t, mw_u64_at(raw + i));
	return ret;
}

/* Caches that the file's data point to, and those that they lead to. */
static int read_threads(struct search *s)
{
	_cleanup_free_ uint64_t *todo = malloc(CACHES_MAX * sizeof(*todo));
	struct threads t = {.todo = todo};
	int ret = todo ? 0 : -ENOMEM;

	for (uint64_t i = 0; !ret && i + 8 <= s->len; i += 8)
		ret = take_cache(s, &t, mw_u64_at(s->data + i));
	for (size_t k = 0; !ret && k < t.count; k++)
		ret = take_neighbours(s, &t, t.todo[k]);
	mw_u64map__free(&t.seen);
	return ret;
}

/* ---- between them --------------------------------------------------------------------------- */

/* Are the COUNT words at P live objects of one size, which SIZE gets? */
static bool are_objects(const struct mw_gtc *gtc, const uint8_t *p, uint64_t count, uint64_t *size)
{
	for (uint64_t k = 0; k < count; k++) {
		uint32_t i;
		const struct mw_slab *slab = live_at(gtc, mw_u64_at(p + 8 * k), &i);

		if (!slab || (k && slab->size != *size))
			return false;
		*size = slab->size;
	}
	return count;
}

/*
 * Programs have tables with pointers to blocks, too, but not where the allocator has its own
 * structures, and no span is.
 */
static void try_transfer(struct search *s, const uint8_t *p)
{
	struct mw_gtc *gtc = s->gtc;
	uint32_t used = mw_u32_at(p), slots = mw_u32_at(p + 4);
	uint64_t addr = mw_u64_at(p + 8), size;

	if (!used || used > slots || slots > TRANSFER_MAX ||
	    !may_be_own(gtc, addr, 8ULL * slots, 8) ||
	    !mw_image__read_all(gtc->heap.base.image, addr, s->buf, 8ULL * used) ||
	    !are_objects(gtc, s->buf, used, &size))
		return;
	take_array(gtc, s->buf, used, size);
}

int mw_gtc__read_caches(struct mw_gtc *gtc)
{
	_cleanup_free_ uint8_t *data = malloc(gtc->data_end - gtc->data);
	_cleanup_free_ uint8_t *buf = malloc(1 << SLAB_SHIFT_MAX);
	struct search s = {.gtc = gtc, .data = data, .buf = buf};
	ssize_t n = data && buf ? mw_image__read(gtc->heap.base.image, gtc->data, data,
						 gtc->data_end - gtc->data)
				: 0;
	int ret = data && buf ? 0 : -ENOMEM;

	s.len = n > 0 ? (uint64_t)n : 0;
	if (!ret)
		ret = read_cpus(&s);
	if (!ret)
		ret = read_threads(&s);
	/* A class cached by a processor or a thread is not in a transfer cache as well. */
	for (uint64_t i = -gtc->data % TRANSFER_ALIGN + TRANSFER_SLOTS; !ret && i + 16 <= s.len;
	     i += TRANSFER_ALIGN)
		try_transfer(&s, data + i);
	return ret;
}
