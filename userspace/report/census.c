// SPDX-License-Identifier: GPL-2.0-or-later
#include "report/arenas.h"
#include "report/census.h"
#include "report/json.h"
#include "report/problems.h"
#include "util/bar.h"
#include "util/units.h"

enum { BAR = 16, SHOWN = 40 };

static json_t *type_json(const struct mw_py_type *t)
{
	return json_pack("{s:s,s:s,s:s,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "type", t->name, "module",
			 t->module, "qualname", t->qualname[0] ? t->qualname : t->name, "count",
			 mw_json_u64(t->count), "bytes", mw_json_u64(t->bytes), "buffer_bytes",
			 mw_json_u64(t->buffer_bytes), "held_bytes", mw_json_u64(t->held_bytes),
			 "parked", mw_json_u64(t->parked), "tracked", mw_json_u64(t->tracked),
			 "frozen", mw_json_u64(t->frozen), "address", mw_json_addr(t->addr));
}

static json_t *generations_json(const struct mw_py_census *census)
{
	json_t *list = census->has_generations ? json_array() : json_null();

	for (int i = 0; census->has_generations && i < 3; i++)
		json_array_append_new(list, mw_json_u64(census->generations[i]));
	return list;
}

/* Where it is known which list gc.garbage is: not of 2.7 and 3.6, nor without the interpreter. */
static json_t *garbage_json(const struct mw_py_info *info, const struct mw_py_census *census)
{
	bool known = info->layout && info->layout->gc_garbage >= 0 && info->interpreter_count;

	return known ? mw_json_u64(census->garbage) : json_null();
}

json_t *mw_census_json(const struct mw_py_info *info, const struct mw_py_census *census,
		       const char *target)
{
	json_t *types = json_array(), *doc;

	for (size_t i = 0; i < census->type_count; i++)
		json_array_append_new(types, type_json(&census->types[i]));
	doc = json_pack(
		"{s:s,s:s,s:b,s:s,s:o,s:o,s:o,s:o,s:o,s:o,s:{s:o,s:o,s:o,s:o},s:{s:o,s:o},s:o,s:{s:o,s:o},"
		"s:o}",
		"target", target, "python", info->version, "finalized", info->finalized,
		"allocator", info->allocator, "types", types, "objects",
		mw_json_u64(census->objects), "bytes", mw_json_u64(census->bytes), "buffer_bytes",
		mw_json_u64(census->buffer_bytes), "held_bytes", mw_json_u64(census->held_bytes),
		"parked", mw_json_u64(census->parked), "gc", "tracked",
		mw_json_u64(census->tracked), "frozen", mw_json_u64(census->frozen), "generations",
		generations_json(census), "garbage", garbage_json(info, census), "interned",
		"count", mw_json_u64(census->interned), "bytes",
		mw_json_u64(census->interned_bytes), "immortal", mw_json_u64(census->immortal),
		"other", "blocks", mw_json_u64(census->other_blocks), "bytes",
		mw_json_u64(census->other_bytes), "evidence", mw_python_evidence_json(info));
	mw_problems_add_json(doc, info->problems);
	return doc;
}

static void row(const struct mw_out *out, const char *name, uint64_t count, uint64_t bytes,
		uint64_t parked, double share)
{
	char a[MW_UNIT_BUF], b[MW_UNIT_BUF], c[MW_UNIT_BUF], bar[MW_BAR_BUF];

	fprintf(out->file, "%11s %9s %8s  %-36s %s\n", mw_format_size(a, bytes),
		mw_format_count(b, count), parked ? mw_format_count(c, parked) : "", name,
		mw_bar(bar, share, BAR, out->utf8));
}

/* The types that hold most of malloc's chunks. */
static void held_text(const struct mw_out *out, const struct mw_py_census *census)
{
	enum { HOLDERS = 3 };
	uint64_t below = UINT64_MAX;
	char a[MW_UNIT_BUF], name[160];

	fprintf(out->file, "held in malloc's chunks besides, by what pointers tell: %s",
		mw_format_size(a, census->held_bytes));
	for (int i = 0; i < HOLDERS; i++) {
		const struct mw_py_type *best = NULL;

		for (size_t k = 0; k < census->type_count; k++) {
			const struct mw_py_type *t = &census->types[k];

			if (t->held_bytes < below && (!best || t->held_bytes > best->held_bytes))
				best = t;
		}
		if (!best || !best->held_bytes)
			break;
		below = best->held_bytes;
		mw_python_type_name(best, name, sizeof(name));
		fprintf(out->file, "%s %s %s", i ? "," : ":", name,
			mw_format_size(a, best->held_bytes));
	}
	fprintf(out->file, "\n");
}

void mw_census_text(const struct mw_out *out, const struct mw_py_info *info,
		    const struct mw_py_census *census, const char *target)
{
	uint64_t rest_count = 0, rest_bytes = 0, rest_parked = 0, rest_types = 0;
	double most =
		census->type_count && census->types[0].bytes ? (double)census->types[0].bytes : 1;
	char name[160], a[MW_UNIT_BUF], b[MW_UNIT_BUF];

	mw_python_title_text(out, info, target);
	fprintf(out->file, "%s%11s %9s %8s  %s%s\n", out->color ? "\033[1m" : "", "bytes",
		"objects", "parked", "type", out->color ? "\033[0m" : "");
	for (size_t i = 0; i < census->type_count; i++) {
		const struct mw_py_type *t = &census->types[i];

		if (i >= SHOWN && !out->verbose) {
			rest_types++;
			rest_count += t->count;
			rest_bytes += t->bytes;
			rest_parked += t->parked;
			continue;
		}
		mw_python_type_name(t, name, sizeof(name));
		row(out, name, t->count, t->bytes, t->parked, (double)t->bytes / most);
	}
	if (rest_types) {
		snprintf(name, sizeof(name), "(%" PRIu64 " more types, -v lists them)", rest_types);
		row(out, name, rest_count, rest_bytes, rest_parked, 0);
	}
	row(out, "sum", census->objects, census->bytes, census->parked, 0);
	fprintf(out->file, "\nbytes are sys.getsizeof()'s\n");
	fprintf(out->file, "tracked by the collector: %s objects",
		mw_format_count(a, census->tracked));
	if (census->has_generations)
		fprintf(out->file, ", by generation %" PRIu64 ", %" PRIu64 ", %" PRIu64,
			census->generations[0], census->generations[1], census->generations[2]);
	if (census->frozen)
		fprintf(out->file, "; frozen: %s", mw_format_count(a, census->frozen));
	fprintf(out->file, "\n");
	if (census->garbage)
		fprintf(out->file, "in gc.garbage: %" PRIu64 " objects\n", census->garbage);
	if (census->interned)
		fprintf(out->file, "interned strings: %s, %s\n",
			mw_format_count(a, census->interned),
			mw_format_size(b, census->interned_bytes));
	if (census->parked)
		fprintf(out->file, "parked: dead objects that free lists keep for reuse\n");
	if (census->held_bytes)
		held_text(out, census);
	if (census->other_blocks)
		fprintf(out->file,
			"%s more blocks of the pools, %s, are in use for something else\n",
			mw_format_count(a, census->other_blocks),
			mw_format_size(b, census->other_bytes));
	mw_python_problems_text(out, info);
}
