/* The JSON of /explain as a page for people. */
#ifndef SK_CLI_EXPLAIN_PAGE_H
#define SK_CLI_EXPLAIN_PAGE_H

#include "base/buf.h"

/* Appends the page made of JSON; COLOUR: with the escapes of a terminal. SK_ERR_MALFORMED (not what /explain answers),
 * SK_ERR_NO_MEMORY. */
sk_err cli_explain_page(sk_str json, bool colour, struct sk_buf *out);

#endif
