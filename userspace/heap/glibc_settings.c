// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "heap/glibc_settings.h"
#include "heap/ptmalloc_layout.h"
#include "image/maps.h"
#include "image/readmem.h"
#include "util/bytes.h"

enum { DATA_MAX = 1 << 20 };

/* Rows that may be those of the process's glibc: the one of its VERSION, or all. */
struct rows {
	const struct mw_ptmalloc_layout *first, *end;
};

static struct rows rows_of(struct mw_elffile *elf)
{
	const struct mw_ptmalloc_layout *row = mw_ptmalloc_layout_of(mw_ptmalloc_version_of(elf));

	if (row)
		return (struct rows){row, row + 1};
	return (struct rows){mw_ptmalloc_layouts, mw_ptmalloc_layouts + mw_ptmalloc_layout_count};
}

/*
 * Could the bytes at P be mp_? HEAP is the [heap] mapping or NULL. The test that counts is
 * sbrk_base, which is either still 0 or in the heap.
 */
static const struct mw_ptmalloc_layout *match(const uint8_t *p, struct rows rows,
					      const struct mw_map *heap, bool strict)
{
	for (const struct mw_ptmalloc_layout *l = rows.first; l < rows.end; l++) {
		uint64_t base = mw_u64_at(p + l->sbrk_base);

		if (!mw_ptmalloc_is_mp(p, l, strict))
			continue;
		if (heap ? base && (base < heap->start || base >= heap->end) : base != 0)
			continue;
		return l;
	}
	return NULL;
}

static int search(uint64_t *addr, pid_t pid, struct mw_elffile *elf, uint64_t bias,
		  struct rows rows, const struct mw_map *heap)
{
	uint8_t *data = malloc(DATA_MAX);
	uint64_t start, end;
	size_t hits = 0;

	if (!data)
		return -ENOMEM;
	for (size_t s = 0; mw_elffile__data_segment(elf, s, &start, &end); s++) {
		uint64_t len = end - start < DATA_MAX ? end - start : DATA_MAX;
		uint64_t skip = -start & 7;
		ssize_t n = mw_readmem_some(pid, bias + start, data, len);

		for (uint64_t off = skip; n > 0 && off + MW_PTMALLOC_MP_BYTES <= (uint64_t)n;
		     off += 8) {
			if (!match(data + off, rows, heap, true))
				continue;
			*addr = bias + start + off;
			hits++;
		}
	}
	free(data);
	return hits == 1 ? 0 : -ENOENT;
}

static int by_symbol(uint64_t *addr, struct mw_elffile *elf, uint64_t bias, const char **evidence)
{
	const char *id = mw_elffile__build_id(elf);
	struct mw_symbol symbol;
	struct mw_elffile *debug;
	char path[256];
	int ret;

	if (!mw_elffile__symbol(elf, "mp_", &symbol)) {
		*addr = bias + symbol.value;
		*evidence = "symbol mp_";
		return 0;
	}
	if (strlen(id) < 4)
		return -ENOENT;
	snprintf(path, sizeof(path), "/usr/lib/debug/.build-id/%.2s/%s.debug", id, id + 2);
	debug = mw_elffile__open(path, path, NULL);
	if (!debug)
		return -ENOENT;
	ret = mw_elffile__symbol(debug, "mp_", &symbol);
	if (!ret) {
		*addr = bias + symbol.value;
		*evidence = "symbol mp_ of the separate debug file";
	}
	mw_elffile__close(debug);
	return ret;
}

static int read_at(struct mw_glibc_settings *settings, pid_t pid, uint64_t addr, struct rows rows,
		   const struct mw_map *heap)
{
	const struct mw_ptmalloc_layout *layout;
	uint8_t mp[MW_PTMALLOC_MP_BYTES];
	int ret;

	ret = mw_readmem(pid, addr, mp, sizeof(mp));
	if (ret)
		return ret;
	layout = match(mp, rows, heap, false);
	if (!layout)
		return -ENOENT;
	settings->mp_addr = addr;
	settings->trim_threshold = mw_u64_at(mp);
	settings->top_pad = mw_u64_at(mp + 8);
	settings->mmap_threshold = mw_u64_at(mp + 16);
	settings->fixed_offset = layout->no_dyn;
	settings->dynamic = !mw_u32_at(mp + layout->no_dyn);
	return 0;
}

static int find(struct mw_glibc_settings *settings, pid_t pid, struct mw_elffile *elf,
		uint64_t bias, const struct mw_map *heap)
{
	const struct rows rows = rows_of(elf);
	const char *evidence = NULL;
	uint64_t addr;

	if (!by_symbol(&addr, elf, bias, &evidence) && !read_at(settings, pid, addr, rows, heap)) {
		settings->evidence = evidence;
		return 0;
	}
	if (!search(&addr, pid, elf, bias, rows, heap) &&
	    !read_at(settings, pid, addr, rows, heap)) {
		settings->evidence = "validated search of libc's data";
		return 0;
	}
	return -ENOENT;
}

int mw_glibc_settings__find(struct mw_glibc_settings *settings, pid_t pid, struct mw_elffile *elf,
			    uint64_t bias)
{
	struct mw_maps maps;
	int ret;

	memset(settings, 0, sizeof(*settings));
	ret = mw_maps__read(&maps, pid, NULL);
	if (ret)
		return ret;
	ret = find(settings, pid, elf, bias, mw_maps__named(&maps, "[heap]"));
	mw_maps__free(&maps);
	return ret;
}

int mw_glibc_settings__refresh(struct mw_glibc_settings *settings, pid_t pid)
{
	uint8_t mp[MW_PTMALLOC_MP_BYTES];
	int ret;

	if (!settings->mp_addr)
		return -ENOENT;
	ret = mw_readmem(pid, settings->mp_addr, mp, sizeof(mp));
	if (ret)
		return ret;
	settings->trim_threshold = mw_u64_at(mp);
	settings->top_pad = mw_u64_at(mp + 8);
	settings->mmap_threshold = mw_u64_at(mp + 16);
	settings->dynamic = !mw_u32_at(mp + settings->fixed_offset);
	return 0;
}
