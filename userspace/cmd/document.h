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

/*
 * The same for the addresses that the words behind the target name, each a request made from
 * REQUEST; without any, when that is allowed, REQUEST itself.
 */
int mw_cmd_print_addresses(const struct mw_options *opt, const struct mw_request *request,
			   bool none_allowed);

/*
 * For a command that shows more than one target: open the one that WORD names, with the options of
 * mw_cmd_document_group, hand its survey to TAKE, and close it. 0, TAKE's result, or -errno with
 * ERR set.
 */
typedef int (*mw_cmd_survey_fn)(void *arg, struct mw_survey *survey, struct mw_err *err);
int mw_cmd_survey(const struct mw_options *opt, const char *word, mw_cmd_survey_fn take, void *arg,
		  struct mw_err *err);

/* The run function of a command that takes a target and nothing else. */
int mw_cmd_run_document(const struct mw_options *opt);

#endif
