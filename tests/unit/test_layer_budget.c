// SPDX-License-Identifier: GPL-2.0-or-later
/* Two layers of allocators of one simulated process, malloc's and Python's, within one budget. */
#include <stdlib.h>

#include "model/coverage.h"
#include "model/layer_budget.h"
#include "tests/unit/simulated.h"
#include "tests/unit/test.h"

static const double BUDGET = 0.02;
enum { SEEDS = 20 };

/*
 * A process that asks malloc once each OWN seconds, and Python's allocator PER times as often. Of
 * its own time the programs that are always there take STANDING.
 */
struct shape {
	const char *name;
	double own, per, unseen, wait, busy, idle, noise, standing, latency;
	bool unknown; /* probes take so much of a window that Python's have no number */
};

static const struct shape shapes[] = {
	{"loop of 5 million objects", .own = 1e-4, .per = 500, .noise = 0.05, .unknown = true},
	{"web application", .own = 20e-6, .per = 10, .noise = 0.2, .standing = 0.004},
	{"busy machine", .own = 20e-6, .per = 10, .noise = 0.2, .latency = 0.05},
	{"little CPU", .own = 20e-6, .per = 10, .wait = 180e-6, .noise = 0.2},
	{"less on a busy machine", .own = 20e-6, .per = 10, .wait = 480e-6, .noise = 0.2,
	 .latency = 0.05, .unknown = true},
	{"bursts", .own = 20e-6, .per = 10, .busy = 0.5, .idle = 1, .noise = 0.1},
	{"a part is not seen", .own = 20e-6, .per = 10, .unseen = 0.15, .noise = 0.1},
	{"mostly malloc", .own = 2e-6, .per = 0.01, .noise = 0.1, .standing = 0.008},
	{"idle", .own = 20e-6, .per = 3, .wait = 0.1, .noise = 0.1},
};

struct process {
	struct simulated malloc_layer, python; /* the process is the first */
	struct mw_layer_budget budget;
	struct mw_coverage coverage;
	double counted_before, allocs_before;
	int overlaps;
};

static struct process *process_of(void *arg)
{
	struct simulated *t = simulated_process(arg);

	return (struct process *)((char *)t - offsetof(struct process, malloc_layer));
}

static double now_of(void *arg)
{
	return ((struct process *)arg)->malloc_layer.now;
}

/* Two windows at a time would each measure what the other costs. */
static int attach(void *arg, enum mw_window_kind kind)
{
	struct process *p = process_of(arg);
	const struct simulated *other = arg == &p->python ? &p->malloc_layer : &p->python;

	p->overlaps += other->in && !other->stays;
	return simulated_attach(arg, kind);
}

/* The pools' own count of what was handed out, which is read as windows begin and end. */
static void count(void *arg, bool on)
{
	struct process *p = process_of(arg);

	simulated_count(arg, on);
	if (arg != &p->python)
		return;
	if (!on)
		mw_coverage__add(&p->coverage, p->python.counted - p->counted_before,
				 0.9 * (p->python.counted - p->counted_before),
				 p->python.allocs - p->allocs_before -
					 0.9 * (p->python.counted - p->counted_before) +
					 3 * simulated_normal(&p->malloc_layer));
	p->counted_before = p->python.counted;
	p->allocs_before = p->python.allocs;
}

static struct mw_windows *windows_of(struct process *p, enum mw_layer layer, struct simulated *t,
				     const struct mw_windows_ops *ops)
{
	t->windows = mw_windows__new(ops, t, MW_MODE_EXACT,
				     mw_layer_budget__first(&p->budget, layer, true));
	p->budget.windows[layer] = t->windows;
	mw_windows__begin(t->windows, 1, p->malloc_layer.now,
			  p->malloc_layer.cpu / p->malloc_layer.now);
	return t->windows;
}

static void begin(struct process *p, const struct shape *shape, uint64_t seed)
{
	struct simulated *m = &p->malloc_layer;

	*p = (struct process){.malloc_layer = {
				      .own = shape->own,
				      .wait = shape->wait,
				      .busy = shape->busy,
				      .idle = shape->idle,
				      .noise = shape->noise,
				      .cost_noise = 0.05,
				      .factor = 1.15,
				      .entry = 1e-6,
				      .full = 3.2e-6,
				      .attach = 0.01,
				      .detach = 0.002,
				      .grace = 0.06,
				      .latency = fmax(shape->latency, 0.001),
				      .seed = seed * 7919,
				      .speed = 1,
				      .dearer = 1,
			      }};
	p->python = *m;
	p->python.entry = 0.8e-6;
	p->python.full = 1.6e-6;
	p->python.per = shape->per;
	p->python.unseen = shape->unseen;
	p->python.process = m;
	m->beside = &p->python;
	mw_layer_budget__init(&p->budget, BUDGET);
}

/* Watch SHAPE for SECONDS; what both layers say then. */
static void watch(struct process *p, const struct shape *shape, uint64_t seed, double seconds,
		  struct mw_sample samples[MW_LAYERS])
{
	struct mw_windows_ops ops = simulated_ops;
	struct simulated *m = &p->malloc_layer;
	double end, cpu;

