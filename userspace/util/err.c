// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "util/err.h"

static void fill(struct mw_err *err, int code, const char *name, const char *where, const char *fmt,
		 va_list ap)
{
	err->code = code;
	err->usage = false;
	snprintf(err->name, sizeof(err->name), "%s", name);
	snprintf(err->where, sizeof(err->where), "%s", where ? where : "");
	vsnprintf(err->message, sizeof(err->message), fmt, ap);
}

int mw_err_set(struct mw_err *err, int code, const char *name, const char *where, const char *fmt,
	       ...)
{
	va_list ap;

	if (!err)
		return code;
	va_start(ap, fmt);
	fill(err, code, name, where, fmt, ap);
	va_end(ap);
	return code;
}

int mw_err_no_memory(struct mw_err *err, const char *where)
{
	return mw_err_set(err, -ENOMEM, "no-memory", where, "out of memory");
}

int mw_err_usage(struct mw_err *err, const char *where, const char *fmt, ...)
{
	va_list ap;

	if (!err)
		return -EINVAL;
	va_start(ap, fmt);
	fill(err, -EINVAL, "usage", where, fmt, ap);
	va_end(ap);
	err->usage = true;
	return -EINVAL;
}

const char *mw_err_access_hint(void)
{
	return geteuid() ? "run as root, or with CAP_SYS_PTRACE"
			 : "root may not, either: a security module, a user namespace or a missing "
			   "CAP_SYS_PTRACE forbids it";
}
