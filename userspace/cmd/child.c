// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmd/child.h"
#include "util/array.h"
#include "util/log.h"

enum { CHILD_FD = 3, OUT_MAX = 64 << 20 };

/* The child keeps no descriptor, handler or log of the screen, the tracer or the terminal. */
static void become_child(int fd, pid_t parent)
{
	int null = open("/dev/null", O_RDWR);
	sigset_t none;

	mw_log_set_sink(NULL, NULL);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent || null < 0)
		_exit(1);
	for (int sig = 1; sig < NSIG; sig++)
		signal(sig, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	/* The terminal sends Ctrl-C to the child, too; the screen decides whether to end it. */
	signal(SIGINT, SIG_IGN);
	for (int i = 0; i < CHILD_FD; i++)
		dup2(null, i);
	if (fd != CHILD_FD)
		dup2(fd, CHILD_FD);
	syscall(SYS_close_range, CHILD_FD + 1, ~0U, 0);
	setpriority(PRIO_PROCESS, 0, 10);
}

int mw_cmd_child__start(struct mw_cmd_child *child, mw_cmd_child_fn run, void *arg)
{
	pid_t parent = getpid();
	int fds[2];

	memset(child, 0, sizeof(*child));
	if (pipe2(fds, O_CLOEXEC))
		return -errno;
	child->pid = fork();
	if (!child->pid) {
		become_child(fds[1], parent);
		_exit(run(CHILD_FD, arg));
	}
	close(fds[1]);
	if (child->pid < 0) {
		int ret = -errno;

		close(fds[0]);
		memset(child, 0, sizeof(*child));
		return ret;
	}
	child->fd = fds[0];
	fcntl(child->fd, F_SETFL, O_NONBLOCK);
	return 0;
}

static void reap(struct mw_cmd_child *child)
{
	close(child->fd);
	while (waitpid(child->pid, &child->status, 0) < 0 && errno == EINTR)
		;
	child->pid = 0;
}

int mw_cmd_child__write(int fd, const void *data, size_t len)
{
	const char *p = data;

	while (len) {
		ssize_t n = write(fd, p, len);

		if (n <= 0)
			return -1;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

int mw_cmd_child__failed(const struct mw_cmd_child *child, struct mw_err *err)
{
	return mw_err_set(err, -EIO, "unreadable", NULL,
			  WIFSIGNALED(child->status) ? "reading its memory was ended by signal %d"
						     : "reading its memory ended with status %d",
			  WIFSIGNALED(child->status) ? WTERMSIG(child->status)
						     : WEXITSTATUS(child->status));
}

int mw_cmd_child__gather(struct mw_cmd_child *child)
{
	ssize_t n;

	for (;;) {
		if (child->len > OUT_MAX ||
		    mw_array_reserve(&child->out, &child->capacity, child->len + 65537, 1)) {
			kill(child->pid, SIGKILL);
			break;
		}
		n = read(child->fd, child->out + child->len, 65536);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return 0;
		if (n <= 0)
			break;
		child->len += (size_t)n;
	}
	reap(child);
	if (child->out)
		child->out[child->len] = '\0';
	return 1;
}

void mw_cmd_child__stop(struct mw_cmd_child *child)
{
	if (child->pid) {
		kill(child->pid, SIGKILL);
		reap(child);
	}
	free(child->out);
	memset(child, 0, sizeof(*child));
}
