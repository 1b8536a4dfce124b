// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdlib.h>

#include "cmd/document.h"
#include "cmd/index.h"
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
	 "stop all threads while the memory is read (so that it does not change)", NULL},
	{0},
};

const struct mw_option_group mw_cmd_document_group = {.rows = rows};

/* An open target, stopped as long as FREEZE is not NULL. */
struct target {
	const struct mw_options *opt;
	struct mw_survey survey;
	struct mw_index *index; /* of a core, that the survey is made of; or NULL */
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

static struct mw_image *open_image(struct target *target, const struct mw_options *opt,
				   const char *word, struct mw_err *err)
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
	if (mw_cmd_wants_index(opt)) {
		mw_err_usage(err, "index",
			     "only a core has an index: '%.40s' is a process, whose memory changes",
			     word);
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
	if (image && target->freeze)
		mw_freeze__still(target->freeze, image);
	return image;
}

/* The survey of IMAGE; of a core with its index, where what it NEEDS (MW_NEEDS_…) may use one. */
static int open_survey(struct target *target, const struct mw_options *opt, const char *word,
		       unsigned int needs, struct mw_image *image, struct mw_err *err)
{
	_cleanup_free_ char *words = NULL;

	if (!mw_cmd_is_core(word) || !(needs & MW_USES_INDEX))
		return mw_survey__open(&target->survey, image, err);
	if (asprintf(&words, "%s\n%s", exe ? exe : "", sysroot ? sysroot : "") < 0)
		words = NULL;
	return mw_cmd_open_indexed(opt, word, words ? words : "", !(needs & MW_NEEDS_NO_HEAP),
				   image, &target->survey, &target->index, err);
}

static void close_target(struct target *target)
{
	mw_survey__close(&target->survey);
	mw_index__close(target->index);
}

static int open_target(struct target *target, const struct mw_options *opt, const char *word,
		       unsigned int needs, struct mw_err *err)
{
	struct mw_image *image;
	int ret;

	/* Unpacking a core may take long, too. */
	target->progress = mw_cmd_progress__start(opt, NULL, 0);
	image = open_image(target, opt, word, err);
	ret = image ? open_survey(target, opt, word, needs, image, err) : err->code;
	mw_cmd_progress__end(target->progress);
	/* Not earlier: a survey that fails closes the image. */
	target->progress = ret ? NULL : mw_cmd_progress__start(opt, image, 0);
	return ret;
}

static void show_work(void *arg, bool works)
{
	struct target *target = arg;

	mw_cmd_progress__end(target->progress);
	target->progress = NULL;
	if (!works)
		return;
	fflush(target->out.file);
	target->progress = mw_cmd_progress__start(target->opt, target->survey.image, 0);
}

static int open_output(struct target *target, const struct mw_options *opt, struct mw_err *err)
{
	target->out.works = show_work;
	target->out.arg = target;
	return mw_cmd_out_open(opt, &target->out, err);
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
	struct target target = {.opt = opt, .out = {.json = opt->json, .verbose = opt->verbose}};
	struct job job = {mw_document_find(opt->command->name), requests, count, {0}};
	struct mw_err err = {0};
	int ret = 0;

	for (size_t i = 0; i < count && !ret; i++)
		ret = mw_document__check(job.document, &requests[i], &err);
	if (ret)
		return mw_cmd_fail(opt, &err);
	mw_cmd_log_to_stderr(opt);
	ret = open_target(&target, opt, opt->argv[0], job.document->needs, &err);
	if (!ret)
		ret = mw_findings__measure(&job.found, job.document, &target.survey, &err);
	if (!ret && target.freeze && (job.document->needs & MW_NEEDS_MEMORY))
		ret = write_while_held(&job, &target, opt, &err);
	else if (!ret)
		ret = write_output(&job, &target, opt, &err);
	release(&target);
	mw_findings__free(&job.found);
	close_target(&target);
	return ret ? mw_cmd_fail(opt, &err) : MW_EXIT_OK;
}

int mw_cmd_survey(const struct mw_options *opt, const char *word, mw_cmd_survey_fn take, void *arg,
		  struct mw_err *err)
{
	struct target target = {0};
	int ret = open_target(&target, opt, word, MW_USES_INDEX, err);

	if (!ret)
		ret = take(arg, &target.survey, err);
	release(&target);
	close_target(&target);
	return ret;
}

static int parse_address(const char *text, uint64_t *addr)
{
	char *end;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	*addr = strtoull(text, &end, 0);
	return *end || errno ? -EINVAL : 0;
}

int mw_cmd_print_addresses(const struct mw_options *opt, const struct mw_request *request,
			   bool none_allowed)
{
	_cleanup_free_ struct mw_request *requests = NULL;
	const char *name = opt->command->name;
	struct mw_err err = {0};

	if (opt->argc == 1 && none_allowed)
		return mw_cmd_print_document(opt, request, 1);
	if (opt->argc < 2) {
		mw_err_usage(&err, name, "give a PID, process name or core%s",
			     none_allowed ? "" : ", and an address");
		return mw_cmd_fail(opt, &err);
	}
	requests = calloc((size_t)opt->argc, sizeof(*requests));
	if (!requests) {
		mw_err_no_memory(&err, NULL);
		return mw_cmd_fail(opt, &err);
	}
	for (int i = 1; i < opt->argc; i++) {
		requests[i - 1] = *request;
		if (parse_address(opt->argv[i], &requests[i - 1].address)) {
			mw_err_usage(&err, name, "'%.40s' is not an address, such as 0x7f12345678",
				     opt->argv[i]);
			return mw_cmd_fail(opt, &err);
		}
	}
	return mw_cmd_print_document(opt, requests, (size_t)opt->argc - 1);
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
