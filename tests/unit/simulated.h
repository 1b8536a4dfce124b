/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A simulated target under a watch's windows: it computes in bursts or all the time, each
 * allocation takes it OWN seconds and each hit of a probe delays it. Seeded; no kernel, no clock.
 *
 * A process with a second layer of allocators has another of these for it, BESIDE the first and
 * with it as its PROCESS: of that only costs, probes and windows count, the rest is the first's.
 */
#ifndef MW_TESTS_SIMULATED_H
#define MW_TESTS_SIMULATED_H

#include <math.h>
#include <string.h>

#include "model/windows.h"

enum { SIMULATED_SPANS = 4096 };

struct simulated {
	/* The target. */
	double own;	       /* seconds of CPU an allocation takes it, without probes */
	double own_changes;    /* it is slower by this factor in every second second */
	double wait;	       /* seconds that it waits after each: 0: it computes */
	double busy, idle;     /* seconds: bursts; idle 0: always busy */
	double burst;	       /* allocations: a burst ends with so many, not by the clock; 0 */
	double noise;	       /* one standard deviation of OWN, from one 10 ms to the next */
	double factor;	       /* what a hit costs, by what is calibrated */
	double cost_noise;     /* one standard deviation of that, from one 10 ms to the next */
	double entry, full;    /* calibrated seconds an allocation: entry probes, all */
	double foreign;	       /* seconds that another tracer's return probes add to entry probes */
	double attach, detach; /* seconds */
	double grace;	/* seconds that going out takes longer where nothing is ready for it */
	double latency; /* seconds until the watch runs again */
	double tick;	/* seconds: its CPU time is as it was at the last one; 0: as it is */
	uint64_t seed;
	struct simulated *beside, *process; /* see above */
	double per;			    /* its allocations for each of PROCESS's */
	double unseen;			    /* of its allocations, those that no probe sees */
	/* Its state. */
	double cpu_at_tick;
	double now, cpu, next_noise, speed, dearer, lost, carry;
	double allocs, counted;	  /* truth, and what probes saw */
	double done, burst_began; /* of the present burst */
	double sleeps;
	bool idles;
	double last, last_counted, last_carry, last_sampled;	  /* of the last tenth of bursts */
	double lost_at[SIMULATED_SPANS], cpu_at[SIMULATED_SPANS]; /* each 10 ms */
	size_t spans;
	enum mw_window_kind kind;
	bool in, counting, stays, woken, ready;
	double out_at, sampled, sampled_carry;
	uint64_t idle_hits, quota, hits;
	double hits_carry;
	struct mw_windows *windows;
};

static inline double simulated_uniform(struct simulated *t)
{
	t->seed = t->seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (double)(t->seed >> 11) / 9007199254740992.0;
}

static inline double simulated_normal(struct simulated *t)
{
	return sqrt(-2 * log(1 - simulated_uniform(t))) *
	       cos(6.283185307179586 * simulated_uniform(t));
}

static inline struct simulated *simulated_process(struct simulated *t)
{
	return t->process ? t->process : t;
}

static inline bool simulated_is_probed(const struct simulated *t, double now)
{
	return t->in || now < t->out_at;
}

/* Seconds that an allocation of PROCESS, or those of T beside it, take longer. */
static inline double simulated_each(const struct simulated *t, const struct simulated *process)
{
	double per = t->process ? t->per * (1 - t->unseen) : 1;

	if (!simulated_is_probed(t, process->now))
		return 0;
	return per * process->dearer * process->factor *
	       (t->kind == MW_WINDOW_FULL ? t->full : t->entry + t->foreign);
}

/* Of an allocation and its free. */
static inline double simulated_hits(const struct simulated *t)
{
	return t->kind == MW_WINDOW_FULL ? 3 : 2;
}

/* N allocations of PROCESS: what T's probes meet. */
static inline void simulated_meet(struct simulated *t, struct simulated *process, double n)
{
	if (t->process) {
		n *= t->per;
		t->allocs += n;
		n *= 1 - t->unseen;
	}
	if (t->counting)
		t->counted += n;
	if (!simulated_is_probed(t, process->now))
		return;
	if (!t->counting)
		t->idle_hits += (uint64_t)(simulated_hits(t) * n);
	t->hits_carry += simulated_hits(t) * n;
	t->hits = (uint64_t)t->hits_carry;
	if (t->quota && t->hits > t->quota) {
		mw_windows__quota_reached(t->windows);
		process->woken = true;
		t->quota = 0;
	}
}

