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
	struct mw_err py_err; /* with PY: why its objects are not known, if they aren't */
	bool py_tried;
	struct mw_python *none; /* of mw_survey__blocks(); NULL: not asked for, or there is PY */
};

/*
 * Find the heaps of IMAGE, which the survey takes over and closes, also when this fails. Finding
 * none is no error. 0 or -errno with ERR set.
 */
int mw_survey__open(struct mw_survey *survey, struct mw_image *image, struct mw_err *err);
/* The same without looking for heaps, for who asks of PY alone (mw_survey__use()). */
void mw_survey__open_bare(struct mw_survey *survey, struct mw_image *image);
void mw_survey__close(struct mw_survey *survey);

/*
 * From now on SURVEY, which takes it over, has PY: with the census, or what stands for none. It was
 * loaded from an index of the survey's image (python/saved.h).
 */
void mw_survey__use(struct mw_survey *survey, struct mw_python *py);

/*
 * The Python interpreter of the image, searched for at the first call and kept, because many
 * questions need none. NULL with ERR (may be NULL) set: there is none, or it can't be read.
 */
struct mw_python *mw_survey__python(struct mw_survey *survey, struct mw_err *err);

/*
 * The same after the census, or what stands for it where there is none (mw_python__none()), so that
 * what refers to what can be asked of any program whose heap is known. *CENSUS is zero then. NULL
 * with ERR set: nothing is known, or the objects of the Python that is there are not.
 */
struct mw_python *mw_survey__blocks(struct mw_survey *survey, struct mw_py_census *census,
				    struct mw_err *err);

/*
 * Its objects by type. -ENOENT with ERR set when there is no Python, -ENODATA when a core leaves
 * its types to a file that is missing.
 */
int mw_survey__census(struct mw_survey *survey, struct mw_py_census *census, struct mw_err *err);

/* Every resident byte's owner, with all that was found. 0 or -ENOMEM with ERR set. */
int mw_survey__ledger(struct mw_survey *survey, struct mw_ledger *ledger, struct mw_err *err);

#endif
