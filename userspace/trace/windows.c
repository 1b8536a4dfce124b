// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The allocator's probes under a budget: put in for short windows, as the governor says, or for
 * good where the target calls the allocator so seldom that it costs less than the budget.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "trace/internal.h"
#include "util/clock.h"
#include "util/log.h"

/* Seconds. */
static const double WINDOW = 0.05, POLL = 0.005, REVIEW = 1;

/* Counters up to the system calls' are the probes' and are scaled; the others are always exact. */
enum { PROBE_WORDS = offsetof(struct mw_counts, vm) / 8, BATCH = 1024 };

/* Seconds an allocation, return and free included, where none was met in a window. */
static const double DEAREST = 1e-5;
static const double FADE = 0.85;
/* For good only where that leaves so much of the budget to spare; over it, back to windows. */
static const double ENTER = 0.7, LEAVE = 1.2;
/* Of what a target does, windows don't take more than this. */
static const double LOSS_MAX = 0.8;
/* CPUs: a target that does less is taken to do so much. */
static const double IDLE = 0.05;

static void read_counts(struct mw_tracer *tracer, uint32_t slot, struct mw_counts *sum)
{
	memset(sum, 0, sizeof(*sum));
	if (bpf_map_lookup_elem(bpf_map__fd(tracer->bpf->maps.counts), &slot, tracer->per_cpu))
		return;
	for (int cpu = 0; cpu < tracer->cpus; cpu++)
		mw_counts__add(sum, &tracer->per_cpu[cpu]);
}

static double cpu_seconds(const struct mw_tracer *tracer)
{
	double sum = 0;

	for (size_t i = 0; i < tracer->process_count; i++) {
		const struct process *process = &tracer->processes[i];
		struct mw_procstat stat;

		if (!process->ended && !mw_procstat__read(&stat, process->pid))
			sum += (double)mw_procstat__cpu_ns(&stat) / 1e9;
	}
	return sum;
}

/*
 * Seconds that the calls from BEFORE to AFTER cost beside their programs: entries only, or with
 * returns.
 */
static double cost_of(struct mw_tracer *tracer, uint32_t slot, const struct mw_counts *before,
		      const struct mw_counts *after, bool full)
{
	const struct mw_allocators *found = mw_tracer__allocators(tracer, slot);
	bool counted[MW_FUNCS] = {false};
	double ns = 0;

	for (size_t a = 0; found && a < found->count; a++) {
		for (size_t f = 0; f < found->list[a].count; f++) {
			const struct mw_function *fn = &found->list[a].functions[f];
			double calls = (double)(after->calls[fn->func] - before->calls[fn->func]);

			if (fn->func == MW_FUNC_FREE)
				calls += (double)(after->free_null - before->free_null +
						  after->free_internal - before->free_internal);
			if (counted[fn->func] || !fn->probed)
				continue;
			counted[fn->func] = true;
			ns += calls * tracer->cost.timed_entry_ns[fn->entry.class];
			if (full && fn->func < MW_FUNC_FREE)
				ns += calls * tracer->cost.timed_return_ns;
		}
	}
	return ns / 1e9;
}

/*
 * Seconds that the programs themselves have run since they were loaded, by the kernel's own clock:
 * what they do hangs on the target's memory and can't be calibrated. 0 where the kernel doesn't
 * tell (5.8).
 */
static double program_seconds(const struct mw_tracer *tracer)
{
	const struct bpf_program *const progs[] = {tracer->bpf->progs.alloc_entry,
						   tracer->bpf->progs.alloc_return};
	double sum = 0;

	for (size_t i = 0; i < 2; i++) {
		uint64_t ns, runs;

		mw_program_ran(progs[i], &ns, &runs);
		sum += (double)ns / 1e9;
	}
	return sum;
}

static void switch_counting(struct mw_tracer *tracer, bool on)
{
	__atomic_store_n(&tracer->bpf->bss->mw_counting, on, __ATOMIC_SEQ_CST);
}

static int put_in(struct mw_tracer *tracer, enum mw_window_kind kind)
{
	struct mw_err err = {0};
	int ret = 0, any = 0;

	tracer->kind = kind;
	tracer->bpf->bss->mw_mode = kind == MW_WINDOW_FULL ? MW_MODE_EXACT : MW_MODE_SIZES;
	/* What threads remember of calls is of the last window. */
	__atomic_add_fetch(&tracer->bpf->bss->mw_window_id, 1, __ATOMIC_SEQ_CST);
	for (size_t i = 0; i < tracer->process_count; i++) {
		struct process *process = &tracer->processes[i];

		if (process->ended)
			continue;
		ret = mw_process__attach(tracer, process, &err);
		any |= !ret;
	}
	return any ? 0 : ret;
}

