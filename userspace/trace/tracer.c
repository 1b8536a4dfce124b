// SPDX-License-Identifier: GPL-2.0-or-later
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "bpf/memwhere.h"
#include "bpf/memwhere.skel.h"
#include "model/type_growth.h"
#include "trace/blocks.h"
#include "trace/counters.h"
#include "trace/events.h"
#include "trace/layers.h"
#include "trace/lengths.h"
#include "trace/pids.h"
#include "trace/probing.h"
#include "trace/programs.h"
#include "trace/tracer.h"
#include "trace/windowed.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/log.h"

enum { PROMPT_NICE = -15 };
/* Seconds. */
static const double NAMING_GAP = 0.5;
/* What watchpoints on lengths may take of the budget; of the targets' CPU time where there is none.
 */
static const double LENGTHS = 0.15, LENGTHS_USUAL = 0.003;

struct mw_tracer {
	struct mw_tracer_options options;
	struct memwhere_bpf *bpf;
	uint32_t syscall_ns; /* that a system call takes longer */
	struct mw_pids pids;
	struct ring_buffer *event_ring, *stack_ring; /* the latter NULL: no sites */
	bool in_event;				     /* one is being handled */
	struct mw_counters *counters;
	struct mw_processes processes;
	struct mw_probing *probing;	  /* NULL: no allocator probes */
	struct mw_stacks *stacks;	  /* NULL: no sites */
	struct mw_blocks seen[MW_LAYERS]; /* by the programs */
	struct mw_layers *layers;	  /* NULL: no budget, or not started */
	struct mw_lengths *lengths;	  /* NULL: no sites, or the kernel can't watch them */
	struct mw_dead_spaces dead;
	struct mw_events events;
	bool started, stopped;
	double started_at, stopped_at; /* seconds of CLOCK_MONOTONIC */
	double named_at;	       /* stacks, the last time */
	double attach_seconds, detach_seconds;
};

/* ---- opening --------------------------------------------------------------------------------- */

static bool is_governed(const struct mw_tracer_options *options)
{
	return options->max_overhead > 0 && options->mode != MW_MODE_GROWTH;
}

static int no_memory(struct mw_err *err)
{
	return mw_err_set(err, -ENOMEM, "no-memory", NULL, "out of memory");
}

static int open_probing(struct mw_tracer *tracer, bool multi, struct mw_err *err)
{
	const struct mw_tracer_options *options = &tracer->options;

	if (options->mode == MW_MODE_GROWTH)
		return 0;
	tracer->probing = mw_probing__new(options, tracer->bpf, &tracer->processes, multi);
	return tracer->probing ? 0 : no_memory(err);
}

/*
 * To find names may take a tenth of a second, a debug file's, or more: not as long as probes are in
 * that must soon go out again. Where it is not known yet whether those that are in can stay, not at
 * once either: new stacks come when the target becomes busy, which is when probes may have to go.
 */
static bool may_name(const struct mw_tracer *tracer)
{
	if (!tracer->stack_ring)
		return false;
	if (!tracer->layers)
		return true;
	return !mw_layers__are_open(tracer->layers) &&
	       (!mw_layers__may_close(tracer->layers) ||
		mw_monotonic() >= tracer->named_at + NAMING_GAP);
}

/* The stack of a process that is not known: its fork's event is in the ring. */
static void consume_events(void *arg)
{
	const struct mw_tracer *tracer = arg;

	if (!tracer->in_event)
		ring_buffer__consume(tracer->event_ring);
}

/* A process ends or runs another program: what names the stacks that it had so far goes away. */
static void consume_stacks(void *arg)
{
	struct mw_tracer *tracer = arg;

	if (!tracer->stack_ring)
		return;
	tracer->in_event = true;
	ring_buffer__consume(tracer->stack_ring);
	tracer->in_event = false;
}

static bool takes_arenas(void *arg, uint32_t tgid, uint64_t addr)
{
	struct mw_tracer *tracer = arg;
	const struct mw_process *process = mw_processes__find(&tracer->processes, tgid);

	return process && process->pymalloc && mw_pymalloc__takes_arenas(process->pymalloc, addr);
}

