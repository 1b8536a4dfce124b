// SPDX-License-Identifier: GPL-2.0-or-later
/* What grows from look to look, and what goes on growing: simulated programs, seeded. */
#include <math.h>

#include "model/looks.h"
#include "tests/unit/test.h"

enum { SEEDS = 40, ADDR = 0x7f0000001000 };

static uint64_t seed;

static double uniform(void)
{
	seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (double)(seed >> 11) / (double)(1ULL << 53);
}

/* How many of something that happens MEAN times on average, as a sum of many rare ones. */
static uint64_t poisson(double mean)
{
	double limit = exp(-mean), p = uniform();
	uint64_t n = 0;

	if (mean > 50) /* near enough */
		return (uint64_t)(mean +
				  sqrt(mean) * (uniform() + uniform() + uniform() - 1.5) * 2);
	for (; p > limit; n++)
		p *= uniform();
	return n;
}

/* Elements of a container at T seconds, DT after the last time; STATE is the program's own. */
typedef uint64_t (*length_fn)(double t, double dt, double *state);

/* The rate per second and the like of the program under test. */
static double rate, period, room;

static uint64_t leak(double t, double dt, double *state)
{
	(void)t;
	*state += (double)poisson(rate * dt);
	return (uint64_t)*state;
}

/* Random keys into a cache with room for ROOM: a miss takes a place while there is one. */
static uint64_t cache(double t, double dt, double *state)
{
	(void)t;
	for (uint64_t n = poisson(rate * dt); n; n--)
		*state += uniform() > *state / room;
	return (uint64_t)*state;
}

/* New keys only: it fills evenly and is full then. */
static uint64_t even_cache(double t, double dt, double *state)
{
	(void)t;
	*state = fmin(room, *state + (double)poisson(rate * dt));
	return (uint64_t)*state;
}

/* Entries live for PERIOD seconds: sessions, weak dictionaries, young garbage. */
static uint64_t expiring(double t, double dt, double *state)
{
	(void)state;
	(void)dt;
	return poisson(rate * fmin(t, period));
}

/* Filled and cleared in a rhythm of its own. */
static uint64_t cleared(double t, double dt, double *state)
{
	(void)state;
	(void)dt;
	return (uint64_t)(rate * fmod(t, period));
}

/* A burst at the beginning that lasts PERIOD seconds, another one after 200 s: imports. */
static uint64_t imports(double t, double dt, double *state)
{
	if (t < period || (t > 200 && t < 200 + period / 2))
		*state += (double)poisson(rate * dt);
	return (uint64_t)*state;
}

struct outcome {
	unsigned int looks, suspect; /* looks, and how many of them said suspect */
	double first;		     /* when the first of these was, 0: never */
	bool last;		     /* did the last one say it? */
	struct mw_look_growth growth;
};

/* Looks at uneven times for SECONDS, as the watch takes them. */
static struct outcome watch(length_fn fn, double seconds, uint64_t with_seed)
{
	struct mw_looks *looks = mw_looks__new();
	struct outcome out = {0};
	double state = 20, t = 2, before = 0;

	if (!looks)
		exit(3);
	seed = with_seed * 7919 + 13;
	for (unsigned int n = 0; t < seconds; n++) {
		uint64_t length = fn(t, t - before, &state);
		uint32_t type;

		mw_looks__begin(looks, t);
		type = mw_looks__add_type(looks, "list", "builtins", 71, 7100);
		mw_looks__add_type(looks, "User", "app", length, 48 * length);
		mw_looks__add_container(looks, ADDR, type, 20 + length);
		mw_looks__add_owner(looks, "python/live", 7100 + 48 * length);
		if (mw_looks__end(looks))
			exit(3);
		mw_looks__growth(looks, &out.growth);
		out.looks++;
		out.last = false;
		for (size_t i = 0; i < out.growth.holder_count; i++)
			out.last |= out.growth.holders[i].verdict == MW_VERDICT_SUSPECT;
		out.suspect += out.last;
		if (out.last && out.first == 0)
			out.first = t;
		before = t;
		t += n ? 5 * (1 + uniform() / 2) : 10;
	}
	mw_looks__free(looks);
	return out;
}

