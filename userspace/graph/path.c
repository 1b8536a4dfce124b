// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A way in words, as a programmer would write it down: what only carries something else (a module's
 * or an instance's dictionary, a cell, the tuple of a closure) is left out.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "graph/graph_impl.h"
#include "util/text.h"

enum { NAME = 160, VALUE = 96, LOCALS_MAX = 1024 };

/* What the step before means for the words of the next one. */
enum carried {
	CARRIED_NOTHING,
	CARRIED_ATTRIBUTES, /* a dictionary whose values are attributes */
	CARRIED_CLOSURE,    /* a tuple of cells */
	CARRIED_DEFAULTS,   /* a tuple of default values */
	CARRIED_CELL,
	CARRIED_CACHE,	    /* an element of an lru_cache */
	CARRIED_LOCAL_DATA, /* of threading.local: by thread */
};

struct words {
	struct mw_graph *graph;
	char *text;
	size_t size, length;
	enum carried carried;
	uint64_t function; /* whose closure or default values these are */
};

static void __attribute__((format(printf, 2, 3))) say(struct words *w, const char *format, ...)
{
	size_t left = w->size - w->length;
	va_list args;
	int n;

	if (left < 5)
		return;
	va_start(args, format);
	n = vsnprintf(w->text + w->length, left, format, args);
	va_end(args);
	if (n >= 0 && (size_t)n < left) {
		w->length += (size_t)n;
		return;
	}
	memcpy(w->text + w->size - 4, "...", 4);
	w->length = w->size - 1;
}

static const char *type_name(struct mw_graph *g, int32_t index, char *buf, size_t size)
{
	const struct mw_py_type *t = mw_python__type(g->py, index);

	buf[0] = '\0';
	if (t)
		mw_python_type_name(t, buf, size);
	return buf;
}

static bool is_type(struct mw_graph *g, int32_t index, const char *name)
{
	char text[NAME];

	return index >= 0 && !strcmp(type_name(g, index, text, sizeof(text)), name);
}

static bool is_object(struct mw_graph *g, uint64_t addr, const char *name)
{
	struct mw_py_type type;
	char text[NAME];

	if (mw_python__type_of(g->py, addr, &type))
		return false;
	mw_python_type_name(&type, text, sizeof(text));
	return !strcmp(text, name);
}

/* The object at ADDR as a key or an index. */
static void say_key(struct words *w, uint64_t addr)
{
	char text[VALUE];

	mw_python__repr(w->graph->py, addr, text, sizeof(text));
	say(w, "[%s]", text);
}

/* "handler()" */
static void say_code(struct words *w, uint64_t code)
{
	char name[NAME], file[NAME];
	uint32_t line;

	if (mw_python__code_name(w->graph->py, code, name, sizeof(name), file, sizeof(file), &line))
		say(w, "%s()", name);
	else
		say(w, "a frame");
}

/* " local rows" */
static void say_local(struct words *w, uint64_t code, uint64_t index)
{
	char name[NAME];

	if (mw_python__local_name(w->graph->py, code, index, name, sizeof(name)))
		say(w, " local %s", name);
	else
		say(w, " local %" PRIu64, index);
}

/*
 * ---- roots ----------------------------------------------------------------------------------
 */

/* The program that runs as __main__ goes by its file's name, as its lines do. */
static void say_module(struct words *w, const struct mw_graph_root *root)
{
	char name[NAME] = "?", file[512];
	struct mw_py_node module;

	mw_python__text(w->graph->py, root->name, name, sizeof(name));
	if (!strcmp(name, "__main__") && mw_python__node(w->graph->py, root->number, &module)) {
		uint64_t value = mw_graph_module_value(w->graph, module.object, "__file__");

		if (value && mw_python__text(w->graph->py, value, file, sizeof(file))) {
			char *base = strrchr(file, '/'), *dot;

			base = base ? base + 1 : file;
			dot = strrchr(base, '.');
			if (dot && dot > base && strncmp(base, "__main__", 8) != 0)
				snprintf(name, sizeof(name), "%.*s", (int)(dot - base), base);
		}
	}
	say(w, "%s", name);
}

