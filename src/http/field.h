/* Header fields as lists of (name, value) that borrow their bytes, and the table of names that Skerry
 * knows. A known name has an id, so that code compares numbers and not text. Pure; any thread. */
#ifndef SK_HTTP_FIELD_H
#define SK_HTTP_FIELD_H

#include "base/arena.h"

#define HTTP_FIELD_TABLE(X)                                                                                  \
    X(ACCEPT, "accept")                                                                                      \
    X(ACCEPT_ENCODING, "accept-encoding")                                                                    \
    X(ACCEPT_LANGUAGE, "accept-language")                                                                    \
    X(ACCEPT_RANGES, "accept-ranges")                                                                        \
    X(AGE, "age")                                                                                            \
    X(ALT_SVC, "alt-svc")                                                                                    \
    X(AUTHORIZATION, "authorization")                                                                        \
    X(AVAILABLE_DICTIONARY, "available-dictionary")                                                          \
    X(CACHE_CONTROL, "cache-control")                                                                        \
    X(CACHE_GROUP_INVALIDATION, "cache-group-invalidation")                                                  \
    X(CACHE_GROUPS, "cache-groups")                                                                          \
    X(CACHE_STATUS, "cache-status")                                                                          \
    X(CACHE_TAG, "cache-tag")                                                                                \
    X(CDN_CACHE_CONTROL, "cdn-cache-control")                                                                \
    X(CDN_LOOP, "cdn-loop")                                                                                  \
    X(CONNECTION, "connection")                                                                              \
    X(CONTENT_ENCODING, "content-encoding")                                                                  \
    X(CONTENT_LANGUAGE, "content-language")                                                                  \
    X(CONTENT_LENGTH, "content-length")                                                                      \
    X(CONTENT_LOCATION, "content-location")                                                                  \
    X(CONTENT_RANGE, "content-range")                                                                        \
    X(CONTENT_SECURITY_POLICY, "content-security-policy")                                                    \
    X(CONTENT_TYPE, "content-type")                                                                          \
    X(COOKIE, "cookie")                                                                                      \
    X(DATE, "date")                                                                                          \
    X(DICTIONARY_ID, "dictionary-id")                                                                        \
    X(EARLY_DATA, "early-data")                                                                              \
    X(ETAG, "etag")                                                                                          \
    X(EXPECT, "expect")                                                                                      \
    X(EXPIRES, "expires")                                                                                    \
    X(FORWARDED, "forwarded")                                                                                \
    X(HOST, "host")                                                                                          \
    X(HTTP2_SETTINGS, "http2-settings")                                                                      \
    X(IF_MATCH, "if-match")                                                                                  \
    X(IF_MODIFIED_SINCE, "if-modified-since")                                                                \
    X(IF_NONE_MATCH, "if-none-match")                                                                        \
    X(IF_RANGE, "if-range")                                                                                  \
    X(IF_UNMODIFIED_SINCE, "if-unmodified-since")                                                            \
    X(KEEP_ALIVE, "keep-alive")                                                                              \
    X(LAST_MODIFIED, "last-modified")                                                                        \
    X(LINK, "link")                                                                                          \
    X(LOCATION, "location")                                                                                  \
    X(MAX_FORWARDS, "max-forwards")                                                                          \
    X(NO_VARY_SEARCH, "no-vary-search")                                                                      \
    X(ORIGIN, "origin")                                                                                      \
    X(PRAGMA, "pragma")                                                                                      \
    X(PRIORITY, "priority")                                                                                  \
    X(PROXY_AUTHENTICATE, "proxy-authenticate")                                                              \
    X(PROXY_AUTHENTICATION_INFO, "proxy-authentication-info")                                                \
    X(PROXY_AUTHORIZATION, "proxy-authorization")                                                            \
    X(PROXY_CONNECTION, "proxy-connection")                                                                  \
    X(RANGE, "range")                                                                                        \
    X(REFERER, "referer")                                                                                    \
    X(RETRY_AFTER, "retry-after")                                                                            \
    X(SERVER, "server")                                                                                      \
    X(SET_COOKIE, "set-cookie")                                                                              \
    X(SKERRY_CDN_CACHE_CONTROL, "skerry-cdn-cache-control")                                                  \
    X(SKERRY_PEER, "skerry-peer")                                                                            \
    X(STRICT_TRANSPORT_SECURITY, "strict-transport-security")                                                \
    X(SURROGATE_CONTROL, "surrogate-control")                                                                \
    X(SURROGATE_KEY, "surrogate-key")                                                                        \
    X(TE, "te")                                                                                              \
    X(TRACEPARENT, "traceparent")                                                                            \
    X(TRAILER, "trailer")                                                                                    \
    X(TRANSFER_ENCODING, "transfer-encoding")                                                                \
    X(UPGRADE, "upgrade")                                                                                    \
    X(USE_AS_DICTIONARY, "use-as-dictionary")                                                                \
    X(USER_AGENT, "user-agent")                                                                              \
    X(VARY, "vary")                                                                                          \
    X(VIA, "via")                                                                                            \
    X(WARNING, "warning")                                                                                    \
    X(WWW_AUTHENTICATE, "www-authenticate")                                                                  \
    X(X_CONTENT_TYPE_OPTIONS, "x-content-type-options")                                                      \
    X(X_FORWARDED_FOR, "x-forwarded-for")                                                                    \
    X(X_FORWARDED_HOST, "x-forwarded-host")                                                                  \
    X(X_FORWARDED_PROTO, "x-forwarded-proto")                                                                \
    X(X_FRAME_OPTIONS, "x-frame-options")                                                                    \
    X(XKEY, "xkey")

