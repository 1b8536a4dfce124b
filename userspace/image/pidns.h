/* SPDX-License-Identifier: GPL-2.0-or-later */
/* PID namespaces, as /proc shows them (pid_namespaces(7), proc(5)). */
#ifndef MW_IMAGE_PIDNS_H
#define MW_IMAGE_PIDNS_H

#include <stdbool.h>
#include <sys/types.h>

#include "util/err.h"

/* The number that PID has in its own, innermost PID namespace; PID when that can't be read. */
pid_t mw_pidns_innermost(pid_t pid);

/* Is our PID namespace the first one, of which all others are descendants? */
bool mw_pidns_is_initial(void);

/*
 * System calls take PIDs of our namespace, /proc shows those of the namespace that it was mounted
 * in: 0 when both are the same, or -ESRCH ("pid-namespace") when a PID would name two processes.
 */
int mw_pidns_check_proc(struct mw_err *err);

#endif
