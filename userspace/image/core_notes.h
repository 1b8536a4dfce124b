/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The notes of an ELF core (core(5), <elf.h>, <sys/procfs.h>). */
#ifndef MW_IMAGE_CORE_NOTES_H
#define MW_IMAGE_CORE_NOTES_H

#include <stddef.h>
#include <stdint.h>

#include "image/image_impl.h"

/* The notes that `memwhere snapshot` adds, under the name MW_NOTE_NAME. */
#define MW_NOTE_NAME	"MEMWHERE"
#define MW_NT_SMAPS	0x4d570001u /* the text of /proc/PID/smaps */
#define MW_NT_RESIDENCY 0x4d570002u /* pairs of u64: start and end of runs of resident pages */

struct mw_file_mapping {
	uint64_t start, end, offset; /* bytes */
	char *path;
};

struct mw_core_notes {
	struct mw_file_mapping *files; /* NT_FILE, sorted by start */
	size_t file_count;
	struct mw_regions recorded; /* of a snapshot; empty in other cores */
	struct mw_spans spans;
	bool has_spans;
};

/*
 * Read the LEN bytes of one PT_NOTE segment; add threads and auxiliary vector to IMAGE. Skips what
 * is damaged. 0 or -ENOMEM.
 */
int mw_core_notes__parse(struct mw_core_notes *notes, struct mw_image *image, const uint8_t *data,
			 size_t len, size_t align);
void mw_core_notes__free(struct mw_core_notes *notes);

/* The file mapping that holds ADDR, or NULL. */
const struct mw_file_mapping *mw_core_notes__file(const struct mw_core_notes *notes, uint64_t addr);

#endif
