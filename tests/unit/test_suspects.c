// SPDX-License-Identifier: GPL-2.0-or-later
#include <math.h>

#include "tests/unit/programs.h"
#include "tests/unit/all_seen.h"
#include "tests/unit/test.h"
#include "model/sites.h"
#include "model/suspects.h"

static size_t find(const struct mw_sites *sites, uint32_t target, double now,
		   struct mw_suspect *out, size_t max)
{
	struct mw_label_groups *groups = mw_label_groups__new(target);
	size_t n;

	CHECK(groups && !mw_label_groups__update(groups, sites, NULL));
	n = mw_suspects__find(groups, NULL, now, NULL, out, max);
	/* The groups go: what was judged is their only site. */
	for (size_t i = 0; i < n; i++) {
		CHECK_INT(out[i].group->site_count, 1);
		out[i].site = out[i].group->sites[0];
	}
	mw_label_groups__free(groups);
	return n;
}

static void only_suspect(enum kind leak, uint64_t seed, unsigned int ticks, double interval)
{
	struct mw_suspect found[KINDS];
	struct world w;
	size_t n;

	/*
	 * A cache that fills ever more slowly may look like a leak by samples, now and then:
	 * errors_are_rare has its bounds.
	 */
	run_world(&w, seed, ticks, interval,
		  (OTHERS & (interval > 0 ? ~(1u << CACHE_KEYS) : ~0u)) | 1u << leak);
	n = find(w.sites, 1, w.now, found, KINDS);
	for (size_t i = 0; i < n; i++) {
		if (strcmp(found[i].site->frames[0].function, kind_names[leak]))
			TEST_FAIL("%s, seed %" PRIu64 ", %u ticks: %s", kind_names[leak], seed,
				  ticks, found[i].sentence);
	}
	if (n != 1)
		TEST_FAIL("%s is missed, seed %" PRIu64 ", %u ticks", kind_names[leak], seed,
			  ticks);
	CHECK(found[0].verdict == MW_VERDICT_SUSPECT && found[0].confidence >= 0.95);
	world_close(&w);
}

enum { SEEDS = 12 };

TEST(leak_is_the_only_suspect)
{
	static const enum kind leaks[] = {LEAK_FAST, LEAK_SLOW};

	for (size_t i = 0; i < sizeof(leaks) / sizeof(leaks[0]); i++) {
		for (int l = 0; l < LENGTHS; l++) {
			for (uint64_t seed = 1; seed <= SEEDS; seed++)
				only_suspect(leaks[i], seed, lengths[l], interval_of(lengths[l]));
		}
	}
}

/*
 * Batches, or a leak under ten times as much that comes and goes: fifteen points are too few. Of
 * bursts that come whenever they like, some stay away long enough for it to look over:
 * errors_are_rare.
 */
TEST(uneven_leak_is_the_only_suspect)
{
	static const enum kind leaks[] = {LEAK_BATCH, LEAK_CHURN, LEAK_SPIKES, LEAK_LATE};

	for (size_t i = 0; i < sizeof(leaks) / sizeof(leaks[0]); i++) {
		for (int l = 1; l < LENGTHS; l++) {
			for (uint64_t seed = 1; seed <= SEEDS; seed++)
				only_suspect(leaks[i], seed, lengths[l], interval_of(lengths[l]));
		}
	}
}

TEST(leak_is_the_only_suspect_of_an_exact_watch)
{
	for (int l = 0; l < LENGTHS; l++) {
		for (uint64_t seed = 1; seed <= SEEDS; seed++)
			only_suspect(LEAK_SLOW, seed, lengths[l], 0);
	}
}

static const char *all_verdicts(char *buf, const unsigned int *counts)
{
	buf[0] = '\0';
	for (int v = 0; v <= MW_VERDICT_SUSPECT; v++)
		sprintf(buf + strlen(buf), " %s %u", mw_verdict_name((enum mw_verdict)v),
			counts[v]);
	return buf;
}

