// SPDX-License-Identifier: GPL-2.0-or-later
#include <dwarf.h>
#include <string.h>
#include <sys/procfs.h>
#include <sys/user.h>

#include "arch/arch.h"
#include "arch/unwind.h"

const uint32_t mw_arch_notes[] = {NT_X86_XSTATE};
const size_t mw_arch_note_count = sizeof(mw_arch_notes) / sizeof(mw_arch_notes[0]);

bool mw_arch_read_prstatus(const void *prstatus, size_t len, struct mw_arch_registers *out)
{
	const size_t at = offsetof(struct elf_prstatus, pr_reg);
	struct user_regs_struct regs;

	if (len < at + sizeof(regs))
		return false;
	memcpy(&regs, (const char *)prstatus + at, sizeof(regs));
	out->sp = regs.rsp;
	out->thread_pointer = regs.fs_base;
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
