// SPDX-License-Identifier: GPL-2.0-or-later
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <errno.h>
#include <linux/perf_event.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "bpf/memwhere.h"
#include "bpf/memwhere.skel.h"
#include "model/ration.h"
#include "trace/bpf_map.h"
#include "trace/lengths.h"
#include "trace/processes.h"
#include "trace/watchpoint.h"
#include "util/array.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/log.h"

/*
 * Of a process: at a time, because two of the processor's four watchpoints are left to others; and
 * by turns.
 */
enum { AT_A_TIME = 2, OF_ONE = 8, THREADS_MAX = 256 };

/*
 * Seconds between two rounds of a container, with each that it has had, and at most: the first ones
 * tell the lines, more of them only how large their shares are. And between two searches for new
 * threads.
 */
static const double ROUND = 0.5, LONGER = 0.25, LONGEST = 10, THREADS = 2;
/* Seconds that the stack takes at a hit: one of 40 frames of Python. */
static const double STACK = 2e-5;
/* To count the threads' switches takes memwhere no more than this share of its time. */
static const double COUNTING = 0.02;
/* Seconds that one has the processor's watchpoint while others wait, and with each thread more. */
static const double TURN = 2, TURN_THREAD = 0.02;

/* The watchpoint of one thread. */
struct point {
	pid_t tid;
	int event, link;
	uint64_t switches; /* to it so far */
	bool lives;
};

struct watched {
	struct mw_watched_length of;
	uint64_t id; /* its place in the map is the rest by MW_LENGTHS; 0: none */
	struct point points[THREADS_MAX]; /* of this round; none: it is over */
	size_t count;
	uint32_t round, full; /* rounds so far, and those that had all their hits */
	uint32_t hits;	      /* of this round that are paid */
	double began;	      /* when it did */
	bool up;	      /* it is its turn */
	double up_since;      /* or was, the last time; 0: never yet */
	bool had_its_hits;    /* in this turn */
};

struct mw_lengths {
	struct memwhere_bpf *bpf;
	struct mw_processes *processes;
	struct mw_ration ration;
	double each;		/* seconds that a switch takes longer; negative: not measured */
	double hit;		/* that a hit takes */
	double owed;		/* that hits took of rounds that are over, not counted yet */
	double seconds;		/* that all switches took */
	double cpu, counted_at; /* of the targets, when switches were counted last */
	double count_at;	/* when they are again */
	struct watched list[MW_LENGTHS];
	uint64_t ids; /* given so far */
	double next, search;
	bool failed; /* and that was said */
};

bool mw_lengths_can_be_watched(void)
{
	/*
	 * r1 = map; r0 = 0; exit. Maps that get memory as they fill are refused to such programs
	 * before Linux 6.1 (34dd3bad1a6f).
	 */
	struct bpf_insn insns[] = {
		{.code = BPF_LD | BPF_IMM | BPF_DW,
		 .dst_reg = BPF_REG_1,
		 .src_reg = BPF_PSEUDO_MAP_FD},
		{0},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0},
		{.code = BPF_JMP | BPF_EXIT},
	};
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_NO_PREALLOC);
	_cleanup_close_ int map = bpf_map_create(BPF_MAP_TYPE_HASH, "mw_test", 8, 8, 1, &opts);
	_cleanup_close_ int prog = -1;

	if (map < 0)
		return false;
	insns[0].imm = map;
	prog = bpf_prog_load(BPF_PROG_TYPE_PERF_EVENT, NULL, "GPL", insns, MW_ARRAY_SIZE(insns),
			     NULL);
	return prog >= 0;
}

struct mw_lengths *mw_lengths__new(struct memwhere_bpf *bpf, struct mw_processes *processes,
				   double share, double trap)
{
	struct mw_lengths *l = calloc(1, sizeof(*l));

	if (!l)
		return NULL;
	l->bpf = bpf;
	l->processes = processes;
	l->each = -1;
	l->hit = trap + STACK;
	mw_ration__begin(&l->ration, share);
	return l;
}

static void take_out(struct point *point)
{
	close(point->link);
	close(point->event);
}

