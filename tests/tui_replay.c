// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A recorded session of model states, without a tracer: what the screen shows of it is known to the
 * last cell. Keys work; q ends it.
 *
 *   tui_replay server|several|ended|stacks|hostile|many|crash [SECONDS-BETWEEN-UPDATES]
 */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/all_seen.h"
#include "tui/tui.h"

enum { STEPS = 240, MIB = 1 << 20, KIB = 1 << 10 };

static struct mw_sites *sites;
static struct mw_label_groups *groups;

/* A walk that goes up and down but is the same each time. */
static unsigned int noise(unsigned int i)
{
	i = (i ^ 61) ^ (i >> 16);
	i *= 9;
	i ^= i >> 4;
	i *= 0x27d4eb2d;
	return i ^ i >> 15;
}

static void count(struct mw_sample *s, enum mw_place place, uint64_t size, uint64_t calls,
		  uint64_t freed)
{
	unsigned int class = mw_size_class(size);

	s->counts.alloc[place][class].count += calls;
	s->counts.alloc[place][class].bytes += calls * size;
	s->counts.freed[class].count += freed;
	s->counts.freed[class].bytes += freed * size;
	s->counts.calls[MW_FUNC_MALLOC] += calls;
	s->counts.calls[MW_FUNC_FREE] += freed;
	s->outstanding_count += calls - freed;
	s->outstanding_bytes += (calls - freed) * size;
}

static struct mw_site_stats *add_site(const struct mw_frame *frames, size_t n, double allocs,
				      double size, double freed)
{
	struct mw_site_stats *s = mw_sites__intern(sites, 0, frames, n, 0);

	if (!s)
		exit(3);
	s->totals.allocs = allocs;
	s->totals.alloc_bytes = allocs * size;
	s->totals.frees = freed;
	s->totals.freed_bytes = freed * size;
	all_seen(&s->totals);
	s->totals.samples = (uint64_t)allocs;
	s->totals.fault_bytes = allocs * size / 2;
	s->first_seen = 30;
	return s;
}

static void copy_sites(struct mw_tui_target *t)
{
	t->has_sites = true;
	t->sites.outlook.state = MW_OUTLOOK_KNOWN;
	if (!groups)
		groups = mw_label_groups__new(0);
	if (!groups || mw_label_groups__update(groups, sites, NULL) ||
	    mw_tui_sites__copy(&t->sites, groups))
		exit(3);
}

static void add_sites(struct mw_tui_target *t)
{
	static const struct mw_frame
		leak[] =
			{
				{MW_FRAME_NATIVE, 0, "_PyObject_GC_NewVar", "libpython3.11.so.1.0",
				 0x4c},
				{MW_FRAME_PYTHON, 88, "load_user", "/srv/app/users.py", 0},
				{MW_FRAME_PYTHON, 31, "handle", "/srv/app/app.py", 0},
				{MW_FRAME_PYTHON, 7, "<module>", "/srv/app/app.py", 0},
				{MW_FRAME_NATIVE, 0, "__libc_start_main", "libc.so.6", 0x8a},
			},
		cache[] =
			{
				{MW_FRAME_PYTHON, 355, "raw_decode",
				 "/usr/lib/python3.11/json/decoder.py", 0},
				{MW_FRAME_PYTHON, 41, "render", "/srv/app/pages.py", 0},
				{MW_FRAME_PYTHON, 7, "<module>", "/srv/app/app.py", 0},
			},
		native[] = {
			{MW_FRAME_NATIVE, 0, "parse_header", "libimage.so.2", 0x1c},
			{MW_FRAME_NATIVE, 0, "", "libimage.so.2", 0x4f20},
			{MW_FRAME_NOTE, 0, "no unwind rule for this place", "", 0},
		};
	struct mw_site_stats *s;

	sites = mw_sites__new();
	if (!sites)
		exit(3);
	s = add_site(leak, 5, 4001, 1777, 13);
	s->totals.live_variance = 250000.0 * 250000;
	add_site(cache, 3, 9001, 311, 2003);
	s = add_site(native, 3, 17, 70001, 16);
	s->totals.grown_bytes = 3 * MIB;
	for (int i = 0; i < 7; i++)
		mw_sites__tick(sites, 60 + i);
	s = (struct mw_site_stats *)mw_sites__at(sites, 0);
	s->totals.allocs += 53;
	mw_sites__tick(sites, 67);
	t->has_sites = true;
	t->sites.suspect_count = 1;
	t->sites.suspects[0].site = mw_sites__at(sites, 0)->id;
	t->sites.suspects[0].first_seen = 30;
	strcpy(t->sites.suspects[0].sentence,
	       "users.py:88 load_user grows by 58.0 KiB a second; of 4001 objects made up to 30 s ago "
	       "13 are gone");
	copy_sites(t);
}