static void take_out(struct mw_tracer *tracer)
{
	switch_counting(tracer, false);
	for (size_t i = 0; i < tracer->process_count; i++)
		mw_process__detach(tracer, &tracer->processes[i].probed);
	mw_process__detach(tracer, &tracer->shared);
}

/* Blocks whose frees won't be seen are not outstanding: they are not known. */
static void forget_blocks(struct mw_tracer *tracer)
{
	int fd = bpf_map__fd(tracer->bpf->maps.outstanding), ret = 0;
	struct mw_alloc_record *blocks = calloc(BATCH, sizeof(*blocks));
	uint64_t *keys = calloc(BATCH, sizeof(*keys)), batch = 0;
	LIBBPF_OPTS(bpf_map_batch_opts, opts);
	bool first = true;

	while (blocks && keys && !ret) {
		uint32_t count = BATCH;

		ret = bpf_map_lookup_and_delete_batch(fd, first ? NULL : &batch, &batch, keys,
						      blocks, &count, &opts);
		first = false;
	}
	free(blocks);
	free(keys);
}

void mw_windows__begin(struct mw_tracer *tracer)
{
	tracer->window = WINDOW_NONE;
	mw_governor__begin(&tracer->governor, tracer->options.max_overhead, mw_monotonic());
	tracer->integrated_at = mw_monotonic();
	for (uint32_t slot = 0; slot < tracer->target_count; slot++)
		tracer->slots[slot].full_at = tracer->started_at;
}

/* Does a window of KIND take stacks? Where frees can be seen only one that sees them. */
static bool takes_stacks(const struct mw_tracer *tracer, enum mw_window_kind kind)
{
	return kind == MW_WINDOW_FULL || tracer->options.mode != MW_MODE_EXACT;
}

static void open_window(struct mw_tracer *tracer, double now)
{
	enum mw_window_kind kind = tracer->options.mode == MW_MODE_EXACT
					   ? mw_governor__kind(&tracer->governor)
					   : MW_WINDOW_ENTRY;

	tracer->put_in_at = now;
	tracer->bpf->bss->mw_tracking_since = (uint64_t)(now * 1e9);
	tracer->bpf->data->mw_sampling = takes_stacks(tracer, kind);
	tracer->idle_before = tracer->bpf->bss->mw_idle_hits;
	if (put_in(tracer, kind)) {
		mw_governor__closed(&tracer->governor, mw_monotonic(), 0, 0);
		return;
	}
	for (uint32_t slot = 0; slot < tracer->target_count; slot++)
		read_counts(tracer, slot, &tracer->slots[slot].before);
	tracer->stats_fd = bpf_enable_stats(BPF_STATS_RUN_TIME);
	tracer->ran_before = program_seconds(tracer);
	tracer->window = WINDOW_OPEN;
	tracer->opened_at = mw_monotonic();
	switch_counting(tracer, true);
	tracer->due_at = tracer->opened_at + WINDOW;
}

static void close_window(struct mw_tracer *tracer)
{
	switch_counting(tracer, false);
	tracer->closed_at = mw_monotonic();
	tracer->ran = program_seconds(tracer) - tracer->ran_before;
	if (tracer->stats_fd >= 0)
		close(tracer->stats_fd);
	take_out(tracer);
	tracer->window = WINDOW_CLOSING;
	tracer->due_at = tracer->closed_at + POLL;
}

/*
 * Counters by window kind. Older windows fade, so that what the target does now is what is shown.
 */
static void update_rates(struct mw_tracer *tracer, uint32_t slot, const struct mw_counts *after)
{
	struct window_slot *s = &tracer->slots[slot];
	const uint64_t *old = (const uint64_t *)&s->before, *new = (const uint64_t *)after;
	double *weight = s->weight[tracer->kind];

	for (size_t i = 0; i < PROBE_WORDS; i++)
		weight[i] = FADE * weight[i] + (double)(new[i] - old[i]);
	s->seen[tracer->kind] = 0;
	for (size_t i = 0; i < MW_PLACES * MW_CLASSES; i++)
		s->seen[tracer->kind] += weight[2 * i];
	s->rate = mw_rates__undisturbed(&s->rates, &s->error);
}

