// SPDX-License-Identifier: GPL-2.0-or-later
/* `stat`: watch processes, report every interval. */
#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "cmd/watch.h"
#include "report/stat_report.h"
#include "trace/privilege.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/units.h"

enum { EVENTS_KEPT = 64 };

struct watched {
	pid_t pid;
	char name[64];
	struct mw_sample last, now;
	struct mw_event events[EVENTS_KEPT];
	size_t event_count, events_dropped;
};

struct watch {
	const struct mw_options *opt;
	struct mw_tracer_options options;
	struct mw_tracer *tracer;
	struct watched *targets;
	size_t count;
	FILE *out;
	struct mw_stat_style style;
};

static volatile sig_atomic_t told_to_stop;

static void on_signal(int sig)
{
	told_to_stop = sig;
}

static void catch_signals(void)
{
	struct sigaction action = {.sa_handler = on_signal};

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
}

/* By what the mode can know: what is not freed yet, what was allocated, what the kernel gave. */
static enum mw_site_order parse_order(const char *word, enum mw_mode mode)
{
	for (enum mw_site_order order = 0; order < MW_SITES_ORDERS; order++) {
		if (!strcmp(word, mw_site_order_name(order)))
			return order;
	}
	return mode == MW_MODE_EXACT   ? MW_SITES_BY_OUTSTANDING
	       : mode == MW_MODE_SIZES ? MW_SITES_BY_BYTES
				       : MW_SITES_BY_GROWTH;
}

static void on_event(const struct mw_event *what, unsigned int index, void *arg)
{
	struct watch *watch = arg;
	struct watched *target = &watch->targets[index];

	if (target->event_count < EVENTS_KEPT)
		target->events[target->event_count++] = *what;
	else
		target->events_dropped++;
	if (what->kind == MW_EVENT_EXEC && (pid_t)what->pid == target->pid)
		mw_cmd_process_name(target->pid, target->name, sizeof(target->name));
}

static int report(struct watch *watch, struct watched *target, bool total)
{
	struct mw_sample interval;
	struct mw_stat_report r = {
		.pid = target->pid,
		.name = target->name,
		.mode = watch->options.mode,
		.interval = &interval,
		.total = &target->now,
		.rss_change = (int64_t)(target->now.rss - target->last.rss),
		.events = target->events,
		.event_count = target->event_count,
		.events_dropped = target->events_dropped,
		.sites =
			{
				.sites = mw_tracer__sites(watch->tracer),
				.target = (uint32_t)(target - watch->targets),
				.elapsed = target->now.elapsed,
				.order = parse_order(watch->opt->by, watch->options.mode),
				.top = watch->opt->top,
				.stacks = watch->opt->stacks,
				.exact = strcmp(watch->opt->sites, "sampled") != 0,
			},
	};
	struct mw_stat_style style = watch->style;

	mw_sample__difference(&interval, &target->now, &target->last);
	style.total = total;
	return watch->opt->json ? mw_stat_report__json(watch->out, &r)
				: mw_stat_report__text(watch->out, &r, &style);
}

static int report_interval(struct watch *watch)
{
	int ret = 0;

	for (size_t i = 0; !ret && i < watch->count; i++)
		ret = mw_tracer__read(watch->tracer, (unsigned int)i, &watch->targets[i].now);
	if (!ret)
		ret = mw_tracer__read_sites(watch->tracer);
	for (size_t i = 0; !ret && i < watch->count; i++) {
		struct watched *target = &watch->targets[i];

		/* A target that had ended before this interval began has nothing to add. */
		if (target->last.ended && watch->count > 1)
			continue;
		ret = report(watch, target, false);
		target->last = target->now;
		target->event_count = target->events_dropped = 0;
	}
	return ret;
}

