// SPDX-License-Identifier: GPL-2.0-or-later
#include "trace/pool_meter.h"

void mw_pool_meter__init(struct mw_pool_meter *m, struct mw_processes *processes,
			 struct mw_counters *counters, const struct mw_tracer_options *options)
{
	*m = (struct mw_pool_meter){.processes = processes, .counters = counters};
	m->possible = options->mode == MW_MODE_EXACT && !options->follow && !options->min_size &&
		      options->max_size >= MW_PYMALLOC_MAX;
}

static bool read_slot(struct mw_pool_meter *m, uint32_t slot, double *allocated, double *freed)
{
	struct mw_counts counts;

	if (mw_counters__read(m->counters, slot, &counts))
		return false;
	*allocated = (double)mw_counts__alloc_at(&counts, MW_PLACE_PYTHON).count;
	*freed = (double)counts.python_frees;
	return true;
}

void mw_pool_meter__begin(struct mw_pool_meter *m)
{
	m->on = m->possible;
	for (uint32_t slot = 0; m->on && slot < m->processes->target_count; slot++)
		m->known[slot] = read_slot(m, slot, &m->allocated[slot], &m->freed[slot]);
	for (size_t i = 0; m->on && i < m->processes->count; i++) {
		struct mw_process *p = &m->processes->list[i];

		if (!p->pymalloc || mw_pymalloc__begin_count(p->pymalloc))
			m->known[p->slot] = false;
	}
}

void mw_pool_meter__end(struct mw_pool_meter *m)
{
	double moved[MW_SLOTS] = {0};

	for (size_t i = 0; m->on && i < m->processes->count; i++) {
		struct mw_process *p = &m->processes->list[i];
		double more;

		if (!p->pymalloc || p->ended || mw_pymalloc__moved(p->pymalloc, &more))
			m->known[p->slot] = false;
		else
			moved[p->slot] += more;
	}
	for (uint32_t slot = 0; m->on && slot < m->processes->target_count; slot++) {
		double allocated, freed;

		if (m->known[slot] && read_slot(m, slot, &allocated, &freed))
			mw_coverage__add(&m->coverage[slot], allocated - m->allocated[slot],
					 freed - m->freed[slot], moved[slot]);
	}
	m->on = false;
}
