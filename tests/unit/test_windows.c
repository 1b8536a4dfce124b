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
	.latency = 0.001,
	.noise = 0.05,
};

struct outcome {
	int runs, enough, beyond, wide; /* beyond three stated errors; stated over 15 % */
	double worst10, worst30;	/* cost of any 10 and 30 seconds */
	int stayed;
};

static struct outcome watch(const struct simulated *target, int seeds, double seconds)
{
	struct outcome o = {.runs = seeds};
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
		if (s.enough && fabs(seen - t->allocs) > 3 * s.error * seen + 2)
			o.beyond++;
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
	struct outcome o = watch(target, 20, 31);

	check_budget(&o);
	if (o.beyond > o.runs / 20)
		TEST_FAIL("%d of %d numbers are beyond their error", o.beyond, o.enough);
}

TEST(target_that_computes)
{
	struct simulated t = usual;

	t.own = 1e-6;
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
	struct simulated t = usual;

	t.own = 2e-6;
	t.factor = 1.3;
	check_holds(&t);
	t.factor = 1;
	check_holds(&t);
}

TEST(target_that_waits)
{
	struct simulated t = usual;

	t.own = 20e-6;
	t.wait = 1e-4;
	check_holds(&t);
}

TEST(seldom_calls_are_all_seen)
{
	struct simulated t = usual;
	struct outcome o;

	t.own = 20e-6;
	t.wait = 3e-3;
	check_holds(&t);
	o = watch(&t, 5, 31);
	CHECK_INT(o.stayed, 5);
}

TEST(tight_loop_is_not_guessed)
{
	struct simulated t = usual;
	struct outcome o;

	t.own = 40e-9;
	o = watch(&t, 20, 31);
	check_budget(&o);
	CHECK_INT(o.enough, 0);
	t.latency = 0.03;
	o = watch(&t, 20, 31);
	check_budget(&o);
	CHECK_INT(o.enough, 0);
}

TEST(bursts_pay_no_more_than_others)
{
	struct simulated t = usual;

	t.own = 70e-9;
	t.busy = 0.5;
	t.idle = 5;
	check_honest(&t);
	t.own = 2e-6;
	check_honest(&t);
	t.busy = 0.02;
	t.idle = 0.2;
	check_honest(&t);
	t.own = 20e-6;
	t.busy = t.idle = 0.5;
	check_holds(&t);
}

/* Twice as long as fast it would be if what is seen depended on what a window takes. */
TEST(phases_are_seen_as_often_as_they_are)
{
	struct simulated t = usual;

	t.own = 2e-6;
	t.own_changes = 5;
	check_honest(&t);
	t.noise = 0.3;
	check_honest(&t);
}

TEST(busy_machine)
{
	struct simulated t = usual;

	t.own = 2e-6;
	t.latency = 0.03;
	t.noise = 0.2;
	check_holds(&t);
}

TEST(budget_is_kept_where_probes_go_slowly)
{
	struct simulated t = usual;
	struct outcome o;

	/* Perf-event probes go one by one. */
	t.own = 1e-6;
	t.detach = 0.15;
	o = watch(&t, 10, 61);
	if (o.worst30 > 2 * BUDGET)
		TEST_FAIL("cost %.4f in 30 s", o.worst30);
}
