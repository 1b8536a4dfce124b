// SPDX-License-Identifier: GPL-2.0-or-later
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bpf/memwhere.h"
#include "bpf/memwhere.skel.h"
#include "probe/attach.h"
#include "probe/calibrate.h"
#include "trace/blocks.h"
#include "trace/cpu_clock.h"
#include "trace/lengths.h"
#include "trace/pids.h"
#include "trace/privilege.h"
#include "trace/programs.h"
#include "trace/stacks.h"
#include "util/array.h"
#include "util/cleanup.h"
#include "util/log.h"

/* Page faults between two whose stacks are taken. */
enum { FAULT_PERIOD = 64 };

bool mw_programs_have_btf(void)
{
	return !access("/sys/kernel/btf/vmlinux", R_OK);
}

/* What libbpf says, the verifier's log included, are details: a line each. */
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

/* Maps get all their memory when they are loaded; a watch without sites needs none of it. */
static void shrink_site_maps(struct memwhere_bpf *bpf)
{
	bpf_map__set_max_entries(bpf->maps.unwind_rows, 1);
	bpf_map__set_max_entries(bpf->maps.unwind_maps, 1);
	bpf_map__set_max_entries(bpf->maps.stacks, (uint32_t)sysconf(_SC_PAGESIZE));
}

static void configure(struct memwhere_bpf *bpf, const struct mw_tracer_options *options, bool multi)
{
	bool uprobes = options->mode != MW_MODE_GROWTH, has_btf = mw_programs_have_btf();
	uint64_t ring = (uint64_t)sysconf(_SC_PAGESIZE);

	for (int layer = 0; layer < MW_LAYERS; layer++)
		bpf->data->mw_layers[layer].mode = options->mode;
	bpf->rodata->mw_min_size = options->min_size;
	bpf->rodata->mw_max_size = options->max_size;
	bpf->rodata->mw_with_children = options->follow;
	if (options->sites != MW_SITES_NONE)
		mw_stacks__configure(bpf, options, FAULT_PERIOD);
	else
		shrink_site_maps(bpf);
	bpf_program__set_autoload(bpf->progs.vm_fault, options->sites != MW_SITES_NONE);
	bpf_program__set_autoload(bpf->progs.sdt_hit, options->sites != MW_SITES_NONE);
	while (ring < options->ring_size)
		ring *= 2;
	bpf_map__set_max_entries(bpf->maps.events, (uint32_t)ring);
	mw_blocks__configure(bpf, options);
	mw_cpu_clock__configure(bpf);

	bpf_program__set_autoload(bpf->progs.alloc_entry, uprobes);
	bpf_program__set_autoload(bpf->progs.alloc_return, options->mode == MW_MODE_EXACT);
	/* Not without a budget: every one of millions a second would be stopped. */
	bpf_program__set_autoload(bpf->progs.pymalloc_hit, uprobes && options->max_overhead > 0);
	bpf_program__set_autoload(bpf->progs.pymalloc_new_pool,
				  uprobes && options->max_overhead > 0);
	bpf_program__set_autoload(bpf->progs.length_changed,
				  options->sites != MW_SITES_NONE && mw_lengths_can_be_watched());
	bpf_program__set_autoload(bpf->progs.vm_syscall, has_btf);
	bpf_program__set_autoload(bpf->progs.vm_syscall_raw, !has_btf);
	bpf_program__set_autoload(bpf->progs.proc_fork, options->follow && has_btf);
	bpf_program__set_autoload(bpf->progs.proc_exec, has_btf);
	bpf_program__set_autoload(bpf->progs.proc_exit, has_btf);
	bpf_program__set_expected_attach_type(bpf->progs.alloc_entry,
					      (enum bpf_attach_type)mw_probes_attach_type(multi));
	bpf_program__set_expected_attach_type(bpf->progs.alloc_return,
					      (enum bpf_attach_type)mw_probes_attach_type(multi));
	bpf_program__set_expected_attach_type(bpf->progs.pymalloc_hit,
					      (enum bpf_attach_type)mw_probes_attach_type(multi));
	bpf_program__set_expected_attach_type(bpf->progs.pymalloc_new_pool,
					      (enum bpf_attach_type)mw_probes_attach_type(multi));
}

/* How many instructions were verified: most of the time of loading goes there. */
static void log_programs(const struct memwhere_bpf *bpf)
{
	struct bpf_program *prog;

	bpf_object__for_each_program(prog, bpf->obj)
	{
		struct bpf_prog_info info = {0};
		uint32_t len = sizeof(info);

		if (bpf_program__fd(prog) >= 0 &&
		    !bpf_obj_get_info_by_fd(bpf_program__fd(prog), &info, &len))
			mw_detail("BPF program %s: %u instructions verified",
				  bpf_program__name(prog), info.verified_insns);
	}
}

