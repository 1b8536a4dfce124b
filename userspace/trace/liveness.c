// SPDX-License-Identifier: GPL-2.0-or-later
#include <elf.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "arch/arch.h"
#include "heap/heap.h"
#include "image/image.h"
#include "trace/block_print.h"
#include "trace/liveness.h"
#include "util/array.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/parallel.h"

enum {
	/* How much larger than asked for the program's part of a chunk may be; of a mapping: by a
	   page. */
	SLACK = 64,
	SLACK_MMAPPED = MW_PAGE_SIZE + 64,
	SLACK_CLASSES = 4, /* or by such a part, where sizes are rounded up to classes */
	/* Bytes of AT_RANDOM (getauxval(3)): every exec gets new ones. */
	PROGRAM_BYTES = 16,
	READS = 5, /* of them, MOMENT_NS apart */
	MOMENT_NS = 1000000,
	NICE = 5, /* the target and others go first, and yet a look ends on a busy machine */
};

/* Between two parts of this many bytes a look may end. */
static const uint64_t PART_BYTES = 256 << 20;

/* A process whose heaps are open. */
struct process {
	pid_t pid;
	struct mw_image *image;
	struct mw_heaps heaps;
	uint8_t program[PROGRAM_BYTES]; /* that it runs */
	bool used;			/* in this look */
};

struct mw_liveness {
	struct mw_liveness_query *list;
	size_t count;
	struct process *processes;
	size_t process_count, process_capacity;
	/* Where the next look begins, and when the first block of this round was met. */
	pid_t next_pid;
	uint64_t next_addr;
	double round_began;
	double seconds, whole;
	uint64_t bytes;
	char note[MW_LOOK_NOTE];
	pthread_t thread;
	bool looking;
	atomic_bool stop, known;
};

/* ---- one block ------------------------------------------------------------------------------- */

/* How much larger than what was asked for BLOCK of HEAP may be. */
static uint64_t slack_of(const struct mw_heap *heap, const struct mw_block *block)
{
	uint64_t part = block->size / SLACK_CLASSES;

	if (block->kind == MW_BLOCK_MMAPPED)
		return SLACK_MMAPPED;
	return mw_heap__has_runs(heap) && part > SLACK ? part : SLACK;
}

/* BLOCK of HEAP holds QUERY's address; size 0: it has none there. */
static void judge(struct mw_liveness_query *query, const struct mw_heap *heap,
		  const struct mw_block *block)
{
	uint64_t room = mw_block_usable(block);
	bool alive;

	/* Not there, or in a part that could not be read (swap, a race): nothing is known. */
	if (!block->size || block->kind == MW_BLOCK_UNKNOWN)
		return;
	alive = mw_block_state(block) == MW_STATE_LIVE &&
		query->addr == block->start + block->header && room >= query->size &&
		room - query->size <= slack_of(heap, block);
	query->room = room;
	query->state = alive ? MW_LIVENESS_ALIVE : MW_LIVENESS_FREED;
}

/* QUERY is in no block: its mapping was unmapped, or the look has left that memory out. */
static void judge_unmapped(struct mw_image *image, struct mw_liveness_query *query)
{
	char byte;

	if (query->state == MW_LIVENESS_UNKNOWN && !mw_image__read(image, query->addr, &byte, 1))
		query->state = MW_LIVENESS_FREED;
}

/* ---- one process ----------------------------------------------------------------------------- */

static void close_process(struct process *p)
{
	mw_heaps__close(&p->heaps);
	mw_image__close(p->image);
	p->image = NULL;
}

/* A page that the kernel moves reads like one in swap (pagemap's bit 62) for a moment. */
static bool read_program(struct process *p, uint8_t program[PROGRAM_BYTES])
{
	const struct timespec moment = {0, MOMENT_NS};
	uint64_t addr = mw_image__auxv(p->image, AT_RANDOM);
	ssize_t n = 0;

	for (int i = 0; i < READS; i++) {
		if (i)
			nanosleep(&moment, NULL);
		n = mw_image__read(p->image, addr, program, PROGRAM_BYTES);
		if (n != -EINTR)
			break;
	}
	return n == PROGRAM_BYTES;
}

