/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Work in a child process, whose output is gathered. The screen never waits for it, can end it at
 * any time, and survives its crash.
 */
#ifndef MW_CMD_CHILD_H
#define MW_CMD_CHILD_H

#include <stddef.h>
#include <sys/types.h>

#include "util/err.h"

struct mw_cmd_child {
	pid_t pid; /* 0: none runs */
	int fd;	   /* readable: mw_cmd_child__gather() has work */
	char *out;
	size_t len, capacity;
	int status; /* of wait(2), once it has ended */
};

/* RUN, in the child, may only write to FD; it returns the exit status. 0 or -errno. */
typedef int (*mw_cmd_child_fn)(int fd, void *arg);
int mw_cmd_child__start(struct mw_cmd_child *child, mw_cmd_child_fn run, void *arg);

/* For RUN: write all LEN bytes at DATA. 0 or -1. */
int mw_cmd_child__write(int fd, const void *data, size_t len);

/* Read what the child has written, without waiting. 0: it goes on, 1: it has ended. */
int mw_cmd_child__gather(struct mw_cmd_child *child);

/* CHILD, which read a process's memory, wrote less than it should: fills ERR. -EIO. */
int mw_cmd_child__failed(const struct mw_cmd_child *child, struct mw_err *err);

/* Kill the child, if it runs, and free what it wrote. */
void mw_cmd_child__stop(struct mw_cmd_child *child);

#endif
