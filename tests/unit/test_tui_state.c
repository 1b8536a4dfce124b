// SPDX-License-Identifier: GPL-2.0-or-later
#include <math.h>

#include "model/words.h"
#include "tests/unit/all_seen.h"
#include "tests/unit/test.h"
#include "tui/state.h"

TEST(histories_keep_the_newest_in_order)
{
	struct mw_tui_target *t = calloc(1, sizeof(*t));
	const int n = 3 * MW_TUI_POINTS + 7;

	CHECK(t);
	for (int i = 0; i < n; i++) {
		t->last = t->now;
		t->now.elapsed = i;
		t->now.rss = (uint64_t)i * 4096;
		mw_tui_target__add_point(t);
	}
	CHECK(t->point_count <= MW_TUI_POINTS && t->point_count >= MW_TUI_POINTS * 3 / 4);
	for (size_t i = 0; i < t->point_count; i++) {
		int want = n - (int)t->point_count + (int)i;

		CHECK(t->points[i].elapsed == want);
		CHECK(t->points[i].rss == want * 4096.0);
	}
	free(t);
}

TEST(points_are_rates_and_net_bytes)
{
	struct mw_tui_target *t = calloc(1, sizeof(*t));
	const struct mw_tui_point *p;

	CHECK(t);
	t->last.elapsed = 10;
	t->last.min_flt = 100;
	t->now.elapsed = 14;
	t->now.min_flt = 152;
	t->now.maj_flt = 8;
	t->now.counts.alloc[MW_PLACE_BRK][5] = (struct mw_cell){404, 40400};
	t->now.counts.vm.brk_grown = 5000;
	t->now.counts.vm.brk_shrunk = 7000;
	t->now.counts.vm.mmap.bytes = 90;
	t->now.counts.vm.mremap_grown = 20;
	t->now.counts.vm.munmap.bytes = 30;
	mw_tui_target__add_point(t);
	p = &t->points[0];
	CHECK(p->minor == 13);
	CHECK(p->major == 2);
	CHECK(p->allocs == 101);
	CHECK(p->brk == -2000);
	CHECK(p->mmapped == 80);
	/* What a budget's windows saw too little of is not 0. */
	t->now.governed = true;
	mw_tui_target__add_point(t);
	CHECK(isnan(t->points[1].allocs) && t->points[1].minor == 13);
	free(t);
}

TEST(log_lines_are_clean_and_bounded)
{
	struct mw_tui_state *s = calloc(1, sizeof(*s));
	char line[1000];

	CHECK(s);
	memset(line, 'x', sizeof(line));
	line[0] = '\033';
	line[999] = '\0';
	for (int i = 0; i < MW_TUI_LOG_LINES + 5; i++)
		mw_tui_state__add_log(s, MW_LOG_WARN, line);
	CHECK(s->log_count <= MW_TUI_LOG_LINES);
	CHECK_INT(s->log_total, MW_TUI_LOG_LINES + 5);
	CHECK(s->log[0].text[0] == '?' && s->log[0].text[1] == 'x');
	CHECK_INT(strlen(s->log[0].text), sizeof(s->log[0].text) - 1);
	free(s);
}

