// SPDX-License-Identifier: GPL-2.0-or-later
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arch/arch.h"
#include "bpf/memwhere.skel.h"
#include "trace/tracked.h"
#include "trace/frames.h"
#include "trace/stacks.h"
#include "trace/tracer.h"
#include "trace/unwind_maps.h"
#include "util/array.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/u64map.h"

enum {
	BATCH = 4096,
	SCAN_SHARE = 200, /* of the time at most one part in so many goes into looking */
};

/* A stack as the kernel numbers it, and the site that it is one of. */
struct raw {
	uint64_t id;
	struct mw_site_stats *site;
	uint64_t purged_bytes, purged_count;
	double purged_variance;
	struct mw_site_counts base; /* left out */
	bool direct; /* mapped by its own code, and not by the C library's allocator */
};

struct prepared {
	uint32_t tgid;
	uint32_t python; /* index in the map of interpreters, 0: none */
	uint32_t maps_first, maps_count;
	struct mw_frames *frames;
};

struct mw_stacks {
	struct memwhere_bpf *bpf;
	struct mw_unwind_maps *unwinding;
	struct mw_sites *sites;
	struct mw_u64map raws;
	struct prepared *list;
	size_t count, capacity;
	uint32_t python_count;
	uint64_t period;
	bool follows; /* allocations to their frees */
	double next_scan;
	uint64_t *keys; /* scratch for reading maps */
	void *values;
};

static uint32_t member_offset(const struct btf *btf, const char *structure, const char *member,
			      bool *found)
{
	int32_t id = btf__find_by_name_kind(btf, structure, BTF_KIND_STRUCT);
	const struct btf_type *type = id > 0 ? btf__type_by_id(btf, (uint32_t)id) : NULL;

	*found = false;
	for (uint16_t i = 0; type && i < btf_vlen(type); i++) {
		const char *name = btf__name_by_offset(btf, btf_members(type)[i].name_off);

		if (name && !strcmp(name, member)) {
			*found = true;
			return btf_member_bit_offset(type, i) / 8;
		}
	}
	return 0;
}

/* Where the thread pointer is in struct task_struct, in its member `thread`; 0 without BTF. */
static uint32_t fsbase_offset(void)
{
	struct btf *btf = btf__load_vmlinux_btf();
	uint32_t thread, fsbase;
	bool one, other;

	if (!btf)
		return 0;
	thread = member_offset(btf, "task_struct", "thread", &one);
	fsbase = member_offset(btf, "thread_struct", MW_TLS_MEMBER, &other);
	btf__free(btf);
	return one && other ? thread + fsbase : 0;
}

void mw_stacks__configure(struct memwhere_bpf *bpf, uint32_t sites_mode, uint64_t period,
			  uint32_t fault_period)
{
	bpf->rodata->mw_sites_mode = sites_mode;
	bpf->rodata->mw_sample_period = period;
	bpf->rodata->mw_fault_period = fault_period;
	bpf->rodata->mw_fsbase_offset = fsbase_offset();
	for (unsigned int i = 0; i < MW_WEIGHTS; i++) {
		double x = (double)i / MW_WEIGHT_STEPS;

		bpf->rodata->mw_weights[i] =
			(uint32_t)lround((x > 0 ? x / -expm1(-x) : 1) * (1 << 20));
	}
	for (unsigned int i = 0; i <= MW_LOG2_STEPS; i++)
		bpf->rodata->mw_log2_table[i] =
			(uint32_t)lround(log2(1 + (double)i / MW_LOG2_STEPS) * 65536);
}

