// SPDX-License-Identifier: GPL-2.0-or-later
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "arch/arch.h"
#include "image/elffile.h"
#include "image/image_impl.h"
#include "util/array.h"
#include "util/cleanup.h"
#include "util/parallel.h"

enum {
	PAGE = MW_PAGE_SIZE,
	HURRIED_WAITS = 4,
	PHDRS_MAX = 64,
	NOTE_MAX = 4096,
	VDSO_MAX = 1 << 20
};

void mw_image__close(struct mw_image *image)
{
	if (!image)
		return;
	if (image->ops && image->ops->close)
		image->ops->close(image->state);
	mw_reader__close(image->reader);
	mw_regions__free(&image->regions);
	free(image->smaps);
	free(image->threads);
	free(image->spans.spans);
	free(image);
}

const char *mw_image__smaps(const struct mw_image *image, size_t *len)
{
	*len = image->smaps_len;
	return image->smaps;
}

enum mw_residency mw_image__residency(const struct mw_image *image)
{
	return image->residency;
}

pid_t mw_image__process(const struct mw_image *image)
{
	return image->process;
}

bool mw_image__is_still(const struct mw_image *image)
{
	return !image->changes;
}

void mw_image__set_still(struct mw_image *image, bool still)
{
	image->changes = !still;
}

bool mw_image__has_remapped(struct mw_image *image)
{
	if (image->hurries && image->changes)
		return true;
	/* Once it has, it has. */
	if (!image->remapped && image->changes && image->ops->remapped && !image->reader)
		image->remapped = image->ops->remapped(image);
	return image->remapped;
}

void mw_image__let_run(struct mw_image *image)
{
	bool waits = image->changes && image->process && !image->reader;
	unsigned int left = image->waits_left;

	if (!waits)
		return;
	while (image->hurries && left &&
	       !atomic_compare_exchange_weak(&image->waits_left, &left, left - 1))
		continue;
	if (!image->hurries || left)
		mw_process_let_run(image->process);
}

void mw_image__hurry(struct mw_image *image)
{
	image->hurries = true;
	image->waits_left = HURRIED_WAITS;
}

unsigned int mw_image__readers(const struct mw_image *image)
{
	return image->reader ? 1 : mw_processors();
}

bool mw_image__is_stopped(const struct mw_image *image)
{
	return image->stop && *image->stop;
}

const char *mw_image__root(const struct mw_image *image, size_t i)
{
	return i < MW_IMAGE_ROOTS ? image->roots[i] : NULL;
}

void mw_image__stop_with(struct mw_image *image, const atomic_bool *stop)
{
	image->stop = stop;
}

int mw_image__refresh(struct mw_image *image)
{
	return image->ops->refresh && !image->reader ? image->ops->refresh(image) : 0;
}

const char *mw_image__name(const struct mw_image *image)
{
	return image->name;
}

ssize_t mw_image__read(struct mw_image *image, uint64_t addr, void *buf, size_t len)
{
	ssize_t n;

	/* Reads end at the end of the address space. */
	if (len > UINT64_MAX - addr)
		len = (size_t)(UINT64_MAX - addr);
	if (!len)
		return 0;
	if (mw_image__is_stopped(image))
		return -EINTR;
	n = image->reader ? mw_reader__read(image, addr, buf, len)
			  : image->ops->read(image, addr, buf, len);
	if (n > 0)
		atomic_fetch_add_explicit(&image->bytes_read, (uint64_t)n, memory_order_relaxed);
	return n;
}

uint64_t mw_image__in_swap(const struct mw_image *image)
{
	return atomic_load_explicit(&image->in_swap, memory_order_relaxed);
}

uint64_t mw_image__bytes_read(const struct mw_image *image)
{
	return atomic_load_explicit(&image->bytes_read, memory_order_relaxed);
}

bool mw_image__read_all(struct mw_image *image, uint64_t addr, void *buf, size_t len)
{
	ssize_t n = mw_image__read(image, addr, buf, len);

	return n >= 0 && (size_t)n == len;
}

size_t mw_image__read_parts(struct mw_image *image, uint64_t addr, uint64_t stride, void *buf,
			    size_t len, size_t count)
{
	size_t n = 0;

	if (image->ops->read_parts && !image->reader && !mw_image__is_stopped(image)) {
		n = image->ops->read_parts(image, addr, stride, buf, len, count);
		atomic_fetch_add_explicit(&image->bytes_read, n * len, memory_order_relaxed);
		return n;
	}
	while (n < count &&
	       mw_image__read_all(image, addr + n * stride, (uint8_t *)buf + n * len, len))
		n++;
	return n;
}

