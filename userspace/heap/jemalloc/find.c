// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Finds the radix trees: an array in the data of a file, whose words point to nodes, whose words
 * lead to structures that describe the very pages that the words stand for.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "heap/jemalloc/impl.h"
#include "heap/nodes.h"
#include "image/elffile.h"
#include "util/bytes.h"
#include "util/cleanup.h"

enum {
	ROOT_MIN = 8 << 15, /* bytes of the smallest root */
	ALIGN = 64,	    /* of a node */
	CHECKS = 64,	    /* words of a leaf that are checked at most */
	PIECE = 256 << 10,  /* bytes that are read at a time */
	TRIES = 4096,	    /* words of one file's data that could point to a node */
	VERSION_TEXT = 20,
};

static uint64_t field(uint64_t bits, unsigned int first, unsigned int count)
{
	return bits >> first & ((1ULL << count) - 1);
}

bool mw_jemalloc_decode(const struct mw_jemalloc_layout *layout, const uint8_t *p,
			struct mw_jemalloc_extent *extent)
{
	uint64_t bits, size;

	memcpy(&bits, p, 8);
	memcpy(&extent->addr, p + 8, 8);
	memcpy(&size, p + 16, 8);
	memcpy(extent->bitmap, p + 64, sizeof(extent->bitmap));
	extent->size = size & ~(uint64_t)(MW_JEMALLOC_PAGE - 1);
	extent->arena = (uint32_t)field(bits, 0, 12);
	extent->slab = field(bits, 12, 1);
	extent->state = (enum mw_jemalloc_state)field(bits, layout->state, layout->state_bits);
	extent->size_class = (uint32_t)field(bits, layout->size_class, 8);
	extent->free = (uint32_t)field(bits, layout->free, 10);
	return extent->size && extent->size < 1ULL << 47 && extent->addr < 1ULL << 47 &&
	       extent->arena < MW_JEMALLOC_ARENAS && extent->size_class <= MW_JEMALLOC_CLASSES;
}

/* A slab's bitmap must have as many bits as the structure says that objects are free. */
static bool slab_is_right(const struct mw_jemalloc_extent *e)
{
	uint64_t size = mw_jemalloc_size(e->size_class), count = e->size / size;
	uint64_t seen = 0;

	if (e->size_class >= MW_JEMALLOC_BINS || e->size % size || count > 512)
		return false;
	for (uint64_t i = 0; i < count; i++)
		seen += e->bitmap[i / 64] >> i % 64 & 1;
	return seen == e->free;
}

void mw_jemalloc_read_word(const struct mw_jemalloc_layout *layout,
			   const struct mw_jemalloc_shape *shape, const uint8_t *p,
			   struct mw_jemalloc_word *word)
{
	uint64_t bits = mw_u64_at(p), more = shape->leaf_word == 16 ? mw_u64_at(p + 8) : 0;

	*word = (struct mw_jemalloc_word){.has_state = layout->leaf_state};
	word->pointer = bits & ((1ULL << 48) - 1) & ~((uint64_t)layout->align - 1);
	if (shape->leaf_word == 8) {
		word->slab = bits & 1;
		word->size_class = (uint32_t)(bits >> 48);
		word->state = (uint32_t)field(bits, layout->leaf_state, layout->state_bits);
	} else if (layout->leaf_state) {
		word->slab = more & 1;
		word->state = (uint32_t)field(more, layout->leaf_state, layout->state_bits);
		word->size_class =
			(uint32_t)field(more, layout->leaf_state + layout->state_bits, 8);
	} else {
		word->size_class = (uint32_t)more;
		word->slab = more >> 32 & 1;
	}
}

/* May a large extent of SIZE bytes be of the class? Since 5.3.1 its last pages may be missing. */
static bool class_fits(uint32_t size_class, uint64_t size)
{
	if (size_class >= MW_JEMALLOC_CLASSES)
		return false;
	return mw_jemalloc_size(size_class) <= size ||
	       (size_class > MW_JEMALLOC_BINS && mw_jemalloc_size(size_class - 1) < size);
}

bool mw_jemalloc_agrees(const struct mw_jemalloc_word *word, uint64_t page,
			const struct mw_jemalloc_extent *e)
{
	uint64_t start = e->addr & ~(uint64_t)(MW_JEMALLOC_PAGE - 1);
	bool edge = page == start || page == start + e->size - MW_JEMALLOC_PAGE;

	if (page - start >= e->size || (!edge && !e->slab) ||
	    (word->has_state && word->state != e->state))
		return false;
	/* Free pages keep what they were used for in the structure. */
	if (e->state != MW_JEMALLOC_ACTIVE)
		return edge;
	if (word->slab != e->slab || word->size_class != e->size_class)
		return false;
	if (mw_jemalloc_is_kept(e))
		return true;
	return e->slab ? slab_is_right(e) : class_fits(e->size_class, e->size);
}