/* Whose address space is SPACE, as far as its blocks can be looked at? See mw_tracked__look(). */
static pid_t pid_of_space(void *arg, uint32_t space)
{
	const struct mw_tracer *tracer = arg;

	for (size_t i = 0; i < tracer->process_count; i++) {
		const struct process *process = &tracer->processes[i];

		if (process->space != space || process->ended)
			continue;
		for (size_t a = 0; a < process->allocators.count; a++) {
			if (process->allocators.list[a].kind != MW_ALLOC_GLIBC)
				return 0;
		}
		return process->allocators.count ? process->pid : 0;
	}
	return -1;
}

/*
 * What a second of this window stands for: all the time since the last one that took stacks, and
 * what the target would have done in this one had the probes not slowed it.
 */
static void track_blocks(struct mw_tracer *tracer)
{
	double scales[MW_SLOTS] = {0}, seconds = tracer->closed_at - tracer->opened_at;

	for (uint32_t slot = 0; slot < tracer->target_count; slot++) {
		struct window_slot *s = &tracer->slots[slot];
		double loss = mw_rates__loss(&s->rates, tracer->kind);

		scales[slot] =
			(tracer->closed_at - s->full_at) / seconds / (1 - fmin(loss, LOSS_MAX));
		s->full_at = tracer->closed_at;
	}
	mw_tracked__window(tracer->tracked, seconds, scales);
}

static void finish_window(struct mw_tracer *tracer, double now)
{
	double open = tracer->closed_at - tracer->opened_at, loss = 0;
	bool full = tracer->kind == MW_WINDOW_FULL;
	double all = 0, busy = tracer->busy > IDLE ? tracer->busy : IDLE;

	for (uint32_t slot = 0; slot < tracer->target_count; slot++) {
		struct mw_counts after;

		read_counts(tracer, slot, &after);
		all += (double)(mw_counts__alloc(&after).count -
				mw_counts__alloc(&tracer->slots[slot].before).count);
	}
	/*
	 * Probes go in and out one by one, and then their removal takes its time: hits tell how
	 * long.
	 */
	if (all > 0)
		open *= 1 + (double)(tracer->bpf->bss->mw_idle_hits - tracer->idle_before) / all;
	else
		open = now - tracer->put_in_at;
	for (uint32_t slot = 0; slot < tracer->target_count; slot++) {
		struct window_slot *s = &tracer->slots[slot];
		struct mw_window window = {.kind = tracer->kind,
					   .seconds = tracer->closed_at - tracer->opened_at};
		struct mw_counts after;
		double share, calibrated;

		read_counts(tracer, slot, &after);
		window.allocs = (double)(mw_counts__alloc(&after).count -
					 mw_counts__alloc(&s->before).count);
		window.cost = cost_of(tracer, slot, &s->before, &after, full);
		if (all > 0)
			window.cost += tracer->ran * window.allocs / all;
		mw_rates__add(&s->rates, &window);
		update_rates(tracer, slot, &after);
		mw_detail(
			"%s window of %.0f ms (%.0f ms with probes): %.0f allocations, %.0f a second "
			"without probes by all windows (+-%.1f %%); cost %.0f ns each, programs %.0f ns",
			full ? "full" : "entry", 1e3 * window.seconds, 1e3 * open, window.allocs,
			s->rate, 100 * s->error, 1e9 * window.cost / (window.allocs + 1),
			1e9 * tracer->ran / (window.allocs + 1));
		/*
		 * Whichever is more: what was measured, or what the hits cost by the calibration.
		 */
		share = mw_rates__loss(&s->rates, tracer->kind);
		calibrated = window.cost / window.seconds / busy;
		calibrated = calibrated < 0.95 ? calibrated : 0.95;
		loss += open * (share > calibrated ? share : calibrated);
	}
	if (tracer->tracked && takes_stacks(tracer, tracer->kind))
		track_blocks(tracer);
	else if (full)
		forget_blocks(tracer);
	if (tracer->tracked)
		mw_tracked__look(tracer->tracked, pid_of_space, tracer);
	mw_governor__closed(&tracer->governor, now, open,
			    loss / (double)(tracer->target_count ? tracer->target_count : 1));
	tracer->window = WINDOW_NONE;
	tracer->due_at = tracer->governor.next;
}

/*
 * Seconds that an allocation, its return and free, costs by the full windows, programs included.
 * 0: none was seen.
 */
static double full_cost(const struct window_slot *s)
{
	double allocs = 0, seconds = 0;

	for (size_t i = 0; i < MW_WINDOWS_KEPT && i < s->rates.count; i++) {
		const struct mw_window *w = &s->rates.windows[i];

		if (w->kind == MW_WINDOW_FULL) {
			allocs += w->allocs;
			seconds += w->cost;
		}
	}
	return allocs > 0 ? seconds / allocs : 0;
}

