/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where CPython keeps what: one table of layouts for the heap side and for stacks. A row comes
 * from the DWARF of a build of that version (`make layouts` prints rows); DWARF of the very
 * binary at hand is read by the same code and preferred.
 */
#ifndef MW_PYTHON_LAYOUT_H
#define MW_PYTHON_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MW_PY_ABSENT (-1)

/* 3.11.2 is 0x030b02; a row is for its version and those after it, until the next row. */
#define MW_PY_VERSION(major, minor, micro) ((uint32_t)((major) << 16 | (minor) << 8 | (micro)))

struct mw_py_layout {
	uint32_t version;
	bool free_threaded;
	/* Offsets and sizes in bytes, MW_PY_ABSENT: this version has no such thing. */
#define F(name, structure, member) int32_t name;
#define S(name, structure)	   int32_t name;
#define P(name, structure, member) int32_t name;
#include "python/layout_fields.h"
#undef F
#undef S
#undef P
};

struct mw_py_field {
	const char *name, *structure, *member; /* MEMBER is NULL for a size */
	bool pointer;			       /* ask whether the member is a pointer */
	size_t at;			       /* of the int32_t in struct mw_py_layout */
};

extern const struct mw_py_field mw_py_fields[];
extern const size_t mw_py_field_count;

/* The rows, oldest first. */
extern const struct mw_py_layout mw_py_layouts[];
extern const size_t mw_py_layout_count;

/*
 * The row for VERSION: that very one, else the nearest older one of the same minor version, else
 * the nearest newer one of it; NULL when the minor version is not known.
 */
const struct mw_py_layout *mw_py_layout_find(uint32_t version, bool free_threaded);

/*
 * Read the DWARF of the file open at FD (an interpreter, its library or a debug file) into LAYOUT,
 * whose version the caller sets. The number of fields found; below zero: -errno, no DWARF there.
 */
int mw_py_layout_read_dwarf(int fd, struct mw_py_layout *layout);

#endif
