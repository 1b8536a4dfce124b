// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <string.h>

#include "report/arenas.h"
#include "report/census.h"
#include "report/diff.h"
#include "report/documents.h"
#include "report/json.h"
#include "report/ledger.h"
#include "report/malloc.h"
#include "report/pins.h"
#include "report/problems.h"
#include "report/python_documents.h"
#include "report/whatis.h"
#include "report/why.h"
#include "util/array.h"

enum { CLASS_MAX = 512, CLASS_STEP = 8 };

static int write_malloc(const struct mw_out *out, const struct mw_findings *found,
			const struct mw_request *request, struct mw_err *err)
{
	const struct mw_survey *survey = found->survey;
	const char *name = mw_image__name(survey->image);

	(void)request;
	for (size_t i = 0; i < survey->heaps.count; i++) {
		struct mw_heap_info info;
		int ret = 0;

		if (mw_heap__info(survey->heaps.list[i], MW_HEAP_LISTS, &info))
			return mw_err_no_memory(err, name);
		if (out->json)
			ret = mw_out__image_json(out, survey->image,
						 mw_malloc_json(&info, &found->sizes[i], name),
						 err);
		else
			mw_malloc_text(out, &info, &found->sizes[i], name);
		if (ret)
			return ret;
	}
	if (!out->json)
		mw_out__image_text(out, survey->image);
	return 0;
}

static const char estimated[] = "the target does not say which pages are resident: of a region "
				"the first ones are taken to be";

/* Is Python's memory known, but not its objects? Or is it missing because a file is? */
static bool is_incomplete(const struct mw_survey *survey)
{
	return survey->py_err.code == -ENODATA;
}

static json_t *evidence(const struct mw_survey *survey)
{
	json_t *list = json_array();

	if (!mw_image__spans_are_exact(survey->image))
		json_array_append_new(list, json_string(estimated));
	if (survey->heaps.none.code)
		json_array_append_new(list, json_string(survey->heaps.none.message));
	if (is_incomplete(survey))
		json_array_append_new(list, json_string(survey->py_err.message));
	for (size_t i = 0; i < survey->heaps.count; i++) {
		struct mw_heap_info info;

		mw_heap__info(survey->heaps.list[i], MW_HEAP_FOUND, &info);
		for (size_t k = 0; info.evidence[k]; k++)
			json_array_append_new(list, json_string(info.evidence[k]));
	}
	return list;
}

/* Problems of the heaps, and places that changed while heaps and Python were read. */
static void count_problems(const struct mw_survey *survey, uint64_t *problems, uint64_t *changed)
{
	*problems = *changed = 0;
	for (size_t i = 0; i < survey->heaps.count; i++) {
		struct mw_heap_info info;

		mw_heap__info(survey->heaps.list[i], MW_HEAP_FOUND, &info);
		*problems += info.problems->total;
		*changed += info.problems->changed;
	}
	if (survey->py)
		*changed += mw_python__info(survey->py)->problems->changed;
}

static json_t *ledger_json(const struct mw_findings *found)
{
	const struct mw_survey *survey = found->survey;
	json_t *doc = mw_ledger_json(&found->ledger, mw_image__name(survey->image),
				     mw_image__residency(survey->image), evidence(survey));
	uint64_t problems, changed;

	count_problems(survey, &problems, &changed);
	if (survey->py)
		problems += mw_python__info(survey->py)->problems->total;
	json_object_set_new(doc, "problem_count", mw_json_u64(problems));
	json_object_set_new(doc, "changed_while_read", mw_json_u64(changed));
	return doc;
}

static int write_ledger(const struct mw_out *out, const struct mw_findings *found,
			const struct mw_request *request, struct mw_err *err)
{
	const struct mw_survey *survey = found->survey;
	enum mw_residency residency = mw_image__residency(survey->image);
	const char *name = mw_image__name(survey->image);
	uint64_t problems, changed;

	if (out->json)
		return mw_out__image_json(out, survey->image, ledger_json(found), err);
	if (mw_ledger_text(out, &found->ledger, name, residency, request->depth))
		return mw_err_no_memory(err, name);
	if (!mw_image__spans_are_exact(survey->image))
		fprintf(out->file, "shares within a region are estimates: %s\n", estimated);
	if (survey->heaps.none.code)
		fprintf(out->file, "heap: %s\n", survey->heaps.none.message);
	if (is_incomplete(survey))
		fprintf(out->file, "Python's objects are not known: %s\n", survey->py_err.message);
	count_problems(survey, &problems, &changed);
	if (problems)
		fprintf(out->file, "the heap has problems: `memwhere malloc` lists them\n");
	mw_changed_text(out->file, changed);
	mw_out__image_text(out, survey->image);
	return 0;
}

