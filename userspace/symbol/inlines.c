// SPDX-License-Identifier: GPL-2.0-or-later
#include <dwarf.h>
#include <elfutils/libdw.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "symbol/inlines.h"
#include "util/array.h"
#include "util/search.h"

/* Debug information is the target's: it may be nested or repeated without end. */
enum {
	RANGES_MAX = 1 << 21, /* of a module's functions */
	NESTED_MAX = 32,      /* namespaces and classes around a function */
	INLINED_MAX = 64,     /* functions in one another */
	VISITED_MAX = 1 << 16 /* entries of a function */
};

/* Addresses of a function, [START, END), and its entry's place in the debug information. */
struct range {
	uint64_t start, end;
	Dwarf_Off entry;
};

/* A compilation unit that has been read: where its functions are among the ranges. */
struct unit {
	Dwarf_Off entry;
	size_t first, count; /* sorted by start */
};

struct mw_inlines {
	struct range *ranges;
	size_t count, capacity;
	struct unit *units;
	size_t unit_count, unit_capacity;
};

struct mw_inlines *mw_inlines__new(void)
{
	return calloc(1, sizeof(struct mw_inlines));
}

void mw_inlines__free(struct mw_inlines *inlines)
{
	if (!inlines)
		return;
	free(inlines->ranges);
	free(inlines->units);
	free(inlines);
}

/*
 * ---- functions of a unit ----------------------------------------------------------------------
 */

/* The entry after ENTRY; false at the end, or where it does not lie behind. */
static bool next(Dwarf_Die *entry)
{
	Dwarf_Off at = dwarf_dieoffset(entry);

	return !dwarf_siblingof(entry, entry) && dwarf_dieoffset(entry) > at;
}

static void add_function(struct mw_inlines *inlines, Dwarf_Die *entry)
{
	Dwarf_Addr base, start, end;
	ptrdiff_t at = 0;

	while (inlines->count < RANGES_MAX &&
	       (at = dwarf_ranges(entry, at, &base, &start, &end)) > 0) {
		if (start >= end || mw_array_reserve(&inlines->ranges, &inlines->capacity,
						     inlines->count + 1, sizeof(struct range)))
			continue;
		inlines->ranges[inlines->count++] =
			(struct range){start, end, dwarf_dieoffset(entry)};
	}
}

static void add_functions(struct mw_inlines *inlines, Dwarf_Die *parent, int depth)
{
	Dwarf_Die entry;

	if (depth > NESTED_MAX || dwarf_child(parent, &entry))
		return;
	do {
		switch (dwarf_tag(&entry)) {
		case DW_TAG_subprogram:
			add_function(inlines, &entry);
			break;
		case DW_TAG_namespace:
		case DW_TAG_module:
		case DW_TAG_class_type:
		case DW_TAG_structure_type:
		case DW_TAG_union_type:
		case DW_TAG_enumeration_type: /* Rust: functions of an enum */
			add_functions(inlines, &entry, depth + 1);
			break;
		default:
			break;
		}
	} while (next(&entry));
}

static int by_start(const void *a, const void *b)
{
	const struct range *x = a, *y = b;

	return (x->start > y->start) - (x->start < y->start);
}

/* NULL: no memory. */
static const struct unit *read_unit(struct mw_inlines *inlines, Dwarf_Die *entry)
{
	Dwarf_Off at = dwarf_dieoffset(entry);
	struct unit *unit;

	for (size_t i = 0; i < inlines->unit_count; i++) {
		if (inlines->units[i].entry == at)
			return &inlines->units[i];
	}
	if (mw_array_reserve(&inlines->units, &inlines->unit_capacity, inlines->unit_count + 1,
			     sizeof(*inlines->units)))
		return NULL;
	unit = &inlines->units[inlines->unit_count++];
	*unit = (struct unit){.entry = at, .first = inlines->count};
	add_functions(inlines, entry, 0);
	unit->count = inlines->count - unit->first;
	if (unit->count)
		qsort(&inlines->ranges[unit->first], unit->count, sizeof(struct range), by_start);
	return unit;
}

