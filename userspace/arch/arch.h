/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What belongs to the processor. Every architecture has a header of constants and files of code:
 * arch/x86_64.h, x86_64.c (registers, unwinding; arch.h, unwind.h) and x86_64_prologue.c
 * (instructions of a prologue; prologue.h). Another architecture brings the same three, and its
 * registers and system calls to bpf/arch.bpf.h. Nothing else asks which one it is.
 */
#ifndef MW_ARCH_ARCH_H
#define MW_ARCH_ARCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * MW_ARCH_NAME      what messages call it
 * MW_ARCH_MACHINE   EM_… of its ELF files, which are all 64-bit and little-endian
 * MW_PAGE_SIZE      bytes
 * MW_USER_BITS      width of a user address, at most
 * MW_ARCH_NOTE_MAX  bytes of a register set in a core's note, at most
 * MW_ARCH_WORDS     words of a thread's registers that may hold an address
 * MW_DWARF_SP, MW_DWARF_FP, MW_DWARF_RA
 *                   DWARF's numbers of stack pointer, frame pointer and return address
 * MW_TLS_MEMBER     where the kernel keeps a thread's pointer: a member of struct thread_struct
 */
#if defined(__x86_64__)
#include "arch/x86_64.h"
#else
#error "memwhere has no userspace/arch/ file for this processor"
#endif

/*
 * A thread's registers: those that say where its memory is, and the words of all that may hold an
 * address, vectors included.
 */
struct mw_arch_registers {
	uint64_t sp;		 /* stack pointer, 0: unknown */
	uint64_t thread_pointer; /* where its thread-local storage begins, 0: unknown */
	uint64_t words[MW_ARCH_WORDS];
	size_t word_count;
};

/*
 * Read the registers out of LEN bytes of a set of TYPE: NT_PRSTATUS, as ptrace's PTRACE_GETREGSET
 * gives it, or NT_PRFPREG, whose words come behind those that OUT has already. False when they are
 * too few, or of another type.
 */
bool mw_arch_read_registers(uint32_t type, const void *set, size_t len,
			    struct mw_arch_registers *out);

/*
 * The register sets of a thread that a core has in notes named "LINUX" (NT_… of <elf.h>), besides
 * NT_PRSTATUS and NT_PRFPREG.
 */
extern const uint32_t mw_arch_notes[];
extern const size_t mw_arch_note_count;

#endif
