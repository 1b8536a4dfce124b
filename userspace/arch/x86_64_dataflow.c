// SPDX-License-Identifier: GPL-2.0-or-later
/* x86-64 instructions as operations on registers and memory, decoded with Zydis. */
#include <Zydis/Zydis.h>

#include "arch/dataflow.h"

/* By the number that the processor gives a register: its word in struct pt_regs. */
static const uint8_t words[16] = {
	10, /* rax */ 11, /* rcx */ 12, /* rdx */ 5, /* rbx */ 19, /* rsp */ 4, /* rbp */
	13, /* rsi */ 14, /* rdi */ 9,	/* r8 */ 8,  /* r9 */ 7,   /* r10 */ 6, /* r11 */
	3,  /* r12 */ 2,  /* r13 */ 1,	/* r14 */ 0,				/* r15 */
};

static uint8_t number(ZydisRegister reg)
{
	ZydisRegister whole = ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, reg);

	return whole >= ZYDIS_REGISTER_RAX && whole <= ZYDIS_REGISTER_R15
		       ? words[whole - ZYDIS_REGISTER_RAX]
		       : MW_NO_REG;
}

static bool is_register(const ZydisDecodedOperand *op)
{
	return op->type == ZYDIS_OPERAND_TYPE_REGISTER && number(op->reg.value) != MW_NO_REG;
}

/* Memory at a register and an offset; anything with an index or a fixed address is not. */
static bool is_plain(const ZydisDecodedOperand *op)
{
	return op->type == ZYDIS_OPERAND_TYPE_MEMORY && op->mem.type == ZYDIS_MEMOP_TYPE_MEM &&
	       op->mem.index == ZYDIS_REGISTER_NONE && op->mem.base != ZYDIS_REGISTER_RIP &&
	       number(op->mem.base) != MW_NO_REG && op->mem.segment != ZYDIS_REGISTER_FS &&
	       op->mem.segment != ZYDIS_REGISTER_GS &&
	       op->mem.disp.value == (int32_t)op->mem.disp.value;
}

static void set_memory(struct mw_op *op, enum mw_op_kind kind, const ZydisDecodedOperand *mem)
{
	op->kind = kind;
	op->base = number(mem->mem.base);
	op->offset = (int32_t)mem->mem.disp.value;
	op->size = (uint8_t)(mem->size / 8);
}

static void set_registers(struct mw_op *op, enum mw_op_kind kind, ZydisRegister reg,
			  ZydisRegister base, uint16_t bits)
{
	op->kind = kind;
	op->reg = number(reg);
	op->base = number(base);
	op->size = (uint8_t)(bits / 8);
}

static void decode_mov(struct mw_op *op, const ZydisDecodedOperand *to,
		       const ZydisDecodedOperand *from)
{
	if (is_register(to) && is_register(from)) {
		set_registers(op, MW_OP_COPY, to->reg.value, from->reg.value, to->size);
	} else if (is_register(to) && is_plain(from)) {
		set_memory(op, MW_OP_LOAD, from);
		op->reg = number(to->reg.value);
	} else if (is_register(to) && from->type == ZYDIS_OPERAND_TYPE_MEMORY &&
		   from->mem.index != ZYDIS_REGISTER_NONE) {
		op->kind = MW_OP_LOAD_ITEM;
		op->reg = number(to->reg.value);
		op->size = (uint8_t)(from->size / 8);
	} else if (is_plain(to) && is_register(from)) {
		set_memory(op, MW_OP_STORE, to);
		op->reg = number(from->reg.value);
	} else if (is_plain(to) && from->type == ZYDIS_OPERAND_TYPE_IMMEDIATE) {
		set_memory(op, MW_OP_SET, to);
		op->value = (int32_t)from->imm.value.s;
	}
}

static void decode_compare(struct mw_op *op, const ZydisDecodedOperand *a,
			   const ZydisDecodedOperand *b)
{
	if (is_register(a) && is_register(b)) {
		set_registers(op, MW_OP_COMPARE, a->reg.value, b->reg.value, a->size);
	} else if (is_register(a) && is_plain(b)) {
		set_memory(op, MW_OP_COMPARE_MEMORY, b);
		op->reg = number(a->reg.value);
	} else if (is_plain(a) && is_register(b)) {
		set_memory(op, MW_OP_COMPARE_MEMORY, a);
		op->reg = number(b->reg.value);
	}
}

