// SPDX-License-Identifier: GPL-2.0-or-later
/* Finds the page map and the table of size classes in the data of a file. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "heap/nodes.h"
#include "heap/tcmalloc/impl.h"
#include "image/elffile.h"
#include "util/bytes.h"
#include "util/cleanup.h"

enum {
	ALIGN = 16,	   /* of a leaf */
	CHECKS = 64,	   /* words of a leaf that are checked at most */
	TRIES = 4096,	   /* words of one file's data that could point to a leaf */
	PIECE = 64 << 10,  /* bytes of a leaf that are read at a time */
	MAX_SIZE = 262144, /* kMaxSize: the largest size class */
	MIN_CLASSES = 40,
};

bool mw_tcmalloc_decode(const uint8_t *p, struct mw_tcmalloc_span *span)
{
	uint32_t bits = mw_u32_at(p + 40);

	*span = (struct mw_tcmalloc_span){
		.start = mw_u64_at(p),
		.pages = mw_u64_at(p + 8),
		.objects = mw_u64_at(p + 32),
		.used = bits & 0xffff,
		.size_class = bits >> 16 & 0xff,
		.place = bits >> 24 & 3,
	};
	return span->pages && span->start < 1ULL << 34 && span->pages < 1ULL << 34 &&
	       span->size_class < MW_TCMALLOC_CLASSES && span->place <= MW_TCMALLOC_RETURNED;
}

bool mw_tcmalloc_is_leaf(struct mw_image *image, uint64_t leaf, uint8_t *buf, uint64_t *key)
{
	unsigned int tried = 0, right = 0;
	uint64_t last = 0, len = 4096;

	for (uint64_t at = 0; at < MW_TCMALLOC_LEAF && tried < CHECKS; at += len, len = PIECE) {
		uint64_t n = MW_TCMALLOC_LEAF - at < len ? MW_TCMALLOC_LEAF - at : len;
		const uint8_t *p = mw_nodes_read(image, leaf + at, n, buf);

		for (uint64_t i = 0; p && i < n && tried < CHECKS; i += 8) {
			uint64_t word = mw_u64_at(p + i), page;
			struct mw_tcmalloc_span span;
			uint8_t raw[MW_TCMALLOC_SPAN];

			if (!word || word == last)
				continue;
			last = word;
			if (++tried > CHECKS / 8 && !right)
				return false;
			if (word % 8 || !mw_image__read_all(image, word, raw, sizeof(raw)) ||
			    !mw_tcmalloc_decode(raw, &span))
				continue;
			if (!right)
				*key = span.start >> MW_TCMALLOC_LEAF_BITS;
			page = (*key << MW_TCMALLOC_LEAF_BITS) + (at + i) / 8;
			right += page - span.start < span.pages;
		}
		if (!p)
			return false;
	}
	return right && right * 4 >= tried * 3;
}

/* SizeMap's class_to_size_: 0, then ascending sizes up to the largest, then zeros. */
bool mw_tcmalloc_are_sizes(const uint8_t *p, size_t stride, uint32_t *classes)
{
	uint32_t n = 1, first = mw_u32_at(p + stride), last = 0;

	if (mw_u32_at(p) || (first != 8 && first != 16))
		return false;
	while (n < MW_TCMALLOC_CLASSES && mw_u32_at(p + stride * n) > last && last < MAX_SIZE) {
		last = mw_u32_at(p + stride * n++);
		if (last % 8)
			return false;
	}
	*classes = n;
	return last == MAX_SIZE && n >= MIN_CLASSES &&
	       (n == MW_TCMALLOC_CLASSES || !mw_u32_at(p + stride * n));
}

static bool find_sizes(struct mw_tcmalloc *tc, const uint8_t *data, uint64_t len)
{
	for (uint64_t i = 0; i + sizeof(tc->sizes) <= len; i += 4) {
		if (!mw_tcmalloc_are_sizes(data + i, sizeof(tc->sizes[0]), &tc->classes))
			continue;
		memcpy(tc->sizes, data + i, sizeof(tc->sizes));
		return true;
	}
	return false;
}

