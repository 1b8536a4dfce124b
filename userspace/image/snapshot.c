// SPDX-License-Identifier: GPL-2.0-or-later
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/procfs.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include "arch/arch.h"
#include "image/core_notes.h"
#include "image/freeze.h"
#include "image/snapshot.h"
#include "image/snapshot_layout.h"
#include "util/array.h"
#include "util/cleanup.h"
#include "util/file.h"

enum { PAGE = MW_PAGE_SIZE, COPY = 1 << 20, COPIERS = 8 };

struct buffer {
	uint8_t *data;
	size_t len, capacity;
};

struct writer {
	pid_t pid;
	struct mw_image *image;
	struct mw_freeze *freeze;
	struct buffer notes;
	Elf64_Phdr *phdrs;
	size_t phnum;
	struct mw_snapshot_layout layout;
	uint64_t end; /* of the file */
	int fd;
	uint64_t copied;
	uint8_t *buf; /* COPY bytes */
	/*
	 * With enough memory, copy into memory and write the file after the process has been
	 * resumed: writing takes several times as long.
	 */
	uint8_t *stage;
	size_t stage_size, stage_used;
	struct run {
		uint64_t offset; /* in the file */
		size_t at, len;	 /* in STAGE */
		uint64_t addr;	 /* in the process; for stage_planned() */
		size_t got;	 /* of LEN */
	} * runs;
	atomic_size_t next_run; /* the first that no thread has taken */
	size_t run_count, run_capacity;
};

static int append(struct buffer *b, const void *data, size_t len)
{
	if (mw_array_reserve(&b->data, &b->capacity, b->len + len, 1))
		return -ENOMEM;
	if (len)
		memcpy(b->data + b->len, data, len);
	b->len += len;
	return 0;
}

static int pad(struct buffer *b)
{
	static const uint8_t zeros[4];

	return append(b, zeros, -b->len & 3);
}

static int note(struct buffer *b, const char *name, uint32_t type, const void *desc, size_t len)
{
	const Elf64_Nhdr nhdr = {(Elf64_Word)strlen(name) + 1, (Elf64_Word)len, type};

	if (len > UINT32_MAX)
		return -E2BIG;
	return append(b, &nhdr, sizeof(nhdr)) || append(b, name, nhdr.n_namesz) || pad(b) ||
			       append(b, desc, len) || pad(b)
		       ? -ENOMEM
		       : 0;
}

static int thread_notes(struct writer *w, size_t i)
{
	uint8_t set[MW_ARCH_NOTE_MAX];
	struct elf_prstatus status = {0};
	elf_fpregset_t fp;
	size_t len = sizeof(status.pr_reg);
	int ret;

	status.pr_pid = mw_freeze__tid(w->freeze, i);
	status.pr_pgrp = w->pid;
	ret = mw_freeze__registers(w->freeze, i, NT_PRSTATUS, &status.pr_reg, &len);
	if (ret)
		return ret;
	status.pr_fpvalid = 1;
	ret = note(&w->notes, "CORE", NT_PRSTATUS, &status, sizeof(status));
	len = sizeof(fp);
	if (!ret && !mw_freeze__registers(w->freeze, i, NT_PRFPREG, &fp, &len))
		ret = note(&w->notes, "CORE", NT_PRFPREG, &fp, len);
	for (size_t k = 0; k < mw_arch_note_count && !ret; k++) {
		len = sizeof(set);
		if (!mw_freeze__registers(w->freeze, i, (int)mw_arch_notes[k], set, &len))
			ret = note(&w->notes, "LINUX", mw_arch_notes[k], set, len);
	}
	return ret;
}

