// SPDX-License-Identifier: GPL-2.0-or-later
/* What blocks of a size grow by is shared by the types that they are of. */
#include <math.h>

#include "model/type_growth.h"
#include "tests/unit/test.h"

enum { LINES_MAX = 8 };

/* A watch in which the types of one size grow, of which lines keep some; by looks 30 s apart. */
struct world {
	struct mw_type_names *names;
	struct mw_look_growth growth;
	struct {
		const char *type;
		double kept, samples, all;
		bool windows;
	} lines[LINES_MAX];
	size_t count;
	struct mw_sites *sites; /* as they were read last */
};

static void begin_world(struct world *w)
{
	*w = (struct world){.names = mw_type_names__new(), .growth.seconds = 30};
}

static void end_world(struct world *w)
{
	mw_sites__free(w->sites);
	mw_type_names__free(w->names);
}

static void grows(struct world *w, const char *type, double rate)
{
	struct mw_grown_type *t = &w->growth.types[w->growth.type_count++];

	*t = (struct mw_grown_type){.module = "builtins", .count_per_second = rate};
	snprintf(t->name, sizeof(t->name), "%s", type);
}

/* A line whose SAMPLES survivors stand for KEPT objects of TYPE, 64 bytes each, of ALL. Its number.
 */
static size_t line(struct world *w, const char *type, double kept, double samples, double all)
{
	w->lines[w->count].type = type;
	w->lines[w->count].kept = kept;
	w->lines[w->count].samples = samples;
	w->lines[w->count].all = all;
	return w->count++;
}

/* Read all sites anew: WHICH of them. */
static const struct mw_site_stats *read_site(struct world *w, size_t which)
{
	mw_sites__free(w->sites);
	w->sites = mw_sites__new();
	for (size_t i = 0; i < w->count; i++) {
		struct mw_frame frame = {MW_FRAME_PYTHON, (uint32_t)i + 1, "f", "/srv/app.py", 0};
		struct mw_site_stats *site =
			mw_sites__intern(w->sites, 0, &frame, 1, MW_SITE_PYTHON);

		CHECK(site);
		mw_type_counts__add(&site->types,
				    mw_type_names__intern(w->names, w->lines[i].type, "builtins"),
				    w->lines[i].kept, 64 * w->lines[i].kept, w->lines[i].samples);
		site->flags |= w->lines[i].windows ? MW_SITE_WINDOWS : 0;
		site->totals.kept = w->lines[i].all;
		site->totals.kept_bytes = 64 * w->lines[i].all;
		site->totals.allocs = w->lines[i].all + 50000;
		site->totals.alloc_bytes = 64 * (w->lines[i].all + 50000);
		site->totals.grows = site->totals.goes_on = 64 * 4000;
		site->totals.grows_most = 64 * 5000;
	}
	mw_type_growth__limit(w->sites, 0, &w->growth);
	return mw_sites__at(w->sites, which);
}

static void check(struct world *w, size_t which, double part, double most)
{
	const struct mw_site_totals *t = &read_site(w, which)->totals;

	if (fabs(t->grows / 64 - part) > 1 || fabs(t->grows_most / 64 - most) > 1 ||
	    fabs(t->goes_on - t->grows) > 1)
		TEST_FAIL("%.0f of %.0f", t->grows / 64, t->grows_most / 64);
}

/* Tuples and strings are of one size; the line's strings are kept, the tuples are of others. */
TEST(a_line_has_its_part_of_what_its_types_grow_by)
{
	struct world w;
	size_t strings;

	begin_world(&w);
	grows(&w, "tuple", 4000);
	grows(&w, "str", 1000);
	strings = line(&w, "str", 30000, 30, 30000);
	check(&w, strings, 1000, 1000);
	/* Another line keeps as many of them. */
	line(&w, "str", 30000, 30, 30000);
	check(&w, strings, 500, 1000);
	/* What it keeps is of a type of which there are no more than before. */
	check(&w, line(&w, "bytes", 30000, 30, 30000), 0, 0);
	/* It has what it has. */
	check(&w, line(&w, "tuple", 30000, 30, 30000), 4000, 4000);
	end_world(&w);
}

TEST(what_has_no_type_is_not_limited)
{
	struct world w;
	size_t few;

	begin_world(&w);
	grows(&w, "str", 1000);
	/* A half of what it keeps is no object: tables, buffers. */
	check(&w, line(&w, "str", 15000, 15, 30000), 1000 + 2000, 1000 + 2500);
	/* Too few of them are known, or the looks are too near. */
	few = line(&w, "bytes", 30000, 3, 30000);
	check(&w, few, 4000, 5000);
	w.lines[few].samples = 30;
	w.growth.seconds = 5;
	check(&w, few, 4000, 5000);
	w.growth.seconds = 30;
	check(&w, few, 0, 0);
	/* Of so many types only some are listed. */
	while (w.growth.type_count < MW_GROWN_TYPES)
		grows(&w, "other", 900);
	check(&w, few, 4000, 5000);
	end_world(&w);
}

/* Windows say that 150,000 strings are kept, and by another line half as many, but 60,000 are
 * there. */
TEST(a_line_keeps_no_more_objects_than_there_are)
{
	struct world w;
	size_t strings;
	const struct mw_site_stats *site;

	begin_world(&w);
	grows(&w, "str", 1000);
	w.growth.types[0].now = 60000;
	strings = line(&w, "str", 150000, 50, 150000);
	line(&w, "str", 75000, 30, 75000);
	w.lines[0].windows = w.lines[1].windows = true;
	site = read_site(&w, strings);
	CHECK(fabs(site->totals.kept - 40000) < 1);
	CHECK(fabs(site->totals.kept_bytes - 64 * 40000) < 64);
	CHECK(fabs(site->totals.allocs - 90000) < 1);
	CHECK(fabs(site->totals.alloc_bytes - 64 * 90000) < 64);
	CHECK(fabs(site->types.list[0].count - 40000) < 1);
	/* It may be so; or what probes that stay in have seen is so. */
	w.growth.types[0].now = 300000;
	CHECK(fabs(read_site(&w, strings)->totals.kept - 150000) < 1);
	w.growth.types[0].now = 60000;
	w.lines[0].windows = w.lines[1].windows = false;
	CHECK(fabs(read_site(&w, strings)->totals.kept - 150000) < 1);
	end_world(&w);
}
