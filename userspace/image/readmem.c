// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <sys/uio.h>

#include "image/readmem.h"

ssize_t mw_readmem_some(pid_t pid, uint64_t addr, void *buf, size_t len)
{
	struct iovec local = {buf, len};
	struct iovec remote = {(void *)(uintptr_t)addr, len};
	ssize_t n = process_vm_readv(pid, &local, 1, &remote, 1, 0);

	return n < 0 ? -errno : n;
}

int mw_readmem(pid_t pid, uint64_t addr, void *buf, size_t len)
{
	ssize_t n = mw_readmem_some(pid, addr, buf, len);

	if (n < 0)
		return (int)n;
	return (size_t)n == len ? 0 : -EFAULT;
}
