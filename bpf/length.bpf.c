// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Which lines change the length of a container that grows: a hardware watchpoint (perf's breakpoint
 * event) on the word that holds it stops the thread that has just written there, and nobody else.
 * So what it costs depends on how often that one container changes, not on how much the program
 * allocates.
 */
#include <linux/bpf_perf_event.h>

#include "bpf/site.bpf.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MW_LENGTHS);
	__type(key, __u32);
	__type(value, struct mw_length);
} lengths SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MW_LENGTH_CHANGES);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u64);
	__type(value, struct mw_length_change);
} length_changes SEC(".maps");

static __always_inline void count_change(__u64 id, __u64 site, __s64 change)
{
	struct mw_length_change fresh = {.id = id, .site = site}, *found;
	__u64 key = site ^ id * 0x9e3779b97f4a7c15ULL;

	found = bpf_map_lookup_elem(&length_changes, &key);
	if (!found) {
		bpf_map_update_elem(&length_changes, &key, &fresh, BPF_NOEXIST);
		found = bpf_map_lookup_elem(&length_changes, &key);
	}
	if (!found)
		return;
	MW_ADD(found->samples, 1);
	if (change > 0)
		MW_ADD(found->added, change);
	else
		MW_ADD(found->removed, -change);
}

static __always_inline void tell_round(__u64 id)
{
	struct mw_bpf_event event = {.type = MW_BPF_EVENT_LENGTH, .length = id};

	bpf_ringbuf_output(&events, &event, sizeof(event), BPF_RB_FORCE_WAKEUP);
}

/*
 * The cookie is the container's id. What is returned is not 0: only then do kernels from 6.10 on
 * count the hit, after so many of which they switch the watchpoint off.
 */
SEC("perf_event")
int length_changed(struct bpf_perf_event_data *ctx)
{
	__u64 id = bpf_get_attach_cookie(ctx), now = 0, before, site;
	__u64 ip = MW_REG_IP(&ctx->regs), sp = MW_REG_SP(&ctx->regs), fp = MW_REG_FP(&ctx->regs);
	__u32 index = id % MW_LENGTHS;
	struct mw_length *length = bpf_map_lookup_elem(&lengths, &index);
	__u64 began = bpf_ktime_get_ns();
	struct mw_counts *c;
	bool is_first;

	if (!length || length->id != id)
		return 1;
	c = mw_counts_of(length->slot);
	if (c)
		MW_ADD(c->length_hits, 1);
	if (length->hits > MW_LENGTH_HITS)
		return 1;
	if (length->hits++ == MW_LENGTH_HITS) {
		tell_round(id);
		return 1;
	}
	if (bpf_probe_read_user(&now, sizeof(now), (void *)length->address))
		return 1;
	/* What has come while nobody looked is not this line's. */
	is_first = length->seen_round != length->round;
	before = length->last;
	length->last = now;
	length->seen_round = length->round;
	if (is_first || now == before)
		return 1;
	site = mw_site_take(ip, sp, fp, MW_TAKE(length->slot, MW_KIND_LENGTH));
	if (site)
		count_change(id, site, now - before);
	mw_took(c, began);
	return 1;
}
