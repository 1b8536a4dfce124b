// SPDX-License-Identifier: GPL-2.0-or-later
#include <math.h>
#include <stdlib.h>

#include "model/tracked_impl.h"

/* A variance from a few dozen windows is often too small by so much. */
static const double MARGIN = 1.2;
/* Blocks that are sure to be kept: fewer say nothing of what all stand for. */
static const double FEW = 8;
/* By chance so many blocks don't stand for so much less than what they should. */
static const double FAR_MORE = 2;

/* ---- all blocks of a size -------------------------------------------------------------------- */

void mw_tracked__set_live_bytes(struct mw_tracked *t, uint32_t slot, unsigned int fine,
				const struct mw_live_growth *growth)
{
	struct mw_live_parts **live = slot < MW_SLOTS ? &t->live[slot] : NULL;

	if (live && !*live)
		*live = calloc(1, sizeof(**live));
	if (!live || !*live)
		return;
	(*live)->fine = fine;
	(*live)->began = t->began_at;
	(*live)->growth = *growth;
}

/* All blocks of BLOCK's size, which are of CLASS; NULL: nothing is known of them. */
static struct mw_live_parts *live_of(const struct mw_tracked *t,
				     const struct mw_tracked_block *block, size_t *class)
{
	struct mw_live_parts *live = t->live[block->slot];

	if (!live || !live->growth.known || !block->room)
		return NULL;
	*class = mw_live_class(block->room, live->fine);
	return live;
}

static double bytes_of(const struct mw_tracked_block *block)
{
	return block->weight * (double)block->room;
}

/* Deaths a second that windows have seen of a block of its site; half a one more than were seen. */
static double deaths_of(const struct mw_tracked *t, const struct mw_tracked_block *block)
{
	const struct tracked_site *site = mw_u64map__find(&t->sites, block->site);

	return site && site->deaths.seconds > 0 ? (site->deaths.all + 0.5) / site->deaths.seconds
						: INFINITY;
}

/* What is known of each block by itself, and all of them by their size. */
static void add_blocks(struct mw_tracked *t, double now)
{
	for (size_t i = 0; i < t->count; i++) {
		struct mw_tracked_block *b = &t->blocks[i];
		struct mw_live_parts *live;
		size_t class;

		b->kept = b->seen_at > 0 ? mw_tracked_sure_same(t, b, now) : 0;
		b->likely =
			b->seen_at > 0 && !(b->kept > 0) ? mw_tracked_likely_same(t, b, now) : 0;
		live = b->kept > 0 || b->likely > 0 ? live_of(t, b, &class) : NULL;
		if (live)
			mw_live_parts__add(live, class, bytes_of(b), b->kept, deaths_of(t, b));
	}
}

static void try_blocks(struct mw_tracked *t)
{
	for (size_t i = 0; i < t->count; i++) {
		const struct mw_tracked_block *b = &t->blocks[i];
		size_t class;
		struct mw_live_parts *live = b->likely > 0 ? live_of(t, b, &class) : NULL;

		if (live)
			mw_live_parts__try(live, class, bytes_of(b), b->likely);
	}
	for (size_t i = 0; i < MW_SLOTS; i++) {
		if (t->live[i])
			mw_live_parts__end_round(t->live[i]);
	}
}

/*
 * Probes leave a target that asks for small objects all the time so little of a window that it is
 * hard to tell how much the window stands for. Blocks that are sure to be kept show it: they can't
 * stand for far less than what their sizes grow by.
 */
static bool stand_for_too_little(const struct mw_tracked *t)
{
	double blocks = 0, sure, grown, all_sure = 0, all_grown = 0;

	for (size_t i = 0; i < t->count; i++)
		blocks += t->blocks[i].kind == MW_KIND_PYTHON ? t->blocks[i].kept : 0;
	for (size_t i = 0; i < MW_SLOTS; i++) {
		if (!t->live[i] || t->live[i]->fine != MW_LIVE_PYTHON)
			continue;
		mw_live_parts__compare(t->live[i], &sure, &grown);
		all_sure += sure;
		all_grown += grown;
	}
	return blocks >= FEW && all_grown > FAR_MORE * all_sure;
}

/*
 * How much of each block is kept. SCALED: it is known for how much they stand. Returns whether it
 * still is.
 */
