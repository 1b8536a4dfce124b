// SPDX-License-Identifier: GPL-2.0-or-later
#include <elfutils/libdwfl.h>
#include <string.h>
#include <unistd.h>

#include "image/elffile.h"
#include "image/symbols.h"
#include "util/text.h"

/* What the callback, which has only the module's own pointer, needs to know. */
struct place {
	struct mw_image *image;
	uint64_t base;
};

static int find_debuginfo(Dwfl_Module *module, void **userdata, const char *name, Dwarf_Addr base,
			  const char *file, const char *link, GElf_Word crc, char **path)
{
	const struct place *place = *userdata;

	(void)module, (void)name, (void)base, (void)file, (void)link, (void)crc, (void)path;
	for (enum mw_debug_place p = MW_DEBUG_SYSROOT; p < MW_DEBUG_PLACES; p++) {
		int fd = mw_image__open_debug(place->image, place->base, p);

		if (fd >= 0)
			return fd; /* libdwfl closes it */
	}
	return -1;
}

static uint64_t module_base(struct mw_image *image, uint64_t addr)
{
	const struct mw_regions *regions = mw_image__regions(image);
	const struct mw_region *r = mw_image__find(image, addr);

	if (!r)
		return 0;
	/* .bss lies behind its file's data. */
	if (!r->map.inode && r > regions->regions && r[-1].map.end == r->map.start)
		r--;
	if (!r->map.inode)
		return 0;
	while (r > regions->regions && r->map.offset && r[-1].map.inode == r->map.inode &&
	       !strcmp(r[-1].map.path, r->map.path))
		r--;
	return addr < mw_image__elf_end(image, r->map.start) ? r->map.start : 0;
}

bool mw_image__symbol_name(struct mw_image *image, uint64_t addr, struct mw_symbol_name *out)
{
	static const Dwfl_Callbacks callbacks = {.find_debuginfo = find_debuginfo,
						 .find_elf = dwfl_build_id_find_elf};
	struct place place = {image, module_base(image, addr)};
	int fd = place.base ? mw_image__open_debug(image, place.base, MW_DEBUG_FILE) : -1;
	Dwfl *dwfl = fd < 0 ? NULL : dwfl_begin(&callbacks);
	Dwfl_Module *module = NULL;
	const char *name = NULL;
	GElf_Off offset = 0;
	GElf_Sym symbol;
	void **userdata;

	if (!dwfl) {
		if (fd >= 0)
			close(fd);
		return false;
	}
	dwfl_report_begin(dwfl);
	module = dwfl_report_elf(dwfl, "module", "module", fd, place.base, false);
	if (!module)
		close(fd);
	dwfl_report_end(dwfl, NULL, NULL);
	if (module && dwfl_module_info(module, &userdata, NULL, NULL, NULL, NULL, NULL, NULL)) {
		*userdata = &place;
		name = dwfl_module_addrinfo(module, addr, &offset, &symbol, NULL, NULL, NULL);
		/* A symbol without a size reaches as far as one likes. */
		if (name && symbol.st_size && offset < symbol.st_size) {
			mw_text_clean(out->name, sizeof(out->name), name, strlen(name));
			out->offset = offset;
		} else {
			name = NULL;
		}
	}
	dwfl_end(dwfl);
	return name != NULL;
}
