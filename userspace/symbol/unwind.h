/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a stack walk needs of an ELF file: its .eh_frame as a sorted table of rows, small enough
 * for a BPF program to search. Read with elfutils' libdw.
 */
#ifndef MW_SYMBOL_UNWIND_H
#define MW_SYMBOL_UNWIND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/memwhere.h"

struct mw_unwind_table {
	struct mw_unwind_row *rows; /* by pc, no two alike in a row */
	size_t count, capacity;
	size_t unknown; /* places whose rule no row can express */
};

/*
 * Make the table of ELF file FD, which stays the caller's. 0, -ENOENT without .eh_frame, -EINVAL
 * when it is no ELF file for this processor, or -ENOMEM. Of a damaged table take the rows that can
 * be read.
 */
int mw_unwind_table__read(struct mw_unwind_table *table, int fd);
void mw_unwind_table__free(struct mw_unwind_table *table);

/* The row for PC (as in its field), or NULL before the first. */
const struct mw_unwind_row *mw_unwind_table__find(const struct mw_unwind_table *table, uint32_t pc);

/*
 * The piece of code that .eh_frame of ELF file FD describes together and that holds ADDR: a
 * function, or one of the parts that a compiler split it into. Addresses in the file. False when
 * there is none.
 */
bool mw_unwind_piece(int fd, uint64_t addr, uint64_t *start, uint64_t *end);

#endif
