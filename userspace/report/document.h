/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One document: what it needs, what was measured for it, and the function that writes it. */
#ifndef MW_REPORT_DOCUMENT_H
#define MW_REPORT_DOCUMENT_H

#include <stddef.h>
#include <stdint.h>

#include "graph/graph.h"
#include "ledger/live_sizes.h"
#include "ledger/survey.h"
#include "report/out.h"

/* What must be measured before a document can be written. */
enum {
	MW_NEEDS_PYTHON = 1 << 0, /* the interpreter */
	MW_NEEDS_CENSUS = 1 << 1, /* its objects by type; implies the interpreter */
	MW_NEEDS_HEAP = 1 << 2,	  /* the C library's heap, with its bins */
	MW_NEEDS_LEDGER = 1 << 3,
	MW_NEEDS_MEMORY = 1 << 4, /* reads the image's memory while it writes */
	/*
	 * What refers to what, and what it retains; implies the census where there is Python. Else
	 * FOUND->py stands for none (mw_survey__blocks()).
	 */
	MW_NEEDS_GRAPH = 1 << 5,
	/* Of the heaps; with Python's census, if there is Python. */
	MW_NEEDS_LIVE_SIZES = 1 << 6,
	/* The graph where there is Python whose objects are known; FOUND->graph is else NULL. */
	MW_NEEDS_GRAPH_IF_ANY = 1 << 7,
	/* Of a core the graph may come from an index; then ... */
	MW_USES_INDEX = 1 << 8,
	MW_NEEDS_NO_HEAP = 1 << 9, /* ... the heaps need not be looked for */
};

/* What of an image a document is about: which member of the request it uses (also in library.py).
 */
enum mw_subject {
	MW_SUBJECT_IMAGE,   /* all of it */
	MW_SUBJECT_ADDRESS, /* .address */
	MW_SUBJECT_CLASS,   /* .size_class */
	MW_SUBJECT_TYPE,    /* .type */
	MW_SUBJECT_OBJECT,  /* .address, 0: all of it */
	MW_SUBJECT_BEFORE,  /* .before */
};

struct mw_request {
	uint64_t address;
	uint64_t size_class; /* of pymalloc, bytes; 0: all */
	const char *type;    /* a Python type's name, with or without its module */
	unsigned int depth;  /* levels of the ledger's tree; 0: the default */
	uint64_t top, min;   /* how many at most, 0: the default; bytes that each has at least */
	const char *root;    /* only what is reached by a way that begins so; NULL: all */
	bool all;	     /* objects: in text, too, every one */
	const char *before;  /* diff: the core that the image is compared with */
};

/* What was measured; members that the document's needs don't name are zero. */
struct mw_findings {
	struct mw_survey *survey;
	struct mw_python *py;
	struct mw_py_census census;
	struct mw_ledger ledger;
	struct mw_graph *graph;
	struct mw_live_sizes sizes[MW_HEAPS_MAX]; /* by heap */
};

struct mw_document {
	const char *name;
	unsigned int needs;
	enum mw_subject subject;
	/* 0, or -errno with ERR set: there is nothing to show, no memory, or a write failed. */
	int (*write)(const struct mw_out *out, const struct mw_findings *found,
		     const struct mw_request *request, struct mw_err *err);
};

/* The head of a write function. */
#define MW_DOCUMENT_WRITER(name)                                                                   \
	int name(const struct mw_out *out, const struct mw_findings *found,                        \
		 const struct mw_request *request, struct mw_err *err)

#endif
