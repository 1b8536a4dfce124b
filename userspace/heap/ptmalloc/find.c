// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Finds main_arena, the layout and mp_. Without symbols: an empty bin's head points to itself, and
 * the arenas' next pointers form a ring. Both together are proof, and their distance gives the
 * layout's family (see layout.c).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "heap/ptmalloc/impl.h"
#include "image/elffile.h"
#include "util/array.h"
#include "util/bytes.h"
#include "util/cleanup.h"

/* Bytes: struct heap_info with its padding, 32 of them or 48 (malloc/arena.c). */
enum { HEAP_HEADER_MAX = 256 };

enum ring { RING_NONE, RING_LOST, RING_CLOSED };

/* Did an arena of a thread lie at ADDR, of which a core that was cut short has nothing? */
static bool is_lost_arena(struct mw_image *image, uint64_t addr)
{
	uint64_t word;

	return mw_image__is_cut(image) && addr % PAGE_BYTES < HEAP_HEADER_MAX &&
	       mw_image__find(image, addr) && !mw_image__read_u64(image, addr, &word);
}

/* Does the arena at ADDR lie behind the head of a thread's heap? */
static bool is_of_thread(struct mw_image *image, uint64_t addr)
{
	uint64_t word;

	return mw_image__read_u64(image, addr & ~((64ULL << 20) - 1), &word) && word == addr;
}

/* Does the ring of arenas through BASE, with next at OFFSET, close? By Brent's algorithm. */
static enum ring follow_ring(struct mw_image *image, uint64_t base, uint64_t offset)
{
	uint64_t at = base, tortoise = base, power = 1, lap = 0;

	for (int i = 0; i < ARENAS_MAX; i++) {
		uint64_t next;

		if (!mw_image__read_u64(image, at + offset, &next) || next & 7 || !next)
			return RING_NONE;
		if (next == base)
			return RING_CLOSED;
		if (is_lost_arena(image, next))
			return RING_LOST;
		if (next == tortoise)
			return RING_NONE;
		if (++lap == power) {
			tortoise = next;
			power *= 2;
			lap = 0;
		}
		at = next;
	}
	return RING_NONE;
}

/*
 * Is an arena of layout L at BASE? Its bins must be lists and its ring must close, as far as it is
 * there.
 */
static enum ring arena_validates(struct mw_image *image, uint64_t base,
				 const struct mw_ptmalloc_layout *l)
{
	uint64_t bins[2 * MW_PTMALLOC_BINS];

	if (!mw_image__read_all(image, base + l->bins, bins, sizeof(bins)))
		return RING_NONE;
	for (uint64_t i = 0; i < MW_PTMALLOC_BINS; i++) {
		uint64_t self = base + l->bins + 16 * i - 16;

		if ((bins[2 * i] == self) != (bins[2 * i + 1] == self) || bins[2 * i] & 7)
			return RING_NONE;
	}
	return follow_ring(image, base, l->next);
}

/*
 * May main_arena begin OFF bytes into DATA, which is at ADDR, by the next one in its ring? That is
 * itself or at the beginning of a heap, behind a header. Lists of another allocator look like bins,
 * and reading on from each of thousands would take a second.
 */
static bool may_be_arena(const uint8_t *data, size_t len, uint64_t addr, size_t off,
			 const struct mw_ptmalloc_layout *l)
{
	uint64_t next;

	if (off + l->next + sizeof(next) > len)
		return true;
	memcpy(&next, data + off + l->next, sizeof(next));
	return next == addr + off || (next && next % PAGE_BYTES < HEAP_HEADER_MAX);
}

/* The row of the C library in the file of REGION; where no version is known the commonest. */
static const struct mw_ptmalloc_layout *likely_row(struct mw_image *image,
						   const struct mw_region *region)
{
	const struct mw_ptmalloc_layout *row = NULL;
	const char *evidence;

	if (region->map.inode)
		row = mw_ptmalloc_layout_of(mw_ptmalloc_find_version(image, region, &evidence));
	return row ? row : &mw_ptmalloc_layouts[MW_PTMALLOC_COMMONEST];
}

/*
 * The first arena in DATA, which is at ADDR, that validates with any family of layouts; 0: none.
 * From its bins on all families are alike: what tells them apart is where the ring comes back to,
 * so that where it is lost the version of REGION's file says it.
 */
