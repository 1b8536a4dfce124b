/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whole documents about an image, as text or as JSON. The program's commands and GDB's both take
 * them from the one table here, so that they show the same.
 *
 * A new document is a write function and a row in documents.c; a command for it is a file in cmd/
 * with the document's name (and a class in gdb-scripts/memwhere for GDB).
 */
#ifndef MW_REPORT_DOCUMENTS_H
#define MW_REPORT_DOCUMENTS_H

#include "report/document.h"

/* The I-th document; NULL past the last. */
const struct mw_document *mw_document_at(size_t i);

const struct mw_document *mw_document_find(const char *name);

/* Whether REQUEST makes sense for DOCUMENT. 0, or -EINVAL with ERR set (a usage error). */
int mw_document__check(const struct mw_document *document, const struct mw_request *request,
		       struct mw_err *err);

/*
 * Measure what DOCUMENT needs of SURVEY, which outlives FOUND. Writing the document then reads the
 * image's memory only if it is MW_NEEDS_MEMORY. 0, or -errno with ERR set; the caller frees FOUND
 * in either case.
 */
int mw_findings__measure(struct mw_findings *found, const struct mw_document *document,
			 struct mw_survey *survey, struct mw_err *err);
void mw_findings__free(struct mw_findings *found);

#endif
