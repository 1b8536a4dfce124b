// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * `live`: the screen. One thread samples at its own pace; the main one answers keys and draws. They
 * share the state under a lock that nobody holds while it waits, be it for the terminal or the
 * kernel.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cmd/ledger_child.h"
#include "cmd/watch.h"
#include "image/procstat.h"
#include "trace/privilege.h"
#include "tui/tui.h"
#include "util/clock.h"
#include "util/text.h"

enum { PENDING = 256, FRAMES = 10 };

struct pending {
	struct mw_event what;
	unsigned int target;
};

struct live {
	const struct mw_options *opt;
	struct mw_tracer_options options;
	struct mw_tracer *tracer;
	struct mw_tui *tui;
	struct mw_tui_state state;
	pthread_mutex_t lock; /* of STATE and PENDING */
	struct pending pending[PENDING];
	size_t pending_count;
	struct mw_tui_sites *fresh; /* a target each: copied by the sampler, taken by the screen */
	bool has_fresh;
	double next_sites, next_judging; /* when sites are read next, and suspects looked for */
	pthread_t sampler;
	int news;		    /* eventfd: a sample is there, or the sampler has ended */
	atomic_bool stop, attached; /* told to the sampler; told by it */
	struct mw_err sampler_err;  /* why it ended; code 0: all is well */
	struct mw_cmd_child look, snapshot;
	size_t look_target;
	double next_look, look_begun;
	double frames[FRAMES]; /* when the last ones were drawn */
	unsigned int frame;
};

static volatile sig_atomic_t told_to_stop;

/* Who writes to a terminal that takes nothing (Ctrl-S) can't see the first one. */
static void on_signal(int sig)
{
	if (told_to_stop) {
		signal(sig, SIG_DFL);
		raise(sig);
	}
	told_to_stop = sig;
}

static void catch_signals(void)
{
	struct sigaction action = {.sa_handler = on_signal};

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
}

static double wall_clock(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void log_to_panel(enum mw_log_level level, const char *line, void *arg)
{
	struct live *live = arg;

	if (live->opt->quiet || (level == MW_LOG_DETAIL && !live->opt->verbose))
		return;
	pthread_mutex_lock(&live->lock);
	mw_tui_state__add_log(&live->state, level, line);
	pthread_mutex_unlock(&live->lock);
}

/* ---- sampling ------------------------------------------------------------------------------ */

static void on_event(const struct mw_event *what, unsigned int target, void *arg)
{
	struct live *live = arg;

	pthread_mutex_lock(&live->lock);
	if (live->pending_count < PENDING)
		live->pending[live->pending_count++] = (struct pending){*what, target};
	pthread_mutex_unlock(&live->lock);
}

/* Seconds since the process began. */
static double uptime_of(const struct mw_procstat *stat)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return (double)now.tv_sec - (double)stat->start_time / (double)sysconf(_SC_CLK_TCK);
}

/*
 * When to do next what took since BEGIN, so that it takes 0.5 % of the time: in LEAST to MOST
 * seconds.
 */
static double next_time(double begin, double least, double most)
{
	double now = mw_monotonic(), pause = (now - begin) * 200;

	return now + (pause < least ? least : pause > most ? most : pause);
}

static void judge_sites(struct live *live, const struct mw_sites *sites)
{
	double begin = mw_monotonic();

	if (begin < live->next_judging)
		return;
	for (size_t i = 0; i < live->state.target_count; i++)
		mw_tui_sites__judge(&live->fresh[i], sites, (uint32_t)i,
				    live->state.targets[i].now.elapsed);
	live->next_judging = next_time(begin, 2, 60);
}

/*
 * The tracer's sites change whenever it handles events, which the sampler alone does; so it is the
 * one to copy them. A look for suspects takes longer and changes slowly.
 */
static int copy_sites(struct live *live)
{
	const struct mw_sites *sites = mw_tracer__sites(live->tracer);
	double begin = mw_monotonic();
	int ret;

	if (!sites || begin < live->next_sites)
		return 0;
	ret = mw_tracer__read_sites(live->tracer);
	if (ret)
		return ret;
	/* Until it is said that they are fresh again they are the sampler's. */
	pthread_mutex_lock(&live->lock);
	live->has_fresh = false;
	pthread_mutex_unlock(&live->lock);
	for (size_t i = 0; !ret && i < live->state.target_count; i++)
		ret = mw_tui_sites__copy(&live->fresh[i], sites, (uint32_t)i);
	live->next_sites = next_time(begin, 0, 5);
	if (!ret)
		judge_sites(live, sites);
	pthread_mutex_lock(&live->lock);
	live->has_fresh = !ret;
	pthread_mutex_unlock(&live->lock);
	return ret;
}

