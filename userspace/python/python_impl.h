/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of this room share. */
#ifndef MW_PYTHON_IMPL_H
#define MW_PYTHON_IMPL_H

#include "heap/heap.h"
#include "image/pages.h"
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
	MW_PY_ROLE_CELLS,  /* a block of Python 2's int or float objects */
	MW_PY_ROLE_SYSTEM, /* the allocator's or the interpreter's own; the type is an enum
			      mw_py_system */
};

enum mw_py_system { MW_PY_SYSTEM_ARENAS, MW_PY_SYSTEM_STATE };

#define MW_PY_LABEL_TRACKED (1u << 27)
#define MW_PY_LABEL_TYPE    (MW_PY_LABEL_TRACKED - 1)

static inline uint32_t mw_py_label(enum mw_py_role role, uint32_t type)
{
	return (uint32_t)role << 28 | type;
}

static inline enum mw_py_role mw_py_label_role(uint32_t label)
{
	return (enum mw_py_role)(label >> 28);
}

/* What an object owns, and how its size is found; struct mw_py_type.kind. */
enum mw_py_kind {
	MW_PY_KIND_OBJECT,
	MW_PY_KIND_INT, /* 2.7 */
	MW_PY_KIND_LONG,
	MW_PY_KIND_FLOAT,
	MW_PY_KIND_STR,
	MW_PY_KIND_UNICODE2, /* 2.7 */
	MW_PY_KIND_BYTES,
	MW_PY_KIND_TUPLE,
	MW_PY_KIND_LIST,
	MW_PY_KIND_DICT,
	MW_PY_KIND_ODICT,
	MW_PY_KIND_SET,
	MW_PY_KIND_BYTEARRAY,
	MW_PY_KIND_ARRAY,
	MW_PY_KIND_DEQUE,
	MW_PY_KIND_NDARRAY,
	MW_PY_KIND_TYPE,
	MW_PY_KIND_CODE,
	MW_PY_KIND_FRAME,
	MW_PY_KIND_GENERATOR,
};

/* A live block of a heap, which may be Python's. */
struct mw_py_chunk {
	uint64_t start;
	uint64_t size : 48, header : 8, lent : 8; /* bytes, as in struct mw_block */
};

struct mw_py_slot { /* of the table of types by address */
	uint64_t addr;
	int32_t type; /* index */
};

struct mw_python {
	struct mw_image *image;
	struct mw_pages pages;
	struct mw_py_info info;
	struct mw_py_layout layout;
	struct mw_py_data data;	 /* of the interpreter's module */
	struct mw_elffile *file; /* the module's, NULL: not at hand; opened when first asked for */
	uint64_t file_base;	 /* of the module that FILE is of, 0: none was opened */
	bool known;		 /* a known layout fits */
	uint64_t runtime;	 /* _PyRuntime, 0: none */
	uint64_t head_at;	 /* of the pointer to the first interpreter, 0: not found */
	uint64_t pymalloc;	 /* usedpools, 0: not found */
	uint64_t arenas_at;	 /* the array of arenas last found */

	struct mw_py_interpreter *interpreters;
	size_t interpreter_count, interpreter_capacity;
	struct mw_py_arena *arenas;
	size_t arena_count, arena_capacity;
	struct mw_py_pool *pools;
	size_t pool_count, pool_capacity;
	struct mw_problems problems;
	size_t evidence_count;
	uint32_t debug; /* bytes that debug hooks put before each block of a pool */
	uint8_t tag;	/* of the pool being read, 0: it may hold any object */
	bool any_debug; /* chunks of malloc's may have them, too */

	/* The census. */
	bool counted;
	uint64_t type_type; /* &PyType_Type, 0: not met yet */
	struct mw_py_type *types;
	size_t type_count, type_capacity;
	struct mw_py_slot *slots;
	size_t slot_count, slot_mask;
	uint64_t refused[4096]; /* words that are no types, by their hash */
	uint64_t last_type_addr;
	int32_t last_type;
	uint32_t *labels; /* of pools' blocks */
	size_t label_count;
	struct mw_py_chunk *chunks; /* the heaps' live blocks, in address order */
	uint32_t *chunk_labels;
	size_t chunk_count, chunk_capacity;
	uint64_t links_left; /* of all lists together that may still be followed */
	uint32_t gc_head;    /* bytes of the collector's head */
	uint32_t before[3];  /* what may lie before an object, bytes */
	size_t before_count;
	struct mw_span *frames; /* stacks of Python frames, by address */
	size_t frame_count, frame_capacity;
	char **owners; /* three a type: live, parked, buffer; made when first asked for */
	size_t owner_count;
	struct mw_py_type *sorted; /* of the census */
	struct mw_py_census census;
};

