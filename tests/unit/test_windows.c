// SPDX-License-Identifier: GPL-2.0-or-later
/* Windows of probes over simulated targets: estimates within their errors, cost within the budget.
 */
#include <stdlib.h>

#include "tests/unit/simulated.h"
#include "tests/unit/test.h"

static const double BUDGET = 0.02;

/* Two kinds of probes as they cost in a virtual machine, and a machine that is a little busy. */
static const struct simulated usual = {
	.entry = 1e-6,
	.full = 3.2e-6,
	.factor = 1.15,
	.attach = 0.01,
	.detach = 0.002,
	.grace = 0.06,
	.latency = 0.001,
	.noise = 0.05,
};

struct outcome {
	int runs, enough, beyond, wide; /* beyond three stated errors; stated over 15 % */
	double worst10, worst30;	/* cost of any 10 and 30 seconds */
	int stayed;
	double covered; /* share of the CPU time, at least */
	double bound;	/* allocations a second of CPU time, the largest */
	double ratio;	/* estimated over true, their mean */
	double last;	/* of sampled blocks, what the last tenth of bursts has, over a tenth */
};

static struct outcome watch(const struct simulated *target, int seeds, double seconds)
{
	struct outcome o = {.runs = seeds, .covered = 1};
	struct simulated *t = malloc(sizeof(*t));

	for (int seed = 1; t && seed <= seeds; seed++) {
		struct mw_sample s;
		double seen;

		*t = *target;
		t->seed = (uint64_t)seed * 7919;
		s = simulated_watch(t, BUDGET, 7.3 + 0.37 * seed, seconds);
		seen = (double)mw_counts__alloc(&s.counts).count;
		o.enough += s.enough;
		o.stayed += s.always;
		o.covered = fmin(o.covered, s.coverage);
		o.bound = fmax(o.bound, s.least);
		if (s.enough && fabs(seen - t->allocs) > 3 * s.error * seen + 2)
			o.beyond++;
		o.last += t->sampled > 0 ? 10 * t->last_sampled / t->sampled / seeds : 0;
		o.ratio += seen / t->allocs / seeds;
		o.wide += s.enough && s.error > 0.15;
		o.worst10 = fmax(o.worst10, simulated_worst(t, 10));
		o.worst30 = fmax(o.worst30, simulated_worst(t, 30));
		mw_windows__free(t->windows);
	}
	free(t);
	return o;
}

static void check_budget(const struct outcome *o)
{
	if (o->worst10 > 1.5 * BUDGET || o->worst30 > BUDGET)
		TEST_FAIL("cost %.4f in 10 s, %.4f in 30 s", o->worst10, o->worst30);
}

/* TARGET, watched for 31 s: in all runs there is a number, and it holds. */
static void check_holds(const struct simulated *target)
{
	struct outcome o = watch(target, 20, 31);

	check_budget(&o);
	if (o.enough != o.runs || o.beyond || o.wide)
		TEST_FAIL("%d of %d have a number, %d beyond their error, %d with over 15 %%",
			  o.enough, o.runs, o.beyond, o.wide);
}

/* It must not claim what it can't know, nor pay for it. */
static void check_honest(const struct simulated *target)
{
	struct outcome o = watch(target, 40, 31);

	check_budget(&o);
	if (o.beyond > o.runs / 20)
		TEST_FAIL("%d of %d numbers are beyond their error", o.beyond, o.enough);
}

/* A target as usual, to which an allocation takes OWN seconds. */
static struct simulated computing(double own)
{
	struct simulated t = usual;

	t.own = own;
	return t;
}

TEST(target_that_computes)
{
	struct simulated t = computing(1e-6);

	check_holds(&t);
	t.own = 5e-6;
	check_holds(&t);
	t.own = 20e-6;
	check_holds(&t);
	t.own = 100e-6;
	check_holds(&t);
}

TEST(hits_may_cost_more_or_less_than_calibrated)
{
	struct simulated t = computing(2e-6);

	t.factor = 1.3;
	check_holds(&t);
	t.factor = 1;
	check_holds(&t);
}

/* A window is as short as a few ticks, and ends when the clock moves: it must not seem longer. */
TEST(clock_that_moves_in_ticks)
{
	for (double own = 1e-6; own < 50e-6; own *= 4) {
		struct simulated t = computing(own);
		struct outcome o;

		t.tick = 0.004;
		o = watch(&t, 40, 31);
		check_budget(&o);
		if (fabs(o.ratio - 1) > 0.05 || o.beyond > 1)
			TEST_FAIL("%.0f us each: %.3f of the truth, %d beyond", 1e6 * own, o.ratio,
				  o.beyond);
	}
}

/* Return probes of another tracer in the same places make hits of entry probes dear. */
TEST(another_tracer_is_in_the_same_places)
{
	struct simulated t = computing(0.04e-6);

	t.factor = 1;
	t.foreign = 0.8e-6;
	check_honest(&t);
	t.own = 20e-6;
	check_honest(&t);
}

TEST(target_that_waits)
{
	struct simulated t = computing(20e-6);

	t.wait = 1e-4;
	check_holds(&t);
}

/* Too often for probes to stay in, and it is no burst. It pays no more than others for that. */
TEST(target_that_uses_little_is_seen)
{
	struct simulated t = computing(4e-6);
	struct outcome o;

	t.wait = 1e-4;
	o = watch(&t, 20, 31);
	check_budget(&o);
	if (o.covered < 0.03)
		TEST_FAIL("probes were in for %.3f of the time", o.covered);
}

/* A server that has little to do. */
TEST(target_that_uses_little_has_a_number_in_half_a_minute)
{
	struct simulated t = computing(4e-6);
	struct outcome o;

	t.wait = 1e-4;
	t.noise = 0.3;
	o = watch(&t, 40, 30.5);
	check_budget(&o);
	CHECK_INT(o.enough, 40);
	CHECK_INT(o.beyond, 0);
}

