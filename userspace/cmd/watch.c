// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/watch.h"
#include "trace/privilege.h"
#include "util/cleanup.h"

/* Bytes between two samples: with probes in all the time, and in windows, which see less of it. */
enum { SAMPLE = 512 << 10, SAMPLE_IN_WINDOWS = 16 << 10 };

static enum mw_mode mode_named(const char *word)
{
	return !strcmp(word, "growth")	? MW_MODE_GROWTH
	       : !strcmp(word, "sizes") ? MW_MODE_SIZES
					: MW_MODE_EXACT;
}

/*
 * Which probes, and what they may cost: SHARE of the target's time, 0: no limit. A mode given by
 * name has no limit unless --max-overhead is given, too.
 */
static int parse_mode(const struct mw_options *opt, enum mw_mode *mode, double *share,
		      struct mw_err *err)
{
	const char *word = opt->mode, *limit = opt->max_overhead;
	bool is_auto = !strcmp(word, "auto");
	char *end = NULL;

	*share = is_auto ? 0.02 : 0;
	*mode = is_auto ? MW_MODE_EXACT : mode_named(word);
	if (!limit)
		return 0;
	if (!strcmp(limit, "unlimited")) {
		*share = 0;
		return 0;
	}
	*share = strtod(limit, &end) / 100;
	if (end == limit || (*end && strcmp(end, "%")) || !(*share >= 0 && *share <= 1))
		return mw_err_set(err, -EINVAL, "usage", "max-overhead",
				  "'%.40s' is neither a percentage nor 'unlimited'", limit);
	if (*share == 0)
		*mode = MW_MODE_GROWTH;
	return 0;
}

static enum mw_sites_mode parse_sites(const char *word)
{
	return !strcmp(word, "none")   ? MW_SITES_NONE
	       : !strcmp(word, "leaf") ? MW_SITES_LEAF
	       : !strcmp(word, "all")  ? MW_SITES_ALL
				       : MW_SITES_SAMPLED;
}

int mw_cmd_watch_options(const struct mw_options *opt, struct mw_watch_options *options,
			 struct mw_err *err)
{
	struct mw_tracer_options *tracer = &options->tracer;
	int ret;

	*options = (struct mw_watch_options){
		.tracer =
			{
				.follow = opt->follow,
				.min_size = opt->min_size,
				.max_size = opt->max_size,
				.max_outstanding = opt->max_outstanding,
				.ring_size = opt->ring_size,
				.sites = parse_sites(opt->sites),
			},
		.interval = opt->interval,
		.samples = opt->count,
		.duration = opt->duration,
	};
	ret = parse_mode(opt, &tracer->mode, &tracer->max_overhead, err);
	tracer->sample_period = opt->sample != MW_SAMPLE_AUTO ? opt->sample
				: tracer->max_overhead > 0    ? SAMPLE_IN_WINDOWS
							      : SAMPLE;
	return ret;
}

struct mw_watch *mw_cmd_watch_open(const struct mw_options *opt,
				   const struct mw_watch_options *options, struct mw_err *err)
{
	_cleanup_free_ pid_t *pids = calloc((size_t)opt->argc, sizeof(*pids));
	struct mw_watch_options whole = *options;
	int ret;

	if (!pids) {
		mw_err_set(err, -ENOMEM, "no-memory", NULL, "out of memory");
		return NULL;
	}
	/* A user without privileges hears that first. */
	ret = mw_privilege_check(whole.tracer.mode != MW_MODE_GROWTH, err);
	for (int i = 0; !ret && i < opt->argc; i++)
		ret = mw_cmd_find_process(opt->argv[i], &pids[i], err);
	if (ret)
		return NULL;
	whole.pids = pids;
	whole.count = (size_t)opt->argc;
	return mw_watch__open(&whole, err);
}

int mw_cmd_watch_fail(const struct mw_options *opt, int ret, struct mw_err *err)
{
	if (!err->code && ret == -ENOMEM)
		mw_err_set(err, ret, "no-memory", NULL, "out of memory");
	else if (!err->code)
		mw_err_set(err, ret, "bpf", NULL, "the watch has failed: %s", strerror(-ret));
	return mw_cmd_fail(opt, strcmp(err->name, "usage") ? MW_EXIT_FAILURE : MW_EXIT_USAGE, err);
}
