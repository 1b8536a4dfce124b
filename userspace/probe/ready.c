// SPDX-License-Identifier: GPL-2.0-or-later
#include <bpf/libbpf.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "arch/prologue.h"
#include "image/maps.h"
#include "probe/attach.h"
#include "probe/ready.h"
#include "util/clock.h"

/*
 * A grace period lasts 4 ms at the least (HZ is 250), and as long as putting in the first probe
 * takes, which waits for one.
 */
static const double EACH_MIN = 0.003, OF_GRACE_PERIOD = 0.5;
enum { PROBES_MAX = 8 };

struct mw_ready {
	struct bpf_program *program;
	struct mw_probe_place place;
	bool multi, on, done;
	double each; /* seconds from one probe to the next */
	struct mw_probes probes[PROBES_MAX];
	size_t count;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	pthread_t thread;
};

/* Wait as long as nothing is to be done, or, while it is, for a moment. */
static void wait_a_moment(struct mw_ready *r)
{
	struct timespec until;

	if (!r->on) {
		pthread_cond_wait(&r->wake, &r->lock);
		return;
	}
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += (long)(1e9 * r->each);
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	pthread_cond_timedwait(&r->wake, &r->lock, &until);
}

/* Going out does as well as going in, but takes 40 ms: only where there is no place any more. */
static void put_one_in(struct mw_ready *r)
{
	double began = mw_monotonic();

	if (r->count == PROBES_MAX)
		mw_probes__detach(&r->probes[--r->count]);
	else if (!mw_probes__attach(&r->probes[r->count], r->program, r->multi, getpid(),
				    "/proc/self/exe", false, &r->place, 1))
		r->count++;
	r->each = fmax(r->each, fmin(OF_GRACE_PERIOD * (mw_monotonic() - began), 1));
}

static void *work(void *arg)
{
	struct mw_ready *r = arg;

	setpriority(PRIO_PROCESS, (id_t)gettid(), MW_PROMPT_NICE);
	pthread_mutex_lock(&r->lock);
	while (!r->done) {
		bool on = r->on;

		pthread_mutex_unlock(&r->lock);
		if (on)
			put_one_in(r);
		else if (r->count)
			mw_probes__detach(&r->probes[--r->count]);
		if (!on)
			r->each = EACH_MIN;
		pthread_mutex_lock(&r->lock);
		if (!r->done && (r->on || !r->count))
			wait_a_moment(r);
	}
	pthread_mutex_unlock(&r->lock);
	return NULL;
}

struct mw_ready *mw_ready__new(struct bpf_program *program, bool multi)
{
	struct mw_ready *r = calloc(1, sizeof(*r));
	uintptr_t function = (uintptr_t)mw_insn_samples[MW_PROBE_PUSH];
	const struct mw_map *map;
	struct mw_maps maps;

	if (!r || mw_maps__read(&maps, getpid(), NULL)) {
		free(r);
		return NULL;
	}
	map = mw_maps__find(&maps, function);
	r->place.offset = map ? function - map->start + map->offset : 0;
	mw_maps__free(&maps);
	r->program = program;
	r->multi = multi;
	pthread_mutex_init(&r->lock, NULL);
	pthread_cond_init(&r->wake, NULL);
	if (map && !pthread_create(&r->thread, NULL, work, r))
		return r;
	free(r);
	return NULL;
}

void mw_ready__set(struct mw_ready *r, bool on)
{
	if (!r)
		return;
	pthread_mutex_lock(&r->lock);
	r->on = on;
	pthread_cond_signal(&r->wake);
	pthread_mutex_unlock(&r->lock);
}

void mw_ready__free(struct mw_ready *r, struct mw_detacher *detacher)
{
	if (!r)
		return;
	pthread_mutex_lock(&r->lock);
	r->done = true;
	pthread_cond_signal(&r->wake);
	pthread_mutex_unlock(&r->lock);
	pthread_join(r->thread, NULL);
	while (r->count)
		mw_detacher__take(detacher, &r->probes[--r->count]);
	pthread_cond_destroy(&r->wake);
	pthread_mutex_destroy(&r->lock);
	free(r);
}
