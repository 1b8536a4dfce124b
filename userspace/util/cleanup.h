/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Scope-bound cleanup for leaf locals. A life-cycle function with several resources uses one
 * `cleanup:` label instead; no resource uses both.
 */
#ifndef MW_UTIL_CLEANUP_H
#define MW_UTIL_CLEANUP_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline void mw_cleanup_free(void *p)
{
	free(*(void **)p);
}

static inline void mw_cleanup_close(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void mw_cleanup_fclose(FILE **f)
{
	if (*f)
		fclose(*f);
}

static inline void mw_cleanup_closedir(DIR **d)
{
	if (*d)
		closedir(*d);
}

#define _cleanup_free_	   __attribute__((cleanup(mw_cleanup_free)))
#define _cleanup_close_	   __attribute__((cleanup(mw_cleanup_close)))
#define _cleanup_fclose_   __attribute__((cleanup(mw_cleanup_fclose)))
#define _cleanup_closedir_ __attribute__((cleanup(mw_cleanup_closedir)))

#endif
