/* HTTP/1.1 framing, sans-I/O (RFC 9112): llhttp in strict mode under our own rules. Bytes and limits in,
 * messages, body pieces and refusals out. No socket, no clock, no allocation beyond the caller's arena.
 *
 * The head of a message must lie in one contiguous buffer: the caller keeps its input in an sk_buf and
 * offers all unread bytes at each call; nothing is consumed until the head is complete. Spans in the
 * message borrow from that buffer until the caller consumes the head, so the caller either handles the
 * request before consuming (a hit), or copies the head first (wire_h1_request_copy). */
#ifndef SK_WIRE_H1_H
#define SK_WIRE_H1_H

#include "base/buf.h"
#include "http/message.h"

struct wire_h1_limits {
    uint32_t head_bytes;            /* request line and fields; default 32 KiB */
    uint32_t target_bytes;          /* default 8 KiB: 414 beyond */
    uint32_t field_count;           /* default 100: 431 beyond */
    uint32_t chunk_extension_bytes; /* default 256, per chunk */
    uint32_t trailer_bytes;         /* default 8 KiB */
};
void wire_h1_limits_default(struct wire_h1_limits *out_limits);

/* Why a message was refused; the text goes to the log, the status to the client. */
#define WIRE_H1_REFUSAL_TABLE(X)                                                                             \
    X(NONE, 0, "")                                                                                           \
    X(REQUEST_LINE, 400, "malformed request line")                                                           \
    X(METHOD, 400, "invalid method")                                                                         \
    X(TARGET, 400, "invalid request target")                                                                 \
    X(TARGET_TOO_LONG, 414, "request target over the limit")                                                 \
    X(VERSION, 505, "HTTP version not supported")                                                            \
    X(FIELD_NAME, 400, "invalid field name")                                                                 \
    X(FIELD_SPACE_BEFORE_COLON, 400, "white space between field name and colon")                             \
    X(FIELD_VALUE, 400, "invalid byte in field value")                                                       \
    X(OBS_FOLD, 400, "folded field line")                                                                    \
    X(BARE_CR, 400, "CR without LF")                                                                         \
    X(BARE_LF, 400, "LF without CR")                                                                         \
    X(NUL, 400, "NUL byte in head")                                                                          \
    X(HEAD_TOO_LARGE, 431, "header section over the limit")                                                  \
    X(TOO_MANY_FIELDS, 431, "more fields than the limit")                                                    \
    X(HOST_MISSING, 400, "no Host field")                                                                    \
    X(HOST_REPEATED, 400, "more than one Host field")                                                        \
    X(HOST_INVALID, 400, "invalid Host field")                                                               \
    X(HOST_DISAGREES, 400, "Host and request target name different hosts")                                   \
    X(LENGTH_INVALID, 400, "malformed Content-Length")                                                       \
    X(LENGTH_REPEATED, 400, "more than one Content-Length")                                                  \
    X(LENGTH_AND_CHUNKED, 400, "both Content-Length and Transfer-Encoding")                                  \
    X(TRANSFER_CODING, 501, "unknown transfer coding")                                                       \
    X(TRANSFER_ENCODING, 400, "malformed or repeated Transfer-Encoding")                                     \
    X(TRANSFER_ENCODING_1_0, 400, "Transfer-Encoding in HTTP/1.0")                                           \
    X(CHUNK_SIZE, 400, "malformed chunk size")                                                               \
    X(CHUNK_EXTENSION, 400, "chunk extension over the limit or malformed")                                   \
    X(CHUNK_DATA, 400, "chunk data not followed by CRLF")                                                    \
    X(TRAILER, 400, "malformed or too large trailer section")                                                \
    X(CONNECT, 501, "CONNECT is not served here")                                                            \
    X(EXPECTATION, 417, "unknown expectation")                                                               \
    X(UPGRADE_INVALID, 400, "malformed Upgrade or Connection")                                               \
    X(STATUS_LINE, 502, "malformed status line")                                                             \
    X(CUT_OFF, 400, "connection ended inside a message")
enum wire_h1_refusal {
#define X(name, status, text) WIRE_H1_REFUSAL_##name,
    WIRE_H1_REFUSAL_TABLE(X)
#undef X
};
uint16_t wire_h1_refusal_status(enum wire_h1_refusal refusal);
const char *wire_h1_refusal_text(enum wire_h1_refusal refusal);

enum wire_h1_result {
    WIRE_H1_NEED_MORE, /* incomplete; offer the same bytes and more later */
    WIRE_H1_HEAD,      /* head complete: *out_head_bytes belong to it */
    WIRE_H1_REFUSED,   /* parser->refusal says why; the connection cannot go on */
};

