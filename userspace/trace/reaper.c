// SPDX-License-Identifier: GPL-2.0-or-later
#include <pthread.h>
#include <stdlib.h>

#include "trace/reaper.h"

/* Grace periods overlap, so a few threads are enough to take out many links at once. */
enum { THREADS = 4 };

struct job {
	struct mw_probes probes;
	struct job *next;
};

struct mw_reaper {
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct job *jobs;
	bool done;
	size_t pending; /* jobs that wait or are being done */
	size_t thread_count;
	pthread_t threads[THREADS];
};

static void *work(void *arg)
{
	struct mw_reaper *reaper = arg;

	pthread_mutex_lock(&reaper->lock);
	for (;;) {
		struct job *job = reaper->jobs;

		if (job) {
			reaper->jobs = job->next;
			pthread_mutex_unlock(&reaper->lock);
			mw_probes__detach(&job->probes);
			free(job);
			pthread_mutex_lock(&reaper->lock);
			reaper->pending--;
		} else if (reaper->done) {
			break;
		} else {
			pthread_cond_wait(&reaper->wake, &reaper->lock);
		}
	}
	pthread_mutex_unlock(&reaper->lock);
	return NULL;
}

struct mw_reaper *mw_reaper__new(void)
{
	struct mw_reaper *reaper = calloc(1, sizeof(*reaper));

	if (!reaper)
		return NULL;
	pthread_mutex_init(&reaper->lock, NULL);
	pthread_cond_init(&reaper->wake, NULL);
	while (reaper->thread_count < THREADS &&
	       !pthread_create(&reaper->threads[reaper->thread_count], NULL, work, reaper))
		reaper->thread_count++;
	return reaper;
}

void mw_reaper__detach(struct mw_reaper *reaper, struct mw_probes *probes)
{
	struct job *job;

	if (probes->fd < 0 && !probes->count)
		return;
	job = reaper->thread_count ? malloc(sizeof(*job)) : NULL;
	if (!job) {
		mw_probes__detach(probes);
		return;
	}
	job->probes = *probes;
	*probes = (struct mw_probes){.fd = -1};
	pthread_mutex_lock(&reaper->lock);
	job->next = reaper->jobs;
	reaper->jobs = job;
	reaper->pending++;
	pthread_cond_signal(&reaper->wake);
	pthread_mutex_unlock(&reaper->lock);
}

bool mw_reaper__is_busy(struct mw_reaper *reaper)
{
	bool busy;

	pthread_mutex_lock(&reaper->lock);
	busy = reaper->pending > 0;
	pthread_mutex_unlock(&reaper->lock);
	return busy;
}

void mw_reaper__free(struct mw_reaper *reaper)
{
	if (!reaper)
		return;
	pthread_mutex_lock(&reaper->lock);
	reaper->done = true;
	pthread_cond_broadcast(&reaper->wake);
	pthread_mutex_unlock(&reaper->lock);
	for (size_t i = 0; i < reaper->thread_count; i++)
		pthread_join(reaper->threads[i], NULL);
	pthread_cond_destroy(&reaper->wake);
	pthread_mutex_destroy(&reaper->lock);
	free(reaper);
}
