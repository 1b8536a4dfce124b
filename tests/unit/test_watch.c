// SPDX-License-Identifier: GPL-2.0-or-later
/* What of a watch needs no probes: paces, signals, targets before they are traced, and its sinks.
 */
#include <errno.h>
#include <jansson.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "report/looks.h"
#include "report/stat_report.h"
#include "tests/unit/test.h"
#include "tui/sink.h"
#include "watch/pace.h"
#include "watch/signals.h"

TEST(a_pace_keeps_its_share_within_its_limits)
{
	struct mw_pace pace = {.share = 0.005, .least = 2, .most = 60};

	CHECK(mw_pace__is_due(&pace, 0));
	mw_pace__ran(&pace, 100, 0.125);
	CHECK(pace.next == 125);
	CHECK(!mw_pace__is_due(&pace, 124.9));
	CHECK(mw_pace__is_due(&pace, 125));
	mw_pace__ran(&pace, 100, 0.001);
	CHECK(pace.next == 102);
	mw_pace__ran(&pace, 100, 7);
	CHECK(pace.next == 160);
	pace.most = 0;
	mw_pace__ran(&pace, 100, 7);
	CHECK(pace.next == 1500);
}

TEST(a_pace_without_a_share_is_always_due)
{
	struct mw_pace pace = {0};

	mw_pace__ran(&pace, 100, 7);
	CHECK(mw_pace__is_due(&pace, 100));
}

/* The wait status of a process that gets SIGINT twice. */
static int after_two_signals(bool second_ends)
{
	pid_t pid = fork();
	int status = 0;

	if (!pid) {
		mw_signals_catch(second_ends);
		raise(SIGINT);
		if (!mw_signals_caught())
			_exit(3);
		raise(SIGINT);
		_exit(7);
	}
	waitpid(pid, &status, 0);
	return status;
}

TEST(the_second_signal_ends_only_who_asked_for_it)
{
	int status = after_two_signals(false);

	CHECK(WIFEXITED(status));
	CHECK_INT(WEXITSTATUS(status), 7);
	status = after_two_signals(true);
	CHECK(WIFSIGNALED(status));
	CHECK_INT(WTERMSIG(status), SIGINT);
}

static struct mw_watch *open_self(size_t count)
{
	const pid_t pids[] = {getpid(), getpid()};
	const struct mw_watch_options options = {.pids = pids, .count = count, .interval = 1};
	struct mw_err err = {0};

	return mw_watch__open(&options, &err);
}

TEST(a_target_has_a_clean_name_and_a_size_before_it_is_traced)
{
	const struct mw_watch_target *target;
	struct mw_watch *watch;
	char before[16];

	prctl(PR_GET_NAME, before);
	prctl(PR_SET_NAME, "a\033[7mb");
	watch = open_self(2);
	prctl(PR_SET_NAME, before);
	CHECK(watch);
	CHECK_INT(mw_watch__count(watch), 2);
	target = mw_watch__target(watch, 1);
	CHECK_INT(target->index, 1);
	CHECK_INT(target->pid, getpid());
	CHECK_STR(target->name, "a?[7mb");
	CHECK(target->now.rss > 1 << 16);
	CHECK(target->uptime > 0 && target->uptime < 3600);
	CHECK(!mw_watch__all_ended(watch));
	CHECK_INT(mw_watch__samples(watch), 0);
	mw_watch__close(watch);
}

static struct mw_watch_target *make_target(size_t events)
{
	struct mw_watch_target *t = calloc(1, sizeof(*t));

	if (!t)
		exit(3);
	t->pid = 4242;
	strcpy(t->name, "server");
	t->last.elapsed = 1;
	t->last.counts.alloc[MW_PLACE_BRK][5] = (struct mw_cell){101, 8080};
	t->now.elapsed = 3;
	t->now.rss = 7000;
	t->now.counts.alloc[MW_PLACE_BRK][5] = (struct mw_cell){114, 9120};
	t->now.mmap_threshold = 5;
	t->event_count = events;
	for (size_t i = 0; i < events; i++)
		t->events[i] = (struct mw_event){
			.kind = MW_EVENT_FORK, .elapsed = (double)i, .new_value = 9000 + i};
	return t;
}

static json_int_t integer_at(json_t *doc, const char *a, const char *b)
{
	json_t *part = json_object_get(doc, a);

	return json_integer_value(b ? json_object_get(part, b) : part);
}

