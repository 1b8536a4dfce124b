// SPDX-License-Identifier: GPL-2.0-or-later
/* The one option table: parsing, help texts and completion are all made from it. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cmd/cmd.h"
#include "cmd/options.h"
#include "util/array.h"
#include "util/units.h"

#define FIELD(name) offsetof(struct mw_options, name)

const struct mw_option mw_option_table[] = {
	{"interval", 'i', MW_OPT_SECONDS, FIELD(interval), MW_CMD_TRACING, "SECONDS",
	 "time between two reports (default 1s)", NULL},
	{"count", 'n', MW_OPT_UINT, FIELD(count), MW_CMD_TRACING, "COUNT",
	 "stop after COUNT reports", NULL},
	{"duration", 0, MW_OPT_SECONDS, FIELD(duration), MW_CMD_TRACING, "SECONDS",
	 "stop after this long", NULL},
	{"mode", 'm', MW_OPT_WORD, FIELD(mode), MW_CMD_TRACING, "MODE",
	 "growth: system calls only; sizes: + entry probes; exact: + return probes; auto (default): "
	 "exact, as far as --max-overhead allows",
	 "auto growth sizes exact"},
	{"max-overhead", 0, MW_OPT_TEXT, FIELD(max_overhead), MW_CMD_TRACING, "PERCENT",
	 "of the target's time that probes may cost (default 2; 0: no allocator probes), or unlimited",
	 NULL},
	{"follow", 'f', MW_OPT_FLAG, FIELD(follow), MW_CMD_TRACING, NULL,
	 "watch the children, too: those that are there, and new ones from their first instruction on",
	 NULL},
	{"min-size", 0, MW_OPT_SIZE, FIELD(min_size), MW_CMD_TRACING, "SIZE",
	 "count only requests of at least SIZE bytes", NULL},
	{"max-size", 0, MW_OPT_SIZE, FIELD(max_size), MW_CMD_TRACING, "SIZE",
	 "count only requests of at most SIZE bytes", NULL},
	{"max-outstanding", 0, MW_OPT_UINT, FIELD(max_outstanding), MW_CMD_TRACING, "N",
	 "remember at most N blocks that were not freed yet (default 4194304)", NULL},
	{"ring-size", 0, MW_OPT_SIZE, FIELD(ring_size), MW_CMD_TRACING, "SIZE",
	 "buffer for events on their way to the report (default 256K)", NULL},
	{"sites", 's', MW_OPT_WORD, FIELD(sites), MW_CMD_TRACING, "WHICH",
	 "stacks of sampled allocations (default), leaf: the line of all, all: stacks of all, none",
	 "sampled leaf all none"},
	{"sample", 0, MW_OPT_SIZE, FIELD(sample), MW_CMD_TRACING, "SIZE",
	 "bytes allocated between two samples, on average (default 512K; under a budget 16K)",
	 NULL},
	{"by", 0, MW_OPT_WORD, FIELD(by), MW_CMD_TRACING, "WHAT",
	 "rank sites by outstanding, growth, allocs, bytes or faults (default: as the mode knows)",
	 "auto outstanding growth allocs bytes faults"},
	{"top", 't', MW_OPT_UINT, FIELD(top), MW_CMD_TRACING, "N", "show N sites (default 5)",
	 NULL},
	{"stacks", 0, MW_OPT_FLAG, FIELD(stacks), MW_CMD_TRACING, NULL,
	 "show the whole stack of each site", NULL},
	{"json", 'j', MW_OPT_FLAG, FIELD(json), MW_CMD_ANY, NULL,
	 "print JSON, one object a line for streams; errors, too", NULL},
	{"verbose", 'v', MW_OPT_FLAG, FIELD(verbose), MW_CMD_ANY, NULL,
	 "say what was found, how, and what it costs", NULL},
	{"quiet", 'q', MW_OPT_FLAG, FIELD(quiet), MW_CMD_ANY, NULL, "no warnings, no progress",
	 NULL},
	{"output", 'o', MW_OPT_TEXT, FIELD(output), MW_CMD_ANY, "FILE",
	 "write there, not to stdout", NULL},
	{"exe", 0, MW_OPT_TEXT, FIELD(exe), MW_CMD_HEAP, "FILE", "the core's executable", NULL},
	{"sysroot", 0, MW_OPT_TEXT, FIELD(sysroot), MW_CMD_HEAP, "DIR",
	 "where the files of a core's machine are", NULL},
	{"stop", 0, MW_OPT_FLAG, FIELD(stop), MW_CMD_HEAP, NULL,
	 "hold all threads while the memory is read, so that nothing changes meanwhile", NULL},
	{"depth", 0, MW_OPT_UINT, FIELD(depth), MW_CMD_LEDGER, "N",
	 "levels of the tree of owners (default 3)", NULL},
	{"zstd", 'z', MW_OPT_FLAG, FIELD(zstd), MW_CMD_SNAPSHOT, NULL, "compress the snapshot",
	 NULL},
	{"at-rss", 0, MW_OPT_SIZE, FIELD(at_rss), MW_CMD_SNAPSHOT, "SIZE",
	 "wait until the process has SIZE in memory, then take it", NULL},
	{"at-growth", 0, MW_OPT_RATE, FIELD(at_growth), MW_CMD_SNAPSHOT, "SIZE/S",
	 "wait until it grows by SIZE within a second, then take it", NULL},
	{"color", 0, MW_OPT_COLOR, FIELD(color), MW_CMD_ANY, "WHEN",
	 "auto (default), always or never", "auto always never"},
	{NULL, 'h', MW_OPT_FLAG, FIELD(help_short), MW_CMD_ANY, NULL, "this short help", NULL},
	{"help", 0, MW_OPT_FLAG, FIELD(help_long), MW_CMD_ANY, NULL, "the whole help", NULL},
	{0},
};

static void set_defaults(struct mw_options *opt)
{
	opt->mode = "auto";
	opt->interval = 1;
	opt->max_size = UINT64_MAX;
	opt->max_outstanding = 4 << 20;
	opt->ring_size = 256 << 10;
	opt->sites = "sampled";
	opt->sample = MW_SAMPLE_AUTO;
	opt->by = "auto";
	opt->top = 5;
}

static bool is_choice(const char *choices, const char *word)
{
	size_t n = strlen(word);

	for (const char *c = choices; n && (c = strstr(c, word)); c++) {
		if ((c == choices || c[-1] == ' ') && (c[n] == ' ' || !c[n]))
			return true;
	}
	return false;
}

/* "10M/s", or without the "/s". */
static int parse_rate(const char *arg, uint64_t *value)
{
	const char *slash = strchr(arg, '/');
	char size[32];

	if (slash && strcasecmp(slash, "/s"))
		return -EINVAL;
	snprintf(size, sizeof(size), "%.*s", slash ? (int)(slash - arg) : 31, arg);
	return mw_parse_size(size, value);
}

