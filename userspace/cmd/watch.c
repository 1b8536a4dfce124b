// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/watch.h"
#include "trace/privilege.h"
#include "util/cleanup.h"

/* Bytes between two samples: with probes in all the time, and in windows, which see less of it. */
enum { SAMPLE = 512 << 10, SAMPLE_IN_WINDOWS = 16 << 10 };
#define SAMPLE_AUTO UINT64_MAX

static struct {
	double interval;   /* seconds */
	uint64_t count;	   /* intervals, 0: until a signal */
	double duration;   /* seconds, 0: until a signal */
	const char *mode;  /* "auto", "growth", "sizes", "exact" */
	const char *limit; /* --max-overhead: percent, or "unlimited"; NULL: as the mode needs */
	bool follow;
	uint64_t min_size, max_size; /* bytes */
	uint64_t max_outstanding;    /* entries */
	uint64_t ring_size;	     /* bytes */
	const char *sites;	     /* "none", "sampled", "leaf", "all" */
	uint64_t sample;	     /* bytes between two samples */
} values = {
	.interval = 1,
	.mode = "auto",
	.max_size = UINT64_MAX,
	.max_outstanding = 4 << 20,
	.ring_size = 256 << 10,
	.sites = "sampled",
	.sample = SAMPLE_AUTO,
};

#define VALUE(kind, member)                                                                        \
	{                                                                                          \
		.kind = &values.member                                                             \
	}

#define BUDGET                                                                                     \
	{                                                                                          \
		"max-overhead", 0, MW_OPT_TEXT, VALUE(text, limit), "PERCENT",                     \
			"share of the target's time that probes may cost (default 2; 0: no "       \
			"allocator probes), or unlimited",                                         \
			NULL                                                                       \
	}

static const struct mw_option budget_rows[] = {BUDGET, {0}};

const struct mw_option_group mw_cmd_budget_group = {.rows = budget_rows};

static const struct mw_option rows[] = {
	{"interval", 'i', MW_OPT_SECONDS, VALUE(seconds, interval), "SECONDS",
	 "time between two reports (default 1s)", NULL},
	{"count", 'n', MW_OPT_UINT, VALUE(number, count), "COUNT", "stop after COUNT reports",
	 NULL},
	{"duration", 0, MW_OPT_SECONDS, VALUE(seconds, duration), "SECONDS", "stop after this long",
	 NULL},
	{"mode", 'm', MW_OPT_WORD, VALUE(text, mode), "MODE",
	 "which probes go in: growth: none, system calls only; sizes: entry probes; exact: return "
	 "probes, too; auto (default): exact, as far as --max-overhead allows",
	 "auto growth sizes exact"},
	BUDGET,
	{"follow", 'f', MW_OPT_FLAG, VALUE(flag, follow), NULL,
	 "also watch children: present ones, and new ones from their first instruction on", NULL},
	{"min-size", 0, MW_OPT_SIZE, VALUE(number, min_size), "SIZE",
	 "count only requests of at least SIZE bytes", NULL},
	{"max-size", 0, MW_OPT_SIZE, VALUE(number, max_size), "SIZE",
	 "count only requests of at most SIZE bytes", NULL},
	{"max-outstanding", 0, MW_OPT_UINT, VALUE(number, max_outstanding), "N",
	 "remember at most N blocks that are not freed yet (default 4194304)", NULL},
	{"ring-size", 0, MW_OPT_SIZE, VALUE(number, ring_size), "SIZE",
	 "buffer for events on their way to the report (default 256K)", NULL},
	{"sites", 's', MW_OPT_WORD, VALUE(text, sites), "WHICH",
	 "which stacks are taken: sampled (default): of some allocations; leaf: lines of all; all: "
	 "stacks of all; none",
	 "sampled leaf all none"},
	{"sample", 0, MW_OPT_SIZE, VALUE(number, sample), "SIZE",
	 "mean number of bytes allocated between two samples (default 512K; under a budget 16K)",
	 NULL},
	{0},
};

static int check(struct mw_err *err)
{
	if (values.interval < 0.01)
		return mw_err_usage(err, "interval", "the shortest interval is 10ms");
	if (values.min_size > values.max_size)
		return mw_err_usage(err, "min-size",
				    "is above --max-size, so no request would count");
	if (values.max_outstanding > 1u << 28)
		return mw_err_usage(err, "max-outstanding",
				    "at most 268435456 (each entry takes about 100 bytes)");
	if (values.ring_size < 4096 || values.ring_size > 1 << 30)
		return mw_err_usage(err, "ring-size", "between 4K and 1G");
	if (values.sample != SAMPLE_AUTO && (values.sample < 1 || values.sample > 1ULL << 32))
		return mw_err_usage(err, "sample", "between 1 and 4G");
	return 0;
}

const struct mw_option_group mw_cmd_watch_group = {rows, check};

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
static int parse_mode(enum mw_mode *mode, double *share, struct mw_err *err)
{
	const char *word = values.mode, *limit = values.limit;
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
		return mw_err_usage(err, "max-overhead",
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

int mw_cmd_watch_options(struct mw_watch_options *options, struct mw_err *err)
{
	struct mw_tracer_options *tracer = &options->tracer;
	int ret;

	*options = (struct mw_watch_options){
		.site_intervals = true,
		.looks = true,
		.tracer =
			{
				.needs_allocator = strcmp(values.mode, "auto") != 0,
				.follow = values.follow,
				.min_size = values.min_size,
				.max_size = values.max_size,
				.max_outstanding = values.max_outstanding,
				.ring_size = values.ring_size,
				.sites = parse_sites(values.sites),
			},
		.interval = values.interval,
		.samples = values.count,
		.duration = values.duration,
	};
	ret = parse_mode(&tracer->mode, &tracer->max_overhead, err);
	tracer->sample_period = values.sample != SAMPLE_AUTO ? values.sample
				: tracer->max_overhead > 0   ? SAMPLE_IN_WINDOWS
							     : SAMPLE;
	tracer->sample_more = values.sample == SAMPLE_AUTO;
	return ret;
}

struct mw_watch *mw_cmd_watch_open(const struct mw_options *opt,
				   const struct mw_watch_options *options, struct mw_err *err)
{
	_cleanup_free_ pid_t *pids = calloc((size_t)opt->argc, sizeof(*pids));
	struct mw_watch_options whole = *options;
	int ret;

	if (!pids) {
		mw_err_no_memory(err, NULL);
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
		mw_err_no_memory(err, NULL);
	else if (!err->code)
		mw_err_set(err, ret, "bpf", NULL, "the watch has failed: %s", strerror(-ret));
	return mw_cmd_fail(opt, err);
}
