// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * `live`: the screen. The watch runs in a thread and fills the screen's state (tui/sink.h); this
 * one answers keys and draws. Children make ledgers and snapshots.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmd/holders_child.h"
#include "cmd/ledger_child.h"
#include "cmd/snapshot_child.h"
#include "cmd/watch.h"
#include "tui/sink.h"
#include "tui/tui.h"
#include "util/clock.h"
#include "util/text.h"
#include "watch/pace.h"
#include "watch/signals.h"

enum { FRAMES = 10, SECOND_LOOK = 6 /* seconds after the first began */ };

/* Shares of time: of the watch's thread for reading sites, of a CPU for ledgers. */
#define SITES_SHARE  0.005
#define LEDGER_SHARE 0.05

struct live {
	const struct mw_options *opt;
	struct mw_watch *watch;
	struct mw_tui *tui;
	struct mw_tui_state state;
	struct mw_tui_sink sink;
	struct mw_cmd_child ledger, snapshot, holders;
	size_t holders_target;
	bool holders_again; /* others were asked for while they were found */
	struct mw_pace ledger_pace;
	size_t ledger_target;
	bool ledger_shown;     /* that of the child that runs */
	double ledger_begun;   /* seconds since the watch began */
	double ledger_start;   /* the same by the clock */
	double frames[FRAMES]; /* when the last ones were drawn */
	unsigned int frame;
};

static void lock(struct live *live)
{
	pthread_mutex_lock(&live->sink.lock);
}

static void unlock(struct live *live)
{
	pthread_mutex_unlock(&live->sink.lock);
}

static void log_to_panel(enum mw_log_level level, const char *line, void *arg)
{
	struct live *live = arg;

	if (live->opt->quiet || (level == MW_LOG_DETAIL && !live->opt->verbose))
		return;
	lock(live);
	mw_tui_state__add_log(&live->state, level, line);
	unlock(live);
}

/* ---- children: ledgers and snapshots ------------------------------------------------------- */

/* Each target in turn until all have a ledger; from then on the one that is shown. */
static size_t choose_ledger_target(const struct live *live)
{
	for (size_t i = 0; i < live->state.target_count; i++) {
		const struct mw_tui_target *t = &live->state.targets[i];

		if (!t->first_survey.known && !t->survey_problem[0] && !t->now.ended)
			return i;
	}
	return mw_tui__target(live->tui);
}

static void start_ledger(struct live *live)
{
	double now = mw_monotonic();
	bool wanted, ended;
	pid_t pid;

	if (live->ledger.pid || !mw_pace__is_due(&live->ledger_pace, now))
		return;
	lock(live);
	wanted = !live->state.paused && !live->state.attaching;
	live->ledger_target = choose_ledger_target(live);
	pid = live->state.targets[live->ledger_target].pid;
	ended = live->state.targets[live->ledger_target].now.ended;
	live->ledger_begun = live->state.targets[live->ledger_target].now.elapsed;
	unlock(live);
	if (wanted && (ended || mw_ledger_child__start(&live->ledger, pid)))
		mw_pace__ran(&live->ledger_pace, now, 0);
	live->ledger_shown = false;
	live->ledger_start = now;
}

/*
 * Under the lock. The sites are those of the watch's last round. What the references say comes
 * later; only at the beginning the rest is not held back.
 */
static void add_survey(struct live *live, struct mw_tui_target *t, struct mw_ledger_child *found,
		       bool whole)
{
	struct mw_tui_survey survey = {
		.elapsed = live->ledger_begun, .took = found->took, .ledger = found->ledger};

	memcpy(survey.parts, found->parts, sizeof(survey.parts));
	mw_text_clean(survey.note, sizeof(survey.note), found->note, strlen(found->note));
	mw_tui_sink__take_sites(&live->sink);
	if (live->ledger_shown)
		mw_ledger__free(&found->ledger);
	else
		mw_tui_target__add_survey(t, &survey);
	live->ledger_shown = true;
	if (whole || !t->moment_count)
		mw_tui_target__add_facts(t, &found->facts, live->ledger_begun);
}

/* Returns the seconds that the child took. */
static double take_ledger(struct live *live, bool whole)
{
	struct mw_tui_target *t = &live->state.targets[live->ledger_target];
	struct mw_ledger_child *found = calloc(1, sizeof(*found));
	struct mw_err err = {0};
	double took = 0;
	int ret = found ? mw_ledger_child__result(&live->ledger, found, &err)
			: mw_err_no_memory(&err, NULL);

	lock(live);
	if (found && !ret) {
		took = found->took;
		add_survey(live, t, found, whole);
	} else if (!t->now.ended) {
		mw_text_clean(t->survey_problem, sizeof(t->survey_problem), err.message,
			      strlen(err.message));
	}
	mw_tui__recalc(live->tui);
	unlock(live);
	free(found);
	return took;
}

static void finish_ledger(struct live *live)
{
	const struct mw_tui_target *t = &live->state.targets[live->ledger_target];
	double second = live->ledger_start + SECOND_LOOK;

	mw_pace__ran(&live->ledger_pace, mw_monotonic(), take_ledger(live, true));
	/* What grows is known when there are two. */
	if (t->moment_count == 1 && live->ledger_pace.next > second)
		live->ledger_pace.next = second;
	mw_cmd_child__stop(&live->ledger);
}