static int open_rings(struct mw_tracer *tracer, struct mw_err *err)
{
	tracer->event_ring = ring_buffer__new(bpf_map__fd(tracer->bpf->maps.events),
					      mw_events__handle, &tracer->events, NULL);
	if (!tracer->event_ring)
		return mw_err_set(err, -errno, "bpf", NULL, "can't read the event ring: %s",
				  strerror(errno));
	if (!tracer->stacks)
		return 0;
	tracer->stack_ring = ring_buffer__new(bpf_map__fd(tracer->bpf->maps.stacks),
					      mw_stacks__handle, tracer->stacks, NULL);
	if (!tracer->stack_ring)
		return mw_err_set(err, -ENOMEM, "no-memory", NULL, "no memory for stacks: %s",
				  strerror(errno));
	mw_stacks__on_unknown(tracer->stacks, consume_events, tracer);
	mw_stacks__on_mapping(tracer->stacks, takes_arenas, tracer);
	return 0;
}

/*
 * Stacks first: the exit of a process comes after its stacks, and takes what names them away. Its
 * fork comes before them; consume_events() is called for that.
 */
static void consume_rings(struct mw_tracer *tracer)
{
	if (may_name(tracer)) {
		ring_buffer__consume(tracer->stack_ring);
		tracer->named_at = mw_monotonic();
	}
	ring_buffer__consume(tracer->event_ring);
}

/* Wait for events or stacks, MS at most. 0, or -EINTR. */
static int poll_rings(struct mw_tracer *tracer, int ms)
{
	struct pollfd fds[2] = {
		{.fd = ring_buffer__epoll_fd(tracer->event_ring), .events = POLLIN},
		{.fd = -1, .events = POLLIN},
	};

	if (may_name(tracer))
		fds[1].fd = ring_buffer__epoll_fd(tracer->stack_ring);
	if (poll(fds, 2, ms) < 0)
		return -errno;
	consume_rings(tracer);
	return 0;
}

/* Seconds that a debug trap takes a target. */
static double trap_seconds(const struct mw_tracer *tracer)
{
	uint32_t ns = tracer->probing ? mw_cost__debug_trap_ns(mw_probing__cost(tracer->probing))
				      : mw_probe_class_cost(MW_PROBE_STEPPED);

	return ns / 1e9;
}

static int open_stacks(struct mw_tracer *tracer, struct mw_err *err)
{
	if (tracer->options.sites == MW_SITES_NONE)
		return 0;
	tracer->stacks = mw_stacks__new(tracer->bpf, &tracer->options, tracer->seen);
	if (!tracer->stacks)
		return mw_err_set(err, -ENOMEM, "no-memory", NULL, "no memory for stacks: %s",
				  strerror(errno));
	if (bpf_program__fd(tracer->bpf->progs.length_changed) < 0)
		return 0;
	tracer->lengths = mw_lengths__new(tracer->bpf, &tracer->processes,
					  tracer->options.max_overhead > 0
						  ? LENGTHS * tracer->options.max_overhead
						  : LENGTHS_USUAL,
					  trap_seconds(tracer));
	return tracer->lengths ? 0 : no_memory(err);
}

static int open_parts(struct mw_tracer *tracer, bool multi, struct mw_err *err)
{
	int ret = 0;

	tracer->bpf =
		mw_programs__load(&tracer->options, multi, &tracer->pids, &tracer->syscall_ns, err);
	if (!tracer->bpf)
		return -errno;
	tracer->processes.bpf = tracer->bpf;
	tracer->processes.map = bpf_map__fd(tracer->bpf->maps.procs);
	tracer->processes.returns = tracer->options.mode == MW_MODE_EXACT;
	tracer->counters = mw_counters__new(bpf_map__fd(tracer->bpf->maps.counts), err);
	if (!tracer->counters)
		return -errno;
	for (int layer = 0; layer < MW_LAYERS && !ret; layer++)
		ret = mw_blocks__open(&tracer->seen[layer], tracer->bpf, layer);
	if (ret)
		return mw_err_set(err, ret, "bpf", NULL, "can't map the table of blocks: %s",
				  strerror(-ret));
	ret = open_probing(tracer, multi, err);
	if (!ret)
		ret = open_stacks(tracer, err);
	if (!ret)
		ret = open_rings(tracer, err);
	tracer->events = (struct mw_events){
		.processes = &tracer->processes,
		.probing = tracer->probing,
		.stacks = tracer->stacks,
		.lengths = tracer->lengths,
		.dead = tracer->options.mode == MW_MODE_EXACT ? &tracer->dead : NULL,
		.before_end = tracer->stacks ? consume_stacks : NULL,
		.before_end_arg = tracer,
	};
	return ret;
}

