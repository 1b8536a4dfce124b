// SPDX-License-Identifier: GPL-2.0-or-later
/* A process as an image: process_vm_readv(2), /proc/PID/{maps,smaps,pagemap,auxv,task}. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/fs.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "arch/arch.h"
#include "image/image_impl.h"
#include "util/array.h"
#include "util/cleanup.h"
#include "util/file.h"
#include "util/units.h"

enum { PAGE = MW_PAGE_SIZE, BATCH_PAGES = 256, PAGEMAP_PAGES = 4096, AUXV_BYTES = 1 << 16 };

/* Documentation/admin-guide/mm/pagemap.rst */
#define PM_PRESENT (1ULL << 63)
#define PM_SWAPPED (1ULL << 62)
#define PM_PFN	   ((1ULL << 55) - 1)

struct process {
	pid_t pid;
	unsigned int may; /* MW_IMAGE_… */
	int pagemap;
	char root[32];
};

ssize_t mw_process_read(pid_t pid, uint64_t addr, void *buf, size_t len)
{
	struct iovec local = {buf, len}, remote = {(void *)(uintptr_t)addr, len};
	ssize_t n = process_vm_readv(pid, &local, 1, &remote, 1, 0);

	return n < 0 ? -errno : n;
}

/*
 * ---- reading ----------------------------------------------------------------------------------
 */

/* Read up to BATCH_PAGES pages at a page's start; zeros for pages that are not in memory. */
static ssize_t read_batch(struct process *p, uint64_t addr, uint8_t *buf, size_t pages)
{
	struct iovec local[BATCH_PAGES], remote[BATCH_PAGES];
	uint64_t map[BATCH_PAGES];
	size_t runs = 0, want = 0;
	ssize_t n = pread(p->pagemap, map, pages * 8, (off_t)(addr / PAGE * 8));

	if (n < 0 || (size_t)n < pages * 8)
		return mw_process_read(p->pid, addr, buf, pages * PAGE);
	for (size_t i = 0; i < pages; i++) {
		if (!(p->may & MW_IMAGE_SWAP_IN) && map[i] & PM_SWAPPED)
			return -EINTR;
		if (!(map[i] & (PM_PRESENT | PM_SWAPPED))) {
			memset(buf + i * PAGE, 0, PAGE);
			continue;
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
	n = process_vm_readv(p->pid, local, runs, remote, runs, 0);
	if (n < 0)
		return -errno;
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

/* True when one of the pages of LEN bytes at ADDR is in swap. */
static bool is_swapped(const struct process *p, uint64_t addr, size_t len)
{
	uint64_t page = addr / PAGE, end = (addr + len - 1) / PAGE + 1, map[BATCH_PAGES];

	while (page < end) {
		size_t want = end - page < BATCH_PAGES ? end - page : BATCH_PAGES;
		ssize_t n = pread(p->pagemap, map, want * 8, (off_t)(page * 8));

		for (ssize_t i = 0; i < n / 8; i++) {
			if (map[i] & PM_SWAPPED)
				return true;
		}
		page += want;
	}
	return false;
}

static ssize_t process_read(struct mw_image *image, uint64_t addr, void *buf, size_t len)
{
	struct process *p = image->state;
	size_t done = 0;

	if (len <= PAGE || addr % PAGE || len % PAGE) {
		ssize_t n;

		if (!(p->may & MW_IMAGE_SWAP_IN) && is_swapped(p, addr, len))
			return -EINTR;
		n = mw_process_read(p->pid, addr, buf, len);
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
		n = pages ? read_batch(p, addr + done, (uint8_t *)buf + done, pages) : 0;
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

/*
 * ---- residency --------------------------------------------------------------------------------
 */

/*
 * The frame of the kernel's page of zeros, which a read of untouched memory maps: pagemap has it as
 * present, but Rss does not count it (vm_normal_page() in mm/memory.c). Found by reading an
 * untouched page of our own; 0 when the kernel hides frame numbers from us.
 */
static uint64_t find_zero_pfn(void)
{
	_cleanup_close_ int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	_cleanup_free_ char *raw = NULL;
	uint64_t entry = 0;

	if (fd < 0 || posix_memalign((void **)&raw, PAGE, 64 * PAGE))
		return 0;
	volatile char *page = raw + 32 * PAGE;

	if (*page || pread(fd, &entry, 8, (off_t)((uintptr_t)page / PAGE * 8)) != 8 ||
	    !(entry & PM_PRESENT))
		return 0;
	return entry & PM_PFN;
}

static int region_spans(const struct process *p, uint64_t zero_pfn, const struct mw_region *region,
			struct mw_spans *out)
{
	uint64_t map[PAGEMAP_PAGES], addr = region->map.start;
	int ret = 0;

	if (region->resident == region->map.end - region->map.start)
		return mw_spans__add(out, region->map.start, region->map.end);
	while (addr < region->map.end && !ret) {
		size_t pages = (region->map.end - addr) / PAGE;
		ssize_t n;

		if (pages > PAGEMAP_PAGES)
			pages = PAGEMAP_PAGES;
		n = pread(p->pagemap, map, pages * 8, (off_t)(addr / PAGE * 8));
		if (n <= 0)
			return n < 0 ? -errno : 0;
		for (size_t i = 0; i < (size_t)n / 8 && !ret; i++) {
			if ((map[i] & PM_PRESENT) && (!zero_pfn || (map[i] & PM_PFN) != zero_pfn))
				ret = mw_spans__add(out, addr + i * PAGE, addr + (i + 1) * PAGE);
		}
		addr += (uint64_t)n / 8 * PAGE;
		if (n < 8)
			break;
	}
	return ret;
}

static int process_spans(struct mw_image *image, struct mw_spans *out)
{
	uint64_t zero_pfn = find_zero_pfn();
	int ret = 0;

	for (size_t i = 0; i < image->regions.count && !ret; i++) {
		const struct mw_region *region = &image->regions.regions[i];

		if (region->resident)
			ret = region_spans(image->state, zero_pfn, region, out);
	}
	return ret;
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
		thread->sp = blocked_sp(image->process, (pid_t)tid);
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
	char path[64], *auxv = NULL;
	size_t len;
	int ret, fd;

	ret = p->may & MW_IMAGE_SMAPS ? mw_smaps__read(&regions, p->pid, NULL, NULL, err)
				      : read_maps(&regions, p->pid, err);
	if (ret)
		return ret;
	/* A process that is ending has no mappings any more. */
	if (!regions.count && image->regions.count)
		return -ESRCH;
	snprintf(path, sizeof(path), "/proc/%d/pagemap", p->pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		ret = mw_err_set(err, -errno, "no-privilege", image->name,
				 "can't read %s: %s; run as root or with CAP_SYS_PTRACE", path,
				 strerror(errno));
		mw_regions__free(&regions);
		return ret;
	}
	if (p->pagemap >= 0)
		close(p->pagemap);
	p->pagemap = fd;
	mw_regions__free(&image->regions);
	image->regions = regions;
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

	if (p->pagemap >= 0)
		close(p->pagemap);
	free(p);
}

static const struct mw_image_ops process_ops = {
	.read = process_read,
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
	p->pagemap = -1;
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
