// SPDX-License-Identifier: GPL-2.0-or-later
/* Spans, and in each which objects are free: by bits, or by a list of their numbers. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "heap/gtcmalloc/impl.h"
#include "util/array.h"
#include "util/bytes.h"
#include "util/cleanup.h"

enum {
	FIRST_PAGE = 24,    /* bytes to the word with the first page's number, then flags */
	PAGES_BITS = 6,	    /* of small_num_pages_ */
	NO_OBJECT = 0xffff, /* kListEnd */
	UNIT = 8,	    /* kAlignment: what numbers of objects count in */
	CHECKS = 4096,	    /* spans by which a row is chosen */
};

/* Each was tried with a program that has it (docs/heap-facts.md). */
static const struct mw_gtc_layout layouts[] = {
	{"2026-08 or later", 0, FIRST_PAGE, 3, 40, 40, 12, 0xff},
	{"2026-08, legacy locking", 25, 32, 0, 48, 48, 8, 0xf},
	{"2025-12 to 2026-06", 24, 32, 0, 32, 40, 8, 0xf},
};

uint64_t mw_gtc_first_page(const uint8_t *p, const struct mw_gtc_pages *pages)
{
	return mw_u64_at(p + FIRST_PAGE) & ((1ULL << mw_gtc_page_bits(pages)) - 1);
}

bool mw_gtc_decode(const uint8_t *p, const struct mw_gtc_pages *pages,
		   const struct mw_gtc_layout *layout, struct mw_gtc_span *span)
{
	unsigned int bits = mw_gtc_page_bits(pages), first = layout->pages_word == FIRST_PAGE;
	uint64_t small =
		mw_u64_at(p + layout->pages_word) >> (layout->pages_bit + (first ? bits : 0));

	*span = (struct mw_gtc_span){
		.start = mw_gtc_first_page(p, pages),
		.embedded = mw_u16_at(p + 16),
		.first = mw_u16_at(p + 18),
		.allocated = mw_u16_at(p + 20),
		.cached = p[22] & layout->cached_mask,
		.single = mw_u64_at(p + FIRST_PAGE) >> (bits + layout->flags) & 3,
	};
	span->pages = span->single ? mw_u64_at(p + layout->large_pages)
				   : small & ((1U << PAGES_BITS) - 1);
	memcpy(span->entries, p + layout->entries, 2 * (size_t)layout->numbers);
	return span->start && span->pages && span->pages < 1ULL << bits &&
	       span->start + span->pages <= 1ULL << (bits - 1);
}

/* ---- free objects --------------------------------------------------------------------------- */

/* The free objects of one span, while they are listed. */
struct lister {
	const struct mw_gtc_layout *layout;
	struct mw_slabs *slabs;
	const struct mw_slab *slab;
	uint32_t found;
};

/* Object I is free. False: there is none, or it was listed. */
static bool take(struct lister *l, uint64_t i)
{
	if (i >= l->slab->count ||
	    mw_slabs__state(l->slabs, l->slab, (uint32_t)i) == MW_OBJECT_FREE)
		return false;
	mw_slabs__set(l->slabs, l->slab, (uint32_t)i, MW_OBJECT_FREE);
	l->found++;
	return true;
}

/* The object whose first byte is NUMBER units behind the span's start is free. */
static bool take_number(struct lister *l, uint32_t number)
{
	uint64_t offset = (uint64_t)number * UNIT;

	return offset % l->slab->size == 0 && take(l, offset / l->slab->size);
}

static bool take_bits(struct lister *l, const struct mw_gtc_span *span)
{
	for (uint32_t i = 0; i < 16U * l->layout->numbers; i++) {
		if (span->entries[i / 8] >> i % 8 & 1 && !take(l, i))
			return false;
	}
	return true;
}

/*
 * The list in free objects: each begins with the number of the next one and has numbers of others
 * behind that, the first one EMBEDDED, the others as many as fit. CONTENT is the span's.
 */
static bool take_list(struct lister *l, const struct mw_gtc_span *span, const uint8_t *content)
{
	uint32_t next = span->first, more = span->embedded;

	while (next != NO_OBJECT) {
		const uint8_t *object = content + (uint64_t)next * UNIT;

		if (!take_number(l, next) || more > l->slab->size / 2 - 1)
			return false;
		for (uint32_t i = 1; i <= more; i++) {
			if (!take_number(l, mw_u16_at(object + 2 * (size_t)i)))
				return false;
		}
		next = mw_u16_at(object);
		more = (uint32_t)(l->slab->size / 2 - 1);
	}
	return true;
}

