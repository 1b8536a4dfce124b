/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where in a function's prologue a uprobe costs least. The kernel emulates a few instructions and
 * single-steps all others out of line, which takes 2 to 20 times as long (docs/overhead.md), so the
 * place of the probe matters more than what its program does. A place is sound when
 *  1. every call executes it exactly once: it lies before the first instruction that may go
 *     elsewhere, and no jump of the function comes back to it or to anything before it;
 *  2. the argument registers asked for still hold the arguments;
 *  3. how far the stack pointer has moved since the entry is known, and it has not moved at all
 *     where there is a return probe as well.
 * Pure logic; what an instruction does is the architecture's to say (arch/prologue.h).
 */
#ifndef MW_PROBE_PROLOGUE_H
#define MW_PROBE_PROLOGUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arch/prologue.h"

struct mw_prologue_request {
	const uint8_t *code;   /* from the entry on */
	size_t size;	       /* bytes of it */
	bool size_known;       /* it is the whole function; false: the end is not known */
	uint64_t address;      /* of the entry */
	uint32_t registers;    /* that must still hold their arguments */
	bool need_entry_stack; /* there will be a return probe, too */
};

struct mw_probe_point {
	uint32_t offset;      /* bytes from the entry */
	uint32_t stack_shift; /* bytes to add to the stack pointer to get the one at the entry */
	enum mw_probe_class class;
	char insn[40];	    /* the instruction there, as text */
	const char *reason; /* why no cheaper place was taken; "" when there is none to want */
};

/* Always fills POINT; its class says whether it can be used. */
void mw_prologue_choose(const struct mw_prologue_request *request, struct mw_probe_point *point);

/* Nanoseconds a hit of CLASS costs by the published measurements, until one is made here. */
uint32_t mw_probe_class_cost(enum mw_probe_class class);

const char *mw_probe_class_name(enum mw_probe_class class);

#endif
