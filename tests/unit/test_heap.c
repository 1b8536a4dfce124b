// SPDX-License-Identifier: GPL-2.0-or-later
/* Regions, layouts and the ledger's arithmetic, without a process. */
#include <errno.h>
#include <unistd.h>

#include "heap/heap_impl.h"
#include "heap/jemalloc/layout.h"
#include "heap/ptmalloc/layout.h"
#include "image/image_impl.h"
#include "image/smaps.h"
#include "ledger/ledger.h"
#include "ledger/musl.h"
#include "tests/unit/test.h"

TEST(smaps_are_read)
{
	static const char text[] =
		"1000-3000 rw-p 00001000 fe:01 17    /bin/a b\nSize:  8 kB\nRss:  4 kB\n"
		"Anonymous: 4 kB\nSwap: 4 kB\nVmFlags: rd wr dd\n"
		"7000-b000 rw-p 00000000 00:00 0     [stack]\nRss:  99999 kB\n";
	struct mw_regions regions;

	CHECK_INT(mw_smaps__parse(&regions, text, sizeof(text) - 1, NULL), 0);
	CHECK_INT(regions.count, 2);
	CHECK_STR(regions.regions[0].map.path, "/bin/a b");
	CHECK_INT(regions.regions[0].resident, 4096);
	CHECK_INT(regions.regions[0].swapped, 4096);
	CHECK(regions.regions[0].no_dump);
	CHECK_INT(regions.regions[1].resident, 0x4000); /* not over its own length */
	CHECK(mw_regions__find(&regions, 0x2fff) == &regions.regions[0]);
	CHECK(!mw_regions__find(&regions, 0x3000));
	mw_regions__free(&regions);
}

TEST(bad_smaps_are_refused)
{
	static const char *const bad[] = {"Rss: 4 kB\n", "\n", "3000-1000 rw-p 0 0:0 0\n",
					  "1000-3000 rw-p 0 0:0 0\n2000-4000 rw-p 0 0:0 0\n"};
	struct mw_regions regions;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK_INT(mw_smaps__parse(&regions, bad[i], strlen(bad[i]), NULL), -EINVAL);
}

TEST(every_version_has_one_layout)
{
	for (unsigned int minor = 17; minor <= 43; minor++)
		CHECK(mw_ptmalloc_layout_of(minor));
	CHECK(!mw_ptmalloc_layout_of(16));
	CHECK(!mw_ptmalloc_layout_of(44));
	for (size_t i = 1; i < mw_ptmalloc_layout_count; i++)
		CHECK_INT(mw_ptmalloc_layouts[i].low, mw_ptmalloc_layouts[i - 1].high + 1);
	/* The distance from bins to next is what finding main_arena rests on. */
	for (size_t i = 0; i < mw_ptmalloc_layout_count; i++)
		CHECK_INT(mw_ptmalloc_layouts[i].next - mw_ptmalloc_layouts[i].bins, 2048);
}

TEST(versions_are_read)
{
	CHECK_INT(mw_ptmalloc_version_in("stable release version 2.36.\n", 30), 36);
	CHECK_INT(mw_ptmalloc_version_in("libc-2.31.so", 12), 31);
	CHECK_INT(mw_ptmalloc_version_in("libc.so.6", 9), 0);
}

/* Reports, JSON and users know these texts. */
TEST(a_kind_has_an_owner)
{
	static const struct {
		enum mw_block_kind kind;
		enum mw_block_state state;
		const char *owner;
	} all[] = {
		{MW_BLOCK_LIVE, MW_STATE_LIVE, "glibc/live"},
		{MW_BLOCK_MMAPPED, MW_STATE_LIVE, "glibc/mmapped"},
		{MW_BLOCK_TCACHE, MW_STATE_FREE, "glibc/free/tcache"},
		{MW_BLOCK_FASTBIN, MW_STATE_FREE, "glibc/free/fastbin"},
		{MW_BLOCK_BIN, MW_STATE_FREE, "glibc/free/bin"},
		{MW_BLOCK_TOP, MW_STATE_FREE, "glibc/top"},
		{MW_BLOCK_OVERHEAD, MW_STATE_OVERHEAD, "glibc/overhead"},
		{MW_BLOCK_RESERVE, MW_STATE_OVERHEAD, "glibc/reserve"},
		{MW_BLOCK_UNKNOWN, MW_STATE_OVERHEAD, "anon/unknown"},
	};
	struct mw_heap heap = {0};

	mw_heap__init(&heap, &mw_ptmalloc_ops, NULL);
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		const struct mw_block b = {.kind = (uint8_t)all[i].kind};

		CHECK_STR(heap.owners[all[i].kind], all[i].owner);
		CHECK_INT(mw_block_state(&b), all[i].state);
		CHECK(mw_ptmalloc_ops.kinds >> all[i].kind & 1);
	}
}

