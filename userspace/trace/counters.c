// SPDX-License-Identifier: GPL-2.0-or-later
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "model/sample.h"
#include "trace/counters.h"

struct mw_counters {
	int fd, cpus;
	struct mw_counts per_cpu[];
};

struct mw_counters *mw_counters__new(int fd, struct mw_err *err)
{
	int cpus = libbpf_num_possible_cpus();
	struct mw_counters *c;

	if (cpus < 0) {
		errno = -mw_err_set(err, cpus, "bpf", "/sys/devices/system/cpu/possible",
				    "can't tell how many processors there are: is /sys mounted?");
		return NULL;
	}
	c = calloc(1, sizeof(*c) + (size_t)cpus * sizeof(c->per_cpu[0]));
	if (!c) {
		errno = -mw_err_set(err, -ENOMEM, "no-memory", NULL, "out of memory");
		return NULL;
	}
	c->fd = fd;
	c->cpus = cpus;
	return c;
}

void mw_counters__free(struct mw_counters *c)
{
	free(c);
}

int mw_counters__read(struct mw_counters *c, uint32_t slot, struct mw_counts *sum)
{
	memset(sum, 0, sizeof(*sum));
	if (bpf_map_lookup_elem(c->fd, &slot, c->per_cpu))
		return -errno;
	for (int cpu = 0; cpu < c->cpus; cpu++)
		mw_counts__add(sum, &c->per_cpu[cpu]);
	return 0;
}
