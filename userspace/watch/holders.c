// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdlib.h>
#include <string.h>

#include "graph/graph.h"
#include "util/clock.h"
#include "watch/holders.h"

/*
 * All references of 10 million objects take some seconds. So in small programs whatever grows is
 * traced back, though not more often than once in half a minute; in others what grows most, and
 * much more seldom, or what is suspect.
 */
enum { SMALL = 1 << 20 }; /* objects */
#define SELDOM	    30.0  /* seconds */
#define VERY_SELDOM 300.0
#define SOON	    5.0 /* where a chain's first object was not found */

static const struct mw_holder_name *find(const struct mw_holders *holders, uint64_t addr)
{
	for (size_t i = 0; i < holders->count; i++) {
		if (holders->names[i].addr == addr)
			return &holders->names[i];
	}
	return NULL;
}

/* ---- chains: instances that refer to one another ------------------------------------------- */

/* A chain has so many at least, and its way passes so many of them. ob_type of struct _object. */
enum { CHAIN_MIN = 256, LINKS_MIN = 3, OB_TYPE = 8 };
/* Of what a type grows by: containers that hold less don't explain it. */
static const double EXPLAINED = 0.5;

static const struct mw_chain_name *find_chain(const struct mw_holders *holders,
					      const struct mw_grown_type *type)
{
	for (size_t i = 0; i < holders->chain_count; i++) {
		if (!strcmp(holders->chains[i].type, type->name) &&
		    !strcmp(holders->chains[i].module, type->module))
			return &holders->chains[i];
	}
	return NULL;
}

static bool may_be_chain(const struct mw_look_growth *growth, const struct mw_grown_type *type)
{
	return type->count >= LINKS_MIN && type->count_per_second > 0 &&
	       mw_look_growth__held(growth, type->name) < EXPLAINED * type->count_per_second;
}

/* Search for an object of a type: the one in the middle, by address. */
struct middle {
	struct mw_python *py;
	const struct mw_grown_type *type;
	int32_t number; /* of the type; -1: not met yet */
	uint64_t count, addr, wanted;
};

static int meet(void *arg, uint32_t number, const struct mw_py_node *node)
{
	struct middle *m = arg;

	(void)number;
	if (!node->object || node->what != MW_PY_WHAT_OBJECT)
		return 0;
	if (m->number < 0) {
		const struct mw_py_type *t = mw_python__type(m->py, node->type);

		if (t && !strcmp(t->qualname[0] ? t->qualname : t->name, m->type->name) &&
		    !strcmp(t->module, m->type->module))
			m->number = node->type;
	}
	if (node->type != m->number)
		return 0;
	m->addr = node->object;
	return ++m->count == m->wanted;
}

static bool is_of(const struct mw_graph_step *step, int32_t type)
{
	return step->node.object && step->node.type == type;
}

/*
 * How many objects of the type numbered TYPE follow one another in PATH, each referred to by the
 * one before or by its dictionary of attributes, and at which step the FIRST one is.
 */
static size_t count_links(const struct mw_graph_path *path, int32_t type, size_t *first)
{
	size_t links = 0;

	*first = 0;
	for (size_t i = 0; i < path->count && links < LINKS_MIN; i++) {
		const struct mw_graph_step *s = &path->steps[i];

		if (!is_of(s, type))
			continue;
		if (links && (is_of(s - 1, type) || (i > 1 && is_of(s - 2, type) &&
						     s[-1].referent.via == MW_PY_VIA_DICT))) {
			links++;
			continue;
		}
		*first = i;
		links = 1;
	}
	return links;
}

/*
 * Search for who refers to an object of a chain that is younger than the census, and so has no
 * number: what is put in front of a chain is where the way to all of it begins.
 */
struct front {
	struct mw_graph *graph;
	struct mw_python *py;
	struct mw_image *image;
	uint64_t type; /* address */
	int32_t number;
	const struct mw_py_node *from;
	struct mw_chain_name *chain;
};

