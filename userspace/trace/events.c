// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "trace/events.h"
#include "util/clock.h"
#include "util/log.h"

/*
 * A program's start, or a library's relocation, takes a while: search for allocators this many
 * times.
 */
enum { RESCANS_AFTER_EXEC = 100, RESCANS_AFTER_MODULE = 10 };
/* Seconds from an exec or a dlopen to the first search, and from one to the next. */
static const double RESCAN_FIRST = 0.002, RESCAN_GAP = 0.02;
/* Seconds between two where it may have gone unseen that new code was mapped. */
static const double RESCAN_UNSEEN = 5;

static void report(struct mw_events *e, uint32_t slot, struct mw_event *what, double time)
{
	what->elapsed = time - e->started_at;
	if (e->fn)
		e->fn(what, slot, e->arg);
}

static double seconds(uint64_t ns)
{
	return (double)ns / 1e9;
}

static void rescan_soon(struct mw_process *process, unsigned int times)
{
	process->rescans_left = times;
	process->rescan_at = mw_monotonic() + RESCAN_FIRST;
}

static void forget_blocks(struct mw_events *e, const struct mw_process *process, uint64_t before)
{
	if (e->dead)
		mw_dead_spaces__add(e->dead, process->space, process->slot, before);
}

static void on_fork(struct mw_events *e, const struct mw_bpf_event *event)
{
	struct mw_process *parent = mw_processes__find(e->processes, event->tgid);
	struct mw_event what = {.kind = MW_EVENT_FORK, .new_value = event->fork.pid};
	size_t parent_index;
	struct mw_process *child;
	uint32_t slot;

	if (!parent)
		return;
	what.pid = (uint32_t)parent->pid;
	slot = parent->slot;
	parent_index = (size_t)(parent - e->processes->list);
	child = mw_processes__add(e->processes, (pid_t)event->fork.pid, event->fork.child, slot,
				  event->fork.space);
	if (!child)
		return;
	parent = &e->processes->list[parent_index]; /* the array may have moved */
	mw_process__copy(child, parent);
	mw_procstat__read(&child->stat, child->pid);
	if (e->stacks)
		mw_stacks__forked(e->stacks, parent->tgid, child->tgid, child->pid);
	report(e, slot, &what, seconds(event->time));
}

static void before_end(const struct mw_events *e)
{
	if (e->before_end)
		e->before_end(e->before_end_arg);
}

static void on_exec(struct mw_events *e, const struct mw_bpf_event *event)
{
	struct mw_process *process = mw_processes__find(e->processes, event->tgid);
	struct mw_event what = {.kind = MW_EVENT_EXEC};

	if (!process)
		return;
	before_end(e);
	what.pid = (uint32_t)process->pid;
	/*
	 * The probes stay with the process and reach into the new program where that uses the
	 * same files; other allocators are found once the dynamic linker has mapped them.
	 */
	forget_blocks(e, process, event->time);
	memset(&process->settings, 0, sizeof(process->settings));
	rescan_soon(process, RESCANS_AFTER_EXEC);
	report(e, process->slot, &what, seconds(event->time));
}

void mw_events__drop(struct mw_events *e, struct mw_process *process)
{
	before_end(e);
	if (e->probing)
		mw_probing__detach(e->probing, process);
	if (e->stacks)
		mw_stacks__ended(e->stacks, process->tgid);
	mw_processes__remove(e->processes, process);
}

void mw_events__process_ended(struct mw_events *e, struct mw_process *process, uint64_t min_flt,
			      uint64_t maj_flt, uint64_t status)
{
	struct mw_event what = {
		.kind = MW_EVENT_EXIT, .pid = (uint32_t)process->pid, .size = status};
	struct mw_target *target = &e->processes->targets[process->slot];

	target->ended_min_flt += min_flt - process->first.min_flt;
	target->ended_maj_flt += maj_flt - process->first.maj_flt;
	target->ended_cpu_ns +=
		mw_procstat__cpu_ns(&process->stat) - mw_procstat__cpu_ns(&process->first);
	if (process->child)
		forget_blocks(e, process, UINT64_MAX);
	mw_events__drop(e, process);
	report(e, process->slot, &what, mw_monotonic());
}

/* What moved PROCESS's threshold, where no program was there to see it. */
static void explain(const struct mw_process *process, struct mw_event *what)
{
	struct mw_glibc_settings now = process->settings;

	/* Whether it is fixed is read again: mallopt may have done both. */
	if (process->image)
		mw_glibc_settings__refresh(&now, process->image);
	what->cause = mw_threshold_moved_by(what->old_value, what->new_value,
					    process->settings.trim_threshold, now.dynamic);
	/* A chunk with a mapping of its own is as large as that. */
	if (what->cause == MW_MOVED_BY_FREE)
		what->size = what->new_value;
}