/* Check words of a leaf of TREE. Its number among all leaves follows from what they lead to. */
struct leaf_check {
	struct mw_image *image;
	const struct mw_jemalloc_tree *tree;
	unsigned int tried, right;
	uint64_t last;
	struct mw_jemalloc_leaf found;
};

/* False: enough was seen. */
static bool check_word(struct leaf_check *c, const uint8_t *p, uint64_t index)
{
	unsigned int shift = c->tree->shape->bits + 12U;
	struct mw_jemalloc_word word;
	struct mw_jemalloc_extent e;
	uint8_t raw[MW_JEMALLOC_EXTENT];
	bool right;

	mw_jemalloc_read_word(c->tree->layout, c->tree->shape, p, &word);
	if (!word.pointer || word.pointer == c->last)
		return true;
	c->last = word.pointer;
	c->tried++;
	if (mw_image__read_all(c->image, word.pointer, raw, sizeof(raw)) &&
	    mw_jemalloc_decode(c->tree->layout, raw, &e)) {
		if (!c->right)
			c->found.key = e.addr >> shift;
		right = mw_jemalloc_agrees(&word,
					   (c->found.key << shift) + index * MW_JEMALLOC_PAGE, &e);
		c->right += right;
		c->found.slabs += right && e.slab && e.state == MW_JEMALLOC_ACTIVE;
	}
	return c->tried < CHECKS && (c->right || c->tried < CHECKS / 8);
}

/* Check the LEN bytes from AT on of the leaf at LEAF. MORE: not enough was seen. */
static bool check_words(struct leaf_check *c, uint64_t leaf, uint64_t at, uint64_t len,
			uint8_t *buf, bool *more)
{
	uint64_t word = c->tree->shape->leaf_word;
	const uint8_t *p = mw_nodes_read(c->image, leaf + at, len, buf);

	for (uint64_t i = 0; p && i < len && *more; i += word)
		*more = check_word(c, p + i, (at + i) / word);
	return p != NULL;
}

/* Some may have changed since the leaf was read. */
static bool most_are_right(const struct leaf_check *c)
{
	return c->right && c->right * 4 >= c->tried * 3;
}

bool mw_jemalloc_is_leaf(struct mw_image *image, const struct mw_jemalloc_tree *tree, uint64_t leaf,
			 uint8_t *buf, struct mw_jemalloc_leaf *found)
{
	uint64_t size = mw_jemalloc_leaf_bytes(tree->shape), len = MW_JEMALLOC_PAGE;
	struct leaf_check c = {.image = image, .tree = tree};
	bool more = true;

	/* Small pieces first: what is no leaf shows that at once. */
	for (uint64_t at = 0; at < size && more; at += len, len = PIECE / 4) {
		if (!check_words(&c, leaf, at, size - at < len ? size - at : len, buf, &more))
			return false;
	}
	*found = c.found;
	return most_are_right(&c);
}

bool mw_jemalloc_may_be_leaf(struct mw_image *image, const struct mw_jemalloc_tree *tree,
			     uint64_t leaf, uint64_t place, uint8_t *buf)
{
	uint64_t page = (place - leaf) & ~(uint64_t)(MW_JEMALLOC_PAGE - 1);
	struct leaf_check c = {.image = image, .tree = tree};
	bool more = true;

	return check_words(&c, leaf, page, MW_JEMALLOC_PAGE, buf, &more) && most_are_right(&c);
}

/*
 * The number that the root's word, which is NODE, has in its tree. LEVEL: the node's. False: it is
 * not a node.
 */
static bool find_key(struct mw_image *image, const struct mw_jemalloc_tree *tree, uint64_t node,
		     uint8_t *buf, uint64_t *key)
{
	uint64_t size = mw_jemalloc_node_bytes(tree->shape);
	struct mw_jemalloc_leaf found = {0};
	unsigned int tried = 0;
	const uint8_t *p;

	if (tree->shape->levels == 2) {
		bool is_leaf =
			mw_nodes_may_be(image, node, mw_jemalloc_leaf_bytes(tree->shape), ALIGN) &&
			mw_jemalloc_is_leaf(image, tree, node, buf, &found);

		*key = found.key;
		return is_leaf;
	}
	p = mw_nodes_may_be(image, node, size, ALIGN) ? mw_nodes_read(image, node, size, buf)
						      : NULL;
	for (uint64_t i = 0; p && i < size / 8 && tried < 4; i++) {
		uint64_t leaf = mw_u64_at(p + 8 * i);

		if (!leaf)
			continue;
		tried++;
		if (!mw_nodes_may_be(image, leaf, mw_jemalloc_leaf_bytes(tree->shape), ALIGN) ||
		    !mw_jemalloc_is_leaf(image, tree, leaf, buf + MW_NODE_BUF, &found))
			continue;
		*key = found.key >> tree->shape->bits;
		return (found.key & (size / 8 - 1)) == i;
	}
	return false;
}

