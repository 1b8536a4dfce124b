/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of this room share. */
#ifndef MW_GRAPH_GRAPH_IMPL_H
#define MW_GRAPH_GRAPH_IMPL_H

#include "graph/dominators.h"
#include "graph/graph.h"

#define MW_GRAPH_NONE UINT32_MAX

/*
 * How far from a root what it refers to is taken to be: what sorts ways of unlike kinds. Roots of
 * the last levels are doubtful, so that any other way is preferred to theirs.
 */
enum { MW_GRAPH_DOUBTFUL = 13, MW_GRAPH_LEVELS = 16 };

/* How block FROM refers to block TO. */
struct mw_graph_edge {
	uint32_t from, to;
	struct mw_py_referent referent;
	bool found; /* REFERENT is one, not only what stands for none */
};

/* Classes of C++, of a program without Python. */
struct mw_graph_classes {
	char **names;
	size_t count, capacity;
	int32_t *of; /* by number: an index in NAMES, -1: none is known; NULL: not asked for */
};

struct mw_graph {
	struct mw_image *image;
	struct mw_python *py;
	bool indexed;	 /* the arrays are those of PY's index */
	uint32_t count;	 /* numbers of blocks */
	uint64_t blocks; /* live ones */
	uint32_t *first; /* where each one's row begins in TARGETS; COUNT + 1 of them */
	uint32_t *targets;
	size_t target_count;
	uint64_t *visited; /* a bit for each of TARGETS: the collector visits it */
	struct mw_graph_root *roots;
	size_t root_count, root_capacity;
	/* The block before each on its shortest way; COUNT + I: root I; NONE: nothing leads there.
	 */
	uint32_t *parent;
	struct mw_graph_edge *explained; /* by FROM and TO: those that were asked for together */
	size_t explained_count;
	/* Once they were asked for: what would go with each block, it included. */
	struct mw_dominators dominators;
	uint64_t *retained_bytes;
	uint32_t *retained_objects;
	bool plain;		       /* there is no Python: blocks stand for themselves */
	struct mw_symbolizer *symbols; /* opened when first asked for */
	struct mw_graph_classes classes;
};

/*
 * names.c: the name of the variable at ADDR, as written in the source; false:
 * none is known. OFFSET is how far ADDR is behind its beginning.
 */
bool mw_graph_symbol(struct mw_graph *graph, uint64_t addr, char *name, size_t size,
		     uint64_t *offset);

/* names.c: the value that the module at MODULE has for KEY, such as "__file__"; 0: none. */
uint64_t mw_graph_module_value(struct mw_graph *graph, uint64_t module, const char *key);

/*
 * missing.c, of a core that was cut short: list modules, which sys.modules may not tell, as roots;
 * and, after the search, go on from where what led there is missing. 0 or -ENOMEM.
 */
int mw_graph_add_modules(struct mw_graph *graph);
int mw_graph_go_on(struct mw_graph *graph);

/* classes.c: the class of C++ that the block NODE is of, demangled; false: none is known. */
bool mw_graph_class(struct mw_graph *graph, const struct mw_py_node *node, char *name, size_t size);
/* Those of all blocks, once. 0 or -ENOMEM. */
int mw_graph_find_classes(struct mw_graph *graph);
void mw_graph_classes__free(struct mw_graph_classes *classes);

/* index.c: the graph from INDEX, of G's Python; 0 or -EBADMSG. What is loaded is not freed. */
int mw_graph_load(struct mw_graph *graph, struct mw_index *index);
void mw_graph_forget_loaded(struct mw_graph *graph);

/* retained.c */
void mw_graph_retained__free(struct mw_graph *graph);

/* roots.c: list the roots. 0 or -ENOMEM. */
int mw_graph_roots(struct mw_graph *graph);
/* List one: ADDR, if that leads to a live block. 0 or -ENOMEM. */
int mw_graph_add_root(struct mw_graph *graph, enum mw_graph_root_kind kind, uint64_t addr,
		      uint64_t name, uint64_t index);
/*
 * Call FN with the address and the value of each word from START to END that can be read, in pieces
 * so large that reading does not bring pages into memory.
 */
typedef int (*mw_graph_word_fn)(void *arg, uint64_t at, uint64_t word);
int mw_graph_each_word(struct mw_graph *graph, uint64_t start, uint64_t end, mw_graph_word_fn fn,
		       void *arg);
unsigned int mw_graph_level(const struct mw_graph_root *root);

/*
 * The root that leads to block NUMBER at once; NULL: none does, or, as only an index that somebody
 * made up says, nothing leads there.
 */
static inline const struct mw_graph_root *mw_graph_root_of(const struct mw_graph *g,
							   uint32_t number)
{
	uint32_t parent = g->parent[number];

	return parent < g->count || parent == MW_GRAPH_NONE ? NULL : &g->roots[parent - g->count];
}

/* graph.c: how block FROM refers to block TO; VIA is a word's when it does not. */
struct mw_py_referent mw_graph_explain(struct mw_graph *graph, uint32_t from, uint32_t to);
/* FROM of EDGE refers to its TO by REFERENT, too. True: nothing says more. */
bool mw_graph_edge__see(struct mw_graph_edge *edge, const struct mw_py_referent *referent);
/* How many steps there are from a root to block NUMBER, which is reached. */
uint64_t mw_graph_length(const struct mw_graph *graph, uint32_t number);

/* explain.c: what mw_graph__explain() found, NULL: it wasn't asked. */
const struct mw_graph_edge *mw_graph_explained(const struct mw_graph *graph, uint32_t from,
					       uint32_t to);

#endif
