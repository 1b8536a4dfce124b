/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * libmemwhere.so: the engine behind the commands, for callers that bring their own way to read
 * memory. The GDB commands next door call it through ctypes; it exports only the symbols that
 * begin with mw_engine. It is a guest in another program: it never prints, never exits, leaves
 * signals alone, and keeps all its state in a struct mw_engine (except for the log's sink, which it
 * sets during a call).
 *
 * A caller checks mw_engine_abi() first. Structures change only together with that number; new
 * documents don't change it.
 */
#ifndef MW_ENGINE_ENGINE_H
#define MW_ENGINE_ENGINE_H

#include <stddef.h>
#include <stdint.h>

#include "image/image.h"
#include "report/documents.h"
#include "util/err.h"

#define MW_ENGINE_ABI 4

struct mw_engine; /* opaque */

/* A warning or, from verbose requests, a detail (enum mw_log_level). */
typedef void (*mw_engine_log_fn)(void *arg, int level, const char *line);

/* What to open. Exactly one of the three: a core, a process on this machine, a description. */
struct mw_engine_target {
	const char *core;	   /* its path, or NULL */
	const char *exe, *sysroot; /* where the core's files are; may be NULL */
	int pid;		   /* or 0 */
	const struct mw_image_description *description;
	/* Of a process on this machine, which the caller holds: its threads, with registers. */
	const struct mw_thread *threads;
	size_t thread_count;
	mw_engine_log_fn log; /* may be NULL */
	void *log_arg;
};

enum { MW_ENGINE_JSON = 1, MW_ENGINE_VERBOSE = 2, MW_ENGINE_UTF8 = 4 };

/* How the text of a document looks, and how it leaves. */
struct mw_engine_output {
	unsigned int flags; /* MW_ENGINE_* */
	/* Take LEN bytes of text; other than 0: enough, stop. */
	int (*write)(void *arg, const char *text, size_t len);
	void *arg;
};

int mw_engine_abi(void);

/*
 * The name of the I-th document, NULL past the last, and in *SUBJECT what it is about (enum
 * mw_subject): which member of a request it uses.
 */
const char *mw_engine_document(size_t i, int *subject);

/*
 * Open TARGET, whose memory is read with CALLBACKS. Their close() is not called: what they and the
 * log need lives until mw_engine__close(). NULL with ERR set.
 */
struct mw_engine *mw_engine__open(const struct mw_engine_target *target,
				  const struct mw_image_callbacks *callbacks, struct mw_err *err);
void mw_engine__close(struct mw_engine *engine);

/*
 * Write the document called NAME. 0 or -errno with ERR set; -EPIPE when the caller's write said
 * enough.
 */
int mw_engine__write(struct mw_engine *engine, const char *name, const struct mw_request *request,
		     const struct mw_engine_output *output, struct mw_err *err);

#endif
