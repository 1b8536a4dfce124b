/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What refers to what: the referents of one block, streamed without a cap, and the numbers by which
 * a graph knows blocks. What an object refers to is what its type's tp_traverse visits and what it
 * owns besides (names, buffers); weak references are left out. Everything here comes after the
 * census.
 */
#ifndef MW_PYTHON_REFERENTS_H
#define MW_PYTHON_REFERENTS_H

#include "python/python.h"

/* Through what one block refers to another. */
enum mw_py_via {
	MW_PY_VIA_ITEM,	  /* of a list, tuple, deque; INDEX */
	MW_PY_VIA_KEY,	  /* of a dictionary */
	MW_PY_VIA_VALUE,  /* of a dictionary; KEY */
	MW_PY_VIA_MEMBER, /* of a set */
	MW_PY_VIA_ATTR,	  /* of an instance that keeps its values itself; KEY is the name */
	MW_PY_VIA_DICT,	  /* the dictionary of an instance, a class or a module */
	MW_PY_VIA_FIELD,  /* a word of the object; INDEX is its offset in bytes */
	MW_PY_VIA_TYPE,	  /* its class */
	MW_PY_VIA_LOCAL,  /* of a frame or a generator; INDEX */
	MW_PY_VIA_STACK,  /* the evaluation stack of one; INDEX */
	MW_PY_VIA_BUFFER, /* memory that it owns */
	MW_PY_VIA_WORD,	  /* a word of a block whose layout is unknown; INDEX is its offset */
};

struct mw_py_referent {
	uint64_t addr;	/* what the reference says; it need not lead to a live block */
	uint64_t key;	/* an object's address, 0: none */
	uint64_t index; /* as said above */
	enum mw_py_via via;
};

/* A result other than 0 ends the stream and is returned. */
typedef int (*mw_py_referent_fn)(void *arg, const struct mw_py_referent *referent);

/* Call FN for everything that the object at ADDR refers to; references may repeat. */
int mw_python__referents(struct mw_python *py, uint64_t addr, mw_py_referent_fn fn, void *arg);

/*
 * Blocks have numbers: those of the pools by address within their arenas, then the heaps' chunks by
 * address, Python's or not. NUMBER of the live block to which a reference to ADDR leads, -1: none.
 * An object is only reached by its own address, anything else by any address in it (below 4 GiB,
 * where numbers look like addresses, by one near its start or a multiple of 8). The one predicate
 * for every pass over references.
 */
uint32_t mw_python__numbers(const struct mw_python *py);
int64_t mw_python__number(struct mw_python *py, uint64_t addr);

/* What block NUMBER is; false: it is not live. BLOCK's object is 0 for what is no object. */
struct mw_py_node {
	uint64_t start, size; /* the program's bytes */
	uint64_t bytes;	      /* what the allocator gets back with it, its own head included */
	uint64_t object;      /* where the object begins, 0: no object */
	int32_t type;	      /* index for mw_python__type(): of the object or of its owner; -1 */
	enum mw_py_what what; /* object, buffer, data or system */
	bool tracked;	      /* by the collector */
	bool cells;	      /* many numbers of Python 2 in one block */
};
bool mw_python__node(struct mw_python *py, uint32_t number, struct mw_py_node *node);
/* Whether live block NUMBER is C's, or of an unknown kind: its words may be no references. */
bool mw_python__is_data(const struct mw_python *py, uint32_t number);
/* Copy LEN bytes at ADDR, from what is at hand if possible; false: not all could be read. */
bool mw_python__read(struct mw_python *py, uint64_t addr, void *buf, size_t len);
/*
 * The type of the object in the pools' block at START, or of the object that owns it; NULL: it is
 * neither, or no longer allocated. Named.
 */
const struct mw_py_type *mw_python__block_type(struct mw_python *py, uint64_t start);
/* The type with that index, named; its address stays good until the next type is met. */
const struct mw_py_type *mw_python__type(struct mw_python *py, int32_t index);

/*
 * Visit every live block in the order of the numbers; READ: with its bytes at hand. Blocks that
 * refer to nothing (buffers, the interpreter's own) are visited, too.
 */
typedef int (*mw_py_node_fn)(void *arg, uint32_t number, const struct mw_py_node *node);
int mw_python__each_node(struct mw_python *py, bool read, mw_py_node_fn fn, void *arg);

/*
 * The same in parts, which several threads visit: FN is called for each of _part_count() parts, in
 * any order, with a READER to use in place of PY. For that one mw_python__each_node() visits only
 * the part; parts have the nodes in the order of the numbers. What READER gives is good until FN
 * returns. The first part's result that is not 0 is returned.
 */
typedef int (*mw_py_part_fn)(void *arg, size_t part, struct mw_python *reader);
size_t mw_python__part_count(const struct mw_python *py);
int mw_python__in_parts(struct mw_python *py, mw_py_part_fn fn, void *arg);

/* The referents of a node: those of an object, every word of data, none of a buffer. */
int mw_python__node_referents(struct mw_python *py, const struct mw_py_node *node,
			      mw_py_referent_fn fn, void *arg);

/*
 * Does the collector take REFERENT of NODE into account, as one of the references that an object's
 * count is made of? Not where NODE is untracked, and of what an object owns not everything.
 */
bool mw_python__is_visited(struct mw_python *py, const struct mw_py_node *node,
			   const struct mw_py_referent *referent);
