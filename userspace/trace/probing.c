// SPDX-License-Identifier: GPL-2.0-or-later
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bpf/memwhere.skel.h"
#include "trace/probing.h"
#include "util/log.h"

struct mw_probing {
	struct memwhere_bpf *bpf;
	struct mw_processes *processes;
	struct mw_detacher *detacher;
	struct mw_cost cost;
	struct mw_allocator_probes shared; /* with --follow: in the files, for all processes */
	bool exact, follow, multi;
	bool frees, returns; /* of probes that are in, or go in next */
	bool for_all;	     /* they go into every process that comes */
	int stats_fd;	     /* while it is open the kernel times the programs */
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
	p->detacher = mw_detacher__new();
	if (!p->detacher) {
		free(p);
		errno = ENOMEM;
		return NULL;
	}
	mw_cost__measure(&p->cost, bpf->progs.alloc_entry,
			 p->exact ? bpf->progs.alloc_return : NULL, multi, p->detacher);
	return p;
}

void mw_probing__stop(struct mw_probing *p)
{
	mw_probing__time_programs(p, false);
	mw_probing__detach_all(p);
	mw_detacher__free(p->detacher);
	p->detacher = NULL;
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

int mw_probing__attach_kind(struct mw_probing *p, enum mw_window_kind kind, bool stay)
{
	bool full = kind == MW_WINDOW_FULL, any = false;
	struct mw_err err = {0};
	int ret = 0;

	p->frees = p->returns = full;
	p->for_all = stay;
	p->bpf->bss->mw_mode = full ? MW_MODE_EXACT : MW_MODE_SIZES;
	/* What threads remember of calls is of the last window. */
	__atomic_add_fetch(&p->bpf->bss->mw_window_id, 1, __ATOMIC_SEQ_CST);
	for (size_t i = 0; i < p->processes->count; i++) {
		struct mw_process *process = &p->processes->list[i];

		if (process->ended)
			continue;
		ret = mw_probing__attach(p, process, &err);
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
	mw_allocator_probes__detach(&process->probes, p->detacher);
}

void mw_probing__detach_all(struct mw_probing *p)
{
	p->for_all = false;
	for (size_t i = 0; i < p->processes->count; i++)
		mw_probing__detach(p, &p->processes->list[i]);
	mw_allocator_probes__detach(&p->shared, p->detacher);
}

bool mw_probing__is_detaching(const struct mw_probing *p)
{
	return mw_detacher__is_busy(p->detacher);
}

const struct mw_cost *mw_probing__cost(const struct mw_probing *p)
{
	return &p->cost;
}

void mw_probing__time_programs(struct mw_probing *p, bool on)
{
	if (p->stats_fd >= 0)
		close(p->stats_fd);
	p->stats_fd = on ? bpf_enable_stats(BPF_STATS_RUN_TIME) : -1;
}

/* What the programs do depends on the target's memory and can't be calibrated: 0 before 5.8. */
double mw_probing__program_seconds(const struct mw_probing *p)
{
	uint64_t entry_ns, return_ns, runs;

	mw_program_ran(p->bpf->progs.alloc_entry, &entry_ns, &runs);
	mw_program_ran(p->bpf->progs.alloc_return, &return_ns, &runs);
	return (double)(entry_ns + return_ns) / 1e9;
}
