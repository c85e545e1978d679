/* Cache-Control of requests and responses (RFC 9111 section 5.2), RFC 5861, RFC 8246. Pure. */
#ifndef SK_HTTP_CACHE_CONTROL_H
#define SK_HTTP_CACHE_CONTROL_H

#include "http/field.h"

#define HTTP_SECONDS_NONE INT64_C(-1)
#define HTTP_SECONDS_MAX INT64_C(2147483648) /* RFC 9111 1.2.2: what larger values mean */

struct http_cache_control {
    bool present; /* at least one field line was there */
    bool no_store, no_cache, no_transform, must_revalidate, proxy_revalidate, must_understand;
    bool is_private, is_public, immutable, only_if_cached;
    bool max_stale_any;       /* max-stale without argument */
    bool malformed_freshness; /* a max-age or s-maxage that cannot be read: treat as stale (4.2.1) */
    int64_t max_age, s_maxage, min_fresh, max_stale; /* seconds or HTTP_SECONDS_NONE */
    int64_t stale_while_revalidate, stale_if_error;
    sk_str no_cache_fields, private_fields; /* qualified forms: a list of names without its quotes; data NULL
                                               when not qualified, or named in more than one directive */
};

/* Reads all Cache-Control lines (or those of another id with the same syntax). Unknown directives are
 * ignored, names are case-insensitive, arguments token or quoted, duplicates: the most restrictive wins;
 * never fails. A malformed directive is read in its strict sense: a lifetime or staleness as 0, field names
 * as none. */
void http_cache_control_parse(const struct http_fields *fields, enum http_field_id id,
                              struct http_cache_control *out_control);

#endif
