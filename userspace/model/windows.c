// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "model/governor.h"
#include "model/windows.h"
#include "util/log.h"

/* Seconds: how often probes that stay in are reviewed, and that a window waits for work at most. */
static const double REVIEW = 0.25, QUOTA_SPAN = 0.4, TRIAL = 1.5, WINDOW_MAX = 2;
/* Seconds between two looks at the CPU time in a window, and while probes go out. */
static const double POLL_MIN = 0.001, POLL_MAX = 0.05, POLL_OUT = 0.002;
/*
 * Probes that stay in must go quickly if the target turns out to be busier than it was, until it
 * has used so much CPU time with them, or so long; seconds. Not for good: forks wait meanwhile.
 */
static const double PROVEN = 0.3, READY_MAX = 30;
/* What of a window's plan its hits may exceed before the programs tell. */
static const double QUOTA = 1.5;
/* Older windows fade, so that what the target does now is what is shown. */
static const double FADE = 0.93;
/* Of what a target does in a window, probes are never taken to leave less than this. */
static const double OWN_MIN = 0.02;
/* Seconds of CPU: less says nothing of a rate. */
static const double CPU_MIN = 2e-4;
/* What hits cost with their programs, over without: as usual, and at most, stacks included. */
static const double RAN_USUAL = 1.5, RAN_MAX = 6;
/* Of one processor: a target that uses more of it for a moment is in a burst. */
static const double BURST = 0.15;
/* Relative standard deviations: below the first there is something to show, as long as below the
 * other. */
static const double FIRST_ERROR = 0.2, ERROR_MAX = 0.25;
/* Windows before all probes may stay in, and windows and seconds before there is something to show.
 */
enum { WINDOWS_MIN = 4, FIRST_WINDOWS = 6 };
static const double FIRST = 4;

/* Counters up to the system calls' are the probes' and are scaled; the others are always exact. */
enum { WORDS = MW_PROBE_WORDS, ALLOC_WORDS = 2 * MW_PLACES * MW_CLASSES };
_Static_assert(offsetof(struct mw_counts, alloc) == 0 &&
		       sizeof(((struct mw_counts *)0)->alloc) == ALLOC_WORDS * 8,
	       "allocations by place and class come first");

/* What the windows of one target have shown. Words are those of struct mw_counts. */
struct slot {
	struct mw_rates rates;
	struct mw_rate rate;
	struct mw_counts before, after; /* when the window was opened, and closed */
	double cpu_before, cpu_used;	/* CPU seconds then, and used since */
	double skipped;			/* CPU seconds with probes in before that */
	double cpu_in;			/* as probes went in */
	double seen[MW_WINDOW_KINDS];	/* allocations behind `weight` */
	double weight[MW_WINDOW_KINDS][WORDS];
	double estimate[WORDS]; /* since the watch began */
	double accounted;	/* CPU seconds that are estimated */
	double taken;		/* seconds that windows took since ACCOUNTED */
	double window_at;	/* CPU seconds at the end of the last window */
	double sampled_at;	/* CPU seconds that blocks stand for up to here */
	double took;		/* seconds, of the present window */
	double trial_at;	/* CPU seconds when all probes went in to be tried */
	double before_trial; /* CPU seconds of the watch before that, if nothing is known of them */
	double guessed;	     /* allocations, each by the error it was known with */
	double allocs;	     /* estimated so far */
	bool known;	     /* up to now */
	bool told;	     /* it was once; what a trial saw of the first moments is no answer */
};

