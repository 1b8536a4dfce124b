/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One ELF file: its symbols, code and identity. Read with elfutils' libelf, which checks the
 * sizes that the file states.
 */
#ifndef MW_IMAGE_ELFFILE_H
#define MW_IMAGE_ELFFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

struct mw_elffile; /* opaque */

struct mw_symbol {
	uint64_t value;	 /* virtual address in the file */
	uint64_t size;	 /* bytes, 0 when the file does not say */
	uint64_t offset; /* in the file; UINT64_MAX for memory without file bytes (.bss) */
	bool dynamic;	 /* from the dynamic symbol table: takes part in symbol binding */
};

/*
 * Open PATH. NAME is what messages call it, such as the process's own path of it. NULL with errno
 * and ERR set: not an ELF, another machine, 32-bit, unreadable.
 */
struct mw_elffile *mw_elffile__open(const char *path, const char *name, struct mw_err *err);
/* The same for the open file FD, which it takes over: it closes FD even when it fails. */
struct mw_elffile *mw_elffile__open_fd(int fd, const char *name, struct mw_err *err);
void mw_elffile__close(struct mw_elffile *file);

/* Look NAME up among the defined symbols, dynamic ones first. 0 or -ENOENT. */
int mw_elffile__symbol(struct mw_elffile *file, const char *name, struct mw_symbol *symbol);

/* The same among dynamic symbols only, which strip leaves. */
int mw_elffile__dynamic_symbol(struct mw_elffile *file, const char *name, struct mw_symbol *symbol);

/* Is there a section NAME, a note of OWNER? */
bool mw_elffile__has_section(const struct mw_elffile *file, const char *name);
bool mw_elffile__has_note(const struct mw_elffile *file, const char *owner);

/* A section's name, good as long as its file, and where it is in the file. */
struct mw_section {
	const char *name;
	uint64_t offset, size; /* bytes */
};

/* The sections that are mapped as neither writable nor code, MAX at most. Returns how many. */
size_t mw_elffile__read_only_sections(const struct mw_elffile *file, struct mw_section *sections,
				      size_t max);

/*
 * What symbols need besides mapped sections: the section headers, the names of sections, the full
 * table of symbols and its strings. Returns how many, MAX at most; names are "".
 */
size_t mw_elffile__unmapped_tables(const struct mw_elffile *file, struct mw_section *sections,
				   size_t max);

/* Virtual address and bytes of the dynamic section. False: there is none. */
bool mw_elffile__dynamic(const struct mw_elffile *file, uint64_t *addr, uint64_t *size);

/*
 * The load bias of the file in a process: given that file offset OFFSET is mapped at START.
 * Unsigned arithmetic; 0 for an executable at fixed addresses.
 */
uint64_t mw_elffile__bias(const struct mw_elffile *file, uint64_t start, uint64_t offset);

/* Its descriptor, which stays the file's. */
int mw_elffile__fd(const struct mw_elffile *file);

/* Copy up to LEN bytes at virtual address VALUE of the file. Returns how many. */
size_t mw_elffile__bytes(const struct mw_elffile *file, uint64_t value, void *buf, size_t len);

/*
 * Find NEEDLE in the first 64 MiB of the read-only segments. Returns where it begins and in LEFT
 * how many bytes follow; valid until the next call or until FILE is closed. NULL: not found.
 */
const char *mw_elffile__find_text(struct mw_elffile *file, const char *needle, size_t *left);

/* The build id as hexadecimal text, or "" when there is none. Lives as long as FILE. */
const char *mw_elffile__build_id(const struct mw_elffile *file);

/* The writable PT_LOAD segments: the I-th one's address range, false past the last. */
bool mw_elffile__data_segment(const struct mw_elffile *file, size_t i, uint64_t *start,
			      uint64_t *end);

#endif
