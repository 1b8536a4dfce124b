/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Words for what is in Python's memory. */
#ifndef MW_REPORT_TYPENAME_H
#define MW_REPORT_TYPENAME_H

#include "python/python.h"

/* "collections.deque", "dict": without the module that goes without saying. */
void mw_python_type_name(const struct mw_py_type *type, char *buf, size_t size);

const char *mw_python_what_name(enum mw_py_what what);

#endif
