/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What keeps memory from going back to the kernel, as a document. */
#ifndef MW_REPORT_PINS_H
#define MW_REPORT_PINS_H

#include "report/document.h"

MW_DOCUMENT_WRITER(mw_write_pins);

#endif
