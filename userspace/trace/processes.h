/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The processes that a tracer watches, and the targets that they belong to. */
#ifndef MW_TRACE_PROCESSES_H
#define MW_TRACE_PROCESSES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "heap/glibc_settings.h"
#include "image/image.h"
#include "image/procstat.h"
#include "model/sample.h"
#include "probe/allocator.h"
#include "probe/allocator_probes.h"
#include "probe/sdt.h"
#include "trace/pymalloc.h"

struct memwhere_bpf;
struct mw_cpu_clock;

struct mw_process {
	pid_t pid;
	uint32_t tgid; /* the same process for the programs: trace/pids.h */
	int pidfd;
	uint32_t slot, space; /* its target's number; its address space's */
	bool child, ended;
	struct mw_allocators allocators;
	struct mw_allocator_probes probes; /* none with --follow */
	struct mw_pymalloc *pymalloc;	   /* NULL: none, or not asked for */
	struct mw_pymalloc_probes pymalloc_probes;
	struct mw_sdt *sdt; /* NULL: none */
	struct mw_glibc_settings settings;
	struct mw_image *image;		/* to read SETTINGS again; NULL: there are none */
	struct mw_procstat stat, first; /* as last read, and when the watch began */
	struct mw_cpu_clock *clock;	/* NULL: the kernel's own is used */
	double cpu;			/* seconds, as last asked for */
	double sleeps;			/* then; 0 without CLOCK */
	/* Search for allocators again (exec, dlopen): next time to do so, attempts left. */
	double rescan_at;
	unsigned int rescans_left;
};

/* A process named on the command line, with its children where they are followed. */
struct mw_target {
	pid_t pid;
	/* Of processes that have ended, and of those before an exec replaced their memory. */
	uint64_t ended_min_flt, ended_maj_flt, ended_cpu_ns;
	double ended_cpu; /* seconds */
	double ended_sleeps;
	uint64_t purged_count, purged_bytes;
	uint64_t late;	     /* MW_LOST_LATE */
	bool out_of_reach;   /* no allocator for probes */
	const char *runtime; /* as in struct mw_allocators */
};

struct mw_processes {
	const struct memwhere_bpf *bpf;
	int map;      /* descriptor of the programs' map of processes */
	bool returns; /* probes will be put at returns, see mw_allocators__find() */
	struct mw_process *list;
	size_t count, capacity;
	size_t clocks; /* of processes that live */
	struct mw_target targets[MW_SLOTS];
	uint32_t target_count;
};

/* The living process TGID, or NULL. */
struct mw_process *mw_processes__find(struct mw_processes *processes, uint32_t tgid);

/*
 * Watch PID, for the programs TGID, from now on; its allocators are not searched yet. NULL: no
 * memory. Others may move.
 */
struct mw_process *mw_processes__add(struct mw_processes *processes, pid_t pid, uint32_t tgid,
				     uint32_t slot, uint32_t space);

/* CHILD began as a copy of PARENT: the same files at the same addresses. */
void mw_process__copy(struct mw_process *child, const struct mw_process *parent);

/* PROCESS has ended, or can't be watched: the programs forget it. Its probes must be out. */
void mw_processes__remove(struct mw_processes *processes, struct mw_process *process);
void mw_processes__free(struct mw_processes *processes);

bool mw_processes__all_ended(const struct mw_processes *processes);

/*
 * Seconds of CPU that the processes of target SLOT have used since they began, ended ones included,
 * as last asked for. To the microsecond, or to the scheduler's last tick (trace/cpu_clock.h).
 */
double mw_processes__cpu_seconds(struct mw_processes *processes, uint32_t slot);

/* The same, as of the scheduler's last tick or the last call of the other: a twentieth of the work.
 */
double mw_processes__cpu_seconds_about(struct mw_processes *processes, uint32_t slot);

/* How often threads of the same gave up their CPUs to wait, as of the last call; 0: not known. */
double mw_processes__sleeps(const struct mw_processes *processes, uint32_t slot);

/* So many seconds ago may be what it says of a process that runs: of one at least; 0: of none. */
double mw_processes__cpu_lags(const struct mw_processes *processes);

/* The allocators of a target's first process; none when it has none. */
const struct mw_allocators *mw_processes__allocators(const struct mw_processes *processes,
						     uint32_t slot);

/*
 * Whose address space SPACE is, for walking its heap: 0 where it has an allocator whose heap can't
 * be walked, -1 where the space is gone.
 */
pid_t mw_processes__pid_of_space(const struct mw_processes *processes, uint32_t space);

/* Of the same, Python's pools: NULL where there are none, or the space is gone. */
const struct mw_pymalloc *mw_processes__pools_of_space(const struct mw_processes *processes,
						       uint32_t space, pid_t *pid);

/* Search PROCESS's allocators and settings. 0, or -errno with ERR set. */
int mw_processes__find_allocators(const struct mw_processes *processes, struct mw_process *process,
				  struct mw_err *err);

/* Write what the programs must know about PROCESS. Values that they keep stay. 0 or -errno. */
int mw_processes__publish(const struct mw_processes *processes, const struct mw_process *process);

/*
 * Write where the brk heap ends now. The program at the system calls keeps the value from the first
 * brk that it sees; before that, this is it.
 */
void mw_processes__seed_brk(const struct mw_processes *processes, const struct mw_process *process);

#endif
