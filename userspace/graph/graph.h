/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * References between all live blocks of a Python program, its own objects and C's, as rows of
 * 32-bit numbers, and the ways in which roots keep them. A block's number is python/referents.h's.
 */
#ifndef MW_GRAPH_GRAPH_H
#define MW_GRAPH_GRAPH_H

#include "image/image.h"
#include "python/referents.h"
#include "util/err.h"
#include "util/index_file.h"

struct mw_graph; /* opaque */

/*
 * All references in IMAGE, whose Python PY (or what stands for none) has its census; both outlive
 * the graph. Reads all of the
 * blocks' memory once: about 10 million objects take 5 s and 40 bytes each. NULL with errno and ERR
 * set: -ENOENT when the interpreter's layout is not known, -ENOMEM, -E2BIG (more than 2^32).
 */
struct mw_graph *mw_graph__build(struct mw_image *image, struct mw_python *py, struct mw_err *err);

/*
 * Add PY and its graph, with what each block retains, to an index. mw_graph__build() with what
 * mw_python__load() makes of that takes the graph from there; -EBADMSG: it can't be used. 0 or
 * -ENOMEM with ERR set.
 */
int mw_graph__save(struct mw_graph *graph, struct mw_index_writer *writer, struct mw_err *err);
void mw_graph__free(struct mw_graph *graph);

/* What is in it. */
struct mw_graph_info {
	uint64_t blocks, references, roots;
};
void mw_graph__info(const struct mw_graph *graph, struct mw_graph_info *info);

/* Where a way begins. */
enum mw_graph_root_kind {
	MW_ROOT_MODULE,	  /* a module of sys.modules; NAME is the object that names it */
	MW_ROOT_FRAME,	  /* a frame that is an object, to 3.10; NAME is its code object */
	MW_ROOT_LOCAL,	  /* a variable of a frame; NAME is the code object, INDEX the variable's */
	MW_ROOT_VALUE,	  /* on a frame's evaluation stack */
	MW_ROOT_THREAD,	  /* a thread's state; INDEX is the thread */
	MW_ROOT_STATE,	  /* an interpreter's state */
	MW_ROOT_STATIC,	  /* a static variable; NAME is its address */
	MW_ROOT_RUNTIME,  /* one of the interpreter's, which may be a cache that keeps nothing */
	MW_ROOT_STACK,	  /* a word of a thread's stack or thread-local memory; INDEX the thread */
	MW_ROOT_REGISTER, /* a register of thread INDEX */
	MW_ROOT_MISSING,  /* a part of the core that is missing: nothing that is left leads there */
};

struct mw_graph_root {
	uint64_t name, index;
	uint32_t number; /* the block that it refers to */
	enum mw_graph_root_kind kind;
};

/* One step of a way: the block, and how the one before it, or the root, refers to it. */
struct mw_graph_step {
	uint32_t number;
	struct mw_py_node node;
	struct mw_py_referent referent; /* not of the first step */
};

/*
 * The shortest way from a root to the block at ADDR, the block itself being its last step. Modules
 * are preferred to frames, and those to the interpreter's state, static variables and stacks. Only
 * the first and the last few steps of a very long way are told; SKIPPED steps follow the SKIPPED_AT
 * first ones.
 */
enum { MW_GRAPH_STEPS_MAX = 128 };

struct mw_graph_path {
	struct mw_graph_root root;
	struct mw_graph_step *steps;
	size_t count, skipped_at;
	uint64_t skipped;
};

/*
 * 0, or -ENOENT: ADDR is in no live block, or nothing leads to it; -ENOMEM. The caller frees the
 * path.
 */
int mw_graph__find(struct mw_graph *graph, uint64_t addr, struct mw_graph_path *path);
void mw_graph_path__free(struct mw_graph_path *path);

/* How much room a path in words needs at most, bytes. */
enum { MW_GRAPH_TEXT_MAX = 64 << 10 };

/* PATH in words: "app.cache['user:17'].props". Always terminated; cut short with "...". */
void mw_graph_path__text(struct mw_graph *graph, const struct mw_graph_path *path, char *text,
			 size_t size);

