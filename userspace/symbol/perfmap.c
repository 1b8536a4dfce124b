// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "image/pidns.h"
#include "symbol/perfmap.h"
#include "util/array.h"
#include "util/cleanup.h"
#include "util/file.h"
#include "util/search.h"

enum { FILE_MAX = 64 << 20, OVERLAPS_MAX = 64 };

static int compare(const void *a, const void *b)
{
	const struct mw_perfmap_entry *x = a, *y = b;

	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	return x->name < y->name ? -1 : x->name > y->name;
}

static int add_line(struct mw_perfmap *map, char *line, const char *end)
{
	struct mw_perfmap_entry e = {0};
	char *at;
	int ret;

	e.start = strtoull(line, &at, 16);
	if (at == line || *at != ' ')
		return 0;
	line = at + 1;
	e.size = strtoull(line, &at, 16);
	if (at == line || *at != ' ' || at + 1 >= end || !e.size || e.start + e.size < e.start)
		return 0;
	e.name = (uint32_t)(at + 1 - map->text);
	e.len = (uint32_t)(end - (at + 1));
	ret = mw_array_reserve(&map->entries, &map->capacity, map->count + 1, sizeof(e));
	if (!ret)
		map->entries[map->count++] = e;
	return ret;
}

int mw_perfmap__parse(struct mw_perfmap *map, char *text, size_t len)
{
	int ret = 0;

	mw_perfmap__free(map);
	map->text = text;
	/* A last line without a newline is still being written. */
	for (char *line = text, *end; !ret; line = end + 1) {
		end = memchr(line, '\n', (size_t)(text + len - line));
		if (!end)
			break;
		*end = '\0';
		ret = add_line(map, line, end);
	}
	if (ret)
		mw_perfmap__free(map);
	else if (map->count)
		qsort(map->entries, map->count, sizeof(*map->entries), compare);
	return ret;
}

int mw_perfmap__read(struct mw_perfmap *map, pid_t pid)
{
	_cleanup_close_ int fd = -1;
	char path[96], *text;
	struct stat process, st;
	size_t len;
	int ret;

	snprintf(path, sizeof(path), "/proc/%d", pid);
	if (stat(path, &process))
		return -errno;
	snprintf(path, sizeof(path), "/proc/%d/root/tmp/perf-%d.map", pid, mw_pidns_innermost(pid));
	/* /tmp is anyone's: no links, no FIFOs. */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &st))
		return -errno;
	if (!S_ISREG(st.st_mode) || (st.st_uid != process.st_uid && st.st_uid))
		return -EPERM;
	if (map->text && (size_t)st.st_size == map->size)
		return 0;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ret = mw_file_read(path, FILE_MAX, &text, &len);
	if (ret)
		return ret;
	ret = mw_perfmap__parse(map, text, len);
	map->size = len;
	return ret;
}

void mw_perfmap__free(struct mw_perfmap *map)
{
	free(map->text);
	free(map->entries);
	memset(map, 0, sizeof(*map));
}

static bool starts_by(const void *at, const void *key)
{
	const struct mw_perfmap_entry *e = at;

	return e->start <= *(const uint64_t *)key;
}

const struct mw_perfmap_entry *mw_perfmap__find(const struct mw_perfmap *map, uint64_t addr)
{
	size_t i = mw_search(map->entries, map->count, sizeof(*map->entries), starts_by, &addr);

	/* Newer code may reuse a part of older code's memory. */
	for (size_t n = 0; i && n < OVERLAPS_MAX; n++, i--) {
		const struct mw_perfmap_entry *e = &map->entries[i - 1];

		if (addr - e->start < e->size)
			return e;
	}
	return NULL;
}