static void on_threshold(struct mw_events *e, const struct mw_bpf_event *event)
{
	struct mw_process *process = mw_processes__find(e->processes, event->tgid);
	struct mw_event what = {
		.kind = MW_EVENT_THRESHOLD,
		.old_value = event->threshold.old_mmap_threshold,
		.new_value = event->threshold.mmap_threshold,
		.size = event->threshold.size,
	};

	if (!process)
		return;
	what.pid = (uint32_t)process->pid;
	process->settings.mmap_threshold = event->threshold.mmap_threshold;
	process->settings.trim_threshold = event->threshold.trim_threshold;
	if (what.size)
		what.cause = MW_MOVED_BY_FREE;
	else
		explain(process, &what);
	report(e, process->slot, &what, seconds(event->time));
}

void mw_events__refresh_settings(struct mw_events *e, struct mw_process *process)
{
	uint64_t old = process->settings.mmap_threshold;
	struct mw_event what = {
		.kind = MW_EVENT_THRESHOLD, .pid = (uint32_t)process->pid, .old_value = old};

	if (!process->image || mw_glibc_settings__refresh(&process->settings, process->image) ||
	    process->settings.mmap_threshold == old)
		return;
	what.new_value = process->settings.mmap_threshold;
	explain(process, &what);
	mw_processes__publish(e->processes, process);
	report(e, process->slot, &what, mw_monotonic());
}

int mw_events__handle(void *arg, void *data, size_t len)
{
	struct mw_events *e = arg;
	const struct mw_bpf_event *event = data;
	struct mw_process *process;

	if (len < sizeof(*event))
		return 0;
	switch (event->type) {
	case MW_BPF_EVENT_FORK:
		on_fork(e, event);
		break;
	case MW_BPF_EVENT_EXEC:
		on_exec(e, event);
		break;
	case MW_BPF_EVENT_EXIT:
		process = mw_processes__find(e->processes, event->tgid);
		/* One that lived for a moment was never asked for what it used. */
		if (process)
			process->cpu = fmax(process->cpu, seconds(event->exit.cpu_ns));
		if (process)
			mw_events__process_ended(e, process, event->exit.min_flt,
						 event->exit.maj_flt, event->exit.status);
		break;
	case MW_BPF_EVENT_THRESHOLD:
		on_threshold(e, event);
		break;
	case MW_BPF_EVENT_LENGTH:
		if (e->lengths)
			mw_lengths__round_is_over(e->lengths, event->length);
		break;
	case MW_BPF_EVENT_QUOTA:
		if (e->layers)
			mw_layers__quota_reached(e->layers, event->layer);
		break;
	case MW_BPF_EVENT_MODULE:
		process = mw_processes__find(e->processes, event->tgid);
		if (process && !process->rescans_left)
			rescan_soon(process, RESCANS_AFTER_MODULE);
		break;
	}
	return 0;
}

/* Allocators of PROCESS that got their probes just now, those of PROBES from FIRST on. */
static void report_allocators(struct mw_events *e, const struct mw_process *process,
			      const struct mw_allocator_probes *probes, size_t first)
{
	for (size_t i = first; i < probes->count; i++) {
		struct mw_event what = {.kind = MW_EVENT_ALLOCATOR, .pid = (uint32_t)process->pid};

		for (size_t a = 0; a < process->allocators.count; a++) {
			if (process->allocators.list[a].inode == probes->list[i].inode)
				snprintf(what.text, sizeof(what.text), "%.127s",
					 process->allocators.list[a].path);
		}
		e->processes->targets[process->slot].late++;
		report(e, process->slot, &what, mw_monotonic());
	}
}

/* After an exec or a dlopen: is there an allocator that has no probes yet? */
static void rescan(struct mw_events *e, struct mw_process *process)
{
	const struct mw_allocator_probes *probes =
		e->probing ? mw_probing__of(e->probing, process) : NULL;
	size_t before = probes ? probes->count : 0;
	struct mw_err err = {0};
	int ret;

	process->rescans_left--;
	process->rescan_at = mw_monotonic() + RESCAN_GAP;
	ret = mw_processes__find_allocators(e->processes, process, &err);
	/* Under a budget the next window has it. */
	if (!ret && e->probing && mw_probing__is_for_all(e->probing))
		ret = mw_probing__attach(e->probing, process, &err);
	if (!ret)
		ret = mw_processes__publish(e->processes, process);
	if (!ret && e->stacks)
		mw_stacks__prepare(e->stacks, process->tgid, process->pid, true);
	if (ret && !process->rescans_left && ret != -ESRCH)
		mw_warn("PID %d: %s", process->pid, err.message);
	if (!ret && probes)
		report_allocators(e, process, probes, before);
}

double mw_events__rescan(struct mw_events *e, double until)
{
	bool misses = e->layers && mw_layers__miss_system_calls(e->layers);
	double now = mw_monotonic();

	for (size_t i = 0; i < e->processes->count; i++) {
		struct mw_process *process = &e->processes->list[i];

		if (misses && !process->rescans_left && now - process->rescan_at > RESCAN_UNSEEN)
			rescan_soon(process, 1);
		if (process->ended || !process->rescans_left)
			continue;
		if (process->rescan_at <= now)
			rescan(e, process);
		if (process->rescans_left && process->rescan_at < until)
			until = process->rescan_at;
	}
	return until;
}
