// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bpf/memwhere.h"
#include "image/image.h"
#include "image/elffile.h"
#include "probe/pymalloc_places.h"
#include "python/pool_counts.h"
#include "python/print.h"
#include "python/python.h"
#include "symbol/unwind.h"
#include "trace/pymalloc.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/log.h"

enum { BUILD_ID_SIZE = 64, TEXT_MAX = 64 << 20 };

/* Code that takes new pools: one function, or each that has a copy of it. */
enum { TAKERS_MAX = 64 };

struct range {
	uint64_t start, end; /* addresses in the file */
};

/* What was found in one build of the interpreter; kept, because many processes run the same. */
struct build {
	char id[BUILD_ID_SIZE];
	struct mw_pymalloc_places places; /* addresses are offsets in the file */
	struct range takers[TAKERS_MAX];
	size_t taker_count;
	struct build *next;
};

static struct build *builds;

struct mw_pymalloc {
	const struct mw_pymalloc_places *places;
	const struct build *build;
	uint64_t bias;	     /* address in the process - address in the file */
	struct build own;    /* of a file without a build id */
	char file[PATH_MAX]; /* by which this process can open it */
	uint32_t pool_size;  /* bytes */
	uint32_t pool_log2, flags;
	struct mw_python_prints prints;
	struct mw_pool_counts *counts;
	struct mw_image *image;
};

/* The executable mapping of the module called NAME. */
static const struct mw_map *find_text(const struct mw_image *image, const char *name)
{
	const struct mw_regions *regions = mw_image__regions(image);

	for (size_t i = 0; i < regions->count; i++) {
		const struct mw_map *map = &regions->regions[i].map;
		const char *slash = strrchr(map->path, '/');

		if (map->inode && map->executable && slash && !strcmp(slash + 1, name))
			return map;
	}
	return NULL;
}

/* Where the file of TEXT is mapped first. */
static uint64_t base_of(const struct mw_image *image, const struct mw_map *text)
{
	const struct mw_regions *regions = mw_image__regions(image);

	for (size_t i = 0; i < regions->count; i++) {
		const struct mw_map *map = &regions->regions[i].map;

		if (map->inode && mw_map__is_same_file(map, text) && !map->offset)
			return map->start;
	}
	return text->start;
}

/* Search FILE itself: the process's memory may have breakpoints of others. */
static int search(struct mw_pymalloc_places *places, const char *file, const struct mw_map *text)
{
	size_t size = text->end - text->start;
	_cleanup_close_ int fd = open(file, O_RDONLY | O_CLOEXEC);
	void *code;
	int ret;

	if (fd < 0)
		return -errno;
	if (size > TEXT_MAX)
		return -E2BIG;
	code = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, (off_t)text->offset);
	if (code == MAP_FAILED)
		return -errno;
	ret = mw_pymalloc_places__find(places, code, size, text->offset);
	munmap(code, size);
	return ret;
}

static void add_taker(struct build *b, int fd, uint64_t addr)
{
	struct range *r = &b->takers[b->taker_count];

	for (size_t i = 0; i < b->taker_count; i++) {
		if (addr >= b->takers[i].start && addr < b->takers[i].end)
			return;
	}
	if (b->taker_count < TAKERS_MAX && mw_unwind_piece(fd, addr, &r->start, &r->end))
		b->taker_count++;
}

static void find_takers(struct build *b, const char *path, const struct mw_map *text)
{
	struct mw_elffile *file = mw_elffile__open(path, text->path, NULL);
	uint64_t to_address;

	if (!file)
		return;
	to_address = text->start - text->offset - mw_elffile__bias(file, text->start, text->offset);
	if (b->places.slow)
		add_taker(b, mw_elffile__fd(file), b->places.slow + to_address);
	for (size_t i = 0; i < b->places.count; i++) {
		if (b->places.list[i].kind == MW_PYMALLOC_NEW_POOL)
			add_taker(b, mw_elffile__fd(file), b->places.list[i].address + to_address);
	}
	mw_elffile__close(file);
}

