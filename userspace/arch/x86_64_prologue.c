// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * x86-64 instructions under a uprobe, decoded with Zydis. What the kernel does with them is in
 * arch/x86/kernel/uprobes.c: uprobe_init_insn(), branch_setup_xol_ops() and push_setup_xol_ops()
 * (Linux 4.16 to 6.18; the longer nops, emulated from 6.18 on, count as single-stepped).
 */
#include <Zydis/Zydis.h>
#include <stdio.h>

#include "arch/prologue.h"

struct decoded {
	ZydisDecodedInstruction insn;
	ZydisDecodedOperand ops[ZYDIS_MAX_OPERAND_COUNT];
};

/* AMD EPYC virtual machine, Linux 6.18: `free`+3 (je), `malloc` (push), `free` (test). */
const uint32_t mw_insn_published_costs[] = {810, 1030, 16440, 0};

#define SAMPLE(name, body)                                                                         \
	__attribute__((naked, noinline)) static void name(void)                                    \
	{                                                                                          \
		__asm__ volatile(body);                                                            \
	}

SAMPLE(sample_branch, "jmp 1f\n1:\tret")
SAMPLE(sample_push, "push %rbp\n\tpop %rbp\n\tret")
SAMPLE(sample_stepped, "test %rdi, %rdi\n\tret")
SAMPLE(sample_return, "push %rbp\n\tpop %rbp\n\tret")

void (*const mw_insn_samples[])(void) = {sample_branch, sample_push, sample_stepped, sample_return};

static bool decode(struct decoded *d, const uint8_t *code, size_t size)
{
	ZydisDecoder decoder;

	ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
	return ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, code, size, &d->insn, d->ops));
}

static bool is_jump(const ZydisDecodedInstruction *insn)
{
	return insn->meta.category == ZYDIS_CATEGORY_COND_BR ||
	       insn->meta.category == ZYDIS_CATEGORY_UNCOND_BR;
}

/* True when something other than going on to the next instruction happens, or may happen. */
static bool ends_straight_line(const ZydisDecodedInstruction *insn)
{
	switch (insn->meta.category) {
	case ZYDIS_CATEGORY_COND_BR:
	case ZYDIS_CATEGORY_UNCOND_BR:
	case ZYDIS_CATEGORY_CALL:
	case ZYDIS_CATEGORY_RET:
	case ZYDIS_CATEGORY_SYSCALL:
	case ZYDIS_CATEGORY_SYSRET:
	case ZYDIS_CATEGORY_INTERRUPT:
	case ZYDIS_CATEGORY_SYSTEM:
		return true;
	default:
		/* rep movs and the like restart under a single step. */
		return insn->attributes & (ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE |
					   ZYDIS_ATTRIB_HAS_REPNE) ||
		       insn->mnemonic == ZYDIS_MNEMONIC_XBEGIN ||
		       insn->mnemonic == ZYDIS_MNEMONIC_UD0 ||
		       insn->mnemonic == ZYDIS_MNEMONIC_UD1 ||
		       insn->mnemonic == ZYDIS_MNEMONIC_UD2 || insn->mnemonic == ZYDIS_MNEMONIC_HLT;
	}
}

static bool is_legacy(const ZydisDecodedInstruction *insn)
{
	return insn->encoding == ZYDIS_INSTRUCTION_ENCODING_LEGACY;
}

/* One-byte opcodes that good_insns_64 leaves out, and those of no meaning in 64-bit mode. */
static bool is_refused_opcode(ZyanU8 opcode)
{
	switch (opcode) {
	case 0x6c ... 0x6f: /* ins, outs */
	case 0x9a:	    /* far call */
	case 0xcc ... 0xcf: /* int3, int, into, iret */
	case 0xe4 ... 0xe7: /* in, out */
	case 0xea:	    /* far jmp */
	case 0xec ... 0xef: /* in, out */
	case 0xf1:	    /* int1 */
	case 0xf4:	    /* hlt */
	case 0xfa:	    /* cli */
	case 0xfb:	    /* sti */
		return true;
	default:
		return false;
	}
}

static bool has_prefix(const ZydisDecodedInstruction *insn, ZyanU8 value)
{
	for (ZyanU8 i = 0; i < insn->raw.prefix_count; i++) {
		if (insn->raw.prefixes[i].value == value)
			return true;
	}
	return false;
}

/* Near branches that branch_setup_xol_ops() takes on, by their opcodes. */
static bool is_emulated_branch(const ZydisDecodedInstruction *insn)
{
	if (insn->opcode_map == ZYDIS_OPCODE_MAP_0F)
		return (insn->opcode & 0xf0) == 0x80;
	return insn->opcode_map == ZYDIS_OPCODE_MAP_DEFAULT &&
	       (insn->opcode == 0xe8 || insn->opcode == 0xe9 || insn->opcode == 0xeb ||
		(insn->opcode & 0xf0) == 0x70);
}

