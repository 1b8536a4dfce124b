// SPDX-License-Identifier: GPL-2.0-or-later
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "image/maps.h"
#include "model/sample.h"
#include "probe/calibrate.h"
#include "util/clock.h"

enum { CALLS = 64, ROUNDS = 4, RETURN_NS_PUBLISHED = 800, SAMPLES = MW_PROBE_UNPROBEABLE + 1 };
/* Of these so many at each moment, and the pause between two. */
enum { SYSCALL_RUNS = 16, SYSCALL_MOMENT = 4 };
static const struct timespec SYSCALL_PAUSE = {.tv_nsec = 2000000};

/* The best of a few rounds: in the others something else ran, too. */
static uint32_t time_calls(void (*function)(void))
{
	double best = 0;

	for (int round = 0; round < ROUNDS; round++) {
		double began = mw_monotonic(), took;

		for (int i = 0; i < CALLS; i++)
			function();
		took = mw_monotonic() - began;
		if (!round || took < best)
			best = took;
	}
	return (uint32_t)(1e9 * best / CALLS);
}

static uint32_t less(uint32_t a, uint32_t b)
{
	return a > b ? a - b : 0;
}

static void call_kernel(void)
{
	syscall(SYS_getppid);
}

uint32_t mw_syscall_ns(void)
{
	uint32_t best = UINT32_MAX;

	/*
	 * A few short runs, one of which is not interrupted; at several moments, since a processor
	 * may be slow for milliseconds: other guests of its machine use it, too.
	 */
	for (int i = 0; i < SYSCALL_RUNS; i++) {
		uint32_t ns;

		if (i && i % SYSCALL_MOMENT == 0)
			nanosleep(&SYSCALL_PAUSE, NULL);
		ns = time_calls(call_kernel);
		best = ns < best ? ns : best;
	}
	return best;
}

uint32_t mw_cost__debug_trap_ns(const struct mw_cost *cost)
{
	return less(cost->entry_ns[MW_PROBE_STEPPED], cost->entry_ns[MW_PROBE_PUSH]);
}

static uint64_t file_offset(const struct mw_maps *maps, void (*function)(void))
{
	const struct mw_map *map = mw_maps__find(maps, (uintptr_t)function);

	return map ? (uintptr_t)function - map->start + map->offset : 0;
}

void mw_program_ran(const struct bpf_program *program, uint64_t *ns, uint64_t *runs)
{
	struct bpf_prog_info info = {0};
	uint32_t len = sizeof(info);

	*ns = *runs = 0;
	if (bpf_program__fd(program) < 0 ||
	    bpf_obj_get_info_by_fd(bpf_program__fd(program), &info, &len))
		return;
	*ns = info.run_time_ns;
	*runs = info.run_cnt;
}

/* What a run of PROGRAM takes on average, by the kernel; it has run in a calibration only. */
static uint32_t run_ns(const struct bpf_program *program)
{
	uint64_t ns, runs;

	mw_program_ran(program, &ns, &runs);
	return runs ? (uint32_t)(ns / runs) : 0;
}

static void measure(uint32_t *entry_ns, uint32_t *return_ns)
{
	for (int c = 0; c < MW_PROBE_UNPROBEABLE; c++)
		entry_ns[c] = time_calls(mw_insn_samples[c]);
	*return_ns = less(time_calls(mw_insn_samples[SAMPLES - 1]), entry_ns[MW_PROBE_PUSH]);
}

/* The same while the kernel times the programs, less the time that it reports. */
static void measure_timed(struct mw_cost *cost, struct bpf_program *entry, struct bpf_program *ret)
{
	int fd = bpf_enable_stats(BPF_STATS_RUN_TIME);

	if (fd < 0)
		return;
	measure(cost->timed_entry_ns, &cost->timed_return_ns);
	for (int c = 0; c < MW_PROBE_UNPROBEABLE; c++)
		cost->timed_entry_ns[c] = less(cost->timed_entry_ns[c], run_ns(entry));
	if (ret)
		cost->timed_return_ns = less(cost->timed_return_ns, run_ns(ret));
	close(fd);
}