static void describe(const struct mw_pymalloc_places *p, const char *module, double seconds)
{
	mw_detail(
		"pymalloc in %s: %zu places where blocks are handed out, %zu where they are taken "
		"back, found in %.0f ms",
		module, p->allocs, p->frees, 1e3 * seconds);
	if (p->slow)
		mw_detail("  %zu of %zu calls for a new pool have their place", p->slow_reached,
			  p->slow_calls);
	if (p->allocs && !mw_pymalloc_places__are_all(p))
		mw_warn("not all places where %s hands out small objects were found (%zu of %zu "
			"tests of a list of pools, %zu of %zu calls for a new pool): some are not "
			"counted",
			module, p->tests_placed, p->tests, p->slow_reached, p->slow_calls);
}

static int find_places(struct mw_pymalloc *m, struct mw_image *image, const struct mw_map *text,
		       const char *module)
{
	double began = mw_monotonic();
	char id[BUILD_ID_SIZE] = "";
	struct build *build;
	int ret;

	mw_image__build_id(image, base_of(image, text), id, sizeof(id));
	for (build = builds; build && id[0]; build = build->next) {
		if (!strcmp(build->id, id)) {
			m->build = build;
			m->places = &build->places;
			return 0;
		}
	}
	build = id[0] ? calloc(1, sizeof(*build)) : &m->own;
	if (!build)
		return -ENOMEM;
	ret = search(&build->places, m->file, text);
	if (ret) {
		if (build != &m->own)
			free(build);
		return ret;
	}
	if (id[0]) {
		memcpy(build->id, id, sizeof(id));
		build->next = builds;
		builds = build;
	}
	m->build = build;
	m->places = &build->places;
	find_takers(build, m->file, text);
	describe(m->places, module, mw_monotonic() - began);
	return 0;
}

static uint64_t bias_of(const char *path, const struct mw_map *text)
{
	struct mw_elffile *file = mw_elffile__open(path, text->path, NULL);
	uint64_t bias = file ? mw_elffile__bias(file, text->start, text->offset) : 0;

	mw_elffile__close(file);
	return bias;
}

static int find_all(struct mw_pymalloc *m, pid_t pid, struct mw_image *image, struct mw_python *py)
{
	const struct mw_py_info *info = mw_python__info(py);
	const struct mw_map *text = find_text(image, info->module);
	int ret;

	if (!info->pool_size) {
		mw_detail("PID %d: Python %s has no pools: its small objects are %s's", pid,
			  info->version, info->allocator);
		return -ENOENT;
	}
	if (!text)
		return -ENOENT;
	ret = mw_map__file_path(text, pid, m->file, sizeof(m->file));
	if (ret)
		return ret;
	m->bias = bias_of(m->file, text);
	m->pool_size = info->pool_size;
	m->pool_log2 = (uint32_t)__builtin_ctz(info->pool_size);
	m->flags = info->alignment == 16 ? MW_PYMALLOC_ALIGN_16 : 0;
	mw_python_prints__learn(&m->prints, py);
	m->counts = mw_pool_counts__new(py);
	if (!m->counts)
		return -ENOMEM;
	ret = find_places(m, image, text, info->module);
	if (!ret && !m->places->allocs)
		ret = -ENOENT;
	if (ret)
		mw_warn("PID %d: small objects of Python %s are not counted: no place was found in "
			"%s where a pool hands out a block",
			pid, info->version, info->module);
	return ret;
}

struct mw_pymalloc *mw_pymalloc__open(pid_t pid)
{
	struct mw_pymalloc *m = calloc(1, sizeof(*m));
	struct mw_image *image = mw_image__open_process(pid, 0, NULL);
	struct mw_err err = {0};
	struct mw_python *py = image ? mw_python__open(image, &err) : NULL;
	int ret = m && py ? find_all(m, pid, image, py) : -ENOENT;

	mw_python__close(py);
	if (!ret) {
		m->image = image;
		return m;
	}
	mw_image__close(image);
	mw_pymalloc__close(m);
	return NULL;
}

