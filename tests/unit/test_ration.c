// SPDX-License-Identifier: GPL-2.0-or-later
/* What is on for a part of the time takes no more than its share, and is on long enough to see. */
#include <math.h>

#include "model/ration.h"
#include "tests/unit/test.h"

static const double SHARE = 0.003;

struct outcome {
	double on, longest; /* share of the time; seconds */
	double worst;	    /* of the target's CPU time in any 10 seconds: what it took */
};

/* A target that uses CPU of a second, of which it takes RATE while it is on. */
static struct outcome run(double cpu, double rate)
{
	enum { STEPS = 60000, STEP = 1000, SPAN = 10000 }; /* milliseconds: 60 s */
	static double taken[STEPS + 1];
	struct outcome o = {0};
	struct mw_ration r;
	double since = 0, lately = 0, stretch = 0;

	mw_ration__begin(&r, SHARE);
	for (int i = 0; i < STEPS; i++) {
		taken[i + 1] = taken[i] + (r.on ? rate / STEP : 0);
		lately += r.on ? rate / STEP : 0;
		stretch = r.on ? stretch + 1.0 / STEP : 0;
		o.longest = fmax(o.longest, stretch);
		o.on += r.on ? 1.0 / STEPS : 0;
		since += 1.0 / STEP;
		if (since >= mw_ration__wait(&r)) {
			mw_ration__passed(&r, since, since * cpu, lately);
			since = lately = 0;
		}
		if (i >= SPAN)
			o.worst = fmax(o.worst, (taken[i] - taken[i - SPAN]) / (10 * cpu));
	}
	return o;
}

TEST(what_costs_little_is_on_all_the_time)
{
	struct outcome o = run(1, 0.002);

	CHECK(o.on > 0.99);
	o = run(0.05, 0);
	CHECK(o.on > 0.99);
}

TEST(what_costs_much_is_on_for_a_part)
{
	static const double rates[] = {0.006, 0.0126, 0.06, 0.2};

	for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
		struct outcome o = run(0.3, rates[i]);

		CHECK(o.worst < 2.5 * SHARE);
		CHECK(o.on > 0.5 * SHARE * 0.3 / rates[i] &&
		      o.on < 1.5 * SHARE * 0.3 / rates[i] + 0.02);
		CHECK(o.longest > (rates[i] < 0.05 ? 0.1 : 0.01));
	}
}