/* Three ways to one label: 1, 2 and 4 of seven blocks. */
static void add_stacks(struct mw_tui_target *t)
{
	for (unsigned int i = 0; i < 3; i++) {
		const struct mw_frame frames[] = {
			{MW_FRAME_PYTHON, 250 + 7 * i, "JSONEncoder.iterencode",
			 "/usr/lib/python3.11/json/encoder.py", 0},
			{MW_FRAME_PYTHON, 13, "remember", "/srv/app/app.py", 0},
			{MW_FRAME_PYTHON, 20, "index", "/srv/app/app.py", 0},
		};

		add_site(frames, 3, 1 << i, 100 * KIB, 0);
	}
	copy_sites(t);
}

/* One process that grows, surveyed every ten seconds. */
static void add_survey(struct mw_tui_target *t, double elapsed, uint64_t live, uint64_t freed)
{
	const struct {
		const char *owner;
		uint64_t resident, count;
	} owners[] = {
		{"glibc/live", live, 5003},
		{"glibc/free/bin", freed, 211},
		{"glibc/free/tcache", 37 * KIB, 101},
		{"python/live/dict", 11 * MIB, 4001},
		{"python/live/str", 7 * MIB, 9001},
		{"python/free-block", 3 * MIB, 1009},
		{"file/libpython3.11.so.1.0", 5 * MIB, 5},
		{"file/libc.so.6", 1300 * KIB, 5},
		{"stack", 68 * KIB, 1},
		{"anon/unknown", 256 * KIB, 2},
	};
	const size_t n = sizeof(owners) / sizeof(owners[0]);
	struct mw_tui_survey survey = {.known = true, .elapsed = elapsed, .took = 0.25};
	struct mw_facts facts = {.heap = {.allocator = "glibc"}, .python = {.version = "3.11.2"}};

	survey.ledger.entries = calloc(n, sizeof(*survey.ledger.entries));
	if (!survey.ledger.entries)
		exit(3);
	survey.ledger.count = survey.ledger.capacity = n;
	for (size_t i = 0; i < n; i++) {
		struct mw_ledger_entry *e = &survey.ledger.entries[i];

		strcpy(e->owner, owners[i].owner);
		e->resident = e->bytes = owners[i].resident;
		e->count = owners[i].count;
		survey.ledger.resident += e->resident;
	}
	survey.parts[MW_SPLIT_BRK] = live + freed + 37 * KIB;
	survey.parts[MW_SPLIT_PYTHON] = 21 * MIB;
	survey.parts[MW_SPLIT_OTHER] =
		survey.ledger.resident - survey.parts[MW_SPLIT_BRK] - 21 * MIB;
	mw_tui_target__add_survey(t, &survey);
	mw_moment__of(&facts.now, &t->survey.ledger, NULL);
	facts.now.objects = 14000 + (uint64_t)elapsed;
	mw_tui_target__add_facts(t, &facts, elapsed);
}

static void step(struct mw_tui_target *t, unsigned int i)
{
	struct mw_sample *s = &t->now;

	t->last = *s;
	s->elapsed = i / 2.0;
	s->time = 1700000000 + i / 2.0;
	count(s, MW_PLACE_BRK, 24, 101 + noise(i) % 31, 97);
	count(s, MW_PLACE_BRK, 100, 53, 53);
	count(s, MW_PLACE_BRK, 1500, 11, 10);
	if (i % 8 == 0)
		count(s, MW_PLACE_MMAP, 300000, 1, 1);
	s->rss = 40 * (uint64_t)MIB + i * 50000 + noise(i) % 200 * 1000;
	s->min_flt += 13 + noise(i) % 50;
	s->maj_flt += i % 60 == 7;
	s->cpu_ns += 250000000;
	s->probe_ns += 4000000;
	s->counts.vm.brk_grown += 132 * KIB;
	s->counts.vm.brk_shrunk += i % 40 == 39 ? 4 * MIB : 0;
	s->counts.vm.mmap.bytes += 304 * KIB;
	s->counts.vm.munmap.bytes += i % 5 ? 304 * KIB : 0;
	s->processes = 1;
	s->threshold_known = s->threshold_dynamic = true;
	s->mmap_threshold = i < 100 ? 128 * KIB : 304 * KIB;
	s->trim_threshold = 2 * s->mmap_threshold;
	t->cost = 1.6;
	t->uptime = 86400 + 3723 + i / 2.0;
	if (!i) {
		t->last = *s;
		t->rss_first = t->rss_baseline = s->rss;
	}
	mw_tui_target__add_point(t);
	if (i % 20 == 0)
		add_survey(t, i / 2.0, 9 * MIB + i * 20000, 2 * MIB + noise(i) % 100 * 1000);
}

static void fill(struct mw_tui_target *t, pid_t pid, const char *name)
{
	const struct mw_event moved = {.kind = MW_EVENT_THRESHOLD,
				       .elapsed = 50.25,
				       .pid = (uint32_t)pid,
				       .old_value = 128 * KIB,
				       .new_value = 304 * KIB,
				       .size = 304 * KIB,
				       .cause = MW_MOVED_BY_FREE};
	const struct mw_event forked = {
		.kind = MW_EVENT_FORK, .elapsed = 90.5, .pid = (uint32_t)pid, .new_value = 4243};

	t->pid = pid;
	snprintf(t->name, sizeof(t->name), "%s", name);
	for (unsigned int i = 0; i < STEPS; i++)
		step(t, i);
	mw_tui_target__add_event(t, &moved);
	mw_tui_target__add_event(t, &forked);
}

