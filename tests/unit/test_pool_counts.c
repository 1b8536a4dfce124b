// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * pymalloc's pools of an interpreter that waits: how their counts move, against
 * sys.getallocatedblocks(), and that they are found without the list of their arenas.
 */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "python/pool_counts.h"
#include "python/python_impl.h"
#include "tests/unit/test.h"

static const char script[] = "import gc, sys\n"
			     "gc.disable()\n"
			     "kept = []\n"
			     "for line in sys.stdin:\n"
			     "    n = int(line)\n"
			     "    if n < 0: del kept[n:]\n"
			     "    kept.extend([float(i) for i in range(n)])\n"
			     "    sys.stdout.write('%d\\n' % sys.getallocatedblocks())\n"
			     "    sys.stdout.flush()\n";

static pid_t child;
static FILE *to, *from;

static void start_python(void)
{
	int in[2], out[2];

	CHECK(!pipe(in) && !pipe(out));
	child = fork();
	CHECK(child >= 0);
	if (!child) {
		dup2(in[0], 0);
		dup2(out[1], 1);
		close(in[1]);
		execlp("python3", "python3", "-Sc", script, (char *)NULL);
		_exit(127);
	}
	close(in[0]);
	close(out[1]);
	to = fdopen(in[1], "w");
	from = fdopen(out[0], "r");
	CHECK(to && from);
}

static void stop_python(void)
{
	fclose(to);
	fclose(from);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
}

/* Make it keep COUNT more objects, or fewer. How many blocks it has then. */
static double keep(int count)
{
	long blocks = -1;

	CHECK(fprintf(to, "%d\n", count) > 0 && !fflush(to));
	CHECK(fscanf(from, "%ld", &blocks) == 1);
	return (double)blocks;
}

static bool is_near(double got, double want, double share, double more)
{
	double off = got > want ? got - want : want - got;

	if (off <= share * (want < 0 ? -want : want) + more)
		return true;
	printf("  moved by %.0f, expected %.0f\n", got, want);
	return false;
}

TEST(pools_count_what_the_interpreter_counts)
{
	/* Kept and dropped, in a few arenas; then so many that only a part of them is read. */
	static const struct {
		int count;
		double share;
	} steps[] = {{5003, 0}, {-3001, 0}, {60013, 0}, {3000017, 0}, {2000003, 0.35}};
	struct mw_image *image;
	struct mw_python *py;
	struct mw_pool_counts *counts;
	struct mw_err err = {0};
	double before, moved;

	start_python();
	before = keep(1);
	image = mw_image__open_process(child, 0, &err);
	py = image ? mw_python__open(image, &err) : NULL;
	if (!py)
		printf("  %s\n", err.message);
	CHECK(py);
	counts = mw_pool_counts__new(py);
	mw_python__close(py);
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		double now;

		CHECK_INT(mw_pool_counts__begin(counts, image), 0);
		now = keep(steps[i].count);
		CHECK_INT(mw_pool_counts__moved(counts, image, &moved), 0);
		CHECK(is_near(moved, now - before, steps[i].share, 20));
		/* Free lists keep some. */
		CHECK(is_near(moved, steps[i].count, steps[i].share, 250));
		before = now;
	}
	mw_pool_counts__free(counts);
	mw_image__close(image);
	stop_python();
}

/* A process's memory with a bit flipped in the words at PLACES. */
struct flipped {
	struct mw_image *image;
	uint64_t places[MW_PY_ARENA_LISTS];
	size_t count;
};

static ssize_t read_flipped(void *arg, uint64_t addr, void *buf, size_t len)
{
	const struct flipped *f = arg;
	ssize_t n = mw_image__read(f->image, addr, buf, len);

	for (size_t i = 0; n > 0 && i < f->count; i++) {
		uint64_t at = f->places[i] + 5 - addr;

		if (at < (uint64_t)n)
			((uint8_t *)buf)[at] ^= 1;
	}
	return n;
}

/* CHILD's image whose reads go through FLIPPED; it waits for a line. */
static struct mw_image *open_flipped(struct flipped *flipped)
{
	const struct mw_image_callbacks callbacks = {.read = read_flipped, .arg = flipped};
	struct mw_image *image = mw_image__open_process(child, MW_IMAGE_WHOLE, NULL);

	CHECK(image);
	CHECK_INT(mw_image__redirect(image, &callbacks), 0);
	mw_image__set_still(image, true);
	return image;
}

static uint64_t objects_of(struct mw_python *py)
{
	struct mw_py_census census;

	CHECK_INT(mw_python__census(py, NULL, &census, NULL), 0);
	return census.objects;
}

TEST(pools_are_found_where_the_list_of_arenas_is_damaged)
{
	struct flipped flipped = {.count = 0};
	struct mw_python *whole, *damaged;
	struct mw_image *image;

	start_python();
	keep(100003);
	flipped.image = mw_image__open_process(child, MW_IMAGE_WHOLE, NULL);
	CHECK(flipped.image);
	mw_image__set_still(flipped.image, true);
	whole = mw_python__open(flipped.image, NULL);
	CHECK(whole && whole->arena_list_count);
	image = open_flipped(&flipped);
	memcpy(flipped.places, whole->arena_lists, sizeof(flipped.places));
	flipped.count = whole->arena_list_count;
	damaged = mw_python__open(image, NULL);
	CHECK(damaged);
	CHECK_STR(mw_python__info(damaged)->allocator, "pymalloc");
	CHECK(is_near((double)objects_of(damaged), (double)objects_of(whole), 0.01, 0));
	mw_python__close(damaged);
	mw_image__close(image);
	mw_python__close(whole);
	mw_image__close(flipped.image);
	stop_python();
}
