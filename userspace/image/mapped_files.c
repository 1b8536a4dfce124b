// SPDX-License-Identifier: GPL-2.0-or-later
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image/mapped_files.h"
#include "util/array.h"

enum { FILES_MAX = 512 };

struct mw_mapped_file {
	uint64_t inode;
	uint32_t major, minor;
	int fd; /* -1: not to be had */
};

void mw_mapped_files__init(struct mw_mapped_files *files)
{
	*files = (struct mw_mapped_files){.lock = PTHREAD_MUTEX_INITIALIZER};
}

void mw_mapped_files__free(struct mw_mapped_files *files)
{
	for (size_t i = 0; i < files->count; i++) {
		if (files->list[i].fd >= 0)
			close(files->list[i].fd);
	}
	free(files->list);
	pthread_mutex_destroy(&files->lock);
}

static int open_regular(pid_t pid, const struct mw_map *map)
{
	bool device = !strncmp(map->path, "/dev/", 5) && strncmp(map->path, "/dev/shm/", 9);
	char path[PATH_MAX];
	struct stat st;
	int fd;

	if (device || mw_map__file_path(map, pid, path, sizeof(path)))
		return -1;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd >= 0 && (fstat(fd, &st) || !S_ISREG(st.st_mode))) {
		close(fd);
		fd = -1;
	}
	return fd;
}

static int find(struct mw_mapped_files *files, pid_t pid, const struct mw_map *map)
{
	struct mw_mapped_file *file;

	for (size_t i = files->count; i-- > 0;) {
		file = &files->list[i];
		if (file->inode == map->inode && file->major == map->major &&
		    file->minor == map->minor)
			return file->fd;
	}
	if (files->count >= FILES_MAX || mw_array_reserve(&files->list, &files->capacity,
							  files->count + 1, sizeof(*files->list)))
		return -1;
	file = &files->list[files->count++];
	*file = (struct mw_mapped_file){map->inode, map->major, map->minor, open_regular(pid, map)};
	return file->fd;
}

int mw_mapped_files__fd(struct mw_mapped_files *files, pid_t pid, const struct mw_map *map)
{
	int fd;

	if (!map->inode)
		return -1;
	pthread_mutex_lock(&files->lock);
	fd = find(files, pid, map);
	pthread_mutex_unlock(&files->lock);
	return fd;
}
