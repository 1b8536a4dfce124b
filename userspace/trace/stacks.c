// SPDX-License-Identifier: GPL-2.0-or-later
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "arch/arch.h"
#include "bpf/memwhere.h"
#include "bpf/memwhere.skel.h"
#include "model/cohorts.h"
#include "model/totals.h"
#include "model/weight.h"
#include "trace/blocks.h"
#include "trace/bpf_map.h"
#include "trace/frames.h"
#include "trace/stacks.h"
#include "trace/unwind_maps.h"
#include "util/array.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/u64map.h"

enum {
	SCAN_SHARE = 200, /* scans for survivors take at most one part in so many of the time */
};

/* A stack as the kernel numbers it, and the site that it is one of. */
struct raw {
	uint64_t id;
	struct mw_site_stats *site;
	struct mw_purged_blocks purged;
	struct mw_site_counts base;	  /* left out */
	struct mw_site_counts last, mark; /* as last read, and when the interval began */
	struct mw_type_counts types;	  /* of what is kept */
	uint32_t kind;
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
	const struct mw_blocks *seen; /* by the programs, by layer */
	struct mw_unwind_maps *unwinding;
	struct mw_sites *sites;
	struct mw_sites *changers; /* stacks at which containers change their length */
	struct mw_u64map raws;
	struct prepared *list;
	size_t count, capacity;
	uint32_t python_count;
	const struct mw_tracer_options *options;
	bool frees_known, stays[MW_LAYERS];
	double stays_since[MW_LAYERS];
	uint64_t growth_only;					       /* a bit for each target */
	bool (*takes_arenas)(void *arg, uint32_t tgid, uint64_t addr); /* NULL: none does */
	void *arenas_arg;
	void (*on_unknown)(void *arg); /* NULL: none */
	void *unknown_arg;
	double next_scan;
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

void mw_stacks__configure(struct memwhere_bpf *bpf, const struct mw_tracer_options *options,
			  uint32_t fault_period)
{
	bpf->rodata->mw_sites_mode = options->sites;
	for (int layer = 0; layer < MW_LAYERS; layer++)
		bpf->data->mw_layers[layer].sample_period =
			mw_tracer_options__period(options, layer);
	bpf->rodata->mw_fault_period = fault_period;
	bpf->rodata->mw_fsbase_offset = fsbase_offset();
	mw_weight_tables(bpf->rodata->mw_weights, bpf->rodata->mw_log2_table);
}

struct mw_stacks *mw_stacks__new(struct memwhere_bpf *bpf, const struct mw_tracer_options *options,
				 const struct mw_blocks *seen)
{
	struct mw_stacks *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->bpf = bpf;
	s->options = options;
	s->frees_known = options->mode == MW_MODE_EXACT;
	s->seen = seen;
	s->sites = mw_sites__new();
	s->changers = mw_sites__new();
	s->unwinding = mw_unwind_maps__new(bpf_map__fd(bpf->maps.unwind_rows),
					   bpf_map__fd(bpf->maps.unwind_maps));
	if (!s->sites || !s->changers || !s->unwinding) {
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
	mw_sites__free(s->changers);
	free(s->list);
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
	/* In place of one that is gone. */
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

void mw_stacks__on_unknown(struct mw_stacks *s, void (*fn)(void *arg), void *arg)
{
	s->on_unknown = fn;
	s->unknown_arg = arg;
}

void mw_stacks__on_mapping(struct mw_stacks *s, bool (*fn)(void *arg, uint32_t tgid, uint64_t addr),
			   void *arg)
{
	s->takes_arenas = fn;
	s->arenas_arg = arg;
}

/* Functions from mmap() up to the one that takes a new pool. */
enum { ARENA_FRAMES = 6 };

static bool is_of_arena(const struct mw_stacks *s, const struct mw_stack *stack)
{
	if (!s->takes_arenas || stack->kind != MW_KIND_MMAP)
		return false;
	for (uint32_t i = 0; i < stack->native_count && i < ARENA_FRAMES; i++) {
		if (s->takes_arenas(s->arenas_arg, stack->tgid, stack->native[i]))
			return true;
	}
	return false;
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
	if (!p && s->on_unknown) {
		s->on_unknown(s->unknown_arg);
		p = find(s, stack->tgid);
	}
	count = mw_frames__make(p ? p->frames : NULL, stack, out, &flags);
	if (is_of_arena(s, stack)) {
		out[0] = (struct mw_frame){.kind = MW_FRAME_NOTE,
					   .function = "Python's arenas for small objects",
					   .file = ""};
		count = 1;
		flags = MW_SITE_PYTHON;
	}
	raw->kind = stack->kind;
	flags |= stack->kind == MW_KIND_PYTHON ? MW_SITE_PYTHON : 0;
	raw->direct = mw_frames__is_direct(p ? p->frames : NULL, stack);
	raw->site = mw_sites__intern(stack->kind == MW_KIND_LENGTH ? s->changers : s->sites,
				     stack->slot, out, count, flags);
	return 0;
}

/* Bytes between two samples of allocations of KIND. */
static uint64_t period_of(const struct mw_stacks *s, uint32_t kind)
{
	return mw_tracer_options__period(s->options, mw_layer_of(kind));
}

void mw_stacks__purged(struct mw_stacks *s, uint64_t site, uint64_t size)
{
	struct raw *raw = mw_u64map__find(&s->raws, site);

	if (raw)
		mw_purged__add(&raw->purged, size, period_of(s, raw->kind));
}

/* A stack's allocations into its site's totals. */
static void add_allocs(const struct mw_stacks *s, struct raw *raw, const struct mw_site_counts *now,
		       const struct mw_tracked *tracked)
{
	bool stays = s->stays[mw_layer_of(raw->kind)];
	struct mw_site_stats *site = raw->site;
	const struct mw_tracked_site *seen;

	if (s->growth_only >> site->target & 1) {
		site->flags |= MW_SITE_RATES_ONLY;
		return;
	}
	site->flags |= s->frees_known ? MW_SITE_TRACKED : MW_SITE_RATES_ONLY;
	site->flags |= stays ? MW_SITE_STAY : 0;
	if (!tracked || stays) {
		mw_totals__add_counts(&site->totals, now, &raw->base, &raw->purged,
				      period_of(s, raw->kind), s->frees_known);
		mw_interval__add_counts(&site->interval, now, &raw->mark, s->frees_known);
	}
	raw->last = *now;
	seen = tracked ? mw_tracked__site(tracked, raw->id) : NULL;
	if (!seen || !(seen->allocated.calls > 0))
		return;
	site->flags |= s->frees_known ? MW_SITE_WINDOWS : 0;
	if (!stays)
		mw_generations__add(&site->generations, &seen->generations);
	site->flags |= seen->grows >= 0 ? MW_SITE_LIVE_KNOWN : 0;
	site->flags |= seen->scaled ? 0 : MW_SITE_UNSCALED;
	mw_totals__add_tracked(&site->totals, seen);
	mw_interval__add_tracked(&site->interval, seen);
}

/* One reading of the maps. */
struct reading {
	struct mw_stacks *stacks;
	const struct mw_tracked *const *tracked; /* by layer */
	double started;				 /* seconds of CLOCK_MONOTONIC */
	enum mw_layer layer;			 /* whose blocks are being read */
};

static void on_site(uint64_t id, const void *value, void *arg)
{
	const struct reading *now = arg;
	struct raw *raw = mw_u64map__find(&now->stacks->raws, id);

	if (!raw || !raw->site || raw->kind == MW_KIND_LENGTH)
		return;
	add_allocs(now->stacks, raw, value, now->tracked[mw_layer_of(raw->kind)]);
	mw_totals__add_growth(&raw->site->totals, value, raw->direct);
	mw_type_counts__add_all(&raw->site->types, &raw->types);
}

void mw_stacks__set_frees_known(struct mw_stacks *s)
{
	s->frees_known = true;
}

void mw_stacks__set_growth_only(struct mw_stacks *s, uint32_t target, bool growth_only)
{
	uint64_t bit = 1ULL << target % 64;

	s->growth_only = growth_only ? s->growth_only | bit : s->growth_only & ~bit;
}

struct rebasing {
	struct mw_stacks *stacks;
	enum mw_layer layer;
};

static void rebase(uint64_t id, const void *value, void *arg)
{
	const struct rebasing *now = arg;
	struct raw *raw = mw_u64map__find(&now->stacks->raws, id);

	if (raw && mw_layer_of(raw->kind) == now->layer)
		raw->base = raw->mark = *(const struct mw_site_counts *)value;
}

void mw_stacks__stay(struct mw_stacks *s, enum mw_layer layer, bool stays)
{
	struct rebasing now = {s, layer};

	s->stays[layer] = stays;
	s->stays_since[layer] = mw_monotonic();
	mw_bpf_map__each(bpf_map__fd(s->bpf->maps.sites), sizeof(struct mw_site_counts), rebase,
			 &now);
}

static void add_survivor(const struct reading *now, uint64_t site, uint64_t time, uint64_t size,
			 double weight)
{
	const struct raw *raw = site ? mw_u64map__find(&now->stacks->raws, site) : NULL;

	if (raw && raw->site)
		mw_cohorts__add_survivor(raw->site, (double)time / 1e9 - now->started, size,
					 weight);
}

static void on_block(uint64_t key, const struct mw_alloc_record *block, void *arg)
{
	const struct reading *now = arg;
	const struct mw_stacks *s = now->stacks;

	(void)key;
	/* Older ones are tracked, and stand for others. */
	if (!now->tracked[now->layer] || (double)block->time / 1e9 >= s->stays_since[now->layer])
		add_survivor(now, block->site, block->time, block->size,
			     mw_sample_weight(block->size,
					      mw_tracer_options__period(s->options, now->layer)));
}

static void find_survivors_of(struct reading *now, enum mw_layer layer)
{
	const struct mw_tracked *tracked = now->tracked[layer];
	const struct mw_tracked_block *blocks;
	size_t count;

	blocks = tracked ? mw_tracked__blocks(tracked, &count) : NULL;
	for (size_t i = 0; blocks && i < count; i++) {
		const struct mw_tracked_block *b = &blocks[i];

		if (b->seen_at > 0)
			add_survivor(now, b->site, b->time, b->size,
				     b->weight * b->scale * b->kept);
	}
	now->layer = layer;
	if (!tracked || now->stacks->stays[layer])
		mw_blocks__each(&now->stacks->seen[layer], on_block, now);
}

/* Which blocks are still allocated, by when they were born. */
static void find_survivors(struct reading *now, double elapsed)
{
	struct mw_stacks *s = now->stacks;
	double began = mw_monotonic();

	if (elapsed < s->next_scan)
		return;
	for (size_t i = 0; i < mw_sites__count(s->sites); i++)
		mw_cohorts__begin(mw_sites__edit(s->sites, i), elapsed);
	for (int layer = 0; layer < MW_LAYERS; layer++)
		find_survivors_of(now, layer);
	s->next_scan = elapsed + (mw_monotonic() - began) * SCAN_SHARE;
}

int mw_stacks__read(struct mw_stacks *s, double elapsed, double started,
		    const struct mw_tracked *const tracked[MW_LAYERS])
{
	struct reading now = {.stacks = s, .tracked = tracked, .started = started};
	/* Several stacks that read the same are one site: what is known of any of them is. */
	const uint32_t known = MW_SITE_TRACKED | MW_SITE_RATES_ONLY | MW_SITE_WINDOWS |
			       MW_SITE_STAY | MW_SITE_LIVE_KNOWN | MW_SITE_UNSCALED;
	int ret;

	for (size_t i = 0; i < mw_sites__count(s->sites); i++) {
		struct mw_site_stats *site = mw_sites__edit(s->sites, i);

		site->totals = site->interval = (struct mw_site_totals){0};
		site->flags &= ~known;
		site->generations.width = 0;
		site->types.count = 0;
	}
	ret = mw_bpf_map__each(bpf_map__fd(s->bpf->maps.sites), sizeof(struct mw_site_counts),
			       on_site, &now);
	for (size_t i = 0; i < mw_sites__count(s->sites); i++) {
		struct mw_site_stats *site = mw_sites__edit(s->sites, i);

		if (!site->totals.samples)
			continue;
		mw_totals__widen(&site->totals,
				 period_of(s, site->flags & MW_SITE_PYTHON ? MW_KIND_PYTHON
									   : MW_KIND_ALLOC));
		mw_type_counts__sort(&site->types);
		mw_interval__begin(&site->interval, &site->totals, &site->mark);
		if (site->first_seen <= 0)
			site->first_seen = elapsed;
		site->last_seen = elapsed;
	}
	mw_sites__tick(s->sites, elapsed);
	find_survivors(&now, elapsed);
	return ret;
}

void mw_stacks__mark(struct mw_stacks *s)
{
	for (size_t i = 0; i < mw_sites__count(s->sites); i++)
		mw_sites__edit(s->sites, i)->mark = mw_sites__edit(s->sites, i)->totals;
	for (size_t i = 0; s->raws.slots && i <= s->raws.mask; i++) {
		struct raw *raw = s->raws.slots[i].value;

		if (raw)
			raw->mark = raw->last;
	}
}

struct mw_sites *mw_stacks__sites(struct mw_stacks *s)
{
	return s->sites;
}

void mw_stacks__forget_types(struct mw_stacks *s)
{
	for (size_t i = 0; s->raws.slots && i <= s->raws.mask; i++) {
		struct raw *raw = s->raws.slots[i].value;

		if (raw)
			raw->types.count = 0;
	}
}

void mw_stacks__add_type(struct mw_stacks *s, uint64_t id, const struct mw_type_name *type,
			 double count, double bytes)
{
	struct raw *raw = mw_u64map__find(&s->raws, id);

	if (raw)
		mw_type_counts__add(&raw->types, type, count, bytes, 1);
}

const struct mw_site_stats *mw_stacks__changer(const struct mw_stacks *s, uint64_t id)
{
	const struct raw *raw = mw_u64map__find(&s->raws, id);

	return raw && raw->kind == MW_KIND_LENGTH ? raw->site : NULL;
}
