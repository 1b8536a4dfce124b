// SPDX-License-Identifier: GPL-2.0-or-later
/* An ELF core as an image: core(5), the kernel's fs/binfmt_elf.c, GDB's gcore, our snapshot. */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "arch/arch.h"
#include "image/core_notes.h"
#include "image/elffile.h"
#include "util/array.h"
#include "util/cleanup.h"
#include "util/log.h"
#include "util/search.h"
#include "util/text.h"

enum { NOTES_MAX = 256 << 20, BACKING_MAX = 1024 };

struct segment {
	uint64_t start, end; /* addresses */
	uint64_t held;	     /* bytes from START on that are in the file */
	uint64_t offset;     /* in the file */
	uint32_t flags;	     /* PF_… */
};

/* A file whose pages the core leaves out, by the path in the notes. Looked up once. */
struct backing {
	const char *path; /* the notes' own text */
	int fd;		  /* -1: not there, or not the same file */
};

struct core {
	int fd;
	uint64_t size;
	struct segment *segments;
	size_t count, capacity;
	struct mw_core_notes notes;
	struct backing backings[BACKING_MAX];
	size_t backing_count;
	char *exe, *sysroot;
	bool opening; /* a file is being identified: reads must not look for another one */
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

static int check_header(const Elf64_Ehdr *ehdr, const char *name, struct mw_err *err)
{
	if (memcmp(ehdr->e_ident, ELFMAG, SELFMAG))
		return mw_err_set(err, -ENOEXEC, "not-elf", name, "not an ELF file, so no core");
	if (ehdr->e_ident[EI_CLASS] != ELFCLASS64)
		return mw_err_set(err, -ENOTSUP, "32-bit", name,
				  "a 32-bit file; only cores of 64-bit x86 are supported");
	if (ehdr->e_ident[EI_DATA] != ELFDATA2LSB || ehdr->e_machine != MW_ARCH_MACHINE)
		return mw_err_set(err, -ENOTSUP, "other-machine", name,
				  "of another processor (ELF machine %u%s), only " MW_ARCH_NAME
				  " is supported",
				  (unsigned int)ehdr->e_machine,
				  ehdr->e_machine == EM_AARCH64 ? ", aarch64"
				  : ehdr->e_machine == EM_S390	? ", s390"
				  : ehdr->e_machine == EM_PPC64 ? ", ppc64"
								: "");
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
	uint64_t end, held = ph->p_filesz < ph->p_memsz ? ph->p_filesz : ph->p_memsz;

	if (!ph->p_memsz || __builtin_add_overflow(ph->p_vaddr, ph->p_memsz, &end) ||
	    (end > 1ULL << MW_USER_BITS && ph->p_vaddr < 0xffffffffff600000ULL))
		return 0;
	image->promised += held;
	if (ph->p_offset >= core->size)
		held = 0;
	else if (held > core->size - ph->p_offset)
		held = core->size - ph->p_offset;
	image->present += held;
	if (mw_array_reserve(&core->segments, &core->capacity, core->count + 1, sizeof(*s)))
		return -ENOMEM;
	core->segments[core->count++] =
		(struct segment){ph->p_vaddr, end, held, ph->p_offset, ph->p_flags};
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
		}
		core->segments[out++] = s;
	}
	core->count = out;
	if (overlapping)
		mw_warn("%s: %zu segments overlap others; the first one in address order counts",
			name, overlapping);
}

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

/* Open PATH below the sysroot, or the --exe file: the first that has build id ID. */
static int open_same(struct core *core, const char *path, const char *id)
{
	char full[PATH_MAX];
	const char *tries[] = {full, core->exe};

	snprintf(full, sizeof(full), "%s%s", core->sysroot ? core->sysroot : "", path);
	for (size_t i = 0; i < MW_ARRAY_SIZE(tries); i++) {
		struct mw_elffile *file = tries[i] ? mw_elffile__open(tries[i], path, NULL) : NULL;
		bool same = file && id[0] && !strcmp(mw_elffile__build_id(file), id);

		mw_elffile__close(file);
		if (same)
			return open(tries[i], O_RDONLY | O_CLOEXEC);
	}
	return -1;
}