/* Of N allocations of T, those that are in the last tenth of the present burst. */
static inline void simulated_advance(struct simulated *t, double n)
{
	double last = fmax(t->done + n - fmax(t->done, 0.9 * t->burst), 0);

	t->done += n;
	t->sleeps += t->done >= t->burst;
	t->last += last;
	if (t->counting)
		t->last_counted += last;
}

/* Is T between two bursts? */
static inline bool simulated_is_idle(struct simulated *t)
{
	double period = t->busy + t->idle;

	if (!(t->burst > 0)) {
		bool idle = t->idle > 0 && fmod(t->now, period) >= t->busy;

		t->sleeps += idle && !t->idles;
		t->idles = idle;
		return idle;
	}
	if (t->now - t->burst_began >= period && t->done >= t->burst) {
		t->burst_began = t->now;
		t->done = 0;
	}
	return t->done >= t->burst;
}

/* TIME passes; what the target does in it with the probes as they are. */
static inline void simulated_pass(struct simulated *t, double time)
{
	const double step = 0.0005;

	t->woken = false;
	for (double end = t->now + time; t->now < end - 1e-9 && !t->woken; t->now += step) {
		double cost = simulated_each(t, t), own, each, n;

		if (t->beside)
			cost += simulated_each(t->beside, t);

		if (t->now >= t->next_noise) {
			t->speed = fmax(1 + t->noise * simulated_normal(t), 0.2);
			t->dearer = fmax(1 + t->cost_noise * simulated_normal(t), 0.5);
			t->next_noise = t->now + 0.01;
			if (t->spans < SIMULATED_SPANS) {
				t->lost_at[t->spans] = t->lost;
				t->cpu_at[t->spans++] = t->cpu;
			}
		}
		if (simulated_is_idle(t))
			continue;
		own = t->own * t->speed;
		if (t->own_changes > 0 && fmod(t->now, 2) >= 1)
			own *= t->own_changes;
		each = own + cost;
		n = step / fmax(each + t->wait, 1e-12);
		if (t->burst > 0) {
			n = fmin(n, t->burst - t->done);
			simulated_advance(t, n);
		}
		if (t->tick > 0 && fmod(t->now, t->tick) < step)
			t->cpu_at_tick = t->cpu;
		t->cpu += n * each;
		t->lost += n * cost;
		t->allocs += n;
		simulated_meet(t, t, n);
		if (t->beside)
			simulated_meet(t->beside, t, n);
	}
}

static inline double simulated_cpu(void *arg, uint32_t slot)
{
	const struct simulated *t = simulated_process(arg);

	(void)slot;

	return t->tick > 0 ? t->cpu_at_tick : t->cpu;
}

static inline double simulated_sleeps(void *arg, uint32_t slot)
{
	(void)slot;
	return simulated_process(arg)->sleeps;
}

static inline double simulated_cpu_lags(void *arg)
{
	return simulated_process(arg)->tick;
}

static inline int simulated_attach(void *arg, enum mw_window_kind kind)
{
	struct simulated *t = arg, *process = simulated_process(t);

	t->kind = kind;
	for (double end = process->now + t->attach; process->now < end - 1e-9;)
		simulated_pass(process, end - process->now);
	t->in = true;
	return 0;
}

static inline void simulated_detach(void *arg)
{
	struct simulated *t = arg;

	t->in = false;
	t->out_at = simulated_process(t)->now + t->detach + (t->ready ? 0 : t->grace);
}

static inline bool simulated_is_detached(void *arg)
{
	struct simulated *t = arg;

	return simulated_process(t)->now >= t->out_at;
}

static inline void simulated_sample(void *arg, const struct mw_sampling *sampling)
{
	(void)arg;
	(void)sampling;
}

static inline void simulated_count(void *arg, bool on)
{
	struct simulated *t = arg;

	t->counting = on;
	if (on) {
		t->sampled_carry = t->counted;
		t->last_carry = t->last_counted;
	}
}

static inline void simulated_quota(void *arg, uint64_t hits)
{
	struct simulated *t = arg;

	t->quota = hits;
	t->hits = 0;
	t->hits_carry = 0;
}

static inline void simulated_read(void *arg, uint32_t slot, struct mw_counts *counts)
{
	struct simulated *t = arg;

	(void)slot;
	memset(counts, 0, sizeof(*counts));
	counts->alloc[MW_PLACE_BRK][4].count = (uint64_t)t->counted;
	counts->alloc[MW_PLACE_BRK][4].bytes = (uint64_t)t->counted * 64;
	counts->calls[MW_FUNC_MALLOC] = counts->calls[MW_FUNC_FREE] = (uint64_t)t->counted;
}

