// SPDX-License-Identifier: GPL-2.0-or-later
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/tracked.h"
#include "model/weight.h"
#include "util/array.h"
#include "util/u64map.h"

enum {
	BLOCKS_MAX = 16384, /* more are thinned out */
	PRINTS_MIN = 8,	    /* before what a site's blocks do to their content says anything */
	AGES = 60,	    /* classes of age, each reaches 1.19 times as far as the one before */
	SAME_MIN = 6,	    /* words of a print that are those of the same block */
};

/* How likely a block must be the one that was made for it to be kept. */
static const double SURE = 0.9;
/* A variance from a few dozen windows is often too small by so much. */
static const double MARGIN = 1.2;
/* Words that the prints of two blocks of a site have in common, above which they tell nothing. */
static const double ALIKE = 3.5;
/*
 * Of blocks that had kept their content up to one walk, and should live up to the next, so many
 * must have kept it until then: or it is no evidence.
 */
static const double STEADY = 0.8;

/* Counters of a site in one window, or in all. */
struct sums {
	double allocs, alloc_bytes, frees, freed_bytes, temporaries;
};

struct site {
	struct mw_tracked_site now;
	struct mw_site_counts last; /* the kernel's, as last read */
	struct sums sums;	    /* of all windows, each by what it stands for */
	struct sums marked;	    /* the same when the interval began */
	struct mw_amount dead;	    /* tracked blocks that went after their window */
	struct mw_amount new_dead;  /* of those that the interval has made */
	uint64_t blocks;
	double squares; /* sum over blocks that were tracked of the squares of their bytes */
	/* Variance of alloc_bytes, by what one window says more or less than the one before. */
	double variance, rate;
	double by_chance; /* and the least that it can be, with as many samples */
	uint32_t window;  /* number of the last window that it was counted in */
	/* In windows, of blocks that were there when they began, by age: how many died, and
	 * seconds. */
	float deaths[AGES], watched[AGES];
	/* Blocks that were the same at one walk: at the next one still so, and expected to live on.
	 */
	double stayed_same, expected_same;
	/* Words that one block's print has in common with the next one's, summed over so many. */
	double alike, prints;
	uint64_t print;
};

struct mw_tracked {
	uint64_t period, random;
	struct mw_u64map sites; /* by id, struct site */
	struct mw_tracked_block *blocks;
	size_t count, capacity,
		old; /* OLD: from windows before the present one, in order of keys */
	double scales[MW_SLOTS], began[MW_SLOTS], own[MW_SLOTS], gap[MW_SLOTS];
	double seconds, marked_at;
	uint32_t window;
};

struct mw_tracked *mw_tracked__new(uint64_t period)
{
	struct mw_tracked *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->period = period;
	t->random = 88172645463325252ULL;
	return t;
}

void mw_tracked__free(struct mw_tracked *t)
{
	if (!t)
		return;
	for (size_t i = 0; t->sites.slots && i <= t->sites.mask; i++)
		free(t->sites.slots[i].value);
	mw_u64map__free(&t->sites);
	free(t->blocks);
	free(t);
}

static struct site *site_of(struct mw_tracked *t, uint64_t id)
{
	struct site *site = mw_u64map__find(&t->sites, id);

	if (site)
		return site;
	site = calloc(1, sizeof(*site));
	if (site && mw_u64map__set(&t->sites, id, site)) {
		free(site);
		return NULL;
	}
	return site;
}

static int by_key(const void *a, const void *b)
{
	const struct mw_tracked_block *x = a, *y = b;

	return x->key < y->key ? -1 : x->key > y->key;
}

static struct mw_tracked_block *find(struct mw_tracked *t, size_t count, uint64_t key)
{
	const struct mw_tracked_block wanted = {.key = key};

	return count ? bsearch(&wanted, t->blocks, count, sizeof(wanted), by_key) : NULL;
}

static void add(struct mw_amount *to, double calls, double size)
{
	to->calls += calls;
	to->bytes += calls * size;
}

/* The first class ends here, seconds. */
static const double AGE_FIRST = 0.5;

static int age_class(double age)
{
	int class = age > AGE_FIRST ? (int)ceil(4 * log2(age / AGE_FIRST)) : 0;

	return class < AGES ? class : AGES - 1;
}

/* Of blocks that live at the age FROM, how many still do at the age TO, by what windows have seen.
 */
static double survival(const struct site *site, double from, double to)
{
	double alive = 1, begin = 0;

	for (int i = 0; i < AGES && begin < to; i++) {
		double end = i < AGES - 1 ? AGE_FIRST * exp2(i / 4.0) : INFINITY;
		double part = fmin(to, end) - fmax(from, begin);

		if (part > 0 && site->watched[i] > 0)
			alive *= fmax(1 - part * site->deaths[i] / site->watched[i], 0);
		begin = end;
	}
	return alive;
}

