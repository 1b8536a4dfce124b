// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "report/json.h"
#include "report/python_documents.h"
#include "util/cleanup.h"
#include "util/units.h"

enum { TOP = 20, SHOWN = 20, TYPES_SHOWN = 10, LISTED = 1000, NAME = 160, VIA = 200 };

/* What the program is made of, as far as it is known. */
static const char *things(const struct mw_findings *found)
{
	return mw_python__info(found->py)->none ? "blocks" : "objects";
}

static uint64_t node_address(const struct mw_py_node *node)
{
	return node->object ? node->object : node->start;
}

static int no_block(struct mw_err *err, const struct mw_findings *found, uint64_t addr)
{
	return mw_err_set(err, -ENOENT, "no-block", mw_image__name(found->survey->image),
			  "0x%" PRIx64 " is in no live block of Python's or of the heap; "
			  "`memwhere whatis` says what it is",
			  addr);
}

/* The way to ADDR in words, NULL when nothing leads there; the caller frees it. */
static char *way_to(const struct mw_findings *found, uint64_t addr)
{
	char *text = malloc(MW_GRAPH_TEXT_MAX);

	if (text && !mw_graph__path(found->graph, addr, text, MW_GRAPH_TEXT_MAX))
		return text;
	free(text);
	return NULL;
}

static json_t *text_or_null(const char *text)
{
	return text ? json_string(text) : json_null();
}

/*
 * ---- refs ---------------------------------------------------------------------------------------
 */

struct listing {
	const struct mw_findings *found;
	uint64_t addr;
	json_t *list;
	FILE *file;
	uint64_t count; /* met; at most LISTED are listed */
};

static void list_one(struct listing *l, uint64_t addr, const char *type, const char *via,
		     const char *word)
{
	l->count++;
	if (l->list && l->count <= LISTED)
		json_array_append_new(l->list, json_pack("{s:o,s:s,s:s}", "address",
							 addr ? mw_json_addr(addr) : json_null(),
							 "type", type, "via", via));
	if (!l->file || l->count > SHOWN)
		return;
	if (addr)
		fprintf(l->file, "  %-9s 0x%" PRIx64 ", %s: %s\n", l->count == 1 ? word : "", addr,
			type, via);
	else
		fprintf(l->file, "  %-9s %s\n", l->count == 1 ? word : "", via);
}

static int see_referrer(void *arg, const struct mw_py_node *from,
			const struct mw_py_referent *referent, const struct mw_graph_root *root)
{
	struct listing *l = arg;
	char name[NAME], via[VIA];

	if (root) {
		mw_graph_root__text(l->found->graph, root, via, sizeof(via));
		list_one(l, 0, "root", via, "held by");
		return 0;
	}
	if (!referent) {
		l->count++;
		return 0;
	}
	mw_graph__via(l->found->graph, from->object, referent, via, sizeof(via));
	list_one(l, node_address(from), mw_graph__name(l->found->graph, from, name, sizeof(name)),
		 via, "held by");
	return 0;
}

static int see_referent(void *arg, const struct mw_py_referent *r)
{
	struct listing *l = arg;
	struct mw_python *py = l->found->py;
	int64_t number = mw_python__number(py, r->addr);
	struct mw_py_type type;
	struct mw_py_node node = {0};
	char name[NAME] = "memory", via[VIA];

	/* Static objects are no blocks. */
	if (number < 0 && mw_python__type_of(py, r->addr, &type))
		return 0;
	if (l->count >= LISTED) {
		l->count++;
		return 0;
	}
	if (number < 0)
		mw_python_type_name(&type, name, sizeof(name));
	else if (mw_python__node(py, (uint32_t)number, &node))
		mw_graph__name(l->found->graph, &node, name, sizeof(name));
	mw_graph__via(l->found->graph, l->addr, r, via, sizeof(via));
	list_one(l, r->addr, name, via, "refers to");
	return 0;
}

static void end_listing(const struct listing *l)
{
	if (l->file && l->count > SHOWN)
		fprintf(l->file, "  %-9s and %" PRIu64 " more\n", "", l->count - SHOWN);
}