struct mw_tracer *mw_tracer__open(const struct mw_tracer_options *options, struct mw_err *err)
{
	bool uprobes = options->mode != MW_MODE_GROWTH;
	struct mw_tracer *tracer;
	bool multi;
	int ret;

	if (!mw_programs_have_btf()) {
		if (options->follow) {
			errno = -mw_err_set(
				err, -ENOTSUP, "bpf", NULL,
				"--follow needs a kernel with BTF (/sys/kernel/btf/vmlinux)");
			return NULL;
		}
		mw_warn("this kernel has no BTF: an exec of the target is not noticed");
	}
	tracer = calloc(1, sizeof(*tracer));
	if (!tracer) {
		errno = -no_memory(err);
		return NULL;
	}
	tracer->options = *options;
	multi = uprobes && mw_probes_have_multi();
	if (uprobes && !multi)
		mw_detail("kernel without uprobe_multi by process (Linux 6.10): one event a probe, "
			  "slow to take out");
	ret = open_parts(tracer, multi, err);
	if (!ret)
		return tracer;
	mw_tracer__close(tracer);
	errno = -ret;
	return NULL;
}

/* ---- targets --------------------------------------------------------------------------------- */

/* Numbers for address spaces; once counting has begun the program at forks takes them, too. */
static uint32_t next_space(struct mw_tracer *tracer)
{
	return __sync_fetch_and_add(&tracer->bpf->bss->mw_next_space, 1) % MW_SPACES;
}

static int watch(struct mw_tracer *tracer, struct mw_process *process, struct mw_err *err)
{
	struct mw_processes *processes = &tracer->processes;
	pid_t pid = process->pid;
	char where[32];
	int ret;

	snprintf(where, sizeof(where), "PID %d", pid);
	if (mw_procstat__read(&process->stat, pid))
		return mw_err_set(err, -ESRCH, "no-such-process", where, "no such process");
	process->first = process->stat;
	ret = mw_processes__find_allocators(processes, process, err);
	/* Without probes none is needed; a child may be about to start another program. */
	if (ret && ret != -ESRCH && (process->child || !tracer->probing))
		ret = 0;
	if (ret == -ENOENT && !tracer->options.needs_allocator)
		ret = 0;
	if (!ret)
		ret = mw_processes__publish(processes, process);
	if (ret)
		return ret;
	mw_processes__seed_brk(processes, process);
	if (tracer->stacks) {
		mw_stacks__prepare(tracer->stacks, process->tgid, pid, false);
		/* With --follow those of a target are in the file, for its children, too. */
		if (!process->child)
			process->sdt = mw_sdt__attach(tracer->bpf->progs.sdt_hit, pid,
						      tracer->options.follow);
		if (mw_sdt__has_samples(process->sdt))
			mw_stacks__set_frees_known(tracer->stacks);
	}
	if (is_governed(&tracer->options) && !process->child &&
	    tracer->options.min_size <= MW_PYMALLOC_MAX)
		process->pymalloc = mw_pymalloc__open(pid);
	if (tracer->probing && !is_governed(&tracer->options))
		return mw_probing__attach(tracer->probing, process, err);
	return 0;
}

/* With --follow: the children that a target has already, and theirs. */
static void add_descendants(struct mw_tracer *tracer, uint32_t slot)
{
	struct mw_processes *processes = &tracer->processes;
	_cleanup_free_ pid_t *list = NULL;
	ssize_t count = mw_procstat_descendants(processes->targets[slot].pid, &list);

	for (ssize_t i = 0; i < count; i++) {
		struct mw_process *process;
		struct mw_err err = {0};
		struct mw_proc known;
		uint32_t tgid;

		/* One that was born since counting began comes with its fork's event. */
		if (list[i] == getpid() || mw_pids__tgid(&tracer->pids, list[i], &tgid) ||
		    mw_processes__find(processes, tgid) ||
		    !bpf_map_lookup_elem(processes->map, &tgid, &known))
			continue;
		process = mw_processes__add(processes, list[i], tgid, slot, next_space(tracer));
		if (!process)
			return;
		process->child = true;
		if (watch(tracer, process, &err)) {
			mw_detail("child %d is left out: %s", list[i], err.message);
			mw_events__drop(&tracer->events, process);
		}
	}
}