TEST(addresses_find_their_blocks)
{
	static const struct mw_block blocks[] = {{.start = 0x1000, .size = 0x100},
						 {.start = 0x1100, .size = 0x10},
						 {.start = 0x2000, .size = 0x40}};
	/* Before all, twice in one, at its last byte, its neighbour's first, between, behind all.
	 */
	static const uint64_t addrs[] = {0xfff, 0x1000, 0x1000, 0x10ff, 0x1100, 0x1110, 0x2040};
	static const uint64_t starts[] = {0, 0x1000, 0x1000, 0x1000, 0x1100, 0, 0};
	struct mw_block out[7] = {0};
	struct mw_block_picker picker = {addrs, out, 7, 0};

	for (size_t i = 0; i < 3; i++)
		mw_block_picker__see(&picker, &blocks[i]);
	for (size_t i = 0; i < 7; i++)
		CHECK_INT(out[i].start, starts[i]);
}

struct list {
	struct mw_blocks base;
	const struct mw_block *blocks;
	size_t count, at;
};

static size_t list_fill(struct mw_blocks *blocks, struct mw_block *out, size_t max)
{
	struct list *list = (struct list *)blocks;

	if (list->at == list->count || !max)
		return 0;
	out[0] = list->blocks[list->at++]; /* one at a time: batches of any size must do */
	return 1;
}

static ssize_t no_read(void *arg, uint64_t addr, void *buf, size_t len)
{
	(void)arg, (void)addr, (void)buf, (void)len;
	return 0;
}

static uint64_t owned(const struct mw_ledger *ledger, const char *owner)
{
	for (size_t i = 0; i < ledger->count; i++) {
		if (!strcmp(ledger->entries[i].owner, owner))
			return ledger->entries[i].resident;
	}
	return UINT64_MAX;
}

/* An inner claim comes off the outer block, also when it spans two of them and the gap between. */
TEST(claims_nest)
{
	static const struct mw_block outer[] = {{0x10000, 0x1000, "outer", 0, 0, 0, 0},
						{0x13000, 0x1000, "outer", 0, 0, 0, 0}};
	static const struct mw_block inner[] = {{0x10100, 7, "small", 0, 0, 0, 0},
						{0x10ff0, 0x2020, "wide", 0, 0, 0, 0}};
	struct list lists[2] = {{{list_fill, NULL}, outer, 2, 0}, {{list_fill, NULL}, inner, 2, 0}};
	struct mw_blocks *sources[2] = {&lists[0].base, &lists[1].base};
	const struct mw_image_callbacks callbacks = {.read = no_read};
	struct mw_regions regions = {0};
	struct mw_region *r = mw_regions__add(&regions);
	struct mw_ledger ledger;
	struct mw_image *image;

	r->map.start = 0x10000;
	r->map.end = 0x20000;
	r->map.readable = r->map.writable = true;
	r->map.path = strdup("");
	r->resident = 0x10000;
	image = mw_image__open_callbacks(&callbacks, &regions);
	CHECK_INT(mw_ledger__build(&ledger, image, sources, 2, NULL, NULL), 0);
	CHECK_INT(ledger.resident, 0x10000);
	CHECK_INT(owned(&ledger, "small"), 7);
	CHECK_INT(owned(&ledger, "wide"), 0x2020);
	CHECK_INT(owned(&ledger, "outer"), 0x2000 - 7 - 0x20);
	CHECK_INT(ledger.unknown, 0x10000 - 0x2000 - 0x2000);
	mw_ledger__free(&ledger);
	mw_image__close(image);
}