struct mw_windows {
	const struct mw_windows_ops *ops;
	void *arg;
	enum mw_mode mode;
	struct mw_governor governor;
	struct mw_window_plan plan;
	struct mw_sampling sampling;
	enum { OUT, SKIPPING, COUNTING, CLOSING, STAYING, LEAVING, ENDED } state;
	bool trial;   /* the probes that are in are there to find out what they cost */
	bool untried; /* whether all probes may stay in */
	bool burst;   /* they stayed in once, and did not fit */
	bool tripped; /* the quota is used up */
	bool stayed;  /* to the end */
	double cpu, sleeps, passed_at; /* as last looked at, all targets */
	double began, opened_at, closed_at, due_at, stays_since, reviewed_at, quota_at;
	double full_at; /* when the present window has its CPU time; 0: not yet */
	double ran_before, ran;
	double took, stays_cpu; /* seconds: of probes that stay in, since they do; of the target */
	bool ready;		/* probes that are in would go out at once */
	uint64_t idle_before;
	double left_at, left_cpu; /* when probes did not fit any more, and `cpu` then */
	uint32_t count;
	struct slot *slots; /* COUNT of them, once the watch has begun */
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
	w->state = ENDED;
	w->governor.budget = budget;
	return w;
}

void mw_windows__free(struct mw_windows *w)
{
	if (w)
		free(w->slots);
	free(w);
}

static enum mw_window_kind all_probes(const struct mw_windows *w)
{
	return w->mode == MW_MODE_EXACT ? MW_WINDOW_FULL : MW_WINDOW_ENTRY;
}

static bool takes_stacks(const struct mw_windows *w)
{
	return w->plan.kind == all_probes(w);
}

static double cpu_of(const struct mw_windows *w, uint32_t i)
{
	return w->ops->cpu(w->arg, i);
}

/* Tell the governor what has passed. */
static void pass(struct mw_windows *w, double now)
{
	double cpu = 0, sleeps = 0;

	for (uint32_t i = 0; i < w->count; i++) {
		cpu += w->ops->cpu_about(w->arg, i);
		sleeps += w->ops->sleeps(w->arg, i);
	}
	if (now > w->passed_at && w->passed_at > 0)
		mw_governor__passed(&w->governor, now - w->passed_at, fmax(cpu - w->cpu, 0),
				    fmax(sleeps - w->sleeps, 0));
	w->passed_at = now;
	w->cpu = cpu;
	w->sleeps = sleeps;
}

/* ---- estimates ------------------------------------------------------------------------------- */

/*
 * Allocations of a class by both kinds of windows together; where they lie, by those that see
 * returns.
 */
static void add_allocs(struct slot *s, double allocs)
{
	double seen = s->seen[0] + s->seen[1];

	if (seen <= 0)
		return;
	for (size_t class = 0; class < MW_CLASSES; class ++) {
		for (size_t part = 0; part < 2; part++) {
			double all = 0, full = 0;
			size_t at[MW_PLACES];

			for (size_t place = 0; place < MW_PLACES; place++) {
				at[place] = 2 * (place * MW_CLASSES + class) + part;
				full += s->weight[MW_WINDOW_FULL][at[place]];
				all += s->weight[MW_WINDOW_FULL][at[place]] +
				       s->weight[MW_WINDOW_ENTRY][at[place]];
			}
			for (size_t place = 0; all > 0 && place < MW_PLACES; place++) {
				double share = full > 0
						       ? s->weight[MW_WINDOW_FULL][at[place]] / full
					       : place == MW_PLACE_OTHER ? 1
									 : 0;

				s->estimate[at[place]] += allocs * all / seen * share;
			}
		}
	}
}

static void add_words(struct slot *s)
{
	const uint64_t *old = (const uint64_t *)&s->before, *new = (const uint64_t *)&s->after;

	for (size_t i = 0; i < WORDS; i++)
		s->estimate[i] += (double)(new[i] - old[i]);
}

static double allocs_between(const struct mw_counts *before, const struct mw_counts *after)
{
	return (double)(mw_counts__alloc(after).count - mw_counts__alloc(before).count);
}

