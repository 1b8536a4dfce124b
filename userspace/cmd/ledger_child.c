// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cmd/ledger_child.h"
#include "ledger/survey.h"

/* What comes through the pipe; the ledger's entries follow. */
struct answer {
	int ret;
	struct mw_err err;
	struct mw_ledger_child look;
};

static int write_all(int fd, const void *data, size_t len)
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

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int look(int fd, void *arg)
{
	struct answer answer;
	struct mw_survey survey;
	struct mw_image *image;
	double begin = seconds();

	memset(&answer, 0, sizeof(answer));
	image = mw_image__open_live(*(const pid_t *)arg, &answer.err);
	answer.ret = image ? mw_survey__open(&survey, image, &answer.err) : answer.err.code;
	if (!answer.ret) {
		answer.ret = mw_survey__ledger(&survey, &answer.look.ledger, &answer.err);
		if (!answer.ret)
			answer.ret = mw_survey__split(&survey, answer.look.parts, &answer.err);
		if (!survey.pt)
			snprintf(answer.look.note, sizeof(answer.look.note), "%.159s",
				 survey.pt_err.message);
		mw_survey__close(&survey);
	}
	answer.look.took = seconds() - begin;
	return write_all(fd, &answer, sizeof(answer)) ||
	       (!answer.ret &&
		write_all(fd, answer.look.ledger.entries,
			  answer.look.ledger.count * sizeof(*answer.look.ledger.entries)));
}

int mw_ledger_child__start(struct mw_cmd_child *child, pid_t pid)
{
	return mw_cmd_child__start(child, look, &pid);
}

int mw_ledger_child__result(const struct mw_cmd_child *child, struct mw_ledger_child *out,
			    struct mw_err *err)
{
	size_t bytes = child->len > sizeof(struct answer) ? child->len - sizeof(struct answer) : 0;
	struct answer answer;

	if (child->len < sizeof(answer))
		return mw_err_set(err, -EIO, "look", NULL,
				  WIFSIGNALED(child->status)
					  ? "the look into the process was ended by signal %d"
					  : "the look into the process ended with status %d",
				  WIFSIGNALED(child->status) ? WTERMSIG(child->status)
							     : WEXITSTATUS(child->status));
	memcpy(&answer, child->out, sizeof(answer));
	if (answer.ret) {
		*err = answer.err;
		return answer.ret;
	}
	*out = answer.look;
	out->ledger.entries = NULL;
	if (bytes != out->ledger.count * sizeof(*out->ledger.entries))
		return mw_err_set(err, -EIO, "look", NULL,
				  "the look into the process was cut short");
	out->ledger.capacity = out->ledger.count;
	out->ledger.entries = malloc(bytes + 1);
	if (!out->ledger.entries)
		return mw_err_set(err, -ENOMEM, "no-memory", NULL, "out of memory");
	memcpy(out->ledger.entries, child->out + sizeof(answer), bytes);
	return 0;
}
