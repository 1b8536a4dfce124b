// SPDX-License-Identifier: GPL-2.0-or-later
/* All spans by the page map, and in each the list of its free objects. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "heap/nodes.h"
#include "heap/tcmalloc/impl.h"
#include "util/array.h"
#include "util/bytes.h"
#include "util/cleanup.h"

enum {
	SPAN_MAX = 1 << 20, /* bytes of a span with objects */
	CHUNK = 8 << 20,    /* kMetadataAllocChunkSize: what own memory is taken in */
	OWN_PAGE = 4096,
};

/* A word of a leaf: the span's address and the page. */
struct ref {
	uint64_t span, page;
};

struct reader {
	struct mw_tcmalloc *tc;
	struct mw_read_buffer window;
	struct ref *refs;
	size_t count, capacity;
	uint8_t *node; /* MW_NODE_BUF bytes each */
	uint8_t *leaf;
};

int mw_tcmalloc__add_own(struct mw_tcmalloc *tc, uint64_t start, uint64_t size)
{
	struct mw_span *last = tc->own_count ? &tc->own[tc->own_count - 1] : NULL;
	uint64_t from = start & ~(uint64_t)(OWN_PAGE - 1);
	uint64_t to = (start + size + OWN_PAGE - 1) & ~(uint64_t)(OWN_PAGE - 1);
	int ret;

	if (last && from >= last->start && from <= last->end) {
		last->end = to > last->end ? to : last->end;
		return 0;
	}
	ret = mw_array_reserve(&tc->own, &tc->own_capacity, tc->own_count + 1, sizeof(*tc->own));
	if (!ret)
		tc->own[tc->own_count++] = (struct mw_span){from, to};
	return ret;
}

static int read_leaf(struct reader *r, uint64_t leaf, uint64_t key)
{
	const uint8_t *p = mw_nodes_read(r->tc->heap.base.image, leaf, MW_TCMALLOC_LEAF, r->leaf);
	uint64_t last = 0;

	if (!p) {
		mw_problems__add(&r->tc->heap.base.problems, leaf, "page map that can't be read");
		return 0;
	}
	for (uint64_t i = 0; i < MW_TCMALLOC_LEAF / 8; i++) {
		uint64_t word = mw_u64_at(p + 8 * i);

		if (!word || word == last || word % 8 || word >> 47)
			continue;
		last = word;
		if (r->count >= MW_SLABS_MAX ||
		    mw_array_reserve(&r->refs, &r->capacity, r->count + 1, sizeof(*r->refs)))
			return -ENOMEM;
		r->refs[r->count++] = (struct ref){word, (key << MW_TCMALLOC_LEAF_BITS) + i};
	}
	return mw_tcmalloc__add_own(r->tc, leaf, MW_TCMALLOC_LEAF);
}

