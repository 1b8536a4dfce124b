// SPDX-License-Identifier: GPL-2.0-or-later
/* The probes of one process. */
#include <bpf/bpf.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "trace/internal.h"
#include "util/array.h"
#include "util/clock.h"
#include "util/log.h"

struct process *mw_process__find(struct mw_tracer *tracer, uint32_t tgid)
{
	for (size_t i = 0; i < tracer->process_count; i++) {
		if (tracer->processes[i].tgid == tgid && !tracer->processes[i].ended)
			return &tracer->processes[i];
	}
	return NULL;
}

struct process *mw_process__add(struct mw_tracer *tracer, pid_t pid, uint32_t tgid, uint32_t slot,
				uint32_t space)
{
	struct process *process = NULL;

	/* A place that an ended child has left, so that a forking server doesn't fill memory. */
	for (size_t i = 0; i < tracer->process_count && !process; i++) {
		if (tracer->processes[i].ended && tracer->processes[i].child)
			process = &tracer->processes[i];
	}
	if (!process) {
		if (mw_array_reserve(&tracer->processes, &tracer->process_capacity,
				     tracer->process_count + 1, sizeof(*process)))
			return NULL;
		process = &tracer->processes[tracer->process_count++];
	}
	memset(process, 0, sizeof(*process));
	process->pid = pid;
	process->tgid = tgid;
	process->slot = slot;
	process->space = space;
	process->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	return process;
}

void mw_process__free(struct process *process)
{
	if (process->pidfd >= 0)
		close(process->pidfd);
	process->pidfd = -1;
	mw_sdt__detach(process->sdt);
	process->sdt = NULL;
	mw_image__close(process->image);
	process->image = NULL;
	mw_allocators__free(&process->allocators);
}

static void find_settings(struct process *process)
{
	/* The mappings may be others than last time. */
	mw_image__close(process->image);
	process->image = mw_image__open_process(process->pid, MW_IMAGE_SWAP_IN, NULL);
	for (size_t i = 0; process->image && i < process->allocators.count; i++) {
		const struct mw_allocator *alloc = &process->allocators.list[i];

		if (alloc->kind == MW_ALLOC_GLIBC && alloc->count &&
		    !mw_glibc_settings__find(&process->settings, process->image,
					     alloc->functions[0].addr))
			return;
	}
	/* Without settings there is nothing to read again. */
	mw_image__close(process->image);
	process->image = NULL;
}

int mw_process__find_allocators(struct mw_tracer *tracer, struct process *process,
				struct mw_err *err)
{
	struct mw_allocators found;
	int ret;

	ret = mw_allocators__find(&found, process->pid, tracer->options.mode == MW_MODE_EXACT, err);
	if (ret)
		return ret;
	mw_allocators__free(&process->allocators);
	process->allocators = found;
	memset(&process->settings, 0, sizeof(process->settings));
	find_settings(process);
	return 0;
}

/*
 * Code whose calls of the allocator's functions are the allocator's own. glibc's malloc is one
 * object file, all between the first and the last of its functions, those without a symbol among
 * them; reallocarray is a file of its own. Of others only the functions are known.
 */
static void add_code_ranges(struct mw_proc *proc, const struct mw_allocator *alloc)
{
	struct mw_range whole = {UINT64_MAX, 0};

	for (size_t f = 0; f < alloc->count && proc->ranges_count < MW_RANGES - 1; f++) {
		const struct mw_function *fn = &alloc->functions[f];

		if (!fn->size)
			continue;
		if (alloc->kind == MW_ALLOC_GLIBC && fn->func != MW_FUNC_REALLOCARRAY) {
			whole.start = fn->addr < whole.start ? fn->addr : whole.start;
			whole.end =
				fn->addr + fn->size > whole.end ? fn->addr + fn->size : whole.end;
		} else if (fn->func < MW_FUNC_FREE) {
			proc->ranges[proc->ranges_count++] =
				(struct mw_range){fn->addr, fn->addr + fn->size};
		}
	}
	/* All of malloc.o is some 30 KiB; more means that a program has moved its parts about. */
	if (whole.end > whole.start && whole.end - whole.start < 64 << 10)
		proc->ranges[proc->ranges_count++] = whole;
}