static uint64_t search_data(struct mw_image *image, const uint8_t *data, size_t len,
			    const struct mw_region *region,
			    const struct mw_ptmalloc_layout **family)
{
	uint64_t addr = region->map.start;

	for (size_t off = 0; off + 16 <= len; off += 8) {
		uint64_t pair[2];

		memcpy(pair, data + off, sizeof(pair));
		if (pair[0] != addr + off - 16 || pair[1] != pair[0])
			continue;
		/* It can be any bin: those before it may be in use. */
		for (uint64_t bin = 0; bin < MW_PTMALLOC_BINS && 16 * bin <= off; bin++) {
			uint64_t bins = addr + off - 16 * bin;

			for (size_t i = 0; i < mw_ptmalloc_layout_count; i++) {
				const struct mw_ptmalloc_layout *l = &mw_ptmalloc_layouts[i];
				enum ring ring;

				if ((i && l->bins == l[-1].bins) || bins - l->bins < addr ||
				    !may_be_arena(data, len, addr, bins - l->bins - addr, l))
					continue;
				ring = arena_validates(image, bins - l->bins, l);
				if (ring == RING_CLOSED ||
				    (ring == RING_LOST &&
				     l->bins == likely_row(image, region)->bins &&
				     !is_of_thread(image, bins - l->bins))) {
					*family = l;
					return bins - l->bins;
				}
			}
		}
		/* Not an arena: skip the other members of this run. */
		while (off + 32 <= len) {
			memcpy(pair, data + off + 16, sizeof(pair));
			if (pair[0] != addr + off || pair[1] != pair[0])
				break;
			off += 16;
		}
	}
	return 0;
}

static bool is_data(const struct mw_regions *regions, size_t i)
{
	const struct mw_region *r = &regions->regions[i];

	if (!r->map.writable || r->map.shared || r->io || !r->resident)
		return false;
	if (r->map.inode)
		return true;
	/*
	 * Anonymous memory directly behind a file's data is its .bss.
	 */
	return i && r[-1].map.inode && r[-1].map.writable && r[-1].map.end == r->map.start;
}

/* Has anything come from the arena at ADDR of FAMILY, or from another one of its ring? */
static bool is_used(struct mw_image *image, uint64_t addr, const struct mw_ptmalloc_layout *family)
{
	uint64_t system, next;

	return mw_image__read_u64(image, addr + family->system_mem, &system) &&
	       mw_image__read_u64(image, addr + family->next, &next) && (system || next != addr);
}

/*
 * Two libraries have a main_arena where one stands in for the other's malloc, as that of
 * MALLOC_CHECK_ does: the first one that is used counts, else the first one.
 */
static int search_image(struct mw_ptmalloc *pt, const struct mw_ptmalloc_layout **family)
{
	const struct mw_regions *regions = mw_image__regions(pt->base.image);
	bool named = mw_regions__have_names(regions), used = false;

	for (size_t i = 0; i < regions->count && !used; i++) {
		const struct mw_region *r = &regions->regions[i];
		const struct mw_ptmalloc_layout *its = NULL;
		uint64_t len = r->map.end - r->map.start, found = 0;

		/* A core that lost its NT_FILE has no names: search all writable memory. */
		if (named ? !is_data(regions, i) : !r->map.writable || !r->resident)
			continue;
		len = len < DATA_MAX ? len & ~(uint64_t)(PAGE_BYTES - 1) : DATA_MAX;
		_cleanup_free_ uint8_t *data = malloc(len + 1);

		if (!data)
			return -ENOMEM;
		ssize_t n = mw_image__read(pt->base.image, r->map.start, data, len);

		if (n > 0)
			found = search_data(pt->base.image, data, (size_t)n, r, &its);
		used = found && is_used(pt->base.image, found, its);
		if (used || (found && !pt->main_arena)) {
			pt->main_arena = found;
			*family = its;
		}
	}
	return pt->main_arena ? 0 : -ENOENT;
}

const struct mw_region *mw_ptmalloc_file_of(struct mw_image *image, uint64_t addr)
{
	const struct mw_regions *regions = mw_image__regions(image);
	const struct mw_region *data = mw_image__find(image, addr);

	if (data && !data->map.inode && data > regions->regions)
		data--; /* .bss */
	if (!data || !data->map.inode)
		return NULL;
	for (size_t i = 0; i < regions->count; i++) {
		const struct mw_region *r = &regions->regions[i];

		if (r->map.inode == data->map.inode && !strcmp(r->map.path, data->map.path))
			return r;
	}
	return NULL;
}

/* The library of MALLOC_CHECK_ and mtrace(3), from 2.34 on, is a part of the C library beside it.
 */
static const struct mw_region *main_library(struct mw_image *image, const char *base)
{
	const struct mw_regions *regions = mw_image__regions(image);

	for (size_t i = 0; i < regions->count && !strncmp(base, "/libc_malloc_debug.so", 21); i++) {
		const struct mw_region *r = &regions->regions[i];
		const char *other = r->map.inode ? strrchr(r->map.path, '/') : NULL;

		if (other && !strcmp(other, "/libc.so.6"))
			return r;
	}
	return NULL;
}

unsigned int mw_ptmalloc_find_version(struct mw_image *image, const struct mw_region *region,
				      const char **evidence)
{
	const char *base = strrchr(region->map.path, '/');
	const struct mw_region *library = base ? main_library(image, base) : NULL;
	struct mw_elffile *file =
		mw_image__elffile(image, library ? library->map.start : region->map.start);
	unsigned int minor = 0;

	*evidence = "version: text in the C library's file";
	if (file) {
		minor = mw_ptmalloc_version_of(file);
		mw_elffile__close(file);
	}
	if (!minor && base) {
		minor = mw_ptmalloc_version_in(base, strlen(base));
		*evidence = "version: name of the C library's file";
	}
	return minor;
}

