// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdio.h>
#include <string.h>

#include "cmd/holders_child.h"
#include "ledger/survey.h"

struct question {
	pid_t pid;
	const char *owner;
};

/* Written to the pipe. */
struct answer {
	int ret;
	struct mw_err err;
	struct mw_owner_holders found;
};

static int ask(struct mw_survey *survey, const char *owner, struct answer *answer)
{
	struct mw_py_census census;
	struct mw_python *py = mw_survey__blocks(survey, &census, &answer->err);
	struct mw_graph *graph = py ? mw_graph__build(survey->image, py, &answer->err) : NULL;
	int ret = graph ? mw_owner_holders__find(&answer->found, graph, owner, &answer->err)
			: answer->err.code;

	mw_graph__free(graph);
	return ret;
}

static int find_holders(int fd, void *arg)
{
	const struct question *question = arg;
	struct answer answer;
	struct mw_survey survey;
	struct mw_image *image;

	memset(&answer, 0, sizeof(answer));
	image = mw_image__open_process(question->pid, MW_IMAGE_WHOLE, &answer.err);
	answer.ret = image ? mw_survey__open(&survey, image, &answer.err) : answer.err.code;
	if (!answer.ret) {
		answer.ret = ask(&survey, question->owner, &answer);
		mw_survey__close(&survey);
	}
	return mw_cmd_child__write(fd, &answer, sizeof(answer));
}

int mw_holders_child__start(struct mw_cmd_child *child, pid_t pid, const char *owner)
{
	struct question question = {pid, owner};

	return mw_cmd_child__start(child, find_holders, &question);
}

int mw_holders_child__result(const struct mw_cmd_child *child, struct mw_owner_holders *out,
			     struct mw_err *err)
{
	struct answer answer;

	if (child->len < sizeof(answer))
		return mw_cmd_child__failed(child, err);
	memcpy(&answer, child->out, sizeof(answer));
	*out = answer.found;
	if (answer.ret)
		*err = answer.err;
	return answer.ret;
}
