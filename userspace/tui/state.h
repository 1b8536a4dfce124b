/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The data that the screen draws. A watch fills it (tui/sink.h), or a test with a
 * recorded session; the views read it, and keys change baselines, interval and pause.
 */
#ifndef MW_TUI_STATE_H
#define MW_TUI_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "diagnosis/diagnosis.h"
#include "graph/owner_holders.h"
#include "ledger/ledger.h"
#include "ledger/split.h"
#include "model/sample.h"
#include "model/label_groups.h"
#include "model/sites.h"
#include "util/log.h"
#include "watch/watch.h"

/* One moment of the timeline. */
struct mw_tui_point {
	double elapsed;	     /* seconds since the watch began */
	double rss;	     /* bytes */
	double brk, mmapped; /* bytes that the kernel gave and did not get back since then */
	double minor, major; /* faults a second */
	double allocs;	     /* a second; NaN: too little was seen */
};

struct mw_tui_split_point {
	double elapsed;
	uint64_t parts[MW_SPLIT_PARTS]; /* bytes */
};

/* The ledger and the split of the target's memory at one time. */
struct mw_tui_survey {
	bool known;
	double elapsed; /* seconds since the watch began, when it was taken */
	double took;	/* seconds */
	char note[160]; /* what could not be separated, and why; clean; "": nothing */
	struct mw_ledger ledger;
	uint64_t parts[MW_SPLIT_PARTS];
};

enum {
	MW_TUI_POINTS = 2400,
	MW_TUI_SPLITS = 600,
	MW_TUI_MOMENTS = 64,
	MW_TUI_EVENTS = 200,
	MW_TUI_LOG_LINES = 100,
};

struct mw_tui_amounts {
	bool rates_only; /* frees were not seen: all of it is unknown */
	bool unscaled;	 /* only what is kept is known, by looks */
	double kept, error, freed, unknown, growth, bytes, faults; /* bytes; ERROR: of KEPT */
	double allocs, rate; /* since attach; a second, lately */
};

/* Copies: the watch goes on to change its own, but for frames and labels, which stay. */
struct mw_tui_stack {
	uint32_t id, frame_count;
	const struct mw_frame *frames;
	struct mw_tui_amounts amounts;
};

/* The stacks of one label. */
struct mw_tui_site {
	uint32_t id; /* of its oldest stack */
	const char *label;
	struct mw_tui_amounts amounts; /* of all stacks together */
	struct mw_type_counts types;   /* Python's, of what is kept */
	size_t first, stack_count;     /* in the list of stacks */
};

/* What was found at one time. */
struct mw_tui_moment {
	double elapsed; /* seconds since the watch began */
	struct mw_facts facts;
};

struct mw_tui_suspect {
	uint32_t site; /* its id */
	double first_seen;
	char sentence[MW_SENTENCE_SIZE];
};

struct mw_tui_sites {
	struct mw_tui_site *list;
	size_t count, capacity;
	struct mw_tui_stack *stacks;
	size_t stack_count, stack_capacity;
	struct mw_tui_suspect suspects[MW_WATCH_SUSPECTS];
	size_t suspect_count;
	struct mw_site_facts facts;
	struct mw_outlook outlook;	/* when there is none */
	char growing[MW_SENTENCE_SIZE]; /* where no suspect is known: who asks the kernel; "" */
};

/* Who holds what an owner of the ledger has. */
struct mw_tui_holders {
	char owner[80]; /* "": none was asked for */
	bool known;
	char problem[200]; /* why it is not, though it was looked for; clean; "" */
	struct mw_owner_holders found;
};

struct mw_tui_target {
	pid_t pid;
	char name[64];
	double uptime;		    /* seconds since the process began */
	double ended_at;	    /* seconds since the watch began, when now.ended */
	double cost;		    /* probes' share of its CPU time, percent; below 0: none */
	struct mw_sample last, now; /* the two latest */
	struct mw_sample baseline;  /* what `d` compares with; zeros: the watch's begin */
	uint64_t rss_first, rss_baseline; /* bytes */
	struct mw_tui_survey survey, first_survey, baseline_survey;
	char survey_problem[200]; /* why SURVEY is not known; clean; "" */
	struct mw_tui_holders holders;
	struct mw_tui_point points[MW_TUI_POINTS]; /* oldest first */
	size_t point_count;
	struct mw_tui_split_point splits[MW_TUI_SPLITS];
	size_t split_count;
	struct mw_tui_moment moments[MW_TUI_MOMENTS]; /* oldest first */
	size_t moment_count;
	struct mw_look_growth growth; /* of Python's objects */
	struct mw_facts facts;	      /* as looked last, compared with a moment before */
	struct mw_diagnosis diagnosis;
	uint64_t threshold_was;		       /* see struct mw_facts */
	struct mw_event events[MW_TUI_EVENTS]; /* oldest first */
	size_t event_count;
	bool has_sites; /* false: stacks are not taken */
	struct mw_tui_sites sites;
};

/* Most of the time no probe is in: counts are estimates, most blocks are not tracked. */
static inline bool mw_tui_is_estimate(const struct mw_sample *now)
{
	return now->governed && !now->always;
}

/* What the probes counted says nothing yet. */
static inline bool mw_tui_is_too_little(const struct mw_sample *now)
{
	return mw_tui_is_estimate(now) && !now->enough;
}

struct mw_tui_log_line {
	enum mw_log_level level;
	char text[240];
};

struct mw_tui_state {
	enum mw_mode mode;
	double interval; /* seconds between two samples */
	bool attaching;	 /* no probe is in yet */
	bool paused;	 /* no samples come */
	double clock;	 /* seconds of a clock that only goes forward: for messages that fade */
	double time;	 /* seconds since 1970 */
	struct mw_tui_target *targets;
	size_t target_count;
	struct mw_tui_log_line log[MW_TUI_LOG_LINES]; /* oldest first */
	size_t log_count, log_total;
};

/* Show a new sample, with the interval's events. MODE is the watch's. */
void mw_tui_target__add_sample(struct mw_tui_target *target, const struct mw_watch_target *from,
			       enum mw_mode mode);

/* Append to the histories, which drop their oldest when full. */
void mw_tui_target__add_point(struct mw_tui_target *target); /* of last and now */
void mw_tui_target__add_survey(struct mw_tui_target *target,
			       struct mw_tui_survey *survey); /* takes it over */
/*
 * What was found at ELAPSED seconds since the watch began; diagnoses it. Of the same time more may
 * be found later.
 */
void mw_tui_target__add_facts(struct mw_tui_target *target, const struct mw_facts *facts,
			      double elapsed);
void mw_tui_target__add_event(struct mw_tui_target *target, const struct mw_event *what);
void mw_tui_state__add_log(struct mw_tui_state *state, enum mw_log_level level, const char *line);

/* Copy a target's sites; the lists that OUT has are reused. 0 or -ENOMEM. */
int mw_tui_sites__copy(struct mw_tui_sites *out, const struct mw_label_groups *groups);
void mw_tui_sites__clear(struct mw_tui_sites *sites);
void mw_tui_sites__copy_suspects(struct mw_tui_sites *out, const struct mw_watch_target *from);

/* Show changes since this moment from now on. */
void mw_tui_target__set_baseline(struct mw_tui_target *target);

/* Free what the targets own. */
void mw_tui_state__clear(struct mw_tui_state *state);

#endif
