// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "heap/nodes.h"
#include "image/elffile.h"
#include "ledger/musl.h"
#include "ledger/runtimes.h"
#include "util/array.h"
#include "util/units.h"

enum {
	FIELDS_MAX = 65536,
	TEXT = 48,
	V8_PAGE = 256 << 10,
	V8_HEAPS = 64,
	RUBY_PAGE = 64 << 10,
	RUBY_SMALL_PAGE = 16 << 10,
	PHP_CHUNK = 2 << 20,
	PHP_HEAP = 64,	/* from a heap's first chunk to the heap */
	PHP_WORDS = 64, /* of struct _zend_mm_heap that are looked at */
	PHP_LARGE_MAX = 1 << 20,
	RUBY_BLOCK = 32 << 10,
	RUBY_TRANSIENT = 32 << 20,
	TCMALLOC_RESERVE = 1 << 30,
	TCMALLOC_TAKEN = 2 << 20
};

#define GO_START 0xc000000000ULL
#define GO_END	 0xd000000000ULL

/* Is the file of MAP called NAME, with a version behind it or not? */
static bool is_called(const struct mw_map *map, const char *name)
{
	const char *slash = strrchr(map->path, '/');

	return map->inode && slash && !strncmp(slash + 1, name, strlen(name)) &&
	       !strchr("abcdefghijklmnopqrstuvwxyz_", slash[1 + strlen(name)] | ' ');
}

static bool is_text(struct mw_image *image, uint64_t addr, const char *want)
{
	char text[TEXT] = "";

	return strlen(want) < sizeof(text) &&
	       mw_image__read_all(image, addr, text, strlen(want) + 1) && !strcmp(text, want);
}

/* One entry of HotSpot's table. */
struct field {
	uint64_t type, name, type_text; /* addresses of texts */
	uint64_t is_static, offset, address;
};

/* The place of TYPE::NAME in the table: an offset or, if it is static, an address. */
static bool find_field(struct mw_image *image, uint64_t table, const char *type, const char *name,
		       uint64_t *place)
{
	struct field f;

	for (size_t i = 0; i < FIELDS_MAX; i++) {
		if (!mw_image__read_all(image, table + i * sizeof(f), &f, sizeof(f)) || !f.type)
			return false;
		if (is_text(image, f.name, name) && is_text(image, f.type, type)) {
			*place = (uint32_t)f.is_static ? f.address : f.offset;
			return true;
		}
	}
	return false;
}

/* The range whose ends are in the static fields LOW and HIGH of TYPE. */
static int jvm_range(struct mw_image *image, uint64_t table, const char *const names[3],
		     const char *owner, mw_runtime_fn fn, void *arg)
{
	uint64_t low, high;

	if (!find_field(image, table, names[0], names[1], &low) ||
	    !find_field(image, table, names[0], names[2], &high) ||
	    !mw_image__read_u64(image, low, &low) || !mw_image__read_u64(image, high, &high) ||
	    low >= high || high >> 47)
		return 0;
	return fn(arg, low, high, owner);
}

static int jvm_heap(struct mw_image *image, const struct mw_map *map, mw_runtime_fn fn, void *arg)
{
	struct mw_elffile *file = mw_image__elffile(image, map->start);
	uint64_t table, heap, reserved, start_at, words_at, start, words;
	static const char *const code[] = {"CodeCache", "_low_bound", "_high_bound"};
	struct mw_symbol symbol;
	bool found;
	int ret;

	if (!file)
		return 0;
	found = !mw_elffile__symbol(file, "gHotSpotVMStructs", &symbol);
	table = found ? mw_elffile__bias(file, map->start, map->offset) + symbol.value : 0;
	mw_elffile__close(file);
	if (!found || !mw_image__read_u64(image, table, &table))
		return 0;
	ret = jvm_range(image, table, code, "jvm/code", fn, arg);
	if (ret || !find_field(image, table, "Universe", "_collectedHeap", &heap) ||
	    !find_field(image, table, "CollectedHeap", "_reserved", &reserved) ||
	    !find_field(image, table, "MemRegion", "_start", &start_at) ||
	    !find_field(image, table, "MemRegion", "_word_size", &words_at) ||
	    !mw_image__read_u64(image, heap, &heap) ||
	    !mw_image__read_u64(image, heap + reserved + start_at, &start) ||
	    !mw_image__read_u64(image, heap + reserved + words_at, &words) || words > 1ULL << 44)
		return ret;
	return fn(arg, start, start + 8 * words, "jvm/heap");
}

/* Chunks of V8 by the heap that they point to; the heap with the most is it. */
struct v8_chunks {
	struct v8_heap {
		uint64_t heap, count;
	} heaps[V8_HEAPS];
	size_t count;
};

