// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "image/maps.h"
#include "util/array.h"
#include "util/cleanup.h"
#include "util/file.h"
#include "util/search.h"

static const char deleted_suffix[] = " (deleted)";

size_t mw_map__path_length(const char *path, size_t len)
{
	size_t cut = sizeof(deleted_suffix) - 1;

	return len > cut && !memcmp(path + len - cut, deleted_suffix, cut) ? len - cut : len;
}

bool mw_map__is_memory(const char *path)
{
	static const char *const names[] = {"/dev/", "/SYSV", "/memfd:"};

	for (size_t i = 0; i < MW_ARRAY_SIZE(names); i++) {
		if (!strncmp(path, names[i], strlen(names[i])))
			return true;
	}
	return false;
}

/* One line without its newline. The path, if any, starts at column 73 or later. */
static int parse_line(const char *line, size_t len, struct mw_map *map)
{
	char head[160], perms[5];
	int used = 0;

	size_t n = len < sizeof(head) - 1 ? len : sizeof(head) - 1;

	memcpy(head, line, n);
	head[n] = '\0';
	memset(map, 0, sizeof(*map));
	if (sscanf(head,
		   "%" SCNx64 "-%" SCNx64 " %4s %" SCNx64 " %" SCNx32 ":%" SCNx32 " %" SCNu64 "%n",
		   &map->start, &map->end, perms, &map->offset, &map->major, &map->minor,
		   &map->inode, &used) != 7 ||
	    map->start >= map->end || strlen(perms) != 4)
		return -EINVAL;
	map->readable = perms[0] == 'r';
	map->writable = perms[1] == 'w';
	map->executable = perms[2] == 'x';
	map->shared = perms[3] == 's';

	const char *path = line + used, *end = line + len;

	while (path < end && *path == ' ')
		path++;
	size_t path_len = (size_t)(end - path), rest = mw_map__path_length(path, path_len);

	if (map->inode && rest < path_len) {
		map->deleted = true;
		path_len = rest;
	}
	map->path = strndup(path, path_len);
	return map->path ? 0 : -ENOMEM;
}

int mw_maps__parse(struct mw_maps *maps, const char *text, size_t len, struct mw_err *err)
{
	const char *end = text + len;
	int ret = 0;

	memset(maps, 0, sizeof(*maps));
	while (text < end) {
		const char *eol = memchr(text, '\n', (size_t)(end - text));
		size_t n = eol ? (size_t)(eol - text) : (size_t)(end - text);

		ret = mw_array_reserve(&maps->maps, &maps->capacity, maps->count + 1,
				       sizeof(*maps->maps));
		if (ret)
			break;
		ret = parse_line(text, n, &maps->maps[maps->count]);
		if (ret)
			break;
		if (maps->count &&
		    maps->maps[maps->count].start < maps->maps[maps->count - 1].end) {
			free(maps->maps[maps->count].path);
			ret = -EINVAL;
			break;
		}
		maps->count++;
		text += n + 1;
	}
	if (ret) {
		mw_err_set(err, ret, "bad-maps", NULL, "mapping list unreadable at entry %zu",
			   maps->count + 1);
		mw_maps__free(maps);
	}
	return ret;
}

int mw_maps__read(struct mw_maps *maps, pid_t pid, struct mw_err *err)
{
	_cleanup_free_ char *text = NULL;
	char path[64], where[32];
	size_t len;
	int ret;

	memset(maps, 0, sizeof(*maps));
	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	snprintf(where, sizeof(where), "PID %d", pid);
	ret = mw_file_read(path, 256 << 20, &text, &len);
	if (ret == -ENOENT || ret == -ESRCH)
		return mw_err_set(err, -ESRCH, "no-such-process", where, "no process %d (any more)",
				  pid);
	if (ret)
		return mw_err_set(err, ret, "unreadable", where, "can't read %s: %s", path,
				  strerror(-ret));
	return mw_maps__parse(maps, text, len, err);
}

void mw_maps__free(struct mw_maps *maps)
{
	for (size_t i = 0; i < maps->count; i++)
		free(maps->maps[i].path);
	free(maps->maps);
	memset(maps, 0, sizeof(*maps));
}

static bool ends_before(const void *at, const void *key)
{
	const struct mw_map *map = at;

	return map->end <= *(const uint64_t *)key;
}

const struct mw_map *mw_maps__find(const struct mw_maps *maps, uint64_t addr)
{
	size_t i = mw_search(maps->maps, maps->count, sizeof(*maps->maps), ends_before, &addr);

	return i < maps->count && maps->maps[i].start <= addr ? &maps->maps[i] : NULL;
}

bool mw_map__is_same_file(const struct mw_map *a, const struct mw_map *b)
{
	return a->inode == b->inode && a->major == b->major && a->minor == b->minor &&
	       !strcmp(a->path, b->path);
}

const struct mw_map *mw_maps__named(const struct mw_maps *maps, const char *name)
{
	for (size_t i = 0; i < maps->count; i++) {
		if (!strcmp(maps->maps[i].path, name))
			return &maps->maps[i];
	}
	return NULL;
}

int mw_map__file_path(const struct mw_map *map, pid_t pid, char *path, size_t size)
{
	struct stat st;
	int n;

	if (!map->inode)
		return -ENOENT;
	n = snprintf(path, size, "/proc/%d/map_files/%" PRIx64 "-%" PRIx64, pid, map->start,
		     map->end);
	if (n > 0 && (size_t)n < size) {
		_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);

		if (fd >= 0)
			return 0;
	}
	if (map->deleted)
		return errno ? -errno : -ENOENT;
	n = snprintf(path, size, "/proc/%d/root%s", pid, map->path);
	if (n < 0 || (size_t)n >= size)
		return -ENAMETOOLONG;
	if (stat(path, &st))
		return -errno;
	/* The process never runs a new file under the old name. */
	if (st.st_ino != map->inode)
		return -ESTALE;
	return 0;
}
