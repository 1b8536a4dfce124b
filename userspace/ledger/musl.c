// SPDX-License-Identifier: GPL-2.0-or-later
#include <string.h>

#include "ledger/musl.h"
#include "util/bytes.h"

enum {
	PAGE = 4096,
	AREA_HEAD = 24, /* secret, next area, number of slots */
	META = 40,	/* struct meta */
	SLOTS = (PAGE - AREA_HEAD) / META,
	META_MEM = 16, /* the group, and the word with its pages from bit 12 on */
	META_BITS = 32,
	REGION_MAX = 64 << 20, /* of descriptors: those of a hundred thousand groups */
};

static const char owner[] = "musl/heap";

/* The pages of the group that slot META at ADDR describes; 0: none of its own, or no group. */
static uint64_t group_bytes(struct mw_image *image, const uint8_t *meta, uint64_t addr,
			    uint64_t *group, bool *wrong)
{
	uint64_t pages = mw_u64_at(meta + META_BITS) >> 12, back;

	*group = mw_u64_at(meta + META_MEM);
	if (!*group)
		return 0;
	*wrong = *group % 16 || !mw_image__read_u64(image, *group, &back) || back != addr;
	return *wrong || *group % PAGE || pages >> 35 ? 0 : pages * PAGE;
}

/* The area at ADDR, which is AREA: each slot in use must have a group that points back. */
static int take_area(struct mw_image *image, const uint8_t *area, uint64_t addr, mw_runtime_fn fn,
		     void *arg)
{
	uint64_t group, bytes;
	unsigned int right = 0;
	bool wrong = false;
	int ret = 0;

	for (size_t i = 0; i < SLOTS && !wrong; i++) {
		const uint8_t *meta = area + AREA_HEAD + i * META;

		group_bytes(image, meta, addr + AREA_HEAD + i * META, &group, &wrong);
		right += group && !wrong;
	}
	if (wrong || !right)
		return 0;
	for (size_t i = 0; i < SLOTS && !ret; i++) {
		const uint8_t *meta = area + AREA_HEAD + i * META;

		bytes = group_bytes(image, meta, addr + AREA_HEAD + i * META, &group, &wrong);
		if (bytes)
			ret = fn(arg, group, group + bytes, owner);
	}
	return ret ? ret : fn(arg, addr, addr + PAGE, owner);
}

static bool may_hold_areas(const struct mw_region *r)
{
	return r->map.writable && !r->map.inode && !r->map.shared && !r->io && r->resident &&
	       r->map.end - r->map.start <= REGION_MAX;
}

/* An image with glibc has no other C library. */
static bool has_glibc(const struct mw_regions *regions)
{
	for (size_t i = 0; i < regions->count; i++) {
		const char *slash = strrchr(regions->regions[i].map.path, '/');

		if (slash && !strcmp(slash + 1, "libc.so.6"))
			return true;
	}
	return false;
}

int mw_musl_heap(struct mw_image *image, mw_runtime_fn fn, void *arg)
{
	const struct mw_regions *regions = mw_image__regions(image);
	uint8_t heads[MW_PARTS_MAX][AREA_HEAD], area[2 * PAGE];
	int ret = 0;

	for (size_t i = 0; i < regions->count && !has_glibc(regions) && !ret; i++) {
		const struct mw_map *map = &regions->regions[i].map;

		if (!may_hold_areas(&regions->regions[i]))
			continue;
		for (uint64_t at = map->start; map->end - at >= PAGE && !ret;) {
			uint64_t left = (map->end - at) / PAGE;
			size_t n = left < MW_PARTS_MAX ? (size_t)left : MW_PARTS_MAX;
			size_t got = mw_image__read_parts(image, at, PAGE, heads, AREA_HEAD, n);

			for (size_t k = 0; k < got && !ret; k++) {
				if (mw_u64_at(heads[k]) && mw_u32_at(heads[k] + 16) == SLOTS &&
				    mw_image__read_all(image, at + k * PAGE, area, PAGE))
					ret = take_area(image, area, at + k * PAGE, fn, arg);
			}
			at += (got + (got < n)) * PAGE;
		}
	}
	return ret;
}
