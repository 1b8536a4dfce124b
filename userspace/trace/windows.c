// SPDX-License-Identifier: GPL-2.0-or-later
#include <math.h>
#include <stdlib.h>

#include "model/estimate.h"
#include "trace/governor.h"
#include "trace/windows.h"
#include "util/log.h"

/* Seconds. */
static const double WINDOW = 0.05, POLL = 0.005, REVIEW = 1;
/* Seconds an allocation costs, return and free included, where no window has met one. */
static const double DEAREST = 1e-5;
/* Keep probes attached below 70 % of the budget; fall back to windows above 120 %. */
static const double ENTER = 0.7, LEAVE = 1.2;
/* Of what a target does, windows don't take more than this. */
static const double LOSS_MAX = 0.8;
/* CPUs: a target that uses less is taken to use as much. */
static const double IDLE = 0.05;

enum state { NONE, OPEN, CLOSING, STAYING };

/* One target's. */
struct slot {
	struct mw_estimate estimate;
	struct mw_counts before;	 /* when the window was opened, or when last integrated */
	struct mw_counts reviewed;	 /* when the cost of staying was last reviewed */
	double full_at;			 /* up to where windows that take stacks have counted */
	uint64_t kept_count, kept_bytes; /* blocks of windows that are not known to be freed */
};

struct mw_windows {
	const struct mw_windows_ops *ops;
	void *arg;
	enum mw_mode mode;
	double budget;
	unsigned int targets;
	struct slot *slots; /* MW_SLOTS of them */

	enum state state;
	bool leaving;		  /* CLOSING: not the end of a window, but of staying */
	enum mw_window_kind kind; /* of probes that are in */
	struct mw_governor governor;
	double due_at; /* when the state changes next */
	double started_at, attached_at, opened_at, closed_at;
	uint64_t idle_before;
	double ran_before, ran; /* what programs ran before, and within the window */
	double integrated_at, integrated_lost;
	double busy, busy_at, busy_cpu; /* CPUs that the targets keep busy */
	double reviewed_at, stay_cost;	/* share of the targets' time */
};

struct mw_windows *mw_windows__new(const struct mw_windows_ops *ops, void *arg, enum mw_mode mode,
				   double budget)
{
	struct mw_windows *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	w->ops = ops;
	w->arg = arg;
	w->mode = mode;
	w->budget = budget;
	w->slots = calloc(MW_SLOTS, sizeof(*w->slots));
	if (w->slots)
		return w;
	free(w);
	return NULL;
}

void mw_windows__free(struct mw_windows *w)
{
	if (!w)
		return;
	free(w->slots);
	free(w);
}

void mw_windows__begin(struct mw_windows *w, unsigned int targets)
{
	w->state = NONE;
	w->targets = targets;
	w->started_at = w->integrated_at = w->ops->now(w->arg);
	mw_governor__begin(&w->governor, w->budget, w->started_at);
	for (unsigned int i = 0; i < targets; i++)
		w->slots[i].full_at = w->started_at;
}

bool mw_windows__stay(const struct mw_windows *w)
{
	return w->state == STAYING;
}

/* CPUs that the targets use: what probes cost is a share of it. */
static double busy_cpus(const struct mw_windows *w)
{
	return w->busy > IDLE ? w->busy : IDLE;
}

static void measure_busy(struct mw_windows *w, double now)
{
	double cpu = w->ops->cpu_seconds(w->arg);

	if (w->busy_at && now > w->busy_at)
		w->busy = (cpu - w->busy_cpu) / (now - w->busy_at);
	w->busy_at = now;
	w->busy_cpu = cpu;
}

static double count_between(const struct mw_counts *before, const struct mw_counts *after)
{
	return (double)(mw_counts__alloc(after).count - mw_counts__alloc(before).count);
}

/* Does a window of KIND take stacks? Where frees can be seen only one that sees them. */
static bool takes_stacks(const struct mw_windows *w, enum mw_window_kind kind)
{
	return kind == MW_WINDOW_FULL || w->mode != MW_MODE_EXACT;
}

static void open_window(struct mw_windows *w, double now)
{
	w->kind = w->mode == MW_MODE_EXACT ? mw_governor__kind(&w->governor) : MW_WINDOW_ENTRY;
	w->attached_at = now;
	w->ops->track(w->arg, (uint64_t)(now * 1e9), takes_stacks(w, w->kind));
	w->idle_before = w->ops->idle_hits(w->arg);
	if (w->ops->attach(w->arg, w->kind, false)) {
		mw_governor__closed(&w->governor, w->ops->now(w->arg), 0, 0);
		return;
	}
	for (unsigned int i = 0; i < w->targets; i++)
		w->ops->read(w->arg, i, &w->slots[i].before);
	w->ops->time_programs(w->arg, true);
	w->ran_before = w->ops->program_seconds(w->arg);
	w->state = OPEN;
	w->opened_at = w->ops->now(w->arg);
	w->ops->count(w->arg, true);
	w->due_at = w->opened_at + WINDOW;
}