bool mw_image__read_u64(struct mw_image *image, uint64_t addr, uint64_t *value)
{
	return mw_image__read_all(image, addr, value, sizeof(*value));
}

const struct mw_regions *mw_image__regions(const struct mw_image *image)
{
	return &image->regions;
}

const struct mw_region *mw_image__find(const struct mw_image *image, uint64_t addr)
{
	return mw_regions__find(&image->regions, addr);
}

const struct mw_thread *mw_image__threads(const struct mw_image *image, size_t *count)
{
	*count = image->thread_count;
	return image->threads;
}

bool mw_image__is_stack(const struct mw_image *image, const struct mw_region *r)
{
	for (size_t i = 0; i < image->thread_count; i++) {
		uint64_t sp = image->threads[i].registers.sp;

		if (sp >= r->map.start && sp < r->map.end)
			return true;
	}
	return false;
}

void mw_image__set_registers(struct mw_image *image, pid_t tid,
			     const struct mw_arch_registers *registers)
{
	for (size_t i = 0; i < image->thread_count; i++) {
		if (image->threads[i].tid == tid)
			image->threads[i].registers = *registers;
	}
}

uint64_t mw_image__auxv(const struct mw_image *image, uint64_t type)
{
	for (size_t i = 0; i < image->auxv_count; i++) {
		if (image->auxv[i].type == type)
			return image->auxv[i].value;
	}
	return 0;
}

void mw_image__set_auxv(struct mw_image *image, const void *data, size_t len)
{
	size_t n = len / sizeof(struct mw_auxv);

	image->auxv_count = n < MW_AUXV_MAX ? n : MW_AUXV_MAX;
	if (image->auxv_count)
		memcpy(image->auxv, data, image->auxv_count * sizeof(struct mw_auxv));
}

struct mw_thread *mw_image__add_thread(struct mw_image *image)
{
	struct mw_thread *thread;

	if (mw_array_reserve(&image->threads, &image->thread_capacity, image->thread_count + 1,
			     sizeof(*image->threads)))
		return NULL;
	thread = &image->threads[image->thread_count++];
	memset(thread, 0, sizeof(*thread));
	return thread;
}

int mw_spans__add(struct mw_spans *spans, uint64_t start, uint64_t end)
{
	int ret;

	if (start >= end)
		return 0;
	if (spans->count && spans->spans[spans->count - 1].end == start) {
		spans->spans[spans->count - 1].end = end;
		return 0;
	}
	ret = mw_array_reserve(&spans->spans, &spans->capacity, spans->count + 1,
			       sizeof(*spans->spans));
	if (ret)
		return ret;
	spans->spans[spans->count++] = (struct mw_span){start, end};
	return 0;
}

int mw_image__spans(struct mw_image *image, const struct mw_spans **spans)
{
	int ret = 0;

	if (!image->has_spans)
		ret = image->ops->spans(image, &image->spans);
	image->has_spans = true;
	*spans = &image->spans;
	return ret;
}

void mw_image__count_only(struct mw_image *image, struct mw_spans *spans)
{
	size_t at = 0;

	free(image->spans.spans);
	image->spans = *spans;
	image->has_spans = true;
	*spans = (struct mw_spans){0};
	for (size_t i = 0; i < image->regions.count; i++) {
		struct mw_region *region = &image->regions.regions[i];

		region->resident = 0;
		for (; at < image->spans.count && image->spans.spans[at].start < region->map.end;
		     at++) {
			const struct mw_span *span = &image->spans.spans[at];
			uint64_t start =
				span->start > region->map.start ? span->start : region->map.start;
			uint64_t end = span->end < region->map.end ? span->end : region->map.end;

			region->resident += end > start ? end - start : 0;
			/* It goes on in the next region. */
			if (span->end > region->map.end)
				break;
		}
	}
}

bool mw_image__spans_are_exact(const struct mw_image *image)
{
	return image->residency != MW_RESIDENCY_SMAPS || image->exact_spans;
}

void mw_image__coverage(const struct mw_image *image, uint64_t *present, uint64_t *promised)
{
	*present = image->present;
	*promised = image->promised;
}

uint64_t mw_image__held(const struct mw_image *image, const struct mw_region *r)
{
	return image->ops->held ? image->ops->held(image, r) : r->map.end - r->map.start;
}

