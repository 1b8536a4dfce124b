// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "arch/arch.h"
#include "image/elffile.h"
#include "image/snapshot_layout.h"
#include "util/array.h"

enum {
	PAGE = MW_PAGE_SIZE,
	SECTIONS_MAX = 256,
	/* Of a file with more read-only data than this, take the pages in memory. */
	WHOLE_MAX = 16 << 20,
	HOLES_FREE = 16 << 20,
	TABLES_MAX = 8,
	REST_MAX = 8 << 20,
};

/* A file that is mapped, with its read-only data as ranges of the file, by offset. */
struct file {
	uint64_t inode;
	uint32_t major, minor;
	struct mw_elffile *elf; /* NULL: not an ELF file, or not there */
	struct mw_spans data;
	uint64_t data_bytes;
	uint8_t *rest; /* of the note: the path, then what is not mapped */
	size_t rest_len;
	bool used;
};

struct mw_snapshot_files {
	struct file *list;
	size_t count, capacity;
};

/* Sections with tables for unwinding and linking, which nothing reads from a core. */
static bool is_wanted(const char *name)
{
	static const char *const others[] = {".eh_frame", ".gcc_except_table", ".rela", ".relr"};

	for (size_t i = 0; i < MW_ARRAY_SIZE(others); i++) {
		if (!strncmp(name, others[i], strlen(others[i])))
			return false;
	}
	return true;
}

