/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * glibc malloc's present settings: its `struct malloc_par mp_` (malloc/malloc.c), above all the
 * mmap threshold, which moves up unless someone has fixed it.
 */
#ifndef MW_HEAP_GLIBC_SETTINGS_H
#define MW_HEAP_GLIBC_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "image/image.h"

struct mw_glibc_settings {
	uint64_t mp_addr; /* of mp_ in the image; 0: not found, the rest is unknown */
	uint64_t mmap_threshold, trim_threshold, top_pad; /* bytes */
	uint64_t arena_test, arena_max;			  /* arenas */
	uint64_t n_mmaps, n_mmaps_max; /* chunks with a mapping of their own; at most */
	uint64_t mmapped_bytes;	       /* of them, as glibc counts them */
	uint64_t sbrk_base;	       /* where the main arena begins, 0: not used yet */
	bool dynamic;	      /* the thresholds move; false: mallopt or a tunable fixed them */
	const char *evidence; /* how mp_ was found */
	const struct mw_ptmalloc_layout *layout; /* by which it was read */
};

/*
 * Find mp_ of the glibc whose file is mapped at ADDR (any address of it): by its symbol in that
 * file or in its debug file, or as the one place in the file's data that fits. 0, or -ENOENT:
 * neither found exactly one.
 */
int mw_glibc_settings__find(struct mw_glibc_settings *settings, struct mw_image *image,
			    uint64_t addr);

/* Read the values again from where they were found. 0, or -ENOENT: they can't be read there. */
int mw_glibc_settings__refresh(struct mw_glibc_settings *settings, struct mw_image *image);

#endif
