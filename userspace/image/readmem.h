/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reading a running process's memory, without stopping it (process_vm_readv(2)). */
#ifndef MW_IMAGE_READMEM_H
#define MW_IMAGE_READMEM_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Copy exactly LEN bytes at ADDR of PID into BUF: 0, -EFAULT (not all readable) or -errno. */
int mw_readmem(pid_t pid, uint64_t addr, void *buf, size_t len);

/* As many of LEN bytes as can be read from ADDR on: their number, or -errno. */
ssize_t mw_readmem_some(pid_t pid, uint64_t addr, void *buf, size_t len);

#endif