/*
 * Over many seeds a few errors are due; how many is bounded. With samples as rare as in a long
 * watch, short ones have little to go by. MW_SEEDS sets how many seeds, and then all is printed.
 */
TEST(errors_are_rare)
{
	uint64_t seeds = getenv("MW_SEEDS") ? strtoull(getenv("MW_SEEDS"), NULL, 10) : 40;
	static unsigned int verdicts[KINDS][MW_VERDICT_SUSPECT + 1];
	struct mw_suspect s, found[KINDS];
	struct world w;
	char text[128];

	for (int l = 0; l < LENGTHS; l++) {
		memset(verdicts, 0, sizeof(verdicts));
		for (uint64_t seed = 1; seed <= seeds; seed++) {
			size_t suspects = 0;

			run_world(&w, 1000 + seed, lengths[l], 16384, LEAKS | OTHERS);
			for (int k = 0; k < KINDS; k++) {
				mw_suspect__judge(w.programs[k].site, w.now, &s);
				verdicts[k][s.verdict]++;
				suspects += s.verdict == MW_VERDICT_SUSPECT;
			}
			/* Sites that are left out unjudged are none. */
			CHECK_INT(find(w.sites, 1, w.now, found, KINDS), suspects);
			world_close(&w);
		}
		for (int k = 0; k < KINDS; k++) {
			double suspect = verdicts[k][MW_VERDICT_SUSPECT] / (double)seeds;
			double most = lengths[l] < 30	 ? 0.1
				      : k != CACHE_KEYS	 ? 0.02
				      : lengths[l] < 250 ? 0.15
							 : 0.05;
			double least = lengths[l] < 30 ? 0.4 : lengths[l] < 64 ? 0.85 : 0.9;

			all_verdicts(text, verdicts[k]);
			if (getenv("MW_SEEDS"))
				printf("%3u %-11s%s\n", lengths[l], kind_names[k], text);
			if (LEAKS & 1u << k ? suspect < least : suspect > most)
				TEST_FAIL("%u ticks, %s:%s", lengths[l], kind_names[k], text);
		}
	}
}

TEST(what_is_no_leak_is_called_by_its_name)
{
	struct world w;

	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		static const struct {
			enum kind kind;
			enum mw_verdict verdict;
		} want[] = {{LOADER, MW_VERDICT_PERIODIC},
			    {STARTUP, MW_VERDICT_STARTUP},
			    {CACHE_70, MW_VERDICT_LEVELS},
			    {CACHE_KEYS, MW_VERDICT_LEVELS}};
		struct mw_suspect s;

		run_world(&w, seed, 500, 4096, OTHERS);
		for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
			mw_suspect__judge(w.programs[want[i].kind].site, w.now, &s);
			CHECK_STR(mw_verdict_name(s.verdict), mw_verdict_name(want[i].verdict));
			CHECK(s.confidence < 0.95);
		}
		world_close(&w);
	}
}

/* The tick at which a leak is first called, and how often it is not any more afterwards. */
static unsigned int called_at(enum kind leak, uint64_t seed, unsigned int ticks, double interval,
			      unsigned int *lapses)
{
	unsigned int called = 0;
	struct mw_suspect s;
	struct world w;

	world_open(&w, seed, ticks, 1, interval);
	for (unsigned int t = 1; t <= ticks; t++) {
		world_tick(&w, t, 1u << leak);
		world_cohorts(&w);
		mw_suspect__judge(w.programs[leak].site, w.now, &s);
		if (s.verdict == MW_VERDICT_SUSPECT && !called)
			called = t;
		*lapses += called && s.verdict != MW_VERDICT_SUSPECT;
	}
	world_close(&w);
	return called;
}

