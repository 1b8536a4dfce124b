// SPDX-License-Identifier: GPL-2.0-or-later
/* A child that makes and frees blocks and says which; its heap is looked at while it waits. */
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/test.h"
#include "trace/liveness.h"

enum { BLOCKS = 3000 };

/* glibc's own, also where a sanitizer has put itself in front of it. */
void *__libc_malloc(size_t size);
void __libc_free(void *p);

struct shown {
	uint64_t addr, size;
	bool freed;
};

static void fill(struct shown *shown)
{
	void *blocks[BLOCKS];

	for (size_t i = 0; i < BLOCKS; i++) {
		/* Above what caches and fastbins keep; some have a mapping of their own. */
		shown[i].size = i % 100 == 99 ? 300000 + i : 1100 + 37 * (i % 53);
		blocks[i] = __libc_malloc(shown[i].size);
		shown[i].addr = (uintptr_t)blocks[i];
	}
	for (size_t i = 0; i < BLOCKS; i++) {
		if (i % 3)
			continue;
		__libc_free(blocks[i]);
		shown[i].freed = true;
	}
	/* Where two neighbours went, and in some single places, other blocks are now. */
	for (size_t i = 0; i < BLOCKS / 8; i++)
		blocks[i] = __libc_malloc(900);
}

static pid_t start(int *out, int *in)
{
	int to[2], from[2];
	pid_t pid;

	if (pipe(to) || pipe(from))
		return -1;
	pid = fork();
	if (!pid) {
		static struct shown shown[BLOCKS];
		char c;

		close(to[1]);
		fill(shown);
		if (write(from[1], shown, sizeof(shown)) != (ssize_t)sizeof(shown))
			_exit(1);
		_exit(read(to[0], &c, 1) < 0);
	}
	close(to[0]);
	close(from[1]);
	*out = to[1];
	*in = from[0];
	return pid;
}

TEST(the_heap_tells_which_blocks_are_gone)
{
	static struct shown shown[BLOCKS];
	struct mw_liveness_query *list = calloc(BLOCKS, sizeof(*list));
	const struct mw_liveness_query *known;
	size_t got = 0, count, wrong = 0, unknown = 0;
	struct mw_liveness *liveness;
	int out, in;
	double seconds;
	pid_t pid = start(&out, &in);

	CHECK(pid > 0 && list);
	while (got < sizeof(shown)) {
		ssize_t n = read(in, (char *)shown + got, sizeof(shown) - got);

		CHECK(n > 0);
		got += (size_t)n;
	}
	for (size_t i = 0; i < BLOCKS; i++)
		list[i] = (struct mw_liveness_query){
			.pid = pid, .addr = shown[i].addr, .size = shown[i].size, .key = i};
	/* In the order of addresses. */
	for (size_t i = 1; i < BLOCKS; i++) {
		struct mw_liveness_query one = list[i];
		size_t at = i;

		for (; at && list[at - 1].addr > one.addr; at--)
			list[at] = list[at - 1];
		list[at] = one;
	}
	liveness = mw_liveness__begin(list, BLOCKS);
	CHECK(liveness);
	while (!mw_liveness__are_known(liveness))
		nanosleep(&(struct timespec){0, 1000000}, NULL);
	known = mw_liveness__list(liveness, &count, &seconds);
	CHECK_INT(count, BLOCKS);
	for (size_t i = 0; i < count; i++) {
		wrong += (known[i].state == MW_LIVENESS_FREED) != shown[known[i].key].freed;
		unknown += known[i].state == MW_LIVENESS_UNKNOWN;
	}
	mw_liveness__end(liveness);
	close(out);
	close(in);
	waitpid(pid, NULL, 0);
	CHECK_INT(wrong, 0);
	CHECK_INT(unknown, 0);
	CHECK(seconds > 0);
}

TEST(a_process_that_is_gone_tells_nothing)
{
	struct mw_liveness_query *list = calloc(1, sizeof(*list));
	struct mw_liveness *liveness;
	size_t count;
	double seconds;
	pid_t pid = fork();

	if (!pid)
		_exit(0);
	waitpid(pid, NULL, 0);
	*list = (struct mw_liveness_query){.pid = pid, .addr = 0x1000, .size = 10};
	liveness = mw_liveness__begin(list, 1);
	CHECK(liveness);
	while (!mw_liveness__are_known(liveness))
		nanosleep(&(struct timespec){0, 1000000}, NULL);
	list = (struct mw_liveness_query *)(uintptr_t)mw_liveness__list(liveness, &count, &seconds);
	CHECK_INT(list->state, MW_LIVENESS_UNKNOWN);
	mw_liveness__end(liveness);
}
