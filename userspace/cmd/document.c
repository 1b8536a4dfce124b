// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>

#include "cmd/document.h"
#include "cmd/progress.h"
#include "image/freeze.h"
#include "util/cleanup.h"

static const char *exe, *sysroot;
static bool stop;

static const struct mw_option rows[] = {
	{"exe", 0, MW_OPT_FILE, MW_VALUE(text, exe), "FILE", "the core's executable", NULL},
	{"sysroot", 0, MW_OPT_DIR, MW_VALUE(text, sysroot), "DIR",
	 "folder with the files of the core's machine", NULL},
	{"stop", 0, MW_OPT_FLAG, MW_VALUE(flag, stop), NULL,
	 "stop all threads while the memory is read, so that it does not change", NULL},
	{0},
};

const struct mw_option_group mw_cmd_document_group = {.rows = rows};

/* An open target, stopped as long as FREEZE is not NULL. */
struct target {
	struct mw_survey survey;
	struct mw_freeze *freeze;
	struct mw_cmd_progress *progress;
	struct mw_out out;
};

/* Let a stopped process run on, as soon as everything is read. */
static void release(struct target *target)
{
	mw_cmd_progress__end(target->progress);
	target->progress = NULL;
	if (target->freeze)
		target->out.held_ns = mw_freeze__end(target->freeze);
	target->freeze = NULL;
}

static struct mw_image *open_image(struct target *target, const char *word, struct mw_err *err)
{
	const struct mw_image_options where = {exe, sysroot};
	struct mw_image *image;
	pid_t pid;

	if (mw_cmd_is_core(word)) {
		if (!stop)
			return mw_image__open_core(word, &where, err);
		mw_err_usage(err, "stop", "only a running process can be stopped, not a core");
		return NULL;
	}
	if (mw_cmd_find_process(word, &pid, err))
		return NULL;
	if (stop) {
		target->freeze = mw_freeze__start(pid, err);
		if (!target->freeze)
			return NULL;
	}
	image = mw_image__open_process(pid, MW_IMAGE_WHOLE, err);
	if (image)
		mw_image__set_still(image, stop);
	return image;
}

static int open_target(struct target *target, const struct mw_options *opt, struct mw_err *err)
{
	struct mw_image *image;
	int ret;

	/* Unpacking a core may take long, too. */
	target->progress = mw_cmd_progress__start(opt, NULL);
	image = open_image(target, opt->argv[0], err);
	ret = image ? mw_survey__open(&target->survey, image, err) : err->code;
	mw_cmd_progress__end(target->progress);
	/* Not earlier: a survey that fails closes the image. */
	target->progress = ret ? NULL : mw_cmd_progress__start(opt, image);
	return ret;
}

static int open_output(struct target *target, const struct mw_options *opt, struct mw_err *err)
{
	target->out.file = mw_cmd_output_open(opt, err);
	if (!target->out.file)
		return err->code;
	target->out.color = mw_cmd_wants_color(opt, target->out.file);
	target->out.utf8 = mw_cmd_wants_utf8();
	return 0;
}

struct job {
	const struct mw_document *document;
	const struct mw_request *requests;
	size_t count;
	struct mw_findings found;
};

static int write_requests(const struct job *job, const struct mw_out *out, struct mw_err *err)
{
	int ret = 0;

	for (size_t i = 0; i < job->count && !ret; i++)
		ret = job->document->write(out, &job->found, &job->requests[i], err);
	return ret;
}

static int write_output(const struct job *job, struct target *target, const struct mw_options *opt,
			struct mw_err *err)
{
	int ret, closed;

	release(target);
	ret = open_output(target, opt, err);
	if (ret)
		return ret;
	ret = write_requests(job, &target->out, err);
	/* Closing tells a closed pipe from a full disk, so its error goes before that of a write.
	 */
	closed = mw_cmd_output_close(opt, target->out.file, !ret || ret == -EIO ? err : NULL);
	return closed && (!ret || ret == -EIO) ? closed : ret;
}

/* A slow reader of the output must not prolong the stop: write into memory, then release. */
static int write_while_held(const struct job *job, struct target *target,
			    const struct mw_options *opt, struct mw_err *err)
{
	_cleanup_free_ char *text = NULL;
	size_t len = 0;
	int ret;

	target->out.file = open_memstream(&text, &len);
	if (!target->out.file)
		return mw_err_no_memory(err, NULL);
	ret = write_requests(job, &target->out, err);
	release(target);
	if (fclose(target->out.file) && !ret)
		ret = mw_err_no_memory(err, NULL);
	if (!ret)
		ret = open_output(target, opt, err);
	if (ret)
		return ret;
	fwrite(text, 1, len, target->out.file);
	return mw_cmd_output_close(opt, target->out.file, err);
}

int mw_cmd_print_document(const struct mw_options *opt, const struct mw_request *requests,
			  size_t count)
{
	struct target target = {.out = {.json = opt->json, .verbose = opt->verbose}};
	struct job job = {mw_document_find(opt->command->name), requests, count, {0}};
	struct mw_err err = {0};
	int ret = 0;

	for (size_t i = 0; i < count && !ret; i++)
		ret = mw_document__check(job.document, &requests[i], &err);
	if (ret)
		return mw_cmd_fail(opt, &err);
	mw_cmd_log_to_stderr(opt);
	ret = open_target(&target, opt, &err);
	if (!ret)
		ret = mw_findings__measure(&job.found, job.document, &target.survey, &err);
	if (!ret && target.freeze && (job.document->needs & MW_NEEDS_MEMORY))
		ret = write_while_held(&job, &target, opt, &err);
	else if (!ret)
		ret = write_output(&job, &target, opt, &err);
	release(&target);
	mw_findings__free(&job.found);
	mw_survey__close(&target.survey);
	return ret ? mw_cmd_fail(opt, &err) : MW_EXIT_OK;
}

int mw_cmd_run_document(const struct mw_options *opt)
{
	const struct mw_request all = {0};
	struct mw_err err = {0};

	if (opt->argc != 1) {
		mw_err_usage(&err, opt->command->name, "give one PID, process name or core");
		return mw_cmd_fail(opt, &err);
	}
	return mw_cmd_print_document(opt, &all, 1);
}
