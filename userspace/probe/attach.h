/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Putting uprobes into one process. One uprobe_multi link carries many places (Linux 6.6; its
 * filter by process, not by thread, 6.10); it is made by the system call itself, because libbpf
 * knows it from 1.3 on only. Older kernels get one perf event a place, which detaches far slower.
 */
#ifndef MW_PROBE_ATTACH_H
#define MW_PROBE_ATTACH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct bpf_program;
struct bpf_link;

struct mw_probe_place {
	uint64_t offset; /* in the file */
	uint64_t cookie;
};

/* The probes of one call of mw_probes__attach(). */
struct mw_probes {
	int fd;			 /* uprobe_multi link, -1 when there is none */
	struct bpf_link **links; /* perf events otherwise */
	size_t count;
};

/* Does this kernel have uprobe_multi with a filter by process? Asks it, needs CAP_BPF. */
bool mw_probes_have_multi(void);

/*
 * The attach type that a program for mw_probes__attach() is to be loaded with: pass the result
 * of mw_probes_have_multi().
 */
int mw_probes_attach_type(bool multi);

/*
 * Run PROG at all COUNT places of FILE, in process PID only (0: in all that map FILE): there, or
 * when the functions that begin there return. 0, or -errno; nothing stays attached on failure.
 */
int mw_probes__attach(struct mw_probes *probes, struct bpf_program *prog, bool multi, pid_t pid,
		      const char *file, bool at_return, const struct mw_probe_place *places,
		      size_t count);
void mw_probes__detach(struct mw_probes *probes);

#endif