/* "static variable table+16 in _ext.so" */
static void say_static(struct words *w, uint64_t addr)
{
	const struct mw_regions *regions = mw_image__regions(w->graph->image);
	const struct mw_region *r = mw_image__find(w->graph->image, addr);
	char file[NAME], name[NAME];
	const char *base;
	uint64_t offset;

	if (r && !r->map.inode && r > regions->regions)
		r--; /* .bss lies behind its file's data */
	base = r ? strrchr(r->map.path, '/') : NULL;
	base = base ? base + 1 : "a file";
	say(w, "static variable ");
	if (mw_graph_symbol(w->graph, addr, name, sizeof(name), &offset)) {
		say(w, "%s", name);
		if (offset)
			say(w, "+%" PRIu64, offset);
		say(w, " ");
	}
	say(w, "in %s", mw_text_clean(file, sizeof(file), base, strlen(base)));
}

/* "list at 0x7f..": where the way goes on behind what is missing. */
static void say_start(struct words *w, const struct mw_graph_root *root)
{
	char name[NAME];
	struct mw_py_node node;

	if (mw_python__node(w->graph->py, root->number, &node))
		say(w, "%s at 0x%" PRIx64, mw_graph__name(w->graph, &node, name, sizeof(name)),
		    node.object ? node.object : node.start);
}

static void say_root(struct words *w, const struct mw_graph_root *root)
{
	switch (root->kind) {
	case MW_ROOT_MODULE:
		say_module(w, root);
		break;
	case MW_ROOT_FRAME:
		say_code(w, root->name);
		break;
	case MW_ROOT_LOCAL:
		say_code(w, root->name);
		say_local(w, root->name, root->index);
		break;
	case MW_ROOT_VALUE:
		say_code(w, root->name);
		say(w, " value in use");
		break;
	case MW_ROOT_THREAD:
		say(w, "state of thread %" PRIu64, root->index);
		break;
	case MW_ROOT_STATE:
		say(w, "the interpreter's state");
		break;
	case MW_ROOT_STATIC:
	case MW_ROOT_RUNTIME:
		say_static(w, root->name);
		break;
	case MW_ROOT_STACK:
		say(w, "stack of thread %" PRIu64, root->index);
		break;
	case MW_ROOT_REGISTER:
		say(w, "register of thread %" PRIu64, root->index);
		break;
	case MW_ROOT_MISSING:
		say(w, "through a part that is missing: ");
		say_start(w, root);
		break;
	}
}

void mw_graph_root__text(struct mw_graph *graph, const struct mw_graph_root *root, char *text,
			 size_t size)
{
	struct words w = {.graph = graph, .text = text, .size = size};

	text[0] = '\0';
	if (root->kind == MW_ROOT_MODULE)
		say(&w, "module ");
	say_root(&w, root);
}

/*
 * ---- steps ----------------------------------------------------------------------------------
 */

/* Name of item INDEX of a function's closure. */
static void say_free_variable(struct words *w, uint64_t index)
{
	uint64_t code = mw_python__code_of(w->graph->py, w->function);
	uint64_t cells = 0;
	char name[NAME];

	/* Free variables come last among a frame's. */
	while (code && cells < LOCALS_MAX &&
	       mw_python__local_name(w->graph->py, code, cells, name, sizeof(name)))
		cells++;
	cells -= mw_python__free_variables(w->graph->py, code, cells);
	if (code && mw_python__local_name(w->graph->py, code, cells + index, name, sizeof(name)))
		say(w, " closure cell %s", name);
	else
		say(w, " closure cell %" PRIu64, index);
}

static void say_item(struct words *w, const struct mw_py_referent *r)
{
	if (w->carried == CARRIED_CLOSURE) {
		say_free_variable(w, r->index);
		w->carried = CARRIED_CELL;
		return;
	}
	if (w->carried == CARRIED_DEFAULTS)
		say(w, " default %" PRIu64, r->index);
	else
		say(w, "[%" PRIu64 "]", r->index);
	w->carried = CARRIED_NOTHING;
}

