// SPDX-License-Identifier: GPL-2.0-or-later
/* Where the shared maps and settings live; see state.bpf.h. */
#include "bpf/state.bpf.h"

const volatile __u32 mw_mode = MW_MODE_EXACT;
const volatile __u64 mw_min_size, mw_max_size = ~0ULL;
const volatile __u8 mw_follow;

volatile __u32 mw_active;
__u32 mw_next_space;

struct mw_counts_map counts SEC(".maps");
struct mw_procs_map procs SEC(".maps");
struct mw_calls_map calls SEC(".maps");
struct mw_outstanding_map outstanding SEC(".maps");
struct mw_events_map events SEC(".maps");

char LICENSE[] SEC("license") = "GPL";