static json_t *path_json(const struct mw_findings *found, const struct mw_graph_path *path)
{
	json_t *list = json_array();
	char name[NAME], via[VIA];

	for (size_t i = 0; i < path->count; i++) {
		const struct mw_graph_step *step = &path->steps[i];

		if (i)
			mw_graph__via(found->graph, step[-1].node.object, &step->referent, via,
				      sizeof(via));
		else
			mw_graph_root__text(found->graph, &path->root, via, sizeof(via));
		if (path->skipped && i == path->skipped_at)
			snprintf(via, sizeof(via), "%" PRIu64 " more", path->skipped);
		json_array_append_new(
			list,
			json_pack("{s:o,s:s,s:s}", "address",
				  mw_json_addr(node_address(&step->node)), "type",
				  mw_graph__name(found->graph, &step->node, name, sizeof(name)),
				  "via", via));
	}
	return list;
}

/* What there is to say of the block at ADDR itself, retained bytes included. */
static void block_text(const struct mw_out *out, const struct mw_findings *found,
		       const struct mw_py_node *node, const char *way,
		       const struct mw_retained *retained)
{
	char name[NAME], repr[200] = "", size[MW_UNIT_BUF], count[MW_UNIT_BUF];

	fprintf(out->file, "0x%" PRIx64 ": %s\n", node_address(node),
		mw_graph__name(found->graph, node, name, sizeof(name)));
	if (node->object) {
		mw_python__repr(found->py, node->object, repr, sizeof(repr));
		fprintf(out->file, "  %-9s %s\n", "repr", repr);
	}
	fprintf(out->file, "  %-9s %s\n", "way", way ? way : "nothing leads there");
	fprintf(out->file, "  %-9s %s, %s %s\n", "retains", mw_format_size(size, retained->bytes),
		mw_format_count(count, retained->objects), things(found));
}

static int write_refs(const struct mw_out *out, const struct mw_findings *found, uint64_t addr,
		      const struct mw_py_node *node, struct mw_graph_path *path, struct mw_err *err)
{
	struct listing from = {.found = found}, to = {.found = found, .addr = node->object};
	_cleanup_free_ char *way = way_to(found, addr);
	struct mw_retained retained;

	mw_graph__retained(found->graph, addr, &retained);
	if (out->json) {
		from.list = json_array();
		to.list = json_array();
	} else {
		from.file = to.file = out->file;
		block_text(out, found, node, way, &retained);
	}
	mw_graph__referrers(found->graph, addr, LISTED, see_referrer, &from);
	end_listing(&from);
	mw_python__node_referents(found->py, node, see_referent, &to);
	end_listing(&to);
	if (!out->json)
		return 0;
	return mw_out__json(out,
			    json_pack("{s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "address",
				      mw_json_addr(node_address(node)), "referrers", from.list,
				      "referrer_count", mw_json_u64(from.count), "referents",
				      to.list, "referent_count", mw_json_u64(to.count), "path",
				      path_json(found, path), "path_text", text_or_null(way),
				      "retained_bytes", mw_json_u64(retained.bytes),
				      "retained_count", mw_json_u64(retained.objects)),
			    err);
}

/* The block that holds ADDR, or where an object's head is at; 0 or -ENOENT. */
static int find_node(const struct mw_findings *found, uint64_t *addr, struct mw_py_node *node,
		     struct mw_err *err)
{
	struct mw_py_object object;
	int64_t number = mw_python__number(found->py, *addr);

	/* Any address within an object stands for it. */
	if (number < 0 && !mw_python__object(found->py, *addr, &object) &&
	    object.what == MW_PY_WHAT_OBJECT) {
		*addr = object.addr;
		number = mw_python__number(found->py, *addr);
	}
	if (number < 0 || !mw_python__node(found->py, (uint32_t)number, node))
		return no_block(err, found, *addr);
	return 0;
}

MW_DOCUMENT_WRITER(mw_write_refs)
{
	uint64_t addr = request->address;
	struct mw_graph_path path = {0};
	struct mw_py_node node = {0};
	int ret = find_node(found, &addr, &node, err);

	if (!ret)
		ret = mw_graph__dominate(found->graph, err);
	if (ret)
		return ret;
	ret = mw_graph__find(found->graph, addr, &path);
	if (ret && ret != -ENOENT)
		return mw_err_no_memory(err, mw_image__name(found->survey->image));
	ret = write_refs(out, found, addr, &node, &path, err);
	mw_graph_path__free(&path);
	return ret;
}

