// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The windows' state machine against a simulated target: its clock, its allocations and its probes
 * are made here.
 */
#include <math.h>

#include "tests/unit/test.h"
#include "trace/windows.h"

/* Seconds: putting probes in and taking them out; a hit of each kind, as it is and as calibrated.
 */
static const double PUT_IN = 0.01, TAKE_OUT = 0.04, ENTRY_COST = 0.5e-6, FULL_COST = 0.9e-6;

/* A target that computes all the time and allocates 100 bytes in every OWN seconds of it. */
struct target {
	double own;
	double now, since_ns;
	double allocs, freed; /* that it has made, whether or not they were counted */
	struct mw_counts counts;
	uint64_t idle_hits;
	bool in, counting, timed, stacks;
	enum mw_window_kind kind;
	double out_at;	/* when the probes are out */
	double lost;	/* seconds that probes took */
	double covered; /* seconds that blocks_seen() stood for */
	unsigned int attached[MW_WINDOW_KINDS], stayed, resets, checks;
};

static void run(struct target *t, double seconds)
{
	double cost = !t->in ? 0 : t->kind == MW_WINDOW_FULL ? FULL_COST : ENTRY_COST;
	double before = floor(t->allocs), n;

	t->allocs += seconds / (t->own + cost);
	t->now += seconds;
	n = floor(t->allocs) - before;
	t->lost += n * cost;
	if (!t->in)
		return;
	if (!t->counting) {
		t->idle_hits += (uint64_t)n;
		return;
	}
	t->counts.calls[MW_FUNC_MALLOC] += (uint64_t)n;
	if (t->kind == MW_WINDOW_FULL) {
		t->counts.alloc[MW_PLACE_BRK][7].count += (uint64_t)n;
		t->counts.alloc[MW_PLACE_BRK][7].bytes += 100 * (uint64_t)n;
		t->counts.kept.count += (uint64_t)n;
		t->counts.freed[7].count += (uint64_t)n / 2;
	} else {
		t->counts.alloc[MW_PLACE_OTHER][7].count += (uint64_t)n;
		t->counts.alloc[MW_PLACE_OTHER][7].bytes += 100 * (uint64_t)n;
	}
}

static double on_now(void *arg)
{
	return ((struct target *)arg)->now;
}

static int on_attach(void *arg, enum mw_window_kind kind, bool stay)
{
	struct target *t = arg;

	if (t->in)
		TEST_FAIL("probes are put in twice");
	t->in = true;
	t->kind = kind;
	t->attached[kind]++;
	t->stayed += stay;
	run(t, PUT_IN);
	return 0;
}

static void on_detach(void *arg)
{
	struct target *t = arg;

	t->counting = false;
	t->out_at = t->now + TAKE_OUT;
}

static bool on_is_detaching(void *arg)
{
	struct target *t = arg;

	if (t->now >= t->out_at)
		t->in = false;
	return t->in;
}

static void on_count(void *arg, bool on)
{
	((struct target *)arg)->counting = on;
}

static void on_track(void *arg, uint64_t since_ns, bool stacks)
{
	struct target *t = arg;

	t->since_ns = (double)since_ns;
	t->stacks = stacks;
}

static void on_read(void *arg, unsigned int target, struct mw_counts *counts)
{
	(void)target;
	*counts = ((struct target *)arg)->counts;
}

static uint64_t on_idle_hits(void *arg)
{
	return ((struct target *)arg)->idle_hits;
}

static double on_hit_seconds(void *arg, unsigned int target, const struct mw_counts *before,
			     const struct mw_counts *after, enum mw_window_kind kind)
{
	(void)arg;
	(void)target;
	return (double)(after->calls[MW_FUNC_MALLOC] - before->calls[MW_FUNC_MALLOC]) *
	       (kind == MW_WINDOW_FULL ? FULL_COST : ENTRY_COST);
}

static void on_time_programs(void *arg, bool on)
{
	((struct target *)arg)->timed = on;
}

static double on_program_seconds(void *arg)
{
	(void)arg;
	return 0;
}

static double on_cpu_seconds(void *arg)
{
	return ((struct target *)arg)->now;
}

static void on_blocks_seen(void *arg, double seconds, const double *scales)
{
	struct target *t = arg;

	if (!t->stacks)
		TEST_FAIL("a window without stacks has seen blocks");
	t->covered += seconds * scales[0];
}

static void on_check_blocks(void *arg)
{
	((struct target *)arg)->checks++;
}

static void on_reset_blocks(void *arg, bool stay)
{
	(void)stay;
	((struct target *)arg)->resets++;
}

static const struct mw_windows_ops ops = {
	.now = on_now,
	.attach = on_attach,
	.detach = on_detach,
	.is_detaching = on_is_detaching,
	.count = on_count,
	.track = on_track,
	.read = on_read,
	.idle_hits = on_idle_hits,
	.hit_seconds = on_hit_seconds,
	.time_programs = on_time_programs,
	.program_seconds = on_program_seconds,
	.cpu_seconds = on_cpu_seconds,
	.blocks_seen = on_blocks_seen,
	.check_blocks = on_check_blocks,
	.reset_blocks = on_reset_blocks,
};

/* Watch T for SECONDS more; how often W wanted to do something. */
static size_t watch(struct mw_windows *w, struct target *t, double seconds)
{
	double end = t->now + seconds;
	size_t steps = 0;

	while (t->now < end && steps < 1000000) {
		double next = mw_windows__step(w, end);

		steps++;
		/* As poll() does: whole milliseconds, none when it is due. */
		run(t, next > t->now ? ceil(1e3 * (next - t->now)) / 1e3 : 1e-5);
	}
	return steps;
}

