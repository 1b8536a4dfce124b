// SPDX-License-Identifier: GPL-2.0-or-later
#include <elfutils/libdwfl.h>
#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "arch/arch.h"
#include "symbol/elf_symbols.h"

enum { LINES_MAX = 64 << 20 };

struct mw_elf_symbols {
	Dwfl *dwfl;
	Dwfl_Module *module;
	Elf *elf; /* libdwfl takes it over when it asks */
	int fd;
	uint64_t start, end; /* of its segments in memory */
	mw_elf_symbols_debug_fn debug;
	void *debug_arg;
	int debug_fd; /* -1 before it is opened and after libdwfl took it over */
	bool debug_asked;
	uint64_t debug_size; /* bytes when loaded */
	Elf *checked;	     /* the file that IS_SAFE is about */
	bool is_safe;	     /* its strings are terminated */
	enum { LINES_UNKNOWN, LINES_NONE, LINES_THERE } lines;
	struct mw_inlines *inlines; /* NULL: there are none to be had */
};

/* Bytes that the debug sections of ELF take when loaded; 0 when it has no lines. */
static uint64_t debug_bytes(Elf *elf)
{
	Elf_Scn *section = NULL;
	uint64_t sum = 0;
	bool lines = false;
	size_t names;

	if (!elf || elf_getshdrstrndx(elf, &names))
		return 0;
	while ((section = elf_nextscn(elf, section))) {
		GElf_Shdr header;
		GElf_Chdr compressed;
		const char *name;

		if (!gelf_getshdr(section, &header) || header.sh_type == SHT_NOBITS)
			continue;
		name = elf_strptr(elf, names, header.sh_name);
		if (!name || strncmp(name, ".debug_", 7))
			continue;
		if ((header.sh_flags & SHF_COMPRESSED) && gelf_getchdr(section, &compressed))
			header.sh_size = compressed.ch_size;
		if (!strcmp(name, ".debug_line")) {
			if (header.sh_size > LINES_MAX)
				return UINT64_MAX;
			lines = true;
		}
		if (sum + header.sh_size < sum)
			return UINT64_MAX;
		sum += header.sh_size;
	}
	return lines ? sum : 0;
}

/*
 * ---- libdwfl's callbacks -----------------------------------------------------------------------
 */

static int find_elf(Dwfl_Module *module, void **userdata, const char *name, Dwarf_Addr base,
		    char **path, Elf **elf)
{
	struct mw_elf_symbols *elf_symbols = *userdata;
	int fd = elf_symbols->fd;

	(void)module, (void)name, (void)base, (void)path;
	*elf = elf_symbols->elf;
	elf_symbols->elf = NULL;
	elf_symbols->fd = -1;
	return fd;
}

static void open_debug(struct mw_elf_symbols *elf_symbols)
{
	if (!elf_symbols->debug_asked && elf_symbols->debug)
		elf_symbols->debug_fd = elf_symbols->debug(elf_symbols->debug_arg);
	elf_symbols->debug_asked = true;
	if (elf_symbols->debug_fd >= 0) {
		Elf *elf = elf_begin(elf_symbols->debug_fd, ELF_C_READ, NULL);

		elf_symbols->debug_size = debug_bytes(elf);
		elf_end(elf);
	}
}

static int find_debuginfo(Dwfl_Module *module, void **userdata, const char *name, Dwarf_Addr base,
			  const char *file, const char *link, GElf_Word crc, char **path)
{
	struct mw_elf_symbols *elf_symbols = *userdata;
	int fd;

	(void)module, (void)name, (void)base, (void)file, (void)link, (void)crc, (void)path;
	open_debug(elf_symbols);
	/*
	 * The second call asks for the file that several debug files share (dwz): we have none.
	 */
	fd = elf_symbols->debug_fd;
	elf_symbols->debug_fd = -1;
	return fd;
}

/*
 * ---- life cycle -------------------------------------------------------------------------------
 */

/*
 * Find where all segments are, given MAP of one of them. One page of a file may be mapped twice,
 * with and without the code that begins on it, so MAP's permissions decide.
 */
