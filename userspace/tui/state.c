// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tui/state.h"
#include "util/array.h"
#include "util/text.h"

/* The place of the next element; a full history first drops its oldest quarter. */
static void *next_of(void *list, size_t *count, size_t max, size_t size)
{
	if (*count == max) {
		size_t gone = max / 4;

		memmove(list, (char *)list + gone * size, (max - gone) * size);
		*count -= gone;
	}
	return (char *)list + (*count)++ * size;
}

void mw_tui_target__add_point(struct mw_tui_target *t)
{
	struct mw_tui_point *p = next_of(t->points, &t->point_count, MW_TUI_POINTS, sizeof(*p));
	const struct mw_vm_counts *vm = &t->now.counts.vm;
	double span = t->now.elapsed - t->last.elapsed;
	bool known = !mw_tui_is_too_little(&t->now) && !mw_tui_is_too_little(&t->last);
	struct mw_cell now = mw_counts__alloc(&t->now.counts);
	struct mw_cell last = mw_counts__alloc(&t->last.counts);

	if (!(span > 0))
		span = 1;
	*p = (struct mw_tui_point){
		.elapsed = t->now.elapsed,
		.rss = (double)t->now.rss,
		.brk = (double)vm->brk_grown - (double)vm->brk_shrunk,
		.mmapped = (double)(vm->mmap.bytes + vm->mremap_grown) -
			   (double)(vm->munmap.bytes + vm->mremap_shrunk),
		.minor = (double)(t->now.min_flt - t->last.min_flt) / span,
		.major = (double)(t->now.maj_flt - t->last.maj_flt) / span,
		.allocs = known ? (double)(now.count - last.count) / span : NAN,
	};
}

/* Percent of the target's CPU time between the two latest samples. */
static double cost_of(const struct mw_tui_target *t, enum mw_mode mode)
{
	uint64_t cpu = t->now.cpu_ns - t->last.cpu_ns;
	uint64_t probes = t->now.probe_ns - t->last.probe_ns;

	if (mode == MW_MODE_GROWTH)
		return -1;
	if (t->now.governed)
		return 100 * t->now.cost;
	if (!cpu)
		return 0;
	return probes > cpu ? 100 : 100.0 * (double)probes / (double)cpu;
}

void mw_tui_target__add_sample(struct mw_tui_target *t, const struct mw_watch_target *from,
			       enum mw_mode mode)
{
	bool first = !t->point_count;

	t->last = first ? from->now : t->now;
	t->now = from->now;
	if (first)
		t->rss_first = t->rss_baseline = t->now.rss;
	t->uptime = from->uptime;
	/* Of a process that has ended, the memory it last had stays. */
	if (t->now.ended) {
		t->ended_at = t->now.elapsed;
		t->now.rss = t->last.rss;
	}
	t->cost = cost_of(t, mode);
	mw_tui_target__add_point(t);
	snprintf(t->name, sizeof(t->name), "%s", from->name);
	t->growth = from->looked.growth;
	for (size_t i = 0; i < from->event_count; i++)
		mw_tui_target__add_event(t, &from->events[i]);
}

/* The entries; which mappings are unknown is not shown. */
static int copy_ledger(struct mw_ledger *to, const struct mw_ledger *from)
{
	*to = *from;
	to->unknowns = NULL;
	to->unknown_count = to->unknown_capacity = 0;
	to->entries = calloc(from->count + 1, sizeof(*to->entries));
	to->capacity = from->count + 1;
	if (!to->entries) {
		memset(to, 0, sizeof(*to));
		return -1;
	}
	memcpy(to->entries, from->entries, from->count * sizeof(*to->entries));
	return 0;
}

static void copy_survey(struct mw_tui_survey *to, const struct mw_tui_survey *from)
{
	mw_ledger__free(&to->ledger);
	*to = *from;
	if (copy_ledger(&to->ledger, &from->ledger))
		to->known = false;
}

