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
	else if (map->inode && map->shared && (map->deleted || mw_map__is_memory(map->path)))
		snprintf(buf, size, "shared/%s", name);
	else if (region->hugetlb)
		snprintf(buf, size, "hugetlb");
	else if (map->inode)
		snprintf(buf, size, "file/%s", name);
	else if (!strncmp(map->path, "[anon", 5))
		snprintf(buf, size, "anon/%s", name);
	else if (!map->readable && !map->writable && !map->executable && !region->resident)
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
	char text[sizeof(l->entries->owner)];

	if (stable && b->slots[slot].owner == owner)
		return &l->entries[b->slots[slot].entry];
	mw_text_clean(text, sizeof(text), owner, strlen(owner));
	for (i = 0; i < l->count; i++) {
		if (!strcmp(l->entries[i].owner, text))
			break;
	}
	if (i == l->count) {
		if (i >= OWNERS_MAX ||
		    mw_array_reserve(&l->entries, &l->capacity, i + 1, sizeof(*l->entries)))
			return NULL;
		memset(&l->entries[i], 0, sizeof(l->entries[i]));
		memcpy(l->entries[i].owner, text, sizeof(text));
		l->entries[i].unclaimed = kind == MW_BLOCK_UNKNOWN;
		l->count++;
	}
	if (stable) {
		b->slots[slot].owner = owner;
		b->slots[slot].entry = i;
	}
	return &l->entries[i];
}

/*
 * What is known of a mapping that nobody claims: the name that prctl or the kernel gave it, its
 * file, its permissions.
 */
static void describe(const struct mw_map *map, char *buf, size_t size)
{
	char name[64];

	if (map->path[0]) {
		mw_text_clean(name, sizeof(name), map->path, strlen(map->path));
		snprintf(buf, size, "%s%s", name, map->deleted ? " (deleted)" : "");
		return;
	}
	snprintf(buf, size, "anonymous %c%c%c%c", map->readable ? 'r' : '-',
		 map->writable ? 'w' : '-', map->executable ? 'x' : '-', map->shared ? 's' : 'p');
}

static int book_unknown(struct mw_ledger *l, const struct mw_piece *piece)
{
	struct mw_ledger_unknown *u = NULL;
	char mapping[sizeof(u->mapping)];

	describe(&piece->region->map, mapping, sizeof(mapping));
	for (size_t i = 0; i < l->unknown_count && !u; i++) {
		if (!strcmp(l->unknowns[i].mapping, mapping))
			u = &l->unknowns[i];
	}
	if (!u) {
		if (mw_array_reserve(&l->unknowns, &l->unknown_capacity, l->unknown_count + 1,
				     sizeof(*l->unknowns)))
			return -ENOMEM;
		u = &l->unknowns[l->unknown_count++];
		memset(u, 0, sizeof(*u));
		memcpy(u->mapping, mapping, sizeof(mapping));
	}
	u->bytes += piece->bytes;
	u->resident += piece->resident;
	u->count += piece->whole;
	return 0;
}

static int book(void *arg, const struct mw_piece *piece)
{
	const struct mw_block *block = piece->block;
	struct mw_ledger_entry *entry;
	enum mw_block_kind kind = block ? block->kind : MW_BLOCK_UNKNOWN;
	struct builder *b = arg;
	char owner[80];

	if (block) {
		entry = entry_of(b, block->owner, kind, true);
	} else {
		kind = mw_ledger_region_owner(piece->region, owner, sizeof(owner));
		entry = entry_of(b, owner, kind, false);
	}
	if (!entry)
		return -ENOMEM;
	entry->bytes += piece->bytes;
	entry->resident += piece->resident;
	entry->count += piece->whole;
	return entry->unclaimed ? book_unknown(b->ledger, piece) : 0;
}

struct books {
	struct builder *builder;
	uint64_t bytes;
};

static int sum_up(void *arg, const struct mw_py_sum *sum)
{
	struct books *books = arg;

	books->bytes += sum->bytes;
	return 0;
}

static int book_sum(void *arg, const struct mw_py_sum *sum)
{
	struct books *books = arg;
	struct mw_ledger_entry *entry = entry_of(books->builder, sum->owner, sum->kind, true);

	if (!entry)
		return -ENOMEM;
	entry->bytes += sum->bytes;
	entry->resident += sum->bytes;
	entry->count += sum->count;
	return 0;
}

/*
 * What pools have in them, in place of the pools. They stay as they are where they are not what
 * was booked, as where damaged mappings or arenas overlap: the sum is right all the same.
 */
static int open_pools(struct builder *b, struct mw_python *py, const struct mw_spans *spans)
{
	struct books books = {.builder = b};
	struct mw_ledger *l = b->ledger;
	struct mw_ledger_entry *pools;
	size_t i = 0;
	int ret;

	while (i < l->count && strcmp(l->entries[i].owner, mw_python_whole_pool) != 0)
		i++;
	if (i == l->count)
		return 0;
	ret = mw_python__whole_pools(py, spans, sum_up, &books);
	pools = &l->entries[i];
	if (ret || books.bytes != pools->bytes || books.bytes != pools->resident)
		return ret;
	pools->bytes = pools->resident = pools->count = 0;
	ret = mw_python__whole_pools(py, spans, book_sum, &books);
	if (!ret) {
		memmove(&l->entries[i], &l->entries[i + 1],
			(l->count - i - 1) * sizeof(*l->entries));
		l->count--;
	}
	return ret;
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

static int by_unknown_resident(const void *x, const void *y)
{
	const struct mw_ledger_unknown *a = x, *b = y;

	if (a->resident != b->resident)
		return a->resident < b->resident ? 1 : -1;
	if (a->bytes != b->bytes)
		return a->bytes < b->bytes ? 1 : -1;
	return strcmp(a->mapping, b->mapping);
}

/* Pages that came while the image was read are taken off the largest of the unknown, too. */
static void adjust_unknown(struct mw_ledger *l)
{
	uint64_t sum = 0;

	if (!l->unknown_count)
		return;
	qsort(l->unknowns, l->unknown_count, sizeof(*l->unknowns), by_unknown_resident);
	for (size_t i = 0; i < l->unknown_count; i++) {
		struct mw_ledger_unknown *u = &l->unknowns[i];

		if (u->resident > l->unknown - sum)
			u->resident = l->unknown - sum;
		sum += u->resident;
	}
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
		     size_t count, struct mw_python *py, struct mw_err *err)
{
	const struct mw_regions *regions = mw_image__regions(image);
	struct builder *b = calloc(1, sizeof(*b));
	const struct mw_spans *spans;
	uint64_t excess = 0;
	int ret = b ? mw_image__spans(image, &spans) : -ENOMEM;

	memset(ledger, 0, sizeof(*ledger));
	if (!ret) {
		b->ledger = ledger;
		ret = mw_pieces__each(image, sources, count, book, b, &excess);
	}
	if (!ret && py)
		ret = open_pools(b, py, spans);
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
		ledger->zeros += r->zeros;
	}
	adjust(ledger, excess);
	for (size_t i = 0; i < ledger->count; i++) {
		if (ledger->entries[i].unclaimed)
			ledger->unknown += ledger->entries[i].resident;
	}
	adjust_unknown(ledger);
	return 0;
}

void mw_ledger__free(struct mw_ledger *ledger)
{
	free(ledger->entries);
	free(ledger->unknowns);
	memset(ledger, 0, sizeof(*ledger));
}
