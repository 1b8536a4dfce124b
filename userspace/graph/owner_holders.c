// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "graph/graph_impl.h"
#include "graph/holders.h"
#include "graph/owner_holders.h"
#include "util/array.h"

/* The ledger cuts owners off so that they have a terminating 0. */
enum { OWNER = 80 };

/* What the owners are called that blocks of the graph have. */
static const struct {
	const char *owner;
	enum mw_py_what what;
	bool typed;   /* a type follows */
	bool in_pool; /* of data: of Python's pools, or else of a heap */
} kinds[] = {
	{"python/live/", MW_PY_WHAT_OBJECT, true, false},
	{"python/buffer/", MW_PY_WHAT_BUFFER, true, false},
	{"python/data", MW_PY_WHAT_DATA, false, true},
	{"glibc/live", MW_PY_WHAT_DATA, false, false},
	{"jemalloc/live", MW_PY_WHAT_DATA, false, false},
	{"tcmalloc/live", MW_PY_WHAT_DATA, false, false},
	{"mimalloc/live", MW_PY_WHAT_DATA, false, false},
};

/* What a holder holds. */
struct share {
	uint64_t bytes;
	uint32_t count, holder;
};

struct find {
	struct mw_graph *graph;
	struct mw_holders *holders;
	size_t kind;	      /* of KINDS */
	bool *types;	      /* by type: the owner's */
	struct share *shares; /* by holder, and then those that have any */
	size_t share_count;
};

static size_t kind_of(const char *owner)
{
	size_t i = 0;

	while (i < MW_ARRAY_SIZE(kinds) &&
	       (kinds[i].typed ? strncmp(owner, kinds[i].owner, strlen(kinds[i].owner)) != 0
			       : strcmp(owner, kinds[i].owner) != 0))
		i++;
	return i;
}

bool mw_owner_holders__answers(const char *owner)
{
	return kind_of(owner) < MW_ARRAY_SIZE(kinds);
}

static void find_types(struct find *f, const char *owner)
{
	size_t count = mw_python__type_count(f->graph->py);

	for (size_t i = 0; i < count; i++) {
		char name[160], text[OWNER];

		mw_python_type_name(mw_python__type(f->graph->py, (int32_t)i), name, sizeof(name));
		if (snprintf(text, sizeof(text), "%s%s", kinds[f->kind].owner, name) > 0)
			f->types[i] = !strncmp(text, owner, sizeof(text) - 1);
	}
}

static int add(void *arg, uint32_t number, const struct mw_py_node *node)
{
	struct find *f = arg;
	struct share *s;

	if (node->what != kinds[f->kind].what)
		return 0;
	if (kinds[f->kind].typed
		    ? !f->types[node->type]
		    : !mw_python__pool(f->graph->py, node->start) == kinds[f->kind].in_pool)
		return 0;
	s = &f->shares[mw_holders__of(f->holders, number)];
	s->count++;
	s->bytes += node->bytes;
	return 0;
}

static int by_bytes(const void *a, const void *b)
{
	const struct share *x = a, *y = b;

	if (x->bytes != y->bytes)
		return x->bytes < y->bytes ? 1 : -1;
	return x->holder < y->holder ? -1 : x->holder > y->holder;
}

static void describe(struct find *f, const struct share *s, struct mw_owner_holder *out)
{
	struct mw_graph *g = f->graph;
	struct mw_py_node node = {0};

	*out = (struct mw_owner_holder){.count = s->count, .bytes = s->bytes};
	mw_holders__text(f->holders, s->holder, out->text, sizeof(out->text));
	if (s->holder >= g->count || !mw_python__node(g->py, s->holder, &node) || !node.object)
		return;
	mw_graph__name(g, &node, out->type, sizeof(out->type));
	mw_python__length(g->py, node.object, &out->length);
	out->retained = g->retained_bytes[s->holder];
}

/* Most bytes first, and in words. */
static void list_shares(struct find *f, struct mw_owner_holders *out)
{
	for (size_t i = 0; i < (size_t)f->graph->count + MW_HOLDER_KINDS; i++) {
		if (!f->shares[i].count)
			continue;
		out->blocks += f->shares[i].count;
		out->bytes += f->shares[i].bytes;
		f->shares[f->share_count] = f->shares[i];
		f->shares[f->share_count++].holder = (uint32_t)i;
	}
	out->holders = f->share_count;
	if (f->share_count)
		qsort(f->shares, f->share_count, sizeof(*f->shares), by_bytes);
	for (size_t i = 0; i < f->share_count && i < MW_OWNER_HOLDERS; i++)
		describe(f, &f->shares[i], &out->list[out->count++]);
}

int mw_owner_holders__find(struct mw_owner_holders *out, struct mw_graph *graph, const char *owner,
			   struct mw_err *err)
{
	const char *name = mw_image__name(graph->image);
	struct find f = {.graph = graph, .kind = kind_of(owner)};
	int ret;

	memset(out, 0, sizeof(*out));
	if (f.kind == MW_ARRAY_SIZE(kinds))
		return mw_err_set(err, -ENOENT, "no-block", name,
				  "who holds %s is not known: only objects, their buffers and C's "
				  "blocks have holders",
				  owner);
	ret = mw_graph__dominate(graph, err);
	if (ret)
		return ret;
	f.holders = mw_holders__find(graph, true, err);
	f.types = calloc(mw_python__type_count(graph->py) + 1, sizeof(*f.types));
	f.shares = calloc((size_t)graph->count + MW_HOLDER_KINDS, sizeof(*f.shares));
	ret = f.holders && f.types && f.shares ? 0 : mw_err_no_memory(err, name);
	if (!ret && f.types && kinds[f.kind].typed)
		find_types(&f, owner);
	if (!ret && mw_python__each_node(graph->py, false, add, &f))
		ret = mw_err_no_memory(err, name);
	if (!ret)
		list_shares(&f, out);
	if (!ret && !out->blocks)
		ret = mw_err_set(err, -ENOENT, "no-block", name, "there is no block of %s any more",
				 owner);
	mw_holders__free(f.holders);
	free(f.types);
	free(f.shares);
	return ret;
}