static int by_start(const void *a, const void *b)
{
	const struct mw_span *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

/* Sort and join what overlaps or is less than GAP apart. */
static void join(struct mw_spans *spans, uint64_t gap)
{
	size_t out = 0;

	if (spans->count)
		qsort(spans->spans, spans->count, sizeof(*spans->spans), by_start);
	for (size_t i = 0; i < spans->count; i++) {
		struct mw_span s = spans->spans[i], *last = out ? &spans->spans[out - 1] : NULL;

		if (last && (s.start <= last->end || s.start - last->end < gap))
			last->end = s.end > last->end ? s.end : last->end;
		else
			spans->spans[out++] = s;
	}
	spans->count = out;
}

static int add_range(struct mw_spans *spans, uint64_t start, uint64_t end)
{
	return mw_spans__add(spans, start & ~(PAGE - 1ULL), (end + PAGE - 1) & ~(PAGE - 1ULL));
}

static int read_sections(struct file *file)
{
	struct mw_section sections[SECTIONS_MAX];
	size_t n = mw_elffile__read_only_sections(file->elf, sections, SECTIONS_MAX);
	int ret = add_range(&file->data, 0, PAGE); /* its headers */

	for (size_t i = 0; i < n && !ret; i++) {
		if (is_wanted(sections[i].name))
			ret = add_range(&file->data, sections[i].offset,
					sections[i].offset + sections[i].size);
	}
	join(&file->data, 0);
	for (size_t i = 0; i < file->data.count; i++)
		file->data_bytes += file->data.spans[i].end - file->data.spans[i].start;
	return ret;
}

/*
 * Read the tables that are not mapped. Those of a huge program stay away: its symbols are no
 * interpreter's and no allocator's.
 */
static int read_rest(struct file *file, const char *path)
{
	struct mw_section tables[TABLES_MAX];
	size_t n = mw_elffile__unmapped_tables(file->elf, tables, TABLES_MAX), at, size;

	size = at = strlen(path) + 1;
	for (size_t i = 0; i < n; i++) {
		if (tables[i].size > REST_MAX || size + tables[i].size > REST_MAX)
			return 0;
		size += tables[i].size + 16;
	}
	file->rest = malloc(size);
	if (!file->rest)
		return -ENOMEM;
	memcpy(file->rest, path, at);
	for (size_t i = 0; i < n; i++) {
		const uint64_t head[2] = {tables[i].offset, tables[i].size};

		memcpy(file->rest + at, head, sizeof(head));
		at += sizeof(head);
		if (pread(mw_elffile__fd(file->elf), file->rest + at, tables[i].size,
			  (off_t)tables[i].offset) != (ssize_t)tables[i].size)
			return 0;
		at += tables[i].size;
	}
	file->rest_len = size;
	return 0;
}

static bool is_special(const struct mw_map *map)
{
	return !map->inode || !strncmp(map->path, "/dev/", 5);
}

/* The file that MAP maps, opened when it is new. NULL: no memory, or not a file. */
static struct file *file_of(struct mw_snapshot_layout *layout, const struct mw_map *map, pid_t pid)
{
	struct mw_snapshot_files *files = layout->files;
	char path[PATH_MAX];
	struct file *file;

	if (is_special(map))
		return NULL;
	for (size_t i = files->count; i-- > 0;) {
		file = &files->list[i];
		if (file->inode == map->inode && file->major == map->major &&
		    file->minor == map->minor)
			return file;
	}
	if (mw_array_reserve(&files->list, &files->capacity, files->count + 1,
			     sizeof(*files->list)))
		return NULL;
	file = &files->list[files->count++];
	*file = (struct file){.inode = map->inode, .major = map->major, .minor = map->minor};
	if (!mw_map__file_path(map, pid, path, sizeof(path)))
		file->elf = mw_elffile__open(path, map->path, NULL);
	if (file->elf && (read_sections(file) || read_rest(file, map->path)))
		return NULL;
	return file;
}

int mw_snapshot_layout__prepare(struct mw_snapshot_layout *layout, const struct mw_regions *regions,
				pid_t pid)
{
	layout->files = calloc(1, sizeof(*layout->files));
	if (!layout->files)
		return -ENOMEM;
	for (size_t i = 0; i < regions->count; i++) {
		/* Only programs and libraries have writable data. */
		if (regions->regions[i].map.inode && !regions->regions[i].map.shared)
			file_of(layout, &regions->regions[i].map, pid);
	}
	return 0;
}

void mw_snapshot_layout__free(struct mw_snapshot_layout *layout)
{
	for (size_t i = 0; layout->files && i < layout->files->count; i++) {
		mw_elffile__close(layout->files->list[i].elf);
		free(layout->files->list[i].data.spans);
		free(layout->files->list[i].rest);
	}
	if (layout->files)
		free(layout->files->list);
	free(layout->files);
	free(layout->segments);
	free(layout->parts);
	memset(layout, 0, sizeof(*layout));
}

static int add_part(struct mw_snapshot_layout *layout, uint64_t start, uint64_t end, int fd,
		    uint64_t file_offset)
{
	if (start >= end)
		return 0;
	if (mw_array_reserve(&layout->parts, &layout->part_capacity, layout->part_count + 1,
			     sizeof(*layout->parts)))
		return -ENOMEM;
	layout->parts[layout->part_count++] =
		(struct mw_snapshot_part){start, end, fd, file_offset};
	return 0;
}

/* [START, END) of REGION comes from FILE. */
static int add_file_part(struct mw_snapshot_layout *layout, const struct mw_region *region,
			 struct file *file, uint64_t start, uint64_t end)
{
	if (start >= end)
		return 0;
	layout->file_bytes += end - start;
	layout->file_count += !file->used;
	file->used = true;
	return add_part(layout, start, end, mw_elffile__fd(file->elf),
			region->map.offset + (start - region->map.start));
}

/* The part of CONTENT in REGION, from *SPAN on, clipped. False: no more. */
static bool next_span(const struct mw_region *region, const struct mw_spans *content, size_t *span,
		      struct mw_span *out)
{
	while (*span < content->count && content->spans[*span].end <= region->map.start)
		(*span)++;
	if (*span >= content->count || content->spans[*span].start >= region->map.end)
		return false;
	*out = content->spans[(*span)++];
	out->start = out->start > region->map.start ? out->start : region->map.start;
	out->end = out->end < region->map.end ? out->end : region->map.end;
	return true;
}

/* Anonymous memory, and what of a file nobody else can give back: what is there. */
static int take_memory(struct mw_snapshot_layout *layout, const struct mw_region *region,
		       const struct mw_spans *content, size_t span)
{
	struct mw_span s;
	int ret = 0;

	while (!ret && next_span(region, content, &span, &s))
		ret = add_part(layout, s.start, s.end, -1, 0);
	return ret;
}

/* Private data of a program or library: its own pages, and between them those of the file. */
static int take_data(struct mw_snapshot_layout *layout, const struct mw_region *region,
		     struct file *file, const struct mw_spans *content, size_t span)
{
	uint64_t at = region->map.start;
	struct mw_span s;
	int ret = 0;

	while (!ret && next_span(region, content, &span, &s)) {
		ret = add_file_part(layout, region, file, at, s.start);
		if (!ret)
			ret = add_part(layout, s.start, s.end, -1, 0);
		at = s.end;
	}
	return ret ? ret : add_file_part(layout, region, file, at, region->map.end);
}

/* Memory that equals a file: of it the read-only data. */
static int take_read_only(struct mw_snapshot_layout *layout, const struct mw_region *region,
			  struct file *file, const struct mw_spans *content, size_t span)
{
	uint64_t bias = region->map.start - region->map.offset;
	int ret = 0;

	for (size_t i = 0; i < file->data.count && !ret; i++) {
		uint64_t start = file->data.spans[i].start, end = file->data.spans[i].end;
		size_t at = span;
		struct mw_span s;

		if (end <= region->map.offset ||
		    start >= region->map.offset + (region->map.end - region->map.start))
			continue;
		start = start > region->map.offset ? start + bias : region->map.start;
		end = end + bias < region->map.end ? end + bias : region->map.end;
		if (file->data_bytes <= WHOLE_MAX || start - bias == 0) {
			ret = add_file_part(layout, region, file, start, end);
			continue;
		}
		while (!ret && next_span(region, content, &at, &s))
			ret = add_file_part(layout, region, file, s.start > start ? s.start : start,
					    s.end < end ? s.end : end);
	}
	return ret;
}

static int take_region(struct mw_snapshot_layout *layout, const struct mw_region *region, pid_t pid,
		       const struct mw_spans *content, size_t span)
{
	const struct mw_map *map = &region->map;
	/* Breakpoints make pages of code anonymous: code is the file's all the same. */
	bool own = !map->shared &&
		   (map->writable || (!map->executable && (region->anonymous || region->swapped)));
	struct file *file;

	if (region->io || !map->readable)
		return 0;
	if (!map->inode)
		return take_memory(layout, region, content, span);
	file = map->shared ? NULL : file_of(layout, map, pid);
	if (file && file->elf && own && !map->executable && map->end - map->start <= WHOLE_MAX)
		return take_data(layout, region, file, content, span);
	if (own || (map->deleted && (map->executable || !file || !file->elf)))
		return take_memory(layout, region, content, span);
	if (file && file->elf)
		return take_read_only(layout, region, file, content, span);
	/* As a kernel's core: a file's beginning says what it is. */
	if (!map->shared && !map->offset && next_span(region, content, &span, &(struct mw_span){0}))
		return add_part(layout, map->start, map->start + PAGE, -1, 0);
	return 0;
}

static int add_segment(struct mw_snapshot_layout *layout, const struct mw_map *map, uint64_t start,
		       uint64_t end, bool held)
{
	if (start >= end)
		return 0;
	if (mw_array_reserve(&layout->segments, &layout->capacity, layout->count + 1,
			     sizeof(*layout->segments)))
		return -ENOMEM;
	layout->segments[layout->count++] =
		(struct mw_snapshot_segment){.start = start, .end = end, .map = map, .held = held};
	return 0;
}

/*
 * Gaps in anonymous memory are zeros. Small ones stay in the file, as holes of it, so that other
 * programs read them; in files there are none.
 */
static int add_segments(struct mw_snapshot_layout *layout, const struct mw_map *map, size_t part,
			size_t end_part)
{
	uint64_t at = map->start, held_from, largest = map->inode ? 1 : layout->holes_above;
	int ret = 0;

	if (part == end_part)
		return add_segment(layout, map, map->start, map->end, false);
	held_from = layout->parts[part].start;
	if (held_from - at < largest)
		held_from = at;
	ret = add_segment(layout, map, at, held_from, false);
	for (; part < end_part && !ret; part++) {
		const struct mw_snapshot_part *p = &layout->parts[part];
		uint64_t next = part + 1 < end_part ? p[1].start : map->end;

		if (next - p->end < largest) {
			at = next;
			continue;
		}
		ret = add_segment(layout, map, held_from, p->end, true);
		if (!ret)
			ret = add_segment(layout, map, p->end, next, false);
		at = held_from = next;
	}
	return ret ? ret : add_segment(layout, map, held_from, at, true);
}

/* Bytes of gaps below SIZE in anonymous mappings of which something is in memory. */
static uint64_t gaps_below(const struct mw_snapshot_layout *layout,
			   const struct mw_regions *regions, const size_t *firsts, uint64_t size)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < regions->count; i++) {
		const struct mw_map *map = &regions->regions[i].map;
		uint64_t at = map->start;

		for (size_t k = firsts[i]; k < firsts[i + 1] && !map->inode; k++) {
			uint64_t gap = layout->parts[k].start - at;

			sum += gap < size ? gap : 0;
			at = layout->parts[k].end;
		}
		if (!map->inode && firsts[i] < firsts[i + 1] && map->end - at < size)
			sum += map->end - at;
	}
	return sum;
}