/* Carry the estimate of a slot on to now by its rate. */
static void account(struct mw_windows *w, uint32_t i)
{
	struct slot *s = &w->slots[i];
	double cpu = w->ops->cpu_about(w->arg, i), own, allocs;

	/* Before the first windows nothing is known: their rate is taken for that time, too. */
	if (!s->known && !(s->rate.enough && s->rate.error < FIRST_ERROR &&
			   s->rates.count >= FIRST_WINDOWS && w->passed_at >= w->began + FIRST))
		return;
	own = fmax(cpu - s->accounted - s->taken, 0);
	allocs = own * s->rate.per_cpu;
	s->known = s->told = true;
	s->allocs += allocs;
	s->guessed += allocs * s->rate.error;
	add_allocs(s, allocs);
	/* Frees and lifetimes, by the windows that see them. */
	for (size_t word = ALLOC_WORDS; word < WORDS && s->seen[MW_WINDOW_FULL] > 0; word++)
		s->estimate[word] +=
			allocs * s->weight[MW_WINDOW_FULL][word] / s->seen[MW_WINDOW_FULL];
	s->accounted = cpu;
	s->taken = 0;
}

static void account_all(struct mw_windows *w)
{
	for (uint32_t i = 0; i < w->count; i++)
		account(w, i);
}

/* ---- windows --------------------------------------------------------------------------------- */

static void read_all(struct mw_windows *w)
{
	for (uint32_t i = 0; i < w->count; i++) {
		w->ops->read(w->arg, i, &w->slots[i].before);
		w->slots[i].cpu_before = cpu_of(w, i);
	}
	w->ran_before = w->ops->ran(w->arg);
}

static uint64_t hits_for(const struct mw_windows *w, double seconds, enum mw_window_kind kind)
{
	return (uint64_t)fmax(seconds / w->ops->hit(w->arg, kind), 16);
}

/*
 * Stacks of so many allocations that their cost is well below that of the probes, by the sizes that
 * windows have shown.
 */
static void draw_samples(struct mw_windows *w)
{
	struct mw_amounts sizes[MW_CLASSES] = {0};

	for (uint32_t i = 0; i < w->count; i++) {
		for (size_t at = 0; at < ALLOC_WORDS / 2; at++) {
			for (int kind = 0; kind < MW_WINDOW_KINDS; kind++) {
				const double *cell = &w->slots[i].weight[kind][2 * at];

				sizes[at % MW_CLASSES].count += cell[0];
				sizes[at % MW_CLASSES].bytes += cell[1];
			}
		}
	}
	mw_sampling__set_period(&w->sampling, sizes);
	w->ops->sample(w->arg, &w->sampling);
}

static void be_ready(struct mw_windows *w, bool on)
{
	if (on != w->ready)
		w->ops->be_ready(w->arg, on);
	w->ready = on;
}

static bool put_in(struct mw_windows *w, double now, double seconds)
{
	w->idle_before = w->ops->idle_hits(w->arg);
	w->tripped = false;
	/* The kernel rewrites code for it, which takes a while: not with probes in. */
	w->ops->time_programs(w->arg, true);
	be_ready(w, true);
	if (w->ops->attach(w->arg, w->plan.kind)) {
		w->ops->time_programs(w->arg, false);
		be_ready(w, false);
		w->due_at = now + WINDOW_MAX;
		return false;
	}
	w->ops->set_quota(w->arg, hits_for(w, seconds, w->plan.kind));
	w->opened_at = now;
	for (uint32_t i = 0; i < w->count; i++) {
		w->slots[i].skipped = 0;
		w->slots[i].cpu_in = cpu_of(w, i);
	}
	return true;
}

static void begin_to_count(struct mw_windows *w)
{
	read_all(w);
	w->full_at = 0;
	w->ops->count(w->arg, true);
}

static void open_window(struct mw_windows *w, double now)
{
	draw_samples(w);
	if (!put_in(w, now, QUOTA * w->plan.loss))
		return;
	w->due_at = now + POLL_MIN;
	if (w->plan.skip > 0) {
		w->state = SKIPPING;
		return;
	}
	w->state = COUNTING;
	begin_to_count(w);
}

/* In each such span so many hits, so that a burst is noticed when it begins. */
static double quota_span(bool trial)
{
	return trial ? REVIEW : QUOTA_SPAN;
}

