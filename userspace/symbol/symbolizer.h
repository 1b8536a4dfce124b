/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Names for the addresses of an image: by the symbols and lines of its files and their debug files,
 * and of a process by what its own compilers say (/tmp/perf-PID.map). Answers are kept.
 */
#ifndef MW_SYMBOL_SYMBOLIZER_H
#define MW_SYMBOL_SYMBOLIZER_H

#include <stdbool.h>
#include <stdint.h>

#include "image/image.h"

enum { MW_SYMBOL_PLACES = 16 }; /* functions at one address: those inlined, and the one itself */

/* All text is safe to print and lives until the symbolizer is closed. */
struct mw_symbol_place {
	const char *function; /* demangled; NULL when not known */
	const char *module;   /* "libc.so.6", "[vdso]", "[jit]", "[unmapped]" */
	const char *path; /* of the module, as the process names it; the same as module if it is no
			     file */
	const char *file; /* of the source, as the compiler wrote it; NULL when not known */
	uint32_t line;	  /* 0 when not known */
	uint64_t offset;  /* bytes from where the function begins, else the module */
};

struct mw_symbolizer; /* opaque */

/* Of IMAGE, which outlives it. NULL: no memory. */
struct mw_symbolizer *mw_symbolizer__open(struct mw_image *image);
void mw_symbolizer__close(struct mw_symbolizer *symbolizer);

/* After mw_image__refresh(): forget what is no longer mapped. */
void mw_symbolizer__refresh(struct mw_symbolizer *symbolizer);

/*
 * Describe the code at ADDR in OUT, which is always filled; true when the function is known. For a
 * caller's frame give the return address - 1: the call may be a function's last instruction. Where
 * the code was inlined, it is the function that it was inlined into, and the line of that.
 */
bool mw_symbolizer__find(struct mw_symbolizer *symbolizer, uint64_t addr,
			 struct mw_symbol_place *out);

/*
 * The same with the functions that were inlined at ADDR, innermost first, each with the line that
 * it was at: the last one is what mw_symbolizer__find() says. OUT has room for MW_SYMBOL_PLACES.
 * Returns how many there are, at least one.
 */
size_t mw_symbolizer__find_all(struct mw_symbolizer *symbolizer, uint64_t addr,
			       struct mw_symbol_place *out);

struct mw_symbol_name {
	char name[128];	 /* as in the file, safe to print */
	uint64_t offset; /* bytes from its beginning */
};

/* The function or variable that holds ADDR; false when there is none, or no file at hand. */
bool mw_symbolizer__name(struct mw_symbolizer *symbolizer, uint64_t addr,
			 struct mw_symbol_name *out);

#endif