void mw_tui_target__add_survey(struct mw_tui_target *t, struct mw_tui_survey *survey)
{
	struct mw_tui_split_point *p;

	mw_ledger__free(&t->survey.ledger);
	t->survey = *survey;
	t->survey.known = true;
	memset(survey, 0, sizeof(*survey));
	if (!t->first_survey.known)
		copy_survey(&t->first_survey, &t->survey);
	p = next_of(t->splits, &t->split_count, MW_TUI_SPLITS, sizeof(*p));
	p->elapsed = t->survey.elapsed;
	memcpy(p->parts, t->survey.parts, sizeof(p->parts));
}

/* Growth is what happened in so many seconds, if the watch lasts that long. */
#define LOOK_BACK 120

/* How resident memory went in the second half of the last SECONDS. */
static void add_later(struct mw_tui_target *t, double seconds)
{
	struct mw_series rss = {0};
	double end, last = -INFINITY;

	if (!t->point_count)
		return;
	end = t->points[t->point_count - 1].elapsed;
	for (size_t i = 0; i < t->point_count; i++) {
		const struct mw_tui_point *p = &t->points[i];

		if (p->elapsed < end - seconds / 2 || p->elapsed - last < seconds / MW_SERIES_MAX)
			continue;
		last = p->elapsed;
		mw_series__add(&rss, p->elapsed, p->rss);
	}
	if (rss.n > 1 && rss.t[rss.n - 1] - rss.t[0] >= 2)
		mw_facts__set_later(&t->facts, &rss);
}

void mw_tui_target__add_facts(struct mw_tui_target *t, const struct mw_facts *facts, double elapsed)
{
	size_t last = t->moment_count - 1, before = 0;
	struct mw_tui_moment *p;

	p = t->moment_count && t->moments[last].elapsed == elapsed
		    ? &t->moments[last]
		    : next_of(t->moments, &t->moment_count, MW_TUI_MOMENTS, sizeof(*p));
	p->elapsed = elapsed;
	p->facts = *facts;
	while (t->moments[before].elapsed < elapsed - LOOK_BACK)
		before++;
	t->facts = *facts;
	t->facts.live = t->facts.watched = true;
	t->facts.sites = t->sites.facts;
	t->facts.threshold_was = t->threshold_was;
	if (elapsed > t->moments[before].elapsed)
		mw_facts__since(&t->facts, &t->moments[before].facts,
				elapsed - t->moments[before].elapsed);
	mw_facts__add_looks(&t->facts, &t->growth);
	add_later(t, t->facts.seconds);
	mw_diagnose(&t->facts, &t->diagnosis);
}

void mw_tui_target__add_event(struct mw_tui_target *t, const struct mw_event *what)
{
	struct mw_event *p = next_of(t->events, &t->event_count, MW_TUI_EVENTS, sizeof(*p));

	*p = *what;
	if (what->kind == MW_EVENT_THRESHOLD && !t->threshold_was)
		t->threshold_was = what->old_value;
}

/* Allocations per second between the last two points of a site's history. */
static double rate_of(const struct mw_site_stats *site)
{
	const struct mw_site_point *last, *before;

	if (site->point_count < 2)
		return 0;
	last = &site->points[site->point_count - 1];
	before = last - 1;
	return last->elapsed > before->elapsed && last->allocs > before->allocs
		       ? (last->allocs - before->allocs) / (last->elapsed - before->elapsed)
		       : 0;
}

static struct mw_tui_amounts amounts_of(const struct mw_site_stats *site)
{
	bool rates_only = site->flags & MW_SITE_RATES_ONLY;

	return (struct mw_tui_amounts){
		.rates_only = rates_only,
		.unscaled = site->flags & MW_SITE_UNSCALED,
		.kept = rates_only ? 0 : mw_site_outstanding(site),
		.freed = rates_only ? 0 : site->totals.freed_bytes,
		.unknown = rates_only ? site->totals.alloc_bytes : site->totals.unknown_bytes,
		.error = rates_only ? 0 : mw_site_error(site),
		.growth = mw_site_growth(site),
		.bytes = site->totals.alloc_bytes,
		.faults = site->totals.fault_bytes,
		.allocs = site->totals.allocs,
		.rate = rate_of(site),
	};
}