static bool settle_blocks(struct mw_tracked *t, bool scaled, double now)
{
	struct mw_live_parts *live;
	size_t class;

	for (size_t i = 0; i < MW_SLOTS; i++) {
		if (t->live[i])
			mw_live_parts__begin(t->live[i]);
	}
	add_blocks(t, now);
	scaled &= !stand_for_too_little(t);
	for (int round = 0; scaled && round < MW_LIVE_ROUNDS; round++)
		try_blocks(t);
	for (size_t i = 0; i < t->count; i++) {
		struct mw_tracked_block *b = &t->blocks[i];
		double sure = b->kept;

		b->scale = 1;
		live = live_of(t, b, &class);
		if (live && scaled)
			b->kept = mw_live_parts__settle(live, class, sure, b->likely, now);
		else if (live && (sure > 0 || b->likely > 0))
			b->kept =
				mw_live_parts__settle_unscaled(live, class, sure, deaths_of(t, b));
		b->dead = scaled ? fmax(sure - b->kept, 0) : 0;
		if (live)
			mw_live_parts__add_kept(live, class, b->kept * bytes_of(b));
	}
	for (size_t i = 0; !scaled && i < t->count; i++) {
		live = live_of(t, &t->blocks[i], &class);
		if (live)
			t->blocks[i].scale = mw_live_parts__scale(live, class);
	}
	return scaled;
}

static bool is_new_class(struct tracked_site *site, size_t class)
{
	for (size_t i = 0; i < site->class_count; i++) {
		if (site->classes[i] == class)
			return false;
	}
	if (site->class_count == MW_TRACKED_SIZES)
		return false;
	site->classes[site->class_count++] = (uint16_t) class;
	return true;
}

/* The part that SITE has in how the blocks of BLOCK's size grow. */
static void add_growth(const struct mw_tracked *t, struct tracked_site *site,
		       const struct mw_tracked_block *block)
{
	size_t class;
	const struct mw_live_parts *live = live_of(t, block, &class);
	double grows;

	if (!live || !(block->kept > 0))
		return;
	grows = mw_live_parts__grows(live, class, block->kept * bytes_of(block));
	site->now.grows = fmax(site->now.grows, 0) + grows;
	site->now.goes_on += mw_live_parts__course(live, class) == MW_LIVE_GOES_ON ? grows : 0;
	site->now.ends += mw_live_parts__course(live, class) == MW_LIVE_ENDS ? grows : 0;
	site->now.grows_most = fmax(site->now.grows_most, 0);
	if (is_new_class(site, class))
		site->now.grows_most += mw_live_parts__grows_most(live, class);
}

/* ---- numbers --------------------------------------------------------------------------------- */

/* Either is an estimate; both together a little more than the truth, on average. */
static double variance_of(const struct tracked_site *site)
{
	return MARGIN * fmax(site->variance, site->by_chance);
}

void mw_tracked__mark(struct mw_tracked *t, double now)
{
	t->marked_at = now;
	for (size_t i = 0; t->sites.slots && i <= t->sites.mask; i++) {
		struct tracked_site *site = t->sites.slots[i].value;

		if (!site)
			continue;
		site->marked = site->sums;
		site->new_dead = (struct mw_amount){0};
	}
}

static void add_kept(struct tracked_site *site, const struct mw_tracked_block *block, double same,
		     double square)
{
	struct mw_generation *g = mw_generations__at(&site->now.generations, block->made);

	g->kept += (float)(same * block->weight * block->scale);
	g->kept_bytes += (float)(same * block->weight * block->scale * (double)block->size);
	g->squares += (float)(same * square);
	g->survivors += (float)same;
}

static void begin_site(struct mw_tracked *t, struct tracked_site *site, const double *own,
		       uint32_t slots)
{
	struct mw_tracked_site *now = &site->now;
	const struct tracked_sums *s = &site->sums;
	uint32_t slot = site->last.slot;
	double tail = own && slot < slots && slot < MW_SLOTS && t->own[slot] > t->began[slot]
			      ? fmax(own[slot] - t->own[slot], 0) / (t->own[slot] - t->began[slot])
			      : 0;

	now->allocated = (struct mw_amount){s->allocs, s->alloc_bytes, variance_of(site)};
	now->freed = (struct mw_amount){s->frees + site->dead.calls,
					s->freed_bytes + site->dead.bytes, 0};
	now->grows = now->grows_most = -1;
	now->goes_on = now->ends = now->swells = now->swells_most = 0;
	site->class_count = 0;
	now->kept = (struct mw_amount){0};
	now->unknown = (struct mw_amount){0};
	now->temporaries = s->temporaries;
	now->new_freed = (struct mw_amount){
		s->frees - site->marked.frees + site->new_dead.calls,
		s->freed_bytes - site->marked.freed_bytes + site->new_dead.bytes, 0};
	now->new_kept = now->new_unknown = (struct mw_amount){0};
	mw_generations__forget_kept(&now->generations);
	mw_generations__set_deaths(&now->generations, &site->found_dead, &site->seen_dying,
				   mw_tracked_deaths_seen(t, site));
	/* What it has done since the last window. */
	now->unknown.calls = tail * s->allocs;
	now->unknown.bytes = tail * s->alloc_bytes;
	now->new_unknown = now->unknown;
}