void mw_pymalloc__close(struct mw_pymalloc *m)
{
	if (!m)
		return;
	mw_pymalloc_places__free(&m->own.places);
	mw_pool_counts__free(m->counts);
	mw_image__close(m->image);
	free(m);
}

int mw_pymalloc__begin_count(struct mw_pymalloc *m)
{
	return mw_pool_counts__begin(m->counts, m->image);
}

int mw_pymalloc__moved(struct mw_pymalloc *m, double *blocks)
{
	return mw_pool_counts__moved(m->counts, m->image, blocks);
}

uint32_t mw_pymalloc__pool_size(const struct mw_pymalloc *m)
{
	return m->pool_size;
}

uint32_t mw_pymalloc__alignment(const struct mw_pymalloc *m)
{
	return m->flags & MW_PYMALLOC_ALIGN_16 ? 16 : 8;
}

const struct mw_python_prints *mw_pymalloc__prints(const struct mw_pymalloc *m)
{
	return &m->prints;
}

bool mw_pymalloc__takes_arenas(const struct mw_pymalloc *m, uint64_t addr)
{
	const struct build *b = m->build;

	for (size_t i = 0; i < b->taker_count; i++) {
		if (addr - m->bias >= b->takers[i].start && addr - m->bias < b->takers[i].end)
			return true;
	}
	return false;
}

static uint64_t cookie_of(const struct mw_pymalloc *m, const struct mw_pymalloc_probing *how,
			  const struct mw_pymalloc_place *place)
{
	static const uint32_t kinds[] = {
		[MW_PYMALLOC_ALLOC] = MW_PYMALLOC_HIT_ALLOC,
		[MW_PYMALLOC_FREE] = MW_PYMALLOC_HIT_FREE,
		[MW_PYMALLOC_NEW_POOL] = MW_PYMALLOC_HIT_NEW_POOL,
	};
	uint32_t memory = place->block_in_memory ? MW_PYMALLOC_IN_MEMORY : 0;

	return mw_pymalloc_cookie(kinds[place->kind], place->pool,
				  place->block < 32 ? place->block : 0, m->flags | memory,
				  place->block_offset, how->slot, how->space);
}

int mw_pymalloc__attach(const struct mw_pymalloc *m, const struct mw_pymalloc_probing *how,
			struct mw_pymalloc_probes *probes)
{
	const struct mw_pymalloc_places *p = m->places;
	struct mw_probe_place slow = {
		.offset = p->slow,
		.cookie = mw_pymalloc_cookie(MW_PYMALLOC_HIT_ALLOC, m->pool_log2, 0, m->flags, 0,
					     how->slot, how->space),
	};
	_cleanup_free_ struct mw_probe_place *list = calloc(p->count, sizeof(*list));
	size_t count = 0;
	int ret;

	*probes = (struct mw_pymalloc_probes){.hits.fd = -1, .new_pools.fd = -1};
	if (!list)
		return -ENOMEM;
	for (size_t i = 0; i < p->count; i++) {
		const struct mw_pymalloc_place *place = &p->list[i];

		/* Where it is a function, its return says which block it is. */
		if ((place->kind == MW_PYMALLOC_FREE && !how->frees) ||
		    (place->kind == MW_PYMALLOC_NEW_POOL && p->slow))
			continue;
		list[count++] = (struct mw_probe_place){place->address, cookie_of(m, how, place)};
	}
	ret = mw_probes__attach(&probes->hits, how->hit, how->multi, how->pid, m->file, false, list,
				count);
	if (!ret && p->slow)
		ret = mw_probes__attach(&probes->new_pools, how->new_pool, how->multi, how->pid,
					m->file, true, &slow, 1);
	if (ret)
		mw_probes__detach(&probes->hits);
	probes->in = !ret;
	return ret;
}

void mw_pymalloc__detach(struct mw_pymalloc_probes *probes, struct mw_detacher *detacher)
{
	if (!probes->in)
		return;
	mw_detacher__take(detacher, &probes->hits);
	mw_detacher__take(detacher, &probes->new_pools);
	probes->in = false;
}
