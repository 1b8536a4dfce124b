// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "model/words.h"
#include "report/looks.h"
#include "report/stat_report.h"
#include "probe/allocator.h"
#include "util/bar.h"
#include "util/units.h"

enum { BAR_WIDTH = 32, GROWTH_POINTS = 3 };

static const char *paint(const struct mw_stat_report *r, const char *code)
{
	return r->color ? code : "";
}

#define BOLD(r)	 paint(r, "\033[1m")
#define DIM(r)	 paint(r, "\033[2m")
#define RED(r)	 paint(r, "\033[31;1m")
#define BLUE(r)	 paint(r, "\033[34m")
#define PLAIN(r) paint(r, "\033[0m")

/* What one block of lines shows: COUNTS of an interval, or of all time when TOTAL. */
struct block {
	const struct mw_stat_report *report;
	const struct mw_watch_target *target;
	const struct mw_sample *now, *counts;
	bool total;
};

static bool is_brief(const struct mw_stat_report *r)
{
	return !r->all && !r->sizes && !r->sites;
}

static void print_memory(const struct block *b)
{
	const struct mw_sample *s = b->counts, *total = b->now;
	char rss[MW_UNIT_BUF], change[MW_UNIT_BUF];
	const struct mw_stat_report *r = b->report;

	fprintf(r->out, "RSS %s", mw_format_size(rss, total->rss));
	if (!b->total)
		fprintf(r->out, " (%s)",
			mw_format_signed_size(change, (int64_t)(total->rss - b->target->last.rss)));
	if (s->min_flt || s->maj_flt)
		fprintf(r->out, ", page faults %" PRIu64 " minor", s->min_flt);
	if (s->maj_flt)
		fprintf(r->out, ", %" PRIu64 " major", s->maj_flt);
	if (total->processes > 1)
		fprintf(r->out, ", %zu processes", total->processes);
	if (total->ended)
		fprintf(r->out, ", %sended%s", RED(r), PLAIN(r));
	fputc('\n', r->out);
}

static void print_head(const struct block *b)
{
	char reach[160], clock[16] = "", span[MW_UNIT_BUF];
	const struct mw_stat_report *r = b->report;
	time_t now = (time_t)b->now->time;
	struct tm tm;

	if (localtime_r(&now, &tm))
		strftime(clock, sizeof(clock), "%H:%M:%S", &tm);
	mw_format_duration(span, (uint64_t)(b->counts->elapsed * 1e9));
	fprintf(r->out, "%s%s  %s (PID %d)  %s%s, %s%s%s", BOLD(r), clock, b->target->name,
		b->target->pid, mw_mode_name(r->mode, b->counts), b->total ? ", all" : "", span,
		PLAIN(r), is_brief(r) ? ": " : "\n  memory     ");
	print_memory(b);
	if (mw_reach_format(reach, sizeof(reach), b->now))
		fprintf(r->out, "  reach      %s\n", reach);
}

static bool is_exact(const struct mw_sample *s)
{
	return !strcmp(mw_mode_name(MW_MODE_EXACT, s), "exact");
}

static bool is_unknown(const struct block *b)
{
	return b->now->governed && !b->now->enough && !is_exact(b->counts);
}

static void print_calls(const struct block *b)
{
	const struct mw_sample *s = b->counts, *total = b->now;
	struct mw_cell alloc = mw_counts__alloc(&s->counts);
	const struct mw_stat_report *r = b->report;
	double span = s->elapsed > 0 ? s->elapsed : 1;
	char count[MW_UNIT_BUF], size[MW_UNIT_BUF], rate[MW_UNIT_BUF];
	FILE *out = r->out;

	if (is_unknown(b)) {
		fprintf(out, "  requests   too little seen yet: %s\n",
			mw_sites_report__why_too_little(false, total->too_fast));
		return;
	}
	fprintf(out, "  requests   %" PRIu64 " (%s/s), %s", alloc.count,
		mw_format_count(rate, (uint64_t)((double)alloc.count / span)),
		mw_format_size(size, alloc.bytes));
	if (s->counts.failed)
		fprintf(out, ", %s%" PRIu64 " failed%s", RED(r), s->counts.failed, PLAIN(r));
	fprintf(out, "; frees %s",
		mw_format_count(count,
				mw_counts__free_calls(&s->counts) + s->counts.freed_by_realloc));
	if (s->governed && !is_exact(s))
		fprintf(out, "; estimated from %zu windows, ±%.1f %%", total->windows,
			196 * total->error);
	else if (r->mode == MW_MODE_EXACT)
		fprintf(out, "; outstanding %s blocks, %s",
			mw_format_count(count, total->outstanding_count),
			mw_format_size(size, total->outstanding_bytes));
	fputc('\n', out);
}

