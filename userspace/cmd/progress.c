// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "cmd/progress.h"
#include "util/clock.h"
#include "util/units.h"

struct mw_cmd_progress {
	const struct mw_image *image;
	unsigned int total;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool ended, shown;
};

static void show(struct mw_cmd_progress *p, unsigned int seconds)
{
	char size[MW_UNIT_BUF];

	p->shown = true;
	if (p->image)
		fprintf(stderr, "\rmemwhere: %u s, %s read \033[K", seconds,
			mw_format_size(size, mw_image__bytes_read(p->image)));
	else if (p->total)
		fprintf(stderr, "\rmemwhere: watches, %u of %u s \033[K",
			seconds < p->total ? seconds : p->total, p->total);
	else
		fprintf(stderr, "\rmemwhere: %u s \033[K", seconds);
	fflush(stderr);
}

static void *run(void *arg)
{
	struct mw_cmd_progress *p = arg;
	struct timespec until;
	/* Of several one after the other the next goes on with the seconds. */
	static double begun;
	double now = mw_monotonic();

	if (!begun)
		begun = now;
	clock_gettime(CLOCK_REALTIME, &until);
	pthread_mutex_lock(&p->lock);
	for (unsigned int seconds = (unsigned int)(now - begun) + 1; !p->ended; seconds++) {
		until.tv_sec++;
		while (!p->ended && pthread_cond_timedwait(&p->wake, &p->lock, &until) != ETIMEDOUT)
			;
		if (!p->ended)
			show(p, seconds);
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

struct mw_cmd_progress *mw_cmd_progress__start(const struct mw_options *opt,
					       const struct mw_image *image, unsigned int total)
{
	struct mw_cmd_progress *p;

	if (opt->quiet || !isatty(STDERR_FILENO))
		return NULL;
	p = calloc(1, sizeof(*p));
	if (!p)
		return NULL;
	p->image = image;
	p->total = total;
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->wake, NULL);
	if (pthread_create(&p->thread, NULL, run, p)) {
		free(p);
		return NULL;
	}
	return p;
}

void mw_cmd_progress__end(struct mw_cmd_progress *p)
{
	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	p->ended = true;
	pthread_cond_signal(&p->wake);
	pthread_mutex_unlock(&p->lock);
	pthread_join(p->thread, NULL);
	if (p->shown)
		fprintf(stderr, "\r\033[K");
	pthread_cond_destroy(&p->wake);
	pthread_mutex_destroy(&p->lock);
	free(p);
}
