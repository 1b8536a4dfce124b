// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "diagnosis/facts.h"
#include "ledger/reclaim.h"
#include "ledger/whatis.h"
#include "util/array.h"
#include "util/units.h"

enum { COLLECTOR_LAGS = 20000 };

static const char *const share_names[] = {
	[MW_SHARE_OBJECTS] = "your Python objects",
	[MW_SHARE_PYTHON_FREE] = "free, held by Python",
	[MW_SHARE_HEAP_FREE] = "free, held by the C heap",
	[MW_SHARE_NATIVE] = "C memory in use",
	[MW_SHARE_RUNTIME] = "the runtime's own heap",
	[MW_SHARE_MAPPINGS] = "other mappings, owner unknown",
	[MW_SHARE_FILES] = "mapped files and libraries",
	[MW_SHARE_SHARED] = "shared memory",
	[MW_SHARE_STACKS] = "stacks",
	[MW_SHARE_OVERHEAD] = "allocators' and interpreter's own",
};

const char *mw_share_name(enum mw_share share)
{
	return share_names[share];
}

static bool begins(const char *text, const char *with)
{
	size_t n = strlen(with);

	return !strncmp(text, with, n) && (!text[n] || text[n] == '/');
}

/* The first row that fits counts: of an owner "ALLOCATOR/REST" its second part decides. */
static const struct {
	const char *first, *rest; /* NULL: any */
	enum mw_share share;
} owners[] = {
	{"python", "live", MW_SHARE_OBJECTS},
	{"python", "buffer", MW_SHARE_OBJECTS},
	{"python", "gc-head", MW_SHARE_OBJECTS},
	{"python", "held", MW_SHARE_OBJECTS},
	{"python", "data", MW_SHARE_OBJECTS},
	{"python", "frames", MW_SHARE_OBJECTS},
	{"python", "free-block", MW_SHARE_PYTHON_FREE},
	{"python", "free-pool", MW_SHARE_PYTHON_FREE},
	{"python", "parked", MW_SHARE_PYTHON_FREE},
	{"python", NULL, MW_SHARE_OVERHEAD},
	{"file", NULL, MW_SHARE_FILES},
	{"vdso", NULL, MW_SHARE_FILES},
	{"shared", NULL, MW_SHARE_SHARED},
	{"stack", NULL, MW_SHARE_STACKS},
	{"tls", NULL, MW_SHARE_STACKS},
	{"guard", NULL, MW_SHARE_STACKS},
	{"anon", NULL, MW_SHARE_MAPPINGS},
	{"jvm", NULL, MW_SHARE_RUNTIME},
	{"v8", NULL, MW_SHARE_RUNTIME},
	{"go", NULL, MW_SHARE_RUNTIME},
	{NULL, "free", MW_SHARE_HEAP_FREE},
	{NULL, "top", MW_SHARE_HEAP_FREE},
	{NULL, "live", MW_SHARE_NATIVE},
	{NULL, "mmapped", MW_SHARE_NATIVE},
	{NULL, "overhead", MW_SHARE_OVERHEAD},
	{NULL, "reserve", MW_SHARE_OVERHEAD},
};

enum mw_share mw_share_of(const char *owner)
{
	const char *slash = strchr(owner, '/'), *rest = slash ? slash + 1 : "";

	for (size_t i = 0; i < MW_ARRAY_SIZE(owners); i++) {
		if ((!owners[i].first || begins(owner, owners[i].first)) &&
		    (!owners[i].rest || begins(rest, owners[i].rest)))
			return owners[i].share;
	}
	return MW_SHARE_MAPPINGS;
}

char *mw_facts__pace(char buf[MW_PACE_BUF], const struct mw_facts *facts, double per_second)
{
	char size[MW_UNIT_BUF];

	mw_format_size(size, (uint64_t)(facts->undated ? per_second : 60 * per_second));
	snprintf(buf, MW_PACE_BUF, "%s%s", size, facts->undated ? "" : " a minute");
	return buf;
}

bool mw_facts__collector_lags(const struct mw_facts *facts)
{
	return facts->python.young > COLLECTOR_LAGS;
}

void mw_facts__set_later(struct mw_facts *facts, const struct mw_series *rss)
{
	size_t last = rss->n - 1;

	facts->has_later = true;
	facts->later_growth = fmax((rss->y[last] - rss->y[0]) / (rss->t[last] - rss->t[0]),
				   mw_series__robust_fit(rss));
}

