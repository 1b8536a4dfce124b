/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which allocators a process has, and where their functions are. Modules are visited in the order
 * in which the dynamic linker binds symbols, so the first that defines malloc is the one that the
 * program uses; modules that come after the C library (dlopen) are further allocators.
 */
#ifndef MW_PROBE_ALLOCATOR_H
#define MW_PROBE_ALLOCATOR_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "bpf/memwhere.h"
#include "image/elffile.h"
#include "image/modules.h"
#include "probe/prologue.h"
#include "util/err.h"

enum mw_allocator_kind {
	MW_ALLOC_UNKNOWN,
	MW_ALLOC_GLIBC,
	MW_ALLOC_MUSL,
	MW_ALLOC_JEMALLOC,
	MW_ALLOC_TCMALLOC,
	MW_ALLOC_MIMALLOC,
};

enum { MW_FUNCTIONS_MAX = 48, MW_ALLOCATORS_MAX = 8 };

/* One function of an allocator: where it is and how it is to be probed. */
struct mw_function {
	enum mw_func func;
	const char *name;	     /* of the symbol */
	uint64_t addr;		     /* in the process */
	uint64_t size;		     /* bytes of code, 0 when the file doesn't say */
	uint64_t offset;	     /* in the file, of the entry */
	struct mw_probe_point entry; /* where the entry probe goes */
	bool probed;		     /* false: `reason` says why not */
	const char *reason;
};

struct mw_allocator {
	enum mw_allocator_kind kind;
	char version[32];    /* "2.36", or "" */
	char path[PATH_MAX]; /* the module, as the target names it, cleaned for printing */
	char file[PATH_MAX]; /* by which this process can open it */
	uint64_t inode;
	uint32_t major, minor;
	uint64_t bias;
	bool is_static;
	size_t count;
	struct mw_function functions[MW_FUNCTIONS_MAX];
};

struct mw_allocators {
	size_t count;
	struct mw_allocator *list; /* the first one is the program's */
	const char *runtime; /* whose own heap there is besides (probe/runtime.h); NULL: none */
};

/*
 * Find the allocators of PID. RETURNS: return probes will be placed, so the entry probes of
 * the functions that give memory must be where the stack is as at the entry. 0, or -errno with ERR
 * set; -ENOENT when no module defines malloc: then only `runtime` is set.
 */
int mw_allocators__find(struct mw_allocators *found, pid_t pid, bool returns, struct mw_err *err);
void mw_allocators__free(struct mw_allocators *found);

const char *mw_allocator_kind_name(enum mw_allocator_kind kind);
const char *mw_func_name(enum mw_func func);

#endif