/* Private memory of an image that is made here; LEN bytes from MADE on. */
enum { MADE = 1 << 30, PAGE = 4096 };

struct made {
	uint8_t *bytes;
	uint64_t len;
};

static ssize_t read_made(void *arg, uint64_t addr, void *buf, size_t len)
{
	const struct made *made = arg;
	uint64_t off = addr - MADE;

	if (addr < MADE || off >= made->len)
		return 0;
	if (len > made->len - off)
		len = made->len - off;
	memcpy(buf, made->bytes + off, len);
	return (ssize_t)len;
}

static struct mw_image *open_made(struct made *made)
{
	const struct mw_image_callbacks callbacks = {.read = read_made, .arg = made};
	struct mw_regions regions = {0};
	struct mw_region *r = mw_regions__add(&regions);

	r->map.start = MADE;
	r->map.end = MADE + made->len;
	r->map.readable = r->map.writable = true;
	r->map.path = strdup("");
	r->resident = made->len;
	return mw_image__open_callbacks(&callbacks, &regions);
}

static int no_runtime(void *arg, uint64_t start, uint64_t end, const char *owner)
{
	(void)arg, (void)start, (void)end, (void)owner;
	return -EINVAL;
}

/* A damaged core's region may end anywhere. */
TEST(a_region_that_ends_within_a_page_is_looked_at_once)
{
	struct made made = {calloc(1, 3 * PAGE / 2), 3 * PAGE / 2};
	struct mw_image *image = open_made(&made);

	alarm(60); /* it went on for ever */
	CHECK_INT(mw_musl_heap(image, no_runtime, NULL), 0);
	alarm(0);
	mw_image__close(image);
	free(made.bytes);
}

/*
 * In memory of LEAF + 2 MiB: a leaf of jemalloc 5.3's tree, with an extent of one page, which BITS,
 * those that the leaf and the structure share, say the use of.
 */
enum { LEAF = 2 << 20, EXTENT = LEAF, EXTENT_PAGE = LEAF + (1 << 20) };

static void make_extent(uint8_t *bytes, uint64_t state, uint64_t size_class, bool slab,
			uint64_t free_count)
{
	const uint64_t word = (MADE + EXTENT) | size_class << 48 | state << 2 | slab;
	const uint64_t extent[] = {state << 17 | size_class << 20 | (uint64_t)slab << 12 |
					   free_count << 28,
				   MADE + EXTENT_PAGE, PAGE};
	const uint64_t bitmap = (1 << 3) - 1;

	memcpy(bytes + (uint64_t)EXTENT_PAGE / PAGE * 8, &word, sizeof(word));
	memcpy(bytes + EXTENT, extent, sizeof(extent));
	memcpy(bytes + EXTENT + 64, &bitmap, sizeof(bitmap));
}

/* Of a core that lost the root of jemalloc's tree, a word that looks like a dirty extent is none.
 */
TEST(a_lost_tree_of_jemalloc_needs_a_slab_that_is_right)
{
	static const struct {
		uint64_t state, size_class, free_count;
		bool slab, found;
	} all[] = {{MW_JEMALLOC_DIRTY, MW_JEMALLOC_CLASSES, 0, false, false},
		   {MW_JEMALLOC_ACTIVE, 4, 2, true, false}, /* three bits are set */
		   {MW_JEMALLOC_ACTIVE, 4, 3, true, true}};
	struct made made = {malloc(2 * LEAF), 2 * LEAF};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		struct mw_image *image = open_made(&made);
		struct mw_err err = {0};
		struct mw_heap *heap;

		memset(made.bytes, 0, made.len);
		make_extent(made.bytes, all[i].state, all[i].size_class, all[i].slab,
			    all[i].free_count);
		image->promised = image->present + 1;
		heap = mw_jemalloc_ops.open(image, &err);
		CHECK_INT(heap != NULL, all[i].found);
		if (heap)
			mw_jemalloc_ops.close(heap);
		mw_image__close(image);
	}
	free(made.bytes);
}
