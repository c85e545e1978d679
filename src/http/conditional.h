/* Conditional requests and ranges (RFC 9110 sections 13 and 14). Pure. */
#ifndef SK_HTTP_CONDITIONAL_H
#define SK_HTTP_CONDITIONAL_H

#include "base/time.h"
#include "http/message.h"

struct http_etag {
    sk_str opaque; /* with quotes; data NULL when absent or malformed */
    bool weak;
};
bool http_etag_parse(sk_str text, struct http_etag *out_etag);
bool http_etag_strong_match(struct http_etag a, struct http_etag b);
bool http_etag_weak_match(struct http_etag a, struct http_etag b);

/* The validators of a stored response. What is no entity-tag or no date counts as absent; DATE is the Date
 * field, or NOW (the time of receipt) where there is none. */
struct http_validators {
    struct http_etag etag;
    bool has_last_modified;
    sk_unix_s last_modified, date;
};
void http_validators_of(const struct http_fields *response_fields, sk_unix_s now,
                        struct http_validators *out);

/* RFC 9111 4.3.4: does a 304 with these validators speak of the one stored response that it was asked about? A
 * strong entity-tag must be the very same, a weak one may be; else the modification date. A 304 that has none
 * of what is stored can mean no other. */
bool http_not_modified_means(const struct http_validators *of_304, const struct http_validators *stored);

enum http_precondition { HTTP_PRECONDITION_PASS, HTTP_PRECONDITION_NOT_MODIFIED, HTTP_PRECONDITION_FAILED };
/* In the order of RFC 9110 section 13.2.2, for GET and HEAD of a stored 200; other methods PASS. If-Match and
 * If-Unmodified-Since are the origin's to judge (RFC 9111 4.3.2): FAILED says that the stored response does
 * not satisfy them, so that it must not answer; ask the origin. */
enum http_precondition http_precondition_evaluate(const struct http_request *request,
                                                  const struct http_validators *validators, sk_unix_s now);
/* True when the request has any of If-None-Match, If-Modified-Since, If-Match, If-Unmodified-Since, If-Range. */
bool http_request_is_conditional(const struct http_request *request);

/* 8.8.2.2: the response was made at least a second after the last modification. */
bool http_last_modified_strong(const struct http_validators *validators);

#define HTTP_RANGE_MAX 16 /* more ranges in one request: the whole representation is sent (14.2) */
struct http_byte_range {
    uint64_t first, last; /* inclusive */
};
/* One of "first-last", "first-", "-suffix"; numbers over 64 bits mean the greatest. */
struct http_range_spec {
    bool suffix, open;
    uint64_t first, last; /* of a suffix, LAST is its length */
};
/* The first range that a GET names, whatever the representation's length. False when its Range means nothing
 * (another unit, malformed, too many): the whole is wanted then. */
bool http_range_first(const struct http_request *request, struct http_range_spec *out_spec);
enum http_range_kind {
    HTTP_RANGE_WHOLE,         /* no, malformed, foreign or too many ranges; or If-Range failed */
    HTTP_RANGE_SOME,          /* answer 206 */
    HTTP_RANGE_UNSATISFIABLE, /* answer 416 */
};
struct http_range_answer {
    enum http_range_kind kind;
    uint32_t count;
    struct http_byte_range ranges[HTTP_RANGE_MAX]; /* in request order, coalesced when they overlap */
};
/* For a representation of LENGTH bytes; If-Range is honoured. */
struct http_range_answer http_range_evaluate(const struct http_request *request,
                                             const struct http_validators *validators, uint64_t length);

#endif
