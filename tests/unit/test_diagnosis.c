// SPDX-License-Identifier: GPL-2.0-or-later
/* From facts to causes, without a process. */
#include <stdio.h>
#include <string.h>

#include "diagnosis/diagnosis.h"
#include "tests/unit/test.h"

#define MIB (1ULL << 20)

/* A Python server of 200 MiB that has been watched for 30 s and doesn't grow. */
static struct mw_facts server(void)
{
	struct mw_facts f = {.target = "PID 7", .live = true, .seconds = 30, .watched = true};

	f.now.shares[MW_SHARE_OBJECTS] = 90 * MIB;
	f.now.shares[MW_SHARE_PYTHON_FREE] = 6 * MIB;
	f.now.shares[MW_SHARE_HEAP_FREE] = 8 * MIB;
	f.now.shares[MW_SHARE_NATIVE] = 60 * MIB;
	f.now.shares[MW_SHARE_FILES] = 36 * MIB;
	f.now.resident = 200 * MIB;
	f.before = f.now;
	strcpy(f.heap.allocator, "glibc");
	strcpy(f.python.version, "3.11.2");
	f.heap.arenas = 1;
	f.heap.free = 8 * MIB;
	f.heap.threshold_known = f.heap.dynamic = true;
	f.heap.threshold = 128 << 10;
	f.python.free_blocks = 6 * MIB;
	return f;
}

static void grow(struct mw_facts *f, enum mw_share share, uint64_t bytes)
{
	f->now.shares[share] += bytes;
	f->now.resident += bytes;
}

static bool has(const struct mw_diagnosis *d, enum mw_cause_id id)
{
	for (size_t i = 0; i < d->count; i++) {
		if (d->causes[i].id == id)
			return true;
	}
	return false;
}

static enum mw_cause_id first_of(const struct mw_facts *f)
{
	static struct mw_diagnosis d;

	mw_diagnose(f, &d);
	return d.count ? d.causes[0].id : MW_CAUSES;
}

TEST(a_healthy_server_is_steady_and_nothing_else)
{
	struct mw_facts f = server();
	struct mw_diagnosis d;

	mw_diagnose(&f, &d);
	CHECK_INT(d.causes[0].id, MW_CAUSE_STEADY);
	CHECK(!d.grows);
	for (size_t i = 1; i < d.count; i++)
		CHECK(d.causes[i].id == MW_CAUSE_PYTHON_OBJECTS ||
		      d.causes[i].id == MW_CAUSE_NATIVE_LIVE);
	CHECK(!strncmp(d.verdict, "Nothing grows", 13));
	/* In eight seconds a leak of 3 MiB a minute is no more than what moves by itself. */
	f.seconds = 8;
	mw_diagnose(&f, &d);
	CHECK(!has(&d, MW_CAUSE_STEADY));
	CHECK(d.count || strstr(d.verdict, "too short"));
}

/* One share at a time grows by 5 MiB. */
TEST(what_grows_is_the_cause)
{
	static const struct {
		enum mw_share share;
		enum mw_cause_id cause;
	} cases[] = {
		{MW_SHARE_OBJECTS, MW_CAUSE_PYTHON_OBJECTS},
		{MW_SHARE_NATIVE, MW_CAUSE_NATIVE_LIVE},
		{MW_SHARE_MAPPINGS, MW_CAUSE_MAPPINGS},
		{MW_SHARE_FILES, MW_CAUSE_FILES},
		{MW_SHARE_SHARED, MW_CAUSE_SHARED},
		{MW_SHARE_STACKS, MW_CAUSE_STACKS},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct mw_facts f = server();
		struct mw_diagnosis d;

		grow(&f, cases[i].share, 5 * MIB);
		mw_diagnose(&f, &d);
		CHECK_INT(d.causes[0].id, cases[i].cause);
		CHECK(d.grows && d.causes[0].bytes_per_second > 170000 &&
		      d.causes[0].bytes_per_second < 175000);
		CHECK(!has(&d, MW_CAUSE_STEADY));
	}
}