/* The largest gaps that the file can have as holes without being much larger than the content. */
static void choose_holes(struct mw_snapshot_layout *layout, const struct mw_regions *regions,
			 const size_t *firsts)
{
	uint64_t held = 0;

	for (size_t i = 0; i < layout->part_count; i++)
		held += layout->parts[i].end - layout->parts[i].start;
	layout->holes_above = 1 << 30;
	while (layout->holes_above > 64 << 10 &&
	       gaps_below(layout, regions, firsts, layout->holes_above) > held / 2 + HOLES_FREE)
		layout->holes_above /= 8;
}

int mw_snapshot_layout__make(struct mw_snapshot_layout *layout, const struct mw_regions *regions,
			     pid_t pid, const struct mw_spans *content)
{
	/* The first part of each region, and one more. */
	size_t *firsts = calloc(regions->count + 1, sizeof(*firsts)), span = 0;
	int ret = firsts ? 0 : -ENOMEM;

	for (size_t i = 0; i < regions->count && !ret; i++) {
		const struct mw_region *region = &regions->regions[i];

		while (span < content->count && content->spans[span].end <= region->map.start)
			span++;
		ret = take_region(layout, region, pid, content, span);
		firsts[i + 1] = layout->part_count;
	}
	if (!ret)
		choose_holes(layout, regions, firsts);
	for (size_t i = 0; i < regions->count && !ret; i++)
		ret = add_segments(layout, &regions->regions[i].map, firsts[i], firsts[i + 1]);
	free(firsts);
	return ret;
}

int mw_snapshot_layout__rests(const struct mw_snapshot_layout *layout,
			      int (*fn)(void *arg, const void *desc, size_t len), void *arg)
{
	int ret = 0;

	for (size_t i = 0; i < layout->files->count && !ret; i++) {
		const struct file *file = &layout->files->list[i];

		if (file->used && file->rest_len)
			ret = fn(arg, file->rest, file->rest_len);
	}
	return ret;
}

uint64_t mw_snapshot_layout__place(struct mw_snapshot_layout *layout, uint64_t offset)
{
	for (size_t i = 0; i < layout->count; i++) {
		layout->segments[i].offset = offset;
		if (layout->segments[i].held)
			offset += layout->segments[i].end - layout->segments[i].start;
	}
	return offset;
}