/* Seconds that W's hits took since they were counted last. */
static double count_hits(const struct mw_lengths *l, struct watched *w)
{
	uint32_t index = w->id % MW_LENGTHS, before = w->hits;
	struct mw_length length;

	if (!w->count || bpf_map_lookup_elem(bpf_map__fd(l->bpf->maps.lengths), &index, &length) ||
	    length.id != w->id || length.hits < before)
		return 0;
	w->hits = length.hits;
	return l->hit * (w->hits - before);
}

static void end_round(struct mw_lengths *l, struct watched *w)
{
	l->owed += count_hits(l, w);
	for (size_t i = 0; i < w->count; i++)
		take_out(&w->points[i]);
	w->count = 0;
}

static void stop_watching(struct mw_lengths *l, struct watched *w)
{
	end_round(l, w);
	w->up = false;
}

void mw_lengths__stop(struct mw_lengths *l)
{
	for (size_t i = 0; i < MW_LENGTHS; i++)
		stop_watching(l, &l->list[i]);
}

void mw_lengths__free(struct mw_lengths *l)
{
	if (!l)
		return;
	mw_lengths__stop(l);
	free(l);
}

/*
 * A watchpoint for thread TID, which the kernel switches off after a round's hits, even if memwhere
 * doesn't get to it. Linux 6.18 doesn't let one that was switched off so tell of its hits again:
 * each round has new ones.
 */
static int put_in(const struct mw_lengths *l, const struct watched *w, pid_t tid,
		  struct point *point)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts, .perf_event.bpf_cookie = w->id);

	*point = (struct point){.tid = tid, .lives = true};
	point->event = mw_watchpoint__open(tid, w->of.length_at);
	if (point->event < 0)
		return point->event;
	point->switches = mw_watchpoint__switches(w->of.pid, tid);
	point->link = bpf_link_create(bpf_program__fd(l->bpf->progs.length_changed), point->event,
				      BPF_PERF_EVENT, &opts);
	if (point->link < 0) {
		close(point->event);
		return point->link;
	}
	ioctl(point->event, PERF_EVENT_IOC_REFRESH, MW_LENGTH_HITS + 1);
	return 0;
}

/* The thread TID of W lives: does it have a watchpoint? */
static bool see(struct watched *w, pid_t tid)
{
	for (size_t i = 0; i < w->count; i++) {
		if (w->points[i].tid == tid)
			return w->points[i].lives = true;
	}
	return false;
}

static void drop_ended(struct watched *w)
{
	size_t kept = 0;

	for (size_t i = 0; i < w->count; i++) {
		if (w->points[i].lives)
			w->points[kept++] = w->points[i];
		else
			take_out(&w->points[i]);
	}
	w->count = kept;
}

/* Threads that are new get a watchpoint. */
static void find_threads(struct mw_lengths *l, struct watched *w)
{
	char path[32];
	_cleanup_closedir_ DIR *dir = NULL;
	const struct dirent *entry;

	for (size_t i = 0; i < w->count; i++)
		w->points[i].lives = false;
	snprintf(path, sizeof(path), "/proc/%d/task", w->of.pid);
	dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		pid_t tid = (pid_t)atoi(entry->d_name);
		int ret;

		if (tid <= 0 || see(w, tid) || w->count == THREADS_MAX)
			continue;
		ret = put_in(l, w, tid, &w->points[w->count]);
		if (!ret) {
			w->count++;
		} else if (ret != -ESRCH && !l->failed) {
			l->failed = true;
			mw_detail(
				"PID %d: which line makes a container longer can't be watched: %s",
				w->of.pid, strerror(-ret));
		}
	}
	drop_ended(w);
}

/* That of a container which seldom changes lasts. */
static void begin_round(struct mw_lengths *l, struct watched *w, double now)
{
	uint32_t index = w->id % MW_LENGTHS;
	struct mw_length length = {
		.id = w->id,
		.address = w->of.length_at,
		.slot = w->of.slot,
		.round = w->round + 1,
	};

	w->round++;
	w->hits = 0;
	w->began = now;
	bpf_map_update_elem(bpf_map__fd(l->bpf->maps.lengths), &index, &length, BPF_ANY);
	find_threads(l, w);
}

