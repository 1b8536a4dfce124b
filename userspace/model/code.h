/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whose code a frame runs: the user's, an installed package's, the language's, the allocator's. */
#ifndef MW_MODEL_CODE_H
#define MW_MODEL_CODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/sites.h"

enum mw_code {
	MW_CODE_OWN,	  /* the user's, as far as its path says */
	MW_CODE_PACKAGE,  /* installed: site-packages, node_modules, Cargo's registry */
	MW_CODE_LANGUAGE, /* the standard library, or the C library */
	MW_CODE_ALLOCATOR,
	MW_CODE_NOTE, /* no code */
};

enum mw_code mw_code_of(const struct mw_frame *frame);

/*
 * A frame of a language that is not compiled ahead of time. Texts point into the frame and are not
 * terminated.
 */
struct mw_script {
	const char *file, *function;
	size_t file_len, function_len;
	uint32_t line; /* 0: not known */
};

/*
 * True for Python, and for what V8 compiled ("JS:*handle /srv/app.js:3:18" in the map of code made
 * at run time: node --perf-basic-prof); its line is where the function begins.
 */
bool mw_code_script(const struct mw_frame *frame, struct mw_script *out);

/*
 * The package that FILE is of, as the part of its path after site-packages, node_modules or the
 * like: "flask", "json". Of other files the folder. Not terminated: LEN bytes.
 */
const char *mw_code_package(const char *file, size_t *len);

#endif
