// SPDX-License-Identifier: GPL-2.0-or-later
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/sites.h"
#include "util/array.h"
#include "util/text.h"

struct site {
	struct mw_site_stats stats; /* what callers see */
	uint64_t hash;
};

struct mw_sites {
	struct site **list; /* each allocated separately: pointers to sites stay valid */
	size_t count, capacity;
	uint32_t *table; /* by hash: index + 1, 0 is free; at most half full */
	size_t mask;
	uint64_t ticks, stride; /* the ticks that STRIDE divides became points */
};

enum { TABLE_FIRST = 1024 };

static uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t len)
{
	const unsigned char *p = bytes;

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ p[i]) * 0x100000001b3ULL; /* FNV-1a */
	return hash;
}

static uint64_t hash_frames(uint32_t target, uint32_t layer, const struct mw_frame *frames,
			    size_t count)
{
	uint64_t hash = hash_bytes(0xcbf29ce484222325ULL, &target, sizeof(target));

	hash = hash_bytes(hash, &layer, sizeof(layer));
	for (size_t i = 0; i < count; i++) {
		const struct mw_frame *f = &frames[i];

		hash = hash_bytes(hash, f->function, strlen(f->function) + 1);
		hash = hash_bytes(hash, f->file, strlen(f->file) + 1);
		hash = hash_bytes(hash, &f->line, sizeof(f->line));
		hash = hash_bytes(hash, &f->offset, sizeof(f->offset));
	}
	return hash ^ hash >> 29;
}

static bool same_frames(const struct mw_site_stats *site, uint32_t target, uint32_t layer,
			const struct mw_frame *frames, size_t count)
{
	if (site->target != target || site->frame_count != count ||
	    (site->flags & MW_SITE_PYTHON) != layer)
		return false;
	for (size_t i = 0; i < count; i++) {
		const struct mw_frame *a = &site->frames[i], *b = &frames[i];

		if (a->kind != b->kind || a->line != b->line || a->offset != b->offset ||
		    strcmp(a->function, b->function) || strcmp(a->file, b->file))
			return false;
	}
	return true;
}

struct mw_sites *mw_sites__new(void)
{
	struct mw_sites *sites = calloc(1, sizeof(*sites));

	if (!sites)
		return NULL;
	sites->stride = 1;
	sites->mask = TABLE_FIRST - 1;
	sites->table = calloc(TABLE_FIRST, sizeof(*sites->table));
	if (!sites->table) {
		free(sites);
		return NULL;
	}
	return sites;
}

static void free_site(struct site *site)
{
	free((void *)(uintptr_t)site->stats.frames);
	free(site);
}

void mw_sites__free(struct mw_sites *sites)
{
	if (!sites)
		return;
	for (size_t i = 0; i < sites->count; i++)
		free_site(sites->list[i]);
	free(sites->list);
	free(sites->table);
	free(sites);
}

/* One block of memory: the frames, and their texts behind them. */
static struct mw_frame *copy_frames(const struct mw_frame *frames, size_t count)
{
	size_t size = count * sizeof(*frames);
	struct mw_frame *copy;
	char *text;

	for (size_t i = 0; i < count; i++)
		size += strlen(frames[i].function) + strlen(frames[i].file) + 2;
	copy = malloc(size ? size : 1);
	if (!copy)
		return NULL;
	text = (char *)(copy + count);
	for (size_t i = 0; i < count; i++) {
		copy[i] = frames[i];
		copy[i].function = text;
		text = stpcpy(text, frames[i].function) + 1;
		copy[i].file = text;
		text = stpcpy(text, frames[i].file) + 1;
	}
	return copy;
}

/* Room for one more site in the list and the table. */
static bool make_room(struct mw_sites *sites)
{
	size_t size = 2 * (sites->mask + 1);
	uint32_t *table;

	if (sites->count >= UINT32_MAX - 1 ||
	    mw_array_reserve(&sites->list, &sites->capacity, sites->count + 1, sizeof(void *)))
		return false;
	if (2 * (sites->count + 1) <= sites->mask)
		return true;
	table = calloc(size, sizeof(*table));
	if (!table)
		return false;
	for (size_t i = 0; i < sites->count; i++) {
		size_t at = sites->list[i]->hash & (size - 1);

		while (table[at])
			at = (at + 1) & (size - 1);
		table[at] = (uint32_t)i + 1;
	}
	free(sites->table);
	sites->table = table;
	sites->mask = size - 1;
	return true;
}

static struct site *new_site(uint32_t target, const struct mw_frame *frames, size_t count)
{
	struct site *site = count <= UINT32_MAX ? calloc(1, sizeof(*site)) : NULL;

	if (!site)
		return NULL;
	site->stats.frames = copy_frames(frames, count);
	if (!site->stats.frames) {
		free(site);
		return NULL;
	}
	site->stats.frame_count = (uint32_t)count;
	site->stats.target = target;
	site->stats.first_seen = -1;
	site->stats.last_seen = -1;
	return site;
}