static bool take_numbers(struct lister *l, const struct mw_gtc_span *span, const uint8_t *content)
{
	for (uint32_t i = 0; i < span->cached; i++) {
		if (i >= l->layout->numbers ||
		    !take_number(l, mw_u16_at(span->entries + 2 * (size_t)i)))
			return false;
	}
	return take_list(l, span, content);
}

/* Mark the free objects of SPAN, which is SLAB; false: they are not as many as it says. */
static bool list_free(struct mw_gtc *gtc, const struct mw_slab *slab,
		      const struct mw_gtc_span *span)
{
	struct lister l = {.layout = gtc->layout, .slabs = &gtc->heap.slabs, .slab = slab};
	uint64_t page = 1ULL << gtc->pages.shift;
	_cleanup_free_ uint8_t *content = NULL;

	/* A span with one object has no list. */
	if (slab->count == 1)
		return span->allocated <= 1;
	for (uint32_t i = 0; i < slab->count; i++)
		mw_slabs__set(l.slabs, slab, i, MW_OBJECT_LIVE);
	if (slab->size >= page / (16U * gtc->layout->numbers))
		return take_bits(&l, span) && span->allocated + l.found == slab->count;
	/* Numbers are of one page. */
	content = slab->end - slab->start == page ? malloc(page) : NULL;
	return content && mw_image__read_all(gtc->heap.base.image, slab->start, content, page) &&
	       take_numbers(&l, span, content) && span->allocated + l.found == slab->count;
}

/* ---- spans ---------------------------------------------------------------------------------- */

/* SPAN, which the page map has as RUN, as a slab. False: it is not possible. */
static bool make_slab(const struct mw_gtc *gtc, const struct mw_gtc_run *run,
		      const struct mw_gtc_span *span, struct mw_slab *slab)
{
	uint64_t bytes = span->pages << gtc->pages.shift;

	*slab = (struct mw_slab){
		.start = span->start << gtc->pages.shift,
		.end = (span->start << gtc->pages.shift) + bytes,
		.first = span->start << gtc->pages.shift,
		.size = bytes,
		.count = 1,
	};
	if (!run->size_class || span->single)
		return true;
	/* All of its pages lead to a span with a size class. */
	slab->size = gtc->sizes[run->size_class];
	if (!slab->size || slab->size > bytes || run->pages != span->pages)
		return false;
	slab->count = (uint32_t)(bytes / slab->size);
	return slab->count <= MW_SLAB_OBJECTS_MAX;
}

/* Read SPAN, to which RUN leads; false: it is another one, or none. */
static bool read_span(const struct mw_gtc *gtc, struct mw_read_buffer *window,
		      const struct mw_gtc_run *run, struct mw_gtc_span *span)
{
	uint8_t raw[MW_GTC_SPAN];
	const uint8_t *p = raw;

	if (window)
		p = mw_read_buffer__at(window, run->span, MW_GTC_SPAN);
	else if (!mw_image__read_all(gtc->heap.base.image, run->span, raw, sizeof(raw)))
		return false;
	return p && mw_gtc_decode(p, &gtc->pages, gtc->layout, span) && span->start == run->page;
}

/* The objects of the span that RUN leads to, which is SPAN and was added as SLAB. */
static void find_free(struct mw_gtc *gtc, const struct mw_slab *slab, const struct mw_gtc_run *run,
		      struct mw_gtc_span *span)
{
	struct mw_doubts doubts;

	mw_doubts__begin(&doubts, gtc->heap.base.image, &gtc->heap.base.problems);
	do {
		if (doubts.attempt && !read_span(gtc, NULL, run, span))
			mw_doubts__add_race(&doubts);
		else if (!list_free(gtc, slab, span))
			mw_doubts__add(&doubts, slab->start,
				       "span whose free objects are not as many as it says",
				       mw_seen(span->first, span->allocated));
	} while (mw_doubts__again(&doubts));
}