/*
 * The variance of a part of what was allocated: that of the windows, by its share, and that of the
 * blocks that it consists of. Where there is none, that of one block: none was met by chance.
 */
static void end_part(struct mw_amount *part, const struct tracked_site *site, double bias)
{
	/* What looks say does not hang on the windows. */
	if (isinf(bias))
		return;

	double all = site->sums.alloc_bytes;
	double share = all > 0 ? part->bytes / all : 0;
	double one = site->blocks ? site->squares / (double)site->blocks : 0;

	part->variance +=
		share * share * variance_of(site) + one + bias * bias * part->bytes * part->bytes;
}

void mw_tracked__settle(struct mw_tracked *t, double now, const double *own, uint32_t slots,
			double bias)
{
	for (size_t i = 0; t->sites.slots && i <= t->sites.mask; i++) {
		if (t->sites.slots[i].value)
			begin_site(t, t->sites.slots[i].value, own, slots);
	}
	if (!settle_blocks(t, !isinf(bias), now))
		bias = INFINITY;
	mw_tracked_settle_resized(t);
	for (size_t i = 0; i < t->count; i++) {
		const struct mw_tracked_block *b = &t->blocks[i];
		struct tracked_site *site = mw_u64map__find(&t->sites, b->site);
		double size = (double)b->size, weight = b->weight * b->scale;
		double square = weight * size * weight * size;
		double unknown = 1 - b->kept - b->dead;

		if (!site)
			continue;
		mw_amount__add(&site->now.kept, b->kept * weight, size);
		mw_amount__add(&site->now.freed, b->dead * b->weight, size);
		mw_amount__add(&site->now.unknown, unknown * b->weight, size);
		site->now.kept.variance += b->kept * square;
		add_kept(site, b, b->kept, square);
		add_growth(t, site, b);
		site->now.unknown.variance += unknown * square;
		if (!mw_tracked_is_new(t, b))
			continue;
		mw_amount__add(&site->now.new_kept, b->kept * weight, size);
		mw_amount__add(&site->now.new_freed, b->dead * b->weight, size);
		mw_amount__add(&site->now.new_unknown, unknown * b->weight, size);
	}
	for (size_t i = 0; t->sites.slots && i <= t->sites.mask; i++) {
		struct tracked_site *site = t->sites.slots[i].value;
		struct mw_tracked_site *n;

		if (!site)
			continue;
		n = &site->now;
		n->scaled = !isinf(bias);
		end_part(&n->kept, site, bias);
		end_part(&n->freed, site, bias);
		end_part(&n->unknown, site, bias);
		n->allocated.variance +=
			isinf(bias) ? 0 : bias * bias * n->allocated.bytes * n->allocated.bytes;
		/* The sum is what it is: what was thinned out or lost shows in the parts. */
		n->allocated.calls = n->kept.calls + n->freed.calls + n->unknown.calls;
		n->allocated.bytes = n->kept.bytes + n->freed.bytes + n->unknown.bytes;
		if (site->sums.allocs > 0)
			n->resized = n->allocated.calls * site->sums.resized / site->sums.allocs;
		n->new_allocated.calls =
			n->new_kept.calls + n->new_freed.calls + n->new_unknown.calls;
		n->new_allocated.bytes =
			n->new_kept.bytes + n->new_freed.bytes + n->new_unknown.bytes;
	}
}

const struct mw_tracked_site *mw_tracked__site(const struct mw_tracked *t, uint64_t id)
{
	const struct tracked_site *site = mw_u64map__find(&t->sites, id);

	return site ? &site->now : NULL;
}
