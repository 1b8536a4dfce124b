// SPDX-License-Identifier: GPL-2.0-or-later
#include <bpf/libbpf.h>
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/memwhere.h"
#include "bpf/memwhere.skel.h"
#include "model/layer_budget.h"
#include "model/windows.h"
#include "trace/block_tracker.h"
#include "trace/layers.h"
#include "trace/standing.h"
#include "util/clock.h"

/* NULL: nothing of that layer is to be seen. */
struct layer {
	struct mw_windows *windows;
	struct mw_windowed windowed;
	struct mw_block_tracker *blocks; /* NULL also without sites */
	atomic_bool look_now;		 /* set by any thread */
};

struct mw_layers {
	struct mw_processes *processes;
	struct mw_layer_budget budget;
	struct mw_pool_meter meter;
	struct mw_standing *standing;
	struct layer list[MW_LAYERS];
	double grows[MW_SLOTS][MW_LAYERS];	       /* bytes a second: live blocks, by looks */
	bool growing[MW_LAYERS][MW_SLOTS][MW_CLASSES]; /* sizes of which there are ever more */
};

static pid_t pid_of_space(void *arg, uint32_t space)
{
	return mw_processes__pid_of_space(arg, space);
}

static const struct mw_pymalloc *pools_of_space(void *arg, uint32_t space, pid_t *pid)
{
	return mw_processes__pools_of_space(arg, space, pid);
}

/* ---- begin and end --------------------------------------------------------------------------- */

/* CPUs that the targets have used on average since they began. */
static double busy_before(struct mw_processes *processes)
{
	double busy = 0;

	for (size_t i = 0; i < processes->count; i++) {
		struct mw_process *process = &processes->list[i];
		double age = mw_procstat__age(&process->stat);

		if (!process->ended && age > 0)
			busy += (double)mw_procstat__cpu_ns(&process->stat) / 1e9 / age;
	}
	return busy;
}

static bool has_pools(const struct mw_processes *processes, uint32_t slot)
{
	for (size_t i = 0; i < processes->count; i++) {
		const struct mw_process *process = &processes->list[i];

		if (process->slot == slot && process->pymalloc)
			return true;
	}
	return false;
}

static bool is_there(const struct mw_processes *processes, enum mw_layer which)
{
	for (uint32_t slot = 0; which == MW_LAYER_PYTHON && slot < processes->target_count;
	     slot++) {
		if (has_pools(processes, slot))
			return true;
	}
	return which == MW_LAYER_MALLOC;
}

static int begin(struct mw_layers *l, enum mw_layer which, const struct mw_windowed *with,
		 bool both, double busy)
{
	const struct mw_tracer_options *options = with->options;
	struct layer *layer = &l->list[which];
	double cpu[MW_SLOTS];

	if (with->stacks) {
		layer->blocks = mw_block_tracker__new(which, bpf_map__fd(with->bpf->maps.sites),
						      &with->seen[which],
						      mw_tracer_options__period(options, which),
						      pid_of_space, pools_of_space, l->processes);
		if (!layer->blocks)
			return -1;
		mw_windowed__cpu(l->processes, cpu);
		mw_block_tracker__begin(layer->blocks, cpu, MW_SLOTS);
	}
	layer->windowed = *with;
	layer->windowed.layer = which;
	layer->windowed.blocks = layer->blocks;
	layer->windowed.meter = which == MW_LAYER_PYTHON ? &l->meter : NULL;
	layer->windows = mw_windows__new(&mw_windowed_ops, &layer->windowed, options->mode,
					 mw_layer_budget__first(&l->budget, which, both));
	l->budget.windows[which] = layer->windows;
	return layer->windows ? mw_windows__begin(layer->windows, l->processes->target_count,
						  mw_monotonic(), busy)
			      : -1;
}

struct mw_layers *mw_layers__begin(const struct mw_windowed *with, const struct mw_lengths *lengths,
				   uint32_t syscall_ns)
{
	struct mw_layers *l = calloc(1, sizeof(*l));
	double busy = busy_before(with->processes);
	bool both = is_there(with->processes, MW_LAYER_PYTHON);
	int ret = -1;

	if (!l)
		return NULL;
	l->processes = with->processes;
	mw_layer_budget__init(&l->budget, with->options->max_overhead);
	mw_pool_meter__init(&l->meter, with->processes, with->counters, with->options);
	l->standing = mw_standing__new(with->bpf, with->processes, with->counters, lengths,
				       mw_probing__cost(with->probing), syscall_ns);
	if (l->standing)
		ret = 0;
	for (int which = 0; which < MW_LAYERS && !ret; which++) {
		if (is_there(with->processes, which))
			ret = begin(l, which, with, both, busy);
	}
	if (!ret)
		return l;
	mw_layers__free(l);
	return NULL;
}

void mw_layers__free(struct mw_layers *l)
{
	for (int i = 0; l && i < MW_LAYERS; i++) {
		mw_windows__free(l->list[i].windows);
		mw_block_tracker__free(l->list[i].blocks);
	}
	if (l)
		mw_standing__free(l->standing);
	free(l);
}

void mw_layers__end(struct mw_layers *l)
{
	for (int i = 0; i < MW_LAYERS; i++) {
		if (l->list[i].windows)
			mw_windows__end(l->list[i].windows, mw_monotonic());
	}
}

/* ---- while it runs --------------------------------------------------------------------------- */

/* Walks of the heap change the map of blocks: not while a window fills it. */
static void check_blocks(struct mw_layers *l, enum mw_layer which)
{
	struct layer *layer = &l->list[which];

	if (layer->blocks && !mw_layer_budget__is_in(&l->budget, which))
		mw_block_tracker__check(layer->blocks, atomic_exchange(&layer->look_now, false));
}

