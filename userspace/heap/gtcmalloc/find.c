// SPDX-License-Identifier: GPL-2.0-or-later
/* Finds the page map and the table of size classes in the data of a file. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "heap/gtcmalloc/impl.h"
#include "util/array.h"
#include "util/bytes.h"
#include "util/cleanup.h"

enum {
	ALIGN = 8,	  /* of a node and a leaf */
	CHECKS = 64,	  /* words of a leaf that are checked at most */
	LEAVES = 8,	  /* of a node */
	TRIES = 1 << 16,  /* words of one file's data that could point to a node */
	LEAF_TRIES = 256, /* those that could point to a leaf */
	MIN_CLASSES = 20,
	/* The least sizes of nodes and leaves, those of pages of 256 KiB; what is read first. */
	NODE_MIN = 8 << 10,
	LEAF_MIN = 10 << 10,
	FIRST = 4096,
};

/*
 * common.h: 8 KiB is the default, then large pages, 256k pages, small but slow. The last one is of
 * 8 KiB before 2026-08-12.
 */
static const struct mw_gtc_pages shapes[] = {
	{13, 2, 12, 12}, {15, 1, 11, 11}, {18, 2, 10, 10}, {12, 1, 12, 12}, {13, 2, 15, 0},
};

/*
 * Does the leaf at LEAF lead to spans that begin with the page whose word it is? It is the J-th of
 * its node; KEY gets the number of that, or of the leaf, in the root.
 */
static bool is_leaf(struct mw_image *image, const struct mw_gtc_pages *shape, uint64_t leaf,
		    uint64_t j, uint8_t *buf, uint64_t *key)
{
	unsigned int low = mw_gtc_low_bits(shape), tried = 0, right = 0;
	const uint8_t *p = mw_nodes_may_be(image, leaf, mw_gtc_leaf_size(shape), ALIGN)
				   ? mw_nodes_read(image, leaf, mw_gtc_leaf_size(shape), buf)
				   : NULL;
	uint64_t last = 0;

	for (uint64_t i = 0; p && i < 1ULL << shape->leaf_bits && tried < CHECKS; i++) {
		uint64_t word = mw_u64_at(p + mw_gtc_leaf_words(shape) + 8 * i), page;
		uint64_t span = mw_gtc_word_span(word);
		uint8_t raw[MW_GTC_SPAN];

		/* Words of deleted spans lead to a constant in the file. */
		if (!span || word == last ||
		    !mw_nodes_may_be(image, span, MW_GTC_SPAN, MW_GTC_SPAN))
			continue;
		last = word;
		tried++;
		if (!mw_image__read_all(image, span, raw, sizeof(raw)))
			continue;
		page = mw_gtc_first_page(raw, shape);
		if ((page & ((1ULL << low) - 1)) != (j << shape->leaf_bits | i))
			continue;
		if (!right)
			*key = page >> low;
		right += page >> low == *key;
	}
	/* Of a heap that was larger most words lead to spans that are elsewhere now. */
	return right > 1 || (right && right == tried);
}

/* The first LEN bytes of NODE, if all their words could lead to leaves of SIZE bytes; or NULL. */
static const uint8_t *read_node(struct mw_image *image, uint64_t node, uint64_t len, uint64_t size,
				uint8_t *buf)
{
	const uint8_t *p = mw_nodes_may_be(image, node, len, ALIGN)
				   ? mw_nodes_read(image, node, len, buf)
				   : NULL;

	for (uint64_t i = 0; p && i < len; i += 8) {
		if (mw_u64_at(p + i) && !mw_nodes_may_be(image, mw_u64_at(p + i), size, ALIGN))
			return NULL;
	}
	return p;
}

/* Is a node of the page map at NODE? KEY gets its number in the root. */
static bool is_node(struct mw_image *image, const struct mw_gtc_pages *shape, uint64_t node,
		    uint8_t *buf, uint64_t *key)
{
	uint64_t count = mw_gtc_node_size(shape) / 8, leaves[LEAVES], at[LEAVES];
	const uint8_t *p = read_node(image, node, 8 * count, mw_gtc_leaf_size(shape), buf);
	unsigned int n = 0;

	for (uint64_t i = 0; p && i < count && n < LEAVES; i++) {
		leaves[n] = mw_u64_at(p + 8 * i);
		at[n] = i;
		n += leaves[n] != 0;
	}
	/* Leaves of the addresses from which guarded objects are sampled have no spans. */
	for (unsigned int k = 0; k < n; k++) {
		if (is_leaf(image, shape, leaves[k], at[k], buf, key))
			return true;
	}
	return false;
}

/* Are all words of the root at P 0 or places where what it leads to could be? */
static bool is_root(struct mw_image *image, const struct mw_gtc_pages *shape, const uint8_t *p)
{
	uint64_t size = shape->node_bits ? mw_gtc_node_size(shape) : mw_gtc_leaf_size(shape);

	for (uint64_t i = 0; i < mw_gtc_root_size(shape); i += 8) {
		if (mw_u64_at(p + i) && !mw_nodes_may_be(image, mw_u64_at(p + i), size, ALIGN))
			return false;
	}
	return true;
}

/* A file's data, in which a root is searched. */
struct data {
	struct mw_image *image;
	const uint8_t *p;
	uint64_t len, start;
	uint8_t *buf; /* MW_NODE_BUF bytes */
};