static int by_bytes(const void *a, const void *b, void *arg)
{
	const struct mw_moment *m = arg;
	uint64_t x = m->shares[*(const enum mw_share *)a], y = m->shares[*(const enum mw_share *)b];

	return x < y ? 1 : -(x > y);
}

void mw_moment__rank(const struct mw_moment *moment, enum mw_share order[MW_SHARES])
{
	for (enum mw_share i = 0; i < MW_SHARES; i++)
		order[i] = i;
	qsort_r(order, MW_SHARES, sizeof(order[0]), by_bytes, (void *)moment);
}

void mw_moment__of(struct mw_moment *moment, const struct mw_ledger *ledger,
		   const struct mw_py_census *census)
{
	memset(moment, 0, sizeof(*moment));
	moment->resident = ledger->resident;
	moment->swapped = ledger->swapped;
	moment->objects = census ? census->objects : 0;
	for (size_t i = 0; i < ledger->count; i++)
		moment->shares[mw_share_of(ledger->entries[i].owner)] +=
			ledger->entries[i].resident;
}

/* The first MW_FACT_MAPS owners of SHARE; the ledger has the largest first. */
static void name_largest(struct mw_fact_map *out, const struct mw_ledger *ledger,
			 enum mw_share share)
{
	size_t n = 0;

	for (size_t i = 0; i < ledger->count && n < MW_FACT_MAPS; i++) {
		const struct mw_ledger_entry *e = &ledger->entries[i];
		const char *slash = strchr(e->owner, '/');

		if (mw_share_of(e->owner) != share || !e->resident)
			continue;
		if (!strcmp(e->owner, "anon/unknown"))
			slash = "/anonymous memory";
		snprintf(out[n].name, sizeof(out[n].name), "%s", slash ? slash + 1 : e->owner);
		out[n++].bytes = e->resident;
	}
}

/* The runtime with the largest heap. */
static void name_runtime(char *buf, size_t size, const struct mw_ledger *ledger)
{
	for (size_t i = 0; i < ledger->count && !buf[0]; i++) {
		const char *owner = ledger->entries[i].owner;

		if (mw_share_of(owner) == MW_SHARE_RUNTIME)
			snprintf(buf, size, "%.*s", (int)strcspn(owner, "/"), owner);
	}
}

/* Resident bytes of the owners that begin with PREFIX. */
static uint64_t sum_of(const struct mw_ledger *ledger, const char *prefix)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < ledger->count; i++)
		sum += begins(ledger->entries[i].owner, prefix) ? ledger->entries[i].resident : 0;
	return sum;
}

static uint64_t count_of(const struct mw_ledger *ledger, const char *prefix)
{
	uint64_t count = 0;

	for (size_t i = 0; i < ledger->count; i++)
		count += begins(ledger->entries[i].owner, prefix) ? ledger->entries[i].count : 0;
	return count;
}

/* What is free between objects, or in threads' caches, does not go back with time. */
static uint64_t pages_kept(const struct mw_ledger *ledger, const char *allocator)
{
	static const enum mw_block_kind kinds[] = {MW_BLOCK_PAGES, MW_BLOCK_DIRTY, MW_BLOCK_MUZZY};
	char owner[64];
	uint64_t sum = 0;

	for (size_t i = 0; i < MW_ARRAY_SIZE(kinds); i++) {
		snprintf(owner, sizeof(owner), "%s/%s", allocator, mw_block_kind_path(kinds[i]));
		sum += sum_of(ledger, owner);
	}
	return sum;
}

