/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The functions and lines of one ELF file at its place in memory, through elfutils' libdwfl. */
#ifndef MW_SYMBOL_ELF_SYMBOLS_H
#define MW_SYMBOL_ELF_SYMBOLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "image/maps.h"
#include "symbol/inlines.h"

struct mw_elf_symbols; /* opaque */

/*
 * Open the separate debug file: a descriptor, which the caller closes, or -1. Called at most once.
 */
typedef int (*mw_elf_symbols_debug_fn)(void *arg);

/*
 * Open the symbols of file FD, of which MAP is a mapping. Takes over FD, also when it fails. NULL
 * with errno set: ENOEXEC or ENOMEM.
 */
struct mw_elf_symbols *mw_elf_symbols__open(int fd, const struct mw_map *map,
					    mw_elf_symbols_debug_fn debug, void *arg);
void mw_elf_symbols__close(struct mw_elf_symbols *elf_symbols);

/* The addresses of its segments, [START, END). */
void mw_elf_symbols__range(const struct mw_elf_symbols *elf_symbols, uint64_t *start,
			   uint64_t *end);

/* The file's build id as hexadecimal text, or "". */
void mw_elf_symbols__build_id(struct mw_elf_symbols *elf_symbols, char *text, size_t size);

/*
 * The function or variable that holds ADDR: its name as in the file, valid until the symbols are
 * closed, and in OFFSET the bytes from its beginning. NULL: none.
 */
const char *mw_elf_symbols__symbol(struct mw_elf_symbols *elf_symbols, uint64_t addr,
				   uint64_t *offset);

/*
 * The line of ADDR, and in FILE the source as the compiler wrote it; 0: none. BUDGET is how many
 * more bytes of debug information may be loaded: a file with more has no lines.
 */
uint32_t mw_elf_symbols__line(struct mw_elf_symbols *elf_symbols, uint64_t addr, const char **file,
			      uint64_t *budget);

/*
 * After mw_elf_symbols__line(): the up to MAX functions inlined at ADDR, innermost first, into OUT.
 * Returns how many; none where there are no lines.
 */
size_t mw_elf_symbols__inlines(struct mw_elf_symbols *elf_symbols, uint64_t addr,
			       struct mw_inline *out, size_t max);

#endif
