// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * `why`: the answer. A core is one moment; a process is watched for a while, and surveyed at both
 * ends of it; of two cores the second is compared with the first.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cmd/document.h"
#include "cmd/index.h"
#include "cmd/progress.h"
#include "cmd/watch.h"
#include "diagnosis/inventory.h"
#include "image/cgroup.h"
#include "report/why.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/text.h"
#include "watch/signals.h"

/* On a busy machine a look takes its time. */
static const double LEAST_APART = 10;

static double seconds = 30;
static bool family;

static const struct mw_option rows[] = {
	{"for", 0, MW_OPT_SECONDS, MW_VALUE(seconds, seconds), "TIME",
	 "how long to watch a running process (default 30s; 0: one look)", NULL},
	{"family", 0, MW_OPT_FLAG, MW_VALUE(flag, family), NULL,
	 "what a family of processes shares (forked from one, or in a cgroup); one look", NULL},
	{0},
};

static const struct mw_option_group why_group = {.rows = rows};

struct job {
	struct mw_facts facts;
	pid_t pid;
	/* What the watch's thread writes, to be read once that has ended. */
	struct mw_series later; /* resident bytes, from half of the time on */
	uint64_t last_rss;
	uint64_t threshold_was;
};

static void take_rss(struct job *job, double elapsed, uint64_t rss)
{
	struct mw_series *later = &job->later;

	job->last_rss = rss;
	if (elapsed <= seconds / 2)
		later->n = 0;
	if (!later->n || elapsed - later->t[later->n - 1] > seconds / MW_SERIES_HISTORY)
		mw_series__add(later, elapsed, (double)rss);
}

static int on_sample(void *arg, const struct mw_watch_target *target)
{
	struct job *job = arg;

	if (!target->now.ended)
		take_rss(job, target->now.elapsed, target->now.rss);
	for (size_t i = 0; i < target->event_count && !job->threshold_was; i++) {
		if (target->events[i].kind == MW_EVENT_THRESHOLD)
			job->threshold_was = target->events[i].old_value;
	}
	return 0;
}

/*
 * One survey of the process, which runs on, into FACTS; with REFERENCES who keeps its objects, too,
 * as far as that is quick, and with MEMBERS what it shares with them.
 */
static int look(struct mw_facts *facts, pid_t pid, bool references, const struct mw_family *members,
		struct mw_err *err)
{
	struct mw_ledger ledger = {0};
	struct mw_survey survey = {0};
	struct mw_image *image;
	int ret;

	image = mw_image__open_process(pid, MW_IMAGE_WHOLE, err);
	ret = image ? mw_survey__open(&survey, image, err) : err->code;
	if (!ret)
		ret = mw_survey__ledger(&survey, &ledger, err);
	if (!ret)
		ret = mw_facts__survey(facts, &survey, &ledger, err);
	if (!ret && references)
		ret = mw_facts__add_graph(facts, &survey, err);
	if (!ret && members)
		ret = mw_facts__add_family(facts, &survey, members, err);
	mw_ledger__free(&ledger);
	mw_survey__close(&survey);
	return ret;
}

static void take_watch(struct mw_facts *facts, const struct mw_watch_target *target)
{
	mw_facts__add_looks(facts, &target->looked.growth);
	facts->watched = true;
	mw_site_facts__of(&facts->sites, target->suspects, target->suspect_count, target->growing,
			  target->growing_count, target->groups, &target->now);
	mw_site_facts__add_sizes(&facts->sites, &target->looked.live[MW_LAYER_MALLOC].looks);
}

/* On a busy machine samples come late: too short a rest of the time says nothing. */
static void take_trend(struct job *job)
{
	const struct mw_series *later = &job->later;

	if (later->n > 1 && later->t[later->n - 1] - later->t[0] > seconds / 4)
		mw_facts__set_later(&job->facts, later);
}

/* Until END, a signal, or the end of the process. */
static void wait_until(double end, const struct job *job)
{
	const struct timespec step = {.tv_nsec = 50000000};

	while (mw_monotonic() < end && !mw_signals_caught() && !kill(job->pid, 0))
		nanosleep(&step, NULL);
}

/*
 * Seconds from one look, which TOOK so long, to the next: so that this is over when the time is,
 * but not so few that nothing can be said of growth.
 */
static double apart(double took)
{
	double span = seconds > 2 * took ? seconds - took : seconds;

	return span < LEAST_APART && seconds > LEAST_APART ? LEAST_APART : span;
}

/* The first look is made while the watch begins. */
static int look_twice(struct job *job, struct mw_err *err)
{
	struct mw_facts second = {.live = true};
	double first = mw_monotonic(), last, took;
	int ret = look(&job->facts, job->pid, true, NULL, err);

	if (ret)
		return ret;
	took = mw_monotonic() - first;
	wait_until(first + apart(took), job);
	snprintf(second.target, sizeof(second.target), "%s", job->facts.target);
	last = mw_monotonic();
	/* Of one that has ended there is what the first look saw. */
	if (look(&second, job->pid, true, NULL, err)) {
		job->facts.ended = last - first;
		return 0;
	}
	mw_facts__since(&second, &job->facts, last - first);
	job->facts = second;
	return 0;
}

