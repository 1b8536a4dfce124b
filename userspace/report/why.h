/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A diagnosis, for people (at most a screen) and for programs (docs/json.md). */
#ifndef MW_REPORT_WHY_H
#define MW_REPORT_WHY_H

#include "diagnosis/diagnosis.h"
#include "report/document.h"

enum { MW_WHY_WIDTH = 80 };

/* 0, or -errno with ERR set. */
int mw_why__write(const struct mw_out *out, const struct mw_facts *facts, struct mw_err *err);

/* The document: of an image, at one moment. */
MW_DOCUMENT_WRITER(mw_write_why);

#endif
