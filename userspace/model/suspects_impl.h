/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Behind model/suspects.h: suspect_judge.c says what a site's own blocks tell of it, suspects.c who
 * of a target's lines is accused for it, and when there will be an answer.
 */
#ifndef MW_MODEL_SUSPECTS_IMPL_H
#define MW_MODEL_SUSPECTS_IMPL_H

#include "model/series.h"
#include "model/suspects.h"

enum { MW_SUSPECT_POINTS_MIN = 8 }; /* of a history: below that nothing is said */

#define MW_SUSPECT_STARTUP	0.25 /* of the site's life: not judged */
#define MW_SUSPECT_SHARE_LIVE	0.5  /* of what its sizes grow by, that it is most of */
#define MW_SUSPECT_HARDLY_LASTS 0.75 /* of what it made, that was freed */

/* How fast the target grows, bytes a second: since start-up, and lately. */
struct mw_target_growth {
	double rate, lately;
	const struct mw_resident *resident; /* NULL: not known */
};

/* Is SITE judged by what the kernel gave, for no blocks of it are seen? */
bool mw_suspect_by_growth(const struct mw_site_stats *site);
/* Is it judged by what became of its blocks, as windows saw them? */
bool mw_suspect_by_generations(const struct mw_site_stats *site);

/* Such a site. GROWTH may be NULL. */
void mw_suspect_judge_generations(const struct mw_site_stats *site,
				  const struct mw_target_growth *growth, double now,
				  struct mw_suspect *out);

/* Any site. What is in OUT stays: the label, and the group. SERIES: its history, for words. */
void mw_suspect_judge_layer(const struct mw_site_stats *site, const struct mw_target_growth *growth,
			    double now, struct mw_suspect *out, struct mw_series *series);

/* Cheap, and true of every suspect: it holds more than at some time after start-up. */
bool mw_suspect_has_grown(const struct mw_site_stats *site);

#endif