int mw_tracer__add(struct mw_tracer *tracer, pid_t pid, struct mw_err *err)
{
	struct mw_processes *processes = &tracer->processes;
	uint32_t slot = processes->target_count;
	double began = mw_monotonic();
	struct mw_process *process;
	char where[32];
	uint32_t tgid;
	int ret;

	snprintf(where, sizeof(where), "PID %d", pid);
	if (slot >= MW_SLOTS)
		return mw_err_usage(err, NULL, "at most %d targets at a time", MW_SLOTS);
	ret = mw_pids__tgid(&tracer->pids, pid, &tgid);
	if (ret == -ESRCH)
		return mw_err_set(err, ret, "no-such-process", where, "no such process");
	if (ret)
		return mw_err_set(err, ret, "pid-namespace", where,
				  "the kernel can't say which process of its own this is: %s",
				  strerror(-ret));
	process = mw_processes__find(processes, tgid);
	if (process)
		return mw_err_usage(err, where,
				    process->child
					    ? "is a child of another target, and followed already"
					    : "is named twice");
	process = mw_processes__add(processes, pid, tgid, slot, next_space(tracer));
	if (!process)
		return mw_err_set(err, -ENOMEM, "no-memory", where, "out of memory");
	ret = watch(tracer, process, err);
	if (ret)
		return ret;
	if (process->settings.mp_addr)
		mw_detail("PID %d: glibc settings, %s", pid, process->settings.evidence);
	processes->targets[slot].pid = pid;
	processes->target_count++;
	if (tracer->options.follow)
		add_descendants(tracer, slot);
	tracer->attach_seconds += mw_monotonic() - began;
	return (int)slot;
}

/* Seconds in which a busy machine does not run this thread are seconds with probes in. */
static void run_promptly(void)
{
	if (setpriority(PRIO_PROCESS, (id_t)gettid(), PROMPT_NICE))
		mw_detail(
			"probes may stay in too long on a busy machine: no priority for the watch: %s",
			strerror(errno));
}

static int begin_layers(struct mw_tracer *tracer)
{
	const struct mw_windowed with = {
		.options = &tracer->options,
		.bpf = tracer->bpf,
		.processes = &tracer->processes,
		.probing = tracer->probing,
		.counters = tracer->counters,
		.stacks = tracer->stacks,
		.seen = tracer->seen,
	};

	run_promptly();
	tracer->layers = tracer->events.layers =
		mw_layers__begin(&with, tracer->lengths, tracer->syscall_ns);
	return tracer->layers ? 0 : -ENOMEM;
}

int mw_tracer__start(struct mw_tracer *tracer, mw_event_fn event, void *arg, struct mw_err *err)
{
	struct mw_processes *processes = &tracer->processes;

	tracer->events.fn = event;
	tracer->events.arg = arg;
	for (size_t i = 0; i < processes->count; i++) {
		struct mw_process *process = &processes->list[i];
		char where[32];

		if (process->ended)
			continue;
		snprintf(where, sizeof(where), "PID %d", process->pid);
		/* What has moved while probes were put in is not of the watch. */
		if (process->image &&
		    !mw_glibc_settings__refresh(&process->settings, process->image))
			mw_processes__publish(processes, process);
		if (!mw_procstat__read(&process->stat, process->pid))
			process->first = process->stat;
		else if (process->child)
			mw_events__drop(&tracer->events, process);
		else
			return mw_err_set(err, -ESRCH, "no-such-process", where,
					  "it ended while probes were being put in");
	}
	tracer->started_at = tracer->events.started_at = mw_monotonic();
	tracer->started = true;
	if (!is_governed(&tracer->options))
		mw_windowed__count(tracer->bpf, MW_LAYER_MALLOC, true);
	else if (begin_layers(tracer))
		return no_memory(err);
	__atomic_store_n(&tracer->bpf->bss->mw_active, 1, __ATOMIC_SEQ_CST);
	/* Born since the targets were added. */
	for (uint32_t slot = 0; tracer->options.follow && slot < processes->target_count; slot++)
		add_descendants(tracer, slot);
	return 0;
}

