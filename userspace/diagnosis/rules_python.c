// SPDX-License-Identifier: GPL-2.0-or-later
/* What Python's own memory tells: objects, cycles, what it keeps of what is free. */
#include <stdio.h>
#include <string.h>

#include "diagnosis/rules_impl.h"

#define TYPE_SHARE   0.01 /* of the objects that come of the first type: fewer go without saying */
#define CYCLES_SHARE 0.3  /* of objects, or of what they grow by: the rest hangs on them */

/* "+40", or what there is more of, as RATE says it where nobody knows the time. */
static const char *more(char buf[MW_PACE_BUF], const struct mw_facts *f, double rate)
{
	char count[MW_UNIT_BUF];

	if (rate < 10)
		snprintf(buf, MW_PACE_BUF, "+%.2g%s", rate, f->undated ? "" : " a second");
	else
		snprintf(buf, MW_PACE_BUF, "+%s%s", mw_format_count(count, (uint64_t)rate),
			 f->undated ? "" : " a second");
	return buf;
}

/* "dict of 30,000" and how fast it grows, or what it retains. */
static void describe(const struct mw_facts *f, const struct mw_fact_holder *holder, char *buf,
		     size_t size)
{
	char pace[MW_PACE_BUF];
	int n = snprintf(buf, size, "%s", holder->type);

	if (holder->length)
		n += snprintf(buf + n, size - (size_t)n, " of %s", COUNT(holder->length));
	if (holder->per_second > 0)
		n += snprintf(buf + n, size - (size_t)n, ", %s", more(pace, f, holder->per_second));
	if (holder->retained >= 0)
		snprintf(buf + n, size - (size_t)n, ", retains %s",
			 SIZE((uint64_t)holder->retained));
}

void mw_cause_show_meanwhile(const struct mw_facts *f, struct mw_cause *c)
{
	const struct mw_fact_holder *first = &f->python.holders[0];
	char holder[160];

	if (!f->python.holder_count || !(first->per_second > 0) || !(c->bytes_per_second > 0) ||
	    mw_facts__part_of_growth(f, MW_SHARE_OBJECTS) > 0)
		return;
	describe(f, first, holder, sizeof(holder));
	mw_cause_show(c, "meanwhile %s (%s) gets longer%s%s (looks)", first->path, holder,
		      first->line[0] ? ", added at " : "", first->line);
}

static void show_growth(const struct mw_facts *f, struct mw_cause *c)
{
	const struct mw_python_facts *py = &f->python;
	char text[MW_CAUSE_TEXT] = "", pace[MW_PACE_BUF];
	size_t n = 0;

	for (size_t i = 0; i < py->grown_count && n < sizeof(text); i++) {
		if (py->grown[i].per_second < TYPE_SHARE * py->grown[0].per_second)
			continue;
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s %s", n ? ", " : "",
				      py->grown[i].name, more(pace, f, py->grown[i].per_second));
	}
	if (n)
		mw_cause_show(c, "by type: %s (%s)", text, f->undated ? "census" : "looks");
	if (f->undated)
		mw_cause_show(c, "%s objects, %s before", COUNT(f->now.objects),
			      COUNT(f->before.objects));
	else
		mw_cause_show(c, "%s objects, %s before (two looks, %.0f s apart)",
			      COUNT(f->now.objects), COUNT(f->before.objects), f->seconds);
}

static void say_objects_grow(const struct mw_facts *f, struct mw_cause *c)
{
	const char *line = c->holder ? c->holder->line : "";
	bool says_more = c->site && strcmp(c->site->label, line) != 0;
	char holder[160] = "";

	if (c->holder)
		describe(f, c->holder, holder, sizeof(holder));
	mw_cause_say(c->text, "Your Python objects %s by %s%s%s%s%s%s%s%s%s%s.",
		     f->undated ? "grew" : "grow", PACE(f, c->bytes_per_second),
		     c->holder ? ": held by " : "", c->holder ? c->holder->path : "",
		     c->holder ? " (" : "", holder, c->holder ? ")" : "",
		     *line ? ", added at " : "", line, says_more ? ", asked for at " : "",
		     says_more ? c->site->label : "");
	show_growth(f, c);
	if (*line)
		mw_cause_show(c, "%.0f %% of %s additions to it that were seen are at %s",
			      100 * (double)c->holder->added / (double)c->holder->of_added,
			      COUNT(c->holder->of_added), line);
	if (c->site)
		mw_cause_show(c, "%s", c->site->text);
	mw_cause_say(c->remedy, c->site || c->holder ? "let go of what is kept there, or bound it"
						     : MW_WATCH_LONGER);
}

