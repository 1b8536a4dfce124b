// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Owners that need no heap: the stacks, the main thread's static TLS, .bss behind a file's data,
 * vdso, heaps of runtimes. Found by content, because a core does not name its [stack].
 */
#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arch/arch.h"
#include "heap/block.h"
#include "ledger/ledger.h"
#include "ledger/runtimes.h"
#include "util/array.h"

enum { PAGE = MW_PAGE_SIZE, TLS_MAX = 1 << 20, STACK_SCAN_MAX = 256 << 20 };

static const char own_stack[] = "stack", own_tls[] = "tls", own_vdso[] = "vdso";

struct claims {
	struct mw_blocks base;
	struct mw_image *image;
	struct mw_block *blocks;
	size_t count, capacity, at;
	char (*names)[80]; /* of .bss owners, one a region at most */
	size_t name_count;
};

static int claim(struct claims *c, uint64_t start, uint64_t end, const char *owner)
{
	if (start >= end)
		return 0;
	if (mw_array_reserve(&c->blocks, &c->capacity, c->count + 1, sizeof(*c->blocks)))
		return -1;
	c->blocks[c->count++] = (struct mw_block){.start = start,
						  .size = end - start,
						  .owner = owner,
						  .arena = MW_BLOCK_NO_ARENA,
						  .kind = MW_BLOCK_LIVE};
	return 0;
}

/*
 * glibc's struct pthread begins with the thread control block (sysdeps/x86_64/nptl/tls.h): its
 * words 0 and 2 point to itself. Further in are stackblock and stackblock_size (nptl/descr.h),
 * which are found by their values, because their place changed from version to version.
 */
static bool thread_block(struct mw_image *image, uint64_t tcb, uint64_t *start, uint64_t *size)
{
	uint64_t words[(0x900 - 0x600) / 8];
	ssize_t n = mw_image__read(image, tcb + 0x600, words, sizeof(words));

	for (ssize_t i = 0; i + 1 < n / 8; i++) {
		if (words[i] && words[i] % PAGE == 0 && words[i + 1] % PAGE == 0 &&
		    words[i + 1] >= 4 * PAGE && words[i + 1] <= 1ULL << 36 && words[i] < tcb &&
		    tcb - words[i] < words[i + 1]) {
			*start = words[i];
			*size = words[i + 1];
			return true;
		}
	}
	return false;
}

/* Thread control blocks in the resident pages of REGION. */
static int scan_threads(struct claims *c, const struct mw_region *r, const struct mw_spans *spans,
			struct mw_read_buffer *w)
{
	uint64_t claimed = 0;

	for (size_t i = 0; i < spans->count && spans->spans[i].start < r->map.end; i++) {
		uint64_t at = spans->spans[i].start, end = spans->spans[i].end;

		if (end <= r->map.start)
			continue;
		at = at < r->map.start ? r->map.start : at;
		end = end > r->map.end ? r->map.end : end;
		for (at = (at + 15) & ~15ULL; at + 24 <= end; at += 16) {
			const uint8_t *p = mw_read_buffer__at(w, at, 24);
			uint64_t self[3], start, size;

			if (!p)
				break;
			memcpy(self, p, sizeof(self));
			if (self[0] != at || self[2] != at || at < claimed)
				continue;
			if (thread_block(c->image, at, &start, &size)) {
				claimed = start + size;
				start = start < r->map.start ? r->map.start : start;
				if (claim(c, start, claimed < r->map.end ? claimed : r->map.end,
					  own_stack))
					return -1;
			} else if (r->map.end - r->map.start <= TLS_MAX) {
				return claim(c, r->map.start, r->map.end, own_tls);
			}
		}
	}
	return 0;
}