/* True: there is something to show. */
static bool gather_ledger(struct live *live)
{
	if (mw_cmd_child__gather(&live->ledger)) {
		finish_ledger(live);
		return true;
	}
	if (live->ledger_shown || !mw_ledger_child__has_ledger(&live->ledger))
		return false;
	take_ledger(live, false);
	return true;
}

/* Under the lock, as all that a key asks for. */
static void start_snapshot(struct live *live)
{
	const struct mw_tui_target *t = &live->state.targets[mw_tui__target(live->tui)];
	int ret;

	if (live->snapshot.pid) {
		mw_tui__say(live->tui, "a snapshot is being written already");
		return;
	}
	mw_cmd_child__stop(&live->snapshot);
	if (t->now.ended) {
		mw_tui__say(live->tui, "PID %d has ended: nothing to take a snapshot of", t->pid);
		return;
	}
	ret = mw_snapshot_child__start(&live->snapshot, t->pid);
	if (ret)
		mw_tui__say(live->tui, "can't start a snapshot: %s", strerror(-ret));
	else
		mw_tui__say(live->tui, "writing a snapshot of PID %d ...", t->pid);
}

/* Under the lock. Holders that nobody waits for any more need not be found. */
static void start_holders(struct live *live)
{
	struct mw_tui_target *t = &live->state.targets[mw_tui__target(live->tui)];
	int ret;

	if (live->holders.pid) {
		struct mw_tui_target *before = &live->state.targets[live->holders_target];

		if (before != t)
			before->holders.owner[0] = '\0';
		kill(live->holders.pid, SIGKILL);
		live->holders_again = true;
		return;
	}
	live->holders_again = false;
	live->holders_target = mw_tui__target(live->tui);
	if (!t->holders.owner[0])
		return;
	ret = t->now.ended ? -ESRCH
			   : mw_holders_child__start(&live->holders, t->pid, t->holders.owner);
	if (ret)
		snprintf(t->holders.problem, sizeof(t->holders.problem), "can't find it: %s",
			 strerror(-ret));
}

static void finish_holders(struct live *live)
{
	struct mw_tui_holders *h = &live->state.targets[live->holders_target].holders;
	struct mw_owner_holders found = {0};
	struct mw_err err = {0};

	lock(live);
	if (live->holders_again) {
		mw_cmd_child__stop(&live->holders);
		start_holders(live);
	} else {
		h->known = !mw_holders_child__result(&live->holders, &found, &err);
		h->found = found;
		mw_text_clean(h->problem, sizeof(h->problem), err.message, strlen(err.message));
		mw_cmd_child__stop(&live->holders);
	}
	mw_tui__recalc(live->tui);
	unlock(live);
}

static void look_now(struct live *live)
{
	mw_watch__look(live->watch);
	live->ledger_pace.next = 0;
}

static void finish_snapshot(struct live *live)
{
	char text[200];

	lock(live);
	mw_tui__say(live->tui, "%s",
		    mw_snapshot_child__result(&live->snapshot, text, sizeof(text)));
	unlock(live);
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
	lock(live);
	live->state.clock = mw_monotonic();
	mw_tui__compose(live->tui);
	unlock(live);
	mw_tui__flush(live->tui);
	live->frames[live->frame] = mw_monotonic();
	live->frame = (live->frame + 1) % FRAMES;
}

static unsigned int answer_keys(struct live *live)
{
	unsigned int reactions = 0, one;
	int key;

	while (mw_tui__read_key(live->tui, &key)) {
		lock(live);
		one = mw_tui__handle(live->tui, key);
		if (one & MW_TUI_SNAPSHOT)
			start_snapshot(live);
		if (one & MW_TUI_HOLDERS)
			start_holders(live);
		if (one & MW_TUI_LOOK)
			look_now(live);
		mw_watch__pause(live->watch, live->state.paused);
		mw_watch__set_interval(live->watch, live->state.interval);
		unlock(live);
		reactions |= one;
	}
	return reactions;
}

static void take_news(struct live *live)
{
	eventfd_t count;

	eventfd_read(live->sink.news, &count);
	lock(live);
	mw_tui_sink__take_sites(&live->sink);
	mw_tui__recalc(live->tui);
	unlock(live);
}

/* Handle what the descriptors have; true when the picture has changed. */
static bool serve(struct live *live, const struct pollfd *fds)
{
	bool changed = false;

	if (fds[1].revents) {
		take_news(live);
		changed = true;
	}
	if (live->ledger.pid && fds[2].revents)
		changed |= gather_ledger(live);
	if (live->snapshot.pid && fds[3].revents && mw_cmd_child__gather(&live->snapshot)) {
		finish_snapshot(live);
		changed = true;
	}
	if (live->holders.pid && fds[4].revents && mw_cmd_child__gather(&live->holders)) {
		finish_holders(live);
		changed = true;
	}
	return changed;
}

