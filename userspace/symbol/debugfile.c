// SPDX-License-Identifier: GPL-2.0-or-later
/* Where the DWARF of a mapped file may be: in itself, or in a debug file with its build id. */
#include <fcntl.h>
#include <gelf.h>
#include <libelf.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "symbol/debugfile.h"
#include "image/elffile.h"
#include "image/image_impl.h"
#include "util/array.h"
#include "util/cleanup.h"

int mw_debugfile__by_id(const char *root, const char *id)
{
	char path[512];

	if (strlen(id) < 4 || strlen(root) > 200)
		return -1;
	snprintf(path, sizeof(path), "%s/usr/lib/debug/.build-id/%.2s/%.150s.debug", root, id,
		 id + 2);
	return open(path, O_RDONLY | O_CLOEXEC);
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

int mw_debugfile__by_link(const char *root, const char *path, int file)
{
	static const char *const places[] = {"", "/.debug", "/usr/lib/debug"};
	const char *slash = strrchr(path, '/');
	char name[256], full[PATH_MAX];
	uint32_t checksum;

	if (!slash || file < 0 || !read_link(file, name, sizeof(name), &checksum))
		return -1;
	for (size_t i = 0; i < MW_ARRAY_SIZE(places); i++) {
		int fd;

		/* Beside the file, in a folder beside it, or below the place for debug files. */
		snprintf(full, sizeof(full), "%s%s%.*s%s/%s", root, i == 2 ? places[i] : "",
			 (int)(slash - path), path, i == 2 ? "" : places[i], name);
		fd = open(full, O_RDONLY | O_CLOEXEC);
		if (fd >= 0 && has_checksum(fd, checksum))
			return fd;
		if (fd >= 0)
			close(fd);
	}
	return -1;
}

static int open_by_link(struct mw_image *image, uint64_t base)
{
	const struct mw_region *region = mw_image__find(image, base);
	_cleanup_close_ int file = mw_image__open_debug(image, base, MW_DEBUG_FILE);

	return region ? mw_debugfile__by_link(image->sysroot ? image->sysroot : "",
					      region->map.path, file)
		      : -1;
}

int mw_image__open_debug(struct mw_image *image, uint64_t base, enum mw_debug_place place)
{
	struct mw_elffile *file;
	char id[160], root[32];
	int fd = -1;

	mw_image__build_id(image, base, id, sizeof(id));
	switch (place) {
	case MW_DEBUG_SYSROOT:
		return image->sysroot ? mw_debugfile__by_id(image->sysroot, id) : -1;
	case MW_DEBUG_OWN:
		return mw_debugfile__by_id("", id);
	case MW_DEBUG_CONTAINER:
		/* A process in a container has its debug files there, if anywhere. */
		if (image->kind != MW_IMAGE_LIVE)
			return -1;
		snprintf(root, sizeof(root), "/proc/%d/root", image->pid);
		return mw_debugfile__by_id(root, id);
	case MW_DEBUG_LINK:
		return open_by_link(image, base);
	case MW_DEBUG_FILE:
		file = mw_image__elffile(image, base);
		fd = file ? fcntl(mw_elffile__fd(file), F_DUPFD_CLOEXEC, 0) : -1;
		mw_elffile__close(file);
		break;
	case MW_DEBUG_PLACES:
		break;
	}
	return fd;
}
