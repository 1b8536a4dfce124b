// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * All extents, by the leaves of the radix trees. The structures that describe extents lie side by
 * side in jemalloc's own memory, so they are read in the order of their addresses.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "heap/jemalloc/impl.h"
#include "heap/nodes.h"
#include "util/array.h"
#include "util/bytes.h"
#include "util/cleanup.h"

enum { NODES_MAX = 1 << 16 };

/* A leaf's word. */
struct ref {
	uint64_t page, place; /* that it is about, where it is */
	struct mw_jemalloc_word word;
};

struct refs {
	struct ref *list;
	size_t count, capacity;
};

struct reader {
	struct mw_jemalloc *je;
	struct mw_jemalloc_tree *tree;
	struct mw_read_buffer window;
	struct refs refs;
};

/* Nodes that overlap would make the work of reading them endless. */
static int add_node(struct mw_jemalloc *je, uint64_t node, uint64_t size)
{
	int ret = je->node_count < NODES_MAX ? 0 : -EEXIST;

	for (size_t i = 0; !ret && i < je->node_count; i++) {
		if (node < je->nodes[i].end && je->nodes[i].start < node + size)
			ret = -EEXIST;
	}
	if (ret) {
		mw_problems__add(&je->heap.base.problems, node,
				 "two parts of the radix tree at the same place");
		return ret;
	}
	ret = mw_array_reserve(&je->nodes, &je->node_capacity, je->node_count + 1,
			       sizeof(*je->nodes));
	if (!ret)
		je->nodes[je->node_count++] = (struct mw_span){node, node + size};
	return ret;
}

static bool is_same(const struct mw_jemalloc_word *a, const struct mw_jemalloc_word *b)
{
	return a->pointer == b->pointer && a->size_class == b->size_class && a->state == b->state &&
	       a->slab == b->slab && a->has_state == b->has_state;
}

/* The words of a leaf for the pages from PAGE on that differ from the one before. */
static int read_leaf(struct reader *r, uint64_t leaf, const uint8_t *p, uint64_t page)
{
	const struct mw_jemalloc_shape *shape = r->tree->shape;
	struct mw_jemalloc_word word, last = {0};

	for (uint64_t i = 0; i < 1ULL << shape->bits; i++) {
		const uint8_t *at = p + i * shape->leaf_word;

		mw_jemalloc_read_word(r->tree->layout, shape, at, &word);
		if (!word.pointer || is_same(&word, &last))
			continue;
		last = word;
		if (r->refs.count >= MW_SLABS_MAX ||
		    mw_array_reserve(&r->refs.list, &r->refs.capacity, r->refs.count + 1,
				     sizeof(*r->refs.list)))
			return -ENOMEM;
		r->refs.list[r->refs.count++] = (struct ref){page + i * MW_JEMALLOC_PAGE,
							     leaf + i * shape->leaf_word, word};
	}
	return 0;
}

/* Read the node at ADDR and all below it. LEVELS: its own included. BUF: for each level one. */
static int read_node(struct reader *r, uint64_t addr, unsigned int levels, uint64_t page,
		     uint8_t *buf)
{
	struct mw_jemalloc *je = r->je;
	const struct mw_jemalloc_shape *shape = r->tree->shape;
	uint64_t size = levels > 1 ? mw_jemalloc_node_bytes(shape) : mw_jemalloc_leaf_bytes(shape);
	int ret = levels < shape->levels ? add_node(je, addr, size) : 0;
	const uint8_t *p;

	if (ret)
		return ret == -EEXIST ? 0 : ret;
	p = mw_nodes_read(je->heap.base.image, addr, size, buf);
	if (!p) {
		mw_problems__add(&je->heap.base.problems, addr, "radix tree that can't be read");
		return 0;
	}
	if (levels == 1)
		return read_leaf(r, addr, p, page);
	levels--;
	for (uint64_t i = 0; !ret && i < size / 8; i++) {
		uint64_t node = mw_u64_at(p + 8 * i);

		if (node && !(node >> 47))
			ret = read_node(r, node, levels, page + (i << (shape->bits * levels + 12U)),
					buf + MW_NODE_BUF);
	}
	return ret;
}

