/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who has which part of an image's memory, where several sources claim it: region < stack < heap
 * block < Python object. What each part counts for is the caller's.
 */
#ifndef MW_LEDGER_PIECES_H
#define MW_LEDGER_PIECES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "heap/block.h"
#include "image/image.h"

enum { MW_PIECES_SOURCES = 8 };

/* What a block, or a region, has left when all that lies within is taken off. */
struct mw_piece {
	const struct mw_region *region;
	const struct mw_block *block; /* NULL: nobody claims it, it is the region's */
	size_t source;		      /* of BLOCK: its index among the sources */
	uint64_t bytes, resident;     /* of address space, in memory */
	bool whole;		      /* the last piece of BLOCK or of the region */
};

/* 0 goes on; anything else ends it and is returned. PIECE is good until it returns. */
typedef int (*mw_piece_fn)(void *arg, const struct mw_piece *piece);

/*
 * Call FN for every piece of IMAGE. SOURCES (COUNT, at most MW_PIECES_SOURCES, some may be NULL)
 * claim memory from the outermost inwards. EXCESS gets the bytes by which the pieces' sum exceeds
 * the regions' resident size: pages that came while the image was read. 0, -ENOMEM, FN's result.
 */
int mw_pieces__each(struct mw_image *image, struct mw_blocks **sources, size_t count,
		    mw_piece_fn fn, void *arg, uint64_t *excess);

#endif
