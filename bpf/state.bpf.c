// SPDX-License-Identifier: GPL-2.0-or-later
/* Where the shared maps and settings live; see state.bpf.h. */
#include "bpf/state.bpf.h"

const volatile __u64 mw_min_size, mw_max_size = ~0ULL;
const volatile __u8 mw_with_children;
const volatile __u32 mw_set_count = MW_SETS_MAX;
const volatile __u32 mw_sites_mode;
const volatile __u32 mw_weights[MW_WEIGHTS];
const volatile __u32 mw_fault_period;
const volatile __u32 mw_fsbase_offset;

volatile __u32 mw_active;
volatile struct mw_layer_state mw_layers[MW_LAYERS] = {
	{.sample_period = 512 << 10, .sampling = 1},
	{.sample_period = 4 << 10, .sampling = 1},
};
volatile __u32 mw_syscalls_counted;
volatile __u64 mw_interval_began;
volatile __u32 mw_outstanding_used;
__u32 mw_next_space;

struct mw_counts_map counts SEC(".maps");
struct mw_procs_map procs SEC(".maps");
struct mw_calls_map calls SEC(".maps");
struct mw_more_calls_map more_calls SEC(".maps");
struct mw_outstanding_map outstanding SEC(".maps");
struct mw_outstanding_map outstanding_small SEC(".maps");
struct mw_block_sets_map block_sets SEC(".maps");
struct mw_unwind_maps_map unwind_maps SEC(".maps");
struct mw_unwind_rows_map unwind_rows SEC(".maps");
struct mw_pythons_map pythons SEC(".maps");
struct mw_sites_map sites SEC(".maps");
struct mw_regions_map regions SEC(".maps");
struct mw_stacks_map stacks SEC(".maps");
struct mw_events_map events SEC(".maps");

char LICENSE[] SEC("license") = "GPL";