static int copy_group(struct mw_tui_sites *out, const struct mw_label_group *group)
{
	if (mw_array_reserve(&out->stacks, &out->stack_capacity,
			     out->stack_count + group->site_count, sizeof(*out->stacks)) ||
	    mw_array_reserve(&out->list, &out->capacity, out->count + 1, sizeof(*out->list)))
		return -ENOMEM;
	out->list[out->count++] = (struct mw_tui_site){
		.id = group->total.id,
		.label = group->label,
		.amounts = amounts_of(&group->total),
		.types = group->total.types,
		.first = out->stack_count,
		.stack_count = group->site_count,
	};
	for (size_t i = 0; i < group->site_count; i++) {
		const struct mw_site_stats *site = group->sites[i];

		out->stacks[out->stack_count++] = (struct mw_tui_stack){
			.id = site->id,
			.frame_count = site->frame_count,
			.frames = site->frames,
			.amounts = amounts_of(site),
		};
	}
	return 0;
}

int mw_tui_sites__copy(struct mw_tui_sites *out, const struct mw_label_groups *groups)
{
	int ret = 0;

	out->count = out->stack_count = 0;
	for (size_t i = 0; !ret && i < mw_label_groups__count(groups); i++) {
		const struct mw_label_group *group = mw_label_groups__at(groups, i);

		if (group->site_count)
			ret = copy_group(out, group);
	}
	return ret;
}

void mw_tui_sites__clear(struct mw_tui_sites *sites)
{
	free(sites->list);
	free(sites->stacks);
	memset(sites, 0, sizeof(*sites));
}

void mw_tui_sites__copy_suspects(struct mw_tui_sites *out, const struct mw_watch_target *from)
{
	const struct mw_suspect *suspects = from->suspects;

	snprintf(out->growing, sizeof(out->growing), "%s",
		 from->growing_count ? from->growing[0].sentence : "");
	mw_site_facts__of(&out->facts, suspects, from->suspect_count, from->growing,
			  from->growing_count, from->groups, &from->now);
	mw_site_facts__add_sizes(&out->facts, &from->looked.live[MW_LAYER_MALLOC].looks);
	out->suspect_count = from->suspect_count;
	out->outlook = from->outlook;
	for (size_t i = 0; i < out->suspect_count; i++) {
		out->suspects[i].site =
			suspects[i].group ? suspects[i].group->total.id : suspects[i].site->id;
		out->suspects[i].first_seen = suspects[i].site->first_seen;
		snprintf(out->suspects[i].sentence, sizeof(out->suspects[i].sentence), "%s",
			 suspects[i].sentence);
	}
}

void mw_tui_target__set_baseline(struct mw_tui_target *t)
{
	t->baseline = t->now;
	t->rss_baseline = t->now.rss;
	if (t->survey.known)
		copy_survey(&t->baseline_survey, &t->survey);
}

void mw_tui_state__add_log(struct mw_tui_state *state, enum mw_log_level level, const char *line)
{
	struct mw_tui_log_line *p =
		next_of(state->log, &state->log_count, MW_TUI_LOG_LINES, sizeof(*p));

	p->level = level;
	mw_text_clean(p->text, sizeof(p->text), line, strlen(line));
	state->log_total++;
}

void mw_tui_state__clear(struct mw_tui_state *state)
{
	for (size_t i = 0; i < state->target_count; i++) {
		mw_tui_sites__clear(&state->targets[i].sites);
		mw_ledger__free(&state->targets[i].survey.ledger);
		mw_ledger__free(&state->targets[i].first_survey.ledger);
		mw_ledger__free(&state->targets[i].baseline_survey.ledger);
	}
	free(state->targets);
	state->targets = NULL;
	state->target_count = 0;
}
