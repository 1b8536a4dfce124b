// SPDX-License-Identifier: GPL-2.0-or-later
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <gelf.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/memwhere.h"
#include "image/maps.h"
#include "probe/sdt.h"
#include "util/array.h"
#include "util/cleanup.h"
#include "util/log.h"

static const struct {
	const char *provider, *name;
	enum mw_sdt_probe which;
} known[] = {
	{"otel_memory", "alloc", MW_SDT_ALLOC},
	{"otel_memory", "free", MW_SDT_FREE},
	{"libc", "memory_heap_new", MW_SDT_HEAP_NEW},
	{"libc", "memory_arena_new", MW_SDT_ARENA_NEW},
	{"libc", "memory_sbrk_more", MW_SDT_SBRK_MORE},
	{"libc", "memory_mallopt_free_dyn_thresholds", MW_SDT_THRESHOLDS},
};

enum { LINKS_MAX = 64 };

struct mw_sdt {
	struct bpf_link *links[LINKS_MAX];
	size_t count;
	bool has_samples;
};

/* The notes of FILE; their texts are looked through, libbpf reads what is in them. */
static Elf_Data *notes_of(Elf *elf)
{
	Elf_Scn *section = NULL;
	size_t names;

	if (!elf || elf_getshdrstrndx(elf, &names))
		return NULL;
	while ((section = elf_nextscn(elf, section))) {
		GElf_Shdr header;
		const char *name;

		if (!gelf_getshdr(section, &header) || header.sh_type != SHT_NOTE)
			continue;
		name = elf_strptr(elf, names, header.sh_name);
		if (name && !strcmp(name, ".note.stapsdt"))
			return elf_getdata(section, NULL);
	}
	return NULL;
}

/* PROVIDER and NAME stand in a note one after the other, each with its 0. */
static bool has_note(const Elf_Data *notes, const char *provider, const char *name)
{
	char both[128];
	int n = snprintf(both, sizeof(both), "%s%c%s", provider, 0, name);

	return n > 0 && memmem(notes->d_buf, notes->d_size, both, (size_t)n + 1);
}

static void attach_file(struct mw_sdt *sdt, struct bpf_program *prog, pid_t pid, bool everyone,
			const struct mw_map *map)
{
	_cleanup_close_ int fd = -1;
	char path[PATH_MAX];
	Elf_Data *notes;
	Elf *elf;

	if (mw_map__file_path(map, pid, path, sizeof(path)))
		return;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	elf_version(EV_CURRENT);
	elf = elf_begin(fd, ELF_C_READ, NULL);
	notes = notes_of(elf);
	for (size_t i = 0; notes && notes->d_buf && i < MW_ARRAY_SIZE(known); i++) {
		LIBBPF_OPTS(bpf_usdt_opts, opts, .usdt_cookie = known[i].which);
		struct bpf_link *link;

		if (sdt->count == LINKS_MAX || !has_note(notes, known[i].provider, known[i].name))
			continue;
		link = bpf_program__attach_usdt(prog, everyone ? -1 : pid, path, known[i].provider,
						known[i].name, &opts);
		mw_detail("probe of its own %s:%s in %s%s", known[i].provider, known[i].name,
			  map->path, link ? "" : ": can't be attached");
		if (!link)
			continue;
		sdt->links[sdt->count++] = link;
		sdt->has_samples |= known[i].which == MW_SDT_ALLOC;
	}
	elf_end(elf);
}

struct mw_sdt *mw_sdt__attach(struct bpf_program *prog, pid_t pid, bool everyone)
{
	struct mw_sdt *sdt = calloc(1, sizeof(*sdt));
	struct mw_maps maps;

	if (!sdt || mw_maps__read(&maps, pid, NULL)) {
		free(sdt);
		return NULL;
	}
	for (size_t i = 0; i < maps.count; i++) {
		if (maps.maps[i].executable && maps.maps[i].inode)
			attach_file(sdt, prog, pid, everyone, &maps.maps[i]);
	}
	mw_maps__free(&maps);
	if (sdt->count)
		return sdt;
	free(sdt);
	return NULL;
}

void mw_sdt__detach(struct mw_sdt *sdt)
{
	for (size_t i = 0; sdt && i < sdt->count; i++)
		bpf_link__destroy(sdt->links[i]);
	free(sdt);
}

bool mw_sdt__has_samples(const struct mw_sdt *sdt)
{
	return sdt && sdt->has_samples;
}
