// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Much address space and little memory: 20 TiB reserved, of which 37 MiB in one piece each 512 GiB
 * were written; 8 MiB were written and then protected; 16 MiB of address space are shared memory
 * that was unlinked. With an argument also 4 huge pages. Prints "ready PID".
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MIB (1UL << 20)

static char *map(size_t size, int flags, int fd)
{
	char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, fd, 0);

	if (p == MAP_FAILED) {
		perror("mmap");
		_exit(1);
	}
	return p;
}

int main(int argc, char **argv)
{
	const int anonymous = MAP_PRIVATE | MAP_ANONYMOUS;
	char *p = map(20UL << 40, anonymous | MAP_NORESERVE, -1);
	char name[32];
	int fd;

	for (size_t i = 0; i < 37; i++)
		memset(p + (i << 39), 1, MIB);
	p = map(8 * MIB, anonymous, -1);
	memset(p, 1, 8 * MIB);
	mprotect(p, 8 * MIB, PROT_NONE);
	snprintf(name, sizeof(name), "/memwhere.%d", (int)getpid());
	fd = shm_open(name, O_RDWR | O_CREAT, 0600);
	if (fd < 0 || ftruncate(fd, 16 * MIB))
		return 1;
	memset(map(16 * MIB, MAP_SHARED, fd), 1, 3 * MIB);
	shm_unlink(name);
	if (argc > 1)
		memset(map(8 * MIB, anonymous | MAP_HUGETLB, -1), 1, 8 * MIB);
	(void)argv;
	printf("ready %d\n", (int)getpid());
	fflush(stdout);
	for (;;)
		pause();
}