static void stay_in(struct mw_windows *w, double now, bool trial)
{
	const struct mw_sampling usual = {0};

	account_all(w);
	w->plan = (struct mw_window_plan){.kind = all_probes(w)};
	w->ops->sample(w->arg, &usual);
	w->ops->stays(w->arg, true);
	if (!put_in(w, now, mw_governor__quota(&w->governor, quota_span(trial)))) {
		w->ops->stays(w->arg, false);
		return;
	}
	begin_to_count(w);
	for (uint32_t i = 0; trial && i < w->count; i++) {
		struct slot *s = &w->slots[i];

		s->trial_at = s->cpu_before;
		s->before_trial = s->told || s->known ? 0 : s->cpu_before - s->accounted;
	}
	w->state = STAYING;
	w->trial = trial;
	w->ops->time_programs(w->arg, trial);
	w->stays_since = w->reviewed_at = w->quota_at = now;
	w->took = w->stays_cpu = 0;
	w->due_at = now + REVIEW;
}

/* Counters by window kind. */
static void add_weights(struct slot *s, enum mw_window_kind kind)
{
	const uint64_t *old = (const uint64_t *)&s->before, *new = (const uint64_t *)&s->after;
	double *weight = s->weight[kind];

	for (size_t i = 0; i < WORDS; i++)
		weight[i] = FADE * weight[i] + (double)(new[i] - old[i]);
	s->seen[kind] = 0;
	for (size_t i = 0; i < ALLOC_WORDS / 2; i++)
		s->seen[kind] += weight[2 * i];
}

static struct mw_window *last_window(struct slot *s)
{
	return s->rates.count ? &s->rates.windows[(s->rates.count - 1) % MW_WINDOWS_KEPT] : NULL;
}

/* Of allocations and their frees, in a window of KIND. */
static double hits_between(const struct mw_counts *before, const struct mw_counts *after,
			   enum mw_window_kind kind)
{
	double hits = kind == MW_WINDOW_FULL ? allocs_between(before, after) : 0;

	for (size_t i = 0; i < MW_FUNCS; i++)
		hits += (double)(after->calls[i] - before->calls[i]);
	return hits;
}

/*
 * What slot I did since it was last read becomes a window of its rates. ALL: allocations of all
 * slots in it, HITS: theirs, IDLE: those that nobody counted. Returns the seconds that it took.
 */
static double learn(struct mw_windows *w, uint32_t i, double all, double hits, double idle)
{
	struct slot *s = &w->slots[i];
	struct mw_window window = {
		.kind = w->plan.kind,
		.cpu = s->cpu_used,
		.gap = s->cpu_before - s->window_at,
	};
	double each = mw_rates__cost(&s->rates), calibrated, loss;
	double outside = fmax(cpu_of(w, i) - s->cpu_before, 0); /* used since it was closed */

	window.allocs = allocs_between(&s->before, &s->after);
	calibrated = w->ops->cost(w->arg, i, &s->before, &s->after, w->plan.kind);
	window.cost = calibrated;
	if (all > 0)
		window.cost += w->ran * window.allocs / all;
	/*
	 * The kernel times programs by the clock: one that was preempted seems to have run for as
	 * long as others did.
	 */
	if (window.cost > fmin(window.cpu, RAN_MAX * calibrated))
		window.cost = fmin(window.cpu, RAN_USUAL * calibrated);
	/* Programs are not timed all the time that probes stay in. */
	if (w->state == STAYING && !w->trial)
		return fmax(window.cost, each * window.allocs);
	if (window.cpu > CPU_MIN) {
		mw_rates__add(&s->rates, &window);
		s->window_at = s->cpu_before;
	}
	add_weights(s, w->plan.kind);
	mw_rates__estimate(&s->rates, &s->rate);
	loss = window.cost;
	/* All hits return through the kernel then. */
	if (s->rate.shared)
		loss += w->ops->cost(w->arg, i, &s->before, &s->after, MW_WINDOW_FULL) - calibrated;
	loss *= s->rate.factor * (hits > 0 ? 1 + idle / hits : 1);
	if (!(hits > 0))
		loss += idle * w->ops->hit(w->arg, w->plan.kind) / w->count;
	loss = fmin(loss, s->skipped + window.cpu + outside);
	mw_detail(
		"%s window: %.1f ms of CPU, %.0f allocations; by all windows %.0f in a second of the "
		"target's own CPU time (+-%.1f %%), a hit costs %.2f of what was calibrated",
		window.kind == MW_WINDOW_FULL ? "full" : "entry", 1e3 * window.cpu, window.allocs,
		s->rate.per_cpu, 100 * s->rate.error, s->rate.factor);
	return loss;
}

