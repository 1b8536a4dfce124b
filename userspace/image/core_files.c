// SPDX-License-Identifier: GPL-2.0-or-later
#include <elf.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "arch/arch.h"
#include "image/core_files.h"
#include "image/elffile.h"
#include "util/array.h"
#include "util/bytes.h"
#include "util/log.h"
#include "util/text.h"

enum { PAGE = MW_PAGE_SIZE, FILES_MAX = 65536, DYNAMIC_MAX = 128, DYNAMIC_ENOUGH = 8 };

/* A file by the path in the notes. Looked up once. */
struct mw_backing {
	const char *path; /* the notes' own text */
	int fd;		  /* -1: not there, or not the same file */
	int rebuilt;	  /* of a snapshot; -1: not yet, or it has nothing of it */
	bool missed;	  /* data that the core leaves out was wanted */
	char id[MW_BUILD_ID_TEXT];
};

/*
 * Is FILE what MAPPING maps, by the dynamic section in the core's memory? The linker adds the load
 * bias to some of the values and puts one into DT_DEBUG.
 */
static bool has_same_dynamic(struct mw_image *image, struct mw_elffile *file,
			     const struct mw_file_mapping *mapping)
{
	uint64_t bias = mw_elffile__bias(file, mapping->start, mapping->offset), addr, size;
	Elf64_Dyn here[DYNAMIC_MAX], there[DYNAMIC_MAX];
	size_t n, i;

	if (!mw_elffile__dynamic(file, &addr, &size))
		return false;
	n = size / sizeof(here[0]) < DYNAMIC_MAX ? size / sizeof(here[0]) : DYNAMIC_MAX;
	if (mw_elffile__bytes(file, addr, here, n * sizeof(here[0])) != n * sizeof(here[0]) ||
	    !mw_image__read_all(image, bias + addr, there, n * sizeof(there[0])))
		return false;
	for (i = 0; i < n && here[i].d_tag != DT_NULL; i++) {
		if (here[i].d_tag != there[i].d_tag ||
		    (here[i].d_tag != DT_DEBUG && here[i].d_un.d_val != there[i].d_un.d_val &&
		     here[i].d_un.d_val + bias != there[i].d_un.d_val))
			return false;
	}
	return i >= DYNAMIC_ENOUGH;
}

/* Open PATH below the sysroot, or the --exe file: the first that is the same as BACKING's. */
static int open_same(struct mw_core_files *files, struct mw_image *image,
		     const struct mw_backing *backing, const struct mw_file_mapping *mapping)
{
	char full[PATH_MAX];
	const char *tries[] = {full, files->exe};

	snprintf(full, sizeof(full), "%s%s", files->sysroot ? files->sysroot : "", backing->path);
	for (size_t i = 0; i < MW_ARRAY_SIZE(tries); i++) {
		struct mw_elffile *file =
			tries[i] ? mw_elffile__open(tries[i], backing->path, NULL) : NULL;
		bool same =
			file && (backing->id[0] ? !strcmp(mw_elffile__build_id(file), backing->id)
						: has_same_dynamic(image, file, mapping));

		mw_elffile__close(file);
		if (same)
			return open(tries[i], O_RDONLY | O_CLOEXEC);
	}
	return -1;
}

static struct mw_backing *find(struct mw_core_files *files, struct mw_image *image,
			       const struct mw_file_mapping *mapping)
{
	const struct mw_file_mapping *first = mapping;
	struct mw_backing *backing;

	for (size_t i = 0; i < files->count; i++) {
		if (!strcmp(files->list[i].path, mapping->path))
			return &files->list[i];
	}
	if (files->opening || files->count == FILES_MAX ||
	    mw_array_reserve(&files->list, &files->capacity, files->count + 1,
			     sizeof(*files->list)))
		return NULL;
	backing = &files->list[files->count];
	*backing = (struct mw_backing){.path = mapping->path, .fd = -1, .rebuilt = -1};
	files->opening = true;
	for (size_t k = 0; k < files->notes->file_count && !backing->id[0]; k++) {
		const struct mw_file_mapping *other = &files->notes->files[k];

		if (other->offset || strcmp(other->path, mapping->path))
			continue;
		first = other;
		mw_image__build_id(image, other->start, backing->id, sizeof(backing->id));
	}
	backing->fd = open_same(files, image, backing, first);
	files->opening = false;
	files->count++;
	if (backing->fd < 0) {
		char clean[160];

		mw_text_clean(clean, sizeof(clean), mapping->path, strlen(mapping->path));
		mw_detail("%s: the file is not here with build id %s", clean,
			  backing->id[0] ? backing->id : "(none in the core)");
	}
	return backing;
}

/* What a snapshot has of the file at PATH, besides its memory: NULL: nothing. */
static const struct mw_file_rest *rest_of(const struct mw_core_notes *notes, const char *path)
{
	for (size_t i = 0; i < notes->rest_count; i++) {
		if (!strcmp(notes->rests[i].path, path))
			return &notes->rests[i];
	}
	return NULL;
}

