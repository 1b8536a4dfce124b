/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A file of flat arrays that were made from another file and stand in for making them again. It
 * says which program made it of which file, and has a digest of each array; one that is not
 * exactly that is not used. It appears under its name when it is whole, or not at all. Whoever
 * uses an array checks what is in it: a digest tells damage, not malice.
 */
#ifndef MW_UTIL_INDEX_FILE_H
#define MW_UTIL_INDEX_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/err.h"

/* What an index is of, and who made it: both must be the same to use it. */
struct mw_index_key {
	char maker[128];     /* program, version and build */
	uint64_t subject[4]; /* the file that it was made from: mw_index_key__set_subject() */
};

/*
 * The subject of a key for the file at PATH: its size, its time of change, and a digest of its
 * first MiB (of a core: headers and notes) and of pieces from all over it. WORDS, which may be "",
 * is anything else that decides what is made of the file. 0 or -errno.
 */
int mw_index_key__set_subject(struct mw_index_key *key, const char *path, const char *words);

/* ---- reading -------------------------------------------------------------------------------- */

struct mw_index; /* opaque */

/*
 * Map the index at PATH. NULL with errno and ERR set: -ENOENT there is none; -ESTALE it was made of
 * another file, or by another program; -EBADMSG it is damaged or cut short. Its arrays are only
 * looked at when asked for.
 */
struct mw_index *mw_index__open(const char *path, const struct mw_index_key *key,
				struct mw_err *err);
/* The same of SIZE bytes at DATA, which outlive it. CHECK: the digests must be right. */
struct mw_index *mw_index__of(void *data, size_t size, const struct mw_index_key *key, bool check,
			      struct mw_err *err);
void mw_index__close(struct mw_index *index);

/*
 * Array ID, whose elements have SIZE bytes: COUNT of them, aligned to pages. They may be written
 * to, which does not change the file. NULL: there is no such array, or it is damaged.
 */
void *mw_index__array(struct mw_index *index, uint32_t id, size_t size, uint64_t *count);

/* ---- writing -------------------------------------------------------------------------------- */

struct mw_index_writer; /* opaque */

/*
 * Begin to write the index at PATH, with the permissions MODE. Until it is whole the file has no
 * name, so that nothing is left of it whatever happens; only on file systems that can't do that it
 * is called PATH.partial. NULL with errno and ERR set.
 */
struct mw_index_writer *mw_index_writer__open(const char *path, mode_t mode, struct mw_err *err);

enum { MW_INDEX_ARRAYS = 64 }; /* at most */

/* Add COUNT elements of SIZE bytes at DATA as array ID. An error is told by the commit. */
void mw_index_writer__add(struct mw_index_writer *writer, uint32_t id, const void *data,
			  size_t size, uint64_t count);

/* Put it in place and free WRITER. 0 or -errno with ERR set; then the old one, if any, remains. */
int mw_index_writer__commit(struct mw_index_writer *writer, const struct mw_index_key *key,
			    struct mw_err *err);
void mw_index_writer__cancel(struct mw_index_writer *writer);

#endif