/* The kernel had taken pages of files from a process at rest, and they come back when it runs. */
TEST(pages_of_files_that_come_back_are_no_cause)
{
	struct mw_facts f = server();
	struct mw_diagnosis d;

	grow(&f, MW_SHARE_FILES, 12 * MIB);
	f.now.code = 12 * MIB;
	mw_diagnose(&f, &d);
	CHECK(!d.grows && !has(&d, MW_CAUSE_FILES));
	CHECK_INT(d.causes[0].id, MW_CAUSE_STEADY);
	CHECK(strstr(d.causes[0].evidence[1], "12.0 MiB of it is pages of the program"));
	/* Those of its data, too, as long as they are few. */
	f = server();
	grow(&f, MW_SHARE_FILES, 3 * MIB);
	CHECK(first_of(&f) != MW_CAUSE_FILES);
	grow(&f, MW_SHARE_FILES, 60 * MIB);
	CHECK_INT(first_of(&f), MW_CAUSE_FILES);
	/* And what grows beside them, or while the kernel takes them, is seen. */
	f = server();
	grow(&f, MW_SHARE_FILES, 12 * MIB);
	f.now.code = 12 * MIB;
	grow(&f, MW_SHARE_NATIVE, 4 * MIB);
	CHECK_INT(first_of(&f), MW_CAUSE_NATIVE_LIVE);
	f.now.code = 0;
	f.before.code = 12 * MIB;
	f.now.resident -= 24 * MIB;
	f.now.shares[MW_SHARE_FILES] -= 24 * MIB;
	CHECK_INT(first_of(&f), MW_CAUSE_NATIVE_LIVE);
}

TEST(what_grew_and_stopped_does_not_grow)
{
	struct mw_facts f = server();
	struct mw_diagnosis d;

	grow(&f, MW_SHARE_OBJECTS, 20 * MIB);
	f.has_later = true;
	f.later_growth = 700000;
	CHECK_INT(first_of(&f), MW_CAUSE_PYTHON_OBJECTS);
	f.later_growth = 1000;
	CHECK_INT(first_of(&f), MW_CAUSE_STEADY);
	mw_diagnose(&f, &d);
	CHECK(!strncmp(d.verdict, "It has stopped growing: +20.0 MiB", 33));
}

/* Resident bytes at 15 moments, a second apart. */
static struct mw_series rss_of(double (*at)(int))
{
	struct mw_series rss = {0};

	for (int i = 0; i < 15; i++)
		mw_series__add(&rss, 15 + i, at(i));
	return rss;
}

static double start_up(int i)
{
	return i < 2 ? 90e6 : 100e6 + i % 3 * 4096;
}

/* One more in the last moments. */
static double steps(int i)
{
	return 100e6 + (i > 12 ? 5e6 : 0);
}

/* A buffer grows, and when it moves it is there twice for a while. */
static double beside_a_peak(int i)
{
	return 100e6 + i * 600e3 + (i < 5 ? 12e6 : 0);
}

TEST(what_came_later_goes_on_or_does_not)
{
	struct mw_facts f = server();
	struct mw_series rss = rss_of(start_up);

	grow(&f, MW_SHARE_NATIVE, 20 * MIB);
	rss = mw_series__since(&rss, 17);
	mw_facts__set_later(&f, &rss);
	CHECK_INT(first_of(&f), MW_CAUSE_STEADY);
	rss = rss_of(steps);
	mw_facts__set_later(&f, &rss);
	CHECK_INT(first_of(&f), MW_CAUSE_NATIVE_LIVE);
	rss = rss_of(beside_a_peak);
	mw_facts__set_later(&f, &rss);
	CHECK_INT(first_of(&f), MW_CAUSE_NATIVE_LIVE);
}

static void add_live_look(struct mw_live_bytes *live, double time, uint64_t size, uint64_t bytes)
{
	struct mw_live_look *look = mw_live_bytes__begin_look(live, time);

	look->bytes[mw_live_class(40, MW_LIVE_MALLOC)] = 9 * MIB;
	look->bytes[mw_live_class(size, MW_LIVE_MALLOC)] = bytes;
}

