/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An image: an address space that can be read, with its regions, threads and residency. A core,
 * a process and a debugger's inferior are images. Nothing above image/ asks which of them it has,
 * only what the image can do.
 */
#ifndef MW_IMAGE_IMAGE_H
#define MW_IMAGE_IMAGE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "arch/arch.h"
#include "image/smaps.h"
#include "util/err.h"

struct mw_image; /* opaque */

/* What the regions' resident bytes mean. */
enum mw_residency {
	MW_RESIDENCY_SMAPS,    /* the kernel's Rss, now */
	MW_RESIDENCY_RECORDED, /* the kernel's Rss when the snapshot was taken */
	MW_RESIDENCY_HELD,     /* a plain core: the bytes that it holds */
};

struct mw_thread {
	pid_t tid;
	struct mw_arch_registers registers; /* of a process that runs on hardly any is known */
};

/* A run of resident pages, bytes. */
struct mw_span {
	uint64_t start, end;
};

struct mw_spans {
	struct mw_span *spans;
	size_t count, capacity;
};

/*
 * ---- opening ----------------------------------------------------------------------------------
 */

/* What opening and reading a process may do to it. */
enum {
	/*
	 * Know each region's resident bytes. The reader of smaps holds the lock on the process's
	 * mappings while it counts pages. Without it all readable memory counts as resident.
	 */
	MW_IMAGE_SMAPS = 1,
	/* Bring pages back from swap. Without it a read that would do so fails with -EINTR. */
	MW_IMAGE_SWAP_IN = 2,
	/* List the threads with their stack pointers, which reads a file of /proc for each. */
	MW_IMAGE_THREADS = 4,
	MW_IMAGE_WHOLE = MW_IMAGE_SMAPS | MW_IMAGE_SWAP_IN | MW_IMAGE_THREADS,
};

/*
 * Open process PID. MAY is a mask of MW_IMAGE_…: the low-impact read is 0. The process runs on
 * unless the caller holds it with a struct mw_freeze. NULL with errno and ERR set: ESRCH, EACCES,
 * ENOMEM.
 *
 * Without smaps and threads this reads maps and auxv of /proc/PID. A read of up to a page is one
 * system call, two without MW_IMAGE_SWAP_IN. Any number of threads may read at the same time.
 */
struct mw_image *mw_image__open_process(pid_t pid, unsigned int may, struct mw_err *err);

struct mw_image_options {
	const char *exe, *sysroot; /* where a core's files are; may be NULL */
};

/*
 * Open the core file at PATH (plain, or .zst, .gz, .lz4 by its content: unpacked into an unlinked
 * file in $TMPDIR or /var/tmp, at most MW_UNPACKED_MAX bytes). NULL with errno and ERR set. A core
 * that was cut short opens; mw_image__coverage() says how much of it is there.
 *
 * Reading uses pread(2), not a mapping of the file: when the file shrinks a read is short instead
 * of a SIGBUS, and this process stays small.
 */
struct mw_image *mw_image__open_core(const char *path, const struct mw_image_options *options,
				     struct mw_err *err);

#define MW_UNPACKED_MAX (1ULL << 40)

/* Functions of the caller that an image reads with: a debugger's. */
struct mw_image_callbacks {
	/*
	 * Copy up to LEN bytes at ADDR. Returns how many from the start on, or -errno. After
	 * -EINTR (the user wants to stop) it isn't called again and every read fails with -EINTR.
	 */
	ssize_t (*read)(void *arg, uint64_t addr, void *buf, size_t len);
	/* Write the path of the ELF file with this build id into PATH: 0 or -errno. May be NULL. */
	int (*file)(void *arg, const char *build_id, char *path, size_t size);
	void (*close)(void *arg); /* may be NULL */
	void *arg;
};

/* What is known of a process that only a caller's functions reach. */
struct mw_image_description {
	const char *name;
	pid_t pid;	   /* on its own machine */
	const char *smaps; /* text of its /proc/PID/smaps */
	size_t smaps_len;
	const void *auxv; /* its auxiliary vector */
	size_t auxv_len;
	const struct mw_thread *threads; /* the main thread first */
	size_t thread_count;
};

/* An image of a caller's functions over REGIONS, which the image takes over and frees. */
struct mw_image *mw_image__open_callbacks(const struct mw_image_callbacks *callbacks,
					  struct mw_regions *regions);

/* An image of a caller's functions, laid out as described. NULL with errno and ERR set. */
struct mw_image *mw_image__open_described(const struct mw_image_callbacks *callbacks,
					  const struct mw_image_description *description,
					  struct mw_err *err);

/*
 * From now on read the memory of IMAGE, a core or a process, with CALLBACKS; regions, threads and
 * residency stay the image's own. Memory is cached (MW_READER_KEPT bytes at most), so it must not
 * change as long as the image is open. 0 or -ENOMEM.
 */