static void say_value(struct words *w, const struct mw_py_referent *r, bool last)
{
	enum carried carried = w->carried;
	char name[NAME];

	w->carried = CARRIED_NOTHING;
	if (carried == CARRIED_LOCAL_DATA && !last) {
		w->carried = CARRIED_ATTRIBUTES;
		return;
	}
	if (carried == CARRIED_ATTRIBUTES &&
	    mw_python__text(w->graph->py, r->key, name, sizeof(name)))
		say(w, ".%s", name);
	else
		say_key(w, r->key);
}

/* A word of an object of TYPE at ADDR that refers to an object of type TO. */
static void say_field(struct words *w, const struct mw_graph_step *from,
		      const struct mw_graph_step *to, bool last)
{
	struct mw_graph *g = w->graph;
	int32_t type = from->node.type;
	bool tuple = is_type(g, to->node.type, "tuple");
	char name[NAME];
	enum carried carried = w->carried;

	w->carried = CARRIED_NOTHING;
	if (is_type(g, type, "cell")) {
		if (carried != CARRIED_CELL)
			say(w, ".cell_contents");
		return;
	}
	if (is_type(g, type, "functools._lru_list_elem") ||
	    is_type(g, type, "functools.lru_list_elem"))
		return;
	if (is_type(g, type, "functools._lru_cache_wrapper") && is_type(g, to->node.type, "dict")) {
		say(w, " (lru_cache)");
		return;
	}
	if ((is_type(g, type, "_thread._local") || is_type(g, type, "thread._local")) &&
	    is_type(g, to->node.type, "dict")) {
		say(w, " (thread-local)");
		w->carried = last ? CARRIED_NOTHING : CARRIED_LOCAL_DATA;
		return;
	}
	if (is_type(g, type, "_thread._localdummy") || is_type(g, type, "thread._localdummy")) {
		w->carried = CARRIED_ATTRIBUTES;
		return;
	}
	if (is_type(g, type, "_asyncio.Task") &&
	    mw_python__sort(g->py, to->node.type) == MW_PY_SORT_GENERATOR)
		return;
	if (mw_python__sort(g->py, type) == MW_PY_SORT_GENERATOR &&
	    mw_python__sort(g->py, to->node.type) == MW_PY_SORT_FRAME) {
		say(w, " ");
		say_code(w, mw_python__code_of(g->py, to->node.object));
		return;
	}
	if (mw_python__member(g->py, from->node.object, to->referent.index, name, sizeof(name))) {
		if (tuple && !last &&
		    (!strcmp(name, "__closure__") || !strcmp(name, "func_closure"))) {
			w->carried = CARRIED_CLOSURE;
			w->function = from->node.object;
		} else {
			say(w, ".%s", name);
		}
		return;
	}
	if (is_type(g, to->node.type, "traceback")) {
		say(w, is_type(g, type, "traceback") ? ".tb_next" : ".__traceback__");
		return;
	}
	if (is_type(g, type, "function") && tuple) {
		w->carried = CARRIED_DEFAULTS;
		if (last)
			say(w, " defaults");
	}
}

/* A task by its name, which starts the way anew; false: NODE is none, or its name is unknown. */
static bool say_task(struct words *w, const struct mw_py_node *node)
{
	char name[NAME];

	if (!mw_python__task_name(w->graph->py, node->object, name, sizeof(name)))
		return false;
	w->length = 0;
	say(w, "task '%s'", name);
	return true;
}