/* is_prefix_bad(): segment overrides but FS and GS, and lock. */
static bool has_refused_prefix(const ZydisDecodedInstruction *insn)
{
	static const ZyanU8 refused[] = {0x26, 0x2e, 0x36, 0x3e, 0xf0};

	for (size_t i = 0; i < sizeof(refused); i++) {
		if (has_prefix(insn, refused[i]))
			return true;
	}
	return false;
}

/* What the kernel refuses to probe, what it would get wrong, and what is better left alone. */
static bool is_refused(const ZydisDecodedInstruction *insn)
{
	/*
	 * The kernel looks at the opcode byte without regard to a VEX prefix: it emulates vpcmpeqb
	 * (74) as a je, that is, leaves it out, and takes vcmpps (c2) for a ret.
	 */
	if (!is_legacy(insn) || has_refused_prefix(insn))
		return true;
	if (is_emulated_branch(insn) && has_prefix(insn, 0x66))
		return true;
	if (insn->opcode_map == ZYDIS_OPCODE_MAP_DEFAULT) {
		if (is_refused_opcode(insn->opcode))
			return true;
		/* 90 with REX.B exchanges r8 and rax; up to Linux 6.18 it is emulated as a nop. */
		if (insn->opcode == 0x90 && insn->mnemonic == ZYDIS_MNEMONIC_XCHG)
			return true;
		/* mov to ss holds back the trap of the single step. */
		if (insn->opcode == 0x8e && insn->raw.modrm.reg == 2)
			return true;
	}
	switch (insn->mnemonic) {
	/* Accepted, but a step of them ends elsewhere than behind them, or in a signal. */
	case ZYDIS_MNEMONIC_UD0:
	case ZYDIS_MNEMONIC_UD1:
	case ZYDIS_MNEMONIC_UD2:
	case ZYDIS_MNEMONIC_XBEGIN:
	case ZYDIS_MNEMONIC_SYSCALL:
	case ZYDIS_MNEMONIC_SYSENTER:
	case ZYDIS_MNEMONIC_SYSEXIT:
	case ZYDIS_MNEMONIC_SYSRET:
		return true;
	default:
		return insn->meta.branch_type == ZYDIS_BRANCH_TYPE_FAR;
	}
}

static enum mw_probe_class classify(const struct decoded *d, const uint8_t *bytes)
{
	const ZydisDecodedInstruction *insn = &d->insn;

	if (is_refused(insn))
		return MW_PROBE_UNPROBEABLE;
	/* push %reg: 50-57, alone or after REX.B; nothing longer. */
	if (insn->length == 1 && bytes[0] >= 0x50 && bytes[0] <= 0x57)
		return MW_PROBE_PUSH;
	if (insn->length == 2 && bytes[0] == 0x41 && bytes[1] >= 0x50 && bytes[1] <= 0x57)
		return MW_PROBE_PUSH;
	/* Any prefix does; the longer nops (0f 1f) are emulated from Linux 6.18 on only. */
	if (insn->opcode_map == ZYDIS_OPCODE_MAP_DEFAULT && insn->opcode == 0x90 &&
	    insn->mnemonic == ZYDIS_MNEMONIC_NOP)
		return MW_PROBE_BRANCH;
	return is_emulated_branch(insn) ? MW_PROBE_BRANCH : MW_PROBE_STEPPED;
}

static uint32_t argument_bit(ZydisRegister reg)
{
	switch (ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, reg)) {
	case ZYDIS_REGISTER_RDI:
		return MW_ARG_1;
	case ZYDIS_REGISTER_RSI:
		return MW_ARG_2;
	case ZYDIS_REGISTER_RDX:
		return MW_ARG_3;
	case ZYDIS_REGISTER_RCX:
		return MW_ARG_4;
	default:
		return 0;
	}
}

/* Registers that D writes, hidden operands included (mul writes rdx). */
static uint32_t written_arguments(const struct decoded *d)
{
	uint32_t mask = 0;

	for (ZyanU8 i = 0; i < d->insn.operand_count; i++) {
		if (d->ops[i].type == ZYDIS_OPERAND_TYPE_REGISTER &&
		    (d->ops[i].actions & ZYDIS_OPERAND_ACTION_MASK_WRITE))
			mask |= argument_bit(d->ops[i].reg.value);
	}
	return mask;
}

static bool writes_stack_pointer(const struct decoded *d)
{
	for (ZyanU8 i = 0; i < d->insn.operand_count; i++) {
		if (d->ops[i].type == ZYDIS_OPERAND_TYPE_REGISTER &&
		    (d->ops[i].actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) &&
		    ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64,
						     d->ops[i].reg.value) == ZYDIS_REGISTER_RSP)
			return true;
	}
	return false;
}