static void print_sizes(const struct mw_stat_report *r, const struct mw_counts *c)
{
	struct mw_cell rows[MW_SIZE_ROWS] = {{0}}, largest = {0};
	unsigned int first = MW_SIZE_ROWS, last = 0;

	for (unsigned int class = 0; class < MW_CLASSES; class ++) {
		struct mw_cell sum = mw_counts__alloc_class(c, class);
		unsigned int row = mw_size_row(class);

		if (!sum.count)
			continue;
		rows[row].count += sum.count;
		rows[row].bytes += sum.bytes;
		if (row < first)
			first = row;
		if (row > last)
			last = row;
	}
	for (unsigned int row = 0; row < MW_SIZE_ROWS; row++) {
		if (rows[row].count > largest.count)
			largest.count = rows[row].count;
	}
	if (!largest.count)
		return;
	fprintf(r->out, "  %s%20s %10s %11s%s\n", DIM(r), "size", "count", "bytes", PLAIN(r));
	for (unsigned int row = first; row <= last; row++) {
		char label[64], count[MW_UNIT_BUF], bytes[MW_UNIT_BUF], bar[MW_BAR_BUF];

		mw_size_row_label(label, sizeof(label), row);
		fprintf(r->out, "  %20s %10s %11s", label, mw_format_count(count, rows[row].count),
			mw_format_size(bytes, rows[row].bytes));
		if (rows[row].count)
			fprintf(r->out, "  %s%s%s", BLUE(r),
				mw_bar(bar, (double)rows[row].count / (double)largest.count,
				       BAR_WIDTH, r->utf8),
				PLAIN(r));
		fputc('\n', r->out);
	}
}

static void print_placement(FILE *out, const struct mw_counts *c)
{
	struct mw_cell all = mw_counts__alloc(c);
	bool any = false;

	for (unsigned int p = 0; p < MW_PLACES; p++) {
		struct mw_cell at = mw_counts__alloc_at(c, p);
		char count[MW_UNIT_BUF], bytes[MW_UNIT_BUF];

		if (!at.count)
			continue;
		fprintf(out, "%s%s %s, %s (%.1f %% of bytes)", any ? "; " : "  from       ",
			mw_place_label(p), mw_format_count(count, at.count),
			mw_format_size(bytes, at.bytes),
			all.bytes ? 100 * (double)at.bytes / (double)all.bytes : 0);
		any = true;
	}
	if (any)
		fputc('\n', out);
}

static void print_kernel(FILE *out, const struct mw_vm_counts *vm)
{
	char a[MW_UNIT_BUF], b[MW_UNIT_BUF];

	if (!vm->brk_calls && !vm->mmap.count && !vm->munmap.count && !vm->mremap_calls &&
	    !vm->madvise_calls)
		return;
	fprintf(out, "  kernel     brk %" PRIu64 " (+%s -%s), mmap %" PRIu64 " (%s), ",
		vm->brk_calls, mw_format_size(a, vm->brk_grown), mw_format_size(b, vm->brk_shrunk),
		vm->mmap.count, mw_format_size((char[MW_UNIT_BUF]){0}, vm->mmap.bytes));
	fprintf(out, "munmap %" PRIu64 " (%s), mremap %" PRIu64 ", madvise %" PRIu64 " (%s)\n",
		vm->munmap.count, mw_format_size(a, vm->munmap.bytes), vm->mremap_calls,
		vm->madvise_calls, mw_format_size(b, vm->madvise_freed));
}

static void print_thresholds(FILE *out, const struct mw_sample *now)
{
	char a[MW_UNIT_BUF], b[MW_UNIT_BUF];

	if (now->threshold_known)
		fprintf(out, "  thresholds mmap %s, trim %s, %s\n",
			mw_format_size(a, now->mmap_threshold),
			mw_format_size(b, now->trim_threshold),
			now->threshold_dynamic ? "dynamic" : "fixed");
}

