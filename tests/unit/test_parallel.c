// SPDX-License-Identifier: GPL-2.0-or-later
/* Work in parts, whatever threads there are. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <time.h>

#include "tests/unit/test.h"
#include "util/parallel.h"

enum { PARTS = 211, ROUNDS = 50, NONE = PARTS };

struct work {
	atomic_uint ran[PARTS];
	uint64_t result[PARTS];
	size_t fails_from, fails_step; /* parts that fail: FROM, FROM + STEP, ... */
};

/* How long a part takes differs, so that threads overtake each other. */
static int square(void *arg, size_t part)
{
	struct work *w = arg;
	for (size_t i = 0; i < part * 7919 % 1009; i++)
		__asm__ volatile("" ::: "memory");
	atomic_fetch_add(&w->ran[part], 1);
	w->result[part] = part * part;
	if (part >= w->fails_from && (part - w->fails_from) % w->fails_step == 0)
		return -(int)(part + 1);
	return 0;
}

TEST(each_part_runs_once_on_any_number_of_threads)
{
	for (unsigned int threads = 0; threads <= MW_THREADS_MAX + 1; threads++) {
		for (size_t count = 0; count <= PARTS; count += count < 6 ? 1 : 41) {
			struct work w = {.fails_from = NONE, .fails_step = 1};

			CHECK_INT(mw_in_parallel(threads, count, square, &w), 0);
			for (size_t i = 0; i < PARTS; i++) {
				CHECK_INT(w.ran[i], i < count);
				CHECK_INT(w.result[i], i < count ? i * i : 0);
			}
		}
	}
}

TEST(the_first_part_with_an_error_is_what_is_returned)
{
	srand(16);
	for (int round = 0; round < ROUNDS; round++) {
		unsigned int threads = 1 + (unsigned int)rand() % MW_THREADS_MAX;
		struct work w = {.fails_from = (size_t)rand() % PARTS,
				 .fails_step = 1 + (size_t)rand() % 5};

		CHECK_INT(mw_in_parallel(threads, PARTS, square, &w), -(int)(w.fails_from + 1));
		for (size_t i = 0; i < w.fails_from; i++)
			CHECK_INT(w.ran[i], 1);
	}
}

/* Waits until as many others do: ends only if they are threads of their own. */
static int meet(void *arg, size_t part)
{
	(void)part;
	pthread_barrier_wait(arg);
	return 0;
}

TEST(parts_run_at_the_same_time)
{
	pthread_barrier_t all;

	CHECK_INT(pthread_barrier_init(&all, NULL, MW_THREADS_MAX), 0);
	CHECK_INT(mw_in_parallel(MW_THREADS_MAX, MW_THREADS_MAX, meet, &all), 0);
	pthread_barrier_destroy(&all);
}

static int spin(void *arg, size_t part)
{
	double until = *(const double *)arg + mw_cpu_seconds();

	(void)part;
	while (mw_cpu_seconds() < until)
		continue;
	return 0;
}

TEST(cpu_time_is_that_of_all_threads)
{
	double before = mw_cpu_seconds(), each = 0.01, used;

	CHECK_INT(mw_in_parallel(2, 4, spin, &each), 0);
	used = mw_cpu_seconds() - before;
	CHECK(used >= 4 * each);
	CHECK(used < 400 * each);
}

TEST(processors_are_those_of_the_affinity_mask)
{
	cpu_set_t before, one;
	int cpu = 0;

	CHECK_INT(sched_getaffinity(0, sizeof(before), &before), 0);
	CHECK(mw_processors() >= 1 && mw_processors() <= MW_THREADS_MAX);
	while (!CPU_ISSET(cpu, &before))
		cpu++;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	CHECK_INT(sched_setaffinity(0, sizeof(one), &one), 0);
	CHECK_INT(mw_processors(), 1);
	CHECK_INT(sched_setaffinity(0, sizeof(before), &before), 0);
}