TEST(json_has_the_interval_the_total_and_the_first_events)
{
	struct mw_watch_target *target = make_target(MW_STAT_EVENTS + 3);
	struct mw_stat_report report = {.mode = MW_MODE_EXACT};
	struct mw_watch_sink sink;
	char *text = NULL;
	json_t *doc;
	size_t len;

	target->events_dropped = 2;
	report.out = open_memstream(&text, &len);
	CHECK(report.out);
	sink = mw_stat_report__json(&report);
	CHECK_INT(sink.sample(sink.arg, target), 0);
	fclose(report.out);
	doc = json_loads(text, 0, NULL);
	CHECK(doc);
	CHECK_INT(integer_at(doc, "alloc", "calls"), 13);
	CHECK_INT(integer_at(doc, "alloc", "bytes"), 1040);
	CHECK_INT(integer_at(json_object_get(doc, "total"), "alloc", "calls"), 114);
	CHECK_INT(json_array_size(json_object_get(doc, "events")), MW_STAT_EVENTS);
	CHECK_INT(integer_at(doc, "events_dropped", NULL), 5);
	CHECK(json_is_null(json_object_get(doc, "mmap_threshold")));
	CHECK(!json_object_get(doc, "sites"));
	json_decref(doc);
	free(text);
	free(target);
}

TEST(a_full_disk_ends_the_watch)
{
	struct mw_watch_target *target = make_target(0);
	struct mw_stat_report report = {.out = fopen("/dev/full", "we"), .mode = MW_MODE_EXACT};
	struct mw_watch_sink sink;

	CHECK(report.out);
	sink = mw_stat_report__json(&report);
	CHECK_INT(sink.sample(sink.arg, target), -EIO);
	sink = mw_stat_report__text(&report);
	CHECK_INT(sink.sample(sink.arg, target), -EIO);
	fclose(report.out);
	free(target);
}

TEST(the_screen_takes_samples_and_events)
{
	struct mw_tui_state state = {.mode = MW_MODE_EXACT};
	struct mw_watch_target *target = make_target(3);
	struct mw_watch *watch = open_self(1);
	struct mw_watch_sink sink;
	struct mw_tui_sink screen;
	struct mw_err err = {0};
	struct mw_tui_target *t;

	CHECK(watch);
	CHECK_INT(mw_tui_sink__open(&screen, &state, watch, &err), 0);
	sink = mw_tui_sink__of_watch(&screen);
	t = &state.targets[0];
	CHECK(state.attaching);
	CHECK_INT(t->pid, getpid());
	CHECK(t->now.rss > 0);
	CHECK_INT(sink.begin(sink.arg, watch), 0);
	CHECK(!state.attaching);
	CHECK_INT(t->point_count, 1);
	target->events_dropped = 7;
	CHECK_INT(sink.sample(sink.arg, target), 0);
	CHECK_STR(t->name, "server");
	CHECK_INT(t->point_count, 2);
	CHECK_INT(t->event_count, 3);
	CHECK_INT(state.log_count, 1);
	CHECK(strstr(state.log[0].text, "7 more"));
	/* The last picture has the size of when the process lived. */
	target->now.ended = true;
	target->now.rss = 0;
	target->event_count = target->events_dropped = 0;
	CHECK_INT(sink.sample(sink.arg, target), 0);
	CHECK_INT(t->now.rss, 7000);
	CHECK(t->ended_at == 3);
	CHECK(!screen.is_over);
	CHECK_INT(sink.end(sink.arg, watch, -EIO), 0);
	CHECK(screen.is_over);
	mw_tui_sink__close(&screen);
	mw_tui_state__clear(&state);
	mw_watch__close(watch);
	free(target);
}

TEST(the_screen_takes_sites_unless_it_is_paused)
{
	static const struct mw_frame frame = {MW_FRAME_PYTHON, 12, "f", "/srv/a.py", 0};
	struct mw_watch_target *target = make_target(0);
	struct mw_sites *sites = mw_sites__new();
	struct mw_watch *watch = open_self(1);
	struct mw_tui_state state = {0};
	struct mw_watch_sink sink;
	struct mw_tui_sink screen;
	struct mw_err err = {0};

	CHECK(sites && watch);
	CHECK(mw_sites__intern(sites, 0, &frame, 1, 0));
	CHECK_INT(mw_tui_sink__open(&screen, &state, watch, &err), 0);
	sink = mw_tui_sink__of_watch(&screen);
	target->sites = sites;
	target->groups = mw_label_groups__new(0);
	CHECK(target->groups && !mw_label_groups__update(target->groups, sites, NULL));
	target->suspect_count = 1;
	target->suspects[0].site = mw_sites__at(sites, 0);
	strcpy(target->suspects[0].sentence, "it grows");
	CHECK_INT(sink.sites(sink.arg, target), 0);
	state.paused = true;
	mw_tui_sink__take_sites(&screen);
	CHECK_INT(state.targets[0].sites.count, 0);
	state.paused = false;
	mw_tui_sink__take_sites(&screen);
	CHECK_INT(state.targets[0].sites.count, 1);
	CHECK_STR(state.targets[0].sites.suspects[0].sentence, "it grows");
	/* Taken once: what the screen has now stays until there is something newer. */
	mw_tui_sink__take_sites(&screen);
	CHECK_INT(state.targets[0].sites.count, 1);
	mw_tui_sink__close(&screen);
	mw_tui_state__clear(&state);
	mw_watch__close(watch);
	mw_label_groups__free(target->groups);
	mw_sites__free(sites);
	free(target);
}