static void print_event(FILE *out, const struct mw_event *what)
{
	char text[256];

	fprintf(out, "  event      +%.3f s  %s\n", what->elapsed,
		mw_event_format(text, sizeof(text), what));
}

static void print_lost(const struct mw_stat_report *r, const struct mw_counts *c)
{
	bool any = false;

	for (unsigned int i = 0; i < MW_LOSTS; i++) {
		if (!c->lost[i])
			continue;
		fprintf(r->out, "%s%s%s %" PRIu64, any ? "" : RED(r), any ? ", " : "  lost       ",
			mw_lost_name(i), c->lost[i]);
		any = true;
	}
	if (any)
		fprintf(r->out, "%s\n", PLAIN(r));
}

static void print_details(FILE *out, const struct mw_counts *c)
{
	bool any = false;

	for (unsigned int f = 1; f < MW_FUNCS; f++) {
		if (!c->calls[f])
			continue;
		fprintf(out, "%s%s %" PRIu64, any ? ", " : "  calls      ", mw_func_name(f),
			c->calls[f]);
		any = true;
	}
	if (any)
		fputc('\n', out);
	if (c->free_null || c->free_unknown || c->free_internal)
		fprintf(out,
			"  frees      of NULL %" PRIu64 ", of blocks older than the watch %" PRIu64
			", by glibc at threads' ends %" PRIu64 "\n",
			(uint64_t)c->free_null, (uint64_t)c->free_unknown,
			(uint64_t)c->free_internal);
	any = false;
	for (unsigned int i = 0; i < 64; i++) {
		char age[MW_UNIT_BUF];

		if (!c->lifetime[i])
			continue;
		fprintf(out, "%s<%s: %" PRIu64, any ? ", " : "  lifetimes  ",
			mw_format_duration(age, 2ULL << i), c->lifetime[i]);
		any = true;
	}
	if (any)
		fputc('\n', out);
}

static void print_sdt(FILE *out, const struct mw_counts *c)
{
	for (unsigned int i = 0; i < MW_SDTS; i++) {
		char size[MW_UNIT_BUF];

		if (c->sdt[i].count)
			fprintf(out, "  its own    %s %" PRIu64 " (%s)\n", mw_sdt_name(i),
				(uint64_t)c->sdt[i].count, mw_format_size(size, c->sdt[i].bytes));
	}
}

static void print_events(FILE *out, const struct mw_watch_target *target)
{
	size_t more, n = mw_stat_report__events(target, &more);

	for (size_t i = 0; i < n; i++)
		print_event(out, &target->events[i]);
	if (more)
		fprintf(out, "  event      and %zu more\n", more);
}

/* What it costs to find out which sampled blocks are still allocated, and what it could not. */
static void print_looks(FILE *out, const struct mw_sample *now)
{
	const struct mw_heap_looks *l = &now->looks;

	if (!l->count)
		return;
	fprintf(out,
		"  looks      %llu at the heap: %.2f s of memwhere's own CPU time, %.1f %% of one processor\n",
		(unsigned long long)l->count, l->cpu_seconds,
		now->elapsed > 0 ? 100 * l->cpu_seconds / now->elapsed : 0);
	if (*l->note)
		fprintf(out, "  looks      the last one: %s\n", l->note);
}

static void print_cost(const struct block *b)
{
	const struct mw_sample *now = b->now, *s = b->counts;
	char least[MW_UNIT_BUF];
	FILE *out = b->report->out;

	if (now->out_of_reach)
		return;
	if (now->governed) {
		fprintf(out,
			"  cost       %.1f %% of the target's CPU time so far, of %.1f %% allowed; probes were in for %.1f %% of it\n",
			100 * now->cost, 100 * now->budget, 100 * now->coverage);
		if (now->system_calls_seen < MW_SYSTEM_CALLS_ALL)
			fprintf(out,
				"             system calls, which are many, were seen in %.1f %% of it: brk, mmap and their lines are of that\n",
				100 * now->system_calls_seen);
		if (is_unknown(b) && now->least > 0)
			fprintf(out,
				"             too little to tell how often it allocates: at least %s times a second of its CPU time\n",
				mw_format_count(least, (uint64_t)now->least));
		if (b->report->all)
			print_looks(out, now);
	} else if (b->report->mode != MW_MODE_GROWTH && s->cpu_ns) {
		double percent = 100 * (double)s->probe_ns / (double)s->cpu_ns;

		fprintf(out,
			"  cost       about %.1f %% of the target's CPU time is probes (estimated)\n",
			percent > 100 ? 100 : percent);
	}
}

