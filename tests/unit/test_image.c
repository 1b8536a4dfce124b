// SPDX-License-Identifier: GPL-2.0-or-later
/* Images of a process, opened with more and with less. */
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "image/image.h"
#include "image/modules.h"
#include "tests/unit/test.h"

static const char secret[] = "what is to be read";

/* A child that maps 3 pages more for each byte it is sent and says where. */
struct child {
	pid_t pid;
	int to, from;
};

static struct child start(void)
{
	struct child c;
	int to[2], from[2];

	CHECK(!pipe(to) && !pipe(from));
	c.pid = fork();
	if (!c.pid) {
		char byte;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(to[1]);
		while (read(to[0], &byte, 1) == 1) {
			char *map = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE,
					 MAP_SHARED | MAP_ANONYMOUS, -1, 0);

			map[4097] = 'x';
			if (write(from[1], &map, sizeof(map)) != sizeof(map))
				break;
		}
		_exit(0);
	}
	CHECK(c.pid > 0);
	close(to[0]);
	close(from[1]);
	c.to = to[1];
	c.from = from[0];
	return c;
}

static void stop(struct child *c)
{
	close(c->to);
	close(c->from);
	kill(c->pid, SIGKILL);
	waitpid(c->pid, NULL, 0);
}

static uint64_t map_more(const struct child *c)
{
	char *map = NULL;

	CHECK_INT(write(c->to, "x", 1), 1);
	CHECK_INT(read(c->from, &map, sizeof(map)), sizeof(map));
	return (uintptr_t)map;
}

TEST(a_whole_image_has_threads_and_residency)
{
	struct child c = start();
	struct mw_image *image = mw_image__open_process(c.pid, MW_IMAGE_WHOLE, NULL);
	const struct mw_region *region;
	size_t threads;

	CHECK(image);
	mw_image__threads(image, &threads);
	CHECK_INT(threads, 1);
	CHECK(mw_image__spans_are_exact(image));
	region = mw_image__find(image, (uintptr_t)&c);
	CHECK(region && region->resident && region->resident < region->map.end - region->map.start);
	CHECK_INT(mw_image__process(image), c.pid);
	CHECK(!mw_image__is_still(image));
	mw_image__close(image);
	stop(&c);
}

/* Every other page of a mapping, in more runs than the kernel tells at a time. */
TEST(resident_pages_are_told_once_and_in_order)
{
	enum { RUNS = 3001, PAGE = 4096 };
	char *map = mmap(NULL, 2 * RUNS * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			 -1, 0);
	const struct mw_spans *spans;
	struct mw_image *image;
	struct child c;
	uint64_t pages = 0, last = 0, begin = (uintptr_t)map;

	CHECK(map != MAP_FAILED);
	madvise(map, 2 * RUNS * PAGE, MADV_NOHUGEPAGE);
	for (size_t i = 0; i < RUNS; i++)
		map[2 * i * PAGE] = 'x';
	c = start();
	image = mw_image__open_process(c.pid, MW_IMAGE_WHOLE, NULL);
	CHECK(image && !mw_image__spans(image, &spans));
	for (size_t i = 0; i < spans->count; i++) {
		const struct mw_span *s = &spans->spans[i];

		CHECK(s->start >= last && s->end > s->start);
		last = s->end;
		if (s->start >= begin && s->start < begin + 2 * RUNS * PAGE)
			pages += (s->end - s->start) / PAGE;
	}
	CHECK_INT(pages, RUNS);
	mw_image__close(image);
	stop(&c);
	munmap(map, 2 * RUNS * PAGE);
}

TEST(a_low_impact_image_has_neither_but_reads_the_same)
{
	struct child c = start();
	struct mw_image *image = mw_image__open_process(c.pid, 0, NULL);
	const struct mw_region *region;
	atomic_bool stopped = false;
	char text[sizeof(secret)];
	size_t threads;

	CHECK(image);
	mw_image__threads(image, &threads);
	CHECK_INT(threads, 0);
	CHECK(!mw_image__spans_are_exact(image));
	region = mw_image__find(image, (uintptr_t)&c);
	CHECK(region && region->resident == region->map.end - region->map.start);
	CHECK(mw_image__read_all(image, (uintptr_t)secret, text, sizeof(text)));
	CHECK_STR(text, secret);
	CHECK_INT(mw_image__read(image, 8, text, sizeof(text)), 0);
	mw_image__stop_with(image, &stopped);
	CHECK(mw_image__read_all(image, (uintptr_t)secret, text, sizeof(text)));
	stopped = true;
	CHECK_INT(mw_image__read(image, (uintptr_t)secret, text, sizeof(text)), -EINTR);
	mw_image__close(image);
	stop(&c);
}

TEST(regions_are_read_again_until_the_process_ends)
{
	struct child c = start();
	struct mw_image *image = mw_image__open_process(c.pid, MW_IMAGE_SWAP_IN, NULL);
	uint64_t map = map_more(&c), count;
	static char pages[2 * 4096];

	CHECK(image);
	CHECK(!mw_image__find(image, map + 4096));
	CHECK_INT(mw_image__read(image, map, pages, sizeof(pages)), 0);
	CHECK_INT(mw_image__refresh(image), 0);
	CHECK(mw_image__find(image, map + 4096));
	CHECK(mw_image__read_all(image, map, pages, sizeof(pages)));
	CHECK_INT(pages[4097], 'x');
	count = mw_image__regions(image)->count;
	kill(c.pid, SIGKILL);
	waitpid(c.pid, NULL, 0);
	CHECK(mw_image__refresh(image));
	CHECK_INT(mw_image__regions(image)->count, count);
	CHECK_INT(mw_image__read(image, map, pages, 8), -ESRCH);
	mw_image__close(image);
	close(c.to);
	close(c.from);
}

TEST(modules_in_the_order_of_the_linker)
{
	struct child c = start();
	struct mw_image *image = mw_image__open_process(c.pid, 0, NULL);
	struct mw_modules modules;
	bool has_libc = false;

	CHECK(image);
	CHECK_INT(mw_modules__read(&modules, image, NULL), 0);
	CHECK(modules.count >= 3 && modules.modules[0].executable && !modules.is_static);
	CHECK(strstr(modules.modules[0].map->path, "test_image"));
	for (size_t i = 0; i < modules.count; i++) {
		CHECK_INT(modules.modules[i].map->offset, 0);
		has_libc |= strstr(modules.modules[i].map->path, "libc.so") != NULL;
	}
	CHECK(has_libc);
	mw_modules__free(&modules);
	mw_image__close(image);
	stop(&c);
}

TEST(no_such_process)
{
	struct mw_err err = {0};

	CHECK(!mw_image__open_process(4194303, 0, &err));
	CHECK_INT(errno, ESRCH);
	CHECK_STR(err.name, "no-such-process");
	CHECK(!mw_image__open_process(4194303, MW_IMAGE_WHOLE, &err));
	CHECK_INT(errno, ESRCH);
}
