/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The census in an index (util/index_file.h): what was found of an interpreter, its types, and the
 * label of each block.
 */
#ifndef MW_PYTHON_SAVED_H
#define MW_PYTHON_SAVED_H

#include "python/python.h"
#include "util/index_file.h"

/* Add PY after its census, or what stands for none, to an index of its image. */
void mw_python__save(const struct mw_python *py, struct mw_index_writer *writer);

/*
 * What was saved, as if the census had just been taken; INDEX and IMAGE outlive it. Nothing of it
 * is trusted. NULL with errno and ERR set: -EBADMSG, -ENOMEM.
 */
struct mw_python *mw_python__load(struct mw_image *image, struct mw_index *index,
				  struct mw_err *err);

/* The index that PY was loaded from, or NULL. */
struct mw_index *mw_python__index(const struct mw_python *py);

#endif
