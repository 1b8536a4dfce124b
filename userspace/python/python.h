/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * CPython in an image: its interpreters, pymalloc's arenas, and its objects by type. Everything is
 * found by its content in memory and validated; symbols are used where available.
 */
#ifndef MW_PYTHON_PYTHON_H
#define MW_PYTHON_PYTHON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "heap/block.h"
#include "image/image.h"
#include "image/problems.h"
#include "python/layout.h"
#include "util/err.h"

struct mw_heaps;
struct mw_python; /* opaque */

enum { MW_PY_CLASSES = 96, MW_PY_EVIDENCE = 12 };

struct mw_py_class {
	uint32_t size;		    /* bytes of a block */
	uint64_t pools, used, free; /* blocks */
};

enum mw_py_pool_state { MW_PY_POOL_USED, MW_PY_POOL_FULL, MW_PY_POOL_FREE, MW_PY_POOL_UNUSED };

/* A pool of pymalloc's, or a page of mimalloc's: blocks of one size. */
struct mw_py_pool {
	uint64_t addr, size;	 /* bytes, the pool's head included */
	uint64_t block_size;	 /* bytes; 0: it has no blocks */
	uint32_t first;		 /* offset of its first block, bytes */
	uint32_t used, capacity; /* blocks */
	uint32_t handed_out;	 /* blocks from the first on that were ever in use */
	uint32_t label;		 /* index of its first block's label */
	uint8_t state;		 /* enum mw_py_pool_state */
	uint8_t tag;   /* of mimalloc's page: 0 memory, 1 object, 2 with gc, 3 with a preheader */
	uint64_t page; /* address of mimalloc's struct mi_page_s, 0: a pool of pymalloc's */
};

struct mw_py_arena {
	uint64_t addr, size;		 /* bytes */
	uint32_t first_pool, pool_count; /* in struct mw_py_info.pools */
	uint32_t used_pools, full_pools, free_pools, unused_pools;
	uint64_t used_blocks, used_bytes;
	uint32_t interpreter; /* index */
};

struct mw_py_interpreter {
	uint64_t addr;
	int64_t id;
	uint32_t threads;
};

struct mw_py_info {
	char version[32]; /* "3.11.2", as the interpreter itself says */
	uint32_t hex;	  /* MW_PY_VERSION */
	bool free_threaded;
	bool finalized;	 /* by Py_Finalize(), or not initialised yet: no interpreter is left */
	bool none;	 /* there is no Python: mw_python__none() */
	char module[80]; /* the file that holds the interpreter */
	const struct mw_py_layout *layout; /* NULL: none known fits, only pools are known */
	const struct mw_py_interpreter *interpreters;
	size_t interpreter_count;
	/* "pymalloc", "pymalloc_debug", "malloc", "mimalloc"; "unknown": it may have been cut off
	 */
	const char *allocator;

	uint32_t pool_size, alignment;	  /* bytes; 0: there are no pools */
	const struct mw_py_arena *arenas; /* by address */
	size_t arena_count;
	const struct mw_py_pool *pools;
	size_t pool_count;
	struct mw_py_class classes[MW_PY_CLASSES];
	uint64_t arena_bytes, used_blocks, used_bytes, free_blocks, free_bytes;
	uint64_t pools_used, pools_full, pools_free, pools_unused;
	int64_t raw_blocks; /* allocated by objects' allocator outside of pools; -1: unknown */

	const struct mw_problems *problems;   /* with what changed while it was read */
	const char *evidence[MW_PY_EVIDENCE]; /* ends with NULL */
};

/*
 * Find the interpreter and measure its pools. IMAGE must outlive the result. NULL with errno and
 * ERR set; -ENOENT: no CPython interpreter here, ERR says what was looked for.
 */
struct mw_python *mw_python__open(struct mw_image *image, struct mw_err *err);
/*
 * What stands for the interpreter of an IMAGE that has none: there are no types and no objects, but
 * the blocks of HEAPS have numbers and words, so that python/referents.h serves for programs
 * without Python, too. The census, that is, was taken. NULL with ERR set: no memory.
 */
struct mw_python *mw_python__none(struct mw_image *image, const struct mw_heaps *heaps,
				  struct mw_err *err);
