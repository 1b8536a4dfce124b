/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A suspect's sentence, for people. */
#ifndef MW_MODEL_SUSPECT_WORDS_H
#define MW_MODEL_SUSPECT_WORDS_H

#include "model/series.h"
#include "model/suspects.h"

/*
 * Into OUT->sentence, by what OUT says else of SITE, whose history is S; STARTUP: the share of its
 * life that is not judged.
 */
void mw_suspect__write(const struct mw_site_stats *site, const struct mw_series *s, double startup,
		       struct mw_suspect *out);

#endif
