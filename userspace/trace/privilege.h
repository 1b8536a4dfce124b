/* SPDX-License-Identifier: GPL-2.0-or-later */
/* May this process trace at all, and if not, what is missing? */
#ifndef MW_TRACE_PRIVILEGE_H
#define MW_TRACE_PRIVILEGE_H

#include <stdbool.h>

#include "util/err.h"

/*
 * Looks at our effective capabilities and at what the kernel was built with, before anything is
 * loaded. UPROBES: those are needed, too. 0, or -EPERM or -ENOSYS with ERR naming what is missing.
 */
int mw_privilege_check(bool uprobes, struct mw_err *err);

/* The kernel refused with CODE (-EPERM) although the capabilities seemed enough. */
int mw_privilege_explain(struct mw_err *err, int code);

#endif