/* The header at ADDR of R: the chunk's size and its heap. */
static bool read_chunk(struct mw_image *image, const struct mw_region *r, uint64_t addr,
		       uint64_t *size, uint64_t *heap)
{
	uint64_t head[3];

	if (!mw_image__read_all(image, addr, head, sizeof(head)) || head[0] < 4096 ||
	    head[0] % 4096 || head[0] > 1ULL << 32 || !head[2] || head[2] % 8 ||
	    (head[0] > r->map.end - addr && head[0] > V8_PAGE))
		return false;
	*size = head[0];
	*heap = head[2];
	return true;
}

static bool may_hold_chunks(const struct mw_region *r)
{
	return !r->map.inode && !r->map.path[0] && r->map.readable && !r->map.shared && !r->io &&
	       r->resident;
}

static void count_chunk(struct v8_chunks *chunks, uint64_t heap)
{
	size_t i;

	for (i = 0; i < chunks->count && chunks->heaps[i].heap != heap; i++)
		;
	if (i == V8_HEAPS)
		return;
	if (i == chunks->count)
		chunks->heaps[chunks->count++] = (struct v8_heap){heap, 0};
	chunks->heaps[i].count++;
}

/* Call FN for the chunks of the heaps in CHUNKS; or count the chunks there when FN is NULL. */
static int each_chunk(struct mw_image *image, struct v8_chunks *chunks, mw_runtime_fn fn, void *arg)
{
	const struct mw_regions *regions = mw_image__regions(image);
	uint64_t size, heap;
	int ret = 0;

	for (size_t i = 0; i < regions->count && !ret; i++) {
		const struct mw_region *r = &regions->regions[i];
		uint64_t at = (r->map.start + V8_PAGE - 1) & ~(V8_PAGE - 1ULL);

		if (!may_hold_chunks(r))
			continue;
		while (at < r->map.end && !ret) {
			uint64_t next = at + V8_PAGE;

			if (!read_chunk(image, r, at, &size, &heap)) {
				at = next;
				continue;
			}
			for (size_t k = 0; fn && k < chunks->count && !ret; k++) {
				if (chunks->heaps[k].heap == heap && chunks->heaps[k].count > 3)
					ret = fn(arg, at, at + size, "v8/heap");
			}
			if (!fn)
				count_chunk(chunks, heap);
			at = next;
		}
	}
	return ret;
}

static int v8_heap(struct mw_image *image, const struct mw_map *map, mw_runtime_fn fn, void *arg)
{
	struct v8_chunks chunks = {0};

	(void)map;
	each_chunk(image, &chunks, NULL, NULL);
	return each_chunk(image, &chunks, fn, arg);
}

/*
 * Pages at multiples of their size, which is 16 KiB (3.1) or 64 KiB (later), each of which leads to
 * a structure that says where in the page its first object is (gc.c). Those of Ruby before 3.1 are
 * malloc's.
 */
static bool is_ruby_page(struct mw_image *image, uint64_t addr)
{
	uint64_t head, words[16];

	if (!mw_image__read_u64(image, addr, &head) || !head || head % 8 ||
	    !mw_image__read_all(image, head, words, sizeof(words)))
		return false;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (words[i] > addr && words[i] - addr < 4096)
			return true;
	}
	return false;
}

/* Call FN for each page of SIZE bytes; or, when FN is NULL, return 1 if one is at no larger one's
 * place. */
static int each_ruby_page(struct mw_image *image, uint64_t size, mw_runtime_fn fn, void *arg)
{
	const struct mw_regions *regions = mw_image__regions(image);
	int ret = 0;

	for (size_t i = 0; i < regions->count && !ret; i++) {
		const struct mw_region *r = &regions->regions[i];
		uint64_t at = (r->map.start + size - 1) & ~(size - 1);

		for (; may_hold_chunks(r) && at < r->map.end && !ret; at += size) {
			if (r->map.end - at < size || (!fn && at % RUBY_PAGE == 0) ||
			    !is_ruby_page(image, at))
				continue;
			ret = fn ? fn(arg, at, at + size, "ruby/heap") : 1;
		}
	}
	return ret;
}

/*
 * From 2.6 to 3.2 short-lived buffers are in 32 MiB of blocks of 32 KiB, each of which says how
 * many bytes are used and which block is the next one (transient_heap.c, struct
 * transient_heap_block).
 */
