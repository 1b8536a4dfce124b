// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What is between spans. tcmalloc takes addresses in windows of 1 GiB, each for one use: objects,
 * or its own structures. Free pages are what a window with spans has besides them; whether they
 * were given back to the kernel, the kernel knows best.
 */
#include <errno.h>

#include "heap/gtcmalloc/impl.h"

static char own_mark, spans_mark; /* what a window holds */

int mw_gtc__note_own(struct mw_gtc *gtc, uint64_t addr)
{
	return mw_u64map__set(&gtc->windows, addr / MW_GTC_WINDOW, &own_mark);
}

static int note_spans(struct mw_gtc *gtc)
{
	const struct mw_slabs *slabs = &gtc->heap.slabs;
	int ret = 0;

	for (size_t i = 0; !ret && i < slabs->count; i++) {
		uint64_t last = (slabs->list[i].end - 1) / MW_GTC_WINDOW;

		for (uint64_t w = slabs->list[i].start / MW_GTC_WINDOW; !ret && w <= last; w++) {
			if (mw_u64map__find(&gtc->windows, w) != &spans_mark)
				ret = mw_u64map__set(&gtc->windows, w, &spans_mark);
		}
	}
	return ret;
}

/* The sources of a claim: slabs that were sorted, and the resident pages where they are known. */
struct claimer {
	struct mw_gtc *gtc;
	size_t slab, slabs;
	const struct mw_spans *resident; /* NULL: not known */
	size_t span;
};

static int add(struct claimer *c, uint64_t start, uint64_t end, enum mw_block_kind kind)
{
	const struct mw_slab slab = {.start = start, .end = end, .kind = (uint8_t)kind};

	return mw_slabs__add(&c->gtc->heap.slabs, &slab) ? 0 : -ENOMEM;
}

/* START to END is free: by what is resident of it. */
static int add_free(struct claimer *c, uint64_t start, uint64_t end)
{
	int ret = 0;

	if (!c->resident)
		return add(c, start, end, MW_BLOCK_PAGES);
	while (!ret && start < end) {
		const struct mw_span *span;
		uint64_t next = end;

		while (c->span < c->resident->count && c->resident->spans[c->span].end <= start)
			c->span++;
		span = c->span < c->resident->count ? &c->resident->spans[c->span] : NULL;
		if (span && span->start <= start) {
			next = span->end < end ? span->end : end;
			ret = add(c, start, next, MW_BLOCK_PAGES);
		} else {
			next = span && span->start < end ? span->start : end;
			ret = add(c, start, next, MW_BLOCK_RETAINED);
		}
		start = next;
	}
	return ret;
}

/* What no slab has from START to END, which are in one window. Ranges come in address order. */
static int claim(struct claimer *c, uint64_t start, uint64_t end)
{
	const char *mark = mw_u64map__find(&c->gtc->windows, start / MW_GTC_WINDOW);
	int ret = 0;

	while (mark && !ret && start < end) {
		/* Adding moves the list. */
		const struct mw_slab *list = c->gtc->heap.slabs.list, *next;
		uint64_t to;

		while (c->slab < c->slabs && list[c->slab].end <= start)
			c->slab++;
		next = c->slab < c->slabs ? &list[c->slab] : NULL;
		to = next && next->start < end ? next->start : end;
		if (start < to)
			ret = mark == &own_mark ? add(c, start, to, MW_BLOCK_OVERHEAD)
						: add_free(c, start, to);
		start = to < end ? c->gtc->heap.slabs.list[c->slab].end : end;
	}
	return ret;
}

int mw_gtc__claim_rest(struct mw_gtc *gtc)
{
	struct mw_image *image = gtc->heap.base.image;
	const struct mw_regions *regions = mw_image__regions(image);
	struct claimer c = {.gtc = gtc, .slabs = gtc->heap.slabs.count};
	int ret = note_spans(gtc);

	if (!mw_image__spans_are_exact(image) || mw_image__spans(image, &c.resident))
		c.resident = NULL;
	for (size_t i = 0; !ret && i < regions->count; i++) {
		const struct mw_map *map = &regions->regions[i].map;
		uint64_t next;

		if (!map->writable || map->shared || map->inode || regions->regions[i].io)
			continue;
		for (uint64_t at = map->start; !ret && at < map->end; at = next) {
			next = (at / MW_GTC_WINDOW + 1) * MW_GTC_WINDOW;
			next = next < map->end ? next : map->end;
			ret = claim(&c, at, next);
		}
	}
	return ret;
}