/* ---- windows --------------------------------------------------------------------------------- */

void mw_tracked__begin(struct mw_tracked *t, const double *own, uint32_t slots)
{
	for (uint32_t i = 0; i < slots && i < MW_SLOTS; i++)
		t->began[i] = t->own[i] = own[i];
}

void mw_tracked__begin_window(struct mw_tracked *t, double seconds, const double *scales,
			      const double *own, uint32_t slots)
{
	t->seconds = seconds;
	t->window++;
	for (uint32_t i = 0; i < slots && i < MW_SLOTS; i++) {
		t->scales[i] = scales[i];
		t->gap[i] = own[i] - t->own[i];
		t->own[i] = own[i];
	}
	t->old = t->count;
	for (size_t i = 0; i < t->count; i++)
		t->blocks[i].seen = false;
}

/*
 * Windows vary by what a site does and by chance of sampling, and both show in how much one differs
 * from the next; so much is the variance of what they stand for. A rate that changes slowly adds
 * nothing.
 */
static void add_variance(struct mw_tracked *t, struct site *site, double bytes, uint32_t slot)
{
	double gap = t->gap[slot], rate = gap > 0 ? bytes / gap : 0, step;

	if (site->window + 1 != t->window) {
		/* It was in none of the windows between. */
		site->variance += site->rate * site->rate * gap * gap / 2;
		site->rate = 0;
	}
	step = (rate - site->rate) * gap;
	site->variance += step * step / 2;
	site->rate = rate;
	site->window = t->window;
}

void mw_tracked__add_counts(struct mw_tracked *t, uint64_t id, const struct mw_site_counts *now)
{
	struct site *site = now->kind == MW_KIND_ALLOC ? site_of(t, id) : NULL;
	const double unit = 1 << MW_COUNT_SHIFT;
	double scale;

	if (!site || now->slot >= MW_SLOTS)
		return;
	scale = t->scales[now->slot];
	if (now->allocs != site->last.allocs) {
		double bytes = scale * (double)(now->alloc_bytes - site->last.alloc_bytes);

		site->sums.allocs += scale * (double)(now->allocs - site->last.allocs) / unit;
		site->sums.alloc_bytes += bytes;
		if (t->seconds > 0) {
			double samples = (double)(now->samples - site->last.samples);
			double calls = scale * (double)(now->allocs - site->last.allocs) / unit;

			add_variance(t, site, bytes, now->slot);
			if (samples > 0)
				site->by_chance += bytes * fmax(bytes / samples - bytes / calls, 0);
		} else
			site->by_chance += 1048576.0 * (double)(now->alloc_variance -
								site->last.alloc_variance);
	}
	site->sums.frees += scale * (double)(now->frees - site->last.frees) / unit;
	site->sums.freed_bytes += scale * (double)(now->freed_bytes - site->last.freed_bytes);
	site->sums.temporaries +=
		scale * (double)(now->temporaries - site->last.temporaries) / unit;
	site->last = *now;
}

void mw_tracked__add_block(struct mw_tracked *t, uint64_t key, const struct mw_alloc_record *record)
{
	struct mw_tracked_block *known = find(t, t->old, key);
	struct site *site;
	double weight;

	if (known && known->time == record->time) {
		known->seen = true;
		return;
	}
	site = record->site ? site_of(t, record->site) : NULL;
	if (!site || site->last.slot >= MW_SLOTS ||
	    mw_array_reserve(&t->blocks, &t->capacity, t->count + 1, sizeof(*t->blocks)))
		return;
	weight = t->scales[site->last.slot] * mw_sample_weight(record->size, t->period);
	t->blocks[t->count++] = (struct mw_tracked_block){
		.key = key,
		.time = record->time,
		.size = record->size,
		.site = record->site,
		.slot = site->last.slot,
		.weight = weight,
		.seen = true,
	};
	site->blocks++;
	site->squares += weight * (double)record->size * weight * (double)record->size;
}

static bool one_in_two(struct mw_tracked *t)
{
	t->random ^= t->random << 13;
	t->random ^= t->random >> 7;
	t->random ^= t->random << 17;
	return t->random >> 63;
}

/* Of too many every second one, at random, stands for two. */
static void thin_out(struct mw_tracked *t)
{
	size_t kept = 0;

	if (t->count <= BLOCKS_MAX)
		return;
	for (size_t i = 0; i < t->count; i++) {
		if (one_in_two(t))
			continue;
		t->blocks[kept] = t->blocks[i];
		t->blocks[kept++].weight *= 2;
	}
	t->count = kept;
}

static bool is_new(const struct mw_tracked *t, const struct mw_tracked_block *block)
{
	return (double)block->time / 1e9 >= t->marked_at;
}