/* Does the word at I belong to a root of SHAPE? ROOT gets its address. */
static bool is_in_root(const struct data *d, const struct mw_gtc_pages *shape, uint64_t i,
		       uint64_t *root)
{
	uint64_t word = mw_u64_at(d->p + i), key = 0;
	bool right = shape->node_bits ? is_node(d->image, shape, word, d->buf, &key)
				      : is_leaf(d->image, shape, word, 0, d->buf, &key);

	if (!right || 8 * key > i || d->len - (i - 8 * key) < mw_gtc_root_size(shape) ||
	    !is_root(d->image, shape, d->p + (i - 8 * key)))
		return false;
	*root = d->start + i - 8 * key;
	return true;
}

/* Could a leaf be at ADDR, by the classes that it begins with? */
static bool has_classes(const struct data *d, uint64_t addr)
{
	const uint8_t *p = mw_nodes_read(d->image, addr, FIRST, d->buf);

	for (uint64_t i = 0; p && i < FIRST; i += 2) {
		if (mw_u16_at(p + i) >= MW_GTC_CLASSES)
			return false;
	}
	return p;
}

static bool find_root(struct mw_gtc *gtc, const struct data *d)
{
	unsigned int tries = 0, leaves = 0;

	for (uint64_t i = 0; i + 8 <= d->len && tries < TRIES; i += 8) {
		uint64_t word = mw_u64_at(d->p + i);
		bool node, leaf;

		if (word - d->start < d->len || !mw_nodes_may_be(d->image, word, NODE_MIN, ALIGN))
			continue;
		tries++;
		/* Most of what is none is told by its first page. */
		node = read_node(d->image, word, FIRST, LEAF_MIN, d->buf);
		leaf = leaves < LEAF_TRIES && has_classes(d, word);
		leaves += leaf;
		for (size_t k = 0; k < MW_ARRAY_SIZE(shapes); k++) {
			gtc->pages = shapes[k];
			if ((shapes[k].node_bits ? node : leaf) &&
			    is_in_root(d, &shapes[k], i, &gtc->root))
				return true;
		}
	}
	return false;
}

/*
 * SizeMap's class_to_size_: 0, 8, then ascending sizes up to the largest; further on the same for
 * each partition. Words behind the table may look like sizes, but no page has such a class.
 */
static bool take_sizes(struct mw_gtc *gtc, const uint8_t *p, uint64_t len)
{
	uint32_t max = gtc->pages.shift == 12 ? 8 << 10 : 256 << 10, last = 0;
	uint64_t n = 1;

	if (len < 8 || mw_u32_at(p) || mw_u32_at(p + 4) != 8)
		return false;
	while (n < MW_GTC_CLASSES && 4 * n + 4 <= len && last < max) {
		uint32_t size = mw_u32_at(p + 4 * n++);

		if (size <= last || size > max || size % 8)
			return false;
		last = size;
	}
	if (last != max || n < MIN_CLASSES)
		return false;
	for (uint64_t i = 0; i < MW_GTC_CLASSES && 4 * i + 4 <= len; i++) {
		uint32_t size = mw_u32_at(p + 4 * i);

		gtc->sizes[i] = size <= max && size % 8 == 0 ? size : 0;
	}
	return true;
}

static bool find_sizes(struct mw_gtc *gtc, const uint8_t *data, uint64_t len)
{
	for (uint64_t i = 0; i + 8 <= len; i += 4) {
		if (take_sizes(gtc, data + i, len - i))
			return true;
	}
	return false;
}

static int search_file(struct mw_gtc *gtc, uint64_t start, uint64_t end, uint8_t *buf)
{
	_cleanup_free_ uint8_t *data = malloc(end - start);
	struct data d;
	ssize_t n;

	if (!data)
		return -ENOMEM;
	n = mw_image__read(gtc->heap.base.image, start, data, end - start);
	d = (struct data){gtc->heap.base.image, data, n > 0 ? (uint64_t)n : 0, start, buf};
	if (!find_root(gtc, &d) || !find_sizes(gtc, data, d.len))
		return -ENOENT;
	gtc->data = start;
	gtc->data_end = start + d.len;
	return 0;
}

static int search_files(struct mw_gtc *gtc)
{
	_cleanup_free_ uint8_t *buf = malloc(MW_NODE_BUF);
	struct mw_nodes_data data = {0};

	while (buf &&
	       mw_nodes__next_data(&data, gtc->heap.base.image, 0, "tcmalloc", "_region_", "")) {
		int ret = search_file(gtc, data.start, data.end, buf);

		if (ret != -ENOENT)
			return ret;
	}
	return buf ? -ENOENT : -ENOMEM;
}

int mw_gtc__find(struct mw_gtc *gtc, struct mw_err *err)
{
	int ret = search_files(gtc);
	bool found = !ret;

	if (!ret)
		ret = mw_gtc__choose_layout(gtc);
	/* The name that it gives its mappings (system_allocator.h). */
	if (ret == -ENOENT &&
	    (found || mw_nodes_a_file_says(gtc->heap.base.image, "tcmalloc", "_region_", "")))
		return mw_err_set(err, -ENOTSUP, "unknown-heap", NULL,
				  "Google's tcmalloc is loaded, but its heap can't be read: a "
				  "version or a build that is not known here, or nothing was "
				  "allocated yet");
	if (ret == -ENOENT)
		return mw_err_set(err, -ENOENT, "no-heap", NULL, "no heap of Google's tcmalloc");
	if (ret)
		return mw_err_no_memory(err, NULL);
	snprintf(gtc->heap.version, sizeof(gtc->heap.version), "%s (Google's)",
		 gtc->layout->version);
	mw_heap__add_evidence(&gtc->heap.base,
			      "page map: its leaves lead to spans that begin with the page");
	mw_heap__add_evidence(&gtc->heap.base, "size classes: their table");
	mw_heap__add_evidence(&gtc->heap.base,
			      "layout of spans: as many objects are free in them as they count");
	return 0;
}
