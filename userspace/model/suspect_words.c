// SPDX-License-Identifier: GPL-2.0-or-later
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "model/suspect_words.h"
#include "util/text.h"
#include "util/units.h"

/* "12,400", of an estimate. */
static char *format_grouped(char *buf, double n)
{
	char digits[MW_UNIT_BUF];
	size_t len, out = 0;

	snprintf(digits, sizeof(digits), "%.0f", n > 0 ? fmin(n, 1e12) : 0);
	len = strlen(digits);
	for (size_t i = 0; i < len; i++) {
		if (i && (len - i) % 3 == 0)
			buf[out++] = ',';
		buf[out++] = digits[i];
	}
	buf[out] = '\0';
	return buf;
}

/* "10 min", "2.5 min": without the ".0" of one that is whole. */
static char *format_age(char *buf, double seconds)
{
	char *zero;

	mw_format_duration(buf, seconds > 0 && seconds < 1e9 ? (uint64_t)(seconds * 1e9) : 0);
	zero = strstr(buf, ".0 ");
	if (zero)
		memmove(zero, zero + 2, strlen(zero + 2) + 1);
	return buf;
}

static char *format_bytes(char *buf, double bytes)
{
	return mw_format_size(buf, bytes > 0 && bytes < 0x1p63 ? (uint64_t)bytes : 0);
}

/* "+2.1 MiB/min (±0.2)" */
static void format_rate(char *buf, size_t size, double slope, double error)
{
	const char *per = slope * 60 >= 1024 ? "min" : "h";
	double rate = slope * (slope * 60 >= 1024 ? 60 : 3600), unit = rate;
	char text[MW_UNIT_BUF];
	int n;

	if (!isfinite(rate))
		rate = unit = 0;
	error *= slope > 0 ? rate / slope : 0;
	for (; unit >= 1023.95; unit /= 1024)
		error /= 1024;
	mw_format_signed_size(text, rate < 0x1p62 ? (int64_t)(rate + 0.5) : INT64_MAX);
	n = snprintf(buf, size, "%s/%s", text, per);
	if (error >= 0.05 && n > 0 && (size_t)n < size)
		snprintf(buf + n, size - (size_t)n, " (±%.1f)", error);
}

/* What the kernel gave says who asked, not who keeps. */
static void growth_words(const struct mw_site_stats *site, double seen, const char *rate, char *buf,
			 size_t size)
{
	char a[MW_UNIT_BUF + 8], b[MW_UNIT_BUF + 8], age[MW_UNIT_BUF];

	format_age(age, seen);
	if (!(site->totals.grown_bytes > 0))
		snprintf(buf, size,
			 "%s of pages first touched in %s; what was given back is not seen", rate,
			 age);
	else if (!(site->totals.returned_bytes > 0))
		snprintf(buf, size, "%s of new memory from the kernel, none returned in %s", rate,
			 age);
	else
		snprintf(buf, size, "%s of new memory from the kernel, %s of %s returned in %s",
			 rate, format_bytes(a, site->totals.returned_bytes),
			 format_bytes(b, site->totals.grown_bytes), age);
}

static void suspect_words(const struct mw_site_stats *site, double now,
			  const struct mw_suspect *suspect, char *buf, size_t size)
{
	char rate[64], a[MW_UNIT_BUF + 8], b[MW_UNIT_BUF + 8], age[MW_UNIT_BUF];
	double seen = now - (site->first_seen > 0 ? site->first_seen : 0);
	const char *hint = seen < 600 ? " so far; a cache that still fills looks the same" : "";

	format_rate(rate, sizeof(rate), suspect->slope, suspect->slope_error);
	if (suspect->by_growth)
		growth_words(site, seen, rate, buf, size);
	else if (suspect->by_resizing)
		snprintf(buf, size, "%s by resizing blocks, in %s%s", rate, format_age(age, seen),
			 hint);
	else if (suspect->born > 0)
		snprintf(buf, size, "%s, %s of %s objects freed after %s%s", rate,
			 format_grouped(a, suspect->freed), format_grouped(b, suspect->born),
			 format_age(age, suspect->age), hint);
	else
		snprintf(buf, size, "%s in %s%s", rate, format_age(age, seen), hint);
}

void mw_suspect__write(const struct mw_site_stats *site, const struct mw_series *s, double startup,
		       struct mw_suspect *out)
{
	char words[200], text[MW_SENTENCE_SIZE], a[MW_UNIT_BUF], b[MW_UNIT_BUF + 8];
	char c[MW_UNIT_BUF + 8], age[MW_UNIT_BUF];
	double holds = s->n ? s->y[s->n - 1] : 0, most = 0;
	struct mw_series w = mw_series__since(s, s->begin + startup * (s->now - s->begin));

	for (size_t i = 0; i < w.n; i++)
		most = fmax(most, w.y[i]);
	switch (out->verdict) {
	case MW_VERDICT_SUSPECT:
		suspect_words(site, s->now, out, words, sizeof(words));
		break;
	case MW_VERDICT_LEVELS:
		if (out->born > 0 && out->freed > 0.5 * out->born)
			snprintf(words, sizeof(words),
				 "%s, and what is old goes: %s of %s objects freed after %s",
				 format_bytes(a, holds), format_grouped(b, out->freed),
				 format_grouped(c, out->born), format_age(age, out->age));
		else
			snprintf(words, sizeof(words), "levels off at %s", format_bytes(a, holds));
		break;
	case MW_VERDICT_PERIODIC:
		snprintf(words, sizeof(words), "comes and goes between %s and %s",
			 format_bytes(a, mw_series__smallest(&w, w.begin, w.now)),
			 format_bytes(b, most));
		break;
	case MW_VERDICT_STARTUP:
		snprintf(words, sizeof(words), "%s from the start, no more since",
			 format_bytes(a, holds));
		break;
	case MW_VERDICT_STEADY:
		snprintf(words, sizeof(words), "%s, no growth that stands out",
			 format_bytes(a, holds));
		break;
	case MW_VERDICT_EARLY:
		snprintf(words, sizeof(words), "too little seen to say");
		break;
	}
	snprintf(text, sizeof(text), "%s: %s", out->label, words);
	mw_text_clean(out->sentence, sizeof(out->sentence), text, strlen(text));
}
