// SPDX-License-Identifier: GPL-2.0-or-later
#include <Zydis/Zydis.h>
#include <stdio.h>
#include <string.h>

#include "probe/prologue.h"

/* Prologues are short; nothing further in is looked at as a place. */
enum { PROLOGUE_MAX = 64 };

struct decoded {
	ZydisDecodedInstruction insn;
	ZydisDecodedOperand ops[ZYDIS_MAX_OPERAND_COUNT];
};

/* What the jumps of the whole function say about its first bytes. */
struct jumps {
	uint32_t lowest_target; /* of the jumps within the function; UINT32_MAX: none */
	const char *unknown;	/* why not all jumps are known, or NULL */
};

uint32_t mw_probe_class_cost(enum mw_probe_class class)
{
	/* AMD EPYC virtual machine, Linux 6.18: `free`+3 (je), `malloc` (push), `free` (test). */
	static const uint32_t costs[] = {810, 1030, 16440, 0};

	return costs[class];
}

const char *mw_probe_class_name(enum mw_probe_class class)
{
	static const char *const names[] = {"emulated", "emulated", "single-stepped",
					    "can't be probed"};

	return names[class];
}

static bool decode(const struct mw_prologue_request *request, size_t offset, struct decoded *d)
{
	ZydisDecoder decoder;

	ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
	return ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, request->code + offset,
						   request->size - offset, &d->insn, d->ops));
}

static bool is_jump(const ZydisDecodedInstruction *insn)
{
	return insn->meta.category == ZYDIS_CATEGORY_COND_BR ||
	       insn->meta.category == ZYDIS_CATEGORY_UNCOND_BR;
}

/* Where the direct jump or call D at OFFSET goes; false for all else. */
static bool direct_target(const struct mw_prologue_request *request, size_t offset,
			  const struct decoded *d, uint64_t *target)
{
	ZyanU64 address;

	if ((!is_jump(&d->insn) && d->insn.meta.category != ZYDIS_CATEGORY_CALL) ||
	    d->ops[0].type != ZYDIS_OPERAND_TYPE_IMMEDIATE ||
	    !ZYAN_SUCCESS(ZydisCalcAbsoluteAddress(&d->insn, &d->ops[0], request->address + offset,
						   &address)))
		return false;
	*target = address;
	return true;
}

/* Does anything but falling through to the next instruction happen, or may it? */
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

/* Follow D's effect on the stack pointer in SHIFT; false when it can't be known. */
static bool track_stack(const struct decoded *d, int64_t *shift)
{
	const ZydisDecodedOperand *a = &d->ops[0], *b = &d->ops[1];

	if (!writes_stack_pointer(d))
		return true;
	switch (d->insn.mnemonic) {
	case ZYDIS_MNEMONIC_PUSH:
		*shift += d->insn.operand_width / 8;
		return true;
	case ZYDIS_MNEMONIC_POP:
		*shift -= d->insn.operand_width / 8;
		return a->type != ZYDIS_OPERAND_TYPE_REGISTER || a->reg.value != ZYDIS_REGISTER_RSP;
	case ZYDIS_MNEMONIC_SUB:
	case ZYDIS_MNEMONIC_ADD:
		if (a->type != ZYDIS_OPERAND_TYPE_REGISTER || a->reg.value != ZYDIS_REGISTER_RSP ||
		    b->type != ZYDIS_OPERAND_TYPE_IMMEDIATE)
			return false;
		*shift += d->insn.mnemonic == ZYDIS_MNEMONIC_SUB ? b->imm.value.s : -b->imm.value.s;
		return true;
	case ZYDIS_MNEMONIC_LEA:
		if (a->reg.value != ZYDIS_REGISTER_RSP || b->mem.base != ZYDIS_REGISTER_RSP ||
		    b->mem.index != ZYDIS_REGISTER_NONE)
			return false;
		*shift -= b->mem.disp.value;
		return true;
	default:
		return false;
	}
}

/*
 * An indirect jump through a cell of the GOT is a call's last step to another function; through a
 * register or an indexed table it may land anywhere in this one.
 */
static bool is_tail_call_by_got(const struct decoded *d)
{
	return d->ops[0].type == ZYDIS_OPERAND_TYPE_MEMORY &&
	       d->ops[0].mem.base == ZYDIS_REGISTER_RIP &&
	       d->ops[0].mem.index == ZYDIS_REGISTER_NONE;
}

