/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What tracer.c (life cycle, reading), process.c (probes of one process) and events.c share. */
#ifndef MW_TRACE_INTERNAL_H
#define MW_TRACE_INTERNAL_H

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "bpf/memwhere.skel.h"
#include "heap/glibc_settings.h"
#include "image/image.h"
#include "image/procstat.h"
#include "probe/attach.h"
#include "probe/calibrate.h"
#include "trace/tracked.h"
#include "trace/governor.h"
#include "probe/detach.h"
#include "probe/sdt.h"
#include "trace/pids.h"
#include "trace/stacks.h"
#include "trace/tracer.h"

/* One allocator with its probes in place. */
struct probed_allocator {
	uint64_t inode;
	uint32_t major, minor;
	struct mw_probes entries, returns;
};

struct probed {
	size_t count;
	struct probed_allocator list[MW_ALLOCATORS_MAX];
};

struct process {
	pid_t pid;
	uint32_t tgid; /* the same process for the programs: trace/pids.h */
	int pidfd;
	uint32_t slot, space;
	bool child, ended;
	struct mw_allocators allocators;
	struct probed probed; /* unused with --follow */
	struct mw_sdt *sdt;   /* probes of its own, NULL: none */
	struct mw_glibc_settings settings;
	struct mw_image *image;		/* to read SETTINGS again; NULL: there are none */
	struct mw_procstat stat, first; /* as last read, and when the watch began */
	/* Look for allocators again (exec, dlopen): next time to do so, attempts left. */
	double rescan_at;
	unsigned int rescans_left;
};

/* What the windows of one target have shown. Words are those of struct mw_counts. */
struct window_slot {
	struct mw_rates rates;
	struct mw_counts before, reviewed;
	double rate, error;	      /* allocations a second without probes */
	double seen[MW_WINDOW_KINDS]; /* allocations behind `weight` */
	double weight[MW_WINDOW_KINDS][sizeof(struct mw_counts) / 8];
	double estimate[sizeof(struct mw_counts) / 8]; /* since the watch began */
	bool known;
	double full_at;			 /* seconds: up to where whole windows have counted */
	uint64_t kept_count, kept_bytes; /* blocks of windows that are not known to be freed */
};

struct target {
	pid_t pid;
	/* Of processes that have ended, and of those before an exec replaced their memory. */
	uint64_t ended_min_flt, ended_maj_flt, ended_cpu_ns;
	uint64_t purged_count, purged_bytes;
	uint64_t late; /* MW_LOST_LATE */
};

struct mw_tracer {
	struct mw_tracer_options options;
	struct memwhere_bpf *bpf;
	struct mw_pids pids;
	struct ring_buffer *ring;
	struct mw_detacher *detacher;
	struct mw_stacks *stacks; /* NULL: no sites */
	bool multi, has_btf, started, stopped;
	int cpus;
	struct mw_counts *per_cpu; /* scratch for reading */
	struct mw_cost cost;
	double started_at, stopped_at; /* seconds of CLOCK_MONOTONIC */
	double attach_seconds, detach_seconds;
	/* Under a budget (windows.c). */
	enum { WINDOW_NONE, WINDOW_OPEN, WINDOW_CLOSING, WINDOW_ALWAYS } window;
	bool governed, was_always, described;
	enum mw_window_kind kind; /* of probes that are in */
	struct mw_governor governor;
	struct window_slot *slots;  /* MW_SLOTS of them */
	struct mw_tracked *tracked; /* NULL: no sites */
	uint64_t idle_before;
	int stats_fd;		/* while it is open the kernel times the programs */
	double ran_before, ran; /* seconds that the programs ran, and within the window */
	double put_in_at, opened_at, closed_at, due_at, integrated_at, integrated_lost;
	double busy, busy_at, busy_cpu;	 /* CPUs that the targets keep busy */
	double reviewed_at, always_cost; /* with probes in for good */
	struct probed shared;		 /* with --follow: in the files, for all processes */
	struct target targets[MW_SLOTS];
	size_t target_count;
	struct process *processes;
	size_t process_count, process_capacity;
	/* Address spaces that are gone, whose blocks are to leave the outstanding map. */
	struct dead_space {
		uint32_t space, slot;
		uint64_t before; /* CLOCK_MONOTONIC ns: later blocks belong to the new program */
	} * dead;
	size_t dead_count, dead_capacity;
	mw_event_fn event;
	void *event_arg;
};

/* process.c: all return 0 or -errno. */
int mw_process__find_allocators(struct mw_tracer *tracer, struct process *process,
				struct mw_err *err);
int mw_process__attach(struct mw_tracer *tracer, struct process *process, struct mw_err *err);
int mw_process__publish(struct mw_tracer *tracer, struct process *process);
void mw_process__rescan(struct mw_tracer *tracer, struct process *process);
void mw_process__detach(struct mw_tracer *tracer, struct probed *probed);
void mw_process__free(struct process *process);
/* It has ended, or can't be watched: nothing of it stays. */
void mw_process__drop(struct mw_tracer *tracer, struct process *process);
struct process *mw_process__add(struct mw_tracer *tracer, pid_t pid, uint32_t tgid, uint32_t slot,
				uint32_t space);
uint64_t mw_process_call_ns(const struct mw_tracer *tracer, const struct mw_function *fn);
struct process *mw_process__find(struct mw_tracer *tracer, uint32_t tgid);

/* windows.c: only for a tracer that is governed. */
void mw_windows__begin(struct mw_tracer *tracer);
/* Do what is due; when to be called again, at most UNTIL. */
double mw_windows__step(struct mw_tracer *tracer, double until);
void mw_windows__integrate(struct mw_tracer *tracer);
/* Replace what windows saw by estimates for the whole time. */
void mw_windows__estimate(struct mw_tracer *tracer, uint32_t slot, struct mw_sample *sample);

/* events.c */
int mw_events__handle(void *tracer, void *data, size_t len); /* a ring_buffer_sample_fn */
void mw_events__process_ended(struct mw_tracer *tracer, struct process *process, uint64_t min_flt,
			      uint64_t maj_flt, uint64_t status);
void mw_events__settings_changed(struct mw_tracer *tracer, struct process *process);

#endif
