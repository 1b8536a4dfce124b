// SPDX-License-Identifier: GPL-2.0-or-later
/* What blocks and static variables are called, where symbols tell. */
#include <stdio.h>
#include <string.h>

#include "graph/graph_impl.h"
#include "symbol/demangle.h"
#include "symbol/symbolizer.h"

bool mw_graph_symbol(struct mw_graph *graph, uint64_t addr, char *name, size_t size,
		     uint64_t *offset)
{
	struct mw_symbol_name symbol;

	if (!graph->symbols)
		graph->symbols = mw_symbolizer__open(graph->image);
	if (!graph->symbols || !mw_symbolizer__name(graph->symbols, addr, &symbol))
		return false;
	mw_demangle(name, size, symbol.name);
	*offset = symbol.offset;
	return true;
}

struct find_value {
	struct mw_graph *graph;
	const char *key;
	uint64_t value;
};

static int see_value(void *arg, const struct mw_py_referent *r)
{
	struct find_value *f = arg;
	char text[16];

	if (r->via != MW_PY_VIA_VALUE ||
	    !mw_python__text(f->graph->py, r->key, text, sizeof(text)) || strcmp(text, f->key) != 0)
		return 0;
	f->value = r->addr;
	return 1;
}

static int see_dict(void *arg, const struct mw_py_referent *r)
{
	struct find_value *f = arg;

	return r->via == MW_PY_VIA_DICT ? mw_python__referents(f->graph->py, r->addr, see_value, f)
					: 0;
}

uint64_t mw_graph_module_value(struct mw_graph *graph, uint64_t module, const char *key)
{
	struct find_value f = {graph, key, 0};

	mw_python__referents(graph->py, module, see_dict, &f);
	return f.value;
}

const char *mw_graph__name(struct mw_graph *graph, const struct mw_py_node *node, char *name,
			   size_t size)
{
	const struct mw_py_type *type =
		node->object ? mw_python__type(graph->py, node->type) : NULL;

	if (type)
		mw_python_type_name(type, name, size);
	else if (!mw_graph_class(graph, node, name, size))
		snprintf(name, size, "memory");
	return name;
}

void mw_graph__type(struct mw_graph *graph, int32_t index, const char **name, const char **module)
{
	const struct mw_py_type *type = graph->plain ? NULL : mw_python__type(graph->py, index);

	*name = type ? type->name : graph->classes.names[index];
	*module = type ? type->module : "";
}