void mw_lengths__round_is_over(struct mw_lengths *l, uint64_t id)
{
	for (size_t i = 0; i < MW_LENGTHS; i++) {
		struct watched *w = &l->list[i];

		if (w->id != id || !w->count)
			continue;
		end_round(l, w);
		w->had_its_hits = true;
		w->full++;
	}
}

static bool is_same(const struct mw_watched_length *a, const struct mw_watched_length *b)
{
	return a->pid == b->pid && a->container == b->container && a->length_at == b->length_at;
}

static bool is_among(const struct mw_watched_length *one, const struct mw_watched_length *list,
		     size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (is_same(one, &list[i]))
			return true;
	}
	return false;
}

static struct watched *find(struct mw_lengths *l, pid_t pid, uint64_t container)
{
	for (size_t i = 0; i < MW_LENGTHS; i++) {
		if (l->list[i].id && l->list[i].of.pid == pid &&
		    l->list[i].of.container == container)
			return &l->list[i];
	}
	return NULL;
}

static void forget_change(uint64_t key, const void *value, void *arg)
{
	const struct mw_length_change *change = value;
	struct mw_lengths *l = arg;

	for (size_t i = 0; i < MW_LENGTHS; i++) {
		if (l->list[i].id == change->id)
			return;
	}
	bpf_map_delete_elem(bpf_map__fd(l->bpf->maps.length_changes), &key);
}

/* The first of WANTED, not too many of a process, into LIST. Returns how many. */
static size_t choose(struct mw_watched_length list[MW_LENGTHS],
		     const struct mw_watched_length *wanted, size_t count)
{
	size_t chosen = 0;

	for (size_t i = 0; i < count && chosen < MW_LENGTHS; i++) {
		size_t of_it = 0;

		for (size_t k = 0; k < chosen; k++)
			of_it += list[k].pid == wanted[i].pid;
		if (of_it < OF_ONE)
			list[chosen++] = wanted[i];
	}
	return chosen;
}

void mw_lengths__watch(struct mw_lengths *l, const struct mw_watched_length *wanted,
		       size_t wanted_count)
{
	struct mw_watched_length list[MW_LENGTHS];
	size_t count = choose(list, wanted, wanted_count);
	bool any = false;

	for (size_t i = 0; i < MW_LENGTHS; i++) {
		struct watched *w = &l->list[i];

		if (w->id && !is_among(&w->of, list, count)) {
			stop_watching(l, w);
			*w = (struct watched){0};
			any = true;
		}
	}
	if (any)
		mw_bpf_map__each(bpf_map__fd(l->bpf->maps.length_changes),
				 sizeof(struct mw_length_change), forget_change, l);
	for (size_t i = 0, k = 0; i < count; i++) {
		if (find(l, list[i].pid, list[i].container))
			continue;
		while (l->list[k].id)
			k++;
		l->list[k].of = list[i];
		l->list[k].id = ++l->ids * MW_LENGTHS + k;
		l->next = l->search = 0;
	}
}

/* Of the process of W: how many have their turn; the one that waits longest; the one that has it
 * longest. */
static size_t look_at_turns(struct mw_lengths *l, const struct watched *w, struct watched **waits,
			    struct watched **first)
{
	size_t up = 0;

	*waits = *first = NULL;
	for (size_t i = 0; i < MW_LENGTHS; i++) {
		struct watched *other = &l->list[i];
		struct watched **one = other->up ? first : waits;

		if (!other->id || other->of.pid != w->of.pid)
			continue;
		up += other->up;
		if (!*one || other->up_since < (*one)->up_since)
			*one = other;
	}
	return up;
}

/* W's process: who waits takes a place that is free, or that of one that has had its turn. */
static void take_turns(struct mw_lengths *l, const struct watched *w, double now)
{
	struct watched *waits, *first;
	size_t up = look_at_turns(l, w, &waits, &first);

	if (!waits)
		return;
	if (up >= AT_A_TIME) {
		double turn = TURN + TURN_THREAD * (double)first->count;

		if (!first->had_its_hits && now - first->up_since < turn)
			return;
		stop_watching(l, first);
	}
	waits->up = true;
	waits->up_since = now;
	waits->had_its_hits = false;
}