static void close_window(struct mw_windows *w)
{
	w->ops->count(w->arg, false);
	w->closed_at = w->ops->now(w->arg);
	w->ran = w->ops->program_seconds(w->arg) - w->ran_before;
	w->ops->time_programs(w->arg, false);
	w->ops->detach(w->arg);
	w->state = CLOSING;
	w->due_at = w->closed_at + POLL;
}

/*
 * What a second of this window stands for: all the time since the last one that took stacks, and
 * what the target would have done in this one had the probes not slowed it.
 */
static void track_blocks(struct mw_windows *w)
{
	double scales[MW_SLOTS] = {0}, seconds = w->closed_at - w->opened_at;

	for (unsigned int i = 0; i < w->targets; i++) {
		struct slot *s = &w->slots[i];
		double loss = mw_rates__loss(&s->estimate.rates, w->kind);

		scales[i] = (w->closed_at - s->full_at) / seconds / (1 - fmin(loss, LOSS_MAX));
		s->full_at = w->closed_at;
	}
	w->ops->blocks_seen(w->arg, seconds, scales);
}

/*
 * The window of target I, whose counters are AFTER now; ALL allocations were counted in it. Returns
 * what share of the target's time it took: the more of what the rates show, and of what its hits
 * cost by the calibration.
 */
static double add_window(struct mw_windows *w, unsigned int i, const struct mw_counts *after,
			 double all, double open)
{
	struct slot *s = &w->slots[i];
	struct mw_window window = {.kind = w->kind, .seconds = w->closed_at - w->opened_at};
	double share, calibrated;

	window.allocs = count_between(&s->before, after);
	window.cost = w->ops->hit_seconds(w->arg, i, &s->before, after, w->kind);
	if (all > 0)
		window.cost += w->ran * window.allocs / all;
	mw_estimate__add_window(&s->estimate, &window, &s->before, after);
	mw_detail("%s window of %.0f ms (%.0f ms with probes): %.0f allocations, %.0f a second "
		  "without probes by all windows (+-%.1f %%); cost %.0f ns each, programs %.0f ns",
		  w->kind == MW_WINDOW_FULL ? "full" : "entry", 1e3 * window.seconds, 1e3 * open,
		  window.allocs, s->estimate.rate, 100 * s->estimate.error,
		  1e9 * window.cost / (window.allocs + 1), 1e9 * w->ran / (window.allocs + 1));
	share = mw_rates__loss(&s->estimate.rates, w->kind);
	calibrated = fmin(window.cost / window.seconds / busy_cpus(w), 0.95);
	return fmax(share, calibrated);
}

static void finish_window(struct mw_windows *w, double now)
{
	double open = w->closed_at - w->opened_at, all = 0, loss = 0;
	struct mw_counts after;

	for (unsigned int i = 0; i < w->targets; i++) {
		w->ops->read(w->arg, i, &after);
		all += count_between(&w->slots[i].before, &after);
	}
	/*
	 * Probes go in and out one by one, and taking them out needs its time: hits say how long
	 * they were there.
	 */
	if (all > 0)
		open *= 1 + (double)(w->ops->idle_hits(w->arg) - w->idle_before) / all;
	else
		open = now - w->attached_at;
	for (unsigned int i = 0; i < w->targets; i++) {
		w->ops->read(w->arg, i, &after);
		loss += open * add_window(w, i, &after, all, open);
	}
	if (takes_stacks(w, w->kind))
		track_blocks(w);
	w->ops->check_blocks(w->arg);
	mw_governor__closed(&w->governor, now, open, loss / (w->targets ? w->targets : 1));
	w->state = NONE;
}

/* What full probing would cost, as a share of the CPU time that the targets use. */
static double predicted_cost(const struct mw_windows *w)
{
	double cost = 0;

	for (unsigned int i = 0; i < w->targets; i++) {
		const struct mw_estimate *e = &w->slots[i].estimate;
		double each = mw_rates__full_cost(&e->rates);

		if (e->rate > 0)
			cost += e->rate * (each > 0 ? each : DEAREST);
	}
	return cost / busy_cpus(w);
}

