// SPDX-License-Identifier: GPL-2.0-or-later
#include <dwarf.h>
#include <string.h>
#include <sys/procfs.h>
#include <sys/user.h>

#include "arch/arch.h"
#include "arch/unwind.h"

const uint32_t mw_arch_notes[] = {NT_X86_XSTATE};
const size_t mw_arch_note_count = sizeof(mw_arch_notes) / sizeof(mw_arch_notes[0]);

static bool read_general(const void *set, size_t len, struct mw_arch_registers *out)
{
	struct user_regs_struct regs;

	if (len < sizeof(regs))
		return false;
	memcpy(&regs, set, sizeof(regs));
	*out = (struct mw_arch_registers){
		.sp = regs.rsp,
		.thread_pointer = regs.fs_base,
		.words = {regs.rax, regs.rbx, regs.rcx, regs.rdx, regs.rsi, regs.rdi, regs.rbp,
			  regs.r8, regs.r9, regs.r10, regs.r11, regs.r12, regs.r13, regs.r14,
			  regs.r15},
		.word_count = MW_ARCH_WORDS - 2 * 16,
	};
	return true;
}

bool mw_arch_read_registers(uint32_t type, const void *set, size_t len,
			    struct mw_arch_registers *out)
{
	const size_t at = offsetof(struct user_fpregs_struct, xmm_space);
	size_t vectors = sizeof(((struct user_fpregs_struct *)0)->xmm_space);

	if (type == NT_PRSTATUS)
		return read_general(set, len, out);
	if (type != NT_PRFPREG || len < at + vectors ||
	    out->word_count > MW_ARCH_WORDS - vectors / 8)
		return false;
	memcpy(out->words + out->word_count, (const char *)set + at, vectors);
	out->word_count += vectors / 8;
	return true;
}

/* A PLT entry pushes in its middle: elf_x86_64_eh_frame_lazy_plt in binutils' elf64-x86-64.c. */
bool mw_arch_is_plt(const Dwarf_Op *ops, size_t count)
{
	static const Dwarf_Op plt[] = {
		{.atom = DW_OP_breg7, .number = 8},
		{.atom = DW_OP_breg16},
		{.atom = DW_OP_lit15},
		{.atom = DW_OP_and},
		{.atom = DW_OP_lit11},
		{.atom = DW_OP_ge},
		{.atom = DW_OP_lit3},
		{.atom = DW_OP_shl},
		{.atom = DW_OP_plus},
	};

	if (count != sizeof(plt) / sizeof(plt[0]))
		return false;
	for (size_t i = 0; i < count; i++) {
		if (ops[i].atom != plt[i].atom || ops[i].number != plt[i].number)
			return false;
	}
	return true;
}