static bool starts_before(const void *at, const void *key)
{
	const struct range *range = at;
	const uint64_t *addr = key;

	return range->start <= *addr;
}

static const struct range *find_function(const struct mw_inlines *inlines, const struct unit *unit,
					 uint64_t addr)
{
	const struct range *ranges;
	size_t i;

	if (!unit->count)
		return NULL;
	ranges = &inlines->ranges[unit->first];
	i = mw_search(ranges, unit->count, sizeof(*ranges), starts_before, &addr);
	return i && addr < ranges[i - 1].end ? &ranges[i - 1] : NULL;
}

/*
 * ---- what is inlined into one -----------------------------------------------------------------
 */

static const char *name_of(Dwarf_Die *entry)
{
	static const unsigned int names[] = {DW_AT_linkage_name, DW_AT_MIPS_linkage_name,
					     DW_AT_name};

	for (size_t i = 0; i < MW_ARRAY_SIZE(names); i++) {
		Dwarf_Attribute attribute;
		const char *name =
			dwarf_formstring(dwarf_attr_integrate(entry, names[i], &attribute));

		if (name && *name)
			return name;
	}
	return NULL;
}

static uint64_t number_of(Dwarf_Die *entry, unsigned int name)
{
	Dwarf_Attribute attribute;
	Dwarf_Word value;

	return dwarf_formudata(dwarf_attr(entry, name, &attribute), &value) ? 0 : value;
}

static struct mw_inline describe(Dwarf_Die *unit, Dwarf_Die *entry)
{
	struct mw_inline call = {.function = name_of(entry)};
	uint64_t line = number_of(entry, DW_AT_call_line);
	Dwarf_Files *files;
	size_t count;

	if (line && line <= UINT32_MAX && !dwarf_getsrcfiles(unit, &files, &count)) {
		call.file = dwarf_filesrc(files, number_of(entry, DW_AT_call_file), NULL, NULL);
		call.line = call.file ? (uint32_t)line : 0;
	}
	return call;
}

/* The child of PARENT that has the code at PC, in place of PARENT. */
static bool enter(Dwarf_Die *parent, Dwarf_Addr pc, int *visited)
{
	Dwarf_Die entry;

	if (dwarf_child(parent, &entry))
		return false;
	do {
		int tag = dwarf_tag(&entry);

		if (++*visited > VISITED_MAX)
			return false;
		if ((tag == DW_TAG_inlined_subroutine || tag == DW_TAG_lexical_block) &&
		    dwarf_haspc(&entry, pc) > 0) {
			*parent = entry;
			return true;
		}
	} while (next(&entry));
	return false;
}

size_t mw_inlines__find(struct mw_inlines *inlines, Dwfl_Module *module, uint64_t addr,
			struct mw_inline *out, size_t max)
{
	struct mw_inline calls[INLINED_MAX];
	Dwarf_Die *unit, entry;
	const struct unit *functions;
	const struct range *function;
	Dwarf_Addr bias;
	size_t count = 0, n = 0;
	int visited = 0;

	unit = dwfl_module_addrdie(module, addr, &bias);
	if (!unit)
		return 0;
	functions = read_unit(inlines, unit);
	function = functions ? find_function(inlines, functions, addr - bias) : NULL;
	if (!function ||
	    !dwarf_offdie(dwfl_module_getdwarf(module, &bias), function->entry, &entry))
		return 0;
	while (count < INLINED_MAX && enter(&entry, addr - bias, &visited)) {
		if (dwarf_tag(&entry) != DW_TAG_inlined_subroutine)
			continue;
		calls[count] = describe(unit, &entry);
		count += calls[count].function != NULL;
	}
	while (count && n < max)
		out[n++] = calls[--count];
	return n;
}
