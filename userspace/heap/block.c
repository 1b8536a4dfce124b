// SPDX-License-Identifier: GPL-2.0-or-later
#include "heap/block.h"

static const struct {
	const char *path;
	enum mw_block_state state;
} kinds[] = {
	[MW_BLOCK_LIVE] = {"live", MW_STATE_LIVE},
	[MW_BLOCK_MMAPPED] = {"mmapped", MW_STATE_LIVE},
	[MW_BLOCK_FREE] = {"free", MW_STATE_FREE},
	[MW_BLOCK_TCACHE] = {"free/tcache", MW_STATE_FREE},
	[MW_BLOCK_FASTBIN] = {"free/fastbin", MW_STATE_FREE},
	[MW_BLOCK_BIN] = {"free/bin", MW_STATE_FREE},
	[MW_BLOCK_CACHE] = {"free/cache", MW_STATE_FREE},
	[MW_BLOCK_PAGES] = {"free/pages", MW_STATE_FREE},
	[MW_BLOCK_DIRTY] = {"free/dirty", MW_STATE_FREE},
	[MW_BLOCK_MUZZY] = {"free/muzzy", MW_STATE_FREE},
	[MW_BLOCK_TOP] = {"top", MW_STATE_FREE},
	[MW_BLOCK_OVERHEAD] = {"overhead", MW_STATE_OVERHEAD},
	[MW_BLOCK_RESERVE] = {"reserve", MW_STATE_OVERHEAD},
	[MW_BLOCK_RETAINED] = {"reserve", MW_STATE_OVERHEAD},
	[MW_BLOCK_UNKNOWN] = {"unknown", MW_STATE_OVERHEAD},
};

_Static_assert(sizeof(kinds) / sizeof(kinds[0]) == MW_BLOCK_KINDS, "every kind has a row");

const char *mw_block_kind_path(enum mw_block_kind kind)
{
	return kinds[kind].path;
}

enum mw_block_state mw_block_state(const struct mw_block *block)
{
	return kinds[block->kind].state;
}