static int is_front(void *arg, const struct mw_py_referent *r)
{
	struct front *f = arg;
	struct mw_graph_path path;
	uint64_t type;
	size_t first;

	/* Read anew: what the census knows of that place is of another object. */
	if (r->via == MW_PY_VIA_BUFFER || r->via == MW_PY_VIA_TYPE || r->addr % 8 ||
	    mw_python__number(f->py, r->addr) >= 0 ||
	    !mw_image__read_u64(f->image, r->addr + OB_TYPE, &type) || type != f->type ||
	    mw_graph__find(f->graph, f->from->object, &path))
		return 0;
	if (path.count < MW_GRAPH_STEPS_MAX && !count_links(&path, f->number, &first)) {
		struct mw_graph_step *steps =
			reallocarray(path.steps, path.count + 1, sizeof(*steps));

		if (steps) {
			steps[path.count] = (struct mw_graph_step){
				.node = {.start = r->addr,
					 .object = r->addr,
					 .type = f->number,
					 .what = MW_PY_WHAT_OBJECT},
				.referent = *r,
			};
			path.steps = steps;
			path.count++;
			f->chain->addr = r->addr;
			mw_graph_path__text(f->graph, &path, f->chain->path,
					    sizeof(f->chain->path));
		}
	}
	mw_graph_path__free(&path);
	return f->chain->addr != 0;
}

static int look_for_front(void *arg, uint32_t number, const struct mw_py_node *node)
{
	struct front *f = arg;

	(void)number;
	if (!node->object || node->type == f->number)
		return 0;
	f->from = node;
	return mw_python__node_referents(f->py, node, is_front, f);
}

/* Does an object refer to one of its own type, itself or by its dictionary? */
struct links {
	struct mw_python *py;
	int32_t type;
	bool any;
};

static int see_link(void *arg, const struct mw_py_referent *r)
{
	struct links *l = arg;
	int64_t number = mw_python__number(l->py, r->addr);

	if (number >= 0 && mw_python__type_number(l->py, (uint32_t)number) == l->type)
		l->any = true;
	else if (r->via == MW_PY_VIA_DICT)
		mw_python__referents(l->py, r->addr, see_link, l);
	return l->any;
}

static bool is_linked(struct mw_python *py, uint64_t addr, int32_t type)
{
	struct links l = {.py = py, .type = type};

	mw_python__referents(py, addr, see_link, &l);
	return l.any;
}

/*
 * The way to the object in the middle of those of TYPE: if it is a chain, to its first one. False:
 * it is one, and where it begins was not found this time.
 */
static bool trace_chain(struct mw_graph *graph, struct mw_survey *survey,
			const struct mw_grown_type *type, struct mw_chain_name *chain)
{
	struct mw_python *py = survey->py;
	struct middle m = {.py = py, .type = type, .number = -1};
	struct front front = {.graph = graph, .py = py, .image = survey->image, .chain = chain};
	const struct mw_py_type *t;
	struct mw_graph_path path;
	size_t first;

	mw_python__each_node(py, false, meet, &m);
	if (m.count < CHAIN_MIN)
		return true;
	m.wanted = m.count / 2;
	m.count = 0;
	mw_python__each_node(py, false, meet, &m);
	if (!is_linked(py, m.addr, m.number))
		return true;
	if (!mw_graph__find(graph, m.addr, &path)) {
		/* A word that is left in an unused free list, say, keeps nothing. */
		bool sure = path.root.kind <= MW_ROOT_VALUE;

		if (sure && count_links(&path, m.number, &first) >= LINKS_MIN &&
		    (!path.skipped || first < path.skipped_at)) {
			chain->addr = path.steps[first].node.object;
			path.count = first + 1;
			path.skipped = 0;
			mw_graph_path__text(graph, &path, chain->path, sizeof(chain->path));
		}
		mw_graph_path__free(&path);
		if (sure)
			return true;
	}
	t = mw_python__type(py, m.number);
	front.type = t->addr;
	front.number = m.number;
	mw_python__each_node(py, true, look_for_front, &front);
	return chain->addr != 0;
}

