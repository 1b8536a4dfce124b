// SPDX-License-Identifier: GPL-2.0-or-later
/* A process as an image: its memory (remote.h), /proc/PID/{maps,smaps,pagemap,auxv,task}. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "arch/arch.h"
#include "image/mapped_files.h"
#include "image/populated.h"
#include "image/remote.h"
#include "util/array.h"
#include "util/cleanup.h"
#include "util/file.h"
#include "util/units.h"

enum { PAGE = MW_PAGE_SIZE, BATCH_PAGES = 256, AUXV_BYTES = 1 << 16 };

struct process {
	pid_t pid;
	unsigned int may; /* MW_IMAGE_… */
	struct mw_remote remote;
	struct mw_mapped_files files;
	char root[32];
};

ssize_t mw_process_copy(const struct mw_image *image, uint64_t addr, void *buf, size_t len)
{
	const struct process *p = image->state;

	return mw_remote__read(&p->remote, addr, buf, len);
}

/*
 * ---- reading ----------------------------------------------------------------------------------
 */

/*
 * Read the page at ADDR of REGION, which is not in memory. That of a file comes from the file,
 * because reading it from the process would make the process larger; others are zeros.
 */
static bool read_absent(struct process *p, const struct mw_region *region, uint64_t addr,
			uint8_t *page)
{
	int fd = mw_mapped_files__fd(&p->files, p->pid, &region->map);
	uint64_t at = region->map.offset + (addr - region->map.start);
	ssize_t n = fd < 0 ? 0 : pread(fd, page, PAGE, (off_t)at);

	if (fd >= 0 && n <= 0)
		return false;
	memset(page + n, 0, PAGE - (size_t)n);
	return true;
}

/* Read up to BATCH_PAGES pages of REGION at a page's start. */
static ssize_t read_batch(struct process *p, const struct mw_region *region, uint64_t addr,
			  uint8_t *buf, size_t pages)
{
	struct iovec local[BATCH_PAGES], remote[BATCH_PAGES];
	uint64_t map[BATCH_PAGES];
	size_t runs = 0, want = 0;
	ssize_t n = pread(p->remote.pagemap, map, pages * 8, (off_t)(addr / PAGE * 8));

	if (n < 0 || (size_t)n < pages * 8)
		return mw_remote__read(&p->remote, addr, buf, pages * PAGE);
	for (size_t i = 0; i < pages; i++) {
		if (!(p->may & MW_IMAGE_SWAP_IN) && map[i] & MW_PM_SWAPPED)
			return -EINTR;
		if (!(map[i] & (MW_PM_PRESENT | MW_PM_SWAPPED))) {
			if (read_absent(p, region, addr + i * PAGE, buf + i * PAGE))
				continue;
			pages = i; /* the mapping is longer than its file */
			break;
		}
		if (runs && (uint8_t *)local[runs - 1].iov_base + local[runs - 1].iov_len ==
				    buf + i * PAGE) {
			local[runs - 1].iov_len += PAGE;
			remote[runs - 1].iov_len += PAGE;
		} else {
			local[runs] = (struct iovec){buf + i * PAGE, PAGE};
			remote[runs++] = (struct iovec){(void *)(uintptr_t)(addr + i * PAGE), PAGE};
		}
		want += PAGE;
	}
	if (!runs)
		return (ssize_t)(pages * PAGE);
	n = mw_remote__gather(&p->remote, remote, runs, local, runs, mw_entries_share(map, pages));
	if (n < 0)
		return n;
	if ((size_t)n == want)
		return (ssize_t)(pages * PAGE);
	/* A short read: valid up to the page that could not be read. */
	for (size_t i = 0; i < runs; i++) {
		if ((size_t)n < local[i].iov_len)
			return (uint8_t *)local[i].iov_base + n - buf;
		n -= (ssize_t)local[i].iov_len;
	}
	return (ssize_t)(pages * PAGE);
}

static bool are_swapped(const uint64_t *entries, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (entries[i] & MW_PM_SWAPPED)
			return true;
	}
	return false;
}

/* True when one of the pages of LEN bytes at ADDR is in swap. */
static bool is_swapped(const struct process *p, uint64_t addr, size_t len)
{
	return mw_remote__has(&p->remote, addr, addr + len, are_swapped);
}