static bool is_ruby_transient(struct mw_image *image, uint64_t addr)
{
	size_t linked = 0;

	for (uint64_t at = addr; at < addr + RUBY_TRANSIENT; at += RUBY_BLOCK) {
		struct {
			uint16_t used, rest[3];
			uint64_t next;
		} head;

		if (!mw_image__read_all(image, at, &head, sizeof(head)) ||
		    head.used > RUBY_BLOCK - sizeof(head) ||
		    (head.next &&
		     (head.next - addr >= RUBY_TRANSIENT || (head.next - addr) % RUBY_BLOCK)))
			return false;
		linked += head.next != 0;
		if (!linked && at - addr >= 4 * RUBY_BLOCK)
			return false; /* untouched memory */
	}
	return linked > RUBY_TRANSIENT / RUBY_BLOCK / 2;
}

static int ruby_transient(struct mw_image *image, mw_runtime_fn fn, void *arg)
{
	const struct mw_regions *regions = mw_image__regions(image);

	for (size_t i = 0; i < regions->count; i++) {
		const struct mw_region *r = &regions->regions[i];
		uint64_t at = (r->map.start + RUBY_BLOCK - 1) & ~(RUBY_BLOCK - 1ULL);

		for (; may_hold_chunks(r) && at + RUBY_TRANSIENT <= r->map.end; at += RUBY_BLOCK) {
			if (is_ruby_transient(image, at))
				return fn(arg, at, at + RUBY_TRANSIENT, "ruby/heap");
		}
	}
	return 0;
}

static int ruby_heap(struct mw_image *image, const struct mw_map *map, mw_runtime_fn fn, void *arg)
{
	bool small = each_ruby_page(image, RUBY_SMALL_PAGE, NULL, NULL);
	int ret = each_ruby_page(image, small ? RUBY_SMALL_PAGE : RUBY_PAGE, fn, arg);

	(void)map;
	return ret ? ret : ruby_transient(image, fn, arg);
}

/*
 * PHP's chunks (zend_alloc.c of 7.0 and later) lie at multiples of 2 MiB and begin with a pointer
 * to their heap, which is behind the header of its first chunk.
 */
static bool is_php_chunk(struct mw_image *image, uint64_t addr, uint64_t *heap)
{
	uint64_t itself;

	return mw_image__read_u64(image, addr, heap) && *heap % PHP_CHUNK == PHP_HEAP &&
	       mw_image__read_u64(image, *heap - PHP_HEAP, &itself) && itself == *heap;
}

/* What is larger than a chunk is in a list, whose head comes before the pointer to the first chunk.
 */
static int php_large(struct mw_image *image, uint64_t heap, mw_runtime_fn fn, void *arg)
{
	struct {
		uint64_t addr, size, next; /* struct _zend_mm_huge_list */
	} large;
	uint64_t words[PHP_WORDS], at = 0;
	int ret = 0;

	if (!mw_image__read_all(image, heap, words, sizeof(words)))
		return 0;
	for (size_t i = 1; i < PHP_WORDS && !at; i++)
		at = words[i] == heap - PHP_HEAP ? words[i - 1] : 0;
	for (size_t i = 0; i < PHP_LARGE_MAX && at && !ret; i++, at = large.next) {
		if (!mw_image__read_all(image, at, &large, sizeof(large)) ||
		    large.addr % PHP_CHUNK || large.size > UINT64_MAX - large.addr)
			break;
		ret = fn(arg, large.addr, large.addr + large.size, "php/heap");
	}
	return ret;
}

static int php_heap(struct mw_image *image, const struct mw_map *map, mw_runtime_fn fn, void *arg)
{
	const struct mw_regions *regions = mw_image__regions(image);
	uint64_t heap;
	int ret = 0;

	(void)map;
	for (size_t i = 0; i < regions->count && !ret; i++) {
		const struct mw_region *r = &regions->regions[i];
		uint64_t at = (r->map.start + PHP_CHUNK - 1) & ~(PHP_CHUNK - 1ULL);

		for (; may_hold_chunks(r) && at + PHP_CHUNK <= r->map.end && !ret;
		     at += PHP_CHUNK) {
			if (!is_php_chunk(image, at, &heap))
				continue;
			ret = fn(arg, at, at + PHP_CHUNK, "php/heap");
			if (!ret && heap == at + PHP_HEAP)
				ret = php_large(image, heap, fn, arg);
		}
	}
	return ret;
}

static int go_heap(struct mw_image *image, mw_runtime_fn fn, void *arg)
{
	const struct mw_regions *regions = mw_image__regions(image);
	const struct mw_region *exe = regions->count ? &regions->regions[0] : NULL;
	struct mw_elffile *file = exe ? mw_image__elffile(image, exe->map.start) : NULL;
	bool is_go = file && (mw_elffile__has_section(file, ".gopclntab") ||
			      mw_elffile__has_note(file, "Go"));
	int ret = 0;

	mw_elffile__close(file);
	for (size_t i = 0; is_go && i < regions->count && !ret; i++) {
		const struct mw_map *map = &regions->regions[i].map;

		if (!map->inode && map->start >= GO_START && map->end <= GO_END)
			ret = fn(arg, map->start, map->end, "go/heap");
	}
	return ret;
}

