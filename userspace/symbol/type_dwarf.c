// SPDX-License-Identifier: GPL-2.0-or-later
#include <gelf.h>
#include <stdbool.h>
#include <string.h>

#include "symbol/type_dwarf.h"
#include "util/array.h"

/* DWARF 5, section 7.5 and table 7.1: what says where code and values are, and names again. */
static bool is_about_places(const char *section)
{
	static const char *const names[] = {"aranges",	"line",		"loc",		"loclists",
					    "macinfo",	"macro",	"names",	"pubnames",
					    "pubtypes", "gnu_pubnames", "gnu_pubtypes", "ranges",
					    "rnglists"};
	static const char prefix[] = ".debug_", packed[] = ".zdebug_";

	if (!strncmp(section, prefix, sizeof(prefix) - 1))
		section += sizeof(prefix) - 1;
	else if (!strncmp(section, packed, sizeof(packed) - 1))
		section += sizeof(packed) - 1;
	else
		return false;
	for (size_t i = 0; i < MW_ARRAY_SIZE(names); i++) {
		if (!strcmp(section, names[i]))
			return true;
	}
	return false;
}

/* libdw passes over sections without content. Only the headers in memory change. */
static void hide_places(Elf *elf)
{
	Elf_Scn *section = NULL;
	GElf_Shdr header;
	size_t names;

	if (elf_getshdrstrndx(elf, &names))
		return;
	while ((section = elf_nextscn(elf, section))) {
		const char *name = gelf_getshdr(section, &header)
					   ? elf_strptr(elf, names, header.sh_name)
					   : NULL;

		if (!name || !is_about_places(name))
			continue;
		header.sh_type = SHT_NOBITS;
		gelf_update_shdr(section, &header);
	}
}

Dwarf *mw_type_dwarf__open(int fd)
{
	Elf *elf = NULL;
	Dwarf *dwarf;

	if (elf_version(EV_CURRENT) != EV_NONE)
		elf = elf_begin(fd, ELF_C_READ_MMAP, NULL);
	if (!elf)
		return NULL;
	hide_places(elf);
	dwarf = dwarf_begin_elf(elf, DWARF_C_READ, NULL);
	if (!dwarf)
		elf_end(elf);
	return dwarf;
}

void mw_type_dwarf__close(Dwarf *dwarf)
{
	Elf *elf = dwarf ? dwarf_getelf(dwarf) : NULL;

	dwarf_end(dwarf);
	elf_end(elf);
}
