// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * pymalloc_places FILE...: what the search finds in each interpreter, or library of one: places of
 * each kind, the function that takes a new pool, how often it is called and how many of these calls
 * have their place, and milliseconds of CPU that it took. For tests/pymalloc_places.bats.
 */
#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "probe/pymalloc_places.h"

static double cpu_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static int print(const char *path, const uint8_t *file, const Elf64_Phdr *text)
{
	struct mw_pymalloc_places p;
	double began = cpu_ms();

	if (mw_pymalloc_places__find(&p, file + text->p_offset, text->p_filesz, text->p_vaddr))
		return 1;
	printf("%s\t%zu\t%zu\t%zu\t%lx\t%zu\t%zu\t%d\t%.0f\n", path, p.allocs, p.frees, p.new_pools,
	       (unsigned long)p.slow, p.slow_calls, p.slow_reached, mw_pymalloc_places__are_all(&p),
	       cpu_ms() - began);
	mw_pymalloc_places__free(&p);
	return 0;
}

static int search(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), ret = 1;
	const Elf64_Ehdr *head;
	const Elf64_Phdr *segments;
	struct stat st;
	uint8_t *file;

	if (fd < 0 || fstat(fd, &st))
		return 1;
	file = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	close(fd);
	if (file == MAP_FAILED)
		return 1;
	head = (const Elf64_Ehdr *)file;
	segments = (const Elf64_Phdr *)(file + head->e_phoff);
	for (int i = 0; i < head->e_phnum; i++) {
		if (segments[i].p_type == PT_LOAD && (segments[i].p_flags & PF_X))
			ret = print(path, file, &segments[i]);
	}
	munmap(file, (size_t)st.st_size);
	return ret;
}

int main(int argc, char **argv)
{
	int failed = argc < 2;

	for (int i = 1; i < argc; i++)
		failed |= search(argv[i]);
	return failed;
}