/* On the screen's side, with the lock held: from here on the lists of its views are stale. */
static void take_fresh_sites(struct live *live)
{
	if (!live->has_fresh || live->state.paused)
		return;
	for (size_t i = 0; i < live->state.target_count; i++) {
		struct mw_tui_sites old = live->state.targets[i].sites;

		live->state.targets[i].sites = live->fresh[i];
		/* What was judged stays until it is judged anew. */
		live->fresh[i].list = old.list;
		live->fresh[i].capacity = old.capacity;
	}
	live->has_fresh = false;
}

/* A new sample becomes what is shown; with the lock held. */
static void accept_sample(struct live *live, struct mw_tui_target *t,
			  const struct mw_sample *sample, const struct mw_procstat *stat)
{
	bool first = !t->point_count;
	uint64_t cpu, probes;

	t->last = first ? *sample : t->now;
	t->now = *sample;
	if (first)
		t->rss_first = t->rss_baseline = sample->rss;
	if (stat)
		t->uptime = uptime_of(stat);
	/* Its last picture is that of when it lived. */
	if (sample->ended) {
		t->ended_at = sample->elapsed;
		t->now.rss = t->last.rss;
	}
	cpu = t->now.cpu_ns - t->last.cpu_ns;
	probes = t->now.probe_ns - t->last.probe_ns;
	t->cost = live->state.mode == MW_MODE_GROWTH ? -1
		  : sample->governed		     ? 100 * sample->cost
		  : !cpu			     ? 0
		  : probes > cpu		     ? 100
						     : 100.0 * (double)probes / (double)cpu;
	mw_tui_target__add_point(t);
}

static int take_samples(struct live *live)
{
	struct mw_sample sample;
	struct mw_procstat stat;
	bool paused;

	pthread_mutex_lock(&live->lock);
	paused = live->state.paused;
	pthread_mutex_unlock(&live->lock);
	for (size_t i = 0; !paused && i < live->state.target_count; i++) {
		struct mw_tui_target *t = &live->state.targets[i];
		int ret, no_stat;

		if (t->now.ended)
			continue;
		ret = mw_tracer__read(live->tracer, (unsigned int)i, &sample);
		if (ret)
			return ret;
		no_stat = mw_procstat__read(&stat, t->pid);
		pthread_mutex_lock(&live->lock);
		accept_sample(live, t, &sample, no_stat ? NULL : &stat);
		pthread_mutex_unlock(&live->lock);
	}
	pthread_mutex_lock(&live->lock);
	for (size_t i = 0; !paused && i < live->pending_count; i++) {
		const struct pending *p = &live->pending[i];
		struct mw_tui_target *t = &live->state.targets[p->target];

		mw_tui_target__add_event(t, &p->what);
		if (p->what.kind == MW_EVENT_EXEC && (pid_t)p->what.pid == t->pid)
			mw_cmd_process_name(t->pid, t->name, sizeof(t->name));
	}
	if (!paused) {
		live->pending_count = 0;
		live->state.time = wall_clock();
	}
	pthread_mutex_unlock(&live->lock);
	return paused ? 0 : copy_sites(live);
}

static void tell_news(struct live *live)
{
	uint64_t one = 1;

	if (write(live->news, &one, sizeof(one)) < 0)
		atomic_store(&live->stop, true);
}

/*
 * Wait until the interval since LAST is over, which a key may change, in steps that end soon when
 * told to. Returns when the sample was due, so that the pace is even, or now when that is long ago.
 */
static double wait_for_next(struct live *live, double last)
{
	for (;;) {
		double now = mw_monotonic(), next;

		pthread_mutex_lock(&live->lock);
		next = last + live->state.interval;
		pthread_mutex_unlock(&live->lock);
		if (now >= next)
			return now - next < next - last ? next : now;
		if (atomic_load(&live->stop) || mw_tracer__all_ended(live->tracer))
			return now;
		mw_tracer__wait(live->tracer, next < now + 0.1 ? next : now + 0.1);
	}
}

static int attach(struct live *live, struct mw_err *err)
{
	int ret;

	live->tracer = mw_tracer__open(&live->options, err);
	if (!live->tracer)
		return err->code ? err->code : -errno;
	for (size_t i = 0; i < live->state.target_count; i++) {
		ret = mw_tracer__add(live->tracer, live->state.targets[i].pid, err);
		if (ret < 0)
			return ret;
	}
	return mw_tracer__start(live->tracer, on_event, live, err);
}

