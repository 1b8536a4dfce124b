// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Any bytes as an ELF file: its unwind table, and names and lines for addresses of all its parts.
 */
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "image/demangle.h"
#include "image/namer.h"
#include "image/unwind.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void name_places(int fd)
{
	struct mw_map map = {.start = 0x7f0000000000, .end = 0x7f0000001000};
	struct mw_namer *namer = mw_namer__open(fd, &map, NULL, NULL);
	uint64_t start, end, offset, budget = 16 << 20;
	const char *file;
	char text[160];

	if (!namer)
		return;
	mw_namer__range(namer, &start, &end);
	if (start >= end)
		abort();
	for (uint64_t i = 0; i < 64; i++) {
		uint64_t addr = start + (end - start) / 64 * i + i * 5;
		const char *name = mw_namer__symbol(namer, addr, &offset);

		if (name)
			mw_demangle(text, sizeof(text), name);
		mw_namer__line(namer, addr, &file, &budget);
	}
	mw_namer__build_id(namer, text, sizeof(text));
	mw_namer__close(namer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd = memfd_create("elf", MFD_CLOEXEC);
	struct mw_unwind_table table;

	if (write(fd, data, size) != (ssize_t)size)
		abort();
	mw_unwind_table__read(&table, fd);
	for (size_t i = 1; i < table.count; i++) {
		if (table.rows[i - 1].pc >= table.rows[i].pc)
			abort();
	}
	mw_unwind_table__free(&table);
	name_places(fd); /* and closes it */
	return 0;
}
