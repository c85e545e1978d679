/* Why: the one table of reason codes of cache decisions. The same names stand in Cache-Status "detail",
 * in the access log, in metrics and in `skerry explain`. */
#ifndef SK_HTTP_REASON_H
#define SK_HTTP_REASON_H

#include "base/str.h"

#define HTTP_REASON_TABLE(X)                                                                                 \
    X(NONE, "none", "no decision was needed")                                                                \
    X(HIT_FRESH, "hit", "stored and fresh")                                                                  \
    X(HIT_STALE_WHILE_REVALIDATE, "stale-while-revalidate",                                                  \
      "served stale while a refresh runs (RFC 5861 3)")                                                      \
    X(HIT_STALE_IF_ERROR, "stale-if-error", "served stale because the origin failed (RFC 5861 4)")           \
    X(HIT_REVALIDATED, "revalidated", "the origin confirmed the stored response (304)")                      \
    X(HIT_MAX_STALE, "max-stale", "served stale because the client allows it (RFC 9111 5.2.1.2)")            \
    X(HIT_DISK, "disk", "stored and fresh, read from the SSD tier")                                          \
    X(MISS_NOT_STORED, "uri-miss", "nothing is stored for this key")                                         \
    X(MISS_VARY, "vary-miss", "stored, but for other request fields (RFC 9111 4.1)")                         \
    X(MISS_STALE, "stale", "stored but no longer fresh")                                                     \
    X(MISS_REQUEST, "request", "the request asks for the origin's word (no-cache, min-fresh, ...)")          \
    X(MISS_PARTIAL, "partial", "only a part of what is asked for is stored")                                 \
    X(MISS_PURGED, "purged", "stored, but purged since")                                                     \
    X(MISS_SOFT_PURGED, "soft-purged", "stored, but purged softly since: it must be validated")              \
    X(PASS_METHOD, "method", "the method is not one that a cache answers")                                   \
    X(PASS_RULE, "bypass", "a rule of the configuration says pass")                                          \
    X(PASS_REMEMBERED, "hit-for-miss", "a recent response to this key was not shareable")                    \
    X(PASS_KEY, "key-too-long", "a field or cookie that belongs to the key is too long for one")             \
    X(PASS_UPGRADE, "upgrade", "the connection changes its protocol")                                        \
    X(STORE_EXPLICIT, "stored", "explicit freshness allows it")                                              \
    X(STORE_HEURISTIC, "stored-heuristic", "no explicit freshness; 10 % of its age (RFC 9111 4.2.2)")        \
    X(STORE_RULE, "stored-rule", "a rule of the configuration gives it a lifetime")                          \
    X(STORE_VALIDATOR, "stored-validator", "no freshness, but a validator to ask with")                      \
    X(NO_STORE_METHOD, "no-store-method", "a response to this method is not stored")                         \
    X(NO_STORE_CONTENT, "request-content", "the request had content, which no key holds")                    \
    X(NO_STORE_STATUS, "no-store-status", "the status is not understood or not cacheable by default")        \
    X(NO_STORE_DIRECTIVE, "no-store", "no-store in the response (RFC 9111 5.2.2.5)")                         \
    X(NO_STORE_REQUEST, "no-store-request", "no-store in the request (RFC 9111 5.2.1.5)")                    \
    X(NO_STORE_PRIVATE, "private", "private in the response (RFC 9111 5.2.2.7)")                             \
    X(NO_STORE_AUTHORIZATION, "authorization", "the request was authorised (RFC 9111 3.5)")                  \
    X(NO_STORE_SET_COOKIE, "set-cookie", "the response sets a cookie and nothing says it may be shared")     \
    X(NO_STORE_VARY_STAR, "vary-star", "Vary: * (RFC 9111 4.1)")                                             \
    X(NO_STORE_NO_LIFETIME, "no-lifetime", "neither freshness nor validator")                                \
    X(NO_STORE_CLIENT_ERROR, "client-error",                                                                 \
      "an error of the request's own making, which others do not make")                                      \
    X(NO_STORE_DECEPTION, "deception", "the path ends like a file, but the content is something else")       \
    X(NO_STORE_AMBIGUOUS, "ambiguous-path", "the path may be another one to the origin")                     \
    X(NO_STORE_SEARCH, "search-differs", "its No-Vary-Search is not that of its path until now")             \
    X(NO_STORE_TOO_LARGE, "too-large", "larger than the cache may hold")                                     \
    X(NO_STORE_TAGS, "too-many-tags", "more or longer tags than can be kept for purges")                     \
    X(NO_STORE_INCOMPLETE, "incomplete", "the origin's response was cut off")                                \
    X(NO_STORE_PARTIAL, "partial-content", "a 206 that cannot be combined")                                  \
    X(NO_STORE_NO_MEMORY, "no-memory", "no room could be made")                                              \
    X(NO_STORE_PEER, "peer", "it belongs to another node of the ring, which keeps it")                       \
    X(NO_STORE_PURGED, "purged-in-flight", "a purge came while it was being fetched")

enum http_reason {
#define X(name, text, help) HTTP_REASON_##name,
    HTTP_REASON_TABLE(X)
#undef X
        HTTP_REASON_COUNT_
};
sk_str http_reason_name(enum http_reason reason);
sk_str http_reason_help(enum http_reason reason);

#endif
