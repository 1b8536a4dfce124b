// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "heap/nodes.h"
#include "image/elffile.h"
#include "util/array.h"
#include "util/cleanup.h"

enum { PAGE = 4096, DATA_MAX = 64 << 20, PIECE = 256 << 10, FOUND_MAX = 1 << 14 };

static bool is_private(const struct mw_region *r)
{
	return r->map.writable && !r->map.shared && !r->map.inode && !r->io && r->resident;
}

static bool is_data(const struct mw_region *r)
{
	return r->map.writable && !r->map.shared && r->map.inode && !r->io;
}

bool mw_nodes_may_be(struct mw_image *image, uint64_t addr, uint64_t size, uint64_t align)
{
	const struct mw_region *r;

	if (!addr || addr % align || addr >> 47)
		return false;
	r = mw_image__find(image, addr);
	return r && is_private(r) && r->map.end - addr >= size;
}

const uint8_t *mw_nodes_read(struct mw_image *image, uint64_t addr, uint64_t len, uint8_t *buf)
{
	uint64_t page = addr & ~(uint64_t)(PAGE - 1);
	ssize_t n;

	if (len > MW_NODE_MAX)
		return NULL;
	len = addr == page ? len : len + PAGE;
	if (!mw_image__is_cut(image))
		return mw_image__read_all(image, page, buf, len) ? buf + (addr - page) : NULL;
	n = mw_image__read(image, page, buf, len);
	if (n <= (ssize_t)(addr - page))
		return NULL;
	memset(buf + n, 0, len - (uint64_t)n);
	return buf + (addr - page);
}

/* The end of the data that begin with region I. */
static uint64_t data_end(const struct mw_regions *regions, size_t i)
{
	const struct mw_region *r = &regions->regions[i];
	uint64_t end = r->map.end;

	for (size_t k = i + 1; k < regions->count; k++) {
		const struct mw_map *map = &regions->regions[k].map;

		if (map->start != end || !map->writable ||
		    (map->inode ? !mw_map__is_same_file(map, &r->map) : map->path[0] != '\0'))
			break;
		end = map->end;
	}
	return end - r->map.start < DATA_MAX ? end : r->map.start + DATA_MAX;
}

/* What files say, by their device and inode; only files of this machine have them. */
struct said {
	uint64_t inode;
	uint32_t major, minor;
	const char *name; /* the allocator's */
	bool says;
};

enum { SAID_MAX = 1024 };
static struct said said[SAID_MAX];
static size_t said_count;
static pthread_mutex_t said_lock = PTHREAD_MUTEX_INITIALIZER;

static const struct said *find_said(const struct mw_map *map, const char *name)
{
	for (size_t i = 0; i < said_count; i++) {
		const struct said *s = &said[i];

		if (s->inode == map->inode && s->major == map->major && s->minor == map->minor &&
		    !strcmp(s->name, name))
			return s;
	}
	return NULL;
}

static bool read_said(struct mw_image *image, const struct mw_region *region, const char *text)
{
	const struct mw_region *first = mw_regions__file_start(mw_image__regions(image), region);
	struct mw_elffile *file = mw_image__elffile(image, (first ? first : region)->map.start);
	bool says = !file || mw_elffile__find_text(file, text, &(size_t){0});

	mw_elffile__close(file);
	return says;
}

bool mw_nodes_file_says(struct mw_image *image, const struct mw_region *region, const char *before,
			const char *name, const char *after)
{
	const struct mw_map *map = &region->map;
	bool known = mw_image__process(image) > 0 && map->inode && map->major + map->minor, says;
	const struct said *old;
	char text[64];

	pthread_mutex_lock(&said_lock);
	old = known ? find_said(map, name) : NULL;
	says = old && old->says;
	pthread_mutex_unlock(&said_lock);
	if (old)
		return says;
	snprintf(text, sizeof(text), "%s%s%s", before, name, after);
	says = read_said(image, region, text);
	pthread_mutex_lock(&said_lock);
	if (known && said_count < SAID_MAX)
		said[said_count++] = (struct said){map->inode, map->major, map->minor, name, says};
	pthread_mutex_unlock(&said_lock);
	return says;
}

