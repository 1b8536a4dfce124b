// SPDX-License-Identifier: GPL-2.0-or-later
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/memwhere.skel.h"
#include "model/sample.h"
#include "trace/liveness.h"
#include "trace/tracked.h"
#include "trace/frames.h"
#include "trace/tracer.h"
#include "util/array.h"
#include "util/clock.h"
#include "util/u64map.h"

enum {
	BATCH = 1024,
	BLOCKS_MAX = 8192, /* more are thinned out */
	WINDOWS_MIN = 2,   /* through which a block must live where its heap can't be looked at */
	LOOK_SHARE = 100,  /* of the time at most one part in so many goes into looking */
};

/*
 * Seconds: a block that was made just now stands for others that are older, and says nothing of
 * them.
 */
static const double AGE_MIN = 1;

struct site {
	struct mw_tracked_site estimates;
	struct mw_site_counts last;
	double deaths; /* in windows, of blocks there at their beginning */
};

struct block {
	uint64_t key, time, size;
	uint64_t site_id;
	struct site *site;
	double weight; /* how many it stands for */
	double watched;
	unsigned int windows; /* that it was seen in */
	bool seen;
	bool there, blind; /* by its heap; blind: that can't be known */
};

struct mw_tracked {
	struct memwhere_bpf *bpf;
	uint64_t period, random;
	struct mw_u64map sites; /* by id, struct site */
	struct block *blocks;
	size_t count, capacity;
	struct mw_liveness *liveness; /* NULL: no one looks */
	double next_look;
	/* Scratch for the maps. */
	uint64_t *keys;
	struct mw_alloc_record *records;
	struct mw_site_counts *counts;
};

struct mw_tracked *mw_tracked__new(struct memwhere_bpf *bpf, uint64_t period)
{
	struct mw_tracked *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	f->bpf = bpf;
	f->period = period;
	f->random = 88172645463325252ULL;
	f->keys = calloc(BATCH, sizeof(*f->keys));
	f->records = calloc(BATCH, sizeof(*f->records));
	f->counts = calloc(BATCH, sizeof(*f->counts));
	if (f->keys && f->records && f->counts)
		return f;
	mw_tracked__free(f);
	return NULL;
}

void mw_tracked__free(struct mw_tracked *f)
{
	if (!f)
		return;
	mw_liveness__end(f->liveness);
	for (size_t i = 0; f->sites.slots && i <= f->sites.mask; i++)
		free(f->sites.slots[i].value);
	mw_u64map__free(&f->sites);
	free(f->blocks);
	free(f->keys);
	free(f->records);
	free(f->counts);
	free(f);
}

static struct site *site_of(struct mw_tracked *f, uint64_t id)
{
	struct site *site = mw_u64map__find(&f->sites, id);

	if (site)
		return site;
	site = calloc(1, sizeof(*site));
	if (site && mw_u64map__set(&f->sites, id, site)) {
		free(site);
		return NULL;
	}
	return site;
}

/* What the window's stacks were counted for: SCALES NULL: as what was before. */
static void read_sites(struct mw_tracked *f, const double *scales)
{
	int fd = bpf_map__fd(f->bpf->maps.sites), ret = 0;
	const double unit = 1 << MW_COUNT_SHIFT;
	LIBBPF_OPTS(bpf_map_batch_opts, opts);
	uint64_t batch = 0;
	bool first = true;

	while (!ret) {
		uint32_t count = BATCH;

		ret = bpf_map_lookup_batch(fd, first ? NULL : &batch, &batch, f->keys, f->counts,
					   &count, &opts);
		first = false;
		if (ret && ret != -ENOENT)
			return;
		for (uint32_t i = 0; i < count; i++) {
			const struct mw_site_counts *now = &f->counts[i];
			struct site *site =
				now->kind == MW_KIND_ALLOC ? site_of(f, f->keys[i]) : NULL;

			if (!site)
				continue;
			if (scales && now->slot < MW_SLOTS) {
				struct mw_tracked_site *e = &site->estimates;
				double scale = scales[now->slot];

				e->allocs +=
					scale * (double)(now->allocs - site->last.allocs) / unit;
				e->alloc_bytes +=
					scale * (double)(now->alloc_bytes - site->last.alloc_bytes);
				e->temporaries +=
					scale *
					(double)(now->temporaries - site->last.temporaries) / unit;
			}
			site->last = *now;
		}
	}
}

static int by_key(const void *a, const void *b)
{
	const struct block *x = a, *y = b;

	return x->key < y->key ? -1 : x->key > y->key;
}

static void sort_blocks(struct mw_tracked *f)
{
	if (f->count)
		qsort(f->blocks, f->count, sizeof(*f->blocks), by_key);
}