static void say_objects_are_there(const struct mw_facts *f, struct mw_cause *c)
{
	char holder[160];

	mw_cause_say(c->text, "%.0f %% is your Python objects: %s objects.",
		     100 * mw_facts__share(f, c->bytes), COUNT(f->now.objects));
	if (!c->holder) {
		mw_cause_say(c->remedy,
			     "look for the container that keeps them: memwhere retained");
		return;
	}
	describe(f, c->holder, holder, sizeof(holder));
	mw_cause_say(c->text, "%.0f %% is your Python objects; %s (%s) is the largest holder.",
		     100 * mw_facts__share(f, c->bytes), c->holder->path, holder);
	for (size_t i = 1; i < f->python.holder_count; i++) {
		describe(f, &f->python.holders[i], holder, sizeof(holder));
		mw_cause_show(c, "then %s (%s)", f->python.holders[i].path, holder);
	}
	mw_cause_say(c->remedy, "let go of what %s keeps, or bound it", c->holder->path);
	c->remedy_known = c->holder->retained > 0;
	c->remedy_bytes = c->remedy_known ? (uint64_t)c->holder->retained : 0;
}

/*
 * What holds the objects, or, if GROWING, those that came. Each element of a container that grows
 * brings some objects with it, but not hundreds.
 */
static const struct mw_fact_holder *holder_of(const struct mw_facts *f, bool growing)
{
	double objects = ((double)f->now.objects - (double)f->before.objects) / f->seconds;
	const struct mw_fact_holder *first = &f->python.holders[0];

	if (!f->python.holder_count)
		return NULL;
	return !growing || mw_facts__knows_holder(f) ||
			       (first->per_second > 0 && first->per_second > objects / 100)
		       ? first
		       : NULL;
}

/* The collector's list of what it could not free; NULL: it holds little. */
static const struct mw_fact_holder *garbage_of(const struct mw_facts *f)
{
	for (size_t i = 0; i < f->python.holder_count; i++) {
		const struct mw_fact_holder *holder = &f->python.holders[i];

		if (!strcmp(holder->path, "gc.garbage") && holder->retained > 0)
			return holder;
	}
	return NULL;
}

/* By how much cycles grow: where they are a good part of all growth they are its cause. */
static double cycles_rate(const struct mw_facts *f)
{
	double all = mw_facts__part_of_growth(f, MW_SHARE_OBJECTS), own = f->python.cycle_rate;

	/* Not known: as many as there are may have come in that time, where nobody collects. */
	if (!f->python.cycle_rate_known && f->seconds > 0)
		own = (double)f->python.cycle_bytes / f->seconds;
	return own > CYCLES_SHARE * all ? all : 0;
}

bool mw_find_python_objects(const struct mw_facts *f, struct mw_cause *c)
{
	const struct mw_python_facts *py = &f->python;
	double rate = mw_facts__part_of_growth(f, MW_SHARE_OBJECTS);

	c->bytes = mw_without(f->now.shares[MW_SHARE_OBJECTS],
			      py->cycle_bytes +
				      (garbage_of(f) ? (uint64_t)garbage_of(f)->retained : 0));
	if (cycles_rate(f) > 0)
		rate = 0;
	if (!py->version[0] || (!rate && mw_facts__share(f, c->bytes) < MW_DOMINANT))
		return false;
	if (!rate &&
	    (double)py->cycle_bytes > CYCLES_SHARE * (double)f->now.shares[MW_SHARE_OBJECTS])
		return false;
	c->bytes_per_second = rate;
	c->holder = holder_of(f, rate > 0);
	c->site = rate > 0 ? mw_facts__line(f, true) : NULL;
	if (!c->site && rate > 0)
		c->site = mw_facts__line(f, false);
	c->confidence = !rate							? 0.75
			: c->holder || (c->site && c->site != &f->sites.keeper) ? 0.95
										: 0.85;
	if (rate > 0)
		say_objects_grow(f, c);
	else
		say_objects_are_there(f, c);
	mw_cause_show(c, "%s of %s resident are live Python objects and what they own (census)",
		      SIZE(c->bytes), SIZE(f->now.resident));
	if (py->type_count)
		mw_cause_show(c, "most bytes: %s (%s of them, %s)", py->types[0].name,
			      COUNT(py->types[0].count), SIZE(py->types[0].bytes));
	return true;
}

