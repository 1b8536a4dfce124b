// SPDX-License-Identifier: GPL-2.0-or-later
#include "probe/allocator_probes.h"

bool mw_allocator_probes__have(const struct mw_allocator_probes *probes,
			       const struct mw_allocator *alloc)
{
	for (size_t i = 0; i < probes->count; i++) {
		const struct mw_probed_allocator *p = &probes->list[i];

		if (p->inode == alloc->inode && p->major == alloc->major &&
		    p->minor == alloc->minor)
			return true;
	}
	return false;
}

int mw_allocator_probes__attach(struct mw_allocator_probes *probes,
				const struct mw_allocator_probing *how,
				const struct mw_allocator *alloc)
{
	struct mw_probe_place entries[MW_FUNCTIONS_MAX], returns[MW_FUNCTIONS_MAX];
	uint32_t flags = alloc->kind == MW_ALLOC_GLIBC ? MW_COOKIE_CHUNKS : 0;
	struct mw_probed_allocator *new = &probes->list[probes->count];
	size_t entry_count = 0, return_count = 0;
	int ret = 0;

	if (probes->count >= MW_ALLOCATORS_MAX)
		return 0;
	/*
	 * The first one of a link goes out first, and then the kernel waits for a grace period with
	 * all others in: not malloc, which is called most, and whose hits no program would count
	 * then.
	 */
	for (size_t i = alloc->count; i--;) {
		const struct mw_function *fn = &alloc->functions[i];
		bool frees = fn->func >= MW_FUNC_FREE;

		if (!fn->probed || (frees && !how->frees))
			continue;
		entries[entry_count++] = (struct mw_probe_place){
			fn->offset + fn->entry.offset,
			mw_cookie(fn->func, fn->entry.stack_shift, flags, how->slot, how->space)};
		/* At the same place, so that one trap serves both. */
		if (!frees)
			returns[return_count++] = entries[entry_count - 1];
	}
	*new = (struct mw_probed_allocator){
		.inode = alloc->inode,
		.major = alloc->major,
		.minor = alloc->minor,
		.entries.fd = -1,
		.returns.fd = -1,
	};
	/* Returns first: an entry whose return can't be seen would look like an open call. */
	if (how->returns)
		ret = mw_probes__attach(&new->returns, how->ret, how->multi, how->pid, alloc->file,
					true, returns, return_count);
	if (!ret)
		ret = mw_probes__attach(&new->entries, how->entry, how->multi, how->pid,
					alloc->file, false, entries, entry_count);
	if (ret)
		mw_probes__detach(&new->returns);
	else
		probes->count++;
	return ret;
}

void mw_allocator_probes__detach(struct mw_allocator_probes *probes, struct mw_detacher *detacher)
{
	for (size_t i = 0; i < probes->count; i++) {
		mw_detacher__take(detacher, &probes->list[i].entries);
		mw_detacher__take(detacher, &probes->list[i].returns);
	}
	probes->count = 0;
}
