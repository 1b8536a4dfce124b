// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/recorded_stacks.h"
#include "tests/unit/all_seen.h"
#include "tests/unit/test.h"
#include "model/code.h"
#include "model/label_groups.h"
#include "model/labels.h"
#include "model/sites.h"

enum { FRAMES_MAX = 100 };

/* A line of a recorded stack; the texts stay in LINE. */
static struct mw_frame read_frame(char *line)
{
	struct mw_frame f = {.kind = MW_FRAME_NATIVE, .function = "", .file = ""};
	unsigned long long number;
	char kind = line[0], *file, *function;
	int at = 0;

	if (kind == '-') {
		f.kind = MW_FRAME_NOTE;
		f.function = line + 2;
		return f;
	}
	if (sscanf(line + 1, " %llu %n", &number, &at) != 1)
		TEST_FAIL("no frame: %s", line);
	file = line + 1 + at;
	function = strchr(*file == '<' ? strchr(file, '>') : file, ' ');
	if (function) {
		*function = '\0';
		f.function = function + 1;
	}
	f.file = file;
	if (kind == 'p')
		f.kind = MW_FRAME_PYTHON;
	if (kind == 'n')
		f.offset = number;
	else
		f.line = (uint32_t)number;
	return f;
}

static struct mw_site_stats *add_stack(struct mw_sites *sites, double allocs, double bytes,
				       const char *text)
{
	struct mw_frame frames[FRAMES_MAX];
	char *copy = strdup(text), *rest = copy, *line;
	struct mw_site_stats *site;
	size_t n = 0;

	CHECK(copy);
	while ((line = strsep(&rest, "\n")) && *line) {
		CHECK(n < FRAMES_MAX);
		frames[n++] = read_frame(line);
	}
	site = mw_sites__intern(sites, 1, frames, n, 0);
	CHECK(site);
	site->totals.allocs += allocs;
	site->totals.alloc_bytes += bytes;
	free(copy);
	return site;
}

static void check_recorded(const struct recorded *stacks, size_t count)
{
	struct mw_sites *sites = mw_sites__new();
	struct mw_label_groups *groups = mw_label_groups__new(1);
	const struct mw_site_stats **site = calloc(count, sizeof(*site));

	CHECK(sites && groups && site);
	for (size_t i = 0; i < count; i++)
		site[i] = add_stack(sites, stacks[i].allocs, stacks[i].bytes, stacks[i].frames);
	CHECK_INT(mw_label_groups__update(groups, sites, NULL), 0);
	for (size_t i = 0; i < count; i++)
		CHECK_STR(mw_label_groups__of(groups, site[i])->label, stacks[i].label);
	free(site);
	mw_label_groups__free(groups);
	mw_sites__free(sites);
}

#define CHECK_RECORDED(stacks) check_recorded(stacks, sizeof(stacks) / sizeof((stacks)[0]))

TEST(recorded_python_servers)
{
	CHECK_RECORDED(recorded_gunicorn);
	CHECK_RECORDED(recorded_django);
	CHECK_RECORDED(recorded_fast);
	CHECK_RECORDED(recorded_celery);
}

TEST(recorded_redis)
{
	CHECK_RECORDED(recorded_redis);
}

TEST(recorded_nginx)
{
	CHECK_RECORDED(recorded_nginx);
}

TEST(recorded_node)
{
	CHECK_RECORDED(recorded_node);
}

/* The label of one stack by itself, until the next call. */
static const char *label_of(const char *text)
{
	static char label[MW_LABEL_SIZE];
	struct mw_sites *sites = mw_sites__new();

	mw_label_format(add_stack(sites, 1, 1, text), NULL, label, sizeof(label));
	mw_sites__free(sites);
	return label;
}

