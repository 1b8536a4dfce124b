// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <search.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "symbol/debugfile.h"
#include "symbol/demangle.h"
#include "image/maps.h"
#include "symbol/elf_symbols.h"
#include "symbol/perfmap.h"
#include "image/readmem.h"
#include "symbol/symbolizer.h"
#include "util/array.h"
#include "util/cleanup.h"
#include "util/text.h"

enum {
	NAME_SIZE = 512,
	CACHED_MAX = 1 << 18, /* then all are forgotten */
	VDSO_MAX = 1 << 20,
	LINES_BUDGET = 128 << 20, /* bytes of debug information, of all files together */
};

/* One file in memory. */
struct module {
	struct module *next;
	pid_t pid;
	struct mw_map map;		    /* by which it was opened, with a path of its own */
	struct mw_elf_symbols *elf_symbols; /* NULL: not an ELF file, or not to be had */
	uint64_t start, end;
	uint64_t loaded; /* bytes of debug information */
};

struct cached {
	uint64_t addr; /* 0: free */
	struct mw_symbol_place place;
};

struct mw_symbolizer {
	pid_t pid;
	struct mw_maps maps;
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

/* The one copy of TEXT. */
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
	_cleanup_close_ int file = -1;
	char id[160], path[PATH_MAX], own_root[32];
	const char *const roots[] = {"", own_root};
	int fd = -1;

	mw_elf_symbols__build_id(m->elf_symbols, id, sizeof(id));
	if (!mw_map__file_path(&m->map, m->pid, path, sizeof(path)))
		file = open(path, O_RDONLY | O_CLOEXEC);
	/* A process in a container has its debug files there, if anywhere. */
	snprintf(own_root, sizeof(own_root), "/proc/%d/root", m->pid);
	for (size_t i = 0; fd < 0 && i < MW_ARRAY_SIZE(roots); i++)
		fd = mw_debugfile__by_id(roots[i], id);
	for (size_t i = 0; fd < 0 && i < MW_ARRAY_SIZE(roots); i++)
		fd = mw_debugfile__by_link(roots[i], m->map.path, file);
	return fd;
}

/* The kernel's own code in the process is a whole ELF file, of which there is only this copy. */
static int open_vdso(pid_t pid, const struct mw_map *map)
{
	size_t size = (size_t)(map->end - map->start);
	_cleanup_free_ uint8_t *bytes = size <= VDSO_MAX ? malloc(size) : NULL;
	int fd;

	if (!bytes || mw_readmem(pid, map->start, bytes, size))
		return -1;
	fd = memfd_create("vdso", MFD_CLOEXEC);
	if (fd >= 0 && pwrite(fd, bytes, size, 0) != (ssize_t)size) {
		close(fd);
		fd = -1;
	}
	return fd;
}

static int open_file(pid_t pid, const struct mw_map *map)
{
	char path[PATH_MAX];
	struct stat st;
	int fd;

	if (!map->inode)
		return open_vdso(pid, map);
	if (!mw_map__file_path(map, pid, path, sizeof(path)))
		return open(path, O_RDONLY | O_CLOEXEC);
	if (map->deleted || !kill(pid, 0) || errno != ESRCH)
		return -1;
	/* The process has ended: the same file may still be there under its name. */
	fd = open(map->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd >= 0 && (fstat(fd, &st) || st.st_ino != map->inode)) {
		close(fd);
		fd = -1;
	}
	return fd;
}

static bool same_file(const struct mw_map *a, const struct mw_map *b)
{
	return a->inode == b->inode && a->major == b->major && a->minor == b->minor &&
	       (a->inode || !strcmp(a->path, b->path));
}

static struct module *module_new(struct mw_symbolizer *s, const struct mw_map *map)
{
	struct module *m = calloc(1, sizeof(*m));
	int fd;

	if (!m)
		return NULL;
	m->pid = s->pid;
	m->map = *map;
	m->map.path = strdup(map->path);
	m->start = map->start;
	m->end = map->end;
	if (!m->map.path) {
		module_free(m);
		return NULL;
	}
	m->next = s->modules;
	s->modules = m;
	fd = open_file(s->pid, map);
	if (fd >= 0)
		m->elf_symbols = mw_elf_symbols__open(fd, &m->map, open_debug, m);
	if (m->elf_symbols)
		mw_elf_symbols__range(m->elf_symbols, &m->start, &m->end);
	return m;
}