static double now_of(void *arg)
{
	(void)arg;
	return mw_monotonic();
}

double mw_layers__step(struct mw_layers *l, double until)
{
	until = mw_standing__step(l->standing, &(struct mw_standing_now){
						       .time = mw_monotonic(),
						       .until = until,
						       .budget = l->budget.budget,
						       .base = mw_layer_budget__base(&l->budget),
						       .may_switch = !mw_layers__are_open(l),
					       });
	mw_layer_budget__set_standing(&l->budget, mw_standing__seconds(l->standing));
	until = mw_layer_budget__step(&l->budget, now_of, NULL, until);
	for (int i = 0; i < MW_LAYERS; i++)
		check_blocks(l, i);
	return until;
}

bool mw_layers__miss_system_calls(const struct mw_layers *l)
{
	return mw_standing__seen(l->standing) < 1;
}

bool mw_layers__are_open(const struct mw_layers *l)
{
	return mw_layer_budget__any(&l->budget, mw_windows__are_open);
}

bool mw_layers__may_close(const struct mw_layers *l)
{
	return mw_layer_budget__any(&l->budget, mw_windows__may_close);
}

void mw_layers__quota_reached(struct mw_layers *l, uint32_t layer)
{
	if (layer < MW_LAYERS && l->list[layer].windows)
		mw_windows__quota_reached(l->list[layer].windows);
}

void mw_layers__look(struct mw_layers *l)
{
	for (int i = 0; i < MW_LAYERS; i++)
		atomic_store(&l->list[i].look_now, true);
}

/* The layer that grows is watched most. */
static void share_by_growth(struct mw_layers *l, uint32_t slot,
			    const struct mw_live_growth live[MW_LAYERS])
{
	double sum[MW_LAYERS] = {0};

	for (int i = 0; i < MW_LAYERS; i++) {
		l->grows[slot][i] = mw_live_growth__rate(&live[i]);
		for (uint32_t k = 0; k < MW_SLOTS; k++)
			sum[i] += fmax(l->grows[k][i], 0);
	}
	mw_layer_budget__set_growth(&l->budget, sum);
}

/* And in it the sizes that grow. */
static void favour_growing(struct mw_layers *l, uint32_t slot, int layer,
			   const struct mw_live_growth *live)
{
	bool any[MW_CLASSES] = {0}, *own = l->growing[layer][slot];

	memset(own, 0, sizeof(any));
	mw_live_growth__mark(live, mw_live_fine((enum mw_layer)layer), own);
	for (uint32_t k = 0; k < MW_SLOTS; k++) {
		for (size_t class = 0; class < MW_CLASSES; class ++)
			any[class] |= l->growing[layer][k][class];
	}
	mw_windows__set_growing(l->list[layer].windows, any);
}

void mw_layers__set_live_bytes(struct mw_layers *l, uint32_t slot,
			       const struct mw_live_growth live[MW_LAYERS])
{
	if (slot < MW_SLOTS)
		share_by_growth(l, slot, live);
	for (int i = 0; i < MW_LAYERS; i++) {
		if (slot < MW_SLOTS && l->list[i].windows)
			favour_growing(l, slot, i, &live[i]);
		if (l->list[i].blocks)
			mw_block_tracker__set_live_bytes(l->list[i].blocks, slot, &live[i]);
	}
}

/* ---- results --------------------------------------------------------------------------------- */

void mw_layers__estimate(struct mw_layers *l, uint32_t slot, double started,
			 struct mw_sample *sample)
{
	const struct layer *malloc_layer = &l->list[MW_LAYER_MALLOC];
	const struct layer *python = &l->list[MW_LAYER_PYTHON];
	struct mw_sample small = *sample;
	double now = mw_monotonic();

	mw_windows__estimate(malloc_layer->windows, slot, now, sample);
	if (python->windows && has_pools(l->processes, slot)) {
		mw_windows__estimate(python->windows, slot, now, &small);
		small.python_coverage = l->meter.coverage[slot];
		mw_sample__add_python(sample, &small);
	}
	sample->budget = l->budget.budget;
	sample->standing = mw_layer_budget__standing_cost(&l->budget);
	sample->cost += sample->standing;
	sample->system_calls_seen = mw_standing__seen(l->standing);
	sample->always_since = fmax(sample->always_since - started, 0);
	if (!malloc_layer->blocks)
		return;
	sample->walked_at = mw_block_tracker__walked_at(malloc_layer->blocks) - started;
	sample->looks = *mw_block_tracker__looks(malloc_layer->blocks);
}

void mw_layers__settle(struct mw_layers *l, const struct mw_tracked *tracked[MW_LAYERS])
{
	double cpu[MW_SLOTS];

	mw_windowed__cpu(l->processes, cpu);
	/* While probes stay in, from one settling to the next is a window. */
	if (l->list[MW_LAYER_PYTHON].windowed.stays) {
		mw_pool_meter__end(&l->meter);
		mw_pool_meter__begin(&l->meter);
	}
	for (int i = 0; i < MW_LAYERS; i++) {
		const struct layer *layer = &l->list[i];

		tracked[i] = layer->blocks
				     ? mw_block_tracker__settle(layer->blocks, cpu,
								l->processes->target_count,
								mw_windows__bias(layer->windows, 0))
				     : NULL;
	}
}

int mw_layers__survivors(struct mw_layers *l, struct mw_survivors *out)
{
	const struct mw_block_tracker *blocks = l->list[MW_LAYER_PYTHON].blocks;

	return blocks ? mw_block_tracker__survivors(blocks, out) : 0;
}

void mw_layers__mark(struct mw_layers *l)
{
	for (int i = 0; i < MW_LAYERS; i++) {
		if (l->list[i].blocks)
			mw_block_tracker__mark(l->list[i].blocks);
	}
}