static const char *const library[] = {
	"/usr/lib/python3.11/json/decoder.py",
	"/usr/local/lib/python3.13t/threading.py",
	"/root/.pyenv/versions/3.12.1/lib/python3.12/json/decoder.py",
	"/usr/lib/python311.zip/json/decoder.py",
	"/usr/lib/pypy3.9/json/decoder.py",
	"/usr/lib/python3/dist-packages/yaml/reader.py",
	"/srv/venv/lib/python3.12/site-packages/requests/api.py",
	"C/site-packages/x.py",
	"<frozen importlib._bootstrap>",
};
static const char *const own[] = {"/srv/app.py",
				  "<string>",
				  "/srv/lib/pythonic/app.py",
				  "/home/u/python3.11/app.py",
				  "/srv/app.pyz/shop/app.py",
				  "/usr/bin/app.py"};

TEST(whose_code_a_file_is)
{
	for (size_t i = 0; i < sizeof(library) / sizeof(library[0]); i++) {
		struct mw_frame f = {MW_FRAME_PYTHON, 3, "f", library[i], 0};

		CHECK(mw_code_of(&f) == MW_CODE_PACKAGE || mw_code_of(&f) == MW_CODE_LANGUAGE);
		CHECK_INT(mw_code_of(&f) == MW_CODE_PACKAGE,
			  strstr(library[i], "-packages") != NULL);
	}
	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
		struct mw_frame f = {MW_FRAME_PYTHON, 3, "f", own[i], 0};

		CHECK_INT(mw_code_of(&f), MW_CODE_OWN);
	}
}

TEST(own_code_comes_first)
{
	for (size_t i = 0; i < sizeof(library) / sizeof(library[0]); i++) {
		for (size_t k = 0; k < sizeof(own) / sizeof(own[0]); k++) {
			char text[512], want[64];
			const char *base = strrchr(own[k], '/');

			snprintf(text, sizeof(text),
				 "n 1 libc.so.6 malloc\nn 1 libfoo.so parse\np 3 %s library\n"
				 "p 4 %s own\np 5 /srv/outer.py outer\n",
				 library[i], own[k]);
			snprintf(want, sizeof(want), "%s:4 own <- outer.py:5 outer",
				 base ? base + 1 : own[k]);
			CHECK_STR(label_of(text), want);
		}
	}
	CHECK_STR(label_of("n 1 libc.so.6 malloc\nn 1 libfoo.so parse\n"), "libfoo.so parse");
	CHECK_STR(label_of("n 1 libc.so.6 malloc\n"), "libc.so.6 malloc");
	CHECK_STR(label_of(""), "?");
	CHECK_STR(label_of("- freed code\n"), "[freed code]");
}

TEST(what_it_called_when_nobody_own_called_it)
{
	CHECK_STR(
		label_of("p 9 /usr/lib/python3.11/json/encoder.py JSONEncoder.iterencode\n"
			 "p 8 /usr/lib/python3.11/json/__init__.py dumps\n"
			 "p 31 /srv/views.py export\n"
			 "p 7 /usr/lib/python3/dist-packages/flask/app.py Flask.dispatch_request\n"
			 "p 8 /usr/bin/gunicorn <module>\n"),
		"views.py:31 export -> json/__init__.py dumps");
	CHECK_STR(label_of("n 1 libc.so.6 malloc\nn 16 _shop.so decode\np 31 /srv/views.py load\n"),
		  "views.py:31 load -> _shop.so decode");
	CHECK_STR(label_of("n 16 _shop.so PyMem_Malloc\np 31 /srv/views.py load\n"),
		  "views.py:31 load");
	/* Middleware is the user's, too. */
	CHECK_STR(label_of("p 31 /srv/views.py export\n"
			   "p 7 /usr/lib/python3/dist-packages/django/core/handlers/base.py f\n"
			   "p 12 /srv/timing.py Timing.__call__\n"),
		  "views.py:31 export <- timing.py:12 Timing.__call__");
}

