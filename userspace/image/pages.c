// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "arch/arch.h"
#include "image/pages.h"

/*
 * A line is a page, because a mapping may begin at any page. Of a debugger, the reader below caches
 * larger pieces.
 */
enum { LINE = MW_PAGE_SIZE, CACHE = 32 << 20 };

int mw_pages__init(struct mw_pages *pages, struct mw_image *image)
{
	memset(pages, 0, sizeof(*pages));
	pages->image = image;
	pages->line = LINE;
	pages->count = CACHE / pages->line;
	pages->tags = malloc(pages->count * sizeof(*pages->tags));
	pages->have = malloc(pages->count * sizeof(*pages->have));
	pages->bytes = malloc(CACHE);
	if (!pages->tags || !pages->have || !pages->bytes)
		return -ENOMEM;
	mw_pages__forget(pages);
	return 0;
}

void mw_pages__forget(struct mw_pages *pages)
{
	for (size_t i = 0; i < pages->count; i++)
		pages->tags[i] = 1;
}

void mw_pages__free(struct mw_pages *pages)
{
	free(pages->tags);
	free(pages->have);
	free(pages->bytes);
	memset(pages, 0, sizeof(*pages));
}

/* The bytes at ADDR in their line; LEFT says how many of them are valid. */
static const uint8_t *look(struct mw_pages *pages, uint64_t addr, size_t *left)
{
	uint64_t page = addr & ~(pages->line - 1);
	size_t i = (size_t)(page / pages->line) & (pages->count - 1), offset = addr - page;
	uint8_t *bytes = pages->bytes + i * pages->line;

	if (addr - pages->hand_start < pages->hand_size) {
		*left = pages->hand_size - (addr - pages->hand_start);
		return pages->hand + (addr - pages->hand_start);
	}
	if (pages->tags[i] != page) {
		ssize_t n = mw_image__read(pages->image, page, bytes, pages->line);

		pages->tags[i] = page;
		pages->have[i] = n > 0 ? (uint32_t)n : 0;
	}
	*left = pages->have[i] > offset ? pages->have[i] - offset : 0;
	return bytes + offset;
}

bool mw_pages_read(struct mw_pages *pages, uint64_t addr, void *buf, size_t len)
{
	uint8_t *to = buf;

	while (len) {
		size_t left;
		const uint8_t *from = look(pages, addr, &left);

		if (!left)
			return false;
		if (left > len)
			left = len;
		memcpy(to, from, left);
		to += left;
		addr += left;
		len -= left;
	}
	return true;
}

uint64_t mw_pages_far_word(struct mw_pages *pages, uint64_t addr)
{
	uint64_t value = 0;
	size_t left;
	const uint8_t *p = look(pages, addr, &left);

	if (left >= sizeof(value))
		memcpy(&value, p, sizeof(value));
	else if (!mw_pages_read(pages, addr, &value, sizeof(value)))
		return 0;
	return value;
}

uint32_t mw_pages_word32(struct mw_pages *pages, uint64_t addr)
{
	uint32_t value = 0;

	return mw_pages_read(pages, addr, &value, sizeof(value)) ? value : 0;
}
