// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdio.h>
#include <string.h>

#include "report/typename.h"

void mw_python_type_name(const struct mw_py_type *type, char *buf, size_t size)
{
	const char *name = type->qualname[0] ? type->qualname : type->name;

	if (!type->module[0] || !strcmp(type->module, "builtins") ||
	    !strcmp(type->module, "__builtin__"))
		snprintf(buf, size, "%s", name);
	else
		snprintf(buf, size, "%s.%s", type->module, name);
}

const char *mw_python_what_name(enum mw_py_what what)
{
	static const char *const words[] = {
		[MW_PY_WHAT_OBJECT] = "object", [MW_PY_WHAT_PARKED] = "parked",
		[MW_PY_WHAT_BUFFER] = "buffer", [MW_PY_WHAT_FREE] = "free",
		[MW_PY_WHAT_DATA] = "data",	[MW_PY_WHAT_SYSTEM] = "interpreter",
		[MW_PY_WHAT_POOL] = "pool",	[MW_PY_WHAT_ARENA] = "arena",
		[MW_PY_WHAT_STATIC] = "static",
	};

	return words[what];
}