void mw_core_files__init(struct mw_core_files *files, const struct mw_core_notes *notes)
{
	*files = (struct mw_core_files){.lock = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP,
					.notes = notes};
}

int mw_core_files__fd(struct mw_core_files *files, struct mw_image *image,
		      const struct mw_file_mapping *mapping)
{
	const struct mw_region *region = mw_image__find(image, mapping->start);
	struct mw_backing *backing;
	int fd;

	pthread_mutex_lock(&files->lock);
	backing = find(files, image, mapping);
	fd = backing ? backing->fd : -1;
	/* A snapshot leaves out what analysis does not need: code, and how to unwind it. */
	if (backing && fd < 0 && !rest_of(files->notes, mapping->path) &&
	    !(region && region->map.executable))
		backing->missed = true;
	pthread_mutex_unlock(&files->lock);
	return fd;
}

/* Write the runs of the note into FD: offset in the file, length, bytes. */
static bool put_runs(int fd, const struct mw_file_rest *rest)
{
	size_t at = 0;

	while (rest->len - at >= 16) {
		uint64_t offset = mw_u64_at(rest->data + at), len = mw_u64_at(rest->data + at + 8);

		at += 16;
		if (len > rest->len - at || offset > INT32_MAX ||
		    pwrite(fd, rest->data + at, len, (off_t)offset) != (ssize_t)len)
			return false;
		at += len;
	}
	return true;
}

/* Write what memory has of MAPPING, unless the process could write there. */
static void put_memory(int fd, struct mw_image *image, const struct mw_file_mapping *mapping)
{
	const struct mw_region *region = mw_image__find(image, mapping->start);
	uint64_t end = mapping->end;
	uint8_t page[PAGE];

	if (!region || region->map.writable || mapping->offset > INT32_MAX)
		return;
	/* Notes may be damaged. */
	if (end > region->map.end)
		end = region->map.end;
	if (end - mapping->start > INT32_MAX)
		return;
	for (uint64_t at = mapping->start; at < end; at += PAGE) {
		ssize_t n = mw_image__read(image, at, page, PAGE);

		if (n > 0 && pwrite(fd, page, (size_t)n,
				    (off_t)(mapping->offset + (at - mapping->start))) != n)
			return;
	}
}

static int rebuild(struct mw_core_files *files, struct mw_image *image, const char *path)
{
	const struct mw_core_notes *notes = files->notes;
	const struct mw_file_rest *rest = rest_of(notes, path);
	int fd = rest ? memfd_create("memwhere", MFD_CLOEXEC) : -1;

	if (fd >= 0 && !put_runs(fd, rest)) {
		close(fd);
		return -1;
	}
	for (size_t i = 0; fd >= 0 && i < notes->file_count; i++) {
		if (!strcmp(notes->files[i].path, path))
			put_memory(fd, image, &notes->files[i]);
	}
	return fd;
}

static int open_locked(struct mw_core_files *files, struct mw_image *image,
		       const struct mw_file_mapping *mapping)
{
	struct mw_backing *backing = find(files, image, mapping);
	size_t i = backing ? (size_t)(backing - files->list) : 0;

	if (!backing)
		return -1;
	if (backing->fd < 0 && backing->rebuilt < 0) {
		int fd = rebuild(files, image, mapping->path);

		/* Reading may have looked for other files. */
		backing = &files->list[i];
		backing->rebuilt = fd;
	}
	return fcntl(backing->fd < 0 ? backing->rebuilt : backing->fd, F_DUPFD_CLOEXEC, 0);
}

int mw_core_files__open(struct mw_core_files *files, struct mw_image *image,
			const struct mw_file_mapping *mapping)
{
	int fd;

	pthread_mutex_lock(&files->lock);
	fd = open_locked(files, image, mapping);
	pthread_mutex_unlock(&files->lock);
	return fd;
}

bool mw_core_files__missing(const struct mw_core_files *files, size_t i,
			    struct mw_missing_file *missing)
{
	for (size_t k = 0; k < files->count; k++) {
		const struct mw_backing *backing = &files->list[k];

		if (!backing->missed || i--)
			continue;
		mw_text_clean(missing->path, sizeof(missing->path), backing->path,
			      strlen(backing->path));
		snprintf(missing->build_id, sizeof(missing->build_id), "%s", backing->id);
		return true;
	}
	return false;
}

void mw_core_files__free(struct mw_core_files *files)
{
	for (size_t i = 0; i < files->count; i++) {
		if (files->list[i].fd >= 0)
			close(files->list[i].fd);
		if (files->list[i].rebuilt >= 0)
			close(files->list[i].rebuilt);
	}
	free(files->list);
	free(files->exe);
	free(files->sysroot);
	pthread_mutex_destroy(&files->lock);
	memset(files, 0, sizeof(*files));
}
