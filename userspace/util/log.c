// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include "util/log.h"

static mw_log_sink_fn log_sink;
static void *log_arg;

void mw_log_set_sink(mw_log_sink_fn sink, void *arg)
{
	log_sink = sink;
	log_arg = arg;
}

void mw_log(enum mw_log_level level, const char *fmt, ...)
{
	char line[1024];
	va_list ap;

	if (!log_sink)
		return;
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	log_sink(level, line, log_arg);
}
