/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Names of code made at run time: /tmp/perf-PID.map, whose lines are address, size (both
 * hexadecimal) and name (tools/perf/Documentation/jit-interface.txt of Linux).
 */
#ifndef MW_SYMBOL_PERFMAP_H
#define MW_SYMBOL_PERFMAP_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct mw_perfmap_entry {
	uint64_t start, size;
	uint32_t name, len; /* in the text */
};

struct mw_perfmap {
	char *text;
	struct mw_perfmap_entry *entries; /* by start; of equal ones the last one counts */
	size_t count, capacity;
	size_t size; /* of the file when it was read */
};

/*
 * Replace MAP by what TEXT says: LEN bytes from malloc, which MAP takes over. 0 or -ENOMEM.
 */
int mw_perfmap__parse(struct mw_perfmap *map, char *text, size_t len);

/*
 * Read the map of PID, in its own root and under its own PID, unless its size is the same as
 * before. Only a file of the process's user or of root counts. 0, -ENOENT, -EPERM (another user's),
 * -EFBIG, or another -errno.
 */
int mw_perfmap__read(struct mw_perfmap *map, pid_t pid);
void mw_perfmap__free(struct mw_perfmap *map);

/* The entry that holds ADDR, or NULL. Its name is neither terminated nor safe to print. */
const struct mw_perfmap_entry *mw_perfmap__find(const struct mw_perfmap *map, uint64_t addr);

#endif