TEST(two_looks_say_what_grew_and_nobody_is_suspect)
{
	struct mw_looks *looks = mw_looks__new();
	struct mw_look_growth g;

	for (int i = 0; i < 2; i++) {
		uint32_t list, dict;

		mw_looks__begin(looks, 100 + 10 * i);
		list = mw_looks__add_type(looks, "list", "builtins", 71, 8000 + 80000U * i);
		dict = mw_looks__add_type(looks, "dict", "builtins", 500 - 90U * i, 9000);
		mw_looks__add_type(looks, "tuple", "builtins", 1000 + 10007U * i,
				   56000 + 560392U * i);
		/* Two classes of one name are one type. */
		mw_looks__add_type(looks, "User", "app", 13 + 101U * i, 624 + 4848U * i);
		mw_looks__add_type(looks, "User", "app", 17, 816);
		mw_looks__add_owner(looks, "python/live", 1000 + 640392U * i);
		mw_looks__add_owner(looks, "glibc/free", 7000 - 700U * i);
		/* In no order; one that is new, one that is gone, one that is another now. */
		mw_looks__add_container(looks, 0x9000, list, 100 + 10007U * i);
		mw_looks__add_container(looks, 0x1000, list, 40 + 3U * i);
		mw_looks__add_container(looks, 0x2000, i ? dict : list, 40 + 900U * i);
		mw_looks__add_container(looks, 0x3000 + 0x100 * (uint64_t)i, dict, 70000);
		mw_looks__add_container(looks, 0x5000, dict, 400 - 9U * i);
		CHECK_INT(mw_looks__end(looks), 0);
		mw_looks__growth(looks, &g);
		CHECK_INT(g.looks, i + 1);
		CHECK(g.seconds == 10 * i);
		CHECK(i || (!g.type_count && !g.holder_count && !g.owner_count));
	}
	CHECK_INT(g.owner_count, 1);
	CHECK_STR(g.owners[0].owner, "python/live");
	CHECK_INT(g.owners[0].bytes, 640392);
	CHECK_INT(g.type_count, 3);
	CHECK_STR(g.types[0].name, "tuple");
	CHECK_INT(g.types[0].count, 10007);
	CHECK(fabs(g.types[0].count_per_second - 1000.7) < 0.01);
	CHECK_STR(g.types[1].name, "list");
	CHECK_INT(g.types[1].count, 0);
	CHECK_INT(g.types[1].bytes, 80000);
	CHECK_STR(g.types[2].name, "User");
	CHECK_STR(g.types[2].module, "app");
	CHECK_INT(g.types[2].count, 101);
	CHECK_INT(g.holder_count, 2);
	CHECK_INT(g.holders[0].addr, 0x9000);
	CHECK_INT(g.holders[0].length, 10107);
	CHECK_INT(g.holders[0].grown, 10007);
	CHECK_STR(g.holders[0].type, "list");
	CHECK_INT(g.holders[0].verdict, MW_VERDICT_EARLY);
	CHECK_INT(g.holders[1].addr, 0x1000);
	mw_looks__forget(looks);
	mw_looks__growth(looks, &g);
	CHECK_INT(g.looks, 0);
	mw_looks__free(looks);
}

/* 100 KiB a minute are some 10 large objects a minute, or 1,000 small ones. */
TEST(a_slow_leak_is_suspect_within_three_minutes)
{
	static const double rates[] = {10.0 / 60, 1, 17, 4000};

	for (size_t r = 0; r < sizeof(rates) / sizeof(rates[0]); r++) {
		unsigned int late = 0;

		rate = rates[r];
		for (uint64_t s = 0; s < SEEDS; s++) {
			struct outcome o = watch(leak, 600, s);

			/* Ten in a minute come unevenly: a look may doubt it again. */
			CHECK(r ? o.last : o.suspect > o.looks / 2);
			CHECK_STR(o.growth.types[0].name, "User");
			CHECK(!r || o.growth.types[0].verdict == MW_VERDICT_SUSPECT);
			CHECK(o.first > 60);
			late += o.first > 180;
			if (rate > 10)
				CHECK(fabs(o.growth.holders[0].length_per_second / rate - 1) < 0.2);
		}
		CHECK(late <= (r ? 0 : SEEDS / 10));
	}
}

static unsigned int suspects(length_fn fn, double seconds)
{
	unsigned int n = 0;

	for (uint64_t s = 0; s < SEEDS; s++)
		n += watch(fn, seconds, s).suspect;
	return n;
}

/* sqlite3 keeps its cursors' references in a list that it tidies up at 200. */
TEST(a_few_elements_more_are_no_suspect)
{
	rate = 0.06;
	CHECK_INT(suspects(leak, 120), 0);
}

TEST(what_expires_and_what_is_evicted_is_no_suspect)
{
	static const double periods[] = {0.5, 7, 30, 45};

	rate = 131;
	for (size_t i = 0; i < 4; i++) {
		period = periods[i];
		CHECK_INT(suspects(expiring, 1800), 0);
	}
}