TEST(leaks_are_called_soon)
{
	static const struct {
		enum kind kind;
		unsigned int
			latest; /* tick: on average; a single one may take four times as long */
		double lapses;	/* at most, of all ticks; a spike may hide a young leak */
	} want[] = {{LEAK_FAST, 10, 0.005},
		    {LEAK_SLOW, 14, 0.05},
		    {LEAK_CHURN, 15, 0.06},
		    {LEAK_SPIKES, 12, 0.2}};

	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		unsigned int sum = 0, most = 0, lapses = 0, seeds = 40;

		for (uint64_t seed = 1; seed <= seeds; seed++) {
			unsigned int at = called_at(want[i].kind, seed, 100, 16384, &lapses);

			CHECK(at > 0);
			sum += at;
			most = at > most ? at : most;
		}
		if (getenv("MW_SEEDS"))
			printf("%s: called at tick %.1f on average, %u at the latest; lapses %u\n",
			       kind_names[want[i].kind], sum / (double)seeds, most, lapses);
		CHECK(sum / (double)seeds <= want[i].latest && most <= 4 * want[i].latest);
		CHECK(lapses <= want[i].lapses * seeds * 100);
	}
}

/*
 * A walk that goes nowhere is a suspect by chance alone: one in twenty at most, as confidence says.
 * That is so of growth; objects have an age besides.
 */
TEST(confidence_means_what_it_says)
{
	unsigned int seeds = 1000, suspects = 0;
	struct mw_suspect s;

	rng_state = 29;
	for (unsigned int seed = 0; seed < seeds; seed++) {
		struct mw_frame f = {MW_FRAME_PYTHON, 88, "walk", "/srv/app.py", 0};
		struct mw_sites *sites = mw_sites__new();
		struct mw_site_stats *site = mw_sites__intern(sites, 1, &f, 1, 0);

		site->totals.grown_bytes = 1e9;
		site->totals.grown_calls = 1e6;
		site->first_seen = 0;
		for (int t = 1; t <= 60; t++) {
			double step = 1e6 * rng_normal();

			*(step > 0 ? &site->totals.grown_bytes : &site->totals.returned_bytes) +=
				fabs(step);
			mw_sites__tick(sites, t);
		}
		mw_suspect__judge(site, 60, &s);
		suspects += s.verdict == MW_VERDICT_SUSPECT;
		mw_sites__free(sites);
	}
	if (getenv("MW_SEEDS"))
		printf("walks: %u of %u are suspects\n", suspects, seeds);
	CHECK(suspects <= 0.05 * seeds);
}

/* Nothing about units is built in: neither time's nor memory's. */
TEST(verdicts_do_not_depend_on_scale)
{
	struct mw_suspect a, b;
	struct world w;

	for (int k = 0; k < KINDS; k++) {
		struct mw_site_stats big;

		run_world(&w, 5, 100, 16384, 1u << k);
		mw_suspect__judge(w.programs[k].site, w.now, &a);
		big = *w.programs[k].site;
		big.totals.alloc_bytes *= 64;
		big.totals.freed_bytes *= 64;
		big.totals.live_variance *= 64 * 64;
		all_seen(&big.totals);
		for (size_t i = 0; i < big.point_count; i++) {
			big.points[i].elapsed *= 128;
			big.points[i].alloc_bytes *= 64;
			big.points[i].freed_bytes *= 64;
			big.points[i].held_bytes *= 64;
		}
		for (int i = 0; i < MW_SITE_COHORTS; i++) {
			big.cohorts[i].before *= 128;
			big.cohorts[i].born_bytes *= 64;
			big.cohorts[i].alive_bytes *= 64;
		}
		mw_suspect__judge(&big, w.now * 128, &b);
		CHECK_INT(a.verdict, b.verdict);
		CHECK(fabs(a.confidence - b.confidence) < 1e-9);
		CHECK(fabs(a.slope / 2 - b.slope) <= 1e-9 * fabs(a.slope));
		world_close(&w);
	}
}

/* ---- by hand ---- */

static const struct mw_frame hand_frame = {MW_FRAME_PYTHON, 88, "load_user", "/srv/app.py", 0};

