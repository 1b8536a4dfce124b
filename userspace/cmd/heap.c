// SPDX-License-Identifier: GPL-2.0-or-later
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "cmd/heap.h"
#include "util/log.h"
#include "util/units.h"

/* A word of digits is a PID, a file that exists is a core, all else a process name. */
static bool is_core(const char *word)
{
	struct stat st;

	return strchr(word, '/') || (!isdigit((unsigned char)word[0]) && !stat(word, &st));
}

int mw_cmd_heap__open(struct mw_cmd_heap *heap, const struct mw_options *opt, struct mw_err *err)
{
	const struct mw_image_options where = {opt->exe, opt->sysroot};
	const char *target = opt->argv[0];
	pid_t pid;
	int ret;

	memset(heap, 0, sizeof(*heap));
	heap->opt = opt;
	if (is_core(target)) {
		if (opt->stop)
			return mw_err_set(err, -EINVAL, "usage", "stop",
					  "only a running process can be stopped, not a core");
		heap->image = mw_image__open_core(target, &where, err);
		if (!heap->image)
			return err->code;
	} else {
		ret = mw_cmd_find_process(target, &pid, err);
		if (!ret && opt->stop) {
			heap->freeze = mw_freeze__start(pid, err);
			ret = heap->freeze ? 0 : err->code;
		}
		if (ret)
			return ret;
		heap->image = mw_image__open_live(pid, err);
		if (!heap->image) {
			mw_cmd_heap__close(heap);
			return err->code;
		}
	}
	heap->pt = mw_ptmalloc__open(heap->image, &heap->pt_err);
	if (!heap->pt && heap->pt_err.code != -ENOENT) {
		*err = heap->pt_err;
		mw_cmd_heap__close(heap);
		return err->code;
	}
	return 0;
}

void mw_cmd_heap__release(struct mw_cmd_heap *heap)
{
	if (heap->freeze)
		heap->held_ns = mw_freeze__end(heap->freeze);
	heap->freeze = NULL;
}

void mw_cmd_heap__close(struct mw_cmd_heap *heap)
{
	mw_cmd_heap__release(heap);
	mw_ptmalloc__close(heap->pt);
	mw_image__close(heap->image);
	heap->pt = NULL;
	heap->image = NULL;
}

void mw_cmd_heap__add_json(const struct mw_cmd_heap *heap, json_t *doc)
{
	uint64_t present, promised;

	mw_image__coverage(heap->image, &present, &promised);
	if (promised)
		json_object_set_new(doc, "coverage",
				    json_pack("{s:I,s:I}", "present_bytes", (json_int_t)present,
					      "promised_bytes", (json_int_t)promised));
	if (heap->held_ns)
		json_object_set_new(doc, "stopped_seconds", json_real((double)heap->held_ns / 1e9));
}

void mw_cmd_heap__add_text(const struct mw_cmd_heap *heap, FILE *out)
{
	char a[MW_UNIT_BUF], b[MW_UNIT_BUF];
	uint64_t present, promised;

	mw_image__coverage(heap->image, &present, &promised);
	if (present < promised)
		fprintf(out, "cut short: %s of %s (%.1f %%) of the core's memory is there\n",
			mw_format_size(a, present), mw_format_size(b, promised),
			100.0 * (double)present / (double)promised);
	if (heap->held_ns)
		fprintf(out, "the process was stopped for %s\n",
			mw_format_duration(a, heap->held_ns));
}

int mw_cmd_heap__dump(const struct mw_options *opt, json_t *doc, struct mw_err *err)
{
	FILE *out = mw_cmd_output_open(opt, err);

	if (!out)
		return err->code;
	json_dumpf(doc, out, JSON_COMPACT);
	fputc('\n', out);
	return mw_cmd_output_close(opt, out, err);
}
