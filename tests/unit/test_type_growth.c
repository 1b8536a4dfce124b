// SPDX-License-Identifier: GPL-2.0-or-later
/* What blocks of a size grow by is shared by the types that they are of. */
#include <math.h>

#include "model/type_growth.h"
#include "tests/unit/test.h"

/* A watch in which the types of one size grow, of which lines keep some; by looks 30 s apart. */
struct world {
	struct mw_type_names *names;
	struct mw_sites *sites;
	struct mw_label_groups *groups;
	struct mw_look_growth growth;
	uint32_t lines;
};

static void begin_world(struct world *w)
{
	*w = (struct world){.names = mw_type_names__new(),
			    .sites = mw_sites__new(),
			    .groups = mw_label_groups__new(0)};
	w->growth.seconds = 30;
}

static void end_world(struct world *w)
{
	mw_label_groups__free(w->groups);
	mw_sites__free(w->sites);
	mw_type_names__free(w->names);
}

static void grows(struct world *w, const char *type, double rate)
{
	struct mw_grown_type *t = &w->growth.types[w->growth.type_count++];

	*t = (struct mw_grown_type){.module = "builtins", .count_per_second = rate};
	snprintf(t->name, sizeof(t->name), "%s", type);
}

/* A line whose SAMPLES survivors stand for KEPT objects of TYPE, 64 bytes each, of ALL. */
static struct mw_site_stats *line(struct world *w, const char *type, double kept, double samples,
				  double all)
{
	struct mw_frame frame = {MW_FRAME_PYTHON, ++w->lines, "f", "/srv/app.py", 0};
	struct mw_site_stats *site = mw_sites__intern(w->sites, 0, &frame, 1, MW_SITE_PYTHON);

	CHECK(site);
	mw_type_counts__add(&site->types, mw_type_names__intern(w->names, type, "builtins"), kept,
			    64 * kept, samples);
	site->totals.kept = all;
	site->totals.kept_bytes = 64 * all;
	site->totals.grows = site->totals.goes_on = 64 * 4000;
	site->totals.grows_most = 64 * 5000;
	return site;
}

static void check(struct world *w, const struct mw_site_stats *site, double part, double most)
{
	const struct mw_site_totals *t;

	CHECK_INT(mw_label_groups__update(w->groups, w->sites, NULL), 0);
	mw_type_growth__limit(w->groups, &w->growth);
	t = &mw_label_groups__of(w->groups, site)->judged[0]->totals;
	if (fabs(t->grows / 64 - part) > 1 || fabs(t->grows_most / 64 - most) > 1 ||
	    fabs(t->goes_on - t->grows) > 1)
		TEST_FAIL("%.0f of %.0f", t->grows / 64, t->grows_most / 64);
}

/* Tuples and strings are of one size; the line's strings are kept, the tuples are of others. */
TEST(a_line_has_its_part_of_what_its_types_grow_by)
{
	struct world w;
	struct mw_site_stats *site;

	begin_world(&w);
	grows(&w, "tuple", 4000);
	grows(&w, "str", 1000);
	site = line(&w, "str", 30000, 30, 30000);
	check(&w, site, 1000, 1000);
	/* Another line keeps as many of them. */
	line(&w, "str", 30000, 30, 30000);
	check(&w, site, 500, 1000);
	/* What it keeps is of a type of which there are no more than before. */
	check(&w, line(&w, "bytes", 30000, 30, 30000), 0, 0);
	/* It has what it has. */
	check(&w, line(&w, "tuple", 30000, 30, 30000), 4000, 4000);
	end_world(&w);
}

TEST(what_has_no_type_is_not_limited)
{
	struct world w;

	begin_world(&w);
	grows(&w, "str", 1000);
	/* A half of what it keeps is no object: tables, buffers. */
	check(&w, line(&w, "str", 15000, 15, 30000), 1000 + 2000, 1000 + 2500);
	/* Too few of them are known, or the looks are too near. */
	check(&w, line(&w, "bytes", 30000, 3, 30000), 4000, 5000);
	w.growth.seconds = 5;
	check(&w, line(&w, "bytes", 30000, 30, 30000), 4000, 5000);
	w.growth.seconds = 30;
	/* Of so many types only some are listed. */
	while (w.growth.type_count < MW_GROWN_TYPES)
		grows(&w, "other", 900);
	check(&w, line(&w, "bytes", 30000, 30, 30000), 4000, 5000);
	end_world(&w);
}

/* Windows say that 150,000 strings are kept, and by another line half as many, but 60,000 are
 * there. */
TEST(a_line_keeps_no_more_objects_than_there_are)
{
	struct world w;
	struct mw_site_stats *site;
	const struct mw_site_totals *t;

	begin_world(&w);
	grows(&w, "str", 1000);
	w.growth.types[0].now = 60000;
	site = line(&w, "str", 150000, 50, 150000);
	site->flags |= MW_SITE_WINDOWS;
	site->totals.allocs = 200000;
	site->totals.alloc_bytes = 64 * 200000;
	line(&w, "str", 75000, 30, 75000)->flags |= MW_SITE_WINDOWS;
	check(&w, site, 2000 / 3.0, 1000);
	t = &mw_label_groups__of(w.groups, site)->total.totals;
	CHECK(fabs(t->kept - 40000) < 1 && fabs(t->kept_bytes - 64 * 40000) < 64);
	CHECK(fabs(t->allocs - 90000) < 1 && fabs(t->alloc_bytes - 64 * 90000) < 64);
	CHECK(fabs(mw_label_groups__of(w.groups, site)->total.types.list[0].count - 40000) < 1);
	/* It may be so; or what probes that stay in have seen is so. */
	w.growth.types[0].now = 300000;
	check(&w, site, 2000 / 3.0, 1000);
	CHECK(fabs(t->kept - 150000) < 1);
	w.growth.types[0].now = 60000;
	site->flags &= ~(uint32_t)MW_SITE_WINDOWS;
	check(&w, site, 2000 / 3.0, 1000);
	CHECK(fabs(t->kept - 150000) < 1);
	end_world(&w);
}
