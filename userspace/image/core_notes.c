// SPDX-License-Identifier: GPL-2.0-or-later
#include <elf.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/procfs.h>

#include "arch/arch.h"
#include "image/core_notes.h"
#include "util/array.h"
#include "util/search.h"

enum { PATH_LIMIT = 4096, THREADS_MAX = 1 << 20, RESTS_MAX = 4096 };

static int by_start(const void *a, const void *b)
{
	const struct mw_file_mapping *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

static void free_files(struct mw_core_notes *notes)
{
	for (size_t i = 0; i < notes->file_count; i++)
		free(notes->files[i].path);
	free(notes->files);
	notes->files = NULL;
	notes->file_count = 0;
}

/* NT_FILE: count, page size, then (start, end, offset in pages), then as many names. */
static int parse_files(struct mw_core_notes *notes, const uint8_t *desc, size_t len)
{
	uint64_t count, page, row[3];
	const char *name, *end = (const char *)desc + len;

	if (len < 16)
		return 0;
	memcpy(&count, desc, 8);
	memcpy(&page, desc + 8, 8);
	if (count > (len - 16) / 25 || !page || page > 1 << 30)
		return 0;
	free_files(notes);
	notes->files = calloc(count + 1, sizeof(*notes->files));
	if (!notes->files)
		return -ENOMEM;
	name = (const char *)desc + 16 + 24 * count;
	for (size_t i = 0; i < count && name < end; i++) {
		size_t n = strnlen(name, (size_t)(end - name));
		struct mw_file_mapping *file = &notes->files[notes->file_count];

		memcpy(row, desc + 16 + 24 * i, sizeof(row));
		if (row[0] < row[1] && n < PATH_LIMIT &&
		    !__builtin_mul_overflow(row[2], page, &file->offset)) {
			file->start = row[0];
			file->end = row[1];
			file->path = strndup(name, mw_map__path_length(name, n));
			file->deleted = mw_map__path_length(name, n) < n;
			if (!file->path)
				return -ENOMEM;
			notes->file_count++;
		}
		name += n + 1;
	}
	qsort(notes->files, notes->file_count, sizeof(*notes->files), by_start);
	return 0;
}

static int parse_thread(struct mw_image *image, const uint8_t *desc, size_t len)
{
	const size_t at = offsetof(struct elf_prstatus, pr_reg);
	struct mw_arch_registers regs;
	struct mw_thread *thread;

	if (len < at || !mw_arch_read_registers(NT_PRSTATUS, desc + at, len - at, &regs) ||
	    image->thread_count >= THREADS_MAX)
		return 0;
	thread = mw_image__add_thread(image);
	if (!thread)
		return -ENOMEM;
	memcpy(&thread->tid, desc + offsetof(struct elf_prstatus, pr_pid), sizeof(thread->tid));
	thread->registers = regs;
	return 0;
}

/* The set that follows a thread's NT_PRSTATUS. */
static void parse_vectors(struct mw_image *image, const uint8_t *desc, size_t len)
{
	if (image->thread_count)
		mw_arch_read_registers(NT_PRFPREG, desc, len,
				       &image->threads[image->thread_count - 1].registers);
}

static int parse_spans(struct mw_core_notes *notes, const uint8_t *desc, size_t len)
{
	uint64_t last = 0;
	int ret = 0;

	for (size_t off = 0; off + 16 <= len && !ret; off += 16) {
		uint64_t pair[2];

		memcpy(pair, desc + off, sizeof(pair));
		if (pair[0] < last || pair[1] <= pair[0] || pair[0] % MW_PAGE_SIZE ||
		    pair[1] % MW_PAGE_SIZE)
			break;
		ret = mw_spans__add(&notes->spans, pair[0], pair[1]);
		last = pair[1];
	}
	notes->has_spans = true;
	return ret;
}

static int parse_rest(struct mw_core_notes *notes, const uint8_t *desc, size_t len)
{
	size_t path = strnlen((const char *)desc, len);
	struct mw_file_rest *rest;

	if (path == len || path >= PATH_LIMIT || notes->rest_count >= RESTS_MAX)
		return 0;
	if (mw_array_reserve(&notes->rests, &notes->rest_capacity, notes->rest_count + 1,
			     sizeof(*notes->rests)))
		return -ENOMEM;
	rest = &notes->rests[notes->rest_count++];
	*rest = (struct mw_file_rest){.path = strdup((const char *)desc), .len = len - path - 1};
	rest->data = malloc(rest->len + 1);
	if (!rest->path || !rest->data)
		return -ENOMEM;
	memcpy(rest->data, desc + path + 1, rest->len);
	return 0;
}

static int parse_one(struct mw_core_notes *notes, struct mw_image *image, uint32_t type,
		     const char *name, size_t name_len, const uint8_t *desc, size_t len)
{
	bool core = name_len >= 4 && !memcmp(name, "CORE", 4);
	bool ours = name_len >= 8 && !memcmp(name, MW_NOTE_NAME, 8);

	if (core && type == NT_PRSTATUS)
		return parse_thread(image, desc, len);
	if (core && type == NT_PRFPREG)
		parse_vectors(image, desc, len);
	if (core && type == NT_AUXV)
		mw_image__set_auxv(image, desc, len);
	if (core && type == NT_FILE)
		return parse_files(notes, desc, len);
	if (ours && type == MW_NT_SMAPS && !notes->recorded.count)
		return mw_smaps__parse(&notes->recorded, (const char *)desc, len, NULL) == -ENOMEM
			       ? -ENOMEM
			       : 0;
	if (ours && type == MW_NT_RESIDENCY && !notes->has_spans)
		return parse_spans(notes, desc, len);
	if (ours && type == MW_NT_FILE_REST)
		return parse_rest(notes, desc, len);
	return 0;
}

int mw_core_notes__parse(struct mw_core_notes *notes, struct mw_image *image, const uint8_t *data,
			 size_t len, size_t align)
{
	const size_t mask = align == 8 ? 7 : 3;
	size_t off = 0;
	int ret = 0;

	while (!ret && len - off >= sizeof(Elf64_Nhdr)) {
		size_t name_end, desc, desc_end;
		Elf64_Nhdr nhdr;

		memcpy(&nhdr, data + off, sizeof(nhdr));
		name_end = off + sizeof(nhdr) + nhdr.n_namesz;
		desc = (name_end + mask) & ~mask;
		desc_end = desc + nhdr.n_descsz;
		if (name_end > len || desc_end > len)
			break;
		ret = parse_one(notes, image, nhdr.n_type, (const char *)data + off + sizeof(nhdr),
				nhdr.n_namesz, data + desc, nhdr.n_descsz);
		off = (desc_end + mask) & ~mask;
		if (off > len)
			break;
	}
	return ret;
}

void mw_core_notes__free(struct mw_core_notes *notes)
{
	free_files(notes);
	for (size_t i = 0; i < notes->rest_count; i++) {
		free(notes->rests[i].path);
		free(notes->rests[i].data);
	}
	free(notes->rests);
	mw_regions__free(&notes->recorded);
	free(notes->spans.spans);
	memset(&notes->spans, 0, sizeof(notes->spans));
}

static bool ends_before(const void *at, const void *key)
{
	const struct mw_file_mapping *file = at;

	return file->end <= *(const uint64_t *)key;
}

const struct mw_file_mapping *mw_core_notes__file(const struct mw_core_notes *notes, uint64_t addr)
{
	size_t i = mw_search(notes->files, notes->file_count, sizeof(*notes->files), ends_before,
			     &addr);

	return i < notes->file_count && notes->files[i].start <= addr ? &notes->files[i] : NULL;
}
