/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Closes links on a thread of its own. Taking a probe out waits for a grace period of the
 * kernel, about 40 ms a link; the watch must not stand still meanwhile.
 */
#ifndef MW_TRACE_REAPER_H
#define MW_TRACE_REAPER_H

#include "trace/attach.h"

struct mw_reaper;

struct mw_reaper *mw_reaper__new(void);

/* Hand PROBES over; they are detached soon. Takes them over in any case. */
void mw_reaper__detach(struct mw_reaper *reaper, struct mw_probes *probes);

/* Is anything that was handed over not detached yet? */
bool mw_reaper__is_busy(struct mw_reaper *reaper);

/* Wait until all that was handed over is detached, several at a time, and free REAPER. */
void mw_reaper__free(struct mw_reaper *reaper);

#endif
