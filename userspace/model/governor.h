/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Keeps what probes cost within a budget. The budget is a share of the target's own CPU time (of
 * three tenths of a processor where it uses less); as that passes, an allowance grows, and a window
 * of probes may open when the allowance covers what it is going to take. Pure logic: no clock, no
 * kernel.
 *
 * Over any 10 seconds the cost stays within 1.5 times the budget, over any 30 within it, from the
 * beginning on: the allowance grows at PLANNED times the budget and never exceeds CAP seconds'
 * worth.
 */
#ifndef MW_MODEL_GOVERNOR_H
#define MW_MODEL_GOVERNOR_H

#include <stdbool.h>
#include <stddef.h>

#include "model/rates.h"

struct mw_governor {
	double budget;	  /* share of the target's CPU time, 0 to 1 */
	double allowance; /* seconds that windows may take now; below 0: a debt */
	double busy;	  /* CPUs that the target used lately */
	double usual;	  /* the same over a longer time */
	double busiest;	  /* CPUs: the most that it used in a second */
	double half, half_cpu,
		last_half; /* the present half second, CPU used in it and in the last */
	double cpu,
		lost; /* seconds since the watch began: the target's, probes included; probes' */
	double base;  /* of what the budget is a share: CPU, and somewhat more where that is little
		       */
	double covered; /* of CPU: with probes in */
	double since,
		gap; /* CPU seconds since the last window, and how many the next one waits for */
	double mean_loss;	   /* of the last windows */
	double start;		   /* CPU so far when the next one opens; 0: not drawn yet */
	double sleeps, sleeps_cpu; /* how often it went to sleep lately, in how much CPU time */
	size_t windows;
	unsigned long long random;
	bool entries_only; /* no full windows: returns and frees are not asked for */
};

/* What the next window may be. */
struct mw_window_plan {
	enum mw_window_kind kind;
	double skip; /* seconds of the target's CPU time that go by before it counts */
	double cpu;  /* seconds of it, after which it closes */
	double loss; /* seconds that it is going to take, by what windows have shown */
	double wait; /* CPU seconds until it may open, at the least */
};

/* BUSY: CPUs that the target has used on average before, as far as that is known. */
void mw_governor__begin(struct mw_governor *governor, double budget, double busy,
			bool entries_only);

/*
 * SECONDS have passed, of which the target used CPU, probes included, and went to sleep SLEEPS
 * times (0: nobody knows). Call at least once a second.
 */
void mw_governor__passed(struct mw_governor *governor, double seconds, double cpu, double sleeps);

/*
 * The next window by what earlier ones showed: RATES of COUNT targets, all of which it is for.
 * True: it may open now.
 */
bool mw_governor__plan(struct mw_governor *governor, const struct mw_rates *const *rates,
		       size_t count, struct mw_window_plan *plan);

/* A window is over, probes were in for COVERED seconds of CPU, of which they took LOSS. */
void mw_governor__closed(struct mw_governor *governor, double covered, double loss);

/* Probes that stay in took LOSS of the last CPU seconds. */
void mw_governor__spent(struct mw_governor *governor, double cpu, double loss);

/*
 * Probes that stayed in have met a burst: the target can do more than it did so far, and has
 * nothing to spare.
 */
void mw_governor__burst(struct mw_governor *governor);

/*
 * May all probes stay in, when they take LOSS seconds in the busiest second? By that, not by the
 * average one: a target that idles mostly must not pay in its bursts.
 */
bool mw_governor__fits(const struct mw_governor *governor, double loss);

/* LOSS seconds in one second, as a share of what the budget is a share of. */
double mw_governor__share(const struct mw_governor *governor, double loss);

/*
 * Seconds that probes that stay in may take in SECONDS before they no longer fit: what is left of
 * the allowance, and no less than all probes may take.
 */
double mw_governor__quota(const struct mw_governor *governor, double seconds);

/* Seconds after which it is worth asking mw_governor__plan() again. */
double mw_governor__wait(const struct mw_governor *governor, const struct mw_window_plan *plan);

/* What was taken of the target's CPU time so far, and in how much of it probes were in: shares. */
double mw_governor__cost(const struct mw_governor *governor);
double mw_governor__coverage(const struct mw_governor *governor);

/* By chance, from 0 up to 1: what windows must not keep time with. */
double mw_governor__uniform(struct mw_governor *governor);

#endif