/* Both at once. 0 or as mw_graph__find(); then TEXT is "". */
int mw_graph__path(struct mw_graph *graph, uint64_t addr, char *text, size_t size);

/*
 * Whoever asks for the ways to many blocks says so before: finding out how a list of a million
 * refers to one element takes a pass over it, and this takes one for all. Those of the call before
 * are forgotten. 0 or -ENOMEM.
 */
int mw_graph__explain(struct mw_graph *graph, const uint64_t *addrs, size_t count);

/*
 * Who refers to the block at ADDR: blocks, and roots, by CALL with either; ROOT is NULL for a
 * block. REFERENT is only found out of the MAX first ones, later it is NULL. A result other than 0
 * ends it and is returned; -ENOENT: ADDR is in no live block.
 */
typedef int (*mw_graph_referrer_fn)(void *arg, const struct mw_py_node *from,
				    const struct mw_py_referent *referent,
				    const struct mw_graph_root *root);
int mw_graph__referrers(struct mw_graph *graph, uint64_t addr, uint64_t max,
			mw_graph_referrer_fn call, void *arg);

/*
 * What NODE is, in a word: the type of the object, the class whose virtual table a block of C++
 * begins with, or "memory". Returns NAME.
 */
const char *mw_graph__name(struct mw_graph *graph, const struct mw_py_node *node, char *name,
			   size_t size);

/* ROOT in words: "module app", "handler() local rows". */
void mw_graph_root__text(struct mw_graph *graph, const struct mw_graph_root *root, char *text,
			 size_t size);

/* REFERENT of the object at ADDR in words: "value of 'user:17'", "attribute props", "item 3". */
void mw_graph__via(struct mw_graph *graph, uint64_t addr, const struct mw_py_referent *referent,
		   char *text, size_t size);

/*
 * ---- what would go with a block --------------------------------------------------------------
 */

/*
 * Find out what each block retains: what nothing else leads to. Done once and kept; the functions
 * below need it. What is doubtful, a word of C's or of a stack, counts where it alone leads. 0 or
 * -ENOMEM with ERR set.
 */
int mw_graph__dominate(struct mw_graph *graph, struct mw_err *err);

struct mw_retained {
	uint64_t bytes;	  /* of blocks that would be freed, as the allocators count them */
	uint64_t objects; /* of Python's; of a program without it, blocks */
};

/* What the block at ADDR retains, itself included; -ENOENT: it is in no live block. */
int mw_graph__retained(struct mw_graph *graph, uint64_t addr, struct mw_retained *retained);
/* What everything together comes to. */
void mw_graph__total(const struct mw_graph *graph, struct mw_retained *total);

/*
 * Objects, or, where there is no Python, blocks, at which memory accumulates: those that retain MIN
 * bytes or more, and of which no single object that they retain has nine tenths; of a long chain
 * its beginning. Not modules, classes and their dictionaries. Most bytes first, at most MAX. *TOP
 * is the caller's to free. 0 or -ENOMEM.
 */
struct mw_graph_top {
	uint64_t addr;
	int32_t type; /* -1: no object */
	struct mw_retained retained;
};
enum { MW_GRAPH_TOP_MAX = 4096 };
int mw_graph__top(struct mw_graph *graph, uint64_t min, struct mw_graph_top **top, size_t *count);

/* The objects that the one at ADDR retains and no object between: its parts. Likewise. */
int mw_graph__parts(struct mw_graph *graph, uint64_t addr, uint64_t min, struct mw_graph_top **top,
		    size_t *count);

/*
 * By type, of what the object at ADDR retains, or, when that is 0, of everything: what all objects
 * of a type retain together. Most bytes first. Likewise. Of a program without Python types are
 * classes of C++ with virtual functions.
 */
struct mw_graph_type {
	int32_t type; /* for mw_graph__type() */
	uint64_t count;
	struct mw_retained retained;
};
int mw_graph__types(struct mw_graph *graph, uint64_t addr, struct mw_graph_type **types,
		    size_t *count);

/* What a type of mw_graph__types() is called; good until the next type is met. */
void mw_graph__type(struct mw_graph *graph, int32_t type, const char **name, const char **module);

#endif
