// SPDX-License-Identifier: GPL-2.0-or-later
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "symbol/debugfile.h"
#include "symbol/demangle.h"
#include "symbol/elf_symbols.h"
#include "symbol/perfmap.h"
#include "symbol/symbolizer.h"
#include "util/cleanup.h"
#include "util/text.h"

enum {
	NAME_SIZE = 512,
	CACHED_MAX = 1 << 18,	  /* answers; then the cache is emptied */
	LINES_BUDGET = 128 << 20, /* bytes of debug information, of all files together */
};

/* One file in memory. */
struct module {
	struct module *next;
	struct mw_image *image;
	struct mw_map map;		    /* by which it was opened; the path is a copy */
	struct mw_elf_symbols *elf_symbols; /* NULL: not an ELF file, or not at hand */
	uint64_t start, end;
	uint64_t loaded; /* bytes of debug information */
};

struct cached {
	uint64_t addr; /* 0: free */
	struct mw_symbol_place place;
	struct mw_symbol_place *inlined; /* innermost first; NULL: none */
	size_t inlined_count;
};

struct mw_symbolizer {
	struct mw_image *image;
	struct module *modules;
	struct mw_perfmap perfmap;
	time_t perfmap_read; /* when last tried */
	uint64_t lines_budget;
	void *names; /* tsearch(3)'s tree of strings */
	struct cached *cache;
	size_t cached, cache_size; /* a power of two, or 0 */
};

/*
 * ---- text -------------------------------------------------------------------------------------
 */