static void sampler_failed(struct live *live, int ret)
{
	mw_err_set(&live->sampler_err, ret, "bpf", NULL, "can't read the counters: %s",
		   strerror(-ret));
}

/* Attaching, too, is done here: it takes a while, and the screen is there at once. */
static void *sample_until_told(void *arg)
{
	struct live *live = arg;
	const struct mw_options *opt = live->opt;
	int ret = attach(live, &live->sampler_err);
	double begin = mw_monotonic(), last = begin;
	uint64_t rounds = 0;
	bool over = false;

	if (ret && !live->sampler_err.code)
		live->sampler_err.code = ret;
	if (!ret) {
		ret = take_samples(live);
		if (ret)
			sampler_failed(live, ret);
		atomic_store(&live->attached, true);
		tell_news(live);
	}
	while (!over && !ret) {
		last = wait_for_next(live, last);
		rounds++;
		over = atomic_load(&live->stop) || mw_tracer__all_ended(live->tracer) ||
		       (opt->duration && mw_monotonic() >= begin + opt->duration) ||
		       (opt->count && rounds >= opt->count);
		if (over)
			mw_tracer__stop(live->tracer);
		ret = take_samples(live);
		if (ret)
			sampler_failed(live, ret);
		tell_news(live);
	}
	/* A target that has ended leaves its picture; all other ends are the command's. */
	if (ret || !mw_tracer__all_ended(live->tracer))
		atomic_store(&live->stop, true);
	tell_news(live);
	return NULL;
}

/* ---- looks and snapshots ------------------------------------------------------------------- */

/* The shown target's turn, but first each has its first look. */
static size_t choose_look(const struct live *live)
{
	for (size_t i = 0; i < live->state.target_count; i++) {
		const struct mw_tui_target *t = &live->state.targets[i];

		if (!t->first_look.known && !t->look_problem[0] && !t->now.ended)
			return i;
	}
	return mw_tui__target(live->tui);
}

static void start_look(struct live *live)
{
	const struct mw_tui_target *t;

	if (live->look.pid || mw_monotonic() < live->next_look || live->state.paused ||
	    !atomic_load(&live->attached))
		return;
	live->look_target = choose_look(live);
	t = &live->state.targets[live->look_target];
	live->look_begun = t->now.elapsed;
	if (t->now.ended || mw_ledger_child__start(&live->look, t->pid))
		live->next_look = mw_monotonic() + 10;
}

/* At most 1 % of one CPU, and never more than once in three seconds. */
static void finish_look(struct live *live)
{
	struct mw_tui_target *t = &live->state.targets[live->look_target];
	struct mw_tui_look look = {.elapsed = live->look_begun};
	struct mw_ledger_child found;
	struct mw_err err = {0};
	int ret = mw_ledger_child__result(&live->look, &found, &err);

	if (!ret) {
		look.ledger = found.ledger;
		look.took = found.took;
		memcpy(look.parts, found.parts, sizeof(look.parts));
		mw_text_clean(look.note, sizeof(look.note), found.note, strlen(found.note));
	}
	pthread_mutex_lock(&live->lock);
	if (!ret)
		mw_tui_target__add_look(t, &look);
	else if (!t->now.ended)
		mw_text_clean(t->look_problem, sizeof(t->look_problem), err.message,
			      strlen(err.message));
	pthread_mutex_unlock(&live->lock);
	live->next_look = mw_monotonic() + (!ret && found.took * 100 > 3 ? found.took * 100 : 3);
	mw_cmd_child__stop(&live->look);
}

static int write_snapshot(int fd, void *arg)
{
	const struct mw_tui_target *t = arg;
	char pid[16], path[64], when[32] = "now";
	char *args[] = {"memwhere", "snapshot", "--quiet", pid, "-o", path, NULL};
	time_t now = time(NULL);
	struct tm tm;

	if (localtime_r(&now, &tm))
		strftime(when, sizeof(when), "%Y%m%d-%H%M%S", &tm);
	snprintf(pid, sizeof(pid), "%d", t->pid);
	snprintf(path, sizeof(path), "memwhere-%d-%s.core", t->pid, when);
	dprintf(fd, "%s\n", path);
	dup2(fd, STDOUT_FILENO);
	dup2(fd, STDERR_FILENO);
	execv("/proc/self/exe", args);
	return 1;
}

