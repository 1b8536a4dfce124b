/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The ledger: every resident byte of an image has one owner, and the owners' bytes sum to the
 * resident size. What nobody claims is anon/unknown.
 */
#ifndef MW_LEDGER_LEDGER_H
#define MW_LEDGER_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

#include "heap/block.h"
#include "image/image.h"
#include "python/python.h"
#include "util/err.h"

struct mw_ledger_entry {
	char owner[80];	   /* "glibc/free/bin"; safe to print */
	uint64_t bytes;	   /* of address space */
	uint64_t resident; /* bytes of it in memory */
	uint64_t count;	   /* blocks, or regions where there are none */
	bool unclaimed;	   /* nobody claims it: anon/unknown */
};

/* What nobody claims, by what is known of the mapping. */
struct mw_ledger_unknown {
	char mapping[80]; /* "[anon:…]", "[heap]", a path, "anonymous rw-p"; safe to print */
	uint64_t bytes, resident;
	uint64_t count; /* mappings, or parts of them */
};

struct mw_ledger {
	struct mw_ledger_entry *entries; /* the largest resident first */
	size_t count, capacity;
	uint64_t resident;		    /* bytes; the sum of the entries' */
	uint64_t unknown;		    /* bytes of it that nobody claims */
	struct mw_ledger_unknown *unknowns; /* the largest resident first; they sum to UNKNOWN */
	size_t unknown_count, unknown_capacity;
	uint64_t swapped, hugetlb, thp; /* bytes; swap and hugetlbfs are not part of RESIDENT */
	uint64_t zeros;			/* bytes of zeros in a plain core, which may be reserve */
	uint64_t adjusted;		/* bytes that came while the image was read */
};

/*
 * Build the ledger of IMAGE from SOURCES, as mw_pieces__each() takes them. The blocks of PY (may be
 * NULL) may come as mw_python__blocks_to_sum() gives them. 0 or -ENOMEM with ERR set.
 */
int mw_ledger__build(struct mw_ledger *ledger, struct mw_image *image, struct mw_blocks **sources,
		     size_t count, struct mw_python *py, struct mw_err *err);
void mw_ledger__free(struct mw_ledger *ledger);

/* What the image itself shows: thread stacks, thread-local storage, .bss, vdso. NULL: no memory. */
struct mw_blocks *mw_image_owners(struct mw_image *image);

/*
 * The owner of what nobody claims in REGION, into BUF of SIZE bytes; MW_BLOCK_UNKNOWN: it has none,
 * else MW_BLOCK_LIVE.
 */
enum mw_block_kind mw_ledger_region_owner(const struct mw_region *region, char *buf, size_t size);

#endif
