// SPDX-License-Identifier: GPL-2.0-or-later
/* Who keeps Python's objects: by looks of a watch, or by the graph of references. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "diagnosis/facts.h"
#include "graph/graph.h"
#include "graph/leaks.h"

enum {
	LEAST_RETAINED = 1 << 20, /* bytes */
	QUICK = 10000000,	  /* objects: the references of more take seconds */
};

static void add_line(struct mw_fact_holder *holder, const struct mw_grown_holder *from)
{
	for (size_t i = 0; i < from->changer_count; i++)
		holder->of_added += from->changers[i].added;
	if (!holder->of_added)
		return;
	holder->added = from->changers[0].added;
	snprintf(holder->line, sizeof(holder->line), "%.*s", MW_FACT_NAME - 1,
		 from->changers[0].label);
}

/* Of what the objects grew by. */
static const double HOLDS_MOST = 0.3;

bool mw_facts__knows_holder(const struct mw_facts *facts)
{
	uint64_t now = facts->now.shares[MW_SHARE_OBJECTS];
	uint64_t before = facts->before.shares[MW_SHARE_OBJECTS];

	return facts->python.holder_count && now > before &&
	       (double)facts->python.holders[0].grown > HOLDS_MOST * (double)(now - before);
}

static int by_growth(const void *a, const void *b)
{
	const struct mw_fact_holder *x = a, *y = b;

	return x->grown < y->grown ? 1 : -(x->grown > y->grown);
}

/* What was not among the holders before retained no more than the least of them. */
static void measure_growth(struct mw_fact_holder *holder, const struct mw_python_facts *before,
			   double seconds)
{
	int64_t was = before->holders_above ? (int64_t)before->holders_above : INT64_MAX;

	for (size_t i = 0; i < before->holder_count; i++) {
		const struct mw_fact_holder *same = &before->holders[i];

		if (same->addr != holder->addr)
			continue;
		was = same->retained;
		if (holder->length > same->length)
			holder->per_second = (double)(holder->length - same->length) / seconds;
	}
	holder->grown = holder->retained > was ? (uint64_t)(holder->retained - was) : 0;
}

static void compare_cycles(struct mw_python_facts *py, const struct mw_python_facts *before,
			   double seconds)
{
	uint64_t now = py->cycle_bytes, was = before->cycle_bytes;

	py->cycle_rate = now > was ? (double)(now - was) / seconds : 0;
	py->cycle_rate_known = true;
}

void mw_facts__since(struct mw_facts *facts, const struct mw_facts *before, double seconds)
{
	struct mw_python_facts *py = &facts->python;

	facts->before = before->now;
	facts->seconds = seconds;
	/* In a process they are looked for where the collector lags. */
	if (mw_facts__collector_lags(before) && mw_facts__collector_lags(facts))
		compare_cycles(py, &before->python, seconds);
	for (size_t i = 0; i < py->holder_count; i++)
		measure_growth(&py->holders[i], &before->python, seconds);
	qsort(py->holders, py->holder_count, sizeof(py->holders[0]), by_growth);
	if (!mw_facts__knows_holder(facts))
		return;
	/* The others may be parts of it. */
	py->holder_count = 1;
}

static void take_holder(struct mw_fact_holder *holder, const struct mw_grown_holder *from)
{
	*holder = (struct mw_fact_holder){.length = from->length,
					  .per_second = from->length_per_second,
					  .retained = from->retained_bytes,
					  .addr = from->addr};
	if (from->path[0])
		snprintf(holder->path, sizeof(holder->path), "%.*s", MW_FACT_NAME - 1, from->path);
	else
		snprintf(holder->path, sizeof(holder->path), "what lies at 0x%" PRIx64, from->addr);
	snprintf(holder->type, sizeof(holder->type), "%s", from->type);
	add_line(holder, from);
}

/* Is the way to INNER that to HOLDER and goes on? */
static bool lies_in(const struct mw_grown_holder *inner, const struct mw_fact_holder *holder)
{
	size_t n = strlen(holder->path);

	return n && !strncmp(inner->path, holder->path, n) && strchr(" .[", inner->path[n]) &&
	       inner->path[n];
}

