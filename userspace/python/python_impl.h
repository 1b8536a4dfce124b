/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of this room share. */
#ifndef MW_PYTHON_IMPL_H
#define MW_PYTHON_IMPL_H

#include "heap/heap.h"
#include "image/pages.h"
#include "python/python.h"
#include "python/referents.h"

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
	MW_PY_ROLE_OTHER,  /* allocated, unknown; see mw_py_held_label() */
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

/* Of a chunk that is no owner's, but that an object of TYPE seems to hold. */
static inline uint32_t mw_py_held_label(uint32_t type)
{
	return mw_py_label(MW_PY_ROLE_OTHER, type + 1);
}

static inline bool mw_py_label_is_held(uint32_t label)
{
	return mw_py_label_role(label) == MW_PY_ROLE_OTHER && label & MW_PY_LABEL_TYPE;
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
	MW_PY_KIND_WEAKREF,
};

/* Types of extension modules that are known besides; struct mw_py_type.library. */
enum mw_py_library {
	MW_PY_LIBRARY_NONE,
	MW_PY_LIBRARY_DATE, /* datetime, time */
	MW_PY_LIBRARY_DECIMAL,
	MW_PY_LIBRARY_STRUCT,
	MW_PY_LIBRARY_BUFFERED,
	MW_PY_LIBRARY_ELEMENT, /* of xml.etree */
	MW_PY_LIBRARY_CTYPE,   /* a type of ctypes, 3.13 and later */
	MW_PY_LIBRARY_STGDICT, /* and before that its dict */
};

/* A live block of a heap, which may be Python's. */
struct mw_py_chunk {
	uint64_t start;
	uint64_t size : 48, header : 8, lent : 8; /* bytes, as in struct mw_block */
};

/*
 * Part of all blocks: pools and chunks by index, the ends not included. By one part after the other
 * the census labels blocks between LOW and HIGH, too, but none outside.
 */
struct mw_py_part {
	size_t pool, pool_end, chunk, chunk_end;
	uint64_t low, high;
};

/* A block outside of a part that an object in it owns: mw_py_mark(), later. */
struct mw_py_claim {
	uint64_t addr;
	uint32_t type;
	bool within; /* mw_py_mark_values() */
};

struct mw_py_slot { /* of the table of types by address */
	uint64_t addr;
	int32_t type; /* index */
};

/* struct arena_object of Objects/obmalloc.c, alike in 2.7 to 3.15; of its fields that more than one
 * file reads. */
enum { MW_PY_ARENA_SIZE = 48, MW_PY_ARENA_POOL = 8, MW_PY_ARENA_LISTS = 16 };

/*
 * Is OBJECT, entry I of an array of arenas, one of it? The array doubles as it grows from 16, so
 * the end is where a power of two no longer fits. END, zero before the first one, remembers how far
 * it was used.
 */
struct mw_py_arena_end {
	size_t good; /* entries up to the last arena */
};
bool mw_py_arena_is_there(struct mw_py_arena_end *end, const uint8_t *object, size_t i,
			  uint32_t pool_size);

struct mw_python {
	struct mw_image *image;
	struct mw_index *index; /* whose arrays the arrays below are, but for TYPES; NULL: none */
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
	uint32_t near[4096];	 /* the arena last found for an address, by the address */

