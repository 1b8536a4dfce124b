// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdio.h>
#include <string.h>

#include "cmd/watch.h"
#include "util/cleanup.h"
#include "util/file.h"
#include "util/text.h"

enum mw_mode mw_cmd_mode(const struct mw_options *opt)
{
	return !strcmp(opt->mode, "growth") ? MW_MODE_GROWTH :
	       !strcmp(opt->mode, "sizes")  ? MW_MODE_SIZES :
					      MW_MODE_EXACT;
}

struct mw_tracer_options mw_cmd_tracer_options(const struct mw_options *opt)
{
	return (struct mw_tracer_options){
		.mode = mw_cmd_mode(opt),
		.follow = opt->follow,
		.min_size = opt->min_size,
		.max_size = opt->max_size,
		.max_outstanding = opt->max_outstanding,
		.ring_size = opt->ring_size,
	};
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