/* The word at a layout's OFFSET from ADDR; 0 if this version does not have that field. */
static inline uint64_t mw_py_field(struct mw_python *py, uint64_t addr, int32_t offset)
{
	return offset < 0 ? 0 : mw_pages_word(&py->pages, addr + (uint64_t)offset);
}

/* The thread after T of INTERP, or its first (T is 0); 0: there are no more. */
static inline uint64_t mw_py_thread(struct mw_python *py, const struct mw_py_interpreter *interp,
				    uint64_t t)
{
	return t ? mw_py_field(py, t, py->layout.tstate_next)
		 : mw_py_field(py, interp->addr, py->layout.interp_threads);
}

/* Where the program's own bytes of C begin, and how many there are. */
static inline uint64_t mw_py_chunk_data(const struct mw_py_chunk *c)
{
	return c->start + c->header;
}

static inline uint64_t mw_py_chunk_usable(const struct mw_py_chunk *c)
{
	return c->size - c->header + c->lent;
}

void mw_py_evidence(struct mw_python *py, const char *text);

/* Begin a part that is read on its own, and end an attempt; again, nothing is cached. */
void mw_py_begin(struct mw_python *py, struct mw_doubts *doubts);
bool mw_py_again(struct mw_python *py, struct mw_doubts *doubts);

/*
 * May a list be followed for one more link? All lists together cannot be longer than the number of
 * blocks, which bounds damaged ones.
 */
bool mw_py_may_follow(struct mw_python *py);
void mw_py_allow_links(struct mw_python *py); /* for one piece of work */

/* discover.c */
int mw_py_discover(struct mw_python *py, struct mw_err *err);
/* Read the module's data again, and forget what was read before. */
void mw_py_refresh(struct mw_python *py);
/* The address of symbol NAME of the interpreter's module, 0: not there. */
uint64_t mw_py_symbol(struct mw_python *py, const char *name);

/* The file of the interpreter's module, which stays open; NULL: it is not at hand. */
struct mw_elffile *mw_py_file(struct mw_python *py);

/* code.c: the words of data that the straight code of function NAME loads, at most MAX. */
size_t mw_py_code_refs(struct mw_python *py, const char *name, uint64_t *refs, size_t max);

/* pymalloc.c */
int mw_py_pymalloc(struct mw_python *py, struct mw_err *err);
/* The pool that holds ADDR, or NULL. */
const struct mw_py_pool *mw_py_pool_find(const struct mw_python *py, uint64_t addr);
/*
 * POOL, which has its place, as its header in memory says now. What is wrong with that becomes a
 * doubt; a pool that makes no sense has no blocks.
 */
void mw_py_read_pool(struct mw_python *py, struct mw_py_pool *pool, struct mw_doubts *doubts);
/* Take POOL into ARENA and the sums; -ENOMEM. And an arena that is complete into the sums. */
int mw_py_add_pool(struct mw_python *py, struct mw_py_arena *arena, struct mw_py_pool pool);
void mw_py_add_totals(struct mw_python *py, const struct mw_py_arena *arena);
/*
 * Which of the pool's blocks are free, as a bit each into FREE (of MW_PY_POOL_BITS bits); PROBLEM
 * is set when their list is damaged.
 */
enum { MW_PY_POOL_BITS = 65536 / 8 };
void mw_py_pool_free(struct mw_python *py, const struct mw_py_pool *pool, uint64_t *free,
		     const char **problem);
/* The same for one list that begins at HEAD; COUNT grows. False: it is damaged. */
bool mw_py_pool_list(struct mw_python *py, const struct mw_py_pool *pool, uint64_t head,
		     uint64_t *free, uint32_t *count);

/* mimalloc.c: the segments and pages of mimalloc, as arenas and pools. */
int mw_py_mimalloc(struct mw_python *py, struct mw_err *err);
void mw_py_read_page(struct mw_python *py, struct mw_py_pool *pool, struct mw_doubts *doubts);
bool mw_py_page_free(struct mw_python *py, const struct mw_py_pool *pool, uint64_t *free,
		     uint32_t *count);

/* Bytes of debug hooks at P, the start of a block of SIZE bytes. */
uint32_t mw_py_debug_bytes(const uint8_t *p, uint64_t size);
/* The same for the block that starts at START. */
uint32_t mw_py_debug_at(struct mw_python *py, uint64_t start);

