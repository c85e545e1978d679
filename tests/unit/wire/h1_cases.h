/* What the tests of wire/h1 share: a head offered whole, cut once at every place, and byte by byte must
 * give the same answer each time. */
#ifndef SK_TESTS_H1_CASES_H
#define SK_TESTS_H1_CASES_H

#include "unit.h"
#include "wire/h1.h"

/* Offers INPUT as H does: first its bytes up to CUT, then all of it; STEP 1 goes on byte by byte. */
static inline enum wire_h1_result offer_request(struct wire_h1_parser *parser,
                                                const struct wire_h1_limits *limits, sk_str input, size_t cut,
                                                size_t step, struct sk_arena *arena,
                                                struct http_request *out_request, size_t *out_bytes) {
    enum wire_h1_result result = WIRE_H1_NEED_MORE;
    for (size_t len = cut; result == WIRE_H1_NEED_MORE; len = SK_MIN(len + step, input.len)) {
        result = wire_h1_parse_request(parser, limits, sk_str_make(input.data, len), arena, out_request,
                                       out_bytes);
        if (len == input.len) break;
    }
    return result;
}

static inline enum wire_h1_result offer_response(struct wire_h1_parser *parser,
                                                 const struct wire_h1_limits *limits, enum http_method method,
                                                 sk_str input, size_t cut, size_t step,
                                                 struct sk_arena *arena, struct http_response *out_response,
                                                 size_t *out_bytes) {
    enum wire_h1_result result = WIRE_H1_NEED_MORE;
    for (size_t len = cut; result == WIRE_H1_NEED_MORE; len = SK_MIN(len + step, input.len)) {
        result = wire_h1_parse_response(parser, limits, method, sk_str_make(input.data, len), arena,
                                        out_response, out_bytes);
        if (len == input.len) break;
    }
    return result;
}

#endif
