/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A progress line on stderr for work that lasts over a second; only on a terminal. */
#ifndef MW_CMD_PROGRESS_H
#define MW_CMD_PROGRESS_H

#include "cmd/cmd.h"
#include "image/image.h"

struct mw_cmd_progress; /* opaque */

/*
 * NULL: nothing to show (no terminal, --quiet). IMAGE, which may be NULL, outlives it. TOTAL: the
 * seconds that it is going to last, 0: not known.
 */
struct mw_cmd_progress *mw_cmd_progress__start(const struct mw_options *opt,
					       const struct mw_image *image, unsigned int total);
/* Erase the line. */
void mw_cmd_progress__end(struct mw_cmd_progress *progress);

#endif
