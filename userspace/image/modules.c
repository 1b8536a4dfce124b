// SPDX-License-Identifier: GPL-2.0-or-later
#include <elf.h>
#include <errno.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "image/modules.h"
#include "image/readmem.h"
#include "util/array.h"
#include "util/cleanup.h"
#include "util/file.h"

enum { PHDRS_MAX = 256, DYN_MAX = 512, MODULES_MAX = 8192 };

static int read_auxv(pid_t pid, uint64_t *phdr, uint64_t *phnum)
{
	_cleanup_free_ char *text = NULL;
	char path[64];
	size_t len;
	int ret;

	snprintf(path, sizeof(path), "/proc/%d/auxv", pid);
	ret = mw_file_read(path, 1 << 16, &text, &len);
	if (ret)
		return ret;
	*phdr = *phnum = 0;
	for (size_t off = 0; off + sizeof(Elf64_auxv_t) <= len; off += sizeof(Elf64_auxv_t)) {
		Elf64_auxv_t aux;

		memcpy(&aux, text + off, sizeof(aux));
		if (aux.a_type == AT_PHDR)
			*phdr = aux.a_un.a_val;
		else if (aux.a_type == AT_PHNUM)
			*phnum = aux.a_un.a_val;
	}
	return *phdr && *phnum && *phnum <= PHDRS_MAX ? 0 : -EINVAL;
}

/* The program's load bias and the address of its dynamic section (0: none, a static program). */
static int read_program(pid_t pid, uint64_t *bias, uint64_t *dynamic, bool *interpreted)
{
	uint64_t phdr, phnum;
	Elf64_Phdr phdrs[PHDRS_MAX];
	int ret;

	ret = read_auxv(pid, &phdr, &phnum);
	if (!ret)
		ret = mw_readmem(pid, phdr, phdrs, phnum * sizeof(phdrs[0]));
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

static int find_link_map(pid_t pid, uint64_t dynamic, uint64_t *link_map)
{
	struct r_debug debug;

	for (size_t i = 0; i < DYN_MAX; i++) {
		Elf64_Dyn dyn;
		int ret = mw_readmem(pid, dynamic + i * sizeof(dyn), &dyn, sizeof(dyn));

		if (ret)
			return ret;
		if (dyn.d_tag == DT_NULL)
			break;
		if (dyn.d_tag != DT_DEBUG)
			continue;
		if (!dyn.d_un.d_ptr)
			return -EAGAIN;
		ret = mw_readmem(pid, dyn.d_un.d_ptr, &debug, sizeof(debug));
		if (ret)
			return ret;
		*link_map = (uint64_t)(uintptr_t)debug.r_map;
		return *link_map ? 0 : -EAGAIN;
	}
	return -EAGAIN;
}

/* The first mapping of the file that is mapped at ADDR. */
static const struct mw_map *first_map_of(const struct mw_maps *maps, uint64_t addr)
{
	const struct mw_map *map = mw_maps__find(maps, addr);

	if (!map || !map->inode)
		return NULL;
	while (map > maps->maps) {
		const struct mw_map *before = map - 1;

		if (before->inode == map->inode && before->major == map->major &&
		    before->minor == map->minor && before->offset <= map->offset)
			map = before;
		else
			break;
	}
	return map;
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

int mw_modules__read(struct mw_modules *modules, pid_t pid, const struct mw_maps *maps,
		     struct mw_err *err)
{
	uint64_t bias, dynamic, addr = 0;
	bool interpreted;
	char where[32];
	int ret;

	memset(modules, 0, sizeof(*modules));
	snprintf(where, sizeof(where), "PID %d", pid);
	ret = read_program(pid, &bias, &dynamic, &interpreted);
	if (!ret && !(interpreted && dynamic)) {
		/* Static: one module. Its code is where AT_PHDR points. */
		uint64_t phdr, phnum;
		const struct mw_map *map;

		modules->is_static = true;
		ret = read_auxv(pid, &phdr, &phnum);
		map = ret ? NULL : first_map_of(maps, phdr);
		ret = map ? add_module(modules, map, bias) : -ENOENT;
	} else if (!ret) {
		ret = find_link_map(pid, dynamic, &addr);
	}
	for (size_t i = 0; !ret && addr && i < MODULES_MAX; i++) {
		struct link_map link;
		const struct mw_map *map;

		ret = mw_readmem(pid, addr, &link, sizeof(link));
		if (ret)
			break;
		/* Its dynamic section leads to its file; the vDSO has none and is left out. */
		map = first_map_of(maps, (uint64_t)(uintptr_t)link.l_ld);
		if (map)
			ret = add_module(modules, map, link.l_addr);
		addr = (uint64_t)(uintptr_t)link.l_next;
	}
	if (ret) {
		mw_modules__free(modules);
		return mw_err_set(
			err, ret, ret == -EPERM ? "no-privilege" : "unreadable", where,
			ret == -EPERM
				? "not permitted to read its memory: run as root, or with CAP_SYS_PTRACE"
				: "can't list its libraries: %s",
			strerror(-ret));
	}
	return 0;
}

void mw_modules__free(struct mw_modules *modules)
{
	free(modules->modules);
	memset(modules, 0, sizeof(*modules));
}
