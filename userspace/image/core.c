// SPDX-License-Identifier: GPL-2.0-or-later
/* An ELF core as an image: core(5), the kernel's fs/binfmt_elf.c, GDB's gcore, our snapshot. */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "arch/arch.h"
#include "image/core_files.h"
#include "util/array.h"
#include "util/cleanup.h"
#include "util/log.h"
#include "util/search.h"
#include "util/text.h"

enum { PAGE = MW_PAGE_SIZE, NOTES_MAX = 256 << 20, SCAN = 1 << 20 };

struct segment {
	uint64_t start, end; /* addresses */
	uint64_t filled;     /* bytes from START on that were written */
	uint64_t held;	     /* bytes of them that are in the file: fewer if it was cut short */
	uint64_t offset;     /* in the file */
	uint32_t flags;	     /* PF_… */
};

struct core {
	int fd;
	uint64_t size;
	struct segment *segments;
	size_t count, capacity;
	struct mw_core_notes notes;
	struct mw_core_files files;
};

static bool read_at(const struct core *core, uint64_t offset, void *buf, size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = pread(core->fd, (char *)buf + done, len - done, (off_t)(offset + done));

		if (n <= 0)
			return false;
		done += (size_t)n;
	}
	return true;
}

/* EM_… of <elf.h>, as uname -m names them; EM_LOONGARCH is missing from older headers. */
static const struct {
	uint16_t machine;
	const char *name;
} machines[] = {
	{EM_AARCH64, "aarch64"}, {EM_S390, "s390x"},  {EM_PPC64, "ppc64"},
	{EM_RISCV, "riscv64"},	 {EM_MIPS, "mips64"}, {EM_SPARCV9, "sparc64"},
	{258, "loongarch64"},
};

static void name_machine(char *buf, size_t size, const Elf64_Ehdr *ehdr)
{
	bool big = ehdr->e_ident[EI_DATA] == ELFDATA2MSB;
	uint16_t machine =
		big ? (uint16_t)(ehdr->e_machine >> 8 | ehdr->e_machine << 8) : ehdr->e_machine;

	snprintf(buf, size, "ELF machine %u", machine);
	for (size_t i = 0; i < MW_ARRAY_SIZE(machines); i++) {
		if (machines[i].machine == machine)
			snprintf(buf, size, "%s%s", machines[i].name, big ? ", big-endian" : "");
	}
}

static int check_header(const Elf64_Ehdr *ehdr, const char *name, struct mw_err *err)
{
	char machine[48];

	if (memcmp(ehdr->e_ident, ELFMAG, SELFMAG))
		return mw_err_set(err, -ENOEXEC, "not-elf", name, "not an ELF file, so no core");
	if (ehdr->e_ident[EI_CLASS] != ELFCLASS64)
		return mw_err_set(err, -ENOTSUP, "32-bit", name,
				  "a 32-bit file; only cores of 64-bit x86 are supported");
	if (ehdr->e_ident[EI_DATA] != ELFDATA2LSB || ehdr->e_machine != MW_ARCH_MACHINE) {
		name_machine(machine, sizeof(machine), ehdr);
		return mw_err_set(err, -ENOTSUP, "other-machine", name,
				  "of another processor (%s), only " MW_ARCH_NAME " is supported",
				  machine);
	}
	if (ehdr->e_type != ET_CORE)
		return mw_err_set(err, -ENOEXEC, "not-core", name,
				  "an ELF %s, not a core; give a core file or a PID",
				  ehdr->e_type == ET_REL ? "object file" : "program or library");
	return 0;
}