/* Read what need not be whole pages, from REGION, which maps a file, on. */
static ssize_t read_of_file(struct process *p, const struct mw_region *region, uint64_t addr,
			    uint8_t *buf, size_t len)
{
	uint8_t page[PAGE];
	size_t done = 0;

	while (done < len) {
		uint64_t at = addr + done, offset = at % PAGE, entry;
		size_t want = len - done < PAGE - offset ? len - done : PAGE - offset;
		bool known = pread(p->remote.pagemap, &entry, 8, (off_t)(at / PAGE * 8)) == 8;
		ssize_t n = (ssize_t)want;

		if (at >= region->map.end || !known || entry & (MW_PM_PRESENT | MW_PM_SWAPPED) ||
		    mw_mapped_files__fd(&p->files, p->pid, &region->map) < 0)
			n = mw_remote__read(&p->remote, at, buf + done, want);
		else if (region->map.readable && read_absent(p, region, at - offset, page))
			memcpy(buf + done, page + offset, want);
		else
			n = 0;
		if (n < 0 && n != -EFAULT && n != -EIO && n != -EINVAL && !done)
			return n;
		done += n > 0 ? (size_t)n : 0;
		if (n < (ssize_t)want)
			break;
	}
	return (ssize_t)done;
}

static ssize_t process_read(struct mw_image *image, uint64_t addr, void *buf, size_t len)
{
	struct process *p = image->state;
	size_t done = 0;

	if (len <= PAGE || addr % PAGE || len % PAGE) {
		const struct mw_region *region = mw_regions__find(&image->regions, addr);
		ssize_t n;

		/* Most words that are tried as addresses are none: finding out costs system calls.
		 */
		if (image->hurries && !region)
			return 0;
		if (!(p->may & MW_IMAGE_SWAP_IN) && is_swapped(p, addr, len)) {
			atomic_fetch_add_explicit(&image->in_swap, 1, memory_order_relaxed);
			return -EINTR;
		}
		if (region && region->map.inode)
			return read_of_file(p, region, addr, buf, len);
		/* /proc/PID/mem has what the process can't read; by now it may read this. */
		n = region && region->map.readable && !region->io
			    ? mw_remote__read(&p->remote, addr, buf, len)
			    : mw_remote__read_permitted(&p->remote, addr, buf, len);
		return n == -EFAULT || n == -EIO || n == -EINVAL ? 0 : n;
	}
	while (done < len) {
		const struct mw_region *region = mw_regions__find(&image->regions, addr + done);
		size_t pages = (len - done) / PAGE;
		ssize_t n;

		if (!region || region->io || !region->map.readable)
			break;
		if (pages > (region->map.end - addr - done) / PAGE)
			pages = (region->map.end - addr - done) / PAGE;
		if (pages > BATCH_PAGES)
			pages = BATCH_PAGES;
		n = pages ? read_batch(p, region, addr + done, (uint8_t *)buf + done, pages) : 0;
		if (n == -EINTR)
			atomic_fetch_add_explicit(&image->in_swap, 1, memory_order_relaxed);
		if (n < 0 && n != -EFAULT && n != -EIO)
			return n;
		if (n <= 0)
			break;
		done += (size_t)n;
		if ((size_t)n < pages * PAGE)
			break;
	}
	return (ssize_t)done;
}

static size_t process_read_parts(struct mw_image *image, uint64_t addr, uint64_t stride, void *buf,
				 size_t len, size_t count)
{
	struct iovec local = {buf, count * len}, remote[MW_PARTS_MAX];
	const struct process *p = image->state;
	ssize_t n;

	if (!count || count > MW_PARTS_MAX ||
	    (!(p->may & MW_IMAGE_SWAP_IN) &&
	     is_swapped(p, addr, (size_t)((count - 1) * stride + len))))
		return 0;
	for (size_t i = 0; i < count; i++)
		remote[i] = (struct iovec){(void *)(uintptr_t)(addr + i * stride), len};
	n = mw_remote__gather(&p->remote, remote, count, &local, 1,
			      mw_remote__has(&p->remote, addr, addr + (count - 1) * stride + len,
					     mw_entries_share));
	return n > 0 ? (size_t)n / len : 0;
}

