/* What the sources of wire/h1 share. Nobody else includes it. */
#ifndef SK_WIRE_H1_INTERNAL_H
#define SK_WIRE_H1_INTERNAL_H

#include "wire/h1.h"

/* What the fields of one head say about framing and the connection, gathered in one pass. */
struct h1_framing {
    uint32_t host_count, length_count, coding_count, upgrade_count, option_count;
    sk_str host, length, coding, upgrade; /* the first value of each */
    bool close, keep_alive, connection_upgrade, connection_malformed;
    bool expect_continue, expect_other;
};
void h1_framing_add(struct h1_framing *framing, enum http_field_id id, sk_str value);

/* The field lines at the start of LINES and the empty line after them, when they are of the plain kind:
 * all there, each by the grammar, no more than CAPACITY, and none that could give the message content or
 * change the protocol. Fills ITEMS, gathers FRAMING; *out_bytes is their length. False says nothing about
 * what is wrong: the way through llhttp tells. */
bool h1_plain_lines(sk_str lines, struct http_field *items, uint32_t capacity, struct h1_framing *framing,
                    uint32_t *out_count, size_t *out_bytes);

/* Sets everything in REQUEST that follows from FRAMING (authority, body, keep_alive, ...). REQUEST has its
 * version, method and, in absolute-form, its authority. */
enum wire_h1_refusal h1_rules_request(const struct h1_framing *framing, struct http_request *request);
/* The same for a response to METHOD. */
enum wire_h1_refusal h1_rules_response(const struct h1_framing *framing, enum http_method method,
                                       struct http_response *response);

/* One field line without its CRLF, by our own rules alone. */
enum wire_h1_refusal h1_field_line(sk_str line, sk_str *out_name, sk_str *out_value);

/* True when a field of NAME may stand in a trailer section (RFC 9110 6.5.1). */
bool h1_allowed_in_trailer(sk_str name);

/* Readies PARSER for the body of the message whose head was just taken. */
void h1_body_begin(struct wire_h1_parser *parser, enum http_body_kind kind, uint64_t content_length);

#endif
