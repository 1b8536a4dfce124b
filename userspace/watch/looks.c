// SPDX-License-Identifier: GPL-2.0-or-later
#include <elf.h>
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "image/procstat.h"
#include "ledger/survey.h"
#include "model/live_bytes.h"
#include "python/referents.h"
#include "util/array.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/parallel.h"
#include "watch/holders.h"
#include "watch/looks.h"

/* Every Python has more objects than OBJECTS_MIN. */
enum { LOW_PRIORITY = 5, PROCESSES_MAX = 256, OBJECTS_MIN = 1000 };

/*
 * Seconds: when the first look comes, how long after it the second, and the shortest time between
 * later ones. Where there is no Python it is searched for again, ever more seldom.
 */
#define FIRST	   2.0
#define SECOND	   10.0
#define LEAST	   3.0
#define SEARCH_MAX 300.0
#define SHARE	   0.05 /* of one processor */
#define EARLY_MOST 1.5	/* seconds of CPU: a second look as dear as that waits for its time */
#define PATIENCE   60.0 /* seconds after which what is still open of a question is let be */
#define STEP	   0.2	/* seconds after which the thread notices that it should stop */

/* What a process has of blocks of each size, by layer. */
struct live {
	struct mw_live_bytes looks[MW_LAYERS];
	struct mw_live_growth growth[MW_LAYERS];
};

/* A process that is looked at. */
struct process {
	pid_t pid;
	uint64_t start_time; /* with PID it identifies a process */
	uint64_t program;    /* changes with an exec */
	bool seen;	     /* among the target's processes, this time */
	bool python;	     /* at the last look */
	uint64_t objects;    /* at the last look */
	bool odd;	     /* so it was then, compared with the one before */
	double due, pause;   /* when the next look is; how long after a search that found nothing */
	double took;	     /* seconds of CPU, the last look */
	double search_at;    /* when Python is searched for again */
	struct mw_looks *looks;
	struct mw_look_growth growth;
	struct live *live;
	struct mw_holders holders;
	char missing[MW_LOOKS_MISSING];
};

struct target {
	pid_t pid;
	struct process *processes;
	size_t count, capacity;
	struct mw_looked looked; /* under the lock */
	bool fresh;
};

struct mw_looker {
	bool follow;
	struct target *targets;
	size_t count;
	double begin;
	double paid; /* when all looks so far are paid for by the time that has passed */
	unsigned int seed;
	pthread_t thread;
	pthread_mutex_t lock;
	/* Under the lock: what is asked for, how much of it is open, and since when. */
	struct mw_survivors asked;
	size_t open;
	double asked_at;
	struct mw_type_names *names;
	atomic_bool stop;
};

/*
 * ---- one look -----------------------------------------------------------------------------------
 */

static void add_heaps(struct mw_looks *looks, struct mw_heaps *heaps, uint64_t of_python)
{
	for (size_t i = 0; i < heaps->count; i++) {
		struct mw_heap_info info;
		uint64_t bytes[3] = {0};
		char owner[32];

		if (mw_heap__info(heaps->list[i], MW_HEAP_SUMS, &info))
			continue;
		for (size_t a = 0; a < info.arena_count; a++) {
			for (int k = 0; k < MW_BLOCK_KINDS; k++)
				bytes[mw_block_state(&(struct mw_block){.kind = (uint8_t)k})] +=
					k == MW_BLOCK_RESERVE ? 0 : info.arenas[a].sums[k].bytes;
		}
		bytes[MW_STATE_LIVE] += info.mmapped.bytes;
		/* What of it is Python's is listed there. */
		bytes[MW_STATE_LIVE] -=
			of_python < bytes[MW_STATE_LIVE] ? of_python : bytes[MW_STATE_LIVE];
		of_python = 0;
		snprintf(owner, sizeof(owner), "%s/live", info.allocator);
		mw_looks__add_owner(looks, owner, bytes[MW_STATE_LIVE]);
		snprintf(owner, sizeof(owner), "%s/free", info.allocator);
		mw_looks__add_owner(looks, owner, bytes[MW_STATE_FREE]);
	}
}

