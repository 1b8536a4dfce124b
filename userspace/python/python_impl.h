/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of this room share. */
#ifndef MW_PYTHON_IMPL_H
#define MW_PYTHON_IMPL_H

#include "python/pages.h"
#include "python/python.h"

/* The writable data of one module, .bss included, copied. */
struct mw_py_data {
	uint64_t base; /* where the module's first mapping begins */
	uint64_t start, size;
	uint8_t *bytes;
	char name[80];
};

/* What a block holds; its label is ROLE << 28 | TRACKED << 27 | index of a type. */
enum mw_py_role {
	MW_PY_ROLE_NONE,   /* not allocated */
	MW_PY_ROLE_OTHER,  /* allocated, unknown */
	MW_PY_ROLE_LIVE,   /* an object */
	MW_PY_ROLE_PARKED, /* a dead object in a free list */
	MW_PY_ROLE_BUFFER, /* owned by an object of that type */
};

enum { MW_PY_LABEL_TRACKED = 1 << 27, MW_PY_LABEL_TYPE = (1 << 27) - 1 };

static inline uint32_t mw_py_label(enum mw_py_role role, uint32_t type)
{
	return (uint32_t)role << 28 | type;
}

static inline enum mw_py_role mw_py_label_role(uint32_t label)
{
	return (enum mw_py_role)(label >> 28);
}

struct mw_py_slot { /* of the table of types by address */
	uint64_t addr;
	int32_t type; /* index, -1: is none */
};

struct mw_python {
	struct mw_image *image;
	struct mw_py_pages pages;
	struct mw_py_info info;
	struct mw_py_layout layout;
	struct mw_py_data data; /* of the interpreter's module */
	uint64_t runtime;	/* _PyRuntime, 0: none */
	uint64_t pymalloc;	/* usedpools, 0: not found */
	uint64_t arenas_at;	/* the array of arenas last found */

	struct mw_py_interpreter *interpreters;
	size_t interpreter_count, interpreter_capacity;
	struct mw_py_arena *arenas;
	size_t arena_count, arena_capacity;
	struct mw_py_pool *pools;
	size_t pool_count, pool_capacity;
	struct mw_py_problem problems[MW_PY_PROBLEMS];
	size_t evidence_count;
	uint32_t debug; /* bytes that debug hooks put before each block */

	/* The census. */
	bool counted;
	uint64_t type_type; /* &PyType_Type, 0: not met yet */
	struct mw_py_type *types;
	size_t type_count, type_capacity;
	struct mw_py_slot *slots;
	size_t slot_count, slot_mask;
	uint32_t *labels; /* of pools' blocks */
	size_t label_count;
	uint64_t *chunks; /* starts of glibc's live chunks, ascending */
	uint32_t *chunk_labels;
	size_t chunk_count, chunk_capacity;
	struct mw_ptmalloc *pt;
	uint64_t *parked; /* addresses of parked objects that can't be told by themselves; sorted */
	size_t parked_count, parked_capacity;
	struct mw_py_census census;
};

void mw_py_evidence(struct mw_python *py, const char *text);
void mw_py_problem(struct mw_python *py, uint64_t addr, const char *what);

/* discover.c */
int mw_py_discover(struct mw_python *py, struct mw_err *err);
/* The address of symbol NAME of the interpreter's module, 0: not there. */
uint64_t mw_py_symbol(struct mw_python *py, const char *name);

/* code.c: the words of data that the straight code of function NAME loads, at most MAX. */
size_t mw_py_code_refs(struct mw_python *py, const char *name, uint64_t *refs, size_t max);

/* pymalloc.c */
int mw_py_pymalloc(struct mw_python *py, struct mw_err *err);
/* The pool that holds ADDR, or NULL. */
const struct mw_py_pool *mw_py_pool_find(const struct mw_python *py, uint64_t addr);
/*
 * Which of the pool's blocks are free, as a bit each into FREE (MW_PY_POOL_BITS bits); BYTES is its
 * content. The number of blocks that were ever handed out; PROBLEM is set when the list is damaged.
 */
enum { MW_PY_POOL_BITS = 65536 / 8, MW_PY_POOL_HEADER = 48 };
uint32_t mw_py_pool_free(const struct mw_python *py, const struct mw_py_pool *pool,
			 const uint8_t *bytes, uint64_t *free, const char **problem);

/* types.c */
/* The type at ADDR as an index of py->types, -1: there is none. */
int32_t mw_py_type_at(struct mw_python *py, uint64_t addr);
/* The text of the str (or 2.7's string) object at ADDR, cleaned; false when it is none. */
bool mw_py_text(struct mw_python *py, uint64_t addr, char *buf, size_t size);

/* objects.c */
uint8_t mw_py_kind_of(struct mw_python *py, const struct mw_py_type *type, uint64_t base);
/*
 * The size of the object at ADDR as sys.getsizeof says. OBJECT points to what is at hand of it
 * (AVAIL bytes). Buffers that it owns are labelled when MARK is set.
 */
uint64_t mw_py_object_size(struct mw_python *py, uint32_t type, uint64_t addr,
			   const uint8_t *object, size_t avail, bool mark);

/* census.c */
/* The label of the block that holds ADDR, or NULL; START and SIZE of it when not NULL. */
uint32_t *mw_py_label_at(struct mw_python *py, uint64_t addr);

/* freelists.c */
int mw_py_freelists(struct mw_python *py);

#endif
