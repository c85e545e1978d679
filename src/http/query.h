/* The rules by which a site makes keys of requests, and the normal form of a query under them. Pure. */
#ifndef SK_HTTP_QUERY_H
#define SK_HTTP_QUERY_H

#include "base/arena.h"

enum http_query_mode { HTTP_QUERY_AS_IS, HTTP_QUERY_SORTED, HTTP_QUERY_NONE };

/* Lists are set once by the configuration and live as long as it does. */
struct http_key_rules {
    bool scheme;                /* http and https apart; default: one key for both */
    enum http_query_mode query; /* what is done with the parameters that are left */
    const sk_str *query_keep;   /* patterns on names: only these count; none: all do */
    const sk_str *query_drop;   /* these never count */
    sk_str headers;             /* request fields that are part of the key: as cache_vary_names writes them */
    const sk_str *cookies;      /* names of cookies that are */
    uint32_t query_keep_count, query_drop_count, cookie_count;
};

/* More parameters than this are not sorted. */
#define HTTP_QUERY_SORTED_MAX 256

/* QUERY without its "?" (data NULL: there is none) as the key holds it and the origin gets it. Parameters stand
 * between "&" signs; names are compared with the patterns as they mean (escapes and "+" decoded). Only whole
 * parameters are moved or left out, none is rewritten; sorting keeps the order of parameters with one name, which
 * may carry meaning. When nothing is left, there is no query (data NULL). Borrowed when nothing changes. RULES may
 * be NULL. SK_ERR_NO_MEMORY. */
sk_err http_query_normalise(struct sk_arena *arena, sk_str query, const struct http_key_rules *rules,
                            sk_str *out_query);

/* A name or value of application/x-www-form-urlencoded, decoded into OUT (room for text.len bytes); returns the
 * length. A broken escape stands for itself. */
size_t http_form_decode(sk_str text, char *out);

#endif
