/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A line on stderr that says how far long work is: on a terminal, from its second second on. */
#ifndef MW_CMD_PROGRESS_H
#define MW_CMD_PROGRESS_H

#include "cmd/cmd.h"
#include "image/image.h"

struct mw_cmd_progress; /* opaque */

/* NULL: nothing is to be shown. IMAGE, which may be NULL, outlives it. */
struct mw_cmd_progress *mw_cmd_progress__start(const struct mw_options *opt,
					       const struct mw_image *image);
/* Take the line away. */
void mw_cmd_progress__end(struct mw_cmd_progress *progress);

#endif
