// SPDX-License-Identifier: GPL-2.0-or-later
/* `census`: Python's objects by type. */
#include "cmd/heap.h"

static int measure(struct mw_survey *survey, struct mw_err *err)
{
	struct mw_py_census census;

	return mw_survey__census(survey, &census, err);
}

static int run_census(const struct mw_options *opt)
{
	return mw_cmd_heap__report(opt, measure, mw_show_census);
}

const struct mw_command mw_cmd_census = {
	.name = "census",
	.args = "PID|NAME|CORE [options]",
	.summary =
		"Count Python's objects by type: live ones, their bytes, and dead ones kept for reuse",
	.about =
		"Looks at every block of pymalloc's pools and of glibc's heap once. Bytes are what\n"
		"sys.getsizeof() says, buffers that objects own included.",
	.takes = MW_TAKES_PROCESS | MW_TAKES_CORE,
	.groups = {&mw_cmd_heap_group},
	.run = run_census,
};