/* Seconds that the switches of W's threads took since they were counted last. */
static double count_switches(const struct mw_lengths *l, struct watched *w)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < w->count; i++) {
		struct point *point = &w->points[i];
		uint64_t now = mw_watchpoint__switches(w->of.pid, point->tid);

		sum += now > point->switches ? now - point->switches : 0;
		point->switches = now;
	}
	return l->each * (double)sum;
}

/* Two watchpoints of one process take no more than one. */
static bool is_first_of_process(const struct mw_lengths *l, const struct watched *w)
{
	for (const struct watched *other = l->list; other < w; other++) {
		if (other->count && other->of.pid == w->of.pid)
			return false;
	}
	return true;
}

/* What did they take lately, and may they be on? */
static void ration(struct mw_lengths *l, double now)
{
	double cpu = 0, taken = 0;

	if (l->each < 0)
		l->each = mw_watchpoint__switch_seconds();
	for (uint32_t slot = 0; slot < l->processes->target_count; slot++)
		cpu += mw_processes__cpu_seconds(l->processes, slot);
	for (size_t i = 0; i < MW_LENGTHS; i++) {
		struct watched *w = &l->list[i];
		double took = count_switches(l, w);

		l->owed += count_hits(l, w);
		if (is_first_of_process(l, w))
			taken += took;
	}
	if (l->counted_at > 0)
		mw_ration__passed(&l->ration, now - l->counted_at, fmax(cpu - l->cpu, 0),
				  taken + l->owed);
	l->owed = 0;
	l->seconds += taken;
	l->cpu = cpu;
	l->counted_at = now;
	l->count_at = now + fmax(mw_ration__wait(&l->ration), (mw_monotonic() - now) / COUNTING);
	for (size_t i = 0; i < MW_LENGTHS && !l->ration.on; i++)
		end_round(l, &l->list[i]);
}

double mw_lengths__seconds(const struct mw_lengths *l)
{
	return l->seconds;
}

static double next_round(const struct watched *w)
{
	return w->began + fmin(fmax(LONGER * w->full, ROUND), LONGEST);
}

double mw_lengths__step(struct mw_lengths *l, double now, double until)
{
	bool search = now >= l->search, any = false;

	for (size_t i = 0; i < MW_LENGTHS; i++)
		any |= l->list[i].id != 0;
	if (!any)
		return until;
	if (now >= l->count_at)
		ration(l, now);
	until = fmin(until, l->count_at);
	if (now < l->next)
		return fmin(l->next, until);
	for (size_t i = 0; i < MW_LENGTHS; i++) {
		struct watched *w = &l->list[i];

		if (!w->id)
			continue;
		take_turns(l, w, now);
		if (search && w->count)
			find_threads(l, w);
		if (w->up && !w->count && l->ration.on && now >= next_round(w))
			begin_round(l, w, now);
	}
	if (search)
		l->search = now + THREADS;
	l->next = now + ROUND;
	return fmin(l->next, until);
}

/* What one container's changes are gathered into. */
struct gathering {
	uint64_t id;
	struct mw_length_seen *out;
	size_t count, max;
};

/* The largest stay, in order. */
static void gather(uint64_t key, const void *value, void *arg)
{
	const struct mw_length_change *c = value;
	struct gathering *g = arg;
	size_t at;

	(void)key;
	if (c->id != g->id)
		return;
	for (at = g->count; at > 0 && g->out[at - 1].added < c->added; at--) {
		if (at < g->max)
			g->out[at] = g->out[at - 1];
	}
	if (at >= g->max)
		return;
	g->out[at] = (struct mw_length_seen){c->site, c->samples, c->added, c->removed};
	g->count += g->count < g->max;
}

size_t mw_lengths__seen(struct mw_lengths *l, pid_t pid, uint64_t container,
			struct mw_length_seen *out, size_t max)
{
	const struct watched *w = find(l, pid, container);
	struct gathering g = {.id = w ? w->id : 0, .out = out, .max = max};

	if (w)
		mw_bpf_map__each(bpf_map__fd(l->bpf->maps.length_changes),
				 sizeof(struct mw_length_change), gather, &g);
	return g.count;
}