static int read_heap(struct mw_heap_facts *heap, struct mw_survey *survey,
		     const struct mw_ledger *ledger, struct mw_err *err)
{
	const struct mw_heap_setting *threshold, *dynamic;
	struct mw_reclaim reclaim;
	struct mw_heap_info info;
	struct mw_whatis what;
	uint64_t kept, most = 0, arenas = 0;
	int ret;

	for (size_t i = 0; i < survey->heaps.count; i++) {
		ret = mw_heap__info(survey->heaps.list[i], MW_HEAP_SUMS, &info);
		if (ret)
			return mw_err_no_memory(err, mw_image__name(survey->image));
		kept = pages_kept(ledger, info.allocator);
		if (kept > most) {
			most = kept;
			snprintf(heap->keeper, sizeof(heap->keeper), "%s", info.allocator);
		}
		heap->cached += kept;
		/* The one that has most to say, which the C library's own has where it is used. */
		if (!heap->allocator[0] || info.arena_count > arenas) {
			snprintf(heap->allocator, sizeof(heap->allocator), "%s", info.allocator);
			arenas = info.arena_count;
		}
		if (strcmp(info.allocator, "glibc"))
			continue;
		heap->arenas = info.arena_count;
		threshold = mw_heap_info__setting(&info, "mmap_threshold");
		dynamic = mw_heap_info__setting(&info, "dynamic");
		heap->threshold_known = threshold && dynamic;
		heap->threshold = threshold ? threshold->value : 0;
		heap->dynamic = dynamic && dynamic->value;
	}
	if (survey->heaps.none.code == -ENOTSUP)
		snprintf(heap->unread, sizeof(heap->unread), "%.*s", MW_FACT_NAME - 1,
			 survey->heaps.none.message);
	ret = mw_survey__reclaim(survey, &reclaim, err);
	if (ret)
		return ret;
	heap->free = reclaim.free;
	heap->trim = reclaim.trim;
	heap->thread_free = reclaim.thread;
	heap->large_free = reclaim.large;
	heap->large_live = reclaim.large_live;
	heap->below_pin = reclaim.below_pin;
	heap->pin = reclaim.pin.start;
	heap->pin_size = reclaim.pin.size;
	if (reclaim.pin.size &&
	    !mw_whatis(&what, survey, reclaim.pin.start + reclaim.pin.header, NULL))
		snprintf(heap->pin_owner, sizeof(heap->pin_owner), "%s", what.owner);
	return 0;
}

static void read_python(struct mw_python_facts *python, const struct mw_survey *survey,
			const struct mw_ledger *ledger, const struct mw_py_census *census)
{
	const struct mw_py_info *info = mw_python__info(survey->py);

	snprintf(python->version, sizeof(python->version), "%s", info->version);
	python->arena_bytes = info->arena_bytes;
	python->free_blocks = sum_of(ledger, "python/free-block");
	python->free_pools = sum_of(ledger, "python/free-pool");
	python->parked = sum_of(ledger, "python/parked");
	python->parked_objects = census->parked;
	python->young = census->has_generations ? census->generations[0] : 0;
	for (size_t i = 0; i < census->type_count && i < MW_FACT_TYPES; i++) {
		const struct mw_py_type *type = &census->types[i];
		struct mw_fact_type *out = &python->types[python->type_count++];

		mw_python_type_name(type, out->name, sizeof(out->name));
		out->count = type->count;
		out->bytes = type->bytes;
	}
}

/* Is FILE, as owners have it, mapped to be run? */
static bool is_code(struct mw_image *image, const char *file)
{
	const struct mw_regions *regions = mw_image__regions(image);

	for (size_t i = 0; i < regions->count; i++) {
		const struct mw_map *map = &regions->regions[i].map;
		const char *slash = strrchr(map->path, '/');

		if (map->executable && slash && !strcmp(slash + 1, file))
			return true;
	}
	return false;
}

static uint64_t code_of(const struct mw_ledger *ledger, struct mw_image *image)
{
	static const char prefix[] = "file/";
	uint64_t sum = 0;

	for (size_t i = 0; i < ledger->count; i++) {
		const struct mw_ledger_entry *e = &ledger->entries[i];

		if (e->resident && !strncmp(e->owner, prefix, sizeof(prefix) - 1) &&
		    is_code(image, e->owner + sizeof(prefix) - 1))
			sum += e->resident;
	}
	return sum;
}

int mw_facts__survey(struct mw_facts *facts, struct mw_survey *survey,
		     const struct mw_ledger *ledger, struct mw_err *err)
{
	struct mw_py_census census = {0};
	bool python = survey->py && !mw_survey__census(survey, &census, NULL);

	mw_moment__of(&facts->now, ledger, python ? &census : NULL);
	facts->now.code = code_of(ledger, survey->image);
	mw_image__coverage(survey->image, &facts->present, &facts->promised);
	name_largest(facts->files, ledger, MW_SHARE_FILES);
	name_largest(facts->shared, ledger, MW_SHARE_SHARED);
	name_largest(facts->mappings, ledger, MW_SHARE_MAPPINGS);
	name_runtime(facts->runtime, sizeof(facts->runtime), ledger);
	facts->threads = count_of(ledger, "stack");
	if (python)
		read_python(&facts->python, survey, ledger, &census);
	return read_heap(&facts->heap, survey, ledger, err);
}