/* The bytes that D moves the stack pointer down by; false when they are not known. */
static bool stack_growth(const struct decoded *d, int64_t *growth)
{
	const ZydisDecodedOperand *a = &d->ops[0], *b = &d->ops[1];

	*growth = 0;
	if (!writes_stack_pointer(d))
		return true;
	switch (d->insn.mnemonic) {
	case ZYDIS_MNEMONIC_PUSH:
		*growth = d->insn.operand_width / 8;
		return true;
	case ZYDIS_MNEMONIC_POP:
		*growth = -(int64_t)(d->insn.operand_width / 8);
		return a->type != ZYDIS_OPERAND_TYPE_REGISTER || a->reg.value != ZYDIS_REGISTER_RSP;
	case ZYDIS_MNEMONIC_SUB:
	case ZYDIS_MNEMONIC_ADD:
		if (a->type != ZYDIS_OPERAND_TYPE_REGISTER || a->reg.value != ZYDIS_REGISTER_RSP ||
		    b->type != ZYDIS_OPERAND_TYPE_IMMEDIATE)
			return false;
		*growth = d->insn.mnemonic == ZYDIS_MNEMONIC_SUB ? b->imm.value.s : -b->imm.value.s;
		return true;
	case ZYDIS_MNEMONIC_LEA:
		if (a->reg.value != ZYDIS_REGISTER_RSP || b->mem.base != ZYDIS_REGISTER_RSP ||
		    b->mem.index != ZYDIS_REGISTER_NONE)
			return false;
		*growth = -b->mem.disp.value;
		return true;
	default:
		return false;
	}
}

/*
 * An indirect jump through a cell of the GOT is a call's last step to another function; one through
 * a register or an indexed table may land anywhere in this one.
 */
static bool is_tail_call_by_got(const struct decoded *d)
{
	return d->ops[0].type == ZYDIS_OPERAND_TYPE_MEMORY &&
	       d->ops[0].mem.base == ZYDIS_REGISTER_RIP &&
	       d->ops[0].mem.index == ZYDIS_REGISTER_NONE;
}

static enum mw_insn_flow flow_of(const struct decoded *d, uint64_t address, uint64_t *target)
{
	bool jumps = is_jump(&d->insn);

	if ((jumps || d->insn.meta.category == ZYDIS_CATEGORY_CALL) &&
	    d->ops[0].type == ZYDIS_OPERAND_TYPE_IMMEDIATE &&
	    ZYAN_SUCCESS(ZydisCalcAbsoluteAddress(&d->insn, &d->ops[0], address, target)))
		return jumps ? MW_INSN_JUMP : MW_INSN_CALL;
	return jumps && !is_tail_call_by_got(d) ? MW_INSN_COMPUTED_JUMP : MW_INSN_NO_JUMP;
}

/* The address of a 64-bit word that D reads or writes relative to the instruction pointer, or 0. */
static uint64_t word_of(const struct decoded *d, uint64_t address)
{
	for (ZyanU8 i = 0; i < d->insn.operand_count_visible; i++) {
		ZyanU64 word;

		if (d->ops[i].type == ZYDIS_OPERAND_TYPE_MEMORY && d->ops[i].size == 64 &&
		    d->ops[i].mem.type == ZYDIS_MEMOP_TYPE_MEM &&
		    d->ops[i].mem.base == ZYDIS_REGISTER_RIP &&
		    ZYAN_SUCCESS(ZydisCalcAbsoluteAddress(&d->insn, &d->ops[i], address, &word)))
			return word;
	}
	return 0;
}

bool mw_insn_decode(struct mw_insn *insn, const uint8_t *code, size_t size, uint64_t address)
{
	struct decoded d;

	if (!decode(&d, code, size))
		return false;
	*insn = (struct mw_insn){
		.length = d.insn.length,
		.class = classify(&d, code),
		.ends_line = ends_straight_line(&d.insn),
		.is_last = d.insn.meta.category == ZYDIS_CATEGORY_RET ||
			   d.insn.meta.category == ZYDIS_CATEGORY_UNCOND_BR,
		/*
		 * Linux 6.18 turns a long nop under a probe into a call, which writes below the
		 * stack pointer: harmless at the entry, but further in a leaf function may keep
		 * data there.
		 */
		.only_at_entry = d.insn.mnemonic == ZYDIS_MNEMONIC_NOP && d.insn.length > 3,
		.written = written_arguments(&d),
		.word = word_of(&d, address),
	};
	insn->flow = flow_of(&d, address, &insn->target);
	insn->knows_stack = stack_growth(&d, &insn->stack_growth);
	return true;
}

void mw_insn_format(char *text, size_t text_size, const uint8_t *code, size_t size,
		    uint64_t address)
{
	ZydisFormatter formatter;
	struct decoded d;

	ZydisFormatterInit(&formatter, ZYDIS_FORMATTER_STYLE_INTEL);
	if (!decode(&d, code, size) ||
	    !ZYAN_SUCCESS(ZydisFormatterFormatInstruction(&formatter, &d.insn, d.ops,
							  d.insn.operand_count_visible, text,
							  text_size, address, ZYAN_NULL)))
		snprintf(text, text_size, "?");
}