/* What a hostile program calls itself and its functions. */
static void make_hostile(struct mw_tui_state *state)
{
	static char huge[10241];
	static const struct mw_frame frames[] = {
		{MW_FRAME_NATIVE, 0, huge, "lib\033]0;owned\007\033[2J.so", 1},
		{MW_FRAME_PYTHON, 1,
		 "\xe2\x80\xae"
		 "evil\r\n\t\x9b"
		 "31m",
		 "a\xff\xfe\x80"
		 "b.py",
		 0},
		{MW_FRAME_PYTHON, 2, "\xe6\xbc\xa2\xe5\xad\x97\xcc\x81\xcc\x81\xcc\x81", "wide.py",
		 0},
	};
	struct mw_tui_target *t = &state->targets[0];

	memset(huge, 'x', sizeof(huge) - 1);
	/* The room below cleans names; here they come as they are. */
	strcpy(t->name, "\033[31mred\033]2;title\007\xe2\x80\xae\xff");
	sites = mw_sites__new();
	if (!sites)
		exit(3);
	add_site(frames, 3, 1009, 100, 0);
	copy_sites(t);
	mw_tui_state__add_log(state, MW_LOG_WARN, "a line with \033[2J and \r\n in it");
}

static void make_many(struct mw_tui_target *t)
{
	char name[32];

	sites = mw_sites__new();
	for (unsigned int i = 0; sites && i < 10000; i++) {
		struct mw_frame frames[8];

		for (unsigned int f = 0; f < 8; f++) {
			frames[f] = (struct mw_frame){MW_FRAME_PYTHON, i + f, name,
						      "/srv/app/app.py", 0};
		}
		snprintf(name, sizeof(name), "function_%u", i);
		add_site(frames, 8, noise(i) % 100000, 100, noise(i) % 1000);
	}
	copy_sites(t);
}

static void run(struct mw_tui *tui, struct mw_tui_state *state, double between,
		const char *scenario)
{
	unsigned int reaction = MW_TUI_REDRAW, steps = STEPS;

	while (!(reaction & MW_TUI_QUIT)) {
		struct pollfd fd = {.fd = STDIN_FILENO, .events = POLLIN};
		int key;

		mw_tui__compose(tui);
		mw_tui__flush(tui);
		if (!strcmp(scenario, "crash"))
			raise(SIGSEGV);
		if (!poll(&fd, 1, between > 0 ? (int)(between * 1000) : -1) && !state->paused) {
			step(&state->targets[0], steps++);
			if (sites) {
				mw_sites__tick(sites, steps);
				copy_sites(&state->targets[0]);
			}
			mw_tui__recalc(tui);
		}
		if (fd.revents & (POLLHUP | POLLERR))
			return;
		reaction = 0;
		while (mw_tui__read_key(tui, &key))
			reaction |= mw_tui__handle(tui, key);
	}
}

int main(int argc, char **argv)
{
	static const char *const names[] = {"server", "worker", "cron"};
	const char *scenario = argc > 1 ? argv[1] : "server", *no_color = getenv("NO_COLOR");
	struct mw_tui_options options = {.color = !no_color || !*no_color};
	struct mw_tui_state state = {
		.mode = MW_MODE_EXACT, .interval = 0.5, .clock = 1000, .time = 1700000000};
	struct mw_err err = {0};
	struct mw_tui *tui;

	setenv("TZ", "UTC0", 1);
	tzset();
	state.target_count = strcmp(scenario, "several") ? 1 : 3;
	state.targets = calloc(state.target_count, sizeof(*state.targets));
	if (!state.targets)
		return 3;
	for (size_t i = 0; i < state.target_count; i++)
		fill(&state.targets[i], 4242 + 100 * (int)i, names[i]);
	if (!strcmp(scenario, "hostile"))
		make_hostile(&state);
	else if (!strcmp(scenario, "many"))
		make_many(&state.targets[0]);
	else
		add_sites(&state.targets[0]);
	if (!strcmp(scenario, "stacks"))
		add_stacks(&state.targets[0]);
	if (!strcmp(scenario, "ended")) {
		state.targets[0].now.ended = true;
		state.targets[0].ended_at = 119.5;
		state.targets[0].now.counts.lost[MW_LOST_RING] = 7;
	}
	tui = mw_tui__open(&state, &options, &err);
	if (!tui) {
		fprintf(stderr, "%s\n", err.message);
		return 1;
	}
	run(tui, &state, argc > 2 ? strtod(argv[2], NULL) : 0, scenario);
	mw_tui__close(tui);
	mw_tui_state__clear(&state);
	mw_label_groups__free(groups);
	mw_sites__free(sites);
	return 0;
}
