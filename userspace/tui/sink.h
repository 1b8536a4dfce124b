/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The screen as a sink of a watch (watch/watch.h). The watch's thread writes the state and copies
 * its sites aside; the screen's thread draws the state and takes the copies over when it wants to.
 * They share a lock that nobody holds while waiting for the terminal or the kernel.
 */
#ifndef MW_TUI_SINK_H
#define MW_TUI_SINK_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "tui/state.h"

struct mw_tui_fresh {
	struct mw_tui_sites sites;
	bool is_whole; /* the screen may take them; else they are the watch's */
};

struct mw_tui_sink {
	struct mw_tui_state *state;
	pthread_mutex_t lock;	    /* of the state, and of is_whole */
	struct mw_tui_fresh *fresh; /* of each target */
	int news;		    /* eventfd, readable: the state has changed, or is over */
	atomic_bool is_over;	    /* the watch has ended and leaves nothing to see */
};

/*
 * Fill STATE with what is known of WATCH's targets before it runs. 0, or -errno with ERR set.
 * STATE outlives the sink; the sink outlives the watch.
 */
int mw_tui_sink__open(struct mw_tui_sink *sink, struct mw_tui_state *state,
		      const struct mw_watch *watch, struct mw_err *err);
void mw_tui_sink__close(struct mw_tui_sink *sink);

struct mw_watch_sink mw_tui_sink__of_watch(struct mw_tui_sink *sink);

/* On the screen's thread, after `news`, under the lock. What the views made of sites is stale. */
void mw_tui_sink__take_sites(struct mw_tui_sink *sink);

#endif