/* Tell the programs what they must know about PROCESS. Values that they keep stay as they are. */
int mw_process__publish(struct mw_tracer *tracer, struct process *process)
{
	int fd = bpf_map__fd(tracer->bpf->maps.procs);
	uint32_t key = process->tgid;
	struct mw_proc proc = {0};

	bpf_map_lookup_elem(fd, &key, &proc);
	proc.slot = process->slot;
	proc.space = process->space;
	proc.mp_addr = process->settings.mp_addr;
	proc.mmap_threshold = process->settings.mmap_threshold;
	proc.trim_threshold = process->settings.trim_threshold;
	proc.ranges_count = 0;
	for (size_t a = 0; a < process->allocators.count; a++) {
		const struct mw_allocator *alloc = &process->allocators.list[a];

		add_code_ranges(&proc, alloc);
	}
	return bpf_map_update_elem(fd, &key, &proc, BPF_ANY) ? -errno : 0;
}

/*
 * Without --follow the probes are in one process. With it they are in the file, so that a child
 * has them from its first instruction on: nothing that is put into a process after its birth can
 * be in time.
 */
static struct probed *probed_of(struct mw_tracer *tracer, struct process *process)
{
	return tracer->options.follow ? &tracer->shared : &process->probed;
}

static bool is_probed(const struct probed *probed, const struct mw_allocator *alloc)
{
	for (size_t i = 0; i < probed->count; i++) {
		const struct probed_allocator *p = &probed->list[i];

		if (p->inode == alloc->inode && p->major == alloc->major &&
		    p->minor == alloc->minor)
			return true;
	}
	return false;
}

static int attach_allocator(struct mw_tracer *tracer, struct process *process,
			    const struct mw_allocator *alloc)
{
	struct mw_probe_place entries[MW_FUNCTIONS_MAX], returns[MW_FUNCTIONS_MAX];
	struct probed *all = probed_of(tracer, process);
	struct probed_allocator *probed = &all->list[all->count];
	pid_t pid = tracer->options.follow ? 0 : process->pid;
	uint32_t flags = alloc->kind == MW_ALLOC_GLIBC ? MW_COOKIE_CHUNKS : 0;
	size_t entry_count = 0, return_count = 0;
	int ret;

	for (size_t i = 0; i < alloc->count; i++) {
		const struct mw_function *fn = &alloc->functions[i];
		uint64_t cookie = mw_cookie(fn->func, fn->entry.stack_shift, flags, process->slot,
					    process->space);

		if (!fn->probed || (tracer->governed && tracer->kind == MW_WINDOW_ENTRY &&
				    fn->func >= MW_FUNC_FREE))
			continue;
		entries[entry_count++] =
			(struct mw_probe_place){fn->offset + fn->entry.offset, cookie};
		/* At the same place, so that one trap serves both. */
		if (fn->func < MW_FUNC_FREE)
			returns[return_count++] = entries[entry_count - 1];
	}
	*probed = (struct probed_allocator){
		.inode = alloc->inode,
		.major = alloc->major,
		.minor = alloc->minor,
		.entries.fd = -1,
		.returns.fd = -1,
	};
	/* Returns first: an entry whose return can't be seen would look like an open call. */
	if (tracer->kind == MW_WINDOW_FULL) {
		ret = mw_probes__attach(&probed->returns, tracer->bpf->progs.alloc_return,
					tracer->multi, pid, alloc->file, true, returns,
					return_count);
		if (ret)
			return ret;
	}
	ret = mw_probes__attach(&probed->entries, tracer->bpf->progs.alloc_entry, tracer->multi,
				pid, alloc->file, false, entries, entry_count);
	if (ret) {
		mw_probes__detach(&probed->returns);
		return ret;
	}
	all->count++;
	return 0;
}

/* What a call of FN costs the target: a hit at its entry and, in exact mode, one at its return. */
uint64_t mw_process_call_ns(const struct mw_tracer *tracer, const struct mw_function *fn)
{
	uint64_t ns = fn->probed ? tracer->cost.entry_ns[fn->entry.class] : 0;

	if (ns && tracer->options.mode == MW_MODE_EXACT && fn->func < MW_FUNC_FREE)
		ns += tracer->cost.return_ns;
	return ns;
}