static void start_snapshot(struct live *live)
{
	struct mw_tui_target *t = &live->state.targets[mw_tui__target(live->tui)];

	if (live->snapshot.pid) {
		mw_tui__say(live->tui, "a snapshot is being written already");
		return;
	}
	mw_cmd_child__stop(&live->snapshot);
	if (t->now.ended)
		mw_tui__say(live->tui, "PID %d has ended: nothing to take a snapshot of", t->pid);
	else if (mw_cmd_child__start(&live->snapshot, write_snapshot, t))
		mw_tui__say(live->tui, "can't start a snapshot: %s", strerror(errno));
	else
		mw_tui__say(live->tui, "writing a snapshot of PID %d ...", t->pid);
}

/* The first line is the file's name, the next one what went wrong. */
static void finish_snapshot(struct live *live)
{
	const char *text = live->snapshot.out ? live->snapshot.out : "";
	int name = (int)strcspn(text, "\n");
	const char *said = text[name] ? text + name + 1 : "";

	if (!WIFEXITED(live->snapshot.status) || WEXITSTATUS(live->snapshot.status))
		mw_tui__say(live->tui, "no snapshot: %.*s", (int)strcspn(said, "\n"), said);
	else
		mw_tui__say(live->tui, "wrote the snapshot %.*s", name, text);
}

/* ---- the screen ---------------------------------------------------------------------------- */

/* Seconds until the next frame may be drawn: 50 ms after the last, and ten in a second. */
static double until_frame(const struct live *live, double now)
{
	double last = live->frames[(live->frame + FRAMES - 1) % FRAMES] + 0.05;
	double tenth = live->frames[live->frame] + 1, next = last > tenth ? last : tenth;

	return next > now ? next - now : 0;
}

static void draw_frame(struct live *live)
{
	pthread_mutex_lock(&live->lock);
	live->state.clock = mw_monotonic();
	mw_tui__compose(live->tui);
	pthread_mutex_unlock(&live->lock);
	mw_tui__flush(live->tui);
	live->frames[live->frame] = mw_monotonic();
	live->frame = (live->frame + 1) % FRAMES;
}

static unsigned int answer_keys(struct live *live)
{
	unsigned int reactions = 0;
	int key;

	while (mw_tui__read_key(live->tui, &key)) {
		pthread_mutex_lock(&live->lock);
		reactions |= mw_tui__handle(live->tui, key);
		if (reactions & MW_TUI_SNAPSHOT)
			start_snapshot(live);
		pthread_mutex_unlock(&live->lock);
		reactions &= ~(unsigned int)MW_TUI_SNAPSHOT;
	}
	return reactions;
}

/* What the descriptors told; true when the picture has changed. */
static bool serve(struct live *live, const struct pollfd *fds)
{
	bool changed = false;
	uint64_t count;

	if (fds[1].revents && read(live->news, &count, sizeof(count)) > 0) {
		pthread_mutex_lock(&live->lock);
		live->state.attaching = !atomic_load(&live->attached);
		take_fresh_sites(live);
		mw_tui__recalc(live->tui);
		pthread_mutex_unlock(&live->lock);
		changed = true;
	}
	if (live->look.pid && fds[2].revents && mw_cmd_child__gather(&live->look)) {
		finish_look(live);
		pthread_mutex_lock(&live->lock);
		mw_tui__recalc(live->tui);
		pthread_mutex_unlock(&live->lock);
		changed = true;
	}
	if (live->snapshot.pid && fds[3].revents && mw_cmd_child__gather(&live->snapshot)) {
		pthread_mutex_lock(&live->lock);
		finish_snapshot(live);
		pthread_mutex_unlock(&live->lock);
		changed = true;
	}
	return changed;
}

static void run_screen(struct live *live)
{
	bool dirty = true;

	while (!told_to_stop && !atomic_load(&live->stop)) {
		struct pollfd fds[4] = {
			{.fd = STDIN_FILENO, .events = POLLIN},
			{.fd = live->news, .events = POLLIN},
			{.fd = live->look.pid ? live->look.fd : -1, .events = POLLIN},
			{.fd = live->snapshot.pid ? live->snapshot.fd : -1, .events = POLLIN},
		};
		double wait = dirty ? until_frame(live, mw_monotonic()) : 0.5;
		unsigned int reactions;

		if (dirty && wait <= 0) {
			draw_frame(live);
			dirty = false;
			continue;
		}
		if (poll(fds, 4, (int)(wait * 1000) + 1) < 0 && errno != EINTR)
			return;
		/* Messages fade by themselves. */
		if (!dirty && !fds[0].revents && !fds[1].revents)
			dirty = true;
		reactions = answer_keys(live);
		dirty |= (reactions & (MW_TUI_REDRAW | MW_TUI_RECALC)) != 0;
		if (reactions & MW_TUI_QUIT || fds[0].revents & (POLLHUP | POLLERR | POLLNVAL))
			return;
		dirty |= serve(live, fds);
		start_look(live);
	}
}

