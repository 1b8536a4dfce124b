// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <string.h>

#include "ledger/pieces.h"
#include "ledger/survey.h"

_Static_assert(MW_HEAPS_MAX + 2 <= MW_PIECES_SOURCES, "a place for each source of claims");

int mw_survey__open(struct mw_survey *survey, struct mw_image *image, struct mw_err *err)
{
	int ret;

	memset(survey, 0, sizeof(*survey));
	survey->image = image;
	ret = mw_heaps__open(&survey->heaps, image, err);
	if (ret)
		mw_survey__close(survey);
	return ret;
}

struct mw_python *mw_survey__python(struct mw_survey *survey, struct mw_err *err)
{
	if (!survey->py_tried)
		survey->py = mw_python__open(survey->image, &survey->py_err);
	survey->py_tried = true;
	if (!survey->py && err)
		*err = survey->py_err;
	return survey->py;
}

int mw_survey__census(struct mw_survey *survey, struct mw_py_census *census, struct mw_err *err)
{
	struct mw_python *py = mw_survey__python(survey, err);

	if (!py)
		return survey->py_err.code;
	return mw_python__census(py, &survey->heaps, census, err);
}

void mw_survey__close(struct mw_survey *survey)
{
	mw_python__close(survey->py);
	mw_heaps__close(&survey->heaps);
	mw_image__close(survey->image);
	memset(survey, 0, sizeof(*survey));
}

int mw_survey__ledger(struct mw_survey *survey, struct mw_ledger *ledger, struct mw_err *err)
{
	/* The image's own owners, the heaps in the order of their list, Python. */
	struct mw_blocks *sources[MW_HEAPS_MAX + 2] = {mw_image_owners(survey->image)};
	size_t count = survey->heaps.count + 2;
	struct mw_py_census census;
	bool complete = sources[0];
	int ret = 0;

	memset(ledger, 0, sizeof(*ledger));
	for (size_t i = 0; i < survey->heaps.count; i++) {
		sources[1 + i] = mw_heap__blocks(survey->heaps.list[i]);
		complete &= sources[1 + i] != NULL;
	}
	if (mw_survey__python(survey, NULL)) {
		ret = mw_survey__census(survey, &census, err);
		sources[count - 1] = ret ? NULL : mw_python__blocks(survey->py);
		complete &= sources[count - 1] != NULL;
	}
	if (!ret && !complete)
		ret = mw_err_no_memory(err, mw_image__name(survey->image));
	if (!ret)
		ret = mw_ledger__build(ledger, survey->image, sources, count, err);
	for (size_t i = 0; i < count; i++)
		mw_blocks__close(sources[i]);
	return ret;
}
