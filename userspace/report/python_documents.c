// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <string.h>

#include "report/json.h"
#include "report/python_documents.h"
#include "util/units.h"

enum { OBJECTS_SHOWN = 100 };

static const char *const pool_states[] = {
	[MW_PY_POOL_USED] = "used",
	[MW_PY_POOL_FULL] = "full",
	[MW_PY_POOL_FREE] = "free",
	[MW_PY_POOL_UNUSED] = "unused",
};

static json_t *pool_json(const struct mw_py_arena *arena, const struct mw_py_pool *pool)
{
	return json_pack("{s:o,s:s,s:I,s:I,s:I,s:o}", "pool", mw_json_addr(pool->addr), "state",
			 pool_states[pool->state], "size", (json_int_t)pool->block_size, "used",
			 (json_int_t)pool->used, "free", (json_int_t)(pool->capacity - pool->used),
			 "arena", mw_json_addr(arena->addr));
}

static void pool_text(FILE *out, const struct mw_py_arena *arena, const struct mw_py_pool *pool)
{
	fprintf(out,
		"0x%-16" PRIx64 " %6" PRIu64 " %-7s %6" PRIu32 " %6" PRIu32 "  0x%" PRIx64 "\n",
		pool->addr, pool->block_size, pool_states[pool->state], pool->used,
		pool->capacity - pool->used, arena->addr);
}

MW_DOCUMENT_WRITER(mw_write_pools)
{
	const struct mw_py_info *info = mw_python__info(found->py);
	json_t *list = out->json ? json_array() : NULL;

	if (!out->json)
		fprintf(out->file, "%-18s %6s %-7s %6s %6s  %s\n", "pool", "block", "state", "used",
			"free", "arena");
	for (size_t i = 0; i < info->arena_count; i++) {
		const struct mw_py_arena *arena = &info->arenas[i];

		for (uint32_t k = 0; k < arena->pool_count; k++) {
			const struct mw_py_pool *pool = &info->pools[arena->first_pool + k];

			if (request->size_class && pool->block_size != request->size_class)
				continue;
			if (out->json)
				json_array_append_new(list, pool_json(arena, pool));
			else
				pool_text(out->file, arena, pool);
		}
	}
	if (out->json)
		return mw_out__json(out, list, err);
	mw_out__image_text(out, found->survey->image);
	return 0;
}

/* State of a walk over blocks. */
struct visit {
	FILE *out;
	struct mw_python *py;
	const char *wanted; /* a type's name, or NULL */
	json_t *list;
	uint64_t count, bytes;
	uint64_t shown; /* of the objects, at most; in text */
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
		return 0;
	}
	if (b->type)
		mw_python_type_name(b->type, name, sizeof(name));
	if (b->what == MW_PY_WHAT_OBJECT)
		mw_python__repr(v->py, b->object, repr, sizeof(repr));
	fprintf(v->out, "0x%-16" PRIx64 " %-8s %-24s %s\n", b->start, mw_python_what_name(b->what),
		name, repr);
	return ferror(v->out);
}

MW_DOCUMENT_WRITER(mw_write_blocks)
{
	struct visit v = {.out = out->file, .py = found->py};
	const struct mw_py_pool *pool = mw_python__pool(v.py, request->address);
	const char *name = mw_image__name(found->survey->image);

	if (!pool)
		return mw_err_set(err, -ENOENT, "no-pool", name,
				  "0x%" PRIx64 " is in no pool of Python's", request->address);
	if (pool->state > MW_PY_POOL_FULL)
		return mw_err_set(err, -ENOENT, "no-blocks", name,
				  "the pool at 0x%" PRIx64 " is %s: it has no blocks", pool->addr,
				  pool_states[pool->state]);
	v.list = out->json ? json_array() : NULL;
	mw_python__each_block(v.py, pool, see_block, &v);
	return out->json ? mw_out__json(out, v.list, err) : 0;
}

MW_DOCUMENT_WRITER(mw_write_freelists)
{
	const struct mw_py_census *census = &found->census;
	json_t *list = out->json ? json_array() : NULL;
	char name[160];

	(void)request;
	if (!out->json)
		fprintf(out->file, "%8s  %s\n", "parked", "type");
	for (size_t i = 0; i < census->type_count; i++) {
		const struct mw_py_type *t = &census->types[i];

		if (!t->parked)
			continue;
		mw_python_type_name(t, name, sizeof(name));
		if (out->json)
			json_array_append_new(list, json_pack("{s:s,s:o}", "type", name, "parked",
							      mw_json_u64(t->parked)));
		else
			fprintf(out->file, "%8" PRIu64 "  %s\n", t->parked, name);
	}
	if (out->json)
		return mw_out__json(out, list, err);
	fprintf(out->file,
		"%8" PRIu64 "  sum; dead objects that are kept for the next of their type\n",
		census->parked);
	mw_out__image_text(out, found->survey->image);
	return 0;
}

static bool is_called(const struct mw_py_type *type, const char *wanted)
{
	char name[160];

	if (!strcmp(type->name, wanted))
		return true;
	mw_python_type_name(type, name, sizeof(name));
	if (!strcmp(name, wanted))
		return true;
	snprintf(name, sizeof(name), "%s.%s", type->module, type->name);
	return !strcmp(name, wanted);
}