static int process_notes(struct writer *w)
{
	struct elf_prpsinfo info = {.pr_state = 0, .pr_sname = 'R', .pr_pid = w->pid};
	_cleanup_free_ char *comm = NULL, *args = NULL, *auxv = NULL;
	char path[64];
	size_t len;
	int ret;

	snprintf(path, sizeof(path), "/proc/%d/comm", w->pid);
	if (!mw_file_read(path, 4096, &comm, &len))
		memcpy(info.pr_fname, comm, strnlen(comm, sizeof(info.pr_fname) - 1));
	info.pr_fname[strcspn(info.pr_fname, "\n")] = '\0';
	snprintf(path, sizeof(path), "/proc/%d/cmdline", w->pid);
	if (!mw_file_read(path, 1 << 24, &args, &len)) {
		len = len < sizeof(info.pr_psargs) ? len : sizeof(info.pr_psargs) - 1;
		for (size_t i = 0; i < len; i++)
			info.pr_psargs[i] = args[i] ? args[i] : ' ';
	}
	ret = note(&w->notes, "CORE", NT_PRPSINFO, &info, sizeof(info));
	snprintf(path, sizeof(path), "/proc/%d/auxv", w->pid);
	if (!ret && !mw_file_read(path, 1 << 16, &auxv, &len))
		ret = note(&w->notes, "CORE", NT_AUXV, auxv, len);
	return ret;
}

static int file_note(struct writer *w)
{
	const struct mw_regions *regions = mw_image__regions(w->image);
	struct buffer rows = {0}, names = {0};
	uint64_t head[2] = {0, PAGE};
	int ret = append(&rows, head, sizeof(head));

	for (size_t i = 0; i < regions->count && !ret; i++) {
		const struct mw_map *map = &regions->regions[i].map;
		uint64_t row[3] = {map->start, map->end, map->offset / PAGE};

		if (!map->inode)
			continue;
		head[0]++;
		ret = append(&rows, row, sizeof(row));
		if (!ret)
			ret = append(&names, map->path, strlen(map->path) + 1);
	}
	if (!ret) {
		memcpy(rows.data, head, sizeof(head));
		ret = append(&rows, names.data, names.len);
	}
	if (!ret)
		ret = note(&w->notes, "CORE", NT_FILE, rows.data, rows.len);
	free(rows.data);
	free(names.data);
	return ret;
}

static int rest_note(void *arg, const void *desc, size_t len)
{
	struct writer *w = arg;

	return note(&w->notes, MW_NOTE_NAME, MW_NT_FILE_REST, desc, len);
}

static int make_notes(struct writer *w)
{
	const struct mw_spans *spans;
	const char *smaps;
	size_t smaps_len;
	size_t main = 0;
	int ret = mw_image__spans(w->image, &spans);

	for (size_t i = 0; i < mw_freeze__count(w->freeze); i++) {
		if (mw_freeze__tid(w->freeze, i) == w->pid)
			main = i;
	}
	/*
	 * As in a kernel's core, the first thread's registers come before the process's notes.
	 */
	if (!ret)
		ret = thread_notes(w, main);
	if (!ret)
		ret = process_notes(w);
	if (!ret)
		ret = file_note(w);
	for (size_t i = 0; i < mw_freeze__count(w->freeze) && !ret; i++) {
		if (i != main)
			ret = thread_notes(w, i);
	}
	smaps = mw_image__smaps(w->image, &smaps_len);
	if (!ret)
		ret = note(&w->notes, MW_NOTE_NAME, MW_NT_SMAPS, smaps, smaps_len);
	if (!ret)
		ret = note(&w->notes, MW_NOTE_NAME, MW_NT_RESIDENCY, spans->spans,
			   spans->count * sizeof(*spans->spans));
	if (!ret)
		ret = mw_snapshot_layout__rests(&w->layout, rest_note, w);
	return ret;
}

