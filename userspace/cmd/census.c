// SPDX-License-Identifier: GPL-2.0-or-later
/* `census`: Python's objects by type. */
#include "cmd/heap.h"

static int measure(struct mw_survey *survey, struct mw_err *err)
{
	struct mw_py_census census;

	return mw_survey__census(survey, &census, err);
}

int mw_cmd_census(const struct mw_options *opt)
{
	return mw_cmd_heap__report(opt, measure, mw_show_census);
}
