// SPDX-License-Identifier: GPL-2.0-or-later
#include <string.h>

#include "report/arenas.h"
#include "report/json.h"
#include "report/problems.h"
#include "util/bar.h"
#include "util/units.h"

enum { BAR = 20, STEPS = 6 };

/* Arenas by the share of them that is used: fragmentation keeps the rest from going back. */
static const struct step {
	unsigned int below; /* percent */
	const char *name;
} steps[STEPS] = {
	{1, "none"},	    {10, "under 10 %"}, {25, "10 to 25 %"},
	{50, "25 to 50 %"}, {75, "50 to 75 %"}, {101, "over 75 %"},
};

struct fullness {
	uint64_t arenas, bytes, used_bytes;
};

/* An arena goes back to the system when its last block is freed; until then all of it stays. */
static void count_fullness(const struct mw_py_info *info, struct fullness out[STEPS])
{
	for (size_t i = 0; i < info->arena_count; i++) {
		const struct mw_py_arena *a = &info->arenas[i];
		unsigned int percent = a->used_blocks ? 1 : 0, k = 0;

		if (a->used_bytes * 100 / a->size > percent)
			percent = (unsigned int)(a->used_bytes * 100 / a->size);
		while (k + 1 < STEPS && percent >= steps[k].below)
			k++;
		out[k].arenas++;
		out[k].bytes += a->size;
		out[k].used_bytes += a->used_bytes;
	}
}

static json_t *classes_json(const struct mw_py_info *info)
{
	json_t *list = json_array();

	for (size_t i = 0; i < MW_PY_CLASSES; i++) {
		const struct mw_py_class *c = &info->classes[i];

		if (c->pools)
			json_array_append_new(list, json_pack("{s:o,s:o,s:o,s:o}", "size",
							      mw_json_u64(c->size), "pools",
							      mw_json_u64(c->pools), "used",
							      mw_json_u64(c->used), "free",
							      mw_json_u64(c->free)));
	}
	return list;
}

static json_t *arena_list_json(const struct mw_py_info *info)
{
	json_t *list = json_array();

	for (size_t i = 0; i < info->arena_count; i++) {
		const struct mw_py_arena *a = &info->arenas[i];

		json_array_append_new(list, json_pack("{s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:I}",
						      "address", mw_json_addr(a->addr), "bytes",
						      mw_json_u64(a->size), "used_pools",
						      mw_json_u64(a->used_pools), "full_pools",
						      mw_json_u64(a->full_pools), "free_pools",
						      mw_json_u64(a->free_pools), "unused_pools",
						      mw_json_u64(a->unused_pools), "used_blocks",
						      mw_json_u64(a->used_blocks), "used_bytes",
						      mw_json_u64(a->used_bytes), "interpreter",
						      (json_int_t)a->interpreter));
	}
	return list;
}

static json_t *interpreters_json(const struct mw_py_info *info)
{
	json_t *list = json_array();

	for (size_t i = 0; i < info->interpreter_count; i++)
		json_array_append_new(
			list, json_pack("{s:I,s:o,s:I}", "id", (json_int_t)info->interpreters[i].id,
					"address", mw_json_addr(info->interpreters[i].addr),
					"threads", (json_int_t)info->interpreters[i].threads));
	return list;
}

json_t *mw_python_evidence_json(const struct mw_py_info *info)
{
	json_t *list = json_array();

	for (size_t i = 0; info->evidence[i]; i++)
		json_array_append_new(list, json_string(info->evidence[i]));
	return list;
}

json_t *mw_arenas_json(const struct mw_py_info *info, const char *target)
{
	bool raw = info->raw_blocks >= 0;
	json_t *doc = json_pack(
		"{s:s,s:s,s:s,s:b,s:b,s:s,s:o,s:o,s:o,s:{s:o,s:o,s:o,s:o},s:o,s:o,s:o,s:o,s:o,s:o,"
		"s:o,s:o,s:o,s:o,s:o}",
		"target", target, "python", info->version, "module", info->module, "free_threaded",
		info->free_threaded, "finalized", info->finalized, "allocator", info->allocator,
		"interpreters", interpreters_json(info), "arenas", mw_json_u64(info->arena_count),
		"arena_bytes", mw_json_u64(info->arena_bytes), "pools", "used",
		mw_json_u64(info->pools_used), "full", mw_json_u64(info->pools_full), "free",
		mw_json_u64(info->pools_free), "unused", mw_json_u64(info->pools_unused),
		"pool_bytes", mw_json_u64(info->pool_size), "alignment",
		mw_json_u64(info->alignment), "used_blocks", mw_json_u64(info->used_blocks),
		"used_bytes", mw_json_u64(info->used_bytes), "free_blocks",
		mw_json_u64(info->free_blocks), "free_bytes", mw_json_u64(info->free_bytes),
		"raw_blocks", raw ? mw_json_u64((uint64_t)info->raw_blocks) : json_null(),
		"allocated_blocks",
		raw ? mw_json_u64(info->used_blocks + (uint64_t)info->raw_blocks) : json_null(),
		"classes", classes_json(info), "arena_list", arena_list_json(info), "evidence",
		mw_python_evidence_json(info));

	mw_problems_add_json(doc, info->problems);
	return doc;
}

