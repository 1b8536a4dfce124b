/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The tables by which the BPF programs walk native stacks: one of rows, made of the .eh_frame of
 * each file once, and one of the processes' executable mappings that point into it.
 */
#ifndef MW_TRACE_UNWIND_MAPS_H
#define MW_TRACE_UNWIND_MAPS_H

#include <stdint.h>
#include <sys/types.h>

struct mw_unwind_maps;

/*
 * ROWS and MAPS are the descriptors of the BPF maps, which stay the caller's. NULL with errno set.
 */
struct mw_unwind_maps *mw_unwind_maps__new(int rows, int maps);
void mw_unwind_maps__free(struct mw_unwind_maps *unwinding);

/*
 * Write what PID's executable mappings need: where its entries begin and how many they are. FIRST
 * and COUNT are as the last call for this process left them (0 and 0 at first): what is still right
 * is not written again. 0 or -errno: -ENOSPC when a table is full.
 */
int mw_unwind_maps__add(struct mw_unwind_maps *unwinding, pid_t pid, uint32_t *first,
			uint32_t *count);

#endif
