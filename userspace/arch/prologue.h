/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Instructions at the beginning of a function: what the kernel does with one under a uprobe, and
 * what one does to the registers, the stack and the flow of control. probe/prologue.c chooses
 * places by this alone.
 */
#ifndef MW_ARCH_PROLOGUE_H
#define MW_ARCH_PROLOGUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Registers that pass the first arguments, as a mask. */
enum { MW_ARG_1 = 1, MW_ARG_2 = 2, MW_ARG_3 = 4, MW_ARG_4 = 8 };

/* What the kernel does with the instruction under a probe, cheapest first. */
enum mw_probe_class {
	MW_PROBE_BRANCH,      /* emulated: it changes the program counter only */
	MW_PROBE_PUSH,	      /* emulated: it stores a register on the stack */
	MW_PROBE_STEPPED,     /* single-stepped out of line */
	MW_PROBE_UNPROBEABLE, /* the kernel refuses it or gets it wrong */
};

/* Where an instruction may lead, other than to the next one. */
enum mw_insn_flow {
	MW_INSN_NO_JUMP,       /* nowhere of those below; it may return, trap or leave by the GOT */
	MW_INSN_JUMP,	       /* to TARGET, perhaps under a condition */
	MW_INSN_CALL,	       /* to TARGET, and back */
	MW_INSN_COMPUTED_JUMP, /* by a register or a table, perhaps to elsewhere in its function */
};

struct mw_insn {
	uint8_t length; /* bytes */
	enum mw_probe_class class;
	enum mw_insn_flow flow;
	/* It may go on elsewhere than at the next instruction, or there more than once. */
	bool ends_line;
	bool is_last; /* the next instruction never follows: a return, a jump without a condition */
	/* A probe further in than the entry could damage data below the stack pointer. */
	bool only_at_entry;
	bool knows_stack;     /* STACK_GROWTH is known */
	uint32_t written;     /* argument registers that it changes, MW_ARG_… */
	int64_t stack_growth; /* bytes by which it moves the stack pointer down */
	uint64_t target;      /* an address */
	uint64_t word;	      /* address of a 64-bit word that it accesses, fixed in the code; 0 */
};

/* Decode the instruction at the beginning of SIZE bytes at CODE, whose address is ADDRESS. */
bool mw_insn_decode(struct mw_insn *insn, const uint8_t *code, size_t size, uint64_t address);

/* The instruction as text, "?" when it can't be decoded. */
void mw_insn_format(char *text, size_t text_size, const uint8_t *code, size_t size,
		    uint64_t address);

/* Nanoseconds that a hit of each class costs by published measurements. */
extern const uint32_t mw_insn_published_costs[MW_PROBE_UNPROBEABLE + 1];

/*
 * Functions to time: one a class, which begins with an instruction of that class, and one more
 * that begins with a push, for a return probe.
 */
extern void (*const mw_insn_samples[MW_PROBE_UNPROBEABLE + 1])(void);

#endif