/* The program headers: PN_XNUM puts their number into section 0 (elf(5)). */
static int read_phdrs(struct core *core, const Elf64_Ehdr *ehdr, Elf64_Phdr **phdrs, size_t *count,
		      const char *name, struct mw_err *err)
{
	uint64_t n = ehdr->e_phnum;

	if (n == PN_XNUM) {
		Elf64_Shdr shdr;

		if (!ehdr->e_shoff || !read_at(core, ehdr->e_shoff, &shdr, sizeof(shdr)))
			return mw_err_set(err, -EBADMSG, "bad-core", name,
					  "the number of its segments can't be read (PN_XNUM)");
		n = shdr.sh_info;
	}
	if (ehdr->e_phentsize != sizeof(Elf64_Phdr) || !n)
		return mw_err_set(err, -EBADMSG, "bad-core", name, "has no usable program headers");
	if (ehdr->e_phoff >= core->size || (core->size - ehdr->e_phoff) / sizeof(Elf64_Phdr) < n) {
		uint64_t there = ehdr->e_phoff < core->size
					 ? (core->size - ehdr->e_phoff) / sizeof(Elf64_Phdr)
					 : 0;

		if (!there)
			return mw_err_set(err, -EBADMSG, "truncated", name,
					  "cut short before its first program header");
		mw_warn("%s: cut short within its program headers: %llu of %llu are there", name,
			(unsigned long long)there, (unsigned long long)n);
		n = there;
	}
	if (n > MW_REGIONS_MAX)
		return mw_err_set(err, -E2BIG, "too-big", name, "over %d segments", MW_REGIONS_MAX);
	*phdrs = calloc(n, sizeof(**phdrs));
	if (!*phdrs)
		return mw_err_no_memory(err, name);
	if (!read_at(core, ehdr->e_phoff, *phdrs, n * sizeof(**phdrs)))
		return mw_err_set(err, -EIO, "unreadable", name, "can't read program headers");
	*count = n;
	return 0;
}

static int read_notes(struct mw_image *image, struct core *core, const Elf64_Phdr *ph)
{
	_cleanup_free_ uint8_t *data = NULL;
	uint64_t len = ph->p_filesz;

	if (ph->p_offset >= core->size)
		return 0;
	if (len > core->size - ph->p_offset)
		len = core->size - ph->p_offset;
	if (len > NOTES_MAX)
		len = NOTES_MAX;
	data = malloc(len + 1);
	if (!data)
		return -ENOMEM;
	if (!read_at(core, ph->p_offset, data, len))
		return 0;
	return mw_core_notes__parse(&core->notes, image, data, len, ph->p_align);
}

