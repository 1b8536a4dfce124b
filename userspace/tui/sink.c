// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "tui/sink.h"
#include "util/clock.h"

/* The counter is far from full, so this neither blocks nor fails. */
static void announce(struct mw_tui_sink *sink)
{
	eventfd_write(sink->news, 1);
}

static void add_sample(struct mw_tui_sink *sink, const struct mw_watch_target *target)
{
	struct mw_tui_state *state = sink->state;
	char line[80];

	mw_tui_target__add_sample(&state->targets[target->index], target, state->mode);
	state->time = target->now.time;
	if (target->events_dropped) {
		snprintf(line, sizeof(line), "PID %d: %zu more events in one interval", target->pid,
			 target->events_dropped);
		mw_tui_state__add_log(state, MW_LOG_WARN, line);
	}
}

static int on_begin(void *arg, const struct mw_watch *watch)
{
	struct mw_tui_sink *sink = arg;

	pthread_mutex_lock(&sink->lock);
	for (size_t i = 0; i < mw_watch__count(watch); i++)
		add_sample(sink, mw_watch__target(watch, i));
	sink->state->attaching = false;
	pthread_mutex_unlock(&sink->lock);
	announce(sink);
	return 0;
}

static int on_sample(void *arg, const struct mw_watch_target *target)
{
	struct mw_tui_sink *sink = arg;

	pthread_mutex_lock(&sink->lock);
	add_sample(sink, target);
	pthread_mutex_unlock(&sink->lock);
	announce(sink);
	return 0;
}

static int on_sites(void *arg, const struct mw_watch_target *target)
{
	struct mw_tui_sink *sink = arg;
	struct mw_tui_fresh *fresh = &sink->fresh[target->index];
	int ret;

	pthread_mutex_lock(&sink->lock);
	fresh->is_whole = false;
	pthread_mutex_unlock(&sink->lock);
	ret = mw_tui_sites__copy(&fresh->sites, target->groups);
	mw_tui_sites__copy_suspects(&fresh->sites, target);
	pthread_mutex_lock(&sink->lock);
	fresh->is_whole = !ret;
	pthread_mutex_unlock(&sink->lock);
	announce(sink);
	return ret;
}

/* When all targets have ended, their last picture stays. Any other end closes the screen. */
static int on_end(void *arg, const struct mw_watch *watch, int ret)
{
	struct mw_tui_sink *sink = arg;

	sink->is_over = ret || !mw_watch__all_ended(watch);
	announce(sink);
	return 0;
}

struct mw_watch_sink mw_tui_sink__of_watch(struct mw_tui_sink *sink)
{
	return (struct mw_watch_sink){.begin = on_begin,
				      .sample = on_sample,
				      .sites = on_sites,
				      .end = on_end,
				      .arg = sink};
}

void mw_tui_sink__take_sites(struct mw_tui_sink *sink)
{
	for (size_t i = 0; !sink->state->paused && i < sink->state->target_count; i++) {
		struct mw_tui_fresh *fresh = &sink->fresh[i];
		struct mw_tui_sites old = sink->state->targets[i].sites;

		if (!fresh->is_whole)
			continue;
		sink->state->targets[i].sites = fresh->sites;
		fresh->sites = old;
		fresh->is_whole = false;
	}
}

static void fill_target(struct mw_tui_target *t, const struct mw_watch_target *from)
{
	t->pid = from->pid;
	memcpy(t->name, from->name, sizeof(t->name));
	t->now = from->now;
	t->rss_first = t->rss_baseline = from->now.rss;
	t->uptime = from->uptime;
}

int mw_tui_sink__open(struct mw_tui_sink *sink, struct mw_tui_state *state,
		      const struct mw_watch *watch, struct mw_err *err)
{
	size_t count = mw_watch__count(watch);

	*sink = (struct mw_tui_sink){.state = state};
	pthread_mutex_init(&sink->lock, NULL);
	sink->news = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	sink->fresh = calloc(count, sizeof(*sink->fresh));
	state->targets = calloc(count, sizeof(*state->targets));
	if (sink->news < 0 || !sink->fresh || !state->targets) {
		mw_tui_sink__close(sink);
		return mw_err_no_memory(err, NULL);
	}
	state->target_count = count;
	for (size_t i = 0; i < count; i++)
		fill_target(&state->targets[i], mw_watch__target(watch, i));
	state->attaching = true;
	state->clock = mw_monotonic();
	state->time = (double)time(NULL);
	return 0;
}

void mw_tui_sink__close(struct mw_tui_sink *sink)
{
	for (size_t i = 0; sink->fresh && i < sink->state->target_count; i++)
		mw_tui_sites__clear(&sink->fresh[i].sites);
	free(sink->fresh);
	if (sink->news >= 0)
		close(sink->news);
	pthread_mutex_destroy(&sink->lock);
}
