// SPDX-License-Identifier: GPL-2.0-or-later
#include <string.h>

#include "probe/prologue.h"

/* Prologues are short: no place further in is considered. */
enum { PROLOGUE_MAX = 64 };

/* What the jumps of the whole function say about its first bytes. */
struct jumps {
	uint32_t lowest_target; /* of the jumps within the function; UINT32_MAX: none */
	const char *unknown;	/* why not all jumps are known, or NULL */
};

uint32_t mw_probe_class_cost(enum mw_probe_class class)
{
	return mw_insn_published_costs[class];
}

const char *mw_probe_class_name(enum mw_probe_class class)
{
	static const char *const names[] = {"emulated", "emulated", "single-stepped",
					    "can't be probed"};

	return names[class];
}

static bool decode(const struct mw_prologue_request *request, size_t offset, struct mw_insn *insn)
{
	return mw_insn_decode(insn, request->code + offset, request->size - offset,
			      request->address + offset);
}

/* Decode the function from its first byte to its last and collect where its own jumps land. */
static void collect_jumps(const struct mw_prologue_request *request, struct jumps *jumps)
{
	struct mw_insn insn;

	*jumps = (struct jumps){.lowest_target = UINT32_MAX};
	if (!request->size_known)
		jumps->unknown = "the function's size is not known, so neither are all its jumps";
	for (size_t offset = 0; offset < request->size; offset += insn.length) {
		uint64_t where;

		if (!decode(request, offset, &insn)) {
			jumps->unknown = "not all of the function can be decoded";
			return;
		}
		where = insn.target - request->address;
		switch (insn.flow) {
		case MW_INSN_JUMP:
		case MW_INSN_CALL:
			/* A call of the entry is a call like any other; one to behind it is not. */
			if (where < jumps->lowest_target && where < request->size &&
			    (where || insn.flow == MW_INSN_JUMP))
				jumps->lowest_target = (uint32_t)where;
			break;
		case MW_INSN_COMPUTED_JUMP:
			jumps->unknown = "a computed jump may land anywhere in it";
			break;
		case MW_INSN_NO_JUMP:
			break;
		}
	}
}

static void fill(struct mw_probe_point *point, const struct mw_prologue_request *request,
		 size_t offset, int64_t shift, enum mw_probe_class class)
{
	point->offset = (uint32_t)offset;
	point->stack_shift = (uint32_t)shift;
	point->class = class;
	mw_insn_format(point->insn, sizeof(point->insn), request->code + offset,
		       request->size - offset, request->address + offset);
}

/* Walk on from the entry, whose instruction is INSN, to cheaper places; why not to the cheapest. */
static const char *walk(const struct mw_prologue_request *request, struct mw_insn insn,
			struct mw_probe_point *point, const struct jumps *jumps)
{
	size_t offset = 0;
	int64_t shift = 0;
	uint32_t lost = 0;

	while (point->class != MW_PROBE_BRANCH && !insn.ends_line) {
		lost |= insn.written;
		shift += insn.stack_growth;
		/* What pops the return address is no function by the rules. */
		if (!insn.knows_stack || shift < 0)
			return "further in, the stack pointer is not known";
		offset += insn.length;
		if (offset >= request->size || offset >= PROLOGUE_MAX ||
		    !decode(request, offset, &insn))
			break;
		if (jumps->unknown)
			return jumps->unknown;
		if (jumps->lowest_target <= offset)
			return "further in, a jump of the function comes back";
		if (lost & request->registers)
			return "further in, an argument's register is overwritten";
		/* The cookie has 8 bits for the shift in words. */
		if (insn.class >= point->class || insn.only_at_entry || shift > 255 * 8 ||
		    shift % 8 || (request->need_entry_stack && shift))
			continue;
		fill(point, request, offset, shift, insn.class);
	}
	return "no cheaper instruction in the prologue";
}

void mw_prologue_choose(const struct mw_prologue_request *request, struct mw_probe_point *point)
{
	struct mw_insn entry;
	struct jumps jumps;
	const char *stop;

	memset(point, 0, sizeof(*point));
	point->class = MW_PROBE_UNPROBEABLE;
	if (!request->size || !decode(request, 0, &entry)) {
		point->reason = "the entry can't be decoded";
		return;
	}
	fill(point, request, 0, 0, entry.class);
	point->reason =
		point->class == MW_PROBE_UNPROBEABLE ? "the kernel refuses this instruction" : "";
	collect_jumps(request, &jumps);
	if (jumps.lowest_target == 0) {
		if (point->class != MW_PROBE_UNPROBEABLE)
			point->reason = "the function loops back to its entry: a call may count "
					"more than once";
		return;
	}
	stop = walk(request, entry, point, &jumps);
	if (point->class == MW_PROBE_STEPPED)
		point->reason = stop;
	else if (point->class == MW_PROBE_UNPROBEABLE)
		point->reason = "the kernel refuses this instruction, and no other place is sound";
}
