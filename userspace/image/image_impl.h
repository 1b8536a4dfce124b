/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Shared by the kinds of images; only for userspace/image/. */
#ifndef MW_IMAGE_IMAGE_IMPL_H
#define MW_IMAGE_IMAGE_IMPL_H

#include "image/image.h"

/* What a kind of image does. Only spans and, without a reader, read are needed. */
struct mw_image_ops {
	ssize_t (*read)(struct mw_image *image, uint64_t addr, void *buf, size_t len);
	/* May be NULL; see mw_image__read_parts(). */
	size_t (*read_parts)(struct mw_image *image, uint64_t addr, uint64_t stride, void *buf,
			     size_t len, size_t count);
	int (*spans)(struct mw_image *image, struct mw_spans *out);
	/* Open the file that REGION maps: a descriptor, or -1. REGION has an inode. */
	int (*open_file)(struct mw_image *image, const struct mw_region *region);
	/* See mw_image__missing_file(). NULL: no file is missing. */
	bool (*missing)(const struct mw_image *image, size_t i, struct mw_missing_file *missing);
	/* See mw_image__held(). NULL: nothing is lacking. */
	uint64_t (*held)(const struct mw_image *image, const struct mw_region *r);
	/* The first byte from ADDR on that the image has, or UINT64_MAX. NULL: it has all. */
	uint64_t (*next_held)(const struct mw_image *image, uint64_t addr);
	int (*refresh)(struct mw_image *image);
	/* Do the process's mappings differ from the regions? NULL: they can't. */
	bool (*remapped)(const struct mw_image *image);
	void (*close)(void *state);
};

struct mw_auxv {
	uint64_t type, value;
};

enum { MW_AUXV_MAX = 64, MW_BUILD_ID_TEXT = 160 };

struct mw_image {
	const struct mw_image_ops *ops;
	void *state; /* of this kind */
	enum mw_residency residency;
	pid_t process; /* its PID; 0: not a process on this machine */
	char name[192];
	struct mw_regions regions;
	char *smaps; /* what they were read from; may be NULL */
	size_t smaps_len;
	struct mw_thread *threads;
	size_t thread_count, thread_capacity;
	struct mw_auxv auxv[MW_AUXV_MAX];
	size_t auxv_count;
	struct mw_spans spans;
	bool has_spans;
	bool changes;			   /* memory may change between two reads */
	bool hurries;			   /* mw_image__hurry() */
	atomic_uint waits_left;		   /* for threads, then */
	atomic_bool remapped;		   /* since the regions were read */
	bool exact_spans;		   /* known page by page, not only in number */
	const char *roots[MW_IMAGE_ROOTS]; /* owned by STATE */
	const char *exe;		   /* owned by STATE; may be NULL */
	struct mw_reader *reader;   /* caller's functions that memory is read with, or NULL */
	const atomic_bool *stop;    /* may be NULL */
	uint64_t present, promised; /* coverage */
	atomic_uint_least64_t bytes_read;
	atomic_uint_least64_t in_swap; /* reads that failed for it */
};

/* Append; touching spans are joined. 0 or -ENOMEM. */
int mw_spans__add(struct mw_spans *spans, uint64_t start, uint64_t end);

struct mw_thread *mw_image__add_thread(struct mw_image *image);

/* Take over auxiliary vector entries from LEN bytes of pairs. */
void mw_image__set_auxv(struct mw_image *image, const void *data, size_t len);

/*
 * process.c: copy up to LEN bytes at ADDR of IMAGE, a process, whatever it is. Returns how many, or
 * -errno.
 */
ssize_t mw_process_copy(const struct mw_image *image, uint64_t addr, void *buf, size_t len);

/*
 * process.c: of a process that is held, the pages that hold something, be it in swap or in huge
 * pages of hugetlbfs. The caller frees the spans. 0 or -errno.
 */
int mw_image__content(struct mw_image *image, struct mw_spans *out);

/* let_run.c: see mw_image__let_run(). */
void mw_process_let_run(pid_t pid);

/* reader.c: reads with a caller's functions, and opens the file that they name for a build id. */
ssize_t mw_reader__read(struct mw_image *image, uint64_t addr, void *buf, size_t len);
int mw_reader__open_file(const struct mw_reader *reader, const char *id);
void mw_reader__close(struct mw_reader *reader);

/*
 * Unpack FD into a new unlinked file; its first bytes say how it is compressed. Returns the new
 * descriptor, MW_UNPACK_PLAIN when FD is not compressed, or -errno with ERR set. Sets CUT when the
 * stream ended early; the part before is unpacked.
 */
int mw_unpack(int fd, const char *name, bool *cut, struct mw_err *err);

#define MW_UNPACK_PLAIN (1 << 30)

#endif