static int make_phdrs(struct writer *w)
{
	const struct mw_snapshot_layout *layout = &w->layout;
	uint64_t offset;

	w->phnum = layout->count + 1;
	w->phdrs = calloc(w->phnum, sizeof(*w->phdrs));
	if (!w->phdrs)
		return -ENOMEM;
	offset = sizeof(Elf64_Ehdr) + sizeof(Elf64_Shdr) + w->phnum * sizeof(*w->phdrs);
	w->phdrs[0] = (Elf64_Phdr){
		.p_type = PT_NOTE, .p_offset = offset, .p_filesz = w->notes.len, .p_align = 4};
	offset = (offset + w->notes.len + PAGE - 1) & ~(PAGE - 1ULL);
	w->end = mw_snapshot_layout__place(&w->layout, offset);
	for (size_t i = 0; i < layout->count; i++) {
		const struct mw_snapshot_segment *s = &layout->segments[i];

		w->phdrs[i + 1] =
			(Elf64_Phdr){.p_type = PT_LOAD,
				     .p_offset = s->offset,
				     .p_vaddr = s->start,
				     .p_filesz = s->held ? s->end - s->start : 0,
				     .p_memsz = s->end - s->start,
				     .p_flags = (s->map->readable ? (Elf64_Word)PF_R : 0) |
						(s->map->writable ? (Elf64_Word)PF_W : 0) |
						(s->map->executable ? (Elf64_Word)PF_X : 0),
				     .p_align = PAGE};
	}
	return 0;
}