enum http_field_id {
    HTTP_FIELD_UNKNOWN,
#define X(name, text) HTTP_FIELD_##name,
    HTTP_FIELD_TABLE(X)
#undef X
        HTTP_FIELD_COUNT_
};

struct http_field {
    sk_str name;  /* as received; compare case-insensitively or by id */
    sk_str value; /* without surrounding white space */
    uint16_t id;  /* enum http_field_id */
};

struct http_fields {
    struct http_field *items;
    uint32_t count, capacity;
};

/* The id of NAME in any case; HTTP_FIELD_UNKNOWN when not in the table. Constant time (one hash, one
 * comparison). */
enum http_field_id http_field_lookup(sk_str name);
/* Lower-case name of a known id. */
sk_str http_field_name(enum http_field_id id);

/* The array grows in ARENA; name and value are borrowed, not copied. SK_ERR_NO_MEMORY, SK_ERR_TOO_LARGE
 * when the arena's limit is reached. */
sk_err http_fields_add(struct http_fields *fields, struct sk_arena *arena, sk_str name, sk_str value);
sk_err http_fields_add_id(struct http_fields *fields, struct sk_arena *arena, enum http_field_id id,
                          sk_str value);
/* First field with this id, or NULL. */
const struct http_field *http_fields_find(const struct http_fields *fields, enum http_field_id id);
/* The next one after PREVIOUS (NULL to begin). */
const struct http_field *http_fields_next(const struct http_fields *fields, enum http_field_id id,
                                          const struct http_field *previous);
/* By name, for names that are not in the table. */
const struct http_field *http_fields_find_name(const struct http_fields *fields, sk_str name,
                                               const struct http_field *previous);
/* Value of the first, or an empty string with data NULL when absent. */
sk_str http_fields_value(const struct http_fields *fields, enum http_field_id id);
/* Removes all with this id / name; keeps order. */
void http_fields_remove(struct http_fields *fields, enum http_field_id id);
void http_fields_remove_name(struct http_fields *fields, sk_str name);
/* All values of a list-based field joined by ", " (borrowed when there is one); data NULL when absent, and
 * when ARENA has no room: where that must not pass for absence, ask http_fields_find as well. */
sk_str http_fields_joined(const struct http_fields *fields, enum http_field_id id, struct sk_arena *arena);

/* Iterates over the comma-separated elements of one value (RFC 9110 5.6.1): quoted strings are kept
 * whole, white space trimmed, empty elements skipped. *rest is advanced; false at the end. */
bool http_list_next(sk_str *rest, sk_str *out_element);

/* token, field-name (RFC 9110 5.6.2, 5.1) and field-value (5.5) as the grammar says, without obs-fold. */
bool http_token_valid(sk_str s);
bool http_field_value_valid(sk_str s);
/* How many leading bytes of S may stand in a field value: a valid value, its line's white space and nothing
 * else, so in a head the byte after them should be CR. */
size_t http_field_text_span(sk_str s);

#endif
