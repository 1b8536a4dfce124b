// SPDX-License-Identifier: GPL-2.0-or-later
/* Any bytes as a core: opened, its heap looked for, its ledger built. */
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <stdio.h>
#include <unistd.h>

#include "heap/heap.h"
#include "image/elffile.h"
#include "ledger/ledger.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Files are rebuilt from what a snapshot has of them; those of this machine stay out of it. */
static void open_files(struct mw_image *image)
{
	const struct mw_regions *regions = mw_image__regions(image);
	struct mw_missing_file missing;

	for (size_t i = 0; i < regions->count && i < 64; i++)
		mw_elffile__close(mw_image__elffile(image, regions->regions[i].map.start));
	for (size_t i = 0; mw_image__missing_file(image, i, &missing); i++)
		;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct mw_image_options options = {.sysroot = "/nonexistent"};
	int fd = memfd_create("core", MFD_CLOEXEC);
	struct mw_blocks *sources[2] = {NULL, NULL};
	struct mw_ledger ledger = {0};
	struct mw_image *image;
	struct mw_err err;
	char path[64];

	if (write(fd, data, size) != (ssize_t)size)
		abort();
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	image = mw_image__open_core(path, &options, &err);
	if (image) {
		struct mw_heaps heaps;

		open_files(image);
		mw_heaps__open(&heaps, image, &err);
		sources[0] = mw_image_owners(image);
		sources[1] = heaps.count ? mw_heap__blocks(heaps.list[0]) : NULL;
		if (sources[0] && !mw_ledger__build(&ledger, image, sources, 2, NULL, &err)) {
			uint64_t sum = 0;

			for (size_t i = 0; i < ledger.count; i++)
				sum += ledger.entries[i].resident;
			if (sum != ledger.resident)
				abort();
		}
		mw_ledger__free(&ledger);
		mw_blocks__close(sources[0]);
		mw_blocks__close(sources[1]);
		mw_heaps__close(&heaps);
		mw_image__close(image);
	}
	close(fd);
	return 0;
}
