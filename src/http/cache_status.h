/* The Cache-Status field (RFC 9211). Pure. */
#ifndef SK_HTTP_CACHE_STATUS_H
#define SK_HTTP_CACHE_STATUS_H

#include "base/buf.h"
#include "http/reason.h"

struct http_cache_status {
    sk_str cache_name; /* a token or printable text */
    enum http_reason
        reason; /* why it was a hit or was forwarded: gives fwd, and detail where that says more */
    enum http_reason store_reason; /* why it was stored or not: detail where it was not; NONE: not asked */
    bool hit;            /* answered without asking anybody; a revalidated answer is no hit (RFC 9211 2.1) */
    uint16_t fwd_status; /* 0: none */
    bool stored, collapsed;
    bool heuristic; /* its lifetime is a guess: detail, where nothing else is to be said */
    bool has_ttl;
    int64_t ttl_s;
    sk_str key; /* empty: not shown */
};

#define HTTP_CACHE_STATUS_MAX 512
/* Writes the list member ("Skerry; hit; ttl=30") without NUL; returns its length, at most
 * HTTP_CACHE_STATUS_MAX (the key is left out when it does not fit; what is not printable ASCII in
 * it becomes a space at a line's end, else "?"). A cache name
 * that is neither token nor printable, or longer than 64 bytes, becomes "Skerry". */
size_t http_cache_status_format(const struct http_cache_status *status, char out[HTTP_CACHE_STATUS_MAX]);

#endif