static int watch_and_look(struct job *job, const struct mw_options *opt, struct mw_err *err)
{
	const struct mw_watch_sink sink = {.sample = on_sample, .arg = job};
	struct mw_watch_options options;
	struct mw_err failed = {0};
	struct mw_watch *watch;
	int ret = mw_cmd_watch_options(&options, err);

	if (ret)
		return ret;
	watch = mw_cmd_watch_open(opt, &options, err);
	if (!watch)
		return err->code;
	mw_signals_catch(false);
	ret = mw_watch__start(watch, &sink, 1, err);
	if (!ret) {
		ret = look_twice(job, err);
		mw_watch__finish(watch, &failed);
		take_watch(&job->facts, mw_watch__target(watch, 0));
		job->facts.threshold_was = job->threshold_was;
		take_trend(job);
		if (job->facts.ended > 0)
			job->facts.ended_resident = job->last_rss;
	}
	mw_watch__close(watch);
	return ret;
}

static int print(const struct mw_options *opt, const struct mw_facts *facts, struct mw_err *err)
{
	struct mw_out out = {.json = opt->json, .verbose = opt->verbose};
	int ret = mw_cmd_out_open(opt, &out, err);

	if (ret)
		return ret;
	ret = mw_why__write(&out, facts, err);
	return ret ? ret : mw_cmd_output_close(opt, out.file, err);
}

/* Of what forked the others, the worker that has most of its own is asked. */
static pid_t member_to_ask(const struct mw_family *members, pid_t pid)
{
	const struct mw_member *most = NULL;

	for (size_t i = 1; i < members->count; i++) {
		const struct mw_member *member = &members->members[i];

		if (!most || member->own > most->own)
			most = member;
	}
	return most && pid == members->members[0].pid ? most->pid : pid;
}

static int look_at_family(struct mw_facts *facts, pid_t pid, struct mw_err *err)
{
	struct mw_family members = {0};
	int ret = mw_family__find(&members, pid, err);

	if (!ret && members.count < 2)
		ret = mw_err_set(err, -ENOENT, "no-family", facts->target,
				 "was forked from no process that still runs, and forked none");
	if (!ret) {
		pid = member_to_ask(&members, pid);
		snprintf(facts->target, sizeof(facts->target), "PID %d", pid);
		ret = look(facts, pid, false, &members, err);
	}
	mw_family__free(&members);
	return ret;
}

/* One of a cgroup's, compared with what it was forked from, into SUM. */
static int add_member(struct mw_facts *sum, pid_t pid, struct mw_err *err)
{
	struct mw_facts *one = calloc(1, sizeof(*one));
	struct mw_family relatives = {0};
	int ret = one ? mw_family__find(&relatives, pid, err) : mw_err_no_memory(err, NULL);

	if (!ret)
		ret = look(one, pid, false, &relatives, err);
	if (!ret)
		mw_facts__add_member(sum, one);
	mw_family__free(&relatives);
	free(one);
	return ret;
}

static int look_at_cgroup(struct mw_facts *facts, const char *folder, struct mw_err *err)
{
	struct mw_family members = {0};
	pid_t *pids = NULL;
	size_t count, read = 0;
	int ret = mw_cgroup__processes(folder, &pids, &count, err);

	if (!ret)
		ret = mw_family__of(&members, pids, count, err);
	/* Those that end meanwhile are left out. */
	for (size_t i = 0; i < members.count && ret != -ENOMEM; i++) {
		ret = add_member(facts, members.members[i].pid, err);
		read += !ret;
		facts->family.resident += ret ? 0 : members.members[i].resident;
		facts->family.proportional += ret ? 0 : members.members[i].proportional;
	}
	facts->family.members = read;
	facts->family.unread = members.count - read;
	mw_text_clean(facts->target, sizeof(facts->target), folder, strlen(folder));
	mw_family__free(&members);
	free(pids);
	return ret == -ENOMEM || !read ? ret : 0;
}

static int why_cgroup(const struct mw_options *opt, const char *folder, struct mw_err *err)
{
	_cleanup_free_ struct mw_facts *facts = calloc(1, sizeof(*facts));
	struct mw_cmd_progress *progress;
	int ret;

	if (!facts)
		return mw_err_no_memory(err, NULL);
	mw_cmd_log_to_stderr(opt);
	facts->live = true;
	progress = mw_cmd_progress__start(opt, NULL, 0);
	ret = look_at_cgroup(facts, folder, err);
	mw_cmd_progress__end(progress);
	return ret ? ret : print(opt, facts, err);
}

