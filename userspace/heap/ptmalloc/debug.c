// SPDX-License-Identifier: GPL-2.0-or-later
/* main_arena and mp_ by symbol, struct offsets by DWARF, from the library or its debug file. */
#include <dwarf.h>
#include <elfutils/libdw.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "heap/ptmalloc/impl.h"
#include "image/elffile.h"
#include "symbol/debugfile.h"
#include "symbol/type_dwarf.h"
#include "util/cleanup.h"
#include "util/array.h"

static Dwarf_Die *type_of(Dwarf_Die *die, Dwarf_Die *type)
{
	Dwarf_Attribute attr;

	if (!dwarf_formref_die(dwarf_attr_integrate(die, DW_AT_type, &attr), type))
		return NULL;
	while (dwarf_tag(type) == DW_TAG_typedef || dwarf_tag(type) == DW_TAG_const_type ||
	       dwarf_tag(type) == DW_TAG_volatile_type) {
		Dwarf_Die inner;

		if (!dwarf_formref_die(dwarf_attr_integrate(type, DW_AT_type, &attr), &inner))
			return NULL;
		*type = inner;
	}
	return type;
}

struct wanted {
	const char *name;
	uint16_t *offset;
};

/* The offsets of the WANTED members of STRUCTURE; true when all are there and its size fits. */
static bool members(Dwarf_Die *structure, const struct wanted *wanted, size_t count)
{
	size_t found = 0;
	Dwarf_Die child;

	if (dwarf_child(structure, &child))
		return false;
	do {
		const char *name = dwarf_diename(&child);
		Dwarf_Attribute attr;
		Dwarf_Word offset;

		if (dwarf_tag(&child) != DW_TAG_member || !name)
			continue;
		for (size_t i = 0; i < count; i++) {
			if (strcmp(name, wanted[i].name) ||
			    dwarf_formudata(dwarf_attr(&child, DW_AT_data_member_location, &attr),
					    &offset) ||
			    offset > 16384)
				continue;
			*wanted[i].offset = (uint16_t)offset;
			found++;
		}
	} while (!dwarf_siblingof(&child, &child));
	return found == count;
}

/* From the compilation unit of malloc.c: the types of its variables main_arena and mp_. */
static bool read_unit(Dwarf_Die *unit, struct mw_ptmalloc_layout *l)
{
	const struct wanted arena[] = {{"top", &l->top},
				       {"bins", &l->bins},
				       {"next", &l->next},
				       {"system_mem", &l->system_mem}};
	const struct wanted mp[] = {{"n_mmaps", &l->n_mmaps},
				    {"n_mmaps_max", &l->n_mmaps_max},
				    {"no_dyn_threshold", &l->no_dyn},
				    {"mmapped_mem", &l->mmapped_mem},
				    {"sbrk_base", &l->sbrk_base}};
	bool has_arena = false, has_mp = false;
	Dwarf_Die child, type;

	if (dwarf_child(unit, &child))
		return false;
	do {
		const char *name = dwarf_diename(&child);

		if (dwarf_tag(&child) != DW_TAG_variable || !name || !type_of(&child, &type))
			continue;
		if (!strcmp(name, "main_arena") && !has_arena) {
			Dwarf_Word size;

			has_arena = members(&type, arena, MW_ARRAY_SIZE(arena));
			if (has_arena && !dwarf_aggregate_size(&type, &size) && size < 16384)
				l->arena_size = (uint16_t)size;
		} else if (!strcmp(name, "mp_") && !has_mp) {
			has_mp = members(&type, mp, MW_ARRAY_SIZE(mp));
		}
	} while (!dwarf_siblingof(&child, &child) && !(has_arena && has_mp));
	return has_arena && has_mp;
}

static bool read_dwarf(int fd, struct mw_ptmalloc_layout *layout)
{
	Dwarf *dwarf = fd >= 0 ? mw_type_dwarf__open(fd) : NULL;
	Dwarf_CU *cu = NULL;
	bool found = false;
	Dwarf_Die unit;

	while (dwarf && !found && !dwarf_get_units(dwarf, cu, &cu, NULL, NULL, &unit, NULL)) {
		const char *name = dwarf_diename(&unit);
		const char *base = name ? strrchr(name, '/') : NULL;
		struct mw_ptmalloc_layout read = *layout;

		if (!name || strcmp(base ? base + 1 : name, "malloc.c"))
			continue;
		found = read_unit(&unit, &read);
		if (found)
			*layout = read;
	}
	mw_type_dwarf__close(dwarf);
	return found;
}

static void take_symbols(struct mw_elffile *file, uint64_t bias, struct mw_ptmalloc_debug *debug)
{
	struct mw_symbol symbol;

	if (!debug->main_arena && !mw_elffile__symbol(file, "main_arena", &symbol))
		debug->main_arena = bias + symbol.value;
	if (!debug->mp && !mw_elffile__symbol(file, "mp_", &symbol))
		debug->mp = bias + symbol.value;
}

void mw_ptmalloc_read_debug(struct mw_image *image, uint64_t base,
			    const struct mw_ptmalloc_layout *start, struct mw_ptmalloc_debug *debug)
{
	struct mw_elffile *file = mw_image__elffile(image, base);
	uint64_t bias = file ? mw_elffile__bias(file, base, 0) : base;

	if (start)
		debug->layout = *start;
	mw_elffile__close(file);
	for (unsigned int place = 0; place < MW_DEBUG_PLACES; place++) {
		_cleanup_close_ int fd = mw_debugfile__open(image, base, place);
		char path[32];

		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		file = fd < 0 ? NULL : mw_elffile__open(path, path, NULL);
		if (!file)
			continue;
		take_symbols(file, bias, debug);
		mw_elffile__close(file);
		debug->dwarf = start && read_dwarf(fd, &debug->layout);
		if (start ? debug->dwarf : debug->main_arena && debug->mp)
			break;
	}
}
