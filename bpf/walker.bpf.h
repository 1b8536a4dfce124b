/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the two walks, of Python's frames and of native ones, share. */
#ifndef MW_WALKER_BPF_H
#define MW_WALKER_BPF_H

#include "bpf/memwhere.h"

enum { PY_BUFFER = 256 };

struct mw_registers {
	__u64 ip, sp, bp;
};

/* The memory of a thread's walks; the map `walkers` has them. */
struct mw_walker {
	__u64 tstate;	/* as last found, 0: none */
	__u64 thread;	/* of the thread that it belongs to: the thread pointer */
	__u64 retry_ns; /* when to search again, after no state was found, or none was active */
	__u8 frame[128], code[PY_BUFFER];
	__u64 tasks[MW_PY_TASKS], coros[MW_PY_AWAITS]; /* as found, outermost coroutine first */
	struct mw_registers registers;		       /* where the native walk is */
	struct mw_stack stack;
	struct mw_site_counts fresh; /* of a new site: zeros. Here, because all functions share 512
					bytes of stack */
};

#endif
