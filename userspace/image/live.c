// SPDX-License-Identifier: GPL-2.0-or-later
/* A running process as an image: process_vm_readv(2), /proc/PID/{smaps,pagemap,auxv,task}. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "image/elffile.h"
#include "image/image_impl.h"
#include "util/array.h"
#include "util/cleanup.h"
#include "util/file.h"
#include "util/units.h"

enum { PAGE = 4096, BATCH_PAGES = 256, PAGEMAP_PAGES = 4096 };

/* Documentation/admin-guide/mm/pagemap.rst */
#define PM_PRESENT (1ULL << 63)
#define PM_SWAPPED (1ULL << 62)
#define PM_PFN	   ((1ULL << 55) - 1)

struct live {
	pid_t pid;
	int pagemap;
	uint64_t zero_pfn;	 /* frame of the shared page of zeros; 0: unknown */
	const atomic_bool *stop; /* only for a glance */
};

/* Read up to BATCH_PAGES pages, page-aligned, taking zeros for what is not in memory. */
static ssize_t read_batch(struct live *live, uint64_t addr, uint8_t *buf, size_t pages)
{
	struct iovec local[BATCH_PAGES], remote[BATCH_PAGES];
	uint64_t map[BATCH_PAGES];
	size_t runs = 0, want = 0;
	ssize_t n = pread(live->pagemap, map, pages * 8, (off_t)(addr / PAGE * 8));

	if (n < 0 || (size_t)n < pages * 8) {
		struct iovec l = {buf, pages * PAGE}, r = {(void *)(uintptr_t)addr, pages * PAGE};

		n = process_vm_readv(live->pid, &l, 1, &r, 1, 0);
		return n < 0 ? -errno : n;
	}
	for (size_t i = 0; i < pages; i++) {
		if (live->stop && map[i] & PM_SWAPPED)
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
	n = process_vm_readv(live->pid, local, runs, remote, runs, 0);
	if (n < 0)
		return -errno;
	if ((size_t)n == want)
		return (ssize_t)(pages * PAGE);
	/* Short: good up to the page that could not be read. */
	for (size_t i = 0; i < runs; i++) {
		if ((size_t)n < local[i].iov_len)
			return (uint8_t *)local[i].iov_base + n - buf;
		n -= (ssize_t)local[i].iov_len;
	}
	return (ssize_t)(pages * PAGE);
}

static bool is_swapped(const struct live *live, uint64_t addr)
{
	uint64_t entry = 0;

	return pread(live->pagemap, &entry, sizeof(entry), (off_t)(addr / PAGE * 8)) ==
		       (ssize_t)sizeof(entry) &&
	       entry & PM_SWAPPED;
}

static ssize_t live_read(struct mw_image *image, uint64_t addr, void *buf, size_t len)
{
	struct live *live = image->state;
	size_t done = 0;

	if (live->stop &&
	    (*live->stop || is_swapped(live, addr) || is_swapped(live, addr + len - 1)))
		return -EINTR;
	if (len <= PAGE || addr % PAGE || len % PAGE) {
		struct iovec local = {buf, len}, remote = {(void *)(uintptr_t)addr, len};
		ssize_t n = process_vm_readv(live->pid, &local, 1, &remote, 1, 0);

		if (n < 0)
			return errno == EFAULT || errno == EIO || errno == EINVAL ? 0 : -errno;
		return n;
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
		n = pages ? read_batch(live, addr + done, (uint8_t *)buf + done, pages) : 0;
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
 * The frame of the kernel's page of zeros, which a read of untouched memory maps: it is present
 * in pagemap but Rss does not count it (vm_normal_page() in mm/memory.c). Made visible by reading
 * an untouched page of our own; 0 when frames are hidden from us.
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

static int region_spans(struct live *live, const struct mw_region *region, struct mw_spans *out)
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
		n = pread(live->pagemap, map, pages * 8, (off_t)(addr / PAGE * 8));
		if (n <= 0)
			return n < 0 ? -errno : 0;
		for (size_t i = 0; i < (size_t)n / 8 && !ret; i++) {
			if ((map[i] & PM_PRESENT) &&
			    (!live->zero_pfn || (map[i] & PM_PFN) != live->zero_pfn))
				ret = mw_spans__add(out, addr + i * PAGE, addr + (i + 1) * PAGE);
		}
		addr += (uint64_t)n / 8 * PAGE;
		if (n < 8)
			break;
	}
	return ret;
}

static int live_spans(struct mw_image *image, struct mw_spans *out)
{
	int ret = 0;

	for (size_t i = 0; i < image->regions.count && !ret; i++) {
		const struct mw_region *region = &image->regions.regions[i];

		if (region->resident)
			ret = region_spans(image->state, region, out);
	}
	return ret;
}

static struct mw_elffile *live_elffile(struct mw_image *image, uint64_t base, const char *id)
{
	const struct mw_region *region = mw_regions__find(&image->regions, base);
	struct mw_elffile *file;
	char path[4200];

	if (!region || mw_map__file_path(&region->map, image->pid, path, sizeof(path)))
		return NULL;
	file = mw_elffile__open(path, region->map.path, NULL);
	if (file && id[0] && strcmp(id, mw_elffile__build_id(file))) {
		mw_elffile__close(file);
		return NULL;
	}
	return file;
}

static void live_close(void *state)
{
	struct live *live = state;

	if (live->pagemap >= 0)
		close(live->pagemap);
	free(live);
}

static const struct mw_image_ops live_ops = {
	.read = live_read,
	.spans = live_spans,
	.elffile = live_elffile,
	.close = live_close,
};

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

	snprintf(path, sizeof(path), "/proc/%d/task", image->pid);
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
		thread->sp = blocked_sp(image->pid, (pid_t)tid);
	}
	return 0;
}

