/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where in a function's prologue a uprobe costs least. The kernel emulates a few instructions and
 * single-steps all others out of line, which is 2 to 20 times dearer (docs/overhead.md), so the
 * place of the probe matters more than what its program does. A place is sound when
 *  1. every call executes it exactly once: it lies before the first instruction that may go
 *     elsewhere, and no jump of the function comes back to it or to anything before it;
 *  2. the argument registers asked for still hold the arguments;
 *  3. how far the stack pointer has moved since the entry is known, and it has not moved at all
 *     where a return probe hangs on the same place.
 * Pure logic on bytes, x86-64 only, decoded with Zydis.
 */
#ifndef MW_PROBE_PROLOGUE_H
#define MW_PROBE_PROLOGUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Argument registers, as a mask. */
enum { MW_ARG_1 = 1, MW_ARG_2 = 2, MW_ARG_3 = 4, MW_ARG_4 = 8 };

/*
 * What the kernel does with the instruction under a probe: arch/x86/kernel/uprobes.c, functions
 * uprobe_init_insn, branch_setup_xol_ops and push_setup_xol_ops (Linux 4.16 to 6.18; the longer
 * nops, emulated from 6.18 on, count as single-stepped). Cheapest first.
 */
enum mw_probe_class {
	MW_PROBE_BRANCH,      /* emulated: nop (90), jmp, jcc, call */
	MW_PROBE_PUSH,	      /* emulated: push of a register */
	MW_PROBE_STEPPED,     /* single-stepped */
	MW_PROBE_UNPROBEABLE, /* refused by the kernel, mistaken by it (VEX), or not decodable */
};

struct mw_prologue_request {
	const uint8_t *code;   /* from the entry on */
	size_t size;	       /* bytes of it */
	bool size_known;       /* it is the whole function; false: the end is not known */
	uint64_t address;      /* of the entry */
	uint32_t registers;    /* that must still hold their arguments */
	bool need_entry_stack; /* a return probe will hang here */
};

struct mw_probe_point {
	uint32_t offset;      /* bytes from the entry */
	uint32_t stack_shift; /* bytes to add to rsp to get rsp at the entry */
	enum mw_probe_class class;
	bool entry_in_loop; /* the function jumps to its entry: a call may count more than once */
	char insn[40];	    /* the instruction there, in Intel's notation */
	const char *reason; /* why no cheaper place was taken; "" when there is none to want */
};

/* Always fills SITE; its class says whether it can be used. */
void mw_prologue_choose(const struct mw_prologue_request *request, struct mw_probe_point *site);

/* A direct call or jump that leaves the function. */
struct mw_prologue_call {
	uint64_t target; /* an address like that of the request */
	bool is_jump;	 /* a tail call, or a part of the function that lies elsewhere */
};

/*
 * Where the function of REQUEST (its registers and stack do not matter) goes on to, in order of
 * the calling instructions: tells wrappers, such as a reallocarray that jumps to realloc. Stores
 * up to MAX of them and returns how many there are. COMPLETE is false when there may be more:
 * calls and jumps through a register or memory, bytes that are no code, an end not known.
 */
size_t mw_prologue_scan_calls(const struct mw_prologue_request *request,
			      struct mw_prologue_call *calls, size_t max, bool *complete);

/* Nanoseconds a hit of CLASS costs by the published measurements, until one is made here. */
uint32_t mw_probe_class_cost(enum mw_probe_class class);

const char *mw_probe_class_name(enum mw_probe_class class);

#endif