TEST(the_sizes_that_come_are_told)
{
	struct mw_facts f = server();
	struct mw_live_bytes live = {0};
	struct mw_diagnosis d;

	f.python.version[0] = '\0';
	grow(&f, MW_SHARE_NATIVE, 20 * MIB);
	mw_site_facts__add_sizes(&f.sites, &live);
	CHECK(!f.sites.sizes.to);
	add_live_look(&live, 100, 1000, MIB);
	add_live_look(&live, 120, 1000, 15 * MIB);
	mw_site_facts__add_sizes(&f.sites, &live);
	CHECK(f.sites.sizes.from <= 1000 && f.sites.sizes.to >= 1000);
	CHECK(f.sites.sizes.to - f.sites.sizes.from < 16);
	mw_diagnose(&f, &d);
	CHECK(strstr(d.causes[0].evidence[1], "in blocks of 992 to 1007 bytes"));
	/* Fewer than what comes: it is something else. */
	f.sites.sizes.bytes_per_second /= 3;
	mw_diagnose(&f, &d);
	CHECK_INT(d.causes[0].evidence_count, 1);
}

/* Less than what a busy process moves by itself; and a process that shrinks. */
TEST(noise_is_no_growth)
{
	struct mw_facts f = server();

	grow(&f, MW_SHARE_OBJECTS, 400 << 10);
	CHECK_INT(first_of(&f), MW_CAUSE_STEADY);
	f.now.resident -= 50 * MIB;
	f.now.shares[MW_SHARE_OBJECTS] -= 50 * MIB;
	CHECK_INT(first_of(&f), MW_CAUSE_STEADY);
}

TEST(two_causes_in_the_order_of_their_pace)
{
	struct mw_facts f = server();
	struct mw_diagnosis d;

	grow(&f, MW_SHARE_OBJECTS, 10 * MIB);
	grow(&f, MW_SHARE_NATIVE, 30 * MIB);
	mw_diagnose(&f, &d);
	CHECK_INT(d.causes[0].id, MW_CAUSE_NATIVE_LIVE);
	CHECK_INT(d.causes[1].id, MW_CAUSE_PYTHON_OBJECTS);
}

TEST(lines_belong_to_what_grows)
{
	struct mw_facts f = server();
	struct mw_diagnosis d;

	grow(&f, MW_SHARE_NATIVE, 30 * MIB);
	f.sites.count = 2;
	strcpy(f.sites.list[0].label, "app.py:3 f");
	f.sites.list[0].python = true;
	f.sites.list[0].bytes_per_second = 9e6;
	strcpy(f.sites.list[1].label, "libimage.so decode");
	f.sites.list[1].bytes_per_second = 1e6;
	mw_diagnose(&f, &d);
	CHECK(d.causes[0].site == &f.sites.list[1]);
	CHECK(strstr(d.causes[0].text, "libimage.so decode"));
}

/* Free memory of glibc: crept threshold, threads' arenas, or neither; never two of them. */
TEST(free_memory_of_glibc_has_one_cause)
{
	struct mw_facts f = server();
	struct mw_diagnosis d;

	f.heap.free = f.now.shares[MW_SHARE_HEAP_FREE] = 80 * MIB;
	f.heap.trim = 70 * MIB;
	CHECK_INT(first_of(&f), MW_CAUSE_GLIBC_FREE);
	f.heap.large_free = 60 * MIB;
	CHECK_INT(first_of(&f), MW_CAUSE_GLIBC_FREE);
	f.heap.threshold = 30 * MIB;
	mw_diagnose(&f, &d);
	CHECK_INT(d.causes[0].id, MW_CAUSE_GLIBC_THRESHOLD);
	CHECK(!has(&d, MW_CAUSE_GLIBC_FREE));
	CHECK(d.causes[0].remedy_known && d.causes[0].remedy_bytes == 70 * MIB);
	/* Somebody has fixed it: it can't have crept. */
	f.heap.dynamic = false;
	CHECK_INT(first_of(&f), MW_CAUSE_GLIBC_FREE);
	f.heap.arenas = 65;
	f.heap.thread_free = 75 * MIB;
	f.heap.large_free = 0;
	mw_diagnose(&f, &d);
	CHECK_INT(d.causes[0].id, MW_CAUSE_GLIBC_ARENAS);
	CHECK(!has(&d, MW_CAUSE_GLIBC_FREE));
}

