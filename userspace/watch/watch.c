// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "image/procstat.h"
#include "model/reuse.h"
#include "util/array.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/file.h"
#include "util/log.h"
#include "util/text.h"
#include "util/units.h"
#include "watch/pace.h"
#include "watch/signals.h"
#include "watch/watch.h"

/* Seconds after which the loop notices that it should stop or that its interval has changed. */
#define STEP 0.1
/* Seconds between two readings of sites, at most, unless that costs too much. */
#define BETWEEN 2.5

struct mw_watch {
	struct mw_watch_options options;
	struct mw_tracer *tracer;
	struct mw_watch_target *targets;
	size_t count;
	uint64_t samples;
	const struct mw_watch_sink *sinks;
	size_t sink_count;
	struct mw_pace reading, judging; /* of sites */
	double read_at;			 /* when they were read last, seconds of CLOCK_MONOTONIC */
	struct mw_type_names *names;	 /* of types of Python's */
	struct mw_survivors survivors;	 /* a list that is being used or is left over */
	struct mw_looker *looker;	 /* NULL: it was not asked for, or has not begun */
	_Atomic double interval;
	atomic_bool stop, paused, look;
	pthread_t thread;
	int ret; /* of the thread, with its error */
	struct mw_err err;
};

/* ---- targets ------------------------------------------------------------------------------- */

