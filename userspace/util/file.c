// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <fcntl.h>

#include "util/array.h"
#include "util/cleanup.h"
#include "util/file.h"

int mw_file_read(const char *path, size_t max, char **text, size_t *len)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	_cleanup_free_ char *buf = NULL;
	size_t used = 0, capacity = 0;
	int err;

	if (fd < 0)
		return -errno;
	for (;;) {
		ssize_t n;

		err = mw_array_reserve(&buf, &capacity, used + 4096, 1);
		if (err)
			return err;
		n = read(fd, buf + used, capacity - used - 1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!n)
			break;
		used += (size_t)n;
		if (used > max)
			return -EFBIG;
	}
	buf[used] = '\0';
	*text = buf;
	buf = NULL;
	*len = used;
	return 0;
}