/* A site that STEP is added to at each of 60 even ticks in SECONDS. */
static struct mw_site_stats hand_site(double seconds, struct mw_site_point step)
{
	struct mw_site_stats site = {.id = 1, .frames = &hand_frame, .frame_count = 1};
	struct mw_site_totals *t = &site.totals;

	for (int i = 1; i <= 60; i++) {
		site.points[site.point_count++] = (struct mw_site_point){
			.elapsed = seconds * i / 60,
			.allocs = step.allocs * i,
			.alloc_bytes = step.alloc_bytes * i,
			.frees = step.frees * i,
			.freed_bytes = step.freed_bytes * i,
			.held_bytes = (step.alloc_bytes - step.freed_bytes) * i,
			.grown_bytes = step.grown_bytes * i,
			.returned_bytes = step.returned_bytes * i,
			.fault_bytes = step.fault_bytes * i,
		};
	}
	*t = (struct mw_site_totals){
		.allocs = step.allocs * 60,
		.alloc_bytes = step.alloc_bytes * 60,
		.frees = step.frees * 60,
		.freed_bytes = step.freed_bytes * 60,
		.grown_calls = step.grown_bytes > 0 ? 60 : 0,
		.grown_bytes = step.grown_bytes * 60,
		.returned_bytes = step.returned_bytes * 60,
		.fault_bytes = step.fault_bytes * 60,
		.samples = 600,
	};
	all_seen(t);
	return site;
}

TEST(suspects_are_said_as_people_say_them)
{
	/* 2.1 MiB a minute in 20 minutes, of which the first ten made 12,400 objects. */
	double minute = 2.1 * 1024 * 1024;
	struct mw_site_stats site =
		hand_site(1200, (struct mw_site_point){.allocs = 24800.0 / 60,
						       .alloc_bytes = 20 * minute / 60});
	struct mw_suspect s;

	site.cohorts[1] = (struct mw_site_cohort){600, 12400, 10 * minute, 12400, 10 * minute};
	mw_suspect__judge(&site, 1200, &s);
	CHECK_STR(s.sentence,
		  "app.py:88 load_user: +2.1 MiB/min, 0 of 12,400 objects freed after 10 min");
	CHECK(fabs(s.slope - minute / 60) < 1 && s.confidence > 0.99 && !s.by_growth);
	CHECK(s.born == 12400 && s.freed == 0 && s.age == 600);

	/*
	 * A hundredfold sample's variance makes 0.1 of it uncertain, by hand:
	 * sqrt(1.2 * slope * (variance / held) / 900 s) * 60 = 0.2 MiB.
	 */
	site.totals.live_variance =
		pow(0.2 * 1048576 / 60, 2) * 900 / (1.2 * minute / 60) * 20 * minute;
	mw_suspect__judge(&site, 1200, &s);
	CHECK_STR(s.sentence, "app.py:88 load_user: +2.1 MiB/min (±0.2), 0 of 12,400 objects freed "
			      "after 10 min");

	/*
	 * A short watch says so. 60 objects of 250.9 KiB, by chance: sqrt(1.2 *
	 * slope * size / 315 s) * 60 = 0.34 MiB.
	 */
	site = hand_site(420, (struct mw_site_point){.allocs = 1, .alloc_bytes = 7 * minute / 60});
	mw_suspect__judge(&site, 420, &s);
	CHECK_STR(s.sentence,
		  "app.py:88 load_user: +2.1 MiB/min (±0.3) in 7 min so far; a cache that "
		  "still fills looks the same");

	/* Slow ones are told by the hour. */
	site = hand_site(36000, (struct mw_site_point){.allocs = 5, .alloc_bytes = 1000});
	mw_suspect__judge(&site, 36000, &s);
	CHECK_STR(s.sentence, "app.py:88 load_user: +5.9 KiB/h (±0.4) in 10 h");
}

