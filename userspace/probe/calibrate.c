// SPDX-License-Identifier: GPL-2.0-or-later
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "image/maps.h"
#include "probe/calibrate.h"

enum { CALLS = 64, ROUNDS = 4, RETURN_NS_PUBLISHED = 800, SAMPLES = MW_PROBE_UNPROBEABLE + 1 };

static uint64_t nanoseconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* The best of a few rounds: what is above it is someone else's. */
static uint32_t time_calls(void (*function)(void))
{
	uint64_t best = UINT64_MAX;

	for (int round = 0; round < ROUNDS; round++) {
		uint64_t began = nanoseconds(), took;

		for (int i = 0; i < CALLS; i++)
			function();
		took = (nanoseconds() - began) / CALLS;
		if (took < best)
			best = took;
	}
	return (uint32_t)best;
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

/* What a run of PROGRAM takes on average; it has run in a calibration only. */
static uint32_t told_ns(const struct bpf_program *program)
{
	uint64_t ns, runs;

	mw_program_ran(program, &ns, &runs);
	return runs ? (uint32_t)(ns / runs) : 0;
}

static uint32_t less(uint32_t a, uint32_t b)
{
	return a > b ? a - b : 0;
}

static void measure(uint32_t *entry_ns, uint32_t *return_ns)
{
	for (int c = 0; c < MW_PROBE_UNPROBEABLE; c++)
		entry_ns[c] = time_calls(mw_insn_samples[c]);
	*return_ns = less(time_calls(mw_insn_samples[SAMPLES - 1]), entry_ns[MW_PROBE_PUSH]);
}

/* The same with the clock on, less what it tells. */
static void measure_timed(struct mw_cost *cost, struct bpf_program *entry, struct bpf_program *ret)
{
	int fd = bpf_enable_stats(BPF_STATS_RUN_TIME);

	if (fd < 0)
		return;
	measure(cost->timed_entry_ns, &cost->timed_return_ns);
	for (int c = 0; c < MW_PROBE_UNPROBEABLE; c++)
		cost->timed_entry_ns[c] = less(cost->timed_entry_ns[c], told_ns(entry));
	if (ret)
		cost->timed_return_ns = less(cost->timed_return_ns, told_ns(ret));
	close(fd);
}

void mw_cost__measure(struct mw_cost *cost, struct bpf_program *entry, struct bpf_program *ret,
		      bool multi, struct mw_detacher *detacher)
{
	struct mw_probe_place sites[SAMPLES];
	struct mw_probes entries, returns = {.fd = -1};
	struct mw_maps maps;
	int failed;

	for (int c = 0; c < MW_PROBE_UNPROBEABLE; c++)
		cost->entry_ns[c] = cost->timed_entry_ns[c] = mw_probe_class_cost(c);
	cost->return_ns = cost->timed_return_ns = RETURN_NS_PUBLISHED;
	cost->measured = 0;
	if (mw_maps__read(&maps, getpid(), NULL))
		return;
	/* Cookie 0: function none of slot 0, while nothing is counted yet. */
	for (size_t i = 0; i < SAMPLES; i++)
		sites[i] =
			(struct mw_probe_place){.offset = file_offset(&maps, mw_insn_samples[i])};
	mw_maps__free(&maps);
	failed = mw_probes__attach(&entries, entry, multi, getpid(), "/proc/self/exe", false, sites,
				   SAMPLES);
	if (failed)
		return;
	if (ret)
		failed = mw_probes__attach(&returns, ret, multi, getpid(), "/proc/self/exe", true,
					   &sites[SAMPLES - 1], 1);
	if (!failed) {
		measure(cost->entry_ns, &cost->return_ns);
		memcpy(cost->timed_entry_ns, cost->entry_ns, sizeof(cost->entry_ns));
		cost->timed_return_ns = cost->return_ns;
		measure_timed(cost, entry, ret);
		cost->measured = 1;
	}
	mw_detacher__take(detacher, &entries);
	mw_detacher__take(detacher, &returns);
}