static int write_arenas(const struct mw_out *out, const struct mw_findings *found,
			const struct mw_request *request, struct mw_err *err)
{
	const struct mw_py_info *info = mw_python__info(found->py);
	struct mw_image *image = found->survey->image;

	(void)request;
	if (out->json)
		return mw_out__image_json(out, image, mw_arenas_json(info, mw_image__name(image)),
					  err);
	mw_arenas_text(out, info, mw_image__name(image));
	mw_out__image_text(out, image);
	return 0;
}

static int write_census(const struct mw_out *out, const struct mw_findings *found,
			const struct mw_request *request, struct mw_err *err)
{
	const struct mw_py_info *info = mw_python__info(found->py);
	struct mw_image *image = found->survey->image;
	const char *name = mw_image__name(image);

	(void)request;
	if (!info->layout)
		return mw_err_set(err, -ENOENT, "unknown-python", name,
				  "CPython %s in %s has no layout that is known here: its objects "
				  "can't be counted, `memwhere arenas` shows its pools",
				  info->version, info->module);
	if (out->json)
		return mw_out__image_json(out, image, mw_census_json(info, &found->census, name),
					  err);
	mw_census_text(out, info, &found->census, name);
	mw_out__image_text(out, image);
	return 0;
}

static int write_whatis(const struct mw_out *out, const struct mw_findings *found,
			const struct mw_request *request, struct mw_err *err)
{
	struct mw_whatis what;
	int ret = mw_whatis(&what, found->survey, request->address, err);

	if (ret)
		return ret;
	if (out->json)
		return mw_out__json(out, mw_whatis_json(&what), err);
	mw_whatis_text(out->file, &what);
	return 0;
}

static const struct mw_document documents[] = {
	{"ledger", MW_NEEDS_LEDGER, MW_SUBJECT_IMAGE, write_ledger},
	{"why", MW_NEEDS_LEDGER | MW_USES_INDEX | MW_NEEDS_MEMORY, MW_SUBJECT_IMAGE, mw_write_why},
	{"malloc", MW_NEEDS_HEAP | MW_NEEDS_LIVE_SIZES, MW_SUBJECT_IMAGE, write_malloc},
	{"arenas", MW_NEEDS_PYTHON, MW_SUBJECT_IMAGE, write_arenas},
	{"census", MW_NEEDS_CENSUS, MW_SUBJECT_IMAGE, write_census},
	{"whatis", MW_NEEDS_MEMORY, MW_SUBJECT_ADDRESS, write_whatis},
	{"refs", MW_NEEDS_GRAPH | MW_USES_INDEX | MW_NEEDS_NO_HEAP | MW_NEEDS_MEMORY,
	 MW_SUBJECT_ADDRESS, mw_write_refs},
	{"retained", MW_NEEDS_GRAPH | MW_USES_INDEX | MW_NEEDS_NO_HEAP | MW_NEEDS_MEMORY,
	 MW_SUBJECT_OBJECT, mw_write_retained},
	{"leaks", MW_NEEDS_GRAPH | MW_USES_INDEX | MW_NEEDS_MEMORY, MW_SUBJECT_IMAGE,
	 mw_write_leaks},
	{"diff", MW_NEEDS_MEMORY, MW_SUBJECT_BEFORE, mw_write_diff},
	{"pins", MW_NEEDS_GRAPH_IF_ANY | MW_USES_INDEX | MW_NEEDS_MEMORY, MW_SUBJECT_IMAGE,
	 mw_write_pins},
	{"pools", MW_NEEDS_PYTHON, MW_SUBJECT_CLASS, mw_write_pools},
	{"objects", MW_NEEDS_CENSUS | MW_NEEDS_MEMORY, MW_SUBJECT_TYPE, mw_write_objects},
	{"freelists", MW_NEEDS_CENSUS, MW_SUBJECT_IMAGE, mw_write_freelists},
	/* For a debugger: the way alone, one pool, everything, and one word for an expression. */
	{"path", MW_NEEDS_GRAPH | MW_USES_INDEX | MW_NEEDS_NO_HEAP | MW_NEEDS_MEMORY,
	 MW_SUBJECT_ADDRESS, mw_write_path},
	{"blocks", MW_NEEDS_CENSUS | MW_NEEDS_MEMORY, MW_SUBJECT_ADDRESS, mw_write_blocks},
	{"dump", MW_NEEDS_CENSUS | MW_NEEDS_MEMORY, MW_SUBJECT_IMAGE, mw_write_dump},
	{"pool", MW_NEEDS_PYTHON, MW_SUBJECT_ADDRESS, mw_write_pool_of},
	{"arena", MW_NEEDS_PYTHON, MW_SUBJECT_ADDRESS, mw_write_arena_of},
	{"typename", MW_NEEDS_PYTHON | MW_NEEDS_MEMORY, MW_SUBJECT_ADDRESS, mw_write_type_of},
};