MW_DOCUMENT_WRITER(mw_write_path)
{
	uint64_t addr = request->address;
	struct mw_graph_path path = {0};
	_cleanup_free_ char *way = NULL;
	struct mw_py_node node = {0};
	int ret = find_node(found, &addr, &node, err);

	if (ret)
		return ret;
	ret = mw_graph__find(found->graph, addr, &path);
	if (ret && ret != -ENOENT)
		return mw_err_no_memory(err, mw_image__name(found->survey->image));
	way = way_to(found, addr);
	if (!out->json)
		fprintf(out->file, "%s\n", way ? way : "nothing leads there");
	ret = out->json ? mw_out__json(out,
				       json_pack("{s:o,s:o,s:o}", "address",
						 mw_json_addr(node_address(&node)), "path",
						 path_json(found, &path), "path_text",
						 text_or_null(way)),
				       err)
			: 0;
	mw_graph_path__free(&path);
	return ret;
}

/*
 * ---- retained -----------------------------------------------------------------------------------
 */

struct shown {
	json_t *list;
	struct mw_retained total;
};

static void show_top(const struct mw_out *out, const struct mw_findings *found, struct shown *shown,
		     const struct mw_graph_top *top, const char *way)
{
	char name[NAME], size[MW_UNIT_BUF], count[MW_UNIT_BUF];
	uint64_t length;
	bool has_length = mw_python__length(found->py, top->addr, &length);
	struct mw_py_node node = {.type = -1};

	mw_python__node(found->py, (uint32_t)mw_python__number(found->py, top->addr), &node);
	mw_graph__name(found->graph, &node, name, sizeof(name));
	if (out->json) {
		json_array_append_new(
			shown->list,
			json_pack("{s:o,s:s,s:o,s:o,s:o,s:o}", "address", mw_json_addr(top->addr),
				  "type", name, "path_text", text_or_null(way), "length",
				  has_length ? mw_json_u64(length) : json_null(), "retained_bytes",
				  mw_json_u64(top->retained.bytes), "retained_count",
				  mw_json_u64(top->retained.objects)));
		return;
	}
	fprintf(out->file, "  `%.300s`%s, %s", way ? way : "nothing leads there",
		way && strlen(way) > 300 ? "..." : "", name);
	if (has_length)
		fprintf(out->file, " of %s", mw_format_count(count, length));
	fprintf(out->file, ", retains %s, %.0f %%\n", mw_format_size(size, top->retained.bytes),
		shown->total.bytes
			? 100.0 * (double)top->retained.bytes / (double)shown->total.bytes
			: 0);
}

/* The most that REQUEST wants of TOP, whose ways begin with its root, if it names one. */
static void show_tops(const struct mw_out *out, const struct mw_findings *found,
		      const struct mw_request *request, struct shown *shown,
		      const struct mw_graph_top *top, size_t count)
{
	uint64_t most = request->top ? request->top : TOP, n = 0;

	for (size_t i = 0; i < count && n < most; i++) {
		_cleanup_free_ char *way = way_to(found, top[i].addr);

		if (request->root &&
		    (!way || strncmp(way, request->root, strlen(request->root)) != 0))
			continue;
		show_top(out, found, shown, &top[i], way);
		n++;
	}
	if (!n && !out->json && request->root)
		fprintf(out->file, "  nothing that large by a way that begins with %s\n",
			request->root);
	else if (!n && !out->json)
		fprintf(out->file, "  nothing that large\n");
}

static json_t *types_json(const struct mw_findings *found, const struct mw_graph_type *types,
			  size_t count)
{
	json_t *list = json_array();

	for (size_t i = 0; i < count; i++) {
		const char *name, *module;

		mw_graph__type(found->graph, types[i].type, &name, &module);
		json_array_append_new(list, json_pack("{s:s,s:s,s:o,s:o}", "type", name, "module",
						      module, "count", mw_json_u64(types[i].count),
						      "retained_bytes",
						      mw_json_u64(types[i].retained.bytes)));
	}
	return list;
}

