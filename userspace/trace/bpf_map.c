// SPDX-License-Identifier: GPL-2.0-or-later
#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>

#include "trace/bpf_map.h"
#include "util/cleanup.h"

/* More entries than any bucket of the maps has: a batch ends with a bucket. */
enum { BATCH = 4096 };

typedef int (*batch_fn)(int fd, void *from, void *next, void *keys, void *values, uint32_t *count,
			const struct bpf_map_batch_opts *opts);

static int walk(int fd, size_t value_size, batch_fn next_batch, mw_bpf_map_fn fn, void *arg)
{
	_cleanup_free_ uint64_t *keys = calloc(BATCH, sizeof(*keys));
	_cleanup_free_ char *values = calloc(BATCH, value_size);
	LIBBPF_OPTS(bpf_map_batch_opts, opts);
	uint64_t at = 0;
	void *from = NULL;
	int ret = 0;

	if (!keys || !values)
		return -ENOMEM;
	while (!ret) {
		uint32_t count = BATCH;

		ret = next_batch(fd, from, &at, keys, values, &count, &opts);
		/* -ENOENT: these are the last. */
		if (ret && ret != -ENOENT)
			return ret;
		for (uint32_t i = 0; fn && i < count; i++)
			fn(keys[i], values + i * value_size, arg);
		from = &at;
	}
	return 0;
}

int mw_bpf_map__each(int fd, size_t value_size, mw_bpf_map_fn fn, void *arg)
{
	return walk(fd, value_size, bpf_map_lookup_batch, fn, arg);
}

int mw_bpf_map__take_all(int fd, size_t value_size, mw_bpf_map_fn fn, void *arg)
{
	return walk(fd, value_size, bpf_map_lookup_and_delete_batch, fn, arg);
}
