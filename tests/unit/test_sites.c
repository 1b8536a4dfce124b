// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/unit/all_seen.h"
#include "tests/unit/test.h"
#include "model/sites.h"

static struct mw_frame python_frame(const char *file, uint32_t line, const char *function)
{
	return (struct mw_frame){MW_FRAME_PYTHON, line, function, file, 0};
}

static struct mw_frame native_frame(const char *module, const char *function, uint64_t offset)
{
	return (struct mw_frame){MW_FRAME_NATIVE, 0, function, module, offset};
}

TEST(same_stack_is_same_site)
{
	struct mw_sites *sites = mw_sites__new();
	char name[] = "load_user", file[] = "/srv/app.py";
	struct mw_frame f[2] = {python_frame(file, 88, name), python_frame(file, 12, "main")};
	struct mw_site_stats *a = mw_sites__intern(sites, 1, f, 2, MW_SITE_PARTIAL);

	CHECK(a);
	CHECK(mw_sites__intern(sites, 1, f, 2, MW_SITE_TRUNCATED) == a);
	CHECK_INT(a->flags, MW_SITE_PARTIAL | MW_SITE_TRUNCATED);
	CHECK_INT(a->id, 1);
	CHECK(a->first_seen == -1);
	/* What is interned is a copy. */
	strcpy(name, "xxxx");
	strcpy(file, "yyyy");
	CHECK_STR(a->frames[0].function, "load_user");
	CHECK_STR(a->frames[1].file, "/srv/app.py");
	CHECK_INT(a->frame_count, 2);
	mw_sites__free(sites);
}

TEST(layers_of_one_stack_are_two_sites)
{
	struct mw_sites *sites = mw_sites__new();
	struct mw_frame f = python_frame("/srv/app.py", 88, "load_user");
	struct mw_site_stats *a = mw_sites__intern(sites, 1, &f, 1, 0);
	struct mw_site_stats *b = mw_sites__intern(sites, 1, &f, 1, MW_SITE_PYTHON);

	CHECK(a && b && a != b);
	CHECK(mw_sites__intern(sites, 1, &f, 1, MW_SITE_PARTIAL) == a);
	CHECK(mw_sites__intern(sites, 1, &f, 1, MW_SITE_PYTHON | MW_SITE_PARTIAL) == b);
	mw_sites__free(sites);
}

TEST(every_part_of_a_stack_tells_sites_apart)
{
	struct mw_sites *sites = mw_sites__new();
	struct mw_frame base[2] = {native_frame("libfoo.so", "parse", 28),
				   python_frame("/srv/app.py", 12, "main")};
	struct mw_frame f[2];
	struct mw_site_stats *seen[9];

#define WITH(change_, target_, count_)                                                             \
	(memcpy(f, base, sizeof(f)), change_, mw_sites__intern(sites, target_, f, count_, 0))
	seen[0] = WITH((void)0, 1, 2);
	seen[1] = WITH(f[0].kind = MW_FRAME_PYTHON, 1, 2);
	seen[2] = WITH(f[0].function = "parser", 1, 2);
	seen[3] = WITH(f[0].file = "libfo.so", 1, 2);
	seen[4] = WITH(f[1].line = 13, 1, 2);
	seen[5] = WITH(f[0].offset = 29, 1, 2);
	seen[6] = WITH((void)0, 2, 2);
	seen[7] = WITH((void)0, 1, 1);
	seen[8] = WITH((void)0, 1, 0);
	for (size_t i = 0; i < 9; i++) {
		CHECK(seen[i]);
		CHECK_INT(seen[i]->id, i + 1);
	}
	CHECK(WITH((void)0, 1, 2) == seen[0]);
	CHECK(WITH((void)0, 1, 0) == seen[8]);
	CHECK_INT(mw_sites__count(sites), 9);
	mw_sites__free(sites);
}

TEST(many_sites_stay_where_they_are)
{
	enum { SITES = 20011 };
	struct mw_sites *sites = mw_sites__new();
	struct mw_site_stats **at = calloc(SITES, sizeof(*at));

	for (uint32_t i = 0; i < SITES; i++) {
		struct mw_frame f = python_frame("/srv/app.py", i, "f");

		at[i] = mw_sites__intern(sites, i % 3, &f, 1, 0);
		CHECK(at[i]);
		CHECK_INT(at[i]->id, i + 1);
	}
	CHECK_INT(mw_sites__count(sites), SITES);
	for (uint32_t i = 0; i < SITES; i++) {
		struct mw_frame f = python_frame("/srv/app.py", i, "f");

		CHECK(mw_sites__intern(sites, i % 3, &f, 1, 0) == at[i]);
		CHECK(mw_sites__at(sites, i) == at[i]);
		CHECK_INT(at[i]->frames[0].line, i);
	}
	CHECK_INT(mw_sites__count(sites), SITES);
	free(at);
	mw_sites__free(sites);
}