static void add_owners(struct mw_looks *looks, struct mw_survey *survey)
{
	struct mw_py_sums sums;

	mw_python__sums(survey->py, &sums);
	mw_looks__add_owner(looks, "python/live", sums.live);
	mw_looks__add_owner(looks, "python/parked", sums.parked);
	mw_looks__add_owner(looks, "python/data", sums.data);
	mw_looks__add_owner(looks, "python/free-block", sums.free_blocks);
	mw_looks__add_owner(looks, "python/free-pool", sums.free_pools);
	add_heaps(looks, &survey->heaps, sums.in_heaps);
}

static const char *short_name(const struct mw_py_type *type)
{
	return type->qualname[0] ? type->qualname : type->name;
}

static void add_types(struct mw_looks *looks, const struct mw_py_census *census)
{
	for (size_t i = 0; i < census->type_count; i++) {
		const struct mw_py_type *t = &census->types[i];
		uint32_t type;

		type = mw_looks__add_type(looks, short_name(t), t->module, t->count, t->bytes);
		if (t->parked)
			mw_looks__parks(looks, type);
	}
}

/* What a container holds, by type. */
enum { ELEMENTS_MAX = 256, ELEMENT_TYPES = 8 };
struct elements {
	struct mw_python *py;
	int32_t types[ELEMENT_TYPES];
	size_t counts[ELEMENT_TYPES], type_count, count;
};

static int add_element(void *arg, const struct mw_py_referent *r)
{
	struct elements *e = arg;
	int64_t number;
	int32_t type;
	size_t i = 0;

	if (r->via != MW_PY_VIA_ITEM && r->via != MW_PY_VIA_VALUE && r->via != MW_PY_VIA_MEMBER)
		return 0;
	number = mw_python__number(e->py, r->addr);
	type = number < 0 ? -1 : mw_python__type_number(e->py, (uint32_t)number);
	while (i < e->type_count && e->types[i] != type)
		i++;
	if (i == e->type_count && i < ELEMENT_TYPES)
		e->types[e->type_count++] = type;
	if (i < ELEMENT_TYPES)
		e->counts[i]++;
	return ++e->count == ELEMENTS_MAX;
}

/*
 * The type of most of what the first elements of H are. One that is being resized has none for a
 * moment: then it is as at the look BEFORE.
 */
static void name_element(struct mw_python *py, const struct mw_look_growth *before,
			 struct mw_grown_holder *h)
{
	struct elements e = {.py = py};

	mw_python__referents(py, h->addr, add_element, &e);
	for (size_t i = 0; i < e.type_count; i++) {
		const struct mw_py_type *t = mw_python__type(py, e.types[i]);

		if (t && 2 * e.counts[i] > e.count)
			snprintf(h->element, sizeof(h->element), "%s", short_name(t));
	}
	for (size_t i = 0; i < before->holder_count && !h->element[0]; i++) {
		if (before->holders[i].addr == h->addr)
			memcpy(h->element, before->holders[i].element, sizeof(h->element));
	}
}

struct containers {
	struct mw_looks *looks;
	struct mw_python *py;
};

static int add_container(void *arg, const struct mw_py_container *container)
{
	const struct containers *c = arg;
	const struct mw_py_type *t = mw_python__type(c->py, container->type);
	uint32_t type = mw_looks__add_type(c->looks, short_name(t), t->module, 0, 0);

	mw_looks__add_container(c->looks, container->addr, type, container->length);
	return 0;
}

/* Where the kernel put sixteen random bytes for the program: an exec moves them. */
static uint64_t program_of(struct mw_image *image)
{
	return mw_image__auxv(image, AT_RANDOM);
}

/*
 * What changed while it was walked is unknown, or an arena was not walked at all: then most live
 * blocks may be missing, and the look would say that they were freed, or that they are new when the
 * next one finds them. ALL: bytes of blocks that were found, UNKNOWN of them; SYSTEM: that the
 * heaps have from the kernel.
 */
static bool is_torn(uint64_t unknown, uint64_t all, uint64_t system)
{
	return unknown > all / 100 || all < system / 2;
}

/* 0 where it is not known. */
static uint64_t system_bytes(struct mw_heap *heap)
{
	struct mw_heap_info info;
	uint64_t sum = 0;

	if (mw_heap__info(heap, MW_HEAP_SUMS, &info) || strcmp(info.allocator, "glibc") != 0)
		return 0;
	for (size_t i = 0; i < info.arena_count; i++)
		sum += info.arenas[i].system_bytes;
	return sum;
}

