// SPDX-License-Identifier: GPL-2.0-or-later
/* What a family of forked processes tells: memory that was shared, and why it no longer is. */
#include "diagnosis/rules_impl.h"

/* Of the part of other pages: the collector alone leaves them as they are. */
#define LEFT_ALONE 0.1

static double copied(const struct mw_unshared_pages *p)
{
	uint64_t all = p->shared + p->counted + p->changed;

	return all ? (double)p->counted / (double)all : 0;
}

/*
 * The collector writes to the heads of all tracked objects, and to nothing else; counts are in
 * every object. gc.freeze() takes what there is out of the collector's sight (Doc/library/gc.rst of
 * CPython, since 3.7, which also says why a collection before the fork is no help).
 */
static const char *find_reason(const struct mw_unshared *u, uint64_t counted, uint64_t changed,
			       char *remedy)
{
	if (changed > counted) {
		remedy[0] = '\0';
		return "what it wrote to them";
	}
	if (copied(&u->plain) < LEFT_ALONE * copied(&u->tracked)) {
		mw_cause_say(remedy,
			     "gc.disable() while it loads, gc.freeze() just before the fork, "
			     "gc.enable() in each worker");
		return "the collector's lists";
	}
	mw_cause_say(remedy,
		     "each use of an object counts: keep data in few large objects (array, bytes, "
		     "numpy, a mapped file), or use threads; gc.freeze() before the fork stops the "
		     "collector's part only");
	return "reference counts";
}

bool mw_find_copy_on_write(const struct mw_facts *f, struct mw_cause *c)
{
	const struct mw_family_facts *family = &f->family;
	const struct mw_unshared_pages *plain = &family->unshared.plain,
				       *tracked = &family->unshared.tracked;
	uint64_t counted = plain->counted + tracked->counted;
	uint64_t changed = plain->changed + tracked->changed;
	const char *reason;

	c->bytes = counted + changed;
	if (!family->origin || !family->python || !mw_facts__worth(f, c->bytes))
		return false;
	c->confidence = 0.85;
	reason = find_reason(&family->unshared, counted, changed, c->remedy);
	if (family->all)
		mw_cause_say(
			c->text,
			"%s of Python's objects are workers' own copies of pages that they shared with "
			"what forked them, made by %s.",
			SIZE(c->bytes), reason);
	else
		mw_cause_say(
			c->text,
			"%s of Python's objects are this process's own copies of pages that it "
			"shared with PID %d after the fork, made by %s.",
			SIZE(c->bytes), family->origin, reason);
	mw_cause_show(
		c,
		"on %s of them only counts and the collector's heads differ, or nothing any more; "
		"on %s other content (both processes' memory)",
		SIZE(counted), SIZE(changed));
	mw_cause_show(
		c,
		"%.0f %% of pages with tracked objects, %.0f %% of others were copied for a count",
		100 * copied(tracked), 100 * copied(plain));
	mw_cause_show(c, "%s is still shared", SIZE(plain->shared + tracked->shared));
	c->remedy_known = c->remedy[0] != '\0';
	c->remedy_bytes = counted;
	return true;
}
