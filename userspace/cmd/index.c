// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "cmd/index.h"
#include "graph/graph.h"
#include "image/elffile.h"
#include "python/saved.h"
#include "util/cleanup.h"
#include "util/log.h"

static bool wanted;

static const struct mw_option rows[] = {
	{"index", 0, MW_OPT_FLAG, MW_VALUE(flag, wanted), NULL,
	 "keep what refers to what in CORE.mwindex (the next look is quick)", NULL},
	{0},
};

const struct mw_option_group mw_cmd_index_group = {.rows = rows};

/* One core and its index's file. */
struct work {
	const char *core;
	char *path;
	struct mw_index_key key;
	struct mw_survey *survey;
};

bool mw_cmd_wants_index(const struct mw_options *opt)
{
	for (size_t i = 0; opt->command->groups[i]; i++) {
		if (opt->command->groups[i] == &mw_cmd_index_group)
			return wanted;
	}
	return false;
}

/* Structures go into the file as they are, so that only the very same program may read them. */
static void set_maker(struct mw_index_key *key)
{
	struct mw_elffile *self = mw_elffile__open("/proc/self/exe", "memwhere", NULL);

	snprintf(key->maker, sizeof(key->maker), "memwhere %s, build %.80s", MW_VERSION,
		 self ? mw_elffile__build_id(self) : "unknown");
	mw_elffile__close(self);
}

/*
 * ---- using ------------------------------------------------------------------------------------
 */

/* Is what INDEX has for IMAGE usable? Its Python, or NULL with WHY set. */
static struct mw_python *load(struct mw_index *index, struct mw_image *image, struct mw_err *why)
{
	struct mw_python *py = mw_python__load(image, index, why);
	struct mw_graph *graph = py ? mw_graph__build(image, py, why) : NULL;

	if (!graph) {
		mw_python__close(py);
		return NULL;
	}
	mw_graph__free(graph);
	return py;
}

/* NULL: there is none that fits. */
static struct mw_index *open_index(const struct work *w, struct mw_image *image,
				   struct mw_python **py)
{
	struct mw_err why = {0};
	struct mw_index *index = mw_index__open(w->path, &w->key, &why);

	*py = index ? load(index, image, &why) : NULL;
	if (*py)
		return index;
	mw_index__close(index);
	if (why.code != -ENOENT)
		mw_warn("%s is not used: %s%s", w->path, why.message,
			wanted ? "; it is made again" : "; --index makes it again");
	return NULL;
}

/*
 * ---- making -----------------------------------------------------------------------------------
 */

static int write_index(struct work *w, struct mw_index_writer *writer, struct mw_err *why)
{
	struct mw_py_census census;
	struct mw_python *py = mw_survey__blocks(w->survey, &census, why);
	struct mw_graph *graph = py ? mw_graph__build(w->survey->image, py, why) : NULL;
	int ret = graph ? mw_graph__save(graph, writer, why) : -EINVAL;

	mw_graph__free(graph);
	if (!ret)
		return mw_index_writer__commit(writer, &w->key, why);
	mw_index_writer__cancel(writer);
	return ret;
}

/* Make an index and use it; without it, for one reason or another, the work goes on. */
static struct mw_index *make_index(struct work *w)
{
	struct mw_index_writer *writer;
	struct mw_python *py = NULL;
	struct mw_err why = {0};
	struct mw_index *index;
	struct stat st;

	writer =
		stat(w->core, &st) ? NULL : mw_index_writer__open(w->path, st.st_mode & 0666, &why);
	if (!writer || write_index(w, writer, &why)) {
		mw_warn("there is no index: %s%s%s", why.where, why.where[0] ? ": " : "",
			why.message);
		return NULL;
	}
	index = open_index(w, w->survey->image, &py);
	if (index)
		mw_survey__use(w->survey, py);
	return index;
}

int mw_cmd_open_indexed(const struct mw_options *opt, const char *path, const char *words,
			bool heaps, struct mw_image *image, struct mw_survey *survey,
			struct mw_index **index, struct mw_err *err)
{
	_cleanup_free_ char *name = NULL;
	struct work w = {.core = path, .survey = survey};
	struct mw_python *py = NULL;
	int ret = 0;

	if (asprintf(&name, "%s.mwindex", path) < 0)
		return mw_err_no_memory(err, path);
	w.path = name;
	set_maker(&w.key);
	*index = mw_index_key__set_subject(&w.key, path, words) ? NULL : open_index(&w, image, &py);
	if (*index && !heaps)
		mw_survey__open_bare(survey, image);
	else
		ret = mw_survey__open(survey, image, err);
	if (ret)
		mw_python__close(py);
	else if (py)
		mw_survey__use(survey, py);
	else if (mw_cmd_wants_index(opt))
		*index = make_index(&w);
	return ret;
}