TEST(a_cache_is_no_suspect_once_it_is_full)
{
	/* It fills within seconds, and within a minute. */
	static const double rates[] = {500, 40};

	room = 1000;
	for (size_t i = 0; i < 2; i++) {
		rate = rates[i];
		CHECK_INT(suspects(cache, 1200), 0);
		CHECK_INT(suspects(even_cache, 1200), 0);
	}
	/* One that takes three minutes looks like a leak until then, not after. */
	rate = room / 180;
	for (uint64_t s = 0; s < SEEDS; s++) {
		struct outcome o = watch(even_cache, 260, s);

		CHECK(!o.last);
		CHECK_INT(o.growth.holder_count ? o.growth.holders[0].verdict : MW_VERDICT_LEVELS,
			  MW_VERDICT_LEVELS);
	}
}

TEST(what_is_cleared_now_and_then_is_no_suspect)
{
	static const double periods[] = {0.3, 3, 5, 7.5, 9.9, 10, 25, 41, 59};

	rate = 211;
	for (size_t i = 0; i < 9; i++) {
		period = periods[i];
		CHECK_INT(suspects(cleared, 3600), 0);
	}
	/* Cleared so seldom that it is one at first; never again after that. */
	period = 150;
	for (uint64_t s = 0; s < SEEDS; s++)
		CHECK_INT(watch(cleared, 1800, s).suspect, watch(cleared, 150, s).suspect);
}

TEST(imports_and_start_up_are_no_suspects)
{
	static const double periods[] = {3, 20, 45};

	rate = 300;
	for (size_t i = 0; i < 3; i++) {
		period = periods[i];
		CHECK_INT(suspects(imports, 600), 0);
	}
}

TEST(a_leak_after_a_start_up_is_found_and_one_that_ends_is_let_go)
{
	struct mw_looks *looks = mw_looks__new();
	double t = 1, length = 1000;
	struct mw_look_growth g;

	for (int i = 0; i < 120; i++, t += 5) {
		uint32_t type;

		length += i < 6 ? 10000 : i < 60 ? 0 : i < 90 ? 25 : 0;
		mw_looks__begin(looks, t);
		type = mw_looks__add_type(looks, "dict", "builtins", 9, 900);
		mw_looks__add_container(looks, ADDR, type, (uint64_t)length);
		CHECK_INT(mw_looks__end(looks), 0);
		mw_looks__growth(looks, &g);
		if (i < 60 || i > 100)
			CHECK(!g.holder_count || g.holders[0].verdict != MW_VERDICT_SUSPECT);
		else if (i > 85 && i < 90)
			CHECK_INT(g.holders[0].verdict, MW_VERDICT_SUSPECT);
	}
	mw_looks__free(looks);
}

TEST(a_look_that_is_dropped_leaves_no_trace)
{
	struct mw_looks *looks = mw_looks__new();
	struct mw_look_growth g;

	for (int i = 0; i < 4; i++) {
		bool bad = i == 1 || i == 2;
		uint32_t type;

		mw_looks__begin(looks, i);
		type = mw_looks__add_type(looks, "list", "builtins", bad ? 1 : 100 + 7U * i, 9000);
		mw_looks__add_container(looks, ADDR, type, bad ? 17 : 100 + 7U * i);
		if (bad)
			mw_looks__drop(looks);
		else
			CHECK_INT(mw_looks__end(looks), 0);
	}
	mw_looks__growth(looks, &g);
	CHECK_INT(g.looks, 2);
	CHECK(g.seconds == 3);
	CHECK_INT(g.types[0].count, 21);
	CHECK_INT(g.holders[0].grown, 21);
	mw_looks__free(looks);
}

TEST(processes_of_one_target_are_added_up)
{
	struct mw_look_growth sum = {0}, a = {.time = 5, .seconds = 10, .looks = 2}, b = a;

	b.time = 7;
	a.owner_count = b.owner_count = 1;
	a.type_count = 2;
	b.type_count = 1;
	a.holder_count = b.holder_count = 1;
	strcpy(a.owners[0].owner, "python/live");
	a.owners[0].bytes = 100;
	b.owners[0] = a.owners[0];
	strcpy(a.types[0].name, "str");
	a.types[0].bytes = 500;
	strcpy(a.types[1].name, "dict");
	a.types[1].bytes = 300;
	b.types[0] = a.types[1];
	a.holders[0] = (struct mw_grown_holder){.addr = 1, .pid = 11, .length_per_second = 3};
	b.holders[0] = (struct mw_grown_holder){.addr = 1, .pid = 12, .length_per_second = 4};
	mw_look_growth__add(&sum, &a);
	mw_look_growth__add(&sum, &b);
	CHECK(sum.time == 7);
	CHECK_INT(sum.looks, 4);
	CHECK_INT(sum.owner_count, 1);
	CHECK_INT(sum.owners[0].bytes, 200);
	CHECK_INT(sum.type_count, 2);
	CHECK_STR(sum.types[0].name, "dict");
	CHECK_INT(sum.types[0].bytes, 600);
	CHECK_INT(sum.holder_count, 2);
	CHECK_INT(sum.holders[0].pid, 12);
}