/* The file behind MAPPING if its build id is the one in the core's memory; the core closes it. */
static int backing_fd(struct mw_image *image, struct core *core,
		      const struct mw_file_mapping *mapping)
{
	char id[MW_BUILD_ID_TEXT] = "";
	size_t i;

	for (i = 0; i < core->backing_count; i++) {
		if (!strcmp(core->backings[i].path, mapping->path))
			return core->backings[i].fd;
	}
	if (core->opening || i == BACKING_MAX)
		return -1;
	core->opening = true;
	for (size_t k = 0; k < core->notes.file_count && !id[0]; k++) {
		const struct mw_file_mapping *first = &core->notes.files[k];

		if (!first->offset && !strcmp(first->path, mapping->path))
			mw_image__build_id(image, first->start, id, sizeof(id));
	}
	core->opening = false;
	core->backings[i] = (struct backing){mapping->path, open_same(core, mapping->path, id)};
	core->backing_count++;
	if (core->backings[i].fd < 0) {
		char clean[160];

		mw_text_clean(clean, sizeof(clean), mapping->path, strlen(mapping->path));
		mw_detail("%s: the file is not here with build id %s; its pages stay unread", clean,
			  id[0] ? id : "(none in the core)");
	}
	return core->backings[i].fd;
}

static ssize_t read_backing(struct mw_image *image, struct core *core, uint64_t addr, void *buf,
			    size_t len)
{
	const struct mw_file_mapping *file = mw_core_notes__file(&core->notes, addr);
	int fd = file ? backing_fd(image, core, file) : -1;

	if (fd < 0)
		return 0;
	if (len > file->end - addr)
		len = file->end - addr;
	return pread(fd, buf, len, (off_t)(file->offset + (addr - file->start)));
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
		if (addr + done - s->start < s->held) {
			uint64_t off = addr + done - s->start;

			if (want > s->held - off)
				want = s->held - off;
			n = pread(core->fd, (char *)buf + done, want, (off_t)(s->offset + off));
		} else {
			if (want > s->end - addr - done)
				want = s->end - addr - done;
			n = read_backing(image, core, addr + done, (char *)buf + done, want);
		}
		if (n <= 0)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
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
	for (size_t i = 0; i < core->count && !ret; i++)
		ret = mw_spans__add(out, core->segments[i].start,
				    core->segments[i].start + core->segments[i].held);
	return ret;
}

static int core_open_file(struct mw_image *image, const struct mw_region *region)
{
	struct core *core = image->state;
	const struct mw_file_mapping *mapping =
		mw_core_notes__file(&core->notes, region->map.start);
	int fd = mapping ? backing_fd(image, core, mapping) : -1;

	return fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0);
}

static void core_close(void *state)
{
	struct core *core = state;

	for (size_t i = 0; i < core->backing_count; i++) {
		if (core->backings[i].fd >= 0)
			close(core->backings[i].fd);
	}
	mw_core_notes__free(&core->notes);
	if (core->fd >= 0)
		close(core->fd);
	free(core->segments);
	free(core->exe);
	free(core->sysroot);
	free(core);
}

static const struct mw_image_ops core_ops = {
	.read = core_read,
	.spans = core_spans,
	.open_file = core_open_file,
	.close = core_close,
	.reads_ahead = true,
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
	image->state = core;
	image->ops = &core_ops;
	mw_text_clean(image->name, sizeof(image->name), path, strlen(path));
	if (options && options->exe)
		core->exe = strdup(options->exe);
	if (options && options->sysroot)
		core->sysroot = strdup(options->sysroot);
	image->roots[0] = core->sysroot ? core->sysroot : "";
	image->roots[1] = core->sysroot ? "" : NULL;
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
