// SPDX-License-Identifier: GPL-2.0-or-later
/* A diagnosis as people read it; reports and the screen break it into lines. */
#include <stdio.h>

#include "diagnosis/diagnosis.h"
#include "util/units.h"

char *mw_cause_sentence(char buf[MW_CAUSE_SENTENCE], const struct mw_cause *cause)
{
	snprintf(buf, MW_CAUSE_SENTENCE, "%s (%.0f %% sure)", cause->text, 100 * cause->confidence);
	return buf;
}

char *mw_cause_advice(char buf[MW_CAUSE_SENTENCE], const struct mw_cause *cause)
{
	char size[MW_UNIT_BUF] = "";

	buf[0] = '\0';
	if (!cause->remedy[0])
		return buf;
	if (cause->remedy_known)
		mw_format_size(size, cause->remedy_bytes);
	snprintf(buf, MW_CAUSE_SENTENCE, "Do: %s%s%s.", cause->remedy,
		 cause->remedy_known ? ". Gives back " : "", size);
	return buf;
}

char *mw_diagnosis_pace(char buf[MW_CAUSE_SENTENCE], const struct mw_facts *facts,
			const struct mw_diagnosis *diagnosis)
{
	double change = diagnosis->bytes_per_second;
	char size[MW_UNIT_BUF];

	buf[0] = '\0';
	if (facts->ended > 0 && !facts->ended_resident)
		snprintf(buf, MW_CAUSE_SENTENCE, "ended %.0f s later", facts->ended);
	else if (facts->ended > 0)
		snprintf(buf, MW_CAUSE_SENTENCE, "%s when it ended, %.0f s later",
			 mw_format_size(size, facts->ended_resident), facts->ended);
	else if (facts->undated)
		snprintf(buf, MW_CAUSE_SENTENCE, "%s since %s",
			 mw_format_signed_size(size, (int64_t)change), facts->earlier);
	else if (facts->seconds > 0)
		snprintf(buf, MW_CAUSE_SENTENCE, "%s a minute over %.0f s",
			 mw_format_signed_size(size, (int64_t)(60 * change)), facts->seconds);
	return buf;
}
