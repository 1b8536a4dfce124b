// SPDX-License-Identifier: GPL-2.0-or-later
#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>

#include "image/freeze.h"
#include "util/array.h"
#include "util/cleanup.h"
#include "util/units.h"

enum { ROUNDS = 16 };

struct mw_freeze {
	pid_t *tids;
	size_t count, capacity;
	struct timespec since;
};

static bool holds(const struct mw_freeze *freeze, pid_t tid)
{
	for (size_t i = 0; i < freeze->count; i++) {
		if (freeze->tids[i] == tid)
			return true;
	}
	return false;
}

/* Wait until TID has stopped. A signal that came first is delivered. */
static int wait_stop(pid_t tid)
{
	for (;;) {
		int status;
		pid_t got = waitpid(tid, &status, __WALL);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (WIFEXITED(status) || WIFSIGNALED(status))
			return -ESRCH;
		if (status >> 16 == PTRACE_EVENT_STOP)
			return 0;
		/* Some other stop: deliver its signal; the interrupt is still to come. */
		ptrace(PTRACE_CONT, tid, NULL, WIFSTOPPED(status) ? WSTOPSIG(status) : 0);
	}
}

/* Stop the threads that are not held yet. Returns how many, or -errno. */
static int stop_new(struct mw_freeze *freeze, pid_t pid)
{
	char path[64];
	struct dirent *entry;
	int found = 0;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	_cleanup_closedir_ DIR *dir = opendir(path);

	if (!dir)
		return -ESRCH;
	while ((entry = readdir(dir))) {
		uint64_t tid;

		if (mw_parse_uint(entry->d_name, 1, INT32_MAX, &tid) || holds(freeze, (pid_t)tid))
			continue;
		if (mw_array_reserve(&freeze->tids, &freeze->capacity, freeze->count + 1,
				     sizeof(*freeze->tids)))
			return -ENOMEM;
		if (ptrace(PTRACE_SEIZE, (pid_t)tid, NULL, NULL)) {
			if (errno == ESRCH)
				continue;
			return -errno;
		}
		freeze->tids[freeze->count++] = (pid_t)tid;
		if (ptrace(PTRACE_INTERRUPT, (pid_t)tid, NULL, NULL) || wait_stop((pid_t)tid)) {
			freeze->count--; /* it ended meanwhile */
			continue;
		}
		found++;
	}
	return found;
}

struct mw_freeze *mw_freeze__start(pid_t pid, struct mw_err *err)
{
	struct mw_freeze *freeze = calloc(1, sizeof(*freeze));
	char where[32];
	int ret = freeze ? 1 : -ENOMEM;

	if (freeze)
		clock_gettime(CLOCK_MONOTONIC, &freeze->since);
	/* A thread that still runs may start another: repeat until a round finds none. */
	for (int i = 0; i < ROUNDS && ret > 0; i++)
		ret = stop_new(freeze, pid);
	if (ret >= 0 && freeze->count)
		return freeze;
	ret = ret < 0 ? ret : -ESRCH;
	snprintf(where, sizeof(where), "PID %d", pid);
	mw_err_set(err, ret, ret == -EPERM ? "no-privilege" : "no-stop", where,
		   "can't stop it: %s%s%s", strerror(-ret),
		   ret == -EPERM ? "; is another debugger attached? Else " : "",
		   ret == -EPERM ? mw_err_access_hint() : "");
	mw_freeze__end(freeze);
	errno = -ret;
	return NULL;
}

uint64_t mw_freeze__end(struct mw_freeze *freeze)
{
	struct timespec now;
	uint64_t held;

	if (!freeze)
		return 0;
	for (size_t i = 0; i < freeze->count; i++)
		ptrace(PTRACE_DETACH, freeze->tids[i], NULL, NULL);
	clock_gettime(CLOCK_MONOTONIC, &now);
	held = (uint64_t)(now.tv_sec - freeze->since.tv_sec) * 1000000000 + (uint64_t)now.tv_nsec -
	       (uint64_t)freeze->since.tv_nsec;
	free(freeze->tids);
	free(freeze);
	return held;
}

size_t mw_freeze__count(const struct mw_freeze *freeze)
{
	return freeze->count;
}

pid_t mw_freeze__tid(const struct mw_freeze *freeze, size_t i)
{
	return freeze->tids[i];
}

int mw_freeze__registers(const struct mw_freeze *freeze, size_t i, int type, void *buf, size_t *len)
{
	struct iovec iov = {buf, *len};

	if (ptrace(PTRACE_GETREGSET, freeze->tids[i], (void *)(intptr_t)type, &iov))
		return -errno;
	*len = iov.iov_len;
	return 0;
}

void mw_freeze__still(const struct mw_freeze *freeze, struct mw_image *image)
{
	static const uint32_t types[] = {NT_PRSTATUS, NT_PRFPREG};
	uint8_t set[MW_ARCH_NOTE_MAX];

	for (size_t i = 0; i < freeze->count; i++) {
		struct mw_arch_registers registers = {0};

		for (size_t k = 0; k < MW_ARRAY_SIZE(types); k++) {
			size_t len = sizeof(set);

			if (!mw_freeze__registers(freeze, i, (int)types[k], set, &len))
				mw_arch_read_registers(types[k], set, len, &registers);
		}
		if (registers.word_count)
			mw_image__set_registers(image, freeze->tids[i], &registers);
	}
	mw_image__set_still(image, true);
}
