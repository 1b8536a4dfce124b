// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <string.h>

#include "ledger/survey.h"

int mw_survey__open(struct mw_survey *survey, struct mw_image *image, struct mw_err *err)
{
	memset(survey, 0, sizeof(*survey));
	survey->image = image;
	survey->pt = mw_ptmalloc__open(image, &survey->pt_err);
	if (!survey->pt && survey->pt_err.code != -ENOENT) {
		int ret = survey->pt_err.code;

		if (err)
			*err = survey->pt_err;
		mw_survey__close(survey);
		return ret;
	}
	return 0;
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
	return mw_python__census(py, survey->pt, census, err);
}

void mw_survey__close(struct mw_survey *survey)
{
	mw_python__close(survey->py);
	mw_ptmalloc__close(survey->pt);
	mw_image__close(survey->image);
	memset(survey, 0, sizeof(*survey));
}

int mw_survey__ledger(struct mw_survey *survey, struct mw_ledger *ledger, struct mw_err *err)
{
	struct mw_blocks *sources[3] = {mw_image_owners(survey->image)};
	struct mw_py_census census;
	bool complete = sources[0];
	int ret = 0;

	memset(ledger, 0, sizeof(*ledger));
	if (survey->pt) {
		sources[1] = mw_ptmalloc__blocks(survey->pt);
		complete &= sources[1] != NULL;
	}
	if (mw_survey__python(survey, NULL)) {
		ret = mw_survey__census(survey, &census, err);
		sources[2] = ret ? NULL : mw_python__blocks(survey->py);
		complete &= sources[2] != NULL;
	}
	if (!ret && !complete)
		ret = mw_err_set(err, -ENOMEM, "no-memory", mw_image__name(survey->image),
				 "out of memory");
	if (!ret)
		ret = mw_ledger__build(ledger, survey->image, sources, 3, err);
	for (size_t i = 0; i < 3; i++)
		mw_blocks__close(sources[i]);
	return ret;
}