/* Decode the function as a straight list and collect where its own jumps land. */
static void collect_jumps(const struct mw_prologue_request *request, struct jumps *jumps)
{
	size_t offset = 0;
	struct decoded d;

	*jumps = (struct jumps){.lowest_target = UINT32_MAX};
	if (!request->size_known)
		jumps->unknown = "the function's size is not known, so neither are all its jumps";
	for (; offset < request->size; offset += d.insn.length) {
		uint64_t target, where;

		if (!decode(request, offset, &d)) {
			jumps->unknown = "not all of the function can be decoded";
			return;
		}
		if (direct_target(request, offset, &d, &target)) {
			where = target - request->address;
			/* A call of the entry is a call like any other; one to behind it is not. */
			if (where < jumps->lowest_target && where < request->size &&
			    (where || is_jump(&d.insn)))
				jumps->lowest_target = (uint32_t)where;
		} else if (is_jump(&d.insn) && !is_tail_call_by_got(&d)) {
			jumps->unknown = "a computed jump may land anywhere in it";
		}
	}
}

static void fill(struct mw_probe_point *site, const struct mw_prologue_request *request,
		 const struct decoded *d, size_t offset, int64_t shift, enum mw_probe_class class)
{
	ZydisFormatter formatter;

	site->offset = (uint32_t)offset;
	site->stack_shift = (uint32_t)shift;
	site->class = class;
	ZydisFormatterInit(&formatter, ZYDIS_FORMATTER_STYLE_INTEL);
	if (!ZYAN_SUCCESS(ZydisFormatterFormatInstruction(
		    &formatter, &d->insn, d->ops, d->insn.operand_count_visible, site->insn,
		    sizeof(site->insn), request->address + offset, ZYAN_NULL)))
		snprintf(site->insn, sizeof(site->insn), "?");
}

void mw_prologue_choose(const struct mw_prologue_request *request, struct mw_probe_point *site)
{
	size_t offset = 0;
	int64_t shift = 0;
	uint32_t lost = 0;
	struct jumps jumps;
	struct decoded d;
	const char *stop = "no cheaper instruction in the prologue";

	memset(site, 0, sizeof(*site));
	site->class = MW_PROBE_UNPROBEABLE;
	if (!request->size || !decode(request, 0, &d)) {
		site->reason = "the entry can't be decoded";
		return;
	}
	fill(site, request, &d, 0, 0, classify(&d, request->code));
	site->reason =
		site->class == MW_PROBE_UNPROBEABLE ? "the kernel refuses this instruction" : "";
	collect_jumps(request, &jumps);
	if (jumps.lowest_target == 0) {
		site->entry_in_loop = true;
		if (site->class != MW_PROBE_UNPROBEABLE)
			site->reason = "the function loops back to its entry: a call may count "
				       "more than once";
		return;
	}
	while (site->class != MW_PROBE_BRANCH) {
		enum mw_probe_class class;

		if (ends_straight_line(&d.insn))
			break;
		lost |= written_arguments(&d);
		/* What pops the return address is no function by the rules. */
		if (!track_stack(&d, &shift) || shift < 0) {
			stop = "further in, the stack pointer is not known";
			break;
		}
		offset += d.insn.length;
		if (offset >= request->size || offset >= PROLOGUE_MAX ||
		    !decode(request, offset, &d))
			break;
		if (jumps.unknown) {
			stop = jumps.unknown;
			break;
		}
		if (jumps.lowest_target <= offset) {
			stop = "further in, a jump of the function comes back";
			break;
		}
		if (lost & request->registers) {
			stop = "further in, an argument's register is overwritten";
			break;
		}
		class = classify(&d, request->code + offset);
		/* The cookie has 8 bits for the shift in words. */
		if (class >= site->class || shift > 255 * 8 || shift % 8 ||
		    (request->need_entry_stack && shift))
			continue;
		/*
		 * Linux 6.18 turns a long nop under a probe into a call, which writes below the
		 * stack pointer: harmless at the entry, but further in a leaf function may keep
		 * data there.
		 */
		if (d.insn.mnemonic == ZYDIS_MNEMONIC_NOP && d.insn.length > 3)
			continue;
		fill(site, request, &d, offset, shift, class);
	}
	if (site->class == MW_PROBE_STEPPED)
		site->reason = stop;
	else if (site->class == MW_PROBE_UNPROBEABLE)
		site->reason = "the kernel refuses this instruction, and no other place is sound";
}

size_t mw_prologue_scan_calls(const struct mw_prologue_request *request,
			      struct mw_prologue_call *calls, size_t max, bool *complete)
{
	size_t offset, count = 0;
	struct decoded d;

	*complete = request->size_known;
	for (offset = 0; offset < request->size; offset += d.insn.length) {
		uint64_t target;

		if (!decode(request, offset, &d)) {
			*complete = false;
			break;
		}
		if (!direct_target(request, offset, &d, &target)) {
			if (is_jump(&d.insn) || d.insn.meta.category == ZYDIS_CATEGORY_CALL)
				*complete = false;
			continue;
		}
		if (target - request->address < request->size)
			continue;
		if (count < max)
			calls[count] = (struct mw_prologue_call){target, is_jump(&d.insn)};
		count++;
	}
	return count;
}
