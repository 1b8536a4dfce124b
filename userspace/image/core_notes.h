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
#define MW_NT_FILE_REST 0x4d570003u /* see struct mw_file_rest */

/*
 * What is not mapped of an ELF file, but needed to know its symbols: section headers, symbol and
 * string tables. In the note the path, with a NUL, precedes the data.
 */
struct mw_file_rest {
	char *path;
	uint8_t *data; /* runs: offset in the file and length, each a u64, then the bytes */
	size_t len;
};

struct mw_file_mapping {
	uint64_t start, end, offset; /* bytes */
	char *path;		     /* without " (deleted)" */
	bool deleted;		     /* the file was unlinked */
};

struct mw_core_notes {
	struct mw_file_mapping *files; /* NT_FILE, sorted by start */
	size_t file_count;
	struct mw_file_rest *rests; /* of a snapshot */
	size_t rest_count, rest_capacity;
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
