// SPDX-License-Identifier: GPL-2.0-or-later
#include <pthread.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "probe/detach.h"

/* Grace periods overlap, so a few threads are enough to take out many links at once. */
enum { THREADS = 4 };

struct job {
	struct mw_probes probes;
	struct job *next;
};

struct mw_detacher {
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
	struct mw_detacher *detacher = arg;

	setpriority(PRIO_PROCESS, (id_t)gettid(), MW_PROMPT_NICE);
	pthread_mutex_lock(&detacher->lock);
	for (;;) {
		struct job *job = detacher->jobs;

		if (job) {
			detacher->jobs = job->next;
			pthread_mutex_unlock(&detacher->lock);
			mw_probes__detach(&job->probes);
			free(job);
			pthread_mutex_lock(&detacher->lock);
			detacher->pending--;
		} else if (detacher->done) {
			break;
		} else {
			pthread_cond_wait(&detacher->wake, &detacher->lock);
		}
	}
	pthread_mutex_unlock(&detacher->lock);
	return NULL;
}

struct mw_detacher *mw_detacher__new(void)
{
	struct mw_detacher *detacher = calloc(1, sizeof(*detacher));

	if (!detacher)
		return NULL;
	pthread_mutex_init(&detacher->lock, NULL);
	pthread_cond_init(&detacher->wake, NULL);
	while (detacher->thread_count < THREADS &&
	       !pthread_create(&detacher->threads[detacher->thread_count], NULL, work, detacher))
		detacher->thread_count++;
	return detacher;
}

void mw_detacher__take(struct mw_detacher *detacher, struct mw_probes *probes)
{
	struct job *job;

	if (probes->fd < 0 && !probes->count)
		return;
	job = detacher->thread_count ? malloc(sizeof(*job)) : NULL;
	if (!job) {
		mw_probes__detach(probes);
		return;
	}
	job->probes = *probes;
	*probes = (struct mw_probes){.fd = -1};
	pthread_mutex_lock(&detacher->lock);
	job->next = detacher->jobs;
	detacher->jobs = job;
	detacher->pending++;
	pthread_cond_signal(&detacher->wake);
	pthread_mutex_unlock(&detacher->lock);
}

bool mw_detacher__is_busy(struct mw_detacher *detacher)
{
	bool busy;

	pthread_mutex_lock(&detacher->lock);
	busy = detacher->pending > 0;
	pthread_mutex_unlock(&detacher->lock);
	return busy;
}

void mw_detacher__free(struct mw_detacher *detacher)
{
	if (!detacher)
		return;
	pthread_mutex_lock(&detacher->lock);
	detacher->done = true;
	pthread_cond_broadcast(&detacher->wake);
	pthread_mutex_unlock(&detacher->lock);
	for (size_t i = 0; i < detacher->thread_count; i++)
		pthread_join(detacher->threads[i], NULL);
	pthread_cond_destroy(&detacher->wake);
	pthread_mutex_destroy(&detacher->lock);
	free(detacher);
}