/* Without a version: the row of the family that explains most of the memory. */
static const struct mw_ptmalloc_layout *best_row(struct mw_ptmalloc *pt,
						 const struct mw_ptmalloc_layout *family)
{
	const struct mw_ptmalloc_layout *best = family;
	unsigned int best_score = 0;

	for (const struct mw_ptmalloc_layout *l = family;
	     l < mw_ptmalloc_layouts + mw_ptmalloc_layout_count && l->bins == family->bins; l++) {
		struct mw_glibc_settings settings;
		unsigned int score = 0;
		uint64_t head[2];

		pt->layout = *l;
		if (!mw_ptmalloc_find_settings(&settings, pt->base.image, pt->main_arena, 0,
					       (struct mw_ptmalloc_rows){l, l + 1})) {
			uint64_t first = (settings.sbrk_base + 15) & ~15ULL;

			score = 1;
			if (l->tcache_size && first &&
			    mw_image__read_all(pt->base.image, first, head, sizeof(head)) &&
			    (head[1] & ~7ULL) == ((l->tcache_size + 8u + 15) & ~15u))
				score += 1 + mw_ptmalloc__try_tcache(pt, first);
		}
		if (score >= best_score && score) {
			best = l;
			best_score = score;
		}
	}
	mw_heap__add_evidence(&pt->base, "version: the layout that fits the memory best");
	return best;
}

bool mw_ptmalloc__is_there(const struct mw_ptmalloc *pt)
{
	const struct mw_region *file = mw_ptmalloc_file_of(pt->base.image, pt->main_arena);

	return (file ? file->map.start : 0) == pt->home &&
	       (file ? file->map.inode : 0) == pt->home_inode;
}

static int not_here(struct mw_image *image, struct mw_err *err)
{
	if (mw_image__is_cut(image))
		return mw_err_set(err, -ENOENT, "no-heap", NULL,
				  "the core was cut short: what tells whose heap this is is not "
				  "in what is left");
	return mw_err_set(
		err, -ENOENT, "no-glibc-malloc", NULL,
		"no glibc malloc arena in any file's data: another allocator or C library, "
		"or nothing was allocated yet");
}

int mw_ptmalloc__find(struct mw_ptmalloc *pt, struct mw_err *err)
{
	const struct mw_ptmalloc_layout *family = NULL, *row = NULL;
	struct mw_ptmalloc_debug debug = {0};
	const struct mw_region *file;
	const char *evidence;
	unsigned int minor = 0;
	int ret;

	ret = search_image(pt, &family);
	if (ret == -ENOMEM)
		return mw_err_no_memory(err, NULL);
	if (ret || !family)
		return not_here(pt->base.image, err);
	if (!mw_ptmalloc_file_of(pt->base.image,
				 pt->main_arena)) /* any writable memory was searched */
		pt->main_arena =
			mw_ptmalloc__main_of_ring(pt->base.image, pt->main_arena, family->next);
	file = mw_ptmalloc_file_of(pt->base.image, pt->main_arena);
	if (file) {
		pt->home = file->map.start;
		pt->home_inode = file->map.inode;
		minor = mw_ptmalloc_find_version(pt->base.image, file, &evidence);
		if (minor)
			mw_heap__add_evidence(&pt->base, evidence);
		row = mw_ptmalloc_layout_of(minor);
		/* Ignore a version that the memory contradicts: a patched or newer library. */
		if (row && row->bins != family->bins)
			row = NULL;
		mw_ptmalloc_read_debug(pt->base.image, file->map.start, row ? row : family, &debug);
	}
	if (!row)
		row = best_row(pt, family);
	pt->layout = *row;
	if (debug.main_arena == pt->main_arena) {
		mw_heap__add_evidence(&pt->base,
				      "main_arena: symbol, and its bins and ring of arenas");
		if (debug.dwarf) {
			pt->layout = debug.layout;
			mw_heap__add_evidence(&pt->base, "offsets: DWARF of this very library");
		}
	} else {
		mw_heap__add_evidence(&pt->base,
				      "main_arena: bins that point to themselves, ring of arenas");
		debug.mp = 0;
	}
	if (minor && row->low <= minor && minor <= row->high)
		snprintf(pt->version, sizeof(pt->version), "2.%u", minor);
	else
		snprintf(pt->version, sizeof(pt->version), "2.%u to 2.%u", row->low, row->high);
	ret = mw_ptmalloc_find_settings(&pt->settings, pt->base.image, pt->main_arena, debug.mp,
					(struct mw_ptmalloc_rows){&pt->layout, &pt->layout + 1});
	if (ret == -ENOMEM)
		return mw_err_no_memory(err, NULL);
	mw_heap__add_evidence(&pt->base, ret ? "mp_: not found" : pt->settings.evidence);
	return 0;
}
