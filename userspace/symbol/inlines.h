/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Functions that the compiler inlined, by DWARF, through elfutils' libdw. */
#ifndef MW_SYMBOL_INLINES_H
#define MW_SYMBOL_INLINES_H

#include <elfutils/libdwfl.h>
#include <stddef.h>
#include <stdint.h>

/* A call that was replaced by the function's code. Texts are valid as long as the module is. */
struct mw_inline {
	const char *function; /* its linkage name, else its name */
	const char *file;     /* of the call; NULL when not known */
	uint32_t line;	      /* of the call; 0 when not known */
};

struct mw_inlines; /* opaque: where the functions of compilation units seen so far are */

struct mw_inlines *mw_inlines__new(void); /* NULL: no memory */
void mw_inlines__free(struct mw_inlines *inlines);

/*
 * The up to MAX inlined functions that ADDR in MODULE is of, innermost first, into OUT. Returns how
 * many. The strings of MODULE's debug information must be terminated.
 */
size_t mw_inlines__find(struct mw_inlines *inlines, Dwfl_Module *module, uint64_t addr,
			struct mw_inline *out, size_t max);

#endif
