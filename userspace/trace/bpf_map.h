/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The one way over all entries of a BPF hash map: in batches, so that a map of millions of blocks
 * takes a system call for thousands of them. Keys are 64-bit. All return 0 or -errno.
 */
#ifndef MW_TRACE_BPF_MAP_H
#define MW_TRACE_BPF_MAP_H

#include <stddef.h>
#include <stdint.h>

/* VALUE is valid during the call only. */
typedef void (*mw_bpf_map_fn)(uint64_t key, const void *value, void *arg);

/* FN for each entry of the map at FD, whose values have VALUE_SIZE bytes. FN may delete entries. */
int mw_bpf_map__each(int fd, size_t value_size, mw_bpf_map_fn fn, void *arg);

/* The same, and the map is empty afterwards. FN may be NULL. */
int mw_bpf_map__take_all(int fd, size_t value_size, mw_bpf_map_fn fn, void *arg);

#endif