static void say_step(struct words *w, const struct mw_graph_step *from,
		     const struct mw_graph_step *to, bool last)
{
	const struct mw_py_referent *r = &to->referent;
	struct mw_graph *g = w->graph;

	switch (r->via) {
	case MW_PY_VIA_ITEM:
		say_item(w, r);
		break;
	case MW_PY_VIA_VALUE:
		say_value(w, r, last);
		break;
	case MW_PY_VIA_KEY:
		say(w, " key");
		say_key(w, r->addr);
		break;
	case MW_PY_VIA_MEMBER:
		say(w, "{%" PRIu64 "}", r->index);
		break;
	case MW_PY_VIA_ATTR:
		w->carried = CARRIED_ATTRIBUTES;
		say_value(w, r, last);
		break;
	case MW_PY_VIA_DICT:
		w->carried = CARRIED_ATTRIBUTES;
		if (last)
			say(w, ".__dict__");
		return;
	case MW_PY_VIA_FIELD:
		say_field(w, from, to, last);
		return;
	case MW_PY_VIA_TYPE:
		say(w, ".__class__");
		break;
	case MW_PY_VIA_LOCAL:
		if (mw_python__sort(g->py, from->node.type) == MW_PY_SORT_GENERATOR) {
			say(w, " ");
			say_code(w, mw_python__code_of(g->py, from->node.object));
		}
		say_local(w, mw_python__code_of(g->py, from->node.object), r->index);
		break;
	case MW_PY_VIA_STACK:
		say(w, " value in use");
		break;
	case MW_PY_VIA_BUFFER:
		say(w, " buffer");
		break;
	case MW_PY_VIA_WORD:
		say(w, " +0x%" PRIx64, r->index);
		break;
	}
	if (r->via != MW_PY_VIA_ITEM && r->via != MW_PY_VIA_VALUE && r->via != MW_PY_VIA_ATTR)
		w->carried = CARRIED_NOTHING;
}

void mw_graph_path__text(struct mw_graph *graph, const struct mw_graph_path *path, char *text,
			 size_t size)
{
	struct words w = {.graph = graph, .text = text, .size = size};

	text[0] = '\0';
	say_root(&w, &path->root);
	for (size_t i = 0; i < path->count; i++) {
		if (i == path->skipped_at && path->skipped)
			say(&w, " ... %" PRIu64 " more ...", path->skipped);
		else if (i)
			say_step(&w, &path->steps[i - 1], &path->steps[i], i + 1 == path->count);
		if (say_task(&w, &path->steps[i].node))
			w.carried = CARRIED_NOTHING;
	}
}

void mw_graph__via(struct mw_graph *graph, uint64_t addr, const struct mw_py_referent *r,
		   char *text, size_t size)
{
	char value[VALUE] = "";
	uint64_t code;

	switch (r->via) {
	case MW_PY_VIA_ITEM:
		snprintf(text, size, "item %" PRIu64, r->index);
		break;
	case MW_PY_VIA_KEY:
		snprintf(text, size, "dict key");
		break;
	case MW_PY_VIA_VALUE:
		mw_python__repr(graph->py, r->key, value, sizeof(value));
		snprintf(text, size, "dict value of %s", value);
		break;
	case MW_PY_VIA_MEMBER:
		snprintf(text, size, "set member");
		break;
	case MW_PY_VIA_ATTR:
		mw_python__text(graph->py, r->key, value, sizeof(value));
		snprintf(text, size, "attribute %s", value);
		break;
	case MW_PY_VIA_DICT:
		snprintf(text, size, "__dict__");
		break;
	case MW_PY_VIA_FIELD:
		if (is_object(graph, addr, "cell"))
			snprintf(text, size, "cell contents");
		else if (mw_python__member(graph->py, addr, r->index, value, sizeof(value)))
			snprintf(text, size, "attribute %s", value);
		else
			snprintf(text, size, "field at %" PRIu64, r->index);
		break;
	case MW_PY_VIA_TYPE:
		snprintf(text, size, "__class__");
		break;
	case MW_PY_VIA_LOCAL:
		code = mw_python__code_of(graph->py, addr);
		if (mw_python__local_name(graph->py, code, r->index, value, sizeof(value)))
			snprintf(text, size, "local %s", value);
		else
			snprintf(text, size, "local %" PRIu64, r->index);
		break;
	case MW_PY_VIA_STACK:
		snprintf(text, size, "value in use");
		break;
	case MW_PY_VIA_BUFFER:
		snprintf(text, size, "buffer");
		break;
	case MW_PY_VIA_WORD:
		snprintf(text, size, "word at %" PRIu64 ", maybe", r->index);
		break;
	}
}
