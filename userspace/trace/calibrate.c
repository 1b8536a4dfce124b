// SPDX-License-Identifier: GPL-2.0-or-later
#include <time.h>
#include <unistd.h>

#include "image/maps.h"
#include "trace/calibrate.h"
#include "util/array.h"

enum { CALLS = 64, ROUNDS = 4, RETURN_NS_PUBLISHED = 800 };

/* One function a class of instruction, and one that also gets a return probe. */
#define TRAP(name, body)                                                                           \
	__attribute__((naked, noinline)) static void name(void)                                    \
	{                                                                                          \
		__asm__ volatile(body);                                                            \
	}

TRAP(trap_branch, "jmp 1f\n1:\tret")
TRAP(trap_push, "push %rbp\n\tpop %rbp\n\tret")
TRAP(trap_stepped, "test %rdi, %rdi\n\tret")
TRAP(trap_return, "push %rbp\n\tpop %rbp\n\tret")

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

void mw_cost__measure(struct mw_cost *cost, struct bpf_program *entry, struct bpf_program *ret,
		      bool multi, struct mw_reaper *reaper)
{
	void (*const traps[])(void) = {trap_branch, trap_push, trap_stepped, trap_return};
	struct mw_probe_site sites[MW_ARRAY_SIZE(traps)];
	struct mw_probes entries, returns = {.fd = -1};
	struct mw_maps maps;
	int failed;

	for (int c = 0; c < MW_SITE_UNPROBEABLE; c++)
		cost->entry_ns[c] = mw_site_cost(c);
	cost->return_ns = RETURN_NS_PUBLISHED;
	cost->measured = 0;
	if (mw_maps__read(&maps, getpid(), NULL))
		return;
	/* Cookie 0: function none of slot 0, while nothing is counted yet. */
	for (size_t i = 0; i < MW_ARRAY_SIZE(traps); i++)
		sites[i] = (struct mw_probe_site){.offset = file_offset(&maps, traps[i])};
	mw_maps__free(&maps);
	failed = mw_probes__attach(&entries, entry, multi, getpid(), "/proc/self/exe", false, sites,
				   MW_ARRAY_SIZE(traps));
	if (failed)
		return;
	if (ret)
		failed = mw_probes__attach(&returns, ret, multi, getpid(), "/proc/self/exe", true,
					   &sites[MW_ARRAY_SIZE(traps) - 1], 1);
	if (!failed) {
		uint32_t both;

		for (int c = 0; c < MW_SITE_UNPROBEABLE; c++)
			cost->entry_ns[c] = time_calls(traps[c]);
		both = time_calls(trap_return);
		if (both > cost->entry_ns[MW_SITE_PUSH])
			cost->return_ns = both - cost->entry_ns[MW_SITE_PUSH];
		cost->measured = 1;
	}
	mw_reaper__detach(reaper, &entries);
	mw_reaper__detach(reaper, &returns);
}