	struct mw_py_interpreter *interpreters;
	size_t interpreter_count, interpreter_capacity;
	struct mw_py_arena *arenas;
	size_t arena_count, arena_capacity;
	uint64_t arena_lists[MW_PY_ARENA_LISTS]; /* where the addresses of their arrays are */
	size_t arena_list_count;
	bool arenas_lost; /* pools are in use, but the list of their arenas is damaged */
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
	struct mw_py_name *names; /* of types by address, names.c */
	size_t name_count, name_capacity;
	bool names_read;
	uint64_t modules;	      /* sys.modules, where no interpreter's state says so */
	uint64_t dict_type;	      /* of sys.modules, while names are read */
	struct mw_py_lost_type *lost; /* by address */
	size_t lost_count, lost_capacity;
	uint64_t refused[4096]; /* words that are no types, by their hash */
	uint64_t last_type_addr;
	int32_t last_type;
	uint32_t *labels; /* of pools' blocks */
	size_t label_count;
	struct mw_py_chunk *chunks; /* the heaps' live blocks, in address order */
	uint32_t *chunk_labels;
	size_t chunk_count, chunk_capacity;
	/* While owners are looked for: mw_py_mark() compares with these and labels nothing. */
	const uint64_t *probes;
	uint64_t *probe_owners, probe_object;
	size_t probe_count;
	uint64_t links_left; /* of all lists together that may still be followed */
	uint32_t gc_head;    /* bytes of the collector's head */
	uint32_t before[3];  /* what may lie before an object, bytes */
	size_t before_count;
	struct mw_span *frames; /* stacks of Python frames, by address */
	size_t frame_count, frame_capacity;
	char **owners; /* four a type: live, parked, buffer, held; made when first asked for */
	size_t owner_count;
	struct mw_py_container *containers; /* met so far, of some length */
	size_t container_count, container_capacity;
	const struct mw_py_part *part; /* of a reader of one part; NULL: everything is its own */
	struct mw_py_claim *claims;
	size_t claim_count, claim_capacity;
	bool no_memory;		   /* for all of them */
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
/* Do the LEFT bytes at P begin as Py_GetVersion()'s do? TEXT gets the version's part of them. */
bool mw_py_is_version(const uint8_t *p, size_t left, unsigned int v[3], char *text, size_t size);
/* No layout that is known fits. */
void mw_py_know_nothing(struct mw_python *py);
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
/* struct pool_header (Objects/obmalloc.c), alike in 2.7 to 3.15. */
enum {
	MW_PY_HEAD_COUNT = 0, /* unsigned int */
	MW_PY_HEAD_FREE = 8,
	MW_PY_HEAD_NEXT = 16,
	MW_PY_HEAD_PREV = 24,
	MW_PY_HEAD_ARENA = 32,	    /* unsigned int */
	MW_PY_HEAD_CLASS = 36,	    /* unsigned int */
	MW_PY_HEAD_OFFSET = 40,	    /* unsigned int, of the next block never handed out */
	MW_PY_HEAD_MAX_OFFSET = 44, /* unsigned int */
	MW_PY_HEAD_SIZE = 48,
};
int mw_py_pymalloc(struct mw_python *py, struct mw_err *err);
/* The pool that holds ADDR, or NULL. */
const struct mw_py_pool *mw_py_pool_find(struct mw_python *py, uint64_t addr);
/*
 * POOL, which has its place, as its header in memory says now. What is wrong with that becomes a
 * doubt; a pool that makes no sense has no blocks.
 */
void mw_py_read_pool(struct mw_python *py, struct mw_py_pool *pool, struct mw_doubts *doubts);
/* Take POOL into ARENA and the sums; -ENOMEM. And an arena that is complete into the sums. */
int mw_py_add_pool(struct mw_python *py, struct mw_py_arena *arena, struct mw_py_pool pool);
void mw_py_add_totals(struct mw_python *py, const struct mw_py_arena *arena);
/*
 * The same for the pool of pymalloc's at ADDR by its HEADER (NULL: it must be read), unless it lies
 * at NEVER_USED or behind.
 */
int mw_py_add_pool_at(struct mw_python *py, struct mw_py_arena *arena, uint64_t addr,
		      uint64_t never_used, const uint8_t *header);
void mw_py_learn_allocator(struct mw_python *py); /* what it is called, and its debug hooks */
/* Is ADDR mapped, but lacks the image its memory, as a core does that was cut short? */
bool mw_py_is_lost(struct mw_python *py, uint64_t addr);
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

/*
 * lost_pools.c: arenas by the headers of their pools; -ENOENT: there are too few.
 */
int mw_py_lost_pools(struct mw_python *py);

/* lost.c */
/* A type whose memory is lost, known by the objects that lead to it. */
struct mw_py_lost_type {
	uint64_t addr;
	uint32_t pre;	    /* bytes before its objects */
	uint32_t basicsize; /* bytes: of the smallest block that has one, without PRE */
	char name[24];	    /* "": not known */
};
/* The interpreter, whose data is lost, by its heap. -ENOENT: there is none, ERR is as it was. */
int mw_py_lost(struct mw_python *py, struct mw_err *err);
/* Is a type that is known lost at ADDR? What it is called; and it as if it were read. */
bool mw_py_lost_type(const struct mw_python *py, uint64_t addr);
bool mw_py_lost_name(struct mw_python *py, uint64_t addr, char *buf, size_t size);
bool mw_py_lost_read(struct mw_python *py, uint64_t addr, struct mw_py_type *type);

/* lost_names.c: what the file of the module that has `type` at TYPE calls those that are lost. */
void mw_py_lost_symbols(struct mw_python *py, uint64_t type);
void mw_py_lost_set_name(struct mw_python *py, uint64_t addr, const char *name);

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
/*
 * TYPE of a reader of a part, with its counts; as an index, -1: no memory. And TYPE with nothing
 * counted yet.
 */
int32_t mw_py_take_type(struct mw_python *py, const struct mw_py_type *type);
void mw_py_type_uncount(struct mw_py_type *type);
/* Does the object at ADDR look like a type, by its own type? */
bool mw_py_is_type(struct mw_python *py, uint64_t addr);
bool mw_py_is_heap_type(struct mw_python *py, uint64_t addr);
/* The type of the object at ADDR as an index, -1: there is no object. */
int32_t mw_py_type_of(struct mw_python *py, uint64_t addr);
/* Fill in TYPE's name, qualified name and module. */
void mw_py_type_name(struct mw_python *py, struct mw_py_type *type);
/* The C string at ADDR, cleaned; false when there is none or it is not text. */
bool mw_py_c_text(struct mw_python *py, uint64_t addr, char *buf, size_t size);
/* The beginning of the str (or 2.7's string) at ADDR, cleaned; false when it is none. */
bool mw_py_text(struct mw_python *py, uint64_t addr, char *buf, size_t size);

/* saved.c: arrays that are an index's are not freed. */
void mw_py_forget_loaded(struct mw_python *py);

/* names.c: what modules call the type at ADDR, as its tp_name would be; false: nothing. */
bool mw_py_name_by_modules(struct mw_python *py, uint64_t addr, char *buf, size_t size);

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
/* The same for what the dictionary at DICT has, of Python 2, too: of K all that begins with "entr".
 */
bool mw_py_entries(struct mw_python *py, uint64_t dict, struct mw_py_keys *out);
/* The text that the dictionary at DICT has for KEY; false: none. */
bool mw_py_dict_text(struct mw_python *py, uint64_t dict, const char *key, char *buf, size_t size);

/* How many objects the array of numpy at OBJECT owns, and where their addresses are; 0: none. */
uint64_t mw_py_ndarray_objects(struct mw_python *py, uint64_t object, uint64_t *items);

/* A deque: LENGTH objects from slot FIRST of BLOCK on; offsets in a block are bytes. */
struct mw_py_deque {
	uint64_t block, first, length, per_block, items, next;
};
bool mw_py_deque(struct mw_python *py, uint64_t addr, struct mw_py_deque *out);
/* The node after NODE of the OrderedDict at ADDR, its first (NODE is 0); 0: there are no more. */
uint64_t mw_py_odict_node(struct mw_python *py, uint64_t addr, uint64_t node);

/* The size of the object of TYPE at ADDR as sys.getsizeof() says. */
uint64_t mw_py_object_size(struct mw_python *py, const struct mw_py_type *type, uint64_t addr);
/* How many elements the object of TYPE at ADDR has; 0: none, or it is no container. */
uint64_t mw_py_length(struct mw_python *py, const struct mw_py_type *type, uint64_t addr);
/* Where the word with that number is; 0: it has none. */
uint64_t mw_py_length_at(struct mw_python *py, const struct mw_py_type *type, uint64_t addr);
/* Label the blocks that it owns besides, with mw_py_mark(). */
void mw_py_object_buffers(struct mw_python *py, uint32_t type, uint64_t addr);

/* COUNT elements of SIZE bytes, 0 when that is not possible. */
uint64_t mw_py_bytes_of(uint64_t count, uint64_t size);
/*
 * From where the fields of the object at ADDR are counted: free-threaded builds have a head that is
 * longer by 16 bytes.
 */
uint64_t mw_py_fields_of(const struct mw_python *py, uint64_t addr);

/* library.c */
/* What __sizeof__ of the object of TYPE at ADDR counts besides the object. */
uint64_t mw_py_library_extra(struct mw_python *py, const struct mw_py_type *type, uint64_t addr);
/* What a class of ctypes refers to through its dict, by itself; 0: nothing. */
uint64_t mw_py_library_prototype(struct mw_python *py, uint64_t type);
void mw_py_library_buffers(struct mw_python *py, uint32_t type, uint64_t addr);
/* By how many bytes the object at ADDR may be shorter than its type says. */
uint64_t mw_py_library_short_by(struct mw_python *py, const struct mw_py_type *type, uint64_t addr);

/* owners.c: the block at START is one that OBJECT, at present looked at, owns. */
void mw_py_probe(struct mw_python *py, uint64_t start);

/* parts.c */
enum { MW_PY_PARTS_MAX = 32 };
/*
 * Divide all blocks into PARTS, of which there are MW_PY_PARTS_MAX at most. First those of pools
 * (*OF_POOLS), then those of chunks. Returns their number.
 */
size_t mw_py_divide(const struct mw_python *py, struct mw_py_part *parts, size_t *of_pools);
/*
 * Call FN, which labels the blocks of a part, for each of PARTS with a reader of its own, and put
 * together what the readers found. 0, -ENOMEM or what FN returned.
 */
int mw_py_label_in_parts(struct mw_python *py, const struct mw_py_part *parts, size_t count,
			 mw_py_part_fn fn, void *arg);

/* blocks.c: the owner and kind of a block with LABEL; of a pool's own bytes or of heads of GC's. */
void mw_py_owner(struct mw_python *py, uint32_t label, struct mw_py_sum *sum);
void mw_py_overhead_owner(bool gc_heads, struct mw_py_sum *sum);

/* pool_sums.c: has POOL blocks, and is it resident as a whole, in one region? */
bool mw_py_pool_is_whole(const struct mw_python *py, const struct mw_py_pool *pool,
			 const struct mw_spans *spans);

/* sweep.c: look at all blocks and label them; 0 or -ENOMEM. */
int mw_py_sweep(struct mw_python *py);
/*
 * How many pools from I on, before END, lie side by side within MW_PY_SWEEP bytes, one in any case;
 * their bytes into SIZE.
 */
enum { MW_PY_SWEEP = 1 << 20 };
size_t mw_py_together(const struct mw_python *py, size_t i, size_t end, uint64_t *size);

/* labels.c */
/* Claims of READER, a reader of a part; MAP: what its types are in PY, NULL: the same. */
void mw_py_take_claims(struct mw_python *py, const struct mw_python *reader, const uint32_t *map);

/* census.c */
/* The census where there is no Python: every live block of HEAPS is C's. 0 or -ENOMEM. */
int mw_py_count_chunks(struct mw_python *py, const struct mw_heaps *heaps);
/* Find out what may lie between a block's start and its object; called before any type is read. */
void mw_py_learn_before(struct mw_python *py);

/* labels.c, too */
/* How many of the heaps' chunks begin before ADDR, but for the one that may hold it. */
size_t mw_py_chunks_before(const struct mw_python *py, uint64_t addr);
/* Label the block at ADDR as owned by an object of TYPE. Ignores 0 and addresses in no block. */
void mw_py_mark(struct mw_python *py, uint32_t type, uint64_t addr);
/* The same for values of a dictionary or an instance, which begin behind a head of their own. */
void mw_py_mark_values(struct mw_python *py, uint32_t type, uint64_t addr);
/* Arrays, how long they are, and problems: where whoever asks finds them. */
void mw_py_fill_info(struct mw_python *py);

/* ADDR is in the block of a dead object of TYPE that is kept in a free list. */
void mw_py_mark_parked(struct mw_python *py, uint32_t type, uint64_t addr);
/* What the interpreter itself owns. */
void mw_py_mark_system(struct mw_python *py, enum mw_py_system what, uint64_t addr);
/* The label of the block that holds ADDR, or NULL; its START and SIZE when not NULL. */
uint32_t *mw_py_label_at(struct mw_python *py, uint64_t addr, uint64_t *start, uint64_t *size);

/* repr.c: the object at ADDR as Python would print it, cut short, into BUF. */
void mw_py_repr(struct mw_python *py, uint64_t addr, char *buf, size_t size);

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

/* referents.c */
uint64_t mw_py_borrowed(const char *type);
/* How many variables a frame of CODE has, cells included. */
uint64_t mw_py_frame_locals(struct mw_python *py, uint64_t code);

/* sums.c: keep in mind the object of TYPE at ADDR if it is a container of some length; -ENOMEM. */
int mw_py_note_length(struct mw_python *py, uint32_t type, uint64_t addr);

/* held.c: chunks that nobody owns and that objects of extension modules hold; 0 or -ENOMEM. */
int mw_py_held(struct mw_python *py);

/* freelists.c */
void mw_py_freelists(struct mw_python *py);

#endif
