/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What people call a site: the innermost frame of the user's own code, then what called it or, when
 * that is nobody's own, whom it called:
 *
 *	app.py:13 remember <- app.py:20 index
 *	views.py:31 export -> json/encoder.py encode
 *	redis-server setKey <- setGenericCommand
 *
 * Own code is what is neither of an installed package, of the standard library, nor the script that
 * only starts a server (gunicorn, manage.py). Where there is no own code, the innermost frame of a
 * package is shown, and who called that package. Native frames count where there is no Python or
 * JavaScript; allocation wrappers (model/wrappers.h) are left out. Pure data.
 */
#ifndef MW_MODEL_LABELS_H
#define MW_MODEL_LABELS_H

#include "model/sites.h"
#include "model/wrappers.h"

enum { MW_LABEL_SIZE = 320 };

/*
 * The label of SITE into BUF of SIZE bytes; returns BUF. "?" for a stack without frames. WRAPPERS:
 * of the site's target; NULL: none is known.
 */
char *mw_label_format(const struct mw_site_stats *site, const struct mw_wrappers *wrappers,
		      char *buf, size_t size);

#endif