static inline uint64_t simulated_idle_hits(void *arg)
{
	return ((struct simulated *)arg)->idle_hits;
}

static inline double simulated_cost(void *arg, uint32_t slot, const struct mw_counts *before,
				    const struct mw_counts *after, enum mw_window_kind kind)
{
	const struct simulated *t = arg;

	(void)slot;
	return (double)(mw_counts__alloc(after).count - mw_counts__alloc(before).count) *
	       (kind == MW_WINDOW_FULL ? t->full : t->entry);
}

static inline void simulated_time(void *arg, bool on)
{
	(void)arg;
	(void)on;
}

static inline double simulated_ran(void *arg)
{
	(void)arg;
	return 0;
}

static inline void simulated_be_ready(void *arg, bool on)
{
	((struct simulated *)arg)->ready = on;
}

static inline double simulated_hit(void *arg, enum mw_window_kind kind)
{
	const struct simulated *t = arg;

	return (kind == MW_WINDOW_FULL ? t->full : t->entry) / 2;
}

static inline void simulated_sampled(void *arg, double seconds, const double *scales,
				     const double *cpu)
{
	struct simulated *t = arg;

	(void)seconds;
	(void)cpu;
	t->sampled += scales[0] * (t->counted - t->sampled_carry);
	t->sampled_carry = t->counted;
	t->last_sampled += scales[0] * (t->last_counted - t->last_carry);
	t->last_carry = t->last_counted;
}

static inline void simulated_stays(void *arg, bool stays)
{
	((struct simulated *)arg)->stays = stays;
}

static void simulated_ends(void *arg)
{
	(void)arg;
}

static const struct mw_windows_ops simulated_ops = {
	.ends = simulated_ends,
	.cpu = simulated_cpu,
	.cpu_about = simulated_cpu,
	.sleeps = simulated_sleeps,
	.cpu_lags = simulated_cpu_lags,
	.attach = simulated_attach,
	.detach = simulated_detach,
	.is_detached = simulated_is_detached,
	.sample = simulated_sample,
	.count = simulated_count,
	.set_quota = simulated_quota,
	.read = simulated_read,
	.idle_hits = simulated_idle_hits,
	.cost = simulated_cost,
	.time_programs = simulated_time,
	.ran = simulated_ran,
	.be_ready = simulated_be_ready,
	.hit = simulated_hit,
	.sampled = simulated_sampled,
	.stays = simulated_stays,
};

/* Watch T for SECONDS within BUDGET: what the watch says then. Before, it ran for BEFORE seconds.
 */
static inline struct mw_sample simulated_watch(struct simulated *t, double budget, double before,
					       double seconds)
{
	struct mw_sample sample = {0};
	double busy, end;

	t->speed = t->dearer = 1;
	t->factor = t->factor > 0 ? t->factor : 1;
	simulated_pass(t, before);
	busy = before > 0 ? t->cpu / before : 0;
	t->spans = 0;
	t->windows = mw_windows__new(&simulated_ops, t, MW_MODE_EXACT, budget);
	mw_windows__begin(t->windows, 1, t->now, busy);
	t->allocs = t->counted;
	for (end = t->now + seconds; t->now < end;) {
		double next = mw_windows__step(t->windows, t->now, end);

		simulated_pass(t, fmax(next - t->now, 0));
		simulated_pass(t, t->latency * simulated_uniform(t));
	}
	mw_windows__estimate(t->windows, 0, t->now, &sample);
	return sample;
}

/*
 * The largest share that probes took of the target's CPU time in any SECONDS of the watch in which
 * it used half of what it uses on average, or a twentieth of a processor: of a burst that has just
 * begun a window is much. Less than three tenths of a processor count as that
 * (model/governor.c).
 */
static inline double simulated_worst(const struct simulated *t, double seconds)
{
	size_t n = (size_t)(seconds / 0.01);
	double worst = 0, least = 0;

	if (t->spans)
		least = t->cpu_at[t->spans - 1] - t->cpu_at[0];
	least = fmin(least / (0.02 * (double)t->spans), 0.05) * seconds;
	for (size_t i = 0; i + n < t->spans; i++) {
		double cpu = t->cpu_at[i + n] - t->cpu_at[i];

		if (cpu > least)
			worst = fmax(worst, (t->lost_at[i + n] - t->lost_at[i]) /
						    fmax(cpu, 0.3 * seconds));
	}
	return worst;
}

#endif