/* Is ADDR within a number of Python 2's that lives in NODE, which has cells? */
bool mw_python__is_live_cell(struct mw_python *py, const struct mw_py_node *node, uint64_t addr);
/* References to NODE's object, as it counts them; false: it does not, it is immortal. */
bool mw_python__refcount(struct mw_python *py, const struct mw_py_node *node, uint64_t *count);
/* sys.getsizeof() of NODE's object. */
uint64_t mw_python__getsizeof(struct mw_python *py, const struct mw_py_node *node);
/*
 * Where NODE's own words are, from *START to *END: of an object those behind the collector's head
 * as far as it reaches, without what is left of its block from before; of anything else all.
 */
void mw_python__words(struct mw_python *py, const struct mw_py_node *node, uint64_t *start,
		      uint64_t *end);
/* The dictionary of attributes of NODE's object; 0: it has none. */
uint64_t mw_python__own_dict(struct mw_python *py, const struct mw_py_node *node);
/* Has the class of NODE's object a finalizer for which Python 2 gives up on its cycles? */
bool mw_python__blocks_collection(struct mw_python *py, const struct mw_py_node *node);

/*
 * Every container that has a length of its own (list, dict, set, deque and what derives from
 * them) of at least MW_PY_LENGTH_MIN elements. The census has met them, so this reads nothing: two
 * censuses some time apart tell which ones grow.
 */
enum { MW_PY_LENGTH_MIN = 16 };
struct mw_py_container {
	uint64_t addr, length;
	int32_t type;
};
typedef int (*mw_py_container_fn)(void *arg, const struct mw_py_container *container);
int mw_python__each_container(struct mw_python *py, mw_py_container_fn fn, void *arg);
/* The length of the container at ADDR; false: it is none. */
bool mw_python__length(struct mw_python *py, uint64_t addr, uint64_t *length);
/* The address of the word that holds it; 0: it is none. */
uint64_t mw_python__length_at(struct mw_python *py, uint64_t addr);

/* What a type is to whoever puts a way into words. */
enum mw_py_sort {
	MW_PY_SORT_OTHER,
	MW_PY_SORT_DICT,
	MW_PY_SORT_TYPE,
	MW_PY_SORT_FRAME,
	MW_PY_SORT_GENERATOR,
};

/* How many types there are; the type of the object that block NUMBER is, -1: it is none. */
size_t mw_python__type_count(const struct mw_python *py);
int32_t mw_python__type_number(const struct mw_python *py, uint32_t number);
/* Is the object at ADDR sys.modules? */
bool mw_python__is_modules(struct mw_python *py, uint64_t addr);
/* KIND of a type, coarsely. */
enum mw_py_sort mw_python__sort(struct mw_python *py, int32_t type);

/* ---- where references begin ------------------------------------------------------------------ */

/* A module of sys.modules. */
typedef int (*mw_py_module_fn)(void *arg, uint64_t name, uint64_t module);
int mw_python__each_module(struct mw_python *py, mw_py_module_fn fn, void *arg);

/* A Python frame of a thread; its referents follow by mw_python__frame_referents(). */
struct mw_py_frame_at {
	uint64_t addr;	 /* of the frame: a block of its own up to 3.10 */
	uint64_t code;	 /* its code object */
	uint64_t thread; /* the thread's identifier in the kernel, or else Python's */
	uint32_t depth;	 /* 0: the innermost */
	bool is_object;
};
typedef int (*mw_py_frame_fn)(void *arg, const struct mw_py_frame_at *frame);
int mw_python__each_frame(struct mw_python *py, mw_py_frame_fn fn, void *arg);
int mw_python__frame_referents(struct mw_python *py, uint64_t frame, mw_py_referent_fn fn,
			       void *arg);

/*
 * The evaluation stack of a frame of a thread, as far as it may be in use: how far it is, is in a
 * register while the frame runs. From *START to *END.
 */
void mw_python__frame_stack(struct mw_python *py, const struct mw_py_frame_at *frame,
			    uint64_t *start, uint64_t *end);

/* The interpreters' and the threads' own structures. */
struct mw_py_state {
	uint64_t addr, size;
	uint64_t thread; /* 0: an interpreter's */
};
typedef int (*mw_py_state_fn)(void *arg, const struct mw_py_state *state);
int mw_python__each_state(struct mw_python *py, mw_py_state_fn fn, void *arg);

/* ---- words ------------------------------------------------------------------------------------
 */

/* The name of variable INDEX of a frame of the code object at CODE; false: not known. */
bool mw_python__local_name(struct mw_python *py, uint64_t code, uint64_t index, char *buf,
			   size_t size);
/* How many of the COUNT variables of a frame of CODE come from an enclosing function. */
uint64_t mw_python__free_variables(struct mw_python *py, uint64_t code, uint64_t count);
/* The name of the asyncio task at ADDR; false: it is none, or has no name. */
bool mw_python__task_name(struct mw_python *py, uint64_t addr, char *buf, size_t size);
/*
 * Is NODE's object a future or a task of asyncio that is done? False also where it is not known: of
 * free-threaded builds, and of futures written in Python.
 */
bool mw_python__is_done(struct mw_python *py, const struct mw_py_node *node);
/* "handler", "app.py" and the line of its def. */
bool mw_python__code_name(struct mw_python *py, uint64_t code, char *name, size_t size, char *file,
			  size_t file_size, uint32_t *line);
/* The code object of the function, frame or generator at ADDR; 0: none. */
uint64_t mw_python__code_of(struct mw_python *py, uint64_t addr);
/* The name of the member at OFFSET of the object at ADDR, as its class says; false: it has none. */
bool mw_python__member(struct mw_python *py, uint64_t addr, uint64_t offset, char *buf,
		       size_t size);
/* The text of the str at ADDR; false: it is none. */
bool mw_python__text(struct mw_python *py, uint64_t addr, char *buf, size_t size);

#endif
