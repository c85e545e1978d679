/* Content negotiation (RFC 9110 section 12.5) as far as a cache takes part in it: which codings a client takes,
 * which of several is best for it, and the normal forms under which requests that mean the same select the
 * same stored response. What made the key is also what the origin is asked with. Pure; nothing is allocated,
 * one pass over the field for each question. */
#ifndef SK_HTTP_ACCEPT_H
#define SK_HTTP_ACCEPT_H

#include "http/field.h"

/* The content codings that Skerry knows, by name. "x-gzip" is gzip (RFC 9110 section 8.4.1.3); dcb and dcz are
 * of RFC 9842. What is not here is never asked for on a client's behalf. */
#define HTTP_CODING_TABLE(X)                                                                                 \
    X(IDENTITY, "identity")                                                                                  \
    X(BR, "br")                                                                                              \
    X(DCB, "dcb")                                                                                            \
    X(DCZ, "dcz")                                                                                            \
    X(GZIP, "gzip")                                                                                          \
    X(ZSTD, "zstd")

enum http_coding {
#define X(name, text) HTTP_CODING_##name,
    HTTP_CODING_TABLE(X)
#undef X
        HTTP_CODING_COUNT_
};
sk_str http_coding_name(enum http_coding coding);
/* In any case; HTTP_CODING_COUNT_ when not in the table. */
enum http_coding http_coding_lookup(sk_str name);

#define HTTP_WEIGHT_ONE 1000
/* "0.5" in thousandths (RFC 9110 section 12.4.2). False for anything that the grammar does not have. */
bool http_weight_parse(sk_str text, uint16_t *out_weight);
/* Cuts "value;parameter;q=0.5" into its value and its weight (1 when not given; the first q counts), other
 * parameters are passed over. False when the weight is malformed: then the whole element means nothing. */
bool http_weighted_element(sk_str element, sk_str *out_value, uint16_t *out_weight);

struct http_accept_encoding {
    bool present; /* also when empty, which is not the same (section 12.5.3) */
    /* In thousandths; 0: not acceptable. Identity that nobody spoke of has the least weight that is not 0. */
    uint16_t weights[HTTP_CODING_COUNT_];
};
/* Of all lines. Elements with a malformed weight and unknown codings are left out; of a coding named twice the
 * lesser weight counts. "*" does not stand for dcb and dcz, which need a dictionary named by the client. */
void http_accept_encoding_parse(const struct http_fields *fields, struct http_accept_encoding *out_accept);

/* The best of COUNT codings offered, the server's favourite first; identity when the client prefers it, and when
 * nothing is acceptable (section 12.5.3 leaves a response without coding to us). */
enum http_coding http_coding_choose(const struct http_accept_encoding *accept, const uint8_t *offered,
                                    size_t count);

#define HTTP_ACCEPT_ENCODING_TEXT_MAX 64
/* "br, gzip, zstd": the acceptable codings by name, without weights; "identity" when there is none, with
 * "identity;q=0" at the end where identity is refused. The normal form of a normal form is itself. Returns the
 * length. Only for a field that is present. */
size_t http_accept_encoding_normal(const struct http_accept_encoding *accept,
                                   char out[HTTP_ACCEPT_ENCODING_TEXT_MAX]);

#define HTTP_LANGUAGES_MAX 64
/* The index of the best of COUNT language tags (more than HTTP_LANGUAGES_MAX are not looked at) for Accept-Language: RFC 4647 lookup (a range is shortened until a
 * tag equals it), else a tag that the range is the beginning of; the greatest weight, then the earliest range,
 * wins. A tag that the client refuses (q=0) is never chosen. 0, the site's own default, when nothing matches.
 * Ranges after the 32nd are not looked at. */
size_t http_language_choose(const struct http_fields *fields, const sk_str *tags, size_t count);

/* The index of the best of COUNT media types for Accept, COUNT when none. Only a type that the client names in
 * full counts: ranges with a star come from clients that say nothing about newer formats. Among equal weights
 * the first of TYPES wins. */
size_t http_media_type_choose(const struct http_fields *fields, const sk_str *types, size_t count);

enum http_agent_class { HTTP_AGENT_DESKTOP, HTTP_AGENT_MOBILE, HTTP_AGENT_BOT };
/* What kind of client User-Agent speaks of; its first 1024 bytes are looked at. */
enum http_agent_class http_agent_class_of(const struct http_fields *fields);
/* A User-Agent that stands for all of its class. */
sk_str http_agent_class_text(enum http_agent_class class);

#endif
