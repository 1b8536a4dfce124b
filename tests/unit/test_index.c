// SPDX-License-Identifier: GPL-2.0-or-later
/* An index file is used whole, as it was written and of the very same file, or not at all. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/test.h"
#include "util/file.h"
#include "util/index_file.h"

enum { NUMBERS = 3001 };

static char folder[] = "/tmp/test_index.XXXXXX", subject[64], path[64];
static uint32_t numbers[NUMBERS];
static const uint64_t wide[] = {7, 11, 13};

static void write_file(const char *name, const void *data, size_t size)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	CHECK(fd >= 0 && write(fd, data, size) == (ssize_t)size && !close(fd));
}

static struct mw_index_key key_of(const char *name)
{
	struct mw_index_key key = {.maker = "test 1"};

	CHECK_INT(mw_index_key__set_subject(&key, name, ""), 0);
	return key;
}

/* An index of the file SUBJECT. */
static void make(void)
{
	static bool made;
	struct mw_index_writer *w;
	struct mw_index_key key;

	if (!made) {
		CHECK(mkdtemp(folder));
		snprintf(subject, sizeof(subject), "%s/core", folder);
		snprintf(path, sizeof(path), "%s/core.mwindex", folder);
		for (uint32_t i = 0; i < NUMBERS; i++)
			numbers[i] = i * i;
		write_file(subject, numbers, sizeof(numbers));
		made = true;
	}
	key = key_of(subject);
	w = mw_index_writer__open(path, 0640, NULL);
	CHECK(w);
	mw_index_writer__add(w, 5, numbers, sizeof(*numbers), NUMBERS);
	mw_index_writer__add(w, 6, wide, sizeof(*wide), 3);
	mw_index_writer__add(w, 7, NULL, 24, 0);
	CHECK_INT(mw_index_writer__commit(w, &key, NULL), 0);
}

static unsigned int count_files(void)
{
	DIR *dir = opendir(folder);
	unsigned int n = 0;

	while (readdir(dir))
		n++;
	closedir(dir);
	return n - 2; /* . and .. */
}

/* Does the index at PATH give what was put into it? */
static bool is_usable(struct mw_index *index)
{
	uint64_t n = 0, k = 0, none = 1;
	const uint32_t *a = index ? mw_index__array(index, 5, sizeof(*a), &n) : NULL;
	const uint64_t *b = index ? mw_index__array(index, 6, sizeof(*b), &k) : NULL;
	bool all = a && b && n == NUMBERS && k == 3 && mw_index__array(index, 7, 24, &none) &&
		   !none && !memcmp(a, numbers, sizeof(numbers)) && !memcmp(b, wide, sizeof(wide));

	/* Nothing else is in it. */
	CHECK(!index || (!mw_index__array(index, 8, 4, &n) && !mw_index__array(index, 5, 8, &n)));
	return all;
}

TEST(what_was_written_is_read_and_nothing_else_is_left)
{
	struct mw_index_key key;
	struct mw_index *index;
	struct stat st;

	make();
	make(); /* again, in its place */
	CHECK_INT(count_files(), 2);
	CHECK(!stat(path, &st));
	CHECK_INT(st.st_mode & 0777, 0640);
	key = key_of(subject);
	index = mw_index__open(path, &key, NULL);
	CHECK(is_usable(index));
	mw_index__close(index);
}

TEST(an_index_that_is_given_up_leaves_the_old_one)
{
	struct mw_index_key key;
	struct mw_index_writer *w;
	struct mw_index *index;

	make();
	w = mw_index_writer__open(path, 0600, NULL);
	CHECK(w);
	mw_index_writer__add(w, 5, wide, sizeof(*wide), 3);
	mw_index_writer__cancel(w);
	CHECK_INT(count_files(), 2);
	key = key_of(subject);
	index = mw_index__open(path, &key, NULL);
	CHECK(is_usable(index));
	mw_index__close(index);
}

TEST(where_nothing_can_be_written_that_is_said)
{
	struct mw_err err = {0};

	CHECK(!mw_index_writer__open("/proc/no/such.mwindex", 0600, &err));
	CHECK_INT(err.code, -ENOENT);
	CHECK(!mw_index_writer__open("/proc/such.mwindex", 0600, &err));
	CHECK_STR(err.name, "unwritable");
}

/* What the file is opened as with another key: the errno, or 0. */
static int open_with(const struct mw_index_key *key)
{
	struct mw_err err = {0};
	struct mw_index *index = mw_index__open(path, key, &err);

	mw_index__close(index);
	CHECK_INT(!index, err.code != 0);
	return index ? 0 : err.code;
}

TEST(another_program_and_another_file)
{
	struct mw_index_key key;
	const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = 1234567}};
	char other[80];

	make();
	key = key_of(subject);
	CHECK_INT(open_with(&key), 0);
	strcpy(key.maker, "test 2");
	CHECK_INT(open_with(&key), -ESTALE);
	CHECK_INT(mw_index_key__set_subject(&key, subject, "another folder of files"), 0);
	strcpy(key.maker, "test 1");
	CHECK_INT(open_with(&key), -ESTALE);
	/* As long, and as old, but not the same. */
	snprintf(other, sizeof(other), "%s/other", folder);
	numbers[NUMBERS / 2]++;
	write_file(other, numbers, sizeof(numbers));
	numbers[NUMBERS / 2]--;
	CHECK(!utimensat(AT_FDCWD, subject, times, 0) && !utimensat(AT_FDCWD, other, times, 0));
	make();
	key = key_of(subject);
	CHECK_INT(open_with(&key), 0);
	key = key_of(other);
	CHECK_INT(open_with(&key), -ESTALE);
	CHECK(!unlink(other));
	/* Written to since. */
	CHECK(!utimensat(AT_FDCWD, subject, NULL, 0));
	key = key_of(subject);
	CHECK_INT(open_with(&key), -ESTALE);
	CHECK(!unlink(path));
	CHECK_INT(open_with(&key), -ENOENT);
}

TEST(cut_short_or_with_any_bit_flipped)
{
	struct mw_index_key key;
	struct mw_index *index;
	char *bytes;
	size_t size;

	make();
	key = key_of(subject);
	CHECK_INT(mw_file_read(path, 1 << 20, &bytes, &size), 0);
	for (size_t n = 0; n < size; n += 97) {
		index = mw_index__of(bytes, n, &key, true, NULL);
		CHECK(!is_usable(index));
		mw_index__close(index);
	}
	for (size_t i = 0; i < size; i++) {
		bytes[i] ^= (char)(1 << i % 8);
		index = mw_index__of(bytes, size, &key, true, NULL);
		/* What lies between the arrays means nothing. */
		CHECK(!is_usable(index) || (uint8_t)bytes[i] == 1 << i % 8);
		mw_index__close(index);
		bytes[i] ^= (char)(1 << i % 8);
	}
	index = mw_index__of(bytes, size, &key, true, NULL);
	CHECK(is_usable(index));
	mw_index__close(index);
	free(bytes);
}

TEST(the_end)
{
	CHECK(!unlink(path) && !unlink(subject) && !rmdir(folder));
}
