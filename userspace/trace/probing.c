// SPDX-License-Identifier: GPL-2.0-or-later
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bpf/memwhere.h"
#include "bpf/memwhere.skel.h"
#include "probe/ready.h"
#include "trace/probing.h"
#include "util/array.h"
#include "util/log.h"

struct mw_probing {
	struct memwhere_bpf *bpf;
	struct mw_processes *processes;
	struct mw_detacher *detachers[MW_LAYERS];
	struct mw_ready *ready; /* NULL without a budget */
	struct mw_cost cost;
	struct mw_allocator_probes shared; /* with --follow: in the files, for all processes */
	bool exact, follow, multi;
	bool frees, returns; /* of malloc's probes that are in, or go in next */
	bool for_all;	     /* they go into every process that comes */
	bool timed[MW_LAYERS], hasty[MW_LAYERS];
	int stats_fd; /* while it is open the kernel times the programs */
};

struct mw_probing *mw_probing__new(const struct mw_tracer_options *options,
				   struct memwhere_bpf *bpf, struct mw_processes *processes,
				   bool multi)
{
	struct mw_probing *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->bpf = bpf;
	p->processes = processes;
	p->exact = options->mode == MW_MODE_EXACT;
	p->follow = options->follow;
	p->multi = multi;
	p->frees = true;
	p->returns = p->exact;
	p->for_all = options->max_overhead <= 0;
	p->stats_fd = -1;
	for (int layer = 0; layer < MW_LAYERS; layer++) {
		p->detachers[layer] = mw_detacher__new();
		if (!p->detachers[layer]) {
			mw_probing__free(p);
			errno = ENOMEM;
			return NULL;
		}
	}
	if (options->max_overhead > 0)
		p->ready = mw_ready__new(bpf->progs.alloc_entry, multi);
	mw_cost__measure(&p->cost, bpf->progs.alloc_entry,
			 p->exact ? bpf->progs.alloc_return : NULL, multi,
			 p->detachers[MW_LAYER_MALLOC]);
	return p;
}

void mw_probing__stop(struct mw_probing *p)
{
	for (int layer = 0; layer < MW_LAYERS; layer++) {
		mw_probing__time_programs(p, layer, false);
		mw_probing__detach_all(p, layer);
	}
	mw_ready__free(p->ready, p->detachers[MW_LAYER_MALLOC]);
	p->ready = NULL;
	for (int layer = 0; layer < MW_LAYERS; layer++) {
		mw_detacher__free(p->detachers[layer]);
		p->detachers[layer] = NULL;
	}
}

void mw_probing__free(struct mw_probing *p)
{
	if (!p)
		return;
	mw_probing__stop(p);
	free(p);
}

/*
 * Without --follow the probes are in one process. With it they are in the file, so that a child has
 * them from its first instruction on: whatever is put into a process after its birth is late.
 */
static struct mw_allocator_probes *probes_of(struct mw_probing *p, struct mw_process *process)
{
	return p->follow ? &p->shared : &process->probes;
}

const struct mw_allocator_probes *mw_probing__of(const struct mw_probing *p,
						 const struct mw_process *process)
{
	return p->follow ? &p->shared : &process->probes;
}

static void describe_allocator(const struct mw_probing *p, const struct mw_allocator *alloc)
{
	mw_detail("allocator %s%s%s: %s", mw_allocator_kind_name(alloc->kind),
		  alloc->version[0] ? " " : "", alloc->version, alloc->path);
	for (size_t i = 0; i < alloc->count; i++) {
		const struct mw_function *fn = &alloc->functions[i];

		if (fn->probed)
			mw_detail("  %-18s +%-3u %-28s %s, about %" PRIu64 " ns a call%s%s",
				  fn->name, fn->entry.offset, fn->entry.insn,
				  mw_probe_class_name(fn->entry.class),
				  mw_cost__call_ns(&p->cost, fn, p->exact),
				  fn->reason && fn->reason[0] ? "; " : "",
				  fn->reason ? fn->reason : "");
		else
			mw_warn("%s of %s is not probed, its calls are not counted: %s", fn->name,
				alloc->path, fn->reason ? fn->reason : "its code can't be probed");
	}
}

/* Of a process's Python, whose places are in its file for its children, too. */
static int attach_pymalloc(struct mw_probing *p, struct mw_process *process, bool frees)
{
	const struct mw_pymalloc_probing how = {
		.hit = p->bpf->progs.pymalloc_hit,
		.new_pool = p->bpf->progs.pymalloc_new_pool,
		.multi = p->multi,
		.frees = frees,
		.pid = p->follow ? 0 : process->pid,
		.slot = process->slot,
		.space = process->space,
	};

	if (!process->pymalloc || process->pymalloc_probes.in)
		return 0;
	return mw_pymalloc__attach(process->pymalloc, &how, &process->pymalloc_probes);
}

