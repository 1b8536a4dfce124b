/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What each target that has a graph makes of it; all of it must end, whatever the graph says. */
#ifndef MW_FUZZ_GRAPH_LOOK_H
#define MW_FUZZ_GRAPH_LOOK_H

#include <stdlib.h>
#include <string.h>

#include "graph/leaks.h"
#include "graph/through.h"

/* What retains most, and the ways there. */
static inline void look_at_top(struct mw_graph *graph)
{
	static char text[MW_GRAPH_TEXT_MAX];
	struct mw_graph_top *top;
	size_t count;

	if (mw_graph__dominate(graph, NULL) || mw_graph__top(graph, 0, &top, &count))
		abort();
	for (size_t i = 0; i < count && i < 20; i++) {
		mw_graph__path(graph, top[i].addr, text, sizeof(text));
		if (strlen(text) >= sizeof(text))
			abort();
	}
	free(top);
}

/* What nothing reaches, and what lives through what. */
static inline void look_at_leaks(struct mw_graph *graph, const struct mw_heaps *heaps)
{
	struct mw_throughs throughs;
	struct mw_leaks leaks;

	if (mw_leaks__find(&leaks, graph, heaps, NULL) || mw_throughs__find(&throughs, graph, NULL))
		abort();
	mw_leaks__free(&leaks);
}

#endif