TEST(growth_is_judged_by_what_the_kernel_gave)
{
	double minute = 2.1 * 1024 * 1024;
	struct mw_site_stats site =
		hand_site(600, (struct mw_site_point){.grown_bytes = 10 * minute / 60});
	struct mw_suspect s;

	mw_suspect__judge(&site, 600, &s);
	CHECK(s.by_growth && s.verdict == MW_VERDICT_SUSPECT);
	CHECK_STR(s.sentence, "app.py:88 load_user: +2.1 MiB/min (±0.3) of new memory from the "
			      "kernel, none returned in 10 min");

	site = hand_site(600, (struct mw_site_point){.grown_bytes = 20 * minute / 60,
						     .returned_bytes = 10 * minute / 60});
	mw_suspect__judge(&site, 600, &s);
	CHECK(s.by_growth && s.verdict == MW_VERDICT_SUSPECT);
	CHECK(strstr(s.sentence, " of new memory from the kernel, 21.0 MiB of 42.0 MiB returned"));

	/* All of it goes back. */
	site = hand_site(600,
			 (struct mw_site_point){.grown_bytes = minute, .returned_bytes = minute});
	mw_suspect__judge(&site, 600, &s);
	CHECK(s.by_growth && s.verdict != MW_VERDICT_SUSPECT);

	site = hand_site(600, (struct mw_site_point){.fault_bytes = 10 * minute / 60});
	mw_suspect__judge(&site, 600, &s);
	CHECK(s.by_growth && s.verdict == MW_VERDICT_SUSPECT);
	CHECK(strstr(s.sentence, " of pages first touched in 10 min"));

	/* Three steps of the heap may be chance. */
	site = hand_site(600, (struct mw_site_point){.grown_bytes = 135168});
	site.totals.grown_calls = 3;
	mw_suspect__judge(&site, 600, &s);
	CHECK_STR(mw_verdict_name(s.verdict), "early");
}

TEST(too_little_is_too_early)
{
	struct mw_site_stats site =
		hand_site(1200, (struct mw_site_point){.allocs = 9, .alloc_bytes = 9000});
	struct mw_suspect s;

	mw_suspect__judge(&site, 1200, &s);
	CHECK_INT(s.verdict, MW_VERDICT_SUSPECT);
	site.totals.samples = 3;
	mw_suspect__judge(&site, 1200, &s);
	CHECK_INT(s.verdict, MW_VERDICT_EARLY);
	site.totals.samples = 600;
	site.point_count = 5;
	mw_suspect__judge(&site, 100, &s);
	CHECK_INT(s.verdict, MW_VERDICT_EARLY);
	memset(&site, 0, sizeof(site));
	mw_suspect__judge(&site, 0, &s);
	CHECK_INT(s.verdict, MW_VERDICT_EARLY);
	CHECK_STR(s.sentence, "?: too little seen to say");
}

/* What came late is judged by its own life: not by the hour in which it was not there. */
TEST(site_that_came_late_is_judged_by_its_own_life)
{
	struct mw_sites *sites = mw_sites__new();
	struct mw_site_stats *site[3] = {NULL};
	struct mw_suspect s;

	for (int t = 1; t <= 300; t++) {
		for (uint32_t i = 0; i < 3; i++) {
			struct mw_frame f = {MW_FRAME_PYTHON, i + 1, "f", "/srv/app.py", 0};

			/* The first from the beginning, others from 180 on; the last fills up. */
			if ((i && t <= 180) || (i == 2 && t > 220))
				continue;
			site[i] = mw_sites__intern(sites, 1, &f, 1, 0);
			if (site[i]->first_seen < 0)
				site[i]->first_seen = t - 1;
			site[i]->totals.allocs += 50;
			site[i]->totals.alloc_bytes += 5000;
			site[i]->totals.samples += 50;
			all_seen(&site[i]->totals);
		}
		mw_sites__tick(sites, t);
	}
	for (int i = 0; i < 3; i++) {
		mw_suspect__judge(site[i], 300, &s);
		CHECK_STR(mw_verdict_name(s.verdict), i == 2 ? "levels off" : "suspect");
		CHECK(i == 2 || fabs(s.slope - 5000) < 1);
	}
	mw_sites__free(sites);
}