static int store(struct mw_options *opt, const struct mw_option *row, const char *arg,
		 struct mw_err *err)
{
	void *field = (char *)opt + row->field;
	int ret = 0;

	if (row->choices && !is_choice(row->choices, arg))
		return mw_err_set(err, -EINVAL, "usage", row->name, "'%.40s' is none of: %s", arg,
				  row->choices);
	switch (row->kind) {
	case MW_OPT_FLAG:
		*(bool *)field = true;
		break;
	case MW_OPT_TEXT:
	case MW_OPT_WORD:
		*(const char **)field = arg;
		break;
	case MW_OPT_COLOR:
		*(enum mw_color *)field = !strcmp(arg, "always")  ? MW_COLOR_ALWAYS
					  : !strcmp(arg, "never") ? MW_COLOR_NEVER
								  : MW_COLOR_AUTO;
		break;
	case MW_OPT_SIZE:
		ret = mw_parse_size(arg, field);
		break;
	case MW_OPT_RATE:
		ret = parse_rate(arg, field);
		break;
	case MW_OPT_SECONDS:
		ret = mw_parse_seconds(arg, field);
		if (!ret && *(double *)field > 1e9)
			ret = -ERANGE;
		break;
	case MW_OPT_UINT:
		ret = mw_parse_uint(arg, 1, UINT32_MAX, field);
		break;
	}
	if (ret == -ERANGE)
		return mw_err_set(err, -EINVAL, "usage", row->name, "'%.40s' is out of range", arg);
	if (ret)
		return mw_err_set(err, -EINVAL, "usage", row->name, "'%.40s' is not a %s%s", arg,
				  row->kind == MW_OPT_SIZE || row->kind == MW_OPT_RATE ? "size"
				  : row->kind == MW_OPT_SECONDS			       ? "time"
								: "whole number",
				  row->kind == MW_OPT_SIZE ? ", such as 512, 64K or 4.5M" : "");
	return 0;
}