/* What is known without a probe, for the first picture. */
static void make_first_picture(struct live *live)
{
	for (size_t i = 0; i < live->state.target_count; i++) {
		struct mw_tui_target *t = &live->state.targets[i];
		struct mw_procstat stat;

		mw_cmd_process_name(t->pid, t->name, sizeof(t->name));
		t->has_sites = live->options.sites != MW_SITES_NONE;
		if (mw_procstat__read(&stat, t->pid))
			continue;
		t->now.rss = t->rss_first = t->rss_baseline = stat.rss;
		t->uptime = uptime_of(&stat);
	}
	live->state.clock = mw_monotonic();
	live->state.time = wall_clock();
	live->state.attaching = true;
}

static int watch_on_screen(struct live *live, struct mw_err *err)
{
	struct mw_tui_options options = {.color = mw_cmd_wants_color(live->opt, stdout)};
	int ret;

	make_first_picture(live);
	live->tui = mw_tui__open(&live->state, &options, err);
	if (!live->tui)
		return err->code;
	ret = pthread_create(&live->sampler, NULL, sample_until_told, live);
	if (ret) {
		mw_tui__close(live->tui);
		return mw_err_set(err, -ret, "thread", NULL, "can't start sampling: %s",
				  strerror(ret));
	}
	run_screen(live);
	/* First of all the terminal: taking out probes can take a while. */
	mw_tui__close(live->tui);
	mw_cmd_child__stop(&live->look);
	atomic_store(&live->stop, true);
	pthread_join(live->sampler, NULL);
	if (live->snapshot.pid) {
		fprintf(stderr, "memwhere: the snapshot is still being written\n");
		waitpid(live->snapshot.pid, NULL, 0);
		live->snapshot.pid = 0;
	}
	free(live->snapshot.out);
	*err = live->sampler_err;
	return err->code;
}

static int prepare(struct live *live, struct mw_err *err)
{
	const struct mw_options *opt = live->opt;
	int ret;

	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO) || opt->output)
		return mw_err_set(err, -ENOTTY, "no-terminal", NULL,
				  "live needs a terminal to draw on; `memwhere stat` prints");
	live->state.targets = calloc((size_t)opt->argc, sizeof(*live->state.targets));
	live->fresh = calloc((size_t)opt->argc, sizeof(*live->fresh));
	live->news = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (!live->state.targets || !live->fresh || live->news < 0)
		return mw_err_set(err, -ENOMEM, "no-memory", NULL, "out of memory");
	live->state.target_count = (size_t)opt->argc;
	live->state.mode = live->options.mode;
	ret = mw_privilege_check(live->state.mode != MW_MODE_GROWTH, err);
	for (size_t i = 0; !ret && i < live->state.target_count; i++)
		ret = mw_cmd_find_process(opt->argv[i], &live->state.targets[i].pid, err);
	return ret;
}

int mw_cmd_live(const struct mw_options *opt)
{
	struct live *live;
	struct mw_err err = {0};
	int ret;

	/* For programs it is the same as stat. */
	if (opt->json || !opt->argc)
		return mw_cmd_stat(opt);
	live = calloc(1, sizeof(*live));
	if (!live) {
		mw_err_set(&err, -ENOMEM, "no-memory", NULL, "out of memory");
		return mw_cmd_fail(opt, MW_EXIT_FAILURE, &err);
	}
	live->opt = opt;
	live->news = -1;
	live->state.interval = opt->interval;
	pthread_mutex_init(&live->lock, NULL);
	mw_log_set_sink(log_to_panel, live);
	catch_signals();
	ret = mw_cmd_tracer_options(opt, &live->options, &err);
	if (!ret)
		ret = prepare(live, &err);
	if (!ret)
		ret = watch_on_screen(live, &err);
	mw_log_set_sink(NULL, NULL);
	mw_tracer__close(live->tracer);
	if (ret) {
		for (size_t i = 0; i < live->state.log_count; i++)
			fprintf(stderr, "memwhere: %s\n", live->state.log[i].text);
	}
	for (size_t i = 0; live->fresh && i < live->state.target_count; i++)
		free(live->fresh[i].list);
	free(live->fresh);
	mw_tui_state__clear(&live->state);
	if (live->news >= 0)
		close(live->news);
	pthread_mutex_destroy(&live->lock);
	free(live);
	if (!ret)
		return MW_EXIT_OK;
	return mw_cmd_fail(opt, strcmp(err.name, "usage") ? MW_EXIT_FAILURE : MW_EXIT_USAGE, &err);
}
