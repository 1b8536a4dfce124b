// SPDX-License-Identifier: GPL-2.0-or-later
#include <bpf/libbpf.h>
#include <math.h>
#include <stdlib.h>

#include "bpf/memwhere.h"
#include "bpf/memwhere.skel.h"
#include "trace/standing.h"

/*
 * Seconds: system calls are counted for a moment now and then, for to count one takes as long again
 * as to let it pass. How many come in a second of the target's CPU time changes slowly.
 */
static const double COUNTED = 0.01, PERIOD = 0.25;
/* Older moments fade; seconds of CPU, less than which says nothing of a rate. */
static const double FADE = 0.9, CPU_MIN = 3e-4;
/* Of what a system call takes longer, what a page fault does: the program, but no slower way. */
static const double FAULT = 0.7;

struct mw_standing {
	struct memwhere_bpf *bpf;
	struct mw_processes *processes;
	struct mw_counters *counters;
	const struct mw_lengths *lengths; /* NULL: none are watched */
	const struct mw_cost *cost;
	double syscall; /* seconds that each takes longer */
	bool counting, known;
	double due_at;
	double cpu, cpu_before; /* of all targets: as last looked at; when counting began */
	double calls_before;
	double calls, calls_cpu; /* counted; in so many seconds of CPU; fading */
	double syscalls;	 /* estimated, since the watch began */
	double seconds;
};

static double all_cpu(const struct mw_standing *s)
{
	double cpu = 0;

	for (uint32_t slot = 0; slot < s->processes->target_count; slot++)
		cpu += mw_processes__cpu_seconds(s->processes, slot);
	return cpu;
}

struct mw_standing *mw_standing__new(struct memwhere_bpf *bpf, struct mw_processes *processes,
				     struct mw_counters *counters, const struct mw_lengths *lengths,
				     const struct mw_cost *cost, uint32_t syscall_ns)
{
	struct mw_standing *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->bpf = bpf;
	s->processes = processes;
	s->counters = counters;
	s->lengths = lengths;
	s->cost = cost;
	s->syscall = syscall_ns / 1e9;
	s->cpu = all_cpu(s);
	return s;
}

void mw_standing__free(struct mw_standing *s)
{
	free(s);
}

static void count(struct mw_standing *s, bool on, double cpu, double calls)
{
	if (s->counting && cpu - s->cpu_before > CPU_MIN) {
		s->calls = FADE * s->calls + calls - s->calls_before;
		s->calls_cpu = FADE * s->calls_cpu + cpu - s->cpu_before;
		s->known = true;
	}
	s->cpu_before = cpu;
	s->calls_before = calls;
	s->counting = on;
	s->bpf->bss->mw_syscalls_counted = on;
}

double mw_standing__step(struct mw_standing *s, double now, double until)
{
	double cpu, ns = 0, traps = 0, faults = 0, calls = 0;

	if (now < s->due_at)
		return fmin(s->due_at, until);
	cpu = all_cpu(s);
	for (uint32_t slot = 0; slot < s->processes->target_count; slot++) {
		struct mw_counts counts;

		if (mw_counters__read(s->counters, slot, &counts))
			continue;
		ns += (double)counts.standing_ns;
		traps += (double)counts.length_hits;
		faults += (double)counts.page_faults;
		calls += (double)counts.syscalls;
	}
	count(s, !s->counting, cpu, calls);
	s->due_at = now + (s->counting ? COUNTED : PERIOD - COUNTED);
	if (s->calls_cpu > 0)
		s->syscalls += fmax(cpu - s->cpu, 0) * s->calls / s->calls_cpu;
	s->cpu = cpu;
	s->seconds = ns / 1e9 + traps * mw_cost__debug_trap_ns(s->cost) / 1e9 +
		     (s->syscalls + FAULT * faults) * s->syscall +
		     (s->lengths ? mw_lengths__seconds(s->lengths) : 0);
	return fmin(s->due_at, until);
}

double mw_standing__seconds(const struct mw_standing *s)
{
	return s->known ? s->seconds : -1;
}