static int read_nodes(struct reader *r)
{
	_cleanup_free_ uint8_t *buf = malloc(r->tree->shape->levels * (size_t)MW_NODE_BUF);

	int ret = buf ? 0 : -ENOMEM;

	if (!ret && r->tree->root)
		ret = read_node(r, r->tree->root, r->tree->shape->levels, 0, buf);
	for (size_t i = 0; !ret && i < r->tree->leaves.count; i++) {
		const struct mw_node *leaf = &r->tree->leaves.list[i];

		ret = read_node(r, leaf->addr, 1, leaf->key << (r->tree->shape->bits + 12U), buf);
	}
	return ret;
}

static int add_arenas(struct mw_jemalloc *je, uint32_t count)
{
	while (je->heap.arena_count < count) {
		if (!mw_slab_heap__add_arena(&je->heap, 0))
			return -ENOMEM;
	}
	return 0;
}

/* What is left of a large extent, since classes of large ones need not be exact from 5.3.1 on. */
static uint64_t object_size(const struct mw_jemalloc_tree *tree, const struct mw_jemalloc_extent *e)
{
	if (e->size_class < MW_JEMALLOC_BINS || e->size <= tree->pad)
		return mw_jemalloc_size(e->size_class);
	return e->size - tree->pad;
}

static int add_extent(struct reader *r, const struct mw_jemalloc_extent *e)
{
	static const uint8_t kinds[] = {[MW_JEMALLOC_DIRTY] = MW_BLOCK_DIRTY,
					[MW_JEMALLOC_MUZZY] = MW_BLOCK_MUZZY,
					[MW_JEMALLOC_RETAINED] = MW_BLOCK_RETAINED};
	struct mw_slabs *slabs = &r->je->heap.slabs;
	struct mw_slab slab = {.start = e->addr & ~(uint64_t)(MW_JEMALLOC_PAGE - 1),
			       .arena = r->tree->first_arena + e->arena,
			       .kind = MW_BLOCK_DIRTY};
	const struct mw_slab *added;

	slab.end = slab.start + e->size;
	if (e->state == MW_JEMALLOC_ACTIVE && !mw_jemalloc_is_kept(e)) {
		slab.first = e->addr;
		slab.size = object_size(r->tree, e);
		slab.count = e->slab ? (uint32_t)(e->size / slab.size) : 1;
		if (slab.first + slab.size > slab.end)
			slab.first = slab.start;
	} else if (e->state != MW_JEMALLOC_ACTIVE && e->state < MW_JEMALLOC_MOVING) {
		slab.kind = kinds[e->state];
	}
	added = mw_slabs__add(slabs, &slab);
	if (!added || add_arenas(r->je, slab.arena + 1))
		return -ENOMEM;
	for (uint32_t i = 0; e->slab && i < added->count; i++) {
		if (e->bitmap[i / 64] >> i % 64 & 1)
			mw_slabs__set(slabs, added, i, MW_OBJECT_FREE);
	}
	return 0;
}

/* Read REF and its extent once more: true when they agree now, or there is no extent any more. */
static bool read_again(struct reader *r, const struct ref *ref, struct mw_jemalloc_extent *e,
		       bool *gone)
{
	struct mw_image *image = r->je->heap.base.image;
	const struct mw_jemalloc_layout *layout = r->tree->layout;
	struct mw_jemalloc_word word;
	uint8_t raw[MW_JEMALLOC_EXTENT];

	*gone = false;
	if (!mw_image__read_all(image, ref->place, raw, r->tree->shape->leaf_word))
		return false;
	mw_jemalloc_read_word(layout, r->tree->shape, raw, &word);
	*gone = word.pointer != ref->word.pointer;
	return *gone ||
	       (mw_image__read_all(image, word.pointer, raw, sizeof(raw)) &&
		mw_jemalloc_decode(layout, raw, e) && mw_jemalloc_agrees(&word, ref->page, e));
}