/* What a history of LENGTH ticks, a second apart, must be like, whenever its site came. */
static void check_even(const struct mw_site_stats *site, unsigned int length, unsigned int born)
{
	double pace = site->points[1].elapsed - site->points[0].elapsed;

	CHECK(site->point_count >= 2 && site->point_count <= MW_SERIES_HISTORY);
	for (size_t i = 0; i < site->point_count; i++) {
		const struct mw_site_point *p = &site->points[i];

		CHECK(i == 0 || p->elapsed - p[-1].elapsed == pace);
		/* The site's own clock: 7 bytes a second since it was born. */
		CHECK(p->alloc_bytes == 7 * (p->elapsed - born));
		CHECK(p->freed_bytes == 3 * p->elapsed);
		CHECK(p->grown_bytes == 11 && p->returned_bytes == 5 && p->fault_bytes == 13);
		CHECK(p->allocs == 17 && p->frees == 19);
	}
	CHECK(site->points[0].elapsed <= born + pace);
	CHECK(site->points[site->point_count - 1].elapsed > length - pace);
}

TEST(history_always_spans_the_whole_watch_evenly)
{
	static const unsigned int born[] = {0, 1, 5, 6, 100, 333};
	struct mw_sites *sites = mw_sites__new();
	struct mw_site_stats *site[6] = {NULL};

	for (unsigned int t = 1; t <= 5000; t++) {
		for (unsigned int i = 0; i < 6; i++) {
			struct mw_frame f = python_frame("/srv/app.py", i + 1, "f");

			if (t <= born[i])
				continue;
			site[i] = mw_sites__intern(sites, 1, &f, 1, 0);
			site[i]->totals.alloc_bytes = 7.0 * (t - born[i]);
			site[i]->totals.freed_bytes = 3.0 * t;
			site[i]->totals.grown_bytes = 11;
			site[i]->totals.returned_bytes = 5;
			site[i]->totals.fault_bytes = 13;
			site[i]->totals.allocs = 17;
			site[i]->totals.frees = 19;
		}
		mw_sites__tick(sites, t);
		CHECK(t > 64 || site[0]->point_count == t);
		CHECK(t <= 64 || site[0]->point_count >= 32);
		for (unsigned int i = 0; i < 6; i++) {
			size_t k = site[i] ? site[i]->point_count : 0;

			if (t <= 64 ? k >= 2 : t > born[i] + 400)
				check_even(site[i], t, born[i]);
			/* Points of all sites are of the same moments. */
			if (k) {
				const struct mw_site_point *p =
					&site[0]->points[site[0]->point_count];

				CHECK(p[-1].elapsed == site[i]->points[k - 1].elapsed);
			}
		}
	}
	mw_sites__free(sites);
}

TEST(top_ranks_by_each_order)
{
	struct mw_sites *sites = mw_sites__new();
	const struct mw_site_stats *out[8];
	struct mw_site_stats *site[7];

	for (uint32_t i = 0; i < 7; i++) {
		struct mw_frame f = python_frame("/srv/app.py", i + 1, "f");

		site[i] = mw_sites__intern(sites, i == 6 ? 2 : 1, &f, 1, 0);
	}
	/*                 outstanding    growth       allocs  bytes          faults */
	site[0]->totals = (struct mw_site_totals){.alloc_bytes = 900, .freed_bytes = 890};
	site[1]->totals = (struct mw_site_totals){.alloc_bytes = 100, .freed_bytes = 20};
	site[2]->totals = (struct mw_site_totals){.grown_bytes = 50, .returned_bytes = 45};
	site[3]->totals = (struct mw_site_totals){.grown_bytes = 31, .allocs = 3};
	site[4]->totals = (struct mw_site_totals){.fault_bytes = 4096, .allocs = 5};
	site[5]->totals = (struct mw_site_totals){.alloc_bytes = 10, .freed_bytes = 11};
	site[6]->totals = (struct mw_site_totals){.alloc_bytes = 1e6, .fault_bytes = 1e6};
	for (int i = 0; i < 7; i++)
		all_seen(&site[i]->totals);

	CHECK_INT(mw_sites__top(sites, 1, MW_SITES_BY_OUTSTANDING, out, 8), 2);
	CHECK(out[0] == site[1] && out[1] == site[0]);
	CHECK_INT(mw_sites__top(sites, 1, MW_SITES_BY_GROWTH, out, 8), 2);
	CHECK(out[0] == site[3] && out[1] == site[2]);
	CHECK_INT(mw_sites__top(sites, 1, MW_SITES_BY_ALLOCS, out, 8), 2);
	CHECK(out[0] == site[4] && out[1] == site[3]);
	CHECK_INT(mw_sites__top(sites, 1, MW_SITES_BY_BYTES, out, 2), 2);
	CHECK(out[0] == site[0] && out[1] == site[1]);
	CHECK_INT(mw_sites__top(sites, 1, MW_SITES_BY_FAULTS, out, 8), 1);
	CHECK(out[0] == site[4]);
	CHECK_INT(mw_sites__top(sites, 2, MW_SITES_BY_FAULTS, out, 8), 1);
	CHECK(out[0] == site[6]);
	CHECK_INT(mw_sites__top(sites, 1, MW_SITES_BY_BYTES, out, 0), 0);
	CHECK(mw_site_error(site[0]) == 0);
	site[0]->totals.live_variance = 49;
	CHECK(mw_site_error(site[0]) == 7);
	mw_sites__free(sites);
}