/* One a connection and direction; small (no buffers inside). */
struct wire_h1_parser {
    enum wire_h1_refusal refusal;
    /* head: offsets into the input as offered, so that no byte is scanned twice */
    size_t scanned;    /* bytes already looked at for the head's end */
    size_t line_start; /* of the line that SCANNED is in */
    size_t head_start; /* after leading empty lines */
    uint32_t lines;    /* whole lines of the head so far, the start line included */
    /* body */
    enum http_body_kind body_kind;
    uint64_t body_left;  /* bytes left of the length or of the present chunk */
    uint32_t line_bytes; /* of the present chunk extension, or of the trailer section so far */
    uint32_t trailer_count;
    uint8_t chunk_state;
    uint8_t size_digits; /* of the present chunk size */
    bool body_done;
};

void wire_h1_parser_init(struct wire_h1_parser *parser);

/* Looks for a request head at the start of INPUT. Leading CRLFs (at most 2, RFC 9112 2.2) are skipped and
 * counted in *out_head_bytes. On WIRE_H1_HEAD *out_request is filled (fields array in ARENA, spans into
 * INPUT) and the parser is set for the body. The request's scheme is empty unless the target is in
 * absolute-form: the caller knows whether it came over TLS. The result depends on the bytes alone, not on
 * how they were cut into calls. Memory: one array in ARENA with room for some fields more; when ARENA is
 * full the head is refused as too large. */
enum wire_h1_result wire_h1_parse_request(struct wire_h1_parser *parser, const struct wire_h1_limits *limits,
                                          sk_str input, struct sk_arena *arena,
                                          struct http_request *out_request, size_t *out_head_bytes);
/* The same for a response to a request of REQUEST_METHOD (which decides about the body). 1xx heads are
 * reported as any other; the caller calls again for the next. */
enum wire_h1_result wire_h1_parse_response(struct wire_h1_parser *parser, const struct wire_h1_limits *limits,
                                           enum http_method request_method, sk_str input,
                                           struct sk_arena *arena, struct http_response *out_response,
                                           size_t *out_head_bytes);

/* Takes body bytes from INPUT: *out_data is the next piece of content inside INPUT (may be empty when only
 * framing was consumed), *out_consumed how much of INPUT is done with. SK_OK: go on; SK_ERR_AGAIN: needs
 * more input (*out_consumed and *out_data may be set all the same; what was not consumed, at most one
 * trailer line, is offered again with more behind it); SK_ERR_END: the body is complete (with
 * *out_consumed and a last piece possibly set); SK_ERR_MALFORMED: parser->refusal, nothing else is set.
 * Trailer fields go to OUT_TRAILERS (may be NULL: dropped), copied into ARENA; those that RFC 9110 6.5.1
 * forbids there (framing, routing, authentication, content, caching) are dropped; SK_ERR_NO_MEMORY. For
 * HTTP_BODY_CLOSE the caller says the end with wire_h1_body_eof. */
sk_err wire_h1_parse_body(struct wire_h1_parser *parser, const struct wire_h1_limits *limits, sk_str input,
                          struct sk_arena *arena, struct http_fields *out_trailers, sk_str *out_data,
                          size_t *out_consumed);
/* End of input after a head was taken. SK_OK when the message may end here, SK_ERR_MALFORMED (cut off) when
 * not. */
sk_err wire_h1_body_eof(struct wire_h1_parser *parser);
/* True once the whole message, head and body, was taken. */
static inline bool wire_h1_message_done(const struct wire_h1_parser *parser) { return parser->body_done; }

/* Deep copy into ARENA, so that the input may be consumed. SK_ERR_NO_MEMORY. */
sk_err wire_h1_request_copy(struct sk_arena *arena, const struct http_request *request,
                            struct http_request *out_request);

/* --- writing ---------------------------------------------------------------------------------------- */

/* Appends "METHOD target HTTP/1.1\r\n", fields and the empty line. Host comes first, made of the authority.
 * Framing fields (Content-Length, Transfer-Encoding, Connection, Keep-Alive, Upgrade) are written from the
 * request's body_kind, keep_alive and upgrade, never from its fields. SK_ERR_TOO_LARGE and
 * SK_ERR_NO_MEMORY from the buffer, which is then unchanged. */
sk_err wire_h1_write_request(struct sk_buf *out, const struct http_request *request);
/* As above for a status line, always of HTTP/1.1. CHUNKED and CLOSE as body_kind; KEEP_ALIVE as the
 * connection goes on. VERSION is that of the client: HTTP/1.0 is told "keep-alive" in so many words. The
 * length of an answer to HEAD is given as HTTP_BODY_LENGTH; 1xx and 204 never carry framing (RFC 9110
 * 8.6). A 101 gets "Connection: upgrade" and its Upgrade field. */
sk_err wire_h1_write_response(struct sk_buf *out, const struct http_response *response);
/* "1a2b\r\n" in OUT (at least 20 bytes); returns the length. The caller sends data and "\r\n" after it. */
size_t wire_h1_chunk_head(uint64_t bytes, char out[20]);
/* "0\r\n", trailers (may be NULL), "\r\n". */
sk_err wire_h1_write_last_chunk(struct sk_buf *out, const struct http_fields *trailers);

#endif
