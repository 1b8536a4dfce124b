/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Python's own allocator of small objects in one process, as a layer beside malloc: where its
 * probes go, and putting them in. Blocks of up to 512 bytes never reach malloc, and what is larger,
 * or a new arena, never comes to these places, so nothing is counted twice.
 */
#ifndef MW_TRACE_PYMALLOC_H
#define MW_TRACE_PYMALLOC_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "probe/attach.h"
#include "probe/detach.h"

struct mw_pymalloc; /* opaque */

/* Bytes: what is larger is malloc's (SMALL_REQUEST_THRESHOLD of Objects/obmalloc.c). */
enum { MW_PYMALLOC_MAX = 512 };

/*
 * Find the pools of PID's Python and, in its interpreter's text, the places where they hand out and
 * take back blocks; those of one build are searched once (0.1 to 0.2 s). NULL: there is no Python,
 * it has no pools (PYTHONMALLOC=malloc, free-threaded builds), or no place was found; mw_detail()
 * says which.
 */
struct mw_pymalloc *mw_pymalloc__open(pid_t pid);
void mw_pymalloc__close(struct mw_pymalloc *pymalloc);

/* Bytes of a pool, and by which its blocks' sizes go up. */
uint32_t mw_pymalloc__pool_size(const struct mw_pymalloc *pymalloc);
uint32_t mw_pymalloc__alignment(const struct mw_pymalloc *pymalloc);

const struct mw_python_prints *mw_pymalloc__prints(const struct mw_pymalloc *pymalloc);

/*
 * The pools' own counts now, and how many blocks more are in use since then, about (a part of them
 * is read where they are many). 0 or -errno: they can't be read.
 */
int mw_pymalloc__begin_count(struct mw_pymalloc *pymalloc);
int mw_pymalloc__moved(struct mw_pymalloc *pymalloc, double *blocks);

/*
 * Is ADDR in the function that takes a new pool, and with it perhaps a new arena? A mapping that is
 * made below it is the layer's growth, not that of the line which happened to ask.
 */
bool mw_pymalloc__takes_arenas(const struct mw_pymalloc *pymalloc, uint64_t addr);

/* The probes that are in; all zero: none. */
struct mw_pymalloc_probes {
	bool in;
	struct mw_probes hits, new_pools;
};

struct mw_pymalloc_probing {
	struct bpf_program *hit, *new_pool; /* pymalloc_hit, pymalloc_new_pool */
	bool multi;			    /* as in probe/attach.h */
	bool frees;			    /* also where blocks are taken back */
	pid_t pid;	      /* 0: in all processes that run the interpreter's file */
	uint32_t slot, space; /* for the probes' cookies */
};

/* 0, or -errno and none is in. */
int mw_pymalloc__attach(const struct mw_pymalloc *pymalloc, const struct mw_pymalloc_probing *how,
			struct mw_pymalloc_probes *probes);
void mw_pymalloc__detach(struct mw_pymalloc_probes *probes, struct mw_detacher *detacher);

#endif