TEST(top_of_many_is_sorted_and_complete)
{
	enum { SITES = 997, MAX = 20 };
	struct mw_sites *sites = mw_sites__new();
	const struct mw_site_stats *out[MAX];

	/* 997 is prime: the keys are 0..996 in a shuffled order. */
	for (uint32_t i = 0; i < SITES; i++) {
		struct mw_frame f = python_frame("/srv/app.py", i, "f");

		mw_sites__intern(sites, 1, &f, 1, 0)->totals.allocs = i * 613 % SITES;
	}
	CHECK_INT(mw_sites__top(sites, 1, MW_SITES_BY_ALLOCS, out, MAX), MAX);
	for (int i = 0; i < MAX; i++)
		CHECK_INT(out[i]->totals.allocs, SITES - 1 - i);
	mw_sites__free(sites);
}

TEST(frames_are_written_as_people_say_them)
{
	struct mw_frame f = python_frame("/srv/app.py", 88, "load_user");
	char buf[64], small[14];

	CHECK_STR(mw_frame_format(&f, buf, sizeof(buf)), "app.py:88 load_user");
	CHECK_STR(mw_frame_format(&f, small, sizeof(small)), "app.py:88 ...");
	f = python_frame("<string>", 1, "<module>");
	CHECK_STR(mw_frame_format(&f, buf, sizeof(buf)), "<string>:1 <module>");
	f = python_frame("/srv/app.py", 0, "f");
	CHECK_STR(mw_frame_format(&f, buf, sizeof(buf)), "app.py f");
	f = native_frame("libfoo.so", "parse", 0x1c);
	CHECK_STR(mw_frame_format(&f, buf, sizeof(buf)), "libfoo.so parse+0x1c");
	f.line = 7;
	CHECK_STR(mw_frame_format(&f, buf, sizeof(buf)), "libfoo.so parse:7");
	f = native_frame("libfoo.so", "", 0x1234);
	CHECK_STR(mw_frame_format(&f, buf, sizeof(buf)), "libfoo.so+0x1234");
	f = (struct mw_frame){MW_FRAME_NOTE, 0, "no unwind rule", "", 0};
	CHECK_STR(mw_frame_format(&f, buf, sizeof(buf)), "[no unwind rule]");
	/* A character of two bytes is never cut in half. */
	f = python_frame("\303\244\303\244\303\244\303\244\303\244\303\244", 1, "f");
	CHECK_STR(mw_frame_format(&f, small, 10), "\303\244\303\244\303\244...");
}

TEST(types_of_what_is_kept_are_added_up_by_name)
{
	struct mw_type_names *names = mw_type_names__new();
	const struct mw_type_name *tuple = mw_type_names__intern(names, "tuple", "builtins");
	const struct mw_type_name *user = mw_type_names__intern(names, "User", "app");
	struct mw_type_counts a = {0}, sum = {0};
	char name[] = "tuple", text[64], small[12];

	CHECK(mw_type_names__intern(names, name, "builtins") == tuple);
	CHECK(mw_type_names__intern(names, "tuple", "app") != tuple);
	mw_type_counts__add(&a, tuple, 101, 5656, 1);
	mw_type_counts__add(&a, user, 1201, 67256, 1);
	mw_type_counts__add(&a, tuple, 2, 112, 1);
	mw_type_counts__add_all(&sum, &a);
	mw_type_counts__add_all(&sum, &a);
	mw_type_counts__sort(&sum);
	CHECK_INT(sum.count, 2);
	CHECK(sum.list[0].type == user);
	CHECK_INT(sum.list[1].count, 206);
	CHECK_INT(sum.list[1].bytes, 11536);
	CHECK_INT(sum.list[1].samples, 4);
	CHECK_STR(mw_type_counts__format(&sum, 3, text, sizeof(text)), "app.User 2402, tuple 206");
	CHECK_STR(mw_type_counts__format(&sum, 1, text, sizeof(text)), "app.User 2402");
	/* What does not fit is left out whole. */
	CHECK_STR(mw_type_counts__format(&sum, 3, small, sizeof(small)), "");
	/* Further types than there is room for are not listed. */
	for (int i = 0; i < 2 * MW_TYPE_COUNTS; i++) {
		snprintf(text, sizeof(text), "T%d", i);
		mw_type_counts__add(&sum, mw_type_names__intern(names, text, ""), 1, 1, 1);
	}
	CHECK_INT(sum.count, MW_TYPE_COUNTS);
	mw_type_names__free(names);
}