/* ---- while it runs --------------------------------------------------------------------------- */

/* Without exit events (no BTF, or the ring was full) /proc says that a process has ended. */
static void check_alive(struct mw_tracer *tracer)
{
	struct mw_processes *processes = &tracer->processes;

	for (size_t i = 0; i < processes->count; i++) {
		struct mw_process *process = &processes->list[i];
		struct mw_procstat stat;

		if (process->ended)
			continue;
		if (!mw_procstat__read(&stat, process->pid) && stat.state != 'Z' &&
		    stat.state != 'X')
			continue;
		/* Its event may be in the ring already, which has all faults; it may add others. */
		consume_rings(tracer);
		process = &processes->list[i];
		if (!process->ended)
			mw_events__process_ended(&tracer->events, process, process->stat.min_flt,
						 process->stat.maj_flt, 0);
	}
}

bool mw_tracer__all_ended(const struct mw_tracer *tracer)
{
	return mw_processes__all_ended(&tracer->processes);
}

void mw_tracer__look(struct mw_tracer *tracer)
{
	if (tracer->layers)
		mw_layers__look(tracer->layers);
}

void mw_tracer__set_live_bytes(struct mw_tracer *tracer, unsigned int target,
			       const struct mw_live_growth live[MW_LAYERS])
{
	if (tracer->layers)
		mw_layers__set_live_bytes(tracer->layers, target, live);
}

int mw_tracer__wait(struct mw_tracer *tracer, double until)
{
	do {
		double next = mw_events__rescan(&tracer->events, until), left;
		int ms, ret;

		if (tracer->layers)
			next = mw_layers__step(tracer->layers, next);
		if (tracer->lengths)
			next = mw_lengths__step(tracer->lengths, mw_monotonic(), next);
		left = next - mw_monotonic();
		ms = left <= 0 ? 0 : left > 0.25 ? 250 : (int)(left * 1000) + 1;
		ret = poll_rings(tracer, ms);
		if (ret == -EINTR)
			return ret;
		check_alive(tracer);
		if (mw_tracer__all_ended(tracer))
			break;
	} while (mw_monotonic() < until);
	return 0;
}

/* ---- reading --------------------------------------------------------------------------------- */

/* Seconds since the watch began, which stand still once it has been stopped. */
static double elapsed(const struct mw_tracer *tracer)
{
	return (tracer->stopped ? tracer->stopped_at : mw_monotonic()) - tracer->started_at;
}

/* A block of an address space that is gone: it is no longer outstanding. */
static void on_dead_block(uint32_t slot, const struct mw_alloc_record *block, void *arg)
{
	struct mw_tracer *tracer = arg;

	tracer->processes.targets[slot].purged_count++;
	tracer->processes.targets[slot].purged_bytes += block->size;
	if (block->site)
		mw_stacks__purged(tracer->stacks, block->site, block->size);
}

/* What probes can't reach of a target is what they can't reach of its first process. */
static void update_reach(struct mw_tracer *tracer, const struct mw_process *process)
{
	struct mw_target *target = &tracer->processes.targets[process->slot];

	target->out_of_reach = !process->allocators.count;
	target->runtime = process->allocators.runtime;
	if (tracer->stacks)
		mw_stacks__set_growth_only(tracer->stacks, process->slot, target->out_of_reach);
}

