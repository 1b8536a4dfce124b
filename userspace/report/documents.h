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

#include <stddef.h>
#include <stdint.h>

#include "ledger/survey.h"
#include "report/out.h"

/* What must be measured before a document can be written. */
enum {
	MW_NEEDS_PYTHON = 1 << 0, /* the interpreter */
	MW_NEEDS_CENSUS = 1 << 1, /* its objects by type; implies the interpreter */
	MW_NEEDS_HEAP = 1 << 2,	  /* the C library's heap, with its bins */
	MW_NEEDS_LEDGER = 1 << 3,
	MW_NEEDS_MEMORY = 1 << 4, /* reads the image's memory while it writes */
};

/* What of an image a document is about: which member of the request it uses. */
enum mw_subject {
	MW_SUBJECT_IMAGE,   /* all of it */
	MW_SUBJECT_ADDRESS, /* .address */
	MW_SUBJECT_CLASS,   /* .size_class */
	MW_SUBJECT_TYPE,    /* .type */
};

struct mw_request {
	uint64_t address;
	uint64_t size_class; /* of pymalloc, bytes; 0: all */
	const char *type;    /* a Python type's name, with or without its module */
	unsigned int depth;  /* levels of the ledger's tree; 0: the default */
};

/* What was measured; members that the document's needs don't name are zero. */
struct mw_findings {
	struct mw_survey *survey;
	struct mw_python *py;
	struct mw_py_census census;
	struct mw_ledger ledger;
};

struct mw_document {
	const char *name;
	unsigned int needs;
	enum mw_subject subject;
	/* 0, or -errno with ERR set: there is nothing to show, no memory, or a write failed. */
	int (*write)(const struct mw_out *out, const struct mw_findings *found,
		     const struct mw_request *request, struct mw_err *err);
};

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
