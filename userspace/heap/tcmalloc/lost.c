// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The page map without its root and its classes without their table, which a core that was cut
 * short has lost with the library's data. What is left is in tcmalloc's own memory: threads' caches
 * have the size of each class in their lists, and a leaf's word leads to a span, which says for
 * which page the word is, and so where its leaf begins.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "heap/tcmalloc/impl.h"
#include "util/bytes.h"
#include "util/cleanup.h"

enum {
	TRIES = 1 << 16,
	LEAF_ALIGN = 16,
	CACHE_ALIGN = 64,
	LISTS = MW_TCMALLOC_LIST * MW_TCMALLOC_CLASSES,
};

struct search {
	struct mw_tcmalloc *tc;
	struct mw_read_buffer window;
	uint64_t rejected, span; /* what was tried last */
	unsigned int tries;
	uint8_t buf[MW_NODE_BUF];
};

/* Is a thread's cache at ADDR? The first one tells the classes. */
static int try_cache(struct search *s, uint64_t addr)
{
	struct mw_tcmalloc *tc = s->tc;
	uint8_t raw[LISTS];
	uint32_t classes;

	if (!mw_image__read_all(tc->heap.base.image, addr, raw, sizeof(raw)) ||
	    !mw_tcmalloc_are_sizes(raw + MW_TCMALLOC_LIST_SIZE, MW_TCMALLOC_LIST, &classes))
		return 0;
	for (uint32_t i = 0; i < classes && !tc->threads.count; i++)
		tc->sizes[i] = (int32_t)mw_u32_at(raw + i * (size_t)MW_TCMALLOC_LIST +
						  MW_TCMALLOC_LIST_SIZE);
	if (!tc->threads.count)
		tc->classes = classes;
	return mw_nodes__add(&tc->threads, addr, sizeof(raw), 0);
}

static int find_caches(void *arg, uint64_t start, const uint8_t *p, uint64_t len)
{
	int ret = 0;

	for (uint64_t i = 0; (!ret || ret == -EEXIST) && i < len; i += CACHE_ALIGN) {
		uint32_t first = mw_u32_at(p + i + MW_TCMALLOC_LIST + MW_TCMALLOC_LIST_SIZE);

		if (!mw_u32_at(p + i + MW_TCMALLOC_LIST_SIZE) && (first == 8 || first == 16))
			ret = try_cache(arg, start + i);
	}
	return ret == -EEXIST ? 0 : ret;
}

/* The word at PLACE, which leads to a span: its leaf. */
static int try_word(struct search *s, uint64_t place, uint64_t word)
{
	struct mw_image *image = s->tc->heap.base.image;
	struct mw_tcmalloc_span span;
	const uint8_t *raw;
	uint64_t leaf, key;
	int ret;

	if (!mw_nodes_may_be(image, word, MW_TCMALLOC_SPAN, 8))
		return 0;
	raw = mw_read_buffer__at(&s->window, word, MW_TCMALLOC_SPAN);
	if (!raw || !mw_tcmalloc_decode(raw, &span) ||
	    !mw_nodes_may_be(image, span.start * MW_TCMALLOC_PAGE, MW_TCMALLOC_PAGE,
			     MW_TCMALLOC_PAGE))
		return 0;
	leaf = place - 8 * (span.start & ((1ULL << MW_TCMALLOC_LEAF_BITS) - 1));
	if (leaf == s->rejected || !mw_nodes_may_be(image, leaf, MW_TCMALLOC_LEAF, LEAF_ALIGN))
		return 0;
	s->tries++;
	s->rejected = leaf;
	if (!mw_tcmalloc_is_leaf(image, leaf, s->buf, &key))
		return 0;
	ret = mw_nodes__add(&s->tc->leaves, leaf, MW_TCMALLOC_LEAF, key);
	return ret == -EEXIST ? 0 : ret;
}

static int find_leaves(void *arg, uint64_t start, const uint8_t *p, uint64_t len)
{
	struct search *s = arg;
	const struct mw_nodes *leaves = &s->tc->leaves;
	int ret = 0;

	for (uint64_t i = 0, next; !ret && i < len && s->tries < TRIES; i = next) {
		const struct mw_node *last =
			leaves->count ? &leaves->list[leaves->count - 1] : NULL;
		uint64_t word = mw_u64_at(p + i);

		next = i + 8;
		if (last && start + i - last->addr < MW_TCMALLOC_LEAF)
			next = last->addr + MW_TCMALLOC_LEAF - start;
		else if (word && word != s->span)
			ret = try_word(s, start + i, word);
		s->span = word;
	}
	return ret;
}

int mw_tcmalloc__find_lost(struct mw_tcmalloc *tc)
{
	_cleanup_free_ struct search *s = calloc(1, sizeof(*s));
	int ret = s ? mw_read_buffer__init(&s->window, tc->heap.base.image) : -ENOMEM;

	if (ret)
		return ret;
	s->tc = tc;
	ret = mw_nodes_search(tc->heap.base.image, find_caches, s);
	if (!ret && tc->threads.count)
		ret = mw_nodes_search(tc->heap.base.image, find_leaves, s);
	mw_read_buffer__free(&s->window);
	if (ret || !tc->leaves.count)
		return ret ? ret : -ENOENT;
	snprintf(tc->heap.version, sizeof(tc->heap.version), "unknown");
	mw_heap__add_evidence(&tc->heap.base,
			      "the page map's root is not in the core, which was cut short: its "
			      "leaves, which lead to spans that have the page");
	mw_heap__add_evidence(&tc->heap.base, "size classes: those of threads' caches");
	mw_heap__add_evidence(&tc->heap.base,
			      "the transfer caches are lost: their objects look live");
	return 0;
}
