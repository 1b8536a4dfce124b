/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Small programs that a test builds with the machine's compiler, in a folder of its own. */
#ifndef MW_TEST_PROGRAM_H
#define MW_TEST_PROGRAM_H

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char program_dir[] = "/tmp/mw-test-XXXXXX";

/* Run the command; its exit status. */
__attribute__((format(printf, 1, 2))) static inline int run_command(const char *fmt, ...)
{
	char command[1024];
	va_list args;

	va_start(args, fmt);
	vsnprintf(command, sizeof(command), fmt, args);
	va_end(args);
	return system(command);
}

static inline void program_cleanup(void)
{
	run_command("rm -rf %s", program_dir);
}

/* The path of NAME in the test's folder, valid until the fourth next call. */
static inline const char *program_path(const char *name)
{
	static char paths[4][PATH_MAX];
	static unsigned int next;
	char *path = paths[next++ % 4];

	if (!strcmp(program_dir + strlen(program_dir) - 6, "XXXXXX")) {
		if (!mkdtemp(program_dir))
			abort();
		atexit(program_cleanup);
	}
	snprintf(path, PATH_MAX, "%s/%s", program_dir, name);
	return path;
}

/* Build SOURCE, in LANGUAGE ("c", "c++"), with FLAGS. Its path, or NULL when that failed. */
static inline const char *program_build(const char *name, const char *language, const char *source,
					const char *flags)
{
	const char *out = program_path(name);
	char text[PATH_MAX + 8];
	FILE *f;

	snprintf(text, sizeof(text), "%s.src", out);
	f = fopen(text, "w");
	if (!f || fputs(source, f) < 0 || fclose(f))
		return NULL;
	return run_command("%s -x %s %s -o %s %s", strcmp(language, "c") ? "g++" : "gcc", language,
			   text, out, flags)
		       ? NULL
		       : out;
}

#endif
