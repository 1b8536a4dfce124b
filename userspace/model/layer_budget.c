// SPDX-License-Identifier: GPL-2.0-or-later
#include <math.h>
#include <string.h>

#include "model/layer_budget.h"

/*
 * Of what the standing programs leave. What leaks small objects is mostly named by looks and the
 * length of what holds them; of larger blocks nobody else knows the lines.
 */
static const double SHARES[MW_LAYERS] = {[MW_LAYER_MALLOC] = 0.75, [MW_LAYER_PYTHON] = 0.25};
/* Each has so much, however much faster the other one grows. */
static const double SHARE_MIN = 0.25;
/*
 * What the programs that are always there take is of the budget; the layers have the rest, and a
 * tenth at the least: else a target that makes system calls all the time would not be watched.
 * Before it is known what they take, it is taken for a quarter.
 */
static const double FIRST_SHARE = 0.25, LEFT_MIN = 0.1;
/* Seconds of what the budget is a share of, over which what they take is a mean. */
static const double MEMORY = 3;
/*
 * A layer whose probes stay in needs what they take, and some more for the time when they take
 * more; the rest is the other's. Else each has its share.
 */
static const double SPARE = 1.5;
/* Seconds: where a layer's probes took more to put in, another one's will take long. */
static const double SLOW = 0.02;

double mw_layer_budget__base(const struct mw_layer_budget *b)
{
	return mw_windows__base(b->windows[MW_LAYER_MALLOC]);
}

static double left(const struct mw_layer_budget *b)
{
	return fmax(b->budget - b->standing_share, LEFT_MIN * b->budget);
}

void mw_layer_budget__init(struct mw_layer_budget *b, double share)
{
	memset(b, 0, sizeof(*b));
	b->budget = share;
	b->standing = -1;
	b->standing_share = FIRST_SHARE * share;
	memcpy(b->shares, SHARES, sizeof(b->shares));
}

void mw_layer_budget__set_growth(struct mw_layer_budget *b, const double growth[MW_LAYERS])
{
	double python = fmax(growth[MW_LAYER_PYTHON], 0);
	double all = fmax(growth[MW_LAYER_MALLOC], 0) + python;

	if (!(all > 0))
		return;
	b->shares[MW_LAYER_PYTHON] = fmin(fmax(python / all, SHARE_MIN), 1 - SHARE_MIN);
	b->shares[MW_LAYER_MALLOC] = 1 - b->shares[MW_LAYER_PYTHON];
}

double mw_layer_budget__first(const struct mw_layer_budget *b, enum mw_layer layer, bool both)
{
	return (both ? b->shares[layer] : 1) * left(b);
}

void mw_layer_budget__set_standing(struct mw_layer_budget *b, double seconds)
{
	double base = mw_layer_budget__base(b) - b->base_before, taken = seconds - b->taken_before;

	b->standing = seconds;
	if (base <= 0 || seconds < 0)
		return;
	b->standing_share +=
		(1 - exp(-base / MEMORY)) * (fmax(taken, 0) / base - b->standing_share);
	b->base_before += base;
	b->taken_before += taken;
}

double mw_layer_budget__standing_cost(const struct mw_layer_budget *b)
{
	double base = mw_layer_budget__base(b);

	return base > 0 ? fmax(b->standing, 0) / base : 0;
}

static void share_out(struct mw_layer_budget *b, double now)
{
	double budget = left(b);

	for (int i = 0; i < MW_LAYERS; i++) {
		int k = MW_LAYERS - 1 - i;
		double other = 0;

		if (!b->windows[i])
			continue;
		if (b->windows[k])
			other = fmin(SPARE * mw_windows__needs(b->windows[k], now),
				     b->shares[k] * budget);
		mw_windows__set_budget(b->windows[i], budget - other);
	}
}

/*
 * Also while it is tried whether they may stay, on a machine where to put in another layer's probes
 * would take seconds: nobody would look at these meanwhile.
 */
bool mw_layer_budget__is_in(const struct mw_layer_budget *b, enum mw_layer layer)
{
	const struct mw_windows *windows = b->windows[layer];

	return windows && !mw_windows__out(windows) &&
	       (!mw_windows__stay(windows) ||
		(mw_windows__are_open(windows) && b->putting_in[layer] > SLOW));
}

/*
 * A window of one layer would measure what another one's costs, so it waits until the other's
 * probes are out; those that stay in belong to the target as it is.
 */
static bool must_wait(const struct mw_layer_budget *b, int layer)
{
	bool others = false;

	for (int i = 0; i < MW_LAYERS; i++)
		others |= i != layer && mw_layer_budget__is_in(b, i);
	return others && mw_windows__out(b->windows[layer]);
}

static double step(struct mw_layer_budget *b, int layer, double (*clock)(void *arg), void *arg,
		   double until)
{
	struct mw_windows *windows = b->windows[layer];
	bool out = mw_windows__out(windows);
	double begin = clock(arg);

	until = mw_windows__step(windows, begin, until);
	if (out && !mw_windows__out(windows))
		b->putting_in[layer] = clock(arg) - begin;
	return until;
}

double mw_layer_budget__step(struct mw_layer_budget *b, double (*clock)(void *arg), void *arg,
			     double until)
{
	share_out(b, clock(arg));
	for (int i = 0; i < MW_LAYERS; i++) {
		if (b->windows[i] && !must_wait(b, i))
			until = step(b, i, clock, arg, until);
	}
	return until;
}

bool mw_layer_budget__any(const struct mw_layer_budget *b,
			  bool (*is)(const struct mw_windows *windows))
{
	for (int i = 0; i < MW_LAYERS; i++) {
		if (b->windows[i] && is(b->windows[i]))
			return true;
	}
	return false;
}