/* One of the first OLD blocks, which are sorted. */
static struct block *find(struct mw_tracked *f, size_t old, uint64_t key)
{
	const struct block wanted = {.key = key};

	return old ? bsearch(&wanted, f->blocks, old, sizeof(wanted), by_key) : NULL;
}

static void add_block(struct mw_tracked *f, size_t old, uint64_t key,
		      const struct mw_alloc_record *record, const double *scales)
{
	struct block *known = find(f, old, key);
	struct site *site;

	if (known && known->time == record->time) {
		known->seen = true;
		return;
	}
	site = site_of(f, record->site);
	if (!site || site->last.slot >= MW_SLOTS ||
	    mw_array_reserve(&f->blocks, &f->capacity, f->count + 1, sizeof(*f->blocks)))
		return;
	f->blocks[f->count++] = (struct block){
		.key = key,
		.time = record->time,
		.size = record->size,
		.site_id = record->site,
		.site = site,
		.weight = scales[site->last.slot] * mw_sample_weight(record->size, f->period),
		.seen = true,
	};
}

/* Take all blocks out of the map: those that have a site become, or stay, one that is followed. */
static void harvest(struct mw_tracked *f, const double *scales)
{
	int fd = bpf_map__fd(f->bpf->maps.outstanding), ret = 0;
	LIBBPF_OPTS(bpf_map_batch_opts, opts);
	size_t old = f->count;
	uint64_t batch = 0;
	bool first = true;

	while (!ret) {
		uint32_t count = BATCH;

		ret = bpf_map_lookup_and_delete_batch(fd, first ? NULL : &batch, &batch, f->keys,
						      f->records, &count, &opts);
		first = false;
		if (ret && ret != -ENOENT)
			return;
		for (uint32_t i = 0; scales && i < count; i++) {
			if (f->records[i].site)
				add_block(f, old, f->keys[i], &f->records[i], scales);
		}
	}
}

static bool one_in_two(struct mw_tracked *f)
{
	f->random ^= f->random << 13;
	f->random ^= f->random >> 7;
	f->random ^= f->random << 17;
	return f->random >> 63;
}

/* Of too many every second one, at random, stands for two. */
static void thin_out(struct mw_tracked *f)
{
	size_t kept = 0;

	if (f->count <= BLOCKS_MAX)
		return;
	for (size_t i = 0; i < f->count; i++) {
		if (one_in_two(f))
			continue;
		f->blocks[kept] = f->blocks[i];
		f->blocks[kept++].weight *= 2;
	}
	f->count = kept;
}

/* Those that are still there go back, so that the next window sees their end. */
static void put_back(struct mw_tracked *f)
{
	int fd = bpf_map__fd(f->bpf->maps.outstanding);
	LIBBPF_OPTS(bpf_map_batch_opts, opts);

	for (size_t i = 0; i < f->count; i += BATCH) {
		uint32_t count = f->count - i < BATCH ? (uint32_t)(f->count - i) : BATCH;

		for (uint32_t k = 0; k < count; k++) {
			const struct block *b = &f->blocks[i + k];

			f->keys[k] = b->key;
			f->records[k] = (struct mw_alloc_record){b->size, b->time, b->site_id};
		}
		bpf_map_update_batch(fd, f->keys, f->records, &count, &opts);
	}
}

void mw_tracked__begin(struct mw_tracked *f)
{
	mw_liveness__end(f->liveness);
	f->liveness = NULL;
	read_sites(f, NULL);
	harvest(f, NULL);
	f->count = 0;
	for (size_t i = 0; f->sites.slots && i <= f->sites.mask; i++) {
		struct site *site = f->sites.slots[i].value;

		if (site)
			*site = (struct site){.last = site->last};
	}
}

void mw_tracked__window(struct mw_tracked *f, double seconds, const double *scales)
{
	size_t kept = 0, old = f->count;

	sort_blocks(f);
	for (size_t i = 0; i < old; i++)
		f->blocks[i].seen = false;
	read_sites(f, scales);
	harvest(f, scales);
	for (size_t i = 0; i < f->count; i++) {
		struct block *b = &f->blocks[i];

		if (i < old) {
			b->watched += seconds;
			b->site->estimates.watched += seconds;
			b->site->deaths += !b->seen;
		}
		b->windows++;
		if (b->seen)
			f->blocks[kept++] = *b;
	}
	f->count = kept;
	thin_out(f);
	put_back(f);
}

static int by_place(const void *a, const void *b)
{
	const struct mw_liveness_query *x = a, *y = b;

	return x->pid != y->pid	   ? (x->pid < y->pid ? -1 : 1)
	       : x->addr < y->addr ? -1
				   : x->addr > y->addr;
}

