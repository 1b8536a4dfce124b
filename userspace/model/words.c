// SPDX-License-Identifier: GPL-2.0-or-later
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "model/words.h"
#include "util/units.h"

unsigned int mw_size_row(unsigned int class)
{
	uint64_t low, high;

	mw_class_bounds(class, &low, &high);
	return high <= 16 ? (high ? 1 : 0) : mw_log2(high - 1) - 2;
}

/* "1.0 KiB" is "1 KiB" here: the bounds are powers of two. */
static void drop_fraction(char *text)
{
	for (char *p = text; (p = strstr(p, ".0"));)
		memmove(p, p + 2, strlen(p + 2) + 1);
}

char *mw_size_row_label(char *buf, size_t size, unsigned int row)
{
	char low[MW_UNIT_BUF], high[MW_UNIT_BUF];
	uint64_t end = 8ULL << row;

	if (row <= 1) {
		snprintf(buf, size, "%s", row ? "1 - 16 B" : "0 B");
		return buf;
	}
	mw_format_size(low, end / 2);
	mw_format_size(high, end);
	drop_fraction(low);
	drop_fraction(high);
	snprintf(buf, size, "%s - %s", low, high);
	return buf;
}

const char *mw_place_label(enum mw_place place)
{
	static const char *const labels[] = {"brk heap", "thread arenas", "mmap", "other",
					     "Python's pools"};

	return place < MW_PLACES ? labels[place] : "?";
}

char *mw_reach_format(char *buf, size_t size, const struct mw_sample *now)
{
	if (now->out_of_reach)
		snprintf(buf, size,
			 "no allocator that probes can reach%s%s%s: watching what the kernel gives",
			 now->runtime ? " (a " : "", now->runtime ? now->runtime : "",
			 now->runtime ? " program)" : "");
	else if (now->runtime)
		snprintf(
			buf, size,
			"%s's own heap is out of probes' reach: of it, watching what the kernel gives",
			now->runtime);
	else
		return NULL;
	return buf;
}

char *mw_threshold_cause_format(char *buf, size_t size, const struct mw_event *moved)
{
	char bytes[MW_UNIT_BUF];

	if (moved->cause == MW_MOVED_BY_FREE)
		snprintf(buf, size, "by a free of %s", mw_format_size(bytes, moved->size));
	else
		snprintf(buf, size, "%s",
			 moved->cause == MW_MOVED_BY_MALLOPT ? "by mallopt"
							     : "by something that was not seen");
	return buf;
}

char *mw_event_format(char *buf, size_t size, const struct mw_event *what)
{
	char a[MW_UNIT_BUF], b[MW_UNIT_BUF], by[64];
	int status = (int)what->size;

	buf[0] = '\0';
	switch (what->kind) {
	case MW_EVENT_THRESHOLD:
		snprintf(buf, size, "mmap threshold %s -> %s, %s",
			 mw_format_size(a, what->old_value), mw_format_size(b, what->new_value),
			 mw_threshold_cause_format(by, sizeof(by), what));
		break;
	case MW_EVENT_FORK:
		snprintf(buf, size, "PID %" PRIu32 " forked PID %" PRIu64, what->pid,
			 what->new_value);
		break;
	case MW_EVENT_EXEC:
		snprintf(buf, size, "PID %" PRIu32 " runs a new program", what->pid);
		break;
	case MW_EVENT_EXIT:
		if (WIFSIGNALED(status))
			snprintf(buf, size, "PID %" PRIu32 " ended by signal %d", what->pid,
				 WTERMSIG(status));
		else
			snprintf(buf, size, "PID %" PRIu32 " ended with status %d", what->pid,
				 WEXITSTATUS(status));
		break;
	case MW_EVENT_ALLOCATOR:
		snprintf(buf, size, "PID %" PRIu32 " loaded the allocator %s", what->pid,
			 what->text);
		break;
	}
	return buf;
}

char *mw_outlook_format(char *buf, size_t size, const struct mw_outlook *o, size_t windows,
			double seconds)
{
	char span[MW_UNIT_BUF], seen[64] = "", when[48] = "";

	if (o->state == MW_OUTLOOK_KNOWN)
		return NULL;
	if (o->state == MW_OUTLOOK_NOTHING) {
		snprintf(buf, size, "no suspects yet: no block was seen so far");
		return buf;
	}
	if (windows)
		snprintf(seen, sizeof(seen), "%zu window%s, %.0f blocks followed for ", windows,
			 windows > 1 ? "s" : "", o->survivors);
	if (o->seconds < INFINITY)
		snprintf(when, sizeof(when), "; an answer in about %.0f s", ceil(o->seconds));
	mw_format_duration(span, (uint64_t)(seconds * 1e9));
	snprintf(buf, size, "no suspects yet: %s%s%s", seen, span, when);
	return buf;
}