/* Does it run the program whose heaps are open? */
static bool is_same_program(struct process *p)
{
	uint8_t now[PROGRAM_BYTES];

	return read_program(p, now) && !memcmp(now, p->program, sizeof(now));
}

static bool has_runs(const struct process *p)
{
	for (size_t h = 0; h < p->heaps.count; h++) {
		if (mw_heap__has_runs(p->heaps.list[h]))
			return true;
	}
	return false;
}

static void open_process(struct mw_liveness *f, struct process *p)
{
	struct mw_err err = {0};

	p->image = mw_image__open_process(p->pid, 0, &err);
	if (p->image) {
		mw_image__stop_with(p->image, &f->stop);
		if (!read_program(p, p->program))
			mw_err_set(&err, -EPERM, "unreadable", NULL, "PID %d can't be read",
				   p->pid);
		else if (!mw_heaps__open(&p->heaps, p->image, &err) && !p->heaps.count)
			err = p->heaps.none;
	}
	if (!p->image || err.code) {
		snprintf(f->note, sizeof(f->note), "%.*s", MW_LOOK_NOTE - 1, err.message);
		close_process(p);
	}
}

/* The process PID with its heaps as they are now; NULL: they can't be read. */
static struct process *process_of(struct mw_liveness *f, pid_t pid)
{
	struct process *p = NULL;

	for (size_t i = 0; i < f->process_count && !p; i++) {
		if (f->processes[i].pid == pid)
			p = &f->processes[i];
	}
	if (!p) {
		if (mw_array_reserve(&f->processes, &f->process_capacity, f->process_count + 1,
				     sizeof(*f->processes)))
			return NULL;
		p = &f->processes[f->process_count++];
		*p = (struct process){.pid = pid};
	}
	p->used = true;
	/* One look takes all that runs have to say. */
	if (p->image && (has_runs(p) || mw_image__refresh(p->image) || !is_same_program(p)))
		close_process(p);
	if (!p->image)
		open_process(f, p);
	return p->image ? p : NULL;
}

/* Processes that no block of this look was in are let go. */
static void drop_unused(struct mw_liveness *f)
{
	size_t kept = 0;

	for (size_t i = 0; i < f->process_count; i++) {
		if (f->processes[i].used)
			f->processes[kept++] = f->processes[i];
		else
			close_process(&f->processes[i]);
	}
	f->process_count = kept;
}

/* ---- a part ---------------------------------------------------------------------------------- */

/*
 * Judge COUNT queries by the heaps of P, as far as one look at them comes. Returns how many, or
 * -errno.
 */
static ssize_t judge_all(struct process *p, struct mw_liveness_query *queries, size_t count)
{
	_cleanup_free_ uint64_t *addrs = calloc(count, sizeof(*addrs));
	_cleanup_free_ struct mw_block *blocks = calloc(count, sizeof(*blocks));
	ssize_t met = addrs && blocks ? (ssize_t)count : -ENOMEM;

	for (size_t i = 0; met >= 0 && i < count; i++) {
		addrs[i] = queries[i].addr;
		queries[i].state = MW_LIVENESS_UNKNOWN;
	}
	for (size_t h = 0; met > 0 && h < p->heaps.count; h++) {
		met = mw_heap__look(p->heaps.list[h], addrs, blocks, (size_t)met);
		for (ssize_t i = 0; i < met; i++)
			judge(&queries[i], p->heaps.list[h], &blocks[i]);
	}
	for (ssize_t i = 0; i < met; i++) {
		judge_unmapped(p->image, &queries[i]);
		if (queries[i].state == MW_LIVENESS_ALIVE && queries[i].wants_print)
			queries[i].print =
				mw_block_print(p->image, queries[i].addr, queries[i].size);
	}
	return met;
}

/* Returns how many of COUNT queries are done with. */
static size_t look_at_part(struct mw_liveness *f, struct process *p,
			   struct mw_liveness_query *queries, size_t count)
{
	uint64_t before = mw_image__bytes_read(p->image);
	double now = mw_monotonic();
	size_t unknown = 0;
	ssize_t met = judge_all(p, queries, count);

