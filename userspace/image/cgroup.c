// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <fts.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "image/cgroup.h"
#include "util/array.h"
#include "util/cleanup.h"
#include "util/file.h"

enum { PATH_SIZE = 4096, PROCS_MAX = 1 << 24 };

/* Where the kernel's trees of cgroups are; with version 1 the first with all processes counts. */
static const char *const roots[] = {"/sys/fs/cgroup", "/sys/fs/cgroup/unified",
				    "/sys/fs/cgroup/memory", "/sys/fs/cgroup/systemd"};

bool mw_cgroup__is_folder(const char *word)
{
	char path[PATH_SIZE];

	return snprintf(path, sizeof(path), "%s/cgroup.procs", word) < PATH_SIZE &&
	       !access(path, R_OK);
}

/* Call FN for FOLDER and each one below it, until it returns other than 0. */
static int each_folder(const char *folder, int (*fn)(void *arg, const FTSENT *entry), void *arg)
{
	char *paths[] = {(char *)folder, NULL};
	FTS *tree = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR | FTS_NOSTAT | FTS_XDEV, NULL);
	FTSENT *entry;
	int ret = tree ? 0 : -errno;

	while (!ret && (entry = fts_read(tree))) {
		if (entry->fts_info == FTS_D)
			ret = fn(arg, entry);
	}
	if (tree)
		fts_close(tree);
	return ret;
}

struct wanted {
	const char *name;
	char *path, *other; /* of the first two that have it */
};

static int compare(void *arg, const FTSENT *entry)
{
	struct wanted *wanted = arg;
	char **to = wanted->path ? &wanted->other : &wanted->path;

	if (strcmp(entry->fts_name, wanted->name) != 0 || wanted->other)
		return 0;
	*to = strdup(entry->fts_path);
	return *to ? 0 : -ENOMEM;
}

static char *find_in(const char *root, const char *word, struct mw_err *err)
{
	struct wanted wanted = {.name = word};
	char path[PATH_SIZE];

	if (!mw_cgroup__is_folder(root))
		return NULL;
	if (snprintf(path, sizeof(path), "%s/%s", root, word) < PATH_SIZE &&
	    mw_cgroup__is_folder(path))
		return strdup(path);
	each_folder(root, compare, &wanted);
	if (wanted.other) {
		mw_err_set(err, -EINVAL, "ambiguous", NULL,
			   "several cgroups are named '%.80s', such as %.160s and %.160s: give the "
			   "whole path",
			   word, wanted.path, wanted.other);
		free(wanted.path);
		wanted.path = NULL;
	}
	free(wanted.other);
	return wanted.path;
}

char *mw_cgroup__find(const char *word, struct mw_err *err)
{
	char *path = NULL;

	err->code = 0;
	if (mw_cgroup__is_folder(word))
		return strdup(word);
	for (size_t i = 0; i < MW_ARRAY_SIZE(roots) && !path && !err->code; i++)
		path = find_in(roots[i], word, err);
	if (!path && !err->code)
		mw_err_set(
			err, -ENOENT, "no-family", NULL,
			"there is no process and no cgroup '%.80s'; cgroups are the folders below "
			"/sys/fs/cgroup",
			word);
	return path;
}

struct list {
	pid_t *pids;
	size_t count, capacity;
};

static int add_processes(void *arg, const FTSENT *entry)
{
	_cleanup_free_ char *text = NULL;
	struct list *list = arg;
	char path[PATH_SIZE];
	size_t len;

	/* One that has gone meanwhile is none. */
	if (snprintf(path, sizeof(path), "%s/cgroup.procs", entry->fts_path) >= PATH_SIZE ||
	    mw_file_read(path, PROCS_MAX, &text, &len))
		return 0;
	for (char *at = text, *end; *at; at = end) {
		long pid = strtol(at, &end, 10);

		if (end == at)
			break;
		/* 0: of another namespace. */
		if (pid <= 0 || pid > INT32_MAX)
			continue;
		if (mw_array_reserve(&list->pids, &list->capacity, list->count + 1,
				     sizeof(*list->pids)))
			return -ENOMEM;
		list->pids[list->count++] = (pid_t)pid;
	}
	return 0;
}

int mw_cgroup__processes(const char *folder, pid_t **pids, size_t *count, struct mw_err *err)
{
	struct list list = {0};
	int ret = each_folder(folder, add_processes, &list);

	if (ret)
		mw_err_set(err, ret, "unreadable", folder, "can't be read: %s", strerror(-ret));
	else if (!list.count)
		ret = mw_err_set(err, -ENOENT, "no-such-process", folder,
				 "no process is in this cgroup");
	if (ret) {
		free(list.pids);
		return ret;
	}
	*pids = list.pids;
	*count = list.count;
	return 0;
}