static int load(struct memwhere_bpf *bpf, const struct mw_tracer_options *options,
		struct mw_pids *pids, struct mw_err *err)
{
	int ret = mw_pids__configure(pids, bpf, err);

	if (ret)
		return ret;
	ret = memwhere_bpf__load(bpf);
	if (ret == -EPERM)
		return mw_privilege_explain(err, ret);
	if (ret)
		return mw_err_set(
			err, ret, "bpf", NULL,
			"this kernel's verifier or loader refuses the BPF programs: %s "
			"(-v shows its reasons)%s",
			strerror(-ret),
			options->mode != MW_MODE_GROWTH ? "; --mode growth needs less of it" : "");
	log_programs(bpf);
	return mw_pids__begin(pids, bpf, err);
}

static int attach_system(struct memwhere_bpf *bpf, uint32_t *syscall_ns, struct mw_err *err)
{
	uint32_t before = mw_syscall_ns(), after;
	struct {
		struct bpf_program *prog;
		struct bpf_link **link;
	} rows[] = {
		{bpf->progs.vm_syscall, &bpf->links.vm_syscall},
		{bpf->progs.vm_syscall_raw, &bpf->links.vm_syscall_raw},
		{bpf->progs.proc_exec, &bpf->links.proc_exec},
		{bpf->progs.proc_exit, &bpf->links.proc_exit},
		{bpf->progs.proc_fork, &bpf->links.proc_fork},
		{bpf->progs.vm_fault, &bpf->links.vm_fault},
	};

	for (size_t i = 0; i < MW_ARRAY_SIZE(rows); i++) {
		if (!bpf_program__autoload(rows[i].prog))
			continue;
		*rows[i].link = bpf_program__attach(rows[i].prog);
		if (!*rows[i].link)
			return mw_err_set(err, -errno, "bpf",
					  bpf_program__section_name(rows[i].prog),
					  "can't attach to this tracepoint: %s", strerror(errno));
	}
	after = mw_syscall_ns();
	*syscall_ns = after > before ? after - before : 0;
	mw_detail("a system call takes %u ns longer", *syscall_ns);
	return 0;
}

bool mw_programs__see_system_calls(struct memwhere_bpf *bpf, bool on)
{
	bool raw = bpf_program__autoload(bpf->progs.vm_syscall_raw);
	struct bpf_link **link = raw ? &bpf->links.vm_syscall_raw : &bpf->links.vm_syscall;

	if (on && !*link)
		*link = bpf_program__attach(raw ? bpf->progs.vm_syscall_raw
						: bpf->progs.vm_syscall);
	if (!on) {
		bpf_link__destroy(*link);
		*link = NULL;
	}
	return *link;
}

struct memwhere_bpf *mw_programs__load(const struct mw_tracer_options *options, bool multi,
				       struct mw_pids *pids, uint32_t *syscall_ns,
				       struct mw_err *err)
{
	struct memwhere_bpf *bpf;
	int ret;

	libbpf_set_print(on_libbpf_output);
	bpf = memwhere_bpf__open();
	if (!bpf) {
		ret = mw_err_set(err, -errno, "bpf", NULL, "can't open the BPF object: %s",
				 strerror(errno));
		goto cleanup;
	}
	configure(bpf, options, multi);
	ret = load(bpf, options, pids, err);
	if (!ret)
		ret = attach_system(bpf, syscall_ns, err);
	if (!ret)
		return bpf;

cleanup:
	memwhere_bpf__destroy(bpf);
	errno = -ret;
	return NULL;
}

uint64_t mw_programs__recursion_misses(const struct memwhere_bpf *bpf)
{
	struct bpf_program *const progs[] = {bpf->progs.alloc_entry,  bpf->progs.alloc_return,
					     bpf->progs.pymalloc_hit, bpf->progs.pymalloc_new_pool,
					     bpf->progs.vm_syscall,   bpf->progs.vm_syscall_raw};
	uint64_t sum = 0;

	for (size_t i = 0; i < MW_ARRAY_SIZE(progs); i++) {
		struct bpf_prog_info info = {0};
		uint32_t len = sizeof(info);

		if (bpf_program__fd(progs[i]) >= 0 &&
		    !bpf_obj_get_info_by_fd(bpf_program__fd(progs[i]), &info, &len))
			sum += info.recursion_misses;
	}
	return sum;
}

uint64_t mw_programs__map_bytes(const struct memwhere_bpf *bpf)
{
	struct bpf_map *map;
	uint64_t sum = 0;

	bpf_object__for_each_map(map, bpf->obj)
	{
		_cleanup_fclose_ FILE *f = NULL;
		char path[64], line[128];

		snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", bpf_map__fd(map));
		f = fopen(path, "re");
		while (f && fgets(line, sizeof(line), f)) {
			if (!strncmp(line, "memlock:", 8))
				sum += strtoull(line + 8, NULL, 10);
		}
	}
	return sum;
}
