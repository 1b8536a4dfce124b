// SPDX-License-Identifier: GPL-2.0-or-later
/* Where the DWARF of a mapped file may be: in itself, or in a debug file with its build id. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "image/elffile.h"
#include "image/image_impl.h"

/* The debug file below ROOT with build id ID, -1: there is none. */
static int open_by_id(const char *root, const char *id)
{
	char path[512];

	if (strlen(id) < 4 || strlen(root) > 200)
		return -1;
	snprintf(path, sizeof(path), "%s/usr/lib/debug/.build-id/%.2s/%.150s.debug", root, id,
		 id + 2);
	return open(path, O_RDONLY | O_CLOEXEC);
}

int mw_image__open_debug(struct mw_image *image, uint64_t base, enum mw_debug_place place)
{
	struct mw_elffile *file;
	char id[160], root[32];
	int fd = -1;

	mw_image__build_id(image, base, id, sizeof(id));
	switch (place) {
	case MW_DEBUG_SYSROOT:
		return image->sysroot ? open_by_id(image->sysroot, id) : -1;
	case MW_DEBUG_OWN:
		return open_by_id("", id);
	case MW_DEBUG_CONTAINER:
		/* A process in a container has its debug files there, if anywhere. */
		if (image->kind != MW_IMAGE_LIVE)
			return -1;
		snprintf(root, sizeof(root), "/proc/%d/root", image->pid);
		return open_by_id(root, id);
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
