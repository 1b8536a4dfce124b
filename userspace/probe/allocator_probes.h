/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Probes in the functions of allocators: which allocators have them, in, and out again. */
#ifndef MW_PROBE_ALLOCATOR_PROBES_H
#define MW_PROBE_ALLOCATOR_PROBES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "probe/allocator.h"
#include "probe/attach.h"
#include "probe/detach.h"

/* The allocators that have probes; all zero: none. */
struct mw_allocator_probes {
	size_t count;
	struct mw_probed_allocator {
		uint64_t inode;
		uint32_t major, minor;
		struct mw_probes entries, returns;
	} list[MW_ALLOCATORS_MAX];
};

/* Which probes are put in, and for whom. */
struct mw_allocator_probing {
	struct bpf_program *entry, *ret;
	bool multi;	      /* as in attach.h */
	bool frees;	      /* also at the functions that give memory back */
	bool returns;	      /* also at the returns of those that give memory */
	pid_t pid;	      /* 0: in all processes that map the allocator's file */
	uint32_t slot, space; /* for the probes' cookies */
};

bool mw_allocator_probes__have(const struct mw_allocator_probes *probes,
			       const struct mw_allocator *alloc);

/*
 * Put probes into ALLOC, which has none yet. 0, also where there is no room for another allocator;
 * or -errno, and ALLOC has none.
 */
int mw_allocator_probes__attach(struct mw_allocator_probes *probes,
				const struct mw_allocator_probing *how,
				const struct mw_allocator *alloc);

/* Hand all of them to DETACHER. */
void mw_allocator_probes__detach(struct mw_allocator_probes *probes, struct mw_detacher *detacher);

#endif
