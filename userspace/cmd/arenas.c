// SPDX-License-Identifier: GPL-2.0-or-later
/* `arenas`: pymalloc's arenas, pools and size classes. */
#include "cmd/heap.h"

static int measure(struct mw_survey *survey, struct mw_err *err)
{
	return mw_survey__python(survey, err) ? 0 : err->code;
}

int mw_cmd_arenas(const struct mw_options *opt)
{
	return mw_cmd_heap__report(opt, measure, mw_show_arenas);
}