static void describe_allocator(const struct mw_tracer *tracer, const struct mw_allocator *alloc)
{
	mw_detail("allocator %s%s%s: %s", mw_allocator_kind_name(alloc->kind),
		  alloc->version[0] ? " " : "", alloc->version, alloc->path);
	for (size_t i = 0; i < alloc->count; i++) {
		const struct mw_function *fn = &alloc->functions[i];

		if (fn->probed)
			mw_detail("  %-18s +%-3u %-28s %s, about %" PRIu64 " ns a call%s%s",
				  fn->name, fn->entry.offset, fn->entry.insn,
				  mw_probe_class_name(fn->entry.class),
				  mw_process_call_ns(tracer, fn),
				  fn->reason && fn->reason[0] ? "; " : "",
				  fn->reason ? fn->reason : "");
		else
			mw_warn("%s of %s is not probed, its calls are not counted: %s", fn->name,
				alloc->path, fn->reason ? fn->reason : "its code can't be probed");
	}
}

int mw_process__attach(struct mw_tracer *tracer, struct process *process, struct mw_err *err)
{
	char where[32];

	snprintf(where, sizeof(where), "PID %d", process->pid);
	for (size_t i = 0; i < process->allocators.count; i++) {
		const struct mw_allocator *alloc = &process->allocators.list[i];
		int ret;

		if (is_probed(probed_of(tracer, process), alloc) ||
		    probed_of(tracer, process)->count >= MW_ALLOCATORS_MAX)
			continue;
		if (!process->child && !tracer->started)
			describe_allocator(tracer, alloc);
		ret = attach_allocator(tracer, process, alloc);
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

/* After an exec or a dlopen: is there an allocator that has no probes yet? */
void mw_process__rescan(struct mw_tracer *tracer, struct process *process)
{
	struct probed *probed = probed_of(tracer, process);
	size_t before = probed->count;
	struct mw_err err = {0};
	int ret;

	process->rescans_left--;
	process->rescan_at = mw_monotonic() + 0.02;
	ret = mw_process__find_allocators(tracer, process, &err);
	/* Under a budget the next window has it. */
	if (!ret && tracer->options.mode != MW_MODE_GROWTH &&
	    (!tracer->governed || tracer->window == WINDOW_ALWAYS))
		ret = mw_process__attach(tracer, process, &err);
	if (!ret)
		ret = mw_process__publish(tracer, process);
	if (!ret && tracer->stacks)
		mw_stacks__prepare(tracer->stacks, process->tgid, process->pid, true);
	if (ret && !process->rescans_left && ret != -ESRCH)
		mw_warn("PID %d: %s", process->pid, err.message);
	for (size_t i = before; !ret && i < probed->count; i++) {
		struct mw_event what = {
			.kind = MW_EVENT_ALLOCATOR,
			.elapsed = mw_monotonic() - tracer->started_at,
			.pid = (uint32_t)process->pid,
		};

		for (size_t a = 0; a < process->allocators.count; a++) {
			if (process->allocators.list[a].inode == probed->list[i].inode)
				snprintf(what.text, sizeof(what.text), "%.127s",
					 process->allocators.list[a].path);
		}
		tracer->targets[process->slot].late++;
		if (tracer->event)
			tracer->event(&what, process->slot, tracer->event_arg);
	}
}

void mw_process__detach(struct mw_tracer *tracer, struct probed *probed)
{
	for (size_t i = 0; i < probed->count; i++) {
		mw_detacher__take(tracer->detacher, &probed->list[i].entries);
		mw_detacher__take(tracer->detacher, &probed->list[i].returns);
	}
	probed->count = 0;
}

void mw_process__drop(struct mw_tracer *tracer, struct process *process)
{
	uint32_t key = process->tgid;

	process->ended = true;
	mw_process__detach(tracer, &process->probed);
	if (tracer->stacks)
		mw_stacks__ended(tracer->stacks, process->tgid);
	mw_process__free(process);
	bpf_map_delete_elem(bpf_map__fd(tracer->bpf->maps.procs), &key);
}
