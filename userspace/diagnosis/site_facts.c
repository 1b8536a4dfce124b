// SPDX-License-Identifier: GPL-2.0-or-later
/* What a watch says of lines: which are under suspicion, and what points at one while none is. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "diagnosis/facts.h"
#include "model/code.h"
#include "util/text.h"
#include "util/units.h"

enum {
	ENOUGH_TOUCHED = 2 << 20, /* bytes; a page in 64 is sampled */
	ENOUGH_GROWN = 1 << 20,
	CALLERS_SHOWN = 4,
};

/* Of what sizes grow by the smallest and the largest twentieth are left out. */
#define SIZES_EDGE 0.05
#define SIZES_SPAN 5 /* seconds between two looks, at least */

/* The one of GROUP's stacks of which most is left. */
static const struct mw_site_stats *main_stack(const struct mw_label_group *group)
{
	const struct mw_site_stats *most = &group->total;
	double largest = -1;

	for (size_t i = 0; i < group->site_count; i++) {
		const struct mw_site_totals *t = &group->sites[i]->totals;

		if (t->alloc_bytes - t->freed_bytes > largest) {
			largest = t->alloc_bytes - t->freed_bytes;
			most = group->sites[i];
		}
	}
	return most;
}

/* Does LABEL, "server.cc login:12 <- handle:13", have FUNCTION? */
static bool has_function(const char *label, const char *function)
{
	size_t n = strlen(function);

	for (const char *at = label; (at = strstr(at, function)); at++) {
		if ((at == label || at[-1] == ' ') && strchr(" :", at[n]))
			return true;
	}
	return false;
}

/*
 * Who called, in C, what SITE's label names: helpers like zmalloc() and sdsnew() say little by
 * themselves.
 */
static void name_callers(struct mw_fact_site *site, const struct mw_label_group *group)
{
	const struct mw_site_stats *stack = group ? main_stack(group) : NULL;
	char text[MW_TEXT_MAX];
	size_t n = 0, shown = 0;

	for (uint32_t i = 0; stack && i < stack->frame_count && shown < CALLERS_SHOWN; i++) {
		const struct mw_frame *f = &stack->frames[i];
		char line[16] = "";

		if (f->kind == MW_FRAME_PYTHON || !strncmp(f->function, "__libc_start", 12))
			break;
		if (f->kind != MW_FRAME_NATIVE || !f->function[0] || mw_code_of(f) != MW_CODE_OWN)
			continue;
		/* What the label has, and what lies further in. */
		if (has_function(site->label, f->function)) {
			n = shown = 0;
			continue;
		}
		if (f->line)
			snprintf(line, sizeof(line), ":%u", f->line);
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s%s", shown++ ? " <- " : "",
				      f->function, line);
		if (n >= sizeof(text))
			break;
	}
	mw_text_print(site->callers, sizeof(site->callers), "%s", shown ? text : "");
}

static void take_suspect(struct mw_fact_site *site, const struct mw_suspect *suspect)
{
	memset(site, 0, sizeof(*site));
	snprintf(site->label, sizeof(site->label), "%.*s", MW_FACT_NAME - 1, suspect->label);
	snprintf(site->text, sizeof(site->text), "%.*s", (int)sizeof(site->text) - 1,
		 suspect->sentence);
	site->bytes_per_second = suspect->slope;
	site->confidence = suspect->confidence;
	name_callers(site, suspect->group);
}

/*
 * Bytes of the heap for each byte that is kept: blocks of ten bytes take three times as much. As
 * glibc and pymalloc have it; others come near that.
 */
static double room_of(const struct mw_site_stats *site)
{
	const struct mw_site_totals *t = &site->totals;
	double mean = t->kept > 0 ? t->kept_bytes / t->kept : 0, room;

	if (!(mean > 0))
		return 1;
	room = site->flags & MW_SITE_PYTHON ? ceil(mean / 16) * 16
					    : fmax(ceil((mean + 8) / 16) * 16, 32);
	return room / mean;
}

/* What is there, as far as that is known; what is unknown yet goes as what is known. */
static double left_of(const struct mw_label_group *group)
{
	double left = mw_site_held(&group->total.totals) * room_of(&group->total);

	return left > 0 && !(group->total.flags & MW_SITE_RATES_ONLY) ? left : 0;
}

/*
 * What looks at the heap say is there, less one standard deviation. They need not know for how much
 * a window stands.
 */
static double found_of(const struct mw_label_group *group)
{
	const struct mw_site_totals *t = &group->total.totals;
	double found = (t->kept_bytes - sqrt(t->live_variance)) * room_of(&group->total);

	return found > 0 && group->total.flags & MW_SITE_LIVE_KNOWN ? found : 0;
}

static double touched_of(const struct mw_label_group *group)
{
	return group->total.totals.fault_bytes;
}

/* The group with most BYTES, NULL if none has any; those of all into SUM. */
static const struct mw_label_group *most_of(const struct mw_label_groups *groups,
					    double (*bytes)(const struct mw_label_group *),
					    double *sum)
{
	size_t count = groups ? mw_label_groups__count(groups) : 0;
	const struct mw_label_group *most = NULL;
	double largest = 0;

	*sum = 0;
	for (size_t i = 0; i < count; i++) {
		const struct mw_label_group *group = mw_label_groups__at(groups, i);
		double here = bytes(group);

		*sum += here;
		if (here > largest) {
			largest = here;
			most = group;
		}
	}
	return most;
}

