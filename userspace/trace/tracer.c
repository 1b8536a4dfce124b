// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "trace/internal.h"
#include "trace/privilege.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/log.h"

enum { PURGE_BATCH = 4096, FAULT_PERIOD = 64 };

/* libbpf's own words, the verifier's log among them, are details: a line each. */
static int on_libbpf_output(enum libbpf_print_level level, const char *format, va_list args)
{
	char *text = NULL, *rest, *line;

	if (level == LIBBPF_DEBUG || vasprintf(&text, format, args) < 0)
		return 0;
	for (line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
		mw_detail("%s", line);
	free(text);
	return 0;
}

/* Maps are made whole when they are loaded: none of it for a watch without sites. */
static void shrink_site_maps(struct memwhere_bpf *bpf)
{
	bpf_map__set_max_entries(bpf->maps.unwind_rows, 1);
	bpf_map__set_max_entries(bpf->maps.unwind_maps, 1);
	bpf_map__set_max_entries(bpf->maps.stacks, (uint32_t)sysconf(_SC_PAGESIZE));
}

static void configure(struct mw_tracer *tracer)
{
	const struct mw_tracer_options *options = &tracer->options;
	struct memwhere_bpf *bpf = tracer->bpf;
	bool uprobes = options->mode != MW_MODE_GROWTH;
	uint64_t ring = (uint64_t)sysconf(_SC_PAGESIZE);

	bpf->bss->mw_mode = options->mode;
	bpf->rodata->mw_min_size = options->min_size;
	bpf->rodata->mw_max_size = options->max_size;
	bpf->rodata->mw_with_children = options->follow;
	if (options->sites != MW_SITES_NONE)
		mw_stacks__configure(bpf, options->sites,
				     options->sites == MW_SITES_SAMPLED ? options->sample_period
									: 0,
				     FAULT_PERIOD);
	else
		shrink_site_maps(bpf);
	bpf_program__set_autoload(bpf->progs.vm_fault, options->sites != MW_SITES_NONE);
	bpf_program__set_autoload(bpf->progs.sdt_hit, options->sites != MW_SITES_NONE);
	while (ring < options->ring_size)
		ring *= 2;
	bpf_map__set_max_entries(bpf->maps.events, (uint32_t)ring);
	bpf_map__set_max_entries(bpf->maps.outstanding, options->mode == MW_MODE_EXACT
								? (uint32_t)options->max_outstanding
								: 1);

	bpf_program__set_autoload(bpf->progs.alloc_entry, uprobes);
	bpf_program__set_autoload(bpf->progs.alloc_return, options->mode == MW_MODE_EXACT);
	bpf_program__set_autoload(bpf->progs.proc_fork, options->follow && tracer->has_btf);
	bpf_program__set_autoload(bpf->progs.proc_exec, tracer->has_btf);
	bpf_program__set_autoload(bpf->progs.proc_exit, tracer->has_btf);
	bpf_program__set_expected_attach_type(
		bpf->progs.alloc_entry, (enum bpf_attach_type)mw_probes_attach_type(tracer->multi));
	bpf_program__set_expected_attach_type(
		bpf->progs.alloc_return,
		(enum bpf_attach_type)mw_probes_attach_type(tracer->multi));
}

/* How much the verifier had to look at: what loading takes is mostly this. */
static void tell_programs(const struct mw_tracer *tracer)
{
	struct bpf_program *prog;

	bpf_object__for_each_program(prog, tracer->bpf->obj)
	{
		struct bpf_prog_info info = {0};
		uint32_t len = sizeof(info);

		if (bpf_program__fd(prog) >= 0 &&
		    !bpf_obj_get_info_by_fd(bpf_program__fd(prog), &info, &len))
			mw_detail("BPF program %s: %u instructions verified",
				  bpf_program__name(prog), info.verified_insns);
	}
}

static int load(struct mw_tracer *tracer, struct mw_err *err)
{
	int ret;

	tracer->bpf = memwhere_bpf__open();
	if (!tracer->bpf)
		return mw_err_set(err, -errno, "bpf", NULL, "can't open the BPF object: %s",
				  strerror(errno));
	configure(tracer);
	ret = mw_pids__configure(&tracer->pids, tracer->bpf, err);
	if (ret)
		return ret;
	ret = memwhere_bpf__load(tracer->bpf);
	if (ret == -EPERM)
		return mw_privilege_explain(err, ret);
	if (ret)
		return mw_err_set(err, ret, "bpf", NULL,
				  "this kernel's verifier or loader refuses the BPF programs: %s "
				  "(-v shows its reasons)%s",
				  strerror(-ret),
				  tracer->options.mode != MW_MODE_GROWTH
					  ? "; --mode growth needs less of it"
					  : "");
	tell_programs(tracer);
	return mw_pids__begin(&tracer->pids, tracer->bpf, err);
}

static int attach_system(struct mw_tracer *tracer, struct mw_err *err)
{
	struct memwhere_bpf *bpf = tracer->bpf;
	struct {
		struct bpf_program *prog;
		struct bpf_link **link;
	} rows[] = {
		{bpf->progs.vm_syscall, &bpf->links.vm_syscall},
		{bpf->progs.proc_exec, &bpf->links.proc_exec},
		{bpf->progs.proc_exit, &bpf->links.proc_exit},
		{bpf->progs.proc_fork, &bpf->links.proc_fork},
		{bpf->progs.vm_fault, &bpf->links.vm_fault},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (!bpf_program__autoload(rows[i].prog))
			continue;
		*rows[i].link = bpf_program__attach(rows[i].prog);
		if (!*rows[i].link)
			return mw_err_set(err, -errno, "bpf",
					  bpf_program__section_name(rows[i].prog),
					  "can't attach to this tracepoint: %s", strerror(errno));
	}
	return 0;
}

static int open_stacks(struct mw_tracer *tracer, struct mw_err *err)
{
	const struct mw_tracer_options *options = &tracer->options;

	if (options->sites == MW_SITES_NONE)
		return 0;
	tracer->stacks = mw_stacks__new(
		tracer->bpf, options->sites == MW_SITES_SAMPLED ? options->sample_period : 0,
		options->mode == MW_MODE_EXACT);
	if (!tracer->stacks || ring_buffer__add(tracer->ring, bpf_map__fd(tracer->bpf->maps.stacks),
						mw_stacks__handle, tracer->stacks))
		return mw_err_set(err, -ENOMEM, "no-memory", NULL, "no memory for stacks: %s",
				  strerror(errno));
	if (tracer->governed) {
		tracer->tracked = mw_tracked__new(tracer->bpf, options->sites == MW_SITES_SAMPLED
								       ? options->sample_period
								       : 0);
		if (!tracer->tracked)
			return mw_err_set(err, -ENOMEM, "no-memory", NULL, "out of memory");
	}
	return 0;
}

struct mw_tracer *mw_tracer__open(const struct mw_tracer_options *options, struct mw_err *err)
{
	struct mw_tracer *tracer;
	int ret;

	tracer = calloc(1, sizeof(*tracer));
	if (!tracer)
		return NULL;
	libbpf_set_print(on_libbpf_output);
	tracer->options = *options;
	tracer->has_btf = !access("/sys/kernel/btf/vmlinux", R_OK);
	tracer->multi = options->mode != MW_MODE_GROWTH && mw_probes_have_multi();
	tracer->cpus = libbpf_num_possible_cpus();
	tracer->governed = options->max_overhead > 0 && options->mode != MW_MODE_GROWTH;
	tracer->kind = options->mode == MW_MODE_SIZES ? MW_WINDOW_ENTRY : MW_WINDOW_FULL;
	tracer->slots = tracer->governed ? calloc(MW_SLOTS, sizeof(*tracer->slots)) : NULL;
	tracer->detacher = mw_detacher__new();
	if (tracer->cpus > 0)
		tracer->per_cpu = calloc((size_t)tracer->cpus, sizeof(*tracer->per_cpu));
	if (tracer->cpus < 0) {
		ret = mw_err_set(err, tracer->cpus, "bpf", "/sys/devices/system/cpu/possible",
				 "can't tell how many processors there are: is /sys mounted?");
		goto cleanup;
	}
	if (!tracer->per_cpu || !tracer->detacher || (tracer->governed && !tracer->slots)) {
		ret = mw_err_set(err, -ENOMEM, "no-memory", NULL, "out of memory");
		goto cleanup;
	}
	if (!tracer->has_btf) {
		if (options->follow) {
			ret = mw_err_set(
				err, -ENOTSUP, "bpf", NULL,
				"--follow needs a kernel with BTF (/sys/kernel/btf/vmlinux)");
			goto cleanup;
		}
		mw_warn("this kernel has no BTF: an exec of the target is not noticed");
	}
	if (options->mode != MW_MODE_GROWTH && !tracer->multi)
		mw_detail(
			"kernel without uprobe_multi by process (Linux 6.10): one event a probe, slow to take out");
	ret = load(tracer, err);
	if (!ret)
		ret = attach_system(tracer, err);
	if (ret)
		goto cleanup;
	if (options->mode != MW_MODE_GROWTH)
		mw_cost__measure(&tracer->cost, tracer->bpf->progs.alloc_entry,
				 options->mode == MW_MODE_EXACT ? tracer->bpf->progs.alloc_return
								: NULL,
				 tracer->multi, tracer->detacher);
	tracer->ring = ring_buffer__new(bpf_map__fd(tracer->bpf->maps.events), mw_events__handle,
					tracer, NULL);
	if (!tracer->ring) {
		ret = mw_err_set(err, -errno, "bpf", NULL, "can't read the event ring: %s",
				 strerror(errno));
		goto cleanup;
	}
	ret = open_stacks(tracer, err);
	if (ret)
		goto cleanup;
	return tracer;

cleanup:
	mw_tracer__close(tracer);
	errno = -ret;
	return NULL;
}

/* Numbers for address spaces; once counting has begun the program at forks takes them, too. */
static uint32_t next_space(struct mw_tracer *tracer)
{
	return __sync_fetch_and_add(&tracer->bpf->bss->mw_next_space, 1) % MW_SPACES;
}

/*
 * Where the brk heap ends now. The program at the system calls keeps the value from the first
 * brk that it sees; before that, this is it.
 */
static void seed_brk(struct mw_tracer *tracer, struct process *process)
{
	int fd = bpf_map__fd(tracer->bpf->maps.procs);
	uint32_t key = process->tgid;
	const struct mw_map *heap;
	struct mw_maps maps;
	struct mw_proc proc;

	if (mw_maps__read(&maps, process->pid, NULL))
		return;
	heap = mw_maps__named(&maps, "[heap]");
	if (!bpf_map_lookup_elem(fd, &key, &proc) && !proc.brk) {
		proc.brk = heap ? heap->end : process->stat.start_brk;
		bpf_map_update_elem(fd, &key, &proc, BPF_ANY);
	}
	mw_maps__free(&maps);
}

static int watch(struct mw_tracer *tracer, struct process *process, struct mw_err *err)
{
	pid_t pid = process->pid;
	char where[32];
	int ret;

	snprintf(where, sizeof(where), "PID %d", pid);
	if (mw_procstat__read(&process->stat, pid))
		return mw_err_set(err, -ESRCH, "no-such-process", where, "no such process");
	process->first = process->stat;
	ret = mw_process__find_allocators(tracer, process, err);
	/* Nothing of theirs will be probed; a child may be about to start another program. */
	if (ret && ret != -ESRCH && (process->child || tracer->options.mode == MW_MODE_GROWTH))
		ret = 0;
	if (!ret)
		ret = mw_process__publish(tracer, process);
	if (ret)
		return ret;
	seed_brk(tracer, process);
	if (tracer->stacks) {
		mw_stacks__prepare(tracer->stacks, process->tgid, pid, false);
		/* With --follow those of a target are in the file, for its children, too. */
		if (!process->child)
			process->sdt = mw_sdt__attach(tracer->bpf->progs.sdt_hit, pid,
						      tracer->options.follow);
		if (mw_sdt__has_samples(process->sdt))
			mw_stacks__set_frees_known(tracer->stacks);
	}
	if (tracer->options.mode != MW_MODE_GROWTH && !tracer->governed)
		return mw_process__attach(tracer, process, err);
	return 0;
}

/* With --follow: the children that a target has already, and theirs. */
static void add_descendants(struct mw_tracer *tracer, uint32_t slot)
{
	_cleanup_free_ pid_t *list = NULL;
	ssize_t count = mw_procstat_descendants(tracer->targets[slot].pid, &list);

	for (ssize_t i = 0; i < count; i++) {
		uint32_t tgid;
		struct mw_err err = {0};
		struct process *process;
		struct mw_proc known;

		/* One that was born since counting began is told by its fork. */
		if (list[i] == getpid() || mw_pids__tgid(&tracer->pids, list[i], &tgid) ||
		    mw_process__find(tracer, tgid) ||
		    !bpf_map_lookup_elem(bpf_map__fd(tracer->bpf->maps.procs), &tgid, &known))
			continue;
		process = mw_process__add(tracer, list[i], tgid, slot, next_space(tracer));
		if (!process)
			return;
		process->child = true;
		if (watch(tracer, process, &err)) {
			mw_detail("child %d is left out: %s", list[i], err.message);
			mw_process__drop(tracer, process);
		}
	}
}

int mw_tracer__add(struct mw_tracer *tracer, pid_t pid, struct mw_err *err)
{
	double began = mw_monotonic();
	uint32_t slot = (uint32_t)tracer->target_count;
	struct process *process;
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
	process = mw_process__find(tracer, tgid);
	if (process)
		return mw_err_usage(err, where,
				    process->child
					    ? "is a child of another target, and followed already"
					    : "is named twice");
	process = mw_process__add(tracer, pid, tgid, slot, next_space(tracer));
	if (!process)
		return mw_err_set(err, -ENOMEM, "no-memory", where, "out of memory");
	ret = watch(tracer, process, err);
	if (ret)
		return ret;
	if (process->settings.mp_addr)
		mw_detail("PID %d: glibc settings, %s", pid, process->settings.evidence);
	tracer->targets[slot].pid = pid;
	tracer->target_count++;
	if (tracer->options.follow)
		add_descendants(tracer, slot);
	tracer->attach_seconds += mw_monotonic() - began;
	return (int)slot;
}

int mw_tracer__start(struct mw_tracer *tracer, mw_event_fn event, void *arg, struct mw_err *err)
{
	tracer->event = event;
	tracer->event_arg = arg;
	for (size_t i = 0; i < tracer->process_count; i++) {
		struct process *process = &tracer->processes[i];
		char where[32];

		if (process->ended)
			continue;
		snprintf(where, sizeof(where), "PID %d", process->pid);
		if (!mw_procstat__read(&process->stat, process->pid))
			process->first = process->stat;
		else if (process->child)
			mw_process__drop(tracer, process);
		else
			return mw_err_set(err, -ESRCH, "no-such-process", where,
					  "it ended while probes were being put in");
	}
	tracer->started_at = mw_monotonic();
	tracer->started = true;
	if (tracer->governed)
		mw_windows__begin(tracer);
	else
		__atomic_store_n(&tracer->bpf->bss->mw_counting, 1, __ATOMIC_SEQ_CST);
	__atomic_store_n(&tracer->bpf->bss->mw_active, 1, __ATOMIC_SEQ_CST);
	/* Born since the targets were added. */
	for (uint32_t slot = 0; tracer->options.follow && slot < tracer->target_count; slot++)
		add_descendants(tracer, slot);
	return 0;
}

/* Without exit events (no BTF, or the ring was full) the process itself tells. */
static void check_alive(struct mw_tracer *tracer)
{
	for (size_t i = 0; i < tracer->process_count; i++) {
		struct process *process = &tracer->processes[i];
		struct mw_procstat stat;

		if (process->ended)
			continue;
		if (!mw_procstat__read(&stat, process->pid) && stat.state != 'Z' &&
		    stat.state != 'X')
			continue;
		/* Its event may be in the ring already: it knows the faults to the last. */
		ring_buffer__consume(tracer->ring);
		if (!tracer->processes[i].ended)
			mw_events__process_ended(tracer, &tracer->processes[i],
						 tracer->processes[i].stat.min_flt,
						 tracer->processes[i].stat.maj_flt, 0);
	}
}

static double do_rescans(struct mw_tracer *tracer, double until)
{
	double now = mw_monotonic();

	for (size_t i = 0; i < tracer->process_count; i++) {
		struct process *process = &tracer->processes[i];

		if (process->ended || !process->rescans_left)
			continue;
		if (process->rescan_at <= now)
			mw_process__rescan(tracer, process);
		if (process->rescans_left && process->rescan_at < until)
			until = process->rescan_at;
	}
	return until;
}

bool mw_tracer__all_ended(const struct mw_tracer *tracer)
{
	for (size_t i = 0; i < tracer->process_count; i++) {
		if (!tracer->processes[i].ended)
			return false;
	}
	return true;
}

int mw_tracer__wait(struct mw_tracer *tracer, double until)
{
	do {
		double next = do_rescans(tracer, until), left;
		int ms, ret;

		if (tracer->governed)
			next = mw_windows__step(tracer, next);
		left = next - mw_monotonic();
		ms = left <= 0 ? 0 : left > 0.25 ? 250 : (int)(left * 1000) + 1;
		ret = ring_buffer__poll(tracer->ring, ms);
		if (ret == -EINTR)
			return ret;
		check_alive(tracer);
		if (mw_tracer__all_ended(tracer))
			break;
	} while (mw_monotonic() < until);
	return 0;
}

/* Blocks of address spaces that are gone leave the outstanding map, and the sums. */
static void purge_dead(struct mw_tracer *tracer)
{
	int fd = bpf_map__fd(tracer->bpf->maps.outstanding);
	uint64_t *keys = NULL, batch = 0;
	struct mw_alloc_record *blocks = NULL;
	LIBBPF_OPTS(bpf_map_batch_opts, opts);
	bool first = true;
	int ret = 0;

	if (!tracer->dead_count)
		return;
	keys = calloc(PURGE_BATCH, sizeof(*keys));
	blocks = calloc(PURGE_BATCH, sizeof(*blocks));
	while (keys && blocks && !ret) {
		uint32_t count = PURGE_BATCH;

		ret = bpf_map_lookup_batch(fd, first ? NULL : &batch, &batch, keys, blocks, &count,
					   &opts);
		first = false;
		if (ret && ret != -ENOENT)
			break;
		for (uint32_t i = 0; i < count; i++) {
			for (size_t d = 0; d < tracer->dead_count; d++) {
				const struct dead_space *dead = &tracer->dead[d];

				if (keys[i] >> MW_SPACE_SHIFT != dead->space ||
				    blocks[i].time >= dead->before ||
				    bpf_map_delete_elem(fd, &keys[i]))
					continue;
				tracer->targets[dead->slot].purged_count++;
				tracer->targets[dead->slot].purged_bytes += blocks[i].size;
				if (blocks[i].site)
					mw_stacks__purged(tracer->stacks, blocks[i].site,
							  blocks[i].size);
				break;
			}
		}
	}
	free(keys);
	free(blocks);
	tracer->dead_count = 0;
}

static void read_processes(struct mw_tracer *tracer, unsigned int slot, struct mw_sample *sample)
{
	const struct target *target = &tracer->targets[slot];

	sample->min_flt = target->ended_min_flt;
	sample->maj_flt = target->ended_maj_flt;
	sample->cpu_ns = target->ended_cpu_ns;
	for (size_t i = 0; i < tracer->process_count; i++) {
		struct process *process = &tracer->processes[i];
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
		if (process->child || !process->settings.mp_addr)
			continue;
		mw_events__settings_changed(tracer, process);
		sample->threshold_known = true;
		sample->threshold_dynamic = process->settings.dynamic;
		sample->mmap_threshold = process->settings.mmap_threshold;
		sample->trim_threshold = process->settings.trim_threshold;
	}
	sample->ended = !sample->processes;
}

/* The share of the target's time that went into probes: calls, times what a call costs. */
static void estimate_cost(struct mw_tracer *tracer, unsigned int slot, struct mw_sample *sample)
{
	const struct mw_allocators *found = mw_tracer__allocators(tracer, slot);
	bool counted[MW_FUNCS] = {false};

	for (size_t a = 0; found && a < found->count; a++) {
		for (size_t f = 0; f < found->list[a].count; f++) {
			const struct mw_function *fn = &found->list[a].functions[f];

			if (counted[fn->func])
				continue;
			counted[fn->func] = true;
			sample->probe_ns +=
				sample->counts.calls[fn->func] * mw_process_call_ns(tracer, fn);
		}
	}
}

/* Runs that the kernel refused because the program was already running on that CPU. */
static uint64_t recursion_misses(const struct mw_tracer *tracer)
{
	struct bpf_program *const progs[] = {tracer->bpf->progs.alloc_entry,
					     tracer->bpf->progs.alloc_return,
					     tracer->bpf->progs.vm_syscall};
	uint64_t sum = 0;

	for (size_t i = 0; i < sizeof(progs) / sizeof(progs[0]); i++) {
		struct bpf_prog_info info = {0};
		uint32_t len = sizeof(info);

		if (bpf_program__fd(progs[i]) >= 0 &&
		    !bpf_obj_get_info_by_fd(bpf_program__fd(progs[i]), &info, &len))
			sum += info.recursion_misses;
	}
	return sum;
}

int mw_tracer__read(struct mw_tracer *tracer, unsigned int slot, struct mw_sample *sample)
{
	struct mw_cell freed;
	struct timespec now;

	memset(sample, 0, sizeof(*sample));
	if (slot >= tracer->target_count)
		return -EINVAL;
	ring_buffer__consume(tracer->ring);
	purge_dead(tracer);
	if (bpf_map_lookup_elem(bpf_map__fd(tracer->bpf->maps.counts), &slot, tracer->per_cpu))
		return -errno;
	clock_gettime(CLOCK_REALTIME, &now);
	sample->time = (double)now.tv_sec + (double)now.tv_nsec / 1e9;
	sample->elapsed =
		(tracer->stopped ? tracer->stopped_at : mw_monotonic()) - tracer->started_at;
	for (int cpu = 0; cpu < tracer->cpus; cpu++)
		mw_counts__add(&sample->counts, &tracer->per_cpu[cpu]);
	sample->counts.lost[MW_LOST_LATE] = tracer->targets[slot].late;
	sample->counts.lost[MW_LOST_RECURSION] = recursion_misses(tracer);
	freed = mw_counts__freed(&sample->counts);
	sample->outstanding_count =
		sample->counts.kept.count - freed.count - tracer->targets[slot].purged_count;
	sample->outstanding_bytes =
		sample->counts.kept.bytes - freed.bytes - tracer->targets[slot].purged_bytes;
	read_processes(tracer, slot, sample);
	estimate_cost(tracer, slot, sample);
	if (tracer->governed)
		mw_windows__estimate(tracer, slot, sample);
	return 0;
}

int mw_tracer__read_sites(struct mw_tracer *tracer)
{
	double elapsed;

	if (!tracer->stacks)
		return 0;
	/* Names take their time: the moment that the counters are of is after that. */
	ring_buffer__consume(tracer->ring);
	elapsed = (tracer->stopped ? tracer->stopped_at : mw_monotonic()) - tracer->started_at;
	return mw_stacks__read(tracer->stacks, elapsed, (uint64_t)(tracer->started_at * 1e9),
			       tracer->governed && tracer->window != WINDOW_ALWAYS ? tracer->tracked
										   : NULL);
}

const struct mw_sites *mw_tracer__sites(const struct mw_tracer *tracer)
{
	return tracer->stacks ? mw_stacks__sites(tracer->stacks) : NULL;
}

const struct mw_allocators *mw_tracer__allocators(const struct mw_tracer *tracer,
						  unsigned int target)
{
	for (size_t i = 0; i < tracer->process_count; i++) {
		if (tracer->processes[i].slot == target && !tracer->processes[i].child)
			return &tracer->processes[i].allocators;
	}
	return NULL;
}

static void stop_counting(struct mw_tracer *tracer)
{
	if (tracer->governed && tracer->started)
		mw_windows__integrate(tracer);
	__atomic_store_n(&tracer->bpf->bss->mw_counting, 0, __ATOMIC_SEQ_CST);
	__atomic_store_n(&tracer->bpf->bss->mw_active, 0, __ATOMIC_SEQ_CST);
}

void mw_tracer__stop(struct mw_tracer *tracer)
{
	double began = mw_monotonic();

	if (tracer->stopped)
		return;
	tracer->stopped = true;
	tracer->stopped_at = began;
	if (tracer->bpf && tracer->bpf->bss)
		stop_counting(tracer);
	for (size_t i = 0; i < tracer->process_count; i++) {
		mw_process__detach(tracer, &tracer->processes[i].probed);
		mw_sdt__detach(tracer->processes[i].sdt);
		tracer->processes[i].sdt = NULL;
	}
	mw_process__detach(tracer, &tracer->shared);
	mw_detacher__free(tracer->detacher);
	tracer->detacher = NULL;
	if (tracer->bpf)
		memwhere_bpf__detach(tracer->bpf);
	tracer->detach_seconds = mw_monotonic() - began;
}

void mw_tracer__close(struct mw_tracer *tracer)
{
	if (!tracer)
		return;
	if (tracer->detacher)
		mw_tracer__stop(tracer);
	for (size_t i = 0; i < tracer->process_count; i++)
		mw_process__free(&tracer->processes[i]);
	free(tracer->processes);
	free(tracer->dead);
	ring_buffer__free(tracer->ring);
	mw_tracked__free(tracer->tracked);
	mw_stacks__free(tracer->stacks);
	memwhere_bpf__destroy(tracer->bpf);
	free(tracer->per_cpu);
	free(tracer->slots);
	free(tracer);
}

uint64_t mw_tracer__map_bytes(const struct mw_tracer *tracer)
{
	struct bpf_map *map;
	uint64_t sum = 0;

	bpf_object__for_each_map(map, tracer->bpf->obj)
	{
		char path[64], line[128];
		FILE *f;

		snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", bpf_map__fd(map));
		f = fopen(path, "re");
		while (f && fgets(line, sizeof(line), f)) {
			if (!strncmp(line, "memlock:", 8))
				sum += strtoull(line + 8, NULL, 10);
		}
		if (f)
			fclose(f);
	}
	return sum;
}

double mw_tracer__attach_seconds(const struct mw_tracer *tracer)
{
	return tracer->attach_seconds;
}

double mw_tracer__detach_seconds(const struct mw_tracer *tracer)
{
	return tracer->detach_seconds;
}
