// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>

#include "report/arenas.h"
#include "report/census.h"
#include "report/json.h"
#include "report/ledger.h"
#include "report/malloc.h"
#include "report/documents.h"
#include "report/whatis.h"
#include "util/units.h"

/* What every document about a whole image ends with: coverage, pause. */
static void add_json(json_t *doc, struct mw_image *image, const struct mw_show *show)
{
	uint64_t present, promised;

	mw_image__coverage(image, &present, &promised);
	if (promised)
		json_object_set_new(doc, "coverage",
				    json_pack("{s:I,s:I}", "present_bytes", (json_int_t)present,
					      "promised_bytes", (json_int_t)promised));
	if (show->held_ns)
		json_object_set_new(doc, "stopped_seconds", json_real((double)show->held_ns / 1e9));
}

static void add_text(FILE *out, struct mw_image *image, const struct mw_show *show)
{
	char a[MW_UNIT_BUF], b[MW_UNIT_BUF];
	uint64_t present, promised;

	mw_image__coverage(image, &present, &promised);
	if (present < promised)
		fprintf(out, "cut short: %s of %s (%.1f %%) of the core's memory is there\n",
			mw_format_size(a, present), mw_format_size(b, promised),
			100.0 * (double)present / (double)promised);
	if (show->held_ns)
		fprintf(out, "the process was stopped for %s\n",
			mw_format_duration(a, show->held_ns));
}

static int dump(FILE *out, json_t *doc, const char *name, struct mw_err *err)
{
	return mw_json_line(out, doc) ? mw_err_set(err, -ENOMEM, "no-memory", name, "out of memory")
				      : 0;
}

static int show_heap(FILE *out, struct mw_survey *survey, struct mw_heap *heap,
		     const struct mw_show *show, struct mw_err *err)
{
	const char *name = mw_image__name(survey->image);
	struct mw_heap_info info;
	json_t *doc;

	if (mw_heap__info(heap, MW_HEAP_SUMS, &info))
		return mw_err_set(err, -ENOMEM, "no-memory", name, "out of memory");
	if (!show->json) {
		mw_malloc_text(out, &info, name, show->color, show->verbose);
		return 0;
	}
	doc = mw_malloc_json(&info, name);
	if (doc)
		add_json(doc, survey->image, show);
	return dump(out, doc, name, err);
}

int mw_show_malloc(FILE *out, struct mw_survey *survey, const struct mw_show *show,
		   struct mw_err *err)
{
	const char *name = mw_image__name(survey->image);
	int ret = 0;

	if (!survey->heaps.count)
		return mw_err_set(err, -ENOENT, survey->heaps.none.name, name, "%s",
				  survey->heaps.none.message);
	for (size_t i = 0; i < survey->heaps.count && !ret; i++)
		ret = show_heap(out, survey, survey->heaps.list[i], show, err);
	if (!ret && !show->json)
		add_text(out, survey->image, show);
	return ret;
}

static const char estimated[] = "the target does not say which pages are resident: of a region "
				"the first ones are taken to be";

static json_t *evidence(const struct mw_survey *survey)
{
	json_t *list = json_array();

	if (!mw_image__spans_are_exact(survey->image))
		json_array_append_new(list, json_string(estimated));
	if (!survey->heaps.count)
		json_array_append_new(list, json_string(survey->heaps.none.message));
	for (size_t i = 0; i < survey->heaps.count; i++) {
		struct mw_heap_info info;

		mw_heap__info(survey->heaps.list[i], MW_HEAP_FOUND, &info);
		for (size_t k = 0; info.evidence[k]; k++)
			json_array_append_new(list, json_string(info.evidence[k]));
	}
	return list;
}

static bool has_problems(const struct mw_survey *survey)
{
	for (size_t i = 0; i < survey->heaps.count; i++) {
		struct mw_heap_info info;

		mw_heap__info(survey->heaps.list[i], MW_HEAP_FOUND, &info);
		if (info.problem_total)
			return true;
	}
	return false;
}

int mw_show_ledger(FILE *out, const struct mw_survey *survey, const struct mw_ledger *ledger,
		   const struct mw_show *show, struct mw_err *err)
{
	enum mw_residency residency = mw_image__residency(survey->image);
	const char *name = mw_image__name(survey->image);

	if (show->json) {
		json_t *doc = mw_ledger_json(ledger, name, residency, evidence(survey));

		if (doc)
			add_json(doc, survey->image, show);
		return dump(out, doc, name, err);
	}
	if (mw_ledger_text(out, ledger, name, residency, show))
		return mw_err_set(err, -ENOMEM, "no-memory", name, "out of memory");
	if (!mw_image__spans_are_exact(survey->image))
		fprintf(out, "shares within a region are estimates: %s\n", estimated);
	if (!survey->heaps.count)
		fprintf(out, "the heap is in " MW_OWNER_UNKNOWN ": %s\n",
			survey->heaps.none.message);
	else if (has_problems(survey))
		fprintf(out, "the heap has problems: `memwhere malloc` lists them\n");
	add_text(out, survey->image, show);
	return 0;
}

int mw_show_arenas(FILE *out, struct mw_survey *survey, const struct mw_show *show,
		   struct mw_err *err)
{
	const char *name = mw_image__name(survey->image);
	struct mw_python *py = mw_survey__python(survey, err);
	json_t *doc;

	if (!py)
		return err->code;
	if (show->json) {
		doc = mw_arenas_json(mw_python__info(py), name);
		if (doc)
			add_json(doc, survey->image, show);
		return dump(out, doc, name, err);
	}
	mw_arenas_text(out, mw_python__info(py), name, show);
	add_text(out, survey->image, show);
	return 0;
}

int mw_show_census(FILE *out, struct mw_survey *survey, const struct mw_show *show,
		   struct mw_err *err)
{
	const char *name = mw_image__name(survey->image);
	struct mw_py_census census;
	int ret = mw_survey__census(survey, &census, err);
	const struct mw_py_info *info;
	json_t *doc;

	if (ret)
		return ret;
	info = mw_python__info(survey->py);
	if (!info->layout)
		return mw_err_set(
			err, -ENOENT, "unknown-python", name,
			"CPython %s in %s has no layout that is known here: of its objects "
			"nothing can be said, of its pools `memwhere arenas` can",
			info->version, info->module);
	if (show->json) {
		doc = mw_census_json(info, &census, name);
		if (doc)
			add_json(doc, survey->image, show);
		return dump(out, doc, name, err);
	}
	mw_census_text(out, info, &census, name, show);
	add_text(out, survey->image, show);
	return 0;
}

int mw_show_whatis(FILE *out, struct mw_survey *survey, uint64_t addr, const struct mw_show *show,
		   struct mw_err *err)
{
	struct mw_whatis what;
	int ret = mw_whatis(&what, survey, addr, err);

	if (ret)
		return ret;
	if (show->json)
		return dump(out, mw_whatis_json(&what), mw_image__name(survey->image), err);
	mw_whatis_text(out, &what);
	return 0;
}
