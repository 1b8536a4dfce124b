// SPDX-License-Identifier: GPL-2.0-or-later
#include <inttypes.h>

#include "report/json.h"
#include "report/problems.h"

void mw_problems_add_json(json_t *doc, const struct mw_problems *problems)
{
	json_t *list = json_array();

	for (size_t i = 0; i < problems->count; i++)
		json_array_append_new(list, json_pack("{s:o,s:s}", "address",
						      mw_json_addr(problems->list[i].addr),
						      "message", problems->list[i].what));
	json_object_set_new(doc, "problems", list);
	json_object_set_new(doc, "problem_count", mw_json_u64(problems->total));
	json_object_set_new(doc, "changed_while_read", mw_json_u64(problems->changed));
}

void mw_problems_text(FILE *out, const struct mw_problems *problems, bool color)
{
	for (size_t i = 0; i < problems->count; i++)
		fprintf(out, "%sproblem at 0x%" PRIx64 ": %s%s\n", color ? "\033[31m" : "",
			problems->list[i].addr, problems->list[i].what, color ? "\033[0m" : "");
	if (problems->total > problems->count)
		fprintf(out, "... and %" PRIu64 " more problems\n",
			problems->total - problems->count);
	mw_changed_text(out, problems->changed);
}

void mw_changed_text(FILE *out, uint64_t places)
{
	if (places)
		fprintf(out,
			"changed while it was read: %" PRIu64
			" place%s (the process runs on; --stop holds it)\n",
			places, places == 1 ? "" : "s");
}