static int find_range(struct mw_elf_symbols *elf_symbols, const struct mw_map *map)
{
	uint64_t low = UINT64_MAX, high = 0, at = 0;
	bool found = false, same_rights = false;
	size_t count;

	if (!elf_symbols->elf || elf_kind(elf_symbols->elf) != ELF_K_ELF ||
	    elf_getphdrnum(elf_symbols->elf, &count))
		return -ENOEXEC;
	for (size_t i = 0; i < count; i++) {
		GElf_Phdr ph;
		uint64_t skipped;
		bool same;

		if (!gelf_getphdr(elf_symbols->elf, (int)i, &ph) || ph.p_type != PT_LOAD ||
		    ph.p_vaddr + ph.p_memsz < ph.p_vaddr)
			continue;
		skipped = ph.p_vaddr % MW_PAGE_SIZE;
		low = ph.p_vaddr - skipped < low ? ph.p_vaddr - skipped : low;
		high = ph.p_vaddr + ph.p_memsz > high ? ph.p_vaddr + ph.p_memsz : high;
		same = !(ph.p_flags & PF_X) == !map->executable;
		if (map->offset < ph.p_offset - skipped ||
		    map->offset - (ph.p_offset - skipped) >= ph.p_filesz + skipped ||
		    (found && (same_rights || !same)))
			continue;
		found = true;
		same_rights = same;
		at = ph.p_vaddr - skipped + map->offset - (ph.p_offset - skipped);
	}
	if (!found || low >= high)
		return -ENOEXEC;
	elf_symbols->start = map->start - at + low;
	elf_symbols->end = elf_symbols->start + (high - low);
	return elf_symbols->start < elf_symbols->end ? 0 : -ENOEXEC;
}

struct mw_elf_symbols *mw_elf_symbols__open(int fd, const struct mw_map *map,
					    mw_elf_symbols_debug_fn debug, void *arg)
{
	static const Dwfl_Callbacks callbacks = {.find_elf = find_elf,
						 .find_debuginfo = find_debuginfo};
	struct mw_elf_symbols *elf_symbols = calloc(1, sizeof(*elf_symbols));
	void **userdata;
	int ret;

	if (!elf_symbols) {
		close(fd);
		errno = ENOMEM;
		return NULL;
	}
	*elf_symbols =
		(struct mw_elf_symbols){.fd = fd, .debug = debug, .debug_arg = arg, .debug_fd = -1};
	elf_version(EV_CURRENT);
	/* Read, not mapped: a mapped file that shrinks would kill us with SIGBUS. */
	elf_symbols->elf = elf_begin(fd, ELF_C_READ, NULL);
	ret = find_range(elf_symbols, map);
	if (ret)
		goto cleanup;
	ret = -ENOMEM;
	elf_symbols->dwfl = dwfl_begin(&callbacks);
	if (!elf_symbols->dwfl)
		goto cleanup;
	dwfl_report_begin(elf_symbols->dwfl);
	elf_symbols->module = dwfl_report_module(elf_symbols->dwfl, "module", elf_symbols->start,
						 elf_symbols->end);
	if (elf_symbols->module &&
	    dwfl_module_info(elf_symbols->module, &userdata, NULL, NULL, NULL, NULL, NULL, NULL))
		*userdata = elf_symbols;
	dwfl_report_end(elf_symbols->dwfl, NULL, NULL);
	if (elf_symbols->module)
		return elf_symbols;
cleanup:
	mw_elf_symbols__close(elf_symbols);
	errno = -ret;
	return NULL;
}

void mw_elf_symbols__close(struct mw_elf_symbols *elf_symbols)
{
	if (!elf_symbols)
		return;
	mw_inlines__free(elf_symbols->inlines);
	if (elf_symbols->dwfl)
		dwfl_end(elf_symbols->dwfl);
	elf_end(elf_symbols->elf);
	if (elf_symbols->fd >= 0)
		close(elf_symbols->fd);
	if (elf_symbols->debug_fd >= 0)
		close(elf_symbols->debug_fd);
	free(elf_symbols);
}

void mw_elf_symbols__range(const struct mw_elf_symbols *elf_symbols, uint64_t *start, uint64_t *end)
{
	*start = elf_symbols->start;
	*end = elf_symbols->end;
}

void mw_elf_symbols__build_id(struct mw_elf_symbols *elf_symbols, char *text, size_t size)
{
	const unsigned char *id;
	GElf_Addr addr;
	int len = dwfl_module_build_id(elf_symbols->module, &id, &addr);

	*text = '\0';
	for (int i = 0; i < len && 2 * (size_t)i + 2 < size; i++)
		snprintf(text + 2 * i, 3, "%02x", id[i]);
}