TEST(fastest_suspects_come_first)
{
	static const double speeds[] = {3000, 11000, 7000, 0, 5000};
	struct mw_sites *sites = mw_sites__new();
	struct mw_site_stats *site[5];
	struct mw_suspect out[5];

	for (uint32_t i = 0; i < 5; i++) {
		struct mw_frame f = {MW_FRAME_PYTHON, i + 1, "f", "/srv/app.py", 0};

		site[i] = mw_sites__intern(sites, i == 4 ? 2 : 1, &f, 1, 0);
	}
	for (int t = 1; t <= 40; t++) {
		for (int i = 0; i < 5; i++) {
			site[i]->totals.allocs += 50;
			site[i]->totals.alloc_bytes += 50 * speeds[i];
			site[i]->totals.samples += 50;
			all_seen(&site[i]->totals);
		}
		mw_sites__tick(sites, t);
	}
	CHECK_INT(find(sites, 1, 40, out, 5), 3);
	CHECK(out[0].site == site[1] && out[1].site == site[2] && out[2].site == site[0]);
	CHECK(fabs(out[0].slope - 50 * 11000) < 1);
	CHECK_INT(find(sites, 1, 40, out, 2), 2);
	CHECK(out[0].site == site[1] && out[1].site == site[2]);
	CHECK_INT(find(sites, 2, 40, out, 5), 1);
	CHECK(out[0].site == site[4]);
	CHECK_INT(find(sites, 1, 40, out, 0), 0);
	mw_sites__free(sites);
}

/*
 * A site that keeps KEPT bytes a second in a process that grows by GROWN, watched for WATCHED
 * seconds; how many suspects.
 */
static size_t by_windows(double kept, double grown, double watched)
{
	static const struct mw_frame keeps = {MW_FRAME_PYTHON, 1, "keeps", "/srv/app.py", 0},
				     grows = {MW_FRAME_PYTHON, 2, "grows", "/srv/app.py", 0};
	struct mw_sites *sites = mw_sites__new();
	struct mw_site_stats *a =
		mw_sites__intern(sites, 1, &keeps, 1, MW_SITE_TRACKED | MW_SITE_WINDOWS);
	struct mw_site_stats *b =
		mw_sites__intern(sites, 1, &grows, 1, MW_SITE_TRACKED | MW_SITE_WINDOWS);
	struct mw_suspect out[2];
	size_t n;

	for (int t = 1; t <= 40; t++) {
		a->totals.allocs += 50;
		a->totals.alloc_bytes += kept;
		a->totals.samples += 5;
		all_seen(&a->totals);
		/* By malloc: that line only asked next. */
		b->totals.grown_bytes += grown;
		b->totals.malloc_bytes += grown;
		mw_sites__tick(sites, t);
	}
	a->totals.watched_seconds = watched;
	a->cohorts[0] = (struct mw_site_cohort){.before = 10,
						.born = 500,
						.born_bytes = 10 * kept,
						.alive = 500,
						.alive_bytes = 10 * kept};
	n = find(sites, 1, 40, out, 2);
	mw_sites__free(sites);
	return n;
}

TEST(windows_take_more_to_suspect)
{
	/* It is what the process grows by. */
	CHECK_INT(by_windows(10000, 10000, 0), 1);
	CHECK_INT(by_windows(6000, 10000, 0), 1);
	/* Faster than its process: a cache whose evictions were not seen. */
	CHECK_INT(by_windows(100000, 10000, 0), 0);
	CHECK_INT(by_windows(10000, 0, 0), 0);
	/* A smaller part of it has to be watched for some times its age, 30 s. */
	CHECK_INT(by_windows(1000, 10000, 0), 0);
	CHECK_INT(by_windows(1000, 10000, 60), 0);
	CHECK_INT(by_windows(1000, 10000, 100), 1);
}