static void read_processes(struct mw_tracer *tracer, unsigned int slot, struct mw_sample *sample)
{
	const struct mw_target *target = &tracer->processes.targets[slot];

	sample->min_flt = target->ended_min_flt;
	sample->maj_flt = target->ended_maj_flt;
	sample->cpu_ns = target->ended_cpu_ns;
	for (size_t i = 0; i < tracer->processes.count; i++) {
		struct mw_process *process = &tracer->processes.list[i];
		struct mw_procstat stat;

		if (process->slot != slot || process->ended)
			continue;
		if (!mw_procstat__read(&stat, process->pid) && stat.state != 'Z')
			process->stat = stat;
		sample->processes++;
		sample->rss += process->stat.rss;
		sample->min_flt += process->stat.min_flt - process->first.min_flt;
		sample->maj_flt += process->stat.maj_flt - process->first.maj_flt;
		sample->cpu_ns +=
			mw_procstat__cpu_ns(&process->stat) - mw_procstat__cpu_ns(&process->first);
		if (process->child)
			continue;
		update_reach(tracer, process);
		if (!process->settings.mp_addr)
			continue;
		mw_events__refresh_settings(&tracer->events, process);
		sample->threshold_known = true;
		sample->threshold_dynamic = process->settings.dynamic;
		sample->mmap_threshold = process->settings.mmap_threshold;
		sample->trim_threshold = process->settings.trim_threshold;
	}
	sample->out_of_reach = target->out_of_reach;
	sample->runtime = target->runtime;
	sample->ended = !sample->processes;
}

/* Blocks that were made and not freed since the watch began. */
static void set_outstanding(const struct mw_tracer *tracer, unsigned int slot,
			    struct mw_sample *sample)
{
	const struct mw_target *target = &tracer->processes.targets[slot];
	const struct mw_cell *unkept = &sample->counts.unkept;
	struct mw_cell made = mw_counts__alloc(&sample->counts);
	struct mw_cell freed = mw_counts__freed(&sample->counts);

	sample->outstanding_count = made.count - unkept->count - freed.count - target->purged_count;
	sample->outstanding_bytes = made.bytes - unkept->bytes - freed.bytes - target->purged_bytes;
}

int mw_tracer__read(struct mw_tracer *tracer, unsigned int slot, struct mw_sample *sample)
{
	struct timespec now;
	int ret;

	memset(sample, 0, sizeof(*sample));
	if (slot >= tracer->processes.target_count)
		return -EINVAL;
	consume_rings(tracer);
	mw_dead_spaces__purge(&tracer->dead, &tracer->seen[MW_LAYER_MALLOC], on_dead_block, tracer);
	ret = mw_counters__read(tracer->counters, slot, &sample->counts);
	if (ret)
		return ret;
	clock_gettime(CLOCK_REALTIME, &now);
	sample->time = (double)now.tv_sec + (double)now.tv_nsec / 1e9;
	sample->elapsed = elapsed(tracer);
	sample->counts.lost[MW_LOST_LATE] = tracer->processes.targets[slot].late;
	sample->counts.lost[MW_LOST_RECURSION] = mw_programs__recursion_misses(tracer->bpf);
	set_outstanding(tracer, slot, sample);
	read_processes(tracer, slot, sample);
	if (tracer->probing)
		sample->probe_ns =
			mw_cost__calls_ns(mw_probing__cost(tracer->probing),
					  mw_processes__allocators(&tracer->processes, slot),
					  &sample->counts, tracer->options.mode == MW_MODE_EXACT);
	if (tracer->layers)
		mw_layers__estimate(tracer->layers, slot, tracer->started_at, sample);
	return 0;
}

int mw_tracer__read_sites(struct mw_tracer *tracer)
{
	const struct mw_tracked *tracked[MW_LAYERS] = {NULL};

	if (!tracer->stacks)
		return 0;
	/* Finding names takes a while: the counters are read, and the clock, after it. */
	consume_rings(tracer);
	if (tracer->layers)
		mw_layers__settle(tracer->layers, tracked);
	return mw_stacks__read(tracer->stacks, elapsed(tracer), tracer->started_at, tracked);
}

void mw_tracer__mark(struct mw_tracer *tracer)
{
	if (!tracer->stacks)
		return;
	tracer->bpf->bss->mw_interval_began = (uint64_t)(mw_monotonic() * 1e9);
	mw_stacks__mark(tracer->stacks);
	if (tracer->layers)
		mw_layers__mark(tracer->layers);
}

void mw_tracer__limit_by_types(struct mw_tracer *tracer, unsigned int target,
			       const struct mw_look_growth *growth)
{
	mw_type_growth__limit(mw_stacks__sites(tracer->stacks), target, growth);
}

