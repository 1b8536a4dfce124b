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

struct mw_python *mw_survey__python(struct mw_survey *survey)
{
	if (!survey->py_tried)
		survey->py = mw_python__open(survey->image, &survey->py_err);
	survey->py_tried = true;
	return survey->py;
}

int mw_survey__census(struct mw_survey *survey, struct mw_py_census *census, struct mw_err *err)
{
	struct mw_python *py = mw_survey__python(survey);

	if (!py) {
		if (err)
			*err = survey->py_err;
		return survey->py_err.code;
	}
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
	struct mw_blocks *sources[] = {
		mw_ledger_claims(survey->image),
		survey->pt ? mw_ptmalloc__blocks(survey->pt) : NULL,
	};
	int ret;

	memset(ledger, 0, sizeof(*ledger));
	if (!sources[0] || (survey->pt && !sources[1]))
		ret = mw_err_set(err, -ENOMEM, "no-memory", mw_image__name(survey->image),
				 "out of memory");
	else
		ret = mw_ledger__build(ledger, survey->image, sources, 2, err);
	mw_blocks__close(sources[0]);
	mw_blocks__close(sources[1]);
	return ret;
}