TEST(free_blocks_of_python_and_caches_of_others)
{
	struct mw_facts f = server();

	f.python.free_blocks = 50 * MIB;
	f.python.free_pools = 3 * MIB;
	CHECK_INT(first_of(&f), MW_CAUSE_PYTHON_FREE_BLOCKS);
	f = server();
	f.python.parked = 60 * MIB;
	CHECK_INT(first_of(&f), MW_CAUSE_PYTHON_PARKED);
	f = server();
	f.python.cycle_bytes = 70 * MIB;
	CHECK_INT(first_of(&f), MW_CAUSE_PYTHON_CYCLES);
	f = server();
	f.heap.leaked = 50 * MIB;
	CHECK_INT(first_of(&f), MW_CAUSE_NATIVE_LEAK);
	f = server();
	strcpy(f.heap.allocator, "jemalloc");
	f.heap.cached = 90 * MIB;
	strcpy(f.heap.keeper, "jemalloc");
	CHECK_INT(first_of(&f), MW_CAUSE_ALLOCATOR_CACHE);
}

/* A core is one moment: nothing is said of growth, and what it is used for is the answer. */
TEST(a_core_says_what_the_memory_is)
{
	struct mw_facts f = server();
	struct mw_diagnosis d;

	f.live = f.watched = false;
	f.seconds = 0;
	memset(&f.before, 0, sizeof(f.before));
	mw_diagnose(&f, &d);
	CHECK_INT(d.causes[0].id, MW_CAUSE_PYTHON_OBJECTS);
	CHECK(d.causes[0].bytes_per_second == 0 && !has(&d, MW_CAUSE_STEADY));
}

TEST(nothing_is_known_of_nothing)
{
	struct mw_facts f = {0};
	struct mw_diagnosis d;

	mw_diagnose(&f, &d);
	CHECK_INT(d.count, 0);
	CHECK(d.verdict[0]);
}

TEST(every_owner_has_a_share)
{
	CHECK_INT(mw_share_of("python/live/dict"), MW_SHARE_OBJECTS);
	CHECK_INT(mw_share_of("python/free-pool"), MW_SHARE_PYTHON_FREE);
	CHECK_INT(mw_share_of("python/parked/tuple"), MW_SHARE_PYTHON_FREE);
	CHECK_INT(mw_share_of("python/interpreter"), MW_SHARE_OVERHEAD);
	CHECK_INT(mw_share_of("glibc/free/bin"), MW_SHARE_HEAP_FREE);
	CHECK_INT(mw_share_of("glibc/top"), MW_SHARE_HEAP_FREE);
	CHECK_INT(mw_share_of("glibc/live"), MW_SHARE_NATIVE);
	CHECK_INT(mw_share_of("glibc/mmapped"), MW_SHARE_NATIVE);
	CHECK_INT(mw_share_of("jemalloc/free/dirty"), MW_SHARE_HEAP_FREE);
	CHECK_INT(mw_share_of("file/libc.so.6"), MW_SHARE_FILES);
	CHECK_INT(mw_share_of("shared/dev/zero"), MW_SHARE_SHARED);
	CHECK_INT(mw_share_of("stack"), MW_SHARE_STACKS);
	CHECK_INT(mw_share_of("stacks-of-something"), MW_SHARE_MAPPINGS);
	CHECK_INT(mw_share_of("anon/unknown"), MW_SHARE_MAPPINGS);
}

/* A worker of 200 MiB that was forked from PID 5: of what it copied so much is in each kind of
 * page. */
static void check_copies(const struct mw_unshared_pages *plain,
			 const struct mw_unshared_pages *tracked, const char *reason,
			 uint64_t gives)
{
	struct mw_facts f = server();
	struct mw_diagnosis d;

	f.seconds = 0;
	f.family = (struct mw_family_facts){
		.members = 4, .origin = 5, .python = true, .unshared = {*plain, *tracked}};
	mw_diagnose(&f, &d);
	if (!reason) {
		CHECK(!has(&d, MW_CAUSE_COPY_ON_WRITE));
		return;
	}
	CHECK_INT(d.causes[0].id, MW_CAUSE_COPY_ON_WRITE);
	CHECK(strstr(d.causes[0].text, reason));
	CHECK_INT(d.causes[0].remedy_known, gives > 0);
	CHECK_INT(d.causes[0].remedy_known ? d.causes[0].remedy_bytes : 0, gives);
}

