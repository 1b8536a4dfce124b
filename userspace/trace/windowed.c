// SPDX-License-Identifier: GPL-2.0-or-later
#include <bpf/libbpf.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "bpf/memwhere.h"
#include "bpf/memwhere.skel.h"
#include "trace/windowed.h"
#include "util/clock.h"

/* Reading pools takes about a millisecond with the probes in: in one window in so many. */
enum { MEASURED = 3 };

static double on_cpu(void *arg, uint32_t slot)
{
	struct mw_windowed *w = arg;

	return mw_processes__cpu_seconds(w->processes, slot);
}

static double on_cpu_about(void *arg, uint32_t slot)
{
	const struct mw_windowed *w = arg;

	return mw_processes__cpu_seconds_about(w->processes, slot);
}

static double on_sleeps(void *arg, uint32_t slot)
{
	const struct mw_windowed *w = arg;

	return mw_processes__sleeps(w->processes, slot);
}

static double on_cpu_lags(void *arg)
{
	const struct mw_windowed *w = arg;

	return mw_processes__cpu_lags(w->processes);
}

static struct mw_layer_state *state_of(const struct mw_windowed *w)
{
	return &w->bpf->data->mw_layers[w->layer];
}

/* From when probes go in until they go out; not while they stay. */
static void hurry(struct mw_windowed *w, bool on)
{
	id_t self = (id_t)gettid();

	if (on && !w->hurries)
		w->usual_nice = getpriority(PRIO_PROCESS, self);
	if (on != w->hurries)
		setpriority(PRIO_PROCESS, self, on ? MW_PROMPT_NICE : w->usual_nice);
	w->hurries = on;
}

static int on_attach(void *arg, enum mw_window_kind kind)
{
	struct mw_windowed *w = arg;
	struct mw_layer_state *state = state_of(w);
	int ret;

	/* Stacks only where it is seen what the target does with the blocks, if that is asked for.
	 */
	state->sampling = kind == MW_WINDOW_FULL || w->options->mode != MW_MODE_EXACT;
	state->tracking_since = (uint64_t)(mw_monotonic() * 1e9);
	if (w->blocks && state->sampling)
		mw_block_tracker__prepare(w->blocks);
	hurry(w, true);
	w->measures = w->meter && kind == MW_WINDOW_FULL && w->windows++ % MEASURED == 0;
	ret = mw_probing__attach_kind(w->probing, w->layer, kind, w->stays);
	if (ret || w->stays)
		hurry(w, false);
	return ret;
}

static void on_ends(void *arg)
{
	struct mw_windowed *w = arg;

	if (w->blocks && state_of(w)->sampling)
		mw_block_tracker__take_prints(w->blocks, state_of(w)->tracking_since);
}

static void on_sample(void *arg, const struct mw_sampling *wanted)
{
	const struct mw_windowed *w = arg;
	struct mw_sampling sampling = {.period = mw_tracer_options__period(w->options, w->layer)};
	struct mw_layer_state *state = state_of(w);

	if (wanted->period && wanted->period <= sampling.period && w->options->sample_more)
		sampling = *wanted;
	state->sample_period = sampling.period;
	for (size_t class = 0; class < MW_CLASSES; class ++)
		state->favoured[class] = sampling.favoured[class];
	if (w->blocks)
		mw_block_tracker__set_sampling(w->blocks, &sampling);
}

void mw_windowed__count(struct memwhere_bpf *bpf, enum mw_layer layer, bool on)
{
	__atomic_store_n(&bpf->data->mw_layers[layer].counting, on, __ATOMIC_SEQ_CST);
}

static void on_count(void *arg, bool on)
{
	const struct mw_windowed *w = arg;

	if (w->measures && on)
		mw_pool_meter__begin(w->meter);
	mw_windowed__count(w->bpf, w->layer, on);
	if (w->blocks)
		mw_block_tracker__count(w->blocks, on);
	if (w->measures && !on)
		mw_pool_meter__end(w->meter);
}