static void bury(struct mw_tracked *t, const struct mw_tracked_block *block)
{
	struct site *site = site_of(t, block->site);

	if (!site)
		return;
	add(&site->dead, block->weight, (double)block->size);
	if (is_new(t, block))
		add(&site->new_dead, block->weight, (double)block->size);
}

/* Blocks that were put into the kernel's map before the window, and are gone, were seen to go. */
void mw_tracked__end_window(struct mw_tracked *t, double now)
{
	size_t kept = 0;

	for (size_t i = 0; i < t->count; i++) {
		struct mw_tracked_block *b = &t->blocks[i];
		struct site *site = i < t->old ? site_of(t, b->site) : NULL;

		if (site) {
			int class = age_class(now - (double)b->time / 1e9);

			b->watched += t->seconds;
			site->now.watched += t->seconds;
			site->watched[class] += (float)t->seconds;
			site->deaths[class] += !b->seen;
		}
		b->windows++;
		if (b->seen)
			t->blocks[kept++] = *b;
		else
			bury(t, b);
	}
	t->count = kept;
	thin_out(t);
	if (t->count)
		qsort(t->blocks, t->count, sizeof(*t->blocks), by_key);
	t->old = t->count;
}

void mw_tracked__watched(struct mw_tracked *t, double seconds)
{
	for (size_t i = 0; i < t->count; i++)
		t->blocks[i].watched += seconds;
}

/* ---- walks of the heap ----------------------------------------------------------------------- */

struct mw_tracked_block *mw_tracked__blocks(const struct mw_tracked *t, size_t *count)
{
	*count = t->count;
	return t->blocks;
}

struct mw_tracked_block *mw_tracked__find(struct mw_tracked *t, uint64_t key, uint64_t time)
{
	struct mw_tracked_block *block = find(t, t->count, key);

	return block && block->time == time ? block : NULL;
}

uint64_t mw_print_of(const uint64_t words[MW_PRINT_WORDS])
{
	uint64_t print = 0;

	for (int i = 0; i < MW_PRINT_WORDS; i++)
		print = print << 8 | (words[i] * 0x9e3779b97f4a7c15ULL) >> 56;
	return print ? print : 1;
}

static int words_in_common(uint64_t a, uint64_t b)
{
	int n = 0;

	for (uint64_t differ = a ^ b, i = 0; i < MW_PRINT_WORDS; i++, differ >>= 8)
		n += !(differ & 0xff);
	return n;
}

/* Are the contents of this site's blocks different enough to know one by it? */
static bool is_telling(const struct site *site)
{
	return site->prints >= PRINTS_MIN && site->alike <= ALIKE * site->prints;
}

/* Do this site's blocks keep their content as long as they live? */
static bool is_steady(const struct site *site)
{
	return site->stayed_same >= PRINTS_MIN && site->stayed_same >= STEADY * site->expected_same;
}

void mw_tracked__print(struct mw_tracked *t, struct mw_tracked_block *block, uint64_t print)
{
	struct site *site = site_of(t, block->site);

	if (!site || block->print || !print)
		return;
	block->print = print;
	if (site->print) {
		site->alike += words_in_common(site->print, print);
		site->prints++;
	}
	site->print = print;
}

static void compare(struct site *site, struct mw_tracked_block *block, uint64_t print, double now)
{
	int common = words_in_common(block->print, print);
	double usual = site->prints > 0 ? site->alike / site->prints : MW_PRINT_WORDS;
	bool same = common >= SAME_MIN, was_same = block->same;

	if (was_same) {
		site->stayed_same += same;
		site->expected_same += survival(site, block->seen_at - (double)block->time / 1e9,
						now - (double)block->time / 1e9);
	}
	block->same = same;
	block->other = !same && common <= usual + 1.5;
}

void mw_tracked__found(struct mw_tracked *t, struct mw_tracked_block *block,
		       enum mw_liveness_state liveness, uint64_t print, double now)
{
	struct site *site = site_of(t, block->site);

	switch (liveness) {
	case MW_LIVENESS_UNKNOWN:
		break;
	case MW_LIVENESS_FREED:
		block->seen = false;
		break;
	case MW_LIVENESS_ALIVE:
		if (site && print && block->print)
			compare(site, block, print, now);
		block->seen_at = now;
		break;
	}
}

void mw_tracked__sweep(struct mw_tracked *t,
		       void (*dropped)(void *arg, const struct mw_tracked_block *block), void *arg)
{
	size_t kept = 0;

	for (size_t i = 0; i < t->count; i++) {
		struct mw_tracked_block *b = &t->blocks[i];
		struct site *site = site_of(t, b->site);

		/* Blocks of this site keep their content: another one is in its place. */
		if (b->other && site && is_telling(site) && is_steady(site))
			b->seen = false;
		if (b->seen) {
			t->blocks[kept++] = *b;
			continue;
		}
		bury(t, b);
		if (dropped)
			dropped(arg, b);
	}
	t->count = t->old = kept;
}

