/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Notes from the lower floors: evidence and costs (MW_LOG_DETAIL, shown with -v) and things a
 * user should know although the work goes on (MW_LOG_WARN). cmd/ decides where
 * they go: stderr, the screen's log, nowhere.
 */
#ifndef MW_UTIL_LOG_H
#define MW_UTIL_LOG_H

enum mw_log_level { MW_LOG_WARN, MW_LOG_DETAIL };

typedef void (*mw_log_sink_fn)(enum mw_log_level level, const char *line, void *arg);

/* Set the process-wide sink; SINK may be NULL (drop everything, the default). */
void mw_log_set_sink(mw_log_sink_fn sink, void *arg);

void mw_log(enum mw_log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define mw_warn(...)   mw_log(MW_LOG_WARN, __VA_ARGS__)
#define mw_detail(...) mw_log(MW_LOG_DETAIL, __VA_ARGS__)

#endif