static int by_start(const void *a, const void *b)
{
	const struct segment *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

static int add_segment(struct mw_image *image, struct core *core, const Elf64_Phdr *ph)
{
	struct segment *s;
	uint64_t filled, end, held = ph->p_filesz < ph->p_memsz ? ph->p_filesz : ph->p_memsz;

	if (!ph->p_memsz || __builtin_add_overflow(ph->p_vaddr, ph->p_memsz, &end) ||
	    (end > 1ULL << MW_USER_BITS && ph->p_vaddr < 0xffffffffff600000ULL))
		return 0;
	image->promised += held;
	filled = held;
	if (ph->p_offset >= core->size)
		held = 0;
	else if (held > core->size - ph->p_offset)
		held = core->size - ph->p_offset;
	image->present += held;
	if (mw_array_reserve(&core->segments, &core->capacity, core->count + 1, sizeof(*s)))
		return -ENOMEM;
	core->segments[core->count++] =
		(struct segment){ph->p_vaddr, end, filled, held, ph->p_offset, ph->p_flags};
	return 0;
}

/* Of segments that overlap, the first one in address order counts. */
static void sort_segments(struct core *core, const char *name)
{
	size_t out = 0, overlapping = 0;

	qsort(core->segments, core->count, sizeof(*core->segments), by_start);
	for (size_t i = 0; i < core->count; i++) {
		struct segment s = core->segments[i];

		if (out && s.start < core->segments[out - 1].end) {
			uint64_t cut = core->segments[out - 1].end - s.start;

			overlapping++;
			if (core->segments[out - 1].end >= s.end)
				continue;
			s.start += cut;
			s.offset += cut;
			s.held = s.held > cut ? s.held - cut : 0;
			s.filled = s.filled > cut ? s.filled - cut : 0;
		}
		core->segments[out++] = s;
	}
	core->count = out;
	if (overlapping)
		mw_warn("%s: %zu segments overlap others; the first one in address order counts",
			name, overlapping);
}

/* The kernel's name of anonymous huge pages (fs/hugetlbfs/inode.c), which Rss leaves out. */
static const char huge_pages[] = "/anon_hugepage";

static int make_regions(struct mw_image *image, struct core *core)
{
	for (size_t i = 0; i < core->count; i++) {
		const struct segment *s = &core->segments[i];
		const struct mw_file_mapping *file = mw_core_notes__file(&core->notes, s->start);
		struct mw_region *region = mw_regions__add(&image->regions);

		if (!region)
			return -ENOMEM;
		region->map.start = s->start;
		region->map.end = s->end;
		region->map.readable = s->flags & PF_R;
		region->map.writable = s->flags & PF_W;
		region->map.executable = s->flags & PF_X;
		region->resident = s->held;
		if (file) {
			region->map.offset = file->offset + (s->start - file->start);
			region->map.inode = 1;
			region->map.deleted = file->deleted;
			/* A core does not say what is shared: these are. */
			region->map.shared = mw_map__is_memory(file->path);
			if (!strncmp(file->path, huge_pages, sizeof(huge_pages) - 1)) {
				region->hugetlb = s->held;
				region->resident = 0;
			}
		}
		region->map.path = strdup(file ? file->path : "");
		if (!region->map.path)
			return -ENOMEM;
	}
	return 0;
}

static bool segment_ends_before(const void *at, const void *key)
{
	const struct segment *s = at;

	return s->end <= *(const uint64_t *)key;
}

static const struct segment *find_segment(const struct core *core, uint64_t addr)
{
	size_t i = mw_search(core->segments, core->count, sizeof(*core->segments),
			     segment_ends_before, &addr);

	return i < core->count && core->segments[i].start <= addr ? &core->segments[i] : NULL;
}

static ssize_t read_backing(struct mw_image *image, struct core *core, uint64_t addr, void *buf,
			    size_t len)
{
	const struct mw_file_mapping *file = mw_core_notes__file(&core->notes, addr);
	int fd = file ? mw_core_files__fd(&core->files, image, file) : -1;

	if (fd < 0)
		return 0;
	if (len > file->end - addr)
		len = file->end - addr;
	return pread(fd, buf, len, (off_t)(file->offset + (addr - file->start)));
}

/*
 * Read at most LEN bytes at ADDR, which the core leaves out. A snapshot has all that was in memory
 * or in swap, so the rest of private memory without a file was never touched.
 */
static ssize_t read_left_out(struct mw_image *image, struct core *core, uint64_t addr, void *buf,
			     size_t len)
{
	const struct mw_region *region = image->residency == MW_RESIDENCY_RECORDED
						 ? mw_regions__find(&image->regions, addr)
						 : NULL;

	if (!region || region->map.inode || !region->map.readable || region->io)
		return read_backing(image, core, addr, buf, len);
	if (len > region->map.end - addr)
		len = region->map.end - addr;
	memset(buf, 0, len);
	return (ssize_t)len;
}

static ssize_t core_read(struct mw_image *image, uint64_t addr, void *buf, size_t len)
{
	struct core *core = image->state;
	size_t done = 0;

	while (done < len) {
		const struct segment *s = find_segment(core, addr + done);
		size_t want = len - done;
		ssize_t n;

		if (!s) {
			/* GDB's gcore writes no segment for what it leaves to the files. */
			n = read_backing(image, core, addr + done, (char *)buf + done, want);
			if (n <= 0)
				break;
			done += (size_t)n;
			continue;
		}
		if (addr + done - s->start < s->filled) {
			uint64_t off = addr + done - s->start;

			if (off >= s->held)
				break; /* the core was cut short */
			if (want > s->held - off)
				want = s->held - off;
			n = pread(core->fd, (char *)buf + done, want, (off_t)(s->offset + off));
		} else {
			if (want > s->end - addr - done)
				want = s->end - addr - done;
			n = read_left_out(image, core, addr + done, (char *)buf + done, want);
		}
		if (n <= 0)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

static uint64_t core_held(const struct mw_image *image, const struct mw_region *r)
{
	const struct segment *s = NULL;
	uint64_t at = r->map.start;

	while (at < r->map.end && (s = find_segment(image->state, at)) && s->held == s->filled)
		at = s->end;
	if (at < r->map.end && s && s->start + s->held > at)
		at = s->start + s->held;
	return (at < r->map.end ? at : r->map.end) - r->map.start;
}

static uint64_t core_next_held(const struct mw_image *image, uint64_t addr)
{
	const struct core *core = image->state;
	size_t i = mw_search(core->segments, core->count, sizeof(*core->segments),
			     segment_ends_before, &addr);

	for (; i < core->count; i++) {
		const struct segment *s = &core->segments[i];
		uint64_t at = addr > s->start ? addr : s->start;

		if (at - s->start < s->held)
			return at;
	}
	return UINT64_MAX;
}

static bool is_zero(const uint8_t *page)
{
	return !page[0] && !memcmp(page, page + 1, PAGE - 1);
}

/*
 * The next data of the core file from OFFSET on, whole pages behind it and before END: holes of the
 * file are zeros. Pages of memory need not be pages of the file, as in gcore's cores.
 */
static uint64_t skip_hole(const struct core *core, uint64_t offset, uint64_t end)
{
	off_t data = lseek(core->fd, (off_t)offset, SEEK_DATA);

	if (data < 0)
		return errno == ENXIO ? end : offset;
	return (uint64_t)data < end ? offset + ((uint64_t)data - offset) / PAGE * PAGE : end;
}

/*
 * A plain core does not say what was resident. gcore writes all private and shared memory, as zeros
 * where nothing was ever touched, and the kernel makes holes of that. So pages of zeros are counted
 * apart.
 */
static int nonzero_spans(const struct core *core, const struct segment *s, struct mw_region *region,
			 uint8_t *buf, struct mw_spans *out)
{
	uint64_t end = s->offset + s->held, at = s->offset, bias = s->start - s->offset, sum = 0;
	int ret = 0;

	while (at < end && !ret) {
		size_t want;

		at = skip_hole(core, at, end);
		want = end - at < SCAN ? end - at : SCAN;
		if (!want || !read_at(core, at, buf, want))
			break;
		for (size_t i = 0; i < want && !ret; i += PAGE) {
			size_t n = want - i < PAGE ? want - i : PAGE;

			if (n == PAGE && is_zero(buf + i))
				continue;
			ret = mw_spans__add(out, at + i + bias, at + i + n + bias);
			sum += n;
		}
		at += want;
	}
	region->zeros = s->held - sum;
	region->resident = sum;
	return ret;
}

static int held_spans(struct mw_image *image, struct mw_spans *out)
{
	const struct core *core = image->state;
	_cleanup_free_ uint8_t *buf = malloc(SCAN);
	int ret = buf ? 0 : -ENOMEM;

	for (size_t i = 0; i < core->count && !ret; i++) {
		struct mw_region *region = &image->regions.regions[i];
		const struct segment *s = &core->segments[i];

		if (region->hugetlb)
			continue;
		if (region->map.inode && !mw_map__is_memory(region->map.path))
			ret = mw_spans__add(out, s->start, s->start + s->held);
		else
			ret = nonzero_spans(core, s, region, buf, out);
	}
	return ret;
}

static int core_spans(struct mw_image *image, struct mw_spans *out)
{
	const struct core *core = image->state;
	int ret = 0;

	if (image->residency == MW_RESIDENCY_RECORDED) {
		for (size_t i = 0; i < core->notes.spans.count && !ret; i++)
			ret = mw_spans__add(out, core->notes.spans.spans[i].start,
					    core->notes.spans.spans[i].end);
		return ret;
	}
	return held_spans(image, out);
}

static int core_open_file(struct mw_image *image, const struct mw_region *region)
{
	struct core *core = image->state;
	const struct mw_file_mapping *mapping =
		mw_core_notes__file(&core->notes, region->map.start);

	return mapping ? mw_core_files__open(&core->files, image, mapping) : -1;
}

static bool core_missing(const struct mw_image *image, size_t i, struct mw_missing_file *missing)
{
	const struct core *core = image->state;

	return mw_core_files__missing(&core->files, i, missing);
}

static void core_close(void *state)
{
	struct core *core = state;

	mw_core_files__free(&core->files);
	mw_core_notes__free(&core->notes);
	if (core->fd >= 0)
		close(core->fd);
	free(core->segments);
	free(core);
}

static const struct mw_image_ops core_ops = {
	.read = core_read,
	.spans = core_spans,
	.held = core_held,
	.next_held = core_next_held,
	.open_file = core_open_file,
	.missing = core_missing,
	.close = core_close,
};

static int load(struct mw_image *image, struct core *core, struct mw_err *err)
{
	_cleanup_free_ Elf64_Phdr *phdrs = NULL;
	Elf64_Ehdr ehdr = {0};
	size_t count = 0;
	ssize_t n = pread(core->fd, &ehdr, sizeof(ehdr), 0);
	int ret;

	if (n < 0)
		return mw_err_set(err, -errno, "unreadable", image->name, "can't read it: %s",
				  strerror(errno));
	if (!n)
		return mw_err_set(err, -ENODATA, "empty", image->name, "an empty file");
	if (n < (ssize_t)sizeof(ehdr) && n >= SELFMAG && !memcmp(&ehdr, ELFMAG, SELFMAG))
		return mw_err_set(err, -EBADMSG, "truncated", image->name,
				  "cut short within the ELF header");
	ret = check_header(&ehdr, image->name, err);
	if (!ret)
		ret = read_phdrs(core, &ehdr, &phdrs, &count, image->name, err);
	if (ret)
		return ret;
	for (size_t i = 0; i < count && !ret; i++) {
		if (phdrs[i].p_type == PT_NOTE)
			ret = read_notes(image, core, &phdrs[i]);
		else if (phdrs[i].p_type == PT_LOAD)
			ret = add_segment(image, core, &phdrs[i]);
	}
	if (ret)
		return mw_err_no_memory(err, image->name);
	if (!core->count)
		return mw_err_set(err, -ENODATA, "bad-core", image->name,
				  "a core without any memory in it");
	sort_segments(core, image->name);
	if (core->notes.recorded.count && core->notes.has_spans) {
		image->residency = MW_RESIDENCY_RECORDED;
		image->regions = core->notes.recorded;
		memset(&core->notes.recorded, 0, sizeof(core->notes.recorded));
		image->exact_spans = true;
		return 0;
	}
	image->residency = MW_RESIDENCY_HELD;
	ret = make_regions(image, core);
	return ret ? mw_err_no_memory(err, image->name) : 0;
}

static int open_file(struct mw_image *image, struct core *core, const char *path,
		     struct mw_err *err)
{
	bool cut = false;
	struct stat st;
	int fd;

	core->fd = open(path, O_RDONLY | O_CLOEXEC);
	if (core->fd < 0)
		return mw_err_set(err, -errno, "unreadable", image->name, "can't open it: %s",
				  strerror(errno));
	if (fstat(core->fd, &st) || !S_ISREG(st.st_mode))
		return mw_err_set(err, -EINVAL, "unreadable", image->name, "not a regular file");
	fd = mw_unpack(core->fd, image->name, &cut, err);
	if (fd < 0)
		return fd;
	if (fd != MW_UNPACK_PLAIN) {
		close(core->fd);
		core->fd = fd;
		if (cut)
			mw_warn("%s: its compressed data ends early or is damaged", image->name);
		if (fstat(fd, &st))
			return mw_err_set(err, -errno, "unreadable", image->name, "can't stat it");
		if (cut && !st.st_size)
			return mw_err_set(err, -EBADMSG, "truncated", image->name,
					  "its compressed data ends before the core begins");
	}
	core->size = (uint64_t)st.st_size;
	posix_fadvise(core->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	return 0;
}

struct mw_image *mw_image__open_core(const char *path, const struct mw_image_options *options,
				     struct mw_err *err)
{
	struct mw_image *image = calloc(1, sizeof(*image));
	struct core *core = calloc(1, sizeof(*core));
	int ret = -ENOMEM;

	if (!image || !core) {
		mw_err_no_memory(err, NULL);
		free(core);
		goto cleanup;
	}
	core->fd = -1;
	mw_core_files__init(&core->files, &core->notes);
	image->state = core;
	image->ops = &core_ops;
	mw_text_clean(image->name, sizeof(image->name), path, strlen(path));
	if (options && options->exe)
		core->files.exe = strdup(options->exe);
	if (options && options->sysroot)
		core->files.sysroot = strdup(options->sysroot);
	image->exe = core->files.exe;
	image->roots[0] = core->files.sysroot ? core->files.sysroot : "";
	image->roots[1] = core->files.sysroot ? "" : NULL;
	ret = open_file(image, core, path, err);
	if (!ret)
		ret = load(image, core, err);
	if (!ret)
		return image;

cleanup:
	mw_image__close(image);
	errno = -ret;
	return NULL;
}
