// SPDX-License-Identifier: GPL-2.0-or-later
#include <Zydis/Zydis.h>
#include <stdio.h>
#include <string.h>

#include "trace/site.h"

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

uint32_t mw_site_cost(enum mw_site_class class)
{
	/* AMD EPYC virtual machine, Linux 6.18: `free`+3 (je), `malloc` (push), `free` (test). */
	static const uint32_t costs[] = {810, 1030, 16440, 0};

	return costs[class];
}

const char *mw_site_class_name(enum mw_site_class class)
{
	static const char *const names[] = {"emulated", "emulated", "single-stepped",
					    "can't be probed"};

	return names[class];
}

static bool decode(const struct mw_site_request *request, size_t offset, struct decoded *d)
{
	ZydisDecoder decoder;

	ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
	return ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, request->code + offset,
						   request->size - offset, &d->insn, d->ops));
}

static bool is_conditional(const ZydisDecodedInstruction *insn)
{
	return insn->meta.category == ZYDIS_CATEGORY_COND_BR;
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
		       insn->mnemonic == ZYDIS_MNEMONIC_UD2 || insn->mnemonic == ZYDIS_MNEMONIC_HLT;
	}
}

/*
 * The kernel's refusals that can stand in compiled code: is_prefix_bad() (segment overrides but
 * FS and GS, lock) and the opcodes that good_insns_64 leaves out.
 */