/* types.c */
/* The type at ADDR as an index of py->types, -1: there is none. */
int32_t mw_py_type_at(struct mw_python *py, uint64_t addr);
bool mw_py_is_heap_type(struct mw_python *py, uint64_t addr);
/* The type of the object at ADDR as an index, -1: there is no object. */
int32_t mw_py_type_of(struct mw_python *py, uint64_t addr);
/* Fill in TYPE's name, qualified name and module. */
void mw_py_type_name(struct mw_python *py, struct mw_py_type *type);
/* The beginning of the str (or 2.7's string) at ADDR, cleaned; false when it is none. */
bool mw_py_text(struct mw_python *py, uint64_t addr, char *buf, size_t size);

/* objects.c */
/*
 * Where a str has its characters: behind an ASCII or a compact head, 1, 2 or 4 bytes each, or
 * apart.
 */
enum mw_py_str {
	MW_PY_STR_LEGACY = 0,
	MW_PY_STR_1 = 1,
	MW_PY_STR_2 = 2,
	MW_PY_STR_4 = 4,
	MW_PY_STR_ASCII = 8,
};
unsigned int mw_py_str_width(struct mw_python *py, uint64_t addr); /* 1, 2 or 4 bytes */
enum mw_py_str mw_py_str_shape(struct mw_python *py, uint64_t addr);

/* The keys of a dictionary of Python 3. */
struct mw_py_keys {
	uint64_t size; /* bytes of all of it */
	uint64_t slots, usable, index_bytes;
	uint64_t entries, entry_count, entry_size, entry_key; /* address, number, bytes, offset */
};
bool mw_py_keys(struct mw_python *py, uint64_t keys, struct mw_py_keys *out);
/* The text that the dictionary at DICT has for KEY; false: none. */
bool mw_py_dict_text(struct mw_python *py, uint64_t dict, const char *key, char *buf, size_t size);

/* The size of the object of TYPE at ADDR as sys.getsizeof() says. */
uint64_t mw_py_object_size(struct mw_python *py, const struct mw_py_type *type, uint64_t addr);
/* Label the blocks that it owns besides, with mw_py_mark(). */
void mw_py_object_buffers(struct mw_python *py, uint32_t type, uint64_t addr);

/* census.c */
/* How many of the heaps' chunks begin before ADDR, but for the one that may hold it. */
size_t mw_py_chunks_before(const struct mw_python *py, uint64_t addr);
/* Find out what may lie between a block's start and its object; called before any type is read. */
void mw_py_learn_before(struct mw_python *py);
/* Label the block at ADDR as owned by an object of TYPE. Ignores 0 and addresses in no block. */
void mw_py_mark(struct mw_python *py, uint32_t type, uint64_t addr);
/* The same for values of a dictionary or an instance, which begin behind a head of their own. */
void mw_py_mark_values(struct mw_python *py, uint32_t type, uint64_t addr);
/* ADDR is in the block of a dead object of TYPE that is kept in a free list. */
void mw_py_mark_parked(struct mw_python *py, uint32_t type, uint64_t addr);
/* What the interpreter itself owns. */
void mw_py_mark_system(struct mw_python *py, enum mw_py_system what, uint64_t addr);
/* The label of the block that holds ADDR, or NULL; its START and SIZE when not NULL. */
uint32_t *mw_py_label_at(struct mw_python *py, uint64_t addr, uint64_t *start, uint64_t *size);

/* repr.c: the object at ADDR as Python would print it, cut short, into BUF. */
void mw_py_repr(struct mw_python *py, uint64_t addr, char *buf, size_t size);
/* The objects that the object at ADDR refers to, up to MAX; their number. */
size_t mw_py_referents(struct mw_python *py, uint64_t addr, uint64_t *out, size_t max);

/* The generation of the object at ADDR that is tracked; -1: not known. */
int mw_py_generation(struct mw_python *py, uint64_t addr);
/* gc.c: the collector's lists, after all objects are labelled. */
void mw_py_gc(struct mw_python *py);

/* py2_numbers.c: Python 2's blocks of int and float objects. */
void mw_py2_numbers(struct mw_python *py);
bool mw_py_cell_is_live(struct mw_python *py, uint64_t cell, uint32_t type);
/* The cell that holds ADDR, of the block whose own bytes begin at START; 0: none. */
uint64_t mw_py_cell_of(uint64_t start, uint64_t addr);
struct mw_py_cell_run {
	uint64_t start;
	uint32_t count; /* of 24 bytes each */
	bool live;
};
/* Runs of like cells in the block whose own bytes begin at START, at most 41; their number. */
size_t mw_py_cell_blocks(struct mw_python *py, uint64_t start, uint32_t type,
			 struct mw_py_cell_run *out);

/* freelists.c */
void mw_py_freelists(struct mw_python *py);

#endif
