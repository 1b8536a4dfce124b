// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/watch.h"
#include "util/cleanup.h"
#include "util/file.h"
#include "util/text.h"

/* Bytes between two samples: of all time, and where windows see only a part of it. */
enum { SAMPLE = 512 << 10, SAMPLE_IN_WINDOWS = 16 << 10 };

static enum mw_mode mode_named(const char *word)
{
	return !strcmp(word, "growth")	? MW_MODE_GROWTH
	       : !strcmp(word, "sizes") ? MW_MODE_SIZES
					: MW_MODE_EXACT;
}

/*
 * Which probes, and what they may cost: SHARE of the target's time, 0: no limit. A mode that is
 * asked for by its name has no limit unless that is asked for, too.
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

int mw_cmd_tracer_options(const struct mw_options *opt, struct mw_tracer_options *options,
			  struct mw_err *err)
{
	*options = (struct mw_tracer_options){
		.follow = opt->follow,
		.min_size = opt->min_size,
		.max_size = opt->max_size,
		.max_outstanding = opt->max_outstanding,
		.ring_size = opt->ring_size,
		.sites = parse_sites(opt->sites),
	};
	int ret = parse_mode(opt, &options->mode, &options->max_overhead, err);

	options->sample_period = opt->sample != MW_SAMPLE_AUTO ? opt->sample
				 : options->max_overhead > 0   ? SAMPLE_IN_WINDOWS
							       : SAMPLE;
	return ret;
}

void mw_cmd_process_name(pid_t pid, char *name, size_t size)
{
	_cleanup_free_ char *text = NULL;
	char path[64];
	size_t len;

	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	if (!mw_file_read(path, 4096, &text, &len) && text)
		mw_text_clean(name, size, text, strcspn(text, "\n"));
}