/* What a block of this window stands for: all own time since the last window that took stacks. */
static void tell_sampled(struct mw_windows *w)
{
	double scales[MW_SLOTS] = {0}, used[MW_SLOTS] = {0};

	for (uint32_t i = 0; i < w->count && i < MW_SLOTS; i++) {
		struct slot *s = &w->slots[i];
		const struct mw_window *window = last_window(s);
		double cpu = cpu_of(w, i), own = s->cpu_used;

		if (window && own > CPU_MIN)
			own = fmax(mw_window__own(window, s->rate.factor), OWN_MIN * own);
		scales[i] = own > 0 ? fmax((cpu - s->sampled_at) / own, 1) : 1;
		s->sampled_at = used[i] = cpu;
	}
	w->ops->sampled(w->arg, w->closed_at - w->opened_at, scales, used);
}

/* Read what was counted since the last time, and what it says. Returns the seconds that it took. */
static double read_and_learn(struct mw_windows *w, double *cpu)
{
	double idle = (double)(w->ops->idle_hits(w->arg) - w->idle_before);
	double all = 0, hits = 0, loss = 0;

	*cpu = 0;
	for (uint32_t i = 0; i < w->count; i++) {
		w->ops->read(w->arg, i, &w->slots[i].after);
		all += allocs_between(&w->slots[i].before, &w->slots[i].after);
		hits += hits_between(&w->slots[i].before, &w->slots[i].after, w->plan.kind);
		*cpu += w->slots[i].cpu_used;
	}
	for (uint32_t i = 0; i < w->count; i++) {
		w->slots[i].took = learn(w, i, all, hits, idle);
		loss += w->slots[i].took;
	}
	for (uint32_t i = 0; i < w->count; i++) {
		struct slot *s = &w->slots[i];

		if (w->state == STAYING) {
			add_words(s);
			s->allocs += allocs_between(&s->before, &s->after);
			s->accounted = cpu_of(w, i);
			s->known = true;
			s->told |= !w->trial;
		} else {
			s->taken += s->took;
			account(w, i);
		}
		s->before = s->after;
	}
	w->idle_before = w->ops->idle_hits(w->arg);
	return loss;
}

/* Seconds that all probes would take of the targets' busiest second. */
static double cost_of_staying(const struct mw_windows *w)
{
	double taken = 0;

	for (uint32_t i = 0; i < w->count; i++) {
		const struct slot *s = &w->slots[i];
		double each = mw_rates__cost(&s->rates);

		if (!s->rate.enough)
			return INFINITY;
		taken = fmax(taken,
			     s->rate.per_cpu *
				     (each > 0 ? each : 4 * w->ops->hit(w->arg, w->plan.kind)));
	}
	return taken * w->governor.busiest;
}

static void use_cpu(struct mw_windows *w)
{
	for (uint32_t i = 0; i < w->count; i++) {
		double cpu = cpu_of(w, i);

		w->slots[i].cpu_used = fmax(cpu - w->slots[i].cpu_before, 0);
		w->slots[i].cpu_before = cpu;
	}
}

static void take_out(struct mw_windows *w, double now)
{
	w->ops->ends(w->arg);
	w->ops->count(w->arg, false);
	w->ran = w->ops->ran(w->arg) - w->ran_before;
	w->closed_at = now;
	use_cpu(w);
	w->ops->detach(w->arg);
	w->ops->time_programs(w->arg, false);
	be_ready(w, false);
	w->due_at = now + POLL_OUT;
}