struct mw_stacks *mw_stacks__new(struct memwhere_bpf *bpf, uint64_t period, bool follows)
{
	struct mw_stacks *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->bpf = bpf;
	s->period = period;
	s->follows = follows;
	s->sites = mw_sites__new();
	s->keys = calloc(BATCH, sizeof(*s->keys));
	s->values = calloc(BATCH, sizeof(struct mw_site_counts));
	s->unwinding = mw_unwind_maps__new(bpf_map__fd(bpf->maps.unwind_rows),
					   bpf_map__fd(bpf->maps.unwind_maps));
	if (!s->sites || !s->unwinding || !s->keys || !s->values) {
		mw_stacks__free(s);
		errno = ENOMEM;
		return NULL;
	}
	return s;
}

void mw_stacks__free(struct mw_stacks *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->count; i++)
		mw_frames__close(s->list[i].frames);
	for (size_t i = 0; s->raws.slots && i <= s->raws.mask; i++)
		free(s->raws.slots[i].value);
	mw_u64map__free(&s->raws);
	mw_unwind_maps__free(s->unwinding);
	mw_sites__free(s->sites);
	free(s->list);
	free(s->keys);
	free(s->values);
	free(s);
}

static struct prepared *find(struct mw_stacks *s, uint32_t tgid)
{
	for (size_t i = 0; i < s->count; i++) {
		if (s->list[i].tgid == tgid)
			return &s->list[i];
	}
	return NULL;
}

static struct prepared *add(struct mw_stacks *s, uint32_t tgid)
{
	struct prepared *p = find(s, tgid);

	if (p)
		return p;
	/* The place of one that is gone. */
	p = find(s, 0);
	if (!p) {
		if (mw_array_reserve(&s->list, &s->capacity, s->count + 1, sizeof(*s->list)))
			return NULL;
		p = &s->list[s->count++];
	}
	*p = (struct prepared){.tgid = tgid};
	return p;
}

/* Tell the programs where the Python of P is. */
static void publish_python(struct mw_stacks *s, struct prepared *p)
{
	const struct mw_py_walk *walk = mw_frames__python(p->frames);

	if (!walk || (!p->python && s->python_count + 1 >= MW_PYTHONS))
		return;
	if (!p->python)
		p->python = ++s->python_count;
	if (bpf_map_update_elem(bpf_map__fd(s->bpf->maps.pythons), &p->python, walk, BPF_ANY))
		p->python = 0;
}

static int publish(struct mw_stacks *s, const struct prepared *p)
{
	int fd = bpf_map__fd(s->bpf->maps.procs);
	uint32_t key = p->tgid;
	struct mw_proc proc;

	if (bpf_map_lookup_elem(fd, &key, &proc))
		return -errno;
	proc.python = p->python;
	proc.maps_first = p->maps_first;
	proc.maps_count = p->maps_count;
	return bpf_map_update_elem(fd, &key, &proc, BPF_EXIST) ? -errno : 0;
}

int mw_stacks__prepare(struct mw_stacks *s, uint32_t tgid, pid_t pid, bool changed)
{
	struct prepared *p = add(s, tgid);
	int ret;

	if (!p)
		return -ENOMEM;
	if (!p->frames) {
		p->frames = mw_frames__open(pid);
		if (!p->frames)
			return -errno;
	} else if (changed) {
		mw_frames__refresh(p->frames);
	}
	publish_python(s, p);
	ret = mw_unwind_maps__add(s->unwinding, pid, &p->maps_first, &p->maps_count);
	if (ret == -ENOSPC)
		mw_warn("PID %d: no more room for executable mappings: its native frames are found "
			"by frame pointers only",
			pid);
	return publish(s, p);
}

void mw_stacks__forked(struct mw_stacks *s, uint32_t parent, uint32_t child, pid_t pid)
{
	struct prepared *from = find(s, parent), *p;
	struct prepared copy = from ? *from : (struct prepared){0};

	if (!from)
		return;
	p = add(s, child);
	if (!p)
		return;
	/* The same code at the same addresses; the BPF side has copied the rest at the fork. */
	*p = copy;
	p->tgid = child;
	p->frames = mw_frames__copy(copy.frames, pid);
}