static int put(int fd, uint64_t offset, const void *data, size_t len)
{
	while (len) {
		ssize_t n = pwrite(fd, data, len, (off_t)offset);

		if (n <= 0)
			return n < 0 ? -errno : -ENOSPC;
		data = (const uint8_t *)data + n;
		offset += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

static int write_headers(struct writer *w)
{
	bool many = w->phnum >= PN_XNUM;
	const Elf64_Shdr section = {.sh_info = (Elf64_Word)w->phnum};
	const Elf64_Ehdr ehdr = {
		.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB,
			    EV_CURRENT},
		.e_type = ET_CORE,
		.e_machine = MW_ARCH_MACHINE,
		.e_version = EV_CURRENT,
		.e_phoff = sizeof(Elf64_Ehdr) + sizeof(Elf64_Shdr),
		.e_ehsize = sizeof(Elf64_Ehdr),
		.e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = many ? PN_XNUM : (Elf64_Half)w->phnum,
		.e_shoff = many ? sizeof(Elf64_Ehdr) : 0,
		.e_shentsize = many ? sizeof(Elf64_Shdr) : 0,
		.e_shnum = many,
	};
	int ret = put(w->fd, 0, &ehdr, sizeof(ehdr));

	if (!ret)
		ret = put(w->fd, sizeof(ehdr), &section, sizeof(section));
	if (!ret)
		ret = put(w->fd, ehdr.e_phoff, w->phdrs, w->phnum * sizeof(*w->phdrs));
	return ret ? ret : put(w->fd, w->phdrs[0].p_offset, w->notes.data, w->notes.len);
}

/* MemAvailable of /proc/meminfo, in bytes. */
static uint64_t available_memory(void)
{
	_cleanup_free_ char *text = NULL;
	const char *line;
	size_t len;

	if (mw_file_read("/proc/meminfo", 1 << 16, &text, &len))
		return 0;
	line = strstr(text, "MemAvailable:");
	return line ? strtoull(line + 13, NULL, 10) << 10 : 0;
}

/* Allocate the stage before the process is held: its page faults take time. */
static void make_stage(struct writer *w, uint64_t resident)
{
	uint64_t size = resident + resident / 8 + (16 << 20);

	if (size > available_memory() / 2)
		return;
	w->stage = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (w->stage == MAP_FAILED) {
		w->stage = NULL;
		return;
	}
	w->stage_size = size;
	madvise(w->stage, size, MADV_HUGEPAGE);
	madvise(w->stage, resident, MADV_POPULATE_WRITE);
}

/* Read into the stage. 0, 1 when it is full, or -errno. */
static int stage_run(struct writer *w, uint64_t offset, uint64_t from, size_t want, ssize_t *got)
{
	if (!w->stage || want > w->stage_size - w->stage_used)
		return 1;
	*got = mw_image__read(w->image, from, w->stage + w->stage_used, want);
	if (*got <= 0)
		return (int)*got;
	if (mw_array_reserve(&w->runs, &w->run_capacity, w->run_count + 1, sizeof(*w->runs)))
		return -ENOMEM;
	w->runs[w->run_count++] =
		(struct run){offset, w->stage_used, (size_t)*got, from, (size_t)*got};
	w->stage_used += (size_t)*got;
	return 0;
}

static int write_stage(struct writer *w)
{
	int ret = 0;

	for (size_t i = 0; i < w->run_count && !ret; i++)
		ret = put(w->fd, w->runs[i].offset, w->stage + w->runs[i].at, w->runs[i].got);
	return ret;
}

/*
 * Plan to copy [FROM, TO), all of it resident, to OFFSET by way of the stage. 0, 1 when it is full,
 * or -ENOMEM.
 */
static int plan_run(struct writer *w, uint64_t offset, uint64_t from, uint64_t to)
{
	while (from < to) {
		size_t want = to - from < COPY ? to - from : COPY;

		if (want > w->stage_size - w->stage_used)
			return 1;
		if (mw_array_reserve(&w->runs, &w->run_capacity, w->run_count + 1,
				     sizeof(*w->runs)))
			return -ENOMEM;
		w->runs[w->run_count++] = (struct run){offset, w->stage_used, want, from, 0};
		w->stage_used += want;
		offset += want;
		from += want;
	}
	return 0;
}

static void *stage_planned(void *arg)
{
	struct writer *w = arg;
	size_t i;

	while ((i = atomic_fetch_add(&w->next_run, 1)) < w->run_count) {
		struct run *run = &w->runs[i];
		ssize_t n = mw_process_copy(w->image, run->addr, w->stage + run->at, run->len);

		run->got = n > 0 ? (size_t)n : 0;
	}
	return NULL;
}

/*
 * Copy what is planned, with a thread for each processor, up to COPIERS: the process that is held
 * needs none of them.
 */
static void copy_planned(struct writer *w)
{
	pthread_t threads[COPIERS];
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	int count = 0;

	while (count + 1 < cpus && count < COPIERS &&
	       !pthread_create(&threads[count], NULL, stage_planned, w))
		count++;
	stage_planned(w);
	while (count)
		pthread_join(threads[--count], NULL);
	for (size_t i = 0; i < w->run_count; i++)
		w->copied += w->runs[i].got;
}

/* Copy [FROM, TO) to OFFSET. Unreadable pages become holes. */
static int copy_run(struct writer *w, uint64_t offset, uint64_t from, uint64_t to)
{
	int ret = 0;

	while (from < to && !ret) {
		size_t want = to - from < COPY ? to - from : COPY, done;
		ssize_t n = 0;

		ret = stage_run(w, offset, from, want, &n);
		if (ret < 0)
			return ret;
		if (ret) {
			n = mw_image__read(w->image, from, w->buf, want);
			ret = n < 0 ? (int)n : put(w->fd, offset, w->buf, (size_t)n);
		}
		if (ret)
			return ret;
		w->copied += (uint64_t)n;
		done = (size_t)n < want ? ((size_t)n & ~(PAGE - 1UL)) + PAGE : want;
		from += done;
		offset += done;
	}
	return ret;
}

/* The bytes of one part that comes from a file. A file's last page ends in zeros. */
static int copy_file(struct writer *w, uint64_t offset, uint64_t from, uint64_t to,
		     const struct mw_snapshot_part *part)
{
	uint64_t at = part->file_offset + (from - part->start);

	while (from < to) {
		size_t want = to - from < COPY ? to - from : COPY;
		ssize_t n = pread(part->fd, w->buf, want, (off_t)at);
		int ret;

		if (n <= 0)
			return n < 0 ? -errno : 0;
		ret = put(w->fd, offset, w->buf, (size_t)n);
		if (ret)
			return ret;
		offset += (uint64_t)n;
		from += (uint64_t)n;
		at += (uint64_t)n;
	}
	return 0;
}

typedef int (*copy_fn)(struct writer *w, uint64_t offset, uint64_t from, uint64_t to);

/* Call COPY for each part from memory or, when it is NULL, copy each part from a file. */
static int each_part(struct writer *w, copy_fn copy)
{
	const struct mw_snapshot_segment *s = w->layout.segments;
	int ret = 0;

	for (size_t i = 0; i < w->layout.part_count && !ret; i++) {
		const struct mw_snapshot_part *part = &w->layout.parts[i];
		uint64_t offset;

		/* A part lies within one segment, which is held. */
		while (part->start >= s->end)
			s++;
		offset = s->offset + (part->start - s->start);
		if (copy && part->fd < 0)
			ret = copy(w, offset, part->start, part->end);
		else if (!copy && part->fd >= 0)
			ret = copy_file(w, offset, part->start, part->end, part);
	}
	return ret;
}

static int copy_memory(struct writer *w)
{
	size_t planned;
	int ret = w->stage ? each_part(w, plan_run) : 1;

	if (ret < 0)
		return ret;
	if (ret) { /* no stage, or the process has grown meanwhile */
		w->run_count = 0;
		w->stage_used = 0;
		return each_part(w, copy_run);
	}
	copy_planned(w);
	/* A run ends at a page that can't be read, but others may follow. */
	planned = w->run_count;
	for (size_t i = 0; i < planned && !ret; i++) {
		struct run run = w->runs[i];

		if (run.got < run.len)
			ret = copy_run(w, run.offset + run.got, run.addr + run.got,
				       run.addr + run.len);
	}
	return ret;
}

static int compress(int in, int out)
{
	ZSTD_CCtx *ctx = ZSTD_createCCtx();
	_cleanup_free_ uint8_t *from = malloc(COPY), *to = malloc(COPY);
	size_t left = 1;
	ssize_t n = 1;
	int ret = ctx && from && to ? 0 : -ENOMEM;

	if (!ret)
		ZSTD_CCtx_setParameter(ctx, ZSTD_c_compressionLevel, 1);
	for (uint64_t at = 0; !ret && n > 0; at += (uint64_t)n) {
		n = pread(in, from, COPY, (off_t)at);
		if (n < 0)
			ret = -errno;
		ZSTD_inBuffer src = {from, n > 0 ? (size_t)n : 0, 0};

		do {
			ZSTD_outBuffer dst = {to, COPY, 0};
			size_t done = 0;

			left = ZSTD_compressStream2(ctx, &dst, &src,
						    n ? ZSTD_e_continue : ZSTD_e_end);
			if (ZSTD_isError(left))
				ret = -EIO;
			while (!ret && done < dst.pos) {
				ssize_t k = write(out, to + done, dst.pos - done);

				if (k <= 0)
					ret = k < 0 ? -errno : -ENOSPC;
				else
					done += (size_t)k;
			}
		} while (!ret && (n ? src.pos < src.size : left));
	}
	ZSTD_freeCCtx(ctx);
	return ret;
}

/* While the process is held: what it is and what of it the file will have. */
static int lay_out(struct writer *w, struct mw_snapshot *snapshot)
{
	const struct mw_regions *regions = mw_image__regions(w->image);
	struct mw_spans content = {0};
	int ret;

	for (size_t i = 0; i < regions->count; i++)
		snapshot->resident += regions->regions[i].resident;
	ret = mw_image__content(w->image, &content);
	if (!ret)
		ret = mw_snapshot_layout__make(&w->layout, regions, w->pid, &content);
	if (!ret)
		ret = make_notes(w);
	if (!ret)
		ret = make_phdrs(w);
	free(content.spans);
	return ret;
}

/* After the process runs on. */
static int write_file(struct writer *w)
{
	int ret = write_headers(w);

	if (!ret)
		ret = write_stage(w);
	if (!ret)
		ret = each_part(w, NULL);
	if (!ret && ftruncate(w->fd, (off_t)w->end))
		ret = -errno;
	return ret;
}

static int capture(struct writer *w, struct mw_snapshot *snapshot, struct mw_err *err)
{
	_cleanup_free_ uint8_t *buf = malloc(COPY);
	struct mw_regions before = {0};
	uint64_t resident = 0;
	int ret = mw_smaps__read(&before, w->pid, NULL, NULL, err);

	w->buf = buf;
	for (size_t i = 0; i < before.count; i++)
		resident += before.regions[i].resident + before.regions[i].hugetlb;
	if (!ret && (!buf || mw_snapshot_layout__prepare(&w->layout, &before, w->pid)))
		ret = mw_err_no_memory(err, NULL);
	mw_regions__free(&before);
	if (ret)
		return ret;
	make_stage(w, resident);
	w->freeze = mw_freeze__start(w->pid, err);
	if (!w->freeze)
		return err->code;
	w->image = mw_image__open_process(w->pid, MW_IMAGE_SMAPS | MW_IMAGE_SWAP_IN, err);
	if (!w->image)
		return err->code;
	ret = lay_out(w, snapshot);
	if (!ret)
		ret = copy_memory(w);
	snapshot->pause_ns = mw_freeze__end(w->freeze);
	w->freeze = NULL;
	if (!ret)
		ret = write_file(w);
	snapshot->file_data = w->layout.file_bytes;
	snapshot->files = w->layout.file_count;
	return ret ? mw_err_set(err, ret, "unwritable", mw_image__name(w->image),
				"can't copy it: %s", strerror(-ret))
		   : 0;
}

int mw_snapshot_write(struct mw_snapshot *snapshot, pid_t pid, const char *path, bool zstd,
		      struct mw_err *err)
{
	struct writer w = {.pid = pid, .fd = -1};
	char partial[4096], final[4096];
	struct stat st;
	int ret, out = -1;

	memset(snapshot, 0, sizeof(*snapshot));
	if (snprintf(partial, sizeof(partial), "%s.partial", path) >= (int)sizeof(partial) ||
	    snprintf(final, sizeof(final), "%s.zpartial", path) >= (int)sizeof(final))
		return mw_err_set(err, -ENAMETOOLONG, "unwritable", NULL, "file name too long");
	w.fd = open(partial, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (w.fd < 0)
		return mw_err_set(err, -errno, "unwritable", path, "can't write it: %s",
				  strerror(errno));
	ret = capture(&w, snapshot, err);
	mw_freeze__end(w.freeze);
	snapshot->copied = w.copied;
	if (!ret && zstd) {
		out = open(final, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
		ret = out < 0 ? -errno : compress(w.fd, out);
		if (ret)
			mw_err_set(err, ret, "unwritable", path, "can't compress it: %s",
				   strerror(-ret));
	}
	if (!ret && rename(zstd ? final : partial, path))
		ret = mw_err_set(err, -errno, "unwritable", path, "can't write it: %s",
				 strerror(errno));
	if (!ret && !fstat(zstd ? out : w.fd, &st))
		snapshot->file_size = (uint64_t)st.st_blocks * 512;
	if (ret || zstd)
		unlink(partial);
	if (ret && zstd)
		unlink(final);
	if (out >= 0)
		close(out);
	close(w.fd);
	mw_snapshot_layout__free(&w.layout);
	mw_image__close(w.image);
	free(w.notes.data);
	free(w.phdrs);
	free(w.runs);
	if (w.stage)
		munmap(w.stage, w.stage_size);
	return ret;
}
