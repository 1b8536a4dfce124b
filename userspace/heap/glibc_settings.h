/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * glibc malloc's present settings in a running process: its `struct malloc_par mp_`
 * (malloc/malloc.c), above all the mmap threshold, which creeps up unless someone has fixed it.
 */
#ifndef MW_HEAP_GLIBC_SETTINGS_H
#define MW_HEAP_GLIBC_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "image/elffile.h"
#include "util/err.h"

struct mw_glibc_settings {
	uint64_t mp_addr; /* of mp_ in the process; 0: not found, the rest is unknown */
	uint64_t mmap_threshold, trim_threshold, top_pad; /* bytes */
	bool dynamic;	       /* the thresholds move; false: mallopt or a tunable fixed them */
	uint32_t fixed_offset; /* of no_dyn_threshold in mp_ */
	const char *evidence;  /* how mp_ was found */
};

/*
 * Find mp_ of the glibc in ELF, loaded in PID with BIAS, by its symbol (in ELF or in the separate
 * debug file of its build id), or by a search of its data that validates what it finds. 0 or
 * -ENOENT: neither found exactly one.
 */
int mw_glibc_settings__find(struct mw_glibc_settings *settings, pid_t pid, struct mw_elffile *elf,
			    uint64_t bias);

/* Read the values again from where they were found. 0 or -errno. */
int mw_glibc_settings__refresh(struct mw_glibc_settings *settings, pid_t pid);

#endif
