/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What an instruction does with registers and memory, as far as a search for a shape of compiled
 * code needs it. probe/pymalloc_places.c looks for shapes by this alone.
 */
#ifndef MW_ARCH_DATAFLOW_H
#define MW_ARCH_DATAFLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* No register. */
#define MW_NO_REG 0xff

enum mw_op_kind {
	MW_OP_OTHER,
	MW_OP_LOAD,	      /* REG = memory at BASE + OFFSET */
	MW_OP_LOAD_ITEM,      /* REG = an item of a table: memory at an address with an index */
	MW_OP_STORE,	      /* memory at BASE + OFFSET = REG */
	MW_OP_SET,	      /* memory at BASE + OFFSET = VALUE */
	MW_OP_ADD,	      /* memory at BASE + OFFSET += VALUE */
	MW_OP_COPY,	      /* REG = BASE */
	MW_OP_IS_ZERO,	      /* flags say whether REG is 0 */
	MW_OP_COMPARE,	      /* flags say whether REG equals BASE */
	MW_OP_COMPARE_MEMORY, /* flags say whether memory at BASE + OFFSET equals REG */
	MW_OP_IF_EQUAL,	      /* to TARGET if it is 0, or equal */
	MW_OP_UNLESS_EQUAL,   /* to TARGET if it is not */
	MW_OP_JUMP,	      /* to TARGET */
	MW_OP_CALL,	      /* of TARGET */
	MW_OP_END, /* leaves the straight line otherwise: a return, a computed jump or call */
};

/* Registers are numbered by the word of struct pt_regs (<asm/ptrace.h>) that holds them. */
struct mw_op {
	enum mw_op_kind kind;
	uint8_t length; /* bytes of the instruction */
	uint8_t size;	/* bytes that it moves, adds or compares */
	uint8_t reg, base;
	bool sets_flags; /* flags say something else than before */
	int32_t offset, value;
	uint32_t written; /* registers that it changes, a bit each */
	uint64_t target;
};

/* Decode the instruction at the beginning of SIZE bytes at CODE, whose address is ADDRESS. */
bool mw_op_decode(struct mw_op *op, const uint8_t *code, size_t size, uint64_t address);

#endif
