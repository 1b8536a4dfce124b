// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Names of types whose own are lost: those of static types are text in the interpreter's file, and
 * neither the file nor its name may be at hand, as with a core that was cut short. The modules'
 * dictionaries still say what each type is called.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "python/python_impl.h"
#include "util/array.h"
#include "util/search.h"
#include "util/text.h"

enum { NAMES_MAX = 1 << 17, MODULE_DICT = 16 }; /* Objects/moduleobject.c: md_dict */

struct mw_py_name {
	uint64_t addr; /* of the type */
	char text[96]; /* as its tp_name would be */
	int rank;      /* of the module that has it, the best is 0 */
};

typedef int (*entry_fn)(struct mw_python *py, const char *key, uint64_t value, const char *module);

/* Call FN for the entries of the dictionary at DICT that have text as keys. */
static int each_entry(struct mw_python *py, uint64_t dict, const char *module, entry_fn fn)
{
	struct mw_py_keys k;
	char key[48];
	int ret = 0;

	if (mw_py_field(py, dict, py->layout.ob_type) != py->dict_type ||
	    !mw_py_entries(py, dict, &k))
		return 0;
	for (uint64_t i = 0; i < k.entry_count && i < NAMES_MAX && !ret; i++) {
		uint64_t at = k.entries + i * k.entry_size + k.entry_key;
		uint64_t name = mw_pages_word(&py->pages, at);
		uint64_t value = mw_pages_word(&py->pages, at + 8);

		if (name && value && value % 8 == 0 && mw_py_text(py, name, key, sizeof(key)) &&
		    key[0])
			ret = fn(py, key, value, module);
	}
	return ret;
}

/* What `types` and zipimport call built-in types, and what they call themselves. */
static const char *own_name(const char *module, const char *key)
{
	static const char *const names[][2] = {
		{"_code_type", "code"},
		{"_module_type", "module"},
		{"FunctionType", "function"},
		{"CodeType", "code"},
		{"GeneratorType", "generator"},
		{"CoroutineType", "coroutine"},
		{"AsyncGeneratorType", "async_generator"},
		{"MethodType", "method"},
		{"BuiltinFunctionType", "builtin_function_or_method"},
		{"ModuleType", "module"},
		{"FrameType", "frame"},
		{"TracebackType", "traceback"},
		{"CellType", "cell"},
		{"GetSetDescriptorType", "getset_descriptor"},
		{"MemberDescriptorType", "member_descriptor"},
		{"MethodDescriptorType", "method_descriptor"},
		{"ClassMethodDescriptorType", "classmethod_descriptor"},
		{"WrapperDescriptorType", "wrapper_descriptor"},
		{"MethodWrapperType", "method-wrapper"},
		{"MappingProxyType", "mappingproxy"},
		{"InstanceType", "instance"},
		{"ClassType", "classobj"},
	};

	if (strcmp(module, "types") && strcmp(module, "zipimport"))
		return NULL;
	for (size_t i = 0; i < MW_ARRAY_SIZE(names); i++) {
		if (!strcmp(key, names[i][0]))
			return names[i][1];
	}
	return NULL;
}

/* Lower is better: where a type is at home comes before who imported it. */
enum { RANK_BUILTIN, RANK_PUBLIC, RANK_PRIVATE, RANK_MAIN };

static int rank_of(const char *module)
{
	return !strcmp(module, "builtins") || !strcmp(module, "__builtin__") ? RANK_BUILTIN
	       : !strcmp(module, "__main__")				     ? RANK_MAIN
	       : module[0] == '_'					     ? RANK_PRIVATE
									     : RANK_PUBLIC;
}

static int add_name(struct mw_python *py, const char *key, uint64_t value, const char *module)
{
	const char *own = own_name(module, key);
	struct mw_py_name *n;

	if ((!mw_py_lost_type(py, value) && !mw_py_is_type(py, value)) ||
	    py->name_count >= NAMES_MAX)
		return 0;
	if (mw_array_reserve(&py->names, &py->name_capacity, py->name_count + 1,
			     sizeof(*py->names)))
		return -ENOMEM;
	n = &py->names[py->name_count++];
	n->addr = value;
	n->rank = own ? RANK_BUILTIN : rank_of(module);
	if (n->rank != RANK_BUILTIN)
		mw_text_print(n->text, sizeof(n->text), "%.47s.%.47s", module, key);
	else
		mw_text_print(n->text, sizeof(n->text), "%.47s", own ? own : key);
	return 0;
}

static int add_module(struct mw_python *py, const char *key, uint64_t value, const char *unused)
{
	(void)unused;
	return each_entry(py, mw_pages_word(&py->pages, mw_py_fields_of(py, value) + MODULE_DICT),
			  key, add_name);
}

static void read_modules(struct mw_python *py, uint64_t modules)
{
	py->dict_type = modules ? mw_py_field(py, modules, py->layout.ob_type) : 0;
	if (py->dict_type)
		each_entry(py, modules, "", add_module);
}

static int by_addr(const void *a, const void *b)
{
	const struct mw_py_name *x = a, *y = b;

	return x->addr != y->addr ? (x->addr < y->addr ? -1 : 1) : x->rank - y->rank;
}

static bool is_below(const void *at, const void *key)
{
	return ((const struct mw_py_name *)at)->addr < *(const uint64_t *)key;
}

bool mw_py_name_by_modules(struct mw_python *py, uint64_t addr, char *buf, size_t size)
{
	size_t i;

	if (!py->names_read) {
		py->names_read = true;
		for (i = 0; i < py->interpreter_count && py->layout.interp_modules >= 0; i++)
			read_modules(py, mw_py_field(py, py->interpreters[i].addr,
						     py->layout.interp_modules));
		read_modules(py, py->modules);
		if (py->name_count) {
			qsort(py->names, py->name_count, sizeof(*py->names), by_addr);
			mw_py_evidence(py, "names of types by modules: their own are lost");
		}
	}
	i = mw_search(py->names, py->name_count, sizeof(*py->names), is_below, &addr);
	if (i == py->name_count || py->names[i].addr != addr)
		return false;
	snprintf(buf, size, "%s", py->names[i].text);
	return true;
}