TEST(who_unshared_the_pages_of_a_worker)
{
	/* shared, counted, changed */
	check_copies(&(struct mw_unshared_pages){30 * MIB, 0, 1 * MIB},
		     &(struct mw_unshared_pages){1 * MIB, 40 * MIB, 1 * MIB}, "collector",
		     40 * MIB);
	check_copies(&(struct mw_unshared_pages){20 * MIB, 10 * MIB, 0},
		     &(struct mw_unshared_pages){10 * MIB, 30 * MIB, 0}, "reference counts",
		     40 * MIB);
	check_copies(&(struct mw_unshared_pages){10 * MIB, 0, 20 * MIB},
		     &(struct mw_unshared_pages){10 * MIB, 1 * MIB, 30 * MIB}, "it wrote", 0);
	check_copies(&(struct mw_unshared_pages){30 * MIB, 1 * MIB, 0},
		     &(struct mw_unshared_pages){50 * MIB, 1 * MIB, 0}, NULL, 0);
}

TEST(a_holder_has_the_line_that_adds_to_it)
{
	struct mw_facts f = {0};
	struct mw_look_growth growth = {.holder_count = 2};
	struct mw_grown_holder *seen = &growth.holders[0], *unseen = &growth.holders[1];

	*seen = (struct mw_grown_holder){.addr = 0x1230, .type = "list", .changer_count = 2};
	strcpy(seen->changers[0].label, "app.py:5 remember");
	seen->changers[0].added = 30;
	strcpy(seen->changers[1].label, "app.py:9 take");
	seen->changers[1].removed = 10;
	*unseen = (struct mw_grown_holder){.addr = 0x4560, .type = "dict"};
	mw_facts__add_looks(&f, &growth);
	/* Where neither a way to it nor a line is known there is nothing to say. */
	CHECK_INT(f.python.holder_count, 1);
	CHECK_STR(f.python.holders[0].line, "app.py:5 remember");
	CHECK_INT(f.python.holders[0].added, 30);
	CHECK_INT(f.python.holders[0].of_added, 30);
	CHECK_STR(f.python.holders[0].path, "what lies at 0x1230");
}

static struct mw_fact_holder holder_at(uint64_t addr, uint64_t length, int64_t retained)
{
	struct mw_fact_holder holder = {.path = "app.seen",
					.type = "list",
					.addr = addr,
					.length = length,
					.retained = retained};

	snprintf(holder.path, sizeof(holder.path), "app.list%d", (int)addr);
	return holder;
}

/* Tasks are held by a set of a coroutine's and by what they wait for: by references, by the
 * coroutine. */
TEST(the_container_within_a_holder_says_more)
{
	struct mw_facts f = server();
	struct mw_look_growth growth = {.holder_count = 2};

	grow(&f, MW_SHARE_OBJECTS, 20 * MIB);
	f.python.holder_count = 1;
	f.python.holders[0] = (struct mw_fact_holder){.path = "Runner.run() local coro",
						      .type = "coroutine",
						      .addr = 0x10,
						      .retained = 18 * MIB,
						      .grown = 18 * MIB};
	growth.holders[0] = (struct mw_grown_holder){
		.addr = 0x20, .type = "list", .length = 900, .path = "Runner.run() local corolla"};
	growth.holders[1] =
		(struct mw_grown_holder){.addr = 0x30,
					 .type = "set",
					 .length = 900,
					 .length_per_second = 30,
					 .path = "Runner.run() local coro main() local tasks",
					 .retained_bytes = -1,
					 .changer_count = 1};
	strcpy(growth.holders[1].changers[0].label, "app.py:8 main");
	growth.holders[1].changers[0].added = 30;
	mw_facts__add_looks(&f, &growth);
	CHECK_INT(f.python.holder_count, 1);
	CHECK_STR(f.python.holders[0].path, "Runner.run() local coro main() local tasks");
	CHECK_STR(f.python.holders[0].line, "app.py:8 main");
	CHECK(mw_facts__knows_holder(&f));
	/* One that is a container itself, and grew, stays. */
	f.python.holders[0] = holder_at(1, 3000, 15 * MIB);
	f.python.holders[0].per_second = 30;
	f.python.holders[0].grown = 15 * MIB;
	strcpy(growth.holders[0].path, "app.list1[5]");
	mw_facts__add_looks(&f, &growth);
	CHECK_STR(f.python.holders[0].path, "app.list1");
}

