// SPDX-License-Identifier: GPL-2.0-or-later
/* What the BPF programs tell: births, new programs, deaths, thresholds, new code. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "trace/internal.h"
#include "util/array.h"
#include "util/clock.h"
#include "util/log.h"

/*
 * Looked at every 20 ms this many times: a program's start, or a library's relocation, takes a
 * while.
 */
enum { RESCANS_AFTER_EXEC = 100, RESCANS_AFTER_MODULE = 10 };

static void tell(struct mw_tracer *tracer, uint32_t slot, struct mw_event *what, uint64_t time)
{
	what->elapsed = (double)time / 1e9 - tracer->started_at;
	if (tracer->event)
		tracer->event(what, slot, tracer->event_arg);
}

static void forget_blocks(struct mw_tracer *tracer, struct process *process, uint64_t before)
{
	if (tracer->options.mode != MW_MODE_EXACT ||
	    mw_array_reserve(&tracer->dead, &tracer->dead_capacity, tracer->dead_count + 1,
			     sizeof(*tracer->dead)))
		return;
	tracer->dead[tracer->dead_count++] =
		(struct dead_space){process->space, process->slot, before};
}

static void on_fork(struct mw_tracer *tracer, const struct mw_bpf_event *event)
{
	struct process *parent = mw_process__find(tracer, event->tgid);
	struct mw_event what = {.kind = MW_EVENT_FORK, .new_value = event->fork.pid};
	size_t parent_index;
	struct process *child;
	uint32_t slot;

	if (!parent)
		return;
	what.pid = (uint32_t)parent->pid;
	slot = parent->slot;
	parent_index = (size_t)(parent - tracer->processes);
	child = mw_process__add(tracer, (pid_t)event->fork.pid, event->fork.child, slot,
				event->fork.space);
	if (!child)
		return;
	parent = &tracer->processes[parent_index]; /* the array may have moved */
	child->child = true;
	mw_procstat__read(&child->stat, child->pid);
	/* A copy of the parent: the same files at the same addresses. */
	child->settings = parent->settings;
	child->allocators = parent->allocators;
	child->allocators.list = NULL;
	if (parent->allocators.count) {
		size_t n = parent->allocators.count * sizeof(*parent->allocators.list);

		child->allocators.list = malloc(n);
		if (child->allocators.list)
			memcpy(child->allocators.list, parent->allocators.list, n);
		else
			child->allocators.count = 0;
	}
	if (tracer->stacks)
		mw_stacks__forked(tracer->stacks, parent->tgid, child->tgid, child->pid);
	tell(tracer, slot, &what, event->time);
}

static void on_exec(struct mw_tracer *tracer, const struct mw_bpf_event *event)
{
	struct process *process = mw_process__find(tracer, event->tgid);
	struct mw_event what = {.kind = MW_EVENT_EXEC};

	if (!process)
		return;
	what.pid = (uint32_t)process->pid;
	/*
	 * The probes stay with the process and reach into the new program where that uses the
	 * same files; others are looked for when the dynamic linker has mapped them.
	 */
	forget_blocks(tracer, process, event->time);
	memset(&process->settings, 0, sizeof(process->settings));
	process->rescans_left = RESCANS_AFTER_EXEC;
	process->rescan_at = mw_monotonic() + 0.002;
	tell(tracer, process->slot, &what, event->time);
}

void mw_events__process_ended(struct mw_tracer *tracer, struct process *process, uint64_t min_flt,
			      uint64_t maj_flt, uint64_t status)
{
	struct mw_event what = {
		.kind = MW_EVENT_EXIT, .pid = (uint32_t)process->pid, .size = status};
	struct target *target = &tracer->targets[process->slot];

	target->ended_min_flt += min_flt - process->first.min_flt;
	target->ended_maj_flt += maj_flt - process->first.maj_flt;
	target->ended_cpu_ns +=
		mw_procstat__cpu_ns(&process->stat) - mw_procstat__cpu_ns(&process->first);
	if (process->child)
		forget_blocks(tracer, process, UINT64_MAX);
	mw_process__drop(tracer, process);
	tell(tracer, process->slot, &what, (uint64_t)(mw_monotonic() * 1e9));
}

static void on_threshold(struct mw_tracer *tracer, const struct mw_bpf_event *event)
{
	struct process *process = mw_process__find(tracer, event->tgid);
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
	tell(tracer, process->slot, &what, event->time);
}

/* mallopt, or a change that no munmap announced. */
void mw_events__settings_changed(struct mw_tracer *tracer, struct process *process)
{
	uint64_t old = process->settings.mmap_threshold;
	struct mw_event what = {
		.kind = MW_EVENT_THRESHOLD, .pid = (uint32_t)process->pid, .old_value = old};

	if (!process->image || mw_glibc_settings__refresh(&process->settings, process->image) ||
	    process->settings.mmap_threshold == old)
		return;
	what.new_value = process->settings.mmap_threshold;
	mw_process__publish(tracer, process);
	tell(tracer, process->slot, &what, (uint64_t)(mw_monotonic() * 1e9));
}

int mw_events__handle(void *arg, void *data, size_t len)
{
	struct mw_tracer *tracer = arg;
	const struct mw_bpf_event *event = data;
	struct process *process;

	if (len < sizeof(*event))
		return 0;
	switch (event->type) {
	case MW_BPF_EVENT_FORK:
		on_fork(tracer, event);
		break;
	case MW_BPF_EVENT_EXEC:
		on_exec(tracer, event);
		break;
	case MW_BPF_EVENT_EXIT:
		process = mw_process__find(tracer, event->tgid);
		if (process)
			mw_events__process_ended(tracer, process, event->exit.min_flt,
						 event->exit.maj_flt, event->exit.status);
		break;
	case MW_BPF_EVENT_THRESHOLD:
		on_threshold(tracer, event);
		break;
	case MW_BPF_EVENT_MODULE:
		process = mw_process__find(tracer, event->tgid);
		if (process && !process->rescans_left) {
			process->rescans_left = RESCANS_AFTER_MODULE;
			process->rescan_at = mw_monotonic() + 0.002;
		}
		break;
	}
	return 0;
}