/* What probes saw in the first moments, before they were found too dear, is no number of the whole.
 */
TEST(what_a_trial_saw_is_no_answer)
{
	struct simulated t = computing(4e-6);
	struct mw_sample s;

	t.wait = 1e-4;
	t.seed = 7919;
	s = simulated_watch(&t, BUDGET, 5, 2);
	CHECK(!s.enough && !s.always);
	CHECK(t.counted > 0);
	CHECK_INT(mw_counts__alloc(&s.counts).count, 0);
	mw_windows__free(t.windows);
}

TEST(seldom_calls_are_all_seen)
{
	struct simulated t = computing(20e-6);
	struct outcome o;

	t.wait = 2e-2;
	check_holds(&t);
	o = watch(&t, 5, 31);
	CHECK_INT(o.stayed, 5);
}

TEST(tight_loop_is_not_guessed)
{
	struct simulated t = computing(40e-9);
	struct outcome o;

	o = watch(&t, 20, 31);
	check_budget(&o);
	CHECK_INT(o.enough, 0);
	/* 25 million a second; hits cost 1.15 of what was calibrated, or 0.8. */
	CHECK(o.bound > 1e6 && o.bound < 25e6);
	t.factor = 0.8;
	o = watch(&t, 20, 31);
	CHECK(o.enough || o.bound < 25e6);
	t.factor = usual.factor;
	t.latency = 0.03;
	o = watch(&t, 20, 31);
	check_budget(&o);
	CHECK_INT(o.enough, 0);
}

TEST(bursts_pay_no_more_than_others)
{
	struct simulated t = computing(70e-9);

	t.busy = 0.5;
	t.idle = 5;
	check_honest(&t);
	t.own = 2e-6;
	check_honest(&t);
	t.busy = 0.02;
	t.idle = 0.2;
	check_honest(&t);
	t.own = 70e-9;
	t.busy = 0.05;
	t.idle = 1;
	check_honest(&t);
	t.busy = 3;
	t.idle = 20;
	check_honest(&t);
	t.own = 20e-6;
	t.busy = t.idle = 0.5;
	check_holds(&t);
}

/* What it leaves of the processor is not its own: it pays by its CPU time. */
TEST(short_bursts_pay_no_more_than_others)
{
	static const struct {
		double busy, idle;
	} shapes[] = {{3e-3, 7e-3}, {3e-3, 60e-3}, {20e-3, 40e-3}, {0.1, 1}, {0.5, 1.1}};
	static const double owns[] = {13e-9, 1e-6, 30e-6};

	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		for (size_t k = 0; k < sizeof(owns) / sizeof(owns[0]); k++) {
			struct simulated t = computing(owns[k]);
			struct outcome o;

			t.busy = shapes[i].busy;
			t.idle = shapes[i].idle;
			o = watch(&t, 20, 31);
			check_budget(&o);
			/* Half a second of CPU in half a minute: few windows. */
			CHECK(o.beyond <= 2);
		}
	}
}

/* Twice as long as fast it would be if what is seen depended on what a window takes. */
/*
 * What a program does last in each burst, after which it waits, is seen as often as what it does
 * first: a window that opens while it waits must not begin with a burst each time.
 */
TEST(ends_of_bursts_are_seen)
{
	static const double bursts[] = {500, 1500, 5000, 20000, 200000};

	for (size_t i = 0; i < sizeof(bursts) / sizeof(*bursts); i++) {
		struct simulated t = computing(0.5e-6);
		struct outcome o;

		t.burst = bursts[i];
		t.attach = 0.003;
		t.busy = 5e-6 * t.burst;
		t.idle = 2e-6 * t.burst;
		o = watch(&t, 4, 600);
		check_budget(&o);
		if (o.last < 0.7 || o.last > 1.4)
			TEST_FAIL("bursts of %.0f: the last tenth has %.2f of its share", t.burst,
				  o.last);
	}
}

TEST(phases_are_seen_as_often_as_they_are)
{
	struct simulated t = computing(2e-6);

	t.own_changes = 5;
	check_honest(&t);
	t.noise = 0.3;
	check_honest(&t);
}

TEST(busy_machine)
{
	struct simulated t = computing(2e-6);

	t.latency = 0.03;
	t.noise = 0.2;
	check_holds(&t);
}

TEST(budget_is_kept_where_probes_go_slowly)
{
	struct simulated t = computing(1e-6);
	struct outcome o;

	/* Perf-event probes go one by one. */
	t.detach = 0.15;
	o = watch(&t, 10, 61);
	if (o.worst30 > 2 * BUDGET)
		TEST_FAIL("cost %.4f in 30 s", o.worst30);
}

TEST(probes_that_stay_say_what_they_need)
{
	struct simulated t = computing(100e-6);

	t.wait = 5e-2;
	t.seed = 7919;
	simulated_watch(&t, BUDGET, 5, 10);
	CHECK(mw_windows__stay(t.windows));
	/* Some 20 calls a second, 3.7 us each, of three tenths of a processor. */
	CHECK(mw_windows__needs(t.windows, t.now) > 0.0001);
	CHECK(mw_windows__needs(t.windows, t.now) < 0.0004);
	/* A budget of which less is left than they take: they leave. */
	mw_windows__set_budget(t.windows, 1e-5);
	for (double end = t.now + 5; t.now < end;)
		simulated_pass(&t, fmax(mw_windows__step(t.windows, t.now, end) - t.now, 1e-3));
	CHECK(!mw_windows__stay(t.windows));
	CHECK(mw_windows__needs(t.windows, t.now) == 1);
	mw_windows__free(t.windows);
}
