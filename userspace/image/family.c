// SPDX-License-Identifier: GPL-2.0-or-later
#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "arch/arch.h"
#include "image/family.h"
#include "image/populated.h"
#include "image/procstat.h"
#include "image/remote.h"
#include "util/array.h"
#include "util/cleanup.h"
#include "util/file.h"
#include "util/units.h"

enum { PAGE = MW_PAGE_SIZE, BATCH = 4096, MEMBERS_MAX = 4096, AUXV_MAX = 1 << 16, RANDOM = 16 };

/* What members have in common. */
struct origin {
	char *auxv;
	size_t len;
	uint8_t random[RANDOM];
};

static int read_origin(struct origin *origin, pid_t pid)
{
	struct mw_remote remote = {0, -1, -1};
	uint64_t at = 0;
	char path[64];
	int ret;

	snprintf(path, sizeof(path), "/proc/%d/auxv", pid);
	ret = mw_file_read(path, AUXV_MAX, &origin->auxv, &origin->len);
	if (ret)
		return ret;
	for (size_t i = 0; i + sizeof(Elf64_auxv_t) <= origin->len; i += sizeof(Elf64_auxv_t)) {
		Elf64_auxv_t entry;

		memcpy(&entry, origin->auxv + i, sizeof(entry));
		at = entry.a_type == AT_RANDOM ? entry.a_un.a_val : at;
	}
	ret = at ? mw_remote__open(&remote, pid) : -ESRCH;
	if (!ret && mw_remote__read(&remote, at, origin->random, RANDOM) != RANDOM)
		ret = -ESRCH;
	mw_remote__close(&remote);
	return ret;
}

static bool has_origin(pid_t pid, const struct origin *origin)
{
	struct origin other = {0};
	bool same = !read_origin(&other, pid) && other.len == origin->len &&
		    !memcmp(other.auxv, origin->auxv, other.len) &&
		    !memcmp(other.random, origin->random, RANDOM);

	free(other.auxv);
	return same;
}

/* The sum of the lines of TEXT that begin with NAME and a colon, bytes. */
static uint64_t size_in(const char *text, const char *name)
{
	const char *line = strstr(text, name);

	return line ? strtoull(line + strlen(name), NULL, 10) << 10 : 0;
}

static int add_member(struct mw_family *family, pid_t pid)
{
	_cleanup_free_ char *text = NULL;
	struct mw_procstat stat;
	char path[64];
	size_t len;

	snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", pid);
	/* One that has ended meanwhile is none. */
	if (mw_procstat__read(&stat, pid) || mw_file_read(path, AUXV_MAX, &text, &len))
		return 0;
	if (family->count >= MEMBERS_MAX ||
	    mw_array_reserve(&family->members, &family->capacity, family->count + 1,
			     sizeof(*family->members)))
		return -ENOMEM;
	family->members[family->count++] = (struct mw_member){
		.pid = pid,
		.start_time = stat.start_time,
		.resident = size_in(text, "\nRss:"),
		.proportional = size_in(text, "\nPss:"),
		.own = size_in(text, "\nPrivate_Clean:") + size_in(text, "\nPrivate_Dirty:"),
	};
	return 0;
}

static int by_age(const void *a, const void *b)
{
	const struct mw_member *x = a, *y = b;

	if (x->start_time != y->start_time)
		return x->start_time < y->start_time ? -1 : 1;
	return x->pid < y->pid ? -1 : x->pid > y->pid;
}

int mw_family__find(struct mw_family *family, pid_t pid, struct mw_err *err)
{
	_cleanup_closedir_ DIR *proc = opendir("/proc");
	struct origin origin = {0};
	struct dirent *entry;
	char where[32];
	int ret = read_origin(&origin, pid);

	snprintf(where, sizeof(where), "PID %d", pid);
	memset(family, 0, sizeof(*family));
	if (ret)
		mw_err_set(err, ret, "unreadable", where, "its auxiliary vector can't be read");
	while (!ret && proc && (entry = readdir(proc))) {
		uint64_t n;

		if (mw_parse_uint(entry->d_name, 1, INT32_MAX, &n) ||
		    !has_origin((pid_t)n, &origin))
			continue;
		if (add_member(family, (pid_t)n))
			ret = mw_err_no_memory(err, where);
	}
	free(origin.auxv);
	if (family->count)
		qsort(family->members, family->count, sizeof(*family->members), by_age);
	return ret;
}

int mw_family__of(struct mw_family *family, const pid_t *pids, size_t count, struct mw_err *err)
{
	int ret = 0;

	memset(family, 0, sizeof(*family));
	for (size_t i = 0; i < count && !ret; i++) {
		if (add_member(family, pids[i]))
			ret = mw_err_no_memory(err, NULL);
	}
	if (family->count)
		qsort(family->members, family->count, sizeof(*family->members), by_age);
	return ret;
}

void mw_family__free(struct mw_family *family)
{
	free(family->members);
}

static int add_own(int pagemap, const struct mw_span *span, struct mw_spans *out)
{
	uint64_t entries[BATCH];
	int ret = 0;

	for (uint64_t addr = span->start; addr < span->end && !ret;) {
		size_t want = (span->end - addr) / PAGE < BATCH ? (span->end - addr) / PAGE : BATCH;
		ssize_t n = pread(pagemap, entries, want * 8, (off_t)(addr / PAGE * 8));

		if (n < 8)
			return n < 0 ? -errno : 0;
		for (size_t i = 0; i < (size_t)n / 8 && !ret; i++) {
			if (entries[i] & MW_PM_ALONE)
				ret = mw_spans__add(out, addr + i * PAGE, addr + (i + 1) * PAGE);
		}
		addr += (uint64_t)n / 8 * PAGE;
	}
	return ret;
}

int mw_family__own_pages(struct mw_image *image, struct mw_spans *out)
{
	const struct mw_spans *spans;
	int ret = mw_image__spans(image, &spans);
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/pagemap", mw_image__process(image));
	_cleanup_close_ int pagemap = open(path, O_RDONLY | O_CLOEXEC);

	if (pagemap < 0)
		return -errno;
	for (size_t i = 0; i < spans->count && !ret; i++)
		ret = add_own(pagemap, &spans->spans[i], out);
	return ret;
}
