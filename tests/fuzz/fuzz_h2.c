/* Any bytes as a client's side of an HTTP/2 connection, in front of a fake edge: every stream that opens is closed
 * once, memory is bounded by what windows and limits say, what is told as a good request is one, and the end comes. */
#include "fuzz.h"
#include "http/uri.h"
#include "wire/h2.h"

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
    struct wire_h2 *h2;
    struct stream *streams; /* all that ever were */
    uint32_t open;
    size_t received;
};

static struct stream *of(struct wire_stream *wire) { return SK_CONTAINER_OF(wire, struct stream, wire); }

static struct wire_stream *on_open(void *arg) {
    struct owner *owner = arg;
    if (owner->open >= WIRE_H2_STREAMS) return NULL;
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
    MUST(of(wire)->kept <= WIRE_H2_STREAM_WINDOW);
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

static const struct wire_stream_events events = {on_open,   on_request, on_data, on_end,
                                                 on_closed, on_content, on_take, on_framed};

/* Answers what has begun, in the ways an edge has, and gives content back to the client's window. */
static void serve(struct owner *owner, uint32_t turn) {
    static const sk_str heads[] = {SK_STR_INIT("Server: x\r\nConnection: close\r\nX: y\r\n"),
                                   SK_STR_INIT("")};
    for (struct stream *stream = owner->streams; stream; stream = stream->next) {
        if (stream->closed) continue;
        if (stream->kept && turn % 2) {
            wire_h2_consumed(owner->h2, &stream->wire, stream->kept);
            stream->kept = 0;
        }
        if (!stream->begun || stream->wire.answering) continue;
        if (stream->wire.id % 7 == 3 && wire_h2_inform(owner->h2, &stream->wire, 103, NULL) != SK_OK)
            continue;
        if (stream->wire.id % 11 == 5)
            wire_h2_reset(owner->h2, &stream->wire);
        else
            (void)!wire_h2_respond(owner->h2, &stream->wire, 200, heads, 2, UINT64_MAX,
                                   stream->wire.id % 5 != 1);
    }
}

static void drop(struct owner *owner) {
    wire_h2_free(owner->h2);
    for (struct stream *stream = owner->streams, *next; stream; stream = next) {
        next = stream->next;
        sk_arena_free(&stream->wire.arena);
        free(stream);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    static const struct wire_head_limits limits = {HEAD_BYTES, FIELDS, TARGET_BYTES};
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0";
    struct owner owner = {0};
    struct sk_buf out;
    sk_buf_init(&out, 0);
    MUST(wire_h2_create(&events, &owner, &limits, SK_STR("https"), &owner.h2) == SK_OK);
    sk_err err = wire_h2_receive(owner.h2, (sk_str){preface, sizeof preface}, 1);
    size_t step = 1 + cut_of(data, SK_MIN(bytes, (size_t)500));
    for (size_t at = 0, turn = 0; at < bytes && !err; at += step, turn++) {
        size_t n = SK_MIN(step, bytes - at);
        char *piece = exact_copy(data + at, n);
        err = wire_h2_receive(owner.h2, (sk_str){piece, n}, (sk_time_ns)turn * SK_NS_PER_MS);
        free(piece);
        serve(&owner, (uint32_t)turn);
        MUST(wire_h2_fill(owner.h2, &out, 1 << 20) != SK_ERR_NO_MEMORY);
        sk_buf_clear(&out);
    }
    wire_h2_goaway(owner.h2, true);
    MUST(wire_h2_fill(owner.h2, &out, 1 << 20) != SK_ERR_NO_MEMORY);
    if (!owner.open) MUST(wire_h2_over(owner.h2));
    sk_buf_free(&out);
    drop(&owner);
    return 0;
}
