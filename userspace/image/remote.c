// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "arch/arch.h"
#include "image/populated.h"
#include "image/remote.h"

enum { PAGE = MW_PAGE_SIZE, BATCH = 512 };

static int open_file(pid_t pid, const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	return open(path, O_RDONLY | O_CLOEXEC);
}

int mw_remote__open(struct mw_remote *remote, pid_t pid)
{
	int pagemap = open_file(pid, "pagemap");

	if (pagemap < 0)
		return -errno;
	mw_remote__close(remote);
	*remote = (struct mw_remote){pid, pagemap, open_file(pid, "mem")};
	return 0;
}

void mw_remote__close(struct mw_remote *remote)
{
	if (remote->pagemap >= 0)
		close(remote->pagemap);
	if (remote->mem >= 0)
		close(remote->mem);
	remote->pagemap = remote->mem = -1;
}

bool mw_entries_share(const uint64_t *entries, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (entries[i] & MW_PM_PRESENT && !(entries[i] & (MW_PM_FILE | MW_PM_ALONE)))
			return true;
	}
	return false;
}

bool mw_remote__has(const struct mw_remote *remote, uint64_t start, uint64_t end,
		    mw_entries_fn *fits)
{
	uint64_t entries[BATCH], page = start / PAGE, last = (end + PAGE - 1) / PAGE;

	while (page < last) {
		size_t want = last - page < BATCH ? last - page : BATCH;
		ssize_t n = pread(remote->pagemap, entries, want * 8, (off_t)(page * 8));

		if (n < 8)
			return false;
		if (fits(entries, (size_t)n / 8))
			return true;
		page += (uint64_t)n / 8;
	}
	return false;
}

ssize_t mw_remote__read_permitted(const struct mw_remote *remote, uint64_t addr, void *buf,
				  size_t len)
{
	struct iovec local = {buf, len}, there = {(void *)(uintptr_t)addr, len};
	ssize_t n = process_vm_readv(remote->pid, &local, 1, &there, 1, 0);

	return n < 0 ? -errno : n;
}

/* The file is of the memory that the process had when it was opened: after an exec there is none.
 */
static ssize_t read_mem(const struct mw_remote *remote, uint64_t addr, void *buf, size_t len)
{
	ssize_t n = remote->mem < 0 ? 0 : pread(remote->mem, buf, len, (off_t)addr);

	return n > 0 ? n : n < 0 ? -errno : mw_remote__read_permitted(remote, addr, buf, len);
}

ssize_t mw_remote__read(const struct mw_remote *remote, uint64_t addr, void *buf, size_t len)
{
	return len <= PAGE || mw_remote__has(remote, addr, addr + len, mw_entries_share)
		       ? read_mem(remote, addr, buf, len)
		       : mw_remote__read_permitted(remote, addr, buf, len);
}

ssize_t mw_remote__gather(const struct mw_remote *remote, const struct iovec *runs, size_t count,
			  const struct iovec *bufs, size_t buf_count, bool shared)
{
	ssize_t sum = 0;

	if (!shared) {
		sum = process_vm_readv(remote->pid, bufs, buf_count, runs, count, 0);
		return sum < 0 ? -errno : sum;
	}
	for (size_t i = 0; i < count; i++) {
		uint8_t *to = buf_count == 1 ? (uint8_t *)bufs[0].iov_base + sum : bufs[i].iov_base;
		ssize_t n = read_mem(remote, (uint64_t)(uintptr_t)runs[i].iov_base, to,
				     runs[i].iov_len);

		if (n <= 0)
			return sum ? sum : n;
		sum += n;
		if ((size_t)n < runs[i].iov_len)
			break;
	}
	return sum;
}
