/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the BPF programs must know to walk a running process's Python stacks (bpf/python.bpf.h). */
#ifndef MW_PYTHON_WALK_H
#define MW_PYTHON_WALK_H

#include "bpf/memwhere.h"
#include "image/image.h"
#include "python/layout.h"
#include "util/err.h"

struct mw_python_walk {
	struct mw_py_walk walk;
	struct mw_py_layout layout;
	char version[32]; /* "3.11.2" */
	char module[256]; /* base name of the interpreter's file; clean */
	/* Its evaluating function, and what the compiler moved out of it, both 0 when not known. */
	struct {
		uint64_t start, end;
	} evaluator[2];
};

/*
 * Find the interpreter of IMAGE, and how its stacks are walked. 0, or -errno with ERR set: -ENOENT
 * when there is none, or none whose layout is known.
 */
int mw_python_walk__find(struct mw_python_walk *found, struct mw_image *image, struct mw_err *err);

#endif