/* Values that can't go together or make no sense, after all words were read. */
static int check(const struct mw_options *opt, struct mw_err *err)
{
	if (opt->interval < 0.01)
		return mw_err_set(err, -EINVAL, "usage", "interval",
				  "the shortest interval is 10ms");
	if (opt->min_size > opt->max_size)
		return mw_err_set(err, -EINVAL, "usage", "min-size",
				  "is above --max-size, so no request would count");
	if (opt->max_outstanding > 1u << 28)
		return mw_err_set(err, -EINVAL, "usage", "max-outstanding",
				  "at most 268435456 (each entry takes about 100 bytes)");
	if (opt->ring_size < 4096 || opt->ring_size > 1 << 30)
		return mw_err_set(err, -EINVAL, "usage", "ring-size", "between 4K and 1G");
	if (opt->sample != MW_SAMPLE_AUTO && (opt->sample < 1 || opt->sample > 1ULL << 32))
		return mw_err_set(err, -EINVAL, "usage", "sample", "between 1 and 4G");
	if (opt->top > 1000)
		return mw_err_set(err, -EINVAL, "usage", "top", "at most 1000");
	return 0;
}

int mw_options_parse(struct mw_options *opt, const struct mw_command *command, int argc,
		     char **argv, struct mw_err *err)
{
	struct option longs[MW_ARRAY_SIZE(mw_option_table)] = {{0}};
	char shorts[2 * MW_ARRAY_SIZE(mw_option_table) + 2] = ":";
	size_t nlong = 0, nshort = 1;
	int c, index;

	memset(opt, 0, sizeof(*opt));
	set_defaults(opt);
	opt->command = command;
	for (size_t i = 0; mw_option_table[i].help; i++) {
		const struct mw_option *row = &mw_option_table[i];

		if (!(row->commands & command->id))
			continue;
		if (row->name)
			longs[nlong++] = (struct option){row->name,
							 row->arg ? required_argument : no_argument,
							 NULL, 256 + (int)i};
		if (row->letter) {
			shorts[nshort++] = row->letter;
			if (row->arg)
				shorts[nshort++] = ':';
		}
		shorts[nshort] = '\0';
		/* --json must be known before the first error is printed. */
		for (int k = 1; k < argc && row->field == FIELD(json) && row->name; k++)
			opt->json |= !strcmp(argv[k], "--json") || !strcmp(argv[k], "-j");
	}
	opterr = 0;
	optind = 1;
	while ((c = getopt_long(argc, argv, shorts, longs, &index)) != -1) {
		const struct mw_option *row = NULL;
		int ret;

		if (c == '?' || c == ':') {
			const char *word = argv[optind - 1];

			if (c == ':')
				return mw_err_set(err, -EINVAL, "usage", command->name,
						  "option '%.40s' wants a value", word);
			return mw_err_set(err, -EINVAL, "usage", command->name,
					  "unknown option '%.40s' (memwhere %s --help lists them)",
					  word, command->name);
		}
		for (size_t i = 0; mw_option_table[i].help && !row; i++) {
			if (c == 256 + (int)i || (c < 256 && mw_option_table[i].letter == (char)c &&
						  (mw_option_table[i].commands & command->id)))
				row = &mw_option_table[i];
		}
		ret = row ? store(opt, row, optarg, err) : -EINVAL;
		if (ret)
			return ret;
	}
	opt->argc = argc - optind;
	opt->argv = argv + optind;
	return check(opt, err);
}

void mw_options_print_help(FILE *out, const struct mw_command *command, bool full)
{
	fprintf(out, "usage: memwhere %s %s\n\n%s.\n", command->name, command->args,
		command->summary);
	if (full && command->about)
		fprintf(out, "\n%s\n", command->about);
	fprintf(out, "\noptions:\n");
	for (const struct mw_option *row = mw_option_table; row->help; row++) {
		char left[40], letter[8] = "    ";

		if (!(row->commands & command->id))
			continue;
		if (row->letter)
			snprintf(letter, sizeof(letter), "-%c%s", row->letter,
				 row->name ? ", " : "");
		snprintf(left, sizeof(left), "%s%s%s%s%s", letter, row->name ? "--" : "",
			 row->name ? row->name : "", row->arg ? " " : "", row->arg ? row->arg : "");
		fprintf(out, "  %-26s %s\n", left, row->help);
	}
	if (full)
		fprintf(out,
			"\nExit status: 0 done, 1 could not, 2 usage. The manual: memwhere help %s\n",
			command->name);
}