void mw_stacks__ended(struct mw_stacks *s, uint32_t tgid)
{
	struct prepared *p = find(s, tgid);

	/* Its names are kept in the sites; its memory is gone. */
	if (p) {
		mw_frames__close(p->frames);
		*p = (struct prepared){0};
	}
}

int mw_stacks__handle(void *arg, void *data, size_t len)
{
	const struct mw_stack *stack = data;
	struct mw_frame out[MW_FRAMES_MAX];
	struct mw_stacks *s = arg;
	struct prepared *p;
	uint32_t flags = 0;
	struct raw *raw;
	size_t count;

	if (len < offsetof(struct mw_stack, python) || stack->native_count > MW_NATIVE_FRAMES ||
	    stack->python_count > MW_PY_FRAMES ||
	    len < offsetof(struct mw_stack, python) +
			    stack->python_count * sizeof(stack->python[0]))
		return 0;
	raw = mw_u64map__find(&s->raws, stack->id);
	if (raw)
		return 0;
	raw = calloc(1, sizeof(*raw));
	if (!raw || mw_u64map__set(&s->raws, stack->id, raw)) {
		free(raw);
		return 0;
	}
	raw->id = stack->id;
	p = find(s, stack->tgid);
	count = mw_frames__make(p ? p->frames : NULL, stack, out, &flags);
	raw->direct = mw_frames__is_direct(p ? p->frames : NULL, stack);
	raw->site = mw_sites__intern(s->sites, stack->slot, out, count, flags);
	return 0;
}

void mw_stacks__purged(struct mw_stacks *s, uint64_t site, uint64_t size)
{
	struct raw *raw = mw_u64map__find(&s->raws, site);
	double weight = mw_sample_weight(size, s->period);

	if (!raw)
		return;
	raw->purged_count++;
	raw->purged_bytes += size;
	raw->purged_variance += weight * (weight - 1) * (double)size * (double)size;
}

/* Allocations that windows have seen, and what became of them. */
static void add_tracked(const struct mw_stacks *s, struct mw_site_stats *site,
			const struct mw_tracked_site *seen)
{
	struct mw_site_totals *t = &site->totals;

	site->flags &= ~(uint32_t)(MW_SITE_TRACKED | MW_SITE_RATES_ONLY);
	site->flags |= s->follows ? MW_SITE_TRACKED | MW_SITE_WINDOWS : MW_SITE_RATES_ONLY;
	if (!seen)
		return;
	t->watched_seconds += seen->watched;
	t->allocs += seen->allocs;
	t->alloc_bytes += seen->alloc_bytes;
	t->frees += s->follows ? fmax(seen->allocs - seen->alive, 0) : seen->allocs;
	t->freed_bytes +=
		s->follows ? fmax(seen->alloc_bytes - seen->alive_bytes, 0) : seen->alloc_bytes;
	t->live_variance += seen->alive_variance;
	t->temporaries += seen->temporaries;
}

static void add_blocks(const struct mw_stacks *s, const struct raw *raw,
		       const struct mw_site_counts *now)
{
	const struct mw_site_counts *base = &raw->base;
	struct mw_site_totals *t = &raw->site->totals;
	const double unit = 1 << MW_COUNT_SHIFT, kib2 = 1024.0 * 1024.0;
	double mean = raw->purged_count ? (double)raw->purged_bytes / (double)raw->purged_count : 0;
	double weight = mw_sample_weight((uint64_t)mean, s->period);

	raw->site->flags &= ~(uint32_t)(MW_SITE_RATES_ONLY | MW_SITE_WINDOWS);
	raw->site->flags |= s->follows ? MW_SITE_TRACKED : MW_SITE_RATES_ONLY;
	t->allocs += (double)(now->allocs - base->allocs) / unit;
	t->alloc_bytes += (double)(now->alloc_bytes - base->alloc_bytes);
	t->frees += (double)(now->frees - base->frees) / unit + weight * (double)raw->purged_count;
	t->freed_bytes +=
		(double)(now->freed_bytes - base->freed_bytes) + weight * (double)raw->purged_bytes;
	t->live_variance += kib2 * ((double)(now->alloc_variance - base->alloc_variance) -
				    (double)(now->freed_variance - base->freed_variance)) -
			    raw->purged_variance;
	t->temporaries += (double)(now->temporaries - base->temporaries) / unit;
	t->lifetime_seconds += (double)(now->lifetime_us - base->lifetime_us) / 1e6;
}

