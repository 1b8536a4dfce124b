// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Objects between program and spans: in threads' caches, which form a list and have the size of
 * each class in them, and in the transfer caches, an array in the file's data with each one's
 * number.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "heap/tcmalloc/impl.h"
#include "util/bytes.h"
#include "util/cleanup.h"
#include "util/u64map.h"

enum {
	LISTS = MW_TCMALLOC_LIST * MW_TCMALLOC_CLASSES,
	CACHE = LISTS + 256, /* bytes of a ThreadCache that are searched for its neighbours */
	CACHES_MAX = 1 << 16,
	CENTRAL = 1216,	     /* bytes of a CentralFreeListPadded */
	CENTRAL_SLOTS = 128, /* where in it pairs of head and tail begin */
	CENTRAL_USED = 1152, /* where their number is */
	SLOTS = 64,
};

struct search {
	struct mw_tcmalloc *tc;
	struct mw_u64map seen;
	uint64_t *todo; /* addresses of caches */
	size_t count;
};

/* A list of objects: COUNT of them, or up to TAIL. */
struct list {
	uint64_t head, tail, count;
	uint32_t size_class;
};

/* Mark the objects of LIST as cached. */
static void take_list(struct mw_tcmalloc *tc, const struct list *list)
{
	struct mw_slabs *slabs = &tc->heap.slabs;
	uint64_t object = list->head, n = 0, last = 0;

	for (; object && n < list->count && (!n || last != list->tail); n++) {
		uint32_t i;
		const struct mw_slab *slab = mw_slabs__object(slabs, object, &i);

		if (!slab || slab->first + slab->size * i != object ||
		    slab->size != (uint64_t)tc->sizes[list->size_class] ||
		    mw_slabs__state(slabs, slab, i) != MW_OBJECT_LIVE)
			break;
		mw_slabs__set(slabs, slab, i, MW_OBJECT_CACHED);
		last = object;
		if (!mw_image__read_u64(tc->heap.base.image, object, &object))
			break;
	}
	if (list->tail ? last == list->tail : n == list->count)
		return;
	/* What was allocated was read before: of a process that runs that is another moment. */
	if (mw_image__is_still(tc->heap.base.image))
		mw_problems__add(&tc->heap.base.problems, object,
				 "cached object that is not allocated");
	else
		tc->heap.base.problems.changed++;
}

/* Is a thread's cache at ADDR? RAW gets CACHE bytes of it. */
static bool read_cache(const struct mw_tcmalloc *tc, uint64_t addr, uint8_t raw[CACHE])
{
	if (addr % 8 || !addr || addr >> 47 ||
	    !mw_image__read_all(tc->heap.base.image, addr, raw, CACHE))
		return false;
	for (uint32_t i = 1; i < tc->classes; i++) {
		if (mw_u32_at(raw + MW_TCMALLOC_LIST * (size_t)i + MW_TCMALLOC_LIST_SIZE) !=
		    (uint32_t)tc->sizes[i])
			return false;
	}
	return true;
}

static int take_cache(struct search *s, uint64_t addr)
{
	uint8_t raw[CACHE];
	int ret;

	if (mw_u64map__find(&s->seen, addr) || s->count >= CACHES_MAX ||
	    !read_cache(s->tc, addr, raw))
		return 0;
	ret = mw_u64map__set(&s->seen, addr, s);
	if (!ret)
		ret = mw_tcmalloc__add_own(s->tc, addr, CACHE);
	if (ret)
		return ret;
	s->todo[s->count++] = addr;
	s->tc->heap.caches++;
	for (uint32_t i = 1; i < s->tc->classes; i++) {
		const uint8_t *p = raw + MW_TCMALLOC_LIST * (size_t)i;

		take_list(s->tc, &(struct list){.head = mw_u64_at(p),
						.count = mw_u32_at(p + 8),
						.size_class = i});
	}
	return 0;
}

/* Caches that the file's data point to, and those that they point to. */
static int read_threads(struct search *s, const uint8_t *data, uint64_t len)
{
	uint8_t raw[CACHE];
	int ret = 0;

	for (uint64_t i = 0; !ret && i + 8 <= len; i += 8) {
		uint64_t word = mw_u64_at(data + i);

		if (word && word % 64 == 0 && mw_image__find(s->tc->heap.base.image, word))
			ret = take_cache(s, word);
	}
	for (size_t i = 0; !ret && i < s->tc->threads.count; i++)
		ret = take_cache(s, s->tc->threads.list[i].addr);
	for (size_t k = 0; !ret && k < s->count; k++) {
		if (!read_cache(s->tc, s->todo[k], raw))
			continue;
		for (uint64_t i = LISTS; !ret && i + 8 <= CACHE; i += 8)
			ret = take_cache(s, mw_u64_at(raw + i));
	}
	return ret;
}

static bool is_central(const struct mw_tcmalloc *tc, const uint8_t *p, uint64_t left)
{
	if (left < (uint64_t)CENTRAL * tc->classes)
		return false;
	for (uint32_t i = 0; i < tc->classes; i++) {
		if (mw_u64_at(p + (size_t)CENTRAL * i + 8) != i ||
		    mw_u32_at(p + (size_t)CENTRAL * i + CENTRAL_USED) > SLOTS)
			return false;
	}
	return true;
}

static bool read_central(struct mw_tcmalloc *tc, const uint8_t *data, uint64_t len)
{
	const uint8_t *p = NULL;

	for (uint64_t i = 0; !p && i + 16 <= len; i += 8) {
		if (!mw_u64_at(data + i + 8) && is_central(tc, data + i, len - i))
			p = data + i;
	}
	for (uint32_t c = 1; p && c < tc->classes; c++) {
		const uint8_t *central = p + (size_t)CENTRAL * c;

		for (uint32_t k = 0; k < mw_u32_at(central + CENTRAL_USED); k++) {
			const uint8_t *slot = central + CENTRAL_SLOTS + 16ULL * k;

			take_list(tc, &(struct list){.head = mw_u64_at(slot),
						     .tail = mw_u64_at(slot + 8),
						     .count = MW_TCMALLOC_PAGE,
						     .size_class = c});
		}
	}
	return p;
}

int mw_tcmalloc__read_caches(struct mw_tcmalloc *tc)
{
	uint64_t size = tc->data_end - tc->data;
	_cleanup_free_ uint8_t *data = malloc(size + 1);
	_cleanup_free_ uint64_t *todo = malloc(CACHES_MAX * sizeof(*todo));
	struct search s = {.tc = tc, .todo = todo};
	ssize_t n = data ? mw_image__read(tc->heap.base.image, tc->data, data, size) : 0;
	int ret = data && todo ? 0 : -ENOMEM;

	if (!ret)
		ret = read_threads(&s, data, n > 0 ? (uint64_t)n : 0);
	if (!ret && n > 0 && !read_central(tc, data, (uint64_t)n))
		mw_problems__add(&tc->heap.base.problems, tc->data,
				 "transfer caches were not found: their objects look allocated");
	mw_u64map__free(&s.seen);
	return ret;
}
