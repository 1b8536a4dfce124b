// SPDX-License-Identifier: GPL-2.0-or-later
/* `whatis`: what an address is, from its region down to its chunk. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/heap.h"
#include "ledger/ledger.h"
#include "util/text.h"
#include "util/units.h"

enum { BATCH = 512 };

static bool find_block(struct mw_blocks *blocks, uint64_t addr, struct mw_block *found)
{
	struct mw_block batch[BATCH];
	bool hit = false;
	size_t n;

	while (blocks && !hit && (n = blocks->fill(blocks, batch, BATCH))) {
		for (size_t i = 0; i < n && !hit; i++) {
			if (addr - batch[i].start < batch[i].size && addr >= batch[i].start) {
				*found = batch[i];
				hit = true;
			}
		}
		if (batch[n - 1].start > addr)
			break;
	}
	return hit;
}

static json_t *describe(struct mw_cmd_heap *heap, uint64_t addr)
{
	static const char *const states[] = {"live", "free", "overhead"};
	const struct mw_region *r = mw_image__find(heap->image, addr);
	struct mw_blocks *claims = mw_ledger_claims(heap->image), *blocks = NULL;
	struct mw_block claim, block;
	char text[96], path[256], owner[80];
	json_t *doc = json_object();

	snprintf(text, sizeof(text), "0x%" PRIx64, addr);
	json_object_set_new(doc, "address", json_string(text));
	if (!r) {
		json_object_set_new(doc, "owner", json_string("unmapped"));
		mw_blocks__close(claims);
		return doc;
	}
	mw_ledger_region_owner(r, owner, sizeof(owner));
	mw_text_clean(path, sizeof(path), r->map.path, strlen(r->map.path));
	snprintf(text, sizeof(text), "0x%" PRIx64 "-0x%" PRIx64, r->map.start, r->map.end);
	json_object_set_new(doc, "region",
			    json_pack("{s:s,s:s,s:I,s:b,s:b,s:b}", "range", text, "name", path,
				      "resident_bytes", (json_int_t)r->resident, "readable",
				      r->map.readable, "writable", r->map.writable, "executable",
				      r->map.executable));
	if (find_block(claims, addr, &claim))
		snprintf(owner, sizeof(owner), "%s", claim.owner);
	if (heap->pt)
		blocks = mw_ptmalloc__blocks_at(heap->pt, addr);
	if (find_block(blocks, addr, &block)) {
		snprintf(owner, sizeof(owner), "%s", block.owner);
		snprintf(text, sizeof(text), "0x%" PRIx64, block.start);
		json_object_set_new(doc, "block",
				    json_pack("{s:s,s:I,s:s,s:I}", "start", text, "size",
					      (json_int_t)block.size, "state", states[block.state],
					      "offset", (json_int_t)(addr - block.start)));
		if (block.arena != MW_BLOCK_NO_ARENA) {
			const struct mw_ptmalloc_arena *a =
				&mw_ptmalloc__info(heap->pt)->arenas[block.arena];

			snprintf(text, sizeof(text), "0x%" PRIx64, a->addr);
			json_object_set_new(doc, "arena",
					    json_pack("{s:s,s:s}", "kind",
						      a->main ? "main" : "thread", "address",
						      text));
		}
	}
	json_object_set_new(doc, "owner", json_string(owner));
	mw_blocks__close(blocks);
	mw_blocks__close(claims);
	return doc;
}

static const char *text_of(json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

static void print(FILE *out, json_t *doc)
{
	json_t *block = json_object_get(doc, "block"), *arena = json_object_get(doc, "arena");
	json_t *region = json_object_get(doc, "region");

	fprintf(out, "%s: %s\n", text_of(doc, "address"), text_of(doc, "owner"));
	if (block)
		fprintf(out,
			"  chunk    %s, %" JSON_INTEGER_FORMAT
			" bytes, %s; the address is %" JSON_INTEGER_FORMAT " bytes into it\n",
			text_of(block, "start"), json_integer_value(json_object_get(block, "size")),
			text_of(block, "state"),
			json_integer_value(json_object_get(block, "offset")));
	if (arena)
		fprintf(out, "  arena    %s, at %s\n", text_of(arena, "kind"),
			text_of(arena, "address"));
	if (region)
		fprintf(out, "  region   %s %s\n", text_of(region, "range"),
			text_of(region, "name"));
}

static int parse_address(const char *text, uint64_t *addr)
{
	char *end;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	*addr = strtoull(text, &end, 0);
	return *end || errno ? -EINVAL : 0;
}

static int show(struct mw_cmd_heap *heap, const uint64_t *addrs, size_t count, struct mw_err *err)
{
	const struct mw_options *opt = heap->opt;
	FILE *out = mw_cmd_output_open(opt, err);

	if (!out)
		return err->code;
	for (size_t i = 0; i < count; i++) {
		json_t *doc = describe(heap, addrs[i]);

		if (opt->json) {
			json_dumpf(doc, out, JSON_COMPACT);
			fputc('\n', out);
		} else {
			print(out, doc);
		}
		json_decref(doc);
	}
	return mw_cmd_output_close(opt, out, err);
}

int mw_cmd_whatis(const struct mw_options *opt)
{
	struct mw_cmd_heap heap = {0};
	struct mw_err err = {0};
	uint64_t *addrs;
	int ret;

	mw_cmd_log_to_stderr(opt);
	if (opt->argc < 2) {
		mw_err_set(&err, -EINVAL, "usage", "whatis",
			   "give a PID, process name or core, and an address");
		return mw_cmd_fail(opt, MW_EXIT_USAGE, &err);
	}
	addrs = calloc((size_t)opt->argc, sizeof(*addrs));
	for (int i = 1; addrs && i < opt->argc; i++) {
		if (parse_address(opt->argv[i], &addrs[i - 1])) {
			mw_err_set(&err, -EINVAL, "usage", "whatis",
				   "'%.40s' is not an address, such as 0x7f12345678", opt->argv[i]);
			free(addrs);
			return mw_cmd_fail(opt, MW_EXIT_USAGE, &err);
		}
	}
	ret = addrs ? mw_cmd_heap__open(&heap, opt, &err)
		    : mw_err_set(&err, -ENOMEM, "no-memory", NULL, "out of memory");
	if (!ret && addrs) {
		ret = show(&heap, addrs, (size_t)opt->argc - 1, &err);
		mw_cmd_heap__close(&heap);
	}
	free(addrs);
	return ret ? mw_cmd_fail(opt, MW_EXIT_FAILURE, &err) : MW_EXIT_OK;
}
