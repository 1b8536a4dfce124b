/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which lines make a container longer, or shorter: hardware watchpoints on the words that hold the
 * lengths of a few containers, for a few hits at a time (bpf/length.bpf.c). They need neither a
 * probe in the target's code nor anything from its allocators.
 *
 * A processor has four, per thread, which a debugger of the target may be using. So two containers
 * of a process have one at a time, and take turns of a few seconds when they are more. Each hit
 * stops the thread, for 30 us in a virtual machine; after MW_LENGTH_HITS the kernel switches the
 * watchpoint off, and the container has none until its next round. And every switch to a thread
 * with a watchpoint takes longer (trace/watchpoint.h). All of them are on for such a part of the
 * time that both take no more than a given share of the targets' CPU time.
 */
#ifndef MW_TRACE_LENGTHS_H
#define MW_TRACE_LENGTHS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct memwhere_bpf;
struct mw_processes;
struct mw_lengths; /* opaque */

/* A container, and where its length is; addresses of process PID, of target SLOT. */
struct mw_watched_length {
	pid_t pid;
	uint32_t slot;
	uint64_t container, length_at;
};

/* What was done to a container at the stack that the programs call SITE. */
struct mw_length_seen {
	uint64_t site;
	uint64_t samples, added, removed; /* hits; elements */
};

/* Can this kernel run programs at watchpoints (Linux 6.1)? Asks it, needs CAP_BPF. */
bool mw_lengths_can_be_watched(void);

/*
 * SHARE: of the CPU time of PROCESSES. A hit takes TRAP seconds, and some for the stack. PROCESSES
 * and BPF, loaded, must outlive it. NULL: no memory.
 */
struct mw_lengths *mw_lengths__new(struct memwhere_bpf *bpf, struct mw_processes *processes,
				   double share, double trap);

/* Take all watchpoints out, for good. What was seen stays known. */
void mw_lengths__stop(struct mw_lengths *lengths);
void mw_lengths__free(struct mw_lengths *lengths);

/*
 * Watch the first of WANTED from now on, eight of a process and MW_LENGTHS together, and no others.
 * What is known of those that were watched before stays known as long as they are.
 */
void mw_lengths__watch(struct mw_lengths *lengths, const struct mw_watched_length *wanted,
		       size_t wanted_count);

/* The programs have told that the container ID has had its hits. */
void mw_lengths__round_is_over(struct mw_lengths *lengths, uint64_t id);

/* Let hits come again where that is due at NOW; when next, at most UNTIL: CLOCK_MONOTONIC. */
double mw_lengths__step(struct mw_lengths *lengths, double now, double until);

/* Seconds of the targets' CPU time that watchpoints took so far, besides their hits. */
double mw_lengths__seconds(const struct mw_lengths *lengths);

/*
 * What was seen of CONTAINER of PID so far, the one that adds most first. Returns how many of them
 * are in OUT, at most MAX; 0 also where it is not watched.
 */
size_t mw_lengths__seen(struct mw_lengths *lengths, pid_t pid, uint64_t container,
			struct mw_length_seen *out, size_t max);

#endif