TEST(launchers_are_nobodys_code)
{
	static const char *const launchers[] = {"/usr/bin/gunicorn <module>",
						"/srv/venv/bin/celery <module>",
						"/home/u/.local/bin/uvicorn <module>",
						"/srv/manage.py main", "/usr/sbin/x <module>"};

	for (size_t i = 0; i < sizeof(launchers) / sizeof(launchers[0]); i++) {
		char text[512];

		snprintf(text, sizeof(text),
			 "p 4 /usr/lib/python3.11/ssl.py read\n"
			 "p 7 /usr/lib/python3/dist-packages/urllib3/util.py fill\n"
			 "p 8 /usr/lib/python3/dist-packages/flask/cli.py run\np 33 %s\n",
			 launchers[i]);
		CHECK_STR(label_of(text), "util.py:7 fill <- cli.py:8 run");
	}
	/* With nothing else they are better than nothing; so is a script that does the work. */
	CHECK_STR(label_of("p 33 /usr/bin/gunicorn <module>\n"), "gunicorn:33 <module>");
	CHECK_STR(label_of("p 4 /usr/lib/python3.11/json/decoder.py decode\n"
			   "p 33 /usr/bin/tool load\np 40 /usr/bin/tool <module>\n"),
		  "tool:33 load -> decoder.py decode");
	CHECK_STR(
		label_of("p 4 /usr/lib/python3.11/json/decoder.py decode\np 9 leak.py <module>\n"),
		"leak.py:9 <module> -> decoder.py decode");
}

TEST(imports_tasks_and_generated_code)
{
	/* The importing is between a module and the line that imports it. */
	CHECK_STR(label_of("p 3 /srv/models.py <module>\n"
			   "p 241 <frozen importlib._bootstrap> _call_with_frames_removed\n"
			   "p 1 /srv/app.py <module>\n"),
		  "models.py:3 <module> <- app.py:1 <module>");
	CHECK_STR(label_of("p 729 <frozen importlib._bootstrap_external> _compile_bytecode\n"
			   "p 1176 <frozen importlib._bootstrap> _find_and_load\n"
			   "p 1 /srv/app.py <module>\n"),
		  "app.py:1 <module>");
	/* A task is called by who awaits it. */
	CHECK_STR(label_of("p 3 /srv/app.py fetch\n"
			   "p 80 /usr/lib/python3.11/asyncio/events.py Handle._run\n"
			   "p 30 /srv/app.py main\np 33 /srv/app.py <module>\n- awaited by\n"
			   "p 12 /srv/app.py handle\n"),
		  "app.py:3 fetch <- app.py:12 handle");
	/* dataclasses, attrs */
	CHECK_STR(label_of("p 3 <string> __init__\np 12 /srv/app.py load\n"), "app.py:12 load -> "
									      "<string> __init__");
}

TEST(installed_programs)
{
	/* All is in site-packages: the innermost package, and who called it. */
	CHECK_STR(label_of("p 355 /usr/lib/python3.11/json/decoder.py decode\n"
			   "p 31 /v/lib/python3.11/site-packages/shop/cart.py add\n"
			   "p 12 /v/lib/python3.11/site-packages/shop/views.py post\n"
			   "p 80 /v/lib/python3.11/site-packages/flask/app.py dispatch\n"),
		  "cart.py:31 add <- app.py:80 dispatch");
	CHECK_STR(label_of("p 355 /v/lib/python3.11/site-packages/shop/cart.py add\n"
			   "p 12 /v/lib/python3.11/site-packages/shop/views.py post\n"),
		  "cart.py:355 add <- views.py:12 post");
}

/*
 * ---- native -----------------------------------------------------------------------------------
 */

TEST(allocators_are_skipped)
{
	static const char *const inside[] = {
		"malloc",
		"calloc",
		"realloc",
		"_int_malloc",
		"sysmalloc",
		"PyObject_Malloc",
		"mmap",
		"operator new(unsigned long)",
		"brk",
		"sbrk",
		"_PyObject_GC_New",
		"PyMem_RawMalloc",
		"_Znwm",
		"__libc_malloc",
	};
	static const char *const outside[] = {"malloc_user", "mmap_file", "brk_reader",
					      "main",	     "callocate", "mi_parse"};
	char text[256], want[256];

	for (size_t i = 0; i < sizeof(inside) / sizeof(inside[0]); i++) {
		snprintf(text, sizeof(text), "n 0 a.out %s\nn 0 libfoo.so parse\n", inside[i]);
		CHECK_STR(label_of(text), "libfoo.so parse");
	}
	for (size_t i = 0; i < sizeof(outside) / sizeof(outside[0]); i++) {
		snprintf(text, sizeof(text), "n 7 a.out %s\nn 0 libfoo.so parse\n", outside[i]);
		snprintf(want, sizeof(want), "a.out %s <- libfoo.so parse", outside[i]);
		CHECK_STR(label_of(text), want);
	}
}