void mw_python__close(struct mw_python *py);
const struct mw_py_info *mw_python__info(const struct mw_python *py);

struct mw_py_type {
	uint64_t addr;
	/* "dict", "builtins"; safe to print; qualname "" where it is the name, module may be "" */
	char name[64], qualname[96], module[48];
	uint64_t count;		      /* live objects */
	uint64_t bytes;		      /* as sys.getsizeof says */
	uint64_t buffer_bytes;	      /* blocks that they own besides; partly in BYTES, too */
	uint64_t held_bytes;	      /* chunks of malloc's that they seem to hold; conservative */
	uint64_t parked;	      /* dead ones kept in a free list */
	uint64_t tracked;	      /* live ones in a generation of the garbage collector */
	uint64_t frozen;	      /* live ones that it keeps apart: gc.freeze() */
	uint64_t basicsize, itemsize; /* bytes */
	uint64_t flags;
	uint64_t borrowed; /* words of an object that are no references; bit 0 is the first word */
	int32_t dictoffset, weaklistoffset; /* bytes, as the type says; 0: none */
	uint32_t pre; /* bytes before an object: head of the collector, dictionary pointers */
	uint8_t kind, library; /* of the room's own enums mw_py_kind and mw_py_library */
	bool heap_type, gc, managed_dict, named;
};

/* "collections.deque", "dict": the full name, without the module of built-in types. */
void mw_python_type_name(const struct mw_py_type *type, char *buf, size_t size);

struct mw_py_census {
	const struct mw_py_type *types; /* most bytes first; of those with any objects */
	size_t type_count;
	uint64_t objects, bytes, buffer_bytes, held_bytes, parked, tracked;
	uint64_t frozen;
	uint64_t interned, interned_bytes;  /* str objects that are interned */
	uint64_t immortal;		    /* objects that are never freed, 3.12 and later */
	uint64_t other_blocks, other_bytes; /* allocated, neither an object nor a known buffer */
	uint64_t heap_bytes,
		heap_unknown; /* of the heaps; and where they changed as they were read */
	bool has_generations;
	uint64_t generations[3]; /* tracked objects, the youngest first */
	uint64_t garbage;	 /* in gc.garbage */
};

/*
 * Classify every live block of the pools and of HEAPS (may be NULL: none). Done once and kept. 0
 * or -ENOMEM with ERR set.
 */
int mw_python__census(struct mw_python *py, const struct mw_heaps *heaps,
		      struct mw_py_census *census, struct mw_err *err);

/*
 * Where Python's memory is, bytes of blocks with their heads: those of pools and pages, and those
 * of the heaps that are Python's. After the census.
 */
struct mw_py_sums {
	uint64_t live;	 /* objects and the blocks that they own besides */
	uint64_t parked; /* dead objects in free lists */
	uint64_t data;	 /* of a pool: allocated, neither of the above */
	uint64_t free_blocks, free_pools;
	uint64_t in_heaps; /* of LIVE and PARKED and the interpreter's own, what lies in heaps */
};
void mw_python__sums(const struct mw_python *py, struct mw_py_sums *sums);

enum mw_py_what {
	MW_PY_WHAT_OBJECT,
	MW_PY_WHAT_PARKED, /* a dead object, kept in a free list */
	MW_PY_WHAT_BUFFER, /* owned by an object of TYPE */
	MW_PY_WHAT_FREE,   /* a free block */
	MW_PY_WHAT_DATA,   /* allocated, neither of the above */
	MW_PY_WHAT_SYSTEM, /* the interpreter's or its allocator's own */
	MW_PY_WHAT_POOL,   /* a pool's header, its tail, or a pool without blocks */
	MW_PY_WHAT_ARENA,  /* an arena outside of its pools */
	MW_PY_WHAT_STATIC, /* an object in a file's data */
};

/* "object", "parked", ... */
const char *mw_python_what_name(enum mw_py_what what);

enum { MW_PY_REFERENTS = 32 };

