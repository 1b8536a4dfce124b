/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the code at an address of a running process is called: by the symbols and lines of its files
 * and their debug files, and by what its own compilers say (/tmp/perf-PID.map). Answers are kept.
 */
#ifndef MW_SYMBOL_SYMBOLIZER_H
#define MW_SYMBOL_SYMBOLIZER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* All text is safe to print, and stays good until the symbolizer is closed. */
struct mw_symbol_place {
	const char *function; /* demangled; NULL when not known */
	const char *module;   /* "libc.so.6", "[vdso]", "[jit]", "[unmapped]" */
	const char *path; /* of the module, as the process names it; the same as module if it is no
			     file */
	const char *file; /* source, as the compiler was told; NULL when not known */
	uint32_t line;	  /* 0 when not known */
	uint64_t offset;  /* bytes from where the function begins; else the module */
};

struct mw_symbolizer; /* opaque */

/* NULL with errno set: ESRCH, EACCES, ENOMEM. */
struct mw_symbolizer *mw_symbolizer__open(pid_t pid);
void mw_symbolizer__close(struct mw_symbolizer *symbolizer);

/*
 * The process has mapped or unmapped code: look again. Of one that is gone the mappings stay as
 * they were, and files are found by their names.
 */
void mw_symbolizer__refresh(struct mw_symbolizer *symbolizer);

/*
 * Describe ADDR in OUT, which always is filled; true when the function is known. For a caller's
 * frame give the return address - 1: the call may be a function's last instruction.
 */
bool mw_symbolizer__find(struct mw_symbolizer *symbolizer, uint64_t addr,
			 struct mw_symbol_place *out);

#endif