/*
 * References know who holds, looks which line adds. What two containers keep is retained by
 * whatever holds both, a frame or a coroutine: of these the container that grows says more.
 */
static void add_lines(struct mw_python_facts *py, const struct mw_look_growth *growth)
{
	for (size_t i = 0; i < py->holder_count; i++) {
		struct mw_fact_holder *holder = &py->holders[i];
		const struct mw_grown_holder *inner = NULL;
		bool found = false;

		for (size_t k = 0; k < growth->holder_count && !found; k++) {
			const struct mw_grown_holder *grown = &growth->holders[k];

			found = grown->addr == holder->addr;
			if (found)
				add_line(holder, grown);
			else if (!inner && lies_in(grown, holder))
				inner = grown;
		}
		if (!found && inner && !(holder->per_second > 0)) {
			uint64_t bytes = holder->grown;

			take_holder(holder, inner);
			holder->grown = bytes;
		}
	}
}

void mw_facts__add_looks(struct mw_facts *facts, const struct mw_look_growth *growth)
{
	struct mw_python_facts *py = &facts->python;

	py->grown_count = 0;
	if (mw_facts__knows_holder(facts))
		add_lines(py, growth);
	/* Without any that grows, those that retain most stay. */
	if (growth->holder_count && !mw_facts__knows_holder(facts))
		py->holder_count = 0;
	for (size_t i = 0; i < growth->holder_count && !mw_facts__knows_holder(facts) &&
			   py->holder_count < MW_FACT_HOLDERS;
	     i++) {
		const struct mw_grown_holder *from = &growth->holders[i];
		struct mw_fact_holder *holder = &py->holders[py->holder_count];

		/* In a large program what leads there is not known at first, but the line is. */
		if (!from->path[0] && !from->changer_count)
			continue;
		take_holder(holder, from);
		py->holder_count++;
	}
	for (size_t i = 0; i < growth->type_count && py->grown_count < MW_FACT_GROWN; i++) {
		struct mw_fact_growth *grown = &py->grown[py->grown_count++];

		snprintf(grown->name, sizeof(grown->name), "%s", growth->types[i].name);
		grown->per_second = growth->types[i].count_per_second;
	}
}

/* The containers that have more elements, or, if there is none, who holds more. */
static void add_rows(struct mw_python_facts *py, const struct mw_diff_list *list)
{
	for (size_t i = 0; i < list->count && py->holder_count < MW_FACT_HOLDERS; i++) {
		const struct mw_diff_row *row = &list->rows[i];
		struct mw_fact_holder *holder = &py->holders[py->holder_count];

		if (mw_diff_count(row) <= 0 || mw_diff_bytes(row) <= 0)
			continue;
		*holder = (struct mw_fact_holder){.length = row->after.count,
						  .per_second = (double)mw_diff_count(row),
						  .retained = (int64_t)row->after.bytes,
						  .grown = (uint64_t)mw_diff_bytes(row)};
		snprintf(holder->path, sizeof(holder->path), "%.*s", MW_FACT_NAME - 1, row->name);
		snprintf(holder->type, sizeof(holder->type), "%.*s", (int)sizeof(holder->type) - 1,
			 row->detail);
		py->holder_count++;
	}
}

static void add_types(struct mw_python_facts *py, const struct mw_diff_list *list)
{
	py->grown_count = 0;
	for (size_t i = 0; i < list->count && py->grown_count < MW_FACT_GROWN; i++) {
		const struct mw_diff_row *row = &list->rows[i];
		struct mw_fact_growth *grown = &py->grown[py->grown_count];

		if (mw_diff_count(row) <= 0)
			continue;
		snprintf(grown->name, sizeof(grown->name), "%.*s", (int)sizeof(grown->name) - 1,
			 row->name);
		grown->per_second = (double)mw_diff_count(row);
		py->grown_count++;
	}
}

void mw_facts__compare(struct mw_facts *facts, const struct mw_facts *before,
		       const struct mw_diff *diff)
{
	struct mw_python_facts *py = &facts->python;

	facts->before = before->now;
	facts->undated = true;
	facts->seconds = 1;
	facts->other_program = diff->other_program;
	snprintf(facts->earlier, sizeof(facts->earlier), "%s", before->target);
	compare_cycles(py, &before->python, 1);
	py->holder_count = 0;
	add_rows(py, &diff->lists[MW_STOCK_CONTAINERS]);
	if (!py->holder_count)
		add_rows(py, &diff->lists[MW_STOCK_HELD]);
	add_types(py, &diff->lists[MW_STOCK_TYPES]);
}

