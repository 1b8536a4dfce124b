/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What changed between two images, for people (a screen) and for programs (docs/json-heap.md). */
#ifndef MW_REPORT_DIFF_H
#define MW_REPORT_DIFF_H

#include "model/diff.h"
#include "report/document.h"

/* 0, or -errno with ERR set. */
int mw_diff__write(const struct mw_out *out, const struct mw_diff *diff, struct mw_err *err);
/* The image against an earlier core. */
MW_DOCUMENT_WRITER(mw_write_diff);

#endif
