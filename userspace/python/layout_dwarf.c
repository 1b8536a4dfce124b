// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Layouts from DWARF. Reads only a few compilation units: CPython files that together include
 * every structure needed.
 */
#include <dwarf.h>
#include <elfutils/libdw.h>
#include <errno.h>
#include <string.h>

#include "python/layout.h"
#include "symbol/type_dwarf.h"
#include "util/array.h"

static const char *const units[] = {
	"dictobject.c",	     "obmalloc.c",	 "pylifecycle.c",   "gcmodule.c",    "gc.c",
	"pystate.c",	     "setobject.c",	 "unicodeobject.c", "frameobject.c", "genobject.c",
	"bytearrayobject.c", "typeobject.c",	 "intobject.c",	    "codeobject.c",  "funcobject.c",
	"longobject.c",	     "_asynciomodule.c",
};

enum { DEPTH = 4 };

/* NAME is one of LIST's words, which '|' separates. */
static bool is_word(const char *list, const char *name)
{
	size_t n = strlen(name);

	for (const char *p = list; p; p = strchr(p, '|') ? strchr(p, '|') + 1 : NULL) {
		if (!strncmp(p, name, n) && (p[n] == '|' || !p[n]))
			return true;
	}
	return false;
}

static Dwarf_Die *strip(Dwarf_Die *type)
{
	Dwarf_Attribute attr;

	while (dwarf_tag(type) == DW_TAG_typedef || dwarf_tag(type) == DW_TAG_const_type ||
	       dwarf_tag(type) == DW_TAG_volatile_type || dwarf_tag(type) == DW_TAG_atomic_type) {
		Dwarf_Die inner;

		if (!dwarf_formref_die(dwarf_attr(type, DW_AT_type, &attr), &inner))
			return NULL;
		*type = inner;
	}
	return type;
}

/*
 * The member that PATH (up to its end or a '|') names within STRUCTURE, unnamed structs and unions
 * included: its offset, or -1; TYPE is set to its type.
 */
static int32_t member(Dwarf_Die *structure, const char *path, Dwarf_Die *type, int depth)
{
	size_t n = strcspn(path, ".|");
	Dwarf_Attribute attr;
	Dwarf_Die child;

	if (depth > DEPTH || dwarf_child(structure, &child))
		return -1;
	do {
		const char *name = dwarf_diename(&child);
		Dwarf_Word offset = 0;
		int32_t inner = 0;

		if (dwarf_tag(&child) != DW_TAG_member ||
		    (name && (strlen(name) != n || strncmp(name, path, n))))
			continue;
		if (dwarf_attr(&child, DW_AT_data_member_location, &attr) &&
		    dwarf_formudata(&attr, &offset))
			continue;
		if (!dwarf_formref_die(dwarf_attr(&child, DW_AT_type, &attr), type) || !strip(type))
			continue;
		if (!name)
			inner = member(type, path, type, depth + 1);
		else if (path[n] == '.')
			inner = member(type, path + n + 1, type, depth + 1);
		if (inner >= 0 && offset < INT32_MAX / 2)
			return (int32_t)offset + inner;
	} while (!dwarf_siblingof(&child, &child));
	return -1;
}

static int32_t look_up(Dwarf_Die *structure, const struct mw_py_field *field)
{
	Dwarf_Word size;

	if (!field->member)
		return dwarf_aggregate_size(structure, &size) || size > INT32_MAX ? -1
										  : (int32_t)size;
	for (const char *path = field->member; path;
	     path = strchr(path, '|') ? strchr(path, '|') + 1 : NULL) {
		Dwarf_Die type;
		int32_t offset = member(structure, path, &type, 0);

		if (offset >= 0)
			return field->pointer ? dwarf_tag(&type) == DW_TAG_pointer_type : offset;
	}
	return -1;
}

static void read_type(Dwarf_Die *die, const char *name, struct mw_py_layout *layout)
{
	Dwarf_Die type = *die;

	if (!strip(&type) || dwarf_hasattr(&type, DW_AT_declaration) ||
	    (dwarf_tag(&type) != DW_TAG_structure_type && dwarf_tag(&type) != DW_TAG_union_type))
		return;
	for (size_t i = 0; i < mw_py_field_count; i++) {
		const struct mw_py_field *f = &mw_py_fields[i];
		int32_t *value = (int32_t *)((char *)layout + f->at);

		if (*value == MW_PY_ABSENT && is_word(f->structure, name))
			*value = look_up(&type, f);
	}
}

static bool is_wanted(const char *name)
{
	const char *base = name ? strrchr(name, '/') : NULL;

	base = base ? base + 1 : name;
	for (size_t i = 0; base && i < MW_ARRAY_SIZE(units); i++) {
		if (!strcmp(base, units[i]))
			return true;
	}
	return false;
}

int mw_py_layout_read_dwarf(int fd, struct mw_py_layout *layout)
{
	Dwarf *dwarf = mw_type_dwarf__open(fd);
	Dwarf_CU *cu = NULL;
	Dwarf_Die unit;
	int found = 0;

	if (!dwarf)
		return -ENOENT;
	for (size_t i = 0; i < mw_py_field_count; i++)
		*(int32_t *)((char *)layout + mw_py_fields[i].at) = MW_PY_ABSENT;
	while (!dwarf_get_units(dwarf, cu, &cu, NULL, NULL, &unit, NULL)) {
		Dwarf_Die child;

		if (!is_wanted(dwarf_diename(&unit)) || dwarf_child(&unit, &child))
			continue;
		do {
			int tag = dwarf_tag(&child);
			const char *name;

			if (tag != DW_TAG_typedef && tag != DW_TAG_structure_type &&
			    tag != DW_TAG_union_type)
				continue;
			name = dwarf_diename(&child);
			if (name)
				read_type(&child, name, layout);
		} while (!dwarf_siblingof(&child, &child));
	}
	mw_type_dwarf__close(dwarf);
	for (size_t i = 0; i < mw_py_field_count; i++)
		found += *(int32_t *)((char *)layout + mw_py_fields[i].at) != MW_PY_ABSENT;
	layout->free_threaded = layout->ob_gc_bits != MW_PY_ABSENT;
	return found ? found : -ENOENT;
}