static int add_top(struct mw_facts *facts, struct mw_python *py, struct mw_graph *graph,
		   const struct mw_graph_top *top)
{
	struct mw_fact_holder *holder = &facts->python.holders[facts->python.holder_count];
	const struct mw_py_type *type = mw_python__type(py, top->type);
	char *path = malloc(MW_GRAPH_TEXT_MAX);
	int ret;

	if (!path)
		return -ENOMEM;
	ret = mw_graph__path(graph, top->addr, path, MW_GRAPH_TEXT_MAX);
	if (!ret) {
		*holder = (struct mw_fact_holder){.retained = (int64_t)top->retained.bytes,
						  .addr = top->addr};
		snprintf(holder->path, sizeof(holder->path), "%.*s", MW_FACT_NAME - 1, path);
		mw_python_type_name(type, holder->type, sizeof(holder->type));
		mw_python__length(py, top->addr, &holder->length);
		facts->python.holder_count++;
	}
	free(path);
	return ret == -ENOMEM ? ret : 0;
}

/* In a process that runs on, what moves looks like it, too. */
static int add_leaks(struct mw_facts *facts, struct mw_graph *graph, const struct mw_survey *survey,
		     struct mw_err *err)
{
	struct mw_leaks leaks;
	int ret = mw_leaks__find(&leaks, graph, &survey->heaps, err);

	if (!ret) {
		facts->python.cycle_objects = leaks.cycles.count;
		facts->python.cycle_bytes = leaks.freed_bytes;
		facts->python.uncollectable = leaks.uncollectable;
	}
	if (!ret && mw_image__is_still(survey->image)) {
		facts->heap.leaked = leaks.block_bytes;
		facts->heap.leaked_blocks = leaks.block_count;
	}
	mw_leaks__free(&leaks);
	return ret;
}

/* What retains most. */
static int add_tops(struct mw_facts *facts, struct mw_python *py, struct mw_graph *graph,
		    struct mw_err *err)
{
	uint64_t least = facts->now.shares[MW_SHARE_OBJECTS] / 20;
	struct mw_graph_top *top = NULL;
	size_t count = 0;
	int ret = mw_graph__dominate(graph, err);

	if (least < LEAST_RETAINED)
		least = LEAST_RETAINED;
	if (!ret && mw_graph__top(graph, least, &top, &count))
		ret = mw_err_no_memory(err, facts->target);
	facts->python.holder_count = 0;
	facts->python.holders_above =
		count > MW_FACT_HOLDERS ? top[MW_FACT_HOLDERS - 1].retained.bytes : least;
	for (size_t i = 0; !ret && i < count && facts->python.holder_count < MW_FACT_HOLDERS; i++) {
		if (add_top(facts, py, graph, &top[i]))
			ret = mw_err_no_memory(err, facts->target);
	}
	free(top);
	return ret;
}

int mw_facts__add_graph(struct mw_facts *facts, struct mw_survey *survey, struct mw_err *err)
{
	bool still = mw_image__is_still(survey->image), python = facts->python.version[0];
	struct mw_py_census census;
	struct mw_graph *graph;
	struct mw_python *py;
	struct mw_err why;
	int ret = 0;

	if (!still && facts->now.objects > QUICK)
		return 0;
	/* Of a process that runs on, C's blocks don't tell. */
	py = still || python ? mw_survey__blocks(survey, &census, &why) : NULL;
	if (!py)
		return 0;
	graph = mw_graph__build(survey->image, py, &why);
	/* Without references there is still the rest of the answer. */
	if (!graph)
		return errno == ENOMEM ? mw_err_no_memory(err, facts->target) : 0;
	if (python)
		ret = add_tops(facts, py, graph, err);
	if (!ret && (still || mw_facts__collector_lags(facts)))
		ret = add_leaks(facts, graph, survey, err);
	mw_graph__free(graph);
	return ret;
}