const struct mw_region *mw_nodes__next_data(struct mw_nodes_data *data, struct mw_image *image,
					    uint64_t least, const char *before, const char *name,
					    const char *after)
{
	const struct mw_regions *regions = mw_image__regions(image);

	while (data->next < regions->count) {
		size_t i = data->next++;
		const struct mw_region *r = &regions->regions[i];

		if (!is_data(r) || r->map.start < data->end)
			continue;
		data->start = r->map.start;
		data->end = data_end(regions, i);
		if (data->end - data->start >= least &&
		    mw_nodes_file_says(image, r, before, name, after))
			return r;
	}
	return NULL;
}

static bool is_available(struct mw_image *image, const struct mw_region *region)
{
	const struct mw_region *first = mw_regions__file_start(mw_image__regions(image), region);
	struct mw_elffile *file = mw_image__elffile(image, (first ? first : region)->map.start);

	mw_elffile__close(file);
	return file;
}

bool mw_nodes_a_file_says(struct mw_image *image, const char *before, const char *name,
			  const char *after)
{
	const struct mw_regions *regions = mw_image__regions(image);

	for (size_t i = 0; i < regions->count; i++) {
		const struct mw_region *r = &regions->regions[i];

		if (is_data(r) && mw_nodes_file_says(image, r, before, name, after) &&
		    is_available(image, r))
			return true;
	}
	return false;
}

bool mw_nodes_are_lost(struct mw_image *image, const char *before, const char *name,
		       const char *after)
{
	const struct mw_regions *regions = mw_image__regions(image);

	if (!mw_image__is_cut(image) || !mw_regions__have_names(regions))
		return mw_image__is_cut(image);
	for (size_t i = 0; i < regions->count; i++) {
		const struct mw_region *r = &regions->regions[i];

		if (is_data(r) && mw_nodes_file_says(image, r, before, name, after))
			return true;
	}
	return false;
}

static int search_region(struct mw_image *image, const struct mw_region *r, uint8_t *buf,
			 mw_nodes_fn fn, void *arg)
{
	int ret = 0;

	for (uint64_t at = r->map.start; !ret && at < r->map.end; at += PIECE) {
		uint64_t len = r->map.end - at < PIECE ? r->map.end - at : PIECE;
		ssize_t n = mw_image__read(image, at, buf, len);

		if (n <= 0)
			break;
		ret = fn(arg, at, buf, (uint64_t)n & ~63ULL);
	}
	return ret;
}

int mw_nodes_search(struct mw_image *image, mw_nodes_fn fn, void *arg)
{
	const struct mw_regions *regions = mw_image__regions(image);
	_cleanup_free_ uint8_t *buf = malloc(PIECE);
	int ret = buf ? 0 : -ENOMEM;

	for (size_t i = 0; !ret && i < regions->count; i++) {
		if (is_private(&regions->regions[i]))
			ret = search_region(image, &regions->regions[i], buf, fn, arg);
	}
	return ret;
}

int mw_nodes__add(struct mw_nodes *nodes, uint64_t addr, uint64_t size, uint64_t key)
{
	int ret = nodes->count < FOUND_MAX ? 0 : -EEXIST;

	for (size_t i = 0; !ret && i < nodes->count; i++) {
		if (addr < nodes->list[i].addr + size && nodes->list[i].addr < addr + size)
			ret = -EEXIST;
	}
	if (!ret)
		ret = mw_array_reserve(&nodes->list, &nodes->capacity, nodes->count + 1,
				       sizeof(*nodes->list));
	if (!ret)
		nodes->list[nodes->count++] = (struct mw_node){addr, key};
	return ret;
}
