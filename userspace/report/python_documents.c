// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <string.h>

#include "report/python_documents.h"
#include "report/json.h"
#include "util/units.h"

static const char *const pool_states[] = {
	[MW_PY_POOL_USED] = "used",
	[MW_PY_POOL_FULL] = "full",
	[MW_PY_POOL_FREE] = "free",
	[MW_PY_POOL_UNUSED] = "unused",
};

/* The interpreter with all its blocks labelled, or NULL with ERR set. */
static struct mw_python *labelled(struct mw_survey *survey, struct mw_err *err)
{
	struct mw_py_census census;

	return mw_survey__census(survey, &census, err) ? NULL : survey->py;
}

static json_t *pool_json(const struct mw_py_arena *arena, const struct mw_py_pool *pool)
{
	return json_pack("{s:o,s:s,s:I,s:I,s:I,s:o}", "pool", mw_json_addr(pool->addr), "state",
			 pool_states[pool->state], "size", (json_int_t)pool->block_size, "used",
			 (json_int_t)pool->used, "free", (json_int_t)(pool->capacity - pool->used),
			 "arena", mw_json_addr(arena->addr));
}

int mw_show_pools(FILE *out, struct mw_survey *survey, uint64_t class, const struct mw_show *show,
		  struct mw_err *err)
{
	struct mw_python *py = mw_survey__python(survey, err);
	json_t *list = py && show->json ? json_array() : NULL;
	const struct mw_py_info *info;

	if (!py)
		return err->code;
	info = mw_python__info(py);
	if (!show->json)
		fprintf(out, "%-18s %6s %-7s %6s %6s  %s\n", "pool", "block", "state", "used",
			"free", "arena");
	for (size_t i = 0; i < info->arena_count; i++) {
		const struct mw_py_arena *arena = &info->arenas[i];

		for (uint32_t k = 0; k < arena->pool_count; k++) {
			const struct mw_py_pool *pool = &info->pools[arena->first_pool + k];

			if (class && pool->block_size != class)
				continue;
			if (show->json)
				json_array_append_new(list, pool_json(arena, pool));
			else
				fprintf(out,
					"0x%-16" PRIx64 " %6" PRIu64 " %-7s %6" PRIu32 " %6" PRIu32
					"  0x%" PRIx64 "\n",
					pool->addr, pool->block_size, pool_states[pool->state],
					pool->used, pool->capacity - pool->used, arena->addr);
		}
	}
	if (show->json)
		mw_json_line(out, list);
	return 0;
}

/* What the functions that see blocks one by one know. */
struct visit {
	FILE *out;
	struct mw_python *py;
	const char *wanted; /* a type's name, or NULL */
	json_t *list;
	uint64_t count, bytes;
};

static json_t *block_json(const struct mw_py_block *b)
{
	json_t *doc = json_pack("{s:o,s:o,s:s}", "block", mw_json_addr(b->start), "size",
				mw_json_u64(b->size), "what", mw_python_what_name(b->what));
	char name[160];

	if (b->type) {
		mw_python_type_name(b->type, name, sizeof(name));
		json_object_set_new(doc, "type", json_string(name));
	}
	if (b->object)
		json_object_set_new(doc, "object", mw_json_addr(b->object));
	return doc;
}

static int see_block(void *arg, const struct mw_py_block *b)
{
	struct visit *v = arg;
	char name[160] = "", repr[120] = "";

	if (v->list) {
		json_array_append_new(v->list, block_json(b));
		return ferror(v->out);
	}
	if (b->type)
		mw_python_type_name(b->type, name, sizeof(name));
	if (b->what == MW_PY_WHAT_OBJECT)
		mw_python__repr(v->py, b->object, repr, sizeof(repr));
	fprintf(v->out, "0x%-16" PRIx64 " %-8s %-24s %s\n", b->start, mw_python_what_name(b->what),
		name, repr);
	return ferror(v->out);
}

static void end_of(struct visit *v)
{
	if (v->list)
		mw_json_line(v->out, v->list);
}

int mw_show_blocks(FILE *out, struct mw_survey *survey, uint64_t addr, const struct mw_show *show,
		   struct mw_err *err)
{
	struct visit v = {.out = out, .py = labelled(survey, err)};
	const struct mw_py_pool *pool = v.py ? mw_python__pool(v.py, addr) : NULL;

	if (!v.py)
		return err->code;
	if (!pool)
		return mw_err_set(err, -ENOENT, "no-pool", mw_image__name(survey->image),
				  "0x%" PRIx64 " is in no pool of Python's", addr);
	if (pool->state > MW_PY_POOL_FULL)
		return mw_err_set(err, -ENOENT, "no-blocks", mw_image__name(survey->image),
				  "the pool at 0x%" PRIx64 " is %s: it has no blocks", pool->addr,
				  pool_states[pool->state]);
	v.list = show->json ? json_array() : NULL;
	mw_python__each_block(v.py, pool, see_block, &v);
	end_of(&v);
	return 0;
}

int mw_show_freelists(FILE *out, struct mw_survey *survey, const struct mw_show *show,
		      struct mw_err *err)
{
	struct mw_py_census census;
	json_t *list = show->json ? json_array() : NULL;
	int ret = mw_survey__census(survey, &census, err);
	char name[160];

