// SPDX-License-Identifier: GPL-2.0-or-later
#include <math.h>

#include "model/suspicions.h"

/* Judgements in a row that speak against a suspect before it is none any more. */
enum { AGAINST = 3 };
/* Evidence may lack for so many seconds, or for this share of the time that it was there. */
static const double LACKS = 20, LACKS_SHARE = 0.25;

static struct mw_suspicion *find(struct mw_suspicions *s, const void *who)
{
	for (size_t i = 0; i < s->count; i++) {
		if (s->list[i].who == who)
			return &s->list[i];
	}
	return NULL;
}

bool mw_suspicions__judged(struct mw_suspicions *s, const void *who, enum mw_evidence evidence,
			   double now, struct mw_suspect_rate *rate)
{
	struct mw_suspicion *one = find(s, who);
	double lacked;

	if (evidence == MW_EVIDENCE_FOR) {
		if (!one && s->count < MW_SUSPICIONS) {
			one = &s->list[s->count++];
			*one = (struct mw_suspicion){.who = who, .named = now};
		}
		if (one) {
			one->confirmed = now;
			one->rate = *rate;
			one->against = 0;
		}
		return true;
	}
	if (!one)
		return false;
	one->against = evidence == MW_EVIDENCE_AGAINST ? one->against + 1 : 0;
	lacked = now - one->confirmed;
	if (one->against < AGAINST &&
	    lacked <= fmax(LACKS, LACKS_SHARE * (one->confirmed - one->named))) {
		*rate = one->rate;
		return true;
	}
	*one = s->list[--s->count];
	return false;
}