/* The module of executable MAP, opened when it is first asked for. */
static struct module *find_module(struct mw_symbolizer *s, const struct mw_map *map)
{
	for (struct module *m = s->modules; m; m = m->next) {
		if (map->start >= m->start && map->start < m->end && same_file(&m->map, map))
			return m;
	}
	return module_new(s, map);
}

static void describe_module(struct mw_symbolizer *s, struct module *m, uint64_t addr,
			    struct mw_symbol_place *out)
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
}

/*
 * ---- code made at run time --------------------------------------------------------------------
 */

static bool describe_jit(struct mw_symbolizer *s, uint64_t addr, struct mw_symbol_place *out)
{
	const struct mw_perfmap_entry *e = mw_perfmap__find(&s->perfmap, addr);
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	/* It grows all the time; but code that isn't in it must not have it read each time. */
	if (!e && now.tv_sec != s->perfmap_read) {
		s->perfmap_read = now.tv_sec;
		mw_perfmap__read(&s->perfmap, s->pid);
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

/* Describe ADDR; true when the answer will still be right the next time. */
static bool describe(struct mw_symbolizer *s, uint64_t addr, struct mw_symbol_place *out)
{
	const struct mw_map *map = mw_maps__find(&s->maps, addr);
	bool is_vdso = map && !strcmp(map->path, "[vdso]");
	const char *path = map ? map->path : "[unmapped]", *slash;
	struct module *m = NULL;

	if (map && map->executable && (map->inode || is_vdso))
		m = find_module(s, map);
	if (map && !map->inode && !is_vdso && map->executable && strcmp(path, "[vsyscall]"))
		path = "[jit]";
	else if (!*path)
		path = "[anonymous]";
	slash = map && map->inode ? strrchr(path, '/') : NULL;
	out->path = intern_clean(s, path, strlen(path));
	out->module = slash ? intern_clean(s, slash + 1, strlen(slash + 1)) : out->path;
	out->offset = map ? addr - map->start + map->offset : addr;
	if (m && m->elf_symbols) {
		describe_module(s, m, addr, out);
		return true;
	}
	/* Files that are no ELF files hold such code too, when it is mapped twice. */
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
	free(s->cache);
	s->cache = NULL;
	s->cached = s->cache_size = 0;
}

static void cache_add(struct mw_symbolizer *s, uint64_t addr, const struct mw_symbol_place *place)
{
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
	*cache_slot(s->cache, s->cache_size, addr) = (struct cached){addr, *place};
	s->cached++;
}

bool mw_symbolizer__find(struct mw_symbolizer *s, uint64_t addr, struct mw_symbol_place *out)
{
	struct cached *known = s->cache_size ? cache_slot(s->cache, s->cache_size, addr) : NULL;

	if (addr && known && known->addr) {
		*out = known->place;
		return out->function;
	}
	memset(out, 0, sizeof(*out));
	if (describe(s, addr, out) && addr)
		cache_add(s, addr, out);
	return out->function;
}

/*
 * ---- life cycle -------------------------------------------------------------------------------
 */

struct mw_symbolizer *mw_symbolizer__open(pid_t pid)
{
	struct mw_symbolizer *s = calloc(1, sizeof(*s));
	int ret;

	if (!s)
		return NULL;
	s->pid = pid;
	s->lines_budget = LINES_BUDGET;
	ret = mw_maps__read(&s->maps, pid, NULL);
	if (ret) {
		mw_symbolizer__close(s);
		errno = -ret;
		return NULL;
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
	mw_maps__free(&s->maps);
	tdestroy(s->names, free);
	cache_clear(s);
	free(s);
}

void mw_symbolizer__refresh(struct mw_symbolizer *s)
{
	struct mw_maps maps;

	/* An empty list is that of a process that is ending. */
	if (mw_maps__read(&maps, s->pid, NULL) || !maps.count)
		return;
	mw_maps__free(&s->maps);
	s->maps = maps;
	for (struct module **at = &s->modules, *m; (m = *at);) {
		const struct mw_map *map = mw_maps__find(&s->maps, m->map.start);

		if (m->elf_symbols && map && map->executable && same_file(&m->map, map) &&
		    map->start - map->offset == m->map.start - m->map.offset) {
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