/* -EAGAIN: the heap is torn. */
static int add_chunks(struct mw_live_look *look, struct mw_heap *heap)
{
	struct mw_blocks *blocks = mw_heap__blocks(heap);
	struct mw_block batch[512];
	uint64_t all = 0, unknown = 0;
	size_t n;

	if (!blocks)
		return -ENOMEM;
	while ((n = blocks->fill(blocks, batch, MW_ARRAY_SIZE(batch)))) {
		for (size_t i = 0; i < n; i++) {
			uint64_t room = mw_block_usable(&batch[i]);

			all += batch[i].size;
			if (batch[i].kind == MW_BLOCK_UNKNOWN)
				unknown += batch[i].size;
			else if (mw_block_state(&batch[i]) == MW_STATE_LIVE)
				look->bytes[mw_live_class(room, MW_LIVE_MALLOC)] += room;
		}
	}
	mw_blocks__close(blocks);
	return !all || is_torn(unknown, all, system_bytes(heap)) ? -EAGAIN : 0;
}

static void add_pools(struct mw_live_look *look, const struct mw_py_info *info)
{
	for (size_t i = 0; i < MW_ARRAY_SIZE(info->classes); i++) {
		const struct mw_py_class *class = &info->classes[i];

		if (class->size)
			look->bytes[mw_live_class(class->size, MW_LIVE_PYTHON)] +=
				class->used * class->size;
	}
}

/* Is it still the process that it was when it was found? */
static bool is_alive(const struct process *process)
{
	struct mw_procstat stat;

	return !mw_procstat__read(&stat, process->pid) && stat.state != 'Z' &&
	       stat.start_time == process->start_time;
}

/* Is something of SURVEY's Python missing? It goes into MISSING. */
static void say_missing(const struct mw_survey *survey, char *missing)
{
	const struct mw_py_info *info = mw_python__info(survey->py);
	uint64_t in_swap = mw_image__in_swap(survey->image);

	if (!info->layout)
		snprintf(missing, MW_LOOKS_MISSING,
			 "CPython %s: no layout known fits, so its objects can't be told apart",
			 info->version);
	else if (in_swap)
		snprintf(missing, MW_LOOKS_MISSING,
			 "%" PRIu64 " parts of its memory are in swap and were left there: what "
			 "lies in them is not counted",
			 in_swap);
}

static void forget_live(struct live *s)
{
	memset(s, 0, sizeof(*s));
}

/* How much there is of blocks of each size. Of what ended meanwhile it is nothing. */
static void take_live_bytes(struct process *process, struct mw_survey *survey)
{
	struct live *s = process->live;
	double now = mw_monotonic();
	struct mw_live_look *look;
	int ret = 0;

	if (!survey->heaps.count) {
		forget_live(s);
		return;
	}
	look = mw_live_bytes__begin_look(&s->looks[MW_LAYER_MALLOC], now);
	for (size_t i = 0; !ret && i < survey->heaps.count; i++)
		ret = add_chunks(look, survey->heaps.list[i]);
	if (ret || !is_alive(process)) {
		mw_live_bytes__drop_look(&s->looks[MW_LAYER_MALLOC]);
		return;
	}
	if (survey->py)
		add_pools(mw_live_bytes__begin_look(&s->looks[MW_LAYER_PYTHON], now),
			  mw_python__info(survey->py));
	for (int layer = 0; layer < MW_LAYERS; layer++)
		mw_live_bytes__growth(&s->looks[layer], &s->growth[layer]);
}

/*
 * Where the lists of pools or of chunks changed whenever they were read, most objects are missing.
 * Such a look is thrown away; if it was the first, the next one begins anew. What is as odd once
 * more is true.
 */
static bool is_credible(struct process *process, uint64_t objects)
{
	uint64_t before = process->objects;
	bool odd = before && !process->odd && (objects < before / 2 || objects / 2 > before);

	if (objects < OBJECTS_MIN)
		return false;
	if (odd && objects > before)
		mw_looks__forget(process->looks);
	process->odd = odd;
	if (odd && objects < before)
		return false;
	process->objects = objects;
	return true;
}

