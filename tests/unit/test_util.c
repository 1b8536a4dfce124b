// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>

#include "tests/unit/test.h"
#include "util/text.h"
#include "util/units.h"

TEST(sizes_are_read)
{
	uint64_t n;

	CHECK_INT(mw_parse_size("4096", &n), 0);
	CHECK_INT(n, 4096);
	CHECK_INT(mw_parse_size("128K", &n), 0);
	CHECK_INT(n, 131072);
	CHECK_INT(mw_parse_size("4.5 MiB", &n), 0);
	CHECK_INT(n, 4718592);
	CHECK_INT(mw_parse_size("1g", &n), 0);
	CHECK_INT(n, 1 << 30);
	CHECK_INT(mw_parse_size("7B", &n), 0);
	CHECK_INT(n, 7);
}

TEST(bad_sizes_are_refused)
{
	const char *bad[] = {"", "K", "-1", "1X", "1KK", "0x10", "inf", "nan", "1..2", "12 34"};
	uint64_t n;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK_INT(mw_parse_size(bad[i], &n), -EINVAL);
	CHECK_INT(mw_parse_size("8E", &n), -ERANGE);
	CHECK_INT(mw_parse_size("99999999999999999999999", &n), -ERANGE);
}

TEST(seconds_are_read)
{
	double s;

	CHECK_INT(mw_parse_seconds("250ms", &s), 0);
	CHECK(s == 0.25);
	CHECK_INT(mw_parse_seconds("2m", &s), 0);
	CHECK(s == 120);
	CHECK_INT(mw_parse_seconds("2x", &s), -EINVAL);
	CHECK_INT(mw_parse_seconds("-2", &s), -EINVAL);
}

TEST(sizes_are_printed)
{
	char buf[MW_UNIT_BUF];

	CHECK_STR(mw_format_size(buf, 0), "0 B");
	CHECK_STR(mw_format_size(buf, 1023), "1023 B");
	CHECK_STR(mw_format_size(buf, 1024), "1.0 KiB");
	CHECK_STR(mw_format_size(buf, 1048575), "1.0 MiB");
	CHECK_STR(mw_format_size(buf, 4404019), "4.2 MiB");
	CHECK_STR(mw_format_size(buf, UINT64_MAX), "16.0 EiB");
	CHECK_STR(mw_format_signed_size(buf, -2048), "-2.0 KiB");
	CHECK_STR(mw_format_signed_size(buf, INT64_MIN), "-8.0 EiB");
	CHECK_STR(mw_format_count(buf, 9999), "9999");
	CHECK_STR(mw_format_count(buf, 12345), "12.3k");
	CHECK_STR(mw_format_count(buf, 999960), "1.0M");
	CHECK_STR(mw_format_duration(buf, 999), "999 ns");
	CHECK_STR(mw_format_duration(buf, 1500000), "1.5 ms");
	CHECK_STR(mw_format_duration(buf, UINT64_MAX), "5124095.6 h");
}

static const char *clean(const char *text, size_t size)
{
	static char buf[256];

	return mw_text_clean(buf, size, text, strlen(text));
}

TEST(hostile_text_is_harmless)
{
	CHECK_STR(clean("plain", 64), "plain");
	CHECK_STR(clean("a\x1b[31mb\r\n", 64), "a?[31mb??");
	CHECK_STR(clean("gr\xc3\xbc\xc3\x9f", 64), "gr\xc3\xbc\xc3\x9f");
	CHECK_STR(clean("\xe2\x80\xae"
			"evil",
			64),
		  "?evil");					    /* right-to-left override */
	CHECK_STR(clean("\xff\xc3(\xed\xa0\x80", 64), "?\?(?\?\?"); /* invalid, surrogate */
	CHECK_STR(clean("\xc0\xaf", 64), "??");			    /* overlong */
	CHECK_STR(clean("0123456789", 8), "0123...");
	CHECK_STR(clean("0123456", 8), "0123456");
	CHECK_STR(clean("\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc", 8), "\xc3\xbc\xc3\xbc...");
	CHECK_STR(clean("abc", 1), "");
}

/* A name of two bytes a character that does not fit, and one that was cut within a character. */
TEST(names_that_do_not_fit_are_cut_between_characters)
{
	char text[12];

	CHECK_STR(mw_text_print(text, sizeof(text), "%s", "\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4"),
		  "\u00e4\u00e4\u00e4\u00e4...");
	CHECK_STR(mw_text_print(text, sizeof(text), "%.3s.%s", "\u00e4\u00e4", "b"), "\u00e4?.b");
}

TEST(a_label_that_is_cut_keeps_its_line)
{
	static const struct {
		const char *label, *fits;
	} cases[] = {
		{"app.py:13 index <- web.py:7 serve", "app.py:13 index <- web.py:7 serve"},
		{"app.py:13 index <- web.py:7 serve_forever",
		 "app.py:13 index <- web.py:7 serve.."},
		{"server.cc login:12 <- server.cc handle_one:13",
		 "server.cc login:12 <- server.cc h.."},
		{"redis-server createObject <- processMulti", "createObject <- processMulti"},
		{"redis-server createStringObject <- processMultibulkBuffer",
		 "createStringObject <- processMult.."},
		{"libstdc++.so.6 std::__cxx11::string::_M_assign <- x",
		 "std::__cxx11::string::_M_assign"},
		{"server.cc app::cache::Registry<Session>::insert_or_assign:127 <- main:3",
		 "app::cache::Registry<Session>..:127"},
		{"a_program_with_a_very_long_name+0x1234", "a_program_with_a_very_long_name+0.."},
	};
	char buf[256];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CHECK_STR(mw_text_fit_label(buf, sizeof(buf), cases[i].label, 35), cases[i].fits);
		CHECK(strlen(buf) <= 35);
	}
}
