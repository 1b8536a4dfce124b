/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The unit tests' frame. Each TEST is a function; main runs all and ends with the lines that
 * tests/run.sh adds up. A failed CHECK ends its test and prints both values.
 */
#ifndef MW_TEST_H
#define MW_TEST_H

#include <inttypes.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct test_case {
	const char *name;
	void (*run)(void);
	struct test_case *next;
};

static struct test_case *test_first, **test_last = &test_first;
static jmp_buf test_failed;

#define TEST(name_)                                                                                \
	static void test_##name_(void);                                                            \
	static struct test_case case_##name_ = {#name_, test_##name_, NULL};                       \
	__attribute__((constructor)) static void register_##name_(void)                            \
	{                                                                                          \
		*test_last = &case_##name_;                                                        \
		test_last = &case_##name_.next;                                                    \
	}                                                                                          \
	static void test_##name_(void)

#define TEST_FAIL(...)                                                                             \
	do {                                                                                       \
		printf("  %s:%d: ", __FILE__, __LINE__);                                           \
		printf(__VA_ARGS__);                                                               \
		printf("\n");                                                                      \
		longjmp(test_failed, 1);                                                           \
	} while (0)

#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition))                                                                  \
			TEST_FAIL("not true: %s", #condition);                                     \
	} while (0)

#define CHECK_INT(got_, want_)                                                                     \
	do {                                                                                       \
		long long got__ = (long long)(got_), want__ = (long long)(want_);                  \
		if (got__ != want__)                                                               \
			TEST_FAIL("%s is %lld, expected %lld", #got_, got__, want__);              \
	} while (0)

#define CHECK_STR(got_, want_)                                                                     \
	do {                                                                                       \
		const char *got__ = (got_), *want__ = (want_);                                     \
		if (!got__ || strcmp(got__, want__))                                               \
			TEST_FAIL("%s is \"%s\", expected \"%s\"", #got_, got__ ? got__ : "NULL",  \
				  want__);                                                         \
	} while (0)

int main(void)
{
	volatile unsigned int passed = 0, failed = 0;

	for (struct test_case *volatile c = test_first; c; c = c->next) {
		if (setjmp(test_failed)) {
			printf("not ok %s\n", c->name);
			failed++;
			continue;
		}
		c->run();
		printf("ok %s\n", c->name);
		passed++;
	}
	printf("%u passed, %u failed, 0 skipped\n", passed, failed);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif
