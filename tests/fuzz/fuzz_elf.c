// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Any bytes as an ELF file: its unwind table, and names and lines for addresses of all its parts.
 */
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "symbol/demangle.h"
#include "symbol/elf_symbols.h"
#include "symbol/unwind.h"
#include "util/array.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void name_places(int fd)
{
	struct mw_map map = {.start = 0x7f0000000000, .end = 0x7f0000001000};
	struct mw_elf_symbols *elf_symbols = mw_elf_symbols__open(fd, &map, NULL, NULL);
	uint64_t start, end, offset, budget = 16 << 20;
	struct mw_inline inlined[8];
	const char *file;
	char text[160];

	if (!elf_symbols)
		return;
	mw_elf_symbols__range(elf_symbols, &start, &end);
	if (start >= end)
		abort();
	for (uint64_t i = 0; i < 64; i++) {
		uint64_t addr = start + (end - start) / 64 * i + i * 5;
		const char *name = mw_elf_symbols__symbol(elf_symbols, addr, &offset);

		if (name)
			mw_demangle(text, sizeof(text), name);
		mw_elf_symbols__line(elf_symbols, addr, &file, &budget);
		mw_elf_symbols__inlines(elf_symbols, addr, inlined, MW_ARRAY_SIZE(inlined));
	}
	mw_elf_symbols__build_id(elf_symbols, text, sizeof(text));
	mw_elf_symbols__close(elf_symbols);
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