const struct mw_document *mw_document_at(size_t i)
{
	return i < MW_ARRAY_SIZE(documents) ? &documents[i] : NULL;
}

const struct mw_document *mw_document_find(const char *name)
{
	for (size_t i = 0; i < MW_ARRAY_SIZE(documents); i++) {
		if (!strcmp(documents[i].name, name))
			return &documents[i];
	}
	return NULL;
}

int mw_document__check(const struct mw_document *document, const struct mw_request *request,
		       struct mw_err *err)
{
	if (document->subject == MW_SUBJECT_CLASS &&
	    (request->size_class % CLASS_STEP || request->size_class > CLASS_MAX))
		return mw_err_usage(err, NULL, "a size class is a multiple of %d, at most %d",
				    CLASS_STEP, CLASS_MAX);
	if (document->subject == MW_SUBJECT_TYPE && (!request->type || !request->type[0]))
		return mw_err_usage(err, document->name, "which type?");
	if (document->subject == MW_SUBJECT_BEFORE && (!request->before || !request->before[0]))
		return mw_err_usage(err, document->name, "which core?");
	return 0;
}

static int measure_heap(const struct mw_survey *survey, struct mw_err *err)
{
	struct mw_heap_info info;

	if (!survey->heaps.count) {
		if (err)
			*err = survey->heaps.none;
		return -ENOENT;
	}
	for (size_t i = 0; i < survey->heaps.count; i++) {
		if (mw_heap__info(survey->heaps.list[i], MW_HEAP_LISTS, &info))
			return mw_err_no_memory(err, mw_image__name(survey->image));
	}
	return 0;
}

static int measure_graph(struct mw_findings *found, struct mw_err *err)
{
	found->py = mw_survey__blocks(found->survey, &found->census, err);
	if (!found->py)
		return err->code;
	found->graph = mw_graph__build(found->survey->image, found->py, err);
	return found->graph ? 0 : -errno;
}

/* What is known where there is no such Python is shown without it. */
static int measure_graph_if_any(struct mw_findings *found, struct mw_err *err)
{
	struct mw_python *py = mw_survey__python(found->survey, NULL);
	int ret;

	if (!py || !mw_python__info(py)->layout)
		return 0;
	ret = measure_graph(found, err);
	if (ret == -ENODATA)
		found->py = NULL;
	return ret == -ENODATA ? 0 : ret;
}

static int measure_sizes(struct mw_findings *found, struct mw_survey *survey, struct mw_err *err)
{
	struct mw_py_census census;
	int ret = 0;

	if (mw_survey__python(survey, NULL))
		ret = mw_survey__census(survey, &census, err);
	/* Whose the blocks are is not known then; how large they are is. */
	if (ret == -ENODATA)
		ret = 0;
	for (size_t i = 0; i < survey->heaps.count && !ret; i++) {
		if (mw_live_sizes__measure(&found->sizes[i], survey->heaps.list[i], survey->py))
			ret = mw_err_no_memory(err, mw_image__name(survey->image));
	}
	return ret;
}

int mw_findings__measure(struct mw_findings *found, const struct mw_document *document,
			 struct mw_survey *survey, struct mw_err *err)
{
	int ret = 0;

	memset(found, 0, sizeof(*found));
	found->survey = survey;
	if (document->needs & MW_NEEDS_HEAP)
		ret = measure_heap(survey, err);
	if (!ret && (document->needs & (MW_NEEDS_PYTHON | MW_NEEDS_CENSUS))) {
		found->py = mw_survey__python(survey, err);
		ret = found->py ? 0 : survey->py_err.code;
	}
	if (!ret && (document->needs & MW_NEEDS_CENSUS))
		ret = mw_survey__census(survey, &found->census, err);
	if (!ret && (document->needs & MW_NEEDS_GRAPH))
		ret = measure_graph(found, err);
	if (!ret && (document->needs & MW_NEEDS_GRAPH_IF_ANY))
		ret = measure_graph_if_any(found, err);
	if (!ret && (document->needs & MW_NEEDS_LIVE_SIZES))
		ret = measure_sizes(found, survey, err);
	if (!ret && (document->needs & MW_NEEDS_LEDGER))
		ret = mw_survey__ledger(survey, &found->ledger, err);
	return ret;
}

void mw_findings__free(struct mw_findings *found)
{
	mw_ledger__free(&found->ledger);
	mw_graph__free(found->graph);
	found->graph = NULL;
}