/*
 * ---- questions --------------------------------------------------------------------------------
 */

/* elfutils, up to 0.188 at least, does not check that a section's last string is terminated. */
static bool is_ended(Elf_Scn *section)
{
	Elf_Data *data = section ? elf_getdata(section, NULL) : NULL;

	return data && data->d_buf && data->d_size &&
	       !((const char *)data->d_buf)[data->d_size - 1];
}

static bool has_safe_names(Elf *elf)
{
	Elf_Scn *section = NULL;
	bool found = false;

	while ((section = elf_nextscn(elf, section))) {
		GElf_Shdr header;

		if (!gelf_getshdr(section, &header) ||
		    (header.sh_type != SHT_SYMTAB && header.sh_type != SHT_DYNSYM))
			continue;
		if (!is_ended(elf_getscn(elf, header.sh_link)))
			return false;
		found = true;
	}
	return found;
}

/* The same check of the sections of debug information called KIND, which libdw has unpacked. */
static bool is_debug_ended(Elf *elf, const char *kind)
{
	Elf_Scn *section = NULL;
	size_t names;

	if (elf_getshdrstrndx(elf, &names))
		return false;
	while ((section = elf_nextscn(elf, section))) {
		GElf_Shdr header;
		const char *name = gelf_getshdr(section, &header)
					   ? elf_strptr(elf, names, header.sh_name)
					   : NULL;

		if (name && strstr(name, kind) && !strstr(name, "offsets") &&
		    header.sh_type != SHT_NOBITS && !is_ended(section))
			return false;
	}
	return true;
}

const char *mw_elf_symbols__symbol(struct mw_elf_symbols *elf_symbols, uint64_t addr,
				   uint64_t *offset)
{
	GElf_Sym symbol;
	Elf *elf = NULL;
	GElf_Addr bias;
	const char *name =
		dwfl_module_addrinfo(elf_symbols->module, addr, offset, &symbol, NULL, &elf, &bias);

	/* A symbol without a size would match any address behind it. */
	if (!name || !symbol.st_size || *offset >= symbol.st_size)
		return NULL;
	if (elf != elf_symbols->checked) {
		elf_symbols->checked = elf;
		elf_symbols->is_safe = elf && has_safe_names(elf);
	}
	return elf_symbols->is_safe ? name : NULL;
}

/* libdwfl loads all debug information at once, so check its size first. */
static bool has_lines(struct mw_elf_symbols *elf_symbols, uint64_t *budget)
{
	GElf_Addr bias;
	Dwarf *dwarf;
	Elf *elf;
	uint64_t bytes;

	if (elf_symbols->lines != LINES_UNKNOWN)
		return elf_symbols->lines == LINES_THERE;
	elf_symbols->lines = LINES_NONE;
	bytes = debug_bytes(dwfl_module_getelf(elf_symbols->module, &bias));
	if (!bytes) {
		open_debug(elf_symbols);
		bytes = elf_symbols->debug_size;
	}
	if (!bytes || bytes > *budget)
		return false;
	*budget -= bytes;
	dwarf = dwfl_module_getdwarf(elf_symbols->module, &bias);
	if (!dwarf)
		return false;
	elf = dwarf_getelf(dwarf);
	if (!is_debug_ended(elf, "debug_str") || !is_debug_ended(elf, "debug_line_str"))
		return false;
	elf_symbols->lines = LINES_THERE;
	/* Names may also be in the entries themselves. */
	if (is_debug_ended(elf, "debug_info"))
		elf_symbols->inlines = mw_inlines__new();
	return true;
}

uint32_t mw_elf_symbols__line(struct mw_elf_symbols *elf_symbols, uint64_t addr, const char **file,
			      uint64_t *budget)
{
	Dwfl_Line *line = has_lines(elf_symbols, budget)
				  ? dwfl_module_getsrc(elf_symbols->module, addr)
				  : NULL;
	int number = 0;

	*file = line ? dwfl_lineinfo(line, NULL, &number, NULL, NULL, NULL) : NULL;
	return *file && number > 0 ? (uint32_t)number : 0;
}

size_t mw_elf_symbols__inlines(struct mw_elf_symbols *elf_symbols, uint64_t addr,
			       struct mw_inline *out, size_t max)
{
	return elf_symbols->inlines
		       ? mw_inlines__find(elf_symbols->inlines, elf_symbols->module, addr, out, max)
		       : 0;
}
