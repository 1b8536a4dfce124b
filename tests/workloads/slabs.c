// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A heap of blocks of many sizes by several threads, of which every third is freed, and what the
 * allocator itself says of it: jemalloc's mallctl, gperftools' MallocExtension, mimalloc's
 * counters. slabs BLOCKS THREADS; says numbers as "NAME VALUE", then "ready PID", and waits.
 */
#include <dlfcn.h>
#include <malloc.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void **kept;
static size_t blocks, threads;
static pthread_barrier_t done, out;

static size_t size_of(size_t i)
{
	size_t x = i * 2654435761u % 1000;

	return x < 900 ? 1 + x % 509 : x < 990 ? 500 + 29 * x : x < 999 ? 40000 + 100 * x : 3000017;
}

static void *fill(void *arg)
{
	size_t first = (size_t)arg;

	for (size_t i = first; i < blocks; i += threads) {
		kept[i] = malloc(size_of(i));
		memset(kept[i], 0x5a, size_of(i));
	}
	for (size_t i = first; i < blocks; i += threads) {
		if (i % 3 == 0) {
			free(kept[i]);
			kept[i] = NULL;
		}
	}
	pthread_barrier_wait(&done);
	pthread_barrier_wait(&out);
	return NULL;
}

static void say(const char *name, size_t value)
{
	dprintf(1, "%s %zu\n", name, value);
}

static void say_jemalloc(void)
{
	static const char *const names[] = {"allocated", "active", "metadata",
					    "resident",	 "mapped", "retained"};
	int (*ctl)(const char *, void *, size_t *, void *, size_t) =
		(int (*)(const char *, void *, size_t *, void *, size_t))dlsym(RTLD_DEFAULT,
									       "mallctl");
	uint64_t epoch = 1;
	size_t value, len = sizeof(value);
	unsigned int arenas;
	char name[64];

	if (!ctl)
		return;
	ctl("epoch", NULL, NULL, &epoch, sizeof(epoch));
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(name, sizeof(name), "stats.%s", names[i]);
		if (!ctl(name, &value, &len, NULL, 0))
			say(names[i], value);
	}
	/* All arenas together: MALLCTL_ARENAS_ALL. */
	if (!ctl("stats.arenas.4096.tcache_bytes", &value, &len, NULL, 0))
		say("cached", value);
	if (!ctl("stats.arenas.4096.pdirty", &value, &len, NULL, 0))
		say("dirty", value * 4096);
	if (!ctl("stats.arenas.4096.pmuzzy", &value, &len, NULL, 0))
		say("muzzy", value * 4096);
	len = sizeof(arenas);
	if (!ctl("arenas.narenas", &arenas, &len, NULL, 0))
		say("arenas", arenas);
}

static void say_tcmalloc(void)
{
	static const char *const names[][2] = {
		{"allocated", "generic.current_allocated_bytes"},
		{"heap", "generic.heap_size"},
		{"pages", "tcmalloc.pageheap_free_bytes"},
		{"unmapped", "tcmalloc.pageheap_unmapped_bytes"},
		{"thread_caches", "tcmalloc.current_total_thread_cache_bytes"},
		{"central", "tcmalloc.central_cache_free_bytes"},
		{"transfer", "tcmalloc.transfer_cache_free_bytes"},
	};
	int (*get)(const char *, size_t *) = (int (*)(const char *, size_t *))dlsym(
		RTLD_DEFAULT, "MallocExtension_GetNumericProperty");
	size_t value;

	for (size_t i = 0; get && i < sizeof(names) / sizeof(names[0]); i++) {
		if (get(names[i][1], &value))
			say(names[i][0], value);
	}
}

int main(int argc, char **argv)
{
	pthread_t thread;
	size_t live = 0, bytes = 0, usable = 0;

	blocks = argc > 1 ? strtoul(argv[1], NULL, 0) : 100003;
	threads = argc > 2 ? strtoul(argv[2], NULL, 0) : 3;
	kept = calloc(blocks, sizeof(*kept));
	pthread_barrier_init(&done, NULL, (unsigned int)threads + 1);
	pthread_barrier_init(&out, NULL, (unsigned int)threads + 1);
	for (size_t i = 0; i < threads; i++)
		pthread_create(&thread, NULL, fill, (void *)i);
	pthread_barrier_wait(&done);
	for (size_t i = 0; i < blocks; i++) {
		if (!kept[i])
			continue;
		live++;
		bytes += size_of(i);
		usable += malloc_usable_size(kept[i]);
	}
	say("live", live);
	say("requested", bytes);
	say("usable", usable);
	dprintf(1, "block %p\n", kept[1]);
	say_jemalloc();
	say_tcmalloc();
	dprintf(1, "ready %d\n", getpid());
	pause();
	return 0;
}