/*
 * ---- residency --------------------------------------------------------------------------------
 */

static int find_pages(const struct mw_image *image, bool content, struct mw_spans *out)
{
	const struct process *p = image->state;
	uint64_t zero_pfn = mw_zero_pfn();
	int ret = 0;

	for (size_t i = 0; i < image->regions.count && !ret; i++) {
		const struct mw_region *region = &image->regions.regions[i];

		/* Rss leaves out huge pages of hugetlbfs, and so do the spans. */
		if (region->resident || content)
			ret = mw_populated(p->remote.pagemap, zero_pfn, region, content, out);
	}
	return ret;
}

int mw_image__content(struct mw_image *image, struct mw_spans *out)
{
	bool same = true; /* as what is resident, which need not be found twice then */
	const struct mw_spans *spans;
	int ret = mw_image__spans(image, &spans);

	for (size_t i = 0; i < image->regions.count; i++)
		same &= !image->regions.regions[i].swapped && !image->regions.regions[i].hugetlb;
	if (ret || !same)
		return ret ? ret : find_pages(image, true, out);
	for (size_t i = 0; i < spans->count && !ret; i++)
		ret = mw_spans__add(out, spans->spans[i].start, spans->spans[i].end);
	return ret;
}

static int process_spans(struct mw_image *image, struct mw_spans *out)
{
	return find_pages(image, false, out);
}

/*
 * ---- files ------------------------------------------------------------------------------------
 */

/* For a process that has ended: the file by its name, if it still is the same inode. */
static int open_by_name(const struct process *p, const struct mw_map *map)
{
	struct stat st;
	int fd;

	if (map->deleted || !kill(p->pid, 0) || errno != ESRCH)
		return -1;
	fd = open(map->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd >= 0 && (fstat(fd, &st) || st.st_ino != map->inode)) {
		close(fd);
		fd = -1;
	}
	return fd;
}

static int process_open_file(struct mw_image *image, const struct mw_region *region)
{
	const struct process *p = image->state;
	char path[PATH_MAX];

	if (mw_map__file_path(&region->map, p->pid, path, sizeof(path)))
		return open_by_name(p, &region->map);
	return open(path, O_RDONLY | O_CLOEXEC);
}

/*
 * ---- life cycle -------------------------------------------------------------------------------
 */

/* The stack pointer of a blocked thread: the second last word of /proc/PID/task/TID/syscall. */
static uint64_t blocked_sp(pid_t pid, pid_t tid)
{
	_cleanup_free_ char *text = NULL;
	char path[80], *last, *sp;
	size_t len;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/syscall", pid, tid);
	if (mw_file_read(path, 4096, &text, &len))
		return 0;
	last = strrchr(text, ' ');
	if (!last)
		return 0;
	*last = '\0';
	sp = strrchr(text, ' ');
	return sp ? strtoull(sp, NULL, 16) : 0;
}

static int list_threads(struct mw_image *image)
{
	char path[64];
	struct dirent *entry;

	snprintf(path, sizeof(path), "/proc/%d/task", image->process);
	_cleanup_closedir_ DIR *dir = opendir(path);

	while (dir && (entry = readdir(dir))) {
		struct mw_thread *thread;
		uint64_t tid;

		if (mw_parse_uint(entry->d_name, 1, INT32_MAX, &tid))
			continue;
		thread = mw_image__add_thread(image);
		if (!thread)
			return -ENOMEM;
		thread->tid = (pid_t)tid;
		thread->registers.sp = blocked_sp(image->process, (pid_t)tid);
	}
	return 0;
}

/* Regions from maps alone: all readable memory counts as resident. */
static int read_maps(struct mw_regions *out, pid_t pid, struct mw_err *err)
{
	struct mw_maps maps = {0};
	int ret = mw_maps__read(&maps, pid, err);

	memset(out, 0, sizeof(*out));
	for (size_t i = 0; !ret && i < maps.count; i++) {
		struct mw_region *region = mw_regions__add(out);

		if (!region) {
			ret = mw_err_no_memory(err, NULL);
			break;
		}
		region->map = maps.maps[i];
		maps.maps[i].path = NULL; /* the region's now */
		if (region->map.readable)
			region->resident = region->map.end - region->map.start;
	}
	mw_maps__free(&maps);
	if (ret)
		mw_regions__free(out);
	return ret;
}