	if (ret) {
		json_decref(list);
		return ret;
	}
	if (!show->json)
		fprintf(out, "%8s  %s\n", "parked", "type");
	for (size_t i = 0; i < census.type_count; i++) {
		const struct mw_py_type *t = &census.types[i];

		if (!t->parked)
			continue;
		mw_python_type_name(t, name, sizeof(name));
		if (show->json)
			json_array_append_new(list, json_pack("{s:s,s:o}", "type", name, "parked",
							      mw_json_u64(t->parked)));
		else
			fprintf(out, "%8" PRIu64 "  %s\n", t->parked, name);
	}
	if (show->json) {
		mw_json_line(out, list);
	} else {
		fprintf(out,
			"%8" PRIu64
			"  sum; dead objects that are kept for the next of their type\n",
			census.parked);
	}
	return 0;
}

static int see_object(void *arg, const struct mw_py_block *b)
{
	struct visit *v = arg;
	char name[160], repr[160];

	if (b->what != MW_PY_WHAT_OBJECT)
		return 0;
	mw_python_type_name(b->type, name, sizeof(name));
	if (strcmp(name, v->wanted) && strcmp(b->type->name, v->wanted)) {
		snprintf(name, sizeof(name), "%s.%s", b->type->module, b->type->name);
		if (strcmp(name, v->wanted))
			return 0;
	}
	v->count++;
	v->bytes += b->size;
	if (v->list) {
		json_array_append_new(v->list,
				      json_pack("{s:o,s:o}", "object", mw_json_addr(b->object),
						"block_bytes", mw_json_u64(b->size)));
		return ferror(v->out);
	}
	mw_python__repr(v->py, b->object, repr, sizeof(repr));
	fprintf(v->out, "0x%-16" PRIx64 " %s\n", b->object, repr);
	return ferror(v->out);
}

int mw_show_objects(FILE *out, struct mw_survey *survey, const char *name,
		    const struct mw_show *show, struct mw_err *err)
{
	struct visit v = {.out = out, .py = labelled(survey, err), .wanted = name};
	char size[MW_UNIT_BUF];

	if (!v.py)
		return err->code;
	v.list = show->json ? json_array() : NULL;
	mw_python__each_block(v.py, NULL, see_object, &v);
	if (!v.count) {
		json_decref(v.list);
		return mw_err_set(err, -ENOENT, "no-objects", mw_image__name(survey->image),
				  "no live objects of a type called '%.60s'", name);
	}
	if (!show->json)
		fprintf(out, "%" PRIu64 " object%s in blocks of %s\n", v.count,
			v.count == 1 ? "" : "s", mw_format_size(size, v.bytes));
	end_of(&v);
	return 0;
}

static int dump_block(void *arg, const struct mw_py_block *b)
{
	struct visit *v = arg;

	return mw_json_line(v->out, block_json(b)) || ferror(v->out);
}

int mw_show_dump(FILE *out, struct mw_survey *survey, struct mw_err *err)
{
	struct visit v = {.out = out, .py = labelled(survey, err)};
	const struct mw_py_info *info;
	int ret = 0;

	if (!v.py)
		return err->code;
	info = mw_python__info(v.py);
	for (size_t i = 0; i < info->arena_count && !ret; i++) {
		const struct mw_py_arena *arena = &info->arenas[i];

		ret = mw_json_line(out, json_pack("{s:o,s:o,s:o,s:o}", "arena",
						  mw_json_addr(arena->addr), "bytes",
						  mw_json_u64(arena->size), "used_blocks",
						  mw_json_u64(arena->used_blocks), "pools",
						  mw_json_u64(arena->pool_count)));
		for (uint32_t k = 0; k < arena->pool_count && !ret; k++) {
			const struct mw_py_pool *pool = &info->pools[arena->first_pool + k];

			ret = mw_json_line(out, pool_json(arena, pool));
			if (!ret)
				ret = mw_python__each_block(v.py, pool, dump_block, &v);
		}
	}
	return ret ? mw_err_set(err, -EIO, "write", NULL, "could not write") : 0;
}

int mw_show_pool_of(FILE *out, struct mw_survey *survey, uint64_t addr, struct mw_err *err)
{
	struct mw_python *py = mw_survey__python(survey, err);
	const struct mw_py_pool *pool = py ? mw_python__pool(py, addr) : NULL;

	if (!py)
		return err->code;
	fprintf(out, "0x%" PRIx64, pool ? pool->addr : 0);
	return 0;
}

int mw_show_arena_of(FILE *out, struct mw_survey *survey, uint64_t addr, struct mw_err *err)
{
	struct mw_python *py = mw_survey__python(survey, err);
	const struct mw_py_arena *arena = py ? mw_python__arena(py, addr) : NULL;

	if (!py)
		return err->code;
	fprintf(out, "0x%" PRIx64, arena ? arena->addr : 0);
	return 0;
}

int mw_show_type_of(FILE *out, struct mw_survey *survey, uint64_t addr, struct mw_err *err)
{
	struct mw_python *py = mw_survey__python(survey, err);
	struct mw_py_type type;
	char name[160];

	if (!py)
		return err->code;
	if (mw_python__type_of(py, addr, &type))
		return mw_err_set(err, -ENOENT, "no-object", mw_image__name(survey->image),
				  "there is no Python object at 0x%" PRIx64, addr);
	mw_python_type_name(&type, name, sizeof(name));
	fputs(name, out);
	return 0;
}