static struct mw_looked *make_looked(void)
{
	struct mw_looked *l = calloc(1, sizeof(*l));

	if (!l)
		exit(3);
	l->growth.seconds = 10.4;
	l->growth.looks = 2;
	l->growth.type_count = l->growth.holder_count = 2;
	l->growth.owner_count = 1;
	strcpy(l->growth.types[0].name, "tuple");
	strcpy(l->growth.types[0].module, "builtins");
	l->growth.types[0].count = 41600;
	l->growth.types[0].count_per_second = 4000;
	strcpy(l->growth.types[1].name, "User");
	strcpy(l->growth.types[1].module, "app");
	l->growth.types[1].count = 3;
	l->growth.types[1].count_per_second = 0.2884;
	strcpy(l->growth.owners[0].owner, "python/live");
	l->growth.owners[0].bytes_per_second = 1258291;
	strcpy(l->growth.holders[0].type, "list");
	strcpy(l->growth.holders[0].path, "smallapp.SEEN");
	l->growth.holders[0].length = 240000;
	l->growth.holders[0].length_per_second = 4000;
	l->growth.holders[0].retained_bytes = -1;
	l->growth.holders[0].verdict = MW_VERDICT_SUSPECT;
	l->growth.holders[1].addr = 0x7f1000;
	strcpy(l->growth.holders[1].type, "dict");
	l->growth.holders[1].length = 17;
	l->growth.holders[1].length_per_second = 0.0961;
	l->growth.holders[1].retained_bytes = 4096;
	return l;
}

TEST(growth_by_looks_reads_well)
{
	struct mw_looked *looked = make_looked();
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	CHECK(out);
	mw_looks_report__text(out, looked, false);
	fclose(out);
	CHECK_STR(text,
		  "  Python     grew between looks 10 s apart: tuple +4,000/s, app.User +0.29/s; "
		  "python/live +1.2 MiB/s\n"
		  "  held by    smallapp.SEEN (list of 240,000, +4,000/s), which goes on growing\n"
		  "  in         dict at 0x7f1000 (dict of 17, +0.096/s)\n");
	free(text);
	/* Before the second look there is nothing to say, unless something is missing. */
	memset(looked, 0, sizeof(*looked));
	strcpy(looked->missing, "CPython 3.99: no layout known fits");
	out = open_memstream(&text, &len);
	CHECK(out);
	mw_looks_report__text(out, looked, false);
	fclose(out);
	CHECK_STR(text, "  Python     CPython 3.99: no layout known fits\n");
	free(text);
	free(looked);
}

TEST(growth_by_looks_is_null_until_the_second_one)
{
	struct mw_looked *looked = make_looked();
	json_t *doc = mw_looks_report__json(looked), *first;

	CHECK(doc);
	CHECK_INT(json_array_size(json_object_get(doc, "types")), 2);
	first = json_array_get(json_object_get(doc, "holders"), 0);
	CHECK_STR(json_string_value(json_object_get(first, "path")), "smallapp.SEEN");
	CHECK_STR(json_string_value(json_object_get(first, "verdict")), "suspect");
	CHECK(json_is_null(json_object_get(first, "retained_bytes")));
	first = json_array_get(json_object_get(doc, "holders"), 1);
	CHECK(json_is_null(json_object_get(first, "path")));
	CHECK_INT(json_integer_value(json_object_get(first, "retained_bytes")), 4096);
	json_decref(doc);
	memset(looked, 0, sizeof(*looked));
	looked->growth.looks = 1;
	doc = mw_looks_report__json(looked);
	CHECK(json_is_null(doc));
	json_decref(doc);
	free(looked);
}
