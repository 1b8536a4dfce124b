// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Names of types that are lost by the symbols of the file that has them: the one that --exe gives,
 * or the one of the mapping. The page with its build id may be lost as well, so that the file must
 * prove itself: `type` makes its load address, at which its other types must be where the heap's
 * objects say.
 */
#include <limits.h>
#include <stdio.h>

#include "arch/arch.h"
#include "image/elffile.h"
#include "python/python_impl.h"
#include "util/array.h"

enum { AGREE_MIN = 2 };

/* Exported in all versions that have the type, so that strip leaves them. */
static const char *const symbols[][2] = {
	{"PyType_Type", "type"},
	{"PyBaseObject_Type", "object"},
	{"PyLong_Type", "int"},
	{"PyBool_Type", "bool"},
	{"PyFloat_Type", "float"},
	{"PyComplex_Type", "complex"},
	{"PyBytes_Type", "bytes"},
	{"PyByteArray_Type", "bytearray"},
	{"PyUnicode_Type", "str"},
	{"PyTuple_Type", "tuple"},
	{"PyList_Type", "list"},
	{"PyDict_Type", "dict"},
	{"PySet_Type", "set"},
	{"PyFrozenSet_Type", "frozenset"},
	{"PyCode_Type", "code"},
	{"PyFunction_Type", "function"},
	{"PyMethod_Type", "method"},
	{"PyCFunction_Type", "builtin_function_or_method"},
	{"PyModule_Type", "module"},
	{"PyFrame_Type", "frame"},
	{"PyTraceBack_Type", "traceback"},
	{"PyGen_Type", "generator"},
	{"PyCoro_Type", "coroutine"},
	{"PyCell_Type", "cell"},
	{"PyProperty_Type", "property"},
	{"PyStaticMethod_Type", "staticmethod"},
	{"PyClassMethod_Type", "classmethod"},
	{"PyClassMethodDescr_Type", "classmethod_descriptor"},
	{"PyGetSetDescr_Type", "getset_descriptor"},
	{"PyMemberDescr_Type", "member_descriptor"},
	{"PyMethodDescr_Type", "method_descriptor"},
	{"PyWrapperDescr_Type", "wrapper_descriptor"},
	{"PyDictProxy_Type", "mappingproxy"},
	{"PyMemoryView_Type", "memoryview"},
	{"PySlice_Type", "slice"},
	{"PyRange_Type", "range"},
	{"PyCapsule_Type", "PyCapsule"},
	{"PyODict_Type", "collections.OrderedDict"},
	{"_PyWeakref_RefType", "weakref"},
};

/* Python 2 calls some otherwise. */
static const char *const symbols_2[][2] = {
	{"PyString_Type", "str"},
	{"PyUnicode_Type", "unicode"},
	{"PyInt_Type", "int"},
	{"PyLong_Type", "long"},
	{"PyClass_Type", "classobj"},
	{"PyInstance_Type", "instance"},
	{"PyMethod_Type", "instancemethod"},
};

/* The types of the file's symbols that are lost: name them, or only count them. */
static size_t use(struct mw_python *py, struct mw_elffile *file, uint64_t bias, bool name)
{
	bool two = py->info.hex < MW_PY_VERSION(3, 0, 0);
	struct mw_symbol symbol;
	size_t n = 0;

	for (size_t i = two ? 0 : MW_ARRAY_SIZE(symbols_2);
	     i < MW_ARRAY_SIZE(symbols_2) + MW_ARRAY_SIZE(symbols); i++) {
		const char *const *row = i < MW_ARRAY_SIZE(symbols_2)
						 ? symbols_2[i]
						 : symbols[i - MW_ARRAY_SIZE(symbols_2)];

		if (mw_elffile__symbol(file, row[0], &symbol) ||
		    !mw_py_lost_type(py, bias + symbol.value))
			continue;
		n++;
		if (name) /* the first that it gets stays */
			mw_py_lost_set_name(py, bias + symbol.value, row[1]);
	}
	return n;
}

static bool name_by_file(struct mw_python *py, const char *path, uint64_t type)
{
	struct mw_elffile *file = mw_elffile__open(path, path, NULL);
	struct mw_symbol symbol;
	bool good = false;

	if (file && !mw_elffile__symbol(file, "PyType_Type", &symbol)) {
		uint64_t bias = type - symbol.value;

		good = bias % MW_PAGE_SIZE == 0 && use(py, file, bias, false) >= AGREE_MIN;
		if (good)
			use(py, file, bias, true);
	}
	mw_elffile__close(file);
	return good;
}

void mw_py_lost_symbols(struct mw_python *py, uint64_t type)
{
	const struct mw_region *region = mw_image__find(py->image, type);
	bool good = mw_image__exe(py->image) && name_by_file(py, mw_image__exe(py->image), type);

	for (size_t i = 0; !good && region && region->map.inode && i < MW_IMAGE_ROOTS; i++) {
		const char *root = mw_image__root(py->image, i);
		char path[PATH_MAX];

		if (!root || snprintf(path, sizeof(path), "%s%s", root, region->map.path) >=
				     (int)sizeof(path))
			continue;
		good = name_by_file(py, path, type);
	}
	if (good)
		mw_py_evidence(py, "names of types by symbols of the file that has them");
}