int mw_image__redirect(struct mw_image *image, const struct mw_image_callbacks *callbacks);

enum { MW_READER_PIECE = 64 << 10, MW_READER_KEPT = 64 << 20 };

/* From now on every read fails with -EINTR once *STOP, which outlives IMAGE, is set. */
void mw_image__stop_with(struct mw_image *image, const atomic_bool *stop);
bool mw_image__is_stopped(const struct mw_image *image);

/*
 * Read regions and auxiliary vector again, because the process has mapped memory or runs another
 * program. Pointers to regions become invalid; no other thread may use IMAGE meanwhile. When this
 * fails, as it does once the process has ended, IMAGE stays as it was. 0 or -errno; images other
 * than processes do nothing and return 0.
 */
int mw_image__refresh(struct mw_image *image);

void mw_image__close(struct mw_image *image);

/*
 * ---- properties -------------------------------------------------------------------------------
 */

const char *mw_image__name(const struct mw_image *image); /* the core's path, "PID n"; cleaned */
enum mw_residency mw_image__residency(const struct mw_image *image);

/* The PID when this is the memory of a process on this machine, else 0. */
pid_t mw_image__process(const struct mw_image *image);

/*
 * False when memory may change between two reads, as that of a process does that runs on. For
 * whoever holds the process with a struct mw_freeze: say that it is still.
 */
bool mw_image__is_still(const struct mw_image *image);
void mw_image__set_still(struct mw_image *image, bool still);

/* Of an image that is not still: have its mappings changed since the regions were read? */
bool mw_image__has_remapped(struct mw_image *image);

/*
 * Wait until every thread of the process has run on or sleeps, a quarter of a second at most. What
 * a thread was in the middle of is then done. Returns at once where nothing runs.
 */
void mw_image__let_run(struct mw_image *image);

/*
 * From now on waste no time on certainty: threads are waited for a few times only, what can't be
 * read counts as changed, and what was mapped since the regions were read can't be read.
 */
void mw_image__hurry(struct mw_image *image);

/* Bytes that the headers promise and bytes that are present; they differ if a core was cut short.
 */
void mw_image__coverage(const struct mw_image *image, uint64_t *present, uint64_t *promised);
bool mw_image__is_cut(const struct mw_image *image);
/* Bytes of R, from its start on, before the first that such a core lacks. */
uint64_t mw_image__held(const struct mw_image *image, const struct mw_region *r);
/*
 * The first multiple of ALIGN, a power of two, from ADDR on and below LIMIT, whose byte IMAGE has
 * itself: a core leaves out what is in files, was never touched or was cut off. LIMIT: none. For
 * searches in steps, which must not follow the addresses that a damaged core claims.
 */
uint64_t mw_image__next_held(const struct mw_image *image, uint64_t addr, uint64_t align,
			     uint64_t limit);

/*
 * ---- memory -----------------------------------------------------------------------------------
 */

/*
 * Copy up to LEN bytes at ADDR into BUF. Returns how many could be read without a gap, 0 when ADDR
 * itself can't be read, or -errno (the process is gone).
 *
 * Of a process, a read of two or more whole pages gives zeros for pages that are not in memory, so
 * that reading a heap does not make it larger.
 */
ssize_t mw_image__read(struct mw_image *image, uint64_t addr, void *buf, size_t len);

/*
 * How many threads should read at the same time: as many as there are processors, but one where
 * memory is read with functions of the caller.
 */
unsigned int mw_image__readers(const struct mw_image *image);

/* Bytes read so far; any thread may ask. */
uint64_t mw_image__bytes_read(const struct mw_image *image);

/* How many reads failed because memory is in swap, without MW_IMAGE_SWAP_IN. */
uint64_t mw_image__in_swap(const struct mw_image *image);

/* True when all LEN bytes at ADDR could be read. */
bool mw_image__read_all(struct mw_image *image, uint64_t addr, void *buf, size_t len);
bool mw_image__read_u64(struct mw_image *image, uint64_t addr, uint64_t *value);

/*
 * Copy up to COUNT (at most MW_PARTS_MAX) parts of LEN bytes, STRIDE bytes apart from ADDR on, into
 * BUF one behind the other. Returns how many there were before one that can't be read. Of a process
 * this takes as many system calls as one small read.
 */
enum { MW_PARTS_MAX = 256 };
size_t mw_image__read_parts(struct mw_image *image, uint64_t addr, uint64_t stride, void *buf,
			    size_t len, size_t count);

/*
 * The text of smaps that the regions of a process were read from, LEN bytes, good until
 * mw_image__refresh(). NULL: it was opened without MW_IMAGE_SMAPS, or is no process.
 */
