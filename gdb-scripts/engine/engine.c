// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/engine.h"
#include "report/documents.h"
#include "util/log.h"

enum { WRITE_BUFFER = 32 << 10 };

struct mw_engine {
	struct mw_survey survey;
	mw_engine_log_fn log;
	void *log_arg;
	bool verbose;
};

/* The stream that a document is written to. */
struct sink {
	const struct mw_engine_output *output;
	bool stopped;
};

int mw_engine_abi(void)
{
	return MW_ENGINE_ABI;
}

static struct mw_image *open_image(const struct mw_engine_target *target,
				   const struct mw_image_callbacks *callbacks, struct mw_err *err)
{
	const struct mw_image_options where = {target->exe, target->sysroot};
	struct mw_image *image;

	if (target->description)
		return mw_image__open_described(callbacks, target->description, err);
	image = target->core ? mw_image__open_core(target->core, &where, err)
			     : mw_image__open_process(target->pid, MW_IMAGE_WHOLE, err);
	for (size_t i = 0; image && i < target->thread_count; i++)
		mw_image__set_registers(image, target->threads[i].tid,
					&target->threads[i].registers);
	if (image && mw_image__redirect(image, callbacks)) {
		mw_err_no_memory(err, NULL);
		mw_image__close(image);
		image = NULL;
	}
	return image;
}

static void log_to_caller(enum mw_log_level level, const char *line, void *arg)
{
	const struct mw_engine *engine = arg;

	if (engine->log && (level == MW_LOG_WARN || engine->verbose))
		engine->log(engine->log_arg, (int)level, line);
}

struct mw_engine *mw_engine__open(const struct mw_engine_target *target,
				  const struct mw_image_callbacks *callbacks, struct mw_err *err)
{
	struct mw_engine *engine = calloc(1, sizeof(*engine));
	struct mw_image_callbacks own = *callbacks;
	struct mw_image *image;

	own.close = NULL;

	if (!engine) {
		mw_err_no_memory(err, NULL);
		return NULL;
	}
	engine->log = target->log;
	engine->log_arg = target->log_arg;
	mw_log_set_sink(log_to_caller, engine);
	image = open_image(target, &own, err);
	if (!image || mw_survey__open(&engine->survey, image, err)) {
		free(engine);
		engine = NULL;
	}
	mw_log_set_sink(NULL, NULL);
	return engine;
}

void mw_engine__close(struct mw_engine *engine)
{
	if (engine)
		mw_survey__close(&engine->survey);
	free(engine);
}

const char *mw_engine_document(size_t i, int *subject)
{
	const struct mw_document *document = mw_document_at(i);

	if (!document)
		return NULL;
	*subject = (int)document->subject;
	return document->name;
}

static ssize_t sink_write(void *cookie, const char *text, size_t len)
{
	struct sink *sink = cookie;

	if (!sink->stopped)
		sink->stopped = sink->output->write(sink->output->arg, text, len) != 0;
	return sink->stopped ? 0 : (ssize_t)len;
}

static int write_document(struct mw_engine *engine, const struct mw_document *document,
			  const struct mw_request *request, const struct mw_engine_output *output,
			  struct mw_err *err)
{
	const cookie_io_functions_t functions = {.write = sink_write};
	struct sink sink = {output, false};
	struct mw_out out = {
		.file = fopencookie(&sink, "w", functions),
		.json = output->flags & MW_ENGINE_JSON,
		.verbose = output->flags & MW_ENGINE_VERBOSE,
		.utf8 = output->flags & MW_ENGINE_UTF8,
	};
	struct mw_findings found;
	int ret;

	if (!out.file)
		return mw_err_no_memory(err, NULL);
	setvbuf(out.file, NULL, _IOFBF, WRITE_BUFFER);
	ret = mw_findings__measure(&found, document, &engine->survey, err);
	if (!ret)
		ret = document->write(&out, &found, request, err);
	mw_findings__free(&found);
	if (fclose(out.file) || sink.stopped)
		return mw_err_set(err, -EPIPE, "stopped", NULL, "stopped");
	return ret;
}

int mw_engine__write(struct mw_engine *engine, const char *name, const struct mw_request *request,
		     const struct mw_engine_output *output, struct mw_err *err)
{
	const struct mw_document *document = mw_document_find(name);
	int ret;

	if (!document)
		return mw_err_usage(err, NULL, "this library does not know '%.40s'", name);
	ret = mw_document__check(document, request, err);
	if (ret)
		return ret;
	engine->verbose = output->flags & MW_ENGINE_VERBOSE;
	mw_log_set_sink(log_to_caller, engine);
	ret = write_document(engine, document, request, output, err);
	mw_log_set_sink(NULL, NULL);
	return ret;
}