TEST(languages_libraries_are_skipped)
{
	CHECK_STR(
		label_of(
			"l 95 /rustc/90b35a/library/alloc/src/alloc.rs alloc::alloc::alloc\n"
			"l 9 /rust/deps/hashbrown-0.15/src/raw/mod.rs hashbrown::raw::f\n"
			"l 12 src/main.rs leak::remember\nl 30 src/main.rs leak::main\n"
			"n 9 leak std::rt::lang_start::{{closure}}\nn 5 libc.so.6 __libc_start_main\n"),
		"main.rs leak::remember:12 <- main.rs leak::main:30");
	CHECK_STR(label_of("n 9 leak alloc::raw_vec::finish_grow\n"
			   "n 9 leak <alloc::string::String as core::clone::Clone>::clone\n"
			   "n 12 leak leak::remember\nn 30 leak leak::main\n"),
		  "leak leak::remember <- leak::main");
	CHECK_STR(
		label_of(
			"n 9 libstdc++.so.6.0.30 operator new\n"
			"l 137 /usr/include/c++/12/bits/new_allocator.h allocate\n"
			"n 9 srv void std::vector<int, std::allocator<int> >::_M_realloc_insert<int>\n"
			"n 9 srv Cache::put\nn 9 srv main\n"),
		"srv Cache::put <- main");
	CHECK_STR(label_of("l 42 ./string/strdup.c __strdup\nl 9 app.c load\nl 20 app.c main\n"
			   "l 58 ../sysdeps/nptl/libc_start_call_main.h __libc_start_call_main\n"
			   "n 33 app _start\n"),
		  "app.c load:9 <- app.c main:20");
}

/* CALLERS functions of one program call FUNCTION, which gets SIZE bytes, and STEP more from each.
 */
static const char *label_of_first(const char *function, int callers, double size, double step)
{
	static char label[MW_LABEL_SIZE];
	struct mw_sites *sites = mw_sites__new();
	struct mw_label_groups *groups = mw_label_groups__new(1);

	CHECK(sites && groups);
	for (int i = 0; i < callers; i++) {
		char text[256];

		snprintf(text, sizeof(text), "n 9 app %s\nn %d app caller%d\nn 44 app main\n",
			 function, 16 * i, i);
		add_stack(sites, 10, 10 * (size + i * step), text);
	}
	CHECK_INT(mw_label_groups__update(groups, sites, NULL), 0);
	snprintf(label, sizeof(label), "%s", mw_label_groups__at(groups, 0)->label);
	mw_label_groups__free(groups);
	mw_sites__free(sites);
	return label;
}

TEST(wrappers_are_skipped_by_evidence)
{
	CHECK_STR(label_of_first("xmalloc", 3, 100, 100), "app caller0 <- main");
	CHECK_STR(label_of_first("xmalloc", 40, 100, 7), "app caller0 <- main");
	/* Two callers may well be all that a function of the program has. */
	CHECK_STR(label_of_first("xmalloc", 2, 100, 100), "app xmalloc <- caller0");
	/* It makes what it makes, whoever calls: it is the program's own business. */
	CHECK_STR(label_of_first("new_node", 3, 100, 0), "app new_node <- caller0");
	CHECK_STR(label_of_first("new_node", 40, 100, 0), "app new_node <- caller0");
	/* Strings of about the same length */
	CHECK_STR(label_of_first("new_string", 20, 100, 2), "app new_string <- caller0");
	/* Nothing is known of sizes: growth by the kernel. */
	CHECK_STR(label_of_first("xmalloc", 40, 0, 0), "app xmalloc <- caller0");
}