static int why_process(const struct mw_options *opt, struct mw_err *err)
{
	_cleanup_free_ struct job *job = calloc(1, sizeof(*job));
	struct mw_cmd_progress *progress;
	int ret;

	if (!job)
		return mw_err_no_memory(err, NULL);
	ret = mw_cmd_find_process(opt->argv[0], &job->pid, err);
	if (ret)
		return ret;
	mw_cmd_log_to_stderr(opt);
	progress = mw_cmd_progress__start(opt, NULL, family ? 0 : (unsigned int)seconds);
	job->facts.live = true;
	snprintf(job->facts.target, sizeof(job->facts.target), "PID %d", job->pid);
	if (family)
		ret = look_at_family(&job->facts, job->pid, err);
	else if (seconds > 0)
		ret = watch_and_look(job, opt, err);
	else
		ret = look(&job->facts, job->pid, true, NULL, err);
	mw_cmd_progress__end(progress);
	return ret ? ret : print(opt, &job->facts, err);
}

/* One of two images that are compared. */
struct side {
	struct mw_facts facts;
	struct mw_inventory inventory;
};

static int take_side(void *arg, struct mw_survey *survey, struct mw_err *err)
{
	struct mw_ledger ledger = {0};
	struct side *side = arg;
	int ret;

	snprintf(side->facts.target, sizeof(side->facts.target), "%s",
		 mw_image__name(survey->image));
	ret = mw_survey__ledger(survey, &ledger, err);
	if (!ret)
		ret = mw_facts__survey(&side->facts, survey, &ledger, err);
	mw_ledger__free(&ledger);
	if (!ret)
		ret = mw_facts__add_graph(&side->facts, survey, err);
	return ret ? ret : mw_inventory__take(&side->inventory, survey, err);
}

static int why_changed(const struct mw_options *opt, struct mw_err *err)
{
	_cleanup_free_ struct side *sides = calloc(2, sizeof(*sides));
	struct mw_diff diff = {0};
	int ret = sides ? 0 : mw_err_no_memory(err, NULL);

	mw_cmd_log_to_stderr(opt);
	for (int i = 0; i < 2 && !ret; i++)
		ret = mw_cmd_survey(opt, opt->argv[i], take_side, &sides[i], err);
	if (!ret && mw_diff__make(&diff, &sides[0].inventory, &sides[1].inventory))
		ret = mw_err_no_memory(err, NULL);
	if (!ret) {
		mw_facts__compare(&sides[1].facts, &sides[0].facts, &diff);
		ret = print(opt, &sides[1].facts, err);
	}
	mw_diff__free(&diff);
	for (int i = 0; sides && i < 2; i++)
		mw_inventory__free(&sides[i].inventory);
	return ret;
}

/* WORD is the folder of a cgroup, or the name of one and not of a process. */
static int why_family(const struct mw_options *opt, const char *word, struct mw_err *err)
{
	_cleanup_free_ char *folder = NULL;
	struct mw_err none = {0};
	pid_t pid;

	if (mw_cgroup__is_folder(word) ||
	    (!mw_cmd_is_pid(word) && mw_cmd_find_process(word, &pid, &none) == -ESRCH)) {
		folder = mw_cgroup__find(word, err);
		return folder ? why_cgroup(opt, folder, err) : err->code;
	}
	return why_process(opt, err);
}

static int run_why(const struct mw_options *opt)
{
	struct mw_err err = {0};

	if (opt->argc != 1 && opt->argc != 2) {
		mw_err_usage(&err, opt->command->name,
			     "give one PID, process name or core, or an earlier and a later one");
		return mw_cmd_fail(opt, &err);
	}
	if (family && opt->argc == 1)
		return why_family(opt, opt->argv[0], &err) ? mw_cmd_fail(opt, &err) : MW_EXIT_OK;
	if (opt->argc == 2)
		return why_changed(opt, &err) ? mw_cmd_fail(opt, &err) : MW_EXIT_OK;
	if (mw_cmd_is_core(opt->argv[0]))
		return mw_cmd_run_document(opt);
	return why_process(opt, &err) ? mw_cmd_watch_fail(opt, err.code, &err) : MW_EXIT_OK;
}

const struct mw_command mw_cmd_why = {
	.name = "why",
	.args = "[BEFORE] PID|NAME|CORE [options]",
	.summary = "Say where the memory went, what grows, and what to do about it",
	.about =
		"Watches a running process for half a minute, within a budget of 2 % of its CPU time, or reads "
		"a core. Says what the memory is in plain shares, what grows and how fast, and the causes, the "
		"strongest first: with evidence, with what to do, and with how many bytes that gives back. "
		"With BEFORE, a core or a process, too: what changed from one to the other.",
	.takes = MW_TAKES_PROCESS | MW_TAKES_CORE,
	.groups = {&why_group, &mw_cmd_budget_group, &mw_cmd_index_group, &mw_cmd_document_group},
	.run = run_why,
};