struct mw_py_object {
	enum mw_py_what what;
	uint64_t block, block_size;	 /* what the allocator gave, 0: no block */
	const struct mw_py_pool *pool;	 /* NULL: not in a pool */
	const struct mw_py_arena *arena; /* NULL: in none */
	const struct mw_py_type *type;	 /* of the object, or of a buffer's owner; may be NULL */
	uint64_t addr;			 /* of the object; the rest is set where there is one */
	uint64_t refcount, size;	 /* size: as sys.getsizeof says */
	uint64_t owner;			 /* of a buffer: the object's address, 0: not found */
	bool tracked;
	int generation;	       /* 0 the youngest; -1: not tracked, or not known */
	char repr[400];	       /* safe to print; cut short with "..." */
	size_t referent_count; /* how many are kept */
	uint64_t referents[MW_PY_REFERENTS];
};

/*
 * What lies at ADDR of Python's memory, after the census. -ENOENT: nothing of Python's.
 */
int mw_python__object(struct mw_python *py, uint64_t addr, struct mw_py_object *out);

/*
 * After the census: which objects own the COUNT (at most MW_PY_PROBES) blocks that begin at BLOCKS,
 * as addresses into OWNERS; 0: none was found. An object's own block is owned by that object. Takes
 * one pass over the objects of the types concerned.
 */
enum { MW_PY_PROBES = 16 };
void mw_python__owners(struct mw_python *py, const uint64_t *blocks, size_t count,
		       uint64_t *owners);

/*
 * After the census: the type that has the heap's live block that begins at START, as an object or
 * as a buffer; NULL: it is not Python's. CURSOR, 0 at first, makes a pass in address order fast.
 * OWNED (may be NULL) gets whether it is Python's, which the interpreter's own blocks are without a
 * type.
 */
const struct mw_py_type *mw_python__chunk_type(const struct mw_python *py, uint64_t start,
					       size_t *cursor, bool *owned);

/* A block of a pool, or a chunk of a heap that is Python's. */
struct mw_py_block {
	uint64_t start, size;
	uint64_t object; /* where an object begins, live or parked; else 0 */
	enum mw_py_what what;
	const struct mw_py_type *type; /* of the object, or of the owner; may be NULL */
	const struct mw_py_pool *pool; /* NULL: a chunk */
};

/*
 * Call FN for each block of POOL, or, when POOL is NULL, for all of Python's, in address order of
 * the pools and then of the chunks; after the census. A result other than 0 ends it and is
 * returned.
 */
typedef int (*mw_py_block_fn)(void *arg, const struct mw_py_block *block);
int mw_python__each_block(struct mw_python *py, const struct mw_py_pool *pool, mw_py_block_fn fn,
			  void *arg);

/* The pool and the arena that hold ADDR, NULL: none. */
const struct mw_py_pool *mw_python__pool(struct mw_python *py, uint64_t addr);
const struct mw_py_arena *mw_python__arena(const struct mw_python *py, uint64_t addr);
/* The type of the object at ADDR, named; -ENOENT: there is none. Needs no census. */
int mw_python__type_of(struct mw_python *py, uint64_t addr, struct mw_py_type *type);
/* The object at ADDR as Python would print it, cut short, into BUF; "" when there is none. */
void mw_python__repr(struct mw_python *py, uint64_t addr, char *buf, size_t size);

/* Python's memory as blocks in address order, for the ledger; after the census. */
struct mw_blocks *mw_python__blocks(struct mw_python *py);

/*
 * The same for who wants sums: a pool that is resident as a whole, by SPANS, comes as one block,
 * whose owner is mw_python_whole_pool. What all those have in them says mw_python__whole_pools().
 */
struct mw_blocks *mw_python__blocks_to_sum(struct mw_python *py, const struct mw_spans *spans);
extern const char mw_python_whole_pool[];
struct mw_py_sum {
	const char *owner; /* as a block's */
	enum mw_block_kind kind;
	uint64_t bytes, count; /* of blocks; all are resident */
};
typedef int (*mw_py_sum_fn)(void *arg, const struct mw_py_sum *sum);
int mw_python__whole_pools(struct mw_python *py, const struct mw_spans *spans, mw_py_sum_fn fn,
			   void *arg);

/* mw_python__blocks() without all that lies before the arena or the chunk that holds ADDR. */
struct mw_blocks *mw_python__blocks_at(struct mw_python *py, uint64_t addr);

#endif
