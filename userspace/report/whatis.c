// SPDX-License-Identifier: GPL-2.0-or-later
#include <inttypes.h>
#include <string.h>

#include "report/json.h"
#include "report/whatis.h"
#include "util/text.h"

static const char *const states[] = {
	[MW_STATE_LIVE] = "live", [MW_STATE_FREE] = "free", [MW_STATE_OVERHEAD] = "overhead"};

static const char *region_name(const struct mw_region *r, char *buf, size_t size)
{
	return mw_text_clean(buf, size, r->map.path, strlen(r->map.path));
}

static json_t *python_json(const struct mw_py_object *o)
{
	json_t *doc = json_pack("{s:s}", "what", mw_python_what_name(o->what)), *list;
	char name[160];

	if (o->type) {
		mw_python_type_name(o->type, name, sizeof(name));
		json_object_set_new(doc, "type", json_string(name));
	}
	if (o->block)
		json_object_set_new(doc, "block", mw_json_addr(o->block));
	if (o->block_size)
		json_object_set_new(doc, "block_bytes", mw_json_u64(o->block_size));
	if (o->pool)
		json_object_set_new(doc, "pool", mw_json_addr(o->pool->addr));
	if (o->arena)
		json_object_set_new(doc, "arena", mw_json_addr(o->arena->addr));
	if (o->owner)
		json_object_set_new(doc, "owner", mw_json_addr(o->owner));
	if (!o->addr)
		return doc;
	json_object_set_new(doc, "object", mw_json_addr(o->addr));
	if (o->what == MW_PY_WHAT_PARKED)
		return doc;
	list = json_array();
	for (size_t i = 0; i < o->referent_count; i++)
		json_array_append_new(list, mw_json_addr(o->referents[i]));
	json_object_update_new(
		doc, json_pack("{s:o,s:o,s:b,s:o,s:s,s:o}", "refcount", mw_json_u64(o->refcount),
			       "size", mw_json_u64(o->size), "tracked", o->tracked, "generation",
			       o->generation < 0 ? json_null() : json_integer(o->generation),
			       "repr", o->repr, "referents", list));
	return doc;
}

json_t *mw_whatis_json(const struct mw_whatis *what)
{
	const struct mw_region *r = what->region;
	const struct mw_block *block = &what->block;
	char text[96], path[256];
	json_t *doc = json_object();

	snprintf(text, sizeof(text), "0x%" PRIx64, what->addr);
	json_object_set_new(doc, "address", json_string(text));
	if (r) {
		snprintf(text, sizeof(text), "0x%" PRIx64 "-0x%" PRIx64, r->map.start, r->map.end);
		json_object_set_new(doc, "region",
				    json_pack("{s:s,s:s,s:I,s:b,s:b,s:b}", "range", text, "name",
					      region_name(r, path, sizeof(path)), "resident_bytes",
					      (json_int_t)r->resident, "readable", r->map.readable,
					      "writable", r->map.writable, "executable",
					      r->map.executable));
	}
	if (what->has_block) {
		snprintf(text, sizeof(text), "0x%" PRIx64, block->start);
		json_object_set_new(doc, "block",
				    json_pack("{s:s,s:I,s:s,s:I}", "start", text, "size",
					      (json_int_t)block->size, "state",
					      states[mw_block_state(block)], "offset",
					      (json_int_t)(what->addr - block->start)));
	}
	if (what->arena) {
		snprintf(text, sizeof(text), "0x%" PRIx64, what->arena->addr);
		json_object_set_new(doc, "arena",
				    json_pack("{s:s,s:s}", "kind",
					      mw_arena_kind_name(what->arena->kind), "address",
					      text));
	}
	if (what->has_symbol)
		json_object_set_new(doc, "symbol",
				    json_pack("{s:s,s:o}", "name", what->symbol.name, "offset",
					      mw_json_u64(what->symbol.offset)));
	if (what->has_python)
		json_object_set_new(doc, "python", python_json(&what->python));
	json_object_set_new(doc, "owner", json_string(what->owner));
	return doc;
}

static void python_text(FILE *out, const struct mw_py_object *o, uint64_t addr)
{
	char name[160] = "";

	if (o->type)
		mw_python_type_name(o->type, name, sizeof(name));
	if (o->addr && o->what != MW_PY_WHAT_PARKED) {
		fprintf(out,
			"  object   0x%" PRIx64 ", %s, %" PRIu64 " bytes, %" PRIu64 " reference%s",
			o->addr, name, o->size, o->refcount, o->refcount == 1 ? "" : "s");
		if (addr != o->addr)
			fprintf(out, "; the address is %" PRId64 " bytes from it",
				(int64_t)(addr - o->addr));
		fprintf(out, "\n  repr     %s\n", o->repr);
		if (o->generation >= 0)
			fprintf(out, "  gc       tracked, generation %d\n", o->generation);
		else
			fprintf(out, "  gc       %s\n", o->tracked ? "tracked" : "not tracked");
		for (size_t i = 0; i < o->referent_count; i++)
			fprintf(out, "%s 0x%" PRIx64 "%s", i ? "" : "  refers  ", o->referents[i],
				i + 1 == o->referent_count ? "\n"
				: i % 4 == 3		   ? "\n          "
							   : "");
		if (o->referent_count == MW_PY_REFERENTS)
			fprintf(out, "           and more: `memwhere refs` lists them\n");
	} else if (o->what == MW_PY_WHAT_PARKED) {
		fprintf(out, "  parked   a dead %s, kept for the next one\n", name);
	} else if (o->what == MW_PY_WHAT_BUFFER) {
		fprintf(out, "  buffer   of a %s", name);
		if (o->owner)
			fprintf(out, " at 0x%" PRIx64, o->owner);
		fputc('\n', out);
	}
	if (o->pool && o->block)
		fprintf(out, "  block    0x%" PRIx64 ", %" PRIu64 " bytes, %s\n", o->block,
			o->block_size, o->what == MW_PY_WHAT_FREE ? "free" : "in use");
	if (o->pool)
		fprintf(out, "  pool     0x%" PRIx64 ", %" PRIu32 " blocks in use\n", o->pool->addr,
			o->pool->used);
	if (o->arena)
		fprintf(out, "  arena    0x%" PRIx64 ", %" PRIu64 " blocks in use\n",
			o->arena->addr, o->arena->used_blocks);
}

void mw_whatis_text(FILE *out, const struct mw_whatis *what)
{
	const struct mw_block *block = &what->block;
	char path[256];

	fprintf(out, "0x%" PRIx64 ": %s\n", what->addr, what->owner);
	if (what->has_symbol)
		fprintf(out, "  symbol   %s+%" PRIu64 "\n", what->symbol.name, what->symbol.offset);
	if (what->has_python)
		python_text(out, &what->python, what->addr);
	if (what->has_block)
		fprintf(out,
			"  chunk    0x%" PRIx64 ", %" PRIu64 " bytes, %s; the address is %" PRIu64
			" bytes into it\n",
			block->start, block->size, states[mw_block_state(block)],
			what->addr - block->start);
	if (what->arena)
		fprintf(out, "  arena    %s, at 0x%" PRIx64 "\n",
			mw_arena_kind_name(what->arena->kind), what->arena->addr);
	if (what->region)
		fprintf(out, "  region   0x%" PRIx64 "-0x%" PRIx64 " %s\n", what->region->map.start,
			what->region->map.end, region_name(what->region, path, sizeof(path)));
}
