/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One budget for all that watches a target: the programs that are always there, and the windows of
 * each layer of allocators, which don't overlap. Knows neither kernel nor clock (model/windows.h).
 */
#ifndef MW_MODEL_LAYER_BUDGET_H
#define MW_MODEL_LAYER_BUDGET_H

#include <stdbool.h>

#include "bpf/memwhere.h"
#include "model/windows.h"

struct mw_layer_budget {
	double budget; /* of everything: a share, as in model/governor.h */
	/* Not owned; NULL: nothing of that layer is to be seen. Malloc's are always there. */
	struct mw_windows *windows[MW_LAYERS];
	/* What the programs that are always there take: seconds so far, below 0 not known yet; of
	 * the budget's base, lately. */
	double standing, standing_share;
	double base_before, taken_before; /* seconds: of the base, and of theirs, in that */
	double putting_in[MW_LAYERS];	  /* seconds that it took to put probes in, the last time */
	double shares[MW_LAYERS];	  /* of what the standing programs leave */
};

void mw_layer_budget__init(struct mw_layer_budget *budget, double share);

/* What LAYER's windows begin with; BOTH: it is not the only layer. */
double mw_layer_budget__first(const struct mw_layer_budget *budget, enum mw_layer layer, bool both);

/*
 * What each layer's live blocks have grown by lately, bytes a second: the one that grows has more
 * of the budget.
 */
void mw_layer_budget__set_growth(struct mw_layer_budget *budget, const double growth[MW_LAYERS]);

/* The programs that are always there have taken SECONDS since the watch began; below 0: unknown. */
void mw_layer_budget__set_standing(struct mw_layer_budget *budget, double seconds);

/* Of the base since the watch began, what those programs have taken. */
double mw_layer_budget__standing_cost(const struct mw_layer_budget *budget);

/*
 * Share the budget out anew and do what is due in windows; when next, at most UNTIL. CLOCK is asked
 * again after each layer, whose probes may take a while to go in.
 */
double mw_layer_budget__step(struct mw_layer_budget *budget, double (*clock)(void *arg), void *arg,
			     double until);

/* Has LAYER probes in that are to go out again, or on their way out? */
bool mw_layer_budget__is_in(const struct mw_layer_budget *budget, enum mw_layer layer);

/* Is what mw_windows__are_open() or mw_windows__may_close() says true of one layer? */
bool mw_layer_budget__any(const struct mw_layer_budget *budget,
			  bool (*is)(const struct mw_windows *windows));

/* Of what the budget is a share: seconds since the watch began. */
double mw_layer_budget__base(const struct mw_layer_budget *budget);

#endif