static void name_site(struct mw_fact_site *site, const struct mw_label_group *group, double bytes,
		      double seconds)
{
	snprintf(site->label, sizeof(site->label), "%.*s", MW_FACT_NAME - 1, group->label);
	site->python = group->total.flags & MW_SITE_PYTHON;
	site->bytes_per_second = bytes / seconds;
	name_callers(site, group);
}

/* ENOUGH was seen to know how much windows stand for. */
static void find_keeper(struct mw_site_facts *facts, const struct mw_label_groups *groups,
			double seconds, bool enough)
{
	struct mw_fact_site *site = &facts->keeper;
	char one[MW_UNIT_BUF], freed[MW_UNIT_BUF], all[MW_UNIT_BUF];
	double sum;
	const struct mw_label_group *most = most_of(groups, enough ? left_of : found_of, &sum);

	if (!most || !(seconds > 0))
		return;
	name_site(site, most, enough ? left_of(most) : found_of(most), seconds);
	mw_format_size(all, (uint64_t)sum);
	if (enough)
		snprintf(site->text, sizeof(site->text),
			 "%s: %s asked for in %.0f s, %s of it seen freed; all lines together left "
			 "%s (samples)",
			 site->label, mw_format_size(one, (uint64_t)most->total.totals.alloc_bytes),
			 seconds, mw_format_size(freed, (uint64_t)most->total.totals.freed_bytes),
			 all);
	else
		snprintf(site->text, sizeof(site->text),
			 "%s: at least %s of what it asked for in %.0f s is there; of all lines %s "
			 "(looks at the heap)",
			 site->label, mw_format_size(one, (uint64_t)found_of(most)), seconds, all);
	site->confidence = 0.8;
	facts->left = sum / seconds;
}

/*
 * Whoever asks next gets new memory, and touches its pages: that says nothing of a line of which
 * looks know that another one keeps more.
 */
static bool keeps_less_than_others(const struct mw_label_group *group,
				   const struct mw_label_groups *groups)
{
	double sum;
	const struct mw_label_group *most = most_of(groups, found_of, &sum);

	return most && most != group && found_of(most) >= ENOUGH_GROWN;
}

/* The kernel counts page faults all the time, also where probes have seen too little. */
static void find_toucher(struct mw_site_facts *facts, const struct mw_label_groups *groups,
			 double seconds)
{
	struct mw_fact_site *site = &facts->toucher;
	char touched[MW_UNIT_BUF], all[MW_UNIT_BUF];
	double sum;
	const struct mw_label_group *most = most_of(groups, touched_of, &sum);

	if (!most || !(seconds > 0) || touched_of(most) < ENOUGH_TOUCHED ||
	    keeps_less_than_others(most, groups))
		return;
	name_site(site, most, touched_of(most), seconds);
	snprintf(site->text, sizeof(site->text),
		 "%s of %s of new pages were first touched at %s (page faults, %.0f s)",
		 mw_format_size(touched, (uint64_t)touched_of(most)),
		 mw_format_size(all, (uint64_t)sum), site->label, seconds);
}

void mw_site_facts__of(struct mw_site_facts *facts, const struct mw_suspect *suspects, size_t count,
		       const struct mw_suspect *growing, size_t growing_count,
		       const struct mw_label_groups *groups, const struct mw_sample *now)
{
	memset(facts, 0, sizeof(*facts));
	while (facts->count < count && facts->count < MW_FACT_SITES) {
		take_suspect(&facts->list[facts->count], &suspects[facts->count]);
		facts->count++;
	}
	find_keeper(facts, groups, now->elapsed, !now->governed || now->enough);
	find_toucher(facts, groups, now->elapsed);
	/* What Python's allocator asks for has an owner. */
	while (growing_count && growing->site->flags & MW_SITE_PYTHON) {
		growing++;
		growing_count--;
	}
	if (growing_count &&
	    !(groups && growing->group && keeps_less_than_others(growing->group, groups)))
		take_suspect(&facts->mapper, growing);
}

/* The smallest size that is in CLASS of malloc's blocks. */
static uint64_t first_size(size_t class)
{
	uint64_t low = 0, high = 1ULL << 48;

	while (low < high) {
		uint64_t mid = low + (high - low) / 2;

		if (mw_live_class(mid, MW_LIVE_MALLOC) < class)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

void mw_site_facts__add_sizes(struct mw_site_facts *facts, const struct mw_live_bytes *live)
{
	const struct mw_live_look *first = &live->looks[0], *last = first + live->count - 1;
	struct mw_fact_sizes *sizes = &facts->sizes;
	double grown[MW_LIVE_CLASSES], sum = 0, below = 0;

	memset(sizes, 0, sizeof(*sizes));
	if (live->count < 2 || last->time - first->time < SIZES_SPAN)
		return;
	for (size_t i = 0; i < MW_LIVE_CLASSES; i++) {
		grown[i] = last->bytes[i] > first->bytes[i]
				   ? (double)(last->bytes[i] - first->bytes[i])
				   : 0;
		sum += grown[i];
	}
	if (sum < ENOUGH_GROWN)
		return;
	for (size_t i = 0; i < MW_LIVE_CLASSES; below += grown[i++]) {
		if (below <= SIZES_EDGE * sum && below + grown[i] > SIZES_EDGE * sum)
			sizes->from = first_size(i);
		if (below < (1 - SIZES_EDGE) * sum && below + grown[i] >= (1 - SIZES_EDGE) * sum)
			sizes->to = first_size(i + 1) - 1;
	}
	sizes->seconds = last->time - first->time;
	sizes->bytes_per_second = (1 - 2 * SIZES_EDGE) * sum / sizes->seconds;
}