static bool may_be_tcmalloc(const struct mw_map *map)
{
	static const char name[] = "[anon:tcmalloc_region_";

	return !map->inode && !map->shared && !map->executable && map->readable == map->writable &&
	       (!map->path[0] || !strncmp(map->path, name, strlen(name)));
}

/*
 * The first region of the reserve of Google's tcmalloc that ends with the I-th, or -1. It reserves
 * multiples of 1 GiB, which begin at such, and takes multiples of 2 MiB from the end downwards
 * (system_allocator.h). Cores may lack what it has not taken.
 */
static ssize_t tcmalloc_reserve(const struct mw_regions *regions, size_t i)
{
	const struct mw_map *last = &regions->regions[i].map;
	size_t first = i;

	if (!last->writable || last->end % TCMALLOC_RESERVE || !may_be_tcmalloc(last))
		return -1;
	while (first && regions->regions[first - 1].map.end == regions->regions[first].map.start &&
	       may_be_tcmalloc(&regions->regions[first - 1].map))
		first--;
	return regions->regions[first].map.start % TCMALLOC_TAKEN ? -1 : (ssize_t)first;
}

static bool has_googles_tcmalloc(struct mw_image *image)
{
	const struct mw_regions *regions = mw_image__regions(image);

	for (size_t i = 0; i < regions->count; i++) {
		const struct mw_region *r = &regions->regions[i];

		if (r->map.inode && r->map.writable && !r->map.shared && !r->io &&
		    mw_nodes_file_says(image, r, "tcmalloc", "_region_", ""))
			return true;
	}
	return false;
}

static int tcmalloc_heap(struct mw_image *image, mw_runtime_fn fn, void *arg)
{
	const struct mw_regions *regions = mw_image__regions(image);
	int ret = 0;

	if (!has_googles_tcmalloc(image))
		return 0;
	for (size_t i = 0; i < regions->count && !ret; i++) {
		ssize_t first = tcmalloc_reserve(regions, i);

		for (size_t k = (size_t)first; first >= 0 && k <= i && !ret; k++) {
			const struct mw_map *map = &regions->regions[k].map;

			if (map->writable)
				ret = fn(arg, map->start, map->end, "tcmalloc/heap");
		}
	}
	return ret;
}

static const struct {
	const char *file; /* that its name begins with */
	int (*heap)(struct mw_image *image, const struct mw_map *map, mw_runtime_fn fn, void *arg);
} modules[] = {{"libjvm.so", jvm_heap}, {"node", v8_heap}, {"libruby", ruby_heap},
	       {"ruby", ruby_heap},	{"php", php_heap}, {"libphp", php_heap}};

int mw_runtime_heaps(struct mw_image *image, mw_runtime_fn fn, void *arg)
{
	const struct mw_regions *regions = mw_image__regions(image);
	uint32_t done = 0; /* bits: indexes of MODULES */
	int ret = go_heap(image, fn, arg);

	if (!ret)
		ret = tcmalloc_heap(image, fn, arg);
	if (!ret)
		ret = mw_musl_heap(image, fn, arg);
	for (size_t i = 0; i < regions->count && !ret; i++) {
		const struct mw_map *map = &regions->regions[i].map;

		for (size_t m = 0; m < MW_ARRAY_SIZE(modules) && !map->offset && !ret; m++) {
			if (done >> m & 1 || !is_called(map, modules[m].file))
				continue;
			done |= 1U << m;
			ret = modules[m].heap(image, map, fn, arg);
		}
	}
	return ret;
}

struct sum {
	const char *owner;
	uint64_t bytes;
};

static int add(void *arg, uint64_t start, uint64_t end, const char *owner)
{
	struct sum *sum = arg;

	if (!sum->owner)
		sum->owner = owner;
	if (sum->owner == owner)
		sum->bytes += end - start;
	return 0;
}

void mw_runtime_say(struct mw_image *image, struct mw_err *err)
{
	struct sum sum = {0};
	char size[MW_UNIT_BUF];

	mw_runtime_heaps(image, add, &sum);
	if (sum.owner)
		mw_err_set(err, -ENOTSUP, "unknown-heap", mw_image__name(image),
			   "%s, %s of addresses, is recognised and not walked", sum.owner,
			   mw_format_size(size, sum.bytes));
}
