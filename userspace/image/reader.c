// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Reading with a caller's functions. Even a short read of a debugger takes microseconds, so memory
 * is fetched in pieces and cached by address in a table of fixed size.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arch/arch.h"
#include "image/elffile.h"
#include "image/image_impl.h"
#include "util/search.h"

enum { PAGE = MW_PAGE_SIZE, PIECES = MW_READER_KEPT / MW_READER_PIECE, PATH_LENGTH = 4096 };

struct piece {
	uint64_t start;
	size_t len; /* bytes that could be read, 0: the piece is empty */
	uint8_t *data;
};

struct mw_reader {
	struct mw_image_callbacks callbacks;
	bool interrupted;
	struct piece pieces[PIECES];
};

static bool span_ends_before(const void *at, const void *key)
{
	const struct mw_span *span = at;

	return span->end <= *(const uint64_t *)key;
}

/* The number of bytes from ADDR on that are all resident (*PRESENT), or all not. */
static size_t same_residency(const struct mw_image *image, uint64_t addr, size_t len, bool *present)
{
	const struct mw_spans *all = &image->spans;
	size_t i = mw_search(all->spans, all->count, sizeof(*all->spans), span_ends_before, &addr);
	uint64_t end = UINT64_MAX;

	*present = i < all->count && all->spans[i].start <= addr;
	if (i < all->count)
		end = *present ? all->spans[i].end : all->spans[i].start;
	return end - addr < len ? (size_t)(end - addr) : len;
}

/* Anonymous pages that were never touched are zeros, and a read would map them. */
static bool may_be_untouched(const struct mw_image *image, const struct mw_region *region)
{
	return image->exact_spans && image->has_spans && region && !region->map.inode &&
	       !region->swapped && region->map.readable &&
	       region->resident < region->map.end - region->map.start;
}

/* Read without the cache. LEN does not leave REGION, if there is one. */
static ssize_t fetch(struct mw_image *image, const struct mw_region *region, uint64_t addr,
		     uint8_t *buf, size_t len)
{
	struct mw_reader *reader = image->reader;
	bool sparse = may_be_untouched(image, region);
	/*
	 * A core knows the files of what it leaves out, and which of them are missing: GDB reads
	 * zeros there.
	 */
	bool left_out = image->ops->missing && region && region->map.inode && !region->resident;
	size_t done = 0;

	while (done < len) {
		size_t want = len - done;
		bool present = true;
		ssize_t n;

		if (sparse)
			want = same_residency(image, addr + done, want, &present);
		if (!present) {
			memset(buf + done, 0, want);
			done += want;
			continue;
		}
		if (reader->interrupted)
			return -EINTR;
		n = left_out ? image->ops->read(image, addr + done, buf + done, want) : 0;
		if (n <= 0)
			n = reader->callbacks.read(reader->callbacks.arg, addr + done, buf + done,
						   want);
		if (n == -EINTR)
			reader->interrupted = true;
		if (n < 0 && !done)
			return n;
		if (n <= 0)
			break;
		done += (size_t)n < want ? (size_t)n : want;
		if ((size_t)n < want)
			break;
	}
	return (ssize_t)done;
}

/* The piece of REGION that holds ADDR; NULL when ADDR can't be read, or without memory. */
static const struct piece *piece_at(struct mw_image *image, const struct mw_region *region,
				    uint64_t addr)
{
	struct piece *piece = &image->reader->pieces[addr / MW_READER_PIECE % PIECES];
	uint64_t start = addr & ~(MW_READER_PIECE - 1ULL), end = start + MW_READER_PIECE;
	ssize_t n;

	if (addr >= piece->start && addr - piece->start < piece->len)
		return piece;
	start = start > region->map.start ? start : region->map.start;
	end = end < region->map.end ? end : region->map.end;
	if (!piece->data)
		piece->data = malloc(MW_READER_PIECE);
	if (!piece->data)
		return NULL;
	n = fetch(image, region, start, piece->data, end - start);
	if (n >= 0 && addr - start >= (size_t)n && start < (addr & ~(PAGE - 1ULL))) {
		/* A hole before ADDR: read from ADDR's page on. */
		start = addr & ~(PAGE - 1ULL);
		n = fetch(image, region, start, piece->data, end - start);
	}
	piece->start = start;
	piece->len = n > 0 ? (size_t)n : 0;
	return addr - start < piece->len ? piece : NULL;
}

ssize_t mw_reader__read(struct mw_image *image, uint64_t addr, void *buf, size_t len)
{
	size_t done = 0;

	while (done < len) {
		const struct mw_region *region = mw_regions__find(&image->regions, addr + done);
		const struct piece *piece = NULL;
		size_t want = len - done;
		ssize_t n;

		if (region && region->io)
			break;
		if (!region) {
			/* The caller may know more, such as what a core leaves to the files. */
			n = fetch(image, NULL, addr + done, (uint8_t *)buf + done, want);
			if (n == -EINTR)
				return n;
			return n > 0 ? (ssize_t)done + n : (ssize_t)done;
		}
		if (want > region->map.end - addr - done)
			want = region->map.end - addr - done;
		if (want < MW_READER_PIECE && !image->changes)
			piece = piece_at(image, region, addr + done);
		if (piece) {
			uint64_t off = addr + done - piece->start;

			n = (ssize_t)(want < piece->len - off ? want : piece->len - off);
			memcpy((uint8_t *)buf + done, piece->data + off, (size_t)n);
		} else {
			n = fetch(image, region, addr + done, (uint8_t *)buf + done, want);
		}
		if (n == -EINTR || (n < 0 && n != -EFAULT && n != -EIO && !done))
			return n;
		if (n <= 0)
			break;
		done += (size_t)n;
		if (!piece && (size_t)n < want)
			break;
	}
	return (ssize_t)done;
}

int mw_reader__open_file(const struct mw_reader *reader, const char *id)
{
	const struct mw_image_callbacks *callbacks = &reader->callbacks;
	struct mw_elffile *file;
	char path[PATH_LENGTH];
	bool same;

	if (!callbacks->file || !id[0] || callbacks->file(callbacks->arg, id, path, sizeof(path)))
		return -1;
	file = mw_elffile__open(path, path, NULL);
	same = file && !strcmp(id, mw_elffile__build_id(file));
	mw_elffile__close(file);
	return same ? open(path, O_RDONLY | O_CLOEXEC) : -1;
}

void mw_reader__close(struct mw_reader *reader)
{
	if (!reader)
		return;
	for (size_t i = 0; i < PIECES; i++)
		free(reader->pieces[i].data);
	if (reader->callbacks.close)
		reader->callbacks.close(reader->callbacks.arg);
	free(reader);
}

int mw_image__redirect(struct mw_image *image, const struct mw_image_callbacks *callbacks)
{
	struct mw_reader *reader = calloc(1, sizeof(*reader));
	const struct mw_spans *spans;

	if (!reader)
		return -ENOMEM;
	reader->callbacks = *callbacks;
	if (image->exact_spans && mw_image__spans(image, &spans))
		image->exact_spans = false;
	image->reader = reader;
	image->changes = false;
	return 0;
}
