// SPDX-License-Identifier: GPL-2.0-or-later
#include <bpf/bpf.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "image/maps.h"
#include "trace/cpu_clock.h"
#include "trace/processes.h"
#include "util/array.h"

/* Each has a descriptor; beyond, the kernel's clock must do. */
enum { CLOCKS_MAX = 64 };

struct mw_process *mw_processes__find(struct mw_processes *p, uint32_t tgid)
{
	for (size_t i = 0; i < p->count; i++) {
		if (p->list[i].tgid == tgid && !p->list[i].ended)
			return &p->list[i];
	}
	return NULL;
}

struct mw_process *mw_processes__add(struct mw_processes *p, pid_t pid, uint32_t tgid,
				     uint32_t slot, uint32_t space)
{
	struct mw_process *process = NULL;

	/* In place of a child that has ended, so that a forking server doesn't fill memory. */
	for (size_t i = 0; i < p->count && !process; i++) {
		if (p->list[i].ended && p->list[i].child)
			process = &p->list[i];
	}
	if (!process) {
		if (mw_array_reserve(&p->list, &p->capacity, p->count + 1, sizeof(*process)))
			return NULL;
		process = &p->list[p->count++];
	}
	memset(process, 0, sizeof(*process));
	process->pid = pid;
	process->tgid = tgid;
	process->slot = slot;
	process->space = space;
	process->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (p->clocks < CLOCKS_MAX)
		process->clock = mw_cpu_clock__open(p->bpf, pid, tgid);
	p->clocks += process->clock != NULL;
	return process;
}

void mw_process__copy(struct mw_process *child, const struct mw_process *parent)
{
	const struct mw_allocators *from = &parent->allocators;
	size_t size = from->count * sizeof(*from->list);

	child->child = true;
	child->settings = parent->settings;
	child->allocators = (struct mw_allocators){.list = size ? malloc(size) : NULL,
						   .runtime = from->runtime};
	if (!child->allocators.list)
		return;
	memcpy(child->allocators.list, from->list, size);
	child->allocators.count = from->count;
}

static void free_process(struct mw_processes *p, struct mw_process *process)
{
	p->clocks -= process->clock != NULL;
	mw_cpu_clock__close(process->clock);
	process->clock = NULL;
	if (process->pidfd >= 0)
		close(process->pidfd);
	process->pidfd = -1;
	mw_sdt__detach(process->sdt);
	process->sdt = NULL;
	mw_pymalloc__close(process->pymalloc);
	process->pymalloc = NULL;
	mw_image__close(process->image);
	process->image = NULL;
	mw_allocators__free(&process->allocators);
}

void mw_processes__remove(struct mw_processes *p, struct mw_process *process)
{
	uint32_t key = process->tgid;

	process->ended = true;
	p->targets[process->slot].ended_cpu += process->cpu;
	p->targets[process->slot].ended_sleeps += process->sleeps;
	free_process(p, process);
	bpf_map_delete_elem(p->map, &key);
}

void mw_processes__free(struct mw_processes *p)
{
	for (size_t i = 0; i < p->count; i++)
		free_process(p, &p->list[i]);
	free(p->list);
	p->list = NULL;
	p->count = p->capacity = 0;
}

bool mw_processes__all_ended(const struct mw_processes *p)
{
	for (size_t i = 0; i < p->count; i++) {
		if (!p->list[i].ended)
			return false;
	}
	return true;
}

/* It never goes back, whatever it is read from. */
static void read_cpu(struct mw_process *process, bool exact)
{
	struct mw_cpu_use use;
	struct timespec used;
	clockid_t clock;

	if (exact && process->clock && mw_cpu_clock__read(process->clock, &use)) {
		process->sleeps = fmax(use.sleeps, process->sleeps);
		process->cpu = fmax(use.seconds, process->cpu);
	} else if (!clock_getcpuclockid(process->pid, &clock) && !clock_gettime(clock, &used)) {
		process->cpu = fmax((double)used.tv_sec + (double)used.tv_nsec / 1e9, process->cpu);
	}
}

static double cpu_seconds(struct mw_processes *p, uint32_t slot, bool exact)
{
	double sum = p->targets[slot].ended_cpu;

	for (size_t i = 0; i < p->count; i++) {
		struct mw_process *process = &p->list[i];

		if (process->slot != slot || process->ended)
			continue;
		read_cpu(process, exact);
		sum += process->cpu;
	}
	return sum;
}

double mw_processes__cpu_seconds(struct mw_processes *p, uint32_t slot)
{
	return cpu_seconds(p, slot, true);
}