static void types_text(const struct mw_out *out, const struct mw_findings *found,
		       const struct mw_graph_type *types, size_t count)
{
	char full[NAME], size[MW_UNIT_BUF], n[MW_UNIT_BUF];
	bool python = !mw_python__info(found->py)->none;
	const char *name, *module;

	if (!count)
		return;
	fprintf(out->file, "%s%11s %9s  %s%s\n", out->color ? "\033[1m" : "", "retained", "objects",
		"type", out->color ? "\033[0m" : "");
	for (size_t i = 0; i < count && (i < TYPES_SHOWN || out->verbose); i++) {
		mw_graph__type(found->graph, types[i].type, &name, &module);
		if (python)
			mw_python_type_name(mw_python__type(found->py, types[i].type), full,
					    sizeof(full));
		fprintf(out->file, "%11s %9s  %s\n", mw_format_size(size, types[i].retained.bytes),
			mw_format_count(n, types[i].count), python ? full : name);
	}
}

/* About the object at ADDR, or about everything, when that is 0. */
static int show_retained(const struct mw_out *out, const struct mw_findings *found,
			 const struct mw_request *request, uint64_t addr,
			 const struct mw_graph_top *top, size_t top_count,
			 const struct mw_graph_type *types, size_t type_count, struct mw_err *err)
{
	struct shown shown = {.list = out->json ? json_array() : NULL};
	_cleanup_free_ char *way = addr ? way_to(found, addr) : NULL;
	struct mw_retained retained = {0};
	struct mw_graph_info info;
	char a[MW_UNIT_BUF], b[MW_UNIT_BUF], c[MW_UNIT_BUF];
	uint64_t objects;
	json_t *doc;

	mw_graph__info(found->graph, &info);
	objects = mw_python__info(found->py)->none ? info.blocks : found->census.objects;
	mw_graph__total(found->graph, &shown.total);
	if (addr)
		mw_graph__retained(found->graph, addr, &retained);
	if (!out->json && addr)
		fprintf(out->file, "0x%" PRIx64 ", `%.300s`, retains %s in %s %s; of that\n", addr,
			way ? way : "nothing leads there", mw_format_size(a, retained.bytes),
			mw_format_count(b, retained.objects), things(found));
	else if (!out->json)
		fprintf(out->file, "%s: %s %s, %s references, %s reachable\n",
			mw_image__name(found->survey->image), mw_format_count(a, objects),
			things(found), mw_format_count(b, info.references),
			mw_format_size(c, shown.total.bytes));
	show_tops(out, found, request, &shown, top, top_count);
	if (!out->json) {
		types_text(out, found, types, type_count);
		mw_out__image_text(out, found->survey->image);
		return 0;
	}
	doc = json_pack("{s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "objects", mw_json_u64(objects), "edges",
			mw_json_u64(info.references), "roots", mw_json_u64(info.roots),
			"reachable_bytes", mw_json_u64(shown.total.bytes), "reachable_objects",
			mw_json_u64(shown.total.objects), "top", shown.list, "types",
			types_json(found, types, type_count));
	if (addr)
		json_object_update_new(doc,
				       json_pack("{s:o,s:o,s:o,s:o}", "address", mw_json_addr(addr),
						 "path_text", text_or_null(way), "retained_bytes",
						 mw_json_u64(retained.bytes), "retained_count",
						 mw_json_u64(retained.objects)));
	return mw_out__image_json(out, found->survey->image, doc, err);
}

MW_DOCUMENT_WRITER(mw_write_retained)
{
	_cleanup_free_ struct mw_graph_type *types = NULL;
	_cleanup_free_ struct mw_graph_top *top = NULL;
	uint64_t addr = request->address;
	size_t count = 0, type_count = 0;
	struct mw_py_node node = {0};
	int ret = addr ? find_node(found, &addr, &node, err) : 0;

	if (!ret)
		ret = mw_graph__dominate(found->graph, err);
	if (ret)
		return ret;
	ret = addr ? mw_graph__parts(found->graph, addr, request->min, &top, &count)
		   : mw_graph__top(found->graph, request->min, &top, &count);
	if (!ret)
		ret = mw_graph__types(found->graph, addr, &types, &type_count);
	if (ret)
		return mw_err_no_memory(err, mw_image__name(found->survey->image));
	return show_retained(out, found, request, addr, top, count, types, type_count, err);
}
