// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ledger/ledger.h"
#include "ledger/pieces.h"
#include "util/array.h"
#include "util/text.h"

enum { OWNERS_MAX = 1 << 20, SLOTS = 16384 };

struct builder {
	struct mw_ledger *ledger;
	struct {
		const char *owner;
		size_t entry;
	} slots[SLOTS]; /* owners by pointer: the same few come again and again */
};

enum mw_block_kind mw_ledger_region_owner(const struct mw_region *region, char *buf, size_t size)
{
	const struct mw_map *map = &region->map;
	const char *base = strrchr(map->path, '/');
	char name[64];

	if (!strncmp(map->path, "[anon:", 6))
		base = map->path + 6;
	else if (!strncmp(map->path, "[anon_shmem:", 12))
		base = map->path + 12;
	else
		base = base && base[1] ? base + 1 : map->path;
	mw_text_clean(name, sizeof(name), base, strcspn(base, base > map->path ? "]" : ""));
	if (!strncmp(map->path, "[stack", 6))
		snprintf(buf, size, "stack");
	else if (!strncmp(map->path, "[v", 2))
		snprintf(buf, size, "vdso");
	else if (map->inode && map->shared &&
		 (map->deleted || !strncmp(map->path, "/dev/", 5) ||
		  !strncmp(map->path, "/SYSV", 5) || !strncmp(map->path, "/memfd:", 7)))
		snprintf(buf, size, "shared/%s", name);
	else if (region->hugetlb)
		snprintf(buf, size, "hugetlb");
	else if (map->inode)
		snprintf(buf, size, "file/%s", name);
	else if (!strncmp(map->path, "[anon", 5))
		snprintf(buf, size, "anon/%s", name);
	else if (!map->readable && !map->writable && !map->executable)
		snprintf(buf, size, "guard");
	else {
		snprintf(buf, size, MW_OWNER_UNKNOWN);
		return MW_BLOCK_UNKNOWN;
	}
	return MW_BLOCK_LIVE;
}

/* The entry of OWNER, NULL: out of memory. STABLE: the text stays where it is. */
static struct mw_ledger_entry *entry_of(struct builder *b, const char *owner,
					enum mw_block_kind kind, bool stable)
{
	size_t slot = ((uintptr_t)owner >> 3) * 0x9e3779b97f4a7c15ULL >> 50, i;
	struct mw_ledger *l = b->ledger;

	if (stable && b->slots[slot].owner == owner)
		return &l->entries[b->slots[slot].entry];
	for (i = 0; i < l->count; i++) {
		if (!strncmp(l->entries[i].owner, owner, sizeof(l->entries[i].owner) - 1))
			break;
	}
	if (i == l->count) {
		if (i >= OWNERS_MAX ||
		    mw_array_reserve(&l->entries, &l->capacity, i + 1, sizeof(*l->entries)))
			return NULL;
		memset(&l->entries[i], 0, sizeof(l->entries[i]));
		snprintf(l->entries[i].owner, sizeof(l->entries[i].owner), "%s", owner);
		l->entries[i].unclaimed = kind == MW_BLOCK_UNKNOWN;
		l->count++;
	}
	if (stable) {
		b->slots[slot].owner = owner;
		b->slots[slot].entry = i;
	}
	return &l->entries[i];
}

static int book(void *arg, const struct mw_piece *piece)
{
	const struct mw_block *block = piece->block;
	struct mw_ledger_entry *entry;
	struct builder *b = arg;
	char owner[80];

	if (block) {
		entry = entry_of(b, block->owner, block->kind, true);
	} else {
		enum mw_block_kind kind =
			mw_ledger_region_owner(piece->region, owner, sizeof(owner));

		entry = entry_of(b, owner, kind, false);
	}
	if (!entry)
		return -ENOMEM;
	entry->bytes += piece->bytes;
	entry->resident += piece->resident;
	entry->count += piece->whole;
	return 0;
}

static int by_resident(const void *x, const void *y)
{
	const struct mw_ledger_entry *a = x, *b = y;

	if (a->resident != b->resident)
		return a->resident < b->resident ? 1 : -1;
	if (a->bytes != b->bytes)
		return a->bytes < b->bytes ? 1 : -1;
	return strcmp(a->owner, b->owner);
}

/* Sort. Pages that came while the image was read are taken off the largest owners. */
static void adjust(struct mw_ledger *l, uint64_t excess)
{
	l->adjusted = excess;
	if (!l->count)
		return;
	qsort(l->entries, l->count, sizeof(*l->entries), by_resident);
	for (size_t i = 0; i < l->count && excess; i++) {
		uint64_t take = l->entries[i].resident < excess ? l->entries[i].resident : excess;

		l->entries[i].resident -= take;
		excess -= take;
	}
	if (l->adjusted)
		qsort(l->entries, l->count, sizeof(*l->entries), by_resident);
}

int mw_ledger__build(struct mw_ledger *ledger, struct mw_image *image, struct mw_blocks **sources,
		     size_t count, struct mw_err *err)
{
	const struct mw_regions *regions = mw_image__regions(image);
	struct builder *b = calloc(1, sizeof(*b));
	uint64_t excess = 0;
	int ret = b ? 0 : -ENOMEM;

	memset(ledger, 0, sizeof(*ledger));
	if (!ret) {
		b->ledger = ledger;
		ret = mw_pieces__each(image, sources, count, book, b, &excess);
	}
	free(b);
	if (ret)
		return mw_err_set(err, ret, "no-memory", mw_image__name(image),
				  "can't build the ledger: %s", strerror(-ret));
	for (size_t i = 0; i < regions->count; i++) {
		const struct mw_region *r = &regions->regions[i];

		ledger->resident += r->resident;
		ledger->swapped += r->swapped;
		ledger->hugetlb += r->hugetlb;
		ledger->thp += r->thp;
	}
	adjust(ledger, excess);
	for (size_t i = 0; i < ledger->count; i++) {
		if (ledger->entries[i].unclaimed)
			ledger->unknown += ledger->entries[i].resident;
	}
	return 0;
}

void mw_ledger__free(struct mw_ledger *ledger)
{
	free(ledger->entries);
	memset(ledger, 0, sizeof(*ledger));
}
