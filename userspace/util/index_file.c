// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/index_file.h"

enum { FORMAT = 1, ALIGN = 4096, HEAD = 1 << 20, PIECE = 16 << 10, PIECES = 64 };

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22 /* Linux 5.14; without it pages come one by one */
#endif

static const char magic[] = "MWINDEX"; /* eight bytes */
_Static_assert(sizeof(magic) == 8, "as in struct head");

/* The file: this, COUNT entries, and the arrays in their order. */
struct head {
	char magic[8];
	uint32_t format, count;
	uint64_t size; /* of the whole file */
	struct mw_index_key key;
	uint64_t digest; /* of this, with DIGEST 0, and of the entries */
};

struct entry {
	uint32_t id, size;
	uint64_t count, offset, digest;
};

struct mw_index {
	uint8_t *data;
	size_t size;
	bool mapped, check;
	uint32_t count;
	struct {
		struct entry entry;
		bool good;
	} arrays[MW_INDEX_ARRAYS];
};

struct mw_index_writer {
	int fd, error;
	bool named; /* the file is called PARTIAL */
	char *path, *partial;
	uint64_t at;
	uint32_t count;
	struct entry entries[MW_INDEX_ARRAYS];
};

/*
 * ---- digests ----------------------------------------------------------------------------------
 */

#define FACTOR 0x9e3779b97f4a7c15ULL /* odd: each step can be undone, so no change gets lost */

static uint64_t turn(uint64_t value)
{
	return value << 29 | value >> 35;
}

enum { CHAINS = 8 };

static void add_words(uint64_t *chains, const uint8_t *p)
{
	uint64_t words[CHAINS];

	memcpy(words, p, sizeof(words));
	for (size_t i = 0; i < CHAINS; i++)
		chains[i] = turn((chains[i] ^ words[i]) * FACTOR);
}

/* Several chains side by side: one would wait for its multiplications. */
static uint64_t digest_of(uint64_t start, const void *data, size_t size)
{
	uint64_t chains[CHAINS] = {start ^ size, 1, 2, 3, 4, 5, 6, 7};
	const uint8_t *p = data, *end = p + size / sizeof(chains) * sizeof(chains);
	uint8_t rest[sizeof(chains)] = {0};

	for (; p < end; p += sizeof(chains))
		add_words(chains, p);
	if (size % sizeof(chains)) {
		memcpy(rest, p, size % sizeof(chains));
		add_words(chains, rest);
	}
	for (size_t i = 1; i < CHAINS; i++)
		chains[0] = turn((chains[0] ^ chains[i]) * FACTOR);
	return chains[0] ^ chains[0] >> 32;
}

static uint64_t digest_of_head(const struct head *head, const struct entry *entries)
{
	struct head plain = *head;

	plain.digest = 0;
	return digest_of(digest_of(FORMAT, &plain, sizeof(plain)), entries,
			 head->count * sizeof(*entries));
}

/* SIZE bytes at OFFSET of the file into DIGEST. 0 or -errno. */
static int add_piece(int fd, uint64_t offset, uint8_t *buf, size_t size, uint64_t *digest)
{
	ssize_t n = pread(fd, buf, size, (off_t)offset);

	if (n < 0)
		return -errno;
	*digest = digest_of(*digest, buf, (size_t)n);
	return 0;
}

int mw_index_key__set_subject(struct mw_index_key *key, const char *path, const char *words)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	_cleanup_free_ uint8_t *buf = malloc(HEAD);
	uint64_t digest = digest_of(0, words, strlen(words));
	struct stat st = {0};
	int ret = fd < 0 || fstat(fd, &st) ? -errno : buf ? 0 : -ENOMEM;

	if (!ret)
		ret = add_piece(fd, 0, buf, HEAD, &digest);
	for (uint64_t i = 1; i <= PIECES && !ret && st.st_size > HEAD; i++)
		ret = add_piece(fd, ((uint64_t)st.st_size - PIECE) / PIECES * i, buf, PIECE,
				&digest);
	if (ret)
		return ret;
	key->subject[0] = (uint64_t)st.st_size;
	key->subject[1] = (uint64_t)st.st_mtim.tv_sec;
	key->subject[2] = (uint64_t)st.st_mtim.tv_nsec;
	key->subject[3] = digest;
	return 0;
}

/*
 * ---- reading ----------------------------------------------------------------------------------
 */