struct mw_site_stats *mw_sites__intern(struct mw_sites *sites, uint32_t target,
				       const struct mw_frame *frames, size_t count, uint32_t flags)
{
	uint32_t layer = flags & MW_SITE_PYTHON;
	uint64_t hash = hash_frames(target, layer, frames, count);
	struct site *site;
	size_t at;

	for (at = hash & sites->mask; sites->table[at]; at = (at + 1) & sites->mask) {
		site = sites->list[sites->table[at] - 1];
		if (site->hash == hash && same_frames(&site->stats, target, layer, frames, count)) {
			site->stats.flags |= flags;
			return &site->stats;
		}
	}
	if (!make_room(sites))
		return NULL;
	site = new_site(target, frames, count);
	if (!site)
		return NULL;
	site->hash = hash;
	site->stats.flags = flags;
	site->stats.id = (uint32_t)sites->count + 1;
	for (at = hash & sites->mask; sites->table[at];) /* the table may have grown */
		at = (at + 1) & sites->mask;
	sites->table[at] = site->stats.id;
	sites->list[sites->count++] = site;
	return &site->stats;
}

size_t mw_sites__count(const struct mw_sites *sites)
{
	return sites->count;
}

const struct mw_site_stats *mw_sites__at(const struct mw_sites *sites, size_t i)
{
	return &sites->list[i]->stats;
}

struct mw_site_stats *mw_sites__edit(struct mw_sites *sites, size_t i)
{
	return &sites->list[i]->stats;
}

double mw_site_error(const struct mw_site_stats *site)
{
	return site->totals.live_variance > 0 ? sqrt(site->totals.live_variance) : 0;
}

/* Keep the points of ticks that 2 * STRIDE divides; the last one is of the tick LAST. */
static void thin_out(struct mw_site_stats *site, uint64_t last, uint64_t stride)
{
	size_t kept = 0;

	for (size_t i = 0; i < site->point_count; i++) {
		uint64_t tick = last - (site->point_count - 1 - i) * stride;

		if (tick % (2 * stride) == 0)
			site->points[kept++] = site->points[i];
	}
	site->point_count = kept;
}

/*
 * All sites have points of the same moments, at an even pace: when one's history is full, every
 * second point of all goes, and from then on every second tick makes none. It is the number of
 * the tick that decides, so sites that came later stay in step.
 */
void mw_sites__tick(struct mw_sites *sites, double elapsed)
{
	if (++sites->ticks % sites->stride)
		return;
	for (size_t i = 0; i < sites->count; i++) {
		if (sites->list[i]->stats.point_count < MW_SERIES_HISTORY)
			continue;
		for (size_t k = 0; k < sites->count; k++)
			thin_out(&sites->list[k]->stats, sites->ticks - sites->stride,
				 sites->stride);
		sites->stride *= 2;
		break;
	}
	if (sites->ticks % sites->stride)
		return;
	for (size_t i = 0; i < sites->count; i++) {
		struct mw_site_stats *site = &sites->list[i]->stats;

		site->points[site->point_count++] = mw_site_point_at(site, elapsed);
	}
}

double mw_site_key(const struct mw_site_stats *site, enum mw_site_order order)
{
	switch (order) {
	case MW_SITES_BY_OUTSTANDING:
		return mw_site_outstanding(site);
	case MW_SITES_BY_GROWTH:
		return mw_site_growth(site);
	case MW_SITES_BY_ALLOCS:
		return site->totals.allocs;
	case MW_SITES_BY_BYTES:
		return site->totals.alloc_bytes;
	case MW_SITES_BY_FAULTS:
		return site->totals.fault_bytes;
	case MW_SITES_ORDERS:
		break;
	}
	return 0;
}

size_t mw_sites__top(const struct mw_sites *sites, uint32_t target, enum mw_site_order order,
		     const struct mw_site_stats **out, size_t max)
{
	size_t n = 0;

	/* MAX is small: insertion into the sorted few. Of equals the older site comes first. */
	for (size_t i = 0; i < sites->count && max; i++) {
		const struct mw_site_stats *site = &sites->list[i]->stats;
		double key = mw_site_key(site, order);
		size_t at;

		if (site->target != target || !(key > 0) ||
		    (n == max && key <= mw_site_key(out[n - 1], order)))
			continue;
		if (n < max)
			n++;
		for (at = n - 1; at && mw_site_key(out[at - 1], order) < key; at--)
			out[at] = out[at - 1];
		out[at] = site;
	}
	return n;
}

char *mw_frame_format(const struct mw_frame *frame, char *buf, size_t size)
{
	const char *slash = strrchr(frame->file, '/');
	const char *base = slash && slash[1] ? slash + 1 : frame->file;
	char whole[1024];
	unsigned long long offset = frame->offset;

	switch (frame->kind) {
	case MW_FRAME_PYTHON:
		if (frame->line)
			snprintf(whole, sizeof(whole), "%s:%u %s", base, frame->line,
				 frame->function);
		else
			snprintf(whole, sizeof(whole), "%s %s", base, frame->function);
		break;
	case MW_FRAME_NATIVE:
		if (!frame->function[0])
			snprintf(whole, sizeof(whole), "%s+0x%llx", base, offset);
		else if (frame->line)
			snprintf(whole, sizeof(whole), "%s %s:%u", base, frame->function,
				 frame->line);
		else
			snprintf(whole, sizeof(whole), "%s %s+0x%llx", base, frame->function,
				 offset);
		break;
	case MW_FRAME_NOTE:
		snprintf(whole, sizeof(whole), "[%s]", frame->function);
		break;
	default:
		whole[0] = '\0';
	}
	/* Cut between characters: half of one is no UTF-8. */
	return mw_text_clean(buf, size, whole, strlen(whole));
}
