/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which pages of Python's objects a forked process no longer shares with what it was forked from,
 * and what made the kernel copy them.
 */
#ifndef MW_LEDGER_UNSHARED_H
#define MW_LEDGER_UNSHARED_H

#include <stdint.h>

#include "ledger/survey.h"

/* Bytes of resident pages in pools of pymalloc's that the origin has, too. */
struct mw_unshared_pages {
	uint64_t shared;
	/*
	 * Copied, and yet nothing but ob_refcnt and the collector's head of some objects is
	 * different, or nothing at all: counts go up and down again, and the collector puts its
	 * lists back.
	 */
	uint64_t counted;
	uint64_t changed; /* copied, with other content */
};

struct mw_unshared {
	/* Of pools whose objects have no collector's head, and of those that have. */
	struct mw_unshared_pages plain, tracked;
};

/*
 * Of SURVEY's process, after its census, with OWN its own pages (image/family.h), compared with
 * ORIGIN, what it was forked from. 0, -ENOENT: there are no pools, or -ENOMEM with ERR set.
 */
int mw_unshared__measure(struct mw_unshared *out, struct mw_survey *survey,
			 const struct mw_spans *own, struct mw_image *origin, struct mw_err *err);

#endif
