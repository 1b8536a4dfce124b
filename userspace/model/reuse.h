/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Free lists hand out objects that somebody else asked the allocator for: a line that keeps tuples
 * takes parked ones, and whoever needs the next one, say a line that only uses it for a moment,
 * asks for a new one. By its blocks that innocent line keeps everything. What grows a container
 * tells: its elements' type, and the line that was seen to add them. Pure data.
 */
#ifndef MW_MODEL_REUSE_H
#define MW_MODEL_REUSE_H

#include "model/label_groups.h"
#include "model/looks.h"
#include "model/suspects.h"

/*
 * Were the elements of each holder of GROWTH asked for at the line that adds most of them, by the
 * survivors of that line among GROUPS? ELAPSED: seconds since the watch began.
 */
void mw_reuse__judge(struct mw_look_growth *growth, const struct mw_label_groups *groups,
		     double elapsed);

/*
 * Of COUNT suspects leave out those that only keep what holders keep that are filled at another
 * line, out of free lists: the holder carries the suspicion. Returns how many are left.
 */
size_t mw_reuse__acquit(struct mw_suspect *suspects, size_t count,
			const struct mw_look_growth *growth);

#endif
