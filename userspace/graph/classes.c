// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Classes of C++, by what polymorphic objects begin with: the address of a virtual table. Before
 * that lies the address of the class's std::type_info, and a word in there its name, mangled
 * (Itanium C++ ABI, 2.5.2 and 2.9.5). Files that were stripped have these, too.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "graph/graph_impl.h"
#include "symbol/demangle.h"
#include "util/array.h"
#include "util/u64map.h"

enum { NAME = 160, CLASSES_MAX = 1 << 16 };

/* The word at ADDR, when that is in a file's mapping; else 0. */
static uint64_t file_word(struct mw_graph *graph, uint64_t addr)
{
	const struct mw_region *region = addr % 8 ? NULL : mw_image__find(graph->image, addr);
	uint64_t word;

	return region && region->map.inode &&
			       mw_image__read(graph->image, addr, &word, sizeof(word)) ==
				       sizeof(word)
		       ? word
		       : 0;
}

/* An object of std::make_shared() lies behind a counter, which is what has the table. */
static char *within_shared(char *name)
{
	static const char before[] = "std::_Sp_counted_ptr_inplace<";
	char *end;

	if (strncmp(name, before, sizeof(before) - 1) != 0)
		return name;
	name += sizeof(before) - 1;
	end = strstr(name, ", std::allocator<");
	if (end)
		*end = '\0';
	return name;
}

/* The name of the class whose virtual table is at TABLE; false: it is none. */
static bool name_of(struct mw_graph *graph, uint64_t table, char *name, size_t size)
{
	static const char before[] = "typeinfo for ", prefix[] = "_ZTI";
	char mangled[512] = "", words[512];
	uint64_t info, text;
	ssize_t n;

	if (table < 4096 || !file_word(graph, table))
		return false;
	info = file_word(graph, table - 8);
	text = info && file_word(graph, info) ? file_word(graph, info + 8) : 0;
	n = text ? mw_image__read(graph->image, text, mangled + sizeof(prefix) - 1,
				  sizeof(mangled) - sizeof(prefix))
		 : 0;
	if (n <= 0 || !memchr(mangled + sizeof(prefix) - 1, 0, (size_t)n))
		return false;
	memcpy(mangled, prefix, sizeof(prefix) - 1);
	mw_demangle(words, sizeof(words), mangled);
	if (strncmp(words, before, sizeof(before) - 1) != 0)
		return false;
	snprintf(name, size, "%s", within_shared(words + sizeof(before) - 1));
	return true;
}

static bool table_of(struct mw_graph *graph, const struct mw_py_node *node, uint64_t *table)
{
	return node->what == MW_PY_WHAT_DATA && node->size >= sizeof(*table) &&
	       mw_python__read(graph->py, node->start, table, sizeof(*table));
}

bool mw_graph_class(struct mw_graph *graph, const struct mw_py_node *node, char *name, size_t size)
{
	uint64_t table;

	return table_of(graph, node, &table) && name_of(graph, table, name, size);
}

/*
 * ---- of all blocks ------------------------------------------------------------------------------
 */

struct find {
	struct mw_graph *graph;
	struct mw_u64map tables; /* what a word stands for: an element of KNOWN, or NOT_ONE */
	int32_t known[CLASSES_MAX];
	int32_t not_one;
};

/* The class called NAME, of which there may be several tables; -1: there are too many. */
static int32_t intern(struct mw_graph_classes *classes, const char *name)
{
	char **names = classes->names;

	for (size_t i = 0; i < classes->count; i++) {
		if (!strcmp(names[i], name))
			return (int32_t)i;
	}
	if (classes->count == CLASSES_MAX)
		return -1;
	if (mw_array_reserve(&classes->names, &classes->capacity, classes->count + 1,
			     sizeof(*classes->names)))
		return -ENOMEM;
	classes->names[classes->count] = strdup(name);
	return classes->names[classes->count] ? (int32_t)classes->count++ : -ENOMEM;
}

static int see(void *arg, uint32_t number, const struct mw_py_node *node)
{
	struct find *f = arg;
	struct mw_graph_classes *classes = &f->graph->classes;
	const struct mw_region *region;
	const int32_t *known;
	char name[NAME];
	uint64_t table;

	classes->of[number] = -1;
	if (!table_of(f->graph, node, &table))
		return 0;
	known = mw_u64map__find(&f->tables, table);
	if (!known) {
		int32_t index = -1;

		region = mw_image__find(f->graph->image, table);
		if (!region || !region->map.inode)
			return 0;
		if (name_of(f->graph, table, name, sizeof(name)))
			index = intern(classes, name);
		if (index == -ENOMEM)
			return -ENOMEM;
		known = index < 0 ? &f->not_one : &f->known[index];
		if (index >= 0)
			f->known[index] = index;
		if (mw_u64map__set(&f->tables, table, (void *)known))
			return -ENOMEM;
	}
	classes->of[number] = *known;
	return 0;
}

int mw_graph_find_classes(struct mw_graph *graph)
{
	struct mw_graph_classes *classes = &graph->classes;
	struct find *f;
	int ret = 0;

	if (classes->of)
		return 0;
	f = calloc(1, sizeof(*f));
	classes->of = malloc(((size_t)graph->count + 1) * sizeof(*classes->of));
	if (f && classes->of) {
		f->graph = graph;
		f->not_one = -1;
		ret = mw_python__each_node(graph->py, true, see, f);
		mw_u64map__free(&f->tables);
	}
	if (!f || !classes->of || ret) {
		mw_graph_classes__free(classes);
		ret = -ENOMEM;
	}
	free(f);
	return ret;
}

void mw_graph_classes__free(struct mw_graph_classes *classes)
{
	for (size_t i = 0; i < classes->count; i++)
		free(classes->names[i]);
	free(classes->names);
	free(classes->of);
	memset(classes, 0, sizeof(*classes));
}
