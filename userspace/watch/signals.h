/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * SIGINT, SIGTERM and SIGHUP end a watch in order: probes out, last numbers shown. SIGUSR2 asks for
 * a walk of the heaps.
 */
#ifndef MW_WATCH_SIGNALS_H
#define MW_WATCH_SIGNALS_H

#include <stdbool.h>

/*
 * Catch them from now on, for the whole process. SECOND_ENDS: the second signal ends the process
 * at once. A program that draws needs that: while it writes to a terminal that takes nothing
 * (Ctrl-S), it can't act on the first one.
 */
void mw_signals_catch(bool second_ends);

/* Has one come? */
bool mw_signals_caught(void);

/* Has SIGUSR2 come since the last call? */
bool mw_signals_look(void);

/* Keep them away from the calling thread and from the threads that it starts, or let them in. */
void mw_signals_block(bool block);

#endif
