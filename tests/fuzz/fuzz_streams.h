/* A fake edge for the fuzzers of HTTP/2 and HTTP/3: it takes requests, checks what it is told, and has content for
 * answers. Every stream that opens is closed once. */
#ifndef SK_TESTS_FUZZ_STREAMS_H
#define SK_TESTS_FUZZ_STREAMS_H

#include "fuzz.h"
#include "http/uri.h"
#include "wire/stream.h"

#define STREAMS 100
#define STREAM_WINDOW (256 * 1024)
#define HEAD_BYTES 2000
#define FIELDS 20
#define TARGET_BYTES 500
#define ANSWER_BYTES 40000

struct stream {
    struct wire_stream wire;
    struct stream *next;
    bool begun, closed;
    size_t kept, sent; /* request content not consumed; answer content */
};
struct owner {
    struct stream *streams; /* all that ever were */
    uint32_t open, loans;
    size_t received;
};

static struct stream *of(struct wire_stream *wire) { return SK_CONTAINER_OF(wire, struct stream, wire); }

static struct wire_stream *on_open(void *arg) {
    struct owner *owner = arg;
    if (owner->open >= STREAMS) return NULL;
    struct stream *stream = calloc(1, sizeof *stream);
    MUST(stream);
    sk_arena_init(&stream->wire.arena, 512, 0);
    stream->next = owner->streams;
    owner->streams = stream;
    owner->open++;
    return &stream->wire;
}

static void on_request(void *arg, struct wire_stream *wire) {
    const struct http_request *request = &wire->request;
    struct http_uri uri;
    sk_str host;
    uint16_t port;
    MUST(!of(wire)->begun && !of(wire)->closed);
    of(wire)->begun = true;
    MUST(wire->arena.used <= 16 * HEAD_BYTES);
    if (wire->refusal) {
        MUST(wire->refused && wire->refusal >= 400 && wire->refusal < 600);
        return;
    }
    MUST(http_token_valid(request->method_text) && request->method != HTTP_METHOD_CONNECT);
    MUST(http_authority_parse(request->authority, &host, &port) == SK_OK && host.len);
    MUST(http_uri_parse_target(request->target, &uri) == SK_OK && request->target.len <= TARGET_BYTES);
    MUST(!(wire->ended && request->body_kind == HTTP_BODY_LENGTH && request->content_length));
    MUST(request->fields.count <= FIELDS + 1);
    for (uint32_t i = 0; i < request->fields.count; i++) {
        const struct http_field *field = &request->fields.items[i];
        MUST(http_token_valid(field->name) && http_field_value_valid(field->value));
        MUST(field->id != HTTP_FIELD_CONNECTION && field->id != HTTP_FIELD_TRANSFER_ENCODING);
    }
}

static void on_data(void *arg, struct wire_stream *wire, sk_str bytes) {
    struct owner *owner = arg;
    MUST(of(wire)->begun && !of(wire)->closed);
    of(wire)->kept += bytes.len;
    owner->received += bytes.len;
    MUST(of(wire)->kept <= STREAM_WINDOW);
}

static void on_end(void *arg, struct wire_stream *wire) { MUST(of(wire)->begun && wire->ended); }

static void on_closed(void *arg, struct wire_stream *wire, bool whole) {
    struct owner *owner = arg;
    MUST(!of(wire)->closed);
    MUST(!whole || of(wire)->begun);
    of(wire)->closed = true;
    owner->open--;
}

/* A part at a time, and now and then nothing; the length is a matter of the stream's number. */
static sk_err on_content(void *arg, struct wire_stream *wire, size_t most, size_t *out_bytes, bool *out_last,
                         const struct http_fields **out_trailers) {
    struct stream *stream = of(wire);
    size_t length = (size_t)wire->id * 777 % ANSWER_BYTES;
    MUST(!stream->closed && stream->sent <= length);
    *out_bytes = SK_MIN(most, length - stream->sent);
    *out_last = stream->sent + *out_bytes == length;
    *out_trailers = wire->id % 3 ? NULL : &wire->request.fields;
    return SK_OK;
}

static sk_err on_take(void *arg, struct wire_stream *wire, size_t bytes, char *room) {
    of(wire)->sent += bytes;
    memset(room, 0, bytes);
    return SK_OK;
}

static void on_framed(void *arg, struct wire_stream *wire, size_t bytes) { MUST(!of(wire)->closed); }

/* Some streams' content is lent, in memory of its own so that nobody reads or returns it too late. */
static sk_err on_lend(void *arg, struct wire_stream *wire, size_t most, sk_str *out_piece, bool *out_last,
                      void **out_loan) {
    struct owner *owner = arg;
    struct stream *stream = of(wire);
    size_t length = (size_t)wire->id * 777 % ANSWER_BYTES, left = length - stream->sent;
    MUST(!stream->closed && stream->sent <= length);
    if (wire->id % 8 || left < 1000) return SK_ERR_UNSUPPORTED;
    size_t bytes = SK_MIN(most, left);
    char *piece = calloc(1, bytes);
    MUST(piece);
    *out_piece = (sk_str){piece, bytes};
    *out_loan = piece;
    stream->sent += bytes;
    *out_last = stream->sent == length;
    owner->loans++;
    return SK_OK;
}

static void on_give_back(void *arg, void *loan) {
    struct owner *owner = arg;
    MUST(owner->loans--);
    free(loan);
}

static const struct wire_stream_events events = {on_open,    on_request, on_data,   on_end,  on_closed,
                                                 on_content, on_take,    on_framed, on_lend, on_give_back};

static void drop_streams(struct owner *owner) {
    MUST(!owner->loans);
    for (struct stream *stream = owner->streams, *next; stream; stream = next) {
        next = stream->next;
        sk_arena_free(&stream->wire.arena);
        free(stream);
    }
}

#endif
