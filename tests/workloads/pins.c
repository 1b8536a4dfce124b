// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Few blocks that pin the ends of glibc's arenas: of 3000 blocks of 20,000 bytes, of the main arena
 * or with "thread" of a thread's, every 150th and the last one stay. Prints "ready PID", frees them
 * when a line comes, and prints "freed BYTES", by its resident pages, and "kept BLOCKS".
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { COUNT = 3000, SIZE = 20000, STEP = 150 };

static char *blocks[COUNT];

static long resident(void)
{
	FILE *f = fopen("/proc/self/statm", "r");
	long size, pages = 0;

	if (!f || fscanf(f, "%ld %ld", &size, &pages) != 2)
		exit(1);
	fclose(f);
	return pages * sysconf(_SC_PAGESIZE);
}

static void wait_for_line(void)
{
	for (int c = 0; c != EOF && c != '\n';)
		c = getchar();
}

static void *allocate(void *arg)
{
	(void)arg;
	for (int i = 0; i < COUNT; i++) {
		blocks[i] = malloc(SIZE);
		memset(blocks[i], 1, SIZE);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	int kept = 0;
	pthread_t thread;
	long before;

	/* Its buffer would lie behind all of them. */
	setvbuf(stdout, NULL, _IONBF, 0);
	setvbuf(stdin, NULL, _IONBF, 0);
	resident();
	if (argc > 1 && !strcmp(argv[1], "thread")) {
		pthread_create(&thread, NULL, allocate, NULL);
		pthread_join(thread, NULL);
	} else {
		allocate(NULL);
	}
	for (int i = 0; i < COUNT; i++) {
		if (i % STEP == 0 || i == COUNT - 1) {
			kept++;
			continue;
		}
		free(blocks[i]);
		blocks[i] = NULL;
	}
	printf("ready %d\n", (int)getpid());
	wait_for_line();
	before = resident();
	for (int i = 0; i < COUNT; i++)
		free(blocks[i]);
	printf("freed %ld\nkept %d\ndone\n", before - resident(), kept);
	wait_for_line();
	return 0;
}