TEST(who_does_more_than_to_pass_on_is_no_wrapper)
{
	struct mw_sites *sites = mw_sites__new();
	struct mw_label_groups *groups = mw_label_groups__new(1);
	struct mw_site_stats *site = NULL, *direct;

	/* parse allocates for many, but also through others that have callers of their own. */
	for (int i = 0; i < 5; i++) {
		char text[256];

		snprintf(text, sizeof(text), "n 9 app parse\nn 9 app caller%d\n", i);
		site = add_stack(sites, 10, 1000 * (i + 1), text);
		snprintf(text, sizeof(text), "n 9 app step%d\nn 19 app parse\nn 9 app caller%d\n",
			 i, i);
		add_stack(sites, 10, 64, text);
	}
	/* One function that calls a leaf from many lines is one caller. */
	for (int i = 0; i < 5; i++) {
		char text[256];

		snprintf(text, sizeof(text), "n 9 app remember\nl %d app.c main\n", i + 1);
		direct = add_stack(sites, 10, 1000 * (i + 1), text);
	}
	CHECK_INT(mw_label_groups__update(groups, sites, NULL), 0);
	CHECK_STR(mw_label_groups__of(groups, site)->label, "app parse <- caller4");
	CHECK_STR(mw_label_groups__of(groups, direct)->label, "app remember <- app.c main:5");
	mw_label_groups__free(groups);
	mw_sites__free(sites);
}

/* xstrdup calls xmalloc, many call each. */
TEST(wrappers_of_wrappers)
{
	struct mw_sites *sites = mw_sites__new();
	struct mw_label_groups *groups = mw_label_groups__new(1);
	struct mw_site_stats *by_one = NULL, *by_two = NULL;

	for (int i = 0; i < 4; i++) {
		char text[256];

		snprintf(text, sizeof(text), "n 9 app xmalloc\nn 9 app load%d\nn 9 app main\n", i);
		by_one = add_stack(sites, 10, 100 * (i + 1), text);
		snprintf(text, sizeof(text),
			 "n 9 app xmalloc\nn 9 app xstrdup\nn 9 app name%d\nn 9 app main\n", i);
		by_two = add_stack(sites, 10, 300 * (i + 1), text);
	}
	CHECK_INT(mw_label_groups__update(groups, sites, NULL), 0);
	CHECK_STR(mw_label_groups__of(groups, by_one)->label, "app load3 <- main");
	CHECK_STR(mw_label_groups__of(groups, by_two)->label, "app name3 <- main");
	mw_label_groups__free(groups);
	mw_sites__free(sites);
}

/*
 * ---- groups -----------------------------------------------------------------------------------
 */

static struct mw_site_stats *leaf_site(struct mw_sites *sites, uint32_t target, int way)
{
	struct mw_frame f[] = {{MW_FRAME_PYTHON, (uint32_t)way, "encode",
				"/usr/lib/python3.11/json/encoder.py", 0},
			       {MW_FRAME_PYTHON, 13, "remember", "/srv/app.py", 0},
			       {MW_FRAME_PYTHON, 20, "index", "/srv/app.py", 0}};
	struct mw_site_stats *site = mw_sites__intern(sites, target, f, 3, 0);

	CHECK(site);
	return site;
}

