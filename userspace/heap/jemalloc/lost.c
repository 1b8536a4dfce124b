// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The tree without its root, which a core that was cut short has lost with the library's data.
 * Leaves and what they lead to are in jemalloc's own memory. A leaf's word leads to a structure,
 * which says for which page the word is, and so where its leaf begins.
 *
 * A few words may look so in memory of any kind: of a core with tcmalloc's heap, 33 MB were taken
 * for a dirty extent. So at least one leaf must lead to a slab whose bitmap has as many bits as are
 * said to be free. Every heap of jemalloc has slabs.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "heap/jemalloc/impl.h"
#include "util/array.h"
#include "util/cleanup.h"

enum { TRIES = 1 << 16, LEAF_ALIGN = 64 };

struct search {
	struct mw_jemalloc *je;
	struct mw_jemalloc_tree tree;
	struct mw_read_buffer window;
	uint64_t rejected[2], pointer; /* what was tried last */
	unsigned int tries, slabs;
	uint8_t buf[MW_NODE_BUF];
};

/* If the word at PLACE is for PAGE, this is where its leaf is. */
static int try_leaf(struct search *s, uint64_t place, uint64_t page)
{
	const struct mw_jemalloc_shape *shape = s->tree.shape;
	uint64_t index = page / MW_JEMALLOC_PAGE & ((1ULL << shape->bits) - 1);
	uint64_t leaf = place - index * shape->leaf_word;
	struct mw_jemalloc_leaf found;
	int ret;

	if (leaf == s->rejected[0] || leaf == s->rejected[1])
		return 0;
	if (mw_nodes_may_be(s->je->heap.base.image, leaf, mw_jemalloc_leaf_bytes(shape),
			    LEAF_ALIGN) &&
	    s->tries++ < TRIES &&
	    mw_jemalloc_may_be_leaf(s->je->heap.base.image, &s->tree, leaf, place, s->buf) &&
	    mw_jemalloc_is_leaf(s->je->heap.base.image, &s->tree, leaf, s->buf, &found)) {
		ret = mw_nodes__add(&s->tree.leaves, leaf, mw_jemalloc_leaf_bytes(shape),
				    found.key);
		if (!ret)
			s->slabs += found.slabs;
		if (ret != -EEXIST)
			return ret;
	}
	s->rejected[1] = s->rejected[0];
	s->rejected[0] = leaf;
	return 0;
}

static int try_word(struct search *s, uint64_t place, const uint8_t *p)
{
	struct mw_jemalloc_word word;
	struct mw_jemalloc_extent e;
	const uint8_t *raw;
	uint64_t start, last;
	int ret = 0;

	mw_jemalloc_read_word(s->tree.layout, s->tree.shape, p, &word);
	if (!mw_jemalloc_may_lead(&word) || word.pointer == s->pointer)
		return 0;
	s->pointer = word.pointer;
	if (!mw_nodes_may_be(s->je->heap.base.image, word.pointer, MW_JEMALLOC_EXTENT,
			     s->tree.layout->align))
		return 0;
	raw = mw_read_buffer__at(&s->window, word.pointer, MW_JEMALLOC_EXTENT);
	if (!raw || !mw_jemalloc_decode(s->tree.layout, raw, &e))
		return 0;
	start = e.addr & ~(uint64_t)(MW_JEMALLOC_PAGE - 1);
	last = start + e.size - MW_JEMALLOC_PAGE;
	if (mw_jemalloc_agrees(&word, start, &e))
		ret = try_leaf(s, place, start);
	if (!ret && last != start && mw_jemalloc_agrees(&word, last, &e))
		ret = try_leaf(s, place, last);
	return ret;
}

static int take_piece(void *arg, uint64_t start, const uint8_t *p, uint64_t len)
{
	struct search *s = arg;
	uint64_t size = mw_jemalloc_leaf_bytes(s->tree.shape), next;
	const struct mw_nodes *leaves = &s->tree.leaves;
	int ret = 0;

	for (uint64_t i = 0; !ret && i < len && s->tries < TRIES; i = next) {
		const struct mw_node *last =
			leaves->count ? &leaves->list[leaves->count - 1] : NULL;

		next = i + s->tree.shape->leaf_word;
		if (last && start + i - last->addr < size)
			next = last->addr + size - start;
		else
			ret = try_word(s, start + i, p + i);
	}
	return ret;
}

/* Search by the layout and the shape of S->TREE. */
static int search_leaves(struct search *s)
{
	s->tree.leaves = (struct mw_nodes){0};
	s->rejected[0] = s->rejected[1] = s->pointer = s->tries = s->slabs = 0;
	return mw_nodes_search(s->je->heap.base.image, take_piece, s);
}

static int search_layouts(struct search *s)
{
	struct mw_jemalloc_tree *best = &s->je->trees[0];
	int ret = 0;

	for (size_t i = 0; !ret && i < MW_JEMALLOC_SHAPES * mw_jemalloc_layout_count; i++) {
		s->tree.shape = &mw_jemalloc_shapes[i % MW_JEMALLOC_SHAPES];
		s->tree.layout = &mw_jemalloc_layouts[i / MW_JEMALLOC_SHAPES];
		ret = search_leaves(s);
		if (s->slabs && s->tree.leaves.count > best->leaves.count) {
			free(best->leaves.list);
			*best = s->tree;
		} else {
			free(s->tree.leaves.list);
		}
	}
	return ret;
}

int mw_jemalloc__find_lost(struct mw_jemalloc *je)
{
	_cleanup_free_ struct search *s = calloc(1, sizeof(*s));
	int ret = s ? mw_read_buffer__init(&s->window, je->heap.base.image) : -ENOMEM;

	if (ret)
		return ret;
	s->je = je;
	ret = search_layouts(s);
	mw_read_buffer__free(&s->window);
	if (!je->trees[0].leaves.count)
		return ret ? ret : -ENOENT;
	je->tree_count = 1;
	snprintf(je->heap.version, sizeof(je->heap.version), "%s", je->trees[0].layout->versions);
	mw_heap__add_evidence(&je->heap.base,
			      "the radix tree's root is not in the core, which was cut short: its "
			      "leaves, which lead to extents that point back");
	mw_heap__add_evidence(&je->heap.base, "caches of threads whose storage is lost: their "
					      "objects look live");
	return ret;
}
