// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/ledger_child.h"
#include "ledger/survey.h"
#include "util/clock.h"

/* Written to the pipe, followed by the ledger's entries, and later by what the references say. */
struct answer {
	int ret;
	struct mw_err err;
	struct mw_ledger_child made;
};

struct references {
	double took;
	struct mw_facts facts;
};

static int write_ledger(int fd, const struct answer *answer)
{
	const struct mw_ledger *ledger = &answer->made.ledger;

	return mw_cmd_child__write(fd, answer, sizeof(*answer)) ||
	       (!answer->ret &&
		mw_cmd_child__write(fd, ledger->entries, ledger->count * sizeof(*ledger->entries)));
}

/* Without them there is the rest. */
static int write_references(int fd, struct mw_survey *survey, const struct mw_facts *facts,
			    double begin)
{
	struct references references = {.facts = *facts};
	struct mw_err err;

	if (mw_facts__add_graph(&references.facts, survey, &err))
		return 0;
	references.took = mw_monotonic() - begin;
	return mw_cmd_child__write(fd, &references, sizeof(references));
}

static int make_ledger(int fd, void *arg)
{
	struct answer answer;
	struct mw_survey survey;
	struct mw_image *image;
	double begin = mw_monotonic();
	int ret;

	memset(&answer, 0, sizeof(answer));
	image = mw_image__open_process(*(const pid_t *)arg, MW_IMAGE_WHOLE, &answer.err);
	answer.ret = image ? mw_survey__open(&survey, image, &answer.err) : answer.err.code;
	if (!answer.ret) {
		answer.ret = mw_survey__ledger(&survey, &answer.made.ledger, &answer.err);
		if (!answer.ret)
			answer.ret = mw_survey__split(&survey, answer.made.parts, &answer.err);
		if (!answer.ret)
			answer.ret = mw_facts__survey(&answer.made.facts, &survey,
						      &answer.made.ledger, &answer.err);
		if (survey.heaps.none.code)
			snprintf(answer.made.note, sizeof(answer.made.note), "%.159s",
				 survey.heaps.none.message);
	}
	answer.made.took = mw_monotonic() - begin;
	ret = write_ledger(fd, &answer);
	/* The process ends: nothing is freed. */
	return ret || answer.ret ? ret : write_references(fd, &survey, &answer.made.facts, begin);
}

int mw_ledger_child__start(struct mw_cmd_child *child, pid_t pid)
{
	return mw_cmd_child__start(child, make_ledger, &pid);
}

bool mw_ledger_child__has_ledger(const struct mw_cmd_child *child)
{
	struct answer answer;

	if (child->len < sizeof(answer))
		return false;
	memcpy(&answer, child->out, sizeof(answer));
	return !answer.ret && (child->len - sizeof(answer)) / sizeof(struct mw_ledger_entry) >=
				      answer.made.ledger.count;
}

int mw_ledger_child__result(const struct mw_cmd_child *child, struct mw_ledger_child *out,
			    struct mw_err *err)
{
	struct references references;
	struct answer answer;
	size_t bytes;

	if (child->len < sizeof(answer))
		return mw_cmd_child__failed(child, err);
	memcpy(&answer, child->out, sizeof(answer));
	if (answer.ret) {
		*err = answer.err;
		return answer.ret;
	}
	*out = answer.made;
	/* Pointers of the child's. The screen doesn't show which mappings are unknown. */
	out->ledger.entries = NULL;
	out->ledger.unknowns = NULL;
	out->ledger.unknown_count = out->ledger.unknown_capacity = 0;
	bytes = out->ledger.count * sizeof(*out->ledger.entries);
	if (child->len - sizeof(answer) < bytes)
		return mw_err_set(err, -EIO, "unreadable", NULL,
				  "reading its memory was cut short");
	out->ledger.capacity = out->ledger.count;
	out->ledger.entries = malloc(bytes + 1);
	if (!out->ledger.entries)
		return mw_err_no_memory(err, NULL);
	memcpy(out->ledger.entries, child->out + sizeof(answer), bytes);
	if (child->len - sizeof(answer) - bytes == sizeof(references)) {
		memcpy(&references, child->out + sizeof(answer) + bytes, sizeof(references));
		out->facts = references.facts;
		out->took = references.took;
	}
	return 0;
}
