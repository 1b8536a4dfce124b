// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdlib.h>

#include "image/elffile.h"
#include "python/python_impl.h"

struct mw_python *mw_python__open(struct mw_image *image, struct mw_err *err)
{
	struct mw_python *py = calloc(1, sizeof(*py));
	int ret = py ? mw_pages__init(&py->pages, image) : -ENOMEM;

	if (ret) {
		mw_err_no_memory(err, mw_image__name(image));
		goto cleanup;
	}
	py->image = image;
	ret = mw_py_discover(py, err);
	if (!ret)
		ret = mw_py_pymalloc(py, err);
	if (!ret && !py->known && !py->arena_count)
		ret = mw_err_set(
			err, -ENOENT, "unknown-python", mw_image__name(image),
			"CPython %s in %s is there, but no layout known for it fits: neither "
			"its interpreter state nor its pools were found",
			py->info.version, py->info.module);
cleanup:
	if (ret) {
		mw_python__close(py);
		errno = -ret;
		return NULL;
	}
	mw_py_learn_before(py);
	py->info.interpreters = py->interpreters;
	py->info.interpreter_count = py->interpreter_count;
	py->info.arenas = py->arenas;
	py->info.arena_count = py->arena_count;
	py->info.pools = py->pools;
	py->info.pool_count = py->pool_count;
	py->info.problems = &py->problems;
	return py;
}

void mw_python__close(struct mw_python *py)
{
	if (!py)
		return;
	mw_pages__free(&py->pages);
	mw_elffile__close(py->file);
	free(py->data.bytes);
	free(py->interpreters);
	free(py->arenas);
	free(py->pools);
	free(py->types);
	free(py->slots);
	free(py->labels);
	free(py->chunks);
	free(py->chunk_labels);
	free(py->sorted);
	free(py->frames);
	for (size_t i = 0; i < py->owner_count; i++)
		free(py->owners[i]);
	free(py->owners);
	free(py);
}

const struct mw_py_info *mw_python__info(const struct mw_python *py)
{
	return &py->info;
}
