/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What reports and the screen call things: rows of sizes, events. Pure text, no output. */
#ifndef MW_MODEL_WORDS_H
#define MW_MODEL_WORDS_H

#include "model/sample.h"
#include "model/suspects.h"

/* Classes join into rows that double: 0, 1-16, 17-32, 33-64, … */
enum { MW_SIZE_ROWS = 64 };

unsigned int mw_size_row(unsigned int class);

/* The largest request of ROW, bytes. */
static inline uint64_t mw_size_row_end(unsigned int row)
{
	return row ? row >= 61 ? UINT64_MAX : 8ULL << row : 0;
}

/* "64 KiB - 128 KiB" into BUF of SIZE bytes; returns BUF. */
char *mw_size_row_label(char *buf, size_t size, unsigned int row);

/* "brk heap", "thread arenas", "mmap", "other": mw_place_name() for people. */
const char *mw_place_label(enum mw_place place);

/*
 * Of a target that has a heap which no probe reaches: one line that says so, into BUF of SIZE
 * bytes; NULL: it has none.
 */
char *mw_reach_format(char *buf, size_t size, const struct mw_sample *now);

/* "by a free of 304.0 KiB", or what else MOVED a threshold, into BUF of SIZE bytes; returns BUF. */
char *mw_threshold_cause_format(char *buf, size_t size, const struct mw_event *moved);

/* "mmap threshold 128.0 KiB -> 1.0 MiB, by a free of …" into BUF of SIZE bytes; returns BUF. */
char *mw_event_format(char *buf, size_t size, const struct mw_event *what);

/*
 * Of suspects that nobody can name yet: what is known after SECONDS, in so many WINDOWS (0: probes
 * stay in), and when more will be. NULL: what stands out is named.
 */
char *mw_outlook_format(char *buf, size_t size, const struct mw_outlook *outlook, size_t windows,
			double seconds);

#endif