/* The mappings alone, all resident as far as anyone knows. */
static int read_regions(struct mw_regions *out, pid_t pid, struct mw_err *err)
{
	struct mw_maps maps = {0};
	int ret = mw_maps__read(&maps, pid, err);

	for (size_t i = 0; !ret && i < maps.count; i++) {
		struct mw_region *region = mw_regions__add(out);

		if (!region) {
			ret = mw_err_set(err, -ENOMEM, "no-memory", NULL, "out of memory");
			break;
		}
		region->map = maps.maps[i];
		maps.maps[i].path = NULL; /* the region's now */
		if (region->map.readable)
			region->resident = region->map.end - region->map.start;
	}
	mw_maps__free(&maps);
	return ret;
}

static struct mw_image *open_process(pid_t pid, const atomic_bool *stop, struct mw_err *err)
{
	struct mw_image *image = calloc(1, sizeof(*image));
	struct live *live = calloc(1, sizeof(*live));
	char path[64], *auxv = NULL;
	size_t len;
	int ret = -ENOMEM;

	if (!image || !live) {
		mw_err_set(err, ret, "no-memory", NULL, "out of memory");
		free(live);
		goto cleanup;
	}
	live->pid = pid;
	image->state = live;
	image->ops = &live_ops;
	image->kind = MW_IMAGE_LIVE;
	image->residency = MW_RESIDENCY_SMAPS;
	image->exact_spans = !stop;
	live->stop = stop;
	image->pid = pid;
	snprintf(image->name, sizeof(image->name), "PID %d", pid);
	snprintf(path, sizeof(path), "/proc/%d/pagemap", pid);
	live->pagemap = open(path, O_RDONLY | O_CLOEXEC);
	live->zero_pfn = find_zero_pfn();
	ret = stop ? read_regions(&image->regions, pid, err)
		   : mw_smaps__read(&image->regions, pid, NULL, NULL, err);
	if (ret)
		goto cleanup;
	if (live->pagemap < 0) {
		ret = mw_err_set(err, -errno, "no-privilege", image->name,
				 "can't read %s: %s; run as root or with CAP_SYS_PTRACE", path,
				 strerror(errno));
		goto cleanup;
	}
	snprintf(path, sizeof(path), "/proc/%d/auxv", pid);
	if (!mw_file_read(path, 1 << 16, &auxv, &len))
		mw_image__set_auxv(image, auxv, len);
	free(auxv);
	ret = list_threads(image);
	if (ret)
		goto cleanup;
	return image;

cleanup:
	mw_image__close(image);
	errno = -ret;
	return NULL;
}

struct mw_image *mw_image__open_live(pid_t pid, struct mw_err *err)
{
	return open_process(pid, NULL, err);
}

struct mw_image *mw_image__glance(pid_t pid, const atomic_bool *stop, struct mw_err *err)
{
	return open_process(pid, stop, err);
}
