// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdlib.h>

#include "image/elffile.h"
#include "python/python_impl.h"

/*
 * There is no interpreter state that is known. In a core that was cut short it may be lost, and the
 * heap is not. FOUND: there is an interpreter at least, 0, or -ENOENT with ERR set.
 */
static int without_state(struct mw_python *py, int found, struct mw_err *err)
{
	int ret = -ENOENT;

	if (mw_image__is_cut(py->image))
		ret = mw_py_lost(py, err);
	return ret != -ENOENT ? ret : found ? found : mw_py_pymalloc(py, err);
}

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
	if (!ret && py->known)
		ret = mw_py_pymalloc(py, err);
	else if (!ret || ret == -ENOENT)
		ret = without_state(py, ret, err);
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
	if (!py->before_count) /* else it was needed before */
		mw_py_learn_before(py);
	mw_py_fill_info(py);
	return py;
}

void mw_py_fill_info(struct mw_python *py)
{
	py->info.interpreters = py->interpreters;
	py->info.interpreter_count = py->interpreter_count;
	py->info.arenas = py->arenas;
	py->info.arena_count = py->arena_count;
	py->info.pools = py->pools;
	py->info.pool_count = py->pool_count;
	py->info.problems = &py->problems;
}

struct mw_python *mw_python__none(struct mw_image *image, const struct mw_heaps *heaps,
				  struct mw_err *err)
{
	struct mw_python *py = calloc(1, sizeof(*py));

	if (!py || mw_pages__init(&py->pages, image))
		goto no_memory;
	py->image = image;
	py->info.none = true;
	py->info.problems = &py->problems;
	mw_py_know_nothing(py);
	if (mw_py_count_chunks(py, heaps))
		goto no_memory;
	return py;

no_memory:
	mw_python__close(py);
	mw_err_no_memory(err, mw_image__name(image));
	return NULL;
}

void mw_python__close(struct mw_python *py)
{
	if (!py)
		return;
	if (py->index)
		mw_py_forget_loaded(py);
	mw_pages__free(&py->pages);
	mw_elffile__close(py->file);
	free(py->data.bytes);
	free(py->interpreters);
	free(py->arenas);
	free(py->pools);
	free(py->types);
	free(py->names);
	free(py->lost);
	free(py->slots);
	free(py->labels);
	free(py->chunks);
	free(py->chunk_labels);
	free(py->sorted);
	free(py->containers);
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