static int add_span(struct mw_gtc *gtc, const struct mw_gtc_run *run, struct mw_gtc_span *span)
{
	const struct mw_slab *added;
	struct mw_slab slab;
	int ret;

	if (!make_slab(gtc, run, span, &slab)) {
		mw_problems__add(&gtc->heap.base.problems, run->span, "span that can't be one");
		return 0;
	}
	added = mw_slabs__add(&gtc->heap.slabs, &slab);
	ret = added ? mw_gtc__note_own(gtc, run->span) : -ENOMEM;
	if (!ret && added->count > 1)
		find_free(gtc, added, run, span);
	return ret;
}

int mw_gtc__read_spans(struct mw_gtc *gtc)
{
	struct mw_read_buffer window;
	int ret = mw_read_buffer__init(&window, gtc->heap.base.image);

	if (!ret && !mw_slab_heap__add_arena(&gtc->heap, gtc->root))
		ret = -ENOMEM;
	for (size_t i = 0; !ret && i < gtc->runs.count; i++) {
		struct mw_gtc_span span;

		/* Runs of spans that are gone are left behind, and lead to whatever is there. */
		if (read_span(gtc, &window, &gtc->runs.list[i], &span))
			ret = add_span(gtc, &gtc->runs.list[i], &span);
	}
	mw_read_buffer__free(&window);
	return ret;
}

/* ---- which row ------------------------------------------------------------------------------ */

/* How many spans look as they must, by a row. */
struct tally {
	unsigned int right, wrong;
};

/* Is the span that RUN leads to, at P, what a span must be? */
static int try_span(struct mw_gtc *gtc, const struct mw_gtc_run *run, const uint8_t *p,
		    struct tally *tally)
{
	const struct mw_slab *added = NULL;
	struct mw_gtc_span span;
	struct mw_slab slab;

	if (mw_gtc_decode(p, &gtc->pages, gtc->layout, &span) &&
	    make_slab(gtc, run, &span, &slab)) {
		added = mw_slabs__add(&gtc->heap.slabs, &slab);
		if (!added)
			return -ENOMEM;
	}
	if (added && (!run->size_class || list_free(gtc, added, &span)))
		tally->right++;
	else
		tally->wrong++;
	return 0;
}

/* Of a process that runs some spans change while they are read. */
static bool is_right(const struct tally *tally)
{
	return tally->wrong <= tally->right / 16;
}

/*
 * Does the layout that is chosen now hold for the first spans with objects, and for the first ones
 * without? 0, -ENOENT or -ENOMEM.
 */
static int try_layout(struct mw_gtc *gtc)
{
	struct tally large = {0}, small = {0};
	int ret = 0;

	for (size_t i = 0; !ret && i < gtc->runs.count; i++) {
		const struct mw_gtc_run *run = &gtc->runs.list[i];
		struct tally *tally = run->size_class ? &small : &large;
		uint8_t raw[MW_GTC_SPAN];

		if (tally->right + tally->wrong < CHECKS &&
		    mw_image__read_all(gtc->heap.base.image, run->span, raw, sizeof(raw)) &&
		    mw_gtc_first_page(raw, &gtc->pages) == run->page)
			ret = try_span(gtc, run, raw, tally);
	}
	/* Spans without objects have nothing that proves their size but that they don't overlap. */
	if (!ret && (!small.right || !is_right(&small) || !is_right(&large) ||
		     mw_slabs__sort(&gtc->heap.slabs) > large.right / 16))
		ret = -ENOENT;
	mw_slabs__free(&gtc->heap.slabs);
	return ret;
}

static int try_layouts(struct mw_gtc *gtc)
{
	int ret = mw_gtc__read_page_map(gtc);

	for (size_t i = 0; !ret && i < MW_ARRAY_SIZE(layouts); i++) {
		gtc->layout = &layouts[i];
		ret = try_layout(gtc);
		if (ret != -ENOENT)
			return ret;
		ret = 0;
	}
	return ret ? ret : -ENOENT;
}

int mw_gtc__choose_layout(struct mw_gtc *gtc)
{
	unsigned int attempts = mw_image__is_still(gtc->heap.base.image) ? 1 : MW_ATTEMPTS;
	int ret = -ENOENT;

	/* A program that starts changes its few spans faster than they are read. */
	while (ret == -ENOENT && attempts--)
		ret = try_layouts(gtc);
	return ret;
}
