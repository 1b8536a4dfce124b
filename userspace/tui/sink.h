/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The screen as a sink of a watch (watch/watch.h). The watch's thread writes samples into the state
 * and sites into a second buffer; the screen's thread draws the state and swaps the buffers.
 * Neither holds the lock while it waits for the terminal or the kernel.
 */
#ifndef MW_TUI_SINK_H
#define MW_TUI_SINK_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "tui/state.h"

struct mw_tui_fresh {
	struct mw_tui_sites sites;
	bool is_whole; /* the screen may take them; false: the watch's thread may write them */
};

struct mw_tui_sink {
	struct mw_tui_state *state;
	pthread_mutex_t lock;	    /* of the state, and of is_whole */
	struct mw_tui_fresh *fresh; /* of each target */
	int news;		    /* eventfd, readable: the state has changed or is_over is set */
	atomic_bool is_over;	    /* the watch has ended: close the screen */
};

/*
 * Fill STATE with WATCH's targets: names and what the kernel counts without probes. 0, or -errno
 * with ERR set. STATE outlives the sink; close the sink after the watch has ended.
 */
int mw_tui_sink__open(struct mw_tui_sink *sink, struct mw_tui_state *state,
		      const struct mw_watch *watch, struct mw_err *err);
void mw_tui_sink__close(struct mw_tui_sink *sink);

struct mw_watch_sink mw_tui_sink__of_watch(struct mw_tui_sink *sink);

/* The screen's thread, under the lock. Call mw_tui__recalc() next: views have stale pointers. */
void mw_tui_sink__take_sites(struct mw_tui_sink *sink);

#endif
