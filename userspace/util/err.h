/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Errors. A function that can fail returns 0 or -errno and, where a person needs more than a
 * number, fills a caller-owned struct mw_err. Nothing below cmd/ prints one.
 *
 * Every NAME must be in docs/json.md. tests/docs.bats compares it with the sources, so names are
 * string literals.
 */
#ifndef MW_UTIL_ERR_H
#define MW_UTIL_ERR_H

#include <stdbool.h>

/* gdb-scripts/memwhere/library.py has the same layout. */
struct mw_err {
	int code;	    /* -errno, 0 when nothing failed */
	char name[32];	    /* stable word for scripts: "no-such-process"; in JSON the "code" */
	char where[192];    /* file, offset, address or PID; may be empty */
	char message[1024]; /* what failed and what to do about it; a line, or a table below it */
	bool usage;	    /* the command line is wrong: exit status 2 */
};

/*
 * Fill ERR (which may be NULL) and return CODE, a negative errno. WHERE may be NULL. Text that
 * came from the target must have gone through mw_text_clean() first.
 */
int mw_err_set(struct mw_err *err, int code, const char *name, const char *where, const char *fmt,
	       ...) __attribute__((format(printf, 5, 6)));

/* The same when out of memory: named "no-memory"; returns -ENOMEM. */
int mw_err_no_memory(struct mw_err *err, const char *where);

/* The same for a wrong command line: named "usage"; returns -EINVAL. */
int mw_err_usage(struct mw_err *err, const char *where, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* What to do where the kernel refused access to a process: the end of a message. */
const char *mw_err_access_hint(void);

#endif
