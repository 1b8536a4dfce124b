// SPDX-License-Identifier: GPL-2.0-or-later
#include <elf.h>
#include <errno.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>

#include "image/modules.h"
#include "util/array.h"

enum { PHDRS_MAX = 256, DYN_MAX = 512, MODULES_MAX = 8192 };

/* 0, -EFAULT (not all readable) or -errno. */
static int read_exactly(struct mw_image *image, uint64_t addr, void *buf, size_t len)
{
	ssize_t n = mw_image__read(image, addr, buf, len);

	if (n < 0)
		return (int)n;
	return (size_t)n == len ? 0 : -EFAULT;
}

/* The program's load bias and the address of its dynamic section (0: none, a static program). */
static int read_program(struct mw_image *image, uint64_t *bias, uint64_t *dynamic,
			bool *interpreted)
{
	uint64_t phdr = mw_image__auxv(image, AT_PHDR), phnum = mw_image__auxv(image, AT_PHNUM);
	Elf64_Phdr phdrs[PHDRS_MAX];
	int ret;

	if (!phdr || !phnum || phnum > PHDRS_MAX)
		return -EINVAL;
	ret = read_exactly(image, phdr, phdrs, phnum * sizeof(phdrs[0]));
	if (ret)
		return ret;
	*bias = *dynamic = 0;
	*interpreted = false;
	for (size_t i = 0; i < phnum; i++) {
		if (phdrs[i].p_type == PT_PHDR)
			*bias = phdr - phdrs[i].p_vaddr;
		else if (phdrs[i].p_type == PT_INTERP)
			*interpreted = true;
	}
	for (size_t i = 0; i < phnum; i++) {
		if (phdrs[i].p_type == PT_DYNAMIC)
			*dynamic = phdrs[i].p_vaddr + *bias;
	}
	return 0;
}

static int find_link_map(struct mw_image *image, uint64_t dynamic, uint64_t *link_map)
{
	struct r_debug debug;

	for (size_t i = 0; i < DYN_MAX; i++) {
		Elf64_Dyn dyn;
		int ret = read_exactly(image, dynamic + i * sizeof(dyn), &dyn, sizeof(dyn));

		if (ret)
			return ret;
		if (dyn.d_tag == DT_NULL)
			break;
		if (dyn.d_tag != DT_DEBUG)
			continue;
		if (!dyn.d_un.d_ptr)
			return -EAGAIN;
		ret = read_exactly(image, dyn.d_un.d_ptr, &debug, sizeof(debug));
		if (ret)
			return ret;
		*link_map = (uint64_t)(uintptr_t)debug.r_map;
		return *link_map ? 0 : -EAGAIN;
	}
	return -EAGAIN;
}

/* The first mapping of the file that is mapped at ADDR. */
static const struct mw_map *first_map_of(const struct mw_image *image, uint64_t addr)
{
	const struct mw_region *region = mw_image__find(image, addr);

	if (!region || !region->map.inode)
		return NULL;
	return &mw_regions__file_start(mw_image__regions(image), region)->map;
}

static int add_module(struct mw_modules *modules, const struct mw_map *map, uint64_t bias)
{
	int ret = mw_array_reserve(&modules->modules, &modules->capacity, modules->count + 1,
				   sizeof(*modules->modules));

	if (ret)
		return ret;
	modules->modules[modules->count] =
		(struct mw_module){.map = map, .bias = bias, .executable = !modules->count};
	modules->count++;
	return 0;
}

int mw_modules__read(struct mw_modules *modules, struct mw_image *image, struct mw_err *err)
{
	uint64_t bias, dynamic, addr = 0;
	const struct mw_map *map;
	bool interpreted;
	int ret;

	memset(modules, 0, sizeof(*modules));
	ret = read_program(image, &bias, &dynamic, &interpreted);
	if (!ret && !(interpreted && dynamic)) {
		/* Static: one module. Its code is where AT_PHDR points. */
		modules->is_static = true;
		map = first_map_of(image, mw_image__auxv(image, AT_PHDR));
		ret = map ? add_module(modules, map, bias) : -ENOENT;
	} else if (!ret) {
		ret = find_link_map(image, dynamic, &addr);
	}
	for (size_t i = 0; !ret && addr && i < MODULES_MAX; i++) {
		struct link_map link;

		ret = read_exactly(image, addr, &link, sizeof(link));
		if (ret)
			break;
		/* Its dynamic section leads to its file; the vDSO has none and is left out. */
		map = first_map_of(image, (uint64_t)(uintptr_t)link.l_ld);
		if (map)
			ret = add_module(modules, map, link.l_addr);
		addr = (uint64_t)(uintptr_t)link.l_next;
	}
	if (ret) {
		mw_modules__free(modules);
		return mw_err_set(err, ret, ret == -EPERM ? "no-privilege" : "unreadable",
				  mw_image__name(image), "can't list its libraries: %s%s%s",
				  strerror(-ret), ret == -EPERM ? "; " : "",
				  ret == -EPERM ? mw_err_access_hint() : "");
	}
	return 0;
}

void mw_modules__free(struct mw_modules *modules)
{
	free(modules->modules);
	memset(modules, 0, sizeof(*modules));
}
