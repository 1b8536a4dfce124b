/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a watch has counted up to one moment, and the difference between two such moments. Pure
 * data: no clock, no kernel, no output.
 */
#ifndef MW_MODEL_SAMPLE_H
#define MW_MODEL_SAMPLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/memwhere.h"
#include "model/coverage.h"

enum { MW_LOOK_NOTE = 160 };

/* Looks at the heap, which find out which sampled blocks are still allocated. */
struct mw_heap_looks {
	uint64_t count;
	double cpu_seconds;	 /* that memwhere has spent on them, not the target */
	uint64_t bytes;		 /* read of the target's memory */
	double whole_seconds;	 /* that the last round took to meet every block; < 0: none yet */
	char note[MW_LOOK_NOTE]; /* why nothing is known of some blocks, or "" */
};

/* Everything since the watch began, except where said otherwise. */
/* Of the CPU time: where system calls went unseen for less of it than the rest, nobody needs to
 * know. */
#define MW_SYSTEM_CALLS_ALL 0.995

struct mw_sample {
	double time;		 /* seconds since 1970 */
	double elapsed;		 /* seconds since the watch began */
	struct mw_counts counts; /* all CPUs together */
	uint64_t min_flt, maj_flt;
	uint64_t cpu_ns;			 /* that the target has used */
	uint64_t probe_ns;			 /* of it, estimated, in memwhere's probes */
	uint64_t rss;				 /* bytes, now */
	uint64_t mmap_threshold, trim_threshold; /* now; 0: unknown */
	bool threshold_known, threshold_dynamic;
	uint64_t outstanding_count, outstanding_bytes; /* now */
	size_t processes;			       /* alive now */
	/* Under a budget: what the probes count are estimates, and outstanding is not known. */
	bool governed;
	bool always;	      /* the probes are in all the time: exact from then on */
	double always_since;  /* seconds since the watch began */
	bool too_fast;	      /* if too little was seen: in many windows, it allocates too often */
	bool python_too_fast; /* the same of Python's small objects */
	bool enough;	      /* false: too little was seen, the probes' counts say nothing */
	double budget, cost;  /* shares of the target's CPU time: allowed, taken by programs */
	double standing;      /* of COST, by those that are there all the time */
	double system_calls_seen; /* share of the CPU time in which they were */
	double coverage;	  /* share of it in which probes were in */
	double least; /* allocations a second of its CPU time while probes were in: a bound */
	double error; /* relative standard deviation of the number of allocations */
	size_t windows;
	/*
	 * Python's small objects: none, or not asked for; counted with the others; sampled by line
	 * only, because how many there are is not known, or not yet.
	 */
	enum mw_python_layer { MW_PYTHON_NONE, MW_PYTHON_SEEN, MW_PYTHON_SAMPLED } python;
	struct mw_coverage python_coverage; /* of PYTHON, as measured */
	bool malloc_enough; /* ENOUGH of malloc's layer alone, where PYTHON is seen beside it */
	double walked_at; /* seconds since the watch began: of the last walk of the heap; < 0: none
			   */
	struct mw_heap_looks looks; /* of all targets together */
	float seen[MW_CLASSES];	    /* allocations that a class's estimate stands on */
	bool out_of_reach;   /* no allocator for probes: only what the kernel gives is seen */
	const char *runtime; /* whose own heap probes don't reach: "Go"; NULL: none; a constant */
	bool ended;	     /* the target has */
};

/* Was enough seen of malloc's layer, or of Python's own, for amounts to say something? */
static inline bool mw_sample__knows(const struct mw_sample *now, bool python)
{
	if (!now->governed || now->always)
		return true;
	if (python)
		return now->enough && now->python != MW_PYTHON_SAMPLED;
	return now->python == MW_PYTHON_SEEN ? now->malloc_enough : now->enough;
}

/* Something that happened to a process, at one moment. */
struct mw_event {
	enum mw_event_kind {
		MW_EVENT_THRESHOLD,
		MW_EVENT_FORK,
		MW_EVENT_EXEC,
		MW_EVENT_EXIT,
		MW_EVENT_ALLOCATOR,
	} kind;
	double elapsed; /* seconds since the watch began */
	uint32_t pid;
	uint64_t old_value, new_value; /* thresholds, or the child's PID */
	uint64_t size;		       /* bytes; wait status for an exit */
	enum mw_threshold_cause {
		MW_MOVED_UNSEEN,
		MW_MOVED_BY_FREE, /* of a mapping of `size` bytes */
		MW_MOVED_BY_MALLOPT,
	} cause;	/* of a threshold's move */
	char text[128]; /* allocator's path; clean */
};

/* WHAT happened to a process of target number TARGET. */
typedef void (*mw_event_fn)(const struct mw_event *what, unsigned int target, void *arg);

/*
 * What moved glibc's mmap threshold from OLD to NEW, with the trim threshold at TRIM now: free() of
 * a block with a mapping of its own sets it to that block's chunk, the trim threshold to twice as
 * much (malloc/malloc.c, __libc_free), unless mallopt() or a tunable has fixed them: not DYNAMIC.
 */
enum mw_threshold_cause mw_threshold_moved_by(uint64_t old, uint64_t new, uint64_t trim,
					      bool dynamic);

/* TO += FROM, counter by counter. */
void mw_counts__add(struct mw_counts *to, const struct mw_counts *from);

/* Of what probes count, only LAYER's stays. */
void mw_counts__keep_layer(struct mw_counts *counts, enum mw_layer layer);

/* What happened between EARLIER and LATER; what is true "now" is taken from LATER. */
void mw_sample__difference(struct mw_sample *out, const struct mw_sample *later,
			   const struct mw_sample *earlier);

/* Smallest and largest request of size class CLASS, both inclusive. */
void mw_class_bounds(unsigned int class, uint64_t *low, uint64_t *high);

/* Sums over classes or functions. */
struct mw_cell mw_counts__alloc(const struct mw_counts *counts);
struct mw_cell mw_counts__alloc_at(const struct mw_counts *counts, enum mw_place place);
struct mw_cell mw_counts__alloc_class(const struct mw_counts *counts, unsigned int class);
struct mw_cell mw_counts__freed(const struct mw_counts *counts);
uint64_t mw_counts__free_calls(const struct mw_counts *counts);
uint64_t mw_counts__lost(const struct mw_counts *counts);

const char *mw_place_name(enum mw_place place);
const char *mw_lost_name(enum mw_lost cause);
const char *mw_sdt_name(enum mw_sdt_probe which);

/*
 * SMALL is what windows of Python's layer say at the same moment: it joins what those of malloc's
 * say in SAMPLE. Where its coverage is known, what was missed is added, to SMALL, too.
 */
void mw_sample__add_python(struct mw_sample *sample, struct mw_sample *small);

/* By which mode a target is watched where MODE is the watch's. */
enum mw_mode mw_sample__mode(const struct mw_sample *now, enum mw_mode mode);

/* "growth", "sizes", "exact", or "windows" while a budget keeps the probes out most of the time. */
const char *mw_mode_name(enum mw_mode mode, const struct mw_sample *now);

/* Relative standard deviation of the estimated number of allocations of CLASS, under a budget. */
double mw_sample__class_error(const struct mw_sample *sample, unsigned int class);

#endif