/* B is gone: the probes need not look out for it. */
static void forget(struct mw_tracked *f, const struct block *b)
{
	bpf_map_delete_elem(bpf_map__fd(f->bpf->maps.outstanding), &b->key);
}

static void begin_to_look(struct mw_tracked *f, pid_t (*pid_of)(void *arg, uint32_t space),
			  void *arg)
{
	struct mw_liveness_query *list = calloc(f->count + 1, sizeof(*list));
	double now = mw_monotonic();
	size_t kept = 0, n = 0;

	for (size_t i = 0; list && i < f->count; i++) {
		struct block *b = &f->blocks[i];
		pid_t pid = pid_of(arg, (uint32_t)(b->key >> MW_SPACE_SHIFT));

		if (pid < 0) {
			forget(f, b);
			continue;
		}
		if (pid > 0 && now - (double)b->time / 1e9 >= AGE_MIN)
			list[n++] = (struct mw_liveness_query){
				.pid = pid,
				.addr = (b->key & ((1ULL << MW_SPACE_SHIFT) - 1)) << 3,
				.size = b->size,
				.key = b->key,
				.time = b->time,
			};
		b->blind |= !pid;
		f->blocks[kept++] = *b;
	}
	if (!list)
		return;
	f->count = kept;
	if (!n) {
		free(list);
		return;
	}
	qsort(list, n, sizeof(*list), by_place);
	f->liveness = mw_liveness__begin(list, n);
}

static void accept_liveness(struct mw_tracked *f)
{
	size_t count, kept = 0;
	double seconds;
	const struct mw_liveness_query *list = mw_liveness__list(f->liveness, &count, &seconds);

	sort_blocks(f);
	for (size_t i = 0; i < count; i++) {
		struct block *b = find(f, f->count, list[i].key);

		if (!b || b->time != list[i].time)
			continue;
		b->seen = !list[i].gone;
		b->there |= list[i].there;
		b->blind = !list[i].there;
	}
	for (size_t i = 0; i < f->count; i++) {
		if (f->blocks[i].seen)
			f->blocks[kept++] = f->blocks[i];
		else
			forget(f, &f->blocks[i]);
	}
	f->count = kept;
	f->next_look = mw_monotonic() + seconds * LOOK_SHARE;
	mw_liveness__end(f->liveness);
	f->liveness = NULL;
}

void mw_tracked__look(struct mw_tracked *f, pid_t (*pid_of)(void *arg, uint32_t space), void *arg)
{
	if (f->liveness && mw_liveness__are_known(f->liveness))
		accept_liveness(f);
	if (!f->liveness && mw_monotonic() >= f->next_look)
		begin_to_look(f, pid_of, arg);
}

/*
 * For how many B stands, when it can have died unseen as often as its site's blocks do in windows.
 * Nothing before it was met again.
 */
static double weight_now(const struct block *b, double now)
{
	double unseen = now - (double)b->time / 1e9 - b->watched;
	double watched = b->site->estimates.watched;
	double rate = watched > 0 ? b->site->deaths / watched : 0;

	if (!b->there && !(b->blind && b->windows > WINDOWS_MIN))
		return 0;
	return b->weight * exp(-rate * (unseen > 0 ? unseen : 0));
}

void mw_tracked__settle(struct mw_tracked *f)
{
	double now = mw_monotonic();

	for (size_t i = 0; f->sites.slots && i <= f->sites.mask; i++) {
		struct site *site = f->sites.slots[i].value;

		if (site)
			site->estimates.alive = site->estimates.alive_bytes =
				site->estimates.alive_variance = 0;
	}
	for (size_t i = 0; i < f->count; i++) {
		const struct block *b = &f->blocks[i];
		struct mw_tracked_site *e = &b->site->estimates;
		double weight = weight_now(b, now), size = (double)b->size;

		e->alive += weight;
		e->alive_bytes += weight * size;
		e->alive_variance += weight * fmax(b->weight - 1, 0) * size * size;
	}
}

const struct mw_tracked_site *mw_tracked__site(const struct mw_tracked *f, uint64_t id)
{
	const struct site *site = mw_u64map__find(&f->sites, id);

	return site ? &site->estimates : NULL;
}

void mw_tracked__each(const struct mw_tracked *f, mw_tracked_fn fn, void *arg)
{
	double now = mw_monotonic();

	for (size_t i = 0; i < f->count; i++) {
		const struct block *b = &f->blocks[i];

		fn(b->site_id, b->time, b->size, weight_now(b, now), arg);
	}
}