/* The tree whose root has the word at PLACE, which is NODE, among data from START to END. */
static bool try_word(struct mw_jemalloc *je, uint64_t place, uint64_t node, uint64_t start,
		     uint64_t end, uint8_t *buf)
{
	struct mw_jemalloc_tree tree = {0};

	for (size_t i = 0; i < MW_JEMALLOC_SHAPES * mw_jemalloc_layout_count; i++) {
		uint64_t key = 0, size;

		tree.shape = &mw_jemalloc_shapes[i % MW_JEMALLOC_SHAPES];
		tree.layout = &mw_jemalloc_layouts[i / MW_JEMALLOC_SHAPES];
		size = mw_jemalloc_node_bytes(tree.shape);
		if (end - start < size || !find_key(je->heap.base.image, &tree, node, buf, &key) ||
		    8 * key > place)
			continue;
		tree.root = place - 8 * key;
		if (tree.root < start || end - tree.root < size)
			continue;
		je->trees[je->tree_count++] = tree;
		return true;
	}
	return false;
}

/* Search the data of one file, from START to END. */
static void search_data(struct mw_jemalloc *je, uint64_t start, uint64_t end, uint8_t *piece,
			uint8_t *buf)
{
	struct mw_image *image = je->heap.base.image;
	uint64_t rejected = 0;
	unsigned int tries = 0;

	for (uint64_t at = start; at < end && je->tree_count < MW_JEMALLOC_TREES; at += PIECE) {
		uint64_t len = end - at < PIECE ? end - at : PIECE;
		ssize_t n = mw_image__read(image, at, piece, len);

		for (uint64_t i = 0; n > 0 && i + 8 <= (uint64_t)n && tries < TRIES; i += 8) {
			uint64_t word = mw_u64_at(piece + i);

			if (word == rejected || !mw_nodes_may_be(image, word, ROOT_MIN, ALIGN))
				continue;
			if (try_word(je, at + i, word, start, end, buf))
				return;
			rejected = word;
			tries++;
		}
	}
}

/*
 * "5.3.0" from the text "5.3.0-0-g54eaed1d8b56…" of the file at REGION, "5.3.0-196" where it is so
 * many commits later, as in libraries that bring their own; "" when there is none.
 */
static void read_version(struct mw_image *image, const struct mw_region *region,
			 char text[VERSION_TEXT])
{
	struct mw_elffile *file = mw_image__elffile(image, region->map.start);
	static const char *const starts[] = {"5.0.", "5.1.", "5.2.", "5.3."};

	text[0] = '\0';
	for (size_t i = 0; file && i < sizeof(starts) / sizeof(starts[0]); i++) {
		size_t left;
		const char *at = mw_elffile__find_text(file, starts[i], &left);
		unsigned int later;
		char full[16];

		if (!at || left < sizeof(full))
			continue;
		snprintf(full, sizeof(full), "%.15s", at);
		if (sscanf(full, "5.%*1u.%*1u-%5u-", &later) != 1)
			continue;
		if (later)
			snprintf(text, VERSION_TEXT, "%.5s-%u", full, later);
		else
			snprintf(text, VERSION_TEXT, "%.5s", full);
	}
	mw_elffile__close(file);
}

static void set_version(struct mw_jemalloc *je, const struct mw_region *file)
{
	struct mw_jemalloc_tree *tree = &je->trees[je->tree_count - 1];
	char *version = je->heap.version, text[VERSION_TEXT];
	size_t len = strlen(version);

	read_version(je->heap.base.image, file, text);
	snprintf(version + len, sizeof(je->heap.version) - len, "%s%s", len ? " and " : "",
		 text[0] ? text : tree->layout->versions);
	if (text[0])
		mw_heap__add_evidence(&je->heap.base, "version: its text in the file");
}

static int search_files(struct mw_jemalloc *je)
{
	struct mw_image *image = je->heap.base.image;
	_cleanup_free_ uint8_t *buf = malloc(PIECE + 2 * (size_t)MW_NODE_BUF);
	struct mw_nodes_data data = {0};
	const struct mw_region *r;

	if (!buf)
		return -ENOMEM;
	while ((r = mw_nodes__next_data(&data, image, ROOT_MIN, "<", "jemalloc", ">"))) {
		size_t before = je->tree_count;

		search_data(je, data.start, data.end, buf, buf + PIECE);
		if (je->tree_count > before)
			set_version(je, mw_regions__file_start(mw_image__regions(image), r));
	}
	if (je->tree_count)
		mw_heap__add_evidence(&je->heap.base,
				      "radix tree: its leaves lead to extents that point back");
	return je->tree_count ? 0 : -ENOENT;
}

int mw_jemalloc__find(struct mw_jemalloc *je, struct mw_err *err)
{
	struct mw_image *image = je->heap.base.image;
	int ret = mw_nodes_are_lost(image, "<", "jemalloc", ">") ? mw_jemalloc__find_lost(je)
								 : search_files(je);

	if (ret == -ENOENT)
		return mw_heap_not_found(image, "jemalloc", err);
	return ret ? mw_err_no_memory(err, NULL) : 0;
}
