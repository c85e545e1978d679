/* Parts of representations: what a 206 brings (RFC 9110 sections 14.4 and 15.3.7), when parts may be combined
 * (RFC 9111 sections 3.3 and 3.4), and which bytes to ask an origin for. A representation of which only parts
 * are kept is cut in slices of one size, so that what different clients ask for falls on the same borders.
 * Pure. */
#ifndef SK_HTTP_CONTENT_RANGE_H
#define SK_HTTP_CONTENT_RANGE_H

#include "http/conditional.h"

#define HTTP_LENGTH_UNKNOWN UINT64_MAX

struct http_content_range {
    bool unsatisfied;     /* "bytes *" and a length: of a 416; FIRST and LAST mean nothing */
    uint64_t first, last; /* inclusive */
    uint64_t length;      /* complete length, or HTTP_LENGTH_UNKNOWN */
};
/* The value of one Content-Range field (14.4). False for another unit, for what is malformed, and for what the
 * section calls invalid: an end before the start, a complete length that the range does not fit in. */
bool http_content_range_parse(sk_str value, struct http_content_range *out_range);
/* The one part that a 206 carries (15.3.7.1). False when it carries several (multipart/byteranges), does not
 * say which, or says so in contradiction to its Content-Length: such a response is good for nothing but to be
 * passed on. */
bool http_partial_parse(const struct http_response *response, struct http_content_range *out_range);

/* 8.8.1: names one representation byte by byte, so that parts which carry it may be combined. */
bool http_validators_strong(const struct http_validators *validators);
/* 15.3.7.3: parts with these validators are of the same representation. */
bool http_validators_combine(const struct http_validators *stored, const struct http_validators *fresh);
/* The value for If-Range that asks for exactly what STORED describes (13.1.5): its entity-tag, or MODIFIED (the
 * Last-Modified field's value). data NULL when there is no strong validator. */
sk_str http_if_range_value(const struct http_validators *stored, sk_str modified);

/* --- slices ------------------------------------------------------------------------------------------ */

#define HTTP_SLICE_BYTES (256u * 1024)
/* What one request to an origin asks for at most: so that a reader which goes away, or is slow, does not draw a
 * whole film into the cache. */
#define HTTP_SLICE_RUN 64u

static inline uint64_t http_slice_of(uint64_t position) { return position / HTTP_SLICE_BYTES; }
/* Of a representation of LENGTH bytes; the last one is shorter. 0 beyond it. */
static inline uint64_t http_slice_bytes(uint64_t slice, uint64_t length) {
    uint64_t start = slice * HTTP_SLICE_BYTES;
    return start >= length ? 0 : SK_MIN((uint64_t)HTTP_SLICE_BYTES, length - start);
}

/* What to ask for on behalf of a client when nothing is known about the representation. */
struct http_range_wish {
    bool wanted;          /* false: ask for the whole */
    bool suffix;          /* the last LAST bytes */
    uint64_t first, last; /* inclusive */
};
/* The first range of REQUEST, widened to slices: a suffix by one slice, so that the slice in which it begins
 * comes whole. Nothing is wanted when the request has no Range that means something. */
struct http_range_wish http_range_wish_of(const struct http_request *request);
#define HTTP_RANGE_WISH_BYTES 64
/* "bytes=0-262143"; returns its length. */
size_t http_range_wish_format(const struct http_range_wish *wish, char out[HTTP_RANGE_WISH_BYTES]);
/* All bytes of SLICE are in PART, whose complete length is known. */
bool http_part_holds(const struct http_content_range *part, uint64_t slice);
/* The slice from which on a 206 is kept: the first one that is wanted. False when PART does not hold the whole
 * of it, so that it is no answer to what was asked. */
bool http_wish_slice(const struct http_request *request, const struct http_content_range *part,
                     uint64_t *out_slice);

#endif
