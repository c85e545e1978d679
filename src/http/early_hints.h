/* Early Hints (RFC 8297) of a response that was stored: which of its Link fields (RFC 8288) are worth telling the next
 * client while the origin is asked again. Pure. */
#ifndef SK_HTTP_EARLY_HINTS_H
#define SK_HTTP_EARLY_HINTS_H

#include "http/message.h"

#define HTTP_EARLY_HINTS_MAX 32         /* links of one 103 */
#define HTTP_EARLY_HINTS_MAX_BYTES 4096 /* of their text */

/* One link-value of a Link field: the next in *REST, which is moved behind it. *out_link is its text without white space
 * around it, *out_hint whether its rel names preload, preconnect or modulepreload. False: there is no more; what is
 * malformed ends the field. */
bool http_link_next(sk_str *rest, sk_str *out_link, bool *out_hint);

/* The Link fields of a 103 made of the stored FIELDS, each link on a line of its own, in their order; borrowed. Those
 * that do not fit into the bounds are left out. Count 0: nothing to tell. SK_ERR_NO_MEMORY. */
sk_err http_early_hints(struct sk_arena *arena, const struct http_fields *fields,
                        struct http_fields *out_hints);

/* When clients are told. */
enum http_early_hints_mode {
    HTTP_EARLY_HINTS_OFF,
    HTTP_EARLY_HINTS_ON, /* those that can be trusted to take a 1xx (RFC 8297 section 3): HTTP/2 and later, and
                                browsers that say so by Sec-Fetch-Mode: navigate */
    HTTP_EARLY_HINTS_ALWAYS, /* all of HTTP/1.1 and later */
};
bool http_early_hints_wanted(enum http_early_hints_mode mode, const struct http_request *request);

#endif
