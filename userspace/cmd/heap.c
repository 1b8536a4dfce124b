// SPDX-License-Identifier: GPL-2.0-or-later
#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "cmd/heap.h"

static const char *exe, *sysroot;
static bool stop;

static const struct mw_option rows[] = {
	{"exe", 0, MW_OPT_FILE, {.text = &exe}, "FILE", "the core's executable", NULL},
	{"sysroot",
	 0,
	 MW_OPT_DIR,
	 {.text = &sysroot},
	 "DIR",
	 "where the files of a core's machine are",
	 NULL},
	{"stop",
	 0,
	 MW_OPT_FLAG,
	 {.flag = &stop},
	 NULL,
	 "hold all threads while the memory is read, so that nothing changes meanwhile",
	 NULL},
	{0},
};

const struct mw_option_group mw_cmd_heap_group = {.rows = rows};

/* A word of digits is a PID, a file that exists is a core, all else a process name. */
static bool is_core(const char *word)
{
	struct stat st;

	return strchr(word, '/') || (!isdigit((unsigned char)word[0]) && !stat(word, &st));
}

int mw_cmd_heap__open(struct mw_cmd_heap *heap, const struct mw_options *opt, struct mw_err *err)
{
	const struct mw_image_options where = {exe, sysroot};
	const char *target = opt->argv[0];
	struct mw_image *image;
	pid_t pid;
	int ret;

	memset(heap, 0, sizeof(*heap));
	heap->show.json = opt->json;
	heap->show.verbose = opt->verbose;
	/* Unpacking a core, too, may take long. */
	heap->progress = mw_cmd_progress__start(opt, NULL);
	if (is_core(target)) {
		if (stop) {
			mw_cmd_heap__release(heap);
			return mw_err_usage(err, "stop",
					    "only a running process can be stopped, not a core");
		}
		image = mw_image__open_core(target, &where, err);
	} else {
		ret = mw_cmd_find_process(target, &pid, err);
		if (!ret && stop) {
			heap->freeze = mw_freeze__start(pid, err);
			ret = heap->freeze ? 0 : err->code;
		}
		if (ret) {
			mw_cmd_heap__release(heap);
			return ret;
		}
		image = mw_image__open_live(pid, err);
	}
	ret = image ? mw_survey__open(&heap->survey, image, err) : err->code;
	mw_cmd_progress__end(heap->progress);
	/* Not before: a survey that fails closes the image. */
	heap->progress = ret ? NULL : mw_cmd_progress__start(opt, image);
	if (ret)
		mw_cmd_heap__close(heap);
	return ret;
}

void mw_cmd_heap__release(struct mw_cmd_heap *heap)
{
	mw_cmd_progress__end(heap->progress);
	heap->progress = NULL;
	if (heap->freeze)
		heap->show.held_ns = mw_freeze__end(heap->freeze);
	heap->freeze = NULL;
}

void mw_cmd_heap__close(struct mw_cmd_heap *heap)
{
	mw_cmd_heap__release(heap);
	mw_survey__close(&heap->survey);
}

FILE *mw_cmd_heap__output(struct mw_cmd_heap *heap, const struct mw_options *opt,
			  struct mw_err *err)
{
	FILE *out = mw_cmd_output_open(opt, err);

	heap->show.utf8 = mw_cmd_wants_utf8();
	heap->show.color = out && mw_cmd_wants_color(opt, out);
	return out;
}

int mw_cmd_heap__done(const struct mw_options *opt, FILE *out, int ret, struct mw_err *err)
{
	int closed = mw_cmd_output_close(opt, out, ret ? NULL : err);

	return ret ? ret : closed;
}

static int show_to_output(struct mw_cmd_heap *heap, const struct mw_options *opt,
			  mw_cmd_show_fn show, struct mw_err *err)
{
	FILE *out = mw_cmd_heap__output(heap, opt, err);

	if (!out)
		return err->code;
	return mw_cmd_heap__done(opt, out, show(out, &heap->survey, &heap->show, err), err);
}

int mw_cmd_heap__report(const struct mw_options *opt, mw_cmd_measure_fn measure,
			mw_cmd_show_fn show)
{
	struct mw_cmd_heap heap;
	struct mw_err err = {0};
	int ret;

	mw_cmd_log_to_stderr(opt);
	if (opt->argc != 1) {
		mw_err_usage(&err, opt->command->name, "give one PID, process name or core");
		return mw_cmd_fail(opt, &err);
	}
	ret = mw_cmd_heap__open(&heap, opt, &err);
	if (ret)
		return mw_cmd_fail(opt, &err);
	if (measure)
		ret = measure(&heap.survey, &err);
	mw_cmd_heap__release(&heap);
	if (!ret)
		ret = show_to_output(&heap, opt, show, &err);
	mw_cmd_heap__close(&heap);
	return ret ? mw_cmd_fail(opt, &err) : MW_EXIT_OK;
}
