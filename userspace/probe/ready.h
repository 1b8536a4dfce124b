/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Keeps the kernel ready to take probes out at once. Before it takes the first one out it waits for
 * a grace period, in which the target goes on hitting all of them: 5 ms on an idle machine, half a
 * second on a busy one. It doesn't where another probe has gone in or out a moment ago
 * (kernel/events/uprobes.c: dup_mmap_sem, a percpu_rw_semaphore; kernel/rcu/sync.c). So while a
 * window is open, a thread puts probes into a function of this program that nobody calls.
 */
#ifndef MW_PROBE_READY_H
#define MW_PROBE_READY_H

#include <stdbool.h>

#include "probe/detach.h"

struct bpf_program;
struct mw_ready; /* opaque */

/*
 * PROGRAM is any uprobe program that is loaded, MULTI as in attach.h. NULL: no memory, or no
 * thread; probes are then taken out late.
 */
struct mw_ready *mw_ready__new(struct bpf_program *program, bool multi);
/* What it has in goes to DETACHER. */
void mw_ready__free(struct mw_ready *ready, struct mw_detacher *detacher);

/* From now on probes are to go out at once, or no longer. NULL: nothing happens. */
void mw_ready__set(struct mw_ready *ready, bool on);

#endif