uint64_t mw_image__next_held(const struct mw_image *image, uint64_t addr, uint64_t align,
			     uint64_t limit)
{
	while (addr < limit) {
		uint64_t at = (addr + align - 1) & ~(align - 1);

		if (at < addr || at >= limit)
			break;
		addr = image->ops->next_held ? image->ops->next_held(image, at) : at;
		if (addr == at)
			return at;
	}
	return limit;
}

bool mw_image__is_cut(const struct mw_image *image)
{
	return image->present < image->promised;
}

/*
 * ---- ELF files in memory ----------------------------------------------------------------------
 */

/* The program headers of the ELF file mapped at BASE, PHDRS_MAX at most: how many. */
static size_t read_phdrs(struct mw_image *image, uint64_t base, Elf64_Phdr *phdrs)
{
	Elf64_Ehdr ehdr;
	size_t n;

	if (!mw_image__read_all(image, base, &ehdr, sizeof(ehdr)) ||
	    memcmp(ehdr.e_ident, ELFMAG, SELFMAG) || ehdr.e_phentsize != sizeof(*phdrs))
		return 0;
	n = ehdr.e_phnum < PHDRS_MAX ? ehdr.e_phnum : PHDRS_MAX;
	return mw_image__read_all(image, base + ehdr.e_phoff, phdrs, n * sizeof(*phdrs)) ? n : 0;
}

/* The lowest page that is mapped, in the file's own addresses. */
static uint64_t first_page(const Elf64_Phdr *phdrs, size_t n)
{
	uint64_t first = UINT64_MAX;

	for (size_t i = 0; i < n; i++) {
		if (phdrs[i].p_type == PT_LOAD && phdrs[i].p_vaddr < first)
			first = phdrs[i].p_vaddr & ~(PAGE - 1ULL);
	}
	return first;
}

static bool note_build_id(const uint8_t *note, size_t len, char *text, size_t size)
{
	size_t off = 0;

	while (len - off >= sizeof(Elf64_Nhdr)) {
		Elf64_Nhdr nhdr;
		size_t name, desc;

		memcpy(&nhdr, note + off, sizeof(nhdr));
		off += sizeof(nhdr);
		name = ((size_t)nhdr.n_namesz + 3) & ~(size_t)3;
		desc = ((size_t)nhdr.n_descsz + 3) & ~(size_t)3;
		if (name > len - off || desc > len - off - name)
			return false;
		if (nhdr.n_type == NT_GNU_BUILD_ID && nhdr.n_namesz == 4 &&
		    !memcmp(note + off, "GNU", 4) && 2 * (size_t)nhdr.n_descsz < size) {
			for (size_t i = 0; i < nhdr.n_descsz; i++)
				snprintf(text + 2 * i, 3, "%02x", note[off + name + i]);
			return nhdr.n_descsz > 0;
		}
		off += name + desc;
	}
	return false;
}

void mw_image__build_id(struct mw_image *image, uint64_t base, char *text, size_t size)
{
	Elf64_Phdr phdrs[PHDRS_MAX] = {{0}};
	size_t n = read_phdrs(image, base, phdrs);
	uint64_t first = first_page(phdrs, n);
	uint8_t note[NOTE_MAX];

	for (size_t i = 0; i < n; i++) {
		size_t len = phdrs[i].p_filesz < NOTE_MAX ? phdrs[i].p_filesz : NOTE_MAX;

		if (phdrs[i].p_type == PT_NOTE &&
		    mw_image__read_all(image, base + (phdrs[i].p_vaddr - first), note, len) &&
		    note_build_id(note, len, text, size))
			return;
	}
	text[0] = '\0';
}

uint64_t mw_image__elf_end(struct mw_image *image, uint64_t base)
{
	Elf64_Phdr phdrs[PHDRS_MAX] = {{0}};
	size_t n = read_phdrs(image, base, phdrs);
	uint64_t first = first_page(phdrs, n), end = 0;

	for (size_t i = 0; i < n; i++) {
		uint64_t last = phdrs[i].p_vaddr + phdrs[i].p_memsz;

		if (phdrs[i].p_type == PT_LOAD && last > end)
			end = last;
	}
	return first > end ? 0 : base + ((end - first + PAGE - 1) & ~(PAGE - 1ULL));
}

/*
 * ---- files ------------------------------------------------------------------------------------
 */

bool mw_image__is_vdso(const struct mw_image *image, const struct mw_region *region)
{
	return region->map.start && region->map.start == mw_image__auxv(image, AT_SYSINFO_EHDR);
}

