// SPDX-License-Identifier: GPL-2.0-or-later
/* Which line is to be believed where a free list stands between those that ask and those that keep.
 */
#include "model/reuse.h"
#include "tests/unit/test.h"

#define ADDS  "app.py:5 remember <- app.py:9 serve"
#define ASKS  "app.py:7 render <- app.py:9 serve"
#define OTHER "lib.py:3 parse <- app.py:9 serve"

/* A watch of 40 s in which APP grew by 1,000 tuples a second and kept them in a list. */
struct world {
	struct mw_type_names *names;
	struct mw_sites *sites;
	struct mw_label_groups *groups;
	struct mw_look_growth growth;
};

static const struct mw_site_stats *site_at(struct world *w, const char *file, uint32_t line,
					   const char *function, const char *type, double kept,
					   double samples)
{
	const struct mw_frame frames[] = {{MW_FRAME_PYTHON, line, function, file, 0},
					  {MW_FRAME_PYTHON, 9, "serve", "/srv/app.py", 0}};
	struct mw_site_stats *site = mw_sites__intern(w->sites, 0, frames, 2, MW_SITE_PYTHON);

	CHECK(site);
	mw_type_counts__add(&site->types, mw_type_names__intern(w->names, type, "builtins"), kept,
			    56 * kept, samples);
	return site;
}

static void begin_world(struct world *w, bool parks)
{
	struct mw_grown_holder *h = &w->growth.holders[0];

	*w = (struct world){.names = mw_type_names__new(),
			    .sites = mw_sites__new(),
			    .groups = mw_label_groups__new(0)};
	w->growth.seconds = 30;
	w->growth.type_count = w->growth.holder_count = 1;
	w->growth.types[0] = (struct mw_grown_type){
		.name = "tuple", .count = 30000, .count_per_second = 1000, .parks = parks};
	*h = (struct mw_grown_holder){.element = "tuple", .length_per_second = 1000};
	h->changer_count = 1;
	h->changers[0] = (struct mw_grown_changer){.label = ADDS, .added = 64, .samples = 64};
}

static void end_world(struct world *w)
{
	mw_label_groups__free(w->groups);
	mw_sites__free(w->sites);
	mw_type_names__free(w->names);
}

static enum mw_births judged(struct world *w)
{
	CHECK_INT(mw_label_groups__update(w->groups, w->sites, NULL), 0);
	mw_reuse__judge(&w->growth, w->groups, 40);
	return w->growth.holders[0].births;
}

TEST(what_a_line_keeps_and_did_not_ask_for_is_reused)
{
	struct world w;

	/* Its strings are of that line, its tuples of another one. */
	begin_world(&w, true);
	site_at(&w, "/srv/app.py", 5, "remember", "str", 39000, 30);
	site_at(&w, "/srv/app.py", 7, "render", "tuple", 39000, 30);
	CHECK_INT(judged(&w), MW_BIRTHS_REUSED);
	end_world(&w);
	/* No free list of that type was seen. */
	begin_world(&w, false);
	site_at(&w, "/srv/app.py", 5, "remember", "str", 39000, 30);
	CHECK_INT(judged(&w), MW_BIRTHS_UNKNOWN);
	end_world(&w);
	/* Too little of that line. */
	begin_world(&w, true);
	site_at(&w, "/srv/app.py", 5, "remember", "str", 3900, 3);
	CHECK_INT(judged(&w), MW_BIRTHS_UNKNOWN);
	end_world(&w);
	/* It asked for what it keeps. */
	begin_world(&w, true);
	site_at(&w, "/srv/app.py", 5, "remember", "tuple", 37000, 30);
	CHECK_INT(judged(&w), MW_BIRTHS_HERE);
	end_world(&w);
}

static size_t left_of(struct world *w, const struct mw_site_stats *site, const char *label)
{
	struct mw_suspect s = {.site = site};

	snprintf(s.label, sizeof(s.label), "%s", label);
	CHECK_INT(mw_label_groups__update(w->groups, w->sites, NULL), 0);
	s.group = mw_label_groups__of(w->groups, site);
	return mw_reuse__acquit(&s, 1, &w->growth);
}

TEST(who_asked_for_what_another_line_keeps_is_no_suspect)
{
	struct world w;
	const struct mw_site_stats *asks, *adds, *other;

	begin_world(&w, true);
	adds = site_at(&w, "/srv/app.py", 5, "remember", "tuple", 900, 3);
	asks = site_at(&w, "/srv/app.py", 7, "render", "tuple", 39000, 30);
	other = site_at(&w, "/srv/lib.py", 3, "parse", "str", 39000, 30);
	CHECK_INT(left_of(&w, asks, ASKS), 0);
	/* The line that adds is the one; nobody holds the strings. */
	CHECK_INT(left_of(&w, adds, ADDS), 1);
	CHECK_INT(left_of(&w, other, OTHER), 1);
	/* More tuples come to be than the holder takes in. */
	w.growth.types[0].count_per_second = 3000;
	CHECK_INT(left_of(&w, asks, ASKS), 1);
	end_world(&w);
	/* What has no free list was asked for by whoever has it. */
	begin_world(&w, false);
	asks = site_at(&w, "/srv/app.py", 7, "render", "tuple", 39000, 30);
	CHECK_INT(left_of(&w, asks, ASKS), 1);
	end_world(&w);
}
