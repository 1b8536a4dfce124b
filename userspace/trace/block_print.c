// SPDX-License-Identifier: GPL-2.0-or-later
#include <string.h>

#include "image/image.h"
#include "model/tracked.h"
#include "trace/block_print.h"

enum { SKIPPED = 16, WHOLE = 2048, WORD = 8 };

uint64_t mw_block_print(struct mw_image *image, uint64_t addr, uint64_t size)
{
	uint64_t words[MW_PRINT_WORDS], count = size / WORD - SKIPPED / WORD;
	uint8_t content[WHOLE];
	bool whole = size <= WHOLE;

	if (size < SKIPPED + 2 * WORD || (whole && !mw_image__read_all(image, addr, content, size)))
		return 0;
	for (uint64_t i = 0; i < MW_PRINT_WORDS; i++) {
		/* From the first word to the last, evenly. */
		uint64_t at = SKIPPED + (count - 1) * i / (MW_PRINT_WORDS - 1) * WORD;

		if (whole)
			memcpy(&words[i], content + at, sizeof(words[i]));
		else if (!mw_image__read_u64(image, addr + at, &words[i]))
			return 0;
	}
	return mw_print_of(words);
}