/* A look at PROCESS into its looks. 0 or -errno; -ENOENT: there is no Python. */
static int look(struct process *process, struct mw_survey *survey)
{
	struct mw_looks *looks = process->looks;
	struct mw_py_census census;
	double begin;
	struct mw_err err = {0};
	uint64_t system = 0;
	int ret;

	if (mw_monotonic() < process->search_at || !mw_survey__python(survey, &err)) {
		if (err.code && strcmp(err.name, "no-python") != 0)
			snprintf(process->missing, sizeof(process->missing), "%.*s",
				 (int)sizeof(process->missing) - 1, err.message);
		return -ENOENT;
	}
	begin = mw_monotonic();
	ret = mw_survey__census(survey, &census, &err);
	if (ret)
		return ret;
	for (size_t i = 0; i < survey->heaps.count; i++)
		system += system_bytes(survey->heaps.list[i]);
	if (is_torn(census.heap_unknown, census.heap_bytes, system) ||
	    (mw_python__info(survey->py)->layout && !is_credible(process, census.objects)))
		return -EAGAIN;
	mw_looks__begin(looks, (begin + mw_monotonic()) / 2);
	add_owners(looks, survey);
	add_types(looks, &census);
	mw_python__each_container(survey->py, add_container,
				  &(struct containers){looks, survey->py});
	/* Of one that ended meanwhile a part could not be read any more. */
	if (!is_alive(process)) {
		mw_looks__drop(looks);
		return -ESRCH;
	}
	say_missing(survey, process->missing);
	return mw_looks__end(looks);
}

/* The types of the survivors in PROCESS, after its census. */
static void answer(struct mw_looker *l, const struct process *process, struct mw_python *py)
{
	pthread_mutex_lock(&l->lock);
	for (size_t i = 0; i < l->asked.count; i++) {
		struct mw_survivor *s = &l->asked.list[i];
		const struct mw_py_type *t;

		if (s->pid != process->pid)
			continue;
		t = mw_python__block_type(py, s->addr);
		if (t)
			s->type = mw_type_names__intern(l->names, short_name(t), t->module);
		s->pid = 0;
		l->open--;
	}
	pthread_mutex_unlock(&l->lock);
}

bool mw_looker__ask(struct mw_looker *l, struct mw_survivors *list)
{
	double now = mw_monotonic();
	bool busy;

	pthread_mutex_lock(&l->lock);
	busy = l->open < l->asked.count && now - l->asked_at < PATIENCE;
	if (!busy) {
		struct mw_survivors old = l->asked;

		l->asked = *list;
		l->open = list->count;
		l->asked_at = now;
		old.count = 0;
		*list = old;
	}
	pthread_mutex_unlock(&l->lock);
	return !busy;
}

bool mw_looker__answer(struct mw_looker *l, struct mw_survivors *list)
{
	bool known;

	pthread_mutex_lock(&l->lock);
	known = l->asked.count && !l->open;
	if (known) {
		struct mw_survivors old = *list;

		*list = l->asked;
		l->asked = old;
		l->asked.count = l->open = 0;
	}
	pthread_mutex_unlock(&l->lock);
	return known;
}

/* Another program runs in it. */
static void begin_anew(struct process *process)
{
	mw_looks__forget(process->looks);
	memset(&process->growth, 0, sizeof(process->growth));
	process->holders.count = 0;
	forget_live(process->live);
	process->search_at = 0;
	process->pause = 0;
	process->objects = 0;
	process->odd = false;
}

static void look_at(struct mw_looker *l, struct process *process)
{
	struct mw_image *image = mw_image__open_process(process->pid, 0, NULL);
	struct mw_survey survey;
	int ret;

	process->missing[0] = '\0';
	if (!image)
		return;
	mw_image__stop_with(image, &l->stop);
	mw_image__hurry(image);
	if (program_of(image) != process->program) {
		process->program = program_of(image);
		begin_anew(process);
	}
	if (mw_survey__open(&survey, image, NULL))
		return;
	ret = look(process, &survey);
	process->python = ret != -ENOENT;
	if (!ret || !process->python)
		take_live_bytes(process, &survey);
	if (!ret) {
		struct mw_look_growth before = process->growth;

		answer(l, process, survey.py);
		mw_looks__growth(process->looks, &process->growth);
		for (size_t i = 0; i < process->growth.holder_count; i++) {
			struct mw_grown_holder *h = &process->growth.holders[i];

			h->pid = process->pid;
			h->length_at = mw_python__length_at(survey.py, h->addr);
			name_element(survey.py, &before, h);
		}
		mw_holders__name(&process->holders, &survey, process->pid, &process->growth);
	}
	mw_survey__close(&survey);
}

