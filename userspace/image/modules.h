/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The ELF files of a process in the order in which the dynamic linker binds symbols:
 * the executable, preloaded libraries, its libraries, then those that dlopen loaded. From the
 * linker's own list (struct r_debug of <link.h>), found through AT_PHDR and DT_DEBUG.
 */
#ifndef MW_IMAGE_MODULES_H
#define MW_IMAGE_MODULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "image/image.h"
#include "util/err.h"

struct mw_module {
	const struct mw_map *map; /* its first mapping, in the image's regions */
	uint64_t bias;		  /* load bias: address in the process - address in the file */
	bool executable;	  /* the program itself */
};

struct mw_modules {
	struct mw_module *modules;
	size_t count, capacity;
	bool is_static; /* the program has no dynamic linker */
};

/*
 * List the modules of IMAGE, into whose regions the list points. 0 or -errno with ERR set; -EAGAIN
 * when the linker has no list yet, because the process has just started.
 */
int mw_modules__read(struct mw_modules *modules, struct mw_image *image, struct mw_err *err);
void mw_modules__free(struct mw_modules *modules);

#endif