static void decode_add(struct mw_op *op, ZydisMnemonic mnemonic, const ZydisDecodedOperand *ops)
{
	int sign = mnemonic == ZYDIS_MNEMONIC_SUB || mnemonic == ZYDIS_MNEMONIC_DEC ? -1 : 1;
	bool by_one = mnemonic == ZYDIS_MNEMONIC_INC || mnemonic == ZYDIS_MNEMONIC_DEC;

	if (!is_plain(&ops[0]) || (!by_one && ops[1].type != ZYDIS_OPERAND_TYPE_IMMEDIATE))
		return;
	set_memory(op, MW_OP_ADD, &ops[0]);
	op->value = sign * (by_one ? 1 : (int32_t)ops[1].imm.value.s);
}

static void decode_flow(struct mw_op *op, const ZydisDecodedInstruction *insn,
			const ZydisDecodedOperand *ops, uint64_t address)
{
	bool direct = ops[0].type == ZYDIS_OPERAND_TYPE_IMMEDIATE &&
		      ZYAN_SUCCESS(ZydisCalcAbsoluteAddress(insn, &ops[0], address, &op->target));

	switch (insn->meta.category) {
	case ZYDIS_CATEGORY_CALL:
		op->kind = direct ? MW_OP_CALL : MW_OP_END;
		break;
	case ZYDIS_CATEGORY_UNCOND_BR:
		op->kind = direct ? MW_OP_JUMP : MW_OP_END;
		break;
	case ZYDIS_CATEGORY_COND_BR:
		if (insn->mnemonic == ZYDIS_MNEMONIC_JZ)
			op->kind = MW_OP_IF_EQUAL;
		else if (insn->mnemonic == ZYDIS_MNEMONIC_JNZ)
			op->kind = MW_OP_UNLESS_EQUAL;
		break;
	case ZYDIS_CATEGORY_RET:
		op->kind = MW_OP_END;
		break;
	default:
		break;
	}
}

static uint32_t written(const ZydisDecodedInstruction *insn, const ZydisDecodedOperand *ops)
{
	uint32_t mask = 0;

	for (ZyanU8 i = 0; i < insn->operand_count; i++) {
		uint8_t reg = ops[i].type == ZYDIS_OPERAND_TYPE_REGISTER ? number(ops[i].reg.value)
									 : MW_NO_REG;

		if (reg < 32 && (ops[i].actions & ZYDIS_OPERAND_ACTION_MASK_WRITE))
			mask |= 1u << reg;
	}
	return mask;
}

bool mw_op_decode(struct mw_op *op, const uint8_t *code, size_t size, uint64_t address)
{
	ZydisDecodedOperand ops[ZYDIS_MAX_OPERAND_COUNT];
	ZydisDecodedInstruction insn;
	const ZydisAccessedFlags *flags;
	ZydisDecoder decoder;

	ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
	if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, code, size, &insn, ops)))
		return false;
	flags = insn.cpu_flags;
	*op = (struct mw_op){
		.length = insn.length,
		.reg = MW_NO_REG,
		.base = MW_NO_REG,
		.written = written(&insn, ops),
		.sets_flags = flags &&
			      ((flags->modified | flags->set_0 | flags->set_1 | flags->undefined) &
			       ZYDIS_CPUFLAG_ZF),
	};
	switch (insn.mnemonic) {
	case ZYDIS_MNEMONIC_MOV:
		decode_mov(op, &ops[0], &ops[1]);
		break;
	case ZYDIS_MNEMONIC_CMP:
		decode_compare(op, &ops[0], &ops[1]);
		break;
	case ZYDIS_MNEMONIC_TEST:
		if (is_register(&ops[0]) && is_register(&ops[1]) &&
		    ops[0].reg.value == ops[1].reg.value)
			set_registers(op, MW_OP_IS_ZERO, ops[0].reg.value, ops[0].reg.value,
				      ops[0].size);
		break;
	case ZYDIS_MNEMONIC_ADD:
	case ZYDIS_MNEMONIC_SUB:
	case ZYDIS_MNEMONIC_INC:
	case ZYDIS_MNEMONIC_DEC:
		decode_add(op, insn.mnemonic, ops);
		break;
	default:
		decode_flow(op, &insn, ops, address);
	}
	return true;
}