/*
 * ---- which process, and when --------------------------------------------------------------------
 */

static double random_share(struct mw_looker *l)
{
	return (double)rand_r(&l->seed) / RAND_MAX;
}

/* Looks that have found something. */
static uint64_t looks_at(const struct process *process)
{
	return process->python ? process->growth.looks
			       : process->live->looks[MW_LAYER_MALLOC].count;
}

static void plan(struct mw_looker *l, struct process *process, double begin, double took)
{
	double now = mw_monotonic(), uneven = 1 + random_share(l) / 2;
	bool searches = !process->python && !process->missing[0];

	process->took = took;
	l->paid = (now > l->paid ? now : l->paid) + uneven * took / SHARE;
	if (searches && now >= process->search_at) {
		process->pause = process->pause > 0 ? 2 * process->pause : LEAST;
		if (process->pause > SEARCH_MAX)
			process->pause = SEARCH_MAX;
		process->search_at = now + process->pause;
	}
	if (searches && !looks_at(process)) {
		process->due = process->search_at;
	} else if (looks_at(process) == 1) {
		process->due = begin + SECOND;
	} else {
		process->due = now + uneven * LEAST;
	}
}

static struct process *find(struct target *target, pid_t pid, uint64_t start_time)
{
	for (size_t i = 0; i < target->count; i++) {
		struct process *p = &target->processes[i];

		if (p->pid == pid && p->start_time == start_time)
			return p;
	}
	return NULL;
}

static void free_process(struct process *p)
{
	mw_looks__free(p->looks);
	free(p->live);
}

/* PID is one of TARGET's processes. Without memory it is left out. */
static void see(struct mw_looker *l, struct target *target, pid_t pid)
{
	double now = mw_monotonic();
	struct mw_procstat stat;
	struct process *p;

	if (mw_procstat__read(&stat, pid) || stat.state == 'Z' || stat.kernel_thread)
		return;
	p = find(target, pid, stat.start_time);
	if (p) {
		p->seen = true;
		return;
	}
	if (target->count == PROCESSES_MAX ||
	    mw_array_reserve(&target->processes, &target->capacity, target->count + 1, sizeof(*p)))
		return;
	p = &target->processes[target->count];
	*p = (struct process){.pid = pid,
			      .start_time = stat.start_time,
			      .seen = true,
			      .due = now > l->begin + FIRST ? now : l->begin + FIRST,
			      .looks = mw_looks__new(),
			      .live = calloc(1, sizeof(*p->live))};
	if (p->looks && p->live)
		target->count++;
	else
		free_process(p);
}

/* Which processes TARGET has now. */
static void list_processes(struct mw_looker *l, struct target *target)
{
	_cleanup_free_ pid_t *list = NULL;
	ssize_t n = l->follow ? mw_procstat_descendants(target->pid, &list) : 0;
	size_t out = 0;

	for (size_t i = 0; i < target->count; i++)
		target->processes[i].seen = false;
	see(l, target, target->pid);
	for (ssize_t i = 0; i < n; i++)
		see(l, target, list[i]);
	for (size_t i = 0; i < target->count; i++) {
		struct process *p = &target->processes[i];

		if (p->seen)
			target->processes[out++] = *p;
		else
			free_process(p);
	}
	target->count = out;
}

/* What is known of all of TARGET's processes, to whoever asks for it. */
static void publish(struct mw_looker *l, struct target *target)
{
	struct mw_looked *sum = calloc(1, sizeof(*sum));

	for (size_t i = 0; sum && i < target->count; i++) {
		const struct process *p = &target->processes[i];

		if (p->growth.seconds > 0)
			mw_look_growth__add(&sum->growth, &p->growth);
		for (int layer = 0; layer < MW_LAYERS; layer++) {
			if (layer == MW_LAYER_MALLOC || p->python)
				mw_live_growth__add(&sum->live[layer], &p->live->growth[layer]);
		}
		if (p->missing[0])
			memcpy(sum->missing, p->missing, sizeof(sum->missing));
	}
	if (!sum)
		return;
	pthread_mutex_lock(&l->lock);
	target->looked = *sum;
	target->fresh = true;
	pthread_mutex_unlock(&l->lock);
	free(sum);
}