static int compare_text(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* The one copy of TEXT in this symbolizer. */
static const char *intern(struct mw_symbolizer *s, const char *text)
{
	char **node = tfind(text, &s->names, compare_text), *copy;

	if (node)
		return *node;
	copy = strdup(text);
	node = copy ? tsearch(copy, &s->names, compare_text) : NULL;
	if (!node)
		free(copy);
	return node ? *node : "";
}

static const char *intern_clean(struct mw_symbolizer *s, const char *text, size_t len)
{
	char clean[NAME_SIZE];

	return intern(s, mw_text_clean(clean, sizeof(clean), text, len));
}

/*
 * ---- modules ----------------------------------------------------------------------------------
 */

static void module_free(struct module *m)
{
	if (!m)
		return;
	mw_elf_symbols__close(m->elf_symbols);
	free(m->map.path);
	free(m);
}

static int open_debug(void *arg)
{
	const struct module *m = arg;
	const struct mw_region *region = mw_image__find(m->image, m->map.start);
	bool is_mapped = region && mw_map__is_same_file(&region->map, &m->map);
	_cleanup_close_ int file = is_mapped ? mw_image__open_file(m->image, region) : -1;
	char id[160];

	mw_elf_symbols__build_id(m->elf_symbols, id, sizeof(id));
	return mw_debugfile__find(m->image, m->map.path, id, file);
}

static struct module *module_new(struct mw_symbolizer *s, const struct mw_region *region)
{
	struct module *m = calloc(1, sizeof(*m));
	int fd;

	if (!m)
		return NULL;
	m->image = s->image;
	m->map = region->map;
	m->map.path = strdup(region->map.path);
	m->start = region->map.start;
	m->end = region->map.end;
	if (!m->map.path) {
		module_free(m);
		return NULL;
	}
	m->next = s->modules;
	s->modules = m;
	fd = mw_image__open_file(s->image, region);
	if (fd >= 0)
		m->elf_symbols = mw_elf_symbols__open(fd, &m->map, open_debug, m);
	if (m->elf_symbols)
		mw_elf_symbols__range(m->elf_symbols, &m->start, &m->end);
	return m;
}

/* The module of which REGION is a mapping, opened when it is first asked for. */
static struct module *find_module(struct mw_symbolizer *s, const struct mw_region *region)
{
	for (struct module *m = s->modules; m; m = m->next) {
		if (region->map.start >= m->start && region->map.start < m->end &&
		    mw_map__is_same_file(&m->map, &region->map))
			return m;
	}
	return module_new(s, region);
}

/* What OUT, with its line, has in it. OUT gets the line of the outermost call instead. */
static size_t describe_inlined(struct mw_symbolizer *s, struct module *m, uint64_t addr,
			       struct mw_symbol_place *out, struct mw_symbol_place *inlined)
{
	struct mw_inline calls[MW_SYMBOL_PLACES - 1];
	size_t n = mw_elf_symbols__inlines(m->elf_symbols, addr, calls, MW_SYMBOL_PLACES - 1);

	for (size_t i = 0; i < n; i++) {
		char clean[NAME_SIZE];

		inlined[i] = *out;
		inlined[i].function =
			intern(s, mw_demangle(clean, sizeof(clean), calls[i].function));
		out->line = calls[i].line;
		out->file =
			out->line ? intern_clean(s, calls[i].file, strlen(calls[i].file)) : NULL;
	}
	return n;
}

static size_t describe_module(struct mw_symbolizer *s, struct module *m, uint64_t addr,
			      struct mw_symbol_place *out, struct mw_symbol_place *inlined)
{
	uint64_t offset, budget = s->lines_budget;
	const char *name, *file;

	out->offset = addr - m->start;
	name = mw_elf_symbols__symbol(m->elf_symbols, addr, &offset);
	if (name) {
		char clean[NAME_SIZE];

		out->function = intern(s, mw_demangle(clean, sizeof(clean), name));
		out->offset = offset;
	}
	out->line = mw_elf_symbols__line(m->elf_symbols, addr, &file, &s->lines_budget);
	m->loaded += budget - s->lines_budget;
	if (out->line)
		out->file = intern_clean(s, file, strlen(file));
	return out->line && name ? describe_inlined(s, m, addr, out, inlined) : 0;
}

/*
 * ---- code made at run time --------------------------------------------------------------------
 */

static bool describe_jit(struct mw_symbolizer *s, uint64_t addr, struct mw_symbol_place *out)
{
	const struct mw_perfmap_entry *e = mw_perfmap__find(&s->perfmap, addr);
	pid_t pid = mw_image__process(s->image);
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	/* The map grows all the time: read it again for an unknown address, once a second at most.
	 */
	if (!e && pid && now.tv_sec != s->perfmap_read) {
		s->perfmap_read = now.tv_sec;
		mw_perfmap__read(&s->perfmap, pid);
		e = mw_perfmap__find(&s->perfmap, addr);
	}
	if (!e)
		return false;
	out->function = intern_clean(s, s->perfmap.text + e->name, e->len);
	out->offset = addr - e->start;
	return true;
}

/*
 * ---- answers ----------------------------------------------------------------------------------
 */

/* Describe ADDR; true when the answer may be cached. COUNT: of what is INLINED. */
static bool describe(struct mw_symbolizer *s, uint64_t addr, struct mw_symbol_place *out,
		     struct mw_symbol_place *inlined, size_t *count)
{
	const struct mw_region *region = mw_image__find(s->image, addr);
	const struct mw_map *map = region ? &region->map : NULL;
	bool is_vdso = region && mw_image__is_vdso(s->image, region);
	const char *path = map ? map->path : "[unmapped]", *slash;
	struct module *m = NULL;

	if (map && map->executable && (map->inode || is_vdso))
		m = find_module(s, region);
	if (is_vdso)
		path = "[vdso]"; /* a core does not name it */
	else if (map && !map->inode && map->executable && strcmp(path, "[vsyscall]"))
		path = "[jit]";
	else if (!*path)
		path = "[anonymous]";
	slash = map && map->inode ? strrchr(path, '/') : NULL;
	out->path = intern_clean(s, path, strlen(path));
	out->module = slash ? intern_clean(s, slash + 1, strlen(slash + 1)) : out->path;
	out->offset = map ? addr - map->start + map->offset : addr;
	if (m && m->elf_symbols) {
		*count = describe_module(s, m, addr, out, inlined);
		return true;
	}
	/* Code made at run time may be in a mapped file, too, when it is mapped twice. */
	return map && (!map->executable || describe_jit(s, addr, out));
}

static struct cached *cache_slot(struct cached *cache, size_t size, uint64_t addr)
{
	size_t i = (size_t)((addr * UINT64_C(0x9e3779b97f4a7c15)) >> 20) & (size - 1);

	while (cache[i].addr && cache[i].addr != addr)
		i = (i + 1) & (size - 1);
	return &cache[i];
}

static void cache_clear(struct mw_symbolizer *s)
{
	for (size_t i = 0; i < s->cache_size; i++)
		free(s->cache[i].inlined);
	free(s->cache);
	s->cache = NULL;
	s->cached = s->cache_size = 0;
}

static void cache_add(struct mw_symbolizer *s, uint64_t addr, const struct mw_symbol_place *place,
		      const struct mw_symbol_place *inlined, size_t count)
{
	struct cached fresh = {.addr = addr, .place = *place, .inlined_count = count};

	if (s->cached >= CACHED_MAX)
		cache_clear(s);
	if (s->cached >= s->cache_size / 2) {
		size_t size = s->cache_size ? 2 * s->cache_size : 256;
		struct cached *bigger = calloc(size, sizeof(*bigger));

		if (!bigger)
			return;
		for (size_t i = 0; i < s->cache_size; i++) {
			if (s->cache[i].addr)
				*cache_slot(bigger, size, s->cache[i].addr) = s->cache[i];
		}
		free(s->cache);
		s->cache = bigger;
		s->cache_size = size;
	}
	if (count) {
		fresh.inlined = malloc(count * sizeof(*inlined));
		if (!fresh.inlined)
			return;
		memcpy(fresh.inlined, inlined, count * sizeof(*inlined));
	}
	*cache_slot(s->cache, s->cache_size, addr) = fresh;
	s->cached++;
}

size_t mw_symbolizer__find_all(struct mw_symbolizer *s, uint64_t addr, struct mw_symbol_place *out)
{
	struct cached *known = s->cache_size ? cache_slot(s->cache, s->cache_size, addr) : NULL;
	struct mw_symbol_place place = {0};
	size_t count = 0;

	if (addr && known && known->addr) {
		for (size_t i = 0; i < known->inlined_count; i++)
			out[i] = known->inlined[i];
		out[known->inlined_count] = known->place;
		return known->inlined_count + 1;
	}
	if (describe(s, addr, &place, out, &count) && addr)
		cache_add(s, addr, &place, out, count);
	out[count] = place;
	return count + 1;
}

bool mw_symbolizer__find(struct mw_symbolizer *s, uint64_t addr, struct mw_symbol_place *out)
{
	struct mw_symbol_place places[MW_SYMBOL_PLACES] = {0};
	size_t count = mw_symbolizer__find_all(s, addr, places);

	*out = places[count - 1];
	return out->function;
}

bool mw_symbolizer__name(struct mw_symbolizer *s, uint64_t addr, struct mw_symbol_name *out)
{
	const struct mw_regions *regions = mw_image__regions(s->image);
	const struct mw_region *r = mw_image__find(s->image, addr);
	struct module *m;
	const char *name;

	/* .bss lies behind its file's data. */
	if (r && !r->map.inode && r > regions->regions && r[-1].map.end == r->map.start)
		r--;
	/* By the file's first page: segments may share a page further on. */
	m = r && r->map.inode ? find_module(s, mw_regions__file_start(regions, r)) : NULL;
	if (!m || !m->elf_symbols || addr >= m->end)
		return false;
	name = mw_elf_symbols__symbol(m->elf_symbols, addr, &out->offset);
	if (name)
		mw_text_clean(out->name, sizeof(out->name), name, strlen(name));
	return name;
}

/*
 * ---- life cycle -------------------------------------------------------------------------------
 */

struct mw_symbolizer *mw_symbolizer__open(struct mw_image *image)
{
	struct mw_symbolizer *s = calloc(1, sizeof(*s));

	if (s) {
		s->image = image;
		s->lines_budget = LINES_BUDGET;
	}
	return s;
}

void mw_symbolizer__close(struct mw_symbolizer *s)
{
	if (!s)
		return;
	for (struct module *m = s->modules, *next; m; m = next) {
		next = m->next;
		module_free(m);
	}
	mw_perfmap__free(&s->perfmap);
	tdestroy(s->names, free);
	cache_clear(s);
	free(s);
}

void mw_symbolizer__refresh(struct mw_symbolizer *s)
{
	for (struct module **at = &s->modules, *m; (m = *at);) {
		const struct mw_region *region = mw_image__find(s->image, m->map.start);

		if (m->elf_symbols && region && mw_map__is_same_file(&m->map, &region->map) &&
		    region->map.start - region->map.offset == m->map.start - m->map.offset) {
			at = &m->next;
			continue;
		}
		*at = m->next;
		s->lines_budget += m->loaded;
		module_free(m);
	}
	mw_perfmap__free(&s->perfmap);
	s->perfmap_read = 0;
	cache_clear(s);
}
