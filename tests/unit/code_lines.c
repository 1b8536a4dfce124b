// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * code_lines PID VERSION FREE_THREADED: of each line "ADDRESS BYTES" of its input, what memwhere
 * says of that code object of process PID: name, file, first line and the lines of all offsets
 * below BYTES, with tabs between. For tests/python_lines.py, which knows the truth.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include "python/lines.h"

static bool read_process(void *arg, uint64_t addr, void *buf, size_t len)
{
	struct iovec to = {buf, len}, from = {(void *)(uintptr_t)addr, len};

	return process_vm_readv(*(pid_t *)arg, &to, 1, &from, 1, 0) == (ssize_t)len;
}

int main(int argc, char **argv)
{
	unsigned long long addr, bytes;
	const struct mw_py_layout *layout;
	uint32_t version;
	pid_t pid;

	if (argc != 4)
		return 2;
	pid = (pid_t)strtol(argv[1], NULL, 10);
	version = (uint32_t)strtoul(argv[2], NULL, 0);
	layout = mw_py_layout_find(version, *argv[3] == '1');
	if (!layout)
		return 3;
	while (scanf("%llu %llu", &addr, &bytes) == 2) {
		struct mw_py_code code;
		int err = mw_py_code__read(&code, layout, addr, read_process, &pid);

		if (err) {
			printf("error %d\n", err);
			continue;
		}
		printf("%s\t%s\t%u\t", code.name, code.file, code.first_line);
		for (uint32_t i = 0; i < bytes; i++)
			printf("%u ",
			       mw_py_line(version, code.first_line, code.table, code.table_len, i));
		printf("\n");
		mw_py_code__free(&code);
	}
	return 0;
}