static double odd_number(void)
{
	static const double odd[] = {0, -1, 1, 7, 1e300, -1e300, 1e18, 1e-300, 60, 3600};
	uint64_t pick = rng_next() % 16;

	return pick < 10    ? odd[pick]
	       : pick == 10 ? NAN
	       : pick == 11 ? INFINITY
	       : pick == 12 ? -INFINITY
	       : pick == 13 ? rng_normal() * 1e6
			    : rng_unit() * 1000;
}

/* Estimates of a watch gone wrong, and of files that say anything. */
TEST(nonsense_is_survived)
{
	struct mw_suspect s;

	rng_state = 11;
	for (int round = 0; round < 20000; round++) {
		struct mw_site_stats site = {.frames = &hand_frame, .frame_count = 1};
		bool even = round % 2;

		site.point_count = rng_next() % (MW_SERIES_HISTORY + 1);
		for (size_t i = 0; i < site.point_count; i++) {
			double *p = (double *)&site.points[i];

			for (size_t k = 0; k < sizeof(site.points[i]) / sizeof(*p); k++)
				p[k] = odd_number();
			if (even)
				site.points[i].elapsed = (double)i;
		}
		for (size_t k = 0; k < offsetof(struct mw_site_totals, samples) / 8; k++)
			((double *)&site.totals)[k] = odd_number();
		site.totals.samples = rng_next() % 100;
		for (size_t k = 0; k < sizeof(site.cohorts) / 8; k++)
			((double *)site.cohorts)[k] = odd_number();
		site.first_seen = odd_number();
		mw_suspect__judge(&site, even ? (double)site.point_count : odd_number(), &s);
		CHECK(s.verdict <= MW_VERDICT_SUSPECT);
		CHECK(s.confidence >= 0 && s.confidence <= 1);
		CHECK(isfinite(s.slope) && s.slope_error >= 0);
		CHECK(memchr(s.sentence, '\0', sizeof(s.sentence)) && strlen(s.sentence) > 20);
	}
}

TEST(suspect_stays_one_until_something_speaks_against_it)
{
	struct mw_suspicions s = {0};
	const int a = 0, b = 0;
	struct mw_suspect_rate rate = {2000, 100}, less = {0, 0};

	CHECK(!mw_suspicions__judged(&s, &a, MW_EVIDENCE_LACKS, 10, &less));
	CHECK(mw_suspicions__judged(&s, &a, MW_EVIDENCE_FOR, 40, &rate));
	CHECK(mw_suspicions__judged(&s, &b, MW_EVIDENCE_FOR, 40, &rate));
	/* Evidence lacks for a moment, but not for long. */
	CHECK(mw_suspicions__judged(&s, &a, MW_EVIDENCE_LACKS, 45, &less));
	/* Nor is it said to grow by nothing. */
	CHECK(fabs(less.slope - 2000) < 0.5 && fabs(less.error - 100) < 0.5);
	CHECK(mw_suspicions__judged(&s, &a, MW_EVIDENCE_FOR, 100, &rate));
	CHECK(mw_suspicions__judged(&s, &a, MW_EVIDENCE_LACKS, 119, &less));
	CHECK(!mw_suspicions__judged(&s, &a, MW_EVIDENCE_LACKS, 121, &less));
	CHECK(!mw_suspicions__judged(&s, &a, MW_EVIDENCE_LACKS, 122, &less));
	/* What speaks against it does so more than twice. */
	CHECK(mw_suspicions__judged(&s, &b, MW_EVIDENCE_AGAINST, 41, &less));
	CHECK(mw_suspicions__judged(&s, &b, MW_EVIDENCE_AGAINST, 43, &less));
	CHECK(mw_suspicions__judged(&s, &b, MW_EVIDENCE_FOR, 45, &rate));
	CHECK(mw_suspicions__judged(&s, &b, MW_EVIDENCE_AGAINST, 47, &less));
	CHECK(mw_suspicions__judged(&s, &b, MW_EVIDENCE_AGAINST, 49, &less));
	CHECK(!mw_suspicions__judged(&s, &b, MW_EVIDENCE_AGAINST, 51, &less));
}