static void add_growth(const struct raw *raw, const struct mw_site_counts *c)
{
	struct mw_site_totals *t = &raw->site->totals;

	t->grown_calls += (double)c->grown_calls;
	t->grown_bytes += (double)c->grown_bytes;
	t->returned_bytes += (double)c->returned_bytes;
	t->fault_bytes += (double)c->faults * MW_PAGE_SIZE;
	if (!raw->direct)
		t->malloc_bytes += (double)c->grown_bytes - (double)c->returned_bytes;
	t->samples += c->samples;
}

typedef void (*entry_fn)(struct mw_stacks *s, uint64_t key, const void *value, void *arg);

/* All entries of a map, in batches. */
static int each_entry(struct mw_stacks *s, int fd, size_t value_size, entry_fn fn, void *arg)
{
	LIBBPF_OPTS(bpf_map_batch_opts, opts);
	uint64_t batch = 0;
	bool first = true;
	int ret = 0;

	while (!ret) {
		uint32_t count = BATCH;

		ret = bpf_map_lookup_batch(fd, first ? NULL : &batch, &batch, s->keys, s->values,
					   &count, &opts);
		first = false;
		if (ret && ret != -ENOENT)
			return ret;
		for (uint32_t i = 0; i < count; i++)
			fn(s, s->keys[i], (const char *)s->values + i * value_size, arg);
	}
	return 0;
}

static void on_site(struct mw_stacks *s, uint64_t id, const void *value, void *arg)
{
	const struct raw *raw = mw_u64map__find(&s->raws, id);
	const struct mw_tracked *tracked = arg;

	if (!raw || !raw->site)
		return;
	if (tracked)
		add_tracked(s, raw->site, mw_tracked__site(tracked, id));
	else
		add_blocks(s, raw, value);
	add_growth(raw, value);
}

void mw_stacks__set_frees_known(struct mw_stacks *s)
{
	s->follows = true;
}

static void rebase(struct mw_stacks *s, uint64_t id, const void *value, void *arg)
{
	struct raw *raw = mw_u64map__find(&s->raws, id);

	(void)arg;
	if (raw)
		raw->base = *(const struct mw_site_counts *)value;
}

void mw_stacks__rebase(struct mw_stacks *s)
{
	each_entry(s, bpf_map__fd(s->bpf->maps.sites), sizeof(struct mw_site_counts), rebase, NULL);
}

struct survivors {
	struct mw_stacks *stacks;
	uint64_t started_ns;
};

/* A block that is still there: it survives in each cohort that it was born before the end of. */
static void add_survivor(uint64_t site, uint64_t time, uint64_t size, double weight, void *arg)
{
	const struct survivors *now = arg;
	const struct raw *raw = site ? mw_u64map__find(&now->stacks->raws, site) : NULL;
	double born = ((double)time - (double)now->started_ns) / 1e9;

	if (!raw || !raw->site)
		return;
	for (size_t i = 0; i < MW_SITE_COHORTS; i++) {
		struct mw_site_cohort *c = &raw->site->cohorts[i];

		if (born > c->before)
			continue;
		c->alive += weight;
		c->alive_bytes += weight * (double)size;
	}
}

static void on_block(struct mw_stacks *s, uint64_t key, const void *value, void *arg)
{
	const struct mw_alloc_record *block = value;

	(void)key;
	add_survivor(block->site, block->time, block->size,
		     mw_sample_weight(block->size, s->period), arg);
}