/* By references of both looks: the list that took in what came, however large another is. */
TEST(the_holder_of_what_came_is_the_one_that_grew)
{
	struct mw_facts before = server(), f = server();
	struct mw_look_growth growth = {.holder_count = 1};
	struct mw_diagnosis d;

	grow(&f, MW_SHARE_OBJECTS, 20 * MIB);
	before.python.holder_count = 1;
	before.python.holders_above = MIB;
	before.python.holders[0] = holder_at(1, 100, 60 * MIB);
	f.python.holder_count = 2;
	f.python.holders[0] = holder_at(1, 100, 60 * MIB);
	f.python.holders[1] = holder_at(2, 3000, 15 * MIB);
	mw_facts__since(&f, &before, 30);
	CHECK(mw_facts__knows_holder(&f));
	CHECK_INT(f.python.holders[0].addr, 2);
	CHECK_INT(f.python.holders[0].grown, 14 * MIB);
	/* Looks know the line that adds to it. */
	growth.holders[0] = (struct mw_grown_holder){.addr = 2, .type = "list", .changer_count = 1};
	strcpy(growth.holders[0].changers[0].label, "app.py:5 remember");
	growth.holders[0].changers[0].added = 30;
	mw_facts__add_looks(&f, &growth);
	CHECK_INT(f.python.holder_count, 1);
	mw_diagnose(&f, &d);
	CHECK(strstr(d.causes[0].text, "added at app.py:5 remember"));
	CHECK_INT(d.causes[0].id, MW_CAUSE_PYTHON_OBJECTS);
	CHECK(d.causes[0].holder && strstr(d.causes[0].text, "app.list2"));
	/* Nothing is known of who held what before: nobody is accused. */
	f.python.holders[0].grown = 0;
	before.python.holders_above = 0;
	mw_facts__since(&f, &before, 30);
	CHECK(!mw_facts__knows_holder(&f));
}

/* Cycles that were there before are no cause of what grows now. */
TEST(old_cycles_do_not_grow)
{
	struct mw_facts f = server(), before;
	struct mw_diagnosis d;

	f.python.young = 100000;
	f.python.cycle_objects = 80000;
	f.python.cycle_bytes = 20 * MIB;
	before = f;
	f.now.shares[MW_SHARE_OBJECTS] += 30 * MIB;
	f.now.resident += 30 * MIB;
	mw_facts__since(&f, &before, 30);
	mw_diagnose(&f, &d);
	CHECK_INT(d.causes[0].id, MW_CAUSE_PYTHON_OBJECTS);
	CHECK_INT(d.causes[1].id, MW_CAUSE_PYTHON_CYCLES);
	CHECK(d.causes[0].bytes_per_second > 0 && !(d.causes[1].bytes_per_second > 0));
	before.python.cycle_bytes = 0;
	mw_facts__since(&f, &before, 30);
	mw_diagnose(&f, &d);
	CHECK_INT(d.causes[0].id, MW_CAUSE_PYTHON_CYCLES);
}

/* A stack of three C functions, innermost first. */
static struct mw_site_stats *native_site(struct mw_sites *sites, const char *first,
					 const char *second, const char *third)
{
	const char *const names[] = {first, second, third};
	struct mw_frame frames[3];

	for (int i = 0; i < 3; i++)
		frames[i] = (struct mw_frame){
			.kind = MW_FRAME_NATIVE, .function = names[i], .file = "server"};
	return mw_sites__intern(sites, 0, frames, 3, MW_SITE_WINDOWS | MW_SITE_LIVE_KNOWN);
}

/* A C++ server of which 20 MiB more are in use: one line keeps, the other one churns. */
struct native_watch {
	struct mw_sample now;
	struct mw_sites *sites;
	struct mw_label_groups *groups;
	struct mw_site_stats *keeps, *churns;
	struct mw_facts facts;
	struct mw_diagnosis found;
};