static int damaged(struct mw_err *err, const char *what)
{
	return mw_err_set(err, -EBADMSG, "bad-index", NULL, "%s", what);
}

/* Is the array within the file, behind the entries, and aligned? */
static bool fits(const struct entry *e, uint64_t begin, uint64_t size)
{
	uint64_t bytes;

	return !__builtin_mul_overflow(e->count, (uint64_t)e->size, &bytes) &&
	       e->offset % ALIGN == 0 && e->offset >= begin && e->offset <= size &&
	       bytes <= size - e->offset;
}

/* The head and the entries, or what is wrong with them. */
static int read_head(struct mw_index *index, const struct mw_index_key *key, struct mw_err *err)
{
	struct entry entries[MW_INDEX_ARRAYS];
	struct head head;
	size_t bytes;

	if (index->size < sizeof(head))
		return damaged(err, "it is cut short");
	memcpy(&head, index->data, sizeof(head));
	if (memcmp(head.magic, magic, sizeof(head.magic)) != 0)
		return damaged(err, "it is no index");
	if (head.format != FORMAT || strncmp(head.key.maker, key->maker, sizeof(key->maker)) != 0)
		return mw_err_set(err, -ESTALE, "bad-index", NULL,
				  "another build of memwhere made it");
	bytes = head.count * sizeof(*entries);
	if (head.count > MW_INDEX_ARRAYS || index->size - sizeof(head) < bytes)
		return damaged(err, "it is cut short");
	memcpy(entries, index->data + sizeof(head), bytes);
	if (index->check && head.digest != digest_of_head(&head, entries))
		return damaged(err, "it is damaged");
	if (memcmp(head.key.subject, key->subject, sizeof(key->subject)) != 0)
		return mw_err_set(err, -ESTALE, "bad-index", NULL,
				  "it was made of another file, or of this one before it changed");
	if (head.size != index->size)
		return damaged(err, "it is cut short");
	for (uint32_t i = 0; i < head.count; i++) {
		if (!fits(&entries[i], sizeof(head) + bytes, index->size))
			return damaged(err, "it is damaged");
		index->arrays[i].entry = entries[i];
	}
	index->count = head.count;
	return 0;
}

struct mw_index *mw_index__of(void *data, size_t size, const struct mw_index_key *key, bool check,
			      struct mw_err *err)
{
	struct mw_index *index = calloc(1, sizeof(*index));
	int ret;

	if (!index) {
		mw_err_no_memory(err, NULL);
		return NULL;
	}
	*index = (struct mw_index){.data = data, .size = size, .check = check};
	ret = read_head(index, key, err);
	if (!ret)
		return index;
	free(index);
	errno = -ret;
	return NULL;
}

struct mw_index *mw_index__open(const char *path, const struct mw_index_key *key,
				struct mw_err *err)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct mw_index *index;
	struct stat st;
	void *data;

	if (fd < 0 || fstat(fd, &st)) {
		mw_err_set(err, -errno, "bad-index", path, "can't read it: %s", strerror(errno));
		return NULL;
	}
	if (!S_ISREG(st.st_mode) || st.st_size <= 0) {
		errno = -damaged(err, "it is no index");
		return NULL;
	}
	/* Private: what is written to it stays in memory. */
	data = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE,
		    fd, 0);
	if (data == MAP_FAILED) {
		mw_err_set(err, -errno, "bad-index", path, "can't map it: %s", strerror(errno));
		return NULL;
	}
	index = mw_index__of(data, (size_t)st.st_size, key, true, err);
	if (index)
		index->mapped = true;
	else
		munmap(data, (size_t)st.st_size);
	return index;
}

void mw_index__close(struct mw_index *index)
{
	if (!index)
		return;
	if (index->mapped)
		munmap(index->data, index->size);
	free(index);
}

void *mw_index__array(struct mw_index *index, uint32_t id, size_t size, uint64_t *count)
{
	for (uint32_t i = 0; i < index->count; i++) {
		const struct entry *e = &index->arrays[i].entry;
		size_t bytes = e->count * e->size;

		if (e->id != id || e->size != size)
			continue;
		if (index->mapped && !index->arrays[i].good && bytes)
			madvise(index->data + e->offset, bytes, MADV_POPULATE_READ);
		if (index->check && !index->arrays[i].good &&
		    digest_of(id, index->data + e->offset, bytes) != e->digest)
			return NULL;
		index->arrays[i].good = true;
		*count = e->count;
		return index->data + e->offset;
	}
	return NULL;
}

