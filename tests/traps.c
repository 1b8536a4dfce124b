// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What watching can't do without: programs that do nothing, where the exact mode of memwhere has
 * its own. They stay in until standard input ends. usage: traps PID EMPTY-BPF-OBJECT; says "ready".
 */
#include <bpf/libbpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "probe/allocator_probes.h"

int main(int argc, char **argv)
{
	struct mw_allocator_probing how = {.frees = true, .returns = true};
	struct mw_allocator_probes probes = {0};
	struct mw_allocators found;
	struct bpf_object *object;
	struct bpf_program *prog;
	struct mw_err err = {0};
	char c;

	if (argc != 3)
		return 2;
	how.pid = (pid_t)atoi(argv[1]);
	how.multi = mw_probes_have_multi();
	object = bpf_object__open_file(argv[2], NULL);
	prog = object ? bpf_object__next_program(object, NULL) : NULL;
	if (!prog ||
	    bpf_program__set_expected_attach_type(prog, mw_probes_attach_type(how.multi)) ||
	    bpf_object__load(object)) {
		fprintf(stderr, "traps: %s can't be loaded\n", argv[2]);
		return 1;
	}
	how.entry = how.ret = prog;
	if (mw_allocators__find(&found, how.pid, true, &err)) {
		fprintf(stderr, "traps: %s\n", err.message);
		return 1;
	}
	for (size_t i = 0; i < found.count; i++) {
		if (mw_allocator_probes__attach(&probes, &how, &found.list[i])) {
			fprintf(stderr, "traps: no probes in %s\n", found.list[i].file);
			return 1;
		}
	}
	puts("ready");
	fflush(stdout);
	while (read(STDIN_FILENO, &c, 1) > 0)
		;
	for (size_t i = 0; i < probes.count; i++) {
		mw_probes__detach(&probes.list[i].entries);
		mw_probes__detach(&probes.list[i].returns);
	}
	mw_allocators__free(&found);
	bpf_object__close(object);
	return 0;
}
