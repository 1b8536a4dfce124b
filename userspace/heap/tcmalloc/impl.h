/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * gperftools' tcmalloc in an image. Its page map (a tree of two levels in `Static::pageheap_`)
 * leads from pages to spans, which say which pages they have: as with jemalloc, that proves both.
 *
 * Sources: src/{span,pagemap,page_heap,thread_cache,central_freelist,common}.h, the same in 2.8.1,
 * 2.10, 2.16 and 2.18.1, with pages of 8 KiB and addresses of 48 bits, the default on x86-64.
 */
#ifndef MW_TCMALLOC_IMPL_H
#define MW_TCMALLOC_IMPL_H

#include "heap/nodes.h"
#include "heap/slabs.h"

enum {
	MW_TCMALLOC_PAGE = 8192,
	MW_TCMALLOC_ROOT_BITS = 17,
	MW_TCMALLOC_LEAF_BITS = 18,
	MW_TCMALLOC_ROOT = 8 << MW_TCMALLOC_ROOT_BITS, /* bytes */
	MW_TCMALLOC_LEAF = 8 << MW_TCMALLOC_LEAF_BITS,
	MW_TCMALLOC_SPAN = 48,	    /* bytes of struct Span */
	MW_TCMALLOC_CLASSES = 128,  /* kClassSizesMax */
	MW_TCMALLOC_LIST = 32,	    /* bytes of ThreadCache::FreeList */
	MW_TCMALLOC_LIST_SIZE = 24, /* where in it the size of its objects is */
};

enum mw_tcmalloc_place { MW_TCMALLOC_IN_USE, MW_TCMALLOC_NORMAL, MW_TCMALLOC_RETURNED };

struct mw_tcmalloc_span {
	uint64_t start, pages; /* page numbers */
	uint64_t objects;      /* first of the list of free objects */
	uint32_t used;	       /* objects that are not in that list */
	uint32_t size_class;   /* 0: the span is one object */
	uint32_t place;	       /* enum mw_tcmalloc_place */
};

struct mw_tcmalloc {
	struct mw_slab_heap heap;
	uint64_t root;			    /* of the page map; 0: lost, LEAVES */
	uint64_t data, data_end;	    /* of the file that has it */
	struct mw_nodes leaves;		    /* of the page map */
	struct mw_nodes threads;	    /* threads' caches, when the root is lost */
	int32_t sizes[MW_TCMALLOC_CLASSES]; /* bytes of an object by class */
	uint32_t classes;
	struct mw_span *own; /* what is known of tcmalloc's own memory, sorted once read */
	size_t own_count, own_capacity;
};

/* Take the span of MW_TCMALLOC_SPAN bytes at P apart. False: it is not possible. */
bool mw_tcmalloc_decode(const uint8_t *p, struct mw_tcmalloc_span *span);

/* Is a leaf of the page map at LEAF? KEY gets its number. BUF: MW_NODE_BUF bytes. */
bool mw_tcmalloc_is_leaf(struct mw_image *image, uint64_t leaf, uint8_t *buf, uint64_t *key);
/*
 * Are the MW_TCMALLOC_CLASSES numbers, each STRIDE bytes behind the one before, sizes of classes?
 */
bool mw_tcmalloc_are_sizes(const uint8_t *p, size_t stride, uint32_t *classes);

/* lost.c: leaves and classes without the file's data. 0, -ENOENT or -ENOMEM. */
int mw_tcmalloc__find_lost(struct mw_tcmalloc *tc);

/* find.c: the page map and the size classes. 0, or -ENOENT or -ENOMEM with ERR set. */
int mw_tcmalloc__find(struct mw_tcmalloc *tc, struct mw_err *err);

/* spans.c: all spans with the objects that are free in them. 0 or -ENOMEM. */
int mw_tcmalloc__read_spans(struct mw_tcmalloc *tc);
int mw_tcmalloc__add_own(struct mw_tcmalloc *tc, uint64_t start, uint64_t size);
/* The allocator's own memory, as slabs not yet in order. 0 or -ENOMEM. */
int mw_tcmalloc__claim_own(struct mw_tcmalloc *tc);

/* cache.c: objects in threads' caches and in the transfer cache. 0 or -ENOMEM. */
int mw_tcmalloc__read_caches(struct mw_tcmalloc *tc);

#endif
