/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What ledger, malloc, whatis and snapshot share: opening the target, holding it with --stop. */
#ifndef MW_CMD_HEAP_H
#define MW_CMD_HEAP_H

#include <jansson.h>

#include "cmd/cmd.h"
#include "heap/ptmalloc.h"
#include "image/freeze.h"
#include "image/image.h"

struct mw_cmd_heap {
	const struct mw_options *opt;
	struct mw_image *image;
	struct mw_freeze *freeze;
	struct mw_ptmalloc *pt; /* NULL: none found, PT_ERR says why */
	struct mw_err pt_err;
	uint64_t held_ns; /* how long --stop held the target; 0: not at all */
	double seconds;	  /* that reading took so far */
};

/* Open the target named by opt->argv[0] and its glibc heap, if any. 0 or -errno with ERR set. */
int mw_cmd_heap__open(struct mw_cmd_heap *heap, const struct mw_options *opt, struct mw_err *err);
/* Let a stopped target go on: as soon as everything is read. */
void mw_cmd_heap__release(struct mw_cmd_heap *heap);
void mw_cmd_heap__close(struct mw_cmd_heap *heap);

/* Add what every heap document has: coverage, pause. Text: the same as closing lines. */
void mw_cmd_heap__add_json(const struct mw_cmd_heap *heap, json_t *doc);
void mw_cmd_heap__add_text(const struct mw_cmd_heap *heap, FILE *out);

/* Write DOC (a reference is taken) as one line. */
int mw_cmd_heap__dump(const struct mw_options *opt, json_t *doc, struct mw_err *err);

#endif