static int run(struct watch *watch)
{
	const struct mw_options *opt = watch->opt;
	uint64_t rounds = 0;
	double begin = mw_monotonic(), next = begin,
	       end = opt->duration ? begin + opt->duration : 0;
	int ret = 0;

	for (;;) {
		bool over;

		next += opt->interval;
		if (end && next > end)
			next = end;
		while (!told_to_stop && mw_monotonic() < next &&
		       !mw_tracer__all_ended(watch->tracer))
			mw_tracer__wait(watch->tracer, next);
		rounds++;
		over = told_to_stop || mw_tracer__all_ended(watch->tracer) ||
		       (end && next >= end) || (opt->count && rounds >= opt->count);
		/* Take the probes out first, so that the last report has all there is. */
		if (over)
			mw_tracer__stop(watch->tracer);
		ret = report_interval(watch);
		if (ret || over)
			break;
	}
	for (size_t i = 0; !ret && !opt->json && rounds > 1 && i < watch->count; i++)
		ret = report(watch, &watch->targets[i], true);
	return ret;
}

/* Our own cost, for -v. */
static void tell_cost(const struct watch *watch)
{
	struct rusage usage;
	char size[MW_UNIT_BUF], maps[MW_UNIT_BUF];

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

static int watch_targets(struct watch *watch, struct mw_err *err)
{
	const struct mw_options *opt = watch->opt;
	int ret;

	catch_signals();
	watch->tracer = mw_tracer__open(&watch->options, err);
	if (!watch->tracer)
		return err->code ? err->code : -errno;
	for (size_t i = 0; i < watch->count; i++) {
		ret = mw_tracer__add(watch->tracer, watch->targets[i].pid, err);
		if (ret < 0)
			return ret;
		mw_cmd_process_name(watch->targets[i].pid, watch->targets[i].name,
				    sizeof(watch->targets[i].name));
	}
	ret = mw_tracer__start(watch->tracer, on_event, watch, err);
	if (ret)
		return ret;
	for (size_t i = 0; i < watch->count; i++) {
		struct mw_sample first;

		if (!mw_tracer__read(watch->tracer, (unsigned int)i, &first))
			watch->targets[i].last.rss = first.rss;
	}
	ret = run(watch);
	tell_cost(watch);
	if (ret == -EIO)
		return mw_err_set(err, ret, "output-closed", opt->output ? opt->output : "stdout",
				  "can't write there any more; all probes are out");
	if (ret)
		return mw_err_set(err, ret, "bpf", NULL, "can't read the counters: %s",
				  strerror(-ret));
	return 0;
}

int mw_cmd_stat(const struct mw_options *opt)
{
	struct mw_err err = {0};
	struct watch watch = {.opt = opt};
	int ret = 0;

	if (!opt->argc) {
		mw_err_set(&err, -EINVAL, "usage", opt->command->name,
			   "which process? usage: memwhere %s %s", opt->command->name,
			   opt->command->args);
		return mw_cmd_fail(opt, MW_EXIT_USAGE, &err);
	}
	if (mw_cmd_tracer_options(opt, &watch.options, &err))
		return mw_cmd_fail(opt, MW_EXIT_USAGE, &err);
	mw_cmd_log_to_stderr(opt);
	watch.count = (size_t)opt->argc;
	watch.targets = calloc(watch.count, sizeof(*watch.targets));
	if (!watch.targets)
		ret = mw_err_set(&err, -ENOMEM, "no-memory", NULL, "out of memory");
	/* Before anything is looked at: what a user without privileges needs to hear first. */
	if (!ret)
		ret = mw_privilege_check(watch.options.mode != MW_MODE_GROWTH, &err);
	for (size_t i = 0; !ret && i < watch.count; i++)
		ret = mw_cmd_find_process(opt->argv[i], &watch.targets[i].pid, &err);
	if (!ret) {
		watch.out = mw_cmd_output_open(opt, &err);
		ret = watch.out ? 0 : err.code;
	}
	if (!ret) {
		setlocale(LC_CTYPE, "");
		watch.style = (struct mw_stat_style){
			.color = mw_cmd_wants_color(opt, watch.out),
			.utf8 = !strcmp(nl_langinfo(CODESET), "UTF-8"),
			.verbose = opt->verbose,
		};
		ret = watch_targets(&watch, &err);
		if (!ret)
			ret = mw_cmd_output_close(opt, watch.out, &err);
	}
	mw_tracer__close(watch.tracer);
	free(watch.targets);
	if (ret)
		return mw_cmd_fail(opt, strcmp(err.name, "usage") ? MW_EXIT_FAILURE : MW_EXIT_USAGE,
				   &err);
	return MW_EXIT_OK;
}