	f->bytes += mw_image__bytes_read(p->image) - before;
	/* What was read of a process that ended meanwhile, or runs another program, is nothing. */
	if (met < 0 || f->stop || !is_same_program(p)) {
		for (size_t i = 0; i < count; i++)
			queries[i].state = MW_LIVENESS_UNKNOWN;
		snprintf(f->note, sizeof(f->note), "PID %d %s", p->pid,
			 met == -ESTALE ? "has its allocator elsewhere now"
			 : met < 0	? "was looked at without enough memory"
					: "ended, runs another program or can't be read");
		close_process(p);
		return count;
	}
	for (ssize_t i = 0; i < met; i++) {
		queries[i].looked_at = now;
		unknown += queries[i].state == MW_LIVENESS_UNKNOWN;
	}
	if (unknown)
		snprintf(f->note, sizeof(f->note),
			 "of %zu blocks the memory can't be read, or is in swap", unknown);
	return (size_t)met;
}

/* The queries to P's heaps that one part has from I on end here. */
static size_t part_end(const struct mw_liveness *f, const struct process *p, size_t i)
{
	size_t end = i + 1;

	while (end < f->count && f->list[end].pid == f->list[i].pid &&
	       (!p || has_runs(p) || f->list[end].addr - f->list[i].addr < PART_BYTES))
		end++;
	return end;
}

/* ---- a look ---------------------------------------------------------------------------------- */

/* The first block of this look: behind the last one of the look before. */
static size_t first_query(struct mw_liveness *f)
{
	size_t i = 0;

	while (i < f->count && (f->list[i].pid < f->next_pid ||
				(f->list[i].pid == f->next_pid && f->list[i].addr < f->next_addr)))
		i++;
	if (!f->next_pid || i == f->count) {
		f->round_began = mw_monotonic();
		i = 0;
	}
	return i;
}

static void *look(void *arg)
{
	struct mw_liveness *f = arg;
	struct process *p = NULL;
	size_t i = first_query(f);

	setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), NICE);
	for (size_t k = 0; k < f->process_count; k++)
		f->processes[k].used = false;
	while (i < f->count && !f->stop && mw_cpu_seconds() < MW_LOOK_SECONDS) {
		size_t part;

		if (!p || !p->image || p->pid != f->list[i].pid)
			p = process_of(f, f->list[i].pid);
		part = part_end(f, p, i) - i;
		i += p ? look_at_part(f, p, &f->list[i], part) : part;
	}
	f->whole = i < f->count ? -1 : mw_monotonic() - f->round_began;
	f->next_pid = i < f->count ? f->list[i].pid : 0;
	f->next_addr = i < f->count ? f->list[i].addr : 0;
	if (i == f->count)
		drop_unused(f);
	f->seconds = mw_cpu_seconds();
	f->known = true;
	return NULL;
}

struct mw_liveness *mw_liveness__new(void)
{
	return calloc(1, sizeof(struct mw_liveness));
}

void mw_liveness__free(struct mw_liveness *f)
{
	if (!f)
		return;
	f->stop = true;
	if (f->looking)
		pthread_join(f->thread, NULL);
	for (size_t i = 0; i < f->process_count; i++)
		close_process(&f->processes[i]);
	free(f->processes);
	free(f->list);
	free(f);
}

int mw_liveness__begin(struct mw_liveness *f, struct mw_liveness_query *list, size_t count)
{
	int ret;

	free(f->list);
	f->list = list;
	f->count = count;
	f->bytes = 0;
	f->note[0] = '\0';
	f->known = false;
	ret = -pthread_create(&f->thread, NULL, look, f);
	f->looking = !ret;
	return ret;
}

bool mw_liveness__is_looking(const struct mw_liveness *f)
{
	return f->looking;
}

bool mw_liveness__are_known(const struct mw_liveness *f)
{
	return f->looking && f->known;
}

const struct mw_liveness_query *mw_liveness__end(struct mw_liveness *f, size_t *count,
						 struct mw_look *look)
{
	pthread_join(f->thread, NULL);
	f->looking = false;
	*look = (struct mw_look){f->seconds, f->bytes, f->whole, f->note};
	*count = f->count;
	return f->list;
}
