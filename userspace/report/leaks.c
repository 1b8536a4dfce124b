// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <inttypes.h>

#include "graph/leaks.h"
#include "graph/through.h"
#include "report/json.h"
#include "report/python_documents.h"
#include "util/units.h"

enum { SHOWN = 10, NAME = 160, HOLDERS_SHOWN = 3 };

static json_t *objects_json(struct mw_python *py, const struct mw_leaks_objects *objects)
{
	json_t *types = json_array();

	for (size_t i = 0; i < objects->type_count; i++) {
		const struct mw_py_type *t = mw_python__type(py, objects->types[i].type);

		json_array_append_new(
			types, json_pack("{s:s,s:s,s:o,s:o}", "type", t->name, "module", t->module,
					 "count", mw_json_u64(objects->types[i].count), "bytes",
					 mw_json_u64(objects->types[i].bytes)));
	}
	return json_pack("{s:o,s:o,s:o}", "count", mw_json_u64(objects->count), "bytes",
			 mw_json_u64(objects->bytes), "types", types);
}

static json_t *blocks_json(const struct mw_leaks *leaks)
{
	json_t *sizes = json_array(), *sample = json_array();

	for (size_t i = 0; i < leaks->size_count; i++)
		json_array_append_new(sizes, json_pack("{s:o,s:o,s:o,s:o}", "low",
						       mw_json_u64(leaks->sizes[i].low), "high",
						       mw_json_u64(leaks->sizes[i].high), "count",
						       mw_json_u64(leaks->sizes[i].count), "bytes",
						       mw_json_u64(leaks->sizes[i].bytes)));
	for (size_t i = 0; i < MW_LEAKS_SAMPLE && leaks->sample_bytes[i]; i++)
		json_array_append_new(sample, json_pack("{s:o,s:o}", "address",
							mw_json_addr(leaks->sample[i]), "bytes",
							mw_json_u64(leaks->sample_bytes[i])));
	return json_pack("{s:o,s:o,s:o,s:o}", "count", mw_json_u64(leaks->block_count), "bytes",
			 mw_json_u64(leaks->block_bytes), "sizes", sizes, "sample", sample);
}

static void objects_text(const struct mw_out *out, struct mw_python *py,
			 const struct mw_leaks_objects *objects)
{
	char name[NAME], size[MW_UNIT_BUF], count[MW_UNIT_BUF];

	for (size_t i = 0; i < objects->type_count && (i < SHOWN || out->verbose); i++) {
		mw_python_type_name(mw_python__type(py, objects->types[i].type), name,
				    sizeof(name));
		fprintf(out->file, "%11s %9s  %s\n", mw_format_size(size, objects->types[i].bytes),
			mw_format_count(count, objects->types[i].count), name);
	}
}

/*
 * ---- only through what is meant to pass --------------------------------------------------------
 */

static json_t *through_json(const struct mw_through_group *group)
{
	json_t *holders = json_array();

	for (size_t i = 0; i < group->holder_count; i++)
		json_array_append_new(
			holders, json_pack("{s:s,s:o,s:o}", "path_text", group->holders[i].text,
					   "count", mw_json_u64(group->holders[i].count), "bytes",
					   mw_json_u64(group->holders[i].bytes)));
	return json_pack("{s:o,s:o,s:o}", "count", mw_json_u64(group->count), "bytes",
			 mw_json_u64(group->bytes), "holders", holders);
}

static json_t *throughs_json(const struct mw_throughs *throughs)
{
	json_t *doc = json_object();

	for (unsigned int i = 0; i < MW_THROUGH_KINDS; i++)
		json_object_set_new(doc, mw_through_name(i), through_json(&throughs->groups[i]));
	return doc;
}