/* What full probing would cost, as a share of the CPU time that the targets use. */
static double predicted_cost(struct mw_tracer *tracer)
{
	double cost = 0, busy = tracer->busy > IDLE ? tracer->busy : IDLE;

	for (uint32_t slot = 0; slot < tracer->target_count; slot++) {
		const struct window_slot *s = &tracer->slots[slot];
		double each = full_cost(s);

		if (s->rate > 0)
			cost += s->rate * (each > 0 ? each : DEAREST);
	}
	return cost / busy;
}

static void measure_busy(struct mw_tracer *tracer, double now)
{
	double cpu = cpu_seconds(tracer);

	if (tracer->busy_at && now > tracer->busy_at)
		tracer->busy = (cpu - tracer->busy_cpu) / (now - tracer->busy_at);
	tracer->busy_at = now;
	tracer->busy_cpu = cpu;
}

static void stay_in(struct mw_tracer *tracer, double now)
{
	if (put_in(tracer, MW_WINDOW_FULL))
		return;
	for (uint32_t slot = 0; slot < tracer->target_count; slot++)
		read_counts(tracer, slot, &tracer->slots[slot].before);
	for (uint32_t slot = 0; slot < tracer->target_count; slot++) {
		struct window_slot *s = &tracer->slots[slot];
		struct mw_cell freed = mw_counts__freed(&s->before);

		s->reviewed = s->before;
		s->kept_count = s->before.kept.count - freed.count;
		s->kept_bytes = s->before.kept.bytes - freed.bytes;
	}
	if (tracer->stacks)
		mw_stacks__rebase(tracer->stacks);
	if (tracer->tracked)
		mw_tracked__begin(tracer->tracked);
	tracer->bpf->bss->mw_tracking_since = 0;
	tracer->bpf->data->mw_sampling = 1;
	switch_counting(tracer, true);
	tracer->window = WINDOW_ALWAYS;
	tracer->reviewed_at = now;
	tracer->opened_at = now;
	mw_detail(
		"all probes stay in: they cost about %.2f %% of the target's time, of %.2f %% allowed",
		100 * predicted_cost(tracer), 100 * tracer->options.max_overhead);
}

/* Is it still within the budget? */
static void review(struct mw_tracer *tracer, double now)
{
	double cost = 0, busy;

	measure_busy(tracer, now);
	busy = tracer->busy > IDLE ? tracer->busy : IDLE;
	for (uint32_t slot = 0; slot < tracer->target_count; slot++) {
		struct window_slot *s = &tracer->slots[slot];
		struct mw_counts after;
		double hits, all;

		read_counts(tracer, slot, &after);
		hits = cost_of(tracer, slot, &s->reviewed, &after, true);
		/* Programs are timed in windows only. */
		all = full_cost(s) * (double)(mw_counts__alloc(&after).count -
					      mw_counts__alloc(&s->reviewed).count);
		cost += all > hits ? all : hits;
		s->reviewed = after;
	}
	if (tracer->reviewed_at)
		tracer->always_cost = cost / (now - tracer->reviewed_at) / busy;
	else
		tracer->always_cost = 0;
	tracer->reviewed_at = now;
	if (tracer->always_cost > LEAVE * tracer->options.max_overhead) {
		mw_detail("probes cost %.1f %% now: back to windows", 100 * tracer->always_cost);
		mw_windows__integrate(tracer);
		take_out(tracer);
		tracer->window = WINDOW_CLOSING;
		tracer->was_always = true;
		tracer->reviewed_at = 0;
	}
}

