/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Closes links in threads. Taking a probe out waits for a grace period of the
 * kernel, about 40 ms a link; the watch must not stand still meanwhile.
 */
#ifndef MW_PROBE_DETACH_H
#define MW_PROBE_DETACH_H

#include "probe/attach.h"

struct mw_detacher;

/*
 * Of threads that put probes in and out: while they wait for a processor, the target goes on to hit
 * probes that nobody needs.
 */
#define MW_PROMPT_NICE (-15)

struct mw_detacher *mw_detacher__new(void);

/* Hand PROBES over; they are detached soon. Takes them over in any case. */
void mw_detacher__take(struct mw_detacher *detacher, struct mw_probes *probes);

/* Is anything that was handed over not detached yet? */
bool mw_detacher__is_busy(struct mw_detacher *detacher);

/* Wait until all that was handed over is detached, several at a time, and free DETACHER. */
void mw_detacher__free(struct mw_detacher *detacher);

#endif
