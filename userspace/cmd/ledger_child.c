// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmd/ledger_child.h"
#include "ledger/survey.h"
#include "util/clock.h"

/* Written to the pipe, followed by the ledger's entries. */
struct answer {
	int ret;
	struct mw_err err;
	struct mw_ledger_child made;
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

static int make_ledger(int fd, void *arg)
{
	struct answer answer;
	struct mw_survey survey;
	struct mw_image *image;
	double begin = mw_monotonic();

	memset(&answer, 0, sizeof(answer));
	image = mw_image__open_process(*(const pid_t *)arg, MW_IMAGE_WHOLE, &answer.err);
	answer.ret = image ? mw_survey__open(&survey, image, &answer.err) : answer.err.code;
	if (!answer.ret) {
		answer.ret = mw_survey__ledger(&survey, &answer.made.ledger, &answer.err);
		if (!answer.ret)
			answer.ret = mw_survey__split(&survey, answer.made.parts, &answer.err);
		if (!survey.heaps.count)
			snprintf(answer.made.note, sizeof(answer.made.note), "%.159s",
				 survey.heaps.none.message);
		mw_survey__close(&survey);
	}
	answer.made.took = mw_monotonic() - begin;
	return write_all(fd, &answer, sizeof(answer)) ||
	       (!answer.ret &&
		write_all(fd, answer.made.ledger.entries,
			  answer.made.ledger.count * sizeof(*answer.made.ledger.entries)));
}

int mw_ledger_child__start(struct mw_cmd_child *child, pid_t pid)
{
	return mw_cmd_child__start(child, make_ledger, &pid);
}

int mw_ledger_child__result(const struct mw_cmd_child *child, struct mw_ledger_child *out,
			    struct mw_err *err)
{
	size_t bytes = child->len > sizeof(struct answer) ? child->len - sizeof(struct answer) : 0;
	struct answer answer;

	if (child->len < sizeof(answer))
		return mw_err_set(err, -EIO, "unreadable", NULL,
				  WIFSIGNALED(child->status)
					  ? "reading its memory was ended by signal %d"
					  : "reading its memory ended with status %d",
				  WIFSIGNALED(child->status) ? WTERMSIG(child->status)
							     : WEXITSTATUS(child->status));
	memcpy(&answer, child->out, sizeof(answer));
	if (answer.ret) {
		*err = answer.err;
		return answer.ret;
	}
	*out = answer.made;
	out->ledger.entries = NULL;
	if (bytes != out->ledger.count * sizeof(*out->ledger.entries))
		return mw_err_set(err, -EIO, "unreadable", NULL,
				  "reading its memory was cut short");
	out->ledger.capacity = out->ledger.count;
	out->ledger.entries = malloc(bytes + 1);
	if (!out->ledger.entries)
		return mw_err_no_memory(err, NULL);
	memcpy(out->ledger.entries, child->out + sizeof(answer), bytes);
	return 0;
}