static void close_window(struct mw_windows *w, double now)
{
	take_out(w, now);
	w->state = CLOSING;
}

/* Probes that stayed in don't fit, or not any more. */
static void leave(struct mw_windows *w, double now)
{
	double cpu, loss;

	take_out(w, now);
	loss = read_and_learn(w, &cpu);
	pass(w, now);
	if (w->trial)
		mw_governor__closed(&w->governor, cpu, loss);
	else
		mw_governor__spent(&w->governor, cpu, loss);
	w->burst |= !w->trial;
	for (uint32_t i = 0; i < w->count; i++) {
		struct slot *s = &w->slots[i];

		s->known = false;
		/* What came before the trial is for windows to tell. */
		s->accounted -= s->before_trial;
		s->before_trial = 0;
	}
	w->ops->stays(w->arg, false);
	for (uint32_t i = 0; i < w->count; i++)
		w->slots[i].sampled_at = cpu_of(w, i);
	w->left_at = now;
	w->left_cpu = w->cpu;
	w->state = LEAVING;
	mw_detail("probes don't stay in: they took %.1f ms of %.1f ms of CPU", 1e3 * loss,
		  1e3 * cpu);
}

/*
 * Probes did not fit, by the hits of a moment. Is the target in a burst, or does it call the
 * allocator often for the little CPU time that it uses? What it used while they went out says it.
 */
static void look_for_burst(struct mw_windows *w, double now)
{
	pass(w, now);
	if (w->tripped && w->cpu - w->left_cpu >= BURST * (now - w->left_at))
		mw_governor__burst(&w->governor);
}

/* What slot I did before its trial was not seen: it is taken to be what it did in the trial. */
static void guess_before(struct mw_windows *w, uint32_t i)
{
	struct slot *s = &w->slots[i];
	double seen = s->accounted - s->trial_at;
	double more = seen > 0 ? s->before_trial / seen : 0;

	for (size_t word = 0; word < WORDS; word++)
		s->estimate[word] *= 1 + more;
	s->guessed += more * s->allocs;
	s->allocs *= 1 + more;
	s->before_trial = 0;
}

/* Are probes that stay in still within the budget? */
static void review(struct mw_windows *w, double now)
{
	double cpu, loss;

	w->due_at = now + REVIEW;
	if (w->tripped) {
		leave(w, now);
		return;
	}
	if (now < w->reviewed_at + REVIEW)
		return;
	w->reviewed_at = now;
	w->ran = w->ops->ran(w->arg) - w->ran_before;
	w->ran_before += w->ran;
	use_cpu(w);
	loss = read_and_learn(w, &cpu);
	pass(w, now);
	mw_governor__spent(&w->governor, cpu, loss);
	w->took += loss;
	w->stays_cpu += cpu;
	if (w->stays_cpu >= PROVEN || now - w->stays_since >= READY_MAX)
		be_ready(w, false);
	if (w->trial && now - w->stays_since >= TRIAL) {
		if (!mw_governor__fits(&w->governor, w->took / (now - w->stays_since))) {
			leave(w, now);
			return;
		}
		w->trial = false;
		for (uint32_t i = 0; i < w->count; i++)
			guess_before(w, i);
		w->ops->time_programs(w->arg, false);
		w->quota_at = 0;
	}
	if (now - w->quota_at >= quota_span(w->trial)) {
		w->ops->set_quota(
			w->arg, hits_for(w, mw_governor__quota(&w->governor, quota_span(w->trial)),
					 w->plan.kind));
		w->quota_at = now;
	}
}

/* When the targets may have used CPU more seconds. */
static double look_again(const struct mw_windows *w, double now, double cpu)
{
	return now + fmin(fmax(cpu / fmax(w->governor.busiest, 1), POLL_MIN), POLL_MAX);
}

