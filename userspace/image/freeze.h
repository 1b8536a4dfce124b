/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Hold all threads of a process while it is read: PTRACE_SEIZE and PTRACE_INTERRUPT (ptrace(2)),
 * which send no signal. When this process ends, for whatever reason, the kernel resumes them.
 */
#ifndef MW_IMAGE_FREEZE_H
#define MW_IMAGE_FREEZE_H

#include <stdint.h>
#include <sys/types.h>

#include "image/image.h"
#include "util/err.h"

struct mw_freeze; /* opaque */

/* Stop all threads of PID. NULL with errno and ERR set; then all of them run again. */
struct mw_freeze *mw_freeze__start(pid_t pid, struct mw_err *err);

/* Resume all threads and free FREEZE (may be NULL). Returns how long they were held, in ns. */
uint64_t mw_freeze__end(struct mw_freeze *freeze);

/* Registers of a held thread, for a core's NT_PRSTATUS; see ptrace(2), PTRACE_GETREGSET. */
size_t mw_freeze__count(const struct mw_freeze *freeze);
pid_t mw_freeze__tid(const struct mw_freeze *freeze, size_t i);
int mw_freeze__registers(const struct mw_freeze *freeze, size_t i, int type, void *buf,
			 size_t *len);
/* IMAGE is that of the held process: it doesn't change, and what its registers hold is known. */
void mw_freeze__still(const struct mw_freeze *freeze, struct mw_image *image);

#endif