/* The vDSO is a whole ELF file, of which there is only this copy. */
static int copy_vdso(struct mw_image *image, const struct mw_region *region)
{
	size_t size = (size_t)(region->map.end - region->map.start);
	_cleanup_free_ uint8_t *bytes = size <= VDSO_MAX ? malloc(size) : NULL;
	int fd;

	/* Page by page: a longer read takes what is not in memory for zeros. */
	for (size_t at = 0; bytes && at < size; at += PAGE) {
		if (!mw_image__read_all(image, region->map.start + at, bytes + at, PAGE))
			return -1;
	}
	if (!bytes)
		return -1;
	fd = memfd_create("vdso", MFD_CLOEXEC);
	if (fd >= 0 && pwrite(fd, bytes, size, 0) != (ssize_t)size) {
		close(fd);
		fd = -1;
	}
	return fd;
}

int mw_image__open_file(struct mw_image *image, const struct mw_region *region)
{
	char id[MW_BUILD_ID_TEXT];
	int fd = -1;

	if (mw_image__is_vdso(image, region))
		return copy_vdso(image, region);
	if (!region->map.inode)
		return -1;
	if (image->reader) {
		const struct mw_region *first = mw_regions__file_start(&image->regions, region);

		mw_image__build_id(image, first->map.start, id, sizeof(id));
		fd = mw_reader__open_file(image->reader, id);
	}
	if (fd < 0 && image->ops->open_file)
		fd = image->ops->open_file(image, region);
	return fd;
}

bool mw_image__missing_file(const struct mw_image *image, size_t i, struct mw_missing_file *missing)
{
	return image->ops->missing && image->ops->missing(image, i, missing);
}

const char *mw_image__exe(const struct mw_image *image)
{
	return image->exe;
}

struct mw_elffile *mw_image__elffile(struct mw_image *image, uint64_t base)
{
	const struct mw_region *region = mw_image__find(image, base);
	int fd = region ? mw_image__open_file(image, region) : -1;
	struct mw_elffile *file = fd < 0 ? NULL : mw_elffile__open_fd(fd, region->map.path, NULL);
	char id[MW_BUILD_ID_TEXT];

	mw_image__build_id(image, base, id, sizeof(id));
	if (file && id[0] && strcmp(id, mw_elffile__build_id(file))) {
		mw_elffile__close(file);
		file = NULL;
	}
	return file;
}

/*
 * ---- sequential reading -----------------------------------------------------------------------
 */

int mw_read_buffer__init(struct mw_read_buffer *buffer, struct mw_image *image)
{
	memset(buffer, 0, sizeof(*buffer));
	buffer->image = image;
	buffer->buf = malloc(MW_READ_BUFFER_SIZE);
	return buffer->buf ? 0 : -ENOMEM;
}

void mw_read_buffer__free(struct mw_read_buffer *buffer)
{
	free(buffer->buf);
	memset(buffer, 0, sizeof(*buffer));
}

/*
 * How much to read at START, at most AHEAD: to the end of its region unless NEED bytes go on behind
 * it. What lies there has not been asked for, and a core may have left it to a file that is
 * missing.
 */
static size_t read_ahead(const struct mw_image *image, uint64_t start, size_t ahead, size_t need)
{
	const struct mw_region *region = mw_regions__find(mw_image__regions(image), start);
	uint64_t left = region ? region->map.end - start : need;

	if (left < need)
		left = need;
	return left < ahead ? (size_t)left : ahead;
}

/*
 * After a jump read a page or two, in sequence whole batches: a heap of small chunks takes few
 * calls, and one of large chunks is not read as a whole.
 */
const uint8_t *mw_read_buffer__refill(struct mw_read_buffer *buffer, uint64_t addr, size_t need)
{
	uint64_t start = addr & ~(PAGE - 1ULL);
	size_t want = 2 * MW_READ_BUFFER_NEED;
	ssize_t n;

	if (need > MW_READ_BUFFER_NEED)
		return NULL;
	if (addr >= buffer->start && addr - buffer->start < buffer->len + (64 << 10))
		want = MW_READ_BUFFER_SIZE;
	want = read_ahead(buffer->image, start, want, addr - start + need);
	n = mw_image__read(buffer->image, start, buffer->buf, want);
	buffer->start = start;
	buffer->len = n > 0 ? (size_t)n : 0;
	if (addr - start > buffer->len || need > buffer->len - (addr - start))
		return NULL;
	return buffer->buf + (addr - start);
}
