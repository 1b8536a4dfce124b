/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Commands that open a process or a core and print a document of report/documents.h about it. */
#ifndef MW_CMD_DOCUMENT_H
#define MW_CMD_DOCUMENT_H

#include "cmd/cmd.h"
#include "report/documents.h"

/* --exe, --sysroot, --stop. */
extern const struct mw_option_group mw_cmd_document_group;

/*
 * Open the target that the first word names and print the document that has the command's name,
 * once for each of the COUNT requests. Returns an enum mw_exit.
 */
int mw_cmd_print_document(const struct mw_options *opt, const struct mw_request *requests,
			  size_t count);

/* The run function of a command that takes a target and nothing else. */
int mw_cmd_run_document(const struct mw_options *opt);

#endif
