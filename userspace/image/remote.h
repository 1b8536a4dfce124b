/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copying memory of another process without changing it.
 *
 * process_vm_readv(2) is fast, but it pins what it reads, and of an anonymous page that a fork
 * shares the kernel makes the process a copy of its own first (gup_must_unshare() in mm/gup.c,
 * since Linux 5.19): reading a worker would double its memory. Reading /proc/PID/mem doesn't pin,
 * and takes twice as long where much is read at once. So shared pages are read so, others pinned.
 */
#ifndef MW_IMAGE_REMOTE_H
#define MW_IMAGE_REMOTE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

struct mw_remote {
	pid_t pid;
	int pagemap, mem; /* of /proc/PID; MEM may be -1: not permitted */
};

/* {0, -1, -1} at first. 0 or -errno of opening the pagemap; then REMOTE is as it was. */
int mw_remote__open(struct mw_remote *remote, pid_t pid);
void mw_remote__close(struct mw_remote *remote);

/*
 * Copy up to LEN bytes at ADDR, which may swap in. Returns how many, or -errno: -EFAULT, -EIO or
 * -EINVAL when there is nothing at ADDR, -ESRCH when the process has ended.
 */
ssize_t mw_remote__read(const struct mw_remote *remote, uint64_t addr, void *buf, size_t len);
/* The same of what the process itself may read now, and nothing else; it may unshare pages. */
ssize_t mw_remote__read_permitted(const struct mw_remote *remote, uint64_t addr, void *buf,
				  size_t len);

/* COUNT runs of it behind one another into BUF, as far as they can be read, else the same. */
ssize_t mw_remote__gather(const struct mw_remote *remote, const struct iovec *runs, size_t count,
			  const struct iovec *bufs, size_t buf_count, bool shared);

/* Is what FITS asks true of one of COUNT entries of pagemap? */
typedef bool mw_entries_fn(const uint64_t *entries, size_t count);

/* Is it true of one of the pages from START to END? False when that can't be read. */
bool mw_remote__has(const struct mw_remote *remote, uint64_t start, uint64_t end,
		    mw_entries_fn *fits);

/* Is it anonymous memory that another process maps? */
mw_entries_fn mw_entries_share;

#endif