const struct mw_sites *mw_tracer__sites(const struct mw_tracer *tracer)
{
	return tracer->stacks ? mw_stacks__sites(tracer->stacks) : NULL;
}

void mw_tracer__watch_lengths(struct mw_tracer *tracer, const struct mw_watched_length *list,
			      size_t count)
{
	if (tracer->lengths && !tracer->stopped)
		mw_lengths__watch(tracer->lengths, list, count);
}

size_t mw_tracer__changers(struct mw_tracer *tracer, pid_t pid, uint64_t container,
			   struct mw_changer *out, size_t max)
{
	struct mw_length_seen seen[MW_CHANGERS_MAX];
	size_t count = 0, n;

	if (!tracer->lengths)
		return 0;
	consume_rings(tracer);
	n = mw_lengths__seen(tracer->lengths, pid, container, seen,
			     max < MW_CHANGERS_MAX ? max : MW_CHANGERS_MAX);
	for (size_t i = 0; i < n; i++) {
		out[count].site = mw_stacks__changer(tracer->stacks, seen[i].site);
		out[count].samples = seen[i].samples;
		out[count].added = seen[i].added;
		out[count].removed = seen[i].removed;
		count += out[count].site != NULL;
	}
	return count;
}

int mw_tracer__survivors(struct mw_tracer *tracer, struct mw_survivors *out)
{
	out->count = 0;
	return tracer->layers ? mw_layers__survivors(tracer->layers, out) : 0;
}

void mw_tracer__take_types(struct mw_tracer *tracer, const struct mw_survivors *survivors)
{
	mw_stacks__forget_types(tracer->stacks);
	for (size_t i = 0; i < survivors->count; i++) {
		const struct mw_survivor *s = &survivors->list[i];

		if (s->type)
			mw_stacks__add_type(tracer->stacks, s->site, s->type, s->count, s->bytes);
	}
}

uint64_t mw_tracer__map_bytes(const struct mw_tracer *tracer)
{
	return mw_programs__map_bytes(tracer->bpf);
}

double mw_tracer__attach_seconds(const struct mw_tracer *tracer)
{
	return tracer->attach_seconds;
}

double mw_tracer__detach_seconds(const struct mw_tracer *tracer)
{
	return tracer->detach_seconds;
}

/* ---- the end --------------------------------------------------------------------------------- */

void mw_tracer__stop(struct mw_tracer *tracer)
{
	double began = mw_monotonic();

	if (tracer->stopped || !tracer->bpf)
		return;
	tracer->stopped = true;
	tracer->stopped_at = began;
	if (tracer->layers)
		mw_layers__end(tracer->layers);
	for (int layer = 0; layer < MW_LAYERS; layer++)
		mw_windowed__count(tracer->bpf, layer, false);
	__atomic_store_n(&tracer->bpf->bss->mw_active, 0, __ATOMIC_SEQ_CST);
	for (size_t i = 0; i < tracer->processes.count; i++) {
		mw_sdt__detach(tracer->processes.list[i].sdt);
		tracer->processes.list[i].sdt = NULL;
	}
	if (tracer->lengths)
		mw_lengths__stop(tracer->lengths);
	if (tracer->probing)
		mw_probing__stop(tracer->probing);
	memwhere_bpf__detach(tracer->bpf);
	tracer->detach_seconds = mw_monotonic() - began;
}

void mw_tracer__close(struct mw_tracer *tracer)
{
	if (!tracer)
		return;
	mw_tracer__stop(tracer);
	mw_probing__free(tracer->probing);
	mw_processes__free(&tracer->processes);
	mw_dead_spaces__free(&tracer->dead);
	ring_buffer__free(tracer->stack_ring);
	ring_buffer__free(tracer->event_ring);
	mw_layers__free(tracer->layers);
	mw_lengths__free(tracer->lengths);
	mw_stacks__free(tracer->stacks);
	mw_counters__free(tracer->counters);
	for (int layer = 0; layer < MW_LAYERS; layer++)
		mw_blocks__close(&tracer->seen[layer]);
	memwhere_bpf__destroy(tracer->bpf);
	free(tracer);
}
