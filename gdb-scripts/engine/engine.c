// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/engine.h"
#include "ledger/survey.h"
#include "report/python_documents.h"
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
	const struct mw_engine_request *request;
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
			     : mw_image__open_live(target->pid, err);
	if (image && mw_image__redirect(image, callbacks)) {
		mw_err_set(err, -ENOMEM, "no-memory", NULL, "out of memory");
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
		mw_err_set(err, -ENOMEM, "no-memory", NULL, "out of memory");
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

static int show_ledger(struct mw_engine *engine, FILE *out, const struct mw_engine_request *request,
		       const struct mw_show *show, struct mw_err *err)
{
	struct mw_ledger ledger;
	int ret = mw_survey__ledger(&engine->survey, &ledger, err);

	(void)request;
	if (!ret)
		ret = mw_show_ledger(out, &engine->survey, &ledger, show, err);
	mw_ledger__free(&ledger);
	return ret;
}

static int show_malloc(struct mw_engine *engine, FILE *out, const struct mw_engine_request *request,
		       const struct mw_show *show, struct mw_err *err)
{
	(void)request;
	return mw_show_malloc(out, &engine->survey, show, err);
}

static int show_whatis(struct mw_engine *engine, FILE *out, const struct mw_engine_request *request,
		       const struct mw_show *show, struct mw_err *err)
{
	return mw_show_whatis(out, &engine->survey, request->number, show, err);
}

static int show_arenas(struct mw_engine *engine, FILE *out, const struct mw_engine_request *request,
		       const struct mw_show *show, struct mw_err *err)
{
	(void)request;
	return mw_show_arenas(out, &engine->survey, show, err);
}

static int show_census(struct mw_engine *engine, FILE *out, const struct mw_engine_request *request,
		       const struct mw_show *show, struct mw_err *err)
{
	(void)request;
	return mw_show_census(out, &engine->survey, show, err);
}

static int show_freelists(struct mw_engine *engine, FILE *out,
			  const struct mw_engine_request *request, const struct mw_show *show,
			  struct mw_err *err)
{
	(void)request;
	return mw_show_freelists(out, &engine->survey, show, err);
}

static int show_pools(struct mw_engine *engine, FILE *out, const struct mw_engine_request *request,
		      const struct mw_show *show, struct mw_err *err)
{
	return mw_show_pools(out, &engine->survey, request->number, show, err);
}

static int show_blocks(struct mw_engine *engine, FILE *out, const struct mw_engine_request *request,
		       const struct mw_show *show, struct mw_err *err)
{
	return mw_show_blocks(out, &engine->survey, request->number, show, err);
}

static int show_objects(struct mw_engine *engine, FILE *out,
			const struct mw_engine_request *request, const struct mw_show *show,
			struct mw_err *err)
{
	return mw_show_objects(out, &engine->survey, request->text ? request->text : "", show, err);
}

static int show_dump(struct mw_engine *engine, FILE *out, const struct mw_engine_request *request,
		     const struct mw_show *show, struct mw_err *err)
{
	(void)request;
	(void)show;
	return mw_show_dump(out, &engine->survey, err);
}

static int show_pool(struct mw_engine *engine, FILE *out, const struct mw_engine_request *request,
		     const struct mw_show *show, struct mw_err *err)
{
	(void)show;
	return mw_show_pool_of(out, &engine->survey, request->number, err);
}

static int show_arena(struct mw_engine *engine, FILE *out, const struct mw_engine_request *request,
		      const struct mw_show *show, struct mw_err *err)
{
	(void)show;
	return mw_show_arena_of(out, &engine->survey, request->number, err);
}

static int show_typename(struct mw_engine *engine, FILE *out,
			 const struct mw_engine_request *request, const struct mw_show *show,
			 struct mw_err *err)
{
	(void)show;
	return mw_show_type_of(out, &engine->survey, request->number, err);
}

static const struct document {
	const char *what;
	int (*show)(struct mw_engine *engine, FILE *out, const struct mw_engine_request *request,
		    const struct mw_show *show, struct mw_err *err);
} documents[] = {
	{"ledger", show_ledger},     {"malloc", show_malloc},	    {"whatis", show_whatis},
	{"arenas", show_arenas},     {"pools", show_pools},	    {"blocks", show_blocks},
	{"census", show_census},     {"freelists", show_freelists}, {"objects", show_objects},
	{"dump", show_dump},	     {"pool", show_pool},	    {"arena", show_arena},
	{"typename", show_typename},
};

static ssize_t sink_write(void *cookie, const char *text, size_t len)
{
	struct sink *sink = cookie;

	if (!sink->stopped)
		sink->stopped = sink->request->write(sink->request->arg, text, len) != 0;
	return sink->stopped ? 0 : (ssize_t)len;
}

static int write_document(struct mw_engine *engine, const struct document *document,
			  const struct mw_engine_request *request, struct mw_err *err)
{
	const cookie_io_functions_t functions = {.write = sink_write};
	const struct mw_show show = {
		.json = request->flags & MW_ENGINE_JSON,
		.verbose = request->flags & MW_ENGINE_VERBOSE,
		.utf8 = request->flags & MW_ENGINE_UTF8,
	};
	struct sink sink = {request, false};
	FILE *out = fopencookie(&sink, "w", functions);
	int ret;

	if (!out)
		return mw_err_set(err, -ENOMEM, "no-memory", NULL, "out of memory");
	setvbuf(out, NULL, _IOFBF, WRITE_BUFFER);
	ret = document->show(engine, out, request, &show, err);
	if (fclose(out) || sink.stopped)
		return mw_err_set(err, -EPIPE, "stopped", NULL, "stopped");
	return ret;
}

int mw_engine__show(struct mw_engine *engine, const struct mw_engine_request *request,
		    struct mw_err *err)
{
	for (size_t i = 0; i < sizeof(documents) / sizeof(documents[0]); i++) {
		int ret;

		if (strcmp(documents[i].what, request->what))
			continue;
		engine->verbose = request->flags & MW_ENGINE_VERBOSE;
		mw_log_set_sink(log_to_caller, engine);
		ret = write_document(engine, &documents[i], request, err);
		mw_log_set_sink(NULL, NULL);
		return ret;
	}
	return mw_err_usage(err, NULL, "this library does not know '%.40s'", request->what);
}