static void trace_chains(struct mw_holders *holders, struct mw_graph *graph,
			 struct mw_survey *survey, const struct mw_look_growth *growth)
{
	holders->chain_count = 0;
	for (size_t i = 0; i < growth->type_count && holders->chain_count < MW_CHAINS; i++) {
		const struct mw_grown_type *type = &growth->types[i];
		struct mw_chain_name *chain = &holders->chains[holders->chain_count];

		if (!may_be_chain(growth, type))
			continue;
		memset(chain, 0, sizeof(*chain));
		memcpy(chain->type, type->name, sizeof(chain->type));
		memcpy(chain->module, type->module, sizeof(chain->module));
		if (trace_chain(graph, survey, type, chain))
			holders->chain_count++;
		else
			holders->next = mw_monotonic() + SOON;
	}
}

/* Those that are known, as holders of what their type grows by. */
static void add_chains(const struct mw_holders *holders, pid_t pid, struct mw_look_growth *growth)
{
	for (size_t i = 0; i < growth->type_count; i++) {
		const struct mw_grown_type *type = &growth->types[i];
		const struct mw_chain_name *chain = find_chain(holders, type);
		struct mw_grown_holder h = {.chain = true,
					    .type = "chain",
					    .pid = pid,
					    .grown = type->count,
					    .length_per_second = type->count_per_second,
					    .verdict = type->verdict,
					    .retained_bytes = -1};

		if (!chain || !chain->addr || !may_be_chain(growth, type))
			continue;
		h.addr = chain->addr;
		h.length = type->now;
		memcpy(h.element, type->name, sizeof(h.element));
		memcpy(h.path, chain->path, sizeof(h.path));
		mw_look_growth__add_holder(growth, &h);
	}
}

/* ---- all holders ---------------------------------------------------------------------------- */

static bool are_needed(const struct mw_holders *holders, const struct mw_survey *survey,
		       const struct mw_look_growth *growth)
{
	bool due = mw_monotonic() >= holders->next;
	bool small = mw_python__numbers(survey->py) < SMALL;

	for (size_t i = 0; i < growth->holder_count; i++) {
		const struct mw_grown_holder *h = &growth->holders[i];

		const struct mw_holder_name *name = find(holders, h->addr);

		if (!name && (h->verdict == MW_VERDICT_SUSPECT || (due && !i)))
			return true;
		if (due && small && !(name && name->sure))
			return true;
	}
	for (size_t i = 0, tried = 0; i < growth->type_count && due && small && tried < MW_CHAINS;
	     i++) {
		if (!may_be_chain(growth, &growth->types[i]))
			continue;
		if (!find_chain(holders, &growth->types[i]))
			return true;
		tried++;
	}
	return false;
}

static void trace_one(struct mw_graph *graph, struct mw_holder_name *name)
{
	struct mw_graph_path path;

	name->path[0] = '\0';
	name->sure = false;
	if (mw_graph__find(graph, name->addr, &path))
		return;
	name->sure = path.root.kind <= MW_ROOT_VALUE;
	mw_graph_path__text(graph, &path, name->path, sizeof(name->path));
	mw_graph_path__free(&path);
}

/* Find the way to each holder anew: since the last time objects may have changed hands. */
static void trace_back(struct mw_holders *holders, struct mw_survey *survey,
		       const struct mw_look_growth *growth)
{
	struct mw_graph *graph = mw_graph__build(survey->image, survey->py, NULL);

	holders->next =
		mw_monotonic() + (mw_python__numbers(survey->py) < SMALL ? SELDOM : VERY_SELDOM);
	if (!graph)
		return;
	holders->count = 0;
	for (size_t i = 0; i < growth->holder_count; i++) {
		struct mw_holder_name *name = &holders->names[holders->count++];

		name->addr = growth->holders[i].addr;
		trace_one(graph, name);
	}
	trace_chains(holders, graph, survey, growth);
	mw_graph__free(graph);
}

void mw_holders__name(struct mw_holders *holders, struct mw_survey *survey, pid_t pid,
		      struct mw_look_growth *growth)
{
	if (are_needed(holders, survey, growth))
		trace_back(holders, survey, growth);
	for (size_t i = 0; i < growth->holder_count; i++) {
		struct mw_grown_holder *h = &growth->holders[i];
		const struct mw_holder_name *name = find(holders, h->addr);

		if (name)
			memcpy(h->path, name->path, sizeof(h->path));
	}
	add_chains(holders, pid, growth);
}
