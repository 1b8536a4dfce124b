// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "model/words.h"
#include "report/stat_report.h"
#include "probe/allocator.h"
#include "util/bar.h"
#include "util/units.h"

enum { BAR_WIDTH = 32 };

static const char *paint(const struct mw_stat_style *style, const char *code)
{
	return style->color ? code : "";
}

#define BOLD(s)	 paint(s, "\033[1m")
#define DIM(s)	 paint(s, "\033[2m")
#define RED(s)	 paint(s, "\033[31;1m")
#define BLUE(s)	 paint(s, "\033[34m")
#define PLAIN(s) paint(s, "\033[0m")

static void print_head(FILE *out, const struct mw_stat_report *r, const struct mw_stat_style *style,
		       const struct mw_sample *s)
{
	char clock[16] = "", rss[MW_UNIT_BUF], change[MW_UNIT_BUF], span[MW_UNIT_BUF];
	time_t now = (time_t)r->total->time;
	struct tm tm;

	if (localtime_r(&now, &tm))
		strftime(clock, sizeof(clock), "%H:%M:%S", &tm);
	mw_format_duration(span, (uint64_t)(s->elapsed * 1e9));
	fprintf(out, "%s%s  %s (PID %d)  %s%s, %s%s\n", BOLD(style), clock, r->name, r->pid,
		mw_mode_name(r->mode, r->total), style->total ? ", all" : "", span, PLAIN(style));
	fprintf(out, "  memory     RSS %s", mw_format_size(rss, r->total->rss));
	if (!style->total)
		fprintf(out, " (%s)", mw_format_signed_size(change, r->rss_change));
	fprintf(out, ", page faults %" PRIu64 " minor, %" PRIu64 " major", s->min_flt, s->maj_flt);
	if (r->total->processes > 1)
		fprintf(out, ", %zu processes", r->total->processes);
	if (r->total->ended)
		fprintf(out, ", %sended%s", RED(style), PLAIN(style));
	fputc('\n', out);
}

static void print_calls(FILE *out, const struct mw_stat_report *r,
			const struct mw_stat_style *style, const struct mw_sample *s)
{
	struct mw_cell alloc = mw_counts__alloc(&s->counts);
	double span = s->elapsed > 0 ? s->elapsed : 1;
	char count[MW_UNIT_BUF], size[MW_UNIT_BUF], rate[MW_UNIT_BUF];

	fprintf(out, "  requests   %" PRIu64 " (%s/s), %s", alloc.count,
		mw_format_count(rate, (uint64_t)((double)alloc.count / span)),
		mw_format_size(size, alloc.bytes));
	if (s->counts.failed)
		fprintf(out, ", %s%" PRIu64 " failed%s", RED(style), s->counts.failed,
			PLAIN(style));
	fprintf(out, "; frees %s", mw_format_count(count, mw_counts__free_calls(&s->counts)));
	if (r->total->governed && !r->total->always)
		fprintf(out, "; estimated from %zu windows, ±%.1f %%", r->total->windows,
			196 * r->total->error > 100 ? 100 : 196 * r->total->error);
	else if (r->mode == MW_MODE_EXACT)
		fprintf(out, "; outstanding %s blocks, %s",
			mw_format_count(count, r->total->outstanding_count),
			mw_format_size(size, r->total->outstanding_bytes));
	fputc('\n', out);
}

static void print_sizes(FILE *out, const struct mw_stat_style *style, const struct mw_counts *c)
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
	fprintf(out, "  %s%20s %10s %11s%s\n", DIM(style), "size", "count", "bytes", PLAIN(style));
	for (unsigned int row = first; row <= last; row++) {
		char label[64], count[MW_UNIT_BUF], bytes[MW_UNIT_BUF], bar[MW_BAR_BUF];

		mw_size_row_label(label, sizeof(label), row);
		fprintf(out, "  %20s %10s %11s", label, mw_format_count(count, rows[row].count),
			mw_format_size(bytes, rows[row].bytes));
		if (rows[row].count)
			fprintf(out, "  %s%s%s", BLUE(style),
				mw_bar(bar, (double)rows[row].count / (double)largest.count,
				       BAR_WIDTH, style->utf8),
				PLAIN(style));
		fputc('\n', out);
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

static void print_lost(FILE *out, const struct mw_stat_style *style, const struct mw_counts *c)
{
	bool any = false;

	for (unsigned int i = 0; i < MW_LOSTS; i++) {
		if (!c->lost[i])
			continue;
		fprintf(out, "%s%s%s %" PRIu64, any ? "" : RED(style), any ? ", " : "  lost       ",
			mw_lost_name(i), c->lost[i]);
		any = true;
	}
	if (any)
		fprintf(out, "%s\n", PLAIN(style));
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

int mw_stat_report__text(FILE *out, const struct mw_stat_report *r,
			 const struct mw_stat_style *style)
{
	const struct mw_sample *s = style->total ? r->total : r->interval;

	print_head(out, r, style, s);
	if (r->mode != MW_MODE_GROWTH) {
		print_calls(out, r, style, s);
		print_sizes(out, style, &s->counts);
		if (r->mode == MW_MODE_EXACT)
			print_placement(out, &s->counts);
	}
	print_kernel(out, &s->counts.vm);
	for (unsigned int i = 0; i < MW_SDTS; i++) {
		char size[MW_UNIT_BUF];

		if (s->counts.sdt[i].count)
			fprintf(out, "  its own    %s %" PRIu64 " (%s)\n", mw_sdt_name(i),
				(uint64_t)s->counts.sdt[i].count,
				mw_format_size(size, s->counts.sdt[i].bytes));
	}
	print_thresholds(out, r->total);
	if (r->sites.sites)
		mw_sites_report__text(out, &r->sites, style->color);
	for (size_t i = 0; !style->total && i < r->event_count; i++)
		print_event(out, &r->events[i]);
	if (!style->total && r->events_dropped)
		fprintf(out, "  event      and %zu more\n", r->events_dropped);
	if (style->verbose)
		print_details(out, &s->counts);
	print_lost(out, style, &s->counts);
	if (r->total->governed) {
		fprintf(out,
			"  cost       about %.1f %% of the target's time, of %.1f %% allowed; probes are in %.1f %% of the time\n",
			100 * r->total->cost, 100 * r->total->budget, 100 * r->total->duty);
	} else if (r->mode != MW_MODE_GROWTH && s->cpu_ns) {
		double percent = 100 * (double)s->probe_ns / (double)s->cpu_ns;

		fprintf(out,
			"  cost       about %.1f %% of the target's CPU time is probes (estimated)\n",
			percent > 100 ? 100 : percent);
	}
	fputc('\n', out);
	return fflush(out) || ferror(out) ? -EIO : 0;
}
