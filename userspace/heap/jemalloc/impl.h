/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * jemalloc 5 in an image. Its radix tree (`extents_rtree`, from 5.3 on in `je_arena_emap_global`)
 * maps the first and the last page of each extent, and all pages of slabs, to a structure that
 * describes the extent and points back. That makes the tree its own proof: no symbol is needed.
 *
 * Source of all layouts: include/jemalloc/internal/ of the releases named in layout.c, with 4 KiB
 * pages, as configure sets them on x86-64.
 */
#ifndef MW_JEMALLOC_IMPL_H
#define MW_JEMALLOC_IMPL_H

#include "heap/jemalloc/layout.h"
#include "heap/nodes.h"
#include "heap/slabs.h"

/* A tree: one jemalloc. A process may have several, in libraries that bring their own. */
struct mw_jemalloc_tree {
	uint64_t root; /* of its first level, an array of pointers to leaves; 0: lost, LEAVES */
	struct mw_nodes leaves;
	const struct mw_jemalloc_layout *layout;
	const struct mw_jemalloc_shape *shape;
	uint32_t first_arena; /* index of its arena 0 among the heap's */
	uint64_t pad; /* bytes that large extents have to spare, for a random place in them */
};

enum { MW_JEMALLOC_TREES = 8 };

/* A block of `base`, the allocator of jemalloc's own structures. */
struct mw_jemalloc_base {
	uint64_t addr, size, next, used; /* USED: bytes from ADDR on */
	uint32_t arena;
};

struct mw_jemalloc {
	struct mw_slab_heap heap;
	struct mw_jemalloc_tree trees[MW_JEMALLOC_TREES];
	size_t tree_count;
	struct mw_span *nodes; /* of all trees, without their roots */
	size_t node_count, node_capacity;
	struct mw_jemalloc_base *bases; /* by address */
	size_t base_count, base_capacity;
};

/* What a leaf says of a page. */
struct mw_jemalloc_word {
	uint64_t pointer; /* to the extent's structure */
	uint32_t size_class, state;
	bool slab, has_state;
};

/* The smallest class has slabs only: a word with neither is a mere pointer. */
static inline bool mw_jemalloc_may_lead(const struct mw_jemalloc_word *word)
{
	return word->pointer && (word->size_class || word->slab) &&
	       word->size_class <= MW_JEMALLOC_CLASSES;
}

/* What the structure says of its extent. */
struct mw_jemalloc_extent {
	uint64_t addr;	    /* as handed out: a large one may begin within its first page */
	uint64_t size;	    /* bytes, whole pages */
	uint64_t bitmap[8]; /* of a slab; a bit for each object that is free */
	uint32_t arena, size_class, free;
	enum mw_jemalloc_state state;
	bool slab;
};

/* Free, kept by a shard of huge pages (sec.h of 5.3, with hpa:true): in use, but of no class. */
static inline bool mw_jemalloc_is_kept(const struct mw_jemalloc_extent *e)
{
	return e->state == MW_JEMALLOC_ACTIVE && !e->slab && e->size_class == MW_JEMALLOC_CLASSES;
}

/* find.c: the trees. 0, or -ENOENT or -ENOMEM with ERR set. */
int mw_jemalloc__find(struct mw_jemalloc *je, struct mw_err *err);

struct mw_jemalloc_leaf {
	uint64_t key; /* its number among all leaves */
	unsigned int
		slabs; /* that its words lead to and whose bitmaps are right, as far as checked */
};

/* The leaf of TREE at LEAF into FOUND. BUF: MW_NODE_BUF bytes. False: it is none. */
bool mw_jemalloc_is_leaf(struct mw_image *image, const struct mw_jemalloc_tree *tree, uint64_t leaf,
			 uint8_t *buf, struct mw_jemalloc_leaf *found);

/* The same by the words beside that at PLACE alone, in a page's worth of them: at little cost. */
bool mw_jemalloc_may_be_leaf(struct mw_image *image, const struct mw_jemalloc_tree *tree,
			     uint64_t leaf, uint64_t place, uint8_t *buf);

/* lost.c: a tree by its leaves. 0, -ENOENT or -ENOMEM. */
int mw_jemalloc__find_lost(struct mw_jemalloc *je);

/* Take the structure of MW_JEMALLOC_EXTENT bytes at P apart. False: it is not possible. */
bool mw_jemalloc_decode(const struct mw_jemalloc_layout *layout, const uint8_t *p,
			struct mw_jemalloc_extent *extent);
/* Take a leaf's word at P apart. */
void mw_jemalloc_read_word(const struct mw_jemalloc_layout *layout,
			   const struct mw_jemalloc_shape *shape, const uint8_t *p,
			   struct mw_jemalloc_word *word);
/* Does WORD for the page PAGE agree with EXTENT? And are the slab's counts right? */
bool mw_jemalloc_agrees(const struct mw_jemalloc_word *word, uint64_t page,
			const struct mw_jemalloc_extent *extent);

/* extents.c: all extents of all trees, as slabs in order. 0 or -ENOMEM. */
int mw_jemalloc__read_extents(struct mw_jemalloc *je);

/* base.c: the allocator's own memory, as slabs not yet in order. 0 or -ENOMEM. */
int mw_jemalloc__read_base(struct mw_jemalloc *je);

/* tcache.c: objects in threads' caches. 0 or -ENOMEM. */
int mw_jemalloc__read_caches(struct mw_jemalloc *je);

#endif
