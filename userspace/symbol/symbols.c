// SPDX-License-Identifier: GPL-2.0-or-later
#include <string.h>

#include "symbol/elf_symbols.h"
#include "symbol/symbols.h"
#include "util/text.h"

struct place {
	struct mw_image *image;
	uint64_t base;
};

static int open_debug(void *arg)
{
	const struct place *place = arg;

	for (enum mw_debug_place p = MW_DEBUG_SYSROOT; p < MW_DEBUG_PLACES; p++) {
		int fd = mw_image__open_debug(place->image, place->base, p);

		if (fd >= 0)
			return fd;
	}
	return -1;
}

static uint64_t module_base(struct mw_image *image, uint64_t addr)
{
	const struct mw_regions *regions = mw_image__regions(image);
	const struct mw_region *r = mw_image__find(image, addr);

	if (!r)
		return 0;
	/* .bss lies behind its file's data. */
	if (!r->map.inode && r > regions->regions && r[-1].map.end == r->map.start)
		r--;
	if (!r->map.inode)
		return 0;
	/* The first page of a file may be in memory several times, with and without code. */
	while (r > regions->regions && r[-1].map.offset <= r->map.offset &&
	       r[-1].map.inode == r->map.inode && !strcmp(r[-1].map.path, r->map.path))
		r--;
	return addr < mw_image__elf_end(image, r->map.start) ? r->map.start : 0;
}

bool mw_image__symbol_name(struct mw_image *image, uint64_t addr, struct mw_symbol_name *out)
{
	struct place place = {image, module_base(image, addr)};
	int fd = place.base ? mw_image__open_debug(image, place.base, MW_DEBUG_FILE) : -1;
	const struct mw_map *map = fd < 0 ? NULL : &mw_image__find(image, place.base)->map;
	struct mw_elf_symbols *elf_symbols =
		map ? mw_elf_symbols__open(fd, map, open_debug, &place) : NULL;
	const char *name =
		elf_symbols ? mw_elf_symbols__symbol(elf_symbols, addr, &out->offset) : NULL;

	if (name)
		mw_text_clean(out->name, sizeof(out->name), name, strlen(name));
	mw_elf_symbols__close(elf_symbols);
	return name;
}
