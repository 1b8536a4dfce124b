/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * libmemwhere.so: the engine behind the commands, for callers that bring their own way to read
 * memory. Made for the GDB commands next door, which call it through ctypes; the symbols that
 * begin with mw_engine are all that it exports. It never prints, never exits, leaves signals
 * alone and keeps no state but what is in a struct mw_engine (the log's sink apart, which it
 * sets for the time of a call): it is a guest in another program.
 *
 * A caller checks mw_engine_abi() first. Structures only ever change together with that number;
 * new kinds of documents don't change it.
 */
#ifndef MW_ENGINE_ENGINE_H
#define MW_ENGINE_ENGINE_H

#include <stddef.h>
#include <stdint.h>

#include "image/image.h"
#include "util/err.h"

#define MW_ENGINE_ABI 2

struct mw_engine; /* opaque */

/* A warning or, from verbose requests, a detail (enum mw_log_level). */
typedef void (*mw_engine_log_fn)(void *arg, int level, const char *line);

/* What is looked at. Exactly one of the three: a core, a process on this machine, a description. */
struct mw_engine_target {
	const char *core;	   /* its path, or NULL */
	const char *exe, *sysroot; /* where the core's files are; may be NULL */
	int pid;		   /* or 0 */
	const struct mw_image_description *description;
	mw_engine_log_fn log; /* may be NULL */
	void *log_arg;
};

enum { MW_ENGINE_JSON = 1, MW_ENGINE_VERBOSE = 2, MW_ENGINE_UTF8 = 4 };

/* What to show, and how the text leaves. */
struct mw_engine_request {
	const char *what; /* "malloc", "ledger", "whatis", …: engine.c has the table */
	uint64_t number;  /* an address or a size class, as WHAT needs it */
	const char *text; /* a type's name or a file's, as WHAT needs it */
	unsigned int flags;
	/* Take LEN bytes of text; other than 0: enough, stop. */
	int (*write)(void *arg, const char *text, size_t len);
	void *arg;
};

int mw_engine_abi(void);

/*
 * Look at TARGET, whose memory is read with CALLBACKS. Their close() is not used here: what they
 * and the log need lives until mw_engine__close(). NULL with ERR set.
 */
struct mw_engine *mw_engine__open(const struct mw_engine_target *target,
				  const struct mw_image_callbacks *callbacks, struct mw_err *err);
void mw_engine__close(struct mw_engine *engine);

/* Write a document. 0 or -errno with ERR set; -EPIPE when the caller's write said enough. */
int mw_engine__show(struct mw_engine *engine, const struct mw_engine_request *request,
		    struct mw_err *err);

#endif