/* The process whose look is due first, of those that may have one at NOW; NULL: none. */
static struct process *next_process(struct mw_looker *l, double now, struct target **of)
{
	struct process *next = NULL;

	for (size_t t = 0; t < l->count; t++) {
		for (size_t i = 0; i < l->targets[t].count; i++) {
			struct process *p = &l->targets[t].processes[i];
			bool early = looks_at(p) < 2 && p->pause <= LEAST && p->took < EARLY_MOST;

			if (p->due > now || (!early && l->paid > now) ||
			    (next && next->due <= p->due))
				continue;
			next = p;
			*of = &l->targets[t];
		}
	}
	return next;
}

static void *look_around(void *arg)
{
	const struct timespec step = {.tv_nsec = (long)(STEP * 1e9)};
	struct mw_looker *l = arg;
	double listed = 0;

	/* Of this thread, and of those that it starts. */
	setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), LOW_PRIORITY);
	while (!l->stop) {
		double now = mw_monotonic(), used;
		struct target *target = NULL;
		struct process *process;

		if (now < l->begin + FIRST) {
			nanosleep(&step, NULL);
			continue;
		}
		for (size_t i = 0; i < l->count && now >= listed + 1; i++)
			list_processes(l, &l->targets[i]);
		listed = now >= listed + 1 ? now : listed;
		process = next_process(l, now, &target);
		if (!process) {
			nanosleep(&step, NULL);
			continue;
		}
		used = mw_cpu_seconds();
		look_at(l, process);
		used = mw_cpu_seconds() - used;
		if (l->stop)
			break;
		mw_detail("PID %d: look %" PRIu64 " took %.0f ms of CPU, %.0f ms", process->pid,
			  looks_at(process), 1e3 * used, 1e3 * (mw_monotonic() - now));
		plan(l, process, now, used);
		publish(l, target);
	}
	return NULL;
}

/*
 * ---- life cycle ---------------------------------------------------------------------------------
 */

static void free_looker(struct mw_looker *l)
{
	for (size_t t = 0; l->targets && t < l->count; t++) {
		for (size_t i = 0; i < l->targets[t].count; i++)
			free_process(&l->targets[t].processes[i]);
		free(l->targets[t].processes);
	}
	free(l->targets);
	pthread_mutex_destroy(&l->lock);
	free(l->asked.list);
	free(l);
}

struct mw_looker *mw_looker__start(const struct mw_looker_options *options, struct mw_err *err)
{
	struct mw_looker *l = calloc(1, sizeof(*l));
	int ret;

	if (!l) {
		mw_err_no_memory(err, NULL);
		return NULL;
	}
	pthread_mutex_init(&l->lock, NULL);
	l->targets = calloc(options->count, sizeof(*l->targets));
	l->count = options->count;
	l->follow = options->follow;
	l->names = options->names;
	l->begin = mw_monotonic();
	l->seed = (unsigned int)(l->begin * 1e6);
	for (size_t i = 0; l->targets && i < l->count; i++)
		l->targets[i].pid = options->pids[i];
	ret = l->targets ? pthread_create(&l->thread, NULL, look_around, l) : ENOMEM;
	if (ret) {
		mw_err_set(err, -ret, "thread", NULL, "can't start looking: %s", strerror(ret));
		free_looker(l);
		return NULL;
	}
	return l;
}

void mw_looker__stop(struct mw_looker *l)
{
	if (!l)
		return;
	l->stop = true;
	pthread_join(l->thread, NULL);
	free_looker(l);
}

bool mw_looker__take(struct mw_looker *l, size_t index, struct mw_looked *out)
{
	struct target *target = &l->targets[index];
	bool fresh;

	pthread_mutex_lock(&l->lock);
	fresh = target->fresh;
	if (fresh)
		*out = target->looked;
	target->fresh = false;
	pthread_mutex_unlock(&l->lock);
	return fresh;
}