static bool is_refused(const ZydisDecodedInstruction *insn)
{
	for (ZyanU8 i = 0; i < insn->raw.prefix_count; i++) {
		switch (insn->raw.prefixes[i].value) {
		case 0x26: /* es */
		case 0x2e: /* cs */
		case 0x36: /* ss */
		case 0x3e: /* ds */
		case 0xf0: /* lock */
			return true;
		}
	}
	switch (insn->mnemonic) {
	case ZYDIS_MNEMONIC_INT3:
	case ZYDIS_MNEMONIC_INT1:
	case ZYDIS_MNEMONIC_INT:
	case ZYDIS_MNEMONIC_HLT:
	case ZYDIS_MNEMONIC_IN:
	case ZYDIS_MNEMONIC_OUT:
	case ZYDIS_MNEMONIC_INSB:
	case ZYDIS_MNEMONIC_INSD:
	case ZYDIS_MNEMONIC_OUTSB:
	case ZYDIS_MNEMONIC_OUTSD:
	case ZYDIS_MNEMONIC_IRET:
	case ZYDIS_MNEMONIC_IRETD:
	case ZYDIS_MNEMONIC_IRETQ:
	case ZYDIS_MNEMONIC_CLI:
	case ZYDIS_MNEMONIC_STI:
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

static bool has_prefix(const ZydisDecodedInstruction *insn, ZyanU8 value)
{
	for (ZyanU8 i = 0; i < insn->raw.prefix_count; i++) {
		if (insn->raw.prefixes[i].value == value)
			return true;
	}
	return false;
}

static enum mw_site_class classify(const struct decoded *d, const uint8_t *bytes)
{
	const ZydisDecodedInstruction *insn = &d->insn;

	if (is_refused(insn))
		return MW_SITE_UNPROBEABLE;
	/* push %reg: 50-57, alone or after REX.B; nothing longer. */
	if (insn->length == 1 && bytes[0] >= 0x50 && bytes[0] <= 0x57)
		return MW_SITE_PUSH;
	if (insn->length == 2 && bytes[0] == 0x41 && bytes[1] >= 0x50 && bytes[1] <= 0x57)
		return MW_SITE_PUSH;
	/* An operand-size prefix sends a branch to the single step. */
	if (has_prefix(insn, 0x66))
		return MW_SITE_STEPPED;
	if (insn->opcode_map == ZYDIS_OPCODE_MAP_DEFAULT &&
	    (insn->opcode == 0xeb || insn->opcode == 0xe9 || insn->opcode == 0xe8 ||
	     (insn->opcode == 0x90 && insn->mnemonic == ZYDIS_MNEMONIC_NOP) ||
	     (insn->opcode & 0xf0) == 0x70))
		return MW_SITE_BRANCH;
	if (insn->opcode_map == ZYDIS_OPCODE_MAP_0F && (insn->opcode & 0xf0) == 0x80 &&
	    is_conditional(insn))
		return MW_SITE_BRANCH;
	return MW_SITE_STEPPED;
}

static uint32_t argument_bit(ZydisRegister reg)
{
	switch (ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, reg)) {
	case ZYDIS_REGISTER_RDI:
		return MW_SITE_RDI;
	case ZYDIS_REGISTER_RSI:
		return MW_SITE_RSI;
	case ZYDIS_REGISTER_RDX:
		return MW_SITE_RDX;
	case ZYDIS_REGISTER_RCX:
		return MW_SITE_RCX;
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
		return a->type != ZYDIS_OPERAND_TYPE_REGISTER ||
		       a->reg.value != ZYDIS_REGISTER_RSP;
	case ZYDIS_MNEMONIC_SUB:
	case ZYDIS_MNEMONIC_ADD:
		if (a->type != ZYDIS_OPERAND_TYPE_REGISTER || a->reg.value != ZYDIS_REGISTER_RSP ||
		    b->type != ZYDIS_OPERAND_TYPE_IMMEDIATE)
			return false;
		*shift += d->insn.mnemonic == ZYDIS_MNEMONIC_SUB ? b->imm.value.s :
								   -b->imm.value.s;
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
static void collect_jumps(const struct mw_site_request *request, struct jumps *jumps)
{
	size_t offset = 0;

	*jumps = (struct jumps){.lowest_target = UINT32_MAX};
	if (!request->size_known)
		jumps->unknown = "the function's size is not known, so neither are all its jumps";
	while (offset < request->size) {
		struct decoded d;

		if (!decode(request, offset, &d)) {
			jumps->unknown = "not all of the function can be decoded";
			return;
		}
		if (d.insn.meta.category == ZYDIS_CATEGORY_COND_BR ||
		    d.insn.meta.category == ZYDIS_CATEGORY_UNCOND_BR) {
			ZyanU64 target;

			if (d.ops[0].type != ZYDIS_OPERAND_TYPE_IMMEDIATE) {
				if (!is_tail_call_by_got(&d))
					jumps->unknown = "a computed jump may land anywhere in it";
			} else if (ZYAN_SUCCESS(ZydisCalcAbsoluteAddress(
					   &d.insn, &d.ops[0], request->address + offset, &target)) &&
				   target - request->address < request->size) {
				uint32_t where = (uint32_t)(target - request->address);

				if (where < jumps->lowest_target)
					jumps->lowest_target = where;
			}
		}
		offset += d.insn.length;
	}
}

static void fill(struct mw_site *site, const struct mw_site_request *request,
		 const struct decoded *d, size_t offset, int64_t shift, enum mw_site_class class)
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

void mw_site_choose(const struct mw_site_request *request, struct mw_site *site)
{
	size_t offset = 0;
	int64_t shift = 0;
	uint32_t lost = 0;
	struct jumps jumps;
	struct decoded d;
	const char *stop = "no cheaper instruction in the prologue";

	memset(site, 0, sizeof(*site));
	site->class = MW_SITE_UNPROBEABLE;
	if (!request->size || !decode(request, 0, &d)) {
		site->reason = "the entry can't be decoded";
		return;
	}
	fill(site, request, &d, 0, 0, classify(&d, request->code));
	site->reason = site->class == MW_SITE_UNPROBEABLE ? "the kernel refuses this instruction" :
							    "";
	collect_jumps(request, &jumps);
	if (jumps.lowest_target == 0) {
		site->reason = "the function loops back to its entry: a call may count more than once";
		return;
	}
	while (site->class != MW_SITE_BRANCH) {
		enum mw_site_class class;

		if (ends_straight_line(&d.insn))
			break;
		lost |= written_arguments(&d);
		if (!track_stack(&d, &shift)) {
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
		if (class >= site->class || shift < 0 || shift > 255 * 8 || shift % 8 ||
		    (request->need_entry_stack && shift))
			continue;
		fill(site, request, &d, offset, shift, class);
	}
	if (site->class == MW_SITE_STEPPED)
		site->reason = stop;
	else if (site->class == MW_SITE_UNPROBEABLE)
		site->reason = "the kernel refuses this instruction, and no other place is sound";
}
