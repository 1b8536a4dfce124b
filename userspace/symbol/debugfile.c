// SPDX-License-Identifier: GPL-2.0-or-later
#include <fcntl.h>
#include <gelf.h>
#include <libelf.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "symbol/debugfile.h"
#include "util/array.h"
#include "util/cleanup.h"

/* A container controls what is there: open(2) of a FIFO would wait for ever. */
static int open_regular(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;

	if (fd >= 0 && (fstat(fd, &st) || !S_ISREG(st.st_mode))) {
		close(fd);
		fd = -1;
	}
	return fd;
}

static int open_by_id(const char *root, const char *id)
{
	char path[PATH_MAX];

	if (strlen(id) < 4 ||
	    snprintf(path, sizeof(path), "%s/usr/lib/debug/.build-id/%.2s/%s.debug", root, id,
		     id + 2) >= (int)sizeof(path))
		return -1;
	return open_regular(path);
}

/* The checksum of the whole file, as `objcopy --add-gnu-debuglink` makes it. */
static bool has_checksum(int fd, uint32_t wanted)
{
	uint8_t buf[1 << 16];
	uint32_t sum = 0;
	off_t at = 0;
	ssize_t n;

	while ((n = pread(fd, buf, sizeof(buf), at)) > 0) {
		sum = (uint32_t)crc32(sum, buf, (uInt)n);
		at += n;
	}
	return !n && sum == wanted;
}

/* The section's content: a name, padded to four bytes, and a checksum. */
static bool read_link(int fd, char *name, size_t size, uint32_t *checksum)
{
	Elf *elf = elf_begin(fd, ELF_C_READ_MMAP, NULL);
	Elf_Scn *section = NULL;
	bool found = false;
	size_t strings;

	if (!elf || elf_getshdrstrndx(elf, &strings))
		goto cleanup;
	while (!found && (section = elf_nextscn(elf, section))) {
		GElf_Shdr header;
		const char *title = gelf_getshdr(section, &header)
					    ? elf_strptr(elf, strings, header.sh_name)
					    : NULL;
		Elf_Data *data;
		size_t len;

		if (!title || strcmp(title, ".gnu_debuglink"))
			continue;
		data = elf_rawdata(section, NULL);
		len = data && data->d_buf ? strnlen(data->d_buf, data->d_size) : 0;
		if (!len || len >= size || (len & ~(size_t)3) + 8 > data->d_size ||
		    memchr(data->d_buf, '/', len))
			break;
		memcpy(name, data->d_buf, len);
		name[len] = '\0';
		memcpy(checksum, (const char *)data->d_buf + (len & ~(size_t)3) + 4, 4);
		found = true;
	}
cleanup:
	elf_end(elf);
	return found;
}

static int open_by_link(const char *root, const char *path, int file)
{
	/* Beside the file, in a folder beside it, or below the place for debug files. */
	static const char *const places[][2] = {{"", ""}, {"", "/.debug"}, {"/usr/lib/debug", ""}};
	const char *slash = strrchr(path, '/');
	char name[256], full[PATH_MAX];
	uint32_t checksum;

	if (!slash || file < 0 || !read_link(file, name, sizeof(name), &checksum))
		return -1;
	for (size_t i = 0; i < MW_ARRAY_SIZE(places); i++) {
		int n = snprintf(full, sizeof(full), "%s%s%.*s%s/%s", root, places[i][0],
				 (int)(slash - path), path, places[i][1], name);
		int fd = n < (int)sizeof(full) ? open_regular(full) : -1;

		if (fd >= 0 && has_checksum(fd, checksum))
			return fd;
		if (fd >= 0)
			close(fd);
	}
	return -1;
}

/* Open the I-th candidate for a separate debug file. */
static int open_separate(const struct mw_image *image, unsigned int i, const char *path,
			 const char *id, int file)
{
	const char *root = mw_image__root(image, i % MW_IMAGE_ROOTS);

	if (!root)
		return -1;
	return i < MW_IMAGE_ROOTS ? open_by_id(root, id) : open_by_link(root, path, file);
}

int mw_debugfile__find(const struct mw_image *image, const char *path, const char *id, int file)
{
	int fd = -1;

	for (unsigned int i = 0; fd < 0 && i + 1 < MW_DEBUG_PLACES; i++)
		fd = open_separate(image, i, path, id, file);
	return fd;
}

int mw_debugfile__open(struct mw_image *image, uint64_t base, unsigned int place)
{
	const struct mw_region *region = mw_image__find(image, base);
	int file = region ? mw_image__open_file(image, region) : -1, fd;
	char id[160];

	if (!place || !region)
		return file;
	mw_image__build_id(image, base, id, sizeof(id));
	fd = open_separate(image, place - 1, region->map.path, id, file);
	if (file >= 0)
		close(file);
	return fd;
}