double mw_tracked__is_same(const struct mw_tracked *t, const struct mw_tracked_block *block,
			   double now)
{
	const struct site *site = mw_u64map__find(&t->sites, block->site);
	double age = now - (double)block->time / 1e9, same;

	if (!site)
		return 0;
	if (is_telling(site) && is_steady(site) && (block->same || block->other))
		return block->same;
	/*
	 * As often as its site's blocks die in windows it can have died unseen, with another one in
	 * its place. Windows see few deaths, so what is not nearly sure is not known.
	 */
	same = survival(site, block->watched, age);
	return same >= SURE ? same : 0;
}

/* ---- numbers --------------------------------------------------------------------------------- */

/* Either is an estimate; both together a little more than the truth, on average. */
static double variance_of(const struct site *site)
{
	return MARGIN * fmax(site->variance, site->by_chance);
}

void mw_tracked__mark(struct mw_tracked *t, double now)
{
	t->marked_at = now;
	for (size_t i = 0; t->sites.slots && i <= t->sites.mask; i++) {
		struct site *site = t->sites.slots[i].value;

		if (!site)
			continue;
		site->marked = site->sums;
		site->new_dead = (struct mw_amount){0};
	}
}

static void begin_site(struct mw_tracked *t, struct site *site, const double *own, uint32_t slots)
{
	struct mw_tracked_site *now = &site->now;
	const struct sums *s = &site->sums;
	uint32_t slot = site->last.slot;
	double tail = own && slot < slots && slot < MW_SLOTS && t->own[slot] > t->began[slot]
			      ? fmax(own[slot] - t->own[slot], 0) / (t->own[slot] - t->began[slot])
			      : 0;

	now->allocated = (struct mw_amount){s->allocs, s->alloc_bytes, variance_of(site)};
	now->freed = (struct mw_amount){s->frees + site->dead.calls,
					s->freed_bytes + site->dead.bytes, 0};
	now->kept = (struct mw_amount){0};
	now->unknown = (struct mw_amount){0};
	now->temporaries = s->temporaries;
	now->new_freed = (struct mw_amount){
		s->frees - site->marked.frees + site->new_dead.calls,
		s->freed_bytes - site->marked.freed_bytes + site->new_dead.bytes, 0};
	now->new_kept = now->new_unknown = (struct mw_amount){0};
	/* What it has done since the last window. */
	now->unknown.calls = tail * s->allocs;
	now->unknown.bytes = tail * s->alloc_bytes;
	now->new_unknown = now->unknown;
}

/*
 * The variance of a part of what was allocated: that of the windows, by its share, and that of the
 * blocks that it consists of. Where there is none, that of one block: none was met by chance.
 */
static void end_part(struct mw_amount *part, const struct site *site, double bias)
{
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
	for (size_t i = 0; i < t->count; i++) {
		const struct mw_tracked_block *b = &t->blocks[i];
		struct site *site = mw_u64map__find(&t->sites, b->site);
		double size = (double)b->size, square = b->weight * size * b->weight * size;
		double same = b->seen_at > 0 ? mw_tracked__is_same(t, b, now) : 0;

		if (!site)
			continue;
		add(&site->now.kept, same * b->weight, size);
		add(&site->now.unknown, (1 - same) * b->weight, size);
		site->now.kept.variance += same * square;
		site->now.unknown.variance += (1 - same) * square;
		if (!is_new(t, b))
			continue;
		add(&site->now.new_kept, same * b->weight, size);
		add(&site->now.new_unknown, (1 - same) * b->weight, size);
	}
	for (size_t i = 0; t->sites.slots && i <= t->sites.mask; i++) {
		struct site *site = t->sites.slots[i].value;
		struct mw_tracked_site *n;

		if (!site)
			continue;
		n = &site->now;
		end_part(&n->kept, site, bias);
		end_part(&n->freed, site, bias);
		end_part(&n->unknown, site, bias);
		n->allocated.variance += bias * bias * n->allocated.bytes * n->allocated.bytes;
		/* The sum is what it is: what was thinned out or lost shows in the parts. */
		n->allocated.calls = n->kept.calls + n->freed.calls + n->unknown.calls;
		n->allocated.bytes = n->kept.bytes + n->freed.bytes + n->unknown.bytes;
		n->new_allocated.calls =
			n->new_kept.calls + n->new_freed.calls + n->new_unknown.calls;
		n->new_allocated.bytes =
			n->new_kept.bytes + n->new_freed.bytes + n->new_unknown.bytes;
	}
}

const struct mw_tracked_site *mw_tracked__site(const struct mw_tracked *t, uint64_t id)
{
	const struct site *site = mw_u64map__find(&t->sites, id);

	return site ? &site->now : NULL;
}