static void stay_in(struct mw_windows *w, double now)
{
	w->kind = w->mode == MW_MODE_EXACT ? MW_WINDOW_FULL : MW_WINDOW_ENTRY;
	if (w->ops->attach(w->arg, w->kind, true)) {
		mw_governor__closed(&w->governor, w->ops->now(w->arg), 0, 0);
		return;
	}
	for (unsigned int i = 0; i < w->targets; i++) {
		struct slot *s = &w->slots[i];
		struct mw_cell freed;

		w->ops->read(w->arg, i, &s->before);
		freed = mw_counts__freed(&s->before);
		s->reviewed = s->before;
		s->kept_count = s->before.kept.count - freed.count;
		s->kept_bytes = s->before.kept.bytes - freed.bytes;
	}
	w->ops->reset_blocks(w->arg, true);
	w->ops->track(w->arg, 0, true);
	w->ops->count(w->arg, true);
	w->state = STAYING;
	w->reviewed_at = w->opened_at = now;
	mw_detail(
		"all probes stay in: they cost about %.2f %% of the target's time, of %.2f %% allowed",
		100 * predicted_cost(w), 100 * w->budget);
}

/* Does staying cost no more than the budget still? */
static void review(struct mw_windows *w, double now)
{
	double cost = 0;

	measure_busy(w, now);
	for (unsigned int i = 0; i < w->targets; i++) {
		struct slot *s = &w->slots[i];
		struct mw_counts after;
		double hits, all;

		w->ops->read(w->arg, i, &after);
		hits = w->ops->hit_seconds(w->arg, i, &s->reviewed, &after, w->kind);
		/* Programs are timed in windows only. */
		all = mw_rates__full_cost(&s->estimate.rates) * count_between(&s->reviewed, &after);
		cost += fmax(all, hits);
		s->reviewed = after;
	}
	w->stay_cost = cost / (now - w->reviewed_at) / busy_cpus(w);
	w->reviewed_at = now;
	if (w->stay_cost <= LEAVE * w->budget)
		return;
	mw_detail("probes cost %.1f %% now: back to windows", 100 * w->stay_cost);
	mw_windows__integrate(w);
	w->ops->detach(w->arg);
	w->state = CLOSING;
	w->leaving = true;
}

/* The probes that stayed are out. */
static void leave(struct mw_windows *w, double now)
{
	w->leaving = false;
	w->ops->reset_blocks(w->arg, false);
	for (unsigned int i = 0; i < w->targets; i++)
		w->slots[i].full_at = now;
	mw_governor__begin(&w->governor, w->budget, now);
	w->integrated_lost = 0;
	w->state = NONE;
}

double mw_windows__step(struct mw_windows *w, double until)
{
	double now = w->ops->now(w->arg);

	switch (w->state) {
	case NONE:
		if (now < w->governor.next)
			break;
		measure_busy(w, now);
		mw_windows__integrate(w);
		if (w->governor.windows >= 2 && predicted_cost(w) < ENTER * w->budget)
			stay_in(w, now);
		else
			open_window(w, now);
		break;
	case OPEN:
		if (now >= w->due_at)
			close_window(w);
		break;
	case CLOSING:
		if (w->ops->is_detaching(w->arg)) {
			w->due_at = now + POLL;
		} else if (w->leaving) {
			leave(w, now);
		} else {
			mw_windows__integrate(w);
			finish_window(w, now);
		}
		break;
	case STAYING:
		if (now - w->reviewed_at >= REVIEW)
			review(w, now);
		w->due_at = now + REVIEW;
		break;
	}
	if (w->state == NONE)
		w->due_at = w->governor.next;
	return w->due_at < until ? w->due_at : until;
}

void mw_windows__integrate(struct mw_windows *w)
{
	double now = w->ops->now(w->arg), lost = w->governor.lost - w->integrated_lost;

	for (unsigned int i = 0; i < w->targets; i++) {
		struct slot *s = &w->slots[i];
		struct mw_counts after;

		if (w->state == STAYING) {
			w->ops->read(w->arg, i, &after);
			mw_estimate__add_counts(&s->estimate, &s->before, &after);
			s->before = after;
			continue;
		}
		/*
		 * The rates of the first window hold for the time before it, too. While probes
		 * slowed the target, it did less: that time is left out.
		 */
		mw_estimate__extend(&s->estimate,
				    now - (s->estimate.known ? w->integrated_at : w->started_at) -
					    lost);
	}
	w->integrated_at = now;
	w->integrated_lost = w->governor.lost;
}

void mw_windows__estimate(struct mw_windows *w, unsigned int target, struct mw_sample *sample)
{
	const struct slot *s = &w->slots[target];
	double now = w->ops->now(w->arg);
	bool stays = mw_windows__stay(w);

	sample->governed = true;
	sample->budget = w->budget;
	sample->always = stays;
	sample->duty = stays ? 1 : mw_governor__duty(&w->governor, now);
	sample->cost = stays ? w->stay_cost : mw_governor__cost(&w->governor, now);
	sample->windows = w->governor.windows;
	sample->outstanding_count -= stays ? s->kept_count : sample->outstanding_count;
	sample->outstanding_bytes -= stays ? s->kept_bytes : sample->outstanding_bytes;
	mw_windows__integrate(w);
	mw_estimate__write(&s->estimate, sample);
}