static int see_object(void *arg, const struct mw_py_block *b)
{
	struct visit *v = arg;
	char repr[160];

	if (b->what != MW_PY_WHAT_OBJECT || !is_called(b->type, v->wanted))
		return 0;
	v->count++;
	v->bytes += b->size;
	if (v->list) {
		json_array_append_new(v->list,
				      json_pack("{s:o,s:o}", "object", mw_json_addr(b->object),
						"block_bytes", mw_json_u64(b->size)));
		return 0;
	}
	if (v->count > v->shown)
		return 0;
	mw_python__repr(v->py, b->object, repr, sizeof(repr));
	fprintf(v->out, "0x%-16" PRIx64 " %s\n", b->object, repr);
	return ferror(v->out);
}

MW_DOCUMENT_WRITER(mw_write_objects)
{
	struct mw_image *image = found->survey->image;
	struct visit v = {.out = out->file,
			  .py = found->py,
			  .wanted = request->type,
			  .shown = request->all ? UINT64_MAX : OBJECTS_SHOWN};
	char size[MW_UNIT_BUF];

	v.list = out->json ? json_array() : NULL;
	mw_python__each_block(v.py, NULL, see_object, &v);
	if (!v.count) {
		json_decref(v.list);
		return mw_err_set(err, -ENOENT, "no-objects", mw_image__name(image),
				  "no live objects of a type called '%.60s'", v.wanted);
	}
	if (out->json)
		return mw_out__json(out, v.list, err);
	if (v.count > v.shown)
		fprintf(v.out, "(%" PRIu64 " more, --all lists them)\n", v.count - v.shown);
	fprintf(v.out, "%" PRIu64 " object%s in blocks of %s\n", v.count, v.count == 1 ? "" : "s",
		mw_format_size(size, v.bytes));
	mw_out__image_text(out, image);
	return 0;
}

/* TEXT, which is UTF-8 without control characters, as a string of JSON. */
static void put_string(FILE *out, const char *text)
{
	fputc('"', out);
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			fputc('\\', out);
		fputc(*text, out);
	}
	fputc('"', out);
}

/* The same line as of block_json(), of which there may be a hundred million. */
static int dump_block(void *arg, const struct mw_py_block *b)
{
	struct visit *v = arg;
	char name[160];

	fprintf(v->out, "{\"block\":\"0x%" PRIx64 "\",\"size\":%" PRIu64 ",\"what\":\"%s\"",
		b->start, b->size, mw_python_what_name(b->what));
	if (b->type) {
		mw_python_type_name(b->type, name, sizeof(name));
		fputs(",\"type\":", v->out);
		put_string(v->out, name);
	}
	if (b->object)
		fprintf(v->out, ",\"object\":\"0x%" PRIx64 "\"", b->object);
	return fputs("}\n", v->out) == EOF;
}

static json_t *arena_json(const struct mw_py_arena *arena)
{
	return json_pack("{s:o,s:o,s:o,s:o}", "arena", mw_json_addr(arena->addr), "bytes",
			 mw_json_u64(arena->size), "used_blocks", mw_json_u64(arena->used_blocks),
			 "pools", mw_json_u64(arena->pool_count));
}

MW_DOCUMENT_WRITER(mw_write_dump)
{
	struct visit v = {.out = out->file, .py = found->py};
	const struct mw_py_info *info = mw_python__info(v.py);
	int ret = 0;

	(void)request;
	for (size_t i = 0; i < info->arena_count && !ret; i++) {
		const struct mw_py_arena *arena = &info->arenas[i];

		ret = mw_out__json(out, arena_json(arena), err);
		for (uint32_t k = 0; k < arena->pool_count && !ret; k++) {
			const struct mw_py_pool *pool = &info->pools[arena->first_pool + k];

			ret = mw_out__json(out, pool_json(arena, pool), err);
			if (!ret && mw_python__each_block(v.py, pool, dump_block, &v))
				ret = mw_err_set(err, -EIO, "unwritable", NULL,
						 "could not write all of the output");
		}
	}
	return ret;
}

MW_DOCUMENT_WRITER(mw_write_pool_of)
{
	const struct mw_py_pool *pool = mw_python__pool(found->py, request->address);

	(void)err;
	fprintf(out->file, "0x%" PRIx64, pool ? pool->addr : 0);
	return 0;
}

MW_DOCUMENT_WRITER(mw_write_arena_of)
{
	const struct mw_py_arena *arena = mw_python__arena(found->py, request->address);

	(void)err;
	fprintf(out->file, "0x%" PRIx64, arena ? arena->addr : 0);
	return 0;
}

MW_DOCUMENT_WRITER(mw_write_type_of)
{
	struct mw_py_type type;
	char name[160];

	if (mw_python__type_of(found->py, request->address, &type))
		return mw_err_set(err, -ENOENT, "no-object", mw_image__name(found->survey->image),
				  "there is no Python object at 0x%" PRIx64, request->address);
	mw_python_type_name(&type, name, sizeof(name));
	fputs(name, out->file);
	return 0;
}
