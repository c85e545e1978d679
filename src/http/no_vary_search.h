/* No-Vary-Search (draft-ietf-httpbis-no-vary-search-05): which query parameters make no difference. Pure.
 *
 * A rule is a short text in normal form, so that two responses that say the same have the same text: "o" when the
 * order of names counts for nothing ("-" else), "a" when all parameters but those named count for nothing ("-": those
 * named count for nothing), then "&NAME" for each name, sorted. The empty text is the default: every query is itself. */
#ifndef SK_HTTP_NO_VARY_SEARCH_H
#define SK_HTTP_NO_VARY_SEARCH_H

#include "http/field.h"

#define HTTP_NO_VARY_SEARCH_MAX_BYTES 1024 /* of a rule; a longer one counts as none */
#define HTTP_NO_VARY_SEARCH_MAX_NAMES 64

/* The rule of a response (section 4). What is malformed, of a wrong type or too much gives the default, as the draft says:
 * that only costs hits. SK_ERR_NO_MEMORY. */
sk_err http_no_vary_search_rule(struct sk_arena *arena, const struct http_fields *fields, sk_str *out_rule);

/* A text that is the same for all queries that are equivalent under RULE (not the default), and for no others (section
 * 5): parameters decoded and encoded in one way, those that make no difference left out, sorted by name if their order
 * does not. Octets that are no UTF-8 are kept apart where the draft would make them all U+FFFD: that finds less and
 * never wrongly. QUERY is without its "?"; data NULL is the same as empty. SK_ERR_NO_MEMORY. */
sk_err http_no_vary_search_query(struct sk_arena *arena, sk_str rule, sk_str query, sk_str *out_query);

#endif