const char *mw_image__smaps(const struct mw_image *image, size_t *len);

/* The regions by address; the image's own, good until mw_image__refresh(). */
const struct mw_regions *mw_image__regions(const struct mw_image *image);
const struct mw_region *mw_image__find(const struct mw_image *image, uint64_t addr);

/* The threads, the main thread first. */
const struct mw_thread *mw_image__threads(const struct mw_image *image, size_t *count);
/* Whether a thread's stack pointer is in R, which is a stack then. */
bool mw_image__is_stack(const struct mw_image *image, const struct mw_region *r);
/* Whoever holds the process says what thread TID has in its registers. */
void mw_image__set_registers(struct mw_image *image, pid_t tid,
			     const struct mw_arch_registers *registers);

/* The value of an auxiliary vector's entry (AT_… of <elf.h>), 0 when there is none. */
uint64_t mw_image__auxv(const struct mw_image *image, uint64_t type);

/*
 * The resident pages of the whole image in address order; read once, owned by the image. 0 or
 * -errno.
 */
int mw_image__spans(struct mw_image *image, const struct mw_spans **spans);

/*
 * From now on only SPANS, which IMAGE takes over, count as resident, in its regions, too. No other
 * thread may use IMAGE meanwhile.
 */
void mw_image__count_only(struct mw_image *image, struct mw_spans *spans);

/*
 * False when only the number of a region's resident pages is known. Then the spans are the first
 * pages of each region, and residency of parts of a region is an estimate.
 */
bool mw_image__spans_are_exact(const struct mw_image *image);

/*
 * ---- files ------------------------------------------------------------------------------------
 */

/* The build id, from memory, of the ELF file mapped at BASE: hexadecimal text, or "". */
void mw_image__build_id(struct mw_image *image, uint64_t base, char *text, size_t size);

/* The end of the memory of the ELF file mapped at BASE, by its program headers; 0: no ELF file. */
uint64_t mw_image__elf_end(struct mw_image *image, uint64_t base);

/*
 * Open the file that REGION, one of the image's own, maps: of a process the very file, even if it
 * was deleted or replaced; of a core a file with the same build id; of the vDSO a copy from memory.
 * A descriptor, or -1 when the file is not available.
 */
int mw_image__open_file(struct mw_image *image, const struct mw_region *region);

/* The same as an ELF file, for what is mapped at BASE. NULL also when its build id is another. */
struct mw_elffile *mw_image__elffile(struct mw_image *image, uint64_t base);

/* A file that is not there although its data was wanted: safe to print. */
struct mw_missing_file {
	char path[160], build_id[160]; /* no build id: "" */
};

/*
 * The I-th of the files that are not there and of which a read, so far, has wanted data (not code)
 * that the core leaves out. False: no more.
 */
bool mw_image__missing_file(const struct mw_image *image, size_t i,
			    struct mw_missing_file *missing);

/* Is REGION the code that the kernel maps into every process? */
bool mw_image__is_vdso(const struct mw_image *image, const struct mw_region *region);

/*
 * Folders below which debug files may be found as below /: the I-th, or NULL. A core has its
 * --sysroot, if any, and "", which is this machine's root. A process has "" and, because it may run
 * in a container, its own root.
 */
enum { MW_IMAGE_ROOTS = 2 };
const char *mw_image__root(const struct mw_image *image, size_t i);

/* The file that is said to be a core's executable (--exe), or NULL; the image's own. */
const char *mw_image__exe(const struct mw_image *image);

/*
 * ---- sequential reading -----------------------------------------------------------------------
 */

/*
 * Reads an image in large batches with a small constant amount of memory. _at() returns a pointer
 * to NEED (at most MW_READ_BUFFER_NEED) bytes at ADDR, valid until the next _at(), or NULL when
 * they can't be read.
 */
struct mw_read_buffer {
	struct mw_image *image;
	uint8_t *buf;
	uint64_t start; /* of what BUF holds */
	size_t len;
};

enum { MW_READ_BUFFER_SIZE = 256 << 10, MW_READ_BUFFER_NEED = 4096 };

int mw_read_buffer__init(struct mw_read_buffer *buffer, struct mw_image *image);
void mw_read_buffer__free(struct mw_read_buffer *buffer);
const uint8_t *mw_read_buffer__refill(struct mw_read_buffer *buffer, uint64_t addr, size_t need);

static inline const uint8_t *mw_read_buffer__at(struct mw_read_buffer *buffer, uint64_t addr,
						size_t need)
{
	uint64_t off = addr - buffer->start;

	if (addr >= buffer->start && off <= buffer->len && need <= buffer->len - off)
		return buffer->buf + off;
	return mw_read_buffer__refill(buffer, addr, need);
}

#endif
