/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A cache of an image's pages for small random reads, 32 MiB. */
#ifndef MW_IMAGE_PAGES_H
#define MW_IMAGE_PAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "image/image.h"

struct mw_pages {
	struct mw_image *image;
	uint64_t *tags; /* address of the page in each line, 1: none */
	uint32_t *have; /* bytes of it that could be read */
	uint8_t *bytes;
	size_t line, count; /* bytes of a line; lines; both powers of two */
	/* Bytes that a sweep holds anyway: its owner sets them, and clears them afterwards. */
	uint64_t hand_start, hand_size;
	const uint8_t *hand;
};

int mw_pages__init(struct mw_pages *pages, struct mw_image *image);
void mw_pages__forget(struct mw_pages *pages); /* empty it: memory has changed */
void mw_pages__free(struct mw_pages *pages);

/* Copy LEN bytes at ADDR; false when not all of them could be read. */
bool mw_pages_read(struct mw_pages *pages, uint64_t addr, void *buf, size_t len);

uint64_t mw_pages_far_word(struct mw_pages *pages, uint64_t addr);

/* The word at ADDR, 0 when it can't be read. */
static inline uint64_t mw_pages_word(struct mw_pages *pages, uint64_t addr)
{
	uint64_t value;

	if (addr - pages->hand_start >= pages->hand_size ||
	    pages->hand_size - (addr - pages->hand_start) < sizeof(value))
		return mw_pages_far_word(pages, addr);
	memcpy(&value, pages->hand + (addr - pages->hand_start), sizeof(value));
	return value;
}

uint32_t mw_pages_word32(struct mw_pages *pages, uint64_t addr);

#endif
