// SPDX-License-Identifier: GPL-2.0-or-later
/* `make layouts`: print a row of layout_table.h for each interpreter (VERSION=FILE) given. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "python/layout.h"

static void print_row(FILE *out, const char *version, const struct mw_py_layout *l)
{
	unsigned int major, minor, micro;
	int column = 0;

	if (sscanf(version, "%u.%u.%u", &major, &minor, &micro) != 3)
		return;
	fprintf(out, "{ /* %u.%u.%u%s */\n", major, minor, micro,
		l->free_threaded ? ", free-threaded" : "");
	fprintf(out, "\t.version = MW_PY_VERSION(%u, %u, %u), .free_threaded = %s,\n", major, minor,
		micro, l->free_threaded ? "true" : "false");
	for (size_t i = 0; i < mw_py_field_count; i++) {
		char text[96];
		int n = snprintf(text, sizeof(text), ".%s = %d,", mw_py_fields[i].name,
				 *(const int32_t *)((const char *)l + mw_py_fields[i].at));

		if (!column || column + 1 + n > 92) {
			fprintf(out, "%s\t%s", column ? "\n" : "", text);
			column = n;
		} else {
			fprintf(out, " %s", text);
			column += n + 1;
		}
	}
	fprintf(out, "\n},\n");
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		const char *path = strchr(argv[i], '=');
		int fd = path ? open(path + 1, O_RDONLY | O_CLOEXEC) : -1;
		struct mw_py_layout layout = {0};

		if (fd < 0 || mw_py_layout_read_dwarf(fd, &layout) < 0) {
			fprintf(stderr, "no DWARF: %s (want VERSION=FILE)\n", argv[i]);
			return 1;
		}
		print_row(stdout, argv[i], &layout);
		close(fd);
	}
	return 0;
}
