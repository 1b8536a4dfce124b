/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Work in a process of its own, so that the screen never waits for it, it can be ended at any time
 * and a crash of it is only a failed piece of work. What it writes is gathered.
 */
#ifndef MW_CMD_CHILD_H
#define MW_CMD_CHILD_H

#include <stddef.h>
#include <sys/types.h>

struct mw_cmd_child {
	pid_t pid; /* 0: none runs */
	int fd;	   /* readable when there is something to gather */
	char *out;
	size_t len, capacity;
	int status; /* of wait(2), once it has ended */
};

/* RUN's result is its exit status; it may only write to FD. 0 or -errno. */
typedef int (*mw_cmd_child_fn)(int fd, void *arg);
int mw_cmd_child__start(struct mw_cmd_child *child, mw_cmd_child_fn run, void *arg);

/* Gather what is there without waiting. 0: it goes on, 1: it has ended. */
int mw_cmd_child__gather(struct mw_cmd_child *child);

/* End it, if it runs, and forget what it wrote. */
void mw_cmd_child__stop(struct mw_cmd_child *child);

#endif