void mw_python_problems_text(const struct mw_out *out, const struct mw_py_info *info)
{
	mw_problems_text(out->file, info->problems, out->color);
	for (size_t i = 0; out->verbose && info->evidence[i]; i++)
		fprintf(out->file, "evidence: %s\n", info->evidence[i]);
}

void mw_python_title_text(const struct mw_out *out, const struct mw_py_info *info,
			  const char *target)
{
	fprintf(out->file, "%s: CPython %s%s in %s, %s, %zu interpreter%s%s\n\n", target,
		info->version, info->free_threaded ? " free-threaded" : "", info->module,
		info->allocator, info->interpreter_count, info->interpreter_count == 1 ? "" : "s",
		info->finalized		   ? ": it was finalised, this is what it left"
		: !info->interpreter_count ? ": its state is lost, this is what its heap tells"
					   : "");
}

static void classes_text(const struct mw_out *out, const struct mw_py_info *info)
{
	uint64_t most = 0;

	for (size_t i = 0; i < MW_PY_CLASSES; i++) {
		const struct mw_py_class *c = &info->classes[i];
		uint64_t bytes = (c->used + c->free) * c->size;

		most = bytes > most ? bytes : most;
	}
	fprintf(out->file, "%s%6s %8s %10s %10s %11s %11s%s\n", out->color ? "\033[1m" : "",
		"block", "pools", "used", "free", "used bytes", "free bytes",
		out->color ? "\033[0m" : "");
	for (size_t i = 0; i < MW_PY_CLASSES; i++) {
		const struct mw_py_class *c = &info->classes[i];
		uint64_t used = c->used * c->size, free = c->free * c->size;
		char a[MW_UNIT_BUF], b[MW_UNIT_BUF], bar[MW_BAR_BUF];

		if (!c->pools)
			continue;
		fprintf(out->file, "%6u %8" PRIu64 " %10" PRIu64 " %10" PRIu64 " %11s %11s  %s\n",
			c->size, c->pools, c->used, c->free, mw_format_size(a, used),
			mw_format_size(b, free),
			mw_bar(bar, most ? (double)(used + free) / (double)most : 0, BAR,
			       out->utf8));
	}
}

static void fullness_text(const struct mw_out *out, const struct mw_py_info *info)
{
	struct fullness by_step[STEPS] = {0};
	char a[MW_UNIT_BUF], b[MW_UNIT_BUF];

	count_fullness(info, by_step);
	fprintf(out->file, "\n%s%-12s %8s %11s %11s%s\n", out->color ? "\033[1m" : "",
		"arena's use", "arenas", "bytes", "not used", out->color ? "\033[0m" : "");
	for (size_t i = 0; i < STEPS; i++) {
		if (by_step[i].arenas)
			fprintf(out->file, "%-12s %8" PRIu64 " %11s %11s\n", steps[i].name,
				by_step[i].arenas, mw_format_size(a, by_step[i].bytes),
				mw_format_size(b, by_step[i].bytes - by_step[i].used_bytes));
	}
	fprintf(out->file,
		"An arena goes back to the system only when the last block in it is freed.\n");
}

void mw_arenas_text(const struct mw_out *out, const struct mw_py_info *info, const char *target)
{
	char a[MW_UNIT_BUF], b[MW_UNIT_BUF];

	mw_python_title_text(out, info, target);
	if (!info->arena_count) {
		if (strcmp(info->allocator, "unknown"))
			fprintf(out->file, "no arenas: the objects are in %s's heap\n",
				info->allocator);
		else
			fprintf(out->file, "no arenas: the core lacks them, or there were none\n");
		mw_python_problems_text(out, info);
		return;
	}
	fprintf(out->file, "%s %zu, %s\n", info->pool_size ? "arenas  " : "segments",
		info->arena_count, mw_format_size(a, info->arena_bytes));
	fprintf(out->file,
		"%s    %" PRIu64 " full, %" PRIu64 " partly used, %" PRIu64 " free, %" PRIu64
		" never used",
		info->pool_size ? "pools" : "pages", info->pools_full, info->pools_used,
		info->pools_free, info->pools_unused);
	if (info->pool_size)
		fprintf(out->file, ", of %s", mw_format_size(a, info->pool_size));
	fputc('\n', out->file);
	fprintf(out->file, "blocks   %" PRIu64 " used, %s; %" PRIu64 " free, %s\n",
		info->used_blocks, mw_format_size(a, info->used_bytes), info->free_blocks,
		mw_format_size(b, info->free_bytes));
	if (info->raw_blocks >= 0)
		fprintf(out->file, "outside  %" PRId64 " blocks, of over 512 bytes, are malloc's\n",
			info->raw_blocks);
	fputc('\n', out->file);
	classes_text(out, info);
	fullness_text(out, info);
	mw_python_problems_text(out, info);
}