/* The screen's copy of sites outlives what the tracer does to its own. */
TEST(sites_are_copied_for_one_target)
{
	static const struct mw_frame frame = {MW_FRAME_PYTHON, 12, "f", "/srv/a.py", 0};
	struct mw_sites *sites = mw_sites__new();
	struct mw_tui_sites out = {0};
	struct mw_label_groups *groups, *others;
	struct mw_site_stats *mine, *other;

	CHECK(sites);
	other = mw_sites__intern(sites, 0, &frame, 1, 0);
	mine = mw_sites__intern(sites, 1, &frame, 1, 0);
	CHECK(mine && other && mine != other);
	mine->totals.allocs = 10;
	mine->totals.alloc_bytes = 1000;
	mine->totals.freed_bytes = 400;
	all_seen(&mine->totals);
	mine->totals.live_variance = 81;
	mine->totals.grown_bytes = 70;
	mine->totals.fault_bytes = 50;
	mw_sites__tick(sites, 1);
	mine->totals.allocs = 31;
	mw_sites__tick(sites, 4);
	groups = mw_label_groups__new(1);
	others = mw_label_groups__new(0);
	CHECK(groups && !mw_label_groups__update(groups, sites, NULL));
	CHECK(others && !mw_label_groups__update(others, sites, NULL));
	CHECK_INT(mw_tui_sites__copy(&out, groups), 0);
	mine->totals.alloc_bytes = 9999;
	CHECK_INT(out.count, 1);
	CHECK_INT(out.list[0].id, mine->id);
	CHECK(out.list[0].amounts.kept == 600);
	CHECK(out.list[0].amounts.error == 9);
	CHECK(out.list[0].amounts.growth == 70);
	CHECK(out.list[0].amounts.bytes == 1000);
	CHECK(out.list[0].amounts.faults == 50);
	CHECK(out.list[0].amounts.rate == 7);
	CHECK_STR(out.list[0].label, "a.py:12 f");
	CHECK_INT(out.list[0].stack_count, 1);
	CHECK_INT(out.stacks[out.list[0].first].id, mine->id);
	CHECK_STR(out.stacks[out.list[0].first].frames[0].function, "f");
	/* Again into the same list. */
	CHECK_INT(mw_tui_sites__copy(&out, others), 0);
	CHECK_INT(out.count, 1);
	CHECK_INT(out.list[0].id, other->id);
	mw_tui_sites__clear(&out);
	mw_label_groups__free(groups);
	mw_label_groups__free(others);
	mw_sites__free(sites);
}

TEST(a_baseline_copies_the_ledger)
{
	struct mw_tui_state state = {.target_count = 1,
				     .targets = calloc(1, sizeof(*state.targets))};
	struct mw_tui_survey survey = {.elapsed = 1};
	struct mw_tui_target *t = state.targets;

	CHECK(t);
	for (int i = 1; i <= 3; i++) {
		survey.ledger.entries = calloc(1, sizeof(*survey.ledger.entries));
		CHECK(survey.ledger.entries);
		survey.ledger.count = survey.ledger.capacity = 1;
		survey.ledger.entries[0].resident = (uint64_t)i * 100;
		survey.ledger.unknowns = calloc(1, sizeof(*survey.ledger.unknowns));
		survey.ledger.unknown_count = survey.ledger.unknown_capacity = 1;
		survey.parts[MW_SPLIT_BRK] = (uint64_t)i * 100;
		mw_tui_target__add_survey(t, &survey);
		if (i == 2)
			mw_tui_target__set_baseline(t);
	}
	CHECK_INT(t->first_survey.ledger.entries[0].resident, 100);
	CHECK_INT(t->baseline_survey.ledger.entries[0].resident, 200);
	CHECK_INT(t->survey.ledger.entries[0].resident, 300);
	CHECK_INT(t->split_count, 3);
	CHECK_INT(t->splits[1].parts[MW_SPLIT_BRK], 200);
	mw_tui_state__clear(&state);
}

TEST(rows_of_sizes_double)
{
	char label[48];

	for (unsigned int class = 0; class < MW_CLASSES; class ++) {
		unsigned int row = mw_size_row(class);
		uint64_t low, high;

		mw_class_bounds(class, &low, &high);
		CHECK(high <= mw_size_row_end(row));
		CHECK(!row || low > mw_size_row_end(row - 1));
	}
	CHECK_STR(mw_size_row_label(label, sizeof(label), 0), "0 B");
	CHECK_STR(mw_size_row_label(label, sizeof(label), 1), "1 - 16 B");
	CHECK_STR(mw_size_row_label(label, sizeof(label), 14), "64 KiB - 128 KiB");
	CHECK_INT(mw_size_row_end(14), 128 << 10);
}