	ops.attach = attach;
	ops.count = count;
	begin(p, shape, seed);
	simulated_pass(m, 7.3 + 0.37 * (double)seed);
	m->spans = 0;
	m->allocs = p->python.allocs = 0;
	windows_of(p, MW_LAYER_MALLOC, m, &ops);
	windows_of(p, MW_LAYER_PYTHON, &p->python, &ops);
	end = m->now + seconds;
	for (cpu = m->cpu; m->now < end;) {
		double next;

		mw_layer_budget__set_standing(&p->budget, shape->standing * (m->cpu - cpu));
		next = mw_layer_budget__step(&p->budget, now_of, p, end);
		simulated_pass(m, fmax(next - m->now, 0));
		simulated_pass(m, m->latency * simulated_uniform(m));
	}
	for (int i = 0; i < MW_LAYERS; i++) {
		samples[i] = (struct mw_sample){0};
		mw_windows__estimate(p->budget.windows[i], 0, m->now, &samples[i]);
		mw_windows__free(p->budget.windows[i]);
	}
}

/*
 * Probes that stay in count all since they do: one layer's after the other's trial, so not what
 * came before.
 */
static double truth_of(const struct simulated *t, const struct mw_sample *sample)
{
	return sample->always ? t->counted : t->allocs;
}

/* Is TRUTH within three stated errors of what SAMPLE says, SCALE times? */
static bool holds(const struct mw_sample *sample, double truth, double scale, double error)
{
	double seen = (double)mw_counts__alloc(&sample->counts).count;

	return !sample->enough ||
	       fabs(scale * seen - truth) <= 3 * hypot(sample->error, error) * scale * seen + 2;
}

static bool coverage_holds(const struct process *p, const struct shape *shape)
{
	double error, share = mw_coverage__share(&p->coverage, &error);

	return share < 0 || fabs(share - (1 - shape->unseen)) <= 3 * error + 0.01;
}

/* Of one shape, all seeds together. */
struct outcome {
	double worst10, worst30;
	int overlaps, wrong_coverage, beyond[MW_LAYERS], enough[MW_LAYERS];
};

static struct outcome outcome_of(struct process *p, const struct shape *shape)
{
	struct outcome o = {0};

	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct mw_sample s[MW_LAYERS];
		double error;

		watch(p, shape, seed, 31, s);
		o.worst10 = fmax(o.worst10, simulated_worst(&p->malloc_layer, 10));
		o.worst30 = fmax(o.worst30, simulated_worst(&p->malloc_layer, 30));
		o.overlaps += p->overlaps;
		o.wrong_coverage += !coverage_holds(p, shape);
		mw_coverage__share(&p->coverage, &error);
		o.beyond[MW_LAYER_MALLOC] += !holds(
			&s[MW_LAYER_MALLOC], truth_of(&p->malloc_layer, &s[MW_LAYER_MALLOC]), 1, 0);
		o.beyond[MW_LAYER_PYTHON] +=
			!holds(&s[MW_LAYER_PYTHON], truth_of(&p->python, &s[MW_LAYER_PYTHON]),
			       mw_coverage__scale(&p->coverage), error);
		for (int k = 0; k < MW_LAYERS; k++)
			o.enough[k] += s[k].enough;
	}
	o.worst10 += shape->standing;
	o.worst30 += shape->standing;
	return o;
}

TEST(both_layers_stay_within_one_budget_and_their_errors)
{
	struct process *p = malloc(sizeof(*p));

	for (size_t i = 0; p && i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		const char *name = shapes[i].name;
		struct outcome o = outcome_of(p, &shapes[i]);
		/* Of few windows a minute some runs have none that says enough. */
		int named = shapes[i].unknown ? 0 : SEEDS - 2;

		if (o.worst10 > 1.5 * BUDGET || o.worst30 > BUDGET)
			TEST_FAIL("%s: cost %.4f in 10 s, %.4f in 30 s", name, o.worst10,
				  o.worst30);
		if (o.overlaps)
			TEST_FAIL("%s: %d windows overlap", name, o.overlaps);
		if (o.wrong_coverage)
			TEST_FAIL("%s: %d coverages are beyond their error", name,
				  o.wrong_coverage);
		for (int k = 0; k < MW_LAYERS; k++) {
			/* Of a normal distribution one in 370 is beyond three errors. */
			if (o.beyond[k] > 1)
				TEST_FAIL("%s: %d of layer %d are beyond their error", name,
					  o.beyond[k], k);
			/* Where it uses little, one in four needs more than half a minute. */
			if (4 * o.enough[k] < 3 * (k == MW_LAYER_PYTHON ? named : SEEDS))
				TEST_FAIL("%s: %d of layer %d have a number", name, o.enough[k], k);
		}
	}
	free(p);
}

/* Nobody grows: malloc's layer has most, of whose blocks nothing else knows the lines. */
TEST(the_layer_that_grows_has_more)
{
	static const double none[MW_LAYERS], falls[MW_LAYERS] = {-5, -1};
	static const double python[MW_LAYERS] = {[MW_LAYER_MALLOC] = 1, [MW_LAYER_PYTHON] = 99};
	static const double both[MW_LAYERS] = {[MW_LAYER_MALLOC] = 50, [MW_LAYER_PYTHON] = 50};
	struct mw_layer_budget b;

	mw_layer_budget__init(&b, BUDGET);
	mw_layer_budget__set_growth(&b, none);
	mw_layer_budget__set_growth(&b, falls);
	CHECK(b.shares[MW_LAYER_MALLOC] == 0.75 && b.shares[MW_LAYER_PYTHON] == 0.25);
	mw_layer_budget__set_growth(&b, python);
	CHECK(b.shares[MW_LAYER_MALLOC] == 0.25 && b.shares[MW_LAYER_PYTHON] == 0.75);
	mw_layer_budget__set_growth(&b, both);
	CHECK(b.shares[MW_LAYER_MALLOC] == 0.5 && b.shares[MW_LAYER_PYTHON] == 0.5);
}
