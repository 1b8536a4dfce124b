/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The constants that arch/arch.h lists, for x86-64. */
#ifndef MW_ARCH_X86_64_H
#define MW_ARCH_X86_64_H

#include <elf.h>

#define MW_ARCH_NAME	"x86-64"
#define MW_ARCH_MACHINE EM_X86_64
#define MW_TLS_MEMBER	"fsbase" /* arch/x86/include/asm/processor.h */

enum {
	MW_PAGE_SIZE = 4096,
	MW_USER_BITS = 56, /* five-level page tables (Documentation/arch/x86/x86_64/mm.rst) */
	MW_ARCH_NOTE_MAX = 16384,    /* XSAVE's area with AMX takes 11 KiB */
	MW_ARCH_WORDS = 15 + 2 * 16, /* general ones but for the stack pointer; XMM0 to 15 */
	/* System V ABI, AMD64 supplement, figure 3.36. */
	MW_DWARF_FP = 6,
	MW_DWARF_SP = 7,
	MW_DWARF_RA = 16,
};

#endif