/*
 * Read all that an exec changes. That includes the pagemap, because an open one keeps referring to
 * the old memory. On failure the image stays as it was.
 */
static int load(struct mw_image *image, struct mw_err *err)
{
	struct process *p = image->state;
	struct mw_regions regions;
	char path[64], *auxv = NULL, *smaps = NULL;
	size_t len, smaps_len = 0;
	int ret;

	ret = p->may & MW_IMAGE_SMAPS ? mw_smaps__read(&regions, p->pid, &smaps, &smaps_len, err)
				      : read_maps(&regions, p->pid, err);
	if (ret)
		return ret;
	/* A process that is ending has no mappings any more. */
	if (!regions.count && image->regions.count) {
		free(smaps);
		return -ESRCH;
	}
	ret = mw_remote__open(&p->remote, p->pid);
	if (ret) {
		mw_err_set(err, ret, "no-privilege", image->name,
			   "can't read /proc/%d/pagemap: %s; %s", p->pid, strerror(-ret),
			   mw_err_access_hint());
		mw_regions__free(&regions);
		free(smaps);
		return ret;
	}
	mw_regions__free(&image->regions);
	image->regions = regions;
	free(image->smaps);
	image->smaps = smaps;
	image->smaps_len = smaps_len;
	image->spans.count = 0;
	image->has_spans = false;
	image->remapped = false;
	snprintf(path, sizeof(path), "/proc/%d/auxv", p->pid);
	if (!mw_file_read(path, AUXV_BYTES, &auxv, &len))
		mw_image__set_auxv(image, auxv, len);
	free(auxv);
	return 0;
}

static int process_refresh(struct mw_image *image)
{
	return load(image, NULL);
}

static bool process_remapped(const struct mw_image *image)
{
	const struct mw_regions *regions = &image->regions;
	struct mw_maps maps = {0};
	bool same = !mw_maps__read(&maps, image->process, NULL) && maps.count == regions->count;

	for (size_t i = 0; same && i < maps.count; i++)
		same = maps.maps[i].start == regions->regions[i].map.start &&
		       maps.maps[i].end == regions->regions[i].map.end;
	mw_maps__free(&maps);
	return !same;
}

static void process_close(void *state)
{
	struct process *p = state;

	mw_remote__close(&p->remote);
	mw_mapped_files__free(&p->files);
	free(p);
}

static const struct mw_image_ops process_ops = {
	.read = process_read,
	.read_parts = process_read_parts,
	.spans = process_spans,
	.open_file = process_open_file,
	.refresh = process_refresh,
	.remapped = process_remapped,
	.close = process_close,
};

struct mw_image *mw_image__open_process(pid_t pid, unsigned int may, struct mw_err *err)
{
	struct mw_image *image = calloc(1, sizeof(*image));
	struct process *p = calloc(1, sizeof(*p));
	int ret = -ENOMEM;

	if (!image || !p) {
		mw_err_no_memory(err, NULL);
		free(p);
		goto cleanup;
	}
	p->pid = pid;
	p->may = may;
	p->remote = (struct mw_remote){pid, -1, -1};
	mw_mapped_files__init(&p->files);
	snprintf(p->root, sizeof(p->root), "/proc/%d/root", pid);
	image->state = p;
	image->ops = &process_ops;
	image->residency = MW_RESIDENCY_SMAPS;
	image->exact_spans = may & MW_IMAGE_SMAPS;
	image->process = pid;
	image->changes = true;
	image->roots[0] = "";
	image->roots[1] = p->root;
	snprintf(image->name, sizeof(image->name), "PID %d", pid);
	ret = load(image, err);
	if (!ret && may & MW_IMAGE_THREADS)
		ret = list_threads(image);
	if (!ret)
		return image;

cleanup:
	mw_image__close(image);
	errno = -ret;
	return NULL;
}