/*
 * ---- writing ----------------------------------------------------------------------------------
 */

static void write_at(struct mw_index_writer *w, uint64_t offset, const void *data, size_t size)
{
	const uint8_t *p = data;

	while (size && !w->error) {
		ssize_t n = pwrite(w->fd, p, size, (off_t)offset);

		if (n > 0) {
			p += n;
			size -= (size_t)n;
			offset += (uint64_t)n;
		} else if (n == 0 || errno != EINTR) {
			w->error = n ? -errno : -EIO;
		}
	}
}

/* A file without a name in the folder of PATH; where there can't be one, PATH.partial. */
static int open_file(struct mw_index_writer *w, mode_t mode)
{
	_cleanup_free_ char *copy = strdup(w->path);

	if (!copy)
		return -ENOMEM;
	w->fd = open(dirname(copy), O_TMPFILE | O_WRONLY | O_CLOEXEC, mode);
	if (w->fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL)) {
		w->fd = open(w->partial, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
			     mode);
		w->named = w->fd >= 0;
	}
	return w->fd < 0 ? -errno : 0;
}

struct mw_index_writer *mw_index_writer__open(const char *path, mode_t mode, struct mw_err *err)
{
	struct mw_index_writer *w = calloc(1, sizeof(*w));
	int ret = -ENOMEM;

	if (w) {
		w->fd = -1;
		w->at = sizeof(struct head) + sizeof(w->entries);
		w->path = strdup(path);
		if (asprintf(&w->partial, "%s.partial", path) < 0)
			w->partial = NULL;
		if (w->path && w->partial)
			ret = open_file(w, mode);
	}
	if (!ret)
		return w;
	mw_err_set(err, ret, "unwritable", path, "can't write it: %s", strerror(-ret));
	mw_index_writer__cancel(w);
	errno = -ret;
	return NULL;
}

void mw_index_writer__add(struct mw_index_writer *w, uint32_t id, const void *data, size_t size,
			  uint64_t count)
{
	struct entry *e = &w->entries[w->count];
	size_t bytes = size * count;

	if (!data)
		data = "";
	if (w->error)
		return;
	if (w->count == MW_INDEX_ARRAYS) {
		w->error = -E2BIG;
		return;
	}
	w->at = (w->at + ALIGN - 1) / ALIGN * ALIGN;
	*e = (struct entry){id, (uint32_t)size, count, w->at, digest_of(id, data, bytes)};
	write_at(w, w->at, data, bytes);
	w->at += bytes;
	w->count++;
}

/* Give the file its name, in one step: there is the old one, or the new one. */
static int put_in_place(struct mw_index_writer *w)
{
	char self[64];

	if (!w->named) {
		snprintf(self, sizeof(self), "/proc/self/fd/%d", w->fd);
		unlink(w->partial);
		if (linkat(AT_FDCWD, self, AT_FDCWD, w->partial, AT_SYMLINK_FOLLOW))
			return -errno;
		w->named = true;
	}
	if (rename(w->partial, w->path))
		return -errno;
	w->named = false;
	return 0;
}

int mw_index_writer__commit(struct mw_index_writer *w, const struct mw_index_key *key,
			    struct mw_err *err)
{
	struct head head = {.format = FORMAT, .count = w->count, .size = w->at, .key = *key};
	int ret;

	memcpy(head.magic, magic, sizeof(head.magic));
	head.digest = digest_of_head(&head, w->entries);
	write_at(w, 0, &head, sizeof(head));
	write_at(w, sizeof(head), w->entries, w->count * sizeof(*w->entries));
	/* An array without elements at the end may lie behind what was written. */
	if (!w->error && ftruncate(w->fd, (off_t)w->at))
		w->error = -errno;
	ret = w->error ? w->error : put_in_place(w);
	if (ret)
		mw_err_set(err, ret, "unwritable", w->path, "can't write it: %s", strerror(-ret));
	mw_index_writer__cancel(w);
	return ret;
}

void mw_index_writer__cancel(struct mw_index_writer *w)
{
	if (!w)
		return;
	if (w->named && w->partial)
		unlink(w->partial);
	if (w->fd >= 0)
		close(w->fd);
	free(w->path);
	free(w->partial);
	free(w);
}
