/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What one address is, from its region down to the block that holds it. */
#ifndef MW_LEDGER_WHATIS_H
#define MW_LEDGER_WHATIS_H

#include <stdbool.h>

#include "image/image.h"
#include "ledger/survey.h"
#include "symbol/symbolizer.h"
#include "util/err.h"

struct mw_whatis {
	uint64_t addr;
	const struct mw_region *region; /* of the image; NULL: nothing is mapped there */
	char owner[80];			/* in the ledger's words; safe to print */
	bool has_block;
	struct mw_block block;		   /* if HAS_BLOCK */
	const struct mw_heap_arena *arena; /* the block's, NULL: it has none */
	bool has_symbol;
	struct mw_symbol_name symbol; /* if HAS_SYMBOL */
	bool has_python;
	struct mw_py_object python; /* if HAS_PYTHON */
};

/* Describe ADDR of SURVEY's image. 0 or -ENOMEM with ERR set. */
int mw_whatis(struct mw_whatis *what, struct mw_survey *survey, uint64_t addr, struct mw_err *err);

#endif
