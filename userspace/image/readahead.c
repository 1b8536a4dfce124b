// SPDX-License-Identifier: GPL-2.0-or-later
#include <pthread.h>
#include <stdlib.h>

#include "image/readahead.h"
#include "image/image_impl.h"

enum state { IDLE, ASKED, DONE, ENDED };

struct mw_readahead {
	struct mw_image *image;
	bool threaded;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	enum state state;
	uint64_t addr;
	uint8_t *buf;
	size_t len;
	ssize_t got;
};

static void *run(void *arg)
{
	struct mw_readahead *a = arg;

	pthread_mutex_lock(&a->lock);
	while (a->state != ENDED) {
		if (a->state != ASKED) {
			pthread_cond_wait(&a->changed, &a->lock);
			continue;
		}
		pthread_mutex_unlock(&a->lock);
		a->got = mw_image__read(a->image, a->addr, a->buf, a->len);
		pthread_mutex_lock(&a->lock);
		if (a->state == ASKED)
			a->state = DONE;
		pthread_cond_broadcast(&a->changed);
	}
	pthread_mutex_unlock(&a->lock);
	return NULL;
}

struct mw_readahead *mw_readahead__start(struct mw_image *image)
{
	struct mw_readahead *a = calloc(1, sizeof(*a));

	if (!a)
		return NULL;
	a->image = image;
	pthread_mutex_init(&a->lock, NULL);
	pthread_cond_init(&a->changed, NULL);
	/* A debugger is read by one thread only. */
	a->threaded = image->ops->reads_ahead && !image->reader &&
		      !pthread_create(&a->thread, NULL, run, a);
	return a;
}

static void set_state(struct mw_readahead *a, enum state state)
{
	pthread_mutex_lock(&a->lock);
	a->state = state;
	pthread_cond_broadcast(&a->changed);
	pthread_mutex_unlock(&a->lock);
}

void mw_readahead__ask(struct mw_readahead *a, uint64_t addr, uint8_t *buf, size_t len)
{
	a->addr = addr;
	a->buf = buf;
	a->len = len;
	if (a->threaded)
		set_state(a, ASKED);
}

ssize_t mw_readahead__take(struct mw_readahead *a)
{
	if (!a->threaded)
		return mw_image__read(a->image, a->addr, a->buf, a->len);
	pthread_mutex_lock(&a->lock);
	while (a->state == ASKED)
		pthread_cond_wait(&a->changed, &a->lock);
	pthread_mutex_unlock(&a->lock);
	return a->got;
}

void mw_readahead__end(struct mw_readahead *a)
{
	if (!a)
		return;
	if (a->threaded) {
		set_state(a, ENDED);
		pthread_join(a->thread, NULL);
	}
	pthread_cond_destroy(&a->changed);
	pthread_mutex_destroy(&a->lock);
	free(a);
}