static void begin_native(struct native_watch *w, bool enough)
{
	*w = (struct native_watch){.now = {.governed = true, .elapsed = 30, .enough = enough},
				   .sites = mw_sites__new(),
				   .groups = mw_label_groups__new(0),
				   .facts = server()};
	w->keeps = native_site(w->sites, "login", "handle", "serve");
	w->churns = native_site(w->sites, "render", "handle", "serve");
	w->churns->totals.alloc_bytes = 900 * MIB;
	grow(&w->facts, MW_SHARE_NATIVE, 20 * MIB);
}

/* The label of the line that is named; "": none. */
static const char *named(struct native_watch *w)
{
	CHECK(!mw_label_groups__update(w->groups, w->sites, NULL));
	mw_site_facts__of(&w->facts.sites, NULL, 0, NULL, 0, w->groups, &w->now);
	mw_diagnose(&w->facts, &w->found);
	return w->found.causes[0].site ? w->found.causes[0].site->label : "";
}

static void end_native(struct native_watch *w)
{
	mw_label_groups__free(w->groups);
	mw_sites__free(w->sites);
}

/* Windows stand for nobody knows how much, but looks found blocks of one line. */
TEST(looks_name_a_line_where_windows_have_seen_too_little)
{
	struct native_watch w;

	begin_native(&w, false);
	w.keeps->totals.alloc_bytes = 30 * MIB;
	w.keeps->totals.kept_bytes = 18 * MIB;
	w.keeps->totals.live_variance = (double)MIB * MIB;
	CHECK_STR(named(&w), "server login <- handle");
	CHECK_STR(w.facts.sites.keeper.callers, "serve");
	/* Not where it is uncertain whether they are most of it. */
	w.keeps->totals.live_variance *= 100;
	CHECK_STR(named(&w), "");
	end_native(&w);
}

/* A line that asks all the time has most that is unknown; nothing of it is known to be there. */
TEST(what_is_unknown_of_churn_is_not_what_is_left)
{
	struct native_watch w;

	begin_native(&w, true);
	w.churns->flags &= ~(uint32_t)MW_SITE_LIVE_KNOWN;
	w.churns->totals.freed_bytes = 850 * MIB;
	w.churns->totals.unknown_bytes = 50 * MIB;
	/* Ten bytes each, which take 32 of the heap. */
	w.keeps->totals.alloc_bytes = w.keeps->totals.kept_bytes = 6 * MIB;
	w.keeps->totals.kept = 6 * MIB / 10.0;
	w.keeps->totals.fault_bytes = 2 * MIB;
	w.churns->totals.fault_bytes = 18 * MIB;
	CHECK_STR(named(&w), "server login <- handle");
	/* Nor does it count that it touched most of the new pages first. */
	CHECK(!w.facts.sites.toucher.label[0]);
	end_native(&w);
}

/* Memory of a mapping, whose object a list keeps. */
TEST(a_container_that_grows_meanwhile)
{
	struct mw_facts f = server();
	struct mw_diagnosis d;

	grow(&f, MW_SHARE_SHARED, 30 * MIB);
	strcpy(f.shared[0].name, "zero");
	f.shared[0].bytes = 30 * MIB;
	f.python.holder_count = 1;
	f.python.holders[0] = holder_at(1, 300, -1);
	f.python.holders[0].per_second = 10;
	strcpy(f.python.holders[0].line, "app.py:4 take");
	mw_diagnose(&f, &d);
	CHECK_INT(d.causes[0].id, MW_CAUSE_SHARED);
	CHECK(strstr(d.causes[0].evidence[0], "mappings without a file"));
	CHECK_STR(d.causes[0].evidence[1],
		  "meanwhile app.list1 (list of 300, +10 a second) gets longer, "
		  "added at app.py:4 take (looks)");
	/* Objects grow, too, by themselves: that is another cause. */
	grow(&f, MW_SHARE_OBJECTS, 20 * MIB);
	mw_diagnose(&f, &d);
	CHECK_INT(d.causes[0].id, MW_CAUSE_SHARED);
	CHECK_INT(d.causes[0].evidence_count, 1);
}

