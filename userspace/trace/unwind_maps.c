// SPDX-License-Identifier: GPL-2.0-or-later
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "bpf/memwhere.h"
#include "image/maps.h"
#include "symbol/unwind.h"
#include "trace/unwind_maps.h"
#include "util/array.h"
#include "util/cleanup.h"
#include "util/log.h"

/* The rows of one file. */
struct file {
	uint64_t inode;
	uint32_t major, minor, first_row, row_count;
};

struct mw_unwind_maps {
	int maps_fd;
	struct mw_unwind_row *rows; /* the BPF map itself */
	uint32_t row_count, map_count;
	struct file *files;
	size_t file_count, file_capacity;
	bool told_full;
};

static const size_t rows_size = (size_t)MW_UNWIND_ROWS * sizeof(struct mw_unwind_row);

struct mw_unwind_maps *mw_unwind_maps__new(int rows, int maps)
{
	struct mw_unwind_maps *u = calloc(1, sizeof(*u));

	if (!u)
		return NULL;
	u->maps_fd = maps;
	u->rows = mmap(NULL, rows_size, PROT_READ | PROT_WRITE, MAP_SHARED, rows, 0);
	if (u->rows == MAP_FAILED) {
		free(u);
		return NULL;
	}
	return u;
}

void mw_unwind_maps__free(struct mw_unwind_maps *u)
{
	if (!u)
		return;
	munmap(u->rows, rows_size);
	free(u->files);
	free(u);
}

static const struct file *file_of(struct mw_unwind_maps *u, pid_t pid, const struct mw_map *map)
{
	struct file new = {.inode = map->inode,
			   .major = map->major,
			   .minor = map->minor,
			   .first_row = u->row_count};
	struct mw_unwind_table table = {0};
	char path[PATH_MAX];

	for (size_t i = 0; i < u->file_count; i++) {
		const struct file *f = &u->files[i];

		if (f->inode == map->inode && f->major == map->major && f->minor == map->minor)
			return f;
	}
	if (mw_array_reserve(&u->files, &u->file_capacity, u->file_count + 1, sizeof(*u->files)))
		return NULL;
	if (!mw_map__file_path(map, pid, path, sizeof(path))) {
		_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);

		if (fd >= 0)
			mw_unwind_table__read(&table, fd);
	}
	if (table.count > MW_UNWIND_ROWS - u->row_count) {
		if (!u->told_full)
			mw_warn("the table of unwind rows is full: native frames in %s and what is "
				"loaded after it are found by frame pointers only",
				map->path);
		u->told_full = true;
	} else if (table.count) {
		memcpy(u->rows + u->row_count, table.rows, table.count * sizeof(*table.rows));
		new.row_count = (uint32_t)table.count;
		u->row_count += new.row_count;
	}
	mw_unwind_table__free(&table);
	u->files[u->file_count] = new;
	return &u->files[u->file_count++];
}

/* Where the file's lowest address is: its first mapping, next to this one and of the same file. */
static uint64_t base_of(const struct mw_maps *maps, size_t i)
{
	while (i && maps->maps[i].offset && maps->maps[i - 1].inode == maps->maps[i].inode &&
	       !strcmp(maps->maps[i - 1].path, maps->maps[i].path))
		i--;
	return maps->maps[i].start - maps->maps[i].offset;
}

static bool is_same(const struct mw_unwind_maps *u, const struct mw_unwind_map *new, uint32_t first,
		    uint32_t old_count, uint32_t count)
{
	if (old_count != count)
		return false;
	for (uint32_t i = 0; i < count; i++) {
		struct mw_unwind_map old;
		uint32_t key = first + i;

		if (bpf_map_lookup_elem(u->maps_fd, &key, &old) ||
		    memcmp(&old, &new[i], sizeof(old)))
			return false;
	}
	return true;
}

int mw_unwind_maps__add(struct mw_unwind_maps *u, pid_t pid, uint32_t *first, uint32_t *count)
{
	_cleanup_free_ struct mw_unwind_map *new = NULL;
	struct mw_maps maps;
	uint32_t n = 0;
	int ret = mw_maps__read(&maps, pid, NULL);

	if (ret)
		return ret;
	new = calloc(maps.count ? maps.count : 1, sizeof(*new));
	for (size_t i = 0; new &&i < maps.count; i++) {
		const struct mw_map *map = &maps.maps[i];
		const struct file *file =
			map->executable && map->inode ? file_of(u, pid, map) : NULL;

		if (!file || !file->row_count)
			continue;
		new[n++] = (struct mw_unwind_map){map->start, map->end, base_of(&maps, i),
						  file->first_row, file->row_count};
	}
	mw_maps__free(&maps);
	if (!new)
		return -ENOMEM;
	if (is_same(u, new, *first, *count, n))
		return 0;
	/* Never over the old ones, which a walk may be reading. */
	if (n > MW_UNWIND_MAPS - u->map_count)
		return -ENOSPC;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t key = u->map_count + i;

		if (bpf_map_update_elem(u->maps_fd, &key, &new[i], BPF_ANY))
			return -errno;
	}
	*first = u->map_count;
	*count = n;
	u->map_count += n;
	return 0;
}
