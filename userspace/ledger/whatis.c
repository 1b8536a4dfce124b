// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ledger/ledger.h"
#include "ledger/whatis.h"

enum { BATCH = 512 };

static bool find_block(struct mw_blocks *blocks, uint64_t addr, struct mw_block *found)
{
	struct mw_block batch[BATCH];
	bool hit = false;
	size_t n;

	while (blocks && !hit && (n = blocks->fill(blocks, batch, BATCH))) {
		for (size_t i = 0; i < n && !hit; i++) {
			if (addr - batch[i].start < batch[i].size && addr >= batch[i].start) {
				*found = batch[i];
				hit = true;
			}
		}
		if (batch[n - 1].start > addr)
			break;
	}
	return hit;
}

int mw_whatis(struct mw_whatis *what, struct mw_image *image, struct mw_ptmalloc *pt, uint64_t addr,
	      struct mw_err *err)
{
	struct mw_blocks *claims, *blocks = NULL;
	struct mw_block claim;

	memset(what, 0, sizeof(*what));
	what->addr = addr;
	what->region = mw_image__find(image, addr);
	snprintf(what->owner, sizeof(what->owner), "unmapped");
	if (!what->region)
		return 0;
	claims = mw_ledger_claims(image);
	if (!claims)
		return mw_err_set(err, -ENOMEM, "no-memory", mw_image__name(image),
				  "out of memory");
	mw_ledger_region_owner(what->region, what->owner, sizeof(what->owner));
	if (find_block(claims, addr, &claim))
		snprintf(what->owner, sizeof(what->owner), "%s", claim.owner);
	mw_blocks__close(claims);
	if (pt)
		blocks = mw_ptmalloc__blocks_at(pt, addr);
	if (find_block(blocks, addr, &what->block)) {
		what->has_block = true;
		snprintf(what->owner, sizeof(what->owner), "%s", what->block.owner);
		if (what->block.arena != MW_BLOCK_NO_ARENA)
			what->arena = &mw_ptmalloc__info(pt)->arenas[what->block.arena];
	}
	mw_blocks__close(blocks);
	return 0;
}
