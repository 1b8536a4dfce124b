/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From a code object and a place in it to names and a line. */
#ifndef MW_PYTHON_LINES_H
#define MW_PYTHON_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "python/layout.h"

/*
 * The line of the instruction at OFFSET bytes of a code object's bytecode, by its line table
 * (co_lnotab up to 3.9, Objects/lnotab_notes.txt; co_linetable in 3.10; the location table of
 * Objects/locations.md from 3.11 on). 0: that instruction has no line, or the table is damaged.
 * VERSION as in MW_PY_VERSION.
 */
uint32_t mw_py_line(uint32_t version, uint32_t first_line, const uint8_t *table, size_t len,
		    uint32_t offset);

enum { MW_PY_NAME_MAX = 256, MW_PY_FILE_MAX = 512, MW_PY_TABLE_MAX = 1 << 20 };

/* A code object's own words; the texts are clean. */
struct mw_py_code {
	char name[MW_PY_NAME_MAX]; /* qualified from 3.11 on; "?" when it can't be read */
	char file[MW_PY_FILE_MAX];
	uint32_t first_line;
	uint8_t *table; /* its line table */
	size_t table_len;
};

/* Copies LEN bytes at ADDR into BUF: true when all were there. */
typedef bool (*mw_py_read_fn)(void *arg, uint64_t addr, void *buf, size_t len);

/*
 * Read the code object at ADDR. 0, -EFAULT (unreadable, or what is there is no code object) or
 * -ENOMEM.
 */
int mw_py_code__read(struct mw_py_code *code, const struct mw_py_layout *layout, uint64_t addr,
		     mw_py_read_fn read, void *arg);
void mw_py_code__free(struct mw_py_code *code);

#endif