/* The extent of COUNT words that lead to the same structure, in the order of their pages. */
static bool read_extent(struct reader *r, const struct ref *refs, size_t count,
			struct mw_jemalloc_extent *e)
{
	const uint8_t *raw = mw_read_buffer__at(&r->window, refs->word.pointer, MW_JEMALLOC_EXTENT);

	if (!raw || !mw_jemalloc_decode(r->tree->layout, raw, e))
		return false;
	for (size_t i = 0; i < count; i++) {
		if (mw_jemalloc_agrees(&refs[i].word, refs[i].page, e))
			return true;
	}
	return false;
}

/* The same for one that was not right at first. */
static bool insist_on_extent(struct reader *r, const struct ref *ref, struct mw_jemalloc_extent *e)
{
	struct mw_doubts doubts;
	bool gone = false, right = false;

	mw_doubts__begin(&doubts, r->je->heap.base.image, &r->je->heap.base.problems);
	do {
		right = read_again(r, ref, e, &gone);
		if (gone)
			mw_doubts__add_race(&doubts);
		else if (!right)
			mw_doubts__add(&doubts, ref->word.pointer,
				       "extent that differs from the radix tree", ref->page);
	} while (mw_doubts__again(&doubts));
	return right && !gone;
}

static int by_pointer(const void *a, const void *b)
{
	const struct ref *x = a, *y = b;

	if (x->word.pointer != y->word.pointer)
		return x->word.pointer < y->word.pointer ? -1 : 1;
	return x->page < y->page ? -1 : x->page > y->page;
}

/* Words of one extent from I on. */
static size_t same_extent(const struct refs *refs, size_t i)
{
	size_t next = i + 1;

	while (next < refs->count && refs->list[next].word.pointer == refs->list[i].word.pointer)
		next++;
	return next - i;
}

/* Do large blocks begin at random places? Nearly all of them tell. */
static uint64_t find_pad(struct reader *r)
{
	struct mw_jemalloc_extent e;
	size_t n;

	for (size_t i = 0; i < r->refs.count; i += n) {
		n = same_extent(&r->refs, i);
		if (read_extent(r, &r->refs.list[i], n, &e) && e.addr % MW_JEMALLOC_PAGE)
			return MW_JEMALLOC_PAGE;
	}
	return 0;
}

static int read_tree(struct mw_jemalloc *je, struct mw_jemalloc_tree *tree)
{
	struct reader r = {.je = je, .tree = tree};
	int ret = mw_read_buffer__init(&r.window, je->heap.base.image);
	size_t n;

	tree->first_arena = (uint32_t)je->heap.arena_count;
	if (!ret)
		ret = read_nodes(&r);
	if (r.refs.count)
		qsort(r.refs.list, r.refs.count, sizeof(*r.refs.list), by_pointer);
	if (!ret)
		tree->pad = find_pad(&r);
	for (size_t i = 0; !ret && i < r.refs.count; i += n) {
		const struct ref *refs = &r.refs.list[i];
		struct mw_jemalloc_extent e;

		n = same_extent(&r.refs, i);
		if (read_extent(&r, refs, n, &e) || insist_on_extent(&r, refs, &e))
			ret = add_extent(&r, &e);
	}
	free(r.refs.list);
	mw_read_buffer__free(&r.window);
	return ret;
}

int mw_jemalloc__read_extents(struct mw_jemalloc *je)
{
	int ret = 0;

	for (size_t i = 0; !ret && i < je->tree_count; i++)
		ret = read_tree(je, &je->trees[i]);
	return ret;
}