static int claim_bss(struct claims *c, const struct mw_regions *regions, size_t i)
{
	const struct mw_region *r = &regions->regions[i], *file = r - 1, *first = file;
	uint64_t end;

	if (!i || !file->map.inode || file->map.end != r->map.start || file->map.shared)
		return 0;
	while (first > regions->regions && first->map.offset &&
	       first[-1].map.inode == file->map.inode &&
	       !strcmp(first[-1].map.path, file->map.path))
		first--;
	end = mw_image__elf_end(c->image, first->map.start);
	if (end <= r->map.start)
		return 0;
	mw_ledger_region_owner(file, c->names[c->name_count], sizeof(c->names[0]));
	return claim(c, r->map.start, end < r->map.end ? end : r->map.end,
		     c->names[c->name_count++]);
}

static bool is_main_stack(struct mw_image *image, const struct mw_region *r)
{
	uint64_t random = mw_image__auxv(image, AT_RANDOM);

	return random >= r->map.start && random < r->map.end;
}

static int claim_runtime(void *arg, uint64_t start, uint64_t end, const char *owner)
{
	return claim(arg, start, end, owner);
}

static int collect(struct claims *c)
{
	const struct mw_regions *regions = mw_image__regions(c->image);
	uint64_t vdso = mw_image__auxv(c->image, AT_SYSINFO_EHDR);
	const struct mw_spans *spans;
	struct mw_read_buffer w;
	int ret = mw_image__spans(c->image, &spans);

	if (ret || mw_read_buffer__init(&w, c->image))
		return -1;
	for (size_t i = 0; i < regions->count && !ret; i++) {
		const struct mw_region *r = &regions->regions[i];
		bool guarded = i && r[-1].map.end == r->map.start && !r[-1].map.readable &&
			       !r[-1].map.writable && !r[-1].map.executable && !r[-1].map.inode;
		uint64_t size = r->map.end - r->map.start;

		if (vdso && vdso == r->map.start)
			ret = claim(c, r->map.start, r->map.end, own_vdso);
		if (!r->map.writable || r->map.inode || r->map.shared || r->io || !r->resident)
			continue;
		if (is_main_stack(c->image, r)) {
			ret = claim(c, r->map.start, r->map.end, own_stack);
			continue;
		}
		ret = claim_bss(c, regions, i);
		/* A heap of malloc begins at a multiple of 64 MiB and behind its reserve. */
		if (!ret && r->map.start % (64 << 20) &&
		    (size <= TLS_MAX ||
		     ((guarded || mw_image__is_stack(c->image, r)) && size <= STACK_SCAN_MAX)))
			ret = scan_threads(c, r, spans, &w);
	}
	mw_read_buffer__free(&w);
	return ret ? ret : mw_runtime_heaps(c->image, claim_runtime, c);
}

static size_t claims_fill(struct mw_blocks *blocks, struct mw_block *out, size_t max)
{
	struct claims *c = (struct claims *)blocks;
	size_t n = c->count - c->at < max ? c->count - c->at : max;

	if (n)
		memcpy(out, c->blocks + c->at, n * sizeof(*out));
	c->at += n;
	return n;
}

static void claims_close(struct mw_blocks *blocks)
{
	struct claims *c = (struct claims *)blocks;

	free(c->blocks);
	free(c->names);
	free(c);
}

static int by_start(const void *a, const void *b)
{
	const struct mw_block *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

struct mw_blocks *mw_image_owners(struct mw_image *image)
{
	struct claims *c = calloc(1, sizeof(*c));
	size_t out = 0;

	if (!c)
		return NULL;
	c->base = (struct mw_blocks){claims_fill, claims_close};
	c->image = image;
	c->names = calloc(mw_image__regions(image)->count + 1, sizeof(*c->names));
	if (!c->names || collect(c)) {
		claims_close(&c->base);
		return NULL;
	}
	if (c->count)
		qsort(c->blocks, c->count, sizeof(*c->blocks), by_start);
	/* Where two overlap, the first one has it. */
	for (size_t i = 0; i < c->count; i++) {
		struct mw_block b = c->blocks[i];

		if (out) {
			uint64_t before = c->blocks[out - 1].start + c->blocks[out - 1].size;
			uint64_t end = b.start + b.size;

			if (end <= before)
				continue;
			if (b.start < before) {
				b.start = before;
				b.size = end - before;
			}
		}
		c->blocks[out++] = b;
	}
	c->count = out;
	return &c->base;
}
