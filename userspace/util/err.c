// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdarg.h>
#include <stdio.h>

#include "util/err.h"

int mw_err_set(struct mw_err *err, int code, const char *name, const char *where, const char *fmt,
	       ...)
{
	va_list ap;

	if (!err)
		return code;
	err->code = code;
	snprintf(err->name, sizeof(err->name), "%s", name);
	snprintf(err->where, sizeof(err->where), "%s", where ? where : "");
	va_start(ap, fmt);
	vsnprintf(err->message, sizeof(err->message), fmt, ap);
	va_end(ap);
	return code;
}
