// SPDX-License-Identifier: GPL-2.0-or-later
#include <inttypes.h>
#include <string.h>

#include "report/whatis.h"
#include "util/text.h"

static const char *const states[] = {"live", "free", "overhead"};

static const char *region_name(const struct mw_region *r, char *buf, size_t size)
{
	return mw_text_clean(buf, size, r->map.path, strlen(r->map.path));
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
					      states[block->state], "offset",
					      (json_int_t)(what->addr - block->start)));
	}
	if (what->arena) {
		snprintf(text, sizeof(text), "0x%" PRIx64, what->arena->addr);
		json_object_set_new(doc, "arena",
				    json_pack("{s:s,s:s}", "kind",
					      what->arena->main ? "main" : "thread", "address",
					      text));
	}
	json_object_set_new(doc, "owner", json_string(what->owner));
	return doc;
}

void mw_whatis_text(FILE *out, const struct mw_whatis *what)
{
	const struct mw_block *block = &what->block;
	char path[256];

	fprintf(out, "0x%" PRIx64 ": %s\n", what->addr, what->owner);
	if (what->has_block)
		fprintf(out,
			"  chunk    0x%" PRIx64 ", %" PRIu64 " bytes, %s; the address is %" PRIu64
			" bytes into it\n",
			block->start, block->size, states[block->state], what->addr - block->start);
	if (what->arena)
		fprintf(out, "  arena    %s, at 0x%" PRIx64 "\n",
			what->arena->main ? "main" : "thread", what->arena->addr);
	if (what->region)
		fprintf(out, "  region   0x%" PRIx64 "-0x%" PRIx64 " %s\n", what->region->map.start,
			what->region->map.end, region_name(what->region, path, sizeof(path)));
}