static void skip(struct mw_windows *w, double now)
{
	double skipped = 0;

	for (uint32_t i = 0; i < w->count; i++) {
		w->slots[i].skipped = fmax(cpu_of(w, i) - w->slots[i].cpu_in, 0);
		skipped += w->slots[i].skipped;
	}
	w->due_at = look_again(w, now, w->plan.skip - skipped);
	if (skipped < w->plan.skip && !w->tripped && now - w->opened_at < WINDOW_MAX)
		return;
	w->opened_at = now;
	w->state = COUNTING;
	begin_to_count(w);
}

/*
 * A window has its CPU time, or its hits, or waits too long for either. It begins anywhere between
 * two steps of a clock that lags; were it to end right after one, it would seem too long.
 */
static bool is_over(struct mw_windows *w, double now)
{
	double cpu = 0;

	for (uint32_t i = 0; i < w->count; i++)
		cpu += cpu_of(w, i) - w->slots[i].cpu_before;
	w->due_at = look_again(w, now, w->plan.cpu - cpu);
	if (cpu >= w->plan.cpu && !(w->full_at > 0))
		w->full_at = now + mw_governor__uniform(&w->governor) * w->ops->cpu_lags(w->arg);
	if (w->full_at > 0)
		w->due_at = w->full_at;
	return w->tripped || (w->full_at > 0 && now >= w->full_at) ||
	       now - w->opened_at >= WINDOW_MAX;
}

static void decide(struct mw_windows *w, double now)
{
	const struct mw_rates *rates[MW_SLOTS];
	uint32_t count = w->count < MW_SLOTS ? w->count : MW_SLOTS;
	bool may;

	pass(w, now);
	/* All probes are tried first: where they fit, everything is seen from the first call on. */
	if (w->untried) {
		w->untried = false;
		stay_in(w, now, true);
		return;
	}
	account_all(w);
	for (uint32_t i = 0; i < count; i++)
		rates[i] = &w->slots[i].rates;
	may = mw_governor__plan(&w->governor, rates, count, &w->plan);
	w->due_at = now + mw_governor__wait(&w->governor, &w->plan);
	if (!w->burst && w->governor.windows >= WINDOWS_MIN &&
	    mw_governor__fits(&w->governor, cost_of_staying(w)))
		stay_in(w, now, false);
	else if (may)
		open_window(w, now);
}

double mw_windows__step(struct mw_windows *w, double now, double until)
{
	double cpu, loss;

	switch (w->state) {
	case OUT:
		if (now >= w->due_at)
			decide(w, now);
		break;
	case SKIPPING:
		if (w->tripped || now >= w->due_at)
			skip(w, now);
		break;
	case COUNTING:
		if (w->tripped || now >= w->due_at) {
			if (is_over(w, now))
				close_window(w, now);
		}
		break;
	case CLOSING:
	case LEAVING:
		w->due_at = now + POLL_OUT;
		if (!w->ops->is_detached(w->arg))
			break;
		if (w->state == CLOSING) {
			loss = read_and_learn(w, &cpu);
			if (takes_stacks(w))
				tell_sampled(w);
			pass(w, now);
			mw_governor__closed(&w->governor, cpu, loss);
		} else {
			look_for_burst(w, now);
		}
		w->state = OUT;
		w->due_at = now;
		break;
	case STAYING:
		review(w, now);
		break;
	case ENDED:
		return until;
	}
	return fmin(w->due_at, until);
}

void mw_windows__quota_reached(struct mw_windows *w)
{
	w->tripped = true;
}

bool mw_windows__stay(const struct mw_windows *w)
{
	return w->state == STAYING;
}

void mw_windows__set_growing(struct mw_windows *w, const bool growing[MW_CLASSES])
{
	memcpy(w->sampling.favoured, growing, sizeof(w->sampling.favoured));
}

void mw_windows__set_budget(struct mw_windows *w, double budget)
{
	w->governor.budget = budget;
}

double mw_windows__needs(const struct mw_windows *w, double now)
{
	if (w->state != STAYING || w->trial)
		return 1;
	return fmin(mw_governor__share(&w->governor, w->took / (now - w->stays_since)), 1);
}