int mw_probing__attach(struct mw_probing *p, struct mw_process *process, struct mw_err *err)
{
	struct mw_allocator_probes *probes = probes_of(p, process);
	struct mw_allocator_probing how = {
		.entry = p->bpf->progs.alloc_entry,
		.ret = p->bpf->progs.alloc_return,
		.multi = p->multi,
		.frees = p->frees,
		.returns = p->returns,
		.pid = p->follow ? 0 : process->pid,
		.slot = process->slot,
		.space = process->space,
	};
	char where[32];

	snprintf(where, sizeof(where), "PID %d", process->pid);
	for (size_t i = 0; i < process->allocators.count; i++) {
		const struct mw_allocator *alloc = &process->allocators.list[i];
		int ret;

		if (mw_allocator_probes__have(probes, alloc) || probes->count >= MW_ALLOCATORS_MAX)
			continue;
		if (!process->child && !p->bpf->bss->mw_active)
			describe_allocator(p, alloc);
		ret = mw_allocator_probes__attach(probes, &how, alloc);
		if (ret == -ESRCH)
			return mw_err_set(err, ret, "no-such-process", where,
					  "it ended while probes were being put in");
		if (ret)
			return mw_err_set(err, ret, "attach-failed", where,
					  "can't put probes into %.200s: %s", alloc->path,
					  strerror(-ret));
	}
	return 0;
}

int mw_probing__attach_kind(struct mw_probing *p, enum mw_layer layer, enum mw_window_kind kind,
			    bool stay)
{
	struct mw_layer_state *state = &p->bpf->data->mw_layers[layer];
	bool full = kind == MW_WINDOW_FULL, any = false;
	struct mw_err err = {0};
	int ret = 0;

	if (layer == MW_LAYER_MALLOC) {
		p->frees = p->returns = full;
		p->for_all = stay;
	}
	state->mode = full ? MW_MODE_EXACT : MW_MODE_SIZES;
	/* What threads remember of calls is of the last window. */
	__atomic_add_fetch(&state->window, 1, __ATOMIC_SEQ_CST);
	for (size_t i = 0; i < p->processes->count; i++) {
		struct mw_process *process = &p->processes->list[i];

		if (process->ended)
			continue;
		ret = layer == MW_LAYER_PYTHON ? attach_pymalloc(p, process, full)
					       : mw_probing__attach(p, process, &err);
		any |= !ret;
	}
	return any ? 0 : ret;
}

bool mw_probing__is_for_all(const struct mw_probing *p)
{
	return p->for_all;
}

void mw_probing__detach(struct mw_probing *p, struct mw_process *process)
{
	mw_allocator_probes__detach(&process->probes, p->detachers[MW_LAYER_MALLOC]);
	mw_pymalloc__detach(&process->pymalloc_probes, p->detachers[MW_LAYER_PYTHON]);
}

void mw_probing__detach_all(struct mw_probing *p, enum mw_layer layer)
{
	struct mw_detacher *detacher = p->detachers[layer];

	for (size_t i = 0; i < p->processes->count; i++) {
		struct mw_process *process = &p->processes->list[i];

		if (layer == MW_LAYER_PYTHON)
			mw_pymalloc__detach(&process->pymalloc_probes, detacher);
		else
			mw_allocator_probes__detach(&process->probes, detacher);
	}
	if (layer == MW_LAYER_PYTHON)
		return;
	p->for_all = false;
	mw_allocator_probes__detach(&p->shared, detacher);
}

bool mw_probing__is_detaching(const struct mw_probing *p, enum mw_layer layer)
{
	return mw_detacher__is_busy(p->detachers[layer]);
}

void mw_probing__be_ready(struct mw_probing *p, enum mw_layer layer, bool on)
{
	bool any = false;

	p->hasty[layer] = on;
	for (int i = 0; i < MW_LAYERS; i++)
		any |= p->hasty[i];
	mw_ready__set(p->ready, any);
}

const struct mw_cost *mw_probing__cost(const struct mw_probing *p)
{
	return &p->cost;
}

void mw_probing__time_programs(struct mw_probing *p, enum mw_layer layer, bool on)
{
	bool any = false;

	p->timed[layer] = on;
	for (int i = 0; i < MW_LAYERS; i++)
		any |= p->timed[i];
	if (any == (p->stats_fd >= 0))
		return;
	if (p->stats_fd >= 0)
		close(p->stats_fd);
	p->stats_fd = any ? bpf_enable_stats(BPF_STATS_RUN_TIME) : -1;
}

/* What the programs do depends on the target's memory and can't be calibrated: 0 before 5.8. */
double mw_probing__program_seconds(const struct mw_probing *p, enum mw_layer layer)
{
	const struct bpf_program *const programs[MW_LAYERS][2] = {
		[MW_LAYER_MALLOC] = {p->bpf->progs.alloc_entry, p->bpf->progs.alloc_return},
		[MW_LAYER_PYTHON] = {p->bpf->progs.pymalloc_hit, p->bpf->progs.pymalloc_new_pool},
	};
	uint64_t sum = 0;

	for (size_t i = 0; i < MW_ARRAY_SIZE(programs[layer]); i++) {
		uint64_t ns, runs;

		mw_program_ran(programs[layer][i], &ns, &runs);
		sum += ns;
	}
	return (double)sum / 1e9;
}