static struct mw_windows *begin(struct target *t, enum mw_mode mode)
{
	struct mw_windows *w = mw_windows__new(&ops, t, mode, 0.02);

	if (!w)
		TEST_FAIL("no memory");
	t->now = 1000;
	mw_windows__begin(w, 1);
	return w;
}

TEST(a_busy_target_is_seen_in_windows_within_the_budget)
{
	struct target t = {.own = 2e-6};
	struct mw_windows *w = begin(&t, MW_MODE_EXACT);
	struct mw_sample sample = {0};
	struct mw_cell all;

	watch(w, &t, 120);
	CHECK(!mw_windows__stay(w));
	CHECK(t.attached[MW_WINDOW_ENTRY] > 5 && t.attached[MW_WINDOW_FULL] > 2);
	CHECK_INT(t.stayed, 0);
	CHECK_INT(t.checks, t.attached[MW_WINDOW_ENTRY] + t.attached[MW_WINDOW_FULL] - t.in);
	if (t.lost > 0.02 * 120)
		TEST_FAIL("%.2f s of 120 lost", t.lost);
	mw_windows__estimate(w, 0, &sample);
	all = mw_counts__alloc(&sample.counts);
	if (fabs((double)all.count / t.allocs - 1) > 0.03)
		TEST_FAIL("%.0f estimated of %.0f", (double)all.count, t.allocs);
	CHECK(fabs((double)all.bytes / (double)all.count - 100) < 1);
	/* Where blocks lie and how many are freed only full windows say: all of it holds for all.
	 */
	CHECK((double)mw_counts__alloc_at(&sample.counts, MW_PLACE_OTHER).count < 0.01 * t.allocs);
	CHECK(fabs((double)mw_counts__freed(&sample.counts).count / t.allocs - 0.5) < 0.02);
	CHECK_INT(sample.outstanding_count, 0);
	CHECK(sample.cost > 0.005 && sample.cost < 0.02);
	mw_windows__free(w);
}

TEST(windows_that_take_stacks_stand_for_all_of_the_time)
{
	struct target t = {.own = 2e-6};
	struct mw_windows *w = begin(&t, MW_MODE_EXACT);

	watch(w, &t, 60);
	/* A second of a slowed target stands for 1 + FULL_COST / own of an undisturbed one. */
	if (t.covered < 45 || t.covered > 60 * (1 + FULL_COST / t.own) * 1.05)
		TEST_FAIL("%.1f s", t.covered);
	mw_windows__free(w);
}

TEST(programs_are_timed_in_windows_only)
{
	struct target t = {.own = 2e-6};
	struct mw_windows *w = begin(&t, MW_MODE_EXACT);

	for (int i = 0; i < 10000; i++) {
		run(&t, 0.002);
		mw_windows__step(w, t.now + 1);
		CHECK_INT(t.timed, t.counting);
	}
	CHECK(t.attached[MW_WINDOW_ENTRY] > 1);
	mw_windows__free(w);
}

TEST(a_quiet_target_keeps_its_probes)
{
	struct target t = {.own = 1e-3};
	struct mw_windows *w = begin(&t, MW_MODE_EXACT);
	struct mw_sample sample = {0};
	size_t steps = watch(w, &t, 30);

	CHECK(mw_windows__stay(w));
	CHECK_INT(t.stayed, 1);
	CHECK_INT(t.resets, 1);
	CHECK(t.in && t.counting && !t.timed && t.stacks && t.since_ns == 0);
	CHECK(steps < 200);
	mw_windows__estimate(w, 0, &sample);
	CHECK(sample.always && sample.duty == 1);
	CHECK(fabs((double)mw_counts__alloc(&sample.counts).count / t.allocs - 1) < 0.01);
	mw_windows__free(w);
}

TEST(a_target_that_gets_busy_goes_back_to_windows)
{
	struct target t = {.own = 1e-3};
	struct mw_windows *w = begin(&t, MW_MODE_EXACT);
	struct mw_sample sample = {0};

	watch(w, &t, 10);
	CHECK(mw_windows__stay(w));
	t.own = 2e-6;
	watch(w, &t, 60);
	CHECK(!mw_windows__stay(w));
	CHECK_INT(t.resets, 2);
	mw_windows__estimate(w, 0, &sample);
	CHECK(!sample.always);
	/* Rates of the quiet time fade. */
	if (fabs((double)mw_counts__alloc(&sample.counts).count / t.allocs - 1) > 0.15)
		TEST_FAIL("%.0f of %.0f", (double)mw_counts__alloc(&sample.counts).count, t.allocs);
	mw_windows__free(w);
}

/* Full probes are not loaded in this mode. */
TEST(sizes_mode_has_entry_probes_only)
{
	struct target busy = {.own = 2e-6}, quiet = {.own = 1e-3};
	struct mw_windows *w = begin(&busy, MW_MODE_SIZES);

	watch(w, &busy, 30);
	CHECK_INT(busy.attached[MW_WINDOW_FULL], 0);
	CHECK(busy.attached[MW_WINDOW_ENTRY] > 5 && busy.covered > 20);
	mw_windows__free(w);
	w = begin(&quiet, MW_MODE_SIZES);
	CHECK(watch(w, &quiet, 30) < 200);
	CHECK(mw_windows__stay(w));
	CHECK_INT(quiet.attached[MW_WINDOW_FULL], 0);
	CHECK(quiet.in && quiet.counting);
	mw_windows__free(w);
}
