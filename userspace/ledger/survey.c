// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <string.h>

#include "ledger/pieces.h"
#include "ledger/runtimes.h"
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
	else if (!survey->heaps.count && survey->heaps.none.code == -ENOENT)
		mw_runtime_say(image, &survey->heaps.none);
	return ret;
}

void mw_survey__open_bare(struct mw_survey *survey, struct mw_image *image)
{
	*survey = (struct mw_survey){.image = image};
}

void mw_survey__use(struct mw_survey *survey, struct mw_python *py)
{
	bool none = mw_python__info(py)->none;

	mw_python__close(survey->py);
	mw_python__close(survey->none);
	survey->py = none ? NULL : py;
	survey->none = none ? py : NULL;
	survey->py_tried = survey->py || survey->py_tried;
}

/*
 * The interpreter's file among those that reading has missed: called MODULE or, where no
 * interpreter was found, something with python.
 */
static bool misses_interpreter(const struct mw_survey *survey, const char *module,
			       struct mw_missing_file *missing)
{
	for (size_t i = 0; mw_image__missing_file(survey->image, i, missing); i++) {
		const char *slash = strrchr(missing->path, '/');
		const char *name = slash ? slash + 1 : missing->path;

		if (module ? !strcmp(name, module)
			   : !strncmp(name, "python", 6) || !strncmp(name, "libpython", 9))
			return true;
	}
	return false;
}

/* What a core lacks can't be told from what was never there. */
static int need_interpreter(const struct mw_survey *survey, const char *module, struct mw_err *err)
{
	struct mw_missing_file missing;

	if (!misses_interpreter(survey, module, &missing))
		return 0;
	return mw_err_set(err, -ENODATA, "no-file", mw_image__name(survey->image),
			  "the core leaves the interpreter's read-only data to its file, %s (build "
			  "id %s), which is not here: give it with --exe FILE, or --sysroot DIR",
			  missing.path, missing.build_id[0] ? missing.build_id : "not in the core");
}

struct mw_python *mw_survey__python(struct mw_survey *survey, struct mw_err *err)
{
	if (!survey->py_tried) {
		survey->py = mw_python__open(survey->image, &survey->py_err);
		if (!survey->py && survey->py_err.code == -ENOENT)
			need_interpreter(survey, NULL, &survey->py_err);
	}
	survey->py_tried = true;
	if (!survey->py && err)
		*err = survey->py_err;
	return survey->py;
}

/* An interpreter that was not finalised has objects. */
static int no_object(const struct mw_survey *survey, const struct mw_py_info *info,
		     struct mw_err *err)
{
	if (mw_image__is_cut(survey->image))
		return mw_err_set(
			err, -ENODATA, "truncated", mw_image__name(survey->image),
			"the core was cut short: no Python object was found in what is left");
	if (info->finalized || !info->interpreter_count)
		return 0;
	return mw_err_set(err, -ENODATA, "no-objects", mw_image__name(survey->image),
			  "CPython %s is there, but none of its objects was found: its data is "
			  "damaged",
			  info->version);
}

int mw_survey__census(struct mw_survey *survey, struct mw_py_census *census, struct mw_err *err)
{
	struct mw_python *py = mw_survey__python(survey, err);
	int ret;

	if (!py)
		return survey->py_err.code;
	ret = mw_python__census(py, &survey->heaps, census, err);
	/* Of a core that was cut, what is there counts; a whole one wants its file. */
	if (!ret && (!census->objects || !mw_image__is_cut(survey->image)))
		ret = need_interpreter(survey, mw_python__info(py)->module, err);
	return ret || census->objects ? ret : no_object(survey, mw_python__info(py), err);
}

struct mw_python *mw_survey__blocks(struct mw_survey *survey, struct mw_py_census *census,
				    struct mw_err *err)
{
	struct mw_python *py;

	memset(census, 0, sizeof(*census));
	if (survey->none)
		return survey->none;
	py = mw_survey__python(survey, err);
	if (py)
		return mw_survey__census(survey, census, err) ? NULL : py;
	/* Where something else is wrong, that is what to tell. */
	if (strcmp(survey->py_err.name, "no-python") != 0 || !survey->heaps.count)
		return NULL;
	survey->none = mw_python__none(survey->image, &survey->heaps, err);
	return survey->none;
}

void mw_survey__close(struct mw_survey *survey)
{
	mw_python__close(survey->py);
	mw_python__close(survey->none);
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
	const struct mw_spans *spans;
	int ret = 0;

	memset(ledger, 0, sizeof(*ledger));
	for (size_t i = 0; i < survey->heaps.count; i++) {
		sources[1 + i] = mw_heap__blocks(survey->heaps.list[i]);
		complete &= sources[1 + i] != NULL;
	}
	if (mw_survey__python(survey, NULL)) {
		ret = mw_survey__census(survey, &census, &survey->py_err);
		/* Without types the blocks of Python's allocator are known all the same. */
		if (ret && ret != -ENODATA && err)
			*err = survey->py_err;
		if (ret == -ENODATA)
			ret = 0;
		if (!ret)
			ret = mw_image__spans(survey->image, &spans);
		sources[count - 1] = ret ? NULL : mw_python__blocks_to_sum(survey->py, spans);
		complete &= sources[count - 1] != NULL;
	}
	if (!ret && !complete)
		ret = mw_err_no_memory(err, mw_image__name(survey->image));
	if (!ret)
		ret = mw_ledger__build(ledger, survey->image, sources, count, survey->py, err);
	for (size_t i = 0; i < count; i++)
		mw_blocks__close(sources[i]);
	return ret;
}
