// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Sites that resize blocks: a buffer that grows dies young at each of its realloc's, so the age of
 * its blocks says nothing. But blocks of its sizes become more, and looks count them.
 */
#include <stdlib.h>

#include "model/tracked_impl.h"

/* Of the blocks of a size, those of such sites: hardly anybody else's. */
static const double THEIRS = 0.9;
/* Classes next to its own that a site may have been in unseen: half as large again. */
enum { NEXT = 5 };

static void count_size(struct tracked_sizes **sizes, const struct mw_tracked_block *block,
		       size_t class)
{
	uint64_t bytes = block->room ? block->room : block->size;

	if (!*sizes)
		*sizes = calloc(1, sizeof(**sizes));
	if (*sizes)
		(block->room ? (*sizes)->met : (*sizes)->made)[class] +=
			block->weight * (double)bytes;
}

void mw_tracked_count_size(struct mw_tracked *t, struct tracked_site *site,
			   const struct mw_tracked_block *block)
{
	size_t class = mw_live_class(block->room ? block->room : block->size, MW_LIVE_MALLOC);

	if (block->kind != MW_KIND_ALLOC)
		return;
	count_size(&t->sizes[block->slot], block, class);
	if (site->sums.resized > 0)
		count_size(&site->sizes, block, class);
}

static bool resizes(const struct tracked_site *site, uint32_t slot)
{
	return site && site->sizes && site->last.slot == slot &&
	       mw_only_resizes(site->sums.resized, site->sums.allocs);
}

/* Bytes of CLASS that looks have met, which tells who keeps them; else those that were made. */
static double bytes_of(const struct tracked_sizes *all, const struct tracked_sizes *sizes,
		       size_t class)
{
	return all->met[class] > 0 ? sizes->met[class] : sizes->made[class];
}

/* How much of each class sites of SLOT that resize have, 0 to 1; -1: of none a block was seen. */
static void find_parts(const struct mw_tracked *t, uint32_t slot, double parts[MW_LIVE_CLASSES])
{
	const struct tracked_sizes *all = t->sizes[slot];

	for (size_t class = 0; class < MW_LIVE_CLASSES; class ++)
		parts[class] = 0;
	for (size_t i = 0; t->sites.slots && i <= t->sites.mask; i++) {
		const struct tracked_site *site = t->sites.slots[i].value;

		for (size_t class = 0; resizes(site, slot) && class < MW_LIVE_CLASSES; class ++)
			parts[class] += bytes_of(all, site->sizes, class);
	}
	for (size_t class = 0; class < MW_LIVE_CLASSES; class ++) {
		double whole = bytes_of(all, all, class);

		parts[class] = whole > 0 ? parts[class] / whole : -1;
	}
}

/* May CLASS be a site's too, which has the one before or after it? */
static bool is_nobodys(const double parts[MW_LIVE_CLASSES], size_t class)
{
	return class < MW_LIVE_CLASSES && parts[class] < 0;
}

/*
 * The classes of SITE that are theirs. A growing buffer goes through all of them, and was seen in
 * some only: those between, and the next few, are its own where nobody else was seen.
 */
static void find_classes(const struct mw_tracked *t, const struct tracked_site *site, uint32_t slot,
			 const double parts[MW_LIVE_CLASSES], bool in[MW_LIVE_CLASSES])
{
	size_t first = MW_LIVE_CLASSES, last = 0;

	for (size_t class = 0; class < MW_LIVE_CLASSES; class ++) {
		in[class] =
			parts[class] >= THEIRS && bytes_of(t->sizes[slot], site->sizes, class) > 0;
		if (!in[class])
			continue;
		first = first < MW_LIVE_CLASSES ? first : class;
		last = class;
	}
	if (first == MW_LIVE_CLASSES)
		return;
	for (size_t i = 1; i <= NEXT && is_nobodys(parts, first - 1); i++)
		in[--first] = true;
	for (size_t i = 1; i <= NEXT && is_nobodys(parts, last + 1); i++)
		in[++last] = true;
	for (size_t class = first; class < last; class ++)
		in[class] = in[class] || parts[class] < 0;
}

/* SITE's part of what sites that resize have of the classes that are IN. */
static double share_of(const struct mw_tracked *t, const struct tracked_site *site, uint32_t slot,
		       const double parts[MW_LIVE_CLASSES], const bool in[MW_LIVE_CLASSES])
{
	const struct tracked_sizes *sizes = t->sizes[slot];
	double its = 0, all = 0;

	for (size_t class = 0; class < MW_LIVE_CLASSES; class ++) {
		if (!in[class] || parts[class] < 0)
			continue;
		its += bytes_of(sizes, site->sizes, class);
		all += parts[class] * bytes_of(sizes, sizes, class);
	}
	return all > 0 ? its / all : 0;
}

static void settle_site(const struct mw_tracked *t, struct tracked_site *site, uint32_t slot,
			const double parts[MW_LIVE_CLASSES])
{
	bool in[MW_LIVE_CLASSES];
	struct mw_live_trend trend;

	find_classes(t, site, slot, parts, in);
	trend = mw_live_bytes__trend(&t->live[slot]->growth.looks, in);
	if (trend.course != MW_LIVE_GOES_ON || !(trend.least > 0))
		return;
	site->now.swells = share_of(t, site, slot, parts, in) * trend.rate;
	site->now.swells_most = trend.most;
}

void mw_tracked_settle_resized(struct mw_tracked *t)
{
	double parts[MW_LIVE_CLASSES];

	for (uint32_t slot = 0; slot < MW_SLOTS; slot++) {
		if (!t->sizes[slot] || !t->live[slot] || !t->live[slot]->growth.known)
			continue;
		find_parts(t, slot, parts);
		for (size_t i = 0; t->sites.slots && i <= t->sites.mask; i++) {
			struct tracked_site *site = t->sites.slots[i].value;

			if (resizes(site, slot))
				settle_site(t, site, slot, parts);
		}
	}
}
