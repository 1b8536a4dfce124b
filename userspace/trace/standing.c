// SPDX-License-Identifier: GPL-2.0-or-later
#include <bpf/libbpf.h>
#include <math.h>
#include <stdlib.h>

#include "bpf/memwhere.h"
#include "bpf/memwhere.skel.h"
#include "trace/programs.h"
#include "trace/standing.h"

/*
 * Seconds: system calls are counted for a moment now and then, for to count one takes as long again
 * as to let it pass. How many come in a second of the target's CPU time changes slowly.
 */
static const double COUNTED = 0.01, PERIOD = 0.25;
/* Of the budget, what may be spent on system calls: beyond, a part of each period goes unseen. */
static const double SYSCALLS_SHARE = 0.5;
/* Seconds: a window is open, whose end must not wait for the program at system calls. */
static const double BUSY = 0.005;
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
	/* System calls are counted, then let pass, then not seen at all where they are too many. */
	enum { COUNTING, PASSING, OUT } phase;
	bool known;
	double due_at, period_ends_at;
	double cpu_in, cpu_all;		/* in which they were seen; of the watch */
	double cpu_period, base_period; /* as the present period began */
	double recent_cpu, recent_base; /* of periods, fading */
	double cpu, cpu_before;		/* of all targets: as last looked at; when counting began */
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
	s->cpu = s->cpu_period = s->cpu_before = all_cpu(s);
	s->phase = PASSING;
	return s;
}

void mw_standing__free(struct mw_standing *s)
{
	free(s);
}

/* A moment of counting is over. */
static void learn(struct mw_standing *s, double cpu, double calls)
{
	if (!(cpu - s->cpu_before > CPU_MIN))
		return;
	s->calls = FADE * s->calls + calls - s->calls_before;
	s->calls_cpu = FADE * s->calls_cpu + cpu - s->cpu_before;
	s->known = true;
}

/* Of a period, the share in which system calls may be seen. */
static double share_in(const struct mw_standing *s, double budget)
{
	/* BASE is brought up to date less often than the CPU time, which it is never below. */
	double base = fmax(s->recent_base, s->recent_cpu);
	double taken = s->calls_cpu > 0 ? s->calls / s->calls_cpu * s->syscall * s->recent_cpu : 0;

	return budget > 0 && taken > 0 ? fmin(SYSCALLS_SHARE * budget * base / taken, 1) : 1;
}

/* The program at system calls is back in, and counts for a moment. */
static void begin_period(struct mw_standing *s, double now, double cpu, double calls, double base)
{
	s->period_ends_at = now + PERIOD;
	if (s->phase == OUT && !mw_programs__see_system_calls(s->bpf, true)) {
		s->due_at = s->period_ends_at;
		return;
	}
	s->recent_cpu = FADE * s->recent_cpu + cpu - s->cpu_period;
	s->recent_base = FADE * s->recent_base + base - s->base_period;
	s->cpu_period = s->cpu_before = cpu;
	s->base_period = base;
	s->calls_before = calls;
	s->phase = COUNTING;
	s->due_at = now + COUNTED;
}

static void end_counting(struct mw_standing *s, double now, double cpu, double calls, double budget)
{
	double in = PERIOD * share_in(s, budget);

	learn(s, cpu, calls);
	s->phase = PASSING;
	s->due_at = fmax(s->period_ends_at - PERIOD + in, now);
}

static void end_passing(struct mw_standing *s)
{
	mw_programs__see_system_calls(s->bpf, false);
	s->phase = OUT;
	s->due_at = s->period_ends_at;
}

double mw_standing__step(struct mw_standing *s, const struct mw_standing_now *now)
{
	double cpu, ns = 0, traps = 0, faults = 0, calls = 0, used;

	if (now->time < s->due_at)
		return fmin(s->due_at, now->until);
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
	used = fmax(cpu - s->cpu, 0);
	s->cpu = cpu;
	s->cpu_all += used;
	if (s->phase != OUT) {
		s->cpu_in += used;
		if (s->calls_cpu > 0)
			s->syscalls += used * s->calls / s->calls_cpu;
	}
	if (s->phase == COUNTING)
		end_counting(s, now->time, cpu, calls, now->budget);
	else if (!now->may_switch)
		s->due_at = now->time + BUSY;
	else if (s->phase == PASSING && now->time < s->period_ends_at)
		end_passing(s);
	else
		begin_period(s, now->time, cpu, calls, now->base);
	s->bpf->bss->mw_syscalls_counted = s->phase == COUNTING;
	s->seconds = ns / 1e9 + traps * mw_cost__debug_trap_ns(s->cost) / 1e9 +
		     (s->syscalls + FAULT * faults) * s->syscall +
		     (s->lengths ? mw_lengths__seconds(s->lengths) : 0);
	return fmin(s->due_at, now->until);
}

double mw_standing__seen(const struct mw_standing *s)
{
	return s->cpu_all > 0 ? s->cpu_in / s->cpu_all : 1;
}

double mw_standing__seconds(const struct mw_standing *s)
{
	return s->known ? s->seconds : -1;
}