bool mw_windows__are_open(const struct mw_windows *w)
{
	return w->state == SKIPPING || w->state == COUNTING || (w->state == STAYING && w->trial);
}

bool mw_windows__may_close(const struct mw_windows *w)
{
	return w->state == STAYING && w->ready;
}

double mw_windows__base(const struct mw_windows *w)
{
	return w->governor.base;
}

bool mw_windows__out(const struct mw_windows *w)
{
	return w->state == OUT;
}

double mw_windows__bias(const struct mw_windows *w, uint32_t slot)
{
	if (slot >= w->count)
		return 0;
	return w->state == STAYING || w->slots[slot].rate.enough ? w->slots[slot].rate.bias
								 : INFINITY;
}

int mw_windows__begin(struct mw_windows *w, uint32_t slots, double now, double busy)
{
	w->slots = calloc(slots ? slots : 1, sizeof(*w->slots));
	if (!w->slots)
		return -ENOMEM;
	w->count = slots;
	mw_governor__begin(&w->governor, w->governor.budget, busy, w->mode != MW_MODE_EXACT);
	for (uint32_t i = 0; i < w->count; i++) {
		struct slot *s = &w->slots[i];

		s->accounted = s->sampled_at = s->cpu_before = s->window_at = cpu_of(w, i);
	}
	pass(w, now);
	w->began = w->due_at = now;
	w->state = OUT;
	w->untried = true;
	return 0;
}

void mw_windows__end(struct mw_windows *w, double now)
{
	double cpu, loss;

	w->stayed = w->state == STAYING;
	if (w->state == SKIPPING)
		begin_to_count(w);
	if (w->state == SKIPPING || w->state == COUNTING)
		close_window(w, now);
	if (w->state == COUNTING || w->state == CLOSING || w->state == STAYING) {
		if (w->state == STAYING)
			use_cpu(w);
		loss = read_and_learn(w, &cpu);
		pass(w, now);
		mw_governor__spent(&w->governor, cpu, loss);
	}
	account_all(w);
	w->state = ENDED;
}

void mw_windows__estimate(struct mw_windows *w, uint32_t i, double now, struct mw_sample *sample)
{
	struct slot *s = &w->slots[i];
	uint64_t *words = (uint64_t *)&sample->counts;
	double cpu, loss;

	if (w->state == STAYING) {
		use_cpu(w);
		loss = read_and_learn(w, &cpu);
		pass(w, now);
		mw_governor__spent(&w->governor, cpu, loss);
	} else if (w->state != ENDED) {
		pass(w, now);
		account_all(w);
	}
	sample->governed = true;
	sample->too_fast = s->rates.count >= 4 * FIRST_WINDOWS;
	sample->budget = w->governor.budget;
	sample->always = w->state == STAYING || w->stayed;
	sample->always_since = w->stays_since;
	sample->coverage = mw_governor__coverage(&w->governor);
	sample->cost = mw_governor__cost(&w->governor);
	sample->windows = w->governor.windows;
	sample->least = s->rate.least;
	/* Each allocation with the error that it was known with: errors of one rate don't cancel.
	 */
	sample->error = s->allocs > 0 ? s->guessed / s->allocs : s->known ? 0 : 1;
	if (!sample->always)
		sample->error = fmax(sample->error, s->rate.error);
	sample->enough = s->known && sample->error < ERROR_MAX &&
			 (sample->always || w->state == ENDED || s->rate.enough);
	for (size_t word = 0; word < WORDS; word++)
		words[word] = s->told || sample->always ? (uint64_t)s->estimate[word] : 0;
	/* How many allocations stand behind each class's estimate, for its error. */
	for (size_t class = 0; class < MW_CLASSES; class ++) {
		double seen = 0;

		for (size_t place = 0; place < MW_PLACES; place++)
			seen += s->weight[0][2 * (place * MW_CLASSES + class)] +
				s->weight[1][2 * (place * MW_CLASSES + class)];
		sample->seen[class] = (float)seen;
	}
}