/* What the memory does over the watch, and what of Python's grows. */
static void print_growth(const struct block *b)
{
	const struct mw_stat_report *r = b->report;
	const struct mw_sample *now = b->now;
	double rate = mw_resident__rate(&b->target->resident, 0);
	char change[MW_UNIT_BUF];

	fputs("  growth     ", r->out);
	if (b->target->resident.count < GROWTH_POINTS)
		fputs("too little seen yet", r->out);
	else
		fprintf(r->out, "%s a minute over %.0f s",
			mw_format_signed_size(change, (int64_t)(60 * rate)), now->elapsed);
	mw_looks_report__brief(r->out, &b->target->looked);
	fputc('\n', r->out);
}

static void print_allocations(const struct block *b)
{
	const struct mw_counts *c = &b->counts->counts;
	const struct mw_stat_report *r = b->report;

	if (mw_sample__mode(b->now, r->mode) != MW_MODE_GROWTH) {
		print_calls(b);
		if (!is_unknown(b))
			print_sizes(r, c);
		if (r->mode == MW_MODE_EXACT && !is_unknown(b))
			print_placement(r->out, c);
	}
	print_kernel(r->out, &c->vm);
	print_sdt(r->out, c);
	print_thresholds(r->out, b->now);
}

/* What the pools themselves say of how much of it is seen. */
static void print_coverage(FILE *out, const struct mw_coverage *c)
{
	double error, share = mw_coverage__share(c, &error);

	if (share >= 0)
		fprintf(out,
			"  small      Python's pools count %+.0f blocks in %zu windows, probes "
			"%+.0f: they see %.1f %% (±%.1f) of %.0f\n",
			c->moved, c->windows, c->seen, 100 * share, 100 * error, c->allocated);
}

static void print_lines(const struct block *b)
{
	const struct mw_sites_view sites = mw_stat_report__sites(b->report, b->target, !b->total);
	const struct mw_stat_report *r = b->report;

	if (b->now->python == MW_PYTHON_SAMPLED && r->all)
		fputs("  small      objects of Python are sampled by line; how many there are is not "
		      "known, and not counted above\n",
		      r->out);
	if (r->all)
		print_coverage(r->out, &b->now->python_coverage);
	if (sites.sites && (r->all || r->sites))
		mw_sites_report__text(r->out, &sites, r->color);
	else if (sites.sites)
		mw_sites_report__brief(r->out, &sites, r->color);
}

static int print_block(const struct block *b)
{
	const struct mw_counts *c = &b->counts->counts;
	const struct mw_stat_report *r = b->report;

	print_head(b);
	if (r->all || r->sizes)
		print_allocations(b);
	if (r->all)
		mw_looks_report__text(r->out, &b->target->looked, r->color);
	else
		print_growth(b);
	print_lines(b);
	if (r->all && !b->total)
		print_events(r->out, b->target);
	if (r->verbose)
		print_details(r->out, c);
	print_lost(r, c);
	print_cost(b);
	if (!is_brief(r))
		fputc('\n', r->out);
	return fflush(r->out) || ferror(r->out) ? -EIO : 0;
}

static int print_interval(void *arg, const struct mw_watch_target *target)
{
	struct mw_sample interval;
	const struct block block = {
		.report = arg, .target = target, .now = &target->now, .counts = &interval};

	mw_sample__difference(&interval, &target->now, &target->last);
	return print_block(&block);
}

static int print_totals(void *arg, const struct mw_watch *watch, int ret)
{
	for (size_t i = 0; !ret && mw_watch__samples(watch) > 1 && i < mw_watch__count(watch);
	     i++) {
		const struct mw_watch_target *target = mw_watch__target(watch, i);
		const struct block block = {.report = arg,
					    .target = target,
					    .now = &target->now,
					    .counts = &target->now,
					    .total = true};

		ret = print_block(&block);
	}
	return ret;
}

struct mw_watch_sink mw_stat_report__text(struct mw_stat_report *report)
{
	return (struct mw_watch_sink){.sample = print_interval, .end = print_totals, .arg = report};
}