double mw_processes__cpu_seconds_about(struct mw_processes *p, uint32_t slot)
{
	return cpu_seconds(p, slot, false);
}

double mw_processes__sleeps(const struct mw_processes *p, uint32_t slot)
{
	double sum = p->targets[slot].ended_sleeps;

	for (size_t i = 0; i < p->count; i++)
		sum += p->list[i].slot == slot && !p->list[i].ended ? p->list[i].sleeps : 0;
	return sum;
}

double mw_processes__cpu_lags(const struct mw_processes *p)
{
	struct timespec tick;

	for (size_t i = 0; i < p->count; i++) {
		/* The resolution of the coarse clock is the scheduler's tick. */
		if (!p->list[i].ended && !p->list[i].clock &&
		    !clock_getres(CLOCK_MONOTONIC_COARSE, &tick))
			return (double)tick.tv_sec + (double)tick.tv_nsec / 1e9;
	}
	return 0;
}

const struct mw_allocators *mw_processes__allocators(const struct mw_processes *p, uint32_t slot)
{
	static const struct mw_allocators none;

	for (size_t i = 0; i < p->count; i++) {
		if (p->list[i].slot == slot && !p->list[i].child)
			return &p->list[i].allocators;
	}
	return &none;
}

/* Can heaps of that allocator be walked? */
static bool has_walker(enum mw_allocator_kind kind)
{
	return kind != MW_ALLOC_UNKNOWN && kind != MW_ALLOC_MUSL;
}

pid_t mw_processes__pid_of_space(const struct mw_processes *p, uint32_t space)
{
	for (size_t i = 0; i < p->count; i++) {
		const struct mw_process *process = &p->list[i];

		if (process->space != space || process->ended)
			continue;
		for (size_t a = 0; a < process->allocators.count; a++) {
			if (!has_walker(process->allocators.list[a].kind))
				return 0;
		}
		return process->allocators.count ? process->pid : 0;
	}
	return -1;
}

const struct mw_pymalloc *mw_processes__pools_of_space(const struct mw_processes *p, uint32_t space,
						       pid_t *pid)
{
	for (size_t i = 0; i < p->count; i++) {
		const struct mw_process *process = &p->list[i];

		if (process->space != space || process->ended)
			continue;
		*pid = process->pid;
		return process->pymalloc;
	}
	return NULL;
}

static void find_settings(struct mw_process *process)
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

int mw_processes__find_allocators(const struct mw_processes *p, struct mw_process *process,
				  struct mw_err *err)
{
	struct mw_allocators found;
	int ret;

	ret = mw_allocators__find(&found, process->pid, p->returns, err);
	if (ret == -ENOENT && !process->allocators.count)
		process->allocators.runtime = found.runtime;
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
 * object file: everything from the first to the last of its functions, symbol or not; reallocarray
 * is another file. Of other allocators only the functions are known.
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
	/* All of malloc.o is some 30 KiB; more means that a linker has moved its parts about. */
	if (whole.end > whole.start && whole.end - whole.start < 64 << 10)
		proc->ranges[proc->ranges_count++] = whole;
}

int mw_processes__publish(const struct mw_processes *p, const struct mw_process *process)
{
	uint32_t key = process->tgid;
	struct mw_proc proc = {0};

	bpf_map_lookup_elem(p->map, &key, &proc);
	proc.slot = process->slot;
	proc.space = process->space;
	proc.mp_addr = process->settings.mp_addr;
	proc.mmap_threshold = process->settings.mmap_threshold;
	proc.trim_threshold = process->settings.trim_threshold;
	proc.ranges_count = 0;
	for (size_t a = 0; a < process->allocators.count; a++)
		add_code_ranges(&proc, &process->allocators.list[a]);
	return bpf_map_update_elem(p->map, &key, &proc, BPF_ANY) ? -errno : 0;
}

void mw_processes__seed_brk(const struct mw_processes *p, const struct mw_process *process)
{
	uint32_t key = process->tgid;
	const struct mw_map *heap;
	struct mw_maps maps;
	struct mw_proc proc;

	if (mw_maps__read(&maps, process->pid, NULL))
		return;
	heap = mw_maps__named(&maps, "[heap]");
	if (!bpf_map_lookup_elem(p->map, &key, &proc) && !proc.brk) {
		proc.brk = heap ? heap->end : process->stat.start_brk;
		bpf_map_update_elem(p->map, &key, &proc, BPF_ANY);
	}
	mw_maps__free(&maps);
}
