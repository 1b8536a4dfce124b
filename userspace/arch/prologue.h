/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Instructions as a uprobe meets them: what the kernel does with one under a probe, and what it
 * does to the registers and the stack that a probe's program reads. probe/prologue.c chooses
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

/* How an instruction leads to others than the next one. */
enum mw_insn_flow {
	MW_INSN_NO_JUMP, /* none of those below; it may still return, trap or leave by the GOT */
	MW_INSN_JUMP,	 /* to its target, perhaps under a condition */
	MW_INSN_CALL,	 /* of its target */
	MW_INSN_COMPUTED_JUMP, /* through a register or a table: perhaps to within the function */
};

struct mw_insn {
	uint8_t length; /* bytes */
	enum mw_probe_class class;
	enum mw_insn_flow flow;
	bool ends_line;	    /* it is not certain that the next instruction follows, just once */
	bool only_at_entry; /* elsewhere a probe on it may damage what lies below the stack pointer
			     */
	bool knows_stack;   /* STACK_GROWTH is known */
	uint32_t written;   /* argument registers that get another value */
	int64_t stack_growth; /* bytes that the stack pointer goes down */
	uint64_t target;      /* an address, of MW_INSN_JUMP and MW_INSN_CALL */
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
