/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A survey: an image with everything that was found in it. The one place that knows in which order
 * the walkers' claims nest; commands and GDB start from here.
 */
#ifndef MW_LEDGER_SURVEY_H
#define MW_LEDGER_SURVEY_H

#include "heap/heap.h"
#include "image/image.h"
#include "ledger/ledger.h"
#include "python/python.h"
#include "util/err.h"

struct mw_survey {
	struct mw_image *image;
	struct mw_heaps heaps;
	struct mw_python *py; /* NULL: not searched for yet, or PY_ERR says why there is none */
	struct mw_err py_err;
	bool py_tried;
};

/*
 * Find the heaps of IMAGE, which the survey takes over and closes, also when this fails. Finding
 * none is no error. 0 or -errno with ERR set.
 */
int mw_survey__open(struct mw_survey *survey, struct mw_image *image, struct mw_err *err);
void mw_survey__close(struct mw_survey *survey);

/*
 * The Python interpreter of the image, searched for at the first call and kept, because many
 * questions need none. NULL with ERR (may be NULL) set: there is none, or it can't be read.
 */
struct mw_python *mw_survey__python(struct mw_survey *survey, struct mw_err *err);

/* Its objects by type; -ENOENT with ERR set when there is no Python. */
int mw_survey__census(struct mw_survey *survey, struct mw_py_census *census, struct mw_err *err);

/* Every resident byte's owner, with all that was found. 0 or -ENOMEM with ERR set. */
int mw_survey__ledger(struct mw_survey *survey, struct mw_ledger *ledger, struct mw_err *err);

#endif
