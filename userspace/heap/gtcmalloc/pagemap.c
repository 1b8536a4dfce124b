// SPDX-License-Identifier: GPL-2.0-or-later
/* The page map: which pages lead to which span, as what size class. */
#include <errno.h>
#include <stdlib.h>

#include "heap/gtcmalloc/impl.h"
#include "util/array.h"
#include "util/bytes.h"
#include "util/cleanup.h"

struct reader {
	struct mw_gtc *gtc;
	/* Nodes, and leaves: such that overlap would make reading them endless. */
	struct mw_nodes below[2];
	uint8_t *buf[3]; /* MW_NODE_BUF bytes each, for root, node and leaf */
};

static int add_page(struct mw_gtc_runs *runs, uint64_t word, uint64_t page)
{
	struct mw_gtc_run run = {
		.span = mw_gtc_word_span(word),
		.page = page,
		.pages = 1,
		.size_class = (uint32_t)(word >> 48),
	};
	struct mw_gtc_run *last = runs->count ? &runs->list[runs->count - 1] : NULL;

	if (last && last->span == run.span && last->size_class == run.size_class &&
	    last->page + last->pages == page) {
		last->pages++;
		return 0;
	}
	if (runs->count >= MW_SLABS_MAX ||
	    mw_array_reserve(&runs->list, &runs->capacity, runs->count + 1, sizeof(run)))
		return -ENOMEM;
	runs->list[runs->count++] = run;
	return 0;
}

/* Could there be a node of SIZE bytes at ADDR, below LEVEL, of which nothing was read yet? */
static int enter(struct reader *r, unsigned int level, uint64_t addr, uint64_t size)
{
	struct mw_gtc *gtc = r->gtc;
	int ret = mw_nodes_may_be(gtc->heap.base.image, addr, size, 8)
			  ? mw_nodes__add(&r->below[level], addr, size, 0)
			  : -EEXIST;

	if (ret == -EEXIST)
		mw_problems__add(&gtc->heap.base.problems, addr,
				 "part of the page map that can't be one");
	return ret ? ret : mw_gtc__note_own(gtc, addr);
}

static int read_leaf(struct reader *r, uint64_t leaf, uint64_t key)
{
	const struct mw_gtc_pages *shape = &r->gtc->pages;
	const uint8_t *p =
		mw_nodes_read(r->gtc->heap.base.image, leaf, mw_gtc_leaf_size(shape), r->buf[2]);
	int ret = 0;

	for (uint64_t i = 0; p && !ret && i < 1ULL << shape->leaf_bits; i++) {
		uint64_t word = mw_u64_at(p + mw_gtc_leaf_words(shape) + 8 * i);

		if (word && word % MW_GTC_SPAN == 0 && word >> 48 < MW_GTC_CLASSES)
			ret = add_page(&r->gtc->runs, word, key << shape->leaf_bits | i);
	}
	return ret;
}

static int read_node(struct reader *r, uint64_t addr, unsigned int level, uint64_t key);

/* What the KEY-th word of all nodes on LEVEL leads to. */
static int read_child(struct reader *r, uint64_t child, unsigned int level, uint64_t key)
{
	const struct mw_gtc_pages *shape = &r->gtc->pages;
	bool leaf = level || !shape->node_bits;
	int ret = enter(r, level, child, leaf ? mw_gtc_leaf_size(shape) : mw_gtc_node_size(shape));

	if (!ret)
		ret = leaf ? read_leaf(r, child, key) : read_node(r, child, 1, key);
	return ret == -EEXIST ? 0 : ret;
}

/* What is below the node at ADDR, the KEY-th of its LEVEL: 0 for the root. */
static int read_node(struct reader *r, uint64_t addr, unsigned int level, uint64_t key)
{
	const struct mw_gtc_pages *shape = &r->gtc->pages;
	uint64_t size = level ? mw_gtc_node_size(shape) : mw_gtc_root_size(shape), len;
	int ret = 0;

	for (uint64_t at = 0; !ret && at < size; at += len) {
		const uint8_t *p;

		len = size - at < MW_NODE_MAX ? size - at : MW_NODE_MAX;
		p = mw_nodes_read(r->gtc->heap.base.image, addr + at, len, r->buf[level]);
		for (uint64_t i = 0; p && !ret && i < len; i += 8) {
			if (mw_u64_at(p + i))
				ret = read_child(r, mw_u64_at(p + i), level,
						 (key * size + at + i) / 8);
		}
	}
	return ret;
}

static int by_span(const void *a, const void *b)
{
	const struct mw_gtc_run *x = a, *y = b;

	if (x->span != y->span)
		return x->span < y->span ? -1 : 1;
	return x->page < y->page ? -1 : x->page > y->page;
}

int mw_gtc__read_page_map(struct mw_gtc *gtc)
{
	_cleanup_free_ uint8_t *buf = malloc(3 * (size_t)MW_NODE_BUF);
	struct reader r = {.gtc = gtc};
	int ret = buf ? 0 : -ENOMEM;

	for (size_t i = 0; buf && i < MW_ARRAY_SIZE(r.buf); i++)
		r.buf[i] = buf + i * MW_NODE_BUF;
	gtc->runs.count = 0;
	if (!ret)
		ret = read_node(&r, gtc->root, 0, 0);
	free(r.below[0].list);
	free(r.below[1].list);
	if (gtc->runs.count)
		qsort(gtc->runs.list, gtc->runs.count, sizeof(*gtc->runs.list), by_span);
	return ret;
}
