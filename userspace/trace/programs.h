/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The BPF programs: loading them as a watch wants them, and what the kernel says of them. */
#ifndef MW_TRACE_PROGRAMS_H
#define MW_TRACE_PROGRAMS_H

#include <stdbool.h>
#include <stdint.h>

#include "trace/options.h"
#include "util/err.h"

struct memwhere_bpf;
struct mw_pids;

/* Does this kernel have BTF? Without it an exec of a target is not noticed. */
bool mw_programs_have_btf(void);

/*
 * Load the programs for OPTIONS; MULTI as in probe/attach.h. PIDS can be asked afterwards. Those
 * at system calls, forks and faults run from here on, but count nothing yet; each system call of
 * the machine takes SYSCALL_NS longer. NULL with errno and ERR set; the caller frees it with
 * memwhere_bpf__destroy().
 */
struct memwhere_bpf *mw_programs__load(const struct mw_tracer_options *options, bool multi,
				       struct mw_pids *pids, uint32_t *syscall_ns,
				       struct mw_err *err);

/* Put the program at system calls in or out. It is in from the beginning. Is it now? */
bool mw_programs__see_system_calls(struct memwhere_bpf *bpf, bool on);

/* Runs that the kernel refused because the program was already running on that CPU. */
uint64_t mw_programs__recursion_misses(const struct memwhere_bpf *bpf);

/* Bytes of kernel memory that the maps take now, as the kernel accounts for them; 0: unknown. */
uint64_t mw_programs__map_bytes(const struct memwhere_bpf *bpf);

#endif