static int by_start(const void *a, const void *b)
{
	const struct mw_span *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

/* The leaves that the root leads to. */
static int list_leaves(struct reader *r)
{
	struct mw_nodes *leaves = &r->tc->leaves;
	const uint8_t *root =
		mw_nodes_read(r->tc->heap.base.image, r->tc->root, MW_TCMALLOC_ROOT, r->node);
	int ret = 0;

	for (uint64_t key = 0; root && !ret && key < MW_TCMALLOC_ROOT / 8; key++) {
		uint64_t leaf = mw_u64_at(root + 8 * key);

		if (!leaf || leaf >> 47)
			continue;
		ret = mw_nodes__add(leaves, leaf, MW_TCMALLOC_LEAF, key);
		/* Leaves that overlap would make the work of reading them endless. */
		if (ret == -EEXIST) {
			mw_problems__add(&r->tc->heap.base.problems, leaf,
					 "two parts of the page map at the same place");
			ret = 0;
		}
	}
	return ret;
}

static int read_leaves(struct reader *r)
{
	const struct mw_nodes *leaves = &r->tc->leaves;
	int ret = r->tc->root ? list_leaves(r) : 0;

	for (size_t i = 0; !ret && i < leaves->count; i++)
		ret = read_leaf(r, leaves->list[i].addr, leaves->list[i].key);
	return ret;
}

/* Mark what the list of SPAN says; false: it is not as long as SPAN says. */
static bool read_objects(struct mw_tcmalloc *tc, const struct mw_slab *slab,
			 const struct mw_tcmalloc_span *span, uint8_t *content)
{
	uint64_t size = slab->end - slab->start;
	uint32_t should = slab->count > span->used ? slab->count - span->used : 0, is = 0;

	if (!span->objects && !should)
		return true;
	for (uint32_t i = 0; i < slab->count; i++)
		mw_slabs__set(&tc->heap.slabs, slab, i, MW_OBJECT_LIVE);
	if (mw_image__read_all(tc->heap.base.image, slab->start, content, size))
		is = mw_slabs__free_list(&tc->heap.slabs, slab, span->objects, content);
	return is == should;
}

/* Read the span at ADDR once more: it must be the one that SPAN was. */
static bool read_again(const struct mw_tcmalloc *tc, uint64_t addr, struct mw_tcmalloc_span *span)
{
	uint8_t raw[MW_TCMALLOC_SPAN];
	struct mw_tcmalloc_span now;

	if (!mw_image__read_all(tc->heap.base.image, addr, raw, sizeof(raw)) ||
	    !mw_tcmalloc_decode(raw, &now) || now.start != span->start ||
	    now.pages != span->pages || now.size_class != span->size_class ||
	    now.place != span->place)
		return false;
	*span = now;
	return true;
}

/* The objects of the span at ADDR, which is SPAN and was added as SLAB. */
static int find_free(struct mw_tcmalloc *tc, const struct mw_slab *slab, uint64_t addr,
		     struct mw_tcmalloc_span *span)
{
	_cleanup_free_ uint8_t *content = malloc(slab->end - slab->start);
	struct mw_doubts doubts;

	if (!content)
		return -ENOMEM;
	mw_doubts__begin(&doubts, tc->heap.base.image, &tc->heap.base.problems);
	do {
		if (doubts.attempt && !read_again(tc, addr, span))
			mw_doubts__add_race(&doubts);
		else if (!read_objects(tc, slab, span, content))
			mw_doubts__add(&doubts, slab->start,
				       "span whose free objects are not as many as it says",
				       mw_seen(span->objects, span->used));
	} while (mw_doubts__again(&doubts));
	return 0;
}

static int add_span(struct mw_tcmalloc *tc, uint64_t addr, struct mw_tcmalloc_span *span)
{
	struct mw_slab slab = {.start = span->start * MW_TCMALLOC_PAGE,
			       .end = (span->start + span->pages) * MW_TCMALLOC_PAGE,
			       .kind = span->place == MW_TCMALLOC_NORMAL ? MW_BLOCK_PAGES
									 : MW_BLOCK_RETAINED};
	const struct mw_slab *added;
	uint32_t size;

	slab.first = slab.start;
	if (span->place == MW_TCMALLOC_IN_USE) {
		size = span->size_class < tc->classes ? (uint32_t)tc->sizes[span->size_class] : 0;
		slab.size =
			size && slab.end - slab.start <= SPAN_MAX ? size : slab.end - slab.start;
		slab.count = (uint32_t)((slab.end - slab.start) / slab.size);
	}
	added = mw_slabs__add(&tc->heap.slabs, &slab);
	if (!added)
		return -ENOMEM;
	return added->count && span->size_class ? find_free(tc, added, addr, span) : 0;
}

static int by_span(const void *a, const void *b)
{
	const struct ref *x = a, *y = b;

	if (x->span != y->span)
		return x->span < y->span ? -1 : 1;
	return x->page < y->page ? -1 : x->page > y->page;
}

/* A span that was deleted leaves its words behind, which then lead to whatever is there now. */
static int read_span(struct reader *r, const struct ref *refs, size_t count)
{
	const uint8_t *p = mw_read_buffer__at(&r->window, refs->span, MW_TCMALLOC_SPAN);
	struct mw_tcmalloc_span span;
	int ret = mw_tcmalloc__add_own(r->tc, refs->span, MW_TCMALLOC_SPAN);

	if (ret || !p || !mw_tcmalloc_decode(p, &span))
		return ret;
	for (size_t i = 0; i < count; i++) {
		if (refs[i].page == span.start)
			return add_span(r->tc, refs->span, &span);
	}
	return 0;
}

int mw_tcmalloc__read_spans(struct mw_tcmalloc *tc)
{
	_cleanup_free_ uint8_t *nodes = malloc(2 * (size_t)MW_NODE_BUF);
	struct reader r = {.tc = tc, .node = nodes, .leaf = nodes + MW_NODE_BUF};
	int ret = nodes ? mw_read_buffer__init(&r.window, tc->heap.base.image) : -ENOMEM;

	if (!ret && !mw_slab_heap__add_arena(&tc->heap, tc->root))
		ret = -ENOMEM;
	if (!ret)
		ret = read_leaves(&r);
	if (r.count)
		qsort(r.refs, r.count, sizeof(*r.refs), by_span);
	for (size_t i = 0, next; !ret && i < r.count; i = next) {
		next = i + 1;
		while (next < r.count && r.refs[next].span == r.refs[i].span)
			next++;
		ret = read_span(&r, &r.refs[i], next - i);
	}
	free(r.refs);
	mw_read_buffer__free(&r.window);
	return ret;
}

/* Is something of the heap between START and END? */
static bool has_slab_between(const struct mw_slabs *slabs, uint64_t start, uint64_t end)
{
	for (uint64_t at = start; at < end; at += MW_TCMALLOC_PAGE) {
		if (mw_slabs__at(slabs, at))
			return true;
	}
	return false;
}

/*
 * tcmalloc takes its own memory in chunks and hands it out from their start on. What lies between
 * two of its structures that are less than a chunk apart is its own, too.
 */
int mw_tcmalloc__claim_own(struct mw_tcmalloc *tc)
{
	struct mw_slabs *slabs = &tc->heap.slabs;
	size_t out = 0;

	if (tc->own_count)
		qsort(tc->own, tc->own_count, sizeof(*tc->own), by_start);
	for (size_t i = 0; i < tc->own_count; i++) {
		struct mw_span *last = out ? &tc->own[out - 1] : NULL, here = tc->own[i];

		if (last && here.start < last->end + CHUNK &&
		    mw_image__find(tc->heap.base.image, here.start) ==
			    mw_image__find(tc->heap.base.image, last->start) &&
		    !has_slab_between(slabs, last->end, here.start))
			last->end = here.end > last->end ? here.end : last->end;
		else
			tc->own[out++] = here;
	}
	tc->own_count = out;
	for (size_t i = 0; i < out; i++) {
		const struct mw_slab slab = {.start = tc->own[i].start,
					     .end = tc->own[i].end,
					     .kind = MW_BLOCK_OVERHEAD};

		if (!mw_slabs__add(slabs, &slab))
			return -ENOMEM;
	}
	return 0;
}
