// SPDX-License-Identifier: GPL-2.0-or-later
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>

#include "util/parallel.h"

struct job {
	mw_part_fn fn;
	void *arg;
	size_t count;
	atomic_size_t next; /* the first part that nobody has begun */
	pthread_mutex_t lock;
	size_t failed; /* the first part with an error; COUNT: none */
	int error;
	double helpers; /* CPU seconds of those that have ended */
};

/* CPU seconds of threads that worked for this one. */
static _Thread_local double helpers_seconds;

double mw_cpu_seconds(void)
{
	struct timespec used;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
	return (double)used.tv_sec + (double)used.tv_nsec / 1e9 + helpers_seconds;
}

unsigned int mw_processors(void)
{
	cpu_set_t set;
	int n = sched_getaffinity(0, sizeof(set), &set) ? 1 : CPU_COUNT(&set);

	return n < MW_THREADS_MAX ? (unsigned int)n : MW_THREADS_MAX;
}

/* Parts begin in their order, so the first one that fails is always among those that ran. */
static void work(struct job *job)
{
	for (;;) {
		size_t part = atomic_fetch_add(&job->next, 1);
		int ret;

		if (part >= job->count)
			return;
		ret = job->fn(job->arg, part);
		if (!ret)
			continue;
		pthread_mutex_lock(&job->lock);
		if (part < job->failed) {
			job->failed = part;
			job->error = ret;
		}
		pthread_mutex_unlock(&job->lock);
		atomic_store(&job->next, job->count);
		return;
	}
}

static void *help(void *arg)
{
	struct job *job = arg;

	work(job);
	pthread_mutex_lock(&job->lock);
	job->helpers += mw_cpu_seconds();
	pthread_mutex_unlock(&job->lock);
	return NULL;
}

/* Signals are for the threads that wait for them. */
static unsigned int start_helpers(struct job *job, pthread_t *helpers, unsigned int count)
{
	sigset_t all, before;
	unsigned int n = 0;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	while (n < count && !pthread_create(&helpers[n], NULL, help, job))
		n++;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return n;
}

int mw_in_parallel(unsigned int threads, size_t count, mw_part_fn fn, void *arg)
{
	struct job job = {.fn = fn,
			  .arg = arg,
			  .count = count,
			  .lock = PTHREAD_MUTEX_INITIALIZER,
			  .failed = count};
	pthread_t helpers[MW_THREADS_MAX];
	unsigned int wanted, n;

	threads = threads < MW_THREADS_MAX ? threads : MW_THREADS_MAX;
	wanted = threads < count ? threads : (unsigned int)count;
	n = wanted > 1 ? start_helpers(&job, helpers, wanted - 1) : 0;
	work(&job);
	for (unsigned int i = 0; i < n; i++)
		pthread_join(helpers[i], NULL);
	helpers_seconds += job.helpers;
	pthread_mutex_destroy(&job.lock);
	return job.error;
}