/* Python 2 frees no cycle with a __del__ in it (Doc/library/gc.rst of 2.7); a program may, too. */
static bool find_garbage(const struct mw_facts *f, struct mw_cause *c)
{
	c->holder = garbage_of(f);
	if (!c->holder || !mw_facts__worth(f, (uint64_t)c->holder->retained))
		return false;
	c->bytes = (uint64_t)c->holder->retained;
	c->confidence = 0.9;
	mw_cause_say(
		c->text,
		"%s is objects in cycles that the collector found and could not free: %s are in "
		"gc.garbage.",
		SIZE(c->bytes), COUNT(c->holder->length));
	mw_cause_show(c, "the list gc.garbage and what only it refers to (graph)");
	mw_cause_say(c->remedy, "break the cycles of objects with a __del__ (weakref), or del "
				"gc.garbage[:] after taking the references apart");
	c->remedy_known = true;
	c->remedy_bytes = c->bytes;
	return true;
}

bool mw_find_cycles(const struct mw_facts *f, struct mw_cause *c)
{
	const struct mw_python_facts *py = &f->python;

	if (find_garbage(f, c))
		return true;
	c->holder = NULL;
	c->bytes = py->cycle_bytes;
	if (!mw_facts__worth(f, c->bytes))
		return false;
	c->bytes_per_second = cycles_rate(f);
	c->confidence = 0.9;
	mw_cause_say(
		c->text,
		"%s is held by %s Python objects that refer to each other, and nothing refers to them.",
		SIZE(c->bytes), COUNT(py->cycle_objects));
	if (mw_facts__collector_lags(f))
		mw_cause_show(
			c,
			"%s objects are in the collector's youngest generation: it is off, or its "
			"threshold is far up",
			COUNT(py->young));
	mw_cause_show(
		c,
		"as gc.collect() counts them; bytes with what only they refer to (memwhere leaks)");
	if (py->uncollectable)
		mw_cause_show(c, "%s of them have a __del__ and would go to gc.garbage (Python 2)",
			      COUNT(py->uncollectable));
	mw_cause_say(c->remedy,
		     "gc.collect() frees them; see whether the collector is off (gc.disable()), or "
		     "its threshold far up");
	c->remedy_known = !py->uncollectable;
	c->remedy_bytes = c->bytes;
	return true;
}

bool mw_find_free_blocks(const struct mw_facts *f, struct mw_cause *c)
{
	const struct mw_python_facts *py = &f->python;

	c->bytes = py->free_blocks + py->free_pools;
	c->bytes_per_second = mw_facts__part_of_growth(f, MW_SHARE_PYTHON_FREE);
	if (!mw_facts__worth(f, c->bytes))
		return false;
	c->confidence = 0.9;
	mw_cause_say(
		c->text,
		"%s is free but held by Python: live blocks in almost every arena keep it from going back.",
		SIZE(c->bytes));
	mw_cause_show(
		c,
		"%s free in pools that are in use, %s in pools that are empty (pymalloc's lists)",
		SIZE(py->free_blocks), SIZE(py->free_pools));
	mw_cause_show(c, "%s of arenas; one is given back only when every pool of it is empty",
		      SIZE(py->arena_bytes));
	mw_cause_say(
		c->remedy,
		"it is used again by objects of these sizes; to give it back, do what made the peak in a "
		"process of its own, or free what pins the arenas (memwhere arenas)");
	c->remedy_known = true;
	c->remedy_bytes = c->bytes;
	return true;
}

bool mw_find_parked(const struct mw_facts *f, struct mw_cause *c)
{
	c->bytes = f->python.parked;
	if (!mw_facts__worth(f, c->bytes))
		return false;
	c->confidence = 0.9;
	mw_cause_say(c->text, "%s is dead objects that Python keeps for reuse.", SIZE(c->bytes));
	mw_cause_show(c, "%s objects in free lists (memwhere freelists)",
		      COUNT(f->python.parked_objects));
	mw_cause_say(c->remedy, "gc.collect() empties most free lists");
	c->remedy_known = true;
	c->remedy_bytes = c->bytes;
	return true;
}