static void run_screen(struct live *live)
{
	bool dirty = true;

	while (!mw_signals_caught() && !live->sink.is_over) {
		struct pollfd fds[5] = {
			{.fd = STDIN_FILENO, .events = POLLIN},
			{.fd = live->sink.news, .events = POLLIN},
			{.fd = live->ledger.pid ? live->ledger.fd : -1, .events = POLLIN},
			{.fd = live->snapshot.pid ? live->snapshot.fd : -1, .events = POLLIN},
			{.fd = live->holders.pid ? live->holders.fd : -1, .events = POLLIN},
		};
		double wait = dirty ? until_frame(live, mw_monotonic()) : 0.5;
		unsigned int reactions;

		if (dirty && wait <= 0) {
			draw_frame(live);
			dirty = false;
			continue;
		}
		if (poll(fds, 5, (int)(wait * 1000) + 1) < 0 && errno != EINTR)
			return;
		/* A message at the bottom fades after a while. */
		if (!dirty && !fds[0].revents && !fds[1].revents)
			dirty = true;
		reactions = answer_keys(live);
		dirty |= (reactions & (MW_TUI_REDRAW | MW_TUI_RECALC)) != 0;
		if (reactions & MW_TUI_QUIT || fds[0].revents & (POLLHUP | POLLERR | POLLNVAL))
			return;
		dirty |= serve(live, fds);
		start_ledger(live);
	}
}

static int watch_on_screen(struct live *live, struct mw_err *err)
{
	struct mw_tui_options options = {.color = mw_cmd_wants_color(live->opt, stdout)};
	const struct mw_watch_sink sink = mw_tui_sink__of_watch(&live->sink);
	int ret;

	live->tui = mw_tui__open(&live->state, &options, err);
	if (!live->tui)
		return err->code;
	ret = mw_watch__start(live->watch, &sink, 1, err);
	if (!ret)
		run_screen(live);
	/* The terminal first: taking out probes can take a while. */
	mw_tui__close(live->tui);
	if (ret)
		return ret;
	mw_cmd_child__stop(&live->ledger);
	mw_cmd_child__stop(&live->holders);
	ret = mw_watch__finish(live->watch, err);
	if (live->snapshot.pid) {
		fprintf(stderr, "memwhere: the snapshot is still being written\n");
		waitpid(live->snapshot.pid, NULL, 0);
	}
	free(live->snapshot.out);
	return ret;
}

/* The screen is there at once: the probes go in while it shows what the kernel counts by itself. */
static int open_and_watch(struct live *live, struct mw_err *err)
{
	const struct mw_options *opt = live->opt;
	struct mw_watch_options options;
	int ret = mw_cmd_watch_options(&options, err);

	if (ret)
		return ret;
	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO) || opt->output)
		return mw_err_set(err, -ENOTTY, "no-terminal", NULL,
				  "live needs a terminal to draw on; `memwhere stat` prints");
	options.sites_share = SITES_SHARE;
	options.site_intervals = false;
	live->watch = mw_cmd_watch_open(opt, &options, err);
	if (!live->watch)
		return err->code;
	live->state.interval = options.interval;
	live->state.mode = options.tracer.mode;
	live->ledger_pace = (struct mw_pace){.share = LEDGER_SHARE, .least = 3};
	ret = mw_tui_sink__open(&live->sink, &live->state, live->watch, err);
	if (ret)
		return ret;
	for (size_t i = 0; i < live->state.target_count; i++)
		live->state.targets[i].has_sites = options.tracer.sites != MW_SITES_NONE;
	mw_log_set_sink(log_to_panel, live);
	ret = watch_on_screen(live, err);
	mw_log_set_sink(NULL, NULL);
	mw_tui_sink__close(&live->sink);
	/* The panel with the reasons is gone. */
	for (size_t i = 0; ret && i < live->state.log_count; i++)
		fprintf(stderr, "memwhere: %s\n", live->state.log[i].text);
	return ret;
}

static int run_live(const struct mw_options *opt)
{
	struct mw_err err = {0};
	struct live *live;
	int ret;

	/* For programs it is the same as stat. */
	if (opt->json || !opt->argc)
		return mw_cmd_stat.run(opt);
	live = calloc(1, sizeof(*live));
	if (!live)
		return mw_cmd_watch_fail(opt, -ENOMEM, &err);
	live->opt = opt;
	mw_signals_catch(true);
	ret = open_and_watch(live, &err);
	mw_watch__close(live->watch);
	mw_tui_state__clear(&live->state);
	free(live);
	return ret ? mw_cmd_watch_fail(opt, ret, &err) : MW_EXIT_OK;
}

const struct mw_command mw_cmd_live = {
	.name = "live",
	.args = "PID|NAME [PID|NAME ...] [options]",
	.summary = "Watch a running process on a screen that refreshes itself",
	.about =
		"Attaches to the running process without stopping or restarting it and draws sizes, the split "
		"by kind of memory, sites with their stacks, the ledger and a timeline. ? shows the keys.",
	.takes = MW_TAKES_PROCESS,
	.groups = {&mw_cmd_watch_group, &mw_cmd_stat_group},
	.run = run_live,
};