TEST(groups_sum_up_what_their_sites_have)
{
	struct mw_sites *sites = mw_sites__new();
	struct mw_label_groups *groups = mw_label_groups__new(1);
	struct mw_site_stats *a = leaf_site(sites, 1, 1), *b = leaf_site(sites, 1, 2);
	struct mw_site_stats *other = leaf_site(sites, 2, 1), *late;
	const struct mw_label_group *group, *top[4];

	a->first_seen = 3;
	b->first_seen = 1;
	a->last_seen = 7;
	a->totals = (struct mw_site_totals){.allocs = 10, .alloc_bytes = 1000, .live_variance = 9};
	b->totals = (struct mw_site_totals){.allocs = 1, .alloc_bytes = 100, .live_variance = 16};
	other->totals.alloc_bytes = 77;
	mw_sites__tick(sites, 1);
	late = leaf_site(sites, 1, 3);
	late->totals = (struct mw_site_totals){.alloc_bytes = 5000, .freed_bytes = 4000};
	a->totals.alloc_bytes = 2000;
	all_seen(&a->totals);
	all_seen(&b->totals);
	all_seen(&late->totals);
	mw_sites__tick(sites, 2);
	a->cohorts[0] = (struct mw_site_cohort){5, 7, 70, 3, 30};
	b->cohorts[0] = (struct mw_site_cohort){5, 1, 10, 1, 10};
	a->flags = MW_SITE_TRACKED;
	b->flags = MW_SITE_PARTIAL;
	CHECK_INT(mw_label_groups__update(groups, sites, NULL), 0);
	CHECK_INT(mw_label_groups__count(groups), 1);
	group = mw_label_groups__at(groups, 0);
	CHECK_STR(group->label, "app.py:13 remember <- app.py:20 index");
	CHECK_INT(group->site_count, 3);
	CHECK(group->sites[0] == a && group->sites[1] == b && group->sites[2] == late);
	CHECK_INT(group->total.id, a->id);
	CHECK_INT(group->total.flags, MW_SITE_TRACKED | MW_SITE_PARTIAL);
	CHECK(group->total.totals.allocs == 11);
	CHECK(group->total.totals.alloc_bytes == 7100);
	CHECK(mw_site_outstanding(&group->total) == 3100);
	CHECK(mw_site_error(&group->total) == 5);
	CHECK(group->total.first_seen == 1 && group->total.last_seen == 7);
	CHECK_INT(group->total.point_count, 2);
	CHECK(group->total.points[0].elapsed == 1 && group->total.points[0].alloc_bytes == 1100);
	CHECK(group->total.points[1].elapsed == 2 && group->total.points[1].alloc_bytes == 7100);
	CHECK(group->total.points[1].freed_bytes == 4000);
	CHECK(group->total.cohorts[0].before == 5 && group->total.cohorts[0].born == 8);
	CHECK(group->total.cohorts[0].alive_bytes == 40);
	CHECK(mw_label_groups__of(groups, late) == group);
	CHECK(!mw_label_groups__of(groups, other));
	CHECK_INT(mw_label_groups__top(groups, MW_SITES_BY_OUTSTANDING, top, 4), 1);
	CHECK(top[0] == group);
	CHECK_INT(mw_label_groups__top(groups, MW_SITES_BY_FAULTS, top, 4), 0);
	/* Once more: sums are of now, not added to. */
	CHECK_INT(mw_label_groups__update(groups, sites, NULL), 0);
	CHECK(mw_label_groups__at(groups, 0) == group);
	CHECK(group->total.totals.alloc_bytes == 7100);
	mw_label_groups__free(groups);
	mw_sites__free(sites);
}

/* That a function is a wrapper is found only when enough functions have called it. */
TEST(labels_change_when_wrappers_are_found)
{
	struct mw_sites *sites = mw_sites__new();
	struct mw_label_groups *groups = mw_label_groups__new(1);
	const struct mw_label_group *old;
	struct mw_site_stats *first;

	first = add_stack(sites, 10, 1000, "n 9 app xmalloc\nn 1 app load\nn 4 app main\n");
	CHECK_INT(mw_label_groups__update(groups, sites, NULL), 0);
	old = mw_label_groups__of(groups, first);
	CHECK_STR(old->label, "app xmalloc <- load");
	add_stack(sites, 10, 2000, "n 9 app xmalloc\nn 1 app parse\nn 4 app main\n");
	add_stack(sites, 10, 3000, "n 9 app xmalloc\nn 1 app store\nn 4 app main\n");
	CHECK_INT(mw_label_groups__update(groups, sites, NULL), 0);
	CHECK_STR(mw_label_groups__of(groups, first)->label, "app load <- main");
	CHECK_INT(old->site_count, 0);
	CHECK(old->total.totals.allocs == 0);
	mw_label_groups__free(groups);
	mw_sites__free(sites);
}