/* All lines together left little of what came: they are not the reason. */
TEST(a_hint_explains_what_grows)
{
	struct mw_facts f = server();
	struct mw_diagnosis d;

	grow(&f, MW_SHARE_NATIVE, 30 * MIB);
	strcpy(f.sites.keeper.label, "parse <- main");
	strcpy(f.sites.keeper.text, "parse <- main: 8.0 MiB asked for");
	f.sites.keeper.bytes_per_second = 0.2 * MIB;
	f.sites.left = 0.3 * MIB;
	strcpy(f.sites.mapper.label, "extend <- main");
	strcpy(f.sites.mapper.text, "extend <- main: 31 MiB from the kernel");
	strcpy(f.sites.mapper.callers, "append <- command");
	f.sites.mapper.bytes_per_second = MIB;
	mw_diagnose(&f, &d);
	CHECK(strstr(d.causes[0].evidence[1], "not certain yet: extend <- main"));
	CHECK_STR(d.causes[0].evidence[2], "called by append <- command");
	f.sites.left = 0.9 * MIB;
	f.sites.keeper.bytes_per_second = 0.5 * MIB;
	mw_diagnose(&f, &d);
	CHECK(strstr(d.causes[0].evidence[1], "not certain yet: parse <- main"));
}

/* A line that keeps what it asks for is named if that explains the growth, and no surer than that.
 */
TEST(a_line_whose_blocks_were_not_seen_freed)
{
	struct mw_facts f = server();
	struct mw_diagnosis d;

	grow(&f, MW_SHARE_NATIVE, 30 * MIB);
	strcpy(f.sites.keeper.label, "t_string.c:40 newString");
	f.sites.keeper.bytes_per_second = f.sites.left = MIB;
	mw_diagnose(&f, &d);
	CHECK_INT(d.causes[0].id, MW_CAUSE_NATIVE_LIVE);
	CHECK(d.causes[0].site == &f.sites.keeper && d.causes[0].confidence < 0.9);
	/* Others left something, too, and what was freed unseen can't be all of this line's. */
	f.sites.left = 1.4 * MIB;
	mw_diagnose(&f, &d);
	CHECK(d.causes[0].site == &f.sites.keeper);
	/* A cache whose entries come and go between windows leaves ten times what memory grows by:
	 */
	f.sites.keeper.bytes_per_second = 9 * MIB;
	f.sites.left = 10 * MIB;
	strcpy(f.sites.keeper.text, "newString: 9 MiB asked for");
	mw_diagnose(&f, &d);
	CHECK(!d.causes[0].site && !strstr(d.causes[0].text, "newString"));
	CHECK_STR(d.causes[0].evidence[1], "not certain yet: newString: 9 MiB asked for");
	f.sites.keeper.bytes_per_second = f.sites.left = MIB / 4;
	mw_diagnose(&f, &d);
	CHECK(!d.causes[0].site);
	/* Where allocations were hardly seen, page faults hint at a line; at one of Python's not.
	 */
	memset(&f.sites.keeper, 0, sizeof(f.sites.keeper));
	f.sites.left = 0;
	f.sites.toucher.bytes_per_second = 0.9 * MIB;
	strcpy(f.sites.toucher.text, "26 MiB of new pages were first touched at newString");
	mw_diagnose(&f, &d);
	CHECK(!d.causes[0].site);
	CHECK_STR(d.causes[0].evidence[1],
		  "not certain yet: 26 MiB of new pages were first touched at newString");
	f.sites.toucher.python = true;
	mw_diagnose(&f, &d);
	CHECK_INT(d.causes[0].evidence_count, 1);
	/* Nor at one of a third of the growth. */
	f.sites.toucher.python = false;
	f.sites.toucher.bytes_per_second = MIB / 3.0;
	mw_diagnose(&f, &d);
	CHECK_INT(d.causes[0].evidence_count, 1);
	/* A suspect of a hundredth of the growth is not the reason of it. */
	f.sites.count = 1;
	strcpy(f.sites.list[0].label, "libimage.so decode");
	f.sites.list[0].bytes_per_second = MIB / 100;
	mw_diagnose(&f, &d);
	CHECK(!d.causes[0].site);
}
