/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the two walks, of Python's frames and of native ones, share. */
#ifndef MW_WALKER_BPF_H
#define MW_WALKER_BPF_H

#include "bpf/memwhere.h"

enum { PY_BUFFER = 256 };

struct mw_registers {
	__u64 ip, sp, bp;
};

/* A thread's own memory for walks; the map `walkers` has them. */
struct mw_walker {
	__u64 tstate;	/* as found last, 0: none */
	__u64 thread;	/* whose it is: the thread pointer */
	__u64 retry_ns; /* a thread without one, or not in it: when to search again */
	__u8 frame[128], code[PY_BUFFER];
	__u64 tasks[MW_PY_TASKS], coros[MW_PY_AWAITS]; /* as found, outermost coroutine first */
	struct mw_registers registers;		       /* where the native walk is */
	struct mw_stack stack;
	struct mw_site_counts
		fresh; /* of a new site: none yet. Here, since the stack is 512 bytes for all */
};

#endif