static double boot_clock(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* A process that is gone keeps the name that it had. */
static void read_name(struct mw_watch_target *target)
{
	_cleanup_free_ char *text = NULL;
	char path[64];
	size_t len;

	snprintf(path, sizeof(path), "/proc/%d/comm", target->pid);
	if (!mw_file_read(path, 4096, &text, &len) && text)
		mw_text_clean(target->name, sizeof(target->name), text, strcspn(text, "\n"));
}

static void update_uptime(struct mw_watch_target *target)
{
	if (target->born > 0 && !target->now.ended)
		target->uptime = boot_clock() - target->born;
}

static void open_target(struct mw_watch_target *target, uint32_t index, pid_t pid)
{
	struct mw_procstat stat;

	target->index = index;
	target->pid = pid;
	read_name(target);
	if (mw_procstat__read(&stat, pid))
		return;
	target->now.rss = stat.rss;
	target->born = (double)stat.start_time / (double)sysconf(_SC_CLK_TCK);
	update_uptime(target);
}

struct mw_watch *mw_watch__open(const struct mw_watch_options *options, struct mw_err *err)
{
	const double share = options->sites_share;
	struct mw_watch *watch = calloc(1, sizeof(*watch));

	if (watch) {
		watch->targets = calloc(options->count, sizeof(*watch->targets));
		watch->names = mw_type_names__new();
	}
	if (!watch || !watch->targets || !watch->names) {
		mw_watch__close(watch);
		mw_err_no_memory(err, NULL);
		return NULL;
	}
	watch->options = *options;
	watch->options.pids = NULL;
	watch->count = options->count;
	watch->interval = options->interval;
	/* Suspects change slowly and take longer to find than sites to read. */
	if (share > 0) {
		watch->reading = (struct mw_pace){.share = share, .most = 5};
		watch->judging = (struct mw_pace){.share = share, .least = 2, .most = 60};
	}
	for (size_t i = 0; i < watch->count; i++)
		open_target(&watch->targets[i], (uint32_t)i, options->pids[i]);
	return watch;
}

void mw_watch__close(struct mw_watch *watch)
{
	if (!watch)
		return;
	for (size_t i = 0; i < watch->count; i++)
		mw_label_groups__free(watch->targets[i].groups);
	mw_looker__stop(watch->looker);
	mw_tracer__close(watch->tracer);
	mw_type_names__free(watch->names);
	free(watch->survivors.list);
	free(watch->targets);
	free(watch);
}

size_t mw_watch__count(const struct mw_watch *watch)
{
	return watch->count;
}

const struct mw_watch_target *mw_watch__target(const struct mw_watch *watch, size_t i)
{
	return &watch->targets[i];
}

uint64_t mw_watch__samples(const struct mw_watch *watch)
{
	return watch->samples;
}

bool mw_watch__all_ended(const struct mw_watch *watch)
{
	return watch->tracer && mw_tracer__all_ended(watch->tracer);
}

void mw_watch__stop(struct mw_watch *watch)
{
	watch->stop = true;
}

void mw_watch__look(struct mw_watch *watch)
{
	watch->look = true;
}

void mw_watch__set_interval(struct mw_watch *watch, double seconds)
{
	watch->interval = seconds;
}

void mw_watch__pause(struct mw_watch *watch, bool paused)
{
	watch->paused = paused;
}

/* ---- samples ------------------------------------------------------------------------------- */

static void on_event(const struct mw_event *what, unsigned int index, void *arg)
{
	struct mw_watch *watch = arg;
	struct mw_watch_target *target = &watch->targets[index];

	if (target->event_count < MW_WATCH_EVENTS)
		target->events[target->event_count++] = *what;
	else
		target->events_dropped++;
	if (what->kind == MW_EVENT_EXEC && (pid_t)what->pid == target->pid)
		read_name(target);
}

static int cannot_read(struct mw_err *err, int ret)
{
	return mw_err_set(err, ret, "bpf", NULL, "can't read the counters: %s", strerror(-ret));
}

/* The containers that grow most, of all targets: at which lines? */
static void watch_lengths(struct mw_watch *watch)
{
	struct mw_watched_length list[4 * MW_LENGTHS];
	size_t count = 0;

	for (size_t k = 0; k < MW_GROWN_HOLDERS; k++) {
		for (size_t i = 0; i < watch->count && count < MW_ARRAY_SIZE(list); i++) {
			const struct mw_watch_target *target = &watch->targets[i];
			const struct mw_look_growth *growth = &target->looked.growth;
			const struct mw_grown_holder *h = &growth->holders[k];

			if (k < growth->holder_count && h->length_at)
				list[count++] = (struct mw_watched_length){
					.pid = h->pid,
					.slot = target->index,
					.container = h->addr,
					.length_at = h->length_at,
				};
		}
	}
	mw_tracer__watch_lengths(watch->tracer, list, count);
}

/* The row of H with LABEL, a new one where there is none; NULL: no more room. */
static struct mw_grown_changer *row_of(struct mw_grown_holder *h, const char *label)
{
	for (size_t i = 0; i < h->changer_count; i++) {
		if (!strcmp(h->changers[i].label, label))
			return &h->changers[i];
	}
	if (h->changer_count == MW_GROWN_CHANGERS)
		return NULL;
	h->changers[h->changer_count] = (struct mw_grown_changer){0};
	snprintf(h->changers[h->changer_count].label, MW_LABEL_SIZE, "%s", label);
	return &h->changers[h->changer_count++];
}

/* Stacks that people call by one name are one row. */
static void name_changers(struct mw_watch *watch, struct mw_grown_holder *h)
{
	struct mw_changer changers[MW_CHANGERS_MAX];
	size_t count =
		mw_tracer__changers(watch->tracer, h->pid, h->addr, changers, MW_CHANGERS_MAX);
	char label[MW_LABEL_SIZE];

	h->changer_count = 0;
	for (size_t i = 0; i < count; i++) {
		struct mw_grown_changer *row =
			row_of(h, mw_label_format(changers[i].site, NULL, label, sizeof(label)));

		if (!row)
			continue;
		row->added += changers[i].added;
		row->removed += changers[i].removed;
		row->samples += changers[i].samples;
	}
}

/* Of which types are the sampled small objects that are still there? Looks know. */
static void type_survivors(struct mw_watch *watch)
{
	struct mw_survivors *s = &watch->survivors;

	if (!watch->looker || !mw_tracer__sites(watch->tracer))
		return;
	if (mw_looker__answer(watch->looker, s))
		mw_tracer__take_types(watch->tracer, s);
	if (!mw_tracer__survivors(watch->tracer, s) && s->count)
		mw_looker__ask(watch->looker, s);
}

/* What looks have shown, and the lines that were seen to make what they show longer. */
static void take_looks(struct mw_watch *watch)
{
	bool fresh = false;

	for (size_t i = 0; watch->looker && i < watch->count; i++) {
		struct mw_watch_target *target = &watch->targets[i];

		if (!mw_looker__take(watch->looker, i, &target->looked))
			continue;
		fresh = true;
		mw_tracer__set_live_bytes(watch->tracer, target->index, target->looked.live);
	}
	if (fresh)
		watch_lengths(watch);
	for (size_t i = 0; i < watch->count; i++) {
		struct mw_look_growth *growth = &watch->targets[i].looked.growth;

		for (size_t k = 0; k < growth->holder_count; k++)
			name_changers(watch, &growth->holders[k]);
		if (watch->targets[i].groups)
			mw_reuse__judge(growth, watch->targets[i].groups,
					watch->targets[i].now.elapsed);
	}
}

static int read_samples(struct mw_watch *watch, struct mw_err *err)
{
	for (size_t i = 0; i < watch->count; i++) {
		struct mw_watch_target *target = &watch->targets[i];
		int ret = mw_tracer__read(watch->tracer, target->index, &target->now);

		if (ret)
			return cannot_read(err, ret);
		mw_resident__add(&target->resident, target->now.elapsed, (double)target->now.rss);
		update_uptime(target);
	}
	take_looks(watch);
	type_survivors(watch);
	return 0;
}

static void judge_sites(struct mw_watch *watch)
{
	double begin = mw_monotonic(), now;

	if (!mw_pace__is_due(&watch->judging, begin))
		return;
	for (size_t i = 0; i < watch->count; i++) {
		struct mw_watch_target *target = &watch->targets[i];

		/* The verdict on a process that has ended is that of when it lived. */
		if (target->last.ended)
			continue;
		target->suspect_count =
			mw_suspects__find(target->groups, &target->resident, target->now.elapsed,
					  &target->named, target->suspects, MW_WATCH_SUSPECTS);
		target->suspect_count = mw_reuse__acquit(target->suspects, target->suspect_count,
							 &target->looked.growth);
		target->growing_count = mw_suspects__find_growing(
			target->groups, target->now.elapsed, target->growing, MW_WATCH_SUSPECTS);
	}
	now = mw_monotonic();
	mw_pace__ran(&watch->judging, now, now - begin);
}

static int group_sites(struct mw_watch_target *target, const struct mw_sites *sites)
{
	const bool known[MW_LABEL_LAYERS] = {mw_sample__knows(&target->now, false),
					     mw_sample__knows(&target->now, true)};

	if (!target->groups)
		target->groups = mw_label_groups__new(target->index);
	target->sites = sites;
	if (!target->groups || mw_label_groups__update(target->groups, sites, known))
		return -ENOMEM;
	mw_suspects__outlook(target->groups, target->now.elapsed, &target->outlook);
	return 0;
}

/*
 * 1 when sites were read. The last picture of targets that have ended is to be whole. Sites change
 * when the tracer handles events, so nobody but this thread may read them.
 */
static int read_sites(struct mw_watch *watch, struct mw_err *err)
{
	const struct mw_sites *sites = mw_tracer__sites(watch->tracer);
	double begin = mw_monotonic();
	int ret;

	if (!sites ||
	    (!mw_pace__is_due(&watch->reading, begin) && !mw_tracer__all_ended(watch->tracer)))
		return 0;
	ret = mw_tracer__read_sites(watch->tracer);
	if (ret)
		return cannot_read(err, ret);
	for (size_t i = 0; i < watch->count; i++) {
		mw_tracer__limit_by_types(watch->tracer, (unsigned int)i,
					  &watch->targets[i].looked.growth);
		if (group_sites(&watch->targets[i], sites))
			return mw_err_set(err, -ENOMEM, "no-memory", NULL, "out of memory");
	}
	return 1;
}

/* What the sinks do with sites, copying them for example, is part of the cost of reading them. */
static int give_sites(struct mw_watch *watch)
{
	int ret = 0;

	for (size_t i = 0; !ret && i < watch->count; i++) {
		for (size_t s = 0; !ret && s < watch->sink_count; s++) {
			const struct mw_watch_sink *sink = &watch->sinks[s];

			if (sink->sites)
				ret = sink->sites(sink->arg, &watch->targets[i]);
		}
	}
	return ret;
}

static int give_samples(struct mw_watch *watch)
{
	int ret = 0;

	watch->samples++;
	for (size_t i = 0; !ret && i < watch->count; i++) {
		struct mw_watch_target *target = &watch->targets[i];

		/* One of several that had ended before this interval has nothing to add. */
		if (target->last.ended && watch->count > 1)
			continue;
		for (size_t s = 0; !ret && s < watch->sink_count; s++) {
			const struct mw_watch_sink *sink = &watch->sinks[s];

			if (sink->sample)
				ret = sink->sample(sink->arg, target);
		}
		target->last = target->now;
		target->event_count = target->events_dropped = 0;
	}
	return ret;
}

/*
 * Within a long interval, what sites keep is looked at and judged as often as in short ones: when a
 * leak is named does not depend on how often the user wants to hear. 0 or -errno with ERR set.
 */
static int read_between(struct mw_watch *watch, struct mw_err *err)
{
	double begin;
	int ret;

	if (watch->paused || mw_monotonic() < watch->read_at + BETWEEN)
		return 0;
	begin = watch->read_at = mw_monotonic();
	ret = read_samples(watch, err);
	if (!ret)
		ret = read_sites(watch, err);
	if (ret <= 0)
		return ret;
	judge_sites(watch);
	mw_pace__ran(&watch->reading, mw_monotonic(), mw_monotonic() - begin);
	return 0;
}

/* Samples and sites of the same time, to the sinks. Sites go right after the samples. */
static int take_samples(struct mw_watch *watch, struct mw_err *err)
{
	double begin, took;
	int ret, fresh;

	ret = read_samples(watch, err);
	if (ret)
		return ret;
	begin = watch->read_at = mw_monotonic();
	fresh = read_sites(watch, err);
	took = mw_monotonic() - begin;
	if (fresh < 0)
		return fresh;
	if (fresh)
		judge_sites(watch);
	ret = give_samples(watch);
	if (!ret && fresh && watch->options.site_intervals)
		mw_tracer__mark(watch->tracer);
	if (ret || !fresh)
		return ret;
	begin = mw_monotonic();
	ret = give_sites(watch);
	took += mw_monotonic() - begin;
	mw_pace__ran(&watch->reading, mw_monotonic(), took);
	return ret;
}

/* ---- the session --------------------------------------------------------------------------- */

static int attach(struct mw_watch *watch, struct mw_err *err)
{
	int ret;

	watch->tracer = mw_tracer__open(&watch->options.tracer, err);
	if (!watch->tracer)
		return err->code ? err->code : -errno;
	for (size_t i = 0; i < watch->count; i++) {
		ret = mw_tracer__add(watch->tracer, watch->targets[i].pid, err);
		if (ret < 0)
			return ret;
	}
	ret = mw_tracer__start(watch->tracer, on_event, watch, err);
	if (!ret)
		ret = read_samples(watch, err);
	for (size_t i = 0; !ret && i < watch->count; i++)
		watch->targets[i].last.rss = watch->targets[i].now.rss;
	for (size_t s = 0; !ret && s < watch->sink_count; s++) {
		const struct mw_watch_sink *sink = &watch->sinks[s];

		if (sink->begin)
			ret = sink->begin(sink->arg, watch);
	}
	return ret;
}

static int begin_looking(struct mw_watch *watch, struct mw_err *err)
{
	_cleanup_free_ pid_t *pids = calloc(watch->count, sizeof(*pids));

	if (!pids)
		return mw_err_no_memory(err, NULL);
	for (size_t i = 0; i < watch->count; i++)
		pids[i] = watch->targets[i].pid;
	watch->looker = mw_looker__start(
		&(struct mw_looker_options){.pids = pids,
					    .count = watch->count,
					    .names = watch->names,
					    .follow = watch->options.tracer.follow},
		err);
	return watch->looker ? 0 : err->code;
}

static bool is_asked_to_stop(const struct mw_watch *watch)
{
	return watch->stop || mw_signals_caught() || mw_tracer__all_ended(watch->tracer);
}

/*
 * Wait until the interval since LAST is over, at END (0: never) at the latest, or until there is a
 * reason to stop. Returns when the sample was due, so that samples keep an even pace; or the
 * present, when a whole interval has passed since then, or when *RET is not 0: an error.
 */
static double wait_for_next(struct mw_watch *watch, double last, double end, int *ret,
			    struct mw_err *err)
{
	for (;;) {
		double now = mw_monotonic(), interval = watch->interval, next = last + interval;

		if (end > 0 && next > end)
			next = end;
		if (now >= next)
			return now - next < interval ? next : now;
		if (is_asked_to_stop(watch))
			return now;
		*ret = read_between(watch, err);
		if (*ret)
			return now;
		if (mw_signals_look() || atomic_exchange(&watch->look, false))
			mw_tracer__look(watch->tracer);
		mw_tracer__wait(watch->tracer, next < now + STEP ? next : now + STEP);
	}
}

static int sample_until_over(struct mw_watch *watch, struct mw_err *err)
{
	const struct mw_watch_options *options = &watch->options;
	double last = mw_monotonic(), end = options->duration > 0 ? last + options->duration : 0;
	bool over = false;
	int ret = 0;

	for (uint64_t n = 1; !ret && !over; n++) {
		last = wait_for_next(watch, last, end, &ret, err);
		if (ret)
			break;
		over = is_asked_to_stop(watch) || (end > 0 && last >= end) ||
		       (options->samples && n >= options->samples);
		/* The last sample is to have everything that the probes counted. */
		if (over)
			mw_tracer__stop(watch->tracer);
		if (!watch->paused)
			ret = take_samples(watch, err);
	}
	return ret;
}

/* What we cost ourselves, for -v. */
static void log_cost(const struct mw_watch *watch)
{
	char size[MW_UNIT_BUF], maps[MW_UNIT_BUF];
	struct rusage usage;

	if (getrusage(RUSAGE_SELF, &usage))
		return;
	mw_detail("memwhere itself: %.2f s of CPU, %s at most, and %s of kernel maps; "
		  "probes in after %.0f ms, out after %.0f ms",
		  (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
			  (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6,
		  mw_format_size(size, (uint64_t)usage.ru_maxrss * 1024),
		  mw_format_size(maps, mw_tracer__map_bytes(watch->tracer)),
		  1e3 * mw_tracer__attach_seconds(watch->tracer),
		  1e3 * mw_tracer__detach_seconds(watch->tracer));
}

int mw_watch__run(struct mw_watch *watch, const struct mw_watch_sink *sinks, size_t count,
		  struct mw_err *err)
{
	bool attached;
	int ret;

	watch->sinks = sinks;
	watch->sink_count = count;
	ret = attach(watch, err);
	attached = !ret;
	if (attached && watch->options.looks)
		ret = begin_looking(watch, err);
	if (!ret)
		ret = sample_until_over(watch, err);
	if (watch->tracer)
		mw_tracer__stop(watch->tracer);
	mw_looker__stop(watch->looker);
	watch->looker = NULL;
	for (size_t s = 0; s < count; s++) {
		int failed = sinks[s].end ? sinks[s].end(sinks[s].arg, watch, ret) : 0;

		ret = ret ? ret : failed;
	}
	if (attached)
		log_cost(watch);
	return ret;
}

static void *run_in_thread(void *arg)
{
	struct mw_watch *watch = arg;

	watch->ret = mw_watch__run(watch, watch->sinks, watch->sink_count, &watch->err);
	return NULL;
}

int mw_watch__start(struct mw_watch *watch, const struct mw_watch_sink *sinks, size_t count,
		    struct mw_err *err)
{
	int ret;

	watch->sinks = sinks;
	watch->sink_count = count;
	mw_signals_block(true);
	ret = pthread_create(&watch->thread, NULL, run_in_thread, watch);
	mw_signals_block(false);
	if (ret)
		return mw_err_set(err, -ret, "thread", NULL, "can't start sampling: %s",
				  strerror(ret));
	return 0;
}

int mw_watch__finish(struct mw_watch *watch, struct mw_err *err)
{
	mw_watch__stop(watch);
	pthread_join(watch->thread, NULL);
	*err = watch->err;
	return watch->ret;
}
