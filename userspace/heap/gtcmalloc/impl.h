/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The heap of Google's tcmalloc (github.com/google/tcmalloc; gperftools' is heap/tcmalloc) in an
 * image. Its page map, a tree in `Static::pagemap_`, leads from pages to spans, which say which
 * page they begin with: that proves both.
 *
 * People take it from its head, without versions. So each row of a table is tried, and one holds
 * where spans have as many free objects as they count; where none does, the heap is not read.
 *
 * Sources: tcmalloc/{pagemap,span,common,sizemap,thread_cache,transfer_cache_internals,cpu_cache}.h
 * and tcmalloc/internal/percpu_tcmalloc.h of 2026-08-21 (fce3f55d), and what workerd
 * 1.20261117.1 has in memory; on x86-64, addresses of 48 bits.
 */
#ifndef MW_GTCMALLOC_IMPL_H
#define MW_GTCMALLOC_IMPL_H

#include "heap/nodes.h"
#include "heap/slabs.h"
#include "util/u64map.h"

enum {
	MW_GTC_SPAN = 64,	 /* bytes of a Span, and what it is aligned to */
	MW_GTC_CLASSES = 512,	 /* more than any build has */
	MW_GTC_WINDOW = 1 << 30, /* what addresses are reserved in (kMinMmapAlloc) */
};

/* How a build divides memory into pages, and its page map. */
struct mw_gtc_pages {
	uint8_t shift;	     /* kPageShift */
	uint8_t class_bytes; /* of CompactSizeClass */
	uint8_t leaf_bits;   /* of a page's number: index in a leaf */
	uint8_t node_bits;   /* index in a node; 0: the root leads to leaves */
};

/* Where a Span has what moved from one version to the next. */
struct mw_gtc_layout {
	const char *version;
	uint8_t flags;	     /* bits between the first page's number and is_large_span_, sampled_ */
	uint8_t pages_word;  /* bytes to the word with small_num_pages_ */
	uint8_t pages_bit;   /* in it; in the word with the first page's number: behind that */
	uint8_t large_pages; /* bytes to LargeOrSampledState::num_pages */
	uint8_t entries;     /* bytes to what holds bits or numbers of free objects */
	uint8_t numbers;     /* kCacheSize: how many numbers fit there */
	uint8_t cached_mask; /* of cache_size_ in its byte */
};

struct mw_gtc_span {
	uint64_t start, pages;	  /* page numbers */
	uint32_t allocated;	  /* objects that are not in its list */
	bool single;		  /* one object: large, or sampled */
	uint8_t cached;		  /* numbers at the beginning of ENTRIES */
	uint16_t first, embedded; /* the list in the objects */
	uint8_t entries[24];	  /* bits or numbers of free objects */
};

/* Pages of one span that follow each other, as the page map has them. */
struct mw_gtc_run {
	uint64_t span, page, pages;
	uint32_t size_class; /* 0: one object */
};

struct mw_gtc_runs {
	struct mw_gtc_run *list;
	size_t count, capacity;
};

struct mw_gtc {
	struct mw_slab_heap heap;
	struct mw_gtc_pages pages;
	const struct mw_gtc_layout *layout;
	uint64_t root;			/* of the page map */
	uint64_t data, data_end;	/* of the file that has it */
	uint32_t sizes[MW_GTC_CLASSES]; /* bytes of an object by class; 0: no such class */
	struct mw_gtc_runs runs;	/* by span and page */
	struct mw_u64map windows;	/* WINDOWs with something of its own in them */
};

/* Bits of a page's number, and those of them that are not an index in the root. */
static inline unsigned int mw_gtc_page_bits(const struct mw_gtc_pages *pages)
{
	return 48U - pages->shift;
}

static inline unsigned int mw_gtc_low_bits(const struct mw_gtc_pages *pages)
{
	return (unsigned int)pages->leaf_bits + pages->node_bits;
}

static inline uint64_t mw_gtc_root_size(const struct mw_gtc_pages *pages)
{
	return 8ULL << (mw_gtc_page_bits(pages) - mw_gtc_low_bits(pages));
}

static inline uint64_t mw_gtc_node_size(const struct mw_gtc_pages *pages)
{
	return 8ULL << pages->node_bits;
}

/* A leaf has the classes of pages first, then words with span and class. */
static inline uint64_t mw_gtc_leaf_words(const struct mw_gtc_pages *pages)
{
	return (uint64_t)pages->class_bytes << pages->leaf_bits;
}

static inline uint64_t mw_gtc_leaf_size(const struct mw_gtc_pages *pages)
{
	return mw_gtc_leaf_words(pages) + (8ULL << pages->leaf_bits);
}

/* The span in a word of a leaf; its size class is in the upper 16 bits. */
static inline uint64_t mw_gtc_word_span(uint64_t word)
{
	return word & ((1ULL << 48) - 1);
}

/* The number of the page that the span at P begins with. */
uint64_t mw_gtc_first_page(const uint8_t *p, const struct mw_gtc_pages *pages);

/* Take the span of MW_GTC_SPAN bytes at P apart. False: it is not possible. */
bool mw_gtc_decode(const uint8_t *p, const struct mw_gtc_pages *pages,
		   const struct mw_gtc_layout *layout, struct mw_gtc_span *span);

/* find.c: the page map and the size classes. 0, or -ENOENT, -ENOTSUP or -ENOMEM with ERR set. */
int mw_gtc__find(struct mw_gtc *gtc, struct mw_err *err);

/* pagemap.c: all runs that the page map has now. 0 or -ENOMEM. */
int mw_gtc__read_page_map(struct mw_gtc *gtc);

/* spans.c: which row holds. 0, -ENOENT: none; -ENOMEM. */
int mw_gtc__choose_layout(struct mw_gtc *gtc);

/* spans.c: all spans as slabs, with the objects that are free in them. 0 or -ENOMEM. */
int mw_gtc__read_spans(struct mw_gtc *gtc);

/* cache.c: objects in caches of processors, of threads and between them. 0 or -ENOMEM. */
int mw_gtc__read_caches(struct mw_gtc *gtc);

/* rest.c: something of the allocator's own is at ADDR. 0 or -ENOMEM. */
int mw_gtc__note_own(struct mw_gtc *gtc, uint64_t addr);

/* rest.c: free pages and the allocator's own memory, once spans are sorted. 0 or -ENOMEM. */
int mw_gtc__claim_rest(struct mw_gtc *gtc);

#endif
