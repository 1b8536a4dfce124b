// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "heap/block.h"
#include "ledger/ledger.h"
#include "util/array.h"
#include "util/text.h"

enum { BATCH = 512, OWNERS_MAX = 1 << 20, SLOTS = 16384 };

/* One source of claims and how far it was read; level 0 is the regions. */
struct level {
	struct mw_blocks *blocks;
	struct mw_block batch[BATCH];
	size_t at, have;
	size_t span; /* first resident span not yet passed */
};

struct builder {
	struct mw_ledger *ledger;
	const struct mw_spans *spans;
	struct level levels[MW_LEDGER_SOURCES + 1];
	size_t level_count;
	struct {
		const char *owner;
		size_t entry;
	} slots[SLOTS]; /* owners by pointer: the same few come again and again */
	bool no_memory;
};

const char *mw_ledger_region_owner(const struct mw_region *region, char *buf, size_t size)
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
	else
		snprintf(buf, size, "anon/unknown");
	return buf;
}

static size_t entry_of(struct builder *b, const char *owner, bool stable)
{
	size_t slot = ((uintptr_t)owner >> 3) * 0x9e3779b97f4a7c15ULL >> 50, i;
	struct mw_ledger *l = b->ledger;

	if (stable && b->slots[slot].owner == owner)
		return b->slots[slot].entry;
	for (i = 0; i < l->count; i++) {
		if (!strncmp(l->entries[i].owner, owner, sizeof(l->entries[i].owner) - 1))
			break;
	}
	if (i == l->count) {
		if (i >= OWNERS_MAX ||
		    mw_array_reserve(&l->entries, &l->capacity, i + 1, sizeof(*l->entries))) {
			b->no_memory = true;
			return 0;
		}
		memset(&l->entries[i], 0, sizeof(l->entries[i]));
		snprintf(l->entries[i].owner, sizeof(l->entries[i].owner), "%s", owner);
		l->count++;
	}
	if (stable) {
		b->slots[slot].owner = owner;
		b->slots[slot].entry = i;
	}
	return i;
}

/* Resident bytes of [START, END); the calls of one level come in address order. */
static uint64_t resident_bytes(struct builder *b, struct level *level, uint64_t start, uint64_t end)
{
	const struct mw_span *s = b->spans->spans;
	uint64_t sum = 0;

	while (level->span < b->spans->count && s[level->span].end <= start)
		level->span++;
	for (size_t i = level->span; i < b->spans->count && s[i].start < end; i++) {
		uint64_t from = s[i].start > start ? s[i].start : start;
		uint64_t to = s[i].end < end ? s[i].end : end;

		sum += to - from;
	}
	return sum;
}

static const struct mw_block *peek(struct level *level)
{
	if (level->at == level->have) {
		if (!level->blocks)
			return NULL;
		level->have = level->blocks->fill(level->blocks, level->batch, BATCH);
		level->at = 0;
		if (!level->have) {
			level->blocks = NULL;
			return NULL;
		}
	}
	return &level->batch[level->at];
}

static void book(struct builder *b, const char *owner, uint64_t bytes, uint64_t resident,
		 bool stable, bool whole)
{
	size_t i = entry_of(b, owner, stable);

	if (b->no_memory)
		return;
	b->ledger->entries[i].bytes += bytes;
	b->ledger->entries[i].resident += resident;
	b->ledger->entries[i].count += whole;
}

/*
 * Book what the levels from INDEX on claim of [START, END), be it within blocks of this level or
 * between them. The two pointers get how much that was; the caller books the rest as its own.
 */
static void claim(struct builder *b, size_t index, uint64_t start, uint64_t end, uint64_t *bytes,
		  uint64_t *resident)
{
	struct level *level = &b->levels[index];
	const struct mw_block *block;
	uint64_t inner, inner_resident;

	*bytes = *resident = 0;
	if (index >= b->level_count)
		return;
	while (start < end && (block = peek(level)) && block->start < end) {
		uint64_t block_end = block->start + block->size, here;
		uint64_t to = block_end < end ? block_end : end;

		if (block_end <= start) {
			level->at++;
			continue;
		}
		if (block->start > start) {
			claim(b, index + 1, start, block->start, &inner, &inner_resident);
			*bytes += inner;
			*resident += inner_resident;
			start = block->start;
		}
		here = resident_bytes(b, level, start, to);
		claim(b, index + 1, start, to, &inner, &inner_resident);
		book(b, block->owner, to - start - inner, here - inner_resident, true,
		     to == block_end && inner < to - start);
		*bytes += to - start;
		*resident += here;
		start = to;
		if (block_end <= end)
			level->at++;
	}
	claim(b, index + 1, start, end, &inner, &inner_resident);
	*bytes += inner;
	*resident += inner_resident;
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

/* Pages that came between two looks: take what is too much off the largest owners. */
static void adjust(struct mw_ledger *l, uint64_t excess)
{
	l->adjusted = excess;
	qsort(l->entries, l->count, sizeof(*l->entries), by_resident);
	for (size_t i = 0; i < l->count && excess; i++) {
		uint64_t take = l->entries[i].resident < excess ? l->entries[i].resident : excess;

		l->entries[i].resident -= take;
		excess -= take;
	}
}

int mw_ledger__build(struct mw_ledger *ledger, struct mw_image *image, struct mw_blocks **sources,
		     size_t count, struct mw_err *err)
{
	const struct mw_regions *regions = mw_image__regions(image);
	struct builder *b = calloc(1, sizeof(*b));
	uint64_t excess = 0;
	int ret = b ? 0 : -ENOMEM;

	memset(ledger, 0, sizeof(*ledger));
	if (!ret)
		ret = mw_image__spans(image, &b->spans);
	if (ret)
		goto cleanup;
	b->ledger = ledger;
	for (size_t i = 0; i < count && i < MW_LEDGER_SOURCES; i++) {
		if (sources[i])
			b->levels[b->level_count++].blocks = sources[i];
	}
	for (size_t i = 0; i < regions->count && !b->no_memory; i++) {
		const struct mw_region *r = &regions->regions[i];
		uint64_t size = r->map.end - r->map.start, bytes, resident;
		char owner[80];

		claim(b, 0, r->map.start, r->map.end, &bytes, &resident);
		mw_ledger_region_owner(r, owner, sizeof(owner));
		if (resident > r->resident) {
			excess += resident - r->resident;
			resident = r->resident;
		}
		if (bytes < size)
			book(b, owner, size - bytes, r->resident - resident, false, true);
		ledger->resident += r->resident;
		ledger->swapped += r->swapped;
		ledger->hugetlb += r->hugetlb;
		ledger->thp += r->thp;
	}
	if (b->no_memory)
		ret = -ENOMEM;
	adjust(ledger, excess);
	if (ledger->count)
		qsort(ledger->entries, ledger->count, sizeof(*ledger->entries), by_resident);
	for (size_t i = 0; i < ledger->count; i++) {
		if (!strcmp(ledger->entries[i].owner, "anon/unknown"))
			ledger->unknown = ledger->entries[i].resident;
	}
cleanup:
	free(b);
	if (ret)
		mw_err_set(err, ret, "no-memory", mw_image__name(image),
			   "can't build the ledger: %s", strerror(-ret));
	return ret;
}

void mw_ledger__free(struct mw_ledger *ledger)
{
	free(ledger->entries);
	memset(ledger, 0, sizeof(*ledger));
}