static void throughs_text(const struct mw_out *out, const struct mw_throughs *throughs)
{
	static const char *const words[] = {
		[MW_THROUGH_RECORDS] = "log records that are kept",
		[MW_THROUGH_TASKS] = "tasks and futures that are done",
		[MW_THROUGH_TRACEBACKS] = "tracebacks",
		[MW_THROUGH_FRAMES] = "frames that run",
	};
	char size[MW_UNIT_BUF], count[MW_UNIT_BUF];

	for (unsigned int i = 0; i < MW_THROUGH_KINDS; i++) {
		const struct mw_through_group *group = &throughs->groups[i];

		if (!group->count)
			continue;
		fprintf(out->file, "objects that live only through %s: %" PRIu64 ", %s\n", words[i],
			group->count, mw_format_size(size, group->bytes));
		for (size_t k = 0; k < group->holder_count && (k < HOLDERS_SHOWN || out->verbose);
		     k++)
			fprintf(out->file, "%11s %9s  `%s`\n",
				mw_format_size(size, group->holders[k].bytes),
				mw_format_count(count, group->holders[k].count),
				group->holders[k].text);
	}
}

/*
 * ---- all of it ----------------------------------------------------------------------------------
 */

static void objects_of_python_text(const struct mw_out *out, struct mw_python *py,
				   const struct mw_leaks *leaks)
{
	char a[MW_UNIT_BUF];

	fprintf(out->file, "cycles that nothing reaches: %" PRIu64 " objects, %s%s\n",
		leaks->cycles.count, mw_format_size(a, leaks->cycles.bytes),
		leaks->cycles.count ? "; gc.collect() frees them" : "");
	objects_text(out, py, &leaks->cycles);
	if (leaks->uncollectable)
		fprintf(out->file, "of them the collector can't free %" PRIu64 "\n",
			leaks->uncollectable);
	fprintf(out->file,
		"objects that are referred to, nobody knows from where: %" PRIu64 ", %s\n",
		leaks->lost.count, mw_format_size(a, leaks->lost.bytes));
	objects_text(out, py, &leaks->lost);
}

static void leaks_text(const struct mw_out *out, const struct mw_findings *found,
		       const struct mw_leaks *leaks, const struct mw_throughs *throughs)
{
	char a[MW_UNIT_BUF], b[MW_UNIT_BUF];

	if (!mw_python__info(found->py)->none) {
		objects_of_python_text(out, found->py, leaks);
		throughs_text(out, throughs);
	}
	fprintf(out->file, "blocks of C's that nothing reaches: %" PRIu64 ", %s\n",
		leaks->block_count, mw_format_size(a, leaks->block_bytes));
	for (size_t i = 0; i < leaks->size_count; i++)
		fprintf(out->file, "%11s %9s  of %" PRIu64 " to %" PRIu64 " bytes\n",
			mw_format_size(a, leaks->sizes[i].bytes),
			mw_format_count(b, leaks->sizes[i].count), leaks->sizes[i].low,
			leaks->sizes[i].high);
	for (size_t i = 0; i < MW_LEAKS_SAMPLE && leaks->sample_bytes[i]; i++)
		fprintf(out->file, "  0x%" PRIx64 ", %" PRIu64 " bytes\n", leaks->sample[i],
			leaks->sample_bytes[i]);
}

MW_DOCUMENT_WRITER(mw_write_leaks)
{
	struct mw_image *image = found->survey->image;
	struct mw_throughs throughs = {0};
	struct mw_leaks leaks;
	int ret = mw_leaks__find(&leaks, found->graph, &found->survey->heaps, err);

	(void)request;
	if (!ret && !mw_python__info(found->py)->none)
		ret = mw_throughs__find(&throughs, found->graph, err);
	leaks.uncollectable += found->census.garbage;
	if (!ret && out->json) {
		json_t *doc = json_pack("{s:o,s:o,s:o,s:o,s:o}", "cycles",
					objects_json(found->py, &leaks.cycles), "lost",
					objects_json(found->py, &leaks.lost), "through",
					throughs_json(&throughs), "blocks", blocks_json(&leaks),
					"uncollectable", mw_json_u64(leaks.uncollectable));

		ret = mw_out__image_json(out, image, doc, err);
	} else if (!ret) {
		leaks_text(out, found, &leaks, &throughs);
		if (!mw_image__is_still(image))
			fprintf(out->file,
				"The process ran on while it was read: what moved meanwhile "
				"may be among these. With --stop it is not.\n");
		mw_out__image_text(out, image);
	}
	mw_leaks__free(&leaks);
	return ret;
}