void mw_cost__measure(struct mw_cost *cost, struct bpf_program *entry, struct bpf_program *ret,
		      bool multi, struct mw_detacher *detacher)
{
	struct mw_probe_place places[SAMPLES];
	struct mw_probes entries, returns = {.fd = -1};
	struct mw_maps maps;
	int failed;

	for (int c = 0; c < MW_PROBE_UNPROBEABLE; c++)
		cost->entry_ns[c] = cost->timed_entry_ns[c] = mw_probe_class_cost(c);
	cost->return_ns = cost->timed_return_ns = RETURN_NS_PUBLISHED;
	if (mw_maps__read(&maps, getpid(), NULL))
		return;
	/* Cookie 0: function none of slot 0, while nothing is counted yet. */
	for (size_t i = 0; i < SAMPLES; i++)
		places[i] =
			(struct mw_probe_place){.offset = file_offset(&maps, mw_insn_samples[i])};
	mw_maps__free(&maps);
	failed = mw_probes__attach(&entries, entry, multi, getpid(), "/proc/self/exe", false,
				   places, SAMPLES);
	if (failed)
		return;
	if (ret)
		failed = mw_probes__attach(&returns, ret, multi, getpid(), "/proc/self/exe", true,
					   &places[SAMPLES - 1], 1);
	if (!failed) {
		measure(cost->entry_ns, &cost->return_ns);
		memcpy(cost->timed_entry_ns, cost->entry_ns, sizeof(cost->entry_ns));
		cost->timed_return_ns = cost->return_ns;
		measure_timed(cost, entry, ret);
	}
	mw_detacher__take(detacher, &entries);
	mw_detacher__take(detacher, &returns);
}

uint64_t mw_cost__call_ns(const struct mw_cost *cost, const struct mw_function *fn, bool returns)
{
	uint64_t ns = fn->probed ? cost->entry_ns[fn->entry.class] : 0;

	if (ns && returns && fn->func < MW_FUNC_FREE)
		ns += cost->return_ns;
	return ns;
}

double mw_cost__hit_seconds(const struct mw_cost *cost, enum mw_layer layer, bool returns)
{
	uint32_t ns = layer == MW_LAYER_PYTHON
			      ? cost->entry_ns[MW_PROBE_BRANCH]
			      : cost->entry_ns[MW_PROBE_PUSH] + (returns ? cost->return_ns : 0);

	/* Calibrated with programs that do nothing; making and finding a block's record adds a
	 * half. */
	return 1.5 * ns / 1e9;
}

/* Hits at places of Python's pools, each a conditional jump. */
static double python_hits(const struct mw_counts *counts)
{
	return (double)(mw_counts__alloc_at(counts, MW_PLACE_PYTHON).count + counts->python_frees);
}

uint64_t mw_cost__calls_ns(const struct mw_cost *cost, const struct mw_allocators *found,
			   const struct mw_counts *counts, bool returns)
{
	bool counted[MW_FUNCS] = {false};
	uint64_t ns = (uint64_t)python_hits(counts) * cost->entry_ns[MW_PROBE_BRANCH];

	for (size_t a = 0; a < found->count; a++) {
		for (size_t f = 0; f < found->list[a].count; f++) {
			const struct mw_function *fn = &found->list[a].functions[f];

			if (counted[fn->func])
				continue;
			counted[fn->func] = true;
			ns += counts->calls[fn->func] * mw_cost__call_ns(cost, fn, returns);
		}
	}
	return ns;
}

double mw_cost__timed_seconds(const struct mw_cost *cost, const struct mw_allocators *found,
			      const struct mw_counts *before, const struct mw_counts *after,
			      bool returns)
{
	bool counted[MW_FUNCS] = {false};
	double ns =
		(python_hits(after) - python_hits(before)) * cost->timed_entry_ns[MW_PROBE_BRANCH];

	for (size_t a = 0; a < found->count; a++) {
		for (size_t f = 0; f < found->list[a].count; f++) {
			const struct mw_function *fn = &found->list[a].functions[f];
			double calls = (double)(after->calls[fn->func] - before->calls[fn->func]);

			if (fn->func == MW_FUNC_FREE)
				calls += (double)(after->free_null - before->free_null +
						  after->free_internal - before->free_internal);
			if (counted[fn->func] || !fn->probed)
				continue;
			counted[fn->func] = true;
			ns += calls * cost->timed_entry_ns[fn->entry.class];
			if (returns && fn->func < MW_FUNC_FREE)
				ns += calls * cost->timed_return_ns;
		}
	}
	return ns / 1e9;
}