static void on_set_quota(void *arg, uint64_t hits)
{
	struct mw_layer_state *state = state_of(arg);

	__atomic_store_n(&state->hits, 0, __ATOMIC_SEQ_CST);
	__atomic_store_n(&state->quota, hits, __ATOMIC_SEQ_CST);
}

static void on_detach(void *arg)
{
	struct mw_windowed *w = arg;

	mw_probing__detach_all(w->probing, w->layer);
	hurry(w, false);
}

static bool on_is_detached(void *arg)
{
	const struct mw_windowed *w = arg;

	return !mw_probing__is_detaching(w->probing, w->layer);
}

static void on_read(void *arg, uint32_t slot, struct mw_counts *counts)
{
	const struct mw_windowed *w = arg;

	mw_counters__read(w->counters, slot, counts);
	mw_counts__keep_layer(counts, w->layer);
}

static uint64_t on_idle_hits(void *arg)
{
	return state_of(arg)->idle_hits;
}

static double on_cost(void *arg, uint32_t slot, const struct mw_counts *before,
		      const struct mw_counts *after, enum mw_window_kind kind)
{
	const struct mw_windowed *w = arg;

	return mw_cost__timed_seconds(mw_probing__cost(w->probing),
				      mw_processes__allocators(w->processes, slot), before, after,
				      kind == MW_WINDOW_FULL);
}

static void on_time_programs(void *arg, bool on)
{
	const struct mw_windowed *w = arg;

	mw_probing__time_programs(w->probing, w->layer, on);
}

static void on_be_ready(void *arg, bool on)
{
	const struct mw_windowed *w = arg;

	mw_probing__be_ready(w->probing, w->layer, on);
}

static double on_ran(void *arg)
{
	const struct mw_windowed *w = arg;

	return mw_probing__program_seconds(w->probing, w->layer);
}

static double on_hit(void *arg, enum mw_window_kind kind)
{
	const struct mw_windowed *w = arg;

	return mw_cost__hit_seconds(mw_probing__cost(w->probing), w->layer, kind == MW_WINDOW_FULL);
}

static void on_sampled(void *arg, double seconds, const double *scales, const double *cpu)
{
	const struct mw_windowed *w = arg;

	if (w->blocks)
		mw_block_tracker__window(w->blocks, seconds, scales, cpu);
	else
		mw_blocks__take_all(&w->seen[w->layer], NULL, NULL);
}

void mw_windowed__cpu(struct mw_processes *processes, double cpu[MW_SLOTS])
{
	for (uint32_t slot = 0; slot < MW_SLOTS; slot++)
		cpu[slot] = slot < processes->target_count
				    ? mw_processes__cpu_seconds(processes, slot)
				    : 0;
}

static void on_stays(void *arg, bool stays)
{
	struct mw_windowed *w = arg;
	double cpu[MW_SLOTS];

	w->stays = stays;
	if (stays && w->meter)
		mw_pool_meter__begin(w->meter);
	mw_windowed__cpu(w->processes, cpu);
	if (w->blocks)
		mw_block_tracker__stay(w->blocks, stays, cpu);
	if (w->stacks)
		mw_stacks__stay(w->stacks, w->layer, stays);
}

const struct mw_windows_ops mw_windowed_ops = {
	.cpu = on_cpu,
	.cpu_about = on_cpu_about,
	.sleeps = on_sleeps,
	.cpu_lags = on_cpu_lags,
	.attach = on_attach,
	.detach = on_detach,
	.is_detached = on_is_detached,
	.ends = on_ends,
	.sample = on_sample,
	.count = on_count,
	.set_quota = on_set_quota,
	.read = on_read,
	.idle_hits = on_idle_hits,
	.cost = on_cost,
	.time_programs = on_time_programs,
	.ran = on_ran,
	.be_ready = on_be_ready,
	.hit = on_hit,
	.sampled = on_sampled,
	.stays = on_stays,
};