/* How much SITE had allocated up to BEFORE, by its history. */
static void set_born(struct mw_site_stats *site, struct mw_site_cohort *cohort)
{
	struct mw_site_point last = {0};

	for (size_t i = 0; i < site->point_count; i++) {
		const struct mw_site_point *p = &site->points[i];
		double part;

		if (p->elapsed < cohort->before) {
			last = *p;
			continue;
		}
		part = p->elapsed > last.elapsed
			       ? (cohort->before - last.elapsed) / (p->elapsed - last.elapsed)
			       : 1;
		cohort->born = last.allocs + part * (p->allocs - last.allocs);
		cohort->born_bytes = last.alloc_bytes + part * (p->alloc_bytes - last.alloc_bytes);
		return;
	}
	cohort->born = last.allocs;
	cohort->born_bytes = last.alloc_bytes;
}

static struct mw_site_stats *site_at(struct mw_stacks *s, size_t i)
{
	return (struct mw_site_stats *)(uintptr_t)mw_sites__at(s->sites, i);
}

/*
 * Which blocks are still there, by when they were born. Cohorts end at a moment that the history
 * has, so that what was born up to then is known and not guessed.
 */
static void look_for_survivors(struct mw_stacks *s, double elapsed, uint64_t started_ns,
			       const struct mw_tracked *tracked)
{
	static const double parts[MW_SITE_COHORTS] = {1, 0.5, 0.25};
	struct survivors now = {s, started_ns};
	double began = mw_monotonic(), took;

	if (elapsed < s->next_scan)
		return;
	for (size_t i = 0; i < mw_sites__count(s->sites); i++) {
		struct mw_site_stats *site = site_at(s, i);

		for (size_t k = 0; k < MW_SITE_COHORTS; k++) {
			double before = parts[k] * elapsed;

			for (size_t p = site->point_count; p; p--) {
				if (site->points[p - 1].elapsed <= before) {
					before = site->points[p - 1].elapsed;
					break;
				}
			}
			site->cohorts[k] = (struct mw_site_cohort){.before = before};
			set_born(site, &site->cohorts[k]);
		}
	}
	if (tracked)
		mw_tracked__each(tracked, add_survivor, &now);
	else
		each_entry(s, bpf_map__fd(s->bpf->maps.outstanding), sizeof(struct mw_alloc_record),
			   on_block, &now);
	took = mw_monotonic() - began;
	s->next_scan = elapsed + took * SCAN_SHARE;
}

int mw_stacks__read(struct mw_stacks *s, double elapsed, uint64_t started_ns,
		    struct mw_tracked *tracked)
{
	int ret;

	for (size_t i = 0; i < mw_sites__count(s->sites); i++)
		memset(&site_at(s, i)->totals, 0, sizeof(struct mw_site_totals));
	if (tracked)
		mw_tracked__settle(tracked);
	ret = each_entry(s, bpf_map__fd(s->bpf->maps.sites), sizeof(struct mw_site_counts), on_site,
			 tracked);
	for (size_t i = 0; i < mw_sites__count(s->sites); i++) {
		struct mw_site_stats *site = site_at(s, i);

		if (!site->totals.samples)
			continue;
		/*
		 * The variance is itself an estimate, low where by chance few samples were drawn:
		 * one more is allowed for. Without it 92 of 100 truths are within two standard
		 * deviations.
		 */
		if (site->totals.live_variance > 0)
			site->totals.live_variance += (double)s->period * (double)s->period;
		if (site->first_seen <= 0)
			site->first_seen = elapsed;
		site->last_seen = elapsed;
	}
	mw_sites__tick(s->sites, elapsed);
	look_for_survivors(s, elapsed, started_ns, tracked);
	return ret;
}

struct mw_sites *mw_stacks__sites(struct mw_stacks *s)
{
	return s->sites;
}