double mw_windows__step(struct mw_tracer *tracer, double until)
{
	double now = mw_monotonic();

	switch (tracer->window) {
	case WINDOW_NONE:
		if (now < tracer->governor.next)
			break;
		measure_busy(tracer, now);
		mw_windows__integrate(tracer);
		if (tracer->governor.windows >= 2 &&
		    predicted_cost(tracer) < ENTER * tracer->options.max_overhead)
			stay_in(tracer, now);
		else
			open_window(tracer, now);
		break;
	case WINDOW_OPEN:
		if (now >= tracer->due_at)
			close_window(tracer);
		break;
	case WINDOW_CLOSING:
		if (mw_detacher__is_busy(tracer->detacher)) {
			tracer->due_at = now + POLL;
		} else if (tracer->was_always) {
			tracer->was_always = false;
			if (tracer->tracked)
				mw_tracked__begin(tracer->tracked);
			else
				forget_blocks(tracer);
			for (uint32_t slot = 0; slot < tracer->target_count; slot++)
				tracer->slots[slot].full_at = now;
			mw_governor__begin(&tracer->governor, tracer->options.max_overhead, now);
			tracer->integrated_lost = 0;
			tracer->window = WINDOW_NONE;
		} else {
			mw_windows__integrate(tracer);
			finish_window(tracer, now);
		}
		break;
	case WINDOW_ALWAYS:
		if (now - tracer->reviewed_at >= REVIEW)
			review(tracer, now);
		tracer->due_at = now + REVIEW;
		break;
	}
	if (tracer->window == WINDOW_NONE)
		tracer->due_at = tracer->governor.next;
	return tracer->due_at < until ? tracer->due_at : until;
}

/* Rate of the counter at WORD by the windows so far. */
static double rate_of(const struct window_slot *s, size_t word)
{
	/*
	 * Placement, frees and lifetimes are seen by full windows only; what was asked for by
	 * both.
	 */
	double weight = s->weight[MW_WINDOW_FULL][word], seen = s->seen[MW_WINDOW_FULL];

	return seen > 0 ? s->rate * weight / seen : 0;
}

/*
 * The number of allocations of a class, from both kinds of windows together; where they lie, by the
 * full ones.
 */
static void add_allocs(struct window_slot *s, double seconds)
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

				s->estimate[at[place]] += seconds * s->rate * all / seen * share;
			}
		}
	}
}

/* Carry the estimates on to now, by the rates of the last windows. */
void mw_windows__integrate(struct mw_tracer *tracer)
{
	double now = mw_monotonic(), seconds,
	       lost = tracer->governor.lost - tracer->integrated_lost;

	for (uint32_t slot = 0; slot < tracer->target_count; slot++) {
		struct window_slot *s = &tracer->slots[slot];

		if (tracer->window == WINDOW_ALWAYS) {
			struct mw_counts after = {0};
			const uint64_t *old = (const uint64_t *)&s->before;
			const uint64_t *new = (const uint64_t *)&after;

			read_counts(tracer, slot, &after);
			for (size_t i = 0; i < PROBE_WORDS; i++)
				s->estimate[i] += (double)(new[i] - old[i]);
			s->before = after;
			continue;
		}
		/*
		 * Before the first window nothing is known: its rates are taken for that time, too.
		 */
		if (s->rate <= 0)
			continue;
		/* What windows took from the target in throughput it did not do. */
		seconds = now - (s->known ? tracer->integrated_at : tracer->started_at) - lost;
		if (seconds < 0)
			continue;
		s->known = true;
		add_allocs(s, seconds);
		for (size_t i = 2 * MW_PLACES * MW_CLASSES; i < PROBE_WORDS; i++)
			s->estimate[i] += seconds * rate_of(s, i);
	}
	tracer->integrated_at = now;
	tracer->integrated_lost = tracer->governor.lost;
}

void mw_windows__estimate(struct mw_tracer *tracer, uint32_t slot, struct mw_sample *sample)
{
	const struct window_slot *s = &tracer->slots[slot];
	uint64_t *words = (uint64_t *)&sample->counts;
	double now = mw_monotonic();

	sample->governed = true;
	sample->budget = tracer->options.max_overhead;
	sample->always = tracer->window == WINDOW_ALWAYS;
	sample->duty = sample->always ? 1 : mw_governor__duty(&tracer->governor, now);
	sample->cost =
		sample->always ? tracer->always_cost : mw_governor__cost(&tracer->governor, now);
	sample->windows = tracer->governor.windows;
	sample->error = s->error;
	sample->outstanding_count -= sample->always ? s->kept_count : sample->outstanding_count;
	sample->outstanding_bytes -= sample->always ? s->kept_bytes : sample->outstanding_bytes;
	mw_windows__integrate(tracer);
	for (size_t i = 0; i < PROBE_WORDS; i++)
		words[i] = (uint64_t)s->estimate[i];
	/* How many allocations stand behind each class's estimate, for its error. */
	for (size_t class = 0; class < MW_CLASSES; class ++) {
		double seen = 0;

		for (size_t place = 0; place < MW_PLACES; place++)
			seen += s->weight[0][2 * (place * MW_CLASSES + class)] +
				s->weight[1][2 * (place * MW_CLASSES + class)];
		sample->seen[class] = (float)seen;
	}
}