static bool search_data(struct mw_tcmalloc *tc, const uint8_t *data, uint64_t len, uint64_t start,
			uint8_t *buf)
{
	struct mw_image *image = tc->heap.base.image;
	unsigned int tries = 0;

	for (uint64_t i = 0; i + 8 <= len && tries < TRIES; i += 8) {
		uint64_t word = mw_u64_at(data + i), key = 0;

		if (!mw_nodes_may_be(image, word, MW_TCMALLOC_LEAF, ALIGN))
			continue;
		tries++;
		if (!mw_tcmalloc_is_leaf(image, word, buf, &key) || 8 * key > i ||
		    len - (i - 8 * key) < MW_TCMALLOC_ROOT)
			continue;
		tc->root = start + i - 8 * key;
		return true;
	}
	return false;
}

static void set_version(struct mw_tcmalloc *tc, const struct mw_region *file)
{
	struct mw_elffile *elf = mw_image__elffile(tc->heap.base.image, file->map.start);
	size_t left, n = 0;
	const char *at = elf ? mw_elffile__find_text(elf, "gperftools 2.", &left) : NULL;

	if (at && left > 20) {
		at += strlen("gperftools ");
		while (n < 8 && ((at[n] >= '0' && at[n] <= '9') || at[n] == '.'))
			n++;
	}
	snprintf(tc->heap.version, sizeof(tc->heap.version), "%.*s", n ? (int)n : 7,
		 n ? at : "unknown");
	mw_elffile__close(elf);
	if (n)
		mw_heap__add_evidence(&tc->heap.base, "version: its text in the file");
}

static int search_file(struct mw_tcmalloc *tc, uint64_t start, uint64_t end, uint8_t *buf)
{
	_cleanup_free_ uint8_t *data = malloc(end - start);
	ssize_t n;

	if (!data)
		return -ENOMEM;
	n = mw_image__read(tc->heap.base.image, start, data, end - start);
	if (n < MW_TCMALLOC_ROOT || !search_data(tc, data, (uint64_t)n, start, buf))
		return -ENOENT;
	tc->data = start;
	tc->data_end = end;
	return find_sizes(tc, data, (uint64_t)n) ? 0 : -ENOENT;
}

static int search_files(struct mw_tcmalloc *tc)
{
	struct mw_image *image = tc->heap.base.image;
	_cleanup_free_ uint8_t *buf = malloc(MW_NODE_BUF);
	struct mw_nodes_data data = {0};
	const struct mw_region *r;

	while (buf &&
	       (r = mw_nodes__next_data(&data, image, MW_TCMALLOC_ROOT, "", "tcmalloc", ": "))) {
		int ret = search_file(tc, data.start, data.end, buf);

		if (ret == -ENOMEM)
			return ret;
		if (ret)
			continue;
		set_version(tc, mw_regions__file_start(mw_image__regions(image), r));
		mw_heap__add_evidence(&tc->heap.base,
				      "page map: its leaves lead to spans that have the page");
		mw_heap__add_evidence(&tc->heap.base, "size classes: their table");
		return 0;
	}
	return buf ? -ENOENT : -ENOMEM;
}

int mw_tcmalloc__find(struct mw_tcmalloc *tc, struct mw_err *err)
{
	struct mw_image *image = tc->heap.base.image;
	int ret = mw_nodes_are_lost(image, "", "tcmalloc", ": ") ? mw_tcmalloc__find_lost(tc)
								 : search_files(tc);

	/* Of Google's, heap/gtcmalloc says what there is to say. */
	if (ret == -ENOENT && mw_nodes_a_file_says(image, "tcmalloc", "_region_", ""))
		return mw_err_set(err, -ENOENT, "no-heap", NULL, "no heap of gperftools");
	if (ret == -ENOENT)
		return mw_heap_not_found(image, "tcmalloc", err);
	return ret ? mw_err_no_memory(err, NULL) : 0;
}
