/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The names that compilers at run time give to their code: /tmp/perf-PID.map, lines of address,
 * size (both hexadecimal) and name, as tools/perf/Documentation/jit-interface.txt of Linux
 * describes it.
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
	struct mw_perfmap_entry
		*entries; /* by start; of those with the same, the last one counts */
	size_t count, capacity;
	size_t size; /* of the file when it was read */
};

/*
 * Parse TEXT (LEN bytes, from malloc; it becomes the map's) in place of what was there. 0 or
 * -ENOMEM.
 */
int mw_perfmap__parse(struct mw_perfmap *map, char *text, size_t len);

/*
 * Read that of PID, as the process itself names it, unless it is as long as it was. Only a file of
 * the process's own user or of root counts. 0, -ENOENT, -EPERM (not its own), -EFBIG, or another
 * -errno.
 */
int mw_perfmap__read(struct mw_perfmap *map, pid_t pid);
void mw_perfmap__free(struct mw_perfmap *map);

/* The entry that holds ADDR, or NULL. Its name is neither terminated nor safe to print. */
const struct mw_perfmap_entry *mw_perfmap__find(const struct mw_perfmap *map, uint64_t addr);

#endif
